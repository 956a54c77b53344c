//! What a hub that cannot be believed tries, and what an outbox lives through while it waits.

use std::sync::Arc;
use std::time::Duration;

use i247_model::{Kind, Timestamp};
use i247_node::{Clock, Seams, SystemClock};
use i247_wire::pb;
use tokio_util::sync::CancellationToken;

use crate::hub::{delivery, envelope};
use crate::{World, body, header, ids, now, words};

/// The operating system's time, and so much more.
#[derive(Debug)]
struct Ahead(SystemClock, Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now().plus(self.1)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_envelope_under_a_new_mailbox_number_is_evidence_and_answered_once() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    world.introduce(&world.brazil);
    world.hub.deliver(delivery(1, now(), world.question(2)));
    world.hub.deliver(delivery(2, now(), world.question(2)));
    // Older than the one that came first: turned round.
    world.hub.deliver(delivery(3, now(), world.question(1)));
    world.hub.deliver(delivery(4, now(), world.question(3)));
    world.hub.seen(|seen| seen.delivered.get(&pb::Lane::Normal.into()) == Some(&4)).await;
    bureau
        .until(|event| matches!(event, pb::watch_response::Event::Arrived(item) if item.id == "BR-1-N-3"))
        .await;
    let inbox = bureau.desk.list_inbox(pb::ListInboxRequest::default()).await.unwrap().into_inner();
    let listed: Vec<&str> = inbox.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(listed, ["BR-1-N-3", "BR-1-N-2"]);
    // Two questions, each with an interim and a final answer.
    let seen = world.hub.seen(|seen| seen.messages.len() >= 4).await;
    let mut asked: Vec<String> =
        seen.messages.iter().map(|(header, _)| header.refers_to.as_ref().unwrap().to_string()).collect();
    asked.sort_unstable();
    assert_eq!(asked, ["BR-1-N-2", "BR-1-N-2", "BR-1-N-3", "BR-1-N-3"]);
    bureau.stop().await;

    // Told the same by a hub that has forgotten the receipts, it does not mistake one for another.
    let mut bureau = world.bureau(hub).await;
    let id = bureau.desk.send(words("the last", "")).await.unwrap().into_inner().id;
    world.hub.seen(|seen| ids(seen).contains(&id)).await;
    assert_eq!(bureau.report().await.halted, "");
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureau_cannot_cancel_the_notice_of_another_country() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    world.introduce(&world.reviewer);
    world.introduce(&world.japan);
    world.hub.deliver(delivery(1, now(), world.notice()));
    let mut cancel = header("JP-1-N-1", Kind::Cancellation);
    cancel.audience = i247_model::Audience::as_referred();
    cancel.refers_to = Some("GS.lena-1-N-1".parse().unwrap());
    let form = pb::Cancellation { notice_id: "2026/7".into(), reason: "no longer wanted".into() };
    let text = body(pb::body::Form::Cancellation(form));
    world.hub.deliver(delivery(2, now(), envelope(&world.japan, cancel, &text)));
    world.hub.seen(|seen| seen.delivered.get(&pb::Lane::Normal.into()) == Some(&2)).await;
    let inbox = bureau.desk.list_inbox(pb::ListInboxRequest::default()).await.unwrap().into_inner();
    assert_eq!((inbox.total, inbox.items[0].id.as_str()), (1, "GS.lena-1-N-1"));
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_expires_in_the_outbox_does_not_hold_up_what_comes_behind_it() {
    let world = World::new();
    let away = CancellationToken::new();
    let nobody = world.hub.serve(away.clone()).await;
    away.cancel();
    let mut bureau = world.bureau(nobody).await;
    let mut soon = words("soon over", "");
    let expires_at = now().plus(Duration::from_secs(30));
    soon.draft.as_mut().unwrap().expires_at_ms = expires_at.as_millis();
    bureau.desk.send(soon).await.unwrap();
    bureau.desk.send(words("two", "")).await.unwrap();
    bureau.stop().await;

    // A minute later the hub is back.
    let hub = world.hub.serve(CancellationToken::new()).await;
    let later = Ahead(SystemClock::new(), Duration::from_secs(60));
    let seams = Seams { clock: Arc::new(later), ..Seams::system() };
    let mut bureau = world.bureau_with(hub, seams).await;
    let seen = world.hub.seen(|seen| seen.messages.len() == 2).await;
    assert_eq!(ids(&seen), ["FR-1-N-1", "FR-1-N-2"]);
    // Signed within its time, so that a hub can refuse it as expired.
    assert!(seen.messages[0].0.signed_at < expires_at);
    assert_eq!(bureau.report().await.halted, "");
    bureau.stop().await;
}
