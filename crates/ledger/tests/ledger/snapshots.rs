//! Snapshots: the newest good one wins, and what is wrong is named.

use std::sync::Arc;

use bytes::Bytes;
use i247_ledger::disk::Disk;
use i247_ledger::faults::{BreakableDisk, Dice};
use i247_ledger::snapshot::{Snapshot, SnapshotError, Snapshots};
use i247_ledger::{DamageKind, Inline, Position, check};

use crate::common::{as_disk, dir};

fn snapshots(disk: &BreakableDisk) -> Snapshots {
    Snapshots::new(as_disk(disk), dir(), Arc::new(Inline))
}

fn at(position: u64) -> Snapshot {
    Snapshot { position: Position(position), version: 3, state: Bytes::from(vec![7; 2000]) }
}

fn name(position: u64) -> std::path::PathBuf {
    dir().join(format!("snapshot-{position:020}"))
}

#[tokio::test]
async fn the_newest_good_snapshot_wins_and_two_are_kept() {
    let disk = BreakableDisk::new(1);
    let store = snapshots(&disk);
    assert_eq!(store.load(Position(100)).await.expect("loads").snapshot, None);
    for position in [5, 9, 100] {
        store.store(at(position)).await.expect("stores");
    }
    let disk = disk.power_off();
    let loaded = snapshots(&disk).load(Position(100)).await.expect("loads");
    assert_eq!(loaded.snapshot, Some(at(100)));
    assert!(loaded.passed_over.is_empty());
    let kept = disk.list(&dir()).expect("lists");
    assert_eq!(kept, ["snapshot-00000000000000000009", "snapshot-00000000000000000100"]);
}

#[tokio::test]
async fn a_damaged_snapshot_is_passed_over_and_named() {
    let disk = BreakableDisk::new(1);
    let store = snapshots(&disk);
    store.store(at(5)).await.expect("stores");
    store.store(at(9)).await.expect("stores");
    for byte in (0..2064).step_by(13) {
        let disk = disk.fork();
        assert!(disk.flip(&name(9), byte, 2));
        let loaded = snapshots(&disk).load(Position(9)).await.expect("loads");
        assert_eq!(loaded.snapshot, Some(at(5)), "byte {byte}");
        assert_eq!(loaded.passed_over[0].kind, DamageKind::Snapshot);
        assert_eq!(loaded.passed_over[0].file, "snapshot-00000000000000000009");
        let report = check(&as_disk(&disk), &dir()).expect("checks");
        assert!(report.damage.iter().any(|damage| damage.kind == DamageKind::Snapshot));
    }
}

#[tokio::test]
async fn a_snapshot_ahead_of_the_log_is_passed_over_and_named() {
    let disk = BreakableDisk::new(1);
    let store = snapshots(&disk);
    store.store(at(5)).await.expect("stores");
    store.store(at(9)).await.expect("stores");
    let loaded = store.load(Position(8)).await.expect("loads");
    assert_eq!(loaded.snapshot, Some(at(5)));
    assert_eq!(loaded.passed_over[0].kind, DamageKind::Ahead);
}

#[tokio::test]
async fn a_snapshot_of_a_lost_future_does_not_crowd_out_the_next_ones() {
    let disk = BreakableDisk::new(1);
    let store = snapshots(&disk);
    for position in [20, 30] {
        store.store(at(position)).await.expect("stores");
    }
    // The log was put back to an older copy, the snapshots were not.
    store.store(at(9)).await.expect("stores");
    assert_eq!(store.load(Position(10)).await.expect("loads").snapshot, Some(at(9)));
    assert_eq!(disk.list(&dir()).expect("lists"), ["snapshot-00000000000000000009"]);
}

#[tokio::test]
async fn a_full_disk_keeps_the_older_ones() {
    let disk = BreakableDisk::new(1);
    let store = snapshots(&disk);
    store.store(at(5)).await.expect("stores");
    disk.set_capacity(Some(3000));
    assert!(matches!(store.store(at(9)).await, Err(SnapshotError::Full)));
    assert_eq!(store.load(Position(9)).await.expect("loads").snapshot, Some(at(5)));
    disk.set_capacity(None);
    store.store(at(9)).await.expect("stores");
}

#[tokio::test]
async fn a_power_cut_at_any_instant_leaves_a_good_snapshot() {
    for seed in 0..2000 {
        let mut dice = Dice::new(seed);
        let disk = BreakableDisk::new(seed);
        let store = snapshots(&disk);
        let mut stored = 0;
        for position in [3, 6, 9] {
            if position == 9 {
                disk.power_off_after(dice.below(10));
            }
            if store.store(at(position)).await.is_ok() {
                stored = position;
            }
        }
        let disk = disk.power_off();
        let loaded = snapshots(&disk).load(Position(9)).await.expect("loads");
        let position = loaded.snapshot.map_or(0, |snapshot| snapshot.position.0);
        assert!(position >= stored, "seed {seed}: {position} after {stored}");
        assert!(loaded.passed_over.is_empty(), "seed {seed}");
        snapshots(&disk).store(at(10)).await.expect("stores again");
    }
}
