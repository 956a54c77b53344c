//! Which answers are overdue, found by looking through what is open a little at a time, so that nobody waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use i247_model::{AnswerState, Kind, Party, RecipientState, Timestamp};
use i247_router::{Line, Message, MessageRef, Recipient};

use crate::core::Core;

/// So many open messages are looked at while the views are held.
const SLICE: usize = 512;

/// At most so many withdrawals are named.
const NAMED_MAX: usize = 256;

/// What the last look through all that is open has found.
#[derive(Debug, Default)]
pub(crate) struct Overdue(RwLock<Arc<Found>>);

/// What one look has found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// How many answers are overdue, by who asked and who owes.
    pub(crate) pairs: BTreeMap<(Party, Party), u32>,
    /// How many answers are owed, by who owes.
    pub(crate) owed: BTreeMap<Party, u32>,
    /// Withdrawals and cancellations that somebody has not signed for, the oldest first: since when, which, and who.
    pub(crate) withdrawals: Vec<(Timestamp, String, Party)>,
}

impl Overdue {
    /// What was found last.
    pub(crate) fn found(&self) -> Arc<Found> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many answers are overdue.
    pub(crate) fn total(&self) -> u32 {
        self.found().pairs.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Looks through all that is open.
    pub(crate) async fn look(&self, core: &Core) {
        let mut found = Found::default();
        each_open(core, |message, now| found.take(message, now)).await;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
    }
}

impl Found {
    fn take(&mut self, message: &Message, now: Timestamp) {
        let asker = message.id.sender.party();
        for (party, recipient) in &message.recipients {
            if owes(recipient) {
                *self.owed.entry(*party).or_default() += 1;
            }
            if is_overdue(recipient, now) {
                *self.pairs.entry((asker, *party)).or_default() += 1;
            }
            let takes_back = matches!(message.kind, Kind::Withdrawal | Kind::Cancellation);
            if takes_back && recipient.state == RecipientState::Queued && self.withdrawals.len() < NAMED_MAX {
                self.withdrawals.push((message.accepted_at, message.id.to_string(), *party));
            }
        }
    }
}

/// Shows every open message, in the order of the log. What is opened meanwhile may be missing.
pub(crate) async fn each_open(core: &Core, mut show: impl FnMut(&Message, Timestamp)) {
    let now = core.clock.now();
    let mut after: Option<MessageRef> = None;
    loop {
        let mut seen = 0;
        {
            let views = core.views();
            for message in views.state.open_after(after).take(SLICE) {
                after = Some(message.at);
                seen += 1;
                show(message, now);
            }
        }
        if seen < SLICE {
            return;
        }
        // Others go first.
        tokio::task::yield_now().await;
    }
}

/// Whether an answer is owed and can still be expected.
pub(crate) fn owes(recipient: &Recipient) -> bool {
    let reachable = recipient.state.has_it() || !recipient.state.settled();
    reachable && recipient.line.is_some_and(|line| line.state.owed())
}

/// Whether an answer should be there by now.
pub(crate) fn is_overdue(recipient: &Recipient, now: Timestamp) -> bool {
    let late = |line: Line| match line.state {
        AnswerState::Reminded(_) | AnswerState::Escalated => true,
        AnswerState::Awaited | AnswerState::Interim => line.due.is_some_and(|due| due <= now),
        AnswerState::Answered | AnswerState::Refused => false,
    };
    owes(recipient) && recipient.line.is_some_and(late)
}
