//! Throws away everything that follows from the log and makes it anew. It must not touch the log itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_ledger::disk::Disk;
use i247_ledger::{Blocking, CloseError, Options, Segments};
use i247_trust::Root;

use crate::archive::{Archive, Limits};
use crate::config::Config;
use crate::databases::{self, Databases, DatabasesError};
use crate::recover::{RecoverError, catch_up};

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
    /// The databases cannot be made from the log.
    #[error("the databases cannot be made from the log")]
    Databases(#[from] DatabasesError),
    /// A snapshot or a run cannot be removed.
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

/// Removes the snapshots and the runs of history and databases beside the log in `dir`, reads the log from its first
/// entry, and stores all of it anew.
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
    let ledger = Arc::new(ledger);
    let limits = Limits::of(&Config::default());
    let archive = Archive::new(disk.clone(), dir, blocking.clone(), limits);
    let failed = |source| RebuildError::File { path: dir.to_owned(), source };
    let snapshots_removed = archive.throw_away().map_err(failed)?;
    let mut views = catch_up(&*ledger, &archive, &root).await?;
    archive.store_own(&mut views).await.map_err(RecoverError::from)?;
    Databases::throw_away(disk.clone(), blocking.clone(), dir)?;
    let feeds = |position| views.history.feeds_behind(position);
    let databases = Databases::open(disk, blocking, dir, ledger.clone(), feeds).await?;
    databases.store_all().await?;
    let digest = databases::digest(&views.digest().map_err(RecoverError::from)?, &databases)?;
    ledger.close().await?;
    Ok(Rebuilt { digest, entries: views.position, snapshots_removed })
}
