//! Offline copies: what they answer, when they refuse, and what a tampered one gets.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use i247_model::{Hash, Timestamp};
use i247_records::index::{Fingerprint, KeySpace};
use i247_records::offline::{
    About, Answer, Delta, Edition, Finding, Holding, KeySet, Mark, OfflineCopy, OfflineError, Question, Scope,
};
use proptest::prelude::*;

const NETWORK: Hash = Hash([7; 32]);
const NOON: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// Stands for a signature: every byte of the statement counts, and nobody without the key can make it.
fn sign(statement: &[u8]) -> Vec<u8> {
    let space = KeySpace::new("test", "signature");
    let mut signature = b"signed ".to_vec();
    signature.extend_from_slice(&space.fingerprint(statement).0.to_be_bytes());
    signature
}

fn verify(statement: &[u8], signature: &[u8]) -> bool {
    signature == sign(statement)
}

fn key(number: u64) -> Fingerprint {
    KeySpace::new("sltd", "number").fingerprint(&number.to_be_bytes())
}

fn set(numbers: impl IntoIterator<Item = u64>) -> KeySet {
    let mut keys: Vec<Fingerprint> = numbers.into_iter().map(key).collect();
    keys.sort();
    KeySet::of(|| keys.iter().copied()).unwrap()
}

fn about(scope: Scope) -> About {
    About { network: NETWORK, scope, databases: vec!["sltd".into(), "tdawn".into()] }
}

fn base(version: u64, keys: KeySet) -> Edition {
    Edition::first(about(Scope::Base), version, NOON, 100, keys)
}

fn open(edition: &Edition, deltas: &[Vec<u8>], known: Option<Mark>) -> Result<Holding, OfflineError> {
    Holding::open(&edition.snapshot(sign), deltas.iter().map(Vec::as_slice), known, verify)
}

fn copy_of(keys: KeySet) -> OfflineCopy {
    OfflineCopy::new(NETWORK, "FR".parse().unwrap(), open(&base(1, keys), &[], None).unwrap(), None).unwrap()
}

fn ask(copy: &OfflineCopy, number: u64, now: Timestamp) -> Result<Answer, OfflineError> {
    copy.check(&[Question { database: "sltd", key: key(number) }], now)
}

/// A chain of versions: 1, 2 and 3 have the keys 0..10, 0..12 and 5..12.
fn three_versions() -> (Edition, Vec<u8>, Vec<u8>, Edition) {
    let first = base(1, set(0..10));
    let (second, to_second) = first.next(NOON.plus(HOUR), 110, set(0..12)).unwrap();
    let (third, to_third) = second.next(NOON.plus(2 * HOUR), 120, set(5..12)).unwrap();
    (first, to_second.signed(sign), to_third.signed(sign), third)
}

#[test]
fn a_hit_is_possible_and_everything_else_is_no_record_as_of_then() {
    let copy = copy_of(set(0..1000));
    let now = NOON.plus(HOUR);
    assert_eq!(
        ask(&copy, 999, now),
        Ok(Answer { finding: Finding::Possible(vec![0]), as_of: NOON, old: None })
    );
    assert_eq!(ask(&copy, 1000, now), Ok(Answer { finding: Finding::NoRecord, as_of: NOON, old: None }));
}

#[test]
fn several_keys_are_one_check_and_the_answer_names_those_that_met_something() {
    let copy = copy_of(set(0..10));
    let questions = [11, 3, 12, 9].map(|number| Question { database: "sltd", key: key(number) });
    assert_eq!(copy.check(&questions, NOON).unwrap().finding, Finding::Possible(vec![1, 3]));
    let many = [questions[0]; 4097];
    assert_eq!(copy.check(&many, NOON), Err(OfflineError::TooManyQuestions(4097)));
    assert!(copy.check(&many[1..], NOON).is_ok());
}

#[test]
fn a_copy_of_no_keys_answers_too() {
    assert_eq!(ask(&copy_of(set([])), 1, NOON).unwrap().finding, Finding::NoRecord);
}

