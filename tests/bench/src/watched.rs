//! What watching costs: the same load with nobody there, and with three consoles that show the network live.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use i247_client::Monitor;
use i247_wire::pb;
use tokio::task::JoinSet;

use crate::contender::{Contender as _, Place, Task};
use crate::hub::{Hub, ONE_BY_ONE, Ours, People};
use crate::measure::{Point, Setting, Work, median_point};
use crate::out;
use crate::rounds::Effort;

/// So many consoles watch.
pub(crate) const CONSOLES: usize = 3;

/// How long a tick of a console is.
const TICK_MS: u32 = 250;

/// How often a console's pages ask for the numbers.
const NUMBERS: Duration = Duration::from_secs(2);

/// Messages in flight: enough to keep the hub busy.
const IN_FLIGHT: usize = 1024;

/// Two kinds of rounds, in turn.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) alone: Point,
    pub(crate) watched: Point,
}

/// Plays the same load with and without those who watch, in turn, on one hub.
pub(crate) async fn measure(
    program: &Path,
    place: &Place,
    people: &Arc<People>,
    effort: Effort,
) -> Result<Watched> {
    let mut ours = Ours::new(program.to_owned(), place.clone(), people.clone());
    ours.begin().await?;
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    let mut rate_before = None;
    // Twice as many rounds as for a comparison with others: the difference is small.
    for round in 0..2 * effort.rounds {
        let setting = Setting::of(IN_FLIGHT, ONE_BY_ONE);
        let task = Task { work: Work::PointToPoint, setting, seconds: effort.seconds, rate_before };
        let without = ours.measure(&task).await?.point();
        let consoles = Consoles::open(ours.hub().context("no hub runs")?, people).await?;
        let mut with = ours.measure(&task).await?.point();
        if let Err(error) = consoles.close() {
            with.shortfall.get_or_insert_with(|| format!("{error:#}"));
        }
        out::talk(&format!("  round {}: {:.0}/s alone, {:.0}/s watched", round + 1, without.rate, with.rate));
        rate_before = Some(without.rate);
        alone.push(without);
        watched.push(with);
    }
    ours.end().await?;
    Ok(Watched { alone: median_point(&alone), watched: median_point(&watched) })
}

/// Consoles with a page open each. They end with this.
struct Consoles {
    /// Ticks that came, by console.
    ticks: Vec<Arc<AtomicU64>>,
    _tasks: JoinSet<()>,
}

impl Consoles {
    async fn open(hub: &Hub, people: &People) -> Result<Self> {
        let (mut ticks, mut tasks) = (Vec::new(), JoinSet::new());
        for _ in 0..CONSOLES {
            let monitor = Monitor::new(hub.channel(&people.operator)?);
            let mut stream = monitor.watch(pb::FlowFilter::default(), TICK_MS).await?;
            let counted = Arc::new(AtomicU64::new(0));
            ticks.push(counted.clone());
            tasks.spawn(async move {
                while let Ok(Some(_)) = stream.message().await {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
            tasks.spawn(async move {
                while monitor.statistics(0).await.is_ok() {
                    i247_node::sleep(NUMBERS).await;
                }
            });
        }
        Ok(Self { ticks, _tasks: tasks })
    }

    /// # Errors
    /// When one of them saw nothing move.
    fn close(self) -> Result<()> {
        let fewest = self.ticks.iter().map(|ticks| ticks.load(Ordering::Relaxed)).min();
        anyhow::ensure!(fewest > Some(1), "a console that watched saw nothing");
        Ok(())
    }
}
