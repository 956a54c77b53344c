//! What lies beside the log may be cut off, lost or damaged at any moment: the log makes it anew, and it is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use i247_ledger::faults::{BreakableDisk, Dice};
use i247_ledger::{Draft, Inline, Ledger, Options, Segments};
use i247_model::{MessageId, Party, Refusal, Timestamp};
use i247_router::{Accepted, Decision, Place};
use i247_trust::{Authority, Root, TlsKey, Validity};
use i247_wire::pb;
use prost::Message as _;

use super::*;
use crate::entry::encode_decision;
use crate::past::{find_whole, with_prefix};
use crate::recover::{Recovered, recover};

const ENTRIES: u64 = 400;

/// So many messages and receipts that they fill several runs.
const SMALL: Limits = Limits { entries: 1_000_000, rows: 60 };
const NONE: Limits = Limits { entries: 1_000_000, rows: usize::MAX };

fn dir() -> PathBuf {
    PathBuf::from("/hub/log")
}

fn root() -> Root {
    let day = |day: u64| Timestamp::from_millis(day * 86_400_000);
    let validity = Validity { not_before: day(1), not_after: day(90_000) };
    Authority::new(validity, TlsKey::P256).unwrap().credentials().root.clone()
}

/// Entries as a hub writes them: messages, refusals, and receipts that close them or come late.
struct Scribe {
    dice: Dice,
    drafts: Vec<Draft>,
    sent: u64,
    given: BTreeMap<Party, u64>,
    ids: BTreeSet<MessageId>,
}

impl Scribe {
    fn written(seed: u64, entries: u64) -> Self {
        let mut scribe = Self {
            dice: Dice::new(seed),
            drafts: Vec::new(),
            sent: 0,
            given: BTreeMap::new(),
            ids: BTreeSet::new(),
        };
        scribe.write(
            pb::entry::Input::Genesis(pb::Genesis { log_id: vec![7; 16].into(), ..Default::default() }),
            &Decision::Noted,
        );
        while (scribe.drafts.len() as u64) < entries {
            if scribe.dice.one_in(2) { scribe.send() } else { scribe.receive() }
        }
        scribe
    }

    fn send(&mut self) {
        self.sent += 1;
        let id: MessageId = format!("FR-1-N-{}", self.sent).parse().unwrap();
        let parties: Vec<Party> = ["BR", "JP"].iter().map(|country| country.parse().unwrap()).collect();
        let header = pb::Header {
            version: 1,
            id: id.to_string(),
            key_id: vec![1; 32].into(),
            previous: if self.sent > 1 { vec![2; 32].into() } else { Default::default() },
            kind: pb::Kind::FreeText.into(),
            audience: Some(pb::Audience { countries: vec!["BR".into(), "JP".into()], ..Default::default() }),
            signed_at_ms: 1000,
            operation: if self.sent.is_multiple_of(3) { "infra-red".into() } else { String::new() },
            seat: "desk".into(),
            body_hash: vec![3; 32].into(),
            commitment: vec![4; 32].into(),
            ..Default::default()
        };
        let decision = if self.dice.one_in(6) {
            Decision::Void(Refusal::of(i247_model::Reason::Expired, "expires_at"))
        } else {
            let mut places = Vec::new();
            for party in parties {
                let number = self.given.entry(party).or_default();
                *number += 1;
                places.push(Place { party, number: *number, held: false, owes: false, after: None });
            }
            Decision::Accepted(Accepted { places, ..Accepted::default() })
        };
        self.ids.insert(id);
        let submission = pb::Submission {
            header: header.encode_to_vec().into(),
            lifted: Some(Default::default()),
            ..Default::default()
        };
        self.write(pb::entry::Input::Submission(submission), &decision);
    }

    fn receive(&mut self) {
        let party: Party = if self.dice.one_in(2) { "BR" } else { "JP" }.parse().unwrap();
        let given = self.given.get(&party).copied().unwrap_or_default();
        let first = 1 + self.dice.below(given + 1);
        let range = pb::NumberRange { first, last: given.min(first + 5) };
        let receipts = pb::Receipts {
            party: party.to_string(),
            log_id: vec![7; 16].into(),
            lanes: vec![pb::LaneReceipt {
                lane: pb::Lane::Normal.into(),
                delivered_up_to: given,
                opened: if first <= given { vec![range] } else { Vec::new() },
                actioned: Vec::new(),
            }],
            signed_at_ms: 1000,
        };
        let signed = pb::Signed { payload: receipts.encode_to_vec().into(), ..Default::default() };
        self.write(pb::entry::Input::Receipts(signed), &Decision::Noted);
    }

