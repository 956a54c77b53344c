//! What could go wrong inside the hub, and must not show outside.

use std::sync::Arc;

use i247_ledger::faults::BreakableDisk;
use i247_model::Reason;
use i247_testkit::{World, WorldError, free_text};

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
