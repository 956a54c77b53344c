//! What is there after a stop, a kill and a power cut.

use i247_ledger::faults::{BreakableDisk, Moment, Trap};
use i247_ledger::{Body, Dropped, Ledger, Options, Position, Segments, check};

use crate::common::{
    SEGMENT_BYTES, as_disk, body, dir, entries, open, options, plain, present, read_all, with_body,
};

#[tokio::test]
async fn a_clean_stop_is_seen_at_the_next_start() {
    let disk = BreakableDisk::new(1);
    let (log, opened) = open(&disk);
    assert!(opened.is_new && !opened.clean_stop && opened.author.is_none());
    log.append(Position(0), plain("a")).await.expect("appends");
    assert_eq!(log.close().await, Ok(()));
    assert_eq!(log.close().await, Ok(()));
    let (log, opened) = open(&disk);
    assert_eq!((opened.end, opened.is_new, opened.clean_stop), (Position(1), false, true));
    assert_eq!(opened.author, Some((5, 1)));
    assert_eq!(log.append(Position(1), plain("b")).await, Ok(Position(2)));
    let (log, opened) = open(&disk.power_off());
    assert!(!opened.clean_stop && opened.dropped.is_none() && opened.damage.is_empty());
    assert_eq!(entries(&log).await, ["a", "b"]);
}

#[tokio::test]
async fn a_torn_last_group_is_dropped_whole_and_cannot_come_back() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), plain("a")).await.expect("appends");
    disk.power_off_after(1);
    let long = "b".repeat(2000);
    log.append(Position(1), with_body(&long, "body")).await.expect_err("the power goes off");
    assert_eq!(disk.unsynced(), 5);
    // All but the middle reaches the disk.
    let disk = disk.power_off_keeping(|sector| sector != 2);
    let torn = Dropped { file: "0000000001.log".to_owned(), offset: 1024, first: Position(2) };
    let before = check(&as_disk(&disk), &dir()).expect("checks");
    assert_eq!(before.damage.len(), 1);
    assert_eq!(
        before.damage[0].to_string(),
        "0000000001.log at byte 1024, position 2: the last group is torn and was never acknowledged"
    );
    let (log, opened) = open(&disk);
    assert_eq!(opened.dropped, Some(torn));
    assert_eq!(opened.end, Position(1));
    assert!(check(&as_disk(&disk), &dir()).expect("checks").is_sound());
    log.append(Position(1), plain("c")).await.expect("appends");
    let (log, opened) = open(&disk.power_off());
    assert_eq!(opened.dropped, None);
    assert_eq!(entries(&log).await, ["a", "c"]);
}

#[tokio::test]
async fn what_recovery_found_in_the_page_cache_is_synced_before_it_is_told() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), plain("a")).await.expect("appends");
    disk.power_off_after(1);
    log.append(Position(1), plain("b")).await.expect_err("broken off before the sync");
    let disk = disk.kill();
    let (_, opened) = open(&disk);
    assert_eq!(opened.end, Position(2));
    let (log, _) = open(&disk.power_off_keeping(|_| false));
    assert_eq!(entries(&log).await, ["a", "b"]);
}

#[tokio::test]
async fn the_power_goes_off_at_a_named_moment_of_what_is_named() {
    let lost = ["a", "other"];
    let kept = ["a", "other", "named"];
    for (moment, left) in
        [(Moment::BeforeWrite, &lost[..]), (Moment::BeforeSync, &lost), (Moment::AfterSync, &kept)]
    {
        let disk = BreakableDisk::new(1);
        let (log, _) = open(&disk);
        log.append(Position(0), plain("a")).await.expect("appends");
        disk.power_off_at(Trap { dir: dir(), holding: vec![b"nam".to_vec(), b"ed".to_vec()], moment });
        log.append(Position(1), plain("other")).await.expect("not what is waited for");
        assert!(disk.is_powered());
        log.append(Position(2), plain("named")).await.expect_err("the power goes off");
        assert!(!disk.is_powered());
        let unsynced = if moment == Moment::BeforeSync { 1 } else { 0 };
        assert_eq!(disk.unsynced(), unsynced, "{moment:?}");
        let (log, _) = open(&disk.power_off_keeping(|_| false));
        assert_eq!(entries(&log).await, left, "{moment:?}");
    }
}

#[tokio::test]
async fn what_a_failed_sync_left_in_the_page_cache_is_written_again() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), plain("a")).await.expect("appends");
    disk.fail_next_sync();
    log.append(Position(1), plain("b")).await.expect_err("the sync fails");
    let disk = disk.kill();
    let (_, opened) = open(&disk);
    assert_eq!(opened.end, Position(2));
    let (log, _) = open(&disk.power_off_keeping(|_| false));
    assert_eq!(entries(&log).await, ["a", "b"]);
}

#[tokio::test]
async fn an_erasure_that_was_broken_off_is_finished() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    log.append(Position(0), with_body("a", &"secret".repeat(200))).await.expect("appends");
    // Write and sync of the note pass, the zeroes are torn.
    disk.power_off_after(2);
    log.erase(Position(1)).await.expect_err("the power goes off");
    let disk = disk.power_off_keeping(|sector| sector != 1);
    let (log, opened) = open(&disk);
    assert!(opened.damage.is_empty() && opened.dropped.is_none());
    assert_eq!(body(&log, 1).await, Body::Erased);
    let held = disk.contents(&dir().join("0000000001.log")).expect("the file");
    assert!(!held.windows(6).any(|window| window == b"secret"));
}

#[tokio::test]
async fn a_log_goes_on_over_many_segments() {
    let disk = BreakableDisk::new(1);
    let (mut log, _) = open(&disk);
    for number in 0..100_u64 {
        log.append(Position(number), with_body(&number.to_string(), &"b".repeat(1500)))
            .await
            .expect("appends");
        if number % 30 == 29 {
            log.close().await.expect("closes");
            log = open(&disk).0;
        }
    }
    let report = check(&as_disk(&disk), &dir()).expect("checks");
    assert!(report.is_sound());
    assert_eq!((report.end, report.bodies_present, report.segments), (Position(100), 100, 15));
    let read = read_all(&log).await;
    assert_eq!(read.len(), 100);
    assert!(read.iter().all(|record| record.body == present(&"b".repeat(1500))));
}

#[tokio::test]
async fn a_group_longer_than_a_segment_gets_a_longer_one() {
    let disk = BreakableDisk::new(1);
    let (log, _) = open(&disk);
    let long = "x".repeat(3 * usize::try_from(SEGMENT_BYTES).expect("short"));
    log.append(Position(0), plain(&long)).await.expect("appends");
    log.append(Position(1), plain("b")).await.expect("appends");
    let (log, _) = open(&disk.power_off());
    assert_eq!(entries(&log).await, [long.as_str(), "b"]);
}

#[tokio::test]
async fn a_trusted_part_is_not_read_when_opening_and_the_chain_goes_on() {
    let disk = BreakableDisk::new(1);
    for trusted in 0..=13 {
        let disk = disk.fork();
        let (log, _) = open(&disk);
        for number in 0..12 {
            log.append(Position(number), with_body(&"e".repeat(2000), "b")).await.expect("appends");
        }
        let disk = disk.kill();
        let trusted = Options { trusted_to: Position(trusted), ..options() };
        let (log, opened) = Segments::open(as_disk(&disk), dir(), trusted).expect("opens");
        assert_eq!(opened.end, Position(12));
        log.append(Position(12), plain("last")).await.expect("appends");
        assert!(check(&as_disk(&disk), &dir()).expect("checks").is_sound());
    }
}
