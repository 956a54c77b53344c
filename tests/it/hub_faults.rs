//! What could go wrong inside the hub, and must not show outside.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use i247_ledger::disk::Disk as _;
use i247_ledger::faults::BreakableDisk;
use i247_model::Reason;
use i247_testkit::{World, WorldError, free_text, pb};

/// How many answers of a sender and lane the hub has at hand.
const ANSWERS_KEPT: usize = 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_no_receipt_and_is_writable_again_though_nobody_asks() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(11);
    let world =
        World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).segment_bytes(64 * 1024).start().await?;
    world.linked("BR").await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let sent = world.bureau("FR").tell(&["BR"], "while there is room").await?;
    world.bureau("FR").accepted(&sent).await?;
    disk.set_capacity(Some(disk.used()));
    world.bureau("FR").flood(&["BR"], 150).await?;
    world.hub_shows("that it cannot write", |summary| !summary.writable).await?;
    world.stop("FR").await?;
    // Readers go on; what they sign for waits.
    world.heal("BR");
    world.bureau("BR").receives(&sent.id).await?;

    disk.set_capacity(None);
    world.hub_shows("that it writes again", |summary| summary.writable).await?;
    let id = sent.id.to_string();
    world
        .until("the receipt to be entered", async || {
            let trace = world.monitor().await?.trace(&id).await?;
            Ok(trace.events.iter().any(|event| event.event == "delivered").then_some(()))
        })
        .await?;
    world.restart("FR").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_behind_a_group_without_room_is_refused_with_it() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(12);
    let world = World::of(["BR"]).hub_disk(Arc::new(disk.clone())).start().await?;
    let (mut japan, mut italy) = (world.pen("JP").await?, world.pen("IT").await?);
    let first = japan.sign(&japan.letter(free_text(&["BR"], "finds no room")));
    let behind = italy.sign(&italy.letter(free_text(&["BR"], "is decided meanwhile")));
    let end = world.monitor().await?.summary().await?.log_end;
    // What a write without room left behind is cleared away and synced: so long the next group can be decided.
    disk.slow_syncs(Duration::from_secs(1));
    disk.no_room_for_next_write();
    let before = disk.operations();
    let (one, two) = tokio::join!(japan.submit(&first), async {
        world.until("the write", async || Ok((disk.operations() > before).then_some(()))).await?;
        italy.submit(&behind).await
    });
    disk.slow_syncs(Duration::ZERO);
    for refused in [one, two] {
        assert_eq!(refused.unwrap_err().refusal().unwrap().reason, Reason::ReadOnly);
    }
    assert_eq!(world.monitor().await?.summary().await?.log_end, end);
    world.hub_shows("that it writes again", |summary| summary.writable).await?;
    japan.submit(&first).await?;
    italy.submit(&behind).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_very_old_submission_repeated_gets_its_first_answer() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let mut pen = world.pen("JP").await?;
    let to_itself = pen.sign(&pen.letter(free_text(&["JP"], "to myself")));
    let first_refusal = pen.submit(&to_itself).await.unwrap_err().refusal().unwrap().reason;
    assert_eq!(first_refusal, Reason::BadAudience);
    let envelope = pen.sign(&pen.letter(free_text(&["BR"], "still on its way")));
    let first = pen.submit(&envelope).await?;
    for _ in 0..ANSWERS_KEPT {
        let next = pen.sign(&pen.letter(free_text(&["BR"], "and many more")));
        pen.submit(&next).await?;
    }
    // More answers ago than the state keeps; the one is still open, the other was refused.
    assert_eq!(pen.submit(&envelope).await?, first);
    assert_eq!(pen.submit(&to_itself).await.unwrap_err().refusal().unwrap().reason, first_refusal);
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_entry_stops_one_mailbox_without_haste_and_nothing_of_it_is_lost() -> Result<(), WorldError>
{
    let disk = BreakableDisk::new(13);
    let world = World::of(["FR", "BR", "JP"])
        .hub_disk(Arc::new(disk.clone()))
        .segment_bytes(64 * 1024)
        .start()
        .await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let mut draft = free_text(&["BR", "JP"], "about an operation");
    draft.operation = "three-harbours".into();
    let first = world.bureau("FR").send(draft).await?;
    let second = world.bureau("FR").tell(&["BR"], "behind it").await?;
    world.bureau("FR").accepted(&second).await?;
    world
        .bureau("FR")
        .stands(&first, "delivered at JP", |status| {
            let delivered = |one: &pb::RecipientStatus| one.state() == pb::RecipientState::Delivered;
            status.recipients.iter().any(|one| one.party == "JP" && delivered(one))
        })
        .await?;
    // What it still had in memory would serve.
    world.crash_hub().await?;
    world.start_hub().await?;
    let (segment, offset) = found(&disk, &world.dir().join("hub/data/log"), b"three-harbours");
    assert!(disk.flip(&segment, offset, 0));
    world.heal("BR");
    world.linked("BR").await?;
    let meanwhile = world.bureau("FR").tell(&["JP"], "to the others").await?;
    world.bureau("JP").receives(&meanwhile.id).await?;
    let answered = world.bureau("BR").tell(&["FR"], "from the one that waits").await?;
    world.bureau("FR").receives(&answered.id).await?;
    world.linked("BR").await?;
    assert!(world.bureau("BR").inbox().await?.is_empty(), "a message was passed over");

    assert!(disk.flip(&segment, offset, 0));
    world.bureau("BR").receives(&second.id).await?;
    assert_eq!(world.bureau("BR").inbox_ids().await?, [first.id.to_string(), second.id.to_string()]);
    world.finish().await
}

/// Where this text stands in a file of the directory.
fn found(disk: &BreakableDisk, dir: &Path, text: &[u8]) -> (PathBuf, u64) {
    for name in disk.list(dir).unwrap() {
        let path = dir.join(name);
        let held = disk.contents(&path).unwrap_or_default();
        if let Some(at) = held.windows(text.len()).position(|window| window == text) {
            return (path, at as u64);
        }
    }
    panic!("no file holds it");
}
