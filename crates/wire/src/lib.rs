//! The bytes: protobuf types, and the only conversions between them and the nouns of `model`.
//!
//! It decides nothing. What comes from the network is a [`pb`] type; what the rest of the program
//! works with is a noun that is valid by construction; the way from one to the other is here, one
//! file for each file of `proto/i247/v1`.
//!
//! ```text
//!  bytes ── decode_canonical_header ──► Header ── encode_header ──► the same bytes
//!  pb::X ── TryFrom ──► X ── From<&X> ──► pb::X
//!  pb::Body ── check_body, lift ──► Lifted        Refusal ◄── refusal, status ──► tonic::Status
//! ```

use std::str::FromStr;

use i247_model::{Hash, Reason, Refusal};

mod body;
mod documents;
mod envelope;
mod header;
mod limits;
mod log;
mod notice;
pub mod payload;
mod post;
mod receipt;
mod status;

pub use body::lift;
pub use documents::{MAX_WRITTEN_NUMBER_BYTES, WrittenDocument, pack_documents, unpack_documents};
pub use envelope::MAX_AUDIENCE_LIST;
pub use header::{
    MAX_ATTACHMENTS, MAX_HEADER_BYTES, MAX_OPERATION_BYTES, check_header, decode_canonical_header,
    decode_header, encode_header, operation,
};
pub use limits::{
    MAX_BODY_BYTES, MAX_HANDLING, MAX_LINE_BYTES, MAX_LIST, MAX_REFERENCE_BYTES, MAX_SUBJECT_BYTES,
    MAX_TEXT_BYTES, check_body,
};
pub use notice::{MIN_PENALTY_MONTHS, MIN_SENTENCE_MONTHS, missing_data};
pub use receipt::{MAX_RANGES, receipts};
pub use status::{MAX_STATUS_FIELDS, code, refusal, status};

/// The generated types and services of package `i247.v1`.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated; the documents are the comments in proto/"
)]
pub mod pb {
    tonic::include_proto!("i247.v1");
}

/// The descriptor of package `i247.v1`, for server reflection and for the golden comparison.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/i247.v1.binpb"));

/// The noun behind an enum field, which the generated types carry as a plain number:
/// `known::<pb::Lane, Lane>(frame.lane, "lane")`.
///
/// # Errors
/// `MALFORMED` with the field, when the number is unspecified or not known.
pub fn known<Wire, Noun>(number: i32, field: &str) -> Result<Noun, Refusal>
where
    Wire: TryFrom<i32>,
    Noun: TryFrom<Wire>,
{
    let wire = Wire::try_from(number).map_err(|_| malformed(field))?;
    Noun::try_from(wire).map_err(|_| malformed(field))
}

/// The noun that a text field holds: `parsed::<MessageId>(&request.id, "id")`.
///
/// # Errors
/// `MALFORMED` with the field, when the text is not such a noun.
pub fn parsed<Noun: FromStr>(text: &str, field: &str) -> Result<Noun, Refusal> {
    text.parse().map_err(|_| malformed(field))
}

/// The noun that a text field holds; none when it is empty.
///
/// # Errors
/// `MALFORMED` with the field, when the text is neither empty nor such a noun.
pub fn parsed_option<Noun: FromStr>(text: &str, field: &str) -> Result<Option<Noun>, Refusal> {
    if text.is_empty() { Ok(None) } else { parsed(text, field).map(Some) }
}

/// The hash that a bytes field holds.
///
/// # Errors
/// `MALFORMED` with the field, when there are not 32 bytes.
pub fn hash(bytes: &[u8], field: &str) -> Result<Hash, Refusal> {
    Hash::from_slice(bytes).ok_or_else(|| malformed(field))
}

/// The hash that a bytes field holds; none when it is empty.
///
/// # Errors
/// `MALFORMED` with the field, when there are neither 0 nor 32 bytes.
pub fn hash_option(bytes: &[u8], field: &str) -> Result<Option<Hash>, Refusal> {
    if bytes.is_empty() { Ok(None) } else { hash(bytes, field).map(Some) }
}

fn malformed(field: impl Into<String>) -> Refusal {
    Refusal::of(Reason::Malformed, field)
}

/// Both ways between an enum of the wire and the noun of the same variants. Unspecified is refused.
macro_rules! same_variants {
    ($field:literal, $wire:path, $noun:path, $($variant:ident),+ $(,)?) => {
        impl TryFrom<$wire> for $noun {
            type Error = i247_model::Refusal;

            fn try_from(wire: $wire) -> Result<Self, i247_model::Refusal> {
                use $wire as Wire;
                match wire {
                    Wire::Unspecified => Err($crate::malformed($field)),
                    $(Wire::$variant => Ok(Self::$variant),)+
                }
            }
        }

        impl From<&$noun> for $wire {
            fn from(noun: &$noun) -> Self {
                use $noun as Noun;
                match noun {
                    $(Noun::$variant => Self::$variant,)+
                }
            }
        }

        impl From<$noun> for $wire {
            fn from(noun: $noun) -> Self {
                Self::from(&noun)
            }
        }
    };
}
pub(crate) use same_variants;
