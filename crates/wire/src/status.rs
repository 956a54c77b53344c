//! Refusals as gRPC errors, and back: the one table of codes.
//!
//! The message of the status can be read on its own. The details are those of `google.rpc`:
//! `ErrorInfo` (reason, domain, class, next step), `BadRequest` (fields), `RetryInfo` (wait).

use std::collections::HashMap;

use i247_model::{Class, Reason, Refusal, TRUST_DOMAIN};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::receipt::reason;

/// Most fields that a status names; details travel in HTTP headers. The last entry says how many
/// more there were.
pub const MAX_STATUS_FIELDS: usize = 32;

/// Most fields in the text that people read.
const MAX_MESSAGE_FIELDS: usize = 4;

/// Longest field or next step in a status, in bytes.
const MAX_STATUS_TEXT_BYTES: usize = 160;

/// The gRPC code of a reason.
pub fn code(reason: Reason) -> Code {
    match reason {
        Reason::Malformed
        | Reason::NotCanonical
        | Reason::TooLarge
        | Reason::BodyMismatch
        | Reason::UnknownCountry
        | Reason::BadAudience
        | Reason::MissingData
        | Reason::WrongCheckDigit
        | Reason::WrongField => Code::InvalidArgument,
        Reason::BadSignature | Reason::UnknownKey | Reason::CertificateNotInForce => Code::Unauthenticated,
        Reason::WrongSender
        | Reason::NotAuthorised
        | Reason::Suspended
        | Reason::Revoked
        | Reason::NotOwner
        | Reason::KindNotAllowed
        | Reason::NotGranted
        | Reason::ReplyTooWide => Code::PermissionDenied,
        Reason::FutureDated
        | Reason::OutOfOrder
        | Reason::ReferenceAhead
        | Reason::AttachmentMissing
        | Reason::Behind
        | Reason::ChainBroken
        | Reason::AudienceChanged
        | Reason::Expired
        | Reason::WrongReference => Code::FailedPrecondition,
        Reason::Busy => Code::ResourceExhausted,
        Reason::ReadOnly => Code::Unavailable,
        Reason::NumberReused | Reason::Duplicate => Code::AlreadyExists,
        Reason::UnknownReference | Reason::UnknownRecord => Code::NotFound,
        Reason::NoticeConflict => Code::Aborted,
    }
}

/// A refusal as a gRPC error.
pub fn status(refusal: &Refusal) -> Status {
    let metadata = HashMap::from([
        ("class".to_owned(), class_name(refusal.reason.class()).to_owned()),
        ("next_step".to_owned(), clipped(&refusal.next_step)),
    ]);
    let mut details = ErrorDetails::new();
    details.set_error_info(refusal.reason.as_str(), TRUST_DOMAIN, metadata);
    let fields = named(&refusal.fields, MAX_STATUS_FIELDS);
    if !fields.is_empty() {
        let violations: Vec<FieldViolation> =
            fields.into_iter().map(|field| FieldViolation::new(field, refusal.reason.as_str())).collect();
        details.set_bad_request(violations);
    }
    if refusal.retry_after.is_some() {
        details.set_retry_info(refusal.retry_after);
    }
    Status::with_error_details(code(refusal.reason), message(refusal), details)
}

/// The refusal in a gRPC error; none when the error is of another making.
pub fn refusal(status: &Status) -> Option<Refusal> {
    let details = status.check_error_details().ok()?;
    let info = details.error_info().filter(|info| info.domain == TRUST_DOMAIN)?;
    let reason = reason(&info.reason)?;
    let next_step = info.metadata.get("next_step").map_or_else(|| reason.next_step().into(), String::clone);
    let fields = details.bad_request().map_or_else(Vec::new, |bad| {
        bad.field_violations.iter().map(|violation| violation.field.clone()).collect()
    });
    let retry_after = details.retry_info().and_then(|info| info.retry_delay);
    Some(Refusal { reason, fields, next_step, retry_after })
}

fn message(refusal: &Refusal) -> String {
    let fields = named(&refusal.fields, MAX_MESSAGE_FIELDS).join(", ");
    let at = if fields.is_empty() { String::new() } else { format!(" ({fields})") };
    format!("{}{at}: {}", refusal.reason, clipped(&refusal.next_step))
}

/// The first `limit` fields; where there are more, the last says how many.
fn named(fields: &[String], limit: usize) -> Vec<String> {
    if fields.len() <= limit {
        return fields.iter().map(|field| clipped(field)).collect();
    }
    let mut named: Vec<String> = fields[..limit - 1].iter().map(|field| clipped(field)).collect();
    named.push(format!("and {} more", fields.len() - named.len()));
    named
}

fn clipped(text: &str) -> String {
    let mut end = text.len().min(MAX_STATUS_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The class as `proto/README.md` writes it.
fn class_name(class: Class) -> &'static str {
    match class {
        Class::NotAttributable => "NOT_ATTRIBUTABLE",
        Class::NotNow => "NOT_NOW",
        Class::No => "NO",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_refusal_survives_grpc() {
        for reason in Reason::ALL {
            let bare = Refusal::of_fields(*reason, Vec::new());
            let full = Refusal::of(*reason, "audience.countries").retry_after(Duration::from_millis(250));
            for expected in [bare, full] {
                assert_eq!(refusal(&status(&expected)), Some(expected));
            }
        }
    }

    #[test]
    fn the_message_can_be_read_on_its_own() {
        let status = status(&Refusal::of(Reason::BadAudience, "audience"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.message(),
            "BAD_AUDIENCE (audience): address somebody, and nobody who is excluded too"
        );
    }

    #[test]
    fn a_long_refusal_fits_into_headers() {
        let fields = (0..1000).map(|n| format!("{n}{}", "é".repeat(500))).collect();
        let status = status(&Refusal::of_fields(Reason::MissingData, fields));
        assert!(status.details().len() < 8 * 1024, "{}", status.details().len());
        let fields = refusal(&status).unwrap().fields;
        assert_eq!((fields.len(), fields[31].as_str()), (32, "and 969 more"));
    }

    #[test]
    fn errors_of_another_making_are_no_refusals() {
        assert_eq!(refusal(&Status::not_found("x")), None);
        let foreign = ErrorDetails::with_error_info("MALFORMED", "example.org", HashMap::new());
        assert_eq!(refusal(&Status::with_error_details(Code::Internal, "x", foreign)), None);
    }
}
