//! From an officer's draft to a message that only lacks its number: resolved, completed and checked.
//!
//! Pure. Whatever the hub would refuse for its own content is refused here, before a number is spent, with the fields
//! and the next step. It must not write or send.

use bytes::Bytes;
use i247_model::{
    Audience, CountryCode, Hash, Header, Identity, Kind, Lane, MessageId, Name, Party, Reason, Refusal,
    Timestamp,
};
use i247_wire::{known, pb};
use prost::Message as _;

use crate::facts::facts;
use crate::journal::Numberless;
use crate::policy::reply_time;
use crate::views::Views;

/// Longest key of a caller, in bytes.
pub(crate) const MAX_KEY_BYTES: usize = 128;
/// Keys that begin so are the national system's own.
const AUTOMATIC: &str = "auto:";

/// What a draft is checked against.
pub(crate) struct Desk<'a> {
    pub(crate) me: CountryCode,
    pub(crate) now: Timestamp,
    pub(crate) views: &'a Views,
    /// Notes of the attachments that the draft names, as stored here; none where one is not here.
    pub(crate) notes: Vec<Option<pb::AttachmentNote>>,
}

/// Resolves, completes and checks a draft of `author`.
///
/// # Errors
/// A refusal with every field at fault and the next step.
pub(crate) fn prepare(
    draft: pb::Draft,
    author: &Identity,
    desk: &Desk<'_>,
    salt: [u8; 16],
) -> Result<Numberless, Refusal> {
    let kind: Kind = known::<pb::Kind, Kind>(draft.kind, "draft.kind")?;
    check_kind(kind)?;
    check_key(&draft.idempotency_key, author, desk.me)?;
    let refers_to = reference(kind, &draft.refers_to, desk)?;
    let lane = lane(kind, &draft, refers_to.as_ref())?;
    let mut body = draft.body.clone().ok_or_else(|| Refusal::of(Reason::MissingData, "draft.body"))?;
    complete_body(&mut body, refers_to.as_ref(), desk)?;
    check_content(kind, &body)?;
    let attachments = draft.attachments.iter().map(|bytes| i247_wire::hash(bytes, "draft.attachments"));
    let audience = audience(kind, &draft, refers_to.as_ref(), desk)?;
    let carried = i247_trust::carry(&body, salt);
    // The number and the chain are fixed when the draft is written and sealed. Until then they stand for a message
    // that no other can refer to yet.
    let number = desk.views.outbox.lane(lane).numbered + 1;
    let header = Header {
        id: desk.views.outbox.id(lane, number),
        key_id: Hash([0; 32]),
        previous: (number > 1).then_some(Hash([0; 32])),
        kind,
        conversation: conversation(refers_to.as_ref(), desk),
        refers_to,
        audience,
        signed_at: desk.now,
        expires_at: later(draft.expires_at_ms, "draft.expires_at_ms", desk.now)?,
        reply_by: reply_by(kind, &draft, lane, desk.now)?,
        reply_stage: reply_stage(kind, &draft)?,
        reply_to_all: draft.reply_to_all,
        operation: Some(draft.operation.clone()).filter(|operation| !operation.is_empty()),
        seat: seat(author),
        service: i247_wire::parsed_option(&draft.service, "draft.service")?,
        traceparent: i247_node::trace::traceparent(),
        seen: None,
        body_hash: carried.body_hash,
        commitment: carried.commitment,
        wraps_root: None,
        attachments: attachments.collect::<Result<_, _>>()?,
        explained_at: (draft.explained_at > 0).then_some(draft.explained_at),
        exactly: draft.exactly,
    };
    i247_wire::check_header(&header)?;
    let accepted = pb::JournalAccepted {
        header: Some(pb::Header::from(&header)),
        facts: Some(facts(&body)),
        officer: author.to_string(),
        idempotency_key: draft.idempotency_key,
        draft_hash: Bytes::new(),
        load: None,
    };
    Ok(Numberless { accepted, lane, body: carried.bytes })
}

