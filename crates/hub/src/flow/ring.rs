//! The last hour second by second, so that it can be played again. Bounded: of each second the links that moved most
//! are kept, and how those stand who stand otherwise than before. A second in which nothing happened takes no room.

use std::collections::{BTreeMap, VecDeque};

use i247_model::{Party, Timestamp};
use i247_wire::pb;

use super::{Cell, Cells, LinkKey, Stand};

/// How long a second is kept.
const KEPT_MS: u64 = 3_600_000;

/// So many links of a second are kept.
pub(crate) const LINKS_KEPT: usize = 128;

/// One second.
#[derive(Clone, Debug)]
pub(crate) struct Second {
    pub(crate) begins_ms: u64,
    pub(crate) links: Box<[(LinkKey, Cell)]>,
    pub(crate) left_out: Cell,
    /// Who stands otherwise at its end than before.
    pub(crate) changed: Box<[(Party, Stand)]>,
    pub(crate) numbers: pb::FlowNumbers,
}

/// The last hour.
#[derive(Debug)]
pub(crate) struct Ring {
    /// How all stood before the oldest second.
    base: BTreeMap<Party, Stand>,
    /// How all stand after the newest.
    newest: BTreeMap<Party, Stand>,
    seconds: VecDeque<Second>,
    /// The second that runs.
    running: Option<(u64, Cells, pb::FlowNumbers)>,
    since: Timestamp,
}

impl Ring {
    pub(crate) fn new(now: Timestamp) -> Self {
        let (base, newest) = (BTreeMap::new(), BTreeMap::new());
        Self { base, newest, seconds: VecDeque::new(), running: None, since: now }
    }

    /// Adds what moved up to now, and how all stand.
    pub(crate) fn count(
        &mut self,
        now: Timestamp,
        cells: &Cells,
        stands: &BTreeMap<Party, Stand>,
        numbers: &pb::FlowNumbers,
    ) {
        let begins_ms = now.as_millis() - now.as_millis() % 1000;
        if self.running.as_ref().is_none_or(|(running, ..)| *running < begins_ms) {
            self.close(stands);
            self.running = Some((begins_ms, Cells::default(), *numbers));
        }
        if let Some((_, running, last)) = &mut self.running {
            running.add_all(cells, |_| true);
            *last = *numbers;
        }
        while self.seconds.front().is_some_and(|oldest| oldest.begins_ms + KEPT_MS < now.as_millis()) {
            let Some(oldest) = self.seconds.pop_front() else { break };
            self.since = Timestamp::from_millis(oldest.begins_ms + 1000);
            self.base.extend(oldest.changed);
        }
    }

    fn close(&mut self, stands: &BTreeMap<Party, Stand>) {
        let Some((begins_ms, cells, numbers)) = self.running.take() else { return };
        let otherwise = |(party, stand): &(&Party, &Stand)| self.newest.get(party) != Some(stand);
        let changed: Box<[(Party, Stand)]> =
            stands.iter().filter(otherwise).map(|(party, stand)| (*party, *stand)).collect();
        if cells.is_empty() && changed.is_empty() {
            return;
        }
        self.newest.extend(changed.iter().copied());
        let (links, left_out) = cells.largest(LINKS_KEPT);
        self.seconds.push_back(Second { begins_ms, links: links.into(), left_out, changed, numbers });
    }

    /// Since when it can be played again.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    /// How all stood at `from`, and the seconds from there until `until`, the oldest first, at most `max`.
    pub(crate) fn between(
        &self,
        from: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> (BTreeMap<Party, Stand>, Vec<Second>) {
        let begins = self.seconds.partition_point(|second| second.begins_ms < from.as_millis());
        let mut stands = self.base.clone();
        for second in self.seconds.range(..begins) {
            stands.extend(second.changed.iter().copied());
        }
        let within = self.seconds.range(begins..);
        let within = within.take_while(|second| second.begins_ms < until.as_millis());
        (stands, within.take(max).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use i247_model::{Kind, Lane};

    use super::*;
    use crate::flow::{Move, What};

    const START: u64 = 1_700_000_000_000;

    fn moved() -> Cells {
        let mut cells = Cells::default();
        cells.count(&Move {
            from: "FR".parse().unwrap(),
            to: Some("BR".parse().unwrap()),
            kind: Some(Kind::Request),
            lane: Some(Lane::Normal),
            what: What::Entered,
            after_ms: 0,
        });
        cells
    }

    fn stands(queued: u32) -> BTreeMap<Party, Stand> {
        let stand = Stand { queued: [0, 0, queued, 0], ..Stand::default() };
        BTreeMap::from([("BR".parse().unwrap(), stand)])
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(START + ms)
    }

    #[test]
    fn what_happened_is_played_again_and_what_did_not_takes_no_room() {
        let numbers = pb::FlowNumbers::default();
        let mut ring = Ring::new(at(0));
        for ms in (0..10_000).step_by(100) {
            let cells = if ms == 2_500 { moved() } else { Cells::default() };
            ring.count(at(ms), &cells, &stands(u32::from(ms >= 2_500)), &numbers);
        }
        let (before, seconds) = ring.between(at(0), at(10_000), 100);
        assert!(before.is_empty());
        let begins: Vec<u64> = seconds.iter().map(|second| second.begins_ms - START).collect();
        assert_eq!(begins, [0, 2_000]);
        assert_eq!((seconds[1].links.len(), seconds[1].links[0].1.accepted), (1, 1));
        assert_eq!(seconds[1].changed[0].1.queued, [0, 0, 1, 0]);
        let (before, seconds) = ring.between(at(5_000), at(10_000), 100);
        assert_eq!((before, seconds.len()), (stands(1), 0), "how all stood is known between the seconds too");
    }

    #[test]
    fn after_an_hour_only_how_all_stood_is_left() {
        let numbers = pb::FlowNumbers::default();
        let mut ring = Ring::new(at(0));
        ring.count(at(0), &moved(), &stands(7), &numbers);
        ring.count(at(1_000), &Cells::default(), &stands(7), &numbers);
        ring.count(at(KEPT_MS + 2_000), &Cells::default(), &stands(7), &numbers);
        assert_eq!(ring.since(), at(1_000));
        let (before, seconds) = ring.between(at(0), at(KEPT_MS + 5_000), 10);
        assert_eq!((before, seconds.len()), (stands(7), 0));
    }
}
