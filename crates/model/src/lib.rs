//! The nouns of the network, valid by construction.
//!
//! Each type has one way in (`FromStr` or a constructor that can fail) and private fields where a
//! rule holds between them; past the edge no value is invalid. Nothing here does I/O, knows the
//! wire, or asks the time.
//!
//! ```text
//! CountryCode ─┬─ Party ── Audience ─┐
//!              └─ Sender ─ MessageId ┴─ Header        Identity   Refusal   Receipts
//! ```

mod audience;
mod country;
mod grant;
mod hash;
mod header;
mod hit;
mod id;
mod identity;
mod kind;
mod lifted;
mod members;
mod name;
mod notice;
mod party;
mod receipt;
mod refusal;
mod time;

pub use audience::{Audience, AudienceError};
pub use country::CountryCode;
pub use grant::{Grant, Leave, Term, Unit, Verb};
pub use hash::{Hash, hexadecimal};
pub use header::{Header, Seen};
pub use hit::{HitFound, HitVerdict};
pub use id::{Lane, MessageId, Sender};
pub use identity::{Identity, TRUST_DOMAIN};
pub use kind::{Kind, ReplyStage};
pub use lifted::Lifted;
pub use members::{MEMBERS, Member, Region, member};
pub use name::Name;
pub use notice::{Colour, NoticeId};
pub use party::Party;
pub use receipt::{AnswerState, LaneReceipt, NumberRange, Receipts, RecipientState, Rule};
pub use refusal::{Class, Reason, Refusal};
pub use time::Timestamp;

/// A text that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseError {
    text: String,
    expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        // What came from outside is cut short before it reaches a message.
        Self { text: text.chars().take(64).collect(), expected }
    }

    /// What would have been right.
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

/// `Serialize` and `Deserialize` by way of `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(stringify!($type))
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
pub(crate) use serde_as_text;
