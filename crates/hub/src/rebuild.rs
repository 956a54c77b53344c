//! Throws away everything that follows from the log and makes it anew. It must not touch the log itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_ledger::disk::Disk;
use i247_ledger::snapshot::Snapshots;
use i247_ledger::{Blocking, CloseError, Options, Segments};
use i247_trust::Root;

use crate::recover::{RecoverError, replay, snapshot};
use crate::views::Views;

/// What was rebuilt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebuilt {
    /// The digest over every view: equal for equal logs.
    pub digest: String,
    /// How many entries were read.
    pub entries: u64,
    /// How many snapshots were thrown away.
    pub snapshots_removed: u64,
}

/// Why nothing was rebuilt. The log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The log cannot be opened, read or understood.
    #[error("the log cannot be used")]
    Recover(#[from] RecoverError),
    /// A snapshot cannot be removed.
    #[error("{}: not accessible", path.display())]
    File {
        /// Which file or directory.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The log was read, but not closed.
    #[error("the log was not closed cleanly")]
    Close(#[from] CloseError),
}

/// Removes the snapshots beside the log in `dir`, reads the log from its first entry, and stores a new snapshot.
/// It takes the lock of the directory: while a hub runs there, it is refused.
///
/// # Errors
/// [`RebuildError`]; what was removed can always be made again.
///
/// # Cancel safety
/// Dropped half way, the next start reads the whole log.
pub async fn rebuild(
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    dir: &Path,
    root: Root,
) -> Result<Rebuilt, RebuildError> {
    let options = Options { blocking: blocking.clone(), ..Options::default() };
    let (ledger, _) = Segments::open(disk.clone(), dir, options).map_err(RecoverError::from)?;
    let snapshots_removed = remove_snapshots(&*disk, dir)?;
    let mut views = Views::new(root);
    replay(&ledger, &mut views).await?;
    if let Some(made) = snapshot(&views) {
        Snapshots::new(disk, dir, blocking).store(made).await.map_err(RecoverError::from)?;
    }
    ledger.close().await?;
    Ok(Rebuilt { digest: views.digest(), entries: views.position, snapshots_removed })
}

fn remove_snapshots(disk: &dyn Disk, dir: &Path) -> Result<u64, RebuildError> {
    let failed = |source| RebuildError::File { path: dir.to_owned(), source };
    let mut removed = 0;
    for name in disk.list(dir).map_err(failed)? {
        if name.starts_with("snapshot-") {
            disk.remove(&dir.join(&name)).map_err(failed)?;
            removed += 1;
        }
    }
    disk.sync_dir(dir).map_err(failed)?;
    Ok(removed)
}
