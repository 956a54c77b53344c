//! Stories of the view: what a log of batches comes to, and that every way to it comes to the same.

mod circulars;
mod stored;
mod unpublished;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use i247_ledger::disk::{Disk, OsDisk};
use i247_ledger::{Draft, Inline, Memory};
use i247_model::{Kind, Reason};
use i247_records::record::{Cell, Change, RecordName};
use i247_wire::pb;
use prost::Message as _;

use super::*;

/// 2026-11-22, 12:00 UTC.
const NOON: u64 = 1_795_348_800_000;
const DAY: u64 = 24 * 60 * 60 * 1000;

fn record(number: &str, last: &str, except: &str, review_on: &str) -> Record {
    let fraud = if last.is_empty() { "LOST_BEARER" } else { "STOLEN_BLANK" };
    let cells = ["", review_on, except, "", number, "FRA", "PASSPORT", fraud, last];
    let cells: Vec<Cell<'_>> = cells.iter().map(|cell| Cell::Text((*cell).into())).collect();
    Record::from_row(Database::Sltd, "FR".parse().unwrap(), &cells).unwrap()
}

fn add(number: &str) -> Change {
    Change::Add(record(number, "", "", ""))
}

fn name(text: &str) -> RecordName {
    RecordName::parse(Database::Sltd, text).unwrap()
}

fn key(number: &str) -> Key {
    Key::travel_document(Database::Sltd, "FRA".parse().unwrap(), &number.parse().unwrap())
}

/// The entry that a hub writes about a batch of France's.
fn entry(database: Database, number: u64, at_ms: u64, changes: &[Change], accepted: bool) -> Draft {
    let item = |(at, change): (usize, &Change)| pb::RecordItem {
        salt: vec![at as u8; 16].into(),
        change: change.encode().into(),
        leaf: Bytes::new(),
    };
    let items = changes.iter().enumerate().map(item).collect();
    let batch = pb::RecordBatch { database: i32::from(database.number()), items };
    let carried = i247_trust::carry_batch(&batch).unwrap();
    let header = pb::Header {
        version: 1,
        id: format!("FR-1-B-{number}"),
        key_id: vec![1; 32].into(),
        previous: if number > 1 { vec![2; 32].into() } else { Bytes::new() },
        kind: pb::Kind::from(Kind::Records).into(),
        audience: Some(pb::Audience { secretariat: true, ..Default::default() }),
        signed_at_ms: at_ms,
        body_hash: Bytes::copy_from_slice(carried.body_hash.as_bytes()),
        commitment: Bytes::copy_from_slice(carried.commitment.as_bytes()),
        ..Default::default()
    };
    let submission = pb::Submission { header: header.encode_to_vec().into(), ..Default::default() };
    let decision = if accepted {
        pb::decision::Decision::Accepted(pb::Accepted::default())
    } else {
        pb::decision::Decision::Void((&Refusal::of(Reason::NotOwner, "items[0]")).into())
    };
    let entry = pb::Entry {
        at_ms,
        input: Some(pb::entry::Input::Submission(submission)),
        decision: Some(pb::Decision { decision: Some(decision) }),
        made: Vec::new(),
    };
    Draft { entry: entry.encode_to_vec().into(), body: Some(carried.bytes) }
}

/// A hub's log, and its databases.
struct World {
    dir: tempfile::TempDir,
    log: Arc<Memory>,
    databases: Databases,
    entries: u64,
}

impl World {
    async fn new() -> Self {
        let (dir, log) = (tempfile::tempdir().unwrap(), Arc::new(Memory::new()));
        let databases = open(&dir, &log).await;
        Self { dir, log, databases, entries: 0 }
    }

    async fn enter(&mut self, at_ms: u64, changes: &[Change]) -> Verdicts {
        self.enter_of(Database::Sltd, at_ms, changes).await
    }

    async fn enter_into(&mut self, database: Database, changes: &[Change]) -> Verdicts {
        self.enter_of(database, NOON, changes).await
    }

    async fn enter_of(&mut self, database: Database, at_ms: u64, changes: &[Change]) -> Verdicts {
        self.entries += 1;
        let end = self.log.end();
        let draft = entry(database, self.entries, at_ms, changes, true);
        self.log.append(end, vec![draft]).await.unwrap();
        self.databases.take_in(&[self.log.end().0]).await.unwrap();
        self.databases.verdicts(self.log.end().0).unwrap_or_default()
    }

    async fn found(&self, asker: &str, number: &str) -> Vec<String> {
        let today = Date::of(i247_model::Timestamp::from_millis(NOON));
        let keys = [key(number)];
        let found = self.databases.look_up(asker.parse().unwrap(), Database::Sltd, &keys, today);
        found.await.unwrap().remove(0).into_iter().map(|found| found.reference).collect()
    }

    fn count(&self) -> u64 {
        self.databases.count(Database::Sltd)
    }
}

/// The databases of a log, and which entries were read again.
async fn opened(disk: Arc<dyn Disk>, dir: &Path, log: &Arc<Memory>) -> (Databases, Vec<u64>) {
    let read = std::cell::RefCell::<Vec<u64>>::default();
    let feeds = |behind: u64| {
        read.replace(((behind + 1)..=log.end().0).collect());
        Ok(read.borrow().clone())
    };
    let databases = Databases::open(disk, Arc::new(Inline), dir, log.clone(), feeds).await.unwrap();
    (databases, read.into_inner())
}

async fn open(dir: &tempfile::TempDir, log: &Arc<Memory>) -> Databases {
    opened(Arc::new(OsDisk), dir.path(), log).await.0
}

fn reasons(verdicts: &Verdicts) -> Vec<(u16, Reason)> {
    verdicts.first.iter().map(|(item, refusal)| (*item, refusal.reason)).collect()
}

