//! `make overload`: four times as much as the hub can do, for a minute. What it accepts must come once and only once,
//! what it refuses must say when to come again; how much still gets through, how soon it is quick again, what a hundred
//! bureaus cost the others that take nothing, and how much memory all that takes is printed.
//!
//! ```text
//!  peak ──► calm, at half of it ──► overload ──► calm again ──► calm, then beside stalled bureaus ──► log checked
//! ```
//!
//! One hub goes through all of it. Speed is asserted nowhere; a loss, a double, a refusal without a retry time and a
//! log that is not sound are.

mod calls;
mod chain;
mod flood;
mod stall;
mod stalled;
mod streams;
mod tally;
mod timeline;
mod told;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use i247_model::{CountryCode, MEMBERS};
use i247_node::{Clock as _, SystemClock};

use crate::bureaus::{Bureaus, SENDERS};
use crate::contender::Place;
use crate::hub::{Hub, People};
use crate::measure::Point;
use crate::process::{memory_of, most_memory_of, step_back};
use crate::{machine, out};
use flood::Flood;
use stall::Stall;
pub(crate) use streams::Streams;

/// What is offered on streams, in capacities: so many times the streams that reach it.
const TIMES: usize = 4;
/// What is offered by call besides, in capacities of the streams: a quarter of what the hub can do by call, as a call costs
/// it and whoever makes it four times what a frame of a stream does.
const BY_CALL: f64 = 0.25 / 4.0;
/// Envelopes that the hub lets each stream have under way.
const HUB_WINDOW: usize = 64;

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The program that is measured
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// The profile that it was built with, for the card
    #[arg(long, value_name = "NAME")]
    profile: String,
    /// Where the results go; the hub keeps its data below it
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    dir: PathBuf,
    /// One minute: ten seconds of overload in place of sixty
    #[arg(long)]
    quick: bool,
}

/// How long each part lasts, in seconds.
#[derive(Clone, Copy, Debug)]
struct Effort {
    windows: &'static [usize],
    peak: f64,
    calm: f64,
    overload: u64,
    after: u64,
    /// So long that the hub stores a snapshot in each: else one side alone may have to bear it.
    stalled: f64,
    /// Comparisons of the stalled with none.
    rounds: usize,
}

/// Half a minute before the minute, half a minute after it.
const WHOLE: Effort = Effort {
    windows: &[256, 1024, 2048],
    peak: 5.0,
    calm: 10.0,
    overload: 60,
    after: 15,
    stalled: 7.2,
    rounds: 5,
};
const QUICK: Effort =
    Effort { windows: &[256, 2048], peak: 2.0, calm: 4.0, overload: 10, after: 12, stalled: 7.2, rounds: 1 };

/// The hub's resident memory, in bytes.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// With a stream to every country that sends or receives, before anything is sent.
    start: u64,
    most: u64,
    end: u64,
}

/// Everything that was found.
struct Findings {
    card: machine::Card,
    /// The best window, and what came of it.
    peak: (usize, Point),
    calm: Point,
    flood: Flood,
    stall: Stall,
    memory: Memory,
    /// Why the hub's log is not sound, or the hub did not stop, if so.
    unsound: Option<String>,
}

/// A hub with what loads it.
struct Scene {
    clock: Arc<SystemClock>,
    people: People,
    countries: Vec<CountryCode>,
    hub: Hub,
}

/// Plays all parts and tells.
pub(crate) async fn run(options: Options) -> Result<()> {
    let clock = Arc::new(SystemClock::new());
    let work = options.dir.join("overload");
    machine::work_dir(&work)?;
    let work = std::fs::canonicalize(work)?;
    let program = std::fs::canonicalize(&options.program)
        .with_context(|| format!("{}: build it first", options.program.display()))?;
    let effort = if options.quick { QUICK } else { WHOLE };
    let mut card = machine::card(&work, &program, &options.profile, clock.now());
    card.push(("effort", format!("{effort:?}")));
    card.push((
        "priority",
        "the hub has the processors first, as if the load came from other machines".into(),
    ));
    out::talk(&machine::render(&card));

    let place = Place { dir: work.clone(), clock: clock.clone(), countries: MEMBERS.len() };
    let people = People::new(&clock)?;
    let hub = Hub::start(&program, &place, &people).await?;
    step_back()?;
    let countries = people.members.iter().map(|(country, _)| *country).collect();
    let scene = Scene { clock, people, countries, hub };
    let linked = scene.people.members[..2 * SENDERS].to_vec();
    let bureaus = Bureaus::open(scene.clock.clone(), linked, |own| scene.hub.channel(own)).await?;
    let process = scene.hub.process();
    let start = memory_of(process);
    let receivers = scene.countries[SENDERS..2 * SENDERS].to_vec();
    let mut streams = Streams::new(scene.clock.clone(), bureaus, (0, SENDERS), &receivers);
    let peak = measure_peak(&mut streams, process, effort).await?;
    let rate = peak.1.rate;
    out::talk(&format!("half of it, {:.0}/s, for {} s", rate / 2.0, effort.calm));
    let calm = streams.paced(rate / 2.0, effort.calm, process).await?.point();
    out::talk(&line(&calm));
    let flood = flood::play(&scene, &mut streams, &calm, rate, effort).await?;
    let stall = stall::play(&scene, &mut streams, rate / 2.0, (effort.rounds, effort.stalled)).await?;
    let memory = Memory { start, most: most_memory_of(process), end: memory_of(process) };
    drop(streams);
    out::talk("the hub stops, its log is checked");
    let unsound = scene.hub.stop().await.err().map(|error| format!("{error:#}"));
    std::fs::remove_dir_all(&work)?;
    let findings = Findings { card, peak, calm, flood, stall, memory, unsound };
    told::tell(&findings, &options.dir)?;
    let faults = told::faults(&findings);
    if !faults.is_empty() {
        bail!("{}", faults.join("; "));
    }
    Ok(())
}

/// The best window, and what came of it: on the streams that overload begins with, to the same bureaus.
async fn measure_peak(streams: &mut Streams, process: u32, effort: Effort) -> Result<(usize, Point)> {
    /// What is expected before anything was measured: enough is signed for it.
    const FIRST_GUESS: f64 = 10_000.0;
    out::talk("peak: point to point, signed one by one, by messages in flight");
    let mut best: Option<(usize, Point)> = None;
    let mut fastest = streams.full(effort.windows[0], FIRST_GUESS, 1.0, process).await?.point().rate;
    for window in effort.windows {
        let point = streams.full(*window, fastest, effort.peak, process).await?.point();
        out::talk(&format!("{window:>6}: {}", line(&point)));
        if let Some(why) = point.shortfall {
            bail!("peak: INVALID: {why}");
        }
        fastest = fastest.max(point.rate);
        if best.as_ref().is_none_or(|(_, best)| point.rate > best.rate) {
            best = Some((*window, point));
        }
    }
    best.context("no window was tried")
}

fn line(point: &Point) -> String {
    let Point { rate, p50_us, p99_us, server_us, client_us, .. } = point;
    let why = point.shortfall.as_ref().map(|why| format!("  INVALID: {why}")).unwrap_or_default();
    format!(
        "  {rate:>7.0}/s  p50 {p50_us:>8.0} us  p99 {p99_us:>8.0} us  cpu {server_us:.1} + {client_us:.1} us{why}"
    )
}