/// What a draft says, as a key of its caller stands for it; none where any draft under the key is the same message.
///
/// A caller who hands it in again counts deadlines from a later time, has it explained anew and stores its attachments
/// anew: the first two do not count, and attachments count by their contents.
pub(crate) fn digest(draft: &pb::Draft, contents: &[Option<Hash>]) -> Option<Hash> {
    let key = &draft.idempotency_key;
    // The national system's keys name what it answers: whatever it would say now, it has said something.
    if key.is_empty() || key.starts_with(AUTOMATIC) {
        return None;
    }
    let content = |hash: &Option<Hash>| hash.map_or_else(Bytes::new, bytes_of);
    let said = pb::Draft {
        idempotency_key: String::new(),
        reply_by_ms: 0,
        expires_at_ms: 0,
        explained_at: 0,
        attachments: contents.iter().map(content).collect(),
        ..draft.clone()
    };
    Some(i247_trust::sha256(&[b"i247 draft", &said.encode_to_vec()]))
}

/// The signed void that takes the number of a message which can never be sent, told to the secretariat.
pub(crate) fn void(
    id: &MessageId,
    reason: &str,
    why: &Refusal,
    salt: [u8; 16],
) -> (pb::JournalVoided, Bytes) {
    let body = pb::Body {
        subject: format!("{id} is void"),
        language: "EN".into(),
        form: Some(pb::body::Form::Void(pb::Void { reason: reason.into() })),
        ..Default::default()
    };
    let carried = i247_trust::carry(&body, salt);
    let header = pb::Header {
        version: 1,
        id: id.to_string(),
        kind: pb::Kind::Void.into(),
        audience: Some(pb::Audience::from(&Audience::secretariat())),
        body_hash: bytes_of(carried.body_hash),
        commitment: bytes_of(carried.commitment),
        ..Default::default()
    };
    (pb::JournalVoided { header: Some(header), refusal: Some(why.into()) }, carried.bytes)
}

/// The audience of a draft for an `explain`: completed, but nothing else of the draft checked.
pub(crate) fn explain(draft: &pb::Draft, desk: &Desk<'_>) -> Result<pb::ExplainRequest, Refusal> {
    let kind: Kind = known::<pb::Kind, Kind>(draft.kind, "draft.kind")?;
    let refers_to = reference(kind, &draft.refers_to, desk)?;
    let audience = audience(kind, draft, refers_to.as_ref(), desk)?;
    let except = match draft.body.as_ref().and_then(|body| body.form.as_ref()) {
        Some(pb::body::Form::NoticeRequest(request)) => request.except.clone(),
        _ => Vec::new(),
    };
    Ok(pb::ExplainRequest {
        kind: draft.kind,
        audience: Some(pb::Audience::from(&audience)),
        refers_to: refers_to.map_or_else(String::new, |id| id.to_string()),
        except,
    })
}

fn check_kind(kind: Kind) -> Result<(), Refusal> {
    match kind {
        Kind::NoticeRequest
        | Kind::Cancellation
        | Kind::Diffusion
        | Kind::Withdrawal
        | Kind::Request
        | Kind::Reply
        | Kind::PersonLocated
        | Kind::ArrestReport
        | Kind::NationalDecision
        | Kind::FreeText
        | Kind::Restriction
        | Kind::Grant
        | Kind::HitDecision
        | Kind::HitAction => Ok(()),
        Kind::ReviewDecision
        | Kind::Notice
        | Kind::Addendum
        | Kind::Reminder
        | Kind::Escalation
        | Kind::Void
        | Kind::NewEpoch
        | Kind::Records
        | Kind::Hit => {
            let mut refusal = Refusal::of(Reason::KindNotAllowed, "draft.kind");
            refusal.next_step = format!("a {kind} is not sent from a bureau's desk: choose another kind");
            Err(refusal)
        }
    }
}

fn check_key(key: &str, author: &Identity, me: CountryCode) -> Result<(), Refusal> {
    let own = *author == Identity::Bureau(me);
    if key.len() > MAX_KEY_BYTES || (key.starts_with(AUTOMATIC) && !own) {
        let mut refusal = Refusal::of(Reason::WrongField, "draft.idempotency_key");
        refusal.next_step =
            format!("use a key of at most {MAX_KEY_BYTES} bytes that does not begin with {AUTOMATIC}");
        return Err(refusal);
    }
    Ok(())
}

