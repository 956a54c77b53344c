//! What every log must keep, one story each, told of every implementation.

use std::sync::Arc;

use bytes::Bytes;
use i247_ledger::disk::OsDisk;
use i247_ledger::faults::BreakableDisk;
use i247_ledger::{
    AppendError, Body, Draft, EraseError, Ledger, MAX_ENTRY_BYTES, MAX_GROUP_DRAFTS, Memory, Options,
    Position, Segments,
};

use crate::common::{body, draft, entries, open, plain, present, with_body};

type Log = Arc<dyn Ledger>;

async fn an_empty_log_ends_at_the_start(log: Log) {
    assert_eq!(log.end(), Position(0));
    assert!(log.read(Position(1), 10, 1000).await.expect("reads").is_empty());
    assert!(log.read(Position::START, 10, 1000).await.expect("reads").is_empty());
}

async fn positions_count_from_one_without_gaps(log: Log) {
    let three = vec![draft("a", None), draft("b", Some("body of b")), draft("c", Some(""))];
    assert_eq!(log.append(Position(0), three).await, Ok(Position(3)));
    assert_eq!(log.append(Position(3), plain("d")).await, Ok(Position(4)));
    assert_eq!(log.end(), Position(4));
    let records = log.read(Position(2), 10, 1000).await.expect("reads");
    let positions: Vec<u64> = records.iter().map(|record| record.position.0).collect();
    assert_eq!(positions, [2, 3, 4]);
    assert_eq!(records[0].entry, "b");
    assert_eq!(records[0].body, present("body of b"));
    assert_eq!(records[1].body, present(""));
    assert_eq!(records[2].body, Body::None);
    assert_eq!(entries(&*log).await, ["a", "b", "c", "d"]);
}

async fn a_group_behind_another_end_is_a_conflict(log: Log) {
    log.append(Position(0), plain("a")).await.expect("appends");
    let conflict = Err(AppendError::Conflict { end: Position(1) });
    assert_eq!(log.append(Position(0), plain("b")).await, conflict);
    assert_eq!(log.append(Position(2), plain("b")).await, conflict);
    assert_eq!(log.append(Position(9), vec![]).await, conflict);
    assert_eq!(entries(&*log).await, ["a"]);
}

async fn an_empty_group_changes_nothing(log: Log) {
    assert_eq!(log.append(Position(0), vec![]).await, Ok(Position(0)));
    assert_eq!(log.end(), Position(0));
}

async fn a_read_stops_at_its_limits_but_returns_one(log: Log) {
    let group: Vec<Draft> = (0..10).map(|_| draft("12345", Some("67890"))).collect();
    log.append(Position(0), group.clone()).await.expect("appends");
    log.append(Position(10), group).await.expect("appends");
    let count =
        async |from, records, bytes| log.read(Position(from), records, bytes).await.expect("reads").len();
    assert_eq!(count(1, 3, 1000).await, 3);
    assert_eq!(count(1, 0, 1000).await, 0);
    assert_eq!(count(1, 100, 30).await, 3);
    assert_eq!(count(1, 100, 39).await, 3);
    assert_eq!(count(1, 100, 0).await, 1);
    assert_eq!(count(1, 100, 125).await, 12);
    assert_eq!(count(20, 100, 1000).await, 1);
    assert_eq!(count(21, 100, 1000).await, 0);
    assert_eq!(count(u64::MAX, 100, 1000).await, 0);
}

async fn what_is_too_large_is_refused_before_anything_is_written(log: Log) {
    let long = Draft { entry: Bytes::from_static(b"x"), body: Some(Bytes::from(vec![1; MAX_ENTRY_BYTES])) };
    let refused = Err(AppendError::TooLarge { size: MAX_ENTRY_BYTES + 1, limit: MAX_ENTRY_BYTES });
    assert_eq!(log.append(Position(0), vec![long.clone()]).await, refused);
    let many = vec![draft("x", None); MAX_GROUP_DRAFTS + 1];
    assert_eq!(
        log.append(Position(0), many).await,
        Err(AppendError::TooLarge { size: 4097, limit: MAX_GROUP_DRAFTS })
    );
    let whole = Draft { entry: Bytes::from(vec![2; MAX_ENTRY_BYTES]), body: None };
    let heavy = vec![whole.clone(); 31];
    assert!(matches!(log.append(Position(0), heavy).await, Err(AppendError::TooLarge { .. })));
    assert_eq!(log.end(), Position(0));
    assert_eq!(log.append(Position(0), vec![whole; 30]).await, Ok(Position(30)));
    assert_eq!(log.append(Position(30), vec![draft("x", None); MAX_GROUP_DRAFTS]).await, Ok(Position(4126)));
    assert_eq!(log.read(Position(4126), 10, 1000).await.expect("reads").len(), 1);
}

async fn an_erased_body_is_gone_and_its_entry_stays(log: Log) {
    let group = vec![draft("a", Some("secret a")), draft("b", Some("secret b")), draft("c", None)];
    log.append(Position(0), group).await.expect("appends");
    assert_eq!(log.erase(Position(1)).await, Ok(()));
    assert_eq!(log.erase(Position(1)).await, Ok(()));
    assert_eq!(log.erase(Position(3)).await, Ok(()));
    assert_eq!(log.end(), Position(3));
    assert_eq!(entries(&*log).await, ["a", "b", "c"]);
    assert_eq!(body(&*log, 1).await, Body::Erased);
    assert_eq!(body(&*log, 2).await, present("secret b"));
    assert_eq!(body(&*log, 3).await, Body::None);
    assert_eq!(log.append(Position(3), plain("d")).await, Ok(Position(4)));
}

