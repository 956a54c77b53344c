//! Snapshots of the views beside the journal. None is believed before the journal turns out to hold what it was made
//! of, and every one may be thrown away: the journal says it all.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use i247_ledger::disk::Disk;
use i247_ledger::snapshot::{Snapshot, SnapshotError, Snapshots};
use i247_ledger::{Blocking, Ledger, Position, ReadError, outcome};
use i247_model::{CountryCode, Hash, Sender};
use i247_trust::sha256;
use i247_wire::pb;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::journal::{Journal, OpenError};
use crate::views::{Unreadable, Views};

/// The version of [`Stored`]; snapshots of other versions are passed over.
const VERSION: u32 = 3;
/// How many entries, and bytes with their bodies, are read at once.
const READ_RECORDS: usize = 1024;
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What a snapshot holds.
#[derive(Deserialize)]
struct Stored {
    /// Hash of the last entry taken in: a snapshot of another journal shows by it.
    entry: Hash,
    views: Views,
}

/// The same fields in the same order, borrowed: the views are not copied to be written.
#[derive(Serialize)]
struct Storing<'a> {
    entry: Hash,
    views: &'a Views,
}

/// Views out of a snapshot, to be held against the journal.
pub(crate) struct Candidate {
    entry: Hash,
    pub(crate) views: Views,
}

/// Stores and finds the snapshots of one bureau. Clones are the same.
#[derive(Clone)]
pub(crate) struct Keeper {
    country: CountryCode,
    files: Snapshots,
    blocking: Arc<dyn Blocking>,
}

impl Keeper {
    /// The snapshots in the journal's directory, which is there.
    pub(crate) fn new(
        country: CountryCode,
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        blocking: Arc<dyn Blocking>,
    ) -> Self {
        Self { country, files: Snapshots::new(disk, dir, Arc::clone(&blocking)), blocking }
    }

    /// Removes all of them, and returns how many there were. It blocks.
    pub(crate) fn clear(&self) -> std::io::Result<u64> {
        self.files.clear()
    }

