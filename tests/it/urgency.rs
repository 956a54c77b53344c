//! What is urgent overtakes what is not.

use i247_testkit::{World, WorldError, free_text, pb};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_message_overtakes_a_flood_of_routine_at_the_recipient() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let routine = world.bureau("FR").flood(&["BR"], 300).await?;
    world.bureau("FR").accepted(&routine[299]).await?;
    let urgent = world.bureau("FR").send(urgent()).await?;
    world.bureau("FR").accepted(&urgent).await?;
    world.heal("BR");
    world.bureau("BR").receives_all(&routine).await?;
    let ids = world.bureau("BR").inbox_ids().await?;
    assert_eq!(ids.len(), 301);
    assert_eq!(ids[0], urgent.id.to_string());
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_message_overtakes_a_flood_of_routine_in_the_outbox() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    world.cut("FR");
    world.unlinked("FR").await?;
    let routine = world.bureau("FR").flood(&["BR"], 300).await?;
    let urgent = world.bureau("FR").send(urgent()).await?;
    world.heal("FR");
    world.bureau("BR").receives_all(&routine).await?;
    let first = world.monitor().await?.trace(&urgent.id.to_string()).await?.status.unwrap().position;
    let routine = world.monitor().await?.trace(&routine[0].id.to_string()).await?.status.unwrap().position;
    assert!(first < routine, "the urgent one is at {first}, the first routine one at {routine}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_to_one_country_delays_nobody_else() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP", "SN"]).start().await?;
    world.delay("BR", std::time::Duration::from_millis(100));
    let flood = world.bureau("FR").flood(&["BR"], 200).await?;
    let other = world.bureau("JP").tell(&["SN"], "in the middle of it").await?;
    world.bureau("SN").receives(&other.id).await?;
    world.delay("BR", std::time::Duration::ZERO);
    world.bureau("BR").receives_all(&flood).await?;
    world.finish().await
}

fn urgent() -> pb::Draft {
    let mut draft = free_text(&["BR"], "now");
    draft.lane = pb::Lane::VeryUrgent.into();
    draft
}
