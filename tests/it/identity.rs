//! Certificates: who says it, and whether it may.

use std::time::Duration;

use i247_client::ClientError;
use i247_model::{Hash, Identity, Kind, MessageId, Reason};
use i247_testkit::pki::Pki;
use i247_testkit::{World, WorldError, country, free_text, name, pb};
use i247_trust::{Credentials, Validity};
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;

use crate::metrics::page;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_signs_for_another_country() -> Result<(), WorldError> {
    let world = World::of(["BR", "JP"]).start().await?;
    let mut france = world.pen("FR").await?;
    let good = france.letter(free_text(&["JP"], "as oneself"));
    let mut in_brazils_name = good.clone();
    in_brazils_name.header.id = "BR-1-N-1".into();
    let refused = france.submit(&france.sign(&in_brazils_name)).await.unwrap_err();
    let refusal = refused.refusal().unwrap();
    assert_eq!((refusal.reason, refusal.fields[0].as_str()), (Reason::WrongSender, "id"));

    // Brazil's own signature is no good over France's connection either.
    let brazil = world.pen("BR").await?;
    let brazils = brazil.sign(&brazil.letter(free_text(&["JP"], "truly Brazil's")));
    let refused = france.submit(&brazils).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::WrongSender);
    // Nor Brazil's key under France's name, nor France's key id under Brazil's signature.
    let forged = i247_testkit::sign(&brazil.credentials().signing_key, &good);
    let refused = france.submit(&forged).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::BadSignature);

    let accepted = france.submit(&france.sign(&good)).await?;
    world.bureau("JP").receives(&accepted.id.parse().unwrap()).await?;
    assert_eq!(world.bureau("JP").inbox_ids().await?, ["FR-1-N-1"]);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_or_foreign_certificate_opens_no_door() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let now = world.seams().clock.now();
    let france = Identity::Bureau(country("FR"));
    let officer = Identity::Officer(country("FR"), name("duty"));
    let past = Validity {
        not_before: i247_model::Timestamp::from_millis(now.as_millis() - 240_000),
        not_after: i247_model::Timestamp::from_millis(now.as_millis() - 60_000),
    };
    let expired = world.pki().await.enrol_for(&france, past)?;
    let expired_officer = world.pki().await.enrol_for(&officer, past)?;
    let mut elsewhere = Pki::new(now)?;
    let foreign = elsewhere.enrol(&france)?;
    let foreign_officer = elsewhere.enrol(&officer)?;
    // Certified as it should be, but not what the directory has of France.
    let second = world.pki().await.enrol(&france)?;
    for (what, credentials) in [("expired", expired), ("foreign", foreign), ("not admitted", second)] {
        let mut exchange =
            ExchangeServiceClient::new(world.hub_channel(&with_root(&world, credentials).await?).await?);
        let answer = exchange.statuses(pb::StatusesRequest::default()).await;
        assert!(answer.is_err(), "an {what} certificate got an answer of the hub");
    }
    for (what, credentials) in [("expired", expired_officer), ("foreign", foreign_officer)] {
        let desk = world.desk_as(country("FR"), &with_root(&world, credentials).await?).await?;
        assert!(desk.report().await.is_err(), "an {what} certificate got an answer of the desk");
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_let_in_is_counted_with_the_reason() -> Result<(), WorldError> {
    let world = World::of(["FR"]).metrics().start().await?;
    let now = world.seams().clock.now();
    let foreign = Pki::new(now)?.enrol(&Identity::Bureau(country("FR")))?;
    let unknown = world.pki().await.enrol(&Identity::Bureau(country("JP")))?;
    let refused = async |reason: &str| {
        let shown = page(world.metrics_address("hub").await.unwrap()).await;
        let line = format!("i247_connections_refused_total{{reason=\"{reason}\"}} ");
        let count = shown.lines().find_map(|shown| shown.strip_prefix(&line)).map(str::to_owned);
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    // A client connects anew by itself: as often as it tried, or more.
    for (credentials, reason) in [(foreign, "handshake failed"), (unknown, "handshake failed")] {
        let before = refused(reason).await;
        let channel = world.hub_channel(&with_root(&world, credentials).await?).await?;
        let answer = ExchangeServiceClient::new(channel).statuses(pb::StatusesRequest::default()).await;
        assert!(answer.is_err());
        // What was refused is counted a little later.
        world.until(reason, async || Ok((refused(reason).await > before).then_some(()))).await?;
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_counts_only_while_its_certificate_is_in_force() -> Result<(), WorldError> {
    let world = World::of(["BR"]).start().await?;
    let france = Identity::Bureau(country("FR"));
    let lasting = world.pki().await.enrol(&france)?;
    let clock = world.seams().clock.clone();
    let end = clock.now().plus(HOUR);
    let short = Validity { not_before: clock.now(), not_after: end };
    let signing = world.pki().await.enrol_for(&france, short)?;
    // The connection lives on; only the signing certificate ends.
    let mut mixed = lasting;
    mixed.signing_key = signing.signing_key;
    mixed.signing_chain = signing.signing_chain;
    world.admit(&mixed).await?;
    let mut exchange = ExchangeServiceClient::new(world.hub_channel(&mixed).await?);
    let pen = world.pen_of(mixed).await?;
    let first = pen.sign(&pen.letter(free_text(&["BR"], "in force")));
    let answer = exchange.submit(pb::SubmitRequest { envelope: Some(first.clone()) }).await.unwrap();
    assert!(matches!(
        answer.into_inner().result.unwrap().result,
        Some(pb::submit_result::Result::Acceptance(_))
    ));
    world.advance(HOUR + Duration::from_secs(1));
    let mut late = pen.letter(free_text(&["BR"], "too late"));
    late.header.id = "FR-1-U-1".into();
    let late = exchange.submit(pb::SubmitRequest { envelope: Some(pen.sign(&late)) }).await.unwrap_err();
    assert_eq!(i247_wire::refusal(&late).unwrap().reason, Reason::CertificateNotInForce);
    // What was signed and accepted in time stays good at the addressee.
    world.bureau("BR").receives(&"FR-1-N-1".parse().unwrap()).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_officer_is_served_by_the_desk_of_her_own_country_only() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let duty = world.credentials(&Identity::Officer(country("BR"), name("duty"))).await?;
    let desk = world.desk_as(country("FR"), &duty).await?;
    assert!(desk.report().await.is_err());
    assert!(desk.send(free_text(&["BR"], "from the wrong desk")).await.is_err());
    // At the hub officers have no business at all.
    let mut exchange = ExchangeServiceClient::new(world.hub_channel(&duty).await?);
    assert!(exchange.statuses(pb::StatusesRequest::default()).await.is_err());
    // An operator sees the network and is no bureau.
    let ops = world.credentials(&Identity::Operator(name("ops"))).await?;
    let mut exchange = ExchangeServiceClient::new(world.hub_channel(&ops).await?);
    let refused = exchange.statuses(pb::StatusesRequest::default()).await.unwrap_err();
    assert_eq!(i247_wire::refusal(&refused).unwrap().reason, Reason::NotAuthorised);
    assert!(world.bureau("FR").outbox().await?.is_empty());
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_under_the_same_identity_halts_and_takes_nothing_away() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let first = world.bureau("FR").tell(&["BR"], "sent by the true one").await?;
    world.bureau("FR").accepted(&first).await?;
    let back = world.bureau("BR").tell(&["FR"], "received by the true one").await?;
    world.bureau("FR").receives(&back.id).await?;

    let twin = world.twin("FR").await?;
    let halted = world
        .until("the twin to halt", async || {
            Ok(Some(twin.desk.report().await?.halted).filter(|why| !why.is_empty()))
        })
        .await?;
    assert!(halted.contains("older copy"), "{halted}");
    // What its officers write goes nowhere, and nothing is delivered to it.
    let stray = twin.desk.send(free_text(&["BR"], "from the twin")).await?;
    let flood = world.bureau("BR").flood(&["FR"], 30).await?;
    world.bureau("FR").receives_all(&flood).await?;
    let own = world.bureau("FR").tell(&["BR"], "the true one goes on").await?;
    world.bureau("BR").receives(&own.id).await?;
    assert!(twin.desk.inbox(&Default::default()).await?.is_empty());
    let status = twin.desk.status(&stray.to_string()).await?.item.unwrap();
    assert_eq!(status.state(), pb::OutboxState::Waiting);
    assert_eq!(world.bureau("BR").inbox_ids().await?, [first.id.to_string(), own.id.to_string()]);
    twin.stop().await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_signing_key_is_taken_by_a_running_bureau_and_the_old_signatures_stay_good()
-> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let old = world.credentials(&Identity::Bureau(country("FR"))).await?.signing_key.key_id();
    let before = world.bureau("FR").tell(&["BR"], "signed with the old key").await?;
    world.bureau("BR").receives(&before.id).await?;
    assert_eq!(signed_with(&world, "BR", &before.id).await?, old);
    // On its way to somebody who is away, and there when the key is another already.
    world.cut("BR");
    world.unlinked("BR").await?;
    let queued = world.bureau("FR").tell(&["BR"], "signed with the old key, delivered later").await?;
    world.bureau("FR").accepted(&queued).await?;

    let new = world.new_signing_key("FR").await?;
    world.advance(MINUTE);
    let after = world
        .until("a message signed with the new key", async || {
            let sent = world.bureau("FR").tell(&["BR"], "which key is it?").await?;
            world.bureau("FR").accepted(&sent).await?;
            Ok((signed_with(&world, "FR", &sent.id).await? == new).then_some(sent))
        })
        .await?;
    world.heal("BR");
    world.bureau("BR").receives(&queued.id).await?;
    world.bureau("BR").receives(&after.id).await?;
    assert_eq!(signed_with(&world, "BR", &queued.id).await?, old);
    assert_eq!(signed_with(&world, "BR", &after.id).await?, new);
    // Receipts too: what France receives is acknowledged with the new key.
    let answer = world.bureau("BR").tell(&["FR"], "received").await?;
    world.bureau("FR").receives(&answer.id).await?;
    world.bureau("BR").stands(&answer, "closed", |status| status.closed).await?;
    world.crash("FR").await?;
    world.restart("FR").await?;
    let last = world.bureau("FR").tell(&["BR"], "after a restart").await?;
    world.bureau("BR").receives(&last.id).await?;
    assert_eq!(signed_with(&world, "BR", &last.id).await?, new);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_taken_by_a_running_hub_and_what_it_signed_before_stays_good() -> Result<(), WorldError>
{
    let world = World::of(["FR", "JP"]).automatic(false).start().await?;
    let question = world.bureau("FR").ask(["JP"]).within(HOUR, &world).send().await?;
    world.bureau("JP").receives(&question.id).await?;
    // A reminder waits for somebody who is away.
    world.cut("JP");
    world.unlinked("JP").await?;
    world.advance(HOUR);
    let queued = |summary: &pb::SummaryResponse| {
        summary.links.iter().any(|link| link.party == "JP" && link.queued == 1)
    };
    world.hub_shows("a reminder for JP", queued).await?;

    let new = world.new_signing_key("hub").await?;
    world.advance(MINUTE);
    let pen = world.pen("BR").await?;
    let envelope = pen.sign(&pen.letter(free_text(&["FR"], "accepted by whom?")));
    world
        .until("an acceptance signed with the new key", async || {
            let again = pb::SubmitRequest { envelope: Some(envelope.clone()) };
            let answer =
                pen.service().submit(again).await.map_err(|error| WorldError::Connect(error.to_string()))?;
            let result = answer.into_inner().result.and_then(|result| result.result);
            let Some(pb::submit_result::Result::Acceptance(signed)) = result else { panic!("{result:?}") };
            Ok((signed.key_id.as_ref() == new.as_bytes()).then_some(()))
        })
        .await?;
    // France's stream was open all the time, and takes acceptances under both keys.
    let after = world.bureau("FR").tell(&["JP"], "accepted with the new key").await?;
    world.bureau("FR").accepted(&after).await?;
    // Only the log still knows the old one.
    world.crash_hub().await?;
    world.start_hub().await?;
    world.heal("JP");
    world.bureau("JP").receives(&after.id).await?;
    let reminder = world.bureau("JP").receives_about(Kind::Reminder, &question.id).await?;
    assert_ne!(reminder.0.header.unwrap().key_id.as_ref(), new.as_bytes());
    world.finish().await
}

/// Which key signed a message, as this bureau holds it.
async fn signed_with(world: &World, code: &str, id: &MessageId) -> Result<Hash, WorldError> {
    let shown = world.bureau(code).receives(id).await?.0;
    Ok(Hash::from_slice(&shown.header.unwrap().key_id).unwrap())
}

/// The network's own root, so that only the other side has a reason to refuse.
async fn with_root(world: &World, mut credentials: Credentials) -> Result<Credentials, ClientError> {
    credentials.root = world.pki().await.authority().root().clone();
    Ok(credentials)
}
