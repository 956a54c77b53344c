//! The spans of a bureau about its messages, by the conventions of OpenTelemetry for messaging.

use std::time::Duration;

use i247_model::{CountryCode, Header, Kind, MessageId, Timestamp};
use i247_node::{message_span, trace};
use i247_wire::pb;
use tracing::{Span, field};

/// Taking a draft into the outbox; its header names this span, and [`accepted`] gives it its id.
pub(crate) fn accept(me: CountryCode, kind: pb::Kind) -> Span {
    let kind = Kind::try_from(kind).map_or("unknown", Kind::as_str);
    message_span!(send "accept", field::Empty, country = %me, kind)
}

/// The id of what was accepted.
pub(crate) fn accepted(span: &Span, id: &MessageId) {
    span.record("messaging.message.id", field::display(id));
}

/// A message that arrived and passed the checks.
pub(crate) fn arrive(header: &Header, me: CountryCode, accepted: Timestamp, now: Timestamp) -> Span {
    let id = field::display(&header.id);
    let span = message_span!(receive "arrive", id, country = %me, kind = %header.kind);
    if let Some(parent) = &header.traceparent {
        trace::follow(&span, parent, now.since(accepted));
    }
    span
}

/// Answering a question without an officer, in the question's own trace; none for one that nobody traces.
pub(crate) fn answer(question: &pb::Header, me: CountryCode, waited: Duration) -> Span {
    if question.traceparent.is_empty() {
        return Span::none();
    }
    let span = message_span!(process "answer", field::display(&question.id), country = %me);
    trace::follow(&span, &question.traceparent, waited);
    span
}
