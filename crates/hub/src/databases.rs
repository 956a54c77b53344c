//! The databases: the view of the log in which records are found. It must not decide what enters the log.
//!
//! ```text
//!   log ──follow──► shelves: registers, index, verdicts ◄──look_up── searches
//!    └───────────── bodies ──────────────────────────────────┘ the records themselves
//! ```
//!
//! It follows the log behind the sequencer, with a position of its own, and decides about each change of a batch in the
//! order of the log: whoever rebuilds it comes to the same records and the same verdicts. It reads those entries alone
//! from which records follow; the views know where they are. Records lie in the log alone; here is only where.

mod batches;
mod circulars;
mod compared;
mod frozen;
mod kept;
mod persons;
mod shelves;
mod stored;
mod taking;
#[cfg(test)]
mod tests;
mod unpublished;
mod verdicts;

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use i247_ledger::disk::Disk;
use i247_ledger::snapshot::SnapshotError;
use i247_ledger::{Blocking, Ledger, Position, ReadError, outcome};
use i247_model::{Class, Header, Kind, Lifted, MessageId, Party, Refusal};
use i247_records::index::{IndexError, Locator};
use i247_records::nominal::NominalError;
use i247_records::record::{Key, Record};
use i247_records::template::TemplateError;
use i247_records::{Database, Date, batch};
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::history::HistoryError;
use batches::{Batch, Batches, Taken};
pub(crate) use frozen::{Frozen, RestrictedKey};
use shelves::Shelves;
use stored::{Extent, Store};
pub(crate) use verdicts::Verdicts;

/// The directory of the index, below that of the log.
pub(crate) const DIR: &str = "databases";

/// Entries that are read at once.
const READ_RECORDS: usize = 256;

/// Bytes that are read at once.
const READ_BYTES: usize = 8 * 1024 * 1024;

/// Most records that are looked at for one key.
const MAX_CANDIDATES: usize = 64;

/// How long is waited after a failure before the log is followed again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The databases of a hub.
pub(crate) struct Databases {
    ledger: Arc<dyn Ledger>,
    blocking: Arc<dyn Blocking>,
    shelves: Arc<RwLock<Shelves>>,
    batches: Arc<Batches>,
    store: Arc<Store>,
    /// Rung with every entry that was taken in.
    taken_in: watch::Sender<u64>,
    /// The last attempt to follow the log failed.
    stuck: watch::Sender<bool>,
}

/// A record that was found by a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) database: Database,
    /// The record's name.
    pub(crate) reference: String,
    /// Whose it is.
    pub(crate) owner: Party,
    /// Where the message lies that brought it.
    pub(crate) position: u64,
    /// Which item of that message it is, from 0.
    pub(crate) item: u16,
    /// The message that brought it.
    pub(crate) message: MessageId,
    pub(crate) record: Record,
    /// Of a person that was searched for, or of what a probe led to.
    pub(crate) score: Option<Score>,
}

/// How alike somebody is to whom was searched for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Score {
    /// To 1000.
    pub(crate) score: u16,
    /// What agrees and what does not.
    pub(crate) reasons: Vec<String>,
}

impl Found {
    fn of(batch: &Batch, at: Locator, record: Record, score: Option<Score>) -> Self {
        Self {
            database: record.database(),
            reference: record.name().to_string(),
            owner: record.owner(),
            position: at.position().0,
            item: at.item(),
            message: batch.id.clone(),
            record,
            score,
        }
    }
}

