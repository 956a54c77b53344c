//! Stories of the journal: what is noted is there, what cannot be noted is refused, and an older copy is found out.

use i247_ledger::faults::BreakableDisk;
use i247_ledger::{Draft, Inline};
use i247_model::{Identity, Timestamp};
use i247_node::{SeededDice, SystemClock};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::sequencer::Work;

const DIRECTORY: &str = "/audit";

async fn open(disk: &BreakableDisk, known: Option<SearchRoot>) -> (Arc<Audit>, Writer) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let dice = SeededDice::new(7);
    let chance: (_, &dyn Dice) = (clock, &dice);
    let opened =
        Audit::open(Arc::new(disk.clone()), Arc::new(Inline), Path::new(DIRECTORY), chance, known).await;
    let (audit, writer) = opened.unwrap();
    (Arc::new(audit), writer)
}

fn search(officer: &str, keys: u32) -> pb::AuditRecord {
    pb::AuditRecord { officer: officer.into(), keys, ..pb::AuditRecord::default() }
}

/// The groups of the journal, and the root of each.
async fn groups(audit: &Audit) -> Vec<(pb::AuditGroup, Hash)> {
    let records = audit.journal.read(Position(1), 1000, usize::MAX).await.unwrap();
    let group = |entry: &Bytes| pb::AuditGroup::decode(entry.clone()).unwrap();
    records.iter().map(|record| (group(&record.entry), root_of(&record.entry))).collect()
}

/// Answers the next question of the journal to the log.
async fn told(log: &mut mpsc::Receiver<Work>) -> SearchRoot {
    let Some(Work::SearchRoot { root, answer }) = log.recv().await else { panic!("no root came") };
    answer.send(Ok(1)).unwrap();
    root
}

#[tokio::test]
async fn what_is_noted_is_durable_in_order_and_the_log_hears_of_its_root() {
    let disk = BreakableDisk::new(1);
    let (audit, writer) = open(&disk, None).await;
    let (work, mut log) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let keeper = tokio::spawn(audit.clone().keep(writer, work, stop.clone()));
    audit.note(&search("duty", 3)).unwrap();
    audit.note(&search("night", 1)).unwrap();
    let root = told(&mut log).await;
    let first = groups(&audit).await;
    assert_eq!((root.position, Some(root.root)), (1, first.last().map(|(_, root)| *root)));
    audit.note(&search("dawn", 2)).unwrap();
    let next = told(&mut log).await;
    assert_eq!(next.position, 2);
    let all = groups(&audit).await;
    let seats: Vec<&str> =
        all.iter().flat_map(|(group, _)| &group.records).map(|record| record.officer.as_str()).collect();
    assert_eq!(seats, ["duty", "night", "dawn"]);
    // Each names the one before, so that the last root vouches for all of them.
    assert!(all[0].0.previous.is_empty());
    assert_eq!(all[1].0.previous, root.root.as_bytes().as_slice());
    // Written without a stop in order: the power goes off, and what was told to the log is there.
    let rebooted = disk.power_off();
    let (audit, _) = open(&rebooted, Some(next)).await;
    assert_eq!(audit.check_open(), Ok(()));
    assert_eq!(groups(&audit).await.len(), 2);
    stop.cancel();
    keeper.await.unwrap();
}

#[tokio::test]
async fn on_the_real_clock_what_is_noted_is_durable_within_100_ms_though_the_log_does_not_answer() {
    let disk = BreakableDisk::new(8);
    let (audit, writer) = open(&disk, None).await;
    let (work, mut log) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let keeper = tokio::spawn(audit.clone().keep(writer, work, stop.clone()));
    // A busy machine may make one of them late, and not all.
    let mut took = Vec::new();
    for _ in 0..5 {
        let begun = audit.clock.monotonic();
        let noted = audit.note(&search("duty", 1)).unwrap();
        audit.written(noted).await.unwrap();
        took.push(audit.clock.monotonic() - begun);
    }
    assert!(took.iter().any(|took| *took <= Duration::from_millis(100)), "{took:?}");
    let Some(Work::SearchRoot { root, answer }) = log.recv().await else { panic!("no root came") };
    assert_eq!(root.position, 1, "the log has not answered, and is asked nothing else meanwhile");
    assert!(log.try_recv().is_err());
    // At a stop it is told of all that was written.
    answer.send(Ok(1)).unwrap();
    stop.cancel();
    assert_eq!(told(&mut log).await.position, 5);
    keeper.await.unwrap();
    assert_eq!(groups(&open(&disk.power_off(), None).await.0).await.len(), 5);
}

