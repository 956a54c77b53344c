//! Attachments: taken in by pieces, kept when a message names them, swept when none does.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use i247_ledger::Inline;
use i247_ledger::attachments::{AttachmentError, Attachments, CHUNK_BYTES, Layout, MAX_ATTACHMENT_BYTES};
use i247_ledger::disk::OsDisk;
use i247_ledger::faults::BreakableDisk;

/// How much each may have that no message names, in bytes.
const LIMIT: u64 = 200_000;

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

fn layout(data: &[u8]) -> Layout {
    let chunks: Vec<[u8; 32]> = data.chunks(CHUNK_BYTES as usize).map(sha256).collect();
    let manifest: Bytes = chunks.concat().into();
    Layout::new(manifest, data.len() as u64, CHUNK_BYTES, chunks).unwrap()
}

fn layout_of(manifest: Bytes) -> Layout {
    let chunks = manifest.chunks(32).map(|hash| hash.try_into().unwrap()).collect();
    Layout { name: sha256(&manifest), manifest, size_bytes: 0, chunks }
}

fn store(dir: &std::path::Path) -> Attachments {
    Attachments::open(Arc::new(OsDisk), dir, Arc::new(Inline), LIMIT).unwrap()
}

fn chunk(data: &[u8], index: usize) -> Bytes {
    Bytes::copy_from_slice(data.chunks(CHUNK_BYTES as usize).nth(index).unwrap())
}

#[tokio::test]
async fn an_attachment_is_taken_in_pieces_and_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<u8> = (0..150_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let layout = layout(&data);
    let upload = store(dir.path()).begin(layout.clone(), "FR").await.unwrap();
    let upload = store(dir.path()).put(upload, 0, chunk(&data, 0)).await.unwrap();
    assert!(!store(dir.path()).finish(upload).await.unwrap(), "two chunks are missing");
    let known = |manifest: Bytes| Some(Layout { size_bytes: 150_000, ..layout_of(manifest) });
    assert_eq!(store(dir.path()).progress(layout.name, known).await.unwrap(), 1);
    assert_eq!(store(dir.path()).progress([9; 32], known).await.unwrap(), 0);

    let attachments = store(dir.path());
    let mut upload = attachments.begin(layout.clone(), "FR").await.unwrap();
    assert_eq!(upload.chunks(), 1, "the first chunk is still there");
    for index in 1..3 {
        upload = attachments.put(upload, index, chunk(&data, index as usize)).await.unwrap();
    }
    assert!(attachments.finish(upload).await.unwrap());
    assert!(attachments.complete(layout.name).await.unwrap());
    assert_eq!(attachments.manifest(layout.name).await.unwrap(), layout.manifest);
    assert_eq!(attachments.chunk(layout, 2).await.unwrap(), chunk(&data, 2));
}

#[tokio::test]
async fn a_chunk_that_does_not_match_is_refused_by_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let data = vec![7; 70_000];
    let attachments = store(dir.path());
    let upload = attachments.begin(layout(&data), "FR").await.unwrap();
    let upload = attachments.put(upload, 0, chunk(&data, 0)).await.unwrap();
    let wrong = attachments.put(upload, 1, Bytes::from_static(&[8; 4464])).await;
    assert!(matches!(wrong, Err(AttachmentError::Chunk(1))));
    assert!(!attachments.complete(layout(&data).name).await.unwrap());
}

#[test]
fn an_impossible_manifest_is_refused() {
    let chunks = vec![[0; 32]; 2];
    assert!(Layout::new(Bytes::new(), 70_000, CHUNK_BYTES, chunks.clone()).is_ok());
    assert!(Layout::new(Bytes::new(), 0, CHUNK_BYTES, vec![]).is_err());
    assert!(Layout::new(Bytes::new(), 60_000, CHUNK_BYTES, chunks.clone()).is_err());
    assert!(Layout::new(Bytes::new(), 70_000, 1024, chunks).is_err());
    assert!(Layout::new(Bytes::new(), MAX_ATTACHMENT_BYTES + 1, CHUNK_BYTES, vec![[0; 32]; 401]).is_err());
}

async fn whole(attachments: &Attachments, data: &[u8], owner: &str) -> [u8; 32] {
    let layout = layout(data);
    let mut upload = attachments.begin(layout.clone(), owner).await.unwrap();
    for index in 0..layout.chunks.len() {
        upload = attachments.put(upload, index as u32, chunk(data, index)).await.unwrap();
    }
    assert!(attachments.finish(upload).await.unwrap());
    layout.name
}

#[tokio::test]
async fn who_brings_more_than_messages_name_is_refused_and_the_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let attachments = store(dir.path());
    let first = whole(&attachments, &[1; 150_000], "FR").await;
    // What is promised counts, not what has come.
    let second = layout(&[2; 60_000]);
    let refused = attachments.begin(second.clone(), "FR").await;
    assert!(matches!(refused, Err(AttachmentError::TooMuch { limit: LIMIT })));
    drop(attachments.begin(second.clone(), "BR").await.unwrap());
    drop(attachments.begin(layout(&[1; 150_000]), "FR").await.unwrap());
    assert!(attachments.keep(first).await.unwrap());
    drop(attachments.begin(second, "FR").await.unwrap());
}

