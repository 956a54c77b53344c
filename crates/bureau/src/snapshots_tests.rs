//! Snapshots of the views: the same views as from the whole journal, whatever happened to the files.

use std::path::Path;

use i247_ledger::faults::BreakableDisk;
use i247_ledger::{Draft, Inline, Options, Segments};
use i247_wire::pb::journal_entry::Event;

use super::*;
use crate::start::{Place, Started, rebuild};
use crate::story::{accepted, arrived, case, entry, everything, header};

const DIR: &str = "/journal";

fn place(disk: &BreakableDisk) -> Place {
    let options = Options { segment_bytes: 64 * 1024, blocking: Arc::new(Inline), ..Options::default() };
    Place { country: "FR".parse().unwrap(), disk: Arc::new(disk.clone()), dir: DIR.into(), options }
}

async fn append(segments: &Segments, entries: &[pb::JournalEntry]) {
    let draft = |entry: &pb::JournalEntry| Draft { entry: entry.encode_to_vec().into(), body: None };
    segments.append(segments.end(), entries.iter().map(draft).collect()).await.unwrap();
}

/// The views of all entries, read from the first.
async fn whole(segments: &Segments) -> Views {
    let mut views = Views::new("FR".parse().unwrap());
    replay(segments, &mut views).await.unwrap();
    views
}

/// A journal with everything in it, and a snapshot of the views as they stand there.
async fn with_snapshot(disk: &BreakableDisk) -> Started {
    let started = place(disk).start().await.unwrap();
    append(&started.segments, &everything()).await;
    started.keeper.store_views(whole(&started.segments).await, &started.segments).await.unwrap();
    started
}

fn name(position: usize) -> String {
    format!("{DIR}/snapshot-{position:020}")
}

#[tokio::test]
async fn a_start_from_a_snapshot_reads_the_tail_only_and_gives_the_views_of_the_whole_journal() {
    let disk = BreakableDisk::new(1);
    let started = with_snapshot(&disk).await;
    let tail = [
        accepted(&header("FR-1-B-1", i247_model::Kind::FreeText), pb::JournalFacts::default(), "tail"),
        arrived(9, &header("JP-1-B-1", i247_model::Kind::FreeText), pb::JournalFacts::default()),
    ];
    append(&started.segments, &tail).await;
    let expected = whole(&started.segments).await;
    drop(started);
    let again = place(&disk).start().await.unwrap();
    assert_eq!(again.replayed, 2);
    assert_eq!(again.views, expected);
    assert_eq!(again.views.digest(), expected.digest());
    // By a prefix, too: what a snapshot leaves out is made anew.
    assert_eq!(again.views.names.find("JP-1-B", "id").unwrap().to_string(), "JP-1-B-1");
}

#[tokio::test]
async fn a_damaged_snapshot_gives_way_to_the_one_before_and_then_to_the_journal() {
    let disk = BreakableDisk::new(2);
    let count = everything().len();
    let started = with_snapshot(&disk).await;
    append(&started.segments, &case()[..1]).await;
    let expected = whole(&started.segments).await;
    started.keeper.store_views(whole(&started.segments).await, &started.segments).await.unwrap();
    drop(started);
    assert_eq!(place(&disk).start().await.unwrap().replayed, 0);
    assert!(disk.flip(Path::new(&name(count + 1)), 200, 3));
    let older = place(&disk).start().await.unwrap();
    assert_eq!((older.replayed, &older.views), (1, &expected));
    drop(older);
    assert!(disk.flip(Path::new(&name(count)), 200, 3));
    let none = place(&disk).start().await.unwrap();
    assert_eq!((none.replayed, &none.views), (count as u64 + 1, &expected));
}

