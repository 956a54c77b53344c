//! One message from its submission to the last receipt: what happened, why each receives, who signed, and where the log
//! has it. Never its body.

use bytes::Bytes;
use i247_ledger::{Body, Position, Record};
use i247_model::{Audience, Header, Reason, Refusal, Timestamp, hexadecimal};
use i247_router::{MessageRef, admitted_by};
use i247_trust::{Certificate, Door, header_hash, open_many};
use i247_wire::pb;
use prost::Message as _;

use super::country::facts;
use crate::core::Core;
use crate::past::{self, Found};
use crate::views::envelope_of;

/// What is known of the one message whose id begins so.
///
/// # Errors
/// `UNKNOWN_REFERENCE` when there is none, or more than one; `READ_ONLY` when the log cannot be read.
pub(super) async fn trace(core: &Core, prefix: String) -> Result<pb::TraceResponse, Refusal> {
    let found = past::ask(core, move |views| {
        let found = past::with_prefix(views, &prefix, 2)?;
        let [id] = found.as_slice() else { return Ok(None) };
        Ok(past::find_whole(views, id)?.map(|found| (id.clone(), found)))
    });
    let (id, found) = found.await?.ok_or_else(|| Refusal::of(Reason::UnknownReference, "id"))?;
    let place = found.item.place;
    let record = read(core, place).await?;
    let envelope = envelope_of(&record, place.n)?;
    let bare = pb::Envelope { body: Bytes::new(), ..envelope.clone() };
    let header = i247_wire::decode_header(&envelope.header)?;
    let mut events = Vec::new();
    // What the hub made itself was signed when it was decided.
    if found.item.header_hash.is_some() {
        events.push(event(header.signed_at, 0, &id.sender.to_string(), "signed"));
    }
    let decided = if found.item.refused.is_some() { "refused" } else { "accepted" };
    events.push(event(found.item.at, place.position, "IPSG", decided));
    for one in &found.item.events {
        events.push(event(one.at, one.position, &one.party.to_string(), &one.state.to_string()));
    }
    Ok(pb::TraceResponse {
        status: found.status(),
        kind: found.item.kind.to_string(),
        sender: id.sender.to_string(),
        refers_to: found.item.refers_to.as_ref().map(ToString::to_string).unwrap_or_default(),
        operation: found.item.operation.clone().unwrap_or_default(),
        events,
        recipients: recipients(&found, &header, &record),
        place: Some(pb::PlaceInLog {
            body: body(core, &record, &envelope, &found).into(),
            holds: header.id == id
                && found.item.header_hash.is_none_or(|known| known == header_hash(&bare.header)),
            ..place_of(core, &record, place, &bare)
        }),
        signature: Some(signature(core, &bare, &header, found.item.at)),
        trace_id: header.traceparent.as_deref().and_then(trace_id).unwrap_or_default(),
        conversation: header.conversation.as_ref().unwrap_or(&id).to_string(),
        lane: pb::Lane::from(id.lane).into(),
        header: Some(header_facts(&header)),
        refusal: found.item.refused.as_ref().map(Into::into),
    })
}

fn event(at: Timestamp, position: u64, party: &str, event: &str) -> pb::TraceEvent {
    pb::TraceEvent { at_ms: at.as_millis(), position, party: party.into(), event: event.into() }
}

async fn read(core: &Core, place: MessageRef) -> Result<Record, Refusal> {
    let read = core.ledger.read(Position(place.position), 1, usize::MAX).await;
    let records = read.map_err(|error| {
        tracing::error!(%error, position = place.position, "a trace cannot read the log");
        Refusal::of(Reason::ReadOnly, "position")
    })?;
    records.into_iter().next().ok_or_else(|| Refusal::of(Reason::ReadOnly, "position"))
}

