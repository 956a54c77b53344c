//! Where a message stands with its recipients.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Lane, Party, Timestamp};

/// Where a message stands with one recipient. The states of all always add up to the audience.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RecipientState {
    /// In its mailbox.
    Queued,
    /// In its mailbox, and the member is suspended.
    Held,
    /// Durable at the recipient, which signed for it.
    Delivered,
    /// Read by an officer.
    Opened,
    /// Acted upon.
    Actioned,
    /// Taken back before delivery.
    Withdrawn,
    /// Past its expiry before delivery.
    Expired,
    /// The recipient's membership ended before delivery.
    Refused,
}

impl RecipientState {
    /// Whether the recipient has it.
    pub fn has_it(self) -> bool {
        matches!(self, Self::Delivered | Self::Opened | Self::Actioned)
    }

    /// Whether nothing more is to be delivered.
    pub fn settled(self) -> bool {
        !matches!(self, Self::Queued | Self::Held)
    }
}

impl fmt::Display for RecipientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Opened => "opened",
            Self::Actioned => "actioned",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Refused => "refused",
        })
    }
}

/// Where the answer of one addressee stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum AnswerState {
    /// Owed, and there is time.
    Awaited,
    /// Promised for later.
    Interim,
    /// Given.
    Answered,
    /// Declined.
    Refused,
    /// Reminded once or twice.
    Reminded(u8),
    /// Asker and secretariat have been told.
    Escalated,
}

impl AnswerState {
    /// Whether an answer is still owed.
    pub fn owed(self) -> bool {
        !matches!(self, Self::Answered | Self::Refused)
    }
}

/// Why a party is, or is not, in an audience.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Rule {
    /// Admitted: named by the sender.
    Named,
    /// Admitted: in a region that is addressed.
    Region,
    /// Admitted: all are addressed.
    All,
    /// Admitted: gets a copy for information.
    Copy,
    /// Admitted: had the message that this one refers to.
    Referred,
    /// Admitted: the secretariat is addressed, or always gets this kind.
    Secretariat,
    /// Admitted, and held until it is reinstated.
    Suspended,
    /// Not admitted: nobody named it.
    NotNamed,
    /// Not admitted: the sender itself.
    Sender,
    /// Not admitted: the message excludes it.
    Excluded,
    /// Not admitted: the owner bars it from all that it owns.
    RestrictedByOwner,
    /// Not admitted: not enrolled.
    NotAMember,
    /// Not admitted: its membership was revoked.
    Revoked,
}

impl Rule {
    /// Whether this rule admits.
    pub fn admits(self) -> bool {
        match self {
            Self::Named
            | Self::Region
            | Self::All
            | Self::Copy
            | Self::Referred
            | Self::Secretariat
            | Self::Suspended => true,
            Self::NotNamed
            | Self::Sender
            | Self::Excluded
            | Self::RestrictedByOwner
            | Self::NotAMember
            | Self::Revoked => false,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Named => "named by the sender",
            Self::Region => "its region is addressed",
            Self::All => "all are addressed",
            Self::Copy => "gets a copy",
            Self::Referred => "had the message referred to",
            Self::Secretariat => "the secretariat",
            Self::Suspended => "suspended: held until reinstated",
            Self::NotNamed => "not named",
            Self::Sender => "the sender itself",
            Self::Excluded => "excluded by the message",
            Self::RestrictedByOwner => "barred by the owner",
            Self::NotAMember => "not a member",
            Self::Revoked => "membership revoked",
        })
    }
}

/// Numbers from first to last, both included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct NumberRange {
    /// The lowest number.
    pub first: u64,
    /// The highest number; not below `first`.
    pub last: u64,
}

/// What a recipient did with the mailbox numbers of one lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneReceipt {
    /// Which lane.
    pub lane: Lane,
    /// All up to this number are durable at the recipient.
    pub delivered_up_to: u64,
    /// Numbers that an officer has read.
    pub opened: Vec<NumberRange>,
    /// Numbers that were acted upon.
    pub actioned: Vec<NumberRange>,
}

/// A recipient's receipts, from a frame that it signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipts {
    /// Whose mailbox.
    pub party: Party,
    /// Lane by lane; a lane stands at most once.
    pub lanes: Vec<LaneReceipt>,
    /// When it was signed.
    pub signed_at: Timestamp,
}
