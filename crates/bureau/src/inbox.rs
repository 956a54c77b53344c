//! What was received, and what officers did with it. A view: built by applying journal entries, decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use i247_model::{CountryCode, Hash, Identity, Kind, Lane, MessageId, ReplyStage, Sender, Timestamp};
use i247_wire::pb;
use serde::{Deserialize, Serialize};

use crate::policy::KnownNotice;
use crate::stored;

/// So long a recovered hub takes what it lost from whoever has it.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(60 * 60);

/// A message received.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Received {
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    /// Where it stands in the journal; its body lies beside it.
    pub(crate) at_entry: u64,
    pub(crate) lane: Lane,
    /// Mailbox number; 0 while a recovered hub has not given it a new one.
    pub(crate) number: u64,
    /// Place in the hub's log, as the hub says.
    pub(crate) position: u64,
    pub(crate) received_at: Timestamp,
    pub(crate) header_hash: Hash,
    /// Who signed it, as checked here.
    pub(crate) signed_by: Identity,
    pub(crate) refers_to: Option<MessageId>,
    pub(crate) conversation: Option<MessageId>,
    pub(crate) operation: String,
    pub(crate) reply_stage: Option<ReplyStage>,
    pub(crate) reply_by: Option<Timestamp>,
    pub(crate) attachments: Vec<Hash>,
    #[serde(with = "stored::message")]
    pub(crate) facts: pb::JournalFacts,
    pub(crate) opened: bool,
    pub(crate) actioned: bool,
}

impl Received {
    /// What officers did with it, as far as it has a number to tell it under.
    fn marks(&self) -> impl Iterator<Item = Mark> + use<> {
        let done = [(self.opened, false), (self.actioned, true)];
        let (lane, number) = (self.lane, self.number);
        let done = done.into_iter().filter(move |(done, _)| *done && number > 0);
        done.map(move |(_, actioned)| Mark { lane, number, actioned })
    }
}

/// A message to be handed over: its position in the log that was lost, and its place in [`Inbox::all`].
pub(crate) type Owed = (u64, usize);

/// What an officer did with a mailbox number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) lane: Lane,
    pub(crate) number: u64,
    pub(crate) actioned: bool,
}

/// What a mailbox number holds, as far as known here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known<'a> {
    /// Never seen.
    Nothing,
    /// This message.
    Message(&'a MessageId),
    /// Nothing: it had been taken back.
    TakenBack,
    /// Nothing: it had expired.
    Expired,
    /// Something that failed the checks.
    Rejected,
}

/// What is kept of a mailbox number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Held {
    /// The message at this place.
    Message(usize),
    TakenBack,
    Expired,
    Rejected,
}

/// A notice that arrived here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Published {
    place: usize,
    cancelled: bool,
}

/// The mailbox of this bureau.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inbox {
    received: Vec<Received>,
    #[serde(skip)]
    by_id: BTreeMap<MessageId, usize>,
    numbers: BTreeMap<(Lane, u64), Held>,
    /// Per sender and lane, the last message: whatever the hub delivers next of it comes behind.
    last: BTreeMap<(Sender, Lane), (u64, u64)>,
    up_to: [u64; 4],
    /// Numbers up to here that are missing were lost with an older copy.
    lost_up_to: [u64; 4],
    marks: Vec<Mark>,
    /// How many marks, from the first, the hub has for certain.
    told: usize,
    unopened: usize,
    rejected: usize,
    notices: BTreeMap<String, Published>,
    /// Requests that name a notice, by the notice's number.
    asked: BTreeMap<String, Vec<usize>>,
    /// When the hub's log was taken over after a recovery, by the clock here.
    taken_over_at: Option<Timestamp>,
    /// What a recovered hub may have lost and has not delivered again, by its position in the log that was lost.
    owed: BTreeSet<Owed>,
    /// How many, from the first, the national system has answered.
    pub(crate) handled: usize,
}

impl Inbox {
    /// Makes anew what a snapshot leaves out.
    pub(crate) fn index(&mut self) {
        self.by_id = self.received.iter().enumerate().map(|(place, one)| (one.id.clone(), place)).collect();
    }