#[tokio::test]
async fn what_was_noted_when_it_is_asked_to_stop_is_written() {
    let disk = BreakableDisk::new(2);
    let (audit, writer) = open(&disk, None).await;
    let (work, log) = mpsc::channel(8);
    drop(log);
    let stop = CancellationToken::new();
    audit.note(&search("duty", 3)).unwrap();
    stop.cancel();
    audit.clone().keep(writer, work, stop).await;
    audit.close().await.unwrap();
    let (audit, _) = open(&disk.power_off(), None).await;
    assert_eq!(groups(&audit).await.len(), 1);
}

#[tokio::test]
async fn searches_are_refused_while_there_is_no_room_and_go_on_when_there_is() {
    let disk = BreakableDisk::new(3);
    let (audit, mut writer) = open(&disk, None).await;
    let stop = CancellationToken::new();
    disk.set_capacity(Some(disk.used()));
    audit.note(&search("duty", 3)).unwrap();
    // It waits for room until it is asked to stop.
    let full = audit.clone();
    let (asked, writing) = (stop.clone(), async { full.write(&mut writer, &stop).await });
    let room = async {
        while audit.check_open().is_ok() {
            tokio::task::yield_now().await;
        }
        let refusal = audit.note(&search("duty", 1)).unwrap_err();
        assert_eq!((refusal.reason, refusal.retry_after), (Reason::ReadOnly, Some(COME_AGAIN)));
        disk.set_capacity(None);
    };
    tokio::join!(writing, room);
    assert!(!asked.is_cancelled());
    assert_eq!(audit.check_open(), Ok(()));
    assert_eq!(groups(&audit).await.len(), 1);
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_any_more_refuses_searches() {
    let disk = BreakableDisk::new(4);
    let (audit, mut writer) = open(&disk, None).await;
    audit.note(&search("duty", 3)).unwrap();
    disk.fail_next_sync();
    audit.write(&mut writer, &CancellationToken::new()).await;
    let refusal = audit.check_open().unwrap_err();
    assert_eq!(refusal.reason, Reason::ReadOnly);
    assert!(refusal.next_step.contains("has stopped"), "{refusal}");
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let (audit, _writer) = open(&BreakableDisk::new(5), None).await;
    let large = pb::AuditRecord { digests: vec![1; 2048].into(), ..search("duty", 256) };
    let noted = (0..10_000).take_while(|_| audit.note(&large).is_ok()).count();
    // 4 MiB of 2,060 bytes each and 3 that frame them.
    assert_eq!((noted, large.encoded_len()), (2033, 2060));
    let refusal = audit.note(&large).unwrap_err();
    assert_eq!((refusal.reason, refusal.retry_after), (Reason::ReadOnly, Some(COME_AGAIN)));
}

#[tokio::test]
async fn a_journal_older_than_the_log_knows_or_another_one_refuses_searches() {
    let disk = BreakableDisk::new(6);
    let (audit, mut writer) = open(&disk, None).await;
    audit.note(&search("duty", 3)).unwrap();
    audit.write(&mut writer, &CancellationToken::new()).await;
    let known = writer.roots.now;
    audit.close().await.unwrap();
    let later = SearchRoot { position: 2, ..known };
    let other = SearchRoot { root: Hash([9; 32]), ..known };
    for (root, open_then) in [(known, true), (later, false), (other, false)] {
        let (audit, _) = open(&disk.power_off(), Some(root)).await;
        let shut = audit.check_open().err().map(|refusal| refusal.reason);
        assert_eq!(shut, (!open_then).then_some(Reason::Behind), "{root:?}");
    }
}

#[tokio::test]
async fn digests_depend_on_the_secret_which_stays_and_tell_nothing_of_the_key() {
    let disk = BreakableDisk::new(7);
    let digest = |audit: &Audit, key: &[u8]| {
        let mut bytes = Vec::new();
        audit.digest(key, &mut bytes);
        bytes
    };
    let (audit, _) = open(&disk, None).await;
    let first = digest(&audit, b"travel-document\0UTO/X4719T06M");
    assert_eq!(first.len(), 8);
    assert_ne!(first, digest(&audit, b"travel-document\0UTO/X4719T06N"));
    audit.close().await.unwrap();
    drop(audit);
    let (again, _) = open(&disk.power_off(), None).await;
    assert_eq!(digest(&again, b"travel-document\0UTO/X4719T06M"), first);
    let path = Path::new(DIRECTORY).join(SECRET);
    disk.put(&path, &[5; 32]);
    let (other, _) = open(&disk.power_off(), None).await;
    // Taken from `sha256sum` over "i247.v1.AuditKey", 32 times 5, 16 zeroes and the key.
    let expected = [0x3e, 0xc6, 0x5e, 0x81, 0x87, 0xd3, 0xa7, 0xdc];
    assert_eq!(digest(&other, b"travel-document\0UTO/X4719T06M"), expected);
}

/// A log that was told of these roots.
async fn log(disk: &BreakableDisk, roots: &[SearchRoot]) {
    let options = Options { blocking: Arc::new(Inline), ..Options::default() };
    let (log, _) = Segments::open(Arc::new(disk.clone()), "/data/log", options).unwrap();
    for root in roots {
        let bytes = Bytes::copy_from_slice(root.root.as_bytes());
        let input = pb::entry::Input::SearchRoot(pb::SearchRoot { position: root.position, root: bytes });
        let entry = pb::Entry { input: Some(input), ..pb::Entry::default() }.encode_to_vec();
        log.append(log.end(), vec![Draft { entry: entry.into(), body: None }]).await.unwrap();
    }
    log.close().await.unwrap();
}

#[tokio::test]
async fn the_journal_is_held_against_the_roots_that_the_log_has() {
    let disk = BreakableDisk::new(8);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let dice = SeededDice::new(7);
    let chance: (_, &dyn Dice) = (clock, &dice);
    let dir = Path::new("/data/audit");
    let (audit, mut writer) =
        Audit::open(Arc::new(disk.clone()), Arc::new(Inline), dir, chance, None).await.unwrap();
    let mut roots = Vec::new();
    for keys in [3, 4, 5] {
        audit.note(&pb::AuditRecord { matches: 1, ..search("duty", keys) }).unwrap();
        audit.write(&mut writer, &CancellationToken::new()).await;
        roots.push(writer.roots.now);
    }
    audit.close().await.unwrap();
    drop(audit);
    let check = async |known: &[SearchRoot]| {
        let disk = disk.fork();
        log(&disk, known).await;
        check_searches(Arc::new(disk), Arc::new(Inline), Path::new("/data")).await.unwrap()
    };
    let sound = check(&roots[..2]).await;
    let expected =
        Searches { entries: 3, vouched: 2, frames: 3, keys: 12, matches: 3, ..Searches::default() };
    assert_eq!(sound, expected);
    let other = SearchRoot { root: Hash([9; 32]), ..roots[1] };
    let found = check(&[roots[0], other]).await;
    assert_eq!(
        (found.vouched, found.broken),
        (1, vec!["entry 2 is not the one that the log was told of".into()])
    );
    let lost = SearchRoot { position: 9, ..roots[2] };
    assert_eq!(check(&[lost]).await.broken, ["the log was told of 9 entries, and there are 3"]);
}

#[tokio::test]
async fn what_was_asked_since_a_moment_is_counted_for_each_who_asked() {
    let disk = BreakableDisk::new(5);
    let (audit, mut writer) = open(&disk, None).await;
    let stop = CancellationToken::new();
    let (cdg, france) = ("spiffe://i247.test/ncb/fr/post/cdg", "spiffe://i247.test/ncb/fr");
    for (at_ms, asker, keys) in
        [(10, cdg, 1), (20, france, 2), (30, cdg, 4), (40, cdg, 8), (40, france, 16), (50, cdg, 32)]
    {
        let asker = asker.to_owned();
        audit.note(&pb::AuditRecord { at_ms, asker, keys, ..pb::AuditRecord::default() }).unwrap();
        audit.write(&mut writer, &stop).await;
    }
    audit.close().await.unwrap();
    let (audit, _) = open(&disk.power_off(), None).await;
    for (since, expected) in
        [(0, [(france, 18), (cdg, 45)]), (30, [(france, 16), (cdg, 44)]), (40, [(france, 16), (cdg, 40)])]
    {
        let asked =
            audit.recall_since(Timestamp::from_millis(since), Timestamp::from_millis(60)).await.unwrap();
        let expected = expected.map(|(asker, keys)| (asker.parse::<Identity>().unwrap(), keys));
        assert_eq!(asked, expected.into(), "since {since}");
    }
    assert!(
        audit.recall_since(Timestamp::from_millis(51), Timestamp::from_millis(60)).await.unwrap().is_empty()
    );
}
