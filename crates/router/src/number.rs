//! Numbers of senders: which submission is next, which is a repetition, which is a lie.

use std::collections::VecDeque;

use i247_model::{Hash, Kind, Lane, Party, Reason, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Accepted, Message, State, Submission};

/// So many answers are kept per sender and lane; older repetitions are answered from history.
pub const ANSWERS_KEPT: usize = 1024;

/// The answer to a submission, given again to every repetition of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Hash of the header that it answers.
    pub header_hash: Hash,
    /// The entry.
    pub position: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What the sender is told of the audience, or why the message was refused.
    pub outcome: Result<Acceptance, Refusal>,
    /// The number was used again for other bytes, and the log has the evidence.
    pub(crate) reused: bool,
}

/// What the sender of an accepted message is told of its frozen audience.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Acceptance {
    /// How many recipients.
    pub recipients: u32,
    /// Recipients that became members after the explanation that the header names.
    pub come: Vec<Party>,
    /// Who would receive if its membership had not ended after that explanation.
    pub gone: Vec<Party>,
}

impl From<&Accepted> for Acceptance {
    fn from(accepted: &Accepted) -> Self {
        let recipients = u32::try_from(accepted.places.len()).unwrap_or(u32::MAX);
        Self { recipients, come: accepted.come.clone(), gone: accepted.gone.clone() }
    }
}

impl From<&Message> for Acceptance {
    fn from(message: &Message) -> Self {
        let recipients = u32::try_from(message.recipients.len()).unwrap_or(u32::MAX);
        Self { recipients, come: message.come.clone(), gone: message.gone.clone() }
    }
}

/// The numbers of one sender in its present epoch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Numbering {
    pub(crate) epoch: u64,
    lanes: [LaneNumbers; 4],
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct LaneNumbers {
    last: u64,
    /// The newest last.
    answers: VecDeque<Answer>,
}

impl LaneNumbers {
    /// Where the answer to a number stands in `answers`, unless it is too old or yet to come.
    fn place(&self, number: u64) -> Option<usize> {
        let back = usize::try_from(self.last.checked_sub(number)?).ok()?;
        self.answers.len().checked_sub(back + 1)
    }
}

impl Numbering {
    pub(crate) fn of_epoch(epoch: u64) -> Self {
        Self { epoch, lanes: Default::default() }
    }

    pub(crate) fn end(&self, lane: Lane) -> (u64, Option<Hash>) {
        let numbers = &self.lanes[lane.index()];
        (numbers.last, numbers.answers.back().map(|answer| answer.header_hash))
    }

    fn answer(&self, lane: Lane, number: u64) -> Option<&Answer> {
        let numbers = &self.lanes[lane.index()];
        numbers.answers.get(numbers.place(number)?)
    }

    /// Keeps the answer to the next number of a lane.
    pub(crate) fn spend(&mut self, lane: Lane, answer: Answer) {
        let numbers = &mut self.lanes[lane.index()];
        numbers.last += 1;
        if numbers.answers.len() == ANSWERS_KEPT {
            numbers.answers.pop_front();
        }
        numbers.answers.push_back(answer);
    }

    /// Notes that the log has evidence of a number used twice.
    pub(crate) fn mark_reused(&mut self, lane: Lane, number: u64) {
        let numbers = &mut self.lanes[lane.index()];
        if let Some(answer) = numbers.place(number).and_then(|at| numbers.answers.get_mut(at)) {
            answer.reused = true;
        }
    }
}

/// What a number says about a submission.
pub(crate) enum Turn<'a> {
    /// It is the next one.
    Next,
    /// It opens a new epoch, if the rules allow it.
    NewEpoch,
    /// It was answered before.
    Repeated(&'a Answer),
    /// Its number was used for other bytes.
    Reused(&'a Answer),
    /// It was decided on too long ago to be remembered here.
    Older,
}

/// Whose turn it is.
///
/// # Errors
/// `OUT_OF_ORDER` when an earlier number or the opening of the epoch is missing.
pub(crate) fn turn<'a>(state: &'a State, submission: &Submission) -> Result<Turn<'a>, Refusal> {
    let id = &submission.header.id;
    let epoch = state.epoch(&id.sender);
    if id.epoch < epoch {
        return Ok(Turn::Older);
    }
    if id.epoch > epoch {
        let opens = submission.header.kind == Kind::NewEpoch
            && id.number == 1
            && submission.lifted.epoch == Some(id.epoch);
        return if opens { Ok(Turn::NewEpoch) } else { Err(Refusal::of(Reason::OutOfOrder, "id")) };
    }
    let (last, _) = state.sender_end(&id.sender, id.lane);
    if id.number > last.saturating_add(1) {
        return Err(Refusal::of(Reason::OutOfOrder, "id"));
    }
    if id.number > last {
        return Ok(Turn::Next);
    }
    let Some(answer) = state.senders.get(&id.sender).and_then(|n| n.answer(id.lane, id.number)) else {
        return Ok(Turn::Older);
    };
    if answer.header_hash == submission.header_hash {
        return Ok(Turn::Repeated(answer));
    }
    Ok(Turn::Reused(answer))
}
