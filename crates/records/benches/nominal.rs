//! The search for persons at full size: precision, recall, and the time of a search.
//!
//! `cargo bench -p i247-records --bench nominal -- 1000000 7 20`: so many persons (100,000 if not said), the seed, and how
//! many examples of what went wrong are printed.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on says so")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

#[path = "../tests/nominal/dice.rs"]
mod dice;
#[path = "../tests/nominal/measure.rs"]
mod measure;
#[path = "../tests/nominal/questions.rs"]
mod questions;
#[path = "../tests/nominal/syllables.rs"]
mod syllables;
#[path = "../tests/nominal/tongues.rs"]
mod tongues;
#[path = "../tests/nominal/world.rs"]
mod world;

use std::time::{Duration, Instant};

use i247_records::nominal::{Persons, THRESHOLD};

use measure::Measured;
use questions::{Question, questions};
use world::World;

const SEED: u64 = 20_261_122;
const QUESTIONS: usize = 2_000;
/// Thresholds around the one that is in force.
const AROUND: u16 = 80;

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let count = numbers.first().map_or(100_000, |count| *count as usize);
    let seed = numbers.get(1).copied().unwrap_or(SEED);
    let mut world = World::new(seed, count);
    let records = world.records();
    let begun = Instant::now();
    let persons = Persons::from_all(records).unwrap();
    println!("{count} persons of seed {seed} indexed in {:.1} s", begun.elapsed().as_secs_f64());

    let questions = questions(&world, seed + 1, QUESTIONS);
    let measured = Measured::run(&world, &persons, &questions, THRESHOLD - AROUND, THRESHOLD);
    for threshold in (THRESHOLD - AROUND..=THRESHOLD + AROUND).step_by(20) {
        let chosen = if threshold == THRESHOLD { "  <- in force" } else { "" };
        println!(
            "threshold {threshold}: precision {:.3} ({:.3} with namesakes who cannot be told apart), recall {:.3}{chosen}",
            measured.precision(threshold),
            measured.strict_precision(threshold),
            measured.recall(threshold),
        );
    }
    for (name, kind) in measured.by_kind() {
        let (meant, recall, wrong) = (kind.meant, kind.recall(), kind.wrong);
        println!("{name:<26} {meant:>5} meant, recall {recall:.3}, {wrong:>4} of somebody else");
    }
    if let Some(examples) = numbers.get(2) {
        let examples = *examples as usize;
        measured.missed.iter().take(examples).for_each(|missed| println!("not found: {missed}"));
        measured.wrong.iter().take(examples).for_each(|wrong| println!("not meant: {wrong}"));
    }
    time(&persons, &questions);
}

/// The time of a search by the clock, and what of it this thread computed: the machine may have other work.
fn time(persons: &Persons, questions: &[Question]) {
    let (mut passed, mut computed) = (Vec::new(), Vec::new());
    for question in questions {
        let (begun, worked) = (Instant::now(), computed_so_far());
        let matches = persons.search(&question.query, |_| true).unwrap();
        computed.push(computed_so_far() - worked);
        passed.push(begun.elapsed());
        std::hint::black_box(matches);
    }
    show("by the clock", passed);
    show("computed", computed);
}

fn computed_so_far() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!(
        "{} searches, {what}: p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
