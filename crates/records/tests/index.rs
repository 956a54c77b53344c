//! The index: what it finds, what it keeps from whom, and what a damaged file gets.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_ledger::Position;
use i247_ledger::disk::{Disk, OsDisk, read_whole};
use i247_ledger::faults::{BreakableDisk, Dice};
use i247_records::index::{
    Candidate, Fingerprint, Flaw, Index, IndexError, KeySpace, Live, Locator, Sealed, Sorter,
};
use proptest::prelude::*;

const ALL: usize = usize::MAX;

fn key(number: u64) -> Fingerprint {
    KeySpace::new("sltd", "number").fingerprint(&number.to_be_bytes())
}

fn at(position: u64) -> Locator {
    Locator::new(Position(position), 0).unwrap()
}

fn dir() -> PathBuf {
    PathBuf::from("keys")
}

fn open(disk: &BreakableDisk) -> Index {
    Index::open(Arc::new(disk.clone()), dir()).unwrap()
}

/// The positions found for a key by an asker who sees everything.
fn found(index: &Index, key: Fingerprint) -> Vec<u64> {
    index.look_up(key, ALL, |_| true).iter().map(|candidate| candidate.locator.position().0).collect()
}

/// Seals up to `through` and stores the run.
fn store(index: &mut Index, through: u64) {
    seal(index, through).unwrap().store().unwrap();
}

/// Makes a run up to `through` that is not stored yet; none when there is nothing new.
fn seal(index: &mut Index, through: u64) -> Option<Sealed> {
    let unsealed = index.run_of_changes(Position(through)).unwrap()?;
    Some(index.seal(unsealed).unwrap())
}

fn merge_all(index: &mut Index) {
    let merged = index.merge_all().unwrap().carry_out().unwrap();
    index.adopt(merged).remove().unwrap();
}

#[test]
fn a_key_is_found_in_the_delta_in_a_run_and_after_a_restart() {
    let disk = BreakableDisk::new(1);
    let mut index = open(&disk);
    index.add(key(1), at(10), false);
    assert_eq!(found(&index, key(1)), [10]);
    let sealed = seal(&mut index, 10).unwrap();
    assert_eq!((found(&index, key(1)), index.changes(), index.runs()), (vec![10], 0, 1));
    sealed.store().unwrap();
    let index = open(&disk);
    assert_eq!((found(&index, key(1)), index.through()), (vec![10], Position(10)));
    assert!(found(&index, key(2)).is_empty());
}

#[test]
fn several_records_of_a_key_come_in_the_order_of_the_log_and_no_more_than_asked_for() {
    let disk = BreakableDisk::new(2);
    let mut index = open(&disk);
    for position in [30, 10, 50] {
        index.add(key(1), at(position), false);
    }
    store(&mut index, 50);
    index.add(key(1), at(60), false);
    index.add(key(1), at(55), false);
    assert_eq!(found(&index, key(1)), [10, 30, 50, 55, 60]);
    let two = index.look_up(key(1), 2, |_| true);
    assert_eq!(two.iter().map(|candidate| candidate.locator.position().0).collect::<Vec<_>>(), [10, 30]);
}

#[test]
fn a_restricted_record_is_found_only_by_those_who_see_it() {
    let disk = BreakableDisk::new(3);
    let mut index = open(&disk);
    index.add(key(1), at(10), true);
    index.add(key(1), at(11), false);
    for sealed in [false, true] {
        if sealed {
            store(&mut index, 11);
        }
        let open_to_all = Candidate { query: 0, locator: at(11), restricted: false };
        let restricted = Candidate { query: 0, locator: at(10), restricted: true };
        assert_eq!(index.look_up(key(1), ALL, |_| false), [open_to_all]);
        assert_eq!(index.look_up(key(1), ALL, |locator| locator == at(10)), [restricted, open_to_all]);
        // What is not seen does not count against the limit either.
        assert_eq!(index.look_up(key(1), 1, |_| false), [open_to_all]);
    }
}

