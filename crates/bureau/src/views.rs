//! Everything that is known from the journal: outbox, inbox, cases, ids and keys.
//!
//! [`Views::apply`] is the only way that they change, at start and while running alike, so rebuilding gives the same
//! views. They are kept whole in memory; snapshots of them let a start read the tail of the journal only.

use std::collections::BTreeMap;

use bytes::Bytes;
use i247_model::{CountryCode, Hash, Kind, Lane, MessageId, Reason, Refusal, Sender, Timestamp};
use i247_wire::pb::journal_entry::Event;
use i247_wire::{known, parsed, pb};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::cases::Cases;
use crate::inbox::{Inbox, Received};
use crate::loads::{Loads, Part};
use crate::names::Names;
use crate::outbox::{Acceptance, Outbox, Sealed, Sent, SentState};
use crate::people::{Change, People};
use crate::posts::Posts;
use crate::takeover::TakenOver;

/// A journal entry that this program cannot read: written by a later version, or damaged before it was written.
#[derive(Debug, thiserror::Error)]
#[error("journal entry {position} is not readable: {what}")]
pub struct Unreadable {
    /// Where it stands.
    pub position: u64,
    /// The field that is wrong.
    pub what: String,
}

/// A caller, and a key of that caller's own.
pub(crate) type Key = (String, String);

/// What a caller's own key stands for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Keyed {
    pub(crate) id: MessageId,
    /// Hash of the draft; none where any draft under the key is the same message.
    pub(crate) draft: Option<Hash>,
}

impl Keyed {
    /// The message, if it is this draft's.
    ///
    /// # Errors
    /// `WRONG_FIELD` when the key stands for another draft: two messages must not pass for one.
    pub(crate) fn stands_for(&self, draft: Option<&Hash>) -> Result<&MessageId, Refusal> {
        match (&self.draft, draft) {
            (Some(known), Some(draft)) if known != draft => {
                let mut refusal = Refusal::of(Reason::WrongField, "draft.idempotency_key");
                refusal.next_step = format!(
                    "this key stands for {}, which was another draft: send this one under a key of its own",
                    self.id
                );
                Err(refusal)
            }
            _ => Ok(&self.id),
        }
    }
}

/// All views of the journal.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Views {
    /// The last entry taken in.
    pub(crate) position: u64,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Inbox,
    pub(crate) cases: Cases,
    pub(crate) loads: Loads,
    #[serde(skip)]
    pub(crate) names: Names,
    pub(crate) people: People,
    #[serde(skip)]
    pub(crate) posts: Posts,
    /// Which message a caller's own key stands for. Kept as long as the messages are.
    keys: BTreeMap<Key, Keyed>,
}

impl Views {
    pub(crate) fn new(country: CountryCode) -> Self {
        Self {
            position: 0,
            outbox: Outbox::new(Sender::Bureau(country)),
            inbox: Inbox::default(),
            cases: Cases::default(),
            loads: Loads::default(),
            names: Names::default(),
            people: People::default(),
            posts: Posts::default(),
            keys: BTreeMap::new(),
        }
    }

    /// What this key of a caller stands for.
    pub(crate) fn key(&self, key: &Key) -> Option<&Keyed> {
        self.keys.get(key)
    }

    /// Makes anew what a snapshot leaves out.
    pub(crate) fn index(&mut self) {
        self.outbox.index();
        self.inbox.index();
        let sent = self.outbox.all().iter().map(|sent| &sent.id);
        for id in sent.chain(self.inbox.all().iter().map(|received| &received.id)) {
            self.names.add(id);
        }
        self.outbox.all().iter().for_each(|sent| self.posts.answered(sent));
    }

    /// A digest over every view: equal views give equal digests.
    pub(crate) fn digest(&self) -> Hash {
        // The derived text shows every field in a fixed order; nothing in it is hash-ordered.
        i247_trust::sha256(&[format!("{self:?}").as_bytes()])
    }

    /// Why an event that was right when it was asked for must not be entered any more.
    pub(crate) fn overtaken(&self, event: &Event) -> Option<Refusal> {
        match event {
            // Two who recover at the same time begin one epoch: the second would use the numbers of the first again.
            Event::Epoch(begun) if begun.epoch <= self.outbox.epoch => {
                let mut refusal = Refusal::of(Reason::WrongReference, "epoch");
                let present = self.outbox.epoch;
                refusal.next_step = format!("epoch {present} has begun already: nothing is left to do");
                Some(refusal)
            }
            Event::Directory(directory) => {
                let signed = directory.change.clone().unwrap_or_default();
                Change::read(&signed.payload).and_then(|change| self.people.check(&change)).err()
            }
            _ => None,
        }
    }

