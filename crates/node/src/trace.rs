//! Trace context in and out, as W3C `traceparent` texts.

use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// A span about a message, with the attributes of OpenTelemetry's conventions for messaging: what is done to it (`send`,
/// `receive` or `process`), the name of the span, the message's id, and fields as those of `tracing::info_span!`.
#[macro_export]
macro_rules! message_span {
    (send $($span:tt)*) => { $crate::message_span!(@ "producer", "send", $($span)*) };
    (receive $($span:tt)*) => { $crate::message_span!(@ "consumer", "receive", $($span)*) };
    (process $($span:tt)*) => { $crate::message_span!(@ "consumer", "process", $($span)*) };
    (@ $kind:literal, $done:literal, $name:literal, $id:expr, $($fields:tt)+) => {
        ::tracing::info_span!(
            $name,
            otel.kind = $kind,
            messaging.system = "i247",
            messaging.operation.name = $name,
            messaging.operation.type = $done,
            messaging.message.id = $id,
            $($fields)+
        )
    };
}

/// A message that lay somewhere for so long has waited.
const WAITED: Duration = Duration::from_secs(1);

/// The `traceparent` of the current span; `None` when spans are not exported.
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return None;
    }
    Some(format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}

/// Makes `span` a child of the span that `traceparent` names. What is no traceparent is ignored: it comes from
/// outside, and no message fails by it.
pub fn set_parent(span: &Span, traceparent: &str) {
    let Some(parent) = parse(traceparent) else { return };
    // It fails only where spans are not exported.
    drop(span.set_parent(Context::new().with_remote_span_context(parent)));
}

/// Makes `span` go on with the trace of a message, under the span that its header names. Where the message has waited
/// that span ended long ago: then `span` is linked to it as well, with how long it was.
pub fn follow(span: &Span, traceparent: &str, waited: Duration) {
    set_parent(span, traceparent);
    if waited >= WAITED {
        link(span, traceparent, waited);
    }
}

/// Links `span` to the one that `traceparent` names, of whatever trace, with how long a message waited in between.
pub fn link(span: &Span, traceparent: &str, waited: Duration) {
    let Some(earlier) = parse(traceparent) else { return };
    let waited = i64::try_from(waited.as_millis()).unwrap_or(i64::MAX);
    span.add_link_with_attributes(earlier, vec![KeyValue::new("i247.waited_ms", waited)]);
}

/// Adds the current span's context to a call that goes out. Fits `InterceptedService`.
pub fn carry(mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
    if let Some(value) = traceparent().and_then(|text| text.parse().ok()) {
        request.metadata_mut().insert("traceparent", value);
    }
    Ok(request)
}

fn parse(text: &str) -> Option<SpanContext> {
    let lower_hex = |part: &str, bytes: usize| {
        part.len() == 2 * bytes && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Later versions may append parts; version 00 may not.
    let fits = lower_hex(version, 1) && lower_hex(trace, 16) && lower_hex(span, 8) && lower_hex(flags, 1);
    if !fits || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_strictly() {
        let context = parse(EXAMPLE).unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        assert!(context.is_sampled());
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