#[test]
fn a_copy_warns_beyond_48_hours_and_refuses_beyond_7_days() {
    let copy = copy_of(set(0..10));
    let old_at = |age| ask(&copy, 1, NOON.plus(age)).map(|answer| answer.old);
    let millisecond = Duration::from_millis(1);
    assert_eq!(old_at(48 * HOUR), Ok(None));
    assert_eq!(old_at(48 * HOUR + millisecond), Ok(Some(48 * HOUR + millisecond)));
    assert_eq!(old_at(168 * HOUR), Ok(Some(168 * HOUR)));
    let age = 168 * HOUR + millisecond;
    assert_eq!(old_at(age), Err(OfflineError::TooOld { as_of: NOON, age }));
    assert_eq!(
        old_at(200 * HOUR).unwrap_err().to_string(),
        "the offline copy is 200 hours old, which is too old to answer; fetch a newer one"
    );
}

#[test]
fn a_clock_behind_the_copy_is_told_to_be_set() {
    let copy = copy_of(set(0..10));
    let behind = |minutes: u64| Timestamp::from_millis(NOON.as_millis() - minutes * 60_000);
    assert!(ask(&copy, 1, behind(5)).is_ok());
    let now = behind(6);
    assert_eq!(ask(&copy, 1, now), Err(OfflineError::ClockBehind { as_of: NOON, now }));
}

#[test]
fn a_database_that_the_copy_does_not_have_is_not_answered_with_no_record() {
    let asked = copy_of(set(0..10)).check(&[Question { database: "vehicles", key: key(1) }], NOON);
    assert_eq!(asked, Err(OfflineError::NotCovered("vehicles".into())));
}

#[test]
fn a_supplement_adds_what_its_country_sees_and_the_older_part_dates_the_answer() {
    let france = "FR".parse().unwrap();
    let base = open(&base(1, set(0..10)), &[], None).unwrap();
    let earlier = Timestamp::from_millis(NOON.as_millis() - 1000);
    let supplement = Edition::first(about(Scope::Supplement(france)), 4, earlier, 100, set([50]));
    let supplement = open(&supplement, &[], None).unwrap();

    let copy = OfflineCopy::new(NETWORK, france, base.clone(), Some(supplement.clone())).unwrap();
    let answer = ask(&copy, 50, NOON).unwrap();
    assert_eq!((answer.finding, answer.as_of), (Finding::Possible(vec![0]), earlier));
    assert_eq!(ask(&copy, 51, NOON).unwrap().finding, Finding::NoRecord);

    let without = OfflineCopy::new(NETWORK, france, base.clone(), None).unwrap();
    assert_eq!(ask(&without, 50, NOON).unwrap().finding, Finding::NoRecord);

    // A record that was restricted between the two would be in neither of them.
    let later = Edition::first(about(Scope::Supplement(france)), 5, NOON, 101, set([50]));
    let later = open(&later, &[], None).unwrap();
    let apart = OfflineCopy::new(NETWORK, france, base.clone(), Some(later)).unwrap_err();
    assert_eq!(apart, OfflineError::Apart);

    let germany = "DE".parse().unwrap();
    let refused = OfflineCopy::new(NETWORK, germany, base.clone(), Some(supplement.clone())).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "this is the supplement of FR, not the supplement of DE; fetch the right one"
    );
    let refused = OfflineCopy::new(NETWORK, france, supplement, None).unwrap_err();
    let (expected, found) = (Scope::Base, Scope::Supplement(france));
    assert_eq!(refused, OfflineError::Scope { expected, found });
    let refused = OfflineCopy::new(Hash([8; 32]), france, base, None).unwrap_err();
    assert_eq!(refused, OfflineError::Network);
}

#[test]
fn deltas_lead_from_version_to_version() {
    let (first, to_second, to_third, third) = three_versions();
    let mut holding = open(&first, &[], None).unwrap();
    holding.apply(&to_second, verify).unwrap();
    assert!(holding.contains(key(0)) && holding.contains(key(11)));
    holding.apply(&to_third, verify).unwrap();
    assert!(!holding.contains(key(4)) && holding.contains(key(5)) && holding.contains(key(11)));
    assert_eq!(
        (holding.mark(), holding.as_of(), holding.through()),
        (third.mark(), NOON.plus(2 * HOUR), 120)
    );
    assert_eq!(holding.mark().version, 3);
}

#[test]
fn a_key_can_go_and_come_again() {
    let first = base(1, set(0..10));
    let (second, away) = first.next(NOON, 101, set(1..10)).unwrap();
    let (_, again) = second.next(NOON, 102, set(0..10)).unwrap();
    let mut holding = open(&first, &[], None).unwrap();
    holding.apply(&away.signed(sign), verify).unwrap();
    assert!(!holding.contains(key(0)));
    holding.apply(&again.signed(sign), verify).unwrap();
    assert!(holding.contains(key(0)));
}

