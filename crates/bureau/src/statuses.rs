//! Asks the hub on a new stream where this bureau's open messages stand, one page after the other, beside the traffic.
//! What changes meanwhile the hub tells by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use i247_model::MessageId;
use i247_wire::pb;
use tokio::task::{JoinError, JoinSet};

use crate::link::{CALL_WITHIN, Exchange, within};
use crate::outbox::Outbox;

/// How many messages one question may name: so many, each to every member, fit into one answer.
const AT_ONCE: usize = 64;
/// The wait after a question that was not answered.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A page, and what the hub answered.
pub(crate) type Answer = (MessageId, Result<pb::StatusesResponse, tonic::Status>);

/// The questions of one stream; dropped with it.
#[derive(Debug, Default)]
pub(crate) struct Statuses {
    /// One at a time.
    asking: JoinSet<Answer>,
    /// Of these the stream told since the question was asked, and its word is the newer one.
    told_since: BTreeSet<String>,
    /// The last message that was told about.
    told_to: Option<MessageId>,
    done: bool,
    /// When the next question may be asked, in monotonic time.
    from: Duration,
}

impl Statuses {
    /// Asks about the next page, if it is time to.
    pub(crate) fn ask(&mut self, exchange: &Exchange, outbox: &Outbox, now: Duration) {
        if self.done || !self.asking.is_empty() || now < self.from {
            return;
        }
        let page = outbox.open(self.told_to.as_ref(), AT_ONCE);
        let Some(last) = page.last().cloned() else {
            self.done = true;
            return;
        };
        let mut exchange = exchange.clone();
        let asked = pb::StatusesRequest { ids: page.iter().map(ToString::to_string).collect() };
        self.asking.spawn(async move {
            let answered = within(CALL_WITHIN, exchange.statuses(asked)).await;
            (last, answered.map(tonic::Response::into_inner))
        });
    }

    /// Asks about all of them once more: some have come back that were lost here.
    pub(crate) fn begin_again(&mut self) {
        // The answer that is under way would lead on behind them.
        self.asking = JoinSet::new();
        (self.told_to, self.done) = (None, false);
    }

    /// The stream told where a message stands.
    pub(crate) fn told(&mut self, id: &str) {
        if !self.asking.is_empty() {
            self.told_since.insert(id.to_owned());
        }
    }

    /// Waits for an answer; none when nothing is asked. Dropping the wait loses nothing.
    pub(crate) async fn answered(&mut self) -> Option<Result<Answer, JoinError>> {
        self.asking.join_next().await
    }

    /// What the hub told. After a question without an answer the same page is asked about again.
    pub(crate) fn take(
        &mut self,
        answer: Result<Answer, JoinError>,
        now: Duration,
    ) -> Vec<pb::MessageStatus> {
        let told_since = std::mem::take(&mut self.told_since);
        match answer {
            Ok((last, Ok(mut response))) => {
                self.told_to = Some(last);
                response.statuses.retain(|status| !told_since.contains(&status.id));
                return response.statuses;
            }
            Ok((_, Err(status))) => {
                tracing::warn!(code = ?status.code(), "the hub did not say where messages stand");
            }
            Err(error) => tracing::error!(%error, "a question for the state of messages broke off"),
        }
        self.from = now + AGAIN_AFTER;
        Vec::new()
    }

    /// How long until the next question, if it has to wait.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        (self.from > now).then(|| self.from - now)
    }
}
