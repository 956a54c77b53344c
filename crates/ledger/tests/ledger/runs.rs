//! Runs: the newest value wins, a power cut leaves what was durable, and what is wrong is named.

use std::collections::BTreeMap;
use std::path::PathBuf;

use i247_ledger::disk::Disk;
use i247_ledger::faults::{BreakableDisk, Dice};
use i247_ledger::runs::{MAX_KEY_BYTES, Run, RunError, RunStore, Runs};
use i247_ledger::{DamageKind, Position, check, runs};

use crate::common::{as_disk, dir};

type Table = BTreeMap<Vec<u8>, Vec<u8>>;

fn place() -> PathBuf {
    dir().join(runs::DIR)
}

fn store(disk: &BreakableDisk) -> RunStore {
    RunStore::new(as_disk(disk), place())
}

fn write(store: &RunStore, from: u64, to: u64, rows: &Table) -> Result<Run, RunError> {
    let mut writer = store.begin(Position(from), Position(to))?;
    for (key, value) in rows {
        writer.push(key, value)?;
    }
    writer.finish()
}

fn table(rows: &[(&str, &str)]) -> Table {
    rows.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn all(runs: &Runs) -> Result<Table, RunError> {
    runs.rows(b"").map(|row| row.map(|row| (row.key, row.value.to_vec()))).collect()
}

/// Three runs that change each other's rows, and what they come to.
fn three(store: &RunStore) -> (Runs, Table) {
    let mut runs = Runs::default();
    let mut sum = Table::new();
    for (from, to) in [(0, 40), (40, 70), (70, 75)] {
        let rows: Table = (from..to + 10)
            .map(|n| {
                (
                    format!("key {n:03}").into_bytes(),
                    format!("value {n} of {to}, {}", "x".repeat(900)).into_bytes(),
                )
            })
            .collect();
        sum.extend(rows.clone());
        runs = runs.and(write(store, from, to, &rows).expect("writes"));
    }
    (runs, sum)
}

#[test]
fn the_newest_value_of_a_key_wins() {
    let disk = BreakableDisk::new(1);
    let (written, sum) = three(&store(&disk));
    for after_a_power_cut in [false, true] {
        let runs = match after_a_power_cut {
            false => written.clone(),
            true => store(&disk.power_off()).open(Position(75)).expect("opens"),
        };
        assert_eq!((runs.count(), runs.end()), (3, Position(75)));
        assert_eq!(all(&runs).expect("reads"), sum);
        for (key, value) in &sum {
            assert_eq!(runs.find(key).expect("reads").as_deref(), Some(value.as_slice()));
        }
        for absent in ["", "key", "key 000x", "key 099", "zzz"] {
            assert_eq!(runs.find(absent.as_bytes()).expect("reads"), None, "{absent}");
        }
    }
}

#[test]
fn rows_are_found_by_what_their_keys_begin_with() {
    let disk = BreakableDisk::new(1);
    let (runs, sum) = three(&store(&disk));
    for prefix in ["key 04", "key 079", "key 0", "k", "key 09", "zzz", "a"] {
        let found: Vec<Vec<u8>> = runs.rows(prefix.as_bytes()).map(|row| row.expect("reads").key).collect();
        let wanted: Vec<Vec<u8>> =
            sum.keys().filter(|key| key.starts_with(prefix.as_bytes())).cloned().collect();
        assert_eq!(found, wanted, "{prefix}");
    }
}

#[test]
fn merged_runs_hold_the_same_rows_and_replace_the_others() {
    let disk = BreakableDisk::new(1);
    let store = store(&disk);
    let (runs, sum) = three(&store);
    let old: Vec<Run> = runs.due(Position(75)).unwrap_or_default();
    assert!(old.is_empty(), "three are few");
    let more = write(&store, 75, 75 + 1, &table(&[("key 001", "newest")])).expect("writes");
    let runs = runs.and(more);
    let due = runs.due(Position(76)).expect("four are to be merged");
    let merged = store.merge(&due, || true).expect("merges").expect("is wanted");
    let fewer = runs.with_merged(merged);
    store.remove(&due).expect("removes");
    let mut sum = sum;
    sum.insert(b"key 001".to_vec(), b"newest".to_vec());
    assert_eq!((fewer.count(), fewer.end()), (1, Position(76)));
    assert_eq!(all(&fewer).expect("reads"), sum);
    assert_eq!(all(&runs).expect("still reads"), sum, "whoever holds the old ones reads on");
    let kept = disk.list(&place()).expect("lists");
    assert_eq!(kept, ["run-00000000000000000000-00000000000000000076"]);
    assert_eq!(all(&self::store(&disk.power_off()).open(Position(76)).expect("opens")).expect("reads"), sum);
}

#[test]
fn a_merge_that_is_given_up_leaves_nothing() {
    let disk = BreakableDisk::new(1);
    let store = store(&disk);
    let (runs, sum) = three(&store);
    let names = disk.list(&place()).expect("lists");
    let given_up = store.merge(runs.all(), || false).expect("is no error");
    assert!(given_up.is_none());
    assert_eq!(disk.list(&place()).expect("lists"), names);
    assert_eq!(all(&runs).expect("reads"), sum);
}

#[test]
fn no_merge_reaches_beyond_what_is_durable() {
    let disk = BreakableDisk::new(1);
    let store = store(&disk);
    let mut runs = Runs::default();
    for n in 0..6 {
        runs = runs.and(write(&store, n, n + 1, &table(&[("key", "value")])).expect("writes"));
    }
    assert!(runs.due(Position(3)).is_none());
    let due = runs.due(Position(5)).expect("five are to be merged");
    assert_eq!(due.last().map(Run::to), Some(Position(5)));
}

#[test]
fn however_many_are_written_few_are_left() {
    let disk = BreakableDisk::new(1);
    let store = store(&disk);
    let mut runs = Runs::default();
    let mut most = 0;
    for n in 0..1000 {
        let rows =
            table(&[(&format!("key {n}"), &"x".repeat(n as usize % 7 * 1000)), ("newest", &n.to_string())]);
        runs = runs.and(write(&store, n, n + 1, &rows).expect("writes"));
        while let Some(due) = runs.due(Position(n + 1)) {
            let merged = store.merge(&due, || true).expect("merges").expect("is wanted");
            runs = runs.with_merged(merged);
            store.remove(&due).expect("removes");
        }
        most = most.max(runs.count());
    }
    assert!(most <= 16, "{most}");
    assert_eq!(runs.rows(b"key").count(), 1000);
    assert_eq!(runs.find(b"newest").expect("reads").as_deref(), Some(&b"999"[..]));
    assert_eq!(disk.list(&place()).expect("lists").len(), runs.count());
}

#[test]
fn runs_beyond_the_end_are_given_up_and_missing_ones_are_named() {
    let disk = BreakableDisk::new(1);
    three(&store(&disk));
    let earlier = disk.fork();
    let opened = store(&earlier).open(Position(70)).expect("opens");
    assert_eq!((opened.count(), opened.end()), (2, Position(70)));
    assert_eq!(earlier.list(&place()).expect("lists").len(), 2);
    for gone in
        ["run-00000000000000000000-00000000000000000040", "run-00000000000000000040-00000000000000000070"]
    {
        let disk = disk.fork();
        disk.remove(&place().join(gone)).expect("removes");
        let error = store(&disk).open(Position(75)).expect_err("a run is missing");
        assert!(
            matches!(&error, RunError::Damaged(damage) if damage.kind == DamageKind::RunMissing),
            "{error}"
        );
    }
    for end in [60, 76] {
        let error = store(&disk.fork()).open(Position(end)).expect_err("none ends there");
        assert!(
            matches!(&error, RunError::Damaged(damage) if damage.kind == DamageKind::RunMissing),
            "{error}"
        );
    }
    assert_eq!(store(&disk).clear().expect("clears"), 3);
    assert_eq!(store(&disk).open(Position::START).expect("opens").count(), 0);
}

#[test]
fn a_flipped_bit_is_named_wherever_it_is() {
    let disk = BreakableDisk::new(1);
    let (_, sum) = three(&store(&disk));
    let name = "run-00000000000000000040-00000000000000000070";
    let length = disk.contents(&place().join(name)).expect("is there").len() as u64;
    for byte in (0..length).step_by(7).chain(length - 200..length) {
        let disk = disk.fork();
        assert!(disk.flip(&place().join(name), byte, (byte % 8) as u8));
        let read = store(&disk).open(Position(75)).and_then(|runs| all(&runs));
        match read {
            Err(RunError::Damaged(damage)) => {
                assert_eq!((damage.kind, damage.file.as_str()), (DamageKind::Run, name), "byte {byte}");
            }
            Err(error) => panic!("byte {byte}: {error}"),
            Ok(rows) => panic!("byte {byte} went unnoticed: {} rows of {}", rows.len(), sum.len()),
        }
        let report = check(&as_disk(&disk), &dir()).expect("checks");
        assert!(report.damage.iter().any(|damage| damage.kind == DamageKind::Ahead));
    }
}

#[test]
fn a_check_counts_good_runs_and_names_the_others() {
    let disk = BreakableDisk::new(1);
    let rows = table(&[("key", "value")]);
    write(&store(&disk), 0, 0, &rows).expect("writes");
    let report = check(&as_disk(&disk), &dir()).expect("checks");
    assert_eq!((report.runs, report.damage), (1, Vec::new()));
    assert!(disk.flip(&place().join("run-00000000000000000000-00000000000000000000"), 40, 1));
    let report = check(&as_disk(&disk), &dir()).expect("checks");
    assert_eq!((report.runs, report.damage[0].kind), (0, DamageKind::Run));
    assert!(!report.damage[0].kind.is_fatal());
}

#[test]
fn a_power_cut_at_any_operation_leaves_what_was_durable() {
    for seed in 0..2000 {
        let mut dice = Dice::new(seed);
        let disk = BreakableDisk::new(seed);
        let store = store(&disk);
        let (mut runs, mut durable, mut sum) = (Runs::default(), Position::START, Table::new());
        let mut tables = vec![(durable, sum.clone())];
        disk.power_off_after(dice.below(60));
        for n in 0..8 {
            let key = format!("key {}", dice.below(5));
            let rows = table(&[(&key, &format!("value {n}")), ("newest", &n.to_string())]);
            let Ok(run) = write(&store, n, n + 1, &rows) else { break };
            runs = runs.and(run);
            durable = runs.end();
            sum.extend(rows);
            tables.push((durable, sum.clone()));
            if let Some(due) = runs.due(durable) {
                let Ok(Some(merged)) = store.merge(&due, || true) else { break };
                runs = runs.with_merged(merged);
                if store.remove(&due).is_err() {
                    break;
                }
            }
        }
        let disk = disk.power_off();
        let opened =
            self::store(&disk).open(durable).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        assert_eq!(all(&opened).expect("reads"), tables.last().expect("has one").1, "seed {seed}");
        let next = write(&self::store(&disk), durable.0, durable.0 + 1, &table(&[("more", "")]))
            .expect("writes again");
        assert_eq!(opened.and(next).end(), durable.next(), "seed {seed}");
    }
}

#[test]
fn a_full_disk_keeps_what_is_there() {
    let disk = BreakableDisk::new(1);
    let store = store(&disk);
    let (runs, sum) = three(&store);
    disk.set_capacity(Some(120_000));
    let rows: Table = (0..100_u32).map(|n| (n.to_be_bytes().to_vec(), vec![1; 2000])).collect();
    assert!(matches!(write(&store, 75, 80, &rows), Err(RunError::Full)));
    assert_eq!(all(&runs).expect("reads"), sum);
    disk.set_capacity(None);
    assert_eq!(disk.list(&place()).expect("lists").len(), 3, "the half written one made room again");
    write(&store, 75, 80, &rows).expect("writes");
}

#[test]
fn keys_come_in_order_and_within_their_limit() {
    let store = store(&BreakableDisk::new(1));
    let mut writer = store.begin(Position(0), Position(1)).expect("begins");
    writer.push(b"b", b"").expect("takes it");
    assert!(matches!(writer.push(b"b", b""), Err(RunError::OutOfOrder)));
    assert!(matches!(writer.push(b"a", b""), Err(RunError::OutOfOrder)));
    assert!(matches!(writer.push(&[b'c'; MAX_KEY_BYTES + 1], b""), Err(RunError::TooLarge(_))));
}

#[test]
fn a_run_without_rows_is_a_run() {
    let disk = BreakableDisk::new(1);
    let run = write(&store(&disk), 0, 5, &Table::new()).expect("writes");
    assert_eq!(run.rows(), 0);
    let opened = store(&disk).open(Position(5)).expect("opens");
    assert_eq!(opened.find(b"key").expect("reads"), None);
    assert_eq!(opened.rows(b"").count(), 0);
}
