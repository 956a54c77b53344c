//! What comes down a stream: each frame is checked and turned into journal notes, in batches.
//!
//! It must not write or answer; the uplink does, once the notes are durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use i247_model::{Class, CountryCode, Hash, Kind, Lane, MessageId, Reason, Refusal, Sender, Timestamp};
use i247_trust::Root;
use i247_wire::pb;
use i247_wire::pb::connect_response::Frame;
use i247_wire::pb::journal_entry::Event;
use i247_wire::pb::submit_result::Result as Outcome;
use prost::Message as _;

use crate::acceptances;
use crate::checks::{self, Signers};
use crate::facts::facts;
use crate::given_back::GivenBack;
use crate::greeting::{Halt, hub_behind};
use crate::inbox::Known;
use crate::journal::Note;
use crate::outbox::SentState;
use crate::spans;
use crate::views::Views;

/// Largest body and signature that are kept as evidence, in bytes; with the header they fit into one entry.
const MAX_EVIDENCE_BYTES: usize = i247_wire::MAX_BODY_BYTES + 1024;
const MAX_SIGNATURE_BYTES: usize = 4 * 1024;

/// Why a stream cannot go on.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Connect anew.
    Stream(String),
    /// The hub ended it and said why.
    Farewell(Refusal),
    /// Connecting anew would not help.
    Halt(Halt),
    /// The hub was recovered, and what that means is journaled: greet it anew.
    TakenOver,
}

/// What has gathered since the last write.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) notes: Vec<Note>,
    /// Size of the bodies in it, in bytes.
    pub(crate) bytes: usize,
    /// Deliveries that were taken: credit to be returned.
    pub(crate) deliveries: u32,
    /// Lanes whose receipt changed.
    pub(crate) lanes: BTreeSet<Lane>,
    /// The hub's last word on these came.
    pub(crate) answered: Vec<MessageId>,
    /// The hub wants these later.
    pub(crate) later: Vec<(MessageId, Option<Duration>, Reason)>,
    /// All of a lane has come back that this bureau had sent and lost.
    pub(crate) given_back: bool,
    /// What came back of it.
    own: BTreeMap<MessageId, Hash>,
    /// The hub does not believe the acceptance of a predecessor that came with these.
    pub(crate) disbelieved: Vec<MessageId>,
    /// Acceptances whose signatures are checked when no more frames are there.
    promised: Vec<(MessageId, pb::SubmitResult)>,
    statuses: BTreeMap<String, pb::MessageStatus>,
}

impl Batch {
    fn note(&mut self, note: impl Into<Note>) {
        let note = note.into();
        self.bytes += note.body.as_ref().map_or(0, bytes::Bytes::len);
        self.notes.push(note);
    }

    /// The notes to write, with the last status of each message.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        let statuses = std::mem::take(&mut self.statuses).into_values();
        let heard = statuses.map(|status| Event::Heard(pb::JournalHeard { status: Some(status) }).into());
        self.notes.extend(heard);
        std::mem::take(&mut self.notes)
    }
}

/// The receiving side of one stream.
pub(crate) struct Inbound {
    me: CountryCode,
    signers: Signers,
    /// Highest mailbox number taken, per lane, written or in the batch.
    up_to: [u64; 4],
    /// Highest mailbox number that the hub has handed out, per lane, as far as this stream shows. After a break it
    /// may lie below what is durable here: the hub has then missed a receipt and delivers again.
    handed: [u64; 4],
    /// Per sender and lane, the last message taken on this stream, written or in the batch.
    last: BTreeMap<(Sender, Lane), (u64, u64)>,
    /// Who asked for the notices that were taken on this stream, by their numbers.
    notices: BTreeMap<String, CountryCode>,
    log_id: bytes::Bytes,
}

impl Inbound {
    pub(crate) fn new(me: CountryCode, root: Arc<Root>, welcome: &pb::Welcome, views: &Views) -> Self {
        let mut handed = [0; 4];
        for end in &welcome.mailbox {
            if let Ok(lane) = crate::views::lane(end.lane) {
                handed[lane.index()] = end.received_up_to;
            }
        }
        let up_to = Lane::ALL.map(|lane| views.inbox.up_to(lane));
        let (signers, log_id) = (Signers::new(root), welcome.log_id.clone());
        Self { me, signers, up_to, handed, last: BTreeMap::new(), notices: BTreeMap::new(), log_id }
    }

    /// What a receipt may say of the lane: never more than the hub has handed out.
    pub(crate) fn receivable(&self, lane: Lane) -> u64 {
        self.handed[lane.index()]
    }

