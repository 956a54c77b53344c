//! Nodes that end without warning, and power that goes off.

use std::sync::Arc;

use i247_ledger::faults::BreakableDisk;
use i247_testkit::{Sent, World, WorldError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_survives_crashes_of_hub_and_bureaus() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    crate::processes::flood_and_crashes(&world).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_operation_of_the_hubs_disk_loses_nothing_accepted() -> Result<(), WorldError> {
    let mut disk = BreakableDisk::new(247);
    let world = World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).start().await?;
    let mut sent: Vec<Sent> = Vec::new();
    for operations in [0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 18, 23, 30] {
        world.linked("FR").await?;
        world.linked("BR").await?;
        disk.power_off_after(operations);
        // Sooner or later the power is off; the desk does not need the hub.
        while !world.hub_has_ended().await {
            sent.extend(world.bureau("FR").flood(&["BR"], 4).await?);
        }
        world.hub_ends().await?;
        disk = disk.power_off();
        world.set_hub_disk(Arc::new(disk.clone()));
        world.start_hub().await?;
        world.bureau("BR").receives_all(&sent).await?;
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_operation_of_a_bureaus_disk_loses_nothing() -> Result<(), WorldError> {
    let mut disk = BreakableDisk::new(1923);
    let world = World::of(["FR", "BR"]).bureau_disk("BR", Arc::new(disk.clone())).start().await?;
    let mut sent: Vec<Sent> = Vec::new();
    for operations in [0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 18] {
        world.linked("BR").await?;
        disk.power_off_after(operations);
        // Between receive and journal, between journal and receipt: the hub delivers again what was not signed for.
        let flood = world.bureau("FR").flood(&["BR"], 40).await?;
        world.bureau("FR").accepted(&flood[39]).await?;
        sent.extend(flood);
        world.ends("BR").await?;
        disk = disk.power_off();
        world.set_bureau_disk("BR", Arc::new(disk.clone()));
        world.restart("BR").await?;
        world.bureau("BR").receives_all(&sent).await?;
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_senders_power_cut_sends_nothing_twice_and_loses_nothing_taken() -> Result<(), WorldError> {
    let mut disk = BreakableDisk::new(29);
    let world = World::of(["FR", "BR"]).bureau_disk("FR", Arc::new(disk.clone())).start().await?;
    let mut sent: Vec<Sent> = Vec::new();
    for operations in [1, 2, 3, 4, 5, 7, 9, 12, 16, 21] {
        world.linked("FR").await?;
        disk.power_off_after(operations);
        // One by one until the desk has no disk any more; what it took, it must send.
        while let Ok(taken) = world.bureau("FR").tell(&["BR"], "before the power goes off").await {
            sent.push(taken);
        }
        world.ends("FR").await?;
        disk = disk.power_off();
        world.set_bureau_disk("FR", Arc::new(disk.clone()));
        world.restart("FR").await?;
        world.bureau("BR").receives_all(&sent).await?;
    }
    world.finish().await
}
