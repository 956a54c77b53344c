//! How well persons are found whose names are misspelt, transliterated and reordered, with look-alikes about.
//!
//! `cargo bench -p i247-records --bench nominal` does the same with a million persons and measures the time as well.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

#[path = "nominal/dice.rs"]
mod dice;
#[path = "nominal/measure.rs"]
mod measure;
#[path = "nominal/questions.rs"]
mod questions;
#[path = "nominal/syllables.rs"]
mod syllables;
#[path = "nominal/tongues.rs"]
mod tongues;
#[path = "nominal/world.rs"]
mod world;

use i247_records::nominal::{Persons, THRESHOLD};

use measure::Measured;
use questions::questions;
use world::World;

const SEED: u64 = 20_261_122;

/// The least that the search must do here. What it does, and with more persons, the benchmark prints.
const AT_LEAST: f64 = 0.92;

#[test]
fn misspelt_and_transliterated_persons_are_found_and_look_alikes_are_not() {
    let mut world = World::new(SEED, 20_000);
    let persons = Persons::from_all(world.records()).unwrap();
    let measured = Measured::run(&world, &persons, &questions(&world, SEED + 1, 500), THRESHOLD, THRESHOLD);
    let (precision, recall) = (measured.precision(THRESHOLD), measured.recall(THRESHOLD));
    let strict = measured.strict_precision(THRESHOLD);
    println!("seed {SEED}: precision {precision:.3} ({strict:.3} with namesakes), recall {recall:.3}");
    for (name, kind) in measured.by_kind() {
        println!("{name}: {} of {} found, {} of somebody else", kind.found, kind.meant, kind.wrong);
    }
    measured.missed.iter().for_each(|missed| println!("not found: {missed}"));
    measured.wrong.iter().for_each(|wrong| println!("not meant: {wrong}"));
    assert!(precision >= AT_LEAST, "precision {precision:.3}");
    assert!(recall >= AT_LEAST, "recall {recall:.3}");
}