    /// Takes a frame into the batch.
    pub(crate) fn take(
        &mut self,
        frame: Option<Frame>,
        now: Timestamp,
        views: &Views,
        batch: &mut Batch,
    ) -> Result<(), Broken> {
        match frame {
            Some(Frame::Introduction(introduction)) => {
                if let Err(error) = self.signers.introduce(&introduction.certificates, now) {
                    // Its messages will be rejected one by one, as evidence.
                    tracing::error!(%error, "the hub introduced a signer who does not count");
                }
                Ok(())
            }
            Some(Frame::Result(result)) => self.result(result, views, batch),
            Some(Frame::Delivery(delivery)) => self.delivery(delivery, now, views, batch),
            Some(Frame::Progress(progress)) => {
                progress.statuses.into_iter().for_each(|status| heard(status, views, batch));
                Ok(())
            }
            Some(Frame::Farewell(refusal)) => {
                let refusal = Refusal::try_from(refusal).map_err(|refusal| stream("farewell", &refusal))?;
                Err(Broken::Farewell(refusal))
            }
            Some(Frame::GivenBack(given)) => {
                let given = GivenBack::read(given, &self.signers, views);
                given.notes.into_iter().for_each(|note| batch.note(note));
                batch.given_back |= given.message.is_none();
                batch.own.extend(given.message);
                Ok(())
            }
            Some(Frame::Welcome(_)) | None => Err(Broken::Stream("a frame that has no place here".into())),
        }
    }

    fn result(&self, result: pb::SubmitResult, views: &Views, batch: &mut Batch) -> Result<(), Broken> {
        let id: MessageId =
            i247_wire::parsed(&result.id, "result.id").map_err(|why| stream("result", &why))?;
        let refusal = match &result.result {
            Some(Outcome::Acceptance(_)) => {
                batch.promised.push((id, result));
                return Ok(());
            }
            Some(Outcome::Refusal(refusal)) => {
                Refusal::try_from(refusal.clone()).map_err(|why| stream("refusal", &why))?
            }
            None => return Err(Broken::Stream("a result without a result".into())),
        };
        let sent = views.outbox.get(&id).filter(|sent| sent.sealed.is_some());
        let sent = sent.ok_or_else(|| Broken::Stream(format!("a refusal of {id}, which was never sent")))?;
        match refusal.reason.class() {
            Class::NotNow if refusal.reason == Reason::Behind => {
                return Err(Broken::Halt(hub_behind(&refusal)));
            }
            Class::NotNow => {
                tracing::debug!(message_id = %id, reason = %refusal.reason, "not now");
                batch.later.push((id, refusal.retry_after, refusal.reason));
                return Ok(());
            }
            Class::NotAttributable if sent.lost_acceptance().is_some() && about_acceptance(&refusal) => {
                tracing::warn!(message_id = %id, %refusal, "the hub does not believe its predecessor's acceptance");
                batch.later.push((id.clone(), refusal.retry_after, refusal.reason));
                batch.disbelieved.push(id);
                return Ok(());
            }
            // No number was spent, so the lane cannot go on without this message.
            Class::NotAttributable => {
                return Err(Broken::Halt(Halt::Other(format!("the hub refuses {id}: {refusal}"))));
            }
            Class::No if matches!(sent.state, SentState::Accepted(_)) => {
                tracing::warn!(
                    message_id = %id, reason = %refusal.reason, fields = ?refusal.fields,
                    "refused by the recovered hub; what it had accepted before stays accepted: tell the secretariat"
                );
            }
            Class::No => tracing::warn!(message_id = %id, reason = %refusal.reason, "refused"),
        }
        batch.note(Event::Answered(pb::JournalAnswered { result: Some(result) }));
        batch.answered.push(id);
        Ok(())
    }

    /// Checks the acceptances that have gathered, together. Nothing may be written before.
    pub(crate) fn settle(&self, views: &Views, batch: &mut Batch) -> Result<(), Broken> {
        let promised = std::mem::take(&mut batch.promised);
        let promises = promised.iter().filter_map(|(id, result)| match &result.result {
            Some(Outcome::Acceptance(signed)) => Some((id, signed)),
            Some(Outcome::Refusal(_)) | None => None,
        });
        acceptances::check(promises, &self.signers, &self.log_id, views)
            .map_err(|why| stream("acceptance", &why))?;
        for (id, result) in promised {
            let before = views.outbox.get(&id).map(|sent| &sent.state);
            if let Some(SentState::Refused(refusal)) = before
                && views.outbox.again().contains(&id)
            {
                tracing::warn!(message_id = %id, %refusal, "accepted by the recovered hub, which had refused it before");
            }
            batch.note(Event::Answered(pb::JournalAnswered { result: Some(result) }));
            batch.answered.push(id);
        }
        Ok(())
    }