#[tokio::test]
async fn a_record_is_found_by_its_number_and_its_look_alikes_until_it_is_withdrawn() {
    let mut world = World::new().await;
    assert_eq!(world.enter(NOON, &[add("X4719TO6M"), add("P2")]).await.accepted, 2);
    assert_eq!(world.found("BR", "X4719TO6M").await, ["FRA/PASSPORT/X4719TO6M"]);
    assert_eq!(world.found("BR", "X4719T06M").await, ["FRA/PASSPORT/X4719TO6M"]);
    assert!(world.found("BR", "X4719T06N").await.is_empty());
    world.enter(NOON, &[Change::Withdraw(name("FRA/PASSPORT/X4719TO6M"))]).await;
    assert!(world.found("BR", "X4719TO6M").await.is_empty());
    assert_eq!(world.count(), 1);
}

#[tokio::test]
async fn each_change_has_its_own_verdict_in_the_order_of_the_log() {
    let mut world = World::new().await;
    let verdicts = world.enter(NOON, &[add("P1"), add("P1"), add("P2")]).await;
    assert_eq!((verdicts.accepted, reasons(&verdicts)), (2, vec![(1, Reason::Duplicate)]));
    let unknown = Change::Withdraw(name("FRA/PASSPORT/P9"));
    let verdicts = world.enter(NOON, &[add("P2"), unknown, add("P3")]).await;
    assert_eq!(verdicts.accepted, 1);
    assert_eq!(reasons(&verdicts), [(0, Reason::Duplicate), (1, Reason::UnknownRecord)]);
    assert_eq!(world.count(), 3);
}

#[tokio::test]
async fn a_restricted_record_is_not_there_for_whom_it_is_kept_from() {
    let mut world = World::new().await;
    world.enter(NOON, &[add("P1"), Change::Add(record("WW0000100", "WW0000199", "BR", ""))]).await;
    world.enter(NOON, &[Change::Restrict(record("P1", "", "BR;JP", ""))]).await;
    for (asker, found) in [("BR", 0), ("JP", 0), ("FR", 1), ("ES", 1), ("IPSG", 1)] {
        assert_eq!(world.found(asker, "P1").await.len(), found, "{asker}");
    }
    assert!(world.found("BR", "WW0000150").await.is_empty());
    assert_eq!(world.found("JP", "WW0000150").await, ["FRA/PASSPORT/WW0000100..WW0000199"]);
    world.enter(NOON, &[Change::Restrict(record("P1", "", "JP", ""))]).await;
    assert_eq!(world.found("BR", "P1").await.len(), 1);
    assert!(world.found("JP", "P1").await.is_empty());
}

#[tokio::test]
async fn a_record_goes_when_its_last_day_is_past() {
    let mut world = World::new().await;
    world.enter(NOON, &[Change::Add(record("P1", "", "", "2026-11-23")), add("P2")]).await;
    assert_eq!(world.count(), 2);
    world.enter(NOON + DAY, &[add("P3")]).await;
    assert_eq!(world.count(), 3, "it counts on its last day");
    // The next one begins with whatever is entered.
    assert_eq!(world.enter(NOON + 2 * DAY, &[add("P1")]).await.accepted, 1);
    assert_eq!(world.count(), 3);
}

#[tokio::test]
async fn a_batch_that_is_void_changes_nothing() {
    let world = World::new().await;
    let end = world.log.end();
    world.log.append(end, vec![entry(Database::Sltd, 1, NOON, &[add("P1")], false)]).await.unwrap();
    world.databases.take_in(&[1]).await.unwrap();
    assert_eq!((world.databases.position(), world.count()), (1, 0));
    assert_eq!(world.databases.verdicts(1), None);
}

#[tokio::test]
async fn the_databases_made_anew_from_the_log_are_the_same() {
    let mut world = World::new().await;
    for round in 0..40_u32 {
        let number = |n: u32| format!("P{:05}", round * 7 + n);
        let mut changes: Vec<Change> = (0..12).map(|n| add(&number(n))).collect();
        changes.push(Change::Restrict(record(&number(3), "", "BR", "")));
        changes.push(Change::Withdraw(name(&format!("FRA/PASSPORT/{}", number(1)))));
        world.enter(NOON + u64::from(round) * DAY / 4, &changes).await;
    }
    assert!(world.count() > 200);
    let (dir, digest) = (tempfile::tempdir().unwrap(), world.databases.digest().unwrap());
    assert_eq!(open(&dir, &world.log).await.digest().unwrap(), digest);
    // And those after one more change are not.
    world.enter(NOON + 20 * DAY, &[Change::Withdraw(name("FRA/PASSPORT/P00000"))]).await;
    assert_ne!(world.databases.digest().unwrap(), digest);
}

#[tokio::test]
async fn what_has_gathered_becomes_runs_and_is_found_all_the_same() {
    let mut world = World::new().await;
    // More than one run holds.
    for round in 0..70_u64 {
        let changes: Vec<Change> = (0..1000).map(|n| add(&format!("P{:06}", round * 1000 + n))).collect();
        assert_eq!(world.enter(NOON, &changes).await.accepted, 1000);
    }
    assert!(world.databases.shelves().runs() > 0);
    let verdicts = world.enter(NOON, &[add("P000000"), add("P069999"), add("P070000")]).await;
    assert_eq!(reasons(&verdicts), [(0, Reason::Duplicate), (1, Reason::Duplicate)]);
    for number in ["P000000", "P035000", "P069999", "P070000"] {
        assert_eq!(world.found("BR", number).await.len(), 1, "{number}");
    }
    world.enter(NOON, &[Change::Withdraw(name("FRA/PASSPORT/P000000"))]).await;
    assert!(world.found("BR", "P000000").await.is_empty());
}