    fn write(&mut self, input: pb::entry::Input, decision: &Decision) {
        let entry = pb::Entry {
            at_ms: 1000 * (self.drafts.len() as u64 + 1),
            input: Some(input),
            decision: encode_decision(decision),
            made: Vec::new(),
        };
        self.drafts.push(Draft { entry: entry.encode_to_vec().into(), body: None });
    }
}

fn options() -> Options {
    Options { segment_bytes: 1024 * 1024, blocking: Arc::new(Inline), ..Options::default() }
}

/// A disk with a log of these entries, and nothing beside it.
async fn disk_with(seed: u64, scribe: &Scribe) -> BreakableDisk {
    let disk = BreakableDisk::new(seed);
    let (log, _) = Segments::open(Arc::new(disk.clone()), dir(), options()).unwrap();
    for drafts in scribe.drafts.chunks(50) {
        log.append(log.end(), drafts.to_vec()).await.unwrap();
    }
    log.close().await.unwrap();
    drop(log);
    disk
}

async fn start(disk: &BreakableDisk, limits: Limits, root: &Root) -> Result<Recovered, crate::RecoverError> {
    recover(Arc::new(disk.clone()), Arc::new(Inline), &dir(), options(), limits, root).await
}

fn runs_of(disk: &BreakableDisk) -> Vec<PathBuf> {
    let dir = dir().join(runs::DIR);
    disk.list(&dir).unwrap().iter().map(|name| dir.join(name)).collect()
}

#[tokio::test]
async fn memory_is_emptied_and_every_answer_is_the_same() {
    let (scribe, root) = (Scribe::written(1, ENTRIES), root());
    let disk = disk_with(1, &scribe).await;
    let mut small = start(&disk, SMALL, &root).await.unwrap();
    assert!((2..=8).contains(&small.views.history.runs().count()));
    assert!(small.views.history.held() < 60);
    small.archive.store_own(&mut small.views).await.unwrap();
    assert_eq!(small.views.history.held(), 0);
    let digest = small.views.digest().unwrap();

    let whole = disk_with(2, &scribe).await;
    let kept = start(&whole, NONE, &root).await.unwrap();
    assert_eq!(kept.views.history.runs().count(), 0);
    assert_eq!(kept.views.digest().unwrap(), digest);
    let (small, kept) = (RwLock::new(small.views), RwLock::new(kept.views));
    for id in &scribe.ids {
        let told = |views| find_whole(views, id).unwrap().expect("was entered");
        let (here, there) = (told(&small), told(&kept));
        assert_eq!((here.status(), here.item.events), (there.status(), there.item.events), "{id}");
    }
    for prefix in ["FR-1-N-1", "FR-1-N-", "FR-1-N-39", "JP", ""] {
        assert_eq!(
            with_prefix(&small, prefix, 5).unwrap(),
            with_prefix(&kept, prefix, 5).unwrap(),
            "{prefix}"
        );
    }
    let name = |views| crate::past::operation(views, "infra-red").unwrap();
    assert_eq!(name(&small), name(&kept));
}

#[tokio::test]
async fn a_restart_reads_what_came_behind_the_snapshot() {
    let (scribe, root) = (Scribe::written(3, ENTRIES), root());
    let disk = disk_with(3, &scribe).await;
    let mut first = start(&disk, SMALL, &root).await.unwrap();
    first.archive.store_own(&mut first.views).await.unwrap();
    let digest = first.views.digest().unwrap();
    drop(first);
    let archive = Archive::new(Arc::new(disk.clone()), &dir(), Arc::new(Inline), SMALL);
    let views = archive.newest(Position(ENTRIES), &root).await.unwrap();
    assert_eq!((views.position, views.history.held()), (ENTRIES, 0));
    assert_eq!(views.digest().unwrap(), digest);
}

