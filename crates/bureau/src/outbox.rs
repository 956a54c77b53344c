//! What was sent, and where each message stands. A view: built by applying journal entries, decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use i247_model::{CountryCode, Hash, Kind, Lane, MessageId, Party, Refusal, Sender, Timestamp};
use i247_wire::pb;
use serde::{Deserialize, Serialize};

use crate::stored;
use crate::takeover::TakenOver;

/// Where a sent message stands between this bureau and the hub.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum SentState {
    /// Durable here, not yet answered.
    Waiting,
    /// In the hub's log.
    Accepted(Acceptance),
    /// There will be no acceptance.
    Refused(Refusal),
}

/// What the hub's acceptance says of a message.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Acceptance {
    /// Place in the hub's log.
    pub(crate) position: u64,
    /// Recipients that became members after the explanation that the message names.
    pub(crate) come: Vec<Party>,
    /// Who would receive it, had its membership not ended after that explanation.
    pub(crate) gone: Vec<Party>,
    /// A recovered hub's log goes on without it: the promise stands, and the message is sent again.
    pub(crate) lost: bool,
}

impl TryFrom<&pb::Acceptance> for Acceptance {
    type Error = Refusal;

    fn try_from(wire: &pb::Acceptance) -> Result<Self, Refusal> {
        let parties = |texts: &[String], field: &'static str| -> Result<Vec<Party>, Refusal> {
            texts.iter().map(|text| i247_wire::parsed(text, field)).collect()
        };
        Ok(Self {
            position: wire.position,
            come: parties(&wire.come, "acceptance.come")?,
            gone: parties(&wire.gone, "acceptance.gone")?,
            lost: false,
        })
    }
}

/// A message of this bureau.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    /// Where the accepted draft stands in the journal; its body lies beside it.
    pub(crate) accepted_at_entry: u64,
    pub(crate) accepted_at: Timestamp,
    pub(crate) refers_to: Option<MessageId>,
    pub(crate) operation: String,
    pub(crate) seat: String,
    /// Countries that are addressed by name.
    pub(crate) named: BTreeSet<CountryCode>,
    pub(crate) attachments: Vec<Hash>,
    #[serde(with = "stored::message")]
    pub(crate) facts: pb::JournalFacts,
    /// Where the void stands that takes its number, when it can never be sent as it was accepted.
    pub(crate) voided_at_entry: Option<u64>,
    pub(crate) sealed: Option<Sealed>,
    pub(crate) state: SentState,
    /// Where the hub's last word on it stands in the journal, on it or on the void that took its number.
    pub(crate) answered_at_entry: Option<u64>,
    /// As last heard from the hub.
    #[serde(with = "stored::optional")]
    pub(crate) status: Option<pb::MessageStatus>,
}

impl Sent {
    /// Where the acceptance stands that a recovered hub's log goes on without.
    pub(crate) fn lost_acceptance(&self) -> Option<u64> {
        let SentState::Accepted(acceptance) = &self.state else { return None };
        self.answered_at_entry.filter(|_| acceptance.lost && self.voided_at_entry.is_none())
    }

    /// Whether the hub may still tell something new about it.
    pub(crate) fn open(&self) -> bool {
        let closed = self.status.as_ref().is_some_and(|status| status.closed);
        matches!(self.state, SentState::Accepted(_)) && !closed
    }

    /// Where that stands which goes to the hub under its number: header and, beside it, the carried body.
    pub(crate) fn draft_at_entry(&self) -> u64 {
        self.voided_at_entry.unwrap_or(self.accepted_at_entry)
    }

    /// The attachments that must be at the hub first.
    pub(crate) fn needs(&self) -> &[Hash] {
        if self.voided_at_entry.is_some() { &[] } else { &self.attachments }
    }
}

/// Where a message's header and signature stand in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Sealed {
    pub(crate) at_entry: u64,
    pub(crate) header_hash: Hash,
}