    pub(crate) fn get(&self, id: &MessageId) -> Option<&Received> {
        self.received.get(*self.by_id.get(id)?)
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> &[Received] {
        &self.received
    }

    /// Place in [`Inbox::all`].
    pub(crate) fn place(&self, id: &MessageId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn unopened(&self) -> usize {
        self.unopened
    }

    /// How many deliveries failed the checks.
    pub(crate) fn rejected(&self) -> usize {
        self.rejected
    }

    /// All mailbox numbers of the lane up to this one are durable here.
    pub(crate) fn up_to(&self, lane: Lane) -> u64 {
        self.up_to[lane.index()]
    }

    /// Up to this number the lane may have lost messages with an older copy; 0 when it never did.
    pub(crate) fn lost_up_to(&self, lane: Lane) -> u64 {
        self.lost_up_to[lane.index()]
    }

    pub(crate) fn known(&self, lane: Lane, number: u64) -> Known<'_> {
        match self.numbers.get(&(lane, number)) {
            Some(Held::Message(place)) => {
                self.received.get(*place).map_or(Known::Nothing, |received| Known::Message(&received.id))
            }
            Some(Held::TakenBack) => Known::TakenBack,
            Some(Held::Expired) => Known::Expired,
            Some(Held::Rejected) => Known::Rejected,
            None => Known::Nothing,
        }
    }

    /// What officers did, in order; receipts for it are told from a place on.
    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// How many of them, from the first, the hub has for certain: the rest is told on every stream.
    pub(crate) fn told(&self) -> usize {
        self.told.min(self.marks.len())
    }

    /// The hub has so many marks.
    pub(crate) fn tell(&mut self, marks: usize) {
        self.told = marks.max(self.told);
    }

    /// The notice of this number, if it arrived here and is in force.
    pub(crate) fn notice(&self, notice_id: &str) -> Option<KnownNotice> {
        let published = self.notices.get(notice_id).filter(|notice| !notice.cancelled)?;
        known_notice(self.received.get(published.place)?)
    }

    /// The requests received that name this notice.
    pub(crate) fn asked_about(&self, notice_id: &str) -> Vec<&Received> {
        let places = self.asked.get(notice_id).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|place| self.received.get(*place)).collect()
    }

    /// Where a sender's messages of a lane stand: epoch and number of the last one that arrived.
    pub(crate) fn last_of(&self, sender: &Sender, lane: Lane) -> (u64, u64) {
        self.last.get(&(sender.clone(), lane)).copied().unwrap_or_default()
    }

    /// Whether a recovered hub, which accepted something then, may still have been getting back what it lost: out of order,
    /// when it comes from others than its sender.
    pub(crate) fn came_back_until(&self, accepted_at: Timestamp) -> bool {
        self.taken_over_at.is_some_and(|since| accepted_at <= since.plus(COMES_BACK_WITHIN))
    }

    /// Adds a message, unless its id is there already.
    pub(crate) fn arrived(&mut self, received: Received) {
        let known = self.by_id.get(&received.id).copied();
        let place = known.unwrap_or(self.received.len());
        self.number(received.lane, received.number, Held::Message(place));
        if known.is_some() {
            return;
        }
        self.follow(&received.id);
        let notice_id = &received.facts.notice_id;
        match received.kind {
            Kind::Notice if !notice_id.is_empty() => {
                self.notices.insert(notice_id.clone(), Published { place, cancelled: false });
            }
            Kind::Cancellation => {
                if let Some(published) = self.notices.get_mut(notice_id) {
                    published.cancelled = true;
                }
            }
            Kind::Request if !notice_id.is_empty() => {
                self.asked.entry(notice_id.clone()).or_default().push(place);
            }
            _ => {}
        }
        self.unopened += 1;
        self.by_id.insert(received.id.clone(), place);
        self.received.push(received);
    }

    /// A number without a message.
    pub(crate) fn gap(&mut self, lane: Lane, number: u64, gap: pb::Gap) {
        let held = match gap {
            pb::Gap::Expired => Held::Expired,
            pb::Gap::Withdrawn | pb::Gap::Unspecified => Held::TakenBack,
        };
        self.number(lane, number, held);
    }

