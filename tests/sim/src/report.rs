//! Many seeds, each in a process of its own, and what they came to.
//!
//! A process for each: the runtime numbers its tasks for the whole process, and drops them in an order that depends on
//! these numbers. In a fresh process a seed decides everything.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use i247_node::{Clock as _, SystemClock};

use crate::arguments::Arguments;
use crate::expect::missing;
use crate::plants::Plant;
use crate::run::Outcome;

/// So many broken promises of a seed are shown.
const SHOWN: usize = 8;

/// What all seeds came to.
#[derive(Debug, Default)]
struct Total {
    runs: u64,
    simulated: Duration,
    counts: BTreeMap<String, u64>,
    /// Seeds that broke something, each with what it broke.
    failed: BTreeMap<u64, Vec<String>>,
}

/// Plays all seeds, tells what they came to, and says whether all is well.
pub(crate) fn all(asked: &Arguments) -> bool {
    let clock = SystemClock::new();
    let mut total = Total::default();
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let playing: Vec<_> = (0..asked.jobs)
            .map(|job| {
                let enough = &enough;
                scope.spawn(move || part(asked, job, enough))
            })
            .collect();
        for part in playing {
            part.join().unwrap_or_default().into_iter().for_each(|(seed, outcome)| total.add(seed, outcome));
        }
    });
    total.print(clock.monotonic());
    let bug = match asked.plant {
        Plant::Nothing => String::new(),
        plant => format!(" ARGS=\"--plant {}\"", plant.name()),
    };
    for (seed, broken) in &total.failed {
        println!("\nseed {seed} failed:");
        broken.iter().for_each(|text| println!("  {text}"));
        println!("  repeat with: make sim SEED={seed}{bug}");
        println!("  its history: {}", asked.keep.join(seed.to_string()).display());
    }
    let missing = if asked.ci { missing(&total.counts) } else { Vec::new() };
    missing.iter().for_each(|text| println!("{text}"));
    total.failed.is_empty() && missing.is_empty()
}

/// The seeds of one thread.
fn part(asked: &Arguments, job: u64, enough: &AtomicBool) -> Vec<(u64, Told)> {
    let mut played = Vec::new();
    for seed in asked.seeds.clone().filter(|seed| seed % asked.jobs == job) {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        let told = in_a_process(asked, seed);
        enough.fetch_or(asked.first && !told.broken.is_empty(), Ordering::Relaxed);
        played.push((seed, told));
    }
    played
}

/// Plays seeds twice, each time in another process, and says whether the histories are the same.
pub(crate) fn twice(asked: &Arguments) -> bool {
    let mut same = true;
    for seed in asked.seeds.clone() {
        let [first, second] = [0, 1].map(|_| in_a_process(asked, seed).digest);
        if first.is_empty() || first != second {
            println!("seed {seed} has two histories: {first:?} and {second:?}");
            same = false;
        }
    }
    let said = if same { "the same history" } else { "not the same history" };
    println!("{} seeds in two processes each: {said}", asked.seeds.end - asked.seeds.start);
    same
}

/// What a process told of its seed.
#[derive(Debug, Default)]
struct Told {
    simulated: Duration,
    digest: String,
    counts: BTreeMap<String, u64>,
    broken: Vec<String>,
}

/// Tells the outcome of one seed, for [`in_a_process`].
pub(crate) fn tell(outcome: &Outcome) {
    println!("simulated\t{}", outcome.simulated.as_millis());
    println!("digest\t{}", outcome.digest());
    outcome.counts.iter().for_each(|(what, count)| println!("count\t{count}\t{what}"));
    outcome
        .violations
        .iter()
        .for_each(|broken| println!("broken\t{}", broken.to_string().replace('\n', " ")));
}

fn in_a_process(asked: &Arguments, seed: u64) -> Told {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("i247-sim"));
    let mut command = Command::new(program);
    command.args(["--tell", &seed.to_string(), "--plant", asked.plant.name(), "--keep"]);
    command.arg(&asked.keep);
    let mut told = Told::default();
    let ended = match command.output() {
        Ok(ended) => ended,
        Err(error) => {
            told.broken.push(format!("no process: {error}"));
            return told;
        }
    };
    for line in String::from_utf8_lossy(&ended.stdout).lines() {
        let Some((what, rest)) = line.split_once('\t') else { continue };
        match what {
            "simulated" => told.simulated = Duration::from_millis(rest.parse().unwrap_or_default()),
            "digest" => rest.clone_into(&mut told.digest),
            "broken" => told.broken.push(rest.to_owned()),
            "count" => {
                let Some((count, what)) = rest.split_once('\t') else { continue };
                told.counts.insert(what.to_owned(), count.parse().unwrap_or_default());
            }
            _ => {}
        }
    }
    if told.digest.is_empty() {
        let last = String::from_utf8_lossy(&ended.stderr).lines().last().unwrap_or_default().to_owned();
        told.broken.push(format!("the process ended with {}: {last}", ended.status));
    }
    told
}

impl Total {
    fn add(&mut self, seed: u64, told: Told) {
        self.runs += 1;
        self.simulated += told.simulated;
        for (what, count) in told.counts {
            *self.counts.entry(what).or_default() += count;
        }
        if !told.broken.is_empty() {
            self.failed.insert(seed, told.broken.into_iter().take(SHOWN).collect());
        }
    }

    fn print(&self, took: Duration) {
        let speed = self.simulated.as_secs_f64() / took.as_secs_f64().max(0.001);
        println!(
            "{} runs, {:.0} simulated seconds in {:.0} s: {speed:.0} a second; {} runs failed",
            self.runs,
            self.simulated.as_secs_f64(),
            took.as_secs_f64(),
            self.failed.len()
        );
        for (what, count) in &self.counts {
            println!("{count:>9}  {what}");
        }
    }
}
