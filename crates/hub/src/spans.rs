//! The spans of a message that somebody traces, by the conventions of OpenTelemetry for messaging. Other messages have
//! none and cost nothing here.

use i247_model::{Header, MessageId, Party, Timestamp};
use i247_node::{message_span, trace};
use tracing::Span;
use tracing::field::display;

/// Of which trace a message is.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    id: MessageId,
    /// The sender's span, as W3C names it.
    parent: String,
    signed_at: Timestamp,
}

impl Traced {
    /// None of a message that nobody traces.
    pub(crate) fn of(header: &Header) -> Option<Box<Self>> {
        let parent = header.traceparent.clone()?;
        Some(Box::new(Self { id: header.id.clone(), parent, signed_at: header.signed_at }))
    }
}

/// Deciding about a message. It is entered while that is done.
pub(crate) fn decide(header: &Header, position: u64, now: Timestamp) -> Span {
    let Some(traced) = Traced::of(header) else { return Span::none() };
    let span = message_span!(process "decide", display(&traced.id), kind = %header.kind, position);
    trace::follow(&span, &traced.parent, now.since(traced.signed_at));
    span
}

/// Its entry on the way to the disk, until it is durable; below the span that is entered.
pub(crate) fn append(header: &Header, position: u64) -> Option<Span> {
    header.traceparent.as_ref()?;
    Some(tracing::info_span!("append", messaging.message.id = %header.id, position))
}

/// Its way to one recipient, until it is in that stream.
pub(crate) fn deliver(
    traced: &Traced,
    to: Party,
    position: u64,
    accepted: Timestamp,
    now: Timestamp,
) -> Span {
    let id = display(&traced.id);
    let span = message_span!(send "deliver", id, messaging.destination.name = %to, position);
    trace::follow(&span, &traced.parent, now.since(accepted));
    span
}
