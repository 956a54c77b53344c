//! One group is on its way to the disk while the next one is decided. What is decided is not true before it is durable:
//! nobody hears of a group before it and those before it are written. It must not decide.

use std::mem;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use i247_ledger::{AppendError, Draft, Position};
use i247_node::Clock;
use i247_router::Input;

use super::{GROUP_BYTES, GROUP_MAX, Group, LOOK_AGAIN, Sequencer, SequencerError, Work};

/// What is between the decision and the answer.
#[derive(Default)]
pub(crate) struct Groups {
    /// Decided, and waits for the one before it to be written.
    pub(super) next: Group,
    writing: Option<Writing>,
}

/// A group that the log was handed.
struct Writing {
    group: Group,
    /// The end of the log with it.
    end: Position,
    /// When it was handed over, on the monotonic clock.
    begun: Duration,
    written: BoxFuture<'static, Result<Position, AppendError>>,
}

impl Groups {
    /// The next group, to be put back with what is decided now.
    pub(super) fn open(&mut self, clock: &dyn Clock) -> Group {
        let mut group = mem::take(&mut self.next);
        if group.is_empty() {
            group.begun = clock.monotonic();
        }
        group
    }

    /// Waits for the group that is on its way; for ever when there is none.
    pub(super) async fn written(&mut self) -> Result<Position, AppendError> {
        match &mut self.writing {
            Some(writing) => (&mut writing.written).await,
            None => std::future::pending().await,
        }
    }

    /// When receipts that wait for company have waited long enough, on the monotonic clock; none while they wait for
    /// the disk anyway.
    pub(super) fn receipts_due(&self, wait: Duration) -> Option<Duration> {
        (self.writing.is_none() && !self.next.is_empty()).then(|| self.next.begun.saturating_add(wait))
    }
}

impl Group {
    /// How many more inputs it takes. An input becomes an entry, an answer, or both.
    pub(super) fn room(&self) -> usize {
        let inputs = self.entries.len().max(self.answers.len() + self.noted.len());
        if self.bytes > GROUP_BYTES { 0 } else { GROUP_MAX.saturating_sub(inputs) }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.answers.is_empty() && self.noted.is_empty()
    }

    /// Whether nobody waits for it: receipts alone may wait a little for company.
    fn can_wait(&self) -> bool {
        let receipts = |input: &Input| matches!(input, Input::Receipts(_));
        self.answers.is_empty()
            && self.noted.is_empty()
            && self.entries.iter().all(|pending| receipts(&pending.taken.input))
    }
}

impl Sequencer {
    /// The end of the log once everything is written that was handed to it.
    pub(super) fn written_end(&self) -> Position {
        self.groups.writing.as_ref().map_or_else(|| self.ledger.end(), |writing| writing.end)
    }

    /// Whether what was decided must be durable and applied before this is decided: it asks history, or the streams.
    pub(super) fn needs_all_settled(&self, work: &Work) -> bool {
        match work {
            Work::Submission { attested, .. } => {
                let header = attested.header();
                // What came before is answered from what is durable.
                let is_new = self.ahead.sender_end(&header.id.sender, header.id.lane).0 < header.id.number;
                !is_new || header.refers_to.is_some()
            }
            Work::Receipts { .. } => false,
            Work::Change { .. } | Work::Hit { .. } | Work::SearchRoot { .. } => true,
        }
    }

    /// Hands the next group to the log, when none is on its way. Receipts alone wait until their time has come, unless
    /// it is in `haste`.
    pub(super) fn begin(&mut self, haste: bool) {
        let now = self.clock.monotonic();
        let due = haste || self.groups.receipts_due(self.receipts_wait).is_some_and(|due| due <= now);
        let Groups { next, writing } = &mut self.groups;
        if writing.is_some() || next.is_empty() || (next.can_wait() && !due) {
            return;
        }
        let group = mem::take(next);
        let drafts: Vec<Draft> = group.entries.iter().map(|pending| pending.draft.clone()).collect();
        let (ledger, after) = (self.ledger.clone(), self.ledger.end());
        let end = after.plus(drafts.len() as u64);
        let mut written = async move { ledger.append(after, drafts).await }.boxed();
        // Looked at once, the log works on it from now on.
        if let Some(at_once) = (&mut written).now_or_never() {
            written = std::future::ready(at_once).boxed();
        }
        *writing = Some(Writing { group, end, begun: now, written });
    }

    /// Acts on the group that was on its way; when there was no room for it, nothing of it or of the next has happened.
    ///
    /// # Errors
    /// When the log has stopped, or history cannot be read.
    pub(super) fn finish(&mut self, result: Result<Position, AppendError>) -> Result<(), SequencerError> {
        let Some(Writing { mut group, begun, .. }) = self.groups.writing.take() else { return Ok(()) };
        match result {
            Ok(_) => {
                group.appending.clear();
                let took = self.clock.monotonic().saturating_sub(begun);
                self.pulse.appended(begun, took);
                self.counters.appended(took);
                if !self.writable.send_replace(true) {
                    tracing::info!("there is room on the disk again");
                }
                // The disk has work again before this one is acted on.
                self.begin(false);
                Ok(self.act(group)?)
            }
            Err(AppendError::Full) => {
                self.look_again = self.clock.monotonic().saturating_add(LOOK_AGAIN);
                let next = mem::take(&mut self.groups.next);
                if self.writable.send_replace(false) {
                    let (written, behind) = (group.answers.len(), next.answers.len());
                    tracing::error!(
                        refused = written + behind,
                        decided_ahead = behind,
                        "no room on the disk: nothing is accepted until there is some"
                    );
                }
                self.take_back(group);
                self.take_back(next);
                Ok(())
            }
            // Over a limit it cannot be, as every entry was measured: a fault of ours, that trying again repeats.
            Err(
                error @ (AppendError::TooLarge { .. }
                | AppendError::Conflict { .. }
                | AppendError::Unknown
                | AppendError::Stopped(_)),
            ) => Err(SequencerError::Log(error)),
        }
    }

    /// Waits until everything that was decided is durable and applied, or taken back because there is no room.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(super) async fn settle(&mut self) -> Result<(), SequencerError> {
        loop {
            self.begin(true);
            if self.groups.writing.is_none() {
                return Ok(());
            }
            let result = self.groups.written().await;
            self.finish(result)?;
        }
    }
}
