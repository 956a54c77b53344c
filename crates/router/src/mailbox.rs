//! Mailboxes: per recipient and lane a row of numbers without gaps, and the order in which lanes are
//! handed out. It never decides who receives.

use std::collections::{BTreeMap, VecDeque};

use i247_model::{Lane, Party};
use serde::{Deserialize, Serialize};

use crate::directory::Standing;
use crate::{MessageRef, State, UnderWay};

/// At most so many deliveries of more urgent lanes pass a lane that waits.
pub const STARVATION_BOUND: u32 = 16;

/// The mailbox of one party.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Mailbox {
    pub(crate) lanes: [LaneQueue; 4],
}

impl Mailbox {
    /// The highest number given in a lane.
    pub fn last(&self, lane: Lane) -> u64 {
        self.lanes[lane.index()].last()
    }

    /// All up to this number are durable at the recipient.
    pub fn delivered_up_to(&self, lane: Lane) -> u64 {
        self.lanes[lane.index()].delivered_up_to
    }

    /// How many messages of a lane wait for the recipient, numbers that carry nothing any more left out.
    pub fn waiting(&self, lane: Lane) -> usize {
        let queue = &self.lanes[lane.index()];
        queue.waiting.len().saturating_sub(queue.gaps)
    }

    /// The message of a lane that waits longest.
    pub fn oldest(&self, lane: Lane) -> Option<MessageRef> {
        let waiting = self.lanes[lane.index()].waiting.iter().find(|waiting| waiting.gap.is_none());
        waiting.map(|waiting| waiting.message)
    }
}

/// One lane of a mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LaneQueue {
    pub(crate) delivered_up_to: u64,
    /// The numbers after `delivered_up_to`, in order.
    pub(crate) waiting: VecDeque<Waiting>,
    /// How many of them carry nothing any more.
    pub(crate) gaps: usize,
    /// Delivered numbers whose message is still open.
    pub(crate) delivered: BTreeMap<u64, MessageRef>,
}

/// A number that is not yet acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) message: MessageRef,
    pub(crate) gap: Option<Gap>,
    pub(crate) after: Option<(Lane, u64)>,
}

impl LaneQueue {
    pub(crate) fn last(&self) -> u64 {
        self.delivered_up_to + self.waiting.len() as u64
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Waiting> {
        self.waiting.get(self.place(number)?)
    }

    /// Makes a number carry nothing.
    pub(crate) fn open_gap(&mut self, number: u64, gap: Gap) {
        if let Some(waiting) = self.place(number).and_then(|at| self.waiting.get_mut(at)) {
            self.gaps += usize::from(waiting.gap.is_none());
            waiting.gap = Some(gap);
            waiting.after = None;
        }
    }

    /// Where a number stands in `waiting`, unless it is delivered.
    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.delivered_up_to + 1)?).ok()
    }
}

/// Why a mailbox number carries no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Gap {
    /// Taken back before delivery, by its sender or by the end of a membership.
    Withdrawn,
    /// Expired before delivery.
    Expired,
}

/// One mailbox number on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The lane.
    pub lane: Lane,
    /// The number: the next of its lane.
    pub number: u64,
    /// The message, or where it was.
    pub message: MessageRef,
    /// Set when there is no message to deliver any more.
    pub gap: Option<Gap>,
}

/// What one live stream has handed out. Belongs to the stream and dies with it; a new stream begins
/// at what is acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    party: Party,
    handed: [u64; 4],
    /// Per lane, how many deliveries of more urgent lanes have passed it while it waited.
    passed: [u32; 4],
}

impl Cursor {
    /// Whose mailbox.
    pub fn party(&self) -> Party {
        self.party
    }

    /// The highest number handed out in a lane.
    pub fn handed(&self, lane: Lane) -> u64 {
        self.handed[lane.index()]
    }
}

impl State {
    /// A cursor for a new stream to `party`.
    pub fn cursor(&self, party: Party) -> Cursor {
        let mailbox = self.mailbox(party);
        let handed = Lane::ALL.map(|lane| mailbox.map_or(0, |mailbox| mailbox.delivered_up_to(lane)));
        Cursor { party, handed, passed: [0; 4] }
    }

    /// Whether anything is handed to `party` at all: it is a member, and not suspended.
    pub fn hands_out_to(&self, party: Party) -> bool {
        self.directory.standing_of(party) == Some(Standing::Active)
    }

    /// The next number to hand out on the stream of this cursor, which moves on.
    ///
    /// The most urgent lane goes first, unless [`STARVATION_BOUND`] deliveries have passed a less
    /// urgent one. Lanes whose next message must wait for what it refers to are left out. Nothing
    /// is handed to a member that is not active.
    pub fn next_delivery(&self, cursor: &mut Cursor) -> Option<Delivery> {
        if !self.hands_out_to(cursor.party) {
            return None;
        }
        let mailbox = self.mailboxes.get(&cursor.party)?;
        for lane in Lane::ALL {
            let handed = &mut cursor.handed[lane.index()];
            *handed = (*handed).max(mailbox.delivered_up_to(lane));
        }
        let ready = Lane::ALL.map(|lane| {
            let waiting = mailbox.lanes[lane.index()].get(cursor.handed(lane) + 1)?;
            let free = waiting.after.is_none_or(|(other, number)| cursor.handed(other) >= number);
            free.then_some(waiting)
        });
        // Of those passed over too often the least urgent: serving it delays none of the others' bounds.
        let starved =
            |lane: &Lane| cursor.passed[lane.index()] >= STARVATION_BOUND && ready[lane.index()].is_some();
        let lane = Lane::ALL
            .into_iter()
            .rev()
            .find(starved)
            .or_else(|| Lane::ALL.into_iter().find(|lane| ready[lane.index()].is_some()))?;
        let waiting = ready[lane.index()]?;
        for lower in Lane::ALL.into_iter().filter(|lower| *lower > lane) {
            cursor.passed[lower.index()] += u32::from(ready[lower.index()].is_some());
        }
        cursor.passed[lane.index()] = 0;
        cursor.handed[lane.index()] += 1;
        Some(Delivery { lane, number: cursor.handed(lane), message: waiting.message, gap: waiting.gap })
    }

    /// Adds what a stream has handed out and not heard of to what is under way.
    pub fn add_under_way(&self, cursor: &Cursor, under_way: &mut UnderWay) {
        let mailbox = self.mailbox(cursor.party);
        for lane in Lane::ALL {
            let delivered = mailbox.map_or(0, |mailbox| mailbox.delivered_up_to(lane));
            if cursor.handed(lane) > delivered {
                let handed = under_way.entry((cursor.party, lane)).or_default();
                *handed = cursor.handed(lane).max(*handed);
            }
        }
    }
}
