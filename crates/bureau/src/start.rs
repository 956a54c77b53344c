//! Opening the journal: its files, the newest snapshot that fits it, the entries behind. And everything made anew
//! from the journal alone. It must not write entries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_ledger::disk::Disk;
use i247_ledger::{
    Blocking, CloseError, OpenError as FilesError, Opened, Options, Position, Segments, outcome,
};
use i247_model::{CountryCode, Hash};

use crate::journal::OpenError;
use crate::snapshots::{Keeper, StoreError, before, replay};
use crate::views::Views;

/// Where a journal lies, and whose it is.
pub(crate) struct Place {
    pub(crate) country: CountryCode,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
}

/// A journal that was opened, with its views.
pub(crate) struct Started {
    pub(crate) segments: Segments,
    pub(crate) opened: Opened,
    pub(crate) views: Views,
    /// How many entries were read; the rest came from a snapshot.
    pub(crate) replayed: u64,
    pub(crate) keeper: Keeper,
}

impl Place {
    /// Opens the journal and brings the views up to its end, from the newest snapshot that fits.
    ///
    /// What a snapshot covers is not verified again when the files are opened. A snapshot that turns out not to fit
    /// therefore gives way before anything else is done: the files are opened anew without it.
    pub(crate) async fn start(&self) -> Result<Started, OpenError> {
        let keeper = self.keeper();
        let mut limit = Some(Position(u64::MAX));
        loop {
            let candidate = match limit {
                Some(limit) => keeper.newest(limit).await,
                None => None,
            };
            let Some(candidate) = candidate else { break };
            let position = Position(candidate.views.position);
            limit = before(position);
            let (segments, opened) = match self.open(position).await {
                Ok(opened) => opened,
                Err(error @ OpenError::Files(FilesError::Locked(_))) => return Err(error),
                Err(_) => continue,
            };
            if keeper.fits(&candidate, &segments).await {
                return self.finish(segments, opened, candidate.views).await;
            }
            tracing::warn!(%position, "passed over a snapshot of another journal, or of a later copy of this one");
        }
        let (segments, opened) = self.open(Position::START).await?;
        self.finish(segments, opened, Views::new(self.country)).await
    }

    async fn finish(
        &self,
        segments: Segments,
        opened: Opened,
        mut views: Views,
    ) -> Result<Started, OpenError> {
        let snapshot = views.position;
        let replayed = replay(&segments, &mut views).await?;
        tracing::info!(snapshot, replayed, "the views are made from the journal");
        Ok(Started { segments, opened, views, replayed, keeper: self.keeper() })
    }

    async fn open(&self, trusted_to: Position) -> Result<(Segments, Opened), OpenError> {
        let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
        let options = Options { trusted_to, ..self.options.clone() };
        let opened = outcome(&*self.options.blocking, move || Segments::open(disk, dir, options)).await;
        Ok(opened.ok_or(OpenError::Cancelled)??)
    }

    fn keeper(&self) -> Keeper {
        let blocking = Arc::clone(&self.options.blocking);
        Keeper::new(self.country, Arc::clone(&self.disk), self.dir.clone(), blocking)
    }
}

/// What was made anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebuilt {
    /// The digest over every view: equal for equal journals.
    pub digest: Hash,
    /// How many entries were read.
    pub entries: u64,
    /// How many snapshots were thrown away.
    pub snapshots_removed: u64,
}

/// Why nothing was made anew. The journal is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The journal cannot be opened, read or understood.
    #[error("the journal cannot be used")]
    Journal(#[from] OpenError),
    /// A snapshot cannot be removed.
    #[error("{}: not accessible", path.display())]
    File {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// The new snapshot was not stored.
    #[error("no snapshot was stored")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The journal was read, but not closed.
    #[error("the journal was not closed cleanly")]
    Close(#[from] CloseError),
}

/// Removes the snapshots beside the journal in `dir`, reads the journal from its first entry, and stores a new
/// snapshot. It takes the lock of the directory: while a bureau runs there, it is refused.
///
/// # Errors
/// [`RebuildError`]; what was removed can always be made again.
///
/// # Cancel safety
/// Dropped half way, the next start reads the whole journal.
pub async fn rebuild(
    country: CountryCode,
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    dir: &Path,
) -> Result<Rebuilt, RebuildError> {
    let options = Options { blocking, ..Options::default() };
    let place = Place { country, disk, dir: dir.to_owned(), options };
    // Opened first, for its lock.
    let (segments, _) = place.open(Position::START).await?;
    let removed = place.keeper().clear();
    let snapshots_removed = removed.map_err(|source| RebuildError::File { path: dir.to_owned(), source })?;
    let mut views = Views::new(country);
    let entries = replay(&segments, &mut views).await?;
    let digest = views.digest();
    let stored = place.keeper().store_views(views, &segments).await;
    stored.map_err(|error: StoreError| RebuildError::Store(Box::new(error)))?;
    segments.close().await?;
    Ok(Rebuilt { digest, entries, snapshots_removed })
}
