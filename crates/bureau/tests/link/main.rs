//! A whole bureau between an officer and a scripted hub, over real connections.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod faults;
mod hub;
mod long;
mod recovery;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hub::{Hub, delivery, envelope};
use i247_bureau::{Bureau, Config, ServeError};
use i247_model::{Audience, Hash, Header, Kind, MessageId, Timestamp};
use i247_node::{ChannelLimits, Clock as _, Seams, SystemClock, TcpNetwork, TlsClock};
use i247_trust::{Authority, Credentials, Presented, TlsKey, Validity};
use i247_wire::pb;
use i247_wire::pb::connect_response::Frame as Down;
use i247_wire::pb::desk_service_client::DeskServiceClient;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

const REGISTER: &str = r#"{"family_name":"MARLOWE","forename":"TESSA","date_of_birth":"1987-03-22","files":["ENTRY_EXIT"],"place":"Split","note":"entered by road"}"#;

/// Everybody's credentials, a directory, and a hub.
struct World {
    dir: tempfile::TempDir,
    france: Credentials,
    brazil: Credentials,
    japan: Credentials,
    reviewer: Credentials,
    officer: Credentials,
    hub: Hub,
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

impl World {
    fn new() -> Self {
        let validity = Validity::lasting(now(), Duration::from_secs(86_400));
        let authority = Authority::new(validity, TlsKey::P256).unwrap();
        // What is issued lies within what the authority has.
        let validity = Validity::lasting(now(), Duration::from_secs(3600));
        let enrol = |path: &str| {
            let identity = format!("spiffe://i247.test/{path}").parse().unwrap();
            authority.enrol(&identity, &["127.0.0.1"], validity, TlsKey::P256).unwrap()
        };
        let national = authority.issue_national("FR".parse().unwrap(), validity, TlsKey::P256).unwrap();
        let duty = "spiffe://i247.test/ncb/fr/officer/duty".parse().unwrap();
        let officer = national.enrol(&duty, &[], validity, TlsKey::P256).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("register.jsonl"), REGISTER).unwrap();
        let france = enrol("ncb/fr");
        let hub = Hub::new(enrol("gs/hub/lyon"), &france);
        let (brazil, japan, reviewer) = (enrol("ncb/br"), enrol("ncb/jp"), enrol("gs/reviewer/lena"));
        Self { dir, france, brazil, japan, reviewer, officer, hub }
    }

    /// Starts France's bureau on what is in the directory.
    async fn bureau(&self, hub: std::net::SocketAddr) -> Running {
        self.bureau_with(hub, Seams::system()).await
    }

    async fn bureau_with(&self, hub: std::net::SocketAddr, seams: Seams) -> Running {
        let config = Config {
            listen: "127.0.0.1:0".into(),
            hub: hub.to_string(),
            data: self.dir.path().join("data"),
            register: Some(self.dir.path().join("register.jsonl")),
            segment: "1MiB".parse().unwrap(),
            ..Config::default()
        };
        let bureau = Bureau::build(config, self.france.clone(), seams).await.unwrap();
        let (address, digest, replayed) = (bureau.local_addr(), bureau.digest(), bureau.replayed());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(bureau.serve(stop.clone()));
        let presented = Presented::new(&self.officer).unwrap();
        let time = Arc::new(TlsClock(Arc::new(SystemClock::new())));
        let france = self.france.identity.clone();
        let tls = i247_trust::client_config(presented, &self.officer.root, time, move |who| *who == france);
        let network = Arc::new(TcpNetwork);
        let channel =
            i247_node::connect(network, &address.to_string(), tls.unwrap(), &ChannelLimits::default())
                .unwrap();
        Running { desk: DeskServiceClient::new(channel), digest, replayed, stop, serving }
    }

    fn introduce(&self, who: &Credentials) {
        let certificates = who.signing_chain.clone();
        self.hub.deliver(Down::Introduction(pb::Introduction { certificates }));
    }

