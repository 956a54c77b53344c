//! Headers: bytes to noun and back, and the rules that a header must keep in itself.
//!
//! Rules that need the state (who may send what, whether a reference exists) are the router's.

use bytes::Bytes;
use i247_model::{Class, Header, Kind, Lane, Reason, Refusal, Seen, Sender, Timestamp};
use prost::Message as _;

use crate::envelope::{check_audience, parsed_audience};
use crate::{hash, hash_option, known, malformed, parsed, parsed_option, pb};

/// Largest encoded header, in bytes. All 196 countries by name, included and excluded, fit.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Most attachments of one message.
pub const MAX_ATTACHMENTS: usize = 32;

/// Longest name of an operation, in bytes.
pub const MAX_OPERATION_BYTES: usize = 64;

/// The header format that this program writes.
const VERSION: u32 = 1;

/// Decodes a header as an addressee does: fields that are not known are ignored.
///
/// # Errors
/// `TOO_LARGE` or `MALFORMED`, both of the class that spends no number: without a valid header
/// nobody can be held to it. The fields and the next step say which rule is broken.
pub fn decode_header(bytes: &[u8]) -> Result<Header, Refusal> {
    let wire = decode(bytes)?;
    Header::try_from(wire).map_err(spend_no_number)
}

/// Decodes a header as the hub does at submission: encoded again it must be the same bytes.
///
/// # Errors
/// As [`decode_header`], and `NOT_CANONICAL`.
pub fn decode_canonical_header(bytes: &[u8]) -> Result<Header, Refusal> {
    let wire = decode(bytes)?;
    if wire.encode_to_vec() != bytes {
        return Err(Refusal::of(Reason::NotCanonical, "header"));
    }
    Header::try_from(wire).map_err(spend_no_number)
}

/// The canonical bytes of a header.
pub fn encode_header(header: &Header) -> Bytes {
    pb::Header::from(header).encode_to_vec().into()
}

/// The rules of a header in itself, beyond what its type holds: which kind has which fields.
/// Whoever makes a header asks this before a number is spent; decoding asks it always.
///
/// # Errors
/// `MALFORMED`, `TOO_LARGE`, `BAD_AUDIENCE` or `WRONG_FIELD`, with every field that is wrong.
pub fn check_header(header: &Header) -> Result<(), Refusal> {
    check_shape(header)?;
    check_audience(&header.audience)?;
    if header.audience.as_referred && header.refers_to.is_none() {
        return Err(Refusal::of(Reason::BadAudience, "audience.as_referred"));
    }
    if header.exactly && header.explained_at.is_none() {
        let mut refusal = Refusal::of(Reason::WrongField, "explained_at");
        refusal.next_step = "name the directory position of the explanation, or leave out exactly".into();
        return Err(refusal);
    }
    check_kind(header)
}

/// Refuses with `MALFORMED` (or `TOO_LARGE`) what is no header, with `BAD_AUDIENCE` or
/// `WRONG_FIELD` a header that breaks the rules of its kind.
impl TryFrom<pb::Header> for Header {
    type Error = Refusal;

    fn try_from(wire: pb::Header) -> Result<Self, Refusal> {
        if wire.version != VERSION {
            return Err(malformed("version"));
        }
        if wire.attachments.len() > MAX_ATTACHMENTS {
            return Err(Refusal::of(Reason::TooLarge, "attachments"));
        }
        let reply_stage = match wire.reply_stage {
            0 => None,
            number => Some(known::<pb::ReplyStage, _>(number, "reply_stage")?),
        };
        let header = Self {
            id: parsed(&wire.id, "id")?,
            key_id: hash(&wire.key_id, "key_id")?,
            previous: hash_option(&wire.previous, "previous")?,
            kind: known::<pb::Kind, _>(wire.kind, "kind")?,
            refers_to: parsed_option(&wire.refers_to, "refers_to")?,
            conversation: parsed_option(&wire.conversation, "conversation")?,
            audience: parsed_audience(&wire.audience.unwrap_or_default())?,
            signed_at: Timestamp::from_millis(wire.signed_at_ms),
            expires_at: time(wire.expires_at_ms),
            reply_by: time(wire.reply_by_ms),
            reply_stage,
            reply_to_all: wire.reply_to_all,
            operation: text(wire.operation),
            seat: parsed_option(&wire.seat, "seat")?,
            service: parsed_option(&wire.service, "service")?,
            traceparent: text(wire.traceparent),
            seen: wire.seen.map(Seen::try_from).transpose()?,
            body_hash: hash(&wire.body_hash, "body_hash")?,
            commitment: hash(&wire.commitment, "commitment")?,
            wraps_root: hash_option(&wire.wraps_root, "wraps_root")?,
            attachments: wire
                .attachments
                .iter()
                .map(|bytes| hash(bytes, "attachments"))
                .collect::<Result<_, _>>()?,
            explained_at: (wire.explained_at > 0).then_some(wire.explained_at),
            exactly: wire.exactly,
        };
        check_header(&header)?;
        Ok(header)
    }
}

