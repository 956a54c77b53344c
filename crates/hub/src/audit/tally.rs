//! What the journal of searches holds, post by post: of a hub that was stopped, whose journal is opened and locked as a
//! start does it, and of one that runs. It decides nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use i247_ledger::disk::Disk;
use i247_ledger::{Blocking, Ledger as _, Options, Segments};
use i247_model::{Identity, Refusal};
use i247_wire::pb;
use prost::Message as _;

use super::check::each;
use super::{Audit, AuditError, DIR, shut};

/// Entries of a journal that runs that are counted at once: what goes beyond is asked for again.
const ENTRIES_MAX: u64 = 4096;

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
    /// Frames in roll-ups that agreed with what the hub had counted.
    pub signed_for: u64,
}

/// Counts the journal in a hub's data directory by who asked.
///
/// # Errors
/// When it cannot be opened, as while the hub runs, or not be read.
pub async fn tally_searches(
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    data: &Path,
) -> Result<Tallies, AuditError> {
    let (journal, _) = Segments::open(disk, data.join(DIR), Options { blocking, ..Options::default() })?;
    let mut tallies = Tallies::new();
    each(&journal, |entry| {
        // What is no group was written by something else, and says nothing: `check_searches` names it.
        count(&mut tallies, &pb::AuditGroup::decode(entry.entry.clone()).unwrap_or_default());
    })
    .await?;
    Ok(tallies)
}

/// How much everybody asked.
pub(crate) type Tallies = BTreeMap<Identity, SearchTally>;

/// What was counted of a journal that runs.
pub(crate) struct Counted {
    /// Up to and with this entry.
    pub(crate) to: u64,
    /// Where the journal ends.
    pub(crate) end: u64,
    pub(crate) tallies: Tallies,
}

impl Audit {
    /// Counts what was asked behind an entry, once all that was noted before is written; so many entries at most.
    ///
    /// # Errors
    /// `READ_ONLY` when the journal cannot be read, or is not written any more.
    pub(crate) async fn tally_behind(&self, entry: u64) -> Result<Counted, Refusal> {
        let (noted, writes) = {
            let waiting = self.waiting();
            (waiting.noted, waiting.shut.is_none())
        };
        if writes {
            self.written(noted).await?;
        }
        let end = self.journal.end().0;
        let to = entry.saturating_add(ENTRIES_MAX).min(end);
        let mut tallies = Tallies::new();
        let counted = self.each_group(entry.saturating_add(1), to, |group| count(&mut tallies, group)).await;
        counted.map_err(|error| {
            tracing::error!(%error, "the journal of searches cannot be counted");
            shut("the journal of searches cannot be read: tell whoever runs the hub")
        })?;
        Ok(Counted { to, end, tallies })
    }
}

fn count(tallies: &mut Tallies, group: &pb::AuditGroup) {
    for record in &group.records {
        let Ok(asker) = record.asker.parse() else { continue };
        let tally = tallies.entry(asker).or_default();
        tally.frames += 1;
        tally.keys += u64::from(record.keys);
        tally.refused += u64::from(record.refused);
        tally.matches += u64::from(record.matches);
        tally.possible += u64::from(record.possible);
    }
    for roll_up in &group.roll_ups {
        let Ok(asker) = roll_up.asker.parse() else { continue };
        if roll_up.finding() == pb::RollUpFinding::Agrees {
            tallies.entry(asker).or_default().signed_for += u64::from(roll_up.counted);
        }
    }
}