    /// Brazil's question about a person who is in France's register.
    fn question(&self, number: u64) -> pb::Envelope {
        let form = pb::body::Form::Request(pb::Request {
            subject: Some(pb::Identity {
                family_name: "Marlowe".into(),
                forename: "Tessa".into(),
                date_of_birth: "1987-03-22".into(),
                ..Default::default()
            }),
            questions: vec![pb::Question::EntryExit.into()],
            reason: "seen in your region".into(),
            crime_area: "FINANCIAL".into(),
            notice_id: "2026/7".into(),
        });
        let mut header = header(&format!("BR-1-N-{number}"), Kind::Request);
        header.reply_by = Some(now().plus(Duration::from_secs(3600)));
        envelope(&self.brazil, header, &body(form))
    }

    /// The Red Notice on the same person, asked for by Brazil.
    fn notice(&self) -> pb::Envelope {
        let form = pb::body::Form::Notice(pb::Notice {
            notice_id: "2026/7".into(),
            edition: 1,
            requester: "BR".into(),
            form: Some(pb::NoticeForm {
                form: Some(pb::notice_form::Form::Red(pb::RedForm::default())),
                ..Default::default()
            }),
            request_header_hash: Bytes::from_static(&[7; 32]),
            except: Vec::new(),
        });
        let mut header = header("GS.lena-1-N-1", Kind::Notice);
        header.audience = Audience::all().except(["BR".parse().unwrap()]);
        header.refers_to = Some("BR-1-N-9".parse().unwrap());
        envelope(&self.reviewer, header, &body(form))
    }
}

/// A bureau that serves.
struct Running {
    desk: DeskServiceClient<Channel>,
    digest: Hash,
    /// Entries that were read at the start.
    replayed: u64,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
    }

    async fn report(&mut self) -> pb::ReportResponse {
        self.desk.report(pb::ReportRequest {}).await.unwrap().into_inner()
    }

    /// Watches from the first arrival until an event is the one that is waited for.
    async fn until(&mut self, wanted: impl Fn(&pb::watch_response::Event) -> bool) {
        let mut events = self.desk.watch(pb::WatchRequest { after: 0 }).await.unwrap().into_inner();
        let waiting = async {
            while let Some(response) = events.message().await.unwrap() {
                if response.event.as_ref().is_some_and(&wanted) {
                    return;
                }
            }
            panic!("the watch ended");
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it should have happened by now");
    }
}

fn header(id: &str, kind: Kind) -> Header {
    let id: MessageId = id.parse().unwrap();
    Header {
        previous: (id.number > 1).then_some(Hash([1; 32])),
        operation: Some("op-1".into()),
        ..Header::bare(
            id,
            kind,
            Audience::countries(["FR".parse().unwrap()]),
            Hash([0; 32]),
            now(),
            (Hash([0; 32]), Hash([0; 32])),
        )
    }
}

fn body(form: pb::body::Form) -> pb::Body {
    pb::Body { subject: "A subject".into(), language: "EN".into(), form: Some(form), ..Default::default() }
}

fn words(text: &str, key: &str) -> pb::SendRequest {
    let draft = pb::Draft {
        kind: pb::Kind::FreeText.into(),
        audience: Some(pb::Audience { countries: vec!["BR".into()], ..Default::default() }),
        body: Some(body(pb::body::Form::FreeText(pb::FreeText { text: text.into() }))),
        idempotency_key: key.into(),
        ..Default::default()
    };
    pb::SendRequest { draft: Some(draft) }
}

