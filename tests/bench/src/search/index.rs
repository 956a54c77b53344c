//! The index of exact keys at full size: built as it is from the log, opened, and asked in batches on one core. Every
//! answer is checked.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use i247_ledger::Position;
use i247_ledger::disk::OsDisk;
use i247_ledger::faults::Dice;
use i247_node::{Clock as _, SystemClock};
use i247_records::index::{Fingerprint, Index, KeySpace, Locator, Sorter};
use serde::{Deserialize, Serialize};

use super::apart::{What, measure as apart};
use crate::process::{memory_of, most_memory_of};

/// Keys that are asked for in each measurement.
const ASKED: usize = 2_000_000;
/// Keys in a batch: those of a packed frame.
pub(crate) const BATCH: usize = 256;
/// Records in a message of the log.
const ITEMS: u64 = 1000;
const SORTING_BYTES: usize = 256 * 1024 * 1024;

/// How it was built.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Built {
    pub(crate) seconds: f64,
    pub(crate) disk_bytes: u64,
    /// The most memory that the process had.
    pub(crate) most_bytes: u64,
}

/// What it is like to ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) opened_seconds: f64,
    /// Resident memory that came with opening it.
    pub(crate) memory_bytes: u64,
    /// Look-ups a second, on one core.
    pub(crate) hits: f64,
    pub(crate) misses: f64,
}

/// An index of so many records.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) records: u64,
    pub(crate) built: Built,
    pub(crate) asked: Asked,
}

/// Builds and asks, each in a process of its own.
///
/// # Errors
/// When an answer is wrong, or the disk too small.
pub(crate) async fn measure(records: u64, dir: &Path) -> Result<Measured> {
    crate::machine::empty(dir)?;
    let built = apart(What::IndexBuilt, records, dir).await?;
    let asked = apart(What::IndexAsked, records, dir).await?;
    std::fs::remove_dir_all(dir)?;
    Ok(Measured { records, built, asked })
}

/// A document number: invented, and another one for each record.
fn key(space: &KeySpace, record: u64) -> Fingerprint {
    let mut number = *b"X00000000000";
    number[4..].copy_from_slice(&record.to_le_bytes());
    space.fingerprint(&number)
}

fn space() -> KeySpace {
    KeySpace::new("sltd", "number")
}

fn locator(record: u64) -> Result<Locator> {
    Locator::new(Position(record / ITEMS + 1), (record % ITEMS) as u16).context("a log that long")
}

/// Builds it in this process, with its runs on the disk.
pub(super) fn build(dir: &Path, records: u64) -> Result<Built> {
    let (space, clock) = (space(), SystemClock::new());
    let begun = clock.monotonic();
    let mut sorter = Sorter::new(Arc::new(OsDisk), dir, SORTING_BYTES)?;
    for record in 0..records {
        sorter.add(key(&space, record), locator(record)?, record % 64 == 0)?;
    }
    sorter.finish(Position(records / ITEMS + 1))?;
    let seconds = (clock.monotonic() - begun).as_secs_f64();
    let mut disk_bytes = 0;
    for file in std::fs::read_dir(dir)? {
        disk_bytes += file?.metadata()?.len();
    }
    Ok(Built { seconds, disk_bytes, most_bytes: most_memory_of(std::process::id()) })
}

/// Opens it in this process, and asks.
pub(super) fn ask(dir: &Path, records: u64) -> Result<Asked> {
    let (clock, space, own) = (SystemClock::new(), space(), std::process::id());
    let before = memory_of(own);
    let begun = clock.monotonic();
    let index = Index::open(Arc::new(OsDisk), dir)?;
    let opened_seconds = (clock.monotonic() - begun).as_secs_f64();
    let memory_bytes = memory_of(own).saturating_sub(before).max(index.memory_bytes());
    let mut dice = Dice::new(1);
    let asked: Vec<u64> = (0..ASKED).map(|_| dice.below(records)).collect();
    let hits =
        rate(&index, &clock, &asked.iter().map(|record| key(&space, *record)).collect::<Vec<_>>(), |nth| {
            Some(asked[nth])
        })?;
    let absent = (0..ASKED).map(|_| key(&space, records + dice.roll() % (1 << 60)));
    let misses = rate(&index, &clock, &absent.collect::<Vec<_>>(), |_| None)?;
    Ok(Asked { opened_seconds, memory_bytes, hits, misses })
}

/// Keys a second, when each leads to the record that it must, or to none.
fn rate(
    index: &Index,
    clock: &SystemClock,
    keys: &[Fingerprint],
    due: impl Fn(usize) -> Option<u64>,
) -> Result<f64> {
    let mut found = Vec::new();
    let mut all = Vec::with_capacity(keys.len());
    let begun = clock.monotonic();
    for (batch, first) in keys.chunks(BATCH).zip((0..).step_by(BATCH)) {
        found.clear();
        index.look_up_many(batch, 20, |_| true, &mut found);
        all.extend(found.iter().map(|candidate| (first + candidate.query, candidate.locator)));
    }
    let seconds = (clock.monotonic() - begun).as_secs_f64();
    let mut all = all.into_iter();
    for nth in 0..keys.len() {
        if let Some(record) = due(nth) {
            ensure!(all.next() == Some((nth, locator(record)?)), "record {record} is not found");
        }
    }
    ensure!(all.next().is_none(), "something is found that is not there");
    Ok(keys.len() as f64 / seconds)
}