/// Why each receives: the words of the header, and who was suspended when it was decided.
fn recipients(found: &Found, header: &Header, record: &Record) -> Vec<pb::TraceRecipient> {
    let Some(message) = &found.message else { return Vec::new() };
    let entry = pb::Entry::decode(record.entry.clone()).unwrap_or_default();
    let decision = entry.decision.and_then(|decision| decision.decision);
    let places = match (decision, found.item.place.n.checked_sub(1)) {
        (Some(pb::decision::Decision::Accepted(accepted)), None) => accepted.places,
        (Some(pb::decision::Decision::Fired(fired)), Some(made)) => {
            fired.made.into_iter().nth(made as usize).map(|made| made.places).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let recipient = |(party, recipient): (&i247_model::Party, &i247_router::Recipient)| {
        let text = party.to_string();
        let held = places.iter().any(|place| place.party == text && place.held);
        let rule = admitted_by(message.kind, &header.audience, *party, held);
        pb::TraceRecipient {
            party: text,
            rule: pb::Rule::from(rule).into(),
            mailbox_number: recipient.number,
        }
    };
    message.recipients.iter().map(recipient).collect()
}

/// Whether an envelope is as it was signed: it is checked once more, against the certificate that counted then. One
/// without a body is so when its header is.
fn is_as_signed(core: &Core, envelope: &pb::Envelope, at: Timestamp) -> bool {
    let views = core.views();
    let signer_of = |header: &Header| {
        views.signers.find_at(&header.key_id, header.signed_at).map(|known| known.signer.clone())
    };
    let opened = open_many(std::slice::from_ref(envelope), Door::Delivery, at, signer_of);
    opened.first().is_some_and(Result::is_ok)
}

/// What the log still has of the body.
fn body(core: &Core, record: &Record, envelope: &pb::Envelope, found: &Found) -> &'static str {
    match (&record.body, found.item.place.n) {
        // What the hub made stands in the entry, with its body.
        (Body::None, 1..) => "in the entry",
        (Body::Present(_), _) if is_as_signed(core, envelope, found.item.at) => "present",
        (Body::Present(_), _) => "not as signed",
        (Body::Erased, _) => "erased",
        (Body::Damaged, _) => "damaged",
        (Body::None, _) => "none",
    }
}

/// Who signed, and whether that holds of the header, which fixes the body.
fn signature(core: &Core, bare: &pb::Envelope, header: &Header, at: Timestamp) -> pb::SignatureFacts {
    let holds = is_as_signed(core, bare, at);
    let views = core.views();
    let mut chain: Vec<Certificate> = views
        .signers
        .chain_at(&header.key_id, header.signed_at)
        .iter()
        .filter_map(|der| Certificate::parse(der).ok())
        .collect();
    // Not everybody sends the root along.
    let root = views.signers.root().certificate();
    if chain.last().is_some_and(|last| last.identity != root.identity) {
        chain.push(root.clone());
    }
    let issuer = |n: usize| chain.get(n + 1).or(chain.last()).map(|above| above.identity.clone());
    let facts_of = |(n, certificate): (usize, &Certificate)| {
        facts(if n == 0 { "signing" } else { "authority" }, certificate, issuer(n), 0)
    };
    let signed = bare.signature.clone().unwrap_or_default();
    pb::SignatureFacts {
        algorithm: "Ed25519".into(),
        key_id: header.key_id.to_string(),
        signed_at_ms: header.signed_at.as_millis(),
        index: signed.index,
        count: signed.count,
        holds,
        chain: chain.iter().enumerate().map(facts_of).collect(),
    }
}

fn place_of(core: &Core, record: &Record, place: MessageRef, envelope: &pb::Envelope) -> pb::PlaceInLog {
    pb::PlaceInLog {
        log_id: hexadecimal(&core.log_id),
        position: place.position,
        n: place.n,
        header_hash: header_hash(&envelope.header).to_string(),
        entry_bytes: record.entry.len() as u64,
        log_end: core.ledger.end().0,
        ..pb::PlaceInLog::default()
    }
}

fn header_facts(header: &Header) -> pb::HeaderFacts {
    let millis = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_millis);
    let name = |name: &Option<i247_model::Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
    pb::HeaderFacts {
        audience: words(&header.audience),
        expires_at_ms: millis(header.expires_at),
        reply_by_ms: millis(header.reply_by),
        reply_stage: match header.reply_stage {
            Some(i247_model::ReplyStage::Interim) => "interim",
            Some(i247_model::ReplyStage::Final) => "final",
            Some(i247_model::ReplyStage::Refusal) => "refusal",
            None => "",
        }
        .into(),
        seat: name(&header.seat),
        service: name(&header.service),
        attachments: u32::try_from(header.attachments.len()).unwrap_or(u32::MAX),
        body_hash: header.body_hash.to_string(),
        previous: header.previous.map(|hash| hash.to_string()).unwrap_or_default(),
    }
}

/// To whom it is addressed, in the sender's words.
fn words(audience: &Audience) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(audience.all.then(|| "all".to_owned()));
    words.extend(audience.regions.iter().map(|region| format!("region {region}")));
    words.extend(audience.countries.iter().map(ToString::to_string));
    words.extend(audience.secretariat.then(|| "IPSG".to_owned()));
    words.extend(audience.as_referred.then(|| "as referred".to_owned()));
    words.extend(audience.copies.iter().map(|party| format!("copy {party}")));
    words.extend(audience.except.iter().map(|country| format!("except {country}")));
    words
}

/// The trace that a W3C traceparent belongs to.
fn trace_id(traceparent: &str) -> Option<String> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_the_second_part_of_a_traceparent() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(trace_id(parent).unwrap(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace_id("00-short-b7ad6b7169203331-01"), None);
        assert_eq!(trace_id(""), None);
    }
}