fn ids(seen: &hub::Seen) -> Vec<String> {
    seen.messages.iter().map(|(header, _)| header.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_desk_takes_reaches_the_hub_once_also_across_a_restart() {
    let world = World::new();
    let away = CancellationToken::new();
    let nobody = world.hub.serve(away.clone()).await;
    away.cancel();

    // The hub is away: the work is taken all the same.
    let mut bureau = world.bureau(nobody).await;
    let first = bureau.desk.send(words("one", "k1")).await.unwrap().into_inner().id;
    let again = bureau.desk.send(words("one", "k1")).await.unwrap().into_inner().id;
    let second = bureau.desk.send(words("two", "")).await.unwrap().into_inner().id;
    assert_eq!([first.as_str(), &again, &second], ["FR-1-N-1", "FR-1-N-1", "FR-1-N-2"]);
    assert_eq!(bureau.report().await.outbox_waiting, 2);
    bureau.stop().await;

    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    let seen = world.hub.seen(|seen| seen.messages.len() == 2).await;
    assert_eq!(ids(&seen), ["FR-1-N-1", "FR-1-N-2"]);
    assert_eq!(seen.messages[0].0.seat.as_ref().unwrap().as_str(), "duty");
    let third = bureau.desk.send(words("three", "")).await.unwrap().into_inner().id;
    world.hub.seen(|seen| ids(seen).contains(&third)).await;
    let status = bureau.desk.status(pb::StatusRequest { id: "FR-1-N-2".into() }).await.unwrap().into_inner();
    assert_eq!(status.item.unwrap().state(), pb::OutboxState::Accepted);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_by_policy_once_although_the_notice_comes_after_it() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let bureau = world.bureau(hub).await;
    world.introduce(&world.brazil);
    world.introduce(&world.reviewer);
    world.hub.deliver(delivery(1, now(), world.question(1)));
    let seen = world.hub.seen(|seen| seen.messages.len() == 2).await;
    let kinds: Vec<_> = seen.messages.iter().map(|(header, _)| (header.kind, header.reply_stage)).collect();
    use i247_model::ReplyStage::{Final, Interim};
    assert_eq!(kinds, [(Kind::Reply, Some(Interim)), (Kind::Reply, Some(Final))]);

    world.hub.deliver(delivery(2, now(), world.notice()));
    let seen = world.hub.seen(|seen| seen.messages.len() == 4).await;
    let kinds: Vec<_> = seen.messages[2..].iter().map(|(header, _)| header.kind).collect();
    assert_eq!(kinds, [Kind::NationalDecision, Kind::PersonLocated]);
    world.hub.seen(|seen| seen.delivered.get(&pb::Lane::Normal.into()) == Some(&2)).await;
    bureau.stop().await;

    // Started again, everything is delivered again, and nothing is sent again.
    let mut bureau = world.bureau(hub).await;
    assert_ne!(bureau.digest, Hash([0; 32]));
    let id = bureau.desk.send(words("the last", "")).await.unwrap().into_inner().id;
    let seen = world.hub.seen(|seen| ids(seen).contains(&id)).await;
    assert_eq!(seen.messages.len(), 5);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_delivery_is_kept_as_evidence_and_never_shown() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    world.introduce(&world.brazil);
    let mut forged = world.question(1);
    let mut signature = forged.signature.take().unwrap();
    let mut bytes = signature.signature.to_vec();
    bytes[3] ^= 1;
    signature.signature = bytes.into();
    forged.signature = Some(signature);
    world.hub.deliver(delivery(1, now(), forged));
    world.hub.deliver(delivery(2, now(), world.question(2)));
    bureau
        .until(|event| matches!(event, pb::watch_response::Event::Arrived(item) if item.id == "BR-1-N-2"))
        .await;
    let inbox = bureau.desk.list_inbox(pb::ListInboxRequest::default()).await.unwrap().into_inner();
    assert_eq!(
        (inbox.total, inbox.items[0].id.as_str(), inbox.items[0].subject.as_str()),
        (1, "BR-1-N-2", "A subject")
    );

    // The number counts as delivered, and reading is told to the hub.
    world.hub.seen(|seen| seen.delivered.get(&pb::Lane::Normal.into()) == Some(&2)).await;
    let shown = bureau.desk.show(pb::ShowRequest { id: "BR".into() }).await.unwrap().into_inner();
    assert_eq!((shown.signed_by.as_str(), shown.position), ("spiffe://i247.test/ncb/br", 2));
    world.hub.seen(|seen| seen.opened == [2]).await;
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_is_at_the_hub_before_the_message_that_names_it() {
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    use pb::add_attachment_request::Frame;
    let note = pb::AttachmentNote { name: "face.png".into(), media_type: "image/png".into(), size_bytes: 0 };
    let frames =
        [Frame::Note(note), Frame::Data(vec![1; 70_000].into()), Frame::Data(vec![2; 70_000].into())];
    let requests = frames.map(|frame| pb::AddAttachmentRequest { frame: Some(frame) });
    let added = bureau.desk.add_attachment(tokio_stream::iter(requests)).await.unwrap().into_inner();
    assert_eq!(added.size_bytes, 140_000);
    let mut request = words("see the picture", "");
    request.draft.as_mut().unwrap().attachments = vec![added.commitment.clone()];
    bureau.desk.send(request).await.unwrap();
    let seen = world.hub.seen(|seen| seen.messages.len() == 1).await;
    assert_eq!(seen.messages[0].0.attachments, [Hash::from_slice(&added.commitment).unwrap()]);
    assert_eq!(seen.messages[0].1.attachments[0].size_bytes, 140_000);

    let request = pb::OpenAttachmentRequest { message_id: "FR-1-N-1".into(), index: 0 };
    let mut frames = bureau.desk.open_attachment(request).await.unwrap().into_inner();
    let mut size = 0;
    while let Some(response) = frames.message().await.unwrap() {
        if let Some(pb::open_attachment_response::Frame::Data(data)) = response.frame {
            size += data.len();
        }
    }
    assert_eq!(size, 140_000);
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_of_a_received_message_is_fetched_verified_and_kept() {
    use pb::fetch_attachment_response::Frame;
    use prost::Message as _;
    let world = World::new();
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    let picture = Bytes::from_static(b"a picture");
    let manifest = pb::AttachmentManifest {
        size_bytes: 9,
        chunk_bytes: 65_536,
        chunks: vec![Bytes::copy_from_slice(i247_trust::sha256(&[&picture]).as_bytes())],
        salt: Bytes::from_static(&[3; 16]),
    };
    let chunk = |data: &Bytes| Frame::Chunk(pb::AttachmentChunk { index: 0, data: data.clone() });
    let mut header = header("BR-1-N-1", Kind::FreeText);
    header.attachments = vec![i247_trust::sha256(&[&manifest.encode_to_vec()])];
    let text = body(pb::body::Form::FreeText(pb::FreeText { text: "see".into() }));
    world.introduce(&world.brazil);
    world.hub.deliver(delivery(1, now(), envelope(&world.brazil, header, &text)));
    bureau.until(|event| matches!(event, pb::watch_response::Event::Arrived(_))).await;
    let request = || pb::OpenAttachmentRequest { message_id: "BR-1-N-1".into(), index: 0 };

    let forged = vec![Frame::Manifest(manifest.clone()), chunk(&Bytes::from_static(b"another p"))];
    world.hub.attachment.send_replace(forged);
    let refused = bureau.desk.open_attachment(request()).await.unwrap_err();
    assert_eq!(i247_wire::refusal(&refused).unwrap().reason, i247_model::Reason::BodyMismatch);

    world.hub.attachment.send_replace(vec![Frame::Manifest(manifest), chunk(&picture)]);
    for _ in 0..2 {
        let mut frames = bureau.desk.open_attachment(request()).await.unwrap().into_inner();
        let mut content = Vec::new();
        while let Some(response) = frames.message().await.unwrap() {
            if let Some(pb::open_attachment_response::Frame::Data(data)) = response.frame {
                content.extend_from_slice(&data);
            }
        }
        assert_eq!(content, picture);
        // The second time it comes from here.
        world.hub.attachment.send_replace(Vec::new());
    }
    bureau.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureau_from_an_older_copy_halts_says_so_and_recovers_by_a_signed_message() {
    let mut world = World::new();
    world.hub.claims_delivered = 5;
    let hub = world.hub.serve(CancellationToken::new()).await;
    let mut bureau = world.bureau(hub).await;
    bureau.desk.send(words("one", "")).await.unwrap();
    let seen = world.hub.seen(|seen| seen.streams > 0).await;
    assert!(seen.messages.is_empty());
    let halted = async {
        while bureau.report().await.halted.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), halted).await.unwrap();
    let reason = || pb::RecoverRequest { reason: "disk replaced".into() };
    let epoch = bureau.desk.recover(reason()).await.unwrap().into_inner().epoch;
    assert_eq!(epoch, 2);
    let seen = world.hub.seen(|seen| seen.messages.len() == 1).await;
    assert_eq!(ids(&seen), ["FR-2-V-1"]);
    assert_eq!(seen.messages[0].0.kind, Kind::NewEpoch);
    let again = bureau.desk.recover(reason()).await.unwrap_err();
    assert_eq!(i247_wire::refusal(&again).unwrap().reason, i247_model::Reason::WrongReference);
    bureau.stop().await;
}