#[test]
fn a_snapshot_of_a_later_version_takes_up_the_same_chain() {
    let (first, to_second, to_third, third) = three_versions();
    let by_deltas = open(&first, &[to_second.clone(), to_third.clone()], None).unwrap();
    let (_, to_fourth) = third.next(NOON.plus(3 * HOUR), 130, set([5])).unwrap();
    for mut holding in [by_deltas, open(&third, &[], Some(first.mark())).unwrap()] {
        holding.apply(&to_fourth.signed(sign), verify).unwrap();
        assert!(holding.contains(key(5)) && !holding.contains(key(6)));
    }
}

#[test]
fn a_missing_delta_a_repeated_one_and_one_of_another_chain_are_refused() {
    let (first, to_second, to_third, third) = three_versions();
    let mut holding = open(&first, &[], None).unwrap();
    assert_eq!(holding.apply(&to_third, verify), Err(OfflineError::Gap { have: 1, offered: 3 }));
    holding.apply(&to_second, verify).unwrap();
    assert_eq!(holding.apply(&to_second, verify), Err(OfflineError::RolledBack { known: 2, offered: 2 }));
    let (_, elsewhere) = base(2, set(0..12)).next(NOON.plus(2 * HOUR), 120, set(5..12)).unwrap();
    assert_eq!(holding.apply(&elsewhere.signed(sign), verify), Err(OfflineError::Forked { version: 2 }));
    assert_eq!(holding.mark().version, 2);
    assert_eq!(holding.apply(&third.snapshot(sign), verify), Err(OfflineError::Contents));
}

#[test]
fn a_delta_of_another_scope_or_network_is_refused() {
    let mut holding = open(&base(1, set(0..10)), &[], None).unwrap();
    let delta_of = |about| {
        let edition = Edition::first(about, 1, NOON, 100, set(0..10));
        let (_, delta): (Edition, Delta) = edition.next(NOON, 101, set(0..11)).unwrap();
        delta.signed(sign)
    };
    let found = Scope::Supplement("FR".parse().unwrap());
    let refused = holding.apply(&delta_of(about(found)), verify);
    assert_eq!(refused, Err(OfflineError::Scope { expected: Scope::Base, found }));
    let other = About { network: Hash([8; 32]), ..about(Scope::Base) };
    assert_eq!(holding.apply(&delta_of(other), verify), Err(OfflineError::Network));
}

#[test]
fn an_older_copy_is_refused_by_the_mark_that_was_kept() {
    let (first, to_second, to_third, third) = three_versions();
    let mark = Some(third.mark());
    let rolled_back = open(&first, std::slice::from_ref(&to_second), mark).unwrap_err();
    assert_eq!(rolled_back, OfflineError::RolledBack { known: 3, offered: 2 });
    assert_eq!(
        rolled_back.to_string(),
        "version 2 was offered, but version 3 was here before: refused; fetch the newest and report it"
    );
    assert!(open(&first, &[to_second, to_third], mark).is_ok());
    // Another version of the same number, even if something newer follows it.
    let other = base(3, set(5..12));
    assert_eq!(open(&other, &[], mark).unwrap_err(), OfflineError::Forked { version: 3 });
    let (_, onward) = other.next(NOON, 121, set(5..13)).unwrap();
    assert_eq!(open(&other, &[onward.signed(sign)], mark).unwrap_err(), OfflineError::Forked { version: 3 });
}

#[test]
fn every_changed_byte_of_a_snapshot_and_of_a_delta_is_noticed() {
    let (first, to_second, _, _) = three_versions();
    let snapshot = first.snapshot(sign);
    for at in 0..snapshot.len() {
        for bit in [1, 0x80] {
            let mut tampered = snapshot.clone();
            tampered[at] ^= bit;
            assert!(Holding::open(&tampered, [], None, verify).is_err(), "byte {at} of the snapshot");
        }
    }
    let mut holding = open(&first, &[], None).unwrap();
    for at in 0..to_second.len() {
        let mut tampered = to_second.clone();
        tampered[at] ^= 1;
        assert!(holding.apply(&tampered, verify).is_err(), "byte {at} of the delta");
    }
    holding.apply(&to_second, verify).unwrap();
}

