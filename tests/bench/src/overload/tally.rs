//! What became of calls: how many were made, how the hub answered, and what could not even be made. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use i247_model::{Class, Reason};
use i247_wire::pb;
use i247_wire::pb::submit_result::Result as Answered;
use tonic::Status;

/// What one call came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Accepted,
    Refused {
        reason: Reason,
        retry_after: Option<Duration>,
    },
    /// Neither: what the hub did is not known. The words say what came instead.
    Failed(String),
}

impl Answer {
    /// Reads what a call returned.
    pub(crate) fn of(returned: Result<pb::SubmitResponse, Status>) -> Self {
        let refusal = match returned {
            Ok(response) => match response.result.and_then(|result| result.result) {
                Some(Answered::Acceptance(_)) => return Self::Accepted,
                Some(Answered::Refusal(refusal)) => i247_model::Refusal::try_from(refusal).ok(),
                None => None,
            },
            Err(status) => match i247_wire::refusal(&status) {
                Some(refusal) => Some(refusal),
                None => return Self::Failed(failure(&status)),
            },
        };
        match refusal {
            Some(refusal) => Self::Refused { reason: refusal.reason, retry_after: refusal.retry_after },
            None => Self::Failed("an answer that is none".into()),
        }
    }
}

/// The code and the innermost cause, which says what the transport saw.
fn failure(status: &Status) -> String {
    let mut cause = std::error::Error::source(status);
    let mut said = status.message().to_owned();
    while let Some(error) = cause {
        said = error.to_string();
        cause = error.source();
    }
    format!("{:?}: {said}", status.code())
}

/// What became of all calls.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tally {
    /// Calls that were due by the rate that is offered.
    pub(crate) due: u64,
    /// Calls that were made.
    pub(crate) made: u64,
    /// Not made: the hub had asked to wait with as many as a sender keeps.
    pub(crate) held_back: u64,
    /// Not made: as many were under way.
    pub(crate) full: u64,
    pub(crate) accepted: u64,
    /// By reason, and whether a time was named.
    pub(crate) refused: BTreeMap<(&'static str, bool), u64>,
    /// Neither accepted nor refused, by what came instead.
    pub(crate) failed: BTreeMap<String, u64>,
    /// The longest time that a refusal named.
    pub(crate) longest_wait: Duration,
    /// From call to acceptance.
    pub(crate) took: Vec<Duration>,
    /// The first refusal that no wait can help against.
    pub(crate) beyond_help: Option<Reason>,
}

impl Tally {
    /// Counts one answer.
    pub(crate) fn count(&mut self, answer: &Answer, took: Duration) {
        match answer {
            Answer::Accepted => {
                self.accepted += 1;
                self.took.push(took);
            }
            Answer::Refused { reason, retry_after } => {
                *self.refused.entry((reason.as_str(), retry_after.is_some())).or_default() += 1;
                self.longest_wait = self.longest_wait.max(retry_after.unwrap_or_default());
                if reason.class() != Class::NotNow {
                    self.beyond_help.get_or_insert(*reason);
                }
            }
            Answer::Failed(what) => *self.failed.entry(what.clone()).or_default() += 1,
        }
    }

    /// Adds another sender's.
    pub(crate) fn add(&mut self, other: Self) {
        self.due += other.due;
        self.made += other.made;
        self.held_back += other.held_back;
        self.full += other.full;
        self.accepted += other.accepted;
        for (key, count) in other.refused {
            *self.refused.entry(key).or_default() += count;
        }
        for (key, count) in other.failed {
            *self.failed.entry(key).or_default() += count;
        }
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self.took.extend(other.took);
        self.beyond_help = self.beyond_help.or(other.beyond_help);
    }

    /// Calls that were turned away without a word on when to come again.
    pub(crate) fn without_time(&self) -> u64 {
        let silent = self.refused.iter().filter(|((_, timed), _)| !timed);
        let refused: u64 = silent.map(|(_, count)| count).sum();
        refused + self.failed.values().sum::<u64>()
    }

    /// All refusals.
    pub(crate) fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }

    /// In words, by reason.
    pub(crate) fn words(&self) -> Vec<String> {
        let refused = self.refused.iter().map(|((reason, timed), count)| {
            format!("{count} {reason} {}", if *timed { "with a retry time" } else { "without a retry time" })
        });
        refused.chain(self.failed.iter().map(|(what, count)| format!("{count} failed: {what}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use i247_model::Refusal;

    use super::*;

    fn busy() -> Refusal {
        Refusal::of(Reason::Busy, "calls").retry_after(Duration::from_millis(100))
    }

    fn result(result: Answered) -> Result<pb::SubmitResponse, Status> {
        let result = pb::SubmitResult { id: "FR-1-N-1".into(), result: Some(result) };
        Ok(pb::SubmitResponse { result: Some(result) })
    }

    #[test]
    fn a_refusal_reads_the_same_as_a_status_and_as_a_result() {
        let expected =
            Answer::Refused { reason: Reason::Busy, retry_after: Some(Duration::from_millis(100)) };
        assert_eq!(Answer::of(Err(i247_wire::status(&busy()))), expected);
        assert_eq!(Answer::of(result(Answered::Refusal((&busy()).into()))), expected);
        assert_eq!(Answer::of(result(Answered::Acceptance(pb::Signed::default()))), Answer::Accepted);
        assert_eq!(
            Answer::of(Err(Status::deadline_exceeded("late"))),
            Answer::Failed("DeadlineExceeded: late".into())
        );
        assert!(matches!(Answer::of(Ok(pb::SubmitResponse::default())), Answer::Failed(_)));
    }

    #[test]
    fn a_failure_and_a_refusal_without_a_time_are_findings() {
        let mut tally = Tally::default();
        let took = Duration::from_millis(3);
        let refused = |reason, retry_after| Answer::Refused { reason, retry_after };
        tally.count(&Answer::Accepted, took);
        tally.count(&refused(Reason::Busy, Some(Duration::from_secs(2))), took);
        tally.count(&refused(Reason::OutOfOrder, Some(Duration::from_millis(200))), took);
        assert_eq!((tally.without_time(), tally.beyond_help), (0, None));
        tally.count(&refused(Reason::Busy, None), took);
        tally.count(&Answer::Failed("Unavailable".into()), took);
        tally.count(&refused(Reason::ChainBroken, None), took);
        let mut sum = Tally::default();
        sum.add(tally.clone());
        sum.add(tally);
        assert_eq!((sum.accepted, sum.refused_count(), sum.without_time()), (2, 8, 6));
        assert_eq!((sum.longest_wait, sum.beyond_help), (Duration::from_secs(2), Some(Reason::ChainBroken)));
        assert!(sum.words().contains(&"2 BUSY without a retry time".to_owned()), "{:?}", sum.words());
    }
}
