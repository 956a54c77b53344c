//! Random histories of a small network, checked after every step against a record of their own.
//!
//! `I247_SEED=n` repeats one history; `I247_SEEDS=n` runs the first n.

#![expect(clippy::unwrap_used, reason = "a simulation that cannot go on has failed")]

mod acts;
mod bureau;
mod check;
mod dice;
mod explained;
mod record;
mod sent;
mod submit;
mod world;

use std::collections::BTreeMap;

use i247_model::Kind;
use world::World;

const STEPS: u64 = 120;

fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.act();
        world.check();
    }
    world.restart();
    world.drain();
    world.check_all();
    world.replay();
    world.seen
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn every_history_keeps_the_promises() {
    if let Some(seed) = number("I247_SEED") {
        run(seed);
        return;
    }
    let seeds = number("I247_SEEDS").unwrap_or(2_000);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let parts = std::thread::scope(|scope| {
        let work = |first: u64| {
            scope.spawn(move || {
                let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
                for seed in (first..seeds).step_by(workers) {
                    let Ok(run) = std::panic::catch_unwind(|| run(seed)) else { return Err(seed) };
                    for (what, count) in run {
                        *seen.entry(what).or_default() += count;
                    }
                }
                Ok(seen)
            })
        };
        let runs: Vec<_> = (0..workers as u64).map(work).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for part in parts {
        for (what, count) in part.unwrap_or_else(|seed| panic!("failed: repeat with I247_SEED={seed}")) {
            *seen.entry(what).or_default() += count;
        }
    }
    println!("{seeds} histories: {seen:?}");
    let since = ["come since", "gone since", "AUDIENCE_CHANGED"];
    let happenings =
        ["gap", "taken back", "waits for what it refers to", "starvation bound reached", "another name"];
    let kinds = [Kind::Notice, Kind::Addendum, Kind::Cancellation, Kind::Escalation, Kind::NewEpoch];
    for what in happenings.into_iter().chain(since).chain(kinds.map(Kind::as_str)) {
        assert!(seeds < 1_000 || seen.contains_key(what), "no history has a {what}");
    }
}