#[test]
fn a_copy_that_is_cut_off_anywhere_or_goes_on_behind_its_end_is_refused() {
    let snapshot = base(1, set(0..10)).snapshot(sign);
    for len in 0..snapshot.len() {
        let cut_off = Holding::open(&snapshot[..len], [], None, verify).unwrap_err();
        assert!(
            matches!(cut_off, OfflineError::Truncated { found, .. } if found == len as u64),
            "at {len}: {cut_off}"
        );
    }
    let (expected, found) = (snapshot.len() as u64, snapshot.len() as u64 + 1);
    let longer = [snapshot, vec![0]].concat();
    assert_eq!(
        Holding::open(&longer, [], None, verify).unwrap_err(),
        OfflineError::TooLong { expected, found }
    );
}

#[test]
fn a_forger_without_the_key_is_refused_and_so_is_a_file_of_another_kind() {
    let forged = base(1, set(0..10)).snapshot(|_| b"signed 12345678".to_vec());
    assert_eq!(Holding::open(&forged, [], None, verify).unwrap_err(), OfflineError::Signature);
    let other = b"PK\x03\x04 and so on, long enough".as_slice();
    assert_eq!(Holding::open(other, [], None, verify).unwrap_err(), OfflineError::NotACopy);
}

#[test]
fn a_signed_body_with_other_keys_is_told_apart_from_a_bad_signature() {
    let mut snapshot = base(1, set(0..10)).snapshot(sign);
    *snapshot.last_mut().unwrap() ^= 1;
    assert_eq!(Holding::open(&snapshot, [], None, verify).unwrap_err(), OfflineError::Body);
}

#[test]
fn the_same_keys_give_the_same_file() {
    let one = base(1, set(0..5000)).snapshot(sign);
    let other = base(1, set((0..5000).rev().chain(0..100))).snapshot(sign);
    assert_eq!(one, other);
}

#[test]
fn of_two_million_keys_that_are_not_there_none_is_possible() {
    // 100,000 keys of 56 bits: a false one is expected once in 7 · 10¹¹ questions.
    let holding = open(&base(1, set(0..100_000)), &[], None).unwrap();
    assert!((0..100_000).all(|number| holding.contains(key(number))));
    assert_eq!((1_000_000..3_000_000).filter(|&number| holding.contains(key(number))).count(), 0);
}

#[test]
fn keys_that_share_56_bits_are_one_and_stay_while_one_of_them_is_left() {
    let of = |low: &[u64]| {
        let keys: Vec<Fingerprint> =
            low.iter().map(|&low| Fingerprint(0xabcd_0000_0000_0000 | low)).collect();
        KeySet::of(move || keys.clone().into_iter()).unwrap()
    };
    let first = base(1, of(&[0x01, 0x02]));
    assert_eq!(first.keys(), 1);
    let (second, delta) = first.next(NOON, 101, of(&[0x02])).unwrap();
    assert_eq!((delta.changes(), second.keys()), (0, 1));
    let mut holding = open(&first, &[], None).unwrap();
    holding.apply(&delta.signed(sign), verify).unwrap();
    assert!(holding.contains(Fingerprint(0xabcd_0000_0000_0002)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn deltas_and_snapshots_say_the_same_as_a_set(versions in prop::collection::vec(
        prop::collection::btree_set(0u64..400, 0..300), 1..6,
    )) {
        let mut edition = base(1, set(versions[0].iter().copied()));
        let mut holding = open(&edition, &[], None).unwrap();
        for numbers in &versions[1..] {
            let (next, delta) = edition.next(NOON, 100, set(numbers.iter().copied())).unwrap();
            holding.apply(&delta.signed(sign), verify).unwrap();
            edition = next;
            let whole = open(&edition, &[], Some(holding.mark())).unwrap();
            for number in 0..400 {
                prop_assert_eq!(holding.contains(key(number)), numbers.contains(&number));
                prop_assert_eq!(whole.contains(key(number)), numbers.contains(&number));
            }
        }
    }

    #[test]
    fn what_is_read_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut file = b"i247mind\x01\0\0\0".to_vec();
        file.extend_from_slice(&bytes);
        prop_assert!(Holding::open(&file, [], None, |_, _| true).is_err());
    }
}
