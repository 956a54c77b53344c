//! Cut off at once: suspended, reinstated, revoked.

use i247_model::{Identity, Reason};
use i247_testkit::{World, WorldError, country, free_text, pb};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_member_is_cut_off_and_gets_what_was_held_after_reinstatement() -> Result<(), WorldError>
{
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    suspension(&world).await?;
    world.finish().await
}

/// The story, in one process or in many.
pub(crate) async fn suspension(world: &World) -> Result<(), WorldError> {
    let brazil = Identity::Bureau(country("BR"));
    world.linked("BR").await?;
    let before = world.bureau("FR").tell(&["BR"], "before").await?;
    world.bureau("BR").receives(&before.id).await?;
    // Opened before the suspension, and as good as the stream.
    let mut pen = world.pen("BR").await?;
    let known = pb::StatusesRequest { ids: vec![before.id.to_string()] };
    pen.service().statuses(known.clone()).await.unwrap();

    world.suspend(&brazil).await?;
    world.unlinked("BR").await?;
    assert!(pen.service().statuses(known.clone()).await.is_err(), "an old connection still serves");
    assert!(world.pen("BR").await?.service().statuses(known).await.is_err(), "a new connection serves");
    let held = world.bureau("FR").tell(&["BR", "JP"], "held").await?;
    world.bureau("JP").receives(&held.id).await?;
    let status = world
        .bureau("FR")
        .stands(&held, "held at BR", |status| {
            let at =
                |party: &str| status.recipients.iter().find(|recipient| recipient.party == party).unwrap();
            at("BR").state() == pb::RecipientState::Held && at("JP").state() == pb::RecipientState::Delivered
                || at("JP").state() == pb::RecipientState::Opened
        })
        .await?;
    assert!(!status.closed);
    // It cannot send either; its outbox keeps what its officers write.
    let own = world.bureau("BR").tell(&["FR"], "written while suspended").await?;
    let envelope = pen.sign(&pen.letter(free_text(&["FR"], "by hand")));
    assert!(pen.submit(&envelope).await.is_err());
    // A restart of the hub forgets nothing.
    world.crash_hub().await?;
    world.start_hub().await?;
    world.linked("JP").await?;
    assert_eq!(world.bureau("BR").inbox_ids().await?, [before.id.to_string()]);

    world.reinstate(&brazil).await?;
    world.bureau("BR").receives(&held.id).await?;
    world.bureau("FR").receives(&own.id).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_member_stays_out_with_its_old_keys() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    let brazil = Identity::Bureau(country("BR"));
    let old = world.credentials(&brazil).await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let queued = world.bureau("FR").tell(&["BR", "JP"], "queued when it was revoked").await?;
    world.bureau("JP").receives(&queued.id).await?;
    world.revoke(&brazil).await?;
    world.heal("BR");
    let status = world.bureau("FR").stands(&queued, "closed", |status| status.closed).await?;
    assert_eq!(status.recipients[0].state(), pb::RecipientState::Refused);
    // It can no longer be addressed, nor reinstated, nor admitted with void keys.
    let addressed = world.bureau("FR").tell(&["BR"], "to nobody").await?;
    let refusal = world.bureau("FR").answered(&addressed).await?.refusal.unwrap();
    assert_eq!(
        (refusal.reason.as_str(), refusal.fields[0].as_str()),
        ("UNKNOWN_COUNTRY", "audience.countries.BR")
    );
    assert!(world.reinstate(&brazil).await.unwrap_err().refusal().is_some());
    assert!(world.admit(&old).await.unwrap_err().refusal().is_some());
    assert!(world.pen("BR").await?.service().statuses(pb::StatusesRequest::default()).await.is_err());

    // New keys bring the country back, the old ones stay void, also after a restart.
    let new = world.pki().await.enrol(&brazil)?;
    world.admit(&new).await?;
    world.crash_hub().await?;
    world.start_hub().await?;
    let mut exchange = exchange(&world, &new).await?;
    exchange.statuses(pb::StatusesRequest::default()).await.unwrap();
    let mut pen = world.pen("BR").await?;
    let envelope = pen.sign(&pen.letter(free_text(&["FR"], "with a void key")));
    assert!(pen.submit(&envelope).await.is_err());
    let smuggled = exchange.submit(pb::SubmitRequest { envelope: Some(envelope) }).await.unwrap_err();
    assert_eq!(i247_wire::refusal(&smuggled).unwrap().reason, Reason::CertificateNotInForce);
    assert!(world.bureau("BR").inbox().await?.is_empty());
    world.stop("BR").await?;
    world.finish().await
}

async fn exchange(
    world: &World,
    credentials: &i247_trust::Credentials,
) -> Result<pb::exchange_service_client::ExchangeServiceClient<tonic::transport::Channel>, WorldError> {
    let channel = world.hub_channel(credentials).await?;
    Ok(pb::exchange_service_client::ExchangeServiceClient::new(channel))
}