    /// A number whose delivery failed the checks.
    pub(crate) fn reject(&mut self, lane: Lane, number: u64) {
        self.rejected += 1;
        self.number(lane, number, Held::Rejected);
    }

    pub(crate) fn mark(&mut self, id: &MessageId, actioned: bool) {
        let Some(received) = self.by_id.get(id).and_then(|place| self.received.get_mut(*place)) else {
            return;
        };
        let before = (received.opened, received.actioned);
        received.opened = true;
        received.actioned |= actioned;
        let after = received.marks();
        if !before.0 {
            self.unopened -= 1;
        }
        let new = |mark: &Mark| if mark.actioned { !before.1 } else { !before.0 };
        self.marks.extend(after.filter(new));
    }

    /// The hub goes on with another log, in which numbers of the lane above these are given anew. Marks are told from
    /// the first: receipts that it had may be lost too.
    pub(crate) fn take_over(&mut self, at: Timestamp, given: &[u64; 4]) {
        self.taken_over_at = Some(at);
        self.numbers.retain(|(lane, number), _| *number <= given[lane.index()]);
        self.marks.retain(|mark| mark.number <= given[mark.lane.index()]);
        self.told = 0;
        for (lane, last) in given.iter().enumerate() {
            self.up_to[lane] = self.up_to[lane].min(*last);
            self.lost_up_to[lane] = self.lost_up_to[lane].min(*last);
        }
        self.last.clear();
        let mut kept = Vec::new();
        for (place, received) in self.received.iter_mut().enumerate() {
            if received.number > given[received.lane.index()] {
                received.number = 0;
            }
            if received.number > 0 {
                kept.push(received.id.clone());
            } else if received.id.sender != Sender::Secretariat {
                // What the hub makes by itself it makes again.
                self.owed.insert((received.position, place));
            }
        }
        for id in &kept {
            self.follow(id);
        }
    }

    /// A message that is here has another mailbox number, in the log that the hub goes on with.
    pub(crate) fn given_anew(&mut self, id: &MessageId, lane: Lane, number: u64, position: u64) {
        let Some(place) = self.by_id.get(id).copied() else { return };
        self.number(lane, number, Held::Message(place));
        self.follow(id);
        let Some(received) = self.received.get_mut(place) else { return };
        self.owed.remove(&(received.position, place));
        (received.number, received.position) = (number, position);
        self.marks.extend(received.marks());
    }

    /// The next to be handed over to the hub behind this one, with its place.
    pub(crate) fn owed_after(&self, after: Option<Owed>) -> Option<(Owed, &Received)> {
        let behind = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let owed = *self.owed.range(behind).next()?;
        Some((owed, self.received.get(owed.1)?))
    }

    /// This one, if it is still to be handed over.
    pub(crate) fn owed(&self, owed: &Owed) -> Option<&Received> {
        self.received.get(self.owed.get(owed)?.1)
    }

    /// How many are to be handed over.
    pub(crate) fn owing(&self) -> usize {
        self.owed.len()
    }

    /// The hub has answered all that was to be handed over.
    pub(crate) fn handed_over(&mut self) {
        self.owed.clear();
    }

    /// Whatever the hub delivers next of this sender and lane comes behind this one.
    fn follow(&mut self, id: &MessageId) {
        let last = self.last.entry((id.sender.clone(), id.lane)).or_default();
        *last = (id.epoch, id.number).max(*last);
    }

    /// What is missing up to this number is lost.
    pub(crate) fn lost(&mut self, lane: Lane, up_to: u64) {
        let lost = &mut self.lost_up_to[lane.index()];
        *lost = up_to.max(*lost);
    }

    fn number(&mut self, lane: Lane, number: u64, held: Held) {
        self.numbers.insert((lane, number), held);
        let up_to = &mut self.up_to[lane.index()];
        *up_to = number.max(*up_to);
    }
}

/// A received notice as policy sees it.
pub(crate) fn known_notice(received: &Received) -> Option<KnownNotice> {
    let requester: CountryCode = received.facts.requester.parse().ok()?;
    Some(KnownNotice {
        id: received.id.clone(),
        notice_id: received.facts.notice_id.clone(),
        requester,
        red: received.facts.colour() == pb::Colour::Red,
        operation: received.operation.clone(),
    })
}