    /// The newest snapshot up to this position that can be read and is of this country.
    pub(crate) async fn newest(&self, mut limit: Position) -> Option<Candidate> {
        loop {
            let found = match self.files.load(limit).await {
                Ok(loaded) => loaded.snapshot?,
                // A new bureau has no directory yet.
                Err(SnapshotError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return None,
                Err(error) => {
                    tracing::warn!(%error, "no snapshot is used: the whole journal is read");
                    return None;
                }
            };
            let (position, version, sender) = (found.position, found.version, Sender::Bureau(self.country));
            let decode = move || postcard::from_bytes::<Stored>(&found.state).ok();
            let stored =
                if version == VERSION { outcome(&*self.blocking, decode).await.flatten() } else { None };
            let ours = stored.filter(|stored| {
                stored.views.position == position.0 && *stored.views.outbox.sender() == sender
            });
            if let Some(Stored { entry, mut views }) = ours {
                views.index();
                return Some(Candidate { entry, views });
            }
            tracing::warn!(%position, version, "passed over a snapshot that this bureau cannot use");
            limit = before(position)?;
        }
    }

    /// Whether the views follow from this very journal.
    pub(crate) async fn fits(&self, candidate: &Candidate, ledger: &dyn Ledger) -> bool {
        let position = Position(candidate.views.position);
        position <= ledger.end() && entry_at(ledger, position).await.is_ok_and(|hash| hash == candidate.entry)
    }

    /// Stores the views of a journal to which nothing is written any more.
    ///
    /// # Cancel safety
    /// Once begun it goes on to its end.
    pub(crate) async fn store_last(&self, journal: &Journal, ledger: &dyn Ledger) -> Result<(), StoreError> {
        let position = journal.views().position;
        let entry = entry_at(ledger, Position(position)).await?;
        let journal = journal.clone();
        self.store(position, move || postcard::to_stdvec(&Storing { entry, views: &journal.views() })).await
    }

    /// Stores these views.
    ///
    /// # Cancel safety
    /// Once begun it goes on to its end.
    pub(crate) async fn store_views(&self, views: Views, ledger: &dyn Ledger) -> Result<(), StoreError> {
        let position = views.position;
        let entry = entry_at(ledger, Position(position)).await?;
        self.store(position, move || postcard::to_stdvec(&Storing { entry, views: &views })).await
    }

    async fn store(
        &self,
        position: u64,
        encode: impl FnOnce() -> Result<Vec<u8>, postcard::Error> + Send + 'static,
    ) -> Result<(), StoreError> {
        let encoded = outcome(&*self.blocking, encode).await.ok_or(SnapshotError::Cancelled)??;
        let snapshot = Snapshot { position: Position(position), version: VERSION, state: encoded.into() };
        Ok(self.files.store(snapshot).await?)
    }

    /// Stores a snapshot whenever so many entries were added behind the last one, at `stored`, until `stop`.
    ///
    /// The views that the bureau works with are left alone: encoding them would hold up whoever writes. Others are made
    /// from the last snapshot and the tail behind it, which for a while takes the same memory again.
    pub(crate) async fn run_until(
        self,
        ledger: Arc<dyn Ledger>,
        mut applied: watch::Receiver<u64>,
        (mut stored, entries): (u64, u64),
        stop: CancellationToken,
    ) {
        loop {
            let end = *applied.borrow_and_update();
            if end >= stored.saturating_add(entries.max(1)) {
                match self.follow(&*ledger).await {
                    Ok(()) => tracing::debug!(end, "a snapshot is stored"),
                    Err(error) => tracing::warn!(%error, "no snapshot is stored: the next start reads more"),
                }
                // After a failure too: trying again with every entry would not help.
                stored = end;
            }
            // Dropping the wait for a change loses none.
            tokio::select! {
                () = stop.cancelled() => return,
                changed = applied.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn follow(&self, ledger: &dyn Ledger) -> Result<(), StoreError> {
        let mut views = Views::new(self.country);
        if let Some(candidate) = self.newest(ledger.end()).await
            && self.fits(&candidate, ledger).await
        {
            views = candidate.views;
        }
        replay(ledger, &mut views).await?;
        self.store_views(views, ledger).await
    }
}

/// Why no snapshot was stored. The journal is not touched by it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] OpenError),
    /// It cannot be written.
    #[error("the snapshot cannot be written")]
    Write(#[from] SnapshotError),
    /// The views cannot be encoded, which for views that fit into memory does not happen.
    #[error("the views cannot be encoded")]
    Encode(#[from] postcard::Error),
}

impl From<ReadError> for StoreError {
    fn from(error: ReadError) -> Self {
        Self::Journal(error.into())
    }
}

/// Takes in every entry behind the views' position; returns how many there were.
///
/// # Errors
/// When the journal cannot be read or understood.
pub(crate) async fn replay(ledger: &dyn Ledger, views: &mut Views) -> Result<u64, OpenError> {
    let from = views.position;
    loop {
        let records = ledger.read(Position(views.position).next(), READ_RECORDS, READ_BYTES).await?;
        if records.is_empty() {
            return Ok(views.position - from);
        }
        for record in &records {
            let entry = pb::JournalEntry::decode(record.entry.clone())
                .map_err(|error| Unreadable { position: record.position.0, what: error.to_string() })?;
            views.apply(record.position.0, &entry)?;
        }
    }
}

/// The position before this one, if there is one with an entry.
pub(crate) fn before(position: Position) -> Option<Position> {
    position.0.checked_sub(1).filter(|before| *before > 0).map(Position)
}

/// Hash of the entry at a position; that of nothing where there is none.
async fn entry_at(ledger: &dyn Ledger, position: Position) -> Result<Hash, ReadError> {
    if position == Position::START {
        return Ok(sha256(&[]));
    }
    let records = ledger.read(position, 1, READ_BYTES).await?;
    Ok(records.first().map_or_else(|| sha256(&[]), |record| sha256(&[&record.entry])))
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