/// The message referred to, and whether it is one that this kind can refer to.
fn reference(kind: Kind, text: &str, desk: &Desk<'_>) -> Result<Option<MessageId>, Refusal> {
    const FIELD: &str = "draft.refers_to";
    if text.is_empty() {
        if !kind.needs_reference() {
            return Ok(None);
        }
        let mut refusal = Refusal::of(Reason::MissingData, FIELD);
        refusal.next_step = format!("name the message that the {kind} is about");
        return Err(refusal);
    }
    let id = desk.views.names.find(text, FIELD)?;
    let sent = desk.views.outbox.get(&id).map(|sent| sent.kind);
    let received = desk.views.inbox.get(&id).map(|received| received.kind);
    let (right, expected) = match kind {
        Kind::Reply => (received == Some(Kind::Request), "a request that you received"),
        Kind::Withdrawal => (sent == Some(Kind::Diffusion), "a diffusion that you sent"),
        Kind::NoticeRequest | Kind::Cancellation => {
            (sent == Some(Kind::NoticeRequest), "a notice request that you sent")
        }
        Kind::PersonLocated | Kind::ArrestReport | Kind::NationalDecision => {
            (received == Some(Kind::Notice), "a notice that you received")
        }
        Kind::HitDecision => (received == Some(Kind::Hit), "a hit that you were told of"),
        Kind::HitAction => {
            (received == Some(Kind::HitDecision), "an owner's decision on a hit that you received")
        }
        _ => (true, ""),
    };
    if right {
        return Ok(Some(id));
    }
    let mut refusal = Refusal::of(Reason::WrongReference, FIELD);
    refusal.next_step = format!("{id} is not {expected}");
    Err(refusal)
}

/// Its own lane, else the one of its kind or of the message referred to, else normal.
fn lane(kind: Kind, draft: &pb::Draft, refers_to: Option<&MessageId>) -> Result<Lane, Refusal> {
    if draft.lane() == pb::Lane::Unspecified && draft.lane == 0 {
        if kind == Kind::Grant {
            return Ok(Lane::VeryUrgent);
        }
        return Ok(refers_to.map_or(Lane::Normal, |id| id.lane));
    }
    known::<pb::Lane, Lane>(draft.lane, "draft.lane")
}

/// Fills in what follows from elsewhere: notes of attachments, and the other side's reference.
fn complete_body(body: &mut pb::Body, refers_to: Option<&MessageId>, desk: &Desk<'_>) -> Result<(), Refusal> {
    let mut notes = Vec::with_capacity(desk.notes.len());
    for note in &desk.notes {
        let Some(note) = note else {
            let mut refusal = Refusal::of(Reason::AttachmentMissing, "draft.attachments");
            refusal.next_step = "add the attachment at the desk first, then name what it answered".into();
            return Err(refusal);
        };
        notes.push(note.clone());
    }
    if body.attachments.is_empty() {
        body.attachments = notes;
    } else if body.attachments.len() != notes.len() {
        let mut refusal = Refusal::of(Reason::WrongField, "draft.body.attachments");
        refusal.next_step = "leave it empty, or give one note for each attachment".into();
        return Err(refusal);
    }
    let theirs = refers_to.and_then(|id| desk.views.inbox.get(id));
    if let Some(received) = theirs.filter(|_| body.your_ref.is_empty()) {
        body.your_ref.clone_from(&received.facts.our_ref);
    }
    Ok(())
}

fn check_content(kind: Kind, body: &pb::Body) -> Result<(), Refusal> {
    i247_wire::check_body(kind, body)?;
    let lifted = i247_wire::lift(kind, body)?;
    if !lifted.missing.is_empty() {
        return Err(Refusal::of_fields(Reason::MissingData, lifted.missing));
    }
    match lifted.leave.and_then(|leave| leave.grant?.fault()) {
        None => Ok(()),
        Some((field, next_step)) => {
            Err(Refusal { next_step: next_step.into(), ..Refusal::of(Reason::WrongField, field) })
        }
    }
}

/// The audience as given, or the one that the kind implies.
fn audience(
    kind: Kind,
    draft: &pb::Draft,
    refers_to: Option<&MessageId>,
    desk: &Desk<'_>,
) -> Result<Audience, Refusal> {
    let given = draft.audience.clone().unwrap_or_default();
    if given == pb::Audience::default() {
        return implied(kind, refers_to, desk).ok_or_else(|| {
            let mut refusal = Refusal::of(Reason::BadAudience, "draft.audience");
            refusal.next_step = format!("say who is to receive the {kind}");
            refusal
        });
    }
    Audience::try_from(sorted(given))
}

