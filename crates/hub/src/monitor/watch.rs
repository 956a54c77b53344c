//! What moves, counted by ticks, for pictures. A reader that does not take its ticks loses them, and is told how many;
//! nobody waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use i247_model::Party;
use i247_wire::pb;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::filter::Filter;
use crate::core::Core;
use crate::flow::{Cell, Cells, LinkKey, Sample, Stand, Tick};

/// So many ticks wait for a reader.
const WAITING: usize = 4;

/// One who watches.
pub(super) struct Watcher {
    pub(super) core: Arc<Core>,
    pub(super) filter: Filter,
    /// How long a tick is at least.
    pub(super) tick: Duration,
    /// How many links are in a tick at most.
    pub(super) links: usize,
    /// Its place among all who watch.
    pub(super) place: OwnedSemaphorePermit,
}

/// What gathers for the next answer.
#[derive(Default)]
struct Gathering {
    cells: Cells,
    span: Duration,
    left_out: u64,
    lost: u32,
    /// How the reader was told that all stand.
    told: BTreeMap<Party, Stand>,
}

type Watched = Result<pb::MonitorServiceWatchResponse, Status>;

impl Watcher {
    /// Begins; it ends with the stream or with the hub.
    pub(super) fn begin(self) -> mpsc::Receiver<Watched> {
        let (answers, stream) = mpsc::channel(WAITING);
        let (core, stop) = (self.core.clone(), self.core.streams.stop());
        core.streams.spawn(async move {
            stop.run_until_cancelled(self.run(answers)).await;
        });
        stream
    }

    async fn run(self, answers: mpsc::Sender<Watched>) {
        let _place = &self.place;
        let mut ticks = self.core.flow.watch();
        let mut gathering = Gathering::default();
        loop {
            // Dropping the wait for a tick loses none.
            let tick = tokio::select! {
                tick = ticks.recv() => tick,
                () = answers.closed() => return,
            };
            let tick = match tick {
                Ok(tick) => tick,
                Err(RecvError::Lagged(lost)) => {
                    gathering.lose(u32::try_from(lost).unwrap_or(u32::MAX));
                    continue;
                }
                Err(RecvError::Closed) => return,
            };
            gathering.add(&tick, &self.filter);
            // The first says how all stand, and need not be long.
            if gathering.span < self.tick && !gathering.told.is_empty() {
                continue;
            }
            match answers.try_reserve() {
                Ok(room) => {
                    let tick = gathering.wire(&tick.sample, self.links);
                    room.send(Ok(pb::MonitorServiceWatchResponse { tick: Some(tick) }));
                }
                Err(TrySendError::Full(())) => gathering.lose(1),
                Err(TrySendError::Closed(())) => return,
            }
        }
    }
}

impl Gathering {
    fn add(&mut self, tick: &Tick, filter: &Filter) {
        self.cells.add_all(&tick.cells, |key| filter.fits(key));
        self.span += tick.span;
        self.left_out += tick.left_out;
    }

    /// What has gathered is lost, with so many ticks.
    fn lose(&mut self, ticks: u32) {
        self.lost = self.lost.saturating_add(ticks);
        (self.cells, self.span, self.left_out) = (Cells::default(), Duration::ZERO, 0);
    }

    /// What has gathered, as the reader gets it; the next begins empty.
    fn wire(&mut self, sample: &Sample, links: usize) -> pb::FlowTick {
        let (cells, span) = (std::mem::take(&mut self.cells), std::mem::take(&mut self.span));
        let left_out = u32::try_from(std::mem::take(&mut self.left_out)).unwrap_or(u32::MAX);
        let (links, rest) = cells.largest(links);
        let mut tick = tick(&links, rest, changed(&mut self.told, &sample.stands));
        tick.at_ms = sample.at.as_millis();
        tick.span_ms = u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        // Which of them were accepted and which delivered nobody has counted.
        tick.accepted_left_out = tick.accepted_left_out.saturating_add(left_out);
        tick.numbers = Some(sample.numbers);
        tick.ticks_lost = std::mem::take(&mut self.lost);
        tick
    }
}

/// Who stands otherwise than was told, which is told now.
fn changed(told: &mut BTreeMap<Party, Stand>, stands: &BTreeMap<Party, Stand>) -> Vec<pb::FlowCountry> {
    let mut changed = Vec::new();
    for (party, stand) in stands {
        if told.insert(*party, *stand) != Some(*stand) {
            changed.push(stand.wire(*party));
        }
    }
    changed
}

/// A tick of these links.
pub(super) fn tick(links: &[(LinkKey, Cell)], rest: Cell, countries: Vec<pb::FlowCountry>) -> pb::FlowTick {
    pb::FlowTick {
        links: links.iter().map(|(key, cell)| key.wire(*cell)).collect(),
        accepted_left_out: rest.accepted,
        delivered_left_out: rest.delivered,
        refused_left_out: rest.refused,
        countries,
        ..pb::FlowTick::default()
    }
}

#[cfg(test)]
mod tests {
    use i247_model::{Kind, Lane};

    use super::*;
    use crate::flow::{Move, What};

    fn tick_to(to: &[&str], left_out: u64) -> Tick {
        let (kind, lane) = (Some(Kind::FreeText), Some(Lane::Normal));
        let mut cells = Cells::default();
        for to in to {
            let (from, to) = ("FR".parse().unwrap(), Some(to.parse().unwrap()));
            cells.count(&Move { from, to, kind, lane, what: What::Entered, after_ms: 0 });
        }
        Tick { span: Duration::from_millis(100), cells, left_out, sample: Arc::default() }
    }

    #[test]
    fn what_a_reader_is_too_slow_for_is_said_once_and_what_has_no_room_is_counted() {
        let mut gathering = Gathering::default();
        gathering.add(&tick_to(&["BR"; 5], 7), &Filter::default());
        gathering.lose(3);
        gathering.add(&tick_to(&["BR", "BR", "JP"], 2), &Filter::default());
        gathering.add(&tick_to(&["ZA"], 0), &Filter::default());
        let told = gathering.wire(&Sample::default(), 1);
        assert_eq!((told.ticks_lost, told.span_ms), (3, 200));
        let links: Vec<(&str, u32)> =
            told.links.iter().map(|link| (link.to.as_str(), link.accepted)).collect();
        // Japan, South Africa, and the two that were too many to be counted by links.
        assert_eq!((links, told.accepted_left_out), (vec![("BR", 2)], 4));
        let next = gathering.wire(&Sample::default(), 1);
        assert_eq!((next.ticks_lost, next.links.len(), next.accepted_left_out), (0, 0, 0));
    }
}
