//! What of the databases lies on disk beside the log: the runs of the index, and a snapshot of the shelves over them. It
//! must not be the only place of anything, nor reach beyond the log, nor hold what a record says.
//!
//! ```text
//!   log      ───────────────────────────────────────►
//!   runs     (0, 40]  (40, 70]  │ (70, 75]  (75, 80]     those behind the snapshot are made anew at a start
//!   snapshot                    70
//! ```
//!
//! The runs up to a snapshot are durable before it is. A start goes on from there, when the entry at that position is the
//! one that the snapshot knows; whatever is damaged, missing or of another log is thrown away and made anew.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use i247_ledger::disk::Disk;
use i247_ledger::snapshot::{Snapshot, Snapshots};
use i247_ledger::{Blocking, Ledger, Position, outcome};
use i247_records::index::{Index, IndexError, Sealed};
use parking_lot::{RwLock, RwLockWriteGuard};

use super::DatabasesError;
use super::kept::Kept;
use super::shelves::Shelves;

/// The version of [`Kept`]; snapshots of other versions are passed over.
const VERSION: u32 = 3;

/// So many changes gather in memory before they become a run.
const SEAL_CHANGES: usize = 64 * 1024;

/// A snapshot is due when at least so many changes came since the last one, and one for this many records that there
/// are: what is written over the years is a few times what there is.
const SNAPSHOT_CHANGES: u64 = SEAL_CHANGES as u64;
const RECORDS_A_CHANGE: u64 = 16;

/// Where the databases are stored.
pub(super) struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    blocking: Arc<dyn Blocking>,
    snapshots: Snapshots,
    /// The position of the newest snapshot.
    stored: AtomicU64,
    /// Runs that are searched already and could not be written yet, the oldest first.
    unwritten: Mutex<Vec<Sealed>>,
    /// One at a time.
    storing: tokio::sync::Mutex<()>,
}

/// How much is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// What is due.
    Due,
    /// All that there is.
    All,
}

impl Store {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: &Path, blocking: Arc<dyn Blocking>) -> Self {
        Self {
            snapshots: Snapshots::new(disk.clone(), dir, blocking.clone()),
            disk,
            dir: dir.to_owned(),
            blocking,
            stored: AtomicU64::new(0),
            unwritten: Mutex::default(),
            storing: tokio::sync::Mutex::default(),
        }
    }

    /// The shelves of the newest good snapshot that is of this log; empty ones without, and then all that lies here is
    /// removed.
    ///
    /// # Errors
    /// When the disk or the log cannot be read.
    pub(super) async fn open(&self, ledger: &dyn Ledger) -> Result<Shelves, DatabasesError> {
        self.disk
            .create_dir(&self.dir)
            .map_err(|source| IndexError::Io { path: self.dir.clone(), source })?;
        if let Some(shelves) = self.newest(ledger).await? {
            tracing::info!(position = shelves.position(), "databases opened");
            self.stored.store(shelves.position(), Ordering::Release);
            return Ok(shelves);
        }
        self.throw_away()?;
        Ok(Shelves::new(Index::open(self.disk.clone(), &self.dir)?))
    }

    /// Removes everything that is stored.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn throw_away(&self) -> Result<(), DatabasesError> {
        Index::clear(&*self.disk, &self.dir)?;
        match self.snapshots.clear() {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(IndexError::Io { path: self.dir.clone(), source: error }.into())
            }
            _ => Ok(()),
        }
    }

    async fn newest(&self, ledger: &dyn Ledger) -> Result<Option<Shelves>, DatabasesError> {
        let found = self.snapshots.load(ledger.end()).await?.snapshot;
        let Some(found) = found.filter(|found| found.version == VERSION) else { return Ok(None) };
        let of_no_use = |why| {
            tracing::warn!(position = found.position.0, why, "the databases are made anew from the log");
            Ok(None)
        };
        let Some(kept) = Kept::decode(&found.state) else { return of_no_use("the snapshot is of no use") };
        let records = ledger.read(found.position, 1, usize::MAX).await?;
        let entry = records.first().map(|record| i247_trust::sha256(&[&record.entry]));
        if entry != Some(kept.entry()) {
            return of_no_use("they are of another log");
        }
        let (disk, dir, end) = (self.disk.clone(), self.dir.clone(), found.position);
        let open = move || Index::open_to(disk, dir, end);
        match outcome(&*self.blocking, open).await.ok_or(DatabasesError::GivenUp)? {
            Ok(index) if index.through() == end => match Shelves::of(kept, index) {
                Some(shelves) => Ok(Some(shelves)),
                None => of_no_use("the snapshot is of no use"),
            },
            Ok(_) => of_no_use("a run of the index is missing"),
            Err(error @ (IndexError::Io { .. } | IndexError::Full(_))) => Err(error.into()),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the index is of no use");
                of_no_use("the index is damaged")
            }
        }
    }

    /// Stores the shelves as far as that is due, or all of them. Searches go on; nothing else may change the shelves
    /// meanwhile.
    ///
    /// # Errors
    /// What could not be written is written the next time.
    ///
    /// # Cancel safety
    /// Dropped half way, what was begun goes on, and the next time stores the rest.
    pub(super) async fn store(
        self: &Arc<Self>,
        shelves: &Arc<RwLock<Shelves>>,
        extent: Extent,
    ) -> Result<(), DatabasesError> {
        let _alone = self.storing.lock().await;
        let (store, shelves) = (self.clone(), shelves.clone());
        let job = move || store.write(&shelves, extent);
        let written = outcome(&*self.blocking, job).await.ok_or(DatabasesError::GivenUp)?;
        let Some(snapshot) = written? else { return Ok(()) };
        let position = snapshot.position.0;
        self.snapshots.store(snapshot).await?;
        self.stored.store(position, Ordering::Release);
        Ok(())
    }

    /// Writes the runs; the snapshot over them is left to be stored, if one is due.
    fn write(&self, shelves: &RwLock<Shelves>, extent: Extent) -> Result<Option<Snapshot>, DatabasesError> {
        let stored = self.stored.load(Ordering::Acquire);
        let (run_due, snapshot_due) = {
            let shelves = shelves.read();
            if shelves.is_half_way() {
                return Ok(None);
            }
            let all = extent == Extent::All && shelves.position() > stored;
            let enough = SNAPSHOT_CHANGES.max(shelves.records() / RECORDS_A_CHANGE);
            (shelves.unsealed() >= SEAL_CHANGES, all || shelves.unstored() >= enough)
        };
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        if run_due || snapshot_due {
            let unsealed = shelves.read().run_of_changes()?;
            unwritten.extend(unsealed.and_then(|unsealed| shelves.write().seal(unsealed)));
        }
        while let Some(oldest) = unwritten.first() {
            oldest.store()?;
            drop(unwritten.remove(0));
        }
        loop {
            let due = shelves.read().merge_due(Position(stored));
            let Some(merge) = due else { break };
            let merged = merge.carry_out()?;
            let replaced = shelves.write().adopt(merged);
            replaced.remove()?;
        }
        if !snapshot_due {
            return Ok(None);
        }
        let (position, state) = {
            let mut shelves = shelves.write();
            shelves.begin_store();
            let shelves = RwLockWriteGuard::downgrade(shelves);
            (Position(shelves.position()), shelves.to_snapshot()?)
        };
        Ok(Some(Snapshot { position, version: VERSION, state: state.into() }))
    }
}
