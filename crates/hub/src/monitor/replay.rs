//! The last hour again, second by second. It copies a minute at a time, so that what is counted now never waits for a
//! reader of what was.

use std::sync::Arc;

use i247_model::{Party, Timestamp};
use i247_wire::pb;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::filter::Filter;
use super::watch::tick;
use crate::core::Core;
use crate::flow::{Cell, Second, Stand};

/// So many seconds are in one answer.
const SECONDS_AT_ONCE: usize = 60;

/// One who looks back.
pub(super) struct Replayer {
    pub(super) core: Arc<Core>,
    pub(super) filter: Filter,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    /// How many links are in a second at most.
    pub(super) links: usize,
    /// Its place among all who watch.
    pub(super) place: OwnedSemaphorePermit,
}

type Answer = Result<pb::ReplayResponse, Status>;

impl Replayer {
    /// Begins; it ends with what there is, with the stream or with the hub.
    pub(super) fn begin(self) -> mpsc::Receiver<Answer> {
        let (answers, stream) = mpsc::channel(1);
        let (core, stop) = (self.core.clone(), self.core.streams.stop());
        core.streams.spawn(async move {
            stop.run_until_cancelled(self.run(answers)).await;
        });
        stream
    }

    async fn run(self, answers: mpsc::Sender<Answer>) {
        let _place = &self.place;
        let (mut from, mut is_first) = (self.from, true);
        loop {
            let (oldest, stands, seconds) = {
                let kept = self.core.flow.kept();
                let (stands, seconds) = kept.ring.between(from, self.until, SECONDS_AT_ONCE);
                (kept.ring.since(), stands, seconds)
            };
            let more = seconds.len() == SECONDS_AT_ONCE;
            let next = seconds.last().map(|last| Timestamp::from_millis(last.begins_ms + 1000));
            let mut ticks: Vec<pb::FlowTick> = seconds.iter().map(|second| self.wire(second)).collect();
            if std::mem::take(&mut is_first) {
                let countries = stands.iter().map(|(party, stand)| stand.wire(*party)).collect();
                let at_ms = from.max(oldest).as_millis();
                ticks.insert(0, pb::FlowTick { at_ms, ..tick(&[], Cell::default(), countries) });
            }
            let answer = pb::ReplayResponse { seconds: ticks, oldest_ms: oldest.as_millis() };
            if answers.send(Ok(answer)).await.is_err() {
                return;
            }
            match next.filter(|_| more) {
                Some(next) => from = next,
                None => return,
            }
        }
    }

    fn wire(&self, second: &Second) -> pb::FlowTick {
        let fit = second.links.iter().filter(|(key, _)| self.filter.fits(*key)).copied();
        let mut links: Vec<_> = fit.collect();
        // Of what was not kept nobody knows whether it would fit.
        let mut rest = second.left_out;
        links.drain(self.links.min(links.len())..).for_each(|(_, cell)| rest.add(cell));
        let countries = second.changed.iter().map(|(party, stand): &(Party, Stand)| stand.wire(*party));
        pb::FlowTick {
            at_ms: second.begins_ms + 1000,
            span_ms: 1000,
            numbers: Some(second.numbers),
            ..tick(&links, rest, countries.collect())
        }
    }
}
