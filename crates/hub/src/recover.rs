//! Opening a hub's data: the log, the newest snapshot, the entries after it. And the log's first entry.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use i247_ledger::disk::Disk;
use i247_ledger::{
    AppendError, Blocking, Draft, Ledger, OpenError, Opened, Options, Position, ReadError, Record, Segments,
};
use i247_model::Timestamp;
use i247_node::Dice;
use i247_trust::{Credentials, Root};
use i247_wire::pb;
use prost::Message as _;

use crate::archive::{Archive, Limits, StoreError};
use crate::history::HistoryError;
use crate::views::{EntryError, Views};

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
    /// Snapshots and history cannot be read or written.
    #[error("what lies beside the log cannot be used")]
    Store(#[from] StoreError),
    /// What is of no use beside the log cannot be removed.
    #[error("what lies beside the log is of no use and cannot be removed")]
    ThrowAway(#[source] io::Error),
}

impl From<HistoryError> for RecoverError {
    fn from(error: HistoryError) -> Self {
        Self::Store(error.into())
    }
}

/// The log, what lies beside it, and its views.
pub(crate) struct Recovered {
    pub(crate) ledger: Arc<Segments>,
    pub(crate) archive: Arc<Archive>,
    pub(crate) views: Views,
    /// The entries from which records follow, in the order of the log.
    pub(crate) feeds: Vec<u64>,
}

/// Opens the data directory and brings the views up to the end of the log: from the newest snapshot and the runs that it
/// needs, or, when they are of no use, from the log's first entry.
pub(crate) async fn recover(
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    dir: &Path,
    options: Options,
    limits: Limits,
    root: &Root,
) -> Result<Recovered, RecoverError> {
    // Every entry is verified at every start, also what a snapshot covers: `Options::trusted_to` stays unset. A damaged entry
    // must stop the hub while bureaus still hold what stood in it. Found only when it is read, perhaps after years, nobody
    // could give it back any more, and no view could be made anew without it. Nor does a snapshot say which log it is of.
    let (ledger, opened) = Segments::open(disk.clone(), dir, options)?;
    report(&opened);
    let archive = Arc::new(Archive::new(disk, dir, blocking, limits));
    let (views, feeds) = match with_feeds(&ledger, &archive, root).await {
        Err(RecoverError::Store(error)) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "snapshots and history are of no use; they are made anew from the log"
            );
            archive.throw_away().map_err(RecoverError::ThrowAway)?;
            with_feeds(&ledger, &archive, root).await?
        }
        views => views?,
    };
    Ok(Recovered { ledger: Arc::new(ledger), archive, views, feeds })
}

/// The views at the end of the log, and what history says of records: the databases begin with it, so it is read while
/// history can still be made anew.
async fn with_feeds(
    ledger: &dyn Ledger,
    archive: &Archive,
    root: &Root,
) -> Result<(Views, Vec<u64>), RecoverError> {
    let views = catch_up(ledger, archive, root).await?;
    let feeds = views.history.feeds_behind(0)?;
    Ok((views, feeds))
}

/// The views at the end of the log.
///
/// # Errors
/// When the log cannot be read or understood, or when what lies beside it cannot be used.
pub(crate) async fn catch_up(
    ledger: &dyn Ledger,
    archive: &Archive,
    root: &Root,
) -> Result<Views, RecoverError> {
    let mut views = archive.newest(ledger.end(), root).await?;
    let (from, mut room) = (views.position, true);
    while views.position < ledger.end().0 {
        for record in ledger.read(Position(views.position).next(), READ_RECORDS, READ_BYTES).await? {
            take_in(&mut views, &record)?;
            // Memory is bounded on the way too, if there is room on the disk.
            if room && archive.is_due(&views) {
                room = store(archive, &mut views).await?;
            }
        }
    }
    tracing::info!(from, to = views.position, "entries read");
    Ok(views)
}

/// Whether it was stored. A hub whose disk is full starts all the same.
///
/// # Errors
/// When what lies there cannot be used.
async fn store(archive: &Archive, views: &mut Views) -> Result<bool, RecoverError> {
    match archive.store_own(views).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_damage() => Err(error.into()),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "no snapshot was stored on the way");
            Ok(false)
        }
    }
}

fn take_in(views: &mut Views, record: &Record) -> Result<(), RecoverError> {
    let taken = views.read(record)?;
    views.apply(&taken)?;
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
        authority: credentials.root.authority(),
        previous_log_id: Bytes::new(),
        previous_end: 0,
        certificates: credentials.signing_chain.clone(),
    };
    let decision = i247_router::Decision::Noted;
    let entry = pb::Entry {
        at_ms: now.as_millis(),
        input: Some(pb::entry::Input::Genesis(genesis)),
        decision: crate::entry::encode_decision(&decision),
        made: Vec::new(),
    };
    ledger.append(Position::START, vec![Draft { entry: entry.encode_to_vec().into(), body: None }]).await?;
    for record in ledger.read(Position(1), 1, usize::MAX).await? {
        take_in(views, &record)?;
    }
    Ok(())
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
