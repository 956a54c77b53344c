//! What watching costs: the same load with nobody there, and with three consoles that show the network live.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use i247_client::Monitor;
use i247_model::MEMBERS;
use i247_wire::pb;
use tokio::task::JoinSet;

use crate::contender::{Contender as _, Place, Task};
use crate::hub::{Hub, ONE_BY_ONE, Ours, People};
use crate::measure::{Point, Setting, Work, median_point};
use crate::out;
use crate::rounds::Effort;

/// So many consoles watch.
pub(crate) const CONSOLES: usize = 3;

/// How long a tick of a console is, and how many single messages it shows a second: as the console asks for them.
const TICK_MS: u32 = 200;
const MESSAGES: u32 = 20;

/// How often a page asks for what it shows. No page of the console asks as often.
const PAGES: Duration = Duration::from_millis(500);

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
        if let Err(error) = consoles.close(with.delivered) {
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

/// Consoles, each with its two streams and with pages that ask again and again. They end with this.
struct Consoles {
    seen: Vec<Arc<Seen>>,
    _tasks: JoinSet<()>,
}

/// What one console was told.
#[derive(Default)]
struct Seen {
    /// Deliveries that moved in its ticks, those that were too many to be named among them.
    delivered: AtomicU64,
    messages: AtomicU64,
    answers: AtomicU64,
}

impl Consoles {
    async fn open(hub: &Hub, people: &People) -> Result<Self> {
        let (mut all, mut tasks) = (Vec::new(), JoinSet::new());
        for _ in 0..CONSOLES {
            let monitor = Monitor::new(hub.channel(&people.operator)?);
            let mut ticks = monitor.watch(pb::FlowFilter::default(), TICK_MS).await?;
            let mut taps = monitor.tap(pb::FlowFilter::default(), MESSAGES).await?;
            let seen = Arc::new(Seen::default());
            all.push(seen.clone());
            let of_ticks = seen.clone();
            tasks.spawn(async move {
                while let Ok(Some(told)) = ticks.message().await {
                    let tick = told.tick.unwrap_or_default();
                    let named: u32 = tick.links.iter().map(|link| link.delivered).sum();
                    let delivered = u64::from(named) + u64::from(tick.delivered_left_out);
                    of_ticks.delivered.fetch_add(delivered, Ordering::Relaxed);
                }
            });
            let of_taps = seen.clone();
            tasks.spawn(async move {
                while let Ok(Some(told)) = taps.message().await {
                    of_taps.messages.fetch_add(told.events.len() as u64, Ordering::Relaxed);
                }
            });
            tasks.spawn(async move {
                loop {
                    i247_node::sleep(PAGES).await;
                    if ask(&monitor).await.is_err() {
                        return;
                    }
                    seen.answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Ok(Self { seen: all, _tasks: tasks })
    }

    /// # Errors
    /// When one of them was not told what moved: half of it at least, since a console that is slow loses ticks.
    fn close(self, delivered: u64) -> Result<()> {
        for seen in &self.seen {
            let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let (moved, messages, answers) = (of(&seen.delivered), of(&seen.messages), of(&seen.answers));
            anyhow::ensure!(
                moved >= delivered / 2 && messages > 0 && answers > 0,
                "a console was told of {moved} of {delivered} deliveries, {messages} messages, {answers} answers"
            );
        }
        Ok(())
    }
}

/// What the pages ask for that ask most: the matrix, a country, its newest messages, the alerts.
async fn ask(monitor: &Monitor) -> Result<()> {
    let country = MEMBERS[0].code.to_string();
    monitor.statistics(300).await?;
    monitor.country(&country).await?;
    let newest = pb::FindMessagesRequest { parties: vec![country], limit: 12, ..Default::default() };
    monitor.find_messages(newest).await?;
    monitor.alerts(false).await?;
    Ok(())
}