#[test]
fn the_last_word_on_a_record_counts_across_runs() {
    let disk = BreakableDisk::new(4);
    let mut index = open(&disk);
    index.add(key(1), at(10), false);
    store(&mut index, 10);
    index.add(key(1), at(10), true);
    store(&mut index, 11);
    assert!(index.look_up(key(1), ALL, |_| false).is_empty());
    index.remove(key(1), at(10));
    store(&mut index, 12);
    assert!(index.look_up(key(1), ALL, |_| true).is_empty());
    index.add(key(1), at(10), false);
    assert_eq!(found(&index, key(1)), [10]);
}

#[test]
fn a_removed_record_stays_removed_when_only_the_newer_runs_are_merged() {
    let disk = BreakableDisk::new(5);
    let mut index = open(&disk);
    (1..=8).for_each(|position| index.add(key(position), at(position), false));
    store(&mut index, 8);
    index.remove(key(1), at(1));
    store(&mut index, 9);
    index.add(key(10), at(10), false);
    store(&mut index, 10);
    let merged = index.merge_due(Position::START).unwrap().carry_out().unwrap();
    index.adopt(merged).remove().unwrap();
    assert_eq!(index.runs(), 2, "the two small ones are one");
    assert!(found(&index, key(1)).is_empty());
    merge_all(&mut index);
    assert_eq!((index.runs(), index.live().count()), (1, 8));
    assert!(found(&open(&disk), key(1)).is_empty());
}

#[test]
fn merging_as_it_falls_due_leaves_few_runs() {
    let disk = BreakableDisk::new(6);
    let mut index = open(&disk);
    for round in 1..=64 {
        (0..10).for_each(|item| index.add(key(round * 10 + item), at(round), false));
        store(&mut index, round);
        while let Some(merge) = index.merge_due(Position::START) {
            let merged = merge.carry_out().unwrap();
            index.adopt(merged).remove().unwrap();
        }
        assert!(index.runs() <= 7, "{} runs after {round} rounds", index.runs());
    }
    assert_eq!((index.runs(), index.live().count()), (1, 640));
}

#[test]
fn what_lies_behind_a_stored_position_is_not_merged_with_what_lies_before_it() {
    let disk = BreakableDisk::new(16);
    let mut index = open(&disk);
    for position in 1..=6 {
        index.add(key(position), at(position), false);
        store(&mut index, position);
    }
    while let Some(merge) = index.merge_due(Position(4)) {
        let merged = merge.carry_out().unwrap();
        index.adopt(merged).remove().unwrap();
    }
    assert_eq!(index.runs(), 2, "those before it, and those behind it");
    drop(index);
    let index = Index::open_to(Arc::new(disk.clone()), dir(), Position(4)).unwrap();
    assert_eq!((index.through(), index.live().count()), (Position(4), 4));
    drop(index);
    assert_eq!(open(&disk).through(), Position(4), "what lay behind is gone");
}

#[test]
fn a_batch_finds_what_single_searches_find() {
    let disk = BreakableDisk::new(7);
    let mut index = open(&disk);
    for number in 0..3000 {
        index.add(key(number), at(number + 1), number % 5 == 0);
        if number % 1000 == 999 {
            store(&mut index, number + 1);
        }
    }
    index.add(key(3), at(4000), false);
    let keys: Vec<Fingerprint> =
        (0..400).rev().map(|number| key(number * 10)).chain([key(3), key(3)]).collect();
    let mut batch = Vec::new();
    index.look_up_many(&keys, ALL, |locator| locator.position().0 % 2 == 1, &mut batch);
    let mut single = Vec::new();
    for (query, &key) in keys.iter().enumerate() {
        let own = index.look_up(key, ALL, |locator| locator.position().0 % 2 == 1);
        single.extend(own.into_iter().map(|candidate| Candidate { query, ..candidate }));
    }
    assert_eq!(batch, single);
    // Of 300 keys that are there, those at even positions are hidden: none, as 10 n + 1 is odd. And twice two.
    assert_eq!(batch.len(), 300 + 4);
}

#[test]
fn a_change_behind_the_end_of_its_run_is_refused_and_nothing_is_lost() {
    let disk = BreakableDisk::new(8);
    let mut index = open(&disk);
    index.add(key(1), at(11), false);
    let refused = index.run_of_changes(Position(10)).unwrap_err();
    assert_eq!(refused.to_string(), "an entry of position 11 does not belong into a run through position 10");
    assert_eq!(found(&index, key(1)), [11]);
    assert!(seal(&mut index, 11).is_some());
    assert!(seal(&mut index, 11).is_none());
}

