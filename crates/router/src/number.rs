//! Numbers of senders: which submission is next, which is a repetition, which is a lie.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use i247_model::{Hash, Kind, Lane, MessageId, NoticeId, Party, Reason, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Accepted, Message, Origin, Stamp, State, Submission};

/// So many answers are kept per sender and lane; older repetitions are answered from history.
pub const ANSWERS_KEPT: usize = 1024;

/// What came ahead of its turn may come again after so long: by then those before it, which were turned away or overtaken
/// on the way, have come again too.
const COME_AGAIN: Duration = Duration::from_millis(200);

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
    /// The number given to a notice request.
    pub notice_id: Option<NoticeId>,
}

impl Acceptance {
    /// What is told of a decision about a message of this kind.
    pub fn of(kind: Kind, accepted: &Accepted) -> Self {
        Self {
            recipients: u32::try_from(accepted.places.len()).unwrap_or(u32::MAX),
            come: accepted.come.clone(),
            gone: accepted.gone.clone(),
            notice_id: accepted.notice_id.filter(|_| kind == Kind::NoticeRequest),
        }
    }
}

impl From<&Message> for Acceptance {
    fn from(message: &Message) -> Self {
        Self {
            recipients: u32::try_from(message.recipients.len()).unwrap_or(u32::MAX),
            come: message.come.clone(),
            gone: message.gone.clone(),
            notice_id: message.notice_id.filter(|_| message.kind == Kind::NoticeRequest),
        }
    }
}

/// The numbers of one sender in its present epoch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Numbering {
    pub(crate) epoch: u64,
    lanes: [LaneNumbers; 4],
    /// Epochs that ended while something of them may have been lost: it may still come back.
    left: BTreeMap<u64, [LaneNumbers; 4]>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct LaneNumbers {
    /// All up to this one are decided on.
    last: u64,
    /// The newest last.
    answers: VecDeque<Answer>,
    /// What came back of an epoch that is over, behind numbers that nobody brought back.
    beyond: BTreeMap<u64, Answer>,
}

impl LaneNumbers {
    /// Where the answer to a number stands in `answers`, unless it is too old or yet to come.
    fn place(&self, number: u64) -> Option<usize> {
        let back = usize::try_from(self.last.checked_sub(number)?).ok()?;
        self.answers.len().checked_sub(back + 1)
    }

    fn answer(&self, number: u64) -> Option<&Answer> {
        match self.place(number) {
            Some(at) => self.answers.get(at),
            None => self.beyond.get(&number),
        }
    }

    fn spend(&mut self, number: u64, answer: Answer) {
        if number > self.last + 1 {
            self.beyond.insert(number, answer);
            return;
        }
        let mut next = Some(answer);
        while let Some(answer) = next {
            self.last += 1;
            if self.answers.len() == ANSWERS_KEPT {
                self.answers.pop_front();
            }
            self.answers.push_back(answer);
            next = if self.beyond.is_empty() { None } else { self.beyond.remove(&(self.last + 1)) };
        }
    }
}

impl Numbering {
    /// Nothing yet in this epoch, nor in those before, which are open if it is not the first.
    pub(crate) fn of_epoch(epoch: u64) -> Self {
        let left = (1..epoch).map(|before| (before, Default::default())).collect();
        Self { epoch, lanes: Default::default(), left }
    }

    /// Begins a later epoch; the one that ends stays open for what may come back of it.
    pub(crate) fn begin(&mut self, epoch: u64, stays_open: bool) {
        let ended = std::mem::take(&mut self.lanes);
        if stays_open {
            self.left.insert(self.epoch, ended);
        }
        self.epoch = epoch;
    }

    pub(crate) fn is_left_open(&self, epoch: u64) -> bool {
        self.left.contains_key(&epoch)
    }

    /// The last number and its header hash; none of an epoch that is over or yet to come.
    pub(crate) fn end(&self, epoch: u64, lane: Lane) -> (u64, Option<Hash>) {
        self.numbers(epoch, lane).map_or((0, None), |numbers| {
            (numbers.last, numbers.answers.back().map(|answer| answer.header_hash))
        })
    }

    fn numbers(&self, epoch: u64, lane: Lane) -> Option<&LaneNumbers> {
        let lanes = if epoch == self.epoch { Some(&self.lanes) } else { self.left.get(&epoch) };
        lanes.map(|lanes| &lanes[lane.index()])
    }

    fn numbers_mut(&mut self, id: &MessageId) -> Option<&mut LaneNumbers> {
        let lanes = if id.epoch == self.epoch { Some(&mut self.lanes) } else { self.left.get_mut(&id.epoch) };
        lanes.map(|lanes| &mut lanes[id.lane.index()])
    }

    fn answer(&self, id: &MessageId) -> Option<&Answer> {
        self.numbers(id.epoch, id.lane)?.answer(id.number)
    }

    /// Whether the number was decided on.
    pub(crate) fn is_spent(&self, id: &MessageId) -> bool {
        let numbers = self.numbers(id.epoch, id.lane);
        numbers.is_some_and(|numbers| id.number <= numbers.last || numbers.beyond.contains_key(&id.number))
    }

    /// Keeps the answer to the number that the id names: the next of its lane, or one that came back behind a hole.
    pub(crate) fn spend(&mut self, id: &MessageId, answer: Answer) {
        if let Some(numbers) = self.numbers_mut(id) {
            numbers.spend(id.number, answer);
        }
    }

    /// Notes that the log has evidence of a number used twice.
    pub(crate) fn mark_reused(&mut self, id: &MessageId) {
        let Some(numbers) = self.numbers_mut(id) else { return };
        let answer = match numbers.place(id.number) {
            Some(at) => numbers.answers.get_mut(at),
            None => numbers.beyond.get_mut(&id.number),
        };
        if let Some(answer) = answer {
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
/// Nobody gives numbers of an epoch that is over any more: what has not come back of it soon after a recovery is lost, and
/// holds up nothing that follows it.
///
/// # Errors
/// `OUT_OF_ORDER` when an earlier number or the opening of the epoch is missing.
pub(crate) fn turn<'a>(state: &'a State, stamp: Stamp, submission: &Submission) -> Result<Turn<'a>, Refusal> {
    let id = &submission.header.id;
    let epoch = state.epoch(&id.sender);
    let comes_back = submission.origin != Origin::Sender && state.is_left_open(&id.sender, id.epoch);
    if id.epoch < epoch && !comes_back {
        return Ok(Turn::Older);
    }
    if id.epoch > epoch {
        let opens = submission.header.kind == Kind::NewEpoch
            && id.number == 1
            && submission.lifted.epoch == Some(id.epoch);
        return if opens { Ok(Turn::NewEpoch) } else { Err(out_of_order()) };
    }
    let (last, _) = state.end_of(id);
    let answer = state.senders.get(&id.sender).and_then(|numbering| numbering.answer(id));
    let Some(answer) = answer else {
        if id.number <= last {
            return Ok(Turn::Older);
        }
        let in_order = id.number == last + 1 || (comes_back && !state.is_awaited(stamp.at));
        return if in_order { Ok(Turn::Next) } else { Err(out_of_order()) };
    };
    if answer.header_hash == submission.header_hash {
        return Ok(Turn::Repeated(answer));
    }
    Ok(Turn::Reused(answer))
}

/// What is answered to a number that is not its sender's next: nothing is entered, and it may come again.
pub fn out_of_order() -> Refusal {
    Refusal::of(Reason::OutOfOrder, "id").retry_after(COME_AGAIN)
}