impl From<&Header> for pb::Header {
    fn from(header: &Header) -> Self {
        let bytes = |hash: &i247_model::Hash| Bytes::copy_from_slice(hash.as_bytes());
        let optional = |hash: &Option<i247_model::Hash>| hash.as_ref().map(bytes).unwrap_or_default();
        let millis = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_millis);
        Self {
            version: VERSION,
            id: header.id.to_string(),
            key_id: bytes(&header.key_id),
            previous: optional(&header.previous),
            kind: pb::Kind::from(header.kind).into(),
            refers_to: written(header.refers_to.as_ref()),
            conversation: written(header.conversation.as_ref()),
            audience: Some((&header.audience).into()),
            signed_at_ms: header.signed_at.as_millis(),
            expires_at_ms: millis(header.expires_at),
            reply_by_ms: millis(header.reply_by),
            reply_stage: header.reply_stage.map_or(0, |stage| pb::ReplyStage::from(stage).into()),
            reply_to_all: header.reply_to_all,
            operation: written(header.operation.as_ref()),
            seat: written(header.seat.as_ref()),
            service: written(header.service.as_ref()),
            traceparent: written(header.traceparent.as_ref()),
            seen: header.seen.as_ref().map(Into::into),
            body_hash: bytes(&header.body_hash),
            commitment: bytes(&header.commitment),
            wraps_root: optional(&header.wraps_root),
            attachments: header.attachments.iter().map(bytes).collect(),
            explained_at: header.explained_at.unwrap_or_default(),
            exactly: header.exactly,
        }
    }
}

fn decode(bytes: &[u8]) -> Result<pb::Header, Refusal> {
    if bytes.len() > MAX_HEADER_BYTES {
        return Err(Refusal::of(Reason::TooLarge, "header"));
    }
    pb::Header::decode(bytes).map_err(|_| malformed("header"))
}

/// A rule broken by the header itself is found before its signature is checked. A reason that
/// promises a void entry would then be untrue, so the reason becomes `MALFORMED`; what was wrong
/// stays readable in the fields and the next step.
fn spend_no_number(refusal: Refusal) -> Refusal {
    match refusal.reason.class() {
        Class::No => Refusal { reason: Reason::Malformed, ..refusal },
        Class::NotAttributable | Class::NotNow => refusal,
    }
}

/// Texts and times that the types of the noun leave open.
fn check_shape(header: &Header) -> Result<(), Refusal> {
    if header.attachments.len() > MAX_ATTACHMENTS {
        return Err(Refusal::of(Reason::TooLarge, "attachments"));
    }
    let mut wrong = Vec::new();
    let mut expect = |right: bool, field: &str| {
        if !right {
            wrong.push(field.to_owned());
        }
    };
    expect(header.refers_to.as_ref() != Some(&header.id), "refers_to");
    expect(header.conversation.as_ref() != Some(&header.id), "conversation");
    expect(header.operation.as_deref().is_none_or(is_operation), "operation");
    expect(header.traceparent.as_deref().is_none_or(is_traceparent), "traceparent");
    expect(header.signed_at.as_millis() > 0, "signed_at_ms");
    expect(header.expires_at.is_none_or(|end| end > header.signed_at), "expires_at_ms");
    expect(header.reply_by.is_none_or(|due| due.as_millis() > 0), "reply_by_ms");
    // The hub's own messages are numbered by the entry that made them; the log is their chain.
    if header.id.sender != Sender::Secretariat {
        expect(header.previous.is_some() == (header.id.number > 1), "previous");
    }
    if wrong.is_empty() { Ok(()) } else { Err(Refusal::of_fields(Reason::Malformed, wrong)) }
}

/// Which kind has which fields.
fn check_kind(header: &Header) -> Result<(), Refusal> {
    let mut wrong = Vec::new();
    let mut expect = |right: bool, field: &str| {
        if !right {
            wrong.push(field.to_owned());
        }
    };
    let request = header.kind == Kind::Request;
    expect(header.refers_to.is_some() || !header.kind.needs_reference(), "refers_to");
    expect(header.reply_by.is_some() == request, "reply_by_ms");
    expect(header.reply_stage.is_some() == (header.kind == Kind::Reply), "reply_stage");
    expect(request || !header.reply_to_all, "reply_to_all");
    expect(header.wraps_root.is_none() || !header.kind.examined(), "wraps_root");
    // One lane, so that no grant is overtaken by its withdrawal; the first, because a withdrawal does not wait.
    expect(header.kind != Kind::Grant || header.id.lane == Lane::VeryUrgent, "id");
    if wrong.is_empty() {
        return Ok(());
    }
    let next_step = format!("set the fields that a {} asks for, and only those", header.kind);
    Err(Refusal { next_step, ..Refusal::of_fields(Reason::WrongField, wrong) })
}

/// The operation that a text field names; none when it is empty.
///
/// # Errors
/// `MALFORMED` with the field, when it is none.
pub fn operation(text: &str, field: &str) -> Result<Option<String>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    if !is_operation(text) {
        let next_step = format!(
            "name the operation in lower-case letters, digits and dashes, at most {MAX_OPERATION_BYTES} of them"
        );
        return Err(Refusal { next_step, ..Refusal::of(Reason::Malformed, field) });
    }
    Ok(Some(text.to_owned()))
}

fn is_operation(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_OPERATION_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// `00-<32 hex>-<16 hex>-<2 hex>` in lower case, neither id all zeros.
fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length: usize| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        ["00", trace, span, flags] => is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2),
        _ => false,
    }
}

/// 0 stands for no time.
fn time(millis: u64) -> Option<Timestamp> {
    (millis > 0).then(|| Timestamp::from_millis(millis))
}

fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn written(noun: Option<&impl ToString>) -> String {
    noun.map(ToString::to_string).unwrap_or_default()
}