/// Where one lane of the present epoch stands. Numbers; 0 for none yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LaneEnds {
    /// Highest number given to a draft.
    pub(crate) numbered: u64,
    /// Highest number that has its header and signature.
    pub(crate) sealed: u64,
    /// Hash of that header.
    pub(crate) last_hash: Option<Hash>,
}

/// All messages of this bureau.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outbox {
    sender: Sender,
    pub(crate) epoch: u64,
    sent: Vec<Sent>,
    #[serde(skip)]
    by_id: BTreeMap<MessageId, usize>,
    lanes: [LaneEnds; 4],
    /// Not answered by the hub, of any epoch.
    waiting: BTreeSet<MessageId>,
    /// Answered, and sent again: the answer is lost to a recovered hub.
    again: BTreeSet<MessageId>,
    /// Accepted and not closed.
    open: BTreeSet<MessageId>,
    /// By epoch and lane: up to where everything is here of what was lost with an older copy and the hub gives back.
    lost: BTreeMap<(u64, Lane), u64>,
    /// The hub's log, as its receipts name it.
    pub(crate) log_id: Vec<u8>,
    /// Highest position that a receipt of the hub named.
    pub(crate) log_end_seen: u64,
    /// That receipt: with it the bureau proves it to a hub that has forgotten.
    #[serde(with = "stored::optional")]
    pub(crate) newest_acceptance: Option<pb::Signed>,
}

impl Outbox {
    pub(crate) fn new(sender: Sender) -> Self {
        Self {
            sender,
            epoch: 1,
            sent: Vec::new(),
            by_id: BTreeMap::new(),
            lanes: [LaneEnds::default(); 4],
            waiting: BTreeSet::new(),
            again: BTreeSet::new(),
            open: BTreeSet::new(),
            lost: BTreeMap::new(),
            log_id: Vec::new(),
            log_end_seen: 0,
            newest_acceptance: None,
        }
    }

    /// Makes anew what a snapshot leaves out.
    pub(crate) fn index(&mut self) {
        self.by_id = self.sent.iter().enumerate().map(|(place, sent)| (sent.id.clone(), place)).collect();
    }

    pub(crate) fn get(&self, id: &MessageId) -> Option<&Sent> {
        self.sent.get(*self.by_id.get(id)?)
    }

    /// Whose messages they are.
    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> &[Sent] {
        &self.sent
    }

    /// The first place in [`Outbox::all`] of what has this id.
    pub(crate) fn place(&self, id: &MessageId) -> Option<usize> {
        let last = self.by_id.get(id).copied()?;
        let before = self.sent.get(..last)?.iter().rev().take_while(|sent| sent.id == *id).count();
        Some(last - before)
    }

    pub(crate) fn lane(&self, lane: Lane) -> LaneEnds {
        self.lanes[lane.index()]
    }

    /// What the hub has not answered, of any epoch.
    pub(crate) fn unanswered(&self) -> &BTreeSet<MessageId> {
        &self.waiting
    }

    /// How many are not yet answered.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The ids that the hub accepted and has not closed, or may have accepted before a stream broke, in order from
    /// behind `after` on, at most `limit` of them.
    pub(crate) fn open(&self, after: Option<&MessageId>, limit: usize) -> Vec<MessageId> {
        let behind = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let left = |id: &&MessageId| self.get(id).is_some_and(|sent| sent.sealed.is_some());
        let perhaps = self.waiting.range(behind).filter(left).take(limit);
        let mut ids: Vec<_> = self.open.range(behind).take(limit).chain(perhaps).cloned().collect();
        ids.sort_unstable();
        ids.truncate(limit);
        ids
    }

    /// What waits for the hub's answer and cannot go without this attachment.
    pub(crate) fn waiting_for(&self, attachment: &Hash) -> Vec<MessageId> {
        let needs = |id: &&MessageId| self.get(id).is_some_and(|sent| sent.needs().contains(attachment));
        self.waiting.iter().filter(needs).cloned().collect()
    }

