//! Data restored from an older copy.

use i247_model::{Kind, Reason};
use i247_testkit::{World, WorldError, free_text, notice_request, pb, red_form};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bureau_restored_from_an_older_copy_halts_and_goes_on_in_a_new_epoch() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let kept = world.bureau("BR").tell(&["FR"], "in the copy").await?;
    world.bureau("FR").receives(&kept.id).await?;
    world.stop("BR").await?;
    let copy = world.back_up("BR")?;
    world.restart("BR").await?;
    let lost = world.bureau("BR").tell(&["FR"], "not in the copy").await?;
    world.bureau("FR").receives(&lost.id).await?;
    let received = world.bureau("FR").tell(&["BR"], "not in the copy either").await?;
    world.bureau("BR").receives(&received.id).await?;
    world.bureau("FR").stands(&received, "closed", |status| status.closed).await?;
    world.stop("BR").await?;
    world.restore("BR", &copy)?;
    world.restart("BR").await?;

    let why = world.bureau("BR").halted().await?;
    assert!(why.contains("restored from an older copy"), "{why}");
    assert!(why.contains("recover"), "{why}");
    world.not_serving("BR").await?;
    // Its desk takes work, and nothing leaves.
    let waits = world.bureau("BR").tell(&["FR"], "written by the copy").await?;
    let item = world.bureau("BR").desk().await?.status(&waits.id.to_string()).await?.item.unwrap();
    assert_eq!(item.state(), pb::OutboxState::Waiting);

    let epoch = world.bureau("BR").desk().await?.recover("the disk was replaced").await?;
    assert_eq!(epoch, 2);
    // It is given up, and its number stands for what the network has under it.
    assert_eq!(waits.id, lost.id);
    let back = world.bureau("BR").stands(&lost, "delivered", |status| status.closed).await?;
    assert_eq!(back.recipients[0].state(), pb::RecipientState::Opened);
    let outbox = world.bureau("BR").outbox().await?;
    let under_it: Vec<_> = outbox.iter().filter(|item| item.id == lost.id.to_string()).collect();
    assert_eq!(under_it[0].refusal.as_ref().unwrap().reason, Reason::Behind.as_str());
    assert_eq!((under_it[1].state(), under_it.len()), (pb::OutboxState::Accepted, 2));
    let anew = world.bureau("BR").tell(&["FR"], "written anew").await?;
    assert_eq!(anew.id.to_string(), "BR-2-N-1");
    world.bureau("FR").receives(&anew.id).await?;
    world.serving("BR").await?;
    let after = world.bureau("FR").tell(&["BR"], "welcome back").await?;
    world.bureau("BR").receives(&after.id).await?;
    let expected = [kept.id.to_string(), lost.id.to_string(), anew.id.to_string()];
    assert_eq!(world.bureau("FR").inbox_ids().await?, expected);

    // The hub had what the copy lacks: it is here again, in its order, and nobody got anything twice.
    assert_eq!(world.bureau("BR").inbox_ids().await?, [received.id.to_string(), after.id.to_string()]);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_hub_still_has_comes_back_to_a_restored_bureau() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    world.stop("BR").await?;
    let copy = world.back_up("BR")?;
    world.restart("BR").await?;
    // More than one lane, in an order that only the log knows, with an attachment, an end, and something that expires.
    let mut received = Vec::new();
    for (lane, words) in [(pb::Lane::Normal, "one"), (pb::Lane::Urgent, "two"), (pb::Lane::Normal, "three")] {
        let draft = pb::Draft { lane: lane.into(), ..free_text(&["BR"], words) };
        let sent = world.bureau("FR").send(draft).await?;
        world.bureau("BR").receives(&sent.id).await?;
        received.push(sent.id.to_string());
    }
    let asked = world.bureau("BR").send(notice_request(red_form("MARLOWE", "ANTON"), &[])).await?;
    world.bureau("BR").accepted(&asked).await?;
    world.stop("BR").await?;
    let mut reviewer = world.reviewer("lena").await?;
    let examined = reviewer.examine(&asked.id.to_string()).await?;
    reviewer.approve(&[examined]).await?;
    world.restore("BR", &copy)?;
    world.restart("BR").await?;
    world.bureau("BR").halted().await?;
    assert!(world.bureau("BR").inbox_ids().await?.is_empty());

    world.bureau("BR").desk().await?.recover("the disk was replaced").await?;
    // The decision is about a request that the copy did not know: it counts, since the request is back before it.
    let decision = world.bureau("BR").receives_about(Kind::ReviewDecision, &asked.id).await?;
    received.push(decision.id().to_owned());
    // Behind it comes what France decided about the notice.
    let notice = "GS.lena-1-N-2".parse().unwrap();
    let decided = world.bureau("BR").receives_about(Kind::NationalDecision, &notice).await?;
    received.push(decided.id().to_owned());
    assert_eq!(world.bureau("BR").inbox_ids().await?, received);
    let item = world.bureau("BR").desk().await?.status(&asked.id.to_string()).await?.item.unwrap();
    assert_eq!(item.state(), pb::OutboxState::Accepted);
    // It stays so, and is not brought back again.
    world.crash("BR").await?;
    world.restart("BR").await?;
    let after = world.bureau("FR").tell(&["BR"], "after a crash").await?;
    world.bureau("BR").receives(&after.id).await?;
    received.push(after.id.to_string());
    assert_eq!(world.bureau("BR").inbox_ids().await?, received);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_restored_from_an_older_copy_accepts_nothing() -> Result<(), WorldError> {
    let world = Box::pin(older_hub()).await?;
    // Nor from anybody else, by whatever way.
    let mut pen = world.pen("BR").await?;
    let refused = pen.submit(&pen.sign(&pen.letter(free_text(&["FR"], "by hand")))).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::Behind);
    let waits = world.bureau("FR").tell(&["BR"], "waits for the operator").await?;
    let item = world.bureau("FR").desk().await?.status(&waits.id.to_string()).await?.item.unwrap();
    assert_eq!(item.state(), pb::OutboxState::Waiting);
    world.finish().await
}

/// A world whose hub was restored from an older copy, and knows it from France.
pub(crate) async fn older_hub() -> Result<World, WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let kept = world.bureau("FR").tell(&["BR"], "in the copy").await?;
    world.bureau("FR").accepted(&kept).await?;
    world.bureau("BR").receives(&kept.id).await?;
    world.stop_hub().await?;
    let copy = world.back_up("hub")?;
    world.start_hub().await?;
    let lost = world.bureau("FR").tell(&["BR"], "not in the copy").await?;
    world.bureau("FR").accepted(&lost).await?;
    world.bureau("BR").receives(&lost.id).await?;
    world.stop_hub().await?;
    world.restore("hub", &copy)?;
    world.start_hub().await?;
    let why = world.bureau("FR").halted().await?;
    assert!(why.contains("older copy") || why.contains("BEHIND"), "{why}");
    world.hub_shows("that it accepts nothing", |summary| !summary.writable).await?;
    world.not_serving("hub").await?;
    Ok(world)
}
