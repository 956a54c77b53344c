//! What bad input gets: a stable reason, the fields, and the next step.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How final a refusal is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Class {
    /// Nobody can be held to it: no number is spent, nothing is entered.
    NotAttributable,
    /// Nothing is entered; the same bytes may be accepted later.
    NotNow,
    /// Entered as void; the number is spent.
    No,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $class:ident, $step:literal;)*) => {
        /// Why something was refused. The names are stable and listed in `proto/README.md`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How final it is.
            pub fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// What the sender should do next, where nothing better is known.
            pub fn next_step(self) -> &'static str {
                match self { $(Self::$variant => $step,)* }
            }
        }
    };
}

reasons! {
    /// The bytes are not what they should be.
    Malformed = "MALFORMED", NotAttributable, "encode the field as proto/i247/v1 says and send again";
    /// The header does not re-encode to the same bytes.
    NotCanonical = "NOT_CANONICAL", NotAttributable, "encode fields in order, without defaults, repetitions or unknown fields";
    /// A size limit is exceeded.
    TooLarge = "TOO_LARGE", NotAttributable, "make it smaller, or send it as an attachment";
    /// There is no signature, or it does not fit.
    BadSignature = "BAD_SIGNATURE", NotAttributable, "sign the header bytes with the key that the header names";
    /// No certificate is known for the key.
    UnknownKey = "UNKNOWN_KEY", NotAttributable, "have the key certified by the authority first";
    /// The certificate is not in force.
    CertificateNotInForce = "CERTIFICATE_NOT_IN_FORCE", NotAttributable, "have a new certificate issued";
    /// The message names another sender than its signer or connection.
    WrongSender = "WRONG_SENDER", NotAttributable, "send under the identity of the certificate";
    /// The body does not match its hash or commitment.
    BodyMismatch = "BODY_MISMATCH", NotAttributable, "send the body that the header was made for";
    /// The caller's role does not allow this.
    NotAuthorised = "NOT_AUTHORISED", NotAttributable, "use an identity whose role allows it";
    /// The sender's membership is suspended.
    Suspended = "SUSPENDED", NotNow, "ask the secretariat why, and wait for reinstatement";
    /// The sender's membership was revoked.
    Revoked = "REVOKED", NotAttributable, "ask the secretariat to be admitted again";
    /// Signed too far in the future.
    FutureDated = "FUTURE_DATED", NotNow, "set the clock right and send the same bytes again";
    /// An earlier number of the same lane is missing.
    OutOfOrder = "OUT_OF_ORDER", NotNow, "send the missing numbers first";
    /// It refers to a message that the hub does not have yet.
    ReferenceAhead = "REFERENCE_AHEAD", NotNow, "send the message that it refers to first";
    /// An attachment that it names is not complete at the hub.
    AttachmentMissing = "ATTACHMENT_MISSING", NotNow, "upload the attachment, then send the same bytes again";
    /// Too much at once.
    Busy = "BUSY", NotNow, "wait for the time given and send the same bytes again";
    /// The hub cannot write at the moment.
    ReadOnly = "READ_ONLY", NotNow, "wait until the operator has made room, then send the same bytes again";
    /// One of the two sides holds an older copy of its data.
    Behind = "BEHIND", NotNow, "run the recover command on the side that lost data";
    /// The same number was used for other bytes.
    NumberReused = "NUMBER_REUSED", NotAttributable, "never use a number twice; recover if data was restored from a copy";
    /// The chain of header hashes is broken.
    ChainBroken = "CHAIN_BROKEN", No, "name the hash of the previous header of the lane";
    /// Past its expiry.
    Expired = "EXPIRED", No, "send it anew with a later expiry";
    /// A country that is no member is addressed by name.
    UnknownCountry = "UNKNOWN_COUNTRY", No, "address member countries only";
    /// The audience contradicts itself or is empty.
    BadAudience = "BAD_AUDIENCE", No, "address somebody, and nobody who is excluded too";
    /// A member has come to the audience or left it since the sender saw it explained.
    AudienceChanged = "AUDIENCE_CHANGED", No, "explain again and send anew";
    /// The message that it refers to does not exist.
    UnknownReference = "UNKNOWN_REFERENCE", No, "refer to a message that you sent or received";
    /// It refers to a message of the wrong kind, or in a state that does not allow it.
    WrongReference = "WRONG_REFERENCE", No, "refer to an open message of the right kind";
    /// Only the owner may do this.
    NotOwner = "NOT_OWNER", No, "ask the owner of the data";
    /// This kind may not be sent by this sender.
    KindNotAllowed = "KIND_NOT_ALLOWED", No, "send a kind that your role allows";
    /// A reply goes to somebody who is not part of the request.
    ReplyTooWide = "REPLY_TOO_WIDE", No, "reply to the asker, or to the audience where the request allows it";
    /// The form lacks minimum data.
    MissingData = "MISSING_DATA", No, "fill in every field that is named";
    /// A field must or must not be set for this kind.
    WrongField = "WRONG_FIELD", No, "set the fields that the kind asks for, and only those";
    /// The notice was published, decided or cancelled already, or by another request.
    NoticeConflict = "NOTICE_CONFLICT", No, "read the notice's present state and decide again";
    /// A record of this name is there already, or says so already.
    Duplicate = "DUPLICATE", No, "nothing was lost; change the record if it should say something else";
    /// There is no record of this name.
    UnknownRecord = "UNKNOWN_RECORD", No, "add the record first, or name it as it was added";
    /// A check digit does not fit what it covers.
    WrongCheckDigit = "WRONG_CHECK_DIGIT", NotAttributable, "read the document again: a character was misread, or the document is forged";
    /// Its bureau has not granted this to the post, or not for now.
    NotGranted = "NOT_GRANTED", NotAttributable, "ask your bureau for leave: `i247 post list` shows what is granted";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: {}; {next_step}", fields.join(", "))]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The fields at fault, all at once.
    pub fields: Vec<String>,
    /// What to do next.
    pub next_step: String,
    /// Not before so much time has passed.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal for one field.
    pub fn of(reason: Reason, field: impl Into<String>) -> Self {
        Self { reason, fields: vec![field.into()], next_step: reason.next_step().into(), retry_after: None }
    }

    /// A refusal for several fields at once.
    pub fn of_fields(reason: Reason, fields: Vec<String>) -> Self {
        Self { reason, fields, next_step: reason.next_step().into(), retry_after: None }
    }

    /// The same with the wait before the next attempt.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}
