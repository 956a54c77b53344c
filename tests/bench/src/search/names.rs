//! The search for persons: how long it takes, and how many of those who were meant it finds, of a generated world whose
//! names come misspelt, transliterated and reordered. World, questions and the rule of what is right are those of the
//! search's own tests.
#![expect(clippy::unwrap_used, reason = "the tests that are used here stop at what cannot be")]

use std::time::Duration;

use anyhow::Result;
use i247_node::{Clock as _, SystemClock};
use i247_records::nominal::{Persons, THRESHOLD};
use serde::{Deserialize, Serialize};

use crate::measure::{micros, percentile};
use crate::process::most_memory_of;

#[path = "../../../../crates/records/tests/nominal/dice.rs"]
mod dice;
#[path = "../../../../crates/records/tests/nominal/measure.rs"]
mod measure;
#[path = "../../../../crates/records/tests/nominal/questions.rs"]
mod questions;
#[path = "../../../../crates/records/tests/nominal/syllables.rs"]
mod syllables;
#[path = "../../../../crates/records/tests/nominal/tongues.rs"]
mod tongues;
#[path = "../../../../crates/records/tests/nominal/world.rs"]
mod world;

const SEED: u64 = 20_261_122;
/// Questions about persons who are there; half as many are about persons who are not.
const QUESTIONS: usize = 1000;

/// What was found, at the threshold that is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) persons: usize,
    pub(crate) indexed_seconds: f64,
    /// The most memory that the process had, the generated world included.
    pub(crate) most_bytes: u64,
    pub(crate) recall: f64,
    pub(crate) precision: f64,
    /// With namesakes counted as wrong whom nothing on paper tells apart.
    pub(crate) strict_precision: f64,
    /// Persons who were meant and not found, and others who were found.
    pub(crate) missed: usize,
    pub(crate) wrong: usize,
    /// By the tongue, and by what was done to the name and to the birth, those first of which least are found.
    pub(crate) by_kind: Vec<OfKind>,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// The questions of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OfKind {
    pub(crate) kind: String,
    pub(crate) meant: usize,
    pub(crate) recall: f64,
    /// Others who were found.
    pub(crate) wrong: usize,
}

/// Asks in this process.
pub(super) fn ask(persons: usize) -> Result<Measured> {
    let clock = SystemClock::new();
    let mut world = world::World::new(SEED, persons);
    let records = world.records();
    let begun = clock.monotonic();
    let index = Persons::from_all(records)?;
    let indexed_seconds = (clock.monotonic() - begun).as_secs_f64();
    let questions = questions::questions(&world, SEED + 1, QUESTIONS);
    let measured = measure::Measured::run(&world, &index, &questions, THRESHOLD, THRESHOLD);
    let mut took: Vec<Duration> = Vec::with_capacity(questions.len());
    for question in &questions {
        let begun = clock.monotonic();
        index.search(&question.query, |_| true)?;
        took.push(clock.monotonic() - begun);
    }
    took.sort_unstable();
    let by_kind = measured.by_kind().into_iter().map(|(kind, of)| OfKind {
        kind: kind.to_owned(),
        meant: of.meant,
        recall: of.recall(),
        wrong: of.wrong,
    });
    Ok(Measured {
        by_kind: by_kind.collect(),
        persons,
        indexed_seconds,
        most_bytes: most_memory_of(std::process::id()),
        recall: measured.recall(THRESHOLD),
        precision: measured.precision(THRESHOLD),
        strict_precision: measured.strict_precision(THRESHOLD),
        missed: measured.missed.len(),
        wrong: measured.wrong.len(),
        p50_us: micros(percentile(&took, 50)),
        p99_us: micros(percentile(&took, 99)),
    })
}
