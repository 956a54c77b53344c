//! What a bureau does after a long time: away from its hub, with a hub that is not whole, with a disk that decays.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_ledger::disk::OsDisk;
use i247_ledger::{Draft, Inline, Ledger as _, Options, Segments};
use i247_model::{Hash, Header, Kind, Reason};
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use crate::hub::{LOG_ID, Mood};
use crate::{Running, World, header, ids, words};

/// Writes entries into the journal of a bureau that does not run.
async fn write(world: &World, events: Vec<Event>) {
    let options = Options { segment_bytes: 1 << 20, blocking: Arc::new(Inline), ..Options::default() };
    let dir = world.dir.path().join("data").join("journal");
    let (journal, _) = Segments::open(Arc::new(OsDisk), dir, options).unwrap();
    for events in events.chunks(1000) {
        let draft = |event: &Event| {
            let entry = pb::JournalEntry { at_ms: 1000, event: Some(event.clone()) };
            Draft { entry: entry.encode_to_vec().into(), body: None }
        };
        journal.append(journal.end(), events.iter().map(draft).collect()).await.unwrap();
    }
    journal.close().await.unwrap();
}

fn arrived(number: u64) -> Event {
    Event::Arrived(pb::JournalArrived {
        lane: pb::Lane::Normal.into(),
        number,
        header: i247_wire::encode_header(&header(&format!("BR-1-N-{number}"), Kind::FreeText)),
        signed_by: "spiffe://i247.test/ncb/br".into(),
        ..Default::default()
    })
}

/// A message of France that the hub has accepted and not closed.
fn open(number: u64) -> [Event; 3] {
    let header = Header {
        audience: header("BR-1-N-1", Kind::FreeText).audience,
        ..header(&format!("FR-1-B-{number}"), Kind::FreeText)
    };
    let acceptance = pb::Acceptance {
        id: header.id.to_string(),
        log_id: Bytes::from_static(LOG_ID),
        position: number,
        ..Default::default()
    };
    let signed = pb::Signed { payload: acceptance.encode_to_vec().into(), ..Default::default() };
    let result = pb::SubmitResult {
        id: header.id.to_string(),
        result: Some(pb::submit_result::Result::Acceptance(signed)),
    };
    let bytes = i247_wire::encode_header(&header);
    [
        Event::Accepted(pb::JournalAccepted { header: Some((&header).into()), ..Default::default() }),
        Event::Sealed(pb::JournalSealed { id: header.id.to_string(), header: bytes, signature: None }),
        Event::Answered(pb::JournalAnswered { result: Some(result) }),
    ]
}

