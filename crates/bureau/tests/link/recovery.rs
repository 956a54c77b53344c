//! A hub that was restored from an older copy and recovered: what its bureau gives back to it, and what it takes anew.

use std::sync::Arc;
use std::time::Duration;

use i247_ledger::Inline;
use i247_ledger::disk::OsDisk;
use i247_model::{Header, Kind, Reason, Refusal};
use i247_wire::pb;
use i247_wire::pb::connect_response::Frame as Down;
use tokio_util::sync::CancellationToken;

use crate::hub::{LOG_ID, Mood, Seen, delivery_at, envelope};
use crate::{Running, World, body, header, ids, now, words};

const SECOND_LOG: &[u8] = b"the log after it";
const NORMAL: i32 = pb::Lane::Normal as i32;

async fn send(bureau: &mut Running, text: &str) -> String {
    bureau.desk.send(words(text, "")).await.unwrap().into_inner().id
}

/// Asks for the report until it is as wanted.
async fn reported(bureau: &mut Running, wanted: impl Fn(&pb::ReportResponse) -> bool) -> pb::ReportResponse {
    let waiting = async {
        loop {
            let report = bureau.report().await;
            if wanted(&report) {
                return report;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the report should have come by now")
}

async fn item(bureau: &mut Running, id: &str) -> pb::OutboxItem {
    let status = bureau.desk.status(pb::StatusRequest { id: id.into() }).await;
    status.unwrap().into_inner().item.unwrap()
}

/// The place in the hub's log that the bureau has a receipt for.
async fn position(bureau: &mut Running, id: &str) -> u64 {
    let shown = bureau.desk.show(pb::ShowRequest { id: id.into() }).await;
    shown.unwrap().into_inner().position
}

/// Words from Brazil.
fn told(world: &World, number: u64) -> pb::Envelope {
    let form = pb::body::Form::FreeText(pb::FreeText { text: format!("the text {number}") });
    envelope(&world.brazil, header(&format!("BR-1-N-{number}"), Kind::FreeText), &body(form))
}

async fn until_delivered(world: &World, up_to: u64) -> Seen {
    world.hub.seen(|seen| seen.delivered.get(&NORMAL) == Some(&up_to)).await
}

/// A bureau that has sent three messages, accepted at positions 100, 101 and 102.
async fn three_sent(world: &World) -> Running {
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    for text in ["one", "two", "three"] {
        send(&mut bureau, text).await;
    }
    reported(&mut bureau, |report| report.outbox_waiting == 0).await;
    bureau
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_recovered_hub_lost_is_sent_again_with_its_acceptance_and_accepted_anew() {
    let world = World::new();
    let mut bureau = three_sent(&world).await;
    assert_eq!(bureau.report().await.warning, "");
    world.hub.is_in(Mood::Ponders);
    world.hub.recovers(SECOND_LOG, 100, 0);
    let report = reported(&mut bureau, |report| !report.warning.is_empty() && report.connected).await;
    assert!(report.warning.contains("2 sent messages are sent again"), "{}", report.warning);
    assert_eq!(report.halted, "");
    world.hub.is_in(Mood::Accepts);
    let seen = world.hub.seen(|seen| seen.messages.len() == 3).await;
    assert_eq!(ids(&seen), ["FR-1-N-1", "FR-1-N-2", "FR-1-N-3"]);
    assert_eq!(seen.resubmitted, [("FR-1-N-2".into(), 101), ("FR-1-N-3".into(), 102)]);
    // The log that was lost is named once more, then only the one that goes on, as far as the two are one.
    let hellos = &seen.hellos[seen.hellos.len() - 2..];
    assert_eq!((hellos[0].log_id.as_ref(), hellos[0].log_end_seen), (LOG_ID, 102));
    assert_eq!((hellos[1].log_id.as_ref(), hellos[1].log_end_seen), (SECOND_LOG, 100));
    assert_eq!(hellos[1].newest_acceptance, None);

    // The new acceptance is in the place of the old one: 101 is the hub's own first entry.
    reported(&mut bureau, |report| report.warning.is_empty()).await;
    assert_eq!(position(&mut bureau, "FR-1-N-2").await, 102);
    assert_eq!(position(&mut bureau, "FR-1-N-3").await, 103);
    let fourth = send(&mut bureau, "four").await;
    world.hub.seen(|seen| ids(seen).contains(&fourth)).await;
    reported(&mut bureau, |report| report.outbox_waiting == 0).await;
    bureau.stop().await;

    // Once is enough, also over a restart.
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    let fifth = send(&mut bureau, "five").await;
    let seen = world.hub.seen(|seen| ids(seen).contains(&fifth)).await;
    assert_eq!(seen.resubmitted.len(), 2);
    let hello = seen.hellos.last().unwrap();
    assert_eq!((hello.log_id.as_ref(), hello.log_end_seen), (SECOND_LOG, 104));
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureau_that_stops_in_the_middle_of_it_goes_on_where_it_was() {
    let world = World::new();
    let bureau = three_sent(&world).await;
    world.hub.is_in(Mood::Ponders);
    world.hub.recovers(SECOND_LOG, 100, 0);
    world.hub.seen(|seen| seen.resubmitted.len() == 1).await;
    bureau.stop().await;
    let journal = world.dir.path().join("data").join("journal");
    let (country, disk) = ("FR".parse().unwrap(), Arc::new(OsDisk));
    let rebuilt = i247_bureau::rebuild(country, disk, Arc::new(Inline), &journal).await.unwrap();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    assert_eq!((bureau.digest, bureau.replayed), (rebuilt.digest, 0));
    world.hub.is_in(Mood::Accepts);
    let seen = world.hub.seen(|seen| seen.messages.len() == 3).await;
    assert_eq!(ids(&seen), ["FR-1-N-1", "FR-1-N-2", "FR-1-N-3"]);
    reported(&mut bureau, |report| report.warning.is_empty()).await;
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_behind_the_copy_is_sent_again_too_so_that_no_number_is_missing() {
    let world = World::new();
    world.hub.refuses("FR-1-N-2", Refusal::of(Reason::UnknownCountry, "audience.countries"));
    let mut bureau = three_sent(&world).await;
    assert_eq!(item(&mut bureau, "FR-1-N-2").await.state(), pb::OutboxState::Refused);
    world.hub.refuses("FR-1-N-2", Refusal::of(Reason::UnknownCountry, "audience.countries"));
    world.hub.recovers(SECOND_LOG, 100, 0);
    let seen = world.hub.seen(|seen| seen.messages.len() == 3).await;
    assert_eq!(seen.resubmitted, [("FR-1-N-3".into(), 102)]);
    let refused = ("UNKNOWN_COUNTRY".to_owned(), vec!["audience.countries".to_owned()]);
    assert_eq!(seen.resubmitted_refused, [refused]);
    reported(&mut bureau, |report| report.warning.is_empty()).await;
    assert_eq!(item(&mut bureau, "FR-1-N-2").await.state(), pb::OutboxState::Refused);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_the_recovered_hub_does_not_undo_what_its_predecessor_accepted() {
    let world = World::new();
    let mut bureau = three_sent(&world).await;
    world.hub.refuses("FR-1-N-2", Refusal::of(Reason::Expired, "expires_at_ms"));
    world.hub.recovers(SECOND_LOG, 100, 0);
    let seen = world.hub.seen(|seen| seen.messages.len() == 3).await;
    assert_eq!(seen.resubmitted.len(), 2);
    let report = reported(&mut bureau, |report| report.warning.contains("FR-1-N-2")).await;
    assert!(report.warning.contains("1 that it had accepted before it refuses now"), "{}", report.warning);
    assert_eq!(item(&mut bureau, "FR-1-N-2").await.state(), pb::OutboxState::Accepted);
    assert_eq!(position(&mut bureau, "FR-1-N-2").await, 101);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_old_acceptance_is_not_believed_goes_without_it() {
    let world = World::new();
    let mut bureau = three_sent(&world).await;
    world.hub.refuses("FR-1-N-2", Refusal::of(Reason::UnknownKey, "acceptance.key_id"));
    world.hub.recovers(SECOND_LOG, 100, 0);
    let seen = world.hub.seen(|seen| seen.messages.len() == 3).await;
    assert_eq!(ids(&seen), ["FR-1-N-1", "FR-1-N-2", "FR-1-N-3"]);
    assert_eq!(seen.resubmitted.iter().filter(|(id, _)| id == "FR-1-N-2").count(), 1);
    assert_eq!(reported(&mut bureau, |report| report.warning.is_empty()).await.halted, "");
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_are_at_the_hub_again_before_the_message_that_names_them() {
    use pb::add_attachment_request::Frame;
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    let note = pb::AttachmentNote { name: "face.png".into(), media_type: "image/png".into(), size_bytes: 0 };
    let frames = [Frame::Note(note), Frame::Data(vec![1; 70_000].into())];
    let requests = frames.map(|frame| pb::AddAttachmentRequest { frame: Some(frame) });
    let added = bureau.desk.add_attachment(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let mut request = words("see the picture", "");
    request.draft.as_mut().unwrap().attachments = vec![added.commitment];
    bureau.desk.send(request).await.unwrap();
    reported(&mut bureau, |report| report.outbox_waiting == 0).await;
    world.hub.is_in(Mood::Ponders);
    world.hub.recovers(SECOND_LOG, 99, 0);
    let seen = world.hub.seen(|seen| seen.resubmitted.len() == 1).await;
    assert_eq!(seen.uploads, 2);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_that_the_hub_lacks_comes_from_a_recipient_who_has_it() {
    use pb::fetch_attachment_response::Frame;
    use prost::Message as _;
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    let picture = bytes::Bytes::from_static(b"a picture");
    let manifest = pb::AttachmentManifest {
        size_bytes: 9,
        chunk_bytes: 65_536,
        chunks: vec![bytes::Bytes::copy_from_slice(i247_trust::sha256(&[&picture]).as_bytes())],
        salt: bytes::Bytes::from_static(&[3; 16]),
    };
    let mut named = header("BR-1-N-1", Kind::FreeText);
    named.attachments = vec![i247_trust::sha256(&[&manifest.encode_to_vec()])];
    let form = pb::body::Form::FreeText(pb::FreeText { text: "see".into() });
    world.introduce(&world.brazil);
    world.hub.deliver(delivery_at(120, 1, now(), envelope(&world.brazil, named, &body(form))));
    until_delivered(&world, 1).await;
    let chunk = Frame::Chunk(pb::AttachmentChunk { index: 0, data: picture });
    world.hub.attachment.send_replace(vec![Frame::Manifest(manifest), chunk]);
    let request = pb::OpenAttachmentRequest { message_id: "BR-1-N-1".into(), index: 0 };
    let mut frames = bureau.desk.open_attachment(request).await.unwrap().into_inner();
    while frames.message().await.unwrap().is_some() {}

    world.hub.refuses("BR-1-N-1", Refusal::of(Reason::AttachmentMissing, "attachments"));
    world.hub.recovers(SECOND_LOG, 100, 0);
    let seen = world.hub.seen(|seen| seen.uploads == 1 && seen.handed_over.len() == 2).await;
    assert_eq!(seen.handed_over, ["BR-1-N-1", "BR-1-N-1"]);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_from_the_lost_part_is_handed_over_until_each_is_answered_and_then_never_again() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let bureau = world.bureau(hub).await;
    world.introduce(&world.brazil);
    for (number, position) in [(1, 50), (2, 120), (3, 121), (4, 122)] {
        world.hub.deliver(delivery_at(position, number, now(), told(&world, number)));
    }
    until_delivered(&world, 4).await;
    world.hub.refuses("BR-1-N-2", Refusal::of(Reason::OutOfOrder, "id"));
    world.hub.refuses("BR-1-N-3", Refusal::of(Reason::KindNotAllowed, "kind"));
    world.hub.recovers(SECOND_LOG, 100, 1);
    let seen = world.hub.seen(|seen| seen.handed_over.len() == 4).await;
    assert_eq!(seen.handed_over, ["BR-1-N-2", "BR-1-N-3", "BR-1-N-4", "BR-1-N-2"]);
    // A bureau that never sent anything has no acceptance, and knows its log from the deliveries.
    let hello = seen.hellos.last().unwrap();
    assert_eq!((hello.log_id.as_ref(), hello.mailbox.as_slice()), (SECOND_LOG, &mailbox(1)[..]));
    let mut bureau = bureau;
    reported(&mut bureau, |report| report.warning.is_empty()).await;
    bureau.stop().await;

    let mut bureau = world.bureau(hub).await;
    let id = send(&mut bureau, "the last").await;
    let seen = world.hub.seen(|seen| ids(seen).contains(&id)).await;
    assert_eq!(seen.handed_over.len(), 4);
    bureau.stop().await;
}

fn mailbox(received_up_to: u64) -> Vec<pb::MailboxEnd> {
    vec![pb::MailboxEnd { lane: NORMAL, received_up_to }]
}

#[tokio::test(flavor = "multi_thread")]
async fn handing_over_waits_for_the_bureaus_own_messages_but_not_for_one_that_waits_for_it() {
    let world = World::new();
    let bureau = three_sent(&world).await;
    world.introduce(&world.brazil);
    world.hub.deliver(delivery_at(103, 1, now(), told(&world, 1)));
    until_delivered(&world, 1).await;
    // It refers to what only this bureau still has.
    let wait = Refusal::of(Reason::ReferenceAhead, "refers_to").retry_after(Duration::from_secs(60));
    world.hub.refuses("FR-1-N-2", wait);
    world.hub.recovers(SECOND_LOG, 100, 0);
    let seen = world.hub.seen(|seen| !seen.handed_over.is_empty()).await;
    assert_eq!(seen.handed_over, ["BR-1-N-1"]);
    assert_eq!(seen.resubmitted[0], ("FR-1-N-2".into(), 101));
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_delivered_anew_is_acknowledged_shown_once_and_its_marks_are_told_again() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    let third = told(&world, 3);
    world.introduce(&world.brazil);
    world.hub.deliver(delivery_at(50, 1, now(), told(&world, 1)));
    // Taken back before it could be delivered; the copy knows nothing of that yet.
    let gap = pb::delivery::Content::Gap(pb::Gap::Withdrawn.into());
    let gap = pb::Delivery { lane: NORMAL, number: 2, position: 120, accepted_at_ms: 0, content: Some(gap) };
    world.hub.deliver(Down::Delivery(gap));
    world.hub.deliver(delivery_at(121, 3, now(), third.clone()));
    until_delivered(&world, 3).await;
    for id in ["BR-1-N-1", "BR-1-N-3"] {
        bureau.desk.show(pb::ShowRequest { id: id.into() }).await.unwrap();
    }
    world.hub.seen(|seen| seen.opened == [1, 3]).await;
    bureau.desk.mark_actioned(pb::MarkActionedRequest { id: "BR-1-N-3".into() }).await.unwrap();

    world.hub.recovers(SECOND_LOG, 100, 1);
    world.introduce(&world.brazil);
    world.introduce(&world.japan);
    let form = pb::body::Form::FreeText(pb::FreeText { text: "from Japan".into() });
    let japan = envelope(&world.japan, header("JP-1-N-1", Kind::FreeText), &body(form));
    world.hub.deliver(delivery_at(101, 2, now(), japan));
    world.hub.deliver(delivery_at(102, 3, now(), told(&world, 2)));
    world.hub.deliver(delivery_at(103, 4, now(), third));
    until_delivered(&world, 4).await;
    let seen = world.hub.seen(|seen| seen.opened == [1, 4] && seen.actioned == [4]).await;
    assert_eq!(seen.hellos.last().unwrap().mailbox, mailbox(1));
    let inbox = bureau.desk.list_inbox(pb::ListInboxRequest::default()).await.unwrap().into_inner();
    let listed: Vec<(&str, bool)> = inbox.items.iter().map(|item| (item.id.as_str(), item.opened)).collect();
    assert_eq!(listed, [("BR-1-N-2", false), ("JP-1-N-1", false), ("BR-1-N-3", true), ("BR-1-N-1", true)]);
    let report = bureau.report().await;
    assert_eq!((report.received, report.unopened, report.halted.as_str()), (4, 2, ""));
    // What an officer reads from here on is told under the new number.
    bureau.desk.show(pb::ShowRequest { id: "JP-1-N-1".into() }).await.unwrap();
    world.hub.seen(|seen| seen.opened == [1, 4, 2]).await;
    bureau.stop().await;

    // Nothing of it is mistaken at the next start.
    let mut bureau = world.bureau(hub).await;
    let id = send(&mut bureau, "the last").await;
    world.hub.seen(|seen| ids(seen).contains(&id)).await;
    assert_eq!(bureau.report().await.received, 4);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_in_the_lost_part_comes_after_all_and_what_had_expired_does_not() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    world.introduce(&world.brazil);
    for (number, gap) in [(1, pb::Gap::Withdrawn), (2, pb::Gap::Expired)] {
        let content = Some(pb::delivery::Content::Gap(gap.into()));
        let position = 110 + number;
        let gap = pb::Delivery { lane: NORMAL, number, position, accepted_at_ms: 0, content };
        world.hub.deliver(Down::Delivery(gap));
    }
    world.hub.deliver(delivery_at(60, 3, now(), told(&world, 3)));
    until_delivered(&world, 3).await;
    // All three numbers are in the copy, and nothing of what became of them.
    world.hub.recovers(SECOND_LOG, 100, 3);
    world.hub.remembers(0);
    world.introduce(&world.brazil);
    for number in 1..=3 {
        world.hub.deliver(delivery_at(50 + number, number, now(), told(&world, number)));
    }
    // What somebody else brought back late comes out of order.
    world.hub.deliver(delivery_at(105, 4, now(), told(&world, 9)));
    world.hub.deliver(delivery_at(106, 5, now(), told(&world, 8)));
    until_delivered(&world, 5).await;
    let inbox = bureau.desk.list_inbox(pb::ListInboxRequest::default()).await.unwrap().into_inner();
    let listed: Vec<&str> = inbox.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(listed, ["BR-1-N-8", "BR-1-N-9", "BR-1-N-1", "BR-1-N-3"]);
    bureau.stop().await;
    // An hour after that the order counts again.
    let mut bureau = world.bureau(hub).await;
    let later = now().plus(Duration::from_secs(2 * 60 * 60));
    world.hub.deliver(delivery_at(107, 6, later, told(&world, 7)));
    until_delivered(&world, 6).await;
    assert_eq!(bureau.report().await.received, 4);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_id_with_another_header_is_evidence_also_from_a_recovered_hub() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    let first = told(&world, 1);
    world.introduce(&world.brazil);
    world.hub.deliver(delivery_at(120, 1, now(), first.clone()));
    until_delivered(&world, 1).await;
    world.hub.recovers(SECOND_LOG, 100, 0);
    world.introduce(&world.brazil);
    let other = Header { operation: Some("another".into()), ..header("BR-1-N-1", Kind::FreeText) };
    let form = pb::body::Form::FreeText(pb::FreeText { text: "other words".into() });
    world.hub.deliver(delivery_at(101, 1, now(), envelope(&world.brazil, other, &body(form))));
    world.hub.deliver(delivery_at(102, 2, now(), first.clone()));
    // Once more under yet another number: out of turn, as ever.
    world.hub.deliver(delivery_at(103, 3, now(), first));
    until_delivered(&world, 3).await;
    let inbox = bureau.desk.list_inbox(pb::ListInboxRequest::default()).await.unwrap().into_inner();
    assert_eq!((inbox.total, inbox.items[0].operation.as_str()), (1, "op-1"));
    // Only the number under which it really came is its own.
    let shown = bureau.desk.show(pb::ShowRequest { id: "BR-1-N-1".into() }).await.unwrap().into_inner();
    assert_eq!(shown.position, 2);
    world.hub.seen(|seen| seen.opened == [2]).await;
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureau_halted_by_an_older_copy_goes_on_by_itself_once_the_hub_is_recovered() {
    let world = World::new();
    let mut bureau = three_sent(&world).await;
    world.hub.is_in(Mood::Behind);
    send(&mut bureau, "four").await;
    reported(&mut bureau, |report| report.halted.contains("older copy")).await;
    world.hub.recovers(SECOND_LOG, 100, 0);
    world.hub.is_in(Mood::Accepts);
    let seen = world.hub.seen(|seen| seen.messages.len() == 4).await;
    assert_eq!(ids(&seen), ["FR-1-N-1", "FR-1-N-2", "FR-1-N-3", "FR-1-N-4"]);
    let report = reported(&mut bureau, |report| report.warning.is_empty()).await;
    assert_eq!((report.halted.as_str(), report.connected), ("", true));
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_go_on_from_the_known_one_still_halts_the_bureau() {
    let world = World::new();
    let mut bureau = three_sent(&world).await;
    world.hub.begins_anew(SECOND_LOG);
    let report = reported(&mut bureau, |report| !report.halted.is_empty()).await;
    assert!(report.halted.contains("another log"), "{}", report.halted);
    assert_eq!(world.hub.seen(|_| true).await.resubmitted, []);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signature_for_several_acceptances_counts_for_each_of_them() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    world.hub.is_in(Mood::Gathers(3));
    for text in ["one", "two", "three"] {
        send(&mut bureau, text).await;
    }
    reported(&mut bureau, |report| report.outbox_waiting == 0).await;
    for (id, at) in [("FR-1-N-1", 100), ("FR-1-N-2", 101), ("FR-1-N-3", 102)] {
        assert_eq!(item(&mut bureau, id).await.state(), pb::OutboxState::Accepted);
        assert_eq!(position(&mut bureau, id).await, at);
    }
    bureau.stop().await;
}