#[tokio::test]
async fn a_snapshot_ahead_of_the_journal_or_of_another_one_or_country_or_version_is_passed_over() {
    let disk = BreakableDisk::new(3);
    let started = with_snapshot(&disk).await;
    let foreign = disk.contents(Path::new(&name(everything().len()))).unwrap();
    drop(started);

    // Shorter: an older copy of the journal beside the snapshot of the newer one.
    let other = BreakableDisk::new(4);
    let started = place(&other).start().await.unwrap();
    append(&started.segments, &everything()[..3]).await;
    drop(started);
    other.put(Path::new(&name(everything().len())), &foreign);
    let started = place(&other).start().await.unwrap();
    assert_eq!((started.replayed, started.views.position), (3, 3));

    // It has grown since, with other entries: the snapshot is not ahead of it any more.
    let gap = |number| entry(Event::Gap(pb::JournalGap { lane: 3, number, ..Default::default() }));
    let more: Vec<_> = (0..everything().len() as u64).map(|number| gap(number + 1)).collect();
    append(&started.segments, &more).await;
    let expected = whole(&started.segments).await;
    drop(started);
    let started = place(&other).start().await.unwrap();
    assert_eq!((started.replayed, &started.views), (3 + more.len() as u64, &expected));

    // Another country's: its journal is refused too.
    drop(started);
    let brazil = Place { country: "BR".parse().unwrap(), ..place(&disk) };
    assert!(matches!(brazil.start().await, Err(OpenError::Unreadable(first)) if first.position == 1));
    // Another version's.
    let started = place(&disk).start().await.unwrap();
    assert_eq!(started.replayed, 0);
    let position = Position(started.views.position);
    let later = Snapshot { position, version: VERSION + 1, state: foreign.into() };
    started.keeper.files.store(later).await.unwrap();
    drop(started);
    assert_eq!(place(&disk).start().await.unwrap().replayed, everything().len() as u64);
}

#[tokio::test]
async fn a_power_cut_at_any_operation_of_storing_a_snapshot_loses_nothing() {
    for seed in 0..20 {
        for operations in 0.. {
            let disk = BreakableDisk::new(seed);
            let started = with_snapshot(&disk).await;
            append(&started.segments, &case()[..1]).await;
            let expected = whole(&started.segments).await;
            disk.power_off_after(operations);
            let views = whole(&started.segments).await;
            let stored = started.keeper.store_views(views, &started.segments).await;
            let disk = disk.power_off();
            let again = place(&disk).start().await.unwrap();
            assert_eq!(again.views, expected, "seed {seed}, cut after {operations}");
            assert!(again.replayed <= 1, "seed {seed}: one of the two snapshots is there");
            if stored.is_ok() {
                assert!(operations > 3, "the cut has hit every step");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_torn_group_behind_the_snapshot_is_dropped_as_ever() {
    for seed in 0..50 {
        let disk = BreakableDisk::new(seed);
        let started = with_snapshot(&disk).await;
        disk.power_off_after(1);
        let torn = Draft { entry: case()[0].encode_to_vec().into(), body: Some(vec![7; 3000].into()) };
        let appended = started.segments.append(started.segments.end(), vec![torn]).await;
        assert!(appended.is_err(), "seed {seed}");
        let again = place(&disk.power_off()).start().await.unwrap();
        assert!(again.replayed <= 1, "seed {seed}");
        assert_eq!(again.views, whole(&again.segments).await, "seed {seed}");
    }
}

#[tokio::test]
async fn what_is_rebuilt_from_the_journal_alone_has_the_digest_of_the_views_that_stopped() {
    let disk = BreakableDisk::new(5);
    let started = with_snapshot(&disk).await;
    append(&started.segments, &case()[..2]).await;
    let expected = whole(&started.segments).await.digest();
    started.segments.close().await.unwrap();
    drop(started);
    let france = "FR".parse().unwrap();
    let rebuilt = rebuild(france, Arc::new(disk.clone()), Arc::new(Inline), Path::new(DIR)).await.unwrap();
    assert_eq!((rebuilt.digest, rebuilt.snapshots_removed), (expected, 1));
    assert_eq!(rebuilt.entries, everything().len() as u64 + 2);
    let started = place(&disk).start().await.unwrap();
    assert_eq!((started.replayed, started.views.digest()), (0, expected));
}

#[tokio::test]
async fn snapshots_are_stored_beside_the_traffic_after_so_many_entries() {
    let disk = BreakableDisk::new(6);
    let started = place(&disk).start().await.unwrap();
    let (applied, follows) = watch::channel(0);
    let stop = CancellationToken::new();
    let ledger = Arc::new(started.segments.clone());
    let keeping = tokio::spawn(started.keeper.clone().run_until(ledger, follows, (0, 10), stop.clone()));
    let entries = everything();
    for entry in &entries {
        append(&started.segments, std::slice::from_ref(entry)).await;
        applied.send_replace(started.segments.end().0);
        // The task runs whenever this one waits.
        tokio::task::yield_now().await;
    }
    let stored =
        || disk.list(Path::new(DIR)).unwrap().iter().filter(|name| name.starts_with("snapshot")).count();
    assert_eq!(stored(), (entries.len() / 10).min(2));
    stop.cancel();
    keeping.await.unwrap();
    let expected = whole(&started.segments).await;
    drop(started);
    let again = place(&disk).start().await.unwrap();
    assert_eq!(again.replayed, entries.len() as u64 % 10);
    assert!(again.views == expected);
}
