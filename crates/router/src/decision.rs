//! What the router answers: decisions, which are entered, and effects, which may be repeated.

use i247_model::{Hash, Identity, Kind, Lane, MessageId, NoticeId, NumberRange, Party, Refusal, Timestamp};

use crate::{Answer, Deadline, Message};

/// What was decided about an input. Applied at every replay, never decided again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The message is accepted, for exactly these recipients.
    Accepted(Accepted),
    /// Refused by a rule: entered as void, its number is spent.
    Void(Refusal),
    /// The input says it all: genesis, receipts, directory changes.
    Noted,
    /// Deadlines were due. With nothing due it is empty and need not be entered.
    Fired(Fired),
    /// The same number with other bytes: kept as evidence, refused with `NUMBER_REUSED`.
    Equivocation {
        /// Hash of the header that used the number first.
        first: Hash,
    },
    /// **Not an entry.** A repetition, which gets its first answer again.
    Answered(Answer),
    /// **Not an entry.** A repetition older than the answers kept here: the hub answers it from
    /// history, and with `BEHIND` when history does not know it either.
    Older,
}

impl Decision {
    /// Whether it is to be appended to the log and applied.
    pub fn is_entry(&self) -> bool {
        match self {
            Self::Accepted(_) | Self::Void(_) | Self::Noted | Self::Equivocation { .. } => true,
            Self::Fired(fired) => !fired.deadlines.is_empty(),
            Self::Answered(_) | Self::Older => false,
        }
    }
}

/// A message was accepted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accepted {
    /// The frozen audience, in the order of parties.
    pub places: Vec<Place>,
    /// The number given to a notice request, or of the notice that a message is about.
    pub notice_id: Option<NoticeId>,
    /// Deliveries, still queued, that it took back.
    pub taken_back: Vec<TakenBack>,
    /// Recipients that became members after the explanation that the header names.
    pub come: Vec<Party>,
    /// Who would receive if its membership had not ended after that explanation.
    pub gone: Vec<Party>,
}

/// A recipient and its mailbox number. The lane is the message's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Who receives.
    pub party: Party,
    /// Its number in the recipient's mailbox and the message's lane.
    pub number: u64,
    /// The recipient is suspended: nothing is delivered until it is reinstated.
    pub held: bool,
    /// The recipient owes an answer.
    pub owes: bool,
    /// Not delivered before this number of another lane, which it refers to.
    pub after: Option<(Lane, u64)>,
}

/// A delivery that was taken back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakenBack {
    /// Which message.
    pub message: MessageId,
    /// From whom.
    pub party: Party,
}

/// Deadlines that were due.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fired {
    /// Each with what came of it; at most [`crate::DEADLINES_PER_TICK`].
    pub deadlines: Vec<FiredDeadline>,
    /// Messages made, numbered from 1 in this order.
    pub made: Vec<Made>,
}

/// A deadline and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FiredDeadline {
    /// Which.
    pub deadline: Deadline,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a deadline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The message expired at these recipients, to whom it was not under way.
    Expired {
        /// At whom.
        parties: Vec<Party>,
        /// Looked at again then, because it was under way to others.
        again: Option<Timestamp>,
    },
    /// The addressee is reminded.
    Reminded {
        /// The first or the second time.
        nth: u8,
        /// When the answer is due next.
        due: Timestamp,
    },
    /// Asker and secretariat are told; the clock stops.
    Escalated,
}

/// A message made by the hub: a reminder or an escalation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// Its id: `IPSG-<position>-<lane>-<n>`; each recovery of the log adds 10^12 to the position.
    pub id: MessageId,
    /// Reminder or escalation.
    pub kind: Kind,
    /// The request.
    pub refers_to: MessageId,
    /// Its recipients.
    pub places: Vec<Place>,
    /// Reminders: the first or the second. Escalations: 0.
    pub nth: u8,
    /// Escalations: who owes an answer.
    pub silent: Vec<Party>,
}

/// What is to be done after an entry is durable. Every effect may be repeated: what is left to do
/// can always be read from the state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The mailbox has something to hand out.
    Wake(Party),
    /// The states of this open message changed: its sender hears.
    Progress(MessageId),
    /// The message is closed and has left the state, or changed after that: the hub writes it to
    /// history, and its sender hears.
    Closed(Box<Message>),
    /// Mailbox numbers of closed messages were opened or actioned: for history.
    LateReceipt {
        /// Whose mailbox.
        party: Party,
        /// Which lane.
        lane: Lane,
        /// Which numbers.
        numbers: NumberRange,
        /// Actioned rather than opened.
        actioned: bool,
        /// When.
        at: Timestamp,
    },
    /// What this identity may do changed: live connections are looked at.
    Directory(Identity),
    /// What this post is granted changed: its live connections are looked at.
    Granted(Identity),
}
