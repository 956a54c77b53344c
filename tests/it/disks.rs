//! Disks that are full, and disks that rot.

use std::path::Path;
use std::sync::Arc;

use i247_ledger::faults::BreakableDisk;
use i247_model::{Hash, Reason};
use i247_testkit::{World, WorldError, pb};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_without_room_gives_no_receipt_and_recovers_when_there_is_some() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(7);
    let world =
        World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).segment_bytes(64 * 1024).start().await?;
    let before = world.bureau("FR").tell(&["BR"], "while there is room").await?;
    world.bureau("BR").receives(&before.id).await?;
    disk.set_capacity(Some(disk.used()));
    world.serving("hub").await?;
    // The room of the present segment is taken already; then it is full.
    let flood = world.bureau("FR").flood(&["BR"], 150).await?;
    let summary = world.hub_shows("that it cannot write", |summary| !summary.writable).await?;
    world.not_serving("hub").await?;
    let last = &flood[149];
    let item = world.bureau("FR").desk().await?.status(&last.id.to_string()).await?.item.unwrap();
    assert_eq!(item.state(), pb::OutboxState::Waiting, "a receipt was given for what was not written");
    assert!(summary.log_end > 0);
    // Readers go on.
    let trace = world.monitor().await?.trace(&before.id.to_string()).await?;
    assert_eq!((trace.events[0].event.as_str(), trace.events[1].event.as_str()), ("signed", "accepted"));
    assert!(world.reviewer("lena").await.is_err(), "an admission was entered without room");

    disk.set_capacity(None);
    world.bureau("BR").receives_all(&flood).await?;
    world.hub_shows("that it writes again", |summary| summary.writable).await?;
    world.serving("hub").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bureau_without_room_takes_nothing_and_delays_nobody() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(8);
    let world = World::of(["FR", "BR", "JP"])
        .bureau_disk("BR", Arc::new(disk.clone()))
        .segment_bytes(64 * 1024)
        .start()
        .await?;
    world.linked("BR").await?;
    disk.set_capacity(Some(disk.used()));
    let flood = world.bureau("FR").flood(&["BR", "JP"], 150).await?;
    world.bureau("JP").receives_all(&flood).await?;
    let refused = world
        .until("the desk to refuse", async || match world.bureau("BR").tell(&["FR"], "no room").await {
            Ok(_) => Ok(None),
            Err(error) if error.refusal().is_some() => Ok(Some(error)),
            Err(error) => Err(error),
        })
        .await?;
    assert_eq!(refused.refusal().unwrap().reason, Reason::ReadOnly);
    world.not_serving("BR").await?;
    disk.set_capacity(None);
    world.bureau("BR").receives_all(&flood).await?;
    world.serving("BR").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_body_is_named_and_hides_no_other_message() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(9);
    let world = World::of(["FR", "BR"]).bureau_disk("BR", Arc::new(disk.clone())).start().await?;
    let spoilt = world.bureau("FR").tell(&["BR"], "this one rots").await?;
    let whole = world.bureau("FR").tell(&["BR"], "this one stays").await?;
    world.bureau("BR").receives(&whole.id).await?;
    assert!(flip_where(&disk, world.dir(), b"this one rots"), "the body does not lie on the disk");

    let desk = world.bureau("BR").desk().await?;
    let refused = desk.show(&spoilt.id.to_string()).await.unwrap_err();
    let refusal = refused.refusal().unwrap();
    assert_eq!(
        (refusal.reason, refusal.fields.as_slice()),
        (Reason::ReadOnly, ["body".to_owned()].as_slice())
    );
    assert!(refusal.next_step.contains("`i247 ledger check`"), "{}", refusal.next_step);
    assert!(desk.show(&whole.id.to_string()).await?.body.is_some());
    assert_eq!(world.bureau("BR").inbox_ids().await?, [spoilt.id.to_string(), whole.id.to_string()]);
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_tells_a_body_that_rots_from_a_header_that_does_not_hold() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(10);
    let world = World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).start().await?;
    let mut draft = i247_testkit::free_text(&["BR"], "this one rots");
    draft.operation = "three-harbours".into();
    let sent = world.bureau("FR").send(draft).await?;
    world.bureau("BR").receives(&sent.id).await?;
    let (monitor, id) = (world.monitor().await?, sent.id.to_string());
    let told = async || -> Result<(bool, bool, String), WorldError> {
        let trace = monitor.trace(&id).await?;
        let place = trace.place.unwrap();
        Ok((trace.signature.unwrap().holds, place.holds, place.body))
    };
    assert_eq!(told().await?, (true, true, "present".into()));
    let log = world.dir().join("hub/data/log");
    assert!(flip_where(&disk, &log, b"this one rots"), "the body does not lie on the disk");
    assert_eq!(told().await?, (true, true, "damaged".into()));
    // What says who it is from, and to whom, cannot be read at all any more.
    assert!(flip_where(&disk, &log, b"three-harbours"), "the header does not lie on the disk");
    assert_eq!(monitor.trace(&id).await.unwrap_err().refusal().unwrap().reason, Reason::ReadOnly);
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_ends_when_a_sync_fails_of_whatever_file_and_goes_on_when_it_is_started_again()
-> Result<(), WorldError> {
    let (hub, brazil) = (BreakableDisk::new(11), BreakableDisk::new(12));
    let world = World::of(["FR", "BR"])
        .hub_disk(Arc::new(hub.clone()))
        .bureau_disk("BR", Arc::new(brazil.clone()))
        .start()
        .await?;
    let before = world.bureau("FR").tell(&["BR"], "before both failures").await?;
    world.bureau("FR").stands(&before, "closed", |status| status.closed).await?;
    // The log rests: what is synced next is the line that says who looks.
    let monitor = world.monitor().await?;
    hub.fail_next_sync();
    assert!(monitor.trace(&before.id.to_string()).await.is_err(), "who looked is written nowhere");
    world.hub_ends().await?;
    world.set_hub_disk(Arc::new(hub.kill()));
    world.start_hub().await?;
    world.monitor().await?.trace(&before.id.to_string()).await?;

    // The journal rests: what is synced next is what is attached.
    let attach = async || -> Result<Hash, WorldError> {
        let note = pb::AttachmentNote { name: "prints.bin".into(), ..Default::default() };
        Ok(world.bureau("BR").desk().await?.add_attachment(note, vec![7; 1000].into()).await?)
    };
    world.linked("BR").await?;
    brazil.fail_next_sync();
    assert!(attach().await.is_err(), "nobody knows whether it is durable");
    world.ends("BR").await?;
    world.set_bureau_disk("BR", Arc::new(brazil.kill()));
    world.restart("BR").await?;
    attach().await?;
    let after = world.bureau("FR").tell(&["BR"], "after both failures").await?;
    world.bureau("BR").receives(&after.id).await?;
    world.finish().await
}

/// Flips a bit of every place below this directory that holds these bytes.
fn flip_where(disk: &BreakableDisk, below: &Path, wanted: &[u8]) -> bool {
    let mut flipped = false;
    for path in disk.paths().into_iter().filter(|path| path.starts_with(below)) {
        let bytes = disk.contents(&path).unwrap_or_default();
        let found = bytes.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted);
        for (offset, _) in found {
            flipped |= disk.flip(&path, offset as u64, 0);
        }
    }
    flipped
}