fn implied(kind: Kind, refers_to: Option<&MessageId>, desk: &Desk<'_>) -> Option<Audience> {
    let received = refers_to.and_then(|id| desk.views.inbox.get(id));
    match kind {
        Kind::NoticeRequest | Kind::Restriction | Kind::Grant => Some(Audience::secretariat()),
        Kind::Withdrawal | Kind::Cancellation | Kind::HitDecision => Some(Audience::as_referred()),
        Kind::HitAction => {
            let owner = received?.id.sender.party().country();
            Some(Audience { secretariat: true, ..Audience::countries(owner) })
        }
        Kind::Reply => Some(match received?.id.sender.party() {
            Party::Bureau(country) => Audience::countries([country]),
            Party::Secretariat => Audience::secretariat(),
        }),
        Kind::PersonLocated | Kind::ArrestReport | Kind::NationalDecision => {
            let owner: CountryCode = received?.facts.requester.parse().ok()?;
            Some(Audience::countries([owner]).copies([Party::Secretariat]))
        }
        _ => None,
    }
}

/// The wire wants lists sorted and without repetition; officers need not care.
fn sorted(mut audience: pb::Audience) -> pb::Audience {
    let lists = [&mut audience.regions, &mut audience.countries, &mut audience.except, &mut audience.copies];
    for list in lists {
        list.sort_unstable();
        list.dedup();
    }
    audience
}

fn conversation(refers_to: Option<&MessageId>, desk: &Desk<'_>) -> Option<MessageId> {
    let id = refers_to?;
    let received = desk.views.inbox.get(id).and_then(|received| received.conversation.clone());
    Some(received.unwrap_or_else(|| id.clone()))
}

fn later(at_ms: u64, field: &str, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    if at_ms == 0 {
        return Ok(None);
    }
    let at = Timestamp::from_millis(at_ms);
    if at > now {
        return Ok(Some(at));
    }
    let mut refusal = Refusal::of(Reason::WrongField, field);
    refusal.next_step = "give a time in the future, in milliseconds since 1970-01-01 UTC".into();
    Err(refusal)
}

fn reply_by(kind: Kind, draft: &pb::Draft, lane: Lane, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let given = later(draft.reply_by_ms, "draft.reply_by_ms", now)?;
    Ok(if kind == Kind::Request { Some(given.unwrap_or_else(|| now.plus(reply_time(lane)))) } else { given })
}

fn reply_stage(kind: Kind, draft: &pb::Draft) -> Result<Option<i247_model::ReplyStage>, Refusal> {
    if draft.reply_stage == 0 {
        // An answer is the last word unless it says otherwise.
        return Ok((kind == Kind::Reply).then_some(i247_model::ReplyStage::Final));
    }
    known::<pb::ReplyStage, i247_model::ReplyStage>(draft.reply_stage, "draft.reply_stage").map(Some)
}

pub(crate) fn seat(author: &Identity) -> Option<Name> {
    match author {
        Identity::Officer(_, name) | Identity::Post(_, name) => Some(name.clone()),
        _ => None,
    }
}

/// The message that begins an epoch: the first of the most urgent lane, told to the secretariat.
///
/// # Errors
/// When the reason is not one line of text.
pub(crate) fn new_epoch(
    me: CountryCode,
    epoch: u64,
    reason: &str,
    author: &Identity,
    salt: [u8; 16],
) -> Result<(pb::JournalAccepted, Bytes), Refusal> {
    let body = pb::Body {
        subject: format!("Epoch {epoch} begins"),
        language: "EN".into(),
        form: Some(pb::body::Form::NewEpoch(pb::NewEpoch { epoch, reason: reason.into() })),
        ..Default::default()
    };
    // What the hub refuses here could not be sent again: the epoch would be open and its first message stuck.
    check_content(Kind::NewEpoch, &body)?;
    let carried = i247_trust::carry(&body, salt);
    let sender = i247_model::Sender::Bureau(me);
    let id = MessageId { sender, epoch, lane: Lane::VeryUrgent, number: 1 };
    let header = pb::Header {
        version: 1,
        id: id.to_string(),
        kind: pb::Kind::NewEpoch.into(),
        audience: Some(pb::Audience::from(&Audience::secretariat())),
        seat: seat(author).map_or_else(String::new, |seat| seat.to_string()),
        body_hash: bytes_of(carried.body_hash),
        commitment: bytes_of(carried.commitment),
        ..Default::default()
    };
    let accepted = pb::JournalAccepted {
        header: Some(header),
        facts: Some(facts(&body)),
        officer: author.to_string(),
        idempotency_key: format!("{AUTOMATIC}epoch:{epoch}"),
        draft_hash: Bytes::new(),
        load: None,
    };
    Ok((accepted, carried.bytes))
}

fn bytes_of(hash: Hash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
