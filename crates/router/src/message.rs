//! A message as the router remembers it: who is to have it, who has it, who owes an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use i247_model::{AnswerState, Hash, Kind, MessageId, NoticeId, Party, RecipientState, Timestamp};
use serde::{Deserialize, Serialize};

/// Which message of which entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct MessageRef {
    /// The entry.
    pub position: u64,
    /// 0 for the message that was submitted, from 1 for those that the entry made.
    pub n: u32,
}

/// An accepted message. Open ones are in the state; closed ones, in the same form, in history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Where the log has it.
    pub at: MessageRef,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// What it is.
    pub kind: Kind,
    /// Hash of its header; none for messages that the hub made.
    pub header_hash: Option<Hash>,
    /// The message that it refers to.
    pub refers_to: Option<MessageId>,
    /// Whose data it is: the sender, or the requester of the notice that it is about.
    pub owner: Party,
    /// The notice that it is about.
    pub notice_id: Option<NoticeId>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When its expiry is looked at next.
    pub expiry_due: Option<Timestamp>,
    /// Requests: when answers are due.
    pub reply_by: Option<Timestamp>,
    /// Requests: how long after an interim answer or a reminder the next deadline is.
    pub interval: Option<Duration>,
    /// Requests: replies may go to every addressee.
    pub reply_to_all: bool,
    /// Taken back by its sender, or its notice was cancelled.
    pub withdrawn: bool,
    /// It came back to a recovered log, or perhaps did: whoever is to have it may have it from before.
    pub again: bool,
    /// Recipients that became members after the explanation that the header names.
    pub come: Vec<Party>,
    /// Who would be a recipient if its membership had not ended after that explanation.
    pub gone: Vec<Party>,
    /// The audience, and where the message stands with each. Nobody is added or removed.
    pub recipients: BTreeMap<Party, Recipient>,
}

impl Message {
    /// Whether `party` sent it, has it, or may have it by the time it speaks: only then may it learn
    /// that the message exists.
    pub fn is_known_to(&self, party: Party) -> bool {
        let received =
            |recipient: &Recipient| recipient.state.has_it() || recipient.state == RecipientState::Queued;
        self.id.sender.party() == party || self.recipients.get(&party).is_some_and(received)
    }

    /// Whether an answer is owed and its clock runs.
    pub fn clock_runs(&self) -> bool {
        self.recipients.values().any(|recipient| recipient.line.is_some_and(|line| line.due.is_some()))
    }

    /// Whether there is nothing left to deliver.
    pub fn settled(&self) -> bool {
        self.recipients.values().all(|recipient| recipient.state.settled())
    }
}

/// One recipient of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recipient {
    /// Its mailbox number, in the message's lane.
    pub number: u64,
    /// Where the message stands with it.
    pub state: RecipientState,
    /// Since when.
    pub since: Timestamp,
    /// Where its answer stands; none when it owes none.
    pub line: Option<Line>,
}

/// The answer of one addressee.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Where it stands.
    pub state: AnswerState,
    /// How many interim answers restarted the clock.
    pub interims: u8,
    /// When the next deadline is; none when the clock has stopped.
    pub due: Option<Timestamp>,
}