#[test]
fn many_records_of_one_key_are_found_too() {
    let disk = BreakableDisk::new(9);
    let mut index = open(&disk);
    (1..=500).for_each(|position| index.add(key(7), at(position), false));
    (501..=600).for_each(|position| index.add(key(position), at(position), false));
    store(&mut index, 600);
    assert_eq!(found(&index, key(7)), (1..=500).collect::<Vec<_>>());
    // Keys that share a bucket with it.
    let near = |low: u64| Fingerprint(key(7).0 ^ low);
    assert!(found(&index, near(1)).is_empty() && found(&index, near(1 << 40)).is_empty());
}

#[test]
fn every_changed_byte_of_a_run_is_noticed_and_named() {
    let disk = BreakableDisk::new(10);
    let mut index = open(&disk);
    (1..=20).for_each(|number| index.add(key(number), at(number), number % 3 == 0));
    store(&mut index, 20);
    let path = dir().join("keys-00000000000000000000-00000000000000000020.run");
    let bytes = read_whole(&disk, &path, 1 << 20).unwrap();
    let file = disk.open(&path).unwrap();
    for (offset, &byte) in bytes.iter().enumerate() {
        file.write_at(&[byte ^ 0x10], offset as u64).unwrap();
        let damaged = Index::open(Arc::new(disk.clone()), dir()).unwrap_err();
        assert!(
            matches!(&damaged, IndexError::Damaged { path: named, .. } if *named == path),
            "byte {offset}"
        );
        file.write_at(&[byte], offset as u64).unwrap();
    }
    assert_eq!(found(&open(&disk), key(20)), [20]);
    file.write_at(&[0], bytes.len() as u64).unwrap();
    let longer = Index::open(Arc::new(disk.clone()), dir()).unwrap_err();
    assert!(matches!(longer, IndexError::Damaged { flaw: Flaw::Length, .. }));
}

#[test]
fn a_run_that_is_cut_off_anywhere_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let open = || Index::open(Arc::new(OsDisk), temporary.path());
    let mut index = open().unwrap();
    index.add(key(1), at(1), false);
    store(&mut index, 1);
    let path = temporary.path().join("keys-00000000000000000000-00000000000000000001.run");
    let bytes = std::fs::read(&path).unwrap();
    for len in (0..bytes.len()).step_by(7) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let damaged = open().unwrap_err();
        assert!(matches!(damaged, IndexError::Damaged { .. }), "after {len} bytes: {damaged}");
    }
    Index::clear(&OsDisk, temporary.path()).unwrap();
    assert_eq!(open().unwrap().through(), Position::START);
}

#[test]
fn a_crash_in_a_store_or_a_merge_leaves_the_old_runs_or_the_new_one() {
    for seed in 0..200 {
        let disk = BreakableDisk::new(seed);
        let mut index = open(&disk);
        (1..=20).for_each(|number| index.add(key(number), at(number), false));
        store(&mut index, 20);
        (21..=40).for_each(|number| index.add(key(number), at(number), false));
        let sealed = seal(&mut index, 40).unwrap();
        disk.power_off_after(Dice::new(seed).below(30));
        let stored = sealed.store().is_ok();
        let merged = index.merge_all().unwrap().carry_out().and_then(|merged| index.adopt(merged).remove());
        let disk = disk.power_off();
        let index = open(&disk);
        let through = index.through().0;
        assert!(through == 40 || (through == 20 && !stored && merged.is_err()), "seed {seed}: {through}");
        (1..=through).for_each(|number| assert_eq!(found(&index, key(number)), [number], "seed {seed}"));
        assert!(found(&index, key(through + 1)).is_empty(), "seed {seed}");
        let left = disk.list(&dir()).unwrap();
        assert_eq!(left.len(), index.runs(), "seed {seed}: {left:?}");
    }
}

