//! What goes to disk beside the log: a run of what history gained, then the snapshot of all that is open. It must not
//! be the only place of anything, nor keep the sequencer waiting for a disk.
//!
//! A snapshot needs the runs up to its position, so the run is durable first. A start that finds a run missing or
//! damaged throws all of it away and reads the log from its first entry.

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use i247_ledger::disk::Disk;
use i247_ledger::runs::{self, Run, RunError, RunStore};
use i247_ledger::snapshot::{Snapshot, SnapshotError, Snapshots};
use i247_ledger::{Blocking, Position, outcome};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::core::Core;
use crate::history::{Frozen, HistoryError};
use crate::views::{Kept, SNAPSHOT_VERSION, Views};

/// For each open message so many more entries come between two snapshots. Entries are read again at a start, at some
/// hundred thousand a second.
const ENTRIES_FOR_ONE_OPEN: u64 = 4;

/// How much may gather before it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Entries since the newest snapshot.
    pub(crate) entries: u64,
    /// Rows of history in memory.
    pub(crate) rows: usize,
}

impl Limits {
    pub(crate) fn of(config: &Config) -> Self {
        Self { entries: config.snapshot_entries, rows: config.history_rows }
    }
}

/// The snapshots and runs of a hub.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Beside the log.
    snapshots: Snapshots,
    /// In a directory below it.
    runs: RunStore,
    limits: Limits,
    kept: Mutex<Stored>,
    /// Rings when there may be runs to merge.
    bell: Notify,
}

/// The positions of the snapshots that are there.
#[derive(Clone, Copy, Debug, Default)]
struct Stored {
    newest: u64,
    older: u64,
}

/// Why nothing was stored. The log is not touched by it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The run of history was not written.
    #[error("history cannot be written")]
    History(#[from] HistoryError),
    /// The snapshot was not written.
    #[error("the snapshot cannot be written")]
    Snapshot(#[from] SnapshotError),
    /// The views cannot be encoded.
    #[error("the snapshot cannot be encoded")]
    Encode(#[from] postcard::Error),
}

impl From<RunError> for StoreError {
    fn from(error: RunError) -> Self {
        Self::History(error.into())
    }
}

impl StoreError {
    /// Whether something that was stored before is of no use.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::History(error) => error.damage().is_some(),
            Self::Snapshot(_) | Self::Encode(_) => false,
        }
    }
}

impl Archive {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path, blocking: Arc<dyn Blocking>, limits: Limits) -> Self {
        Self {
            snapshots: Snapshots::new(disk.clone(), dir, blocking),
            runs: RunStore::new(disk, dir.join(runs::DIR)),
            limits,
            kept: Mutex::default(),
            bell: Notify::new(),
        }
    }

    /// The views of the newest good snapshot up to `end`, with the runs that it needs; new ones without.
    ///
    /// # Errors
    /// When the snapshots or the runs cannot be used: see [`throw_away`](Self::throw_away).
    pub(crate) async fn newest(&self, end: Position, root: &i247_trust::Root) -> Result<Views, StoreError> {
        let found = self.snapshots.load(end).await?.snapshot;
        let found = found.filter(|found| found.version == SNAPSHOT_VERSION);
        let kept = found.and_then(|found| Kept::decode(&found.state));
        let position = kept.as_ref().map_or(0, |kept| kept.position);
        let runs = self.runs.open(Position(position))?;
        self.note(position);
        let Some(kept) = kept else { return Ok(Views::new(root.clone())) };
        match Views::of(kept, root.clone(), runs) {
            Some(views) => Ok(views),
            // Another authority's: nothing of it is of use.
            None => Ok(self.begin_anew(root)?),
        }
    }

    fn begin_anew(&self, root: &i247_trust::Root) -> Result<Views, RunError> {
        self.runs.clear()?;
        Ok(Views::new(root.clone()))
    }

    /// Throws all snapshots and runs away, and returns how many snapshots there were.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn throw_away(&self) -> io::Result<u64> {
        let removed = self.snapshots.clear()?;
        self.runs.clear().map_err(|error| match error {
            RunError::Io { source, .. } => source,
            error => io::Error::other(error),
        })?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Stored::default();
        Ok(removed)
    }

    /// Throws the runs away, so that the next start makes them anew. Those that are open can still be read.
    pub(crate) fn condemn(&self) {
        match self.runs.clear() {
            Ok(_) => tracing::error!("the next start makes history anew from the log"),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "history is of no use and cannot be removed: stopped, `i247 ledger rebuild DATA --credentials KEYS` \
                 makes it anew"
            ),
        }
    }

    /// Whether so much has gathered that it should be stored. Each snapshot encodes all that is open, and the sequencer
    /// waits for it: the more is open, the rarer they are.
    pub(crate) fn is_due(&self, views: &Views) -> bool {
        let newest = self.kept.lock().unwrap_or_else(PoisonError::into_inner).newest;
        let open = (views.state.open_count() as u64).saturating_mul(ENTRIES_FOR_ONE_OPEN);
        let gathered = self.limits.entries.max(1).saturating_add(open);
        views.position >= newest.saturating_add(gathered) || views.history.held() >= self.limits.rows
    }

    /// Stores views that nobody else has yet.
    ///
    /// # Errors
    /// [`StoreError`]; the views are as they were.
    pub(crate) async fn store_own(&self, views: &mut Views) -> Result<(), StoreError> {
        if let Some(frozen) = views.history.freeze(views.position) {
            match self.write(&frozen) {
                Ok(run) => views.history.written(run),
                Err(error) => {
                    views.history.thaw();
                    return Err(error.into());
                }
            }
            self.store_snapshot(snapshot(views)?).await?;
            while let Some(due) = views.history.runs().due(self.mergeable()) {
                let Some(merged) = self.runs.merge(&due, || true)? else { break };
                views.history.merged(merged);
                self.runs.remove(&due)?;
            }
        }
        Ok(())
    }

    /// Stores views that are in use. The sequencer waits only while what is open is encoded, and what has gathered of
    /// history is set apart.
    ///
    /// # Errors
    /// [`StoreError`]; what was not stored is stored by the next.
    pub(crate) async fn store(self: &Arc<Self>, core: &Core) -> Result<(), StoreError> {
        let (archive, views) = (self.clone(), core.views.clone());
        let written = outcome(&*core.blocking, move || archive.write_shared(&views)).await;
        if let Some(snapshot) = written.unwrap_or(Err(HistoryError::GivenUp.into()))? {
            self.store_snapshot(snapshot).await?;
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Writes the run; what is open comes back as a snapshot. None when nothing may be stored: another is at it, or a fault has left
    /// the views half changed.
    fn write_shared(&self, views: &RwLock<Views>) -> Result<Option<Snapshot>, StoreError> {
        let (frozen, snapshot) = {
            let Ok(mut views) = views.write() else { return Ok(None) };
            let position = views.position;
            let Some(frozen) = views.history.freeze(position) else { return Ok(None) };
            // The sequencer waits for it; whoever reads does not.
            (frozen, snapshot(&RwLockWriteGuard::downgrade(views)))
        };
        let written = snapshot.and_then(|snapshot| Ok((self.write(&frozen)?, snapshot)));
        // So that memory lets go of what is on disk.
        drop(frozen);
        let mut views = views.write().unwrap_or_else(PoisonError::into_inner);
        match written {
            Ok((run, snapshot)) => {
                views.history.written(run);
                Ok(Some(snapshot))
            }
            Err(error) => {
                views.history.thaw();
                Err(error)
            }
        }
    }

    /// None when there is nothing to write: history changes only by entries.
    fn write(&self, frozen: &Frozen) -> Result<Option<Run>, HistoryError> {
        if frozen.from == frozen.to {
            return Ok(None);
        }
        let mut writer = self.runs.begin(frozen.from, frozen.to)?;
        frozen.rows.each(|key, value| writer.push(key, value).map_err(HistoryError::from))?;
        Ok(Some(writer.finish()?))
    }

    async fn store_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let position = snapshot.position.0;
        self.snapshots.store(snapshot).await?;
        self.note(position);
        Ok(())
    }

    fn note(&self, position: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if position > kept.newest {
            *kept = Stored { newest: position, older: kept.newest };
        }
    }

    /// Up to where runs may be merged: a start may have to go back to the older snapshot, and then gives up the runs
    /// beyond it.
    fn mergeable(&self) -> Position {
        Position(self.kept.lock().unwrap_or_else(PoisonError::into_inner).older)
    }
}

