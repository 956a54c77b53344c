//! Data restored from an older copy.

use std::time::Duration;

use i247_model::{Identity, Kind, Reason};
use i247_testkit::{World, WorldError, free_text, notice_request, pb, red_form};
use pb::connect_request::Frame as Up;
use pb::delivery::Content;

use crate::membership::exchange;
use crate::recovery::line::Line;

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
    world.bureau("BR").accepted(&lost).await?;
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
    // What has expired by the time when it would come back does not.
    let expires_at_ms = world.seams().clock.now().plus(Duration::from_secs(3600)).as_millis();
    let short = world.bureau("FR").send(pb::Draft { expires_at_ms, ..free_text(&["BR"], "short") }).await?;
    world.bureau("BR").receives(&short.id).await?;
    // More than one lane, in an order that only the log knows.
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

    world.advance(Duration::from_secs(2 * 3600));
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
async fn what_the_keys_of_one_membership_had_does_not_come_back_to_those_of_the_next()
-> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let received = world.bureau("FR").tell(&["BR"], "to the old keys").await?;
    world.bureau("BR").receives(&received.id).await?;
    world.bureau("FR").stands(&received, "closed", |status| status.closed).await?;
    let sent = world.bureau("BR").tell(&["FR"], "by the old keys").await?;
    world.bureau("BR").accepted(&sent).await?;
    world.stop("BR").await?;
    let normal = pb::Lane::Normal.into();
    let hello =
        pb::Hello { epoch: 1, lost: vec![lost_lane(normal)], deliver_anew: true, ..pb::Hello::default() };
    let credit = || Up::Credit(pb::Credit { deliveries: 8 });

    let mut line = Line::open(&world.pen("BR").await?, hello.clone()).await.unwrap();
    line.say(credit()).await;
    let given = line.given_back().await;
    let header = i247_wire::decode_header(&given.envelope.unwrap().header).unwrap();
    assert_eq!((header.id, given.epoch, given.lane), (sent.id.clone(), 1, normal));
    assert_eq!(line.given_back().await.envelope, None);
    let again = line.delivery().await;
    assert_eq!((again.lane, again.number), (normal, 1));
    assert!(matches!(again.content, Some(Content::Envelope(_))));
    // What nobody can have lost is not asked for.
    let refused = |hello: pb::Hello| async {
        let refusal = Line::open(&world.pen("BR").await?, hello).await.err().unwrap();
        Ok::<_, WorldError>((refusal.reason, refusal.fields))
    };
    let high = pb::LostLane { known_up_to: u64::MAX, ..lost_lane(normal) };
    let mut line =
        Line::open(&world.pen("BR").await?, pb::Hello { lost: vec![high], ..hello.clone() }).await.unwrap();
    assert_eq!(line.given_back().await.envelope, None);
    let many = pb::Hello { lost: vec![lost_lane(normal); 257], ..hello.clone() };
    assert_eq!(refused(many).await?, (Reason::TooLarge, vec!["hello.lost".to_owned()]));
    let unknown = pb::Hello { lost: vec![lost_lane(99)], ..hello.clone() };
    assert_eq!(refused(unknown).await?, (Reason::Malformed, vec!["hello.lost.lane".to_owned()]));

    let brazil = Identity::Bureau("BR".parse().unwrap());
    world.revoke(&brazil).await?;
    let new = world.pki().await.enrol(&brazil)?;
    world.admit(&new).await?;
    let after = world.bureau("FR").tell(&["BR"], "to the new keys").await?;
    world.bureau("FR").accepted(&after).await?;
    let mut line = Line::over(exchange(&world, &new).await?, hello).await.unwrap();
    line.say(credit()).await;
    assert_eq!(line.given_back().await.envelope, None);
    let first = line.delivery().await;
    assert_eq!((first.number, first.content), (1, Some(Content::Gap(pb::Gap::Withdrawn.into()))));
    let second = line.delivery().await;
    assert!(second.number == 2 && matches!(second.content, Some(Content::Envelope(_))), "{second:?}");
    world.finish().await
}

fn lost_lane(lane: i32) -> pb::LostLane {
    pb::LostLane { epoch: 1, lane, known_up_to: 0 }
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
