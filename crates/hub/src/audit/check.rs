//! Holds the journal of searches against the log: each entry names the one before, and those that the log was told of
//! are what it was told. It decides nothing; opening the two does what a start does, and locks them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use i247_ledger::disk::Disk;
use i247_ledger::{Blocking, Ledger, Options, Position, Record, Segments};
use i247_model::{CountryCode, Hash, Identity};
use i247_trust::Anchor;
use i247_wire::pb;
use prost::Message as _;

use super::signed_for::SignedFor;
use super::{AuditError, DIR, root_of};
use crate::grants;

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
    /// Frames that were asked of offline copies and handed in later.
    pub offline: u64,
    /// Frames for which the post that asked has signed.
    pub signed_for: u64,
    /// Roll-ups of which the signature was not verified: a log of an older program names no authority.
    pub unverified: u64,
    /// What was asked on line and of offline copies, by country and purpose.
    pub asked: BTreeMap<(CountryCode, pb::Purpose), Asked>,
    /// What is wrong, in the order of the journal.
    pub broken: Vec<String>,
}

/// How much somebody asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Frames that the hub has answered, and keys in them.
    pub on_line: (u64, u64),
    /// Frames that were asked of offline copies, and keys in them.
    pub offline: (u64, u64),
}

impl Searches {
    fn count(&mut self, record: &pb::AuditRecord) {
        self.frames += 1;
        self.keys += u64::from(record.keys);
        self.matches += u64::from(record.matches);
        let asker: Option<Identity> = record.asker.parse().ok();
        let Some(country) = asker.as_ref().and_then(grants::country) else { return };
        let asked = self.asked.entry((country, record.purpose())).or_default();
        let (frames, keys) = if record.offline.is_some() { &mut asked.offline } else { &mut asked.on_line };
        *frames += 1;
        *keys += u64::from(record.keys);
    }
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
    let (mut roots, mut anchors): (BTreeMap<u64, Hash>, Vec<Anchor>) = (BTreeMap::new(), Vec::new());
    each(&log, |record| match pb::Entry::decode(record.entry.clone()).ok().and_then(|entry| entry.input) {
        // A log that was taken up again may lie beside a journal that was restored as well.
        Some(pb::entry::Input::Genesis(genesis)) => {
            roots.clear();
            anchors.extend(Anchor::new(&genesis.authority));
        }
        Some(pb::entry::Input::SearchRoot(root)) => {
            roots.extend(Hash::from_slice(&root.root).map(|hash| (root.position, hash)));
        }
        _ => {}
    })
    .await?;
    let (journal, _) = Segments::open(disk, data.join(DIR), options())?;
    let mut found = Searches { entries: journal.end().0, ..Searches::default() };
    let mut previous: Option<Hash> = None;
    let mut signed_for = SignedFor::new(anchors);
    let mut lists: BTreeMap<(String, Bytes), u64> = BTreeMap::new();
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
        for record in &group.records {
            found.count(record);
            signed_for.search(record);
            let Some(offline) = &record.offline else { continue };
            found.offline += 1;
            let last = lists.entry((record.asker.clone(), offline.list.clone())).or_default();
            if offline.number != *last + 1 {
                let number = offline.number;
                found.broken.push(format!(
                    "entry {position} has search {number} of an offline list of {}, behind {last}",
                    record.asker
                ));
            }
            *last = offline.number;
        }
        let wrong = group.roll_ups.iter().filter_map(|roll_up| signed_for.roll_up(roll_up));
        found.broken.extend(wrong.map(|wrong| format!("entry {position}: {wrong}")));
    })
    .await?;
    if let Some((last, _)) = roots.last_key_value().filter(|(last, _)| **last > found.entries) {
        found.broken.push(format!("the log was told of {last} entries, and there are {}", found.entries));
    }
    (found.signed_for, found.unverified) = (signed_for.frames, signed_for.unverified);
    found.broken.extend(signed_for.missing());
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
