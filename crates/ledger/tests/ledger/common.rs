//! What the stories share: drafts, logs on breakable disks, and reading everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use i247_ledger::disk::Disk;
use i247_ledger::faults::BreakableDisk;
use i247_ledger::{Body, Draft, Inline, Ledger, OpenError, Opened, Options, Position, Record, Segments};

/// Segments of tests are short, so that they change often.
pub(crate) const SEGMENT_BYTES: u64 = 16 * 1024;

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/log")
}

pub(crate) fn first_segment() -> PathBuf {
    dir().join("0000000001.log")
}

pub(crate) fn options() -> Options {
    Options {
        segment_bytes: SEGMENT_BYTES,
        salt: 11,
        writer: 5,
        term: 1,
        blocking: Arc::new(Inline),
        ..Options::default()
    }
}

pub(crate) fn as_disk(disk: &BreakableDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

pub(crate) fn try_open(disk: &BreakableDisk) -> Result<(Segments, Opened), OpenError> {
    Segments::open(as_disk(disk), dir(), options())
}

pub(crate) fn open(disk: &BreakableDisk) -> (Segments, Opened) {
    try_open(disk).expect("the log opens")
}

pub(crate) fn draft(entry: &str, body: Option<&str>) -> Draft {
    Draft {
        entry: Bytes::copy_from_slice(entry.as_bytes()),
        body: body.map(|body| Bytes::copy_from_slice(body.as_bytes())),
    }
}

pub(crate) fn plain(entry: &str) -> Vec<Draft> {
    vec![draft(entry, None)]
}

pub(crate) fn with_body(entry: &str, body: &str) -> Vec<Draft> {
    vec![draft(entry, Some(body))]
}

pub(crate) async fn read_all(ledger: &dyn Ledger) -> Vec<Record> {
    let mut all = Vec::new();
    let mut from = Position(1);
    loop {
        let records = ledger.read(from, 100, 1 << 20).await.expect("the log reads");
        let Some(last) = records.last() else { return all };
        from = last.position.next();
        all.extend(records);
    }
}

pub(crate) async fn entries(ledger: &dyn Ledger) -> Vec<String> {
    let records = read_all(ledger).await;
    records.iter().map(|record| String::from_utf8_lossy(&record.entry).into_owned()).collect()
}

pub(crate) async fn body(ledger: &dyn Ledger, position: u64) -> Body {
    let records = ledger.read(Position(position), 1, 1 << 20).await.expect("the log reads");
    records[0].body.clone()
}

pub(crate) fn present(body: &str) -> Body {
    Body::Present(Bytes::copy_from_slice(body.as_bytes()))
}

/// Flips a bit of the first place where the file holds `text`.
pub(crate) fn flip_in(disk: &BreakableDisk, path: &Path, text: &str) {
    assert!(disk.flip(path, find(disk, path, text), 0));
}

/// Where the file holds `text`.
pub(crate) fn find(disk: &BreakableDisk, path: &Path, text: &str) -> u64 {
    let contents = disk.contents(path).expect("the file is there");
    let at = contents.windows(text.len()).position(|window| window == text.as_bytes());
    at.expect("the file holds the text") as u64
}
