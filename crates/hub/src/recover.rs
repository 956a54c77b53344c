//! Opening a hub's data: the log, the newest snapshot, the entries after it. And the log's first entry.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use i247_ledger::disk::Disk;
use i247_ledger::snapshot::{Snapshot, SnapshotError, Snapshots};
use i247_ledger::{
    AppendError, Blocking, Draft, Ledger, OpenError, Opened, Options, Position, ReadError, Segments,
};
use i247_model::Timestamp;
use i247_node::Dice;
use i247_trust::{Credentials, Root};
use i247_wire::pb;
use prost::Message as _;

use crate::views::{EntryError, SNAPSHOT_VERSION, Views};

/// Entries that are read at once.
const READ_RECORDS: usize = 1024;

/// Bytes that are read at once.
const READ_BYTES: usize = 8 * 1024 * 1024;

/// Why the data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The log cannot be opened.
    #[error("the log cannot be opened")]
    Open(#[from] OpenError),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    /// An entry cannot be understood.
    #[error("the log holds what this program cannot understand")]
    Entry(#[from] EntryError),
    /// The first entry cannot be written.
    #[error("the log cannot be begun")]
    Begin(#[from] AppendError),
    /// The snapshots cannot be read.
    #[error("the snapshots cannot be read")]
    Snapshot(#[from] SnapshotError),
}

/// The log, its snapshots and its views.
pub(crate) struct Recovered {
    pub(crate) ledger: Arc<Segments>,
    pub(crate) snapshots: Snapshots,
    pub(crate) views: Views,
}

/// Opens the data directory and brings the views up to the end of the log.
pub(crate) async fn recover(
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    dir: &Path,
    options: Options,
    root: &Root,
) -> Result<Recovered, RecoverError> {
    let (ledger, opened) = Segments::open(disk.clone(), dir, options)?;
    report(&opened);
    let snapshots = Snapshots::new(disk, dir, blocking);
    let mut views = newest(&snapshots, ledger.end(), root).await?;
    replay(&ledger, &mut views).await?;
    Ok(Recovered { ledger: Arc::new(ledger), snapshots, views })
}

/// Applies every entry behind the views' position.
///
/// # Errors
/// When the log cannot be read or understood.
pub(crate) async fn replay(ledger: &dyn Ledger, views: &mut Views) -> Result<(), RecoverError> {
    while views.position < ledger.end().0 {
        for record in ledger.read(Position(views.position).next(), READ_RECORDS, READ_BYTES).await? {
            let taken = views.read(&record)?;
            views.apply(&taken);
        }
    }
    Ok(())
}

/// Begins an empty log with its name.
pub(crate) async fn begin(
    ledger: &dyn Ledger,
    views: &mut Views,
    dice: &dyn Dice,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<(), RecoverError> {
    let mut log_id = [0; 16];
    dice.fill(&mut log_id);
    let genesis = pb::Genesis {
        log_id: Bytes::copy_from_slice(&log_id),
        authority: credentials.signing_chain.last().cloned().unwrap_or_default(),
        previous_log_id: Bytes::new(),
        previous_end: 0,
    };
    let decision = i247_router::Decision::Noted;
    let entry = pb::Entry {
        at_ms: now.as_millis(),
        input: Some(pb::entry::Input::Genesis(genesis)),
        decision: crate::entry::encode_decision(&decision),
        made: Vec::new(),
    };
    ledger.append(Position::START, vec![Draft { entry: entry.encode_to_vec().into(), body: None }]).await?;
    replay(ledger, views).await
}

/// The views as a snapshot.
pub(crate) fn snapshot(views: &Views) -> Option<Snapshot> {
    let state = match views.to_snapshot() {
        Ok(state) => state.into(),
        Err(error) => {
            tracing::error!(%error, "cannot take a snapshot");
            return None;
        }
    };
    Some(Snapshot { position: Position(views.position), version: SNAPSHOT_VERSION, state })
}

async fn newest(snapshots: &Snapshots, end: Position, root: &Root) -> Result<Views, RecoverError> {
    let found = snapshots.load(end).await?.snapshot.filter(|found| found.version == SNAPSHOT_VERSION);
    let views = found.and_then(|found| Views::from_snapshot(&found.state, root.clone()));
    Ok(views.unwrap_or_else(|| Views::new(root.clone())))
}

fn report(opened: &Opened) {
    if let Some(dropped) = &opened.dropped {
        tracing::warn!(?dropped, "a torn group was dropped; it was never acknowledged");
    }
    for damage in &opened.damage {
        tracing::error!(%damage, "the log is damaged; the rest is served");
    }
    tracing::info!(end = %opened.end, clean_stop = opened.clean_stop, is_new = opened.is_new, "log opened");
}