fn snapshot(views: &Views) -> Result<Snapshot, StoreError> {
    let state = views.to_snapshot()?.into();
    Ok(Snapshot { position: Position(views.position), version: SNAPSHOT_VERSION, state })
}

/// Stores what has gathered, whenever it is much.
pub(crate) async fn keep_stored(core: Arc<Core>, archive: Arc<Archive>, stop: CancellationToken) {
    const LOOK: Duration = Duration::from_secs(1);
    /// After a failure; what is held in memory must be put together again then.
    const TRY_AGAIN: Duration = Duration::from_secs(30);
    let mut wait = LOOK;
    loop {
        // Dropping the wait loses nothing.
        tokio::select! {
            () = i247_node::sleep_on(&*core.clock, wait) => {}
            () = stop.cancelled() => return,
        }
        wait = LOOK;
        if archive.is_due(&core.views()) && !store(&core, &archive).await {
            wait = TRY_AGAIN;
        }
    }
}

/// Stores the views, or says why not.
pub(crate) async fn store(core: &Core, archive: &Arc<Archive>) -> bool {
    let stored = archive.store(core).await;
    if let Err(error) = &stored {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "no snapshot was stored; the next start reads more of the log"
        );
    }
    stored.is_ok()
}

/// Merges runs in the background, so that there are few. It goes on while others are written.
pub(crate) async fn keep_merged(core: Arc<Core>, archive: Arc<Archive>, stop: CancellationToken) {
    loop {
        // A bell that rang meanwhile is remembered.
        tokio::select! {
            () = archive.bell.notified() => {}
            () = stop.cancelled() => return,
        }
        while let Some(due) = due(&core, &archive) {
            let (archive_too, views, asked) = (archive.clone(), core.views.clone(), stop.clone());
            let merging = move || merge(&archive_too, &views, &due, || !asked.is_cancelled());
            match outcome(&*core.blocking, merging).await.unwrap_or(Err(HistoryError::GivenUp)) {
                Ok(true) => {}
                Ok(false) | Err(HistoryError::GivenUp) => return,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "runs of history were not merged"
                    );
                    if error.damage().is_some() {
                        return archive.condemn();
                    }
                    break;
                }
            }
        }
    }
}

fn due(core: &Core, archive: &Archive) -> Option<Vec<Run>> {
    core.views().history.runs().due(archive.mergeable())
}

/// `false` when it was given up.
fn merge(
    archive: &Archive,
    views: &RwLock<Views>,
    due: &[Run],
    wanted: impl Fn() -> bool,
) -> Result<bool, HistoryError> {
    let Some(merged) = archive.runs.merge(due, wanted)? else { return Ok(false) };
    views.write().unwrap_or_else(PoisonError::into_inner).history.merged(merged);
    archive.runs.remove(due)?;
    Ok(true)
}