async fn a_body_of_zeroes_or_of_nothing_is_not_taken_for_erased(log: Log) {
    log.append(Position(0), with_body("a", "\0\0\0\0\0\0\0\0")).await.expect("appends");
    log.append(Position(1), with_body("b", "")).await.expect("appends");
    assert_eq!(body(&*log, 1).await, present("\0\0\0\0\0\0\0\0"));
    assert_eq!(body(&*log, 2).await, present(""));
    log.erase(Position(1)).await.expect("erases");
    log.erase(Position(2)).await.expect("erases");
    assert_eq!(body(&*log, 1).await, Body::Erased);
    assert_eq!(body(&*log, 2).await, Body::Erased);
}

async fn nothing_is_erased_where_nothing_is(log: Log) {
    for position in [0, 1, u64::MAX] {
        assert_eq!(log.erase(Position(position)).await, Err(EraseError::Absent(Position(position))));
    }
}

async fn a_follower_wakes_and_reads_what_came(log: Log) {
    let mut follower = log.watch_end();
    assert_eq!(*follower.borrow_and_update(), Position(0));
    let (appended, seen) = tokio::join!(log.append(Position(0), plain("a")), async {
        follower.changed().await.expect("the log is there");
        *follower.borrow_and_update()
    });
    assert_eq!(appended, Ok(Position(1)));
    assert_eq!(seen, Position(1));
    assert_eq!(log.read(seen, 1, 100).await.expect("reads")[0].entry, "a");
}

async fn of_many_writers_at_one_end_one_wins(log: Log) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let log = log.clone();
        writers.spawn(async move { log.append(Position(0), plain(&writer.to_string())).await });
    }
    let mut won = 0;
    while let Some(done) = writers.join_next().await {
        match done.expect("no panic") {
            Ok(end) => {
                assert_eq!(end, Position(1));
                won += 1;
            }
            Err(error) => assert_eq!(error, AppendError::Conflict { end: Position(1) }),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(entries(&*log).await.len(), 1);
}

async fn reads_go_on_while_groups_are_appended(log: Log) {
    let writer = log.clone();
    let writing = tokio::spawn(async move {
        let mut end = Position(0);
        for number in 1..=100_u64 {
            end = writer.append(end, with_body(&number.to_string(), "body")).await.expect("appends");
        }
    });
    let mut follower = log.watch_end();
    let mut next = 1;
    while next <= 100 {
        follower.wait_for(|end| end.0 >= next).await.expect("the log is there");
        for record in log.read(Position(next), 1000, 1 << 20).await.expect("reads") {
            assert_eq!(record.entry, next.to_string());
            assert_eq!(record.body, present("body"));
            next += 1;
        }
    }
    writing.await.expect("no panic");
}

async fn an_append_that_nobody_waits_for_is_whole_or_not_there(log: Log) {
    for number in 0..20 {
        let end = log.end();
        // The future is polled once at most, then dropped.
        let group = vec![draft("x", Some("y")), draft(&number.to_string(), None)];
        tokio::select! { biased; _ = log.append(end, group) => {}, () = std::future::ready(()) => {} }
        // The next append waits for it, and tells the end.
        let end = match log.append(Position(u64::MAX), plain("never")).await {
            Err(AppendError::Conflict { end }) => end,
            other => panic!("{other:?}"),
        };
        assert_eq!(end.0 % 2, 0);
        assert_eq!(log.end(), end);
        assert_eq!(entries(&*log).await.len() as u64, end.0);
    }
}

macro_rules! conformance {
    ($name:ident, $log:expr, $($story:ident),+ $(,)?) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    // What the log lives in goes after the log.
                    let (log, _home): (Log, Option<tempfile::TempDir>) = $log;
                    super::$story(log).await;
                }
            )+
        }
    };
}

macro_rules! every_log {
    ($($story:ident),+ $(,)?) => {
        conformance!(memory, (Arc::new(Memory::new()), None), $($story),+);
        conformance!(segments_on_a_breakable_disk, on_a_breakable_disk(), $($story),+);
        conformance!(segments_on_this_machine, on_this_machine(), $($story),+);
    };
}

fn on_a_breakable_disk() -> (Log, Option<tempfile::TempDir>) {
    let disk = BreakableDisk::new(1);
    disk.set_short_transfers(true);
    (Arc::new(open(&disk).0), None)
}

fn on_this_machine() -> (Log, Option<tempfile::TempDir>) {
    let home = tempfile::tempdir().expect("a directory");
    let options = Options { segment_bytes: 64 * 1024, ..Options::default() };
    let (log, opened) =
        Segments::open(Arc::new(OsDisk), home.path().join("deep/log"), options).expect("opens");
    assert!(opened.is_new);
    (Arc::new(log), Some(home))
}

every_log!(
    an_empty_log_ends_at_the_start,
    positions_count_from_one_without_gaps,
    a_group_behind_another_end_is_a_conflict,
    an_empty_group_changes_nothing,
    a_read_stops_at_its_limits_but_returns_one,
    what_is_too_large_is_refused_before_anything_is_written,
    an_erased_body_is_gone_and_its_entry_stays,
    a_body_of_zeroes_or_of_nothing_is_not_taken_for_erased,
    nothing_is_erased_where_nothing_is,
    a_follower_wakes_and_reads_what_came,
    of_many_writers_at_one_end_one_wins,
    reads_go_on_while_groups_are_appended,
    an_append_that_nobody_waits_for_is_whole_or_not_there,
);
