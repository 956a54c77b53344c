//! What was explained is what is sent: whoever came or went in between is named, or the message is refused.

use i247_model::Identity;
use i247_testkit::{World, WorldError, country, free_text, pb};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_or_went_since_the_explanation_is_named_and_exactly_is_refused() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    let desk = world.bureau("FR").desk().await?;
    let mut draft = free_text(&[], "to everybody");
    draft.audience = Some(pb::Audience { all: true, ..pb::Audience::default() });
    let explained = desk.explain(draft.clone()).await?;
    assert_eq!(receivers(&explained), ["BR", "JP"]);
    draft.explained_at = explained.directory_position;
    let exactly = pb::Draft { exactly: true, ..draft.clone() };

    // Nobody has come or gone yet.
    let unchanged = world.bureau("FR").send(exactly.clone()).await?;
    let item = world.bureau("FR").answered(&unchanged).await?;
    assert_eq!((item.state(), item.come.len(), item.gone.len()), (pb::OutboxState::Accepted, 0, 0));

    // Chile is admitted, Japan is revoked; Brazil's suspension ends no membership.
    world.credentials(&Identity::Bureau(country("CL"))).await?;
    world.revoke(&Identity::Bureau(country("JP"))).await?;
    world.suspend(&Identity::Bureau(country("BR"))).await?;
    let refused = world.bureau("FR").send(exactly).await?;
    let refusal = world.bureau("FR").answered(&refused).await?.refusal.unwrap();
    assert_eq!(refusal.reason, "AUDIENCE_CHANGED");
    assert_eq!(refusal.fields, ["audience.come.CL", "audience.gone.JP"]);
    assert_eq!(refusal.next_step, "explain again and send anew");

    let sent = world.bureau("FR").send(draft.clone()).await?;
    let item = world.bureau("FR").answered(&sent).await?;
    assert_eq!(
        (item.state(), item.come, item.gone),
        (pb::OutboxState::Accepted, vec!["CL".into()], vec!["JP".into()])
    );

    // Explained again, it goes out exactly, and a restart of the hub changes nothing of that.
    world.crash_hub().await?;
    world.start_hub().await?;
    world.linked("FR").await?;
    let explained = desk.explain(draft.clone()).await?;
    assert_eq!(receivers(&explained), ["BR", "CL"]);
    draft.explained_at = explained.directory_position;
    let exactly = world.bureau("FR").send(pb::Draft { exactly: true, ..draft }).await?;
    world.bureau("FR").accepted(&exactly).await?;
    world.reinstate(&Identity::Bureau(country("BR"))).await?;
    world.bureau("BR").receives(&exactly.id).await?;
    world.finish().await
}

fn receivers(explained: &pb::ExplainResponse) -> Vec<&str> {
    explained.parties.iter().filter(|party| party.admitted).map(|party| party.party.as_str()).collect()
}