    /// All of the present epoch and this lane up to this number is here, with the hub's answer.
    pub(crate) fn known_up_to(&self, lane: Lane) -> u64 {
        let first = self.waiting.range(self.id(lane, 0)..=self.id(lane, u64::MAX)).next();
        first.map_or(self.lane(lane).sealed, |id| id.number - 1)
    }

    /// By epoch and lane: up to where everything is here of what the hub gives back.
    pub(crate) fn lost(&self) -> impl Iterator<Item = ((u64, Lane), u64)> {
        self.lost.iter().map(|(lane, known_up_to)| (*lane, *known_up_to))
    }

    /// What was answered once and is sent again.
    pub(crate) fn again(&self) -> &BTreeSet<MessageId> {
        &self.again
    }

    /// The oldest epoch with something that the hub has to answer, or the present one: of a later one it takes nothing
    /// before.
    pub(crate) fn epoch_due(&self) -> u64 {
        let first = [self.again.first(), self.waiting.first()].into_iter().flatten().min();
        first.map_or(self.epoch, |id| id.epoch)
    }

    /// What the hub has to answer next in this epoch and lane, from this number on.
    pub(crate) fn due(&self, epoch: u64, lane: Lane, from: u64) -> Option<&MessageId> {
        let (first, last) = (self.id(lane, from), self.id(lane, u64::MAX));
        let range = MessageId { epoch, ..first }..=MessageId { epoch, ..last };
        let first = [self.again.range(range.clone()).next(), self.waiting.range(range).next()];
        first.into_iter().flatten().min()
    }

    /// The id of this number in the present epoch.
    pub(crate) fn id(&self, lane: Lane, number: u64) -> MessageId {
        MessageId { sender: self.sender.clone(), epoch: self.epoch, lane, number }
    }

    /// A message that was taken here; one of an epoch that is over was given back by the hub. A draft that was given up
    /// stays before what the hub had taken under its number.
    pub(crate) fn accepted(&mut self, sent: Sent) {
        if sent.id.epoch == self.epoch {
            let ends = &mut self.lanes[sent.id.lane.index()];
            ends.numbered = ends.numbered.max(sent.id.number);
        }
        self.known(&sent.id);
        self.waiting.insert(sent.id.clone());
        match self.by_id.get(&sent.id).copied() {
            Some(given_up) => {
                self.sent.insert(given_up + 1, sent);
                self.index();
            }
            None => {
                self.by_id.insert(sent.id.clone(), self.sent.len());
                self.sent.push(sent);
            }
        }
    }

    pub(crate) fn sealed(&mut self, id: &MessageId, sealed: Sealed) -> Option<&Sent> {
        let sent = self.sent.get_mut(*self.by_id.get(id)?)?;
        sent.sealed = Some(sealed);
        let ends = &mut self.lanes[id.lane.index()];
        if id.epoch == self.epoch && id.number > ends.sealed {
            ends.sealed = id.number;
            ends.last_hash = Some(sealed.header_hash);
        }
        Some(sent)
    }

    /// The hub's answer, at this entry. Only the first one counts, but for what the hub has lost; a refusal never undoes
    /// an acceptance.
    pub(crate) fn answered(&mut self, id: &MessageId, state: SentState, at_entry: u64) {
        self.again.remove(id);
        let Some(sent) = self.by_id.get(id).and_then(|at| self.sent.get_mut(*at)) else { return };
        if let SentState::Accepted(acceptance) = &sent.state
            && !(acceptance.lost && matches!(state, SentState::Accepted(_)))
        {
            return;
        }
        // The answer to a void is not one to the message whose number it takes.
        if sent.voided_at_entry.is_none() {
            sent.state = state;
        }
        sent.answered_at_entry = Some(at_entry);
        self.waiting.remove(id);
        if sent.open() {
            self.open.insert(id.clone());
        }
    }

