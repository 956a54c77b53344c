//! Loads: files of records that officers hand in, and how far each has come. A view of the journal; it decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use i247_model::{Hash, MessageId, Reason, Refusal, Timestamp};
use i247_wire::pb;
use serde::{Deserialize, Serialize};

/// One file on its way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Number of the database.
    pub(crate) database: i32,
    pub(crate) begun_at: Timestamp,
    /// Up to this line everything is durable here.
    pub(crate) line: u64,
    /// How many changes that is.
    pub(crate) records: u64,
    /// The messages that carry them, in the order of the file, with how many changes each has.
    pub(crate) batches: Vec<(MessageId, u32)>,
}

/// All loads of this bureau, by name.
#[derive(Default, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Loads(BTreeMap<Hash, Load>);

/// The part of a load that one batch carries, as its entry says.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: Hash,
    pub(crate) database: i32,
    /// The line before its first one.
    pub(crate) after: u64,
    pub(crate) lines: Vec<u64>,
}

impl Part {
    /// Reads it.
    ///
    /// # Errors
    /// `MALFORMED` when something else has written it.
    pub(crate) fn of(wire: &pb::JournalLoad) -> Result<Self, Refusal> {
        let name = i247_wire::hash(&wire.name, "load.name")?;
        let mut lines = Vec::with_capacity(wire.steps.len());
        let mut line = wire.after;
        for step in &wire.steps {
            line = line.saturating_add(u64::from(*step));
            lines.push(line);
        }
        Ok(Self { name, database: wire.database, after: wire.after, lines })
    }

    /// The line of its last change.
    pub(crate) fn last(&self) -> u64 {
        self.lines.last().copied().unwrap_or(self.after)
    }
}

impl Loads {
    /// The load of this name.
    pub(crate) fn get(&self, name: &Hash) -> Option<&Load> {
        self.0.get(name)
    }

    /// The load that was begun last.
    pub(crate) fn newest(&self) -> Option<Hash> {
        self.0.iter().max_by_key(|(_, load)| load.begun_at).map(|(name, _)| *name)
    }

    /// Up to which line a load is durable; 0 for one that has not begun.
    pub(crate) fn line(&self, name: &Hash) -> u64 {
        self.0.get(name).map_or(0, |load| load.line)
    }

    /// A batch of a load was taken into the outbox.
    pub(crate) fn taken(&mut self, part: &Part, id: &MessageId, at: Timestamp) {
        let load = self.0.entry(part.name).or_insert_with(|| Load {
            database: part.database,
            begun_at: at,
            line: 0,
            records: 0,
            batches: Vec::new(),
        });
        load.line = part.last();
        load.records += part.lines.len() as u64;
        load.batches.push((id.clone(), u32::try_from(part.lines.len()).unwrap_or(u32::MAX)));
    }

    /// These messages are given up: a load with one of them begins anew. What the hub has of it already it tells from
    /// what is new.
    pub(crate) fn given_up(&mut self, ids: &BTreeSet<MessageId>) {
        self.0.retain(|_, load| !load.batches.iter().any(|(id, _)| ids.contains(id)));
    }
}

/// The refusal of a part that does not follow what is durable: two load the same file at the same time.
pub(crate) fn out_of_order() -> Refusal {
    let mut refusal = Refusal::of(Reason::OutOfOrder, "load");
    refusal.next_step =
        "somebody else loads the same file: wait until that has ended, then run it again".into();
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(after: u64, steps: &[u32]) -> Part {
        let name = vec![7; 32].into();
        Part::of(&pb::JournalLoad { name, database: 7, after, steps: steps.to_vec() }).unwrap()
    }

    #[test]
    fn a_load_is_as_far_as_its_last_batch() {
        let name = Hash([7; 32]);
        let mut loads = Loads::default();
        assert_eq!(loads.line(&name), 0);
        let at = Timestamp::from_millis(5);
        loads.taken(&part(0, &[2, 1, 1]), &"FR-1-B-1".parse().unwrap(), at);
        loads.taken(&part(4, &[3]), &"FR-1-B-2".parse().unwrap(), at);
        let load = loads.get(&name).unwrap();
        assert_eq!((load.line, load.records, load.batches.len()), (7, 4, 2));
        assert_eq!(part(4, &[3, 1]).lines, [7, 8]);
        assert_eq!(loads.newest(), Some(name));
    }

    #[test]
    fn a_load_that_lost_a_batch_begins_anew() {
        let mut loads = Loads::default();
        loads.taken(&part(0, &[2]), &"FR-1-B-1".parse().unwrap(), Timestamp::default());
        loads.given_up(&["FR-1-B-2".parse().unwrap()].into());
        assert_eq!(loads.line(&Hash([7; 32])), 2);
        loads.given_up(&["FR-1-B-1".parse().unwrap()].into());
        assert_eq!(loads.line(&Hash([7; 32])), 0);
    }

    #[test]
    fn a_load_without_a_name_is_refused() {
        assert!(Part::of(&pb::JournalLoad::default()).is_err());
    }
}