#[test]
fn a_run_behind_a_missing_one_is_dropped_and_told_again() {
    let disk = BreakableDisk::new(11);
    let mut index = open(&disk);
    index.add(key(1), at(1), false);
    store(&mut index, 1);
    index.add(key(2), at(2), false);
    let lost = seal(&mut index, 2).unwrap();
    drop(lost);
    index.add(key(3), at(3), false);
    store(&mut index, 3);
    let index = open(&disk);
    assert_eq!((index.through(), index.runs()), (Position(1), 1));
}

#[test]
fn a_full_disk_is_said_and_leaves_the_index_as_it_was() {
    let disk = BreakableDisk::new(12);
    let mut index = open(&disk);
    index.add(key(1), at(1), false);
    let sealed = seal(&mut index, 1).unwrap();
    disk.set_capacity(Some(100));
    assert!(matches!(sealed.store(), Err(IndexError::Full(_))));
    assert_eq!(found(&index, key(1)), [1]);
}

/// Builds through a sorter with the least memory: 2,730 entries a piece.
fn sorted(disk: &BreakableDisk, changes: impl IntoIterator<Item = (u64, u64, bool)>, through: u64) -> Index {
    let mut sorter = Sorter::new(Arc::new(disk.clone()), dir(), 0).unwrap();
    for (number, position, restricted) in changes {
        sorter.add(key(number), at(position), restricted).unwrap();
    }
    sorter.finish(Position(through)).unwrap();
    open(disk)
}

#[test]
fn a_sorter_builds_in_little_memory_what_an_index_grows_to() {
    let disk = BreakableDisk::new(13);
    let built = sorted(&disk, (1..=20_000).map(|number| (number, number, number % 7 == 0)), 20_000);
    assert_eq!(disk.list(&dir()).unwrap().len(), 1, "no piece is left");
    let mut grown = Index::open(Arc::new(BreakableDisk::new(14)), dir()).unwrap();
    (1..=20_000).for_each(|number| grown.add(key(number), at(number), number % 7 == 0));
    assert_eq!(built.digest(), grown.digest());
    assert_eq!(built.through(), Position(20_000));
    assert_eq!(found(&built, key(14_000)), [14_000]);
    assert!(built.look_up(key(14_000), ALL, |_| false).is_empty());
}

#[test]
fn the_same_changes_give_the_same_bytes_however_they_are_ordered() {
    let bytes = |order: Vec<u64>| {
        let disk = BreakableDisk::new(15);
        sorted(&disk, order.into_iter().map(|number| (number, number, false)), 9000);
        let name = "keys-00000000000000000000-00000000000000009000.run";
        read_whole(&disk, &dir().join(name), 1 << 24).unwrap()
    };
    assert_eq!(bytes((1..=9000).collect()), bytes((1..=9000).rev().collect()));
}

#[test]
fn a_sorter_takes_the_last_word_on_a_record_and_forgets_what_was_removed() {
    let disk = BreakableDisk::new(16);
    let mut sorter = Sorter::new(Arc::new(disk.clone()), dir(), 0).unwrap();
    for round in 0..3 {
        for number in 1..=2000 {
            sorter.add(key(number), at(number), round == 1).unwrap();
        }
    }
    (1..=1000).for_each(|number| sorter.remove(key(number), at(number)).unwrap());
    sorter.finish(Position(2000)).unwrap();
    let index = open(&disk);
    assert_eq!(index.live().count(), 1000);
    assert_eq!(index.look_up(key(1001), ALL, |_| false).len(), 1);
    assert!(found(&index, key(1000)).is_empty());
}

#[test]
fn more_pieces_than_are_merged_at_once_are_merged_in_steps() {
    let disk = BreakableDisk::new(17);
    let count = 2730 * 70;
    let index = sorted(&disk, (1..=count).map(|number| (number, number, false)), count);
    assert_eq!(index.live().count() as u64, count);
    assert_eq!(found(&index, key(count)), [count]);
}