/// Why the databases cannot answer, or cannot follow the log. It is never the same as finding nothing.
#[derive(Debug, thiserror::Error)]
pub enum DatabasesError {
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    /// The index cannot be used.
    #[error("the index of the databases cannot be used")]
    Index(#[from] IndexError),
    /// It cannot be found out which entries to read.
    #[error("it cannot be found out from which entries records follow")]
    Feeds(#[from] HistoryError),
    /// No snapshot can be written or looked for.
    #[error("the snapshots of the databases cannot be used")]
    Snapshot(#[from] SnapshotError),
    /// The index of names cannot be used.
    #[error("the index of names cannot be used")]
    Names(#[from] NominalError),
    /// A question leads to another database than it was read for.
    #[error("a probe cannot be compared")]
    Probe(#[from] TemplateError),
    /// What is to be stored cannot be encoded.
    #[error("the databases cannot be encoded")]
    Encode(#[from] postcard::Error),
    /// An entry holds what this program cannot understand.
    #[error("entry {position} holds no records that can be understood: {refusal}")]
    Entry {
        /// Where it lies.
        position: u64,
        /// What is wrong with it.
        #[source]
        refusal: Refusal,
    },
    /// The work was given up by a runtime that shuts down.
    #[error("the work was given up")]
    GivenUp,
}

/// Whether it depends on accepted messages of a kind which records there are, or who sees them.
pub(crate) fn is_fed_by(kind: Kind) -> bool {
    match kind {
        Kind::Records
        | Kind::NoticeRequest
        | Kind::ReviewDecision
        | Kind::Notice
        | Kind::Addendum
        | Kind::Cancellation
        | Kind::Diffusion
        | Kind::Withdrawal
        | Kind::Restriction => true,
        Kind::Request
        | Kind::Reply
        | Kind::PersonLocated
        | Kind::ArrestReport
        | Kind::NationalDecision
        | Kind::FreeText
        | Kind::Reminder
        | Kind::Escalation
        | Kind::Void
        | Kind::NewEpoch
        | Kind::Hit
        | Kind::HitDecision
        | Kind::HitAction
        | Kind::Grant => false,
    }
}

/// What the router needs of a batch of records.
///
/// # Errors
/// What nobody can be held to. What breaks a rule of the databases is lifted: its message is void.
pub(crate) fn lift(body: &Bytes, header: &Header) -> Result<Lifted, Refusal> {
    let batch = i247_trust::decode_batch(body)?;
    match batch::check(&batch, header.id.sender.party()) {
        Ok(()) => Ok(Lifted::default()),
        Err(refusal) if refusal.reason.class() == Class::No => {
            Ok(Lifted { refused: Some(refusal), ..Lifted::default() })
        }
        Err(refusal) => Err(refusal),
    }
}

/// A digest over the views and the databases.
///
/// # Errors
/// As [`Databases::digest`].
pub(crate) fn digest(views: &str, databases: &Databases) -> Result<String, DatabasesError> {
    Ok(i247_trust::sha256(&[views.as_bytes(), databases.digest()?.as_bytes()]).to_string())
}

impl Databases {
    /// The databases as they follow from all of the log: from where they were stored, and what follows behind that.
    /// `feeds` says which entries behind a position these are.
    ///
    /// # Errors
    /// [`DatabasesError`].
    pub(crate) async fn open(
        disk: Arc<dyn Disk>,
        blocking: Arc<dyn Blocking>,
        log: &Path,
        ledger: Arc<dyn Ledger>,
        feeds: impl Fn(u64) -> Result<Vec<u64>, HistoryError>,
    ) -> Result<Self, DatabasesError> {
        let store = Arc::new(Store::new(disk, &log.join(DIR), blocking.clone()));
        let shelves = store.open(&*ledger).await?;
        let taken_in = watch::Sender::new(shelves.position());
        let shelves = Arc::new(RwLock::new(shelves));
        let databases = Self {
            ledger,
            blocking,
            shelves,
            batches: Arc::default(),
            store,
            taken_in,
            stuck: watch::Sender::new(false),
        };
        databases.recall().await?;
        databases.take_in(&feeds(databases.position())?).await?;
        Ok(databases)
    }

    /// Removes everything that is stored of the databases of the log in this directory.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn throw_away(
        disk: Arc<dyn Disk>,
        blocking: Arc<dyn Blocking>,
        log: &Path,
    ) -> Result<(), DatabasesError> {
        Store::new(disk, &log.join(DIR), blocking).throw_away()
    }

    /// The last entry that was taken in; from those behind it that are in the views, nothing follows.
    pub(crate) fn position(&self) -> u64 {
        self.shelves().position()
    }

    /// As [`position`](Self::position), or a little less while something is taken in: without waiting for that.
    pub(crate) fn taken_in(&self) -> u64 {
        *self.taken_in.borrow()
    }

    /// Whether the last attempt to follow the log failed.
    pub(crate) fn is_stuck(&self) -> bool {
        *self.stuck.borrow()
    }

    /// The same, for whoever waits for it to change.
    pub(crate) fn stuck(&self) -> watch::Receiver<bool> {
        self.stuck.subscribe()
    }

    /// A database as it is once all up to this position is taken in.
    pub(crate) async fn frozen(&self, database: Database, through: u64) -> Frozen {
        let mut taken_in = self.taken_in.subscribe();
        while self.position() < through {
            // A step that comes meanwhile is remembered; the sender lives as long as this does.
            let _ = taken_in.changed().await;
        }
        self.shelves().frozen(database)
    }

    /// How many records there are of a database.
    pub(crate) fn count(&self, database: Database) -> u64 {
        self.shelves().count(database)
    }

    /// What became of the changes in the message at this position; none where no changes were accepted.
    pub(crate) fn verdicts(&self, position: u64) -> Option<Verdicts> {
        self.shelves().verdicts(position).cloned()
    }

    /// 32 bytes in hexadecimal digits that are the same for equal logs.
    ///
    /// # Errors
    /// Never for databases that fit into memory.
    pub(crate) fn digest(&self) -> Result<String, DatabasesError> {
        Ok(self.shelves().digest()?.to_string())
    }

    /// Looks keys up for an asker; what the asker may not see is not found. One list a key, in the order of the keys,
    /// each with at most 64 records. A key leads to look-alikes too: whether a record is the one that was meant, whoever
    /// asks decides on the record.
    ///
    /// # Errors
    /// [`DatabasesError`] when the log cannot be read.
    pub(crate) async fn look_up(
        &self,
        asker: Party,
        database: Database,
        keys: &[Key],
        today: Date,
    ) -> Result<Vec<Vec<Found>>, DatabasesError> {
        let candidates = self.shelves().candidates(asker, database, keys, MAX_CANDIDATES);
        let mut found: Vec<Vec<Found>> = keys.iter().map(|_| Vec::new()).collect();
        for (query, at) in candidates {
            let batch = self.batch(at.position().0).await?;
            let Some(record) = self.record(&batch, at, database)? else { continue };
            // The index leads to records of the same fingerprint, and the record may be past its last day.
            let right = record.is_visible_to(asker)
                && (record.keys().contains(&keys[query]) || shelves::covers(&record, &keys[query]));
            if !right {
                continue;
            }
            let shelves = self.shelves();
            if shelves.is_open_to(asker, at, &record, today) {
                let record = shelves.with_state(at, record);
                found[query].push(Found::of(&batch, at, record, None));
            }
        }
        Ok(found)
    }

    /// Takes in entries, and stores what is due.
    async fn take_in(&self, mut feeds: &[u64]) -> Result<(), DatabasesError> {
        while let Some(first) = feeds.first().copied() {
            // What lies side by side is read at once.
            let side_by_side = (first..).zip(feeds).take(READ_RECORDS).take_while(|(at, feed)| at == *feed);
            let records = self.ledger.read(Position(first), side_by_side.count(), READ_BYTES).await?;
            let records = Arc::new(records);
            loop {
                let (shelves, batches, records) =
                    (self.shelves.clone(), self.batches.clone(), records.clone());
                let job = move || taking::take_in(&shelves, &batches, &records);
                let taken = outcome(&*self.blocking, job).await.ok_or(DatabasesError::GivenUp)?;
                let Some(missing) = taken? else { break };
                self.batch(missing).await?;
            }
            let position = self.position();
            self.taken_in.send_replace(position);
            feeds = &feeds[feeds.partition_point(|feed| *feed <= position)..];
            self.merge_persons().await?;
            self.store.store(&self.shelves, Extent::Due).await?;
        }
        Ok(())
    }

    /// Stores all of it, so that the next start reads nothing again.
    ///
    /// # Errors
    /// [`DatabasesError`]: the next start reads more of the log.
    pub(crate) async fn store_all(&self) -> Result<(), DatabasesError> {
        self.store.store(&self.shelves, Extent::All).await
    }

    /// The batch that lies there, from memory or from the log.
    async fn batch(&self, position: u64) -> Result<Arc<Batch>, DatabasesError> {
        if let Some(batch) = self.batches.find(position) {
            return Ok(batch);
        }
        let records = self.ledger.read(Position(position), 1, usize::MAX).await?;
        let record = records.first().filter(|record| record.position.0 == position);
        let read = record.map(Taken::of).transpose();
        let taken = read.map_err(|refusal| DatabasesError::Entry { position, refusal })?;
        let missing = || DatabasesError::Entry {
            position,
            refusal: Refusal::of(i247_model::Reason::Malformed, "entry"),
        };
        let batch = taken.and_then(|taken| taken.batch).ok_or_else(missing)?;
        self.batches.keep(position, batch.clone());
        Ok(batch)
    }

    /// The record that lies there; none when it was erased.
    fn record(
        &self,
        batch: &Batch,
        at: Locator,
        database: Database,
    ) -> Result<Option<Record>, DatabasesError> {
        let owner = self.shelves().owner(at);
        let read = batch.record(at.item(), database, owner);
        read.map_err(|refusal| DatabasesError::Entry { position: at.position().0, refusal })
    }

    fn shelves(&self) -> RwLockReadGuard<'_, Shelves> {
        self.shelves.read()
    }
}

/// Goes with the log until `stop`, woken only by entries from which records follow.
pub(crate) async fn follow(core: Arc<Core>, stop: CancellationToken) {
    let (databases, mut fed) = (&core.databases, core.fed.clone());
    loop {
        // A step that comes from here on is remembered.
        fed.borrow_and_update();
        if let Err(error) = catch_up(&core).await {
            if matches!(error, DatabasesError::GivenUp | DatabasesError::Read(ReadError::Cancelled)) {
                return;
            }
            databases.stuck.send_replace(true);
            tracing::error!(
                error = &error as &dyn std::error::Error,
                position = databases.position(),
                "the databases do not follow the log; they answer as of this position"
            );
            // Dropping the wait loses nothing.
            tokio::select! {
                () = i247_node::sleep_on(&*core.clock, TRY_AGAIN) => continue,
                () = stop.cancelled() => return,
            }
        }
        databases.stuck.send_if_modified(std::mem::take);
        tokio::select! {
            changed = fed.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

/// Takes in everything that the views have.
async fn catch_up(core: &Arc<Core>) -> Result<(), DatabasesError> {
    let (views, position) = (core.views.clone(), core.databases.position());
    let find = move || views.read().unwrap_or_else(PoisonError::into_inner).history.feeds_behind(position);
    let feeds = outcome(&*core.blocking, find).await.ok_or(DatabasesError::GivenUp)??;
    core.databases.take_in(&feeds).await
}

/// Stores the databases of a hub that stops, or says why not.
pub(crate) async fn store(core: &Core) {
    if let Err(error) = core.databases.store_all().await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the databases were not stored; the next start reads more of the log"
        );
    }
}
