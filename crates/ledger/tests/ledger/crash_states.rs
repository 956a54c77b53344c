//! Every state in which a power cut may leave the disk in the middle of one commit. Behind each operation of the commit
//! the power goes off, and of what was not synced every subset is kept, each whole and with its last sector torn: all
//! subsets of up to twelve things, of more all prefixes, all that lack one thing, and many others.

use std::sync::Arc;

use bytes::Bytes;
use i247_ledger::faults::{BreakableDisk, Dice, SECTOR_BYTES};
use i247_ledger::snapshot::{Snapshot, Snapshots};
use i247_ledger::{Body, Inline, Ledger, Position, Segments, check};

use crate::common::{as_disk, dir, draft, open, plain, present, read_all, try_open, with_body};

/// Up to here all subsets are tried.
const ALL_SUBSETS_OF: usize = 12;
/// Of more things, so many besides the systematic ones.
const SAMPLES: usize = 1800;

/// What is broken off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Commit {
    Append,
    AppendToANewSegment,
    Erase,
    Close,
    Reopen,
    StoreASnapshot,
}

#[tokio::test]
async fn every_state_within_an_append_is_all_or_nothing() {
    images_of(Commit::Append, 9_000).await;
}

#[tokio::test]
async fn every_state_within_an_append_to_a_new_segment_is_all_or_nothing() {
    images_of(Commit::AppendToANewSegment, 9_000).await;
}

#[tokio::test]
async fn every_state_within_an_erasure_keeps_the_entries() {
    images_of(Commit::Erase, 14_000).await;
}

#[tokio::test]
async fn every_state_within_a_clean_stop_keeps_everything() {
    images_of(Commit::Close, 9_000).await;
}

#[tokio::test]
async fn every_state_within_a_recovery_keeps_everything() {
    images_of(Commit::Reopen, 6_000).await;
}

#[tokio::test]
async fn every_state_within_the_storing_of_a_snapshot_has_a_good_one() {
    images_of(Commit::StoreASnapshot, 3_000).await;
}

/// Makes and inspects every image of the commit; there must be so many at least.
#[expect(clippy::print_stdout, reason = "the test harness shows it with --nocapture")]
async fn images_of(commit: Commit, at_least: usize) {
    let before = before(commit).await;
    let (mut images, mut cuts) = (0, 0);
    loop {
        let disk = before.fork();
        let finished = broken_off(commit, &disk, cuts).await;
        let unsynced = disk.unsynced();
        for (nth, subset) in subsets(unsynced).into_iter().enumerate() {
            for torn in [None, Some(1 + (nth * 37) % (SECTOR_BYTES - 1))] {
                let story = format!(
                    "{commit:?} cut after {cuts}, keeping {subset:b} of {unsynced}, torn at {torn:?}"
                );
                inspect(&image(&disk, subset, torn), commit, &story).await;
                images += 1;
            }
        }
        if finished {
            break;
        }
        cuts += 1;
    }
    println!("{commit:?}: {images} images, the power off behind each of {cuts} operations");
    assert!(images >= at_least, "{images} images");
}

/// The disk before the commit.
async fn before(commit: Commit) -> BreakableDisk {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), with_body("a", "body of a")).await.expect("appends");
    log.append(Position(1), with_body("b", &"b".repeat(1000))).await.expect("appends");
    log.append(Position(2), with_body("c", &"c".repeat(5000))).await.expect("appends");
    if commit == Commit::StoreASnapshot {
        snapshots(&disk).store(at(1)).await.expect("stores");
        snapshots(&disk).store(at(2)).await.expect("stores");
    }
    if commit != Commit::Reopen {
        return disk.kill();
    }
    disk.power_off_after(1);
    log.append(Position(3), with_body("torn", &"t".repeat(3000))).await.expect_err("the power goes off");
    disk.power_off_keeping(|sector| sector % 2 == 0)
}

