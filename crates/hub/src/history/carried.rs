//! Which messages mailbox numbers carry, for whoever has lost them. It must not say what became of the messages.

use i247_ledger::runs::Runs;
use i247_model::{Lane, Party};
use i247_router::MessageRef;

use super::bucket::{self, Bucket};
use super::{History, HistoryError, keys};

/// A mailbox number and the message that it carries.
pub(crate) type Carried = (u64, MessageRef);

impl History {
    /// What the numbers from this one on carry, those of one bucket; none when memory cannot say.
    pub(crate) fn near_carried(&self, party: Party, lane: Lane, first: u64) -> Option<Vec<Carried>> {
        let key = (party, lane, bucket::of(first));
        self.near_rows().find_map(|rows| rows.buckets.get(&key)).map(|bucket| bucket.from(first))
    }
}

/// What runs know of the numbers from this one on, those of one bucket.
///
/// # Errors
/// When the disk cannot say.
pub(crate) fn carried_in(
    runs: &Runs,
    party: Party,
    lane: Lane,
    first: u64,
) -> Result<Vec<Carried>, HistoryError> {
    let found = runs.find(&keys::bucket((party, lane, bucket::of(first))))?;
    found.map_or_else(|| Ok(Vec::new()), |value| Ok(Bucket::decode(&value)?.from(first)))
}
