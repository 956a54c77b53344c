//! A disk that is full, broken or taken, and a caller who goes.

use std::sync::Arc;

use i247_ledger::disk::OsDisk;
use i247_ledger::faults::BreakableDisk;
use i247_ledger::{
    AppendError, Blocking, EraseError, Ledger, OpenError, Options, Position, ReadError, Segments, Stopped,
    check,
};

use crate::common::{as_disk, body, dir, entries, open, options, plain, present, try_open, with_body};

#[tokio::test]
async fn a_failed_sync_stops_the_log_for_good_and_reading_goes_on() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), plain("a")).await.expect("appends");
    disk.fail_next_sync();
    let stopped = Err(AppendError::Stopped(Stopped::SyncFailed));
    assert_eq!(log.append(Position(1), plain("b")).await, stopped);
    let operations = disk.operations();
    assert_eq!(log.append(Position(1), plain("b")).await, stopped);
    assert_eq!(log.erase(Position(1)).await, Err(EraseError::Stopped(Stopped::SyncFailed)));
    assert!(log.close().await.is_err());
    assert_eq!(disk.operations(), operations, "nothing is tried again");
    assert_eq!(log.end(), Position(1));
    assert_eq!(entries(&log).await, ["a"]);
}

#[tokio::test]
async fn a_failed_write_stops_the_log_and_the_next_start_repairs_it() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), plain("a")).await.expect("appends");
    disk.fail_next_write();
    let stopped = Err(AppendError::Stopped(Stopped::WriteFailed));
    assert_eq!(log.append(Position(1), with_body("b", &"b".repeat(3000))).await, stopped);
    let (log, opened) = open(&disk.kill());
    assert_eq!(opened.end, Position(1));
    assert_eq!(log.append(Position(1), plain("c")).await, Ok(Position(2)));
}

#[tokio::test]
async fn a_full_disk_takes_nothing_loses_nothing_and_goes_on_when_there_is_room() {
    let disk = BreakableDisk::new(1);
    disk.set_capacity(Some(40 * 1024));
    let (log, _) = open(&disk);
    let mut end = Position(0);
    let full = loop {
        match log.append(end, with_body("entry", &"b".repeat(1000))).await {
            Ok(next) => end = next,
            Err(error) => break error,
        }
    };
    assert_eq!(full, AppendError::Full);
    assert!(end.0 > 15, "{end}");
    assert_eq!(log.append(end, with_body("entry", &"b".repeat(1000))).await, Err(AppendError::Full));
    assert_eq!(log.end(), end);
    assert_eq!(entries(&log).await.len() as u64, end.0);
    assert_eq!(disk.used(), 32 * 1024, "what was begun is gone");
    assert!(check(&as_disk(&disk), &dir()).expect("checks").is_sound());
    disk.set_capacity(None);
    assert_eq!(log.append(end, plain("more")).await, Ok(end.next()));
    let (log, opened) = open(&disk.power_off());
    assert_eq!(opened.end, end.next());
    assert_eq!(log.end(), end.next());
}

#[tokio::test]
async fn what_was_partly_written_without_room_is_cleaned() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), plain("a")).await.expect("appends");
    for _ in 0..10 {
        disk.no_room_for_next_write();
        assert_eq!(log.append(Position(1), with_body("b", &"b".repeat(3000))).await, Err(AppendError::Full));
        assert!(check(&as_disk(&disk), &dir()).expect("checks").is_sound());
    }
    assert_eq!(log.append(Position(1), plain("c")).await, Ok(Position(2)));
    let (log, _) = open(&disk.power_off());
    assert_eq!(entries(&log).await, ["a", "c"]);
}

#[tokio::test]
async fn an_erasure_without_room_may_be_tried_again() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), with_body("a", "body")).await.expect("appends");
    disk.no_room_for_next_write();
    assert_eq!(log.erase(Position(1)).await, Err(EraseError::Full));
    assert_eq!(body(&log, 1).await, present("body"));
    assert_eq!(log.erase(Position(1)).await, Ok(()));
}

#[tokio::test]
async fn a_failed_read_may_be_tried_again() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), plain("a")).await.expect("appends");
    disk.fail_next_read();
    assert!(matches!(log.read(Position(1), 1, 100).await, Err(ReadError::Io { .. })));
    assert_eq!(log.read(Position(1), 1, 100).await.expect("reads").len(), 1);
}

#[tokio::test]
async fn two_writers_on_one_directory_are_stopped_by_its_lock() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    let error = try_open(&disk).expect_err("is locked");
    assert_eq!(error.to_string(), "/log is in use by another process");
    log.close().await.expect("closes");
    assert!(try_open(&disk).is_ok());

    let home = tempfile::tempdir().expect("a directory");
    let here = || Segments::open(Arc::new(OsDisk), home.path(), Options::default());
    let first = here().expect("opens");
    assert!(matches!(here(), Err(OpenError::Locked(dir)) if dir == home.path()));
    drop(first);
    here().expect("opens again");
}

#[tokio::test]
async fn a_closed_log_takes_nothing() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), plain("a")).await.expect("appends");
    log.close().await.expect("closes");
    let closed = Err(AppendError::Stopped(Stopped::Closed));
    assert_eq!(log.append(Position(1), plain("b")).await, closed);
    assert_eq!(entries(&log).await, ["a"]);
}

/// Drops every job, as a runtime does that shuts down.
#[derive(Debug)]
struct Gone;

impl Blocking for Gone {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        drop(job);
    }
}

#[tokio::test]
async fn a_write_that_was_given_up_is_unknown() {
    let disk = BreakableDisk::new(1);
    let options = Options { blocking: Arc::new(Gone), ..options() };
    let (log, _) = Segments::open(as_disk(&disk), dir(), options).expect("opens");
    assert_eq!(log.append(Position(0), plain("a")).await, Err(AppendError::Unknown));
    assert_eq!(log.read(Position(1), 1, 1).await, Err(ReadError::Cancelled));
}

/// Runs a job only when told to.
#[derive(Debug, Default)]
struct Later(std::sync::Mutex<Vec<Job>>);

struct Job(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl Blocking for Later {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.0.lock().expect("no panic").push(Job(job));
    }
}

#[tokio::test]
async fn a_write_goes_on_to_its_end_when_its_caller_goes() {
    let later = Arc::new(Later::default());
    let disk = BreakableDisk::new(1);
    let options = Options { blocking: later.clone(), ..options() };
    let (log, _) = Segments::open(as_disk(&disk), dir(), options).expect("opens");
    let mut follower = log.watch_end();
    // Polled once: the job is handed over; then the caller goes.
    tokio::select! { biased; _ = log.append(Position(0), plain("a")) => {}, () = std::future::ready(()) => {} }
    assert_eq!(log.end(), Position(0));
    let job = later.0.lock().expect("no panic").pop().expect("the job");
    (job.0)();
    assert_eq!(log.end(), Position(1));
    assert_eq!(*follower.borrow_and_update(), Position(1));
}