    fn delivery(
        &mut self,
        delivery: pb::Delivery,
        now: Timestamp,
        views: &Views,
        batch: &mut Batch,
    ) -> Result<(), Broken> {
        use pb::delivery::Content;
        let lane = crate::views::lane(delivery.lane).map_err(|why| stream("delivery", &why))?;
        let up_to = self.up_to[lane.index()];
        if delivery.number <= up_to && !fills_gap(lane, &delivery, views) {
            repeated(lane, &delivery, views, batch)?;
            let handed = &mut self.handed[lane.index()];
            *handed = delivery.number.max(*handed);
            return Ok(());
        }
        // After a loss the hub goes on either where this bureau stands or behind what it knows to be delivered.
        let lost = views.inbox.lost_up_to(lane);
        if delivery.number > up_to + 1 && !(up_to < lost && delivery.number == lost + 1) {
            let hole = format!("mailbox number {} of the {lane} lane follows {up_to}", delivery.number);
            return Err(Broken::Stream(hole));
        }
        let (number, position) = (delivery.number, delivery.position);
        match delivery.content {
            Some(Content::Gap(gap)) => {
                let lane = pb::Lane::from(lane).into();
                batch.note(Event::Gap(pb::JournalGap { lane, number, position, gap }));
            }
            Some(Content::Envelope(envelope)) => {
                let place = Place { lane, number, position, accepted_at_ms: delivery.accepted_at_ms };
                let note = self.message(&place, envelope, now, (views, &batch.own));
                batch.note(note);
            }
            None => return Err(Broken::Stream("a delivery without content".into())),
        }
        for last in [&mut self.up_to[lane.index()], &mut self.handed[lane.index()]] {
            *last = number.max(*last);
        }
        batch.lanes.insert(lane);
        batch.deliveries += 1;
        Ok(())
    }

    /// A sender's messages come in the order of their numbers, each once: the hub can neither hand out an old one
    /// under a new mailbox number nor turn two round, but for what comes back to it after a recovery.
    fn check_turn(&self, place: &Place, id: &MessageId, views: &Views) -> Result<(), Refusal> {
        let lane = place.lane;
        if id.lane != lane {
            return Err(Refusal::of(Reason::WrongField, "delivery.lane"));
        }
        let last = match self.last.get(&(id.sender.clone(), lane)) {
            Some(last) => *last,
            None => views.inbox.last_of(&id.sender, lane),
        };
        let this = (id.epoch, id.number);
        if this <= last && (this == last || !comes_back(place, id, views)) {
            return Err(Refusal::of(Reason::OutOfOrder, "header.id"));
        }
        Ok(())
    }

    /// Whether the message is here already, from before a recovery of the hub.
    fn check_held(&self, id: &MessageId, hash: Hash, views: &Views) -> Result<bool, Refusal> {
        match views.inbox.get(id) {
            Some(held) if held.header_hash != hash => Err(Refusal::of(Reason::NumberReused, "header.id")),
            held => Ok(held.is_some()),
        }
    }

    /// A message that passed the checks, or the evidence against it.
    fn message(
        &mut self,
        place: &Place,
        envelope: pb::Envelope,
        now: Timestamp,
        (views, own): (&Views, &BTreeMap<MessageId, Hash>),
    ) -> Note {
        let accepted_at = Timestamp::from_millis(place.accepted_at_ms);
        let known = checks::Known {
            asked: &|id| {
                let given_back = own.get(id).copied();
                given_back.or_else(|| Some(views.outbox.get(id)?.sealed?.header_hash))
            },
            requester: &|notice_id| {
                let taken = self.notices.get(notice_id).copied();
                taken.or_else(|| Some(views.inbox.notice(notice_id)?.requester))
            },
        };
        let body_bytes = Some(envelope.body.clone()).filter(|body| !body.is_empty());
        let (lane, number, position) = (pb::Lane::from(place.lane).into(), place.number, place.position);
        let opened = checks::open(self.me, &envelope, accepted_at, &self.signers, &known);
        let in_turn = opened.and_then(|(attested, body)| {
            let id = &attested.header().id;
            self.check_turn(place, id, views)?;
            let held = self.check_held(id, attested.header_hash(), views)?;
            Ok((attested, body, held))
        });
        let (attested, body, held) = match in_turn {
            Ok(opened) => opened,
            Err(refusal) => {
                tracing::error!(
                    lane = %place.lane, number, reason = %refusal.reason, fields = ?refusal.fields,
                    "a delivery failed the checks: kept as evidence, tell the secretariat"
                );
                return evidence(place, envelope, &refusal);
            }
        };
        let header = attested.header();
        let last = self.last.entry((header.id.sender.clone(), place.lane)).or_default();
        *last = (header.id.epoch, header.id.number).max(*last);
        spans::arrive(header, self.me, accepted_at, now)
            .in_scope(|| tracing::debug!(lane = %place.lane, number, held, "delivered"));
        if held {
            let id = header.id.to_string();
            return Event::GivenAnew(pb::JournalGivenAnew { id, lane, number, position }).into();
        }
        let facts = body.as_ref().map(facts);
        if let Some(facts) = facts.as_ref().filter(|_| header.kind == Kind::Notice)
            && let Ok(requester) = facts.requester.parse()
        {
            self.notices.insert(facts.notice_id.clone(), requester);
        }
        let arrived = pb::JournalArrived {
            lane,
            number,
            position,
            accepted_at_ms: place.accepted_at_ms,
            header: envelope.header,
            signature: envelope.signature,
            signed_by: attested.signer().identity.to_string(),
            facts,
        };
        Note { event: Event::Arrived(arrived), body: body_bytes }
    }
}

