//! What the journal of searches holds, post by post. It decides nothing; opening the journal does what a start does, and
//! locks it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use i247_ledger::disk::Disk;
use i247_ledger::{Blocking, Options, Segments};
use i247_model::Identity;
use i247_wire::pb;
use prost::Message as _;

use super::check::each;
use super::{AuditError, DIR};

/// What somebody asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SearchTally {
    /// Frames.
    pub frames: u64,
    /// Keys in them.
    pub keys: u64,
    /// Keys that were none.
    pub refused: u64,
    /// Keys that had a match.
    pub matches: u64,
    /// Keys that had nothing better than something possible.
    pub possible: u64,
}

/// Counts the journal in a hub's data directory by who asked.
///
/// # Errors
/// When it cannot be opened, as while the hub runs, or not be read.
pub async fn tally_searches(
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    data: &Path,
) -> Result<BTreeMap<Identity, SearchTally>, AuditError> {
    let (journal, _) = Segments::open(disk, data.join(DIR), Options { blocking, ..Options::default() })?;
    let mut tallies: BTreeMap<Identity, SearchTally> = BTreeMap::new();
    each(&journal, |entry| {
        // What is no group was written by something else, and says nothing: `check_searches` names it.
        let group = pb::AuditGroup::decode(entry.entry.clone()).unwrap_or_default();
        for record in group.records {
            let Ok(asker) = record.asker.parse() else { continue };
            let tally = tallies.entry(asker).or_default();
            tally.frames += 1;
            tally.keys += u64::from(record.keys);
            tally.refused += u64::from(record.refused);
            tally.matches += u64::from(record.matches);
            tally.possible += u64::from(record.possible);
        }
    })
    .await?;
    Ok(tallies)
}
