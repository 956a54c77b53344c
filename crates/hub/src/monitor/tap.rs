//! Single messages as they move, at most so many a second; what is left out is counted. Ids and kinds, never a body.

use std::sync::Arc;
use std::time::Duration;

use i247_model::RecipientState;
use i247_wire::pb;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::filter::Filter;
use crate::core::Core;
use crate::flow::{Tapped, What, wire_kind, wire_lane};

/// So many answers wait for a reader.
const WAITING: usize = 4;

/// One who taps.
pub(super) struct Tapper {
    pub(super) core: Arc<Core>,
    pub(super) filter: Filter,
    pub(super) per_second: u64,
    /// Its place among all who watch.
    pub(super) place: OwnedSemaphorePermit,
}

/// How many more may be shown: what a second gives, gathered over at most one.
struct Allowance {
    per_second: u64,
    /// In thousandths of an event.
    left: u64,
    filled: Duration,
}

type Answer = Result<pb::TapResponse, Status>;

impl Tapper {
    /// Begins; it ends with the stream or with the hub.
    pub(super) fn begin(self) -> mpsc::Receiver<Answer> {
        let (answers, stream) = mpsc::channel(WAITING);
        let (core, stop) = (self.core.clone(), self.core.streams.stop());
        // Before the call is answered, so that whoever sends after that is shown.
        let tap = core.flow.tap();
        core.streams.spawn(async move {
            stop.run_until_cancelled(self.run(tap, answers)).await;
        });
        stream
    }

    async fn run(self, mut tap: crate::flow::Tap, answers: mpsc::Sender<Answer>) {
        let _place = &self.place;
        let mut allowance = Allowance::new(self.per_second, self.core.clock.monotonic());
        let mut left_out = 0;
        loop {
            // Dropping the wait for the next ones loses none.
            let taps = tokio::select! {
                taps = tap.taps.recv() => taps,
                () = answers.closed() => return,
            };
            let taps = match taps {
                Ok(taps) => taps,
                Err(RecvError::Lagged(lost)) => {
                    left_out += lost;
                    continue;
                }
                Err(RecvError::Closed) => return,
            };
            left_out += taps.left_out;
            allowance.fill(self.core.clock.monotonic());
            let fit = taps.messages.iter().filter(|tapped| self.filter.fits_tapped(tapped));
            let mut events = Vec::new();
            for tapped in fit {
                if allowance.take() { events.push(wire(tapped)) } else { left_out += 1 }
            }
            if events.is_empty() && left_out == 0 {
                continue;
            }
            match answers.try_reserve() {
                Ok(room) => {
                    room.send(Ok(pb::TapResponse { events, left_out: std::mem::take(&mut left_out) }))
                }
                Err(TrySendError::Full(())) => left_out += events.len() as u64,
                Err(TrySendError::Closed(())) => return,
            }
        }
    }
}

impl Allowance {
    fn new(per_second: u64, now: Duration) -> Self {
        Self { per_second, left: per_second * 1000, filled: now }
    }

    fn fill(&mut self, now: Duration) {
        let ms = u64::try_from(now.saturating_sub(self.filled).as_millis()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_add(ms.saturating_mul(self.per_second)).min(self.per_second * 1000);
        self.filled = now;
    }

    fn take(&mut self) -> bool {
        let left = self.left.checked_sub(1000);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

fn wire(tapped: &Tapped) -> pb::TapEvent {
    let Tapped { moved, at, position, id, recipients } = tapped;
    let (event, reason) = match moved.what {
        What::Accepted => ("accepted".to_owned(), String::new()),
        What::Entered => (RecipientState::Queued.to_string(), String::new()),
        What::Stands(state) => (state.to_string(), String::new()),
        What::Refused(reason) => ("refused".to_owned(), reason.as_str().to_owned()),
    };
    pb::TapEvent {
        at_ms: at.as_millis(),
        position: *position,
        event,
        id: id.to_string(),
        kind: wire_kind(moved.kind),
        lane: wire_lane(moved.lane),
        from: moved.from.to_string(),
        to: moved.to.map(|to| to.to_string()).unwrap_or_default(),
        recipients: u32::try_from(recipients.len()).unwrap_or(u32::MAX),
        reason,
        after_ms: u64::from(moved.after_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_shown_than_was_asked_for() {
        let mut allowance = Allowance::new(2, Duration::ZERO);
        let mut shown = |at_ms| {
            allowance.fill(Duration::from_millis(at_ms));
            (0..10).filter(|_| allowance.take()).count()
        };
        assert_eq!(shown(0), 2);
        assert_eq!(shown(400), 0);
        assert_eq!(shown(500), 1);
        assert_eq!(shown(60_000), 2, "what was not shown in a minute does not come at once");
    }
}
