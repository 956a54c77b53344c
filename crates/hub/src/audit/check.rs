//! Holds the journal of searches against the log: each entry names the one before, and those that the log was told of
//! are what it was told. It decides nothing; opening the two does what a start does, and locks them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use i247_ledger::disk::Disk;
use i247_ledger::{Blocking, Ledger, Options, Position, Record, Segments};
use i247_model::Hash;
use i247_wire::pb;
use prost::Message as _;

use super::{AuditError, DIR, root_of};

/// Entries that are read at once.
const READ_RECORDS: usize = 256;

/// Bytes that are read at once.
const READ_BYTES: usize = 8 * 1024 * 1024;

/// What the journal of searches holds, and whether it is the one that the log vouches for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Searches {
    /// Entries of the journal.
    pub entries: u64,
    /// Up to which of them the log vouches.
    pub vouched: u64,
    /// Frames that were asked.
    pub frames: u64,
    /// Keys in them.
    pub keys: u64,
    /// Keys that had a match.
    pub matches: u64,
    /// What is wrong, in the order of the journal.
    pub broken: Vec<String>,
}

/// Checks the journal beside the log in a hub's data directory.
///
/// # Errors
/// When one of them cannot be opened, as while the hub runs, or not be read.
pub async fn check_searches(
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    data: &Path,
) -> Result<Searches, AuditError> {
    let options = || Options { blocking: blocking.clone(), ..Options::default() };
    let (log, _) = Segments::open(disk.clone(), data.join("log"), options())?;
    let mut roots: BTreeMap<u64, Hash> = BTreeMap::new();
    each(&log, |record| match pb::Entry::decode(record.entry.clone()).ok().and_then(|entry| entry.input) {
        // A log that was taken up again may lie beside a journal that was restored as well.
        Some(pb::entry::Input::Genesis(_)) => roots.clear(),
        Some(pb::entry::Input::SearchRoot(root)) => {
            roots.extend(Hash::from_slice(&root.root).map(|hash| (root.position, hash)));
        }
        _ => {}
    })
    .await?;
    let (journal, _) = Segments::open(disk, data.join(DIR), options())?;
    let mut found = Searches { entries: journal.end().0, ..Searches::default() };
    let mut previous: Option<Hash> = None;
    each(&journal, |record| {
        let position = record.position.0;
        let Ok(group) = pb::AuditGroup::decode(record.entry.clone()) else {
            found.broken.push(format!("entry {position} is no entry of a journal of searches"));
            return;
        };
        let named = previous.as_ref().map_or(&[][..], |hash| hash.as_bytes().as_slice());
        if group.previous != named {
            found.broken.push(format!("entry {position} does not name the one before it"));
        }
        let root = root_of(&record.entry);
        match roots.get(&position) {
            Some(known) if *known == root => found.vouched = position,
            Some(_) => found.broken.push(format!("entry {position} is not the one that the log was told of")),
            None => {}
        }
        previous = Some(root);
        found.frames += group.records.len() as u64;
        found.keys += group.records.iter().map(|record| u64::from(record.keys)).sum::<u64>();
        found.matches += group.records.iter().map(|record| u64::from(record.matches)).sum::<u64>();
    })
    .await?;
    if let Some((last, _)) = roots.last_key_value().filter(|(last, _)| **last > found.entries) {
        found.broken.push(format!("the log was told of {last} entries, and there are {}", found.entries));
    }
    Ok(found)
}

/// Every record of a log, in order.
pub(super) async fn each(log: &Segments, mut look: impl FnMut(&Record)) -> Result<(), AuditError> {
    let mut next = Position(1);
    while next <= log.end() {
        for record in log.read(next, READ_RECORDS, READ_BYTES).await? {
            look(&record);
            next = record.position.next();
        }
    }
    Ok(())
}