    /// Takes in the entry at this position of the journal.
    pub(crate) fn apply(&mut self, position: u64, entry: &pb::JournalEntry) -> Result<(), Unreadable> {
        let at = Timestamp::from_millis(entry.at_ms);
        self.event(position, at, entry.event.as_ref())
            .map_err(|refusal| Unreadable { position, what: refusal.fields.join(", ") })?;
        self.position = position;
        Ok(())
    }

    fn event(&mut self, position: u64, at: Timestamp, event: Option<&Event>) -> Result<(), Refusal> {
        match event.ok_or_else(|| Refusal::of(Reason::Malformed, "event"))? {
            Event::Accepted(accepted) => self.accepted(position, at, accepted)?,
            Event::Sealed(sealed) => {
                let header_hash = i247_trust::header_hash(&sealed.header);
                let sealed_at = Sealed { at_entry: position, header_hash };
                let sent = self.outbox.sealed(&parsed(&sealed.id, "id")?, sealed_at);
                // A signed void begins nothing.
                if let Some(sent) = sent.filter(|sent| sent.voided_at_entry.is_none()) {
                    self.cases.signed(sent);
                }
            }
            Event::Answered(answered) => {
                let result = answered.result.clone().unwrap_or_default();
                self.answered(position, &result)?;
            }
            Event::Arrived(arrived) => {
                let received = received(position, at, arrived)?;
                self.names.add(&received.id);
                if self.inbox.get(&received.id).is_none() {
                    self.cases.arrived(&received);
                }
                self.inbox.arrived(received);
            }
            Event::Gap(gap) => self.inbox.gap(lane(gap.lane)?, gap.number, gap.gap()),
            Event::Rejected(rejected) => self.inbox.reject(lane(rejected.lane)?, rejected.number),
            Event::Marked(marked) => self.inbox.mark(&parsed(&marked.id, "id")?, marked.actioned),
            Event::Heard(heard) => {
                let status = heard.status.clone().unwrap_or_default();
                let id = parsed(&status.id, "status.id")?;
                self.cases.heard(&id, &status);
                self.outbox.heard(&id, status);
            }
            Event::Handled(handled) => {
                self.inbox.handled = usize::try_from(handled.arrivals).unwrap_or(usize::MAX);
            }
            // Kept for the record: who stored what. The file itself says whether it is there.
            Event::Attachment(_) => {}
            Event::Epoch(epoch) => self.epoch(epoch)?,
            Event::Voided(voided) => self.voided(position, voided)?,
            Event::Told(told) => self.inbox.tell(usize::try_from(told.marks).unwrap_or(usize::MAX)),
            Event::Directory(directory) => {
                let signed = directory.change.clone().unwrap_or_default();
                self.people.apply(position, at, &Change::read(&signed.payload)?);
            }
            Event::TakenOver(taken) => self.taken_over(at, &TakenOver::try_from(taken)?),
            Event::GivenAnew(anew) => {
                let (id, lane) = (parsed(&anew.id, "id")?, lane(anew.lane)?);
                self.inbox.given_anew(&id, lane, anew.number, anew.position);
            }
            Event::HandedOver(_) => self.inbox.handed_over(),
            Event::GivenBack(given) if given.id.is_empty() => {
                self.outbox.all_given_back(given.epoch, lane(given.lane)?);
            }
            Event::GivenBack(given) => self.outbox.given_back(&parsed(&given.id, "id")?),
        }
        Ok(())
    }

    fn accepted(
        &mut self,
        position: u64,
        at: Timestamp,
        accepted: &pb::JournalAccepted,
    ) -> Result<(), Refusal> {
        let header = accepted.header.as_ref().ok_or_else(|| Refusal::of(Reason::Malformed, "header"))?;
        let id: MessageId = parsed(&header.id, "header.id")?;
        // The journal of another country.
        if id.sender != *self.outbox.sender() {
            return Err(Refusal::of(Reason::WrongSender, "header.id"));
        }
        let audience = header.audience.clone().unwrap_or_default();
        let named = audience.countries.iter().map(|code| parsed(code, "header.audience.countries"));
        let sent = Sent {
            kind: kind(header.kind)?,
            accepted_at_entry: position,
            accepted_at: at,
            refers_to: i247_wire::parsed_option(&header.refers_to, "header.refers_to")?,
            operation: header.operation.clone(),
            seat: header.seat.clone(),
            named: named.collect::<Result<_, _>>()?,
            attachments: hashes(&header.attachments)?,
            facts: accepted.facts.clone().unwrap_or_default(),
            voided_at_entry: None,
            sealed: None,
            state: SentState::Waiting,
            answered_at_entry: None,
            status: None,
            id: id.clone(),
        };
        self.names.add(&id);
        if let Some(load) = &accepted.load {
            self.loads.taken(&Part::of(load)?, &id, at);
        }
        if !accepted.idempotency_key.is_empty() {
            let keyed = Keyed { id, draft: Hash::from_slice(&accepted.draft_hash) };
            self.keys.insert((accepted.officer.clone(), accepted.idempotency_key.clone()), keyed);
        }
        self.outbox.accepted(sent);
        Ok(())
    }

