//! How long the index of exact keys takes to build, what it takes, and how many keys a second it finds: in this
//! process, on one core. `cargo bench -p i247-records --bench index -- [RECORDS [DIRECTORY]]`; 20 million records are
//! the default. It prints; it asserts only that every answer is right.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use i247_ledger::Position;
use i247_ledger::disk::OsDisk;
use i247_ledger::faults::Dice;
use i247_model::{Hash, Timestamp};
use i247_records::index::{Fingerprint, Index, KeySpace, Locator, Sorter};
use i247_records::offline::{About, Edition, Holding, KeySet, Scope};

/// Keys that are asked for in each measurement.
const ASKED: usize = 4_000_000;
/// Records in a batch of the log.
const BATCH: u64 = 1000;
const SORTING_BYTES: usize = 256 * 1024 * 1024;

fn main() {
    // Cargo adds a flag of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let records: u64 = arguments.next().map_or(20_000_000, |count| count.parse().unwrap());
    let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("i247-index-bench");
    println!("{records} records, one key each, one core");
    Index::clear(&OsDisk, &dir).unwrap();
    fingerprints();
    build(&dir, records);
    let begun = Instant::now();
    let mut index = Index::open(Arc::new(OsDisk), &dir).unwrap();
    println!("  opened and checked in {:.2} s", begun.elapsed().as_secs_f64());
    println!(
        "  in memory {:.0} MiB, {:.2} bytes a record",
        mib(index.memory_bytes()),
        index.memory_bytes() as f64 / records as f64
    );
    searches(&index, records);
    follow(&mut index, records);
    searches(&index, records);
    offline(&index, records);
    println!("most memory that the process had: {}", peak_memory());
    Index::clear(&OsDisk, &dir).unwrap();
    std::fs::remove_dir(&dir).unwrap();
}

fn space() -> KeySpace {
    KeySpace::new("sltd", "number")
}

/// A document number: invented, and another one for each record.
fn key(space: &KeySpace, record: u64) -> Fingerprint {
    let mut number = *b"X00000000000";
    number[4..].copy_from_slice(&record.to_le_bytes());
    space.fingerprint(&number)
}

fn locator(record: u64) -> Locator {
    Locator::new(Position(record / BATCH + 1), (record % BATCH) as u16).unwrap()
}

fn end(records: u64) -> Position {
    Position(records / BATCH + 1)
}

fn fingerprints() {
    let space = space();
    let begun = Instant::now();
    for record in 0..ASKED as u64 {
        black_box(key(&space, record));
    }
    rate("fingerprints", ASKED, begun);
}

fn build(dir: &Path, records: u64) {
    let space = space();
    let begun = Instant::now();
    let mut sorter = Sorter::new(Arc::new(OsDisk), dir, SORTING_BYTES).unwrap();
    for record in 0..records {
        sorter.add(key(&space, record), locator(record), record % 64 == 0).unwrap();
    }
    sorter.finish(end(records)).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let bytes: u64 =
        std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    println!(
        "  built in {seconds:.1} s ({:.2} M/s; sorting in {:.0} MiB), on disk {:.0} MiB, {:.2} bytes a record",
        records as f64 / seconds / 1e6,
        mib(SORTING_BYTES as u64),
        mib(bytes),
        bytes as f64 / records as f64
    );
}

/// Searches for keys that are there and for some that are not, in several ways.
fn searches(index: &Index, records: u64) {
    let space = space();
    let mut dice = Dice::new(1);
    let hits: Vec<Fingerprint> = (0..ASKED).map(|_| key(&space, dice.below(records))).collect();
    let misses: Vec<Fingerprint> =
        (0..ASKED).map(|_| key(&space, records + dice.roll() % (1 << 60))).collect();
    println!("  {} runs and {} changes:", index.runs(), index.changes());
    for (name, keys, each) in [("hit", &hits, 1), ("miss", &misses, 0)] {
        let begun = Instant::now();
        let count: usize = keys.iter().map(|&key| index.look_up(key, 20, |_| true).len()).sum();
        rate(&format!("{name}, one by one"), ASKED, begun);
        assert_eq!(count, ASKED * each);
        for batch in [16, 256, 4096] {
            batched(index, name, keys, batch, each);
        }
        let mut sorted = keys.clone();
        sorted.chunks_mut(4096).for_each(<[_]>::sort_unstable);
        batched(index, &format!("{name}, each batch sorted before"), &sorted, 4096, each);
    }
}

fn batched(index: &Index, name: &str, keys: &[Fingerprint], batch: usize, each: usize) {
    let mut found = Vec::new();
    let mut count = 0;
    let begun = Instant::now();
    for keys in keys.chunks(batch) {
        found.clear();
        index.look_up_many(keys, 20, |_| true, &mut found);
        count += found.len();
    }
    rate(&format!("{name}, batches of {batch}"), ASKED, begun);
    assert_eq!(count, ASKED * each);
}

/// A million more records, as they come while the log is followed.
fn follow(index: &mut Index, records: u64) {
    let space = space();
    let begun = Instant::now();
    (records..records + 1_000_000).for_each(|record| index.add(key(&space, record), locator(record), false));
    rate("a million records more, added", 1_000_000, begun);
    let begun = Instant::now();
    let unsealed = index.run_of_changes(end(records + 1_000_000)).unwrap().unwrap();
    index.seal(unsealed).unwrap().store().unwrap();
    println!("  made a run, durable, in {:.2} s", begun.elapsed().as_secs_f64());
    for record in 0..100_000 {
        index.add(key(&space, records + 1_000_000 + record), locator(records + 1_000_000 + record), false);
    }
}

fn offline(index: &Index, records: u64) {
    let begun = Instant::now();
    let live = || index.live().filter(|live| !live.restricted).map(|live| live.fingerprint);
    let keys = KeySet::of(live).unwrap();
    println!("offline copy of the unrestricted ones: {} keys", keys.len());
    println!(
        "  made in {:.1} s, in memory {:.0} MiB",
        begun.elapsed().as_secs_f64(),
        mib(keys.memory_bytes())
    );
    let about = About { network: Hash([0; 32]), scope: Scope::Base, databases: vec!["sltd".into()] };
    let file = Edition::first(about, 1, Timestamp::from_millis(0), 1, keys).snapshot(|_| Vec::new());
    println!(
        "  as a file {:.0} MiB, {:.2} bytes a record",
        mib(file.len() as u64),
        file.len() as f64 / records as f64
    );
    let begun = Instant::now();
    let holding = Holding::open(&file, [], None, |_, _| true).unwrap();
    println!("  read and checked in {:.2} s", begun.elapsed().as_secs_f64());
    let space = space();
    for (name, from) in [("possible", 0), ("no record", 1 << 60)] {
        let mut dice = Dice::new(2);
        let keys: Vec<Fingerprint> = (0..ASKED).map(|_| key(&space, from + dice.below(records))).collect();
        let begun = Instant::now();
        let count = keys.iter().filter(|&&key| holding.contains(key)).count();
        rate(&format!("{name} ({count} of {ASKED})"), ASKED, begun);
    }
}

fn rate(what: &str, count: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "  {what}: {:.2} M/s, {:.0} ns each",
        count as f64 / seconds / 1e6,
        seconds * 1e9 / count as f64
    );
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What the operating system says, where it says it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".into(), |line| line.trim().to_owned())
}