/// What is kept of a delivery that failed the checks. What no message can be is no evidence against its sender, and the
/// journal has limits.
fn evidence(place: &Place, envelope: pb::Envelope, refusal: &Refusal) -> Note {
    let rejected = pb::JournalRejected {
        lane: pb::Lane::from(place.lane).into(),
        number: place.number,
        position: place.position,
        header: within(envelope.header, i247_wire::MAX_HEADER_BYTES).unwrap_or_default(),
        signature: envelope.signature.filter(|kept| kept.encoded_len() <= MAX_SIGNATURE_BYTES),
        refusal: Some(pb::Refusal::from(refusal)),
    };
    let body = Some(envelope.body).filter(|body| !body.is_empty());
    Note { event: Event::Rejected(rejected), body: body.and_then(|body| within(body, MAX_EVIDENCE_BYTES)) }
}

/// Whether a refusal is about the acceptance of a predecessor, and not about the message that it came with.
fn about_acceptance(refusal: &Refusal) -> bool {
    refusal.fields.iter().all(|field| field.starts_with("acceptance"))
}

/// These bytes, unless there are more than that.
fn within(bytes: bytes::Bytes, limit: usize) -> Option<bytes::Bytes> {
    Some(bytes).filter(|bytes| bytes.len() <= limit)
}

/// Where a delivery stands.
struct Place {
    lane: Lane,
    number: u64,
    position: u64,
    accepted_at_ms: u64,
}

/// Whether somebody else than its sender may have brought the message back to a recovered hub, and it has no number of
/// the hub's present log yet.
fn comes_back(place: &Place, id: &MessageId, views: &Views) -> bool {
    let accepted_at = Timestamp::from_millis(place.accepted_at_ms);
    views.inbox.came_back_until(accepted_at) && views.inbox.get(id).is_none_or(|held| held.number == 0)
}

/// Whether this is a message that had been taken back before it came, and a hub that was restored from an older copy does
/// not know that. Then it has come after all, and its end will. What had expired is not wanted any more.
fn fills_gap(lane: Lane, delivery: &pb::Delivery, views: &Views) -> bool {
    matches!(delivery.content, Some(pb::delivery::Content::Envelope(_)))
        && views.inbox.known(lane, delivery.number) == Known::TakenBack
}

/// A number that came before: the same message is fine, another one is not.
fn repeated(lane: Lane, delivery: &pb::Delivery, views: &Views, batch: &mut Batch) -> Result<(), Broken> {
    if let Some(pb::delivery::Content::Envelope(envelope)) = &delivery.content
        && let Known::Message(known) = views.inbox.known(lane, delivery.number)
    {
        let id = i247_wire::decode_header(&envelope.header).map(|header| header.id);
        if id.as_ref() != Ok(known) {
            return Err(Broken::Halt(Halt::Other(format!(
                "mailbox number {} of the {lane} lane is {known} here, and the hub delivers another message under \
                 it: tell the secretariat",
                delivery.number
            ))));
        }
    }
    batch.lanes.insert(lane);
    batch.deliveries += 1;
    Ok(())
}

/// Notes a status when it says something new. Only messages of this bureau have one.
pub(crate) fn heard(status: pb::MessageStatus, views: &Views, batch: &mut Batch) {
    let Ok(id) = status.id.parse::<MessageId>() else { return };
    let known = views.outbox.get(&id);
    if known.is_some_and(|sent| sent.status.as_ref() != Some(&status)) {
        batch.statuses.insert(status.id.clone(), status);
    }
}

fn stream(what: &str, why: &Refusal) -> Broken {
    Broken::Stream(format!("{what}: {why}"))
}