    fn answered(&mut self, at_entry: u64, result: &pb::SubmitResult) -> Result<(), Refusal> {
        let id = parsed(&result.id, "result.id")?;
        match &result.result {
            Some(pb::submit_result::Result::Acceptance(signed)) => {
                let acceptance = pb::Acceptance::decode(signed.payload.clone())
                    .map_err(|_| Refusal::of(Reason::Malformed, "result.acceptance"))?;
                let told = Acceptance::try_from(&acceptance)?;
                self.outbox.log_id = acceptance.log_id.to_vec();
                if acceptance.position > self.outbox.log_end_seen {
                    self.outbox.log_end_seen = acceptance.position;
                    self.outbox.newest_acceptance = Some(signed.clone());
                }
                self.outbox.answered(&id, SentState::Accepted(told), at_entry);
                if let Some(sent) = self.outbox.get(&id) {
                    self.posts.answered(sent);
                }
            }
            Some(pb::submit_result::Result::Refusal(refusal)) => {
                let refused = SentState::Refused(Refusal::try_from(refusal.clone())?);
                self.outbox.answered(&id, refused, at_entry);
            }
            None => return Err(Refusal::of(Reason::Malformed, "result")),
        }
        Ok(())
    }

    fn taken_over(&mut self, at: Timestamp, taken: &TakenOver) {
        if taken.first {
            self.outbox.log_id.clone_from(&taken.log_id);
            return;
        }
        self.outbox.take_over(taken);
        self.inbox.take_over(at, &taken.given);
    }

    fn voided(&mut self, position: u64, voided: &pb::JournalVoided) -> Result<(), Refusal> {
        let id = parsed(voided.header.as_ref().map_or("", |header| &header.id), "header.id")?;
        let why = Refusal::try_from(voided.refusal.clone().unwrap_or_default())?;
        if self.outbox.voided(&id, position, why) {
            self.cases.voided(&id);
        }
        Ok(())
    }

    fn epoch(&mut self, epoch: &pb::JournalEpoch) -> Result<(), Refusal> {
        for end in &epoch.mailbox {
            self.inbox.lost(lane(end.lane)?, end.received_up_to);
        }
        let mut given_up = Refusal::of(Reason::Behind, "id");
        given_up.next_step =
            "the bureau was restored from an older copy before the hub answered: send it again".into();
        self.loads.given_up(self.outbox.unanswered());
        let lost = epoch.lost.iter().map(|lost| Ok(((lost.epoch, lane(lost.lane)?), lost.known_up_to)));
        self.outbox.new_epoch(epoch.epoch, &given_up, lost.collect::<Result<_, Refusal>>()?);
        Ok(())
    }
}

/// A message that arrived, from its entry.
fn received(position: u64, at: Timestamp, arrived: &pb::JournalArrived) -> Result<Received, Refusal> {
    let header = i247_wire::decode_header(&arrived.header)?;
    Ok(Received {
        id: header.id,
        kind: header.kind,
        at_entry: position,
        lane: lane(arrived.lane)?,
        number: arrived.number,
        position: arrived.position,
        received_at: at,
        header_hash: i247_trust::header_hash(&arrived.header),
        signed_by: parsed(&arrived.signed_by, "signed_by")?,
        refers_to: header.refers_to,
        conversation: header.conversation,
        operation: header.operation.unwrap_or_default(),
        reply_stage: header.reply_stage,
        reply_by: header.reply_by,
        attachments: header.attachments,
        facts: arrived.facts.clone().unwrap_or_default(),
        opened: false,
        actioned: false,
    })
}

pub(crate) fn lane(number: i32) -> Result<Lane, Refusal> {
    known::<pb::Lane, Lane>(number, "lane")
}

fn kind(number: i32) -> Result<Kind, Refusal> {
    known::<pb::Kind, Kind>(number, "header.kind")
}

fn hashes(attachments: &[Bytes]) -> Result<Vec<Hash>, Refusal> {
    attachments.iter().map(|bytes| i247_wire::hash(bytes, "header.attachments")).collect()
}

#[cfg(test)]
#[path = "views_tests.rs"]
mod tests;