#[tokio::test]
async fn what_nobody_names_is_swept_and_what_is_named_stays() {
    let dir = tempfile::tempdir().unwrap();
    let attachments = store(dir.path());
    let named = whole(&attachments, &[1; 10], "FR").await;
    let unnamed = whole(&attachments, &[2; 10], "FR").await;
    let begun = attachments.begin(layout(&[3; 70_000]), "FR").await.unwrap();
    let going_on = attachments.begin(layout(&[4; 70_000]), "FR").await.unwrap();
    assert!(attachments.keep(named).await.unwrap());
    drop(begun);
    assert_eq!(attachments.sweep().await.unwrap(), 0, "it may just have come");
    assert_eq!(attachments.sweep().await.unwrap(), 2);
    assert!(!attachments.complete(unnamed).await.unwrap());
    assert!(!attachments.keep(unnamed).await.unwrap());
    assert!(attachments.complete(named).await.unwrap());
    let upload = attachments.put(going_on, 0, chunk(&[4; 70_000], 0)).await.unwrap();
    let upload = attachments.put(upload, 1, chunk(&[4; 70_000], 1)).await.unwrap();
    assert!(attachments.finish(upload).await.unwrap(), "it was never swept under its upload");
    for _ in 0..3 {
        attachments.sweep().await.unwrap();
    }
    assert!(attachments.complete(named).await.unwrap());
    // What was swept is charged to nobody.
    drop(attachments.begin(layout(&[5; 200_000]), "FR").await.unwrap());
}

#[tokio::test]
async fn whoever_asks_whether_it_is_there_has_time_to_name_it() {
    let dir = tempfile::tempdir().unwrap();
    let attachments = store(dir.path());
    let name = whole(&attachments, &[1; 10], "FR").await;
    attachments.sweep().await.unwrap();
    assert!(attachments.complete(name).await.unwrap());
    attachments.sweep().await.unwrap();
    assert!(attachments.keep(name).await.unwrap());
}

#[tokio::test]
async fn what_a_former_process_left_is_swept_too() {
    let dir = tempfile::tempdir().unwrap();
    let left = whole(&store(dir.path()), &[1; 10], "FR").await;
    let attachments = store(dir.path());
    assert_eq!(attachments.sweep().await.unwrap(), 0);
    assert_eq!(attachments.sweep().await.unwrap(), 1);
    assert!(!attachments.complete(left).await.unwrap());
}

#[tokio::test]
async fn what_is_kept_is_there_after_a_power_cut() {
    let disk = BreakableDisk::new(7);
    let open = |disk: &BreakableDisk| {
        Attachments::open(Arc::new(disk.clone()), "/attachments", Arc::new(Inline), LIMIT).unwrap()
    };
    let attachments = open(&disk);
    let name = whole(&attachments, &[1; 10], "FR").await;
    assert!(attachments.keep(name).await.unwrap());
    let attachments = open(&disk.power_off_keeping(|_| false));
    for _ in 0..3 {
        assert_eq!(attachments.sweep().await.unwrap(), 0);
    }
    assert!(attachments.keep(name).await.unwrap());
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_taken_for_durable_until_the_next_start() {
    let disk = BreakableDisk::new(7);
    let open = || Attachments::open(Arc::new(disk.clone()), "/attachments", Arc::new(Inline), LIMIT).unwrap();
    let attachments = open();
    let layout = layout(&[1; 10]);
    let upload = attachments.begin(layout.clone(), "FR").await.unwrap();
    let upload = attachments.put(upload, 0, chunk(&[1; 10], 0)).await.unwrap();
    disk.fail_next_sync();
    assert!(attachments.finish(upload).await.is_err());
    assert!(
        attachments.begin(layout.clone(), "FR").await.is_err(),
        "what was read back is not what is durable"
    );
    assert!(attachments.keep(layout.name).await.is_err());
    assert!(!open().complete(layout.name).await.unwrap());
}

#[tokio::test]
async fn what_a_failed_sync_left_in_the_page_cache_is_written_again_after_the_next_start() {
    let disk = BreakableDisk::new(7);
    let open = |disk: &BreakableDisk| {
        Attachments::open(Arc::new(disk.clone()), "/attachments", Arc::new(Inline), LIMIT)
    };
    let attachments = open(&disk).unwrap();
    let layout = layout(&[1; 10]);
    let upload = attachments.begin(layout.clone(), "FR").await.unwrap();
    let upload = attachments.put(upload, 0, chunk(&[1; 10], 0)).await.unwrap();
    disk.fail_next_sync();
    assert!(attachments.finish(upload).await.is_err());

    let disk = disk.kill();
    let attachments = open(&disk).unwrap();
    let upload = attachments.begin(layout.clone(), "FR").await.unwrap();
    assert_eq!(upload.chunks(), 1, "the page cache still has it");
    assert!(attachments.finish(upload).await.unwrap());
    assert!(attachments.keep(layout.name).await.unwrap());

    let attachments = open(&disk.power_off_keeping(|_| false)).unwrap();
    assert_eq!(attachments.chunk(layout, 0).await.unwrap(), chunk(&[1; 10], 0));
}