/// Begins the commit, and cuts the power after so many of its operations; whether it had come to its end before.
async fn broken_off(commit: Commit, disk: &BreakableDisk, cut: u64) -> bool {
    if matches!(commit, Commit::Reopen | Commit::StoreASnapshot) {
        let before = disk.operations();
        disk.power_off_after(cut);
        match commit {
            Commit::Reopen => drop(try_open(disk)),
            _ => drop(snapshots(disk).store(at(3)).await),
        }
        return disk.operations() - before <= cut;
    }
    let (log, _) = open(disk);
    let before = disk.operations();
    disk.power_off_after(cut);
    // How it ends is seen on the disk.
    match commit {
        Commit::Append => {
            let group = vec![draft("new 1", Some(&"n".repeat(1100))), draft("new 2", None)];
            let _ = log.append(Position(3), group).await;
        }
        Commit::AppendToANewSegment => {
            let group = vec![draft(&"m".repeat(14 * 1024), None), draft("new 2", Some("b"))];
            let _ = log.append(Position(3), group).await;
        }
        Commit::Erase => drop(log.erase(Position(3)).await),
        Commit::Close => drop(log.close().await),
        Commit::Reopen | Commit::StoreASnapshot => {}
    }
    disk.operations() - before <= cut
}

/// What is left when this subset survives, and of the last sector of it only so many bytes.
fn image(disk: &BreakableDisk, subset: u64, torn: Option<usize>) -> BreakableDisk {
    let last = (u64::BITS - subset.leading_zeros()) as usize;
    disk.fork().power_off_tearing(|index| match subset >> (index % 64) & 1 {
        0 => 0,
        _ if index + 1 == last => torn.unwrap_or(SECTOR_BYTES),
        _ => SECTOR_BYTES,
    })
}

/// The image is valid, holds what was acknowledged, and of the commit all or nothing; and it can be gone on with.
async fn inspect(disk: &BreakableDisk, commit: Commit, story: &str) {
    let (log, opened) = match try_open(disk) {
        Ok(open) => open,
        Err(error) => panic!("{story}: {error:?}"),
    };
    let read = read_all(&log).await;
    let held: Vec<usize> = read.iter().map(|record| record.entry.len()).collect();
    let allowed: &[&[usize]] = match commit {
        Commit::Append => &[&[1, 1, 1], &[1, 1, 1, 5, 5]],
        Commit::AppendToANewSegment => &[&[1, 1, 1], &[1, 1, 1, 14 * 1024, 5]],
        Commit::Erase | Commit::Close | Commit::Reopen | Commit::StoreASnapshot => &[&[1, 1, 1]],
    };
    assert!(allowed.contains(&held.as_slice()), "{story}: {held:?}");
    assert!(read.iter().all(|record| record.body != Body::Damaged), "{story}");
    assert_eq!(read[0].body, present("body of a"), "{story}");
    assert!(read[2].body != Body::Erased || commit == Commit::Erase, "{story}");
    assert!(opened.damage.is_empty(), "{story}: {:?}", opened.damage);
    if commit == Commit::StoreASnapshot {
        inspect_snapshots(disk, story).await;
    }
    goes_on(&log, disk, story).await;
}

async fn goes_on(log: &Segments, disk: &BreakableDisk, story: &str) {
    let report = check(&as_disk(disk), &dir()).expect("checks");
    assert!(report.is_sound(), "{story}: {:?}", report.damage);
    let end = log.end();
    assert_eq!(log.append(end, plain("goes on")).await, Ok(end.next()), "{story}");
}

/// The snapshot before is whole, and so is the new one if it is there.
async fn inspect_snapshots(disk: &BreakableDisk, story: &str) {
    let loaded = snapshots(disk).load(Position(3)).await.expect("loads");
    assert!(loaded.passed_over.is_empty(), "{story}: {:?}", loaded.passed_over);
    let held = loaded.snapshot.unwrap_or_else(|| panic!("{story}: none"));
    assert!(held == at(2) || held == at(3), "{story}: another one");
    snapshots(disk).store(at(3)).await.unwrap_or_else(|error| panic!("{story}: {error}"));
}

fn snapshots(disk: &BreakableDisk) -> Snapshots {
    Snapshots::new(as_disk(disk), dir(), Arc::new(Inline))
}

fn at(position: u64) -> Snapshot {
    Snapshot { position: Position(position), version: 1, state: Bytes::from(vec![7; 4500]) }
}

/// Which things are kept, as bits. Of more than 64 things the next 64 follow the same bits.
fn subsets(count: usize) -> Vec<u64> {
    if count <= ALL_SUBSETS_OF {
        return (0..1 << count).collect();
    }
    let bits = count.min(63);
    let all = u64::MAX >> (64 - bits);
    let mut subsets: Vec<u64> =
        (0..=bits).map(|kept| all.checked_shr((bits - kept) as u32).unwrap_or(0)).collect();
    subsets.extend((0..bits).map(|lost| all & !(1 << lost)));
    let mut dice = Dice::new(count as u64);
    subsets.extend((0..SAMPLES).map(|_| dice.roll() & all));
    subsets
}
