//! What a message is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// A bureau asks the secretariat for a notice, or for an addendum to one.
    NoticeRequest,
    /// A reviewer approves or refuses a notice request.
    ReviewDecision,
    /// A reviewer publishes a notice.
    Notice,
    /// A reviewer adds to a published notice.
    Addendum,
    /// The owner withdraws, or a reviewer cancels, a published notice.
    Cancellation,
    /// A bureau's own circular to chosen countries.
    Diffusion,
    /// The sender of a diffusion takes it back.
    Withdrawal,
    /// A question with a deadline for the reply.
    Request,
    /// An answer to a request.
    Reply,
    /// The subject of a notice has been located.
    PersonLocated,
    /// The subject of a notice has been arrested.
    ArrestReport,
    /// What a country decided to do about a notice.
    NationalDecision,
    /// Words that fit no form.
    FreeText,
    /// The hub reminds an addressee of an unanswered request.
    Reminder,
    /// The hub tells asker and secretariat that a request stays unanswered.
    Escalation,
    /// A bureau bars countries from all that it owns.
    Restriction,
    /// A sender gives up a number.
    Void,
    /// A sender begins a new epoch.
    NewEpoch,
    /// A bureau adds, changes, restricts or withdraws records of a database.
    Records,
    /// The hub tells the owner of a record, and whoever asked, that somebody found it.
    Hit,
    /// The owner of a record says whether it holds.
    HitDecision,
    /// Whoever found a record says what was done.
    HitAction,
    /// A bureau lets one of its posts reach the network, or ends that.
    Grant,
}

impl Kind {
    /// All kinds, in the order of the wire.
    pub const ALL: [Self; 23] = [
        Self::NoticeRequest,
        Self::ReviewDecision,
        Self::Notice,
        Self::Addendum,
        Self::Cancellation,
        Self::Diffusion,
        Self::Withdrawal,
        Self::Request,
        Self::Reply,
        Self::PersonLocated,
        Self::ArrestReport,
        Self::NationalDecision,
        Self::FreeText,
        Self::Reminder,
        Self::Escalation,
        Self::Restriction,
        Self::Void,
        Self::NewEpoch,
        Self::Records,
        Self::Hit,
        Self::HitDecision,
        Self::HitAction,
        Self::Grant,
    ];

    /// The word for it, everywhere the same.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoticeRequest => "notice request",
            Self::ReviewDecision => "review decision",
            Self::Notice => "notice",
            Self::Addendum => "addendum",
            Self::Cancellation => "cancellation",
            Self::Diffusion => "diffusion",
            Self::Withdrawal => "withdrawal",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::PersonLocated => "person located",
            Self::ArrestReport => "arrest report",
            Self::NationalDecision => "national decision",
            Self::FreeText => "free text",
            Self::Reminder => "reminder",
            Self::Escalation => "escalation",
            Self::Restriction => "restriction",
            Self::Void => "void",
            Self::NewEpoch => "new epoch",
            Self::Records => "records",
            Self::Hit => "hit",
            Self::HitDecision => "hit decision",
            Self::HitAction => "hit action",
            Self::Grant => "grant",
        }
    }

    /// The secretariat must examine these, so their bodies are never sealed (RPD art. 73 to 101).
    pub fn examined(self) -> bool {
        match self {
            Self::NoticeRequest
            | Self::ReviewDecision
            | Self::Notice
            | Self::Addendum
            | Self::Cancellation
            | Self::Diffusion
            | Self::Withdrawal
            | Self::Restriction
            | Self::Reminder
            | Self::Escalation
            | Self::Void
            | Self::NewEpoch
            | Self::Records
            | Self::Grant
            | Self::Hit
            | Self::HitDecision
            | Self::HitAction => true,
            Self::Request
            | Self::Reply
            | Self::PersonLocated
            | Self::ArrestReport
            | Self::NationalDecision
            | Self::FreeText => false,
        }
    }

    /// These make no sense without the message that they refer to.
    pub fn needs_reference(self) -> bool {
        matches!(
            self,
            Self::ReviewDecision
                | Self::Notice
                | Self::Addendum
                | Self::Cancellation
                | Self::Withdrawal
                | Self::Reply
                | Self::PersonLocated
                | Self::ArrestReport
                | Self::NationalDecision
                | Self::Reminder
                | Self::Escalation
                | Self::Hit
                | Self::HitDecision
                | Self::HitAction
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far an answer goes. What it found is said in the body, which the hub does not open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ReplyStage {
    /// Received and being processed; the clock starts again.
    Interim,
    /// All that there is to say.
    Final,
    /// There will be no answer.
    Refusal,
}