#[test]
fn what_a_sorter_left_behind_is_cleared_by_the_next() {
    let disk = BreakableDisk::new(18);
    let mut sorter = Sorter::new(Arc::new(disk.clone()), dir(), 0).unwrap();
    (1..=6000).for_each(|number| sorter.add(key(number), at(number), false).unwrap());
    drop(sorter);
    assert_eq!(disk.list(&dir()).unwrap().len(), 2);
    let index = sorted(&disk, [(1, 1, false)], 1);
    assert_eq!(index.live().count(), 1);
    assert_eq!(disk.list(&dir()).unwrap().len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Add { number: u64, position: u64, restricted: bool },
    Remove { number: u64, position: u64 },
    Seal,
    MergeDue,
    MergeAll,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let few = 0u64..12;
    prop_oneof![
        8 => (few.clone(), 1u64..6, any::<bool>())
            .prop_map(|(number, position, restricted)| Step::Add { number, position, restricted }),
        4 => (few, 1u64..6).prop_map(|(number, position)| Step::Remove { number, position }),
        2 => Just(Step::Seal),
        1 => Just(Step::MergeDue),
        1 => Just(Step::MergeAll),
        1 => Just(Step::Restart),
    ]
}

/// Fingerprints that collide in their high bits, so that buckets and neighbours are tried as well.
fn near(number: u64) -> Fingerprint {
    Fingerprint(0x8000_0000_0000_0000 | ((number % 3) << 40) | (number / 3))
}

fn carry_out(merge: Option<i247_records::index::Merge>, index: &mut Index) {
    if let Some(merge) = merge {
        let merged = merge.carry_out().unwrap();
        index.adopt(merged).remove().unwrap();
    }
}

fn check_against(model: &BTreeMap<(Fingerprint, Locator), bool>, index: &Index) -> Result<(), TestCaseError> {
    let live: Vec<Live> = index.live().collect();
    let expected: Vec<Live> = model
        .iter()
        .map(|(&(fingerprint, locator), &restricted)| Live { fingerprint, locator, restricted })
        .collect();
    prop_assert_eq!(live, expected);
    let keys: Vec<Fingerprint> = (0..12).map(near).collect();
    for (sees, limit) in [(true, ALL), (false, ALL), (true, 2), (false, 1)] {
        let mut batch = Vec::new();
        index.look_up_many(&keys, limit, |_| sees, &mut batch);
        let mut expected = Vec::new();
        for (query, &key) in keys.iter().enumerate() {
            let of_key =
                model.range((key, at(0))..=(key, at(100))).filter(|&(_, &restricted)| sees || !restricted);
            expected.extend(of_key.take(limit).map(|(&(_, locator), &restricted)| Candidate {
                query,
                locator,
                restricted,
            }));
        }
        prop_assert_eq!(batch, expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_index_finds_what_a_map_finds(steps in prop::collection::vec(step(), 1..80)) {
        let disk = BreakableDisk::new(19);
        let mut index = open(&disk);
        let mut model = BTreeMap::new();
        let mut through = 10;
        for step in steps {
            match step {
                Step::Add { number, position, restricted } => {
                    index.add(near(number), at(position), restricted);
                    model.insert((near(number), at(position)), restricted);
                }
                Step::Remove { number, position } => {
                    index.remove(near(number), at(position));
                    model.remove(&(near(number), at(position)));
                }
                Step::Seal => {
                    through += 1;
                    store(&mut index, through);
                }
                Step::MergeDue => carry_out(index.merge_due(Position::START), &mut index),
                Step::MergeAll => carry_out(index.merge_all(), &mut index),
                Step::Restart => {
                    through += 1;
                    store(&mut index, through);
                    index = open(&disk);
                }
            }
            check_against(&model, &index)?;
        }
    }

    #[test]
    fn what_is_read_as_a_run_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), shape in 0u8..30) {
        let disk = BreakableDisk::new(20);
        drop(open(&disk));
        let mut head = b"i247keys\x01\0\0\0".to_vec();
        head.extend_from_slice(&[shape, shape % 10, 0, 0]);
        head.extend_from_slice(&bytes);
        head.resize(head.len().max(64), 0);
        let crc = crc32c::crc32c(&head[..60]).to_le_bytes();
        head[60..64].copy_from_slice(&crc);
        let path = Path::new("keys").join("keys-00000000000000000000-00000000000000000020.run");
        let file = disk.create(&path).unwrap();
        i247_ledger::disk::write_all_at(&*file, &head, 0).unwrap();
        prop_assert!(Index::open(Arc::new(disk), dir()).is_err());
    }
}
