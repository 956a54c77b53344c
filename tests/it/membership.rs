//! Cut off at once: suspended, reinstated, revoked.

use std::time::Duration;

use i247_client::{ClientError, Desk};
use i247_model::{Identity, Reason};
use i247_testkit::{World, WorldError, country, free_text, name, pb};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_officer_is_cut_off_from_the_desk_and_comes_back_with_new_keys_alone()
-> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let (fr, night) = (country("FR"), Identity::Officer(country("FR"), name("night")));
    let old = world.credentials(&night).await?;
    let desk = world.desk_as(fr, &old).await?;
    let mut events = desk.watch(u64::MAX).await?;
    let taken = desk.send(free_text(&["BR"], "taken before the revocation")).await?;

    world.revoke(&night).await?;
    let ended = loop {
        // What had happened before comes first.
        if let Err(ended) = events.next(Duration::from_secs(1)).await {
            break ended;
        }
    };
    assert!(!matches!(ended, ClientError::Late(_)), "an old connection still serves: {ended}");
    turned_away(&world, &desk, Reason::Revoked).await?;
    // What the desk had taken is the bureau's, and so are all other officers.
    world.bureau("BR").receives(&taken).await?;
    let other = world.bureau("FR").tell(&["BR"], "from the seat beside").await?;
    world.bureau("BR").receives(&other.id).await?;
    // A restart forgets nothing, nor does another certificate of that time change anything.
    world.crash("FR").await?;
    world.restart("FR").await?;
    let new = world.pki().await.enrol(&night)?;
    for credentials in [&old, &new] {
        turned_away(&world, &world.desk_as(fr, credentials).await?, Reason::Revoked).await?;
    }
    let void = world.admit(&old).await.unwrap_err();
    assert_eq!(void.refusal().unwrap().fields, ["tls_key"]);

    world.admit(&new).await?;
    world.desk_as(fr, &new).await?.report().await?;
    assert!(world.desk_as(fr, &old).await?.report().await.is_err());
    world.crash("FR").await?;
    world.restart("FR").await?;
    world.desk_as(fr, &new).await?.report().await?;
    assert!(world.desk_as(fr, &old).await?.report().await.is_err());
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_officer_comes_back_with_the_same_keys() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let night = Identity::Officer(country("FR"), name("night"));
    let desk = world.desk_as(country("FR"), &world.credentials(&night).await?).await?;
    desk.report().await?;
    world.suspend(&night).await?;
    turned_away(&world, &desk, Reason::Suspended).await?;
    world.reinstate(&night).await?;
    desk.report().await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_its_own_countrys_authority_rules_a_desk() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let night = Identity::Officer(country("FR"), name("night"));
    let desk = world.desk_as(country("FR"), &world.credentials(&night).await?).await?;
    let (change, france, brazil) = {
        let mut pki = world.pki().await;
        let change = pki.change(pb::DirectoryAction::Revoke, &night, 1, world.seams().clock.now());
        let france = pki.national(country("FR"))?.credentials().clone();
        (change, france, pki.national(country("BR"))?.credentials().clone())
    };
    let ruled = |chain: &i247_trust::Credentials, over: &i247_trust::Credentials| {
        let chain = chain.signing_chain.clone();
        let over = over.clone();
        let world = &world;
        async move {
            let channel = world.desk_channel(country("FR"), &over).await?;
            Ok::<_, WorldError>(i247_client::Directory::new(channel).introducing(chain))
        }
    };
    // Brazil's authority neither reaches the desk, nor does its signature count there.
    let signed = change.clone().signed_by(&brazil);
    assert!(ruled(&brazil, &brazil).await?.change(signed.clone()).await.is_err());
    let refused = ruled(&brazil, &france).await?.change(signed.clone()).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::WrongSender);
    let refused = ruled(&france, &france).await?.change(signed).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::UnknownKey);
    // An officer signs nothing there, and France's authority rules nobody but its own people.
    let officer = world.credentials(&night).await?;
    let refused = ruled(&france, &officer).await?.change(change.signed_by(&france)).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::NotAuthorised);
    let bureau = Identity::Bureau(country("FR"));
    let change = world.pki().await.change(pb::DirectoryAction::Revoke, &bureau, 1, world.seams().clock.now());
    let refused = ruled(&france, &france).await?.change(change.signed_by(&france)).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().fields, ["identity"]);
    desk.report().await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_reviewer_decides_nothing_and_a_revoked_operator_sees_nothing() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let (mona, guest) = (Identity::Reviewer(name("mona")), Identity::Operator(name("guest")));
    let old = world.credentials(&guest).await?;
    let reviewer = world.reviewer("mona").await?;
    let monitor = i247_client::Monitor::new(world.hub_channel(&old).await?);
    reviewer.pending().await?;
    monitor.summary().await?;

    world.revoke(&mona).await?;
    world.revoke(&guest).await?;
    refused(&world, Reason::Revoked, async || reviewer.pending().await.map(drop)).await?;
    refused(&world, Reason::Revoked, async || monitor.summary().await.map(drop)).await?;
    world.crash_hub().await?;
    world.start_hub().await?;
    let again = world.reviewer("mona").await?;
    refused(&world, Reason::Revoked, async || again.pending().await.map(drop)).await?;
    // Their keys are void; new ones come back.
    assert!(world.admit(&old).await.unwrap_err().refusal().is_some());
    let new = world.pki().await.enrol(&guest)?;
    world.admit(&new).await?;
    i247_client::Monitor::new(world.hub_channel(&new).await?).summary().await?;
    world.finish().await
}

/// Waits until a desk says why it serves this officer no more.
async fn turned_away(world: &World, desk: &Desk, reason: Reason) -> Result<(), WorldError> {
    refused(world, reason, async || desk.report().await.map(drop)).await
}

/// Waits until a call is refused for this reason; one that was under way may break first.
async fn refused(
    world: &World,
    reason: Reason,
    call: impl AsyncFn() -> Result<(), ClientError>,
) -> Result<(), WorldError> {
    let what = format!("a refusal: {reason}");
    world
        .until(&what, async || match call().await {
            Err(ClientError::Refused(refusal)) => Ok((refusal.reason == reason).then_some(())),
            Ok(()) | Err(_) => Ok(None),
        })
        .await
}

pub(crate) async fn exchange(
    world: &World,
    credentials: &i247_trust::Credentials,
) -> Result<pb::exchange_service_client::ExchangeServiceClient<tonic::transport::Channel>, WorldError> {
    let channel = world.hub_channel(credentials).await?;
    Ok(pb::exchange_service_client::ExchangeServiceClient::new(channel))
}