async fn until_accepted(bureau: &mut Running, id: &str) {
    let waiting = async {
        loop {
            let asked = pb::StatusRequest { id: id.into() };
            let item = bureau.desk.status(asked).await.unwrap().into_inner().item.unwrap();
            if item.state() == pb::OutboxState::Accepted {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_marks_and_open_messages_are_caught_up_with_however_many_and_told_once() {
    const ARRIVALS: u64 = 8400;
    const OPEN: u64 = 4200;
    let world = World::new();
    let mut events: Vec<Event> = (1..=ARRIVALS).map(arrived).collect();
    let opened: Vec<u64> = (1..=ARRIVALS).step_by(2).collect();
    events.extend(opened.iter().map(|number| {
        let id = format!("BR-1-N-{number}");
        Event::Marked(pb::JournalMarked { id, actioned: false, officer: "away".into() })
    }));
    events.extend((1..=OPEN).flat_map(open));
    let written = events.len() as u64;
    write(&world, events).await;
    world.hub.remembers(ARRIVALS);
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    assert_eq!(bureau.replayed, written);
    let seen =
        world.hub.seen(|seen| seen.opened.len() == opened.len() && seen.asked.len() as u64 == OPEN).await;
    assert_eq!(seen.opened, opened);

    // The answer to a message behind the marks proves that the hub has them: also after a restart they are not told.
    let id = bureau.desk.send(words("one", "")).await.unwrap().into_inner().id;
    until_accepted(&mut bureau, &id).await;
    bureau.stop().await;
    world.hub.remembers(ARRIVALS);
    let mut bureau = world.bureau(hub).await;
    assert!(bureau.replayed < 20, "the snapshot of the clean stop: {} were read", bureau.replayed);
    let id = bureau.desk.send(words("two", "")).await.unwrap().into_inner().id;
    let seen = world.hub.seen(|seen| ids(seen).contains(&id)).await;
    assert_eq!(seen.opened, Vec::<u64>::new());
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_from_a_snapshot_shows_what_a_restart_from_the_journal_shows() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    world.introduce(&world.brazil);
    world.introduce(&world.reviewer);
    let mut bureau = world.bureau(hub).await;
    world.hub.deliver(crate::delivery(1, crate::now(), world.question(1)));
    world.hub.deliver(crate::delivery(2, crate::now(), world.notice()));
    world.hub.seen(|seen| seen.messages.len() == 4).await;
    let id = bureau.desk.send(words("one", "key")).await.unwrap().into_inner().id;
    until_accepted(&mut bureau, &id).await;
    bureau.stop().await;
    let journal = world.dir.path().join("data").join("journal");
    let country = "FR".parse().unwrap();
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let bureau = world.bureau(nowhere).await;
    let from_snapshot = (bureau.digest, bureau.replayed);
    assert_eq!(from_snapshot.1, 0);
    bureau.stop().await;
    let rebuilt = i247_bureau::rebuild(country, Arc::new(OsDisk), Arc::new(Inline), &journal).await.unwrap();
    assert_eq!((rebuilt.digest, rebuilt.snapshots_removed), (from_snapshot.0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_answers_behind_halts_with_one_text_until_it_accepts_again() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    world.hub.is_in(Mood::Behind);
    bureau.desk.send(words("one", "")).await.unwrap();
    bureau.desk.send(words("two", "")).await.unwrap();
    let halted = async {
        loop {
            let halted = bureau.report().await.halted;
            if !halted.is_empty() {
                return halted;
            }
            tokio::task::yield_now().await;
        }
    };
    let why = tokio::time::timeout(Duration::from_secs(20), halted).await.unwrap();
    assert!(why.contains("older copy") && why.contains("operator"), "{why}");

    // The next stream is greeted as ever, and only its first message shows what the hub is.
    let before = world.hub.seen(|_| true).await;
    world.hub.is_in(Mood::Ponders);
    world.hub.seen(|seen| seen.submitted > before.submitted && seen.streams > before.streams).await;
    let report = bureau.report().await;
    assert_eq!((report.halted.as_str(), report.connected), (why.as_str(), false));
    world.hub.is_in(Mood::Accepts);
    let seen = world.hub.seen(|seen| seen.messages.len() == 2).await;
    assert_eq!(ids(&seen), ["FR-1-N-1", "FR-1-N-2"]);
    let report = bureau.report().await;
    assert_eq!((report.halted.as_str(), report.connected), ("", true));
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_attachment_decayed_is_given_up_and_a_void_lets_its_lane_go_on() {
    use pb::add_attachment_request::Frame;
    let world = World::new();
    let away = CancellationToken::new();
    let nobody = world.hub.serve(away.clone()).await;
    away.cancel();
    let mut bureau = world.bureau(nobody).await;
    let note = pb::AttachmentNote { name: "face.png".into(), media_type: "image/png".into(), size_bytes: 0 };
    let frames = [Frame::Note(note), Frame::Data(vec![1; 70_000].into())];
    let requests = frames.map(|frame| pb::AddAttachmentRequest { frame: Some(frame) });
    let added = bureau.desk.add_attachment(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let mut request = words("see the picture", "");
    request.draft.as_mut().unwrap().attachments = vec![added.commitment.clone()];
    bureau.desk.send(request).await.unwrap();
    bureau.desk.send(words("the next of the lane", "")).await.unwrap();
    bureau.stop().await;

    let name = Hash::from_slice(&added.commitment).unwrap().to_string();
    let file = world.dir.path().join("data").join("attachments").join(name);
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();

    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    let seen = world.hub.seen(|seen| seen.messages.len() == 2).await;
    assert_eq!(ids(&seen), ["FR-1-N-1", "FR-1-N-2"]);
    assert_eq!((seen.messages[0].0.kind, seen.messages[1].0.kind), (Kind::Void, Kind::FreeText));
    let status = bureau.desk.status(pb::StatusRequest { id: "FR-1-N-1".into() }).await.unwrap().into_inner();
    let item = status.item.unwrap();
    assert_eq!(
        (item.state(), item.kind(), item.subject.as_str()),
        (pb::OutboxState::Refused, pb::Kind::FreeText, "A subject")
    );
    let refusal = item.refusal.unwrap();
    assert_eq!(refusal.reason, Reason::AttachmentMissing.as_str());
    assert!(refusal.next_step.contains("add it again"), "{}", refusal.next_step);
    until_accepted(&mut bureau, "FR-1-N-2").await;
    bureau.stop().await;

    let mut bureau = world.bureau(hub).await;
    let third = bureau.desk.send(words("three", "")).await.unwrap().into_inner().id;
    let seen = world.hub.seen(|seen| ids(seen).contains(&third)).await;
    assert_eq!(seen.messages.len(), 3);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_draft_under_a_known_key_is_refused_and_the_same_one_with_its_attachment_stored_anew_is_not()
{
    use pb::add_attachment_request::Frame;
    let world = World::new();
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let mut bureau = world.bureau(nowhere).await;
    let mut commitments = Vec::new();
    for picture in [1, 1, 2] {
        let note = pb::AttachmentNote { name: "face.png".into(), ..Default::default() };
        let frames = [Frame::Note(note), Frame::Data(vec![picture; 70_000].into())];
        let requests = frames.map(|frame| pb::AddAttachmentRequest { frame: Some(frame) });
        let added = bureau.desk.add_attachment(tokio_stream::iter(requests)).await.unwrap().into_inner();
        commitments.push(added.commitment);
    }
    let shown = |text: &str, picture: usize| {
        let mut request = words(text, "case 17");
        request.draft.as_mut().unwrap().attachments = vec![commitments[picture].clone()];
        let mut desk = bureau.desk.clone();
        async move { desk.send(request).await.map(|sent| sent.into_inner().id) }
    };
    assert_eq!(shown("see", 0).await.unwrap(), "FR-1-N-1");
    assert_eq!(shown("see", 1).await.unwrap(), "FR-1-N-1");
    for another in [shown("see", 2).await, shown("look", 0).await] {
        let refusal = i247_wire::refusal(&another.unwrap_err()).unwrap();
        assert_eq!(
            (refusal.reason, refusal.fields),
            (Reason::WrongField, vec!["draft.idempotency_key".to_owned()])
        );
        assert!(refusal.next_step.contains("FR-1-N-1"), "{}", refusal.next_step);
    }
    assert_eq!(bureau.report().await.outbox_waiting, 1);
    bureau.stop().await;
}

/// Changes one byte behind the first place where this text stands in the journal of a bureau that runs.
fn damage(world: &World, text: &[u8]) {
    let dir = world.dir.path().join("data").join("journal");
    for file in std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text) {
            let at = at + text.len();
            // In its place: the bureau goes on writing behind it.
            let open = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
            open.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
            return;
        }
    }
    panic!("it is not in the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_named_and_the_rest_of_its_page_is_served() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    world.introduce(&world.brazil);
    for number in 1..=3 {
        world.hub.deliver(crate::delivery(number, crate::now(), world.question(number)));
    }
    // Each is answered twice, so that the outbox has a page too.
    world.hub.seen(|seen| seen.messages.len() == 6).await;
    damage(&world, b"BR-1-N-2");
    let inbox = bureau.desk.list_inbox(pb::ListInboxRequest::default()).await.unwrap().into_inner();
    let listed: Vec<(&str, &str, bool)> =
        inbox.items.iter().map(|item| (item.id.as_str(), item.subject.as_str(), item.unreadable)).collect();
    assert_eq!(
        listed,
        [("BR-1-N-3", "A subject", false), ("BR-1-N-2", "", true), ("BR-1-N-1", "A subject", false)]
    );
    damage(&world, b"FR-1-N-4");
    let outbox = bureau.desk.list_outbox(pb::ListOutboxRequest::default()).await.unwrap().into_inner();
    let unreadable: Vec<&str> =
        outbox.items.iter().filter(|item| item.unreadable).map(|item| item.id.as_str()).collect();
    assert_eq!((outbox.items.len(), unreadable), (6, vec!["FR-1-N-4"]));
    // Itself it is refused, not shown as something else.
    let shown = bureau.desk.show(pb::ShowRequest { id: "BR-1-N-2".into() }).await;
    assert!(shown.is_err());
    bureau.stop().await;
}