#[tokio::test]
async fn lost_and_damaged_runs_are_made_anew_from_the_log() {
    let (scribe, root) = (Scribe::written(5, ENTRIES), root());
    let disk = disk_with(5, &scribe).await;
    let mut first = start(&disk, SMALL, &root).await.unwrap();
    first.archive.store_own(&mut first.views).await.unwrap();
    let digest = first.views.digest().unwrap();
    drop(first);
    for run in runs_of(&disk) {
        let lost = disk.fork();
        lost.remove(&run).unwrap();
        assert_eq!(start(&lost, SMALL, &root).await.unwrap().views.digest().unwrap(), digest);

        let length = disk.contents(&run).unwrap().len() as u64;
        for byte in (0..length).step_by(211).chain([length - 1]) {
            let flipped = disk.fork();
            assert!(flipped.flip(&run, byte, 3));
            let started = start(&flipped, SMALL, &root).await.unwrap();
            // A block shows its damage when it is read: an error, never another answer.
            match started.views.digest() {
                Ok(whole) => assert_eq!(whole, digest, "byte {byte}"),
                Err(error) => {
                    assert!(error.damage().is_some(), "{error}");
                    started.archive.condemn();
                    drop(started);
                    let again = start(&flipped, SMALL, &root).await.unwrap();
                    assert_eq!(again.views.digest().unwrap(), digest, "byte {byte}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_power_cut_while_it_is_stored_changes_nothing() {
    let (scribe, root) = (Scribe::written(7, ENTRIES), root());
    let whole = start(&disk_with(7, &scribe).await, NONE, &root).await.unwrap().views.digest().unwrap();
    let base = disk_with(8, &scribe).await;
    for seed in 0..150 {
        let mut dice = Dice::new(seed);
        let mut disk = base.fork();
        for _ in 0..3 {
            disk.power_off_after(dice.below(400));
            if let Ok(mut started) = start(&disk, SMALL, &root).await {
                drop(started.archive.store_own(&mut started.views).await);
            }
            disk = disk.power_off();
        }
        let started =
            start(&disk, SMALL, &root).await.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        assert_eq!(started.views.digest().unwrap(), whole, "seed {seed}");
    }
}

#[tokio::test]
async fn views_in_use_are_stored_while_entries_come_in() {
    let (scribe, root) = (Scribe::written(9, ENTRIES), root());
    let disk = disk_with(9, &scribe).await;
    let Recovered { ledger, archive, .. } = start(&disk, NONE, &root).await.unwrap();
    let views = RwLock::new(Views::new(root.clone()));
    for record in ledger.read(Position(1), usize::MAX, usize::MAX).await.unwrap() {
        let taken = views.read().unwrap().read(&record).unwrap();
        views.write().unwrap().apply(&taken).unwrap();
        if record.position.0 % 40 == 0 {
            let snapshot = archive.write_shared(&views).unwrap().unwrap();
            assert_eq!(views.read().unwrap().history.held(), 0);
            archive.store_snapshot(snapshot).await.unwrap();
        }
        let durable = archive.mergeable();
        assert!(durable.0 + 80 > record.position.0 - record.position.0 % 40 || durable.0 == 0);
        let due = views.read().unwrap().history.runs().due(durable);
        if let Some(due) = due {
            assert!(merge(&archive, &views, &due, || true).unwrap());
        }
    }
    let digest = views.read().unwrap().digest().unwrap();
    drop((ledger, archive));
    let again = start(&disk, NONE, &root).await.unwrap();
    assert_eq!(again.views.history.runs().end(), Position(ENTRIES));
    assert!(again.views.history.runs().count() < 8);
    assert_eq!(again.views.digest().unwrap(), digest);
}

#[tokio::test]
async fn without_room_nothing_is_lost_and_the_next_attempt_stores_it() {
    let (scribe, root) = (Scribe::written(11, ENTRIES), root());
    let disk = disk_with(11, &scribe).await;
    let Recovered { archive, views, .. } = start(&disk, NONE, &root).await.unwrap();
    let (digest, held) = (views.digest().unwrap(), views.history.held());
    let views = RwLock::new(views);
    disk.set_capacity(Some(disk.used()));
    assert!(matches!(
        archive.write_shared(&views),
        Err(StoreError::History(HistoryError::Runs(RunError::Full)))
    ));
    assert_eq!(views.read().unwrap().history.held(), held);
    assert_eq!(views.read().unwrap().digest().unwrap(), digest);
    disk.set_capacity(None);
    assert!(archive.write_shared(&views).unwrap().is_some());
    assert_eq!(views.read().unwrap().history.held(), 0);
    assert_eq!(views.read().unwrap().digest().unwrap(), digest);
}

#[tokio::test]
async fn a_hub_whose_disk_is_full_starts_all_the_same() {
    let (scribe, root) = (Scribe::written(15, ENTRIES), root());
    let disk = disk_with(15, &scribe).await;
    disk.set_capacity(Some(disk.used()));
    let started = start(&disk, SMALL, &root).await.unwrap();
    assert_eq!((started.views.position, started.views.history.runs().count()), (ENTRIES, 0));
}

#[tokio::test]
async fn a_disk_that_does_not_answer_is_an_error_and_not_an_unknown_message() {
    let (scribe, root) = (Scribe::written(13, ENTRIES), root());
    let disk = disk_with(13, &scribe).await;
    let mut started = start(&disk, SMALL, &root).await.unwrap();
    started.archive.store_own(&mut started.views).await.unwrap();
    let views = RwLock::new(started.views);
    disk.cut_power();
    let answers: Vec<bool> = scribe.ids.iter().map(|id| matches!(find_whole(&views, id), Ok(None))).collect();
    assert!(!answers.contains(&true));
    assert!(
        scribe
            .ids
            .iter()
            .any(|id| matches!(find_whole(&views, id), Err(HistoryError::Runs(RunError::Io { .. }))))
    );
}