    /// The hub goes on with another log, without the end of the one that was known here. What it had answered there is
    /// sent again: it has to have every number before it takes the next.
    pub(crate) fn take_over(&mut self, taken: &TakenOver) {
        self.log_id.clone_from(&taken.log_id);
        self.log_end_seen = self.log_end_seen.min(taken.end);
        self.newest_acceptance = None;
        for sent in &mut self.sent {
            let known = (taken.epoch, taken.accepted[sent.id.lane.index()]);
            if let SentState::Accepted(acceptance) = &mut sent.state {
                acceptance.lost |= acceptance.position > taken.end;
                // Where it stands begins anew, or what was last heard of it was heard of the lost part: it is asked.
                if let Some(status) = &mut sent.status {
                    status.closed = false;
                }
                self.open.insert(sent.id.clone());
                if !acceptance.lost {
                    continue;
                }
            } else if sent.answered_at_entry.is_none() || (sent.id.epoch, sent.id.number) <= known {
                continue;
            }
            if sent.sealed.is_some() {
                self.again.insert(sent.id.clone());
            }
        }
    }

    /// A void takes the number of this message. What was signed from there on in its lane is signed anew, since each
    /// header names the one before it; the hub has none of it, or it would have answered. False when the hub has had
    /// its say already.
    pub(crate) fn voided(&mut self, id: &MessageId, at_entry: u64, why: Refusal) -> bool {
        if id.epoch != self.epoch || !self.waiting.contains(id) {
            return false;
        }
        let last = self.id(id.lane, u64::MAX);
        let Some(sent) = self.by_id.get(id).and_then(|at| self.sent.get_mut(*at)) else { return false };
        sent.voided_at_entry = Some(at_entry);
        sent.state = SentState::Refused(why);
        for later in self.waiting.range(id..=&last) {
            if let Some(sent) = self.by_id.get(later).and_then(|at| self.sent.get_mut(*at)) {
                sent.sealed = None;
            }
        }
        let before = id.number.checked_sub(1).map(|number| self.id(id.lane, number));
        let hash = before.and_then(|id| Some(self.get(&id)?.sealed?.header_hash));
        let ends = &mut self.lanes[id.lane.index()];
        if ends.sealed >= id.number {
            (ends.sealed, ends.last_hash) = (id.number - 1, hash);
        }
        true
    }

    pub(crate) fn heard(&mut self, id: &MessageId, status: pb::MessageStatus) -> Option<&Sent> {
        let sent = self.sent.get_mut(*self.by_id.get(id)?)?;
        sent.status = Some(status);
        if sent.open() {
            self.open.insert(id.clone());
        } else {
            self.open.remove(id);
        }
        Some(sent)
    }

    /// The hub has this message, which was given up here: it will answer it.
    pub(crate) fn given_back(&mut self, id: &MessageId) {
        self.known(id);
        if let Some(sent) = self.by_id.get(id).and_then(|at| self.sent.get_mut(*at)) {
            (sent.state, sent.answered_at_entry) = (SentState::Waiting, None);
            self.waiting.insert(id.clone());
        }
    }

    /// The hub has nothing more of this lane.
    pub(crate) fn all_given_back(&mut self, epoch: u64, lane: Lane) {
        self.lost.remove(&(epoch, lane));
    }

    fn known(&mut self, id: &MessageId) {
        if let Some(known_up_to) = self.lost.get_mut(&(id.epoch, id.lane)) {
            *known_up_to = id.number.max(*known_up_to);
        }
    }

    /// A new epoch begins: what was not answered is given up, and numbers begin again. What may be `lost` of what was
    /// sent is given back by the hub.
    pub(crate) fn new_epoch(&mut self, epoch: u64, given_up: &Refusal, lost: BTreeMap<(u64, Lane), u64>) {
        self.lost.extend(lost);
        for id in std::mem::take(&mut self.waiting) {
            let sent = self.by_id.get(&id).and_then(|at| self.sent.get_mut(*at));
            if let Some(sent) = sent.filter(|sent| sent.voided_at_entry.is_none()) {
                sent.state = SentState::Refused(given_up.clone());
            }
        }
        self.epoch = epoch;
        self.lanes = [LaneEnds::default(); 4];
    }
}
