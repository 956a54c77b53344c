//! Tells the hub what officers did with what they received: all of it, over several frames when it is much. Pure.
//!
//! The hub does not answer receipts. That it has them is proven by its answer to a message that was sent for the first
//! time behind them on the same stream, since it enters both in order; what is not proven is told again on the next
//! stream.

use std::collections::BTreeMap;

use i247_model::{Lane, LaneReceipt, MessageId, NumberRange};

use crate::inbox::{Inbox, Mark};

/// How many are told in one frame: the hub takes so many ranges of a lane at once.
const AT_ONCE: usize = 1024;

/// What one stream has told.
#[derive(Debug)]
pub(crate) struct Marks {
    /// How many, from the first.
    told: usize,
    /// How many were told before these messages were sent.
    before: BTreeMap<MessageId, usize>,
}

impl Marks {
    /// Begins behind what the hub has for certain.
    pub(crate) fn new(inbox: &Inbox) -> Self {
        Self { told: inbox.told(), before: BTreeMap::new() }
    }

    /// What is told next, as far as the hub has handed out what it was done to.
    pub(crate) fn due(&self, inbox: &Inbox, handed: impl Fn(Lane) -> u64) -> Vec<Mark> {
        let marks = inbox.marks().get(self.told..).unwrap_or_default();
        let tellable = |mark: &&Mark| mark.number <= handed(mark.lane);
        marks.iter().take_while(tellable).take(AT_ONCE).copied().collect()
    }

    /// Puts marks into receipts that name their lanes already.
    pub(crate) fn tell(&mut self, marks: &[Mark], lanes: &mut [LaneReceipt]) {
        self.told += marks.len();
        for receipt in lanes {
            receipt.opened = ranges(marks, receipt.lane, false);
            receipt.actioned = ranges(marks, receipt.lane, true);
        }
    }

    /// These messages go out for the first time, behind what was told so far.
    pub(crate) fn sent(&mut self, fresh: Vec<MessageId>) {
        self.before.extend(fresh.into_iter().map(|id| (id, self.told)));
    }

    /// The hub answered these messages: returns how many marks it has for certain, if that says something new.
    pub(crate) fn proven(&mut self, answered: &[MessageId], inbox: &Inbox) -> Option<usize> {
        let told = answered.iter().filter_map(|id| self.before.remove(id)).max()?;
        (told > inbox.told()).then_some(told)
    }
}

fn ranges(marks: &[Mark], lane: Lane, actioned: bool) -> Vec<NumberRange> {
    let same = |mark: &&Mark| mark.lane == lane && mark.actioned == actioned;
    let range = |mark: &Mark| NumberRange { first: mark.number, last: mark.number };
    merged(marks.iter().filter(same).map(range).collect())
}

/// Numbers in order, with neighbours joined.
fn merged(mut ranges: Vec<NumberRange>) -> Vec<NumberRange> {
    ranges.sort_unstable();
    let mut merged: Vec<NumberRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.first <= last.last.saturating_add(1) => last.last = last.last.max(range.last),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{about, arrived, header};
    use crate::views::Views;

    fn range(first: u64, last: u64) -> NumberRange {
        NumberRange { first, last }
    }

    #[test]
    fn neighbouring_numbers_become_one_range() {
        let ranges = vec![range(5, 5), range(1, 1), range(2, 2), range(5, 5), range(4, 4)];
        assert_eq!(merged(ranges), [range(1, 2), range(4, 5)]);
        assert!(merged(Vec::new()).is_empty());
    }

    /// So many received messages, all of them opened.
    fn opened(count: u64) -> Views {
        let mut views = Views::new("FR".parse().unwrap());
        for number in 1..=count {
            let id = format!("BR-1-N-{number}");
            let message = header(&id, i247_model::Kind::FreeText);
            views.apply(number, &arrived(number, &message, about(""))).unwrap();
            views.inbox.mark(&message.id, false);
        }
        views
    }

    #[test]
    fn marks_are_told_again_until_the_hub_has_answered_what_came_behind_them() {
        let mut views = opened(3);
        let first: MessageId = "FR-1-N-1".parse().unwrap();
        let mut marks = Marks::new(&views.inbox);
        let due = marks.due(&views.inbox, |_| 2);
        assert_eq!(due.len(), 2, "the hub has not handed out the third again");
        let mut lanes =
            [LaneReceipt { lane: Lane::Normal, delivered_up_to: 2, opened: vec![], actioned: vec![] }];
        marks.tell(&due, &mut lanes);
        assert_eq!((lanes[0].opened.as_slice(), lanes[0].actioned.len()), ([range(1, 2)].as_slice(), 0));
        marks.sent(vec![first.clone()]);
        assert_eq!(marks.due(&views.inbox, |_| 9).len(), 1);
        assert_eq!(marks.proven(&["FR-1-N-9".parse().unwrap()], &views.inbox), None);
        assert_eq!(marks.proven(&[first], &views.inbox), Some(2));

        assert_eq!(Marks::new(&views.inbox).due(&views.inbox, |_| 9).len(), 3);
        views.inbox.tell(2);
        assert_eq!(Marks::new(&views.inbox).due(&views.inbox, |_| 9).len(), 1);
    }
}
