//! A scripted hub: it greets, accepts whatever is signed and in order, delivers what a test hands it, and remembers
//! everything it sees. It decides nothing, and knows no audience.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use i247_model::{Hash, Header, Identity, Refusal, Timestamp};
use i247_node::{
    Clock, Limits, Live, Network as _, Role, Rule, Rules, Server, SystemClock, TcpNetwork, TlsClock,
};
use i247_trust::{Admission, Attested, Credentials, Presented, Signer};
use i247_wire::pb;
use i247_wire::pb::connect_request::Frame as Up;
use i247_wire::pb::connect_response::Frame as Down;
use i247_wire::pb::exchange_service_server::{ExchangeService, ExchangeServiceServer};
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

pub(crate) const LOG_ID: &[u8] = b"a scripted log";

/// What the hub has seen so far.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Accepted messages, in order.
    pub(crate) messages: Vec<(Header, pb::Body)>,
    /// Signed for, per lane.
    pub(crate) delivered: BTreeMap<i32, u64>,
    /// Mailbox numbers that an officer opened.
    pub(crate) opened: Vec<u64>,
    /// Messages that were asked about.
    pub(crate) asked: BTreeSet<String>,
    /// Envelopes that came, answered or not.
    pub(crate) submitted: usize,
    /// Streams that were greeted.
    pub(crate) streams: usize,
    hashes: BTreeMap<String, (Hash, u64)>,
}

/// What the hub says to envelopes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    /// Whatever is right is accepted.
    Accepts,
    /// It says that it is an older copy.
    Behind,
    /// It waits for another mood.
    Ponders,
}

/// The hub and its script.
#[derive(Clone)]
pub(crate) struct Hub {
    credentials: Arc<Credentials>,
    clock: Arc<dyn Clock>,
    bureau: Arc<Signer>,
    seen: Arc<watch::Sender<Seen>>,
    script: Arc<watch::Sender<Vec<Down>>>,
    mood: Arc<watch::Sender<Mood>>,
    /// The frames that every fetch of an attachment is answered with.
    pub(crate) attachment: Arc<watch::Sender<Vec<pb::fetch_attachment_response::Frame>>>,
    /// Claims another mailbox than it has: a bureau restored from an older copy.
    pub(crate) claims_delivered: u64,
}

#[derive(Debug)]
struct Anybody;

impl Admission for Anybody {
    fn admit(&self, _: &Identity, _: &Hash) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Hub {
    /// A hub that knows one bureau.
    pub(crate) fn new(credentials: Credentials, bureau: &Credentials) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let bureau = i247_trust::introduce(&bureau.signing_chain, &credentials.root, clock.now()).unwrap();
        Self {
            credentials: Arc::new(credentials),
            clock,
            bureau: Arc::new(bureau),
            seen: Arc::new(watch::Sender::new(Seen::default())),
            script: Arc::new(watch::Sender::new(Vec::new())),
            mood: Arc::new(watch::Sender::new(Mood::Accepts)),
            attachment: Arc::new(watch::Sender::new(Vec::new())),
            claims_delivered: 0,
        }
    }

    /// Serves on a free port until `stop`.
    pub(crate) async fn serve(&self, stop: CancellationToken) -> SocketAddr {
        let listener = TcpNetwork.listen("127.0.0.1:0").await.unwrap();
        let address = listener.address();
        let presented = Presented::new(&self.credentials).unwrap();
        let time = Arc::new(TlsClock(self.clock.clone()));
        let rule = Rule::Roles(&[Role::Bureau]);
        let calls = [
            "Connect",
            "Submit",
            "Explain",
            "Statuses",
            "FindAttachment",
            "PutAttachment",
            "FetchAttachment",
        ];
        let table = calls.map(|call| {
            let path: &'static str = Box::leak(format!("/i247.v1.ExchangeService/{call}").into_boxed_str());
            (path, rule.clone())
        });
        let server = Server {
            tls: i247_trust::server_config(presented, &self.credentials.root, time, Arc::new(Anybody))
                .unwrap(),
            admission: Arc::new(Anybody),
            rules: Rules::new(i247_wire::DESCRIPTOR, &["i247.v1.ExchangeService"], table).unwrap(),
            routes: tonic::service::Routes::new(ExchangeServiceServer::new(self.clone())),
            limits: Limits::default(),
            clock: self.clock.clone(),
            live: Live::new(),
            meter: opentelemetry::global::meter("test"),
        };
        tokio::spawn(server.serve(listener, stop));
        address
    }

    /// Delivers a frame on the stream, and again on every later one.
    pub(crate) fn deliver(&self, frame: Down) {
        self.script.send_modify(|script| script.push(frame));
    }

    /// What it says to envelopes from here on.
    pub(crate) fn is_in(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// It has a receipt for these mailbox numbers of the normal lane, and none for marks.
    pub(crate) fn remembers(&self, delivered_up_to: u64) {
        self.seen.send_modify(|seen| {
            seen.delivered = [(pb::Lane::Normal.into(), delivered_up_to)].into();
            seen.opened.clear();
        });
    }

    async fn answer(&self, envelope: &pb::Envelope) -> pb::SubmitResult {
        self.seen.send_modify(|seen| seen.submitted += 1);
        let mood = *self.mood.subscribe().wait_for(|mood| *mood != Mood::Ponders).await.unwrap();
        if mood == Mood::Accepts {
            return self.accept(envelope);
        }
        let id = pb::Header::decode(envelope.header.clone()).unwrap().id;
        let refusal = Refusal::of(i247_model::Reason::Behind, "log_end_seen");
        pb::SubmitResult { id, result: Some(pb::submit_result::Result::Refusal((&refusal).into())) }
    }

    /// Waits until what was seen is as wanted.
    pub(crate) async fn seen(&self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        let waited =
            tokio::time::timeout(std::time::Duration::from_secs(20), seen.wait_for(|seen| wanted(seen)));
        waited.await.expect("the hub should have seen it by now").unwrap().clone()
    }

    fn accept(&self, envelope: &pb::Envelope) -> pb::SubmitResult {
        let signer = |key_id: &Hash| Some(self.bureau.clone()).filter(|bureau| bureau.key_id == *key_id);
        let attested: Attested = i247_trust::open_submission(envelope, self.clock.now(), signer).unwrap();
        let header = attested.header().clone();
        let body = i247_trust::open_carried(attested.body().unwrap(), &header).unwrap();
        let id = header.id.to_string();
        let hash = attested.header_hash();
        let mut position = 0;
        self.seen.send_modify(|seen| {
            if let Some((known, at)) = seen.hashes.get(&id) {
                assert_eq!(*known, hash, "the same number with other bytes");
                position = *at;
                return;
            }
            let mut before = header.id.clone();
            before.number -= 1;
            let previous = seen.hashes.get(&before.to_string()).map(|(hash, _)| *hash);
            assert_eq!(header.previous, previous, "the chain of headers");
            position = seen.hashes.len() as u64 + 100;
            seen.hashes.insert(id.clone(), (hash, position));
            seen.messages.push((header.clone(), body.clone()));
        });
        let acceptance = pb::Acceptance {
            id: id.clone(),
            header_hash: Bytes::copy_from_slice(hash.as_bytes()),
            log_id: Bytes::from_static(LOG_ID),
            position,
            ..Default::default()
        };
        let key = &self.credentials.signing_key;
        let signed = i247_trust::sign(key, "i247.v1.Acceptance", acceptance.encode_to_vec());
        pb::SubmitResult { id, result: Some(pb::submit_result::Result::Acceptance(signed)) }
    }

    fn receipts(&self, signed: &pb::Signed) {
        let payload = i247_trust::verify(signed, "i247.v1.Receipts", &self.bureau.key).unwrap();
        let receipts = pb::Receipts::decode(payload).unwrap();
        assert_eq!(receipts.log_id, LOG_ID);
        self.seen.send_modify(|seen| {
            for lane in &receipts.lanes {
                let delivered = seen.delivered.entry(lane.lane).or_default();
                *delivered = lane.delivered_up_to.max(*delivered);
                for range in &lane.opened {
                    seen.opened.extend(range.first..=range.last);
                }
            }
        });
    }

    fn welcome(&self) -> pb::Welcome {
        let delivered = self.seen.borrow().delivered.clone();
        let mut mailbox: Vec<pb::MailboxEnd> = delivered
            .into_iter()
            .map(|(lane, received_up_to)| pb::MailboxEnd { lane, received_up_to })
            .collect();
        if self.claims_delivered > 0 {
            mailbox =
                vec![pb::MailboxEnd { lane: pb::Lane::Normal.into(), received_up_to: self.claims_delivered }];
        }
        pb::Welcome {
            log_id: Bytes::from_static(LOG_ID),
            log_end: 1_000_000,
            epoch: 1,
            mailbox,
            window: 8,
            hub_time_ms: self.clock.now().as_millis(),
            ..Default::default()
        }
    }

    async fn stream(
        self,
        mut requests: Streaming<pb::ConnectRequest>,
        frames: mpsc::Sender<Result<pb::ConnectResponse, Status>>,
    ) {
        let send = |frame| frames.send(Ok(pb::ConnectResponse { frame: Some(frame) }));
        let Ok(Some(pb::ConnectRequest { frame: Some(Up::Hello(_)) })) = requests.message().await else {
            return;
        };
        let certificates = self.credentials.signing_chain.clone();
        send(Down::Welcome(self.welcome())).await.unwrap();
        send(Down::Introduction(pb::Introduction { certificates })).await.unwrap();
        self.seen.send_modify(|seen| seen.streams += 1);
        let mut script = self.script.subscribe();
        let mut told = 0;
        loop {
            let rest = script.borrow_and_update().get(told..).unwrap_or_default().to_vec();
            told += rest.len();
            for frame in rest {
                if send(frame).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                request = requests.message() => match request {
                    Ok(Some(pb::ConnectRequest { frame: Some(Up::Envelope(envelope)) })) => {
                        if send(Down::Result(self.answer(&envelope).await)).await.is_err() {
                            return;
                        }
                    }
                    Ok(Some(pb::ConnectRequest { frame: Some(Up::Receipts(signed)) })) => self.receipts(&signed),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return,
                },
                changed = script.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[tonic::async_trait]
impl ExchangeService for Hub {
    type ConnectStream = ReceiverStream<Result<pb::ConnectResponse, Status>>;
    type FetchAttachmentStream = ReceiverStream<Result<pb::FetchAttachmentResponse, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<pb::ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (frames, stream) = mpsc::channel(64);
        tokio::spawn(self.clone().stream(request.into_inner(), frames));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn submit(&self, _: Request<pb::SubmitRequest>) -> Result<Response<pb::SubmitResponse>, Status> {
        Err(Status::unimplemented("not in the script"))
    }

    async fn explain(&self, _: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        Ok(Response::new(pb::ExplainResponse { directory_position: 7, parties: Vec::new() }))
    }

    async fn statuses(
        &self,
        request: Request<pb::StatusesRequest>,
    ) -> Result<Response<pb::StatusesResponse>, Status> {
        self.seen.send_modify(|seen| seen.asked.extend(request.into_inner().ids));
        Ok(Response::new(pb::StatusesResponse::default()))
    }

    async fn find_attachment(
        &self,
        _: Request<pb::FindAttachmentRequest>,
    ) -> Result<Response<pb::FindAttachmentResponse>, Status> {
        Ok(Response::new(pb::FindAttachmentResponse::default()))
    }

    async fn put_attachment(
        &self,
        request: Request<Streaming<pb::PutAttachmentRequest>>,
    ) -> Result<Response<pb::PutAttachmentResponse>, Status> {
        use pb::put_attachment_request::Frame;
        let mut frames = request.into_inner();
        let mut manifest = None;
        let mut chunks = Vec::new();
        while let Some(request) = frames.message().await? {
            match request.frame {
                Some(Frame::Manifest(first)) => manifest = Some(first),
                Some(Frame::Chunk(chunk)) => chunks.push(i247_trust::sha256(&[&chunk.data])),
                None => return Err(Status::invalid_argument("frame")),
            }
        }
        let manifest: pb::AttachmentManifest =
            manifest.ok_or_else(|| Status::invalid_argument("manifest"))?;
        let named: Vec<_> = manifest.chunks.iter().filter_map(|hash| Hash::from_slice(hash)).collect();
        Ok(Response::new(pb::PutAttachmentResponse { commitment: Bytes::new(), complete: named == chunks }))
    }

    async fn fetch_attachment(
        &self,
        _: Request<pb::FetchAttachmentRequest>,
    ) -> Result<Response<Self::FetchAttachmentStream>, Status> {
        let (frames, stream) = mpsc::channel(64);
        for frame in self.attachment.borrow().iter().cloned() {
            let response = pb::FetchAttachmentResponse { frame: Some(frame) };
            frames.try_send(Ok(response)).map_err(|_| Status::internal("too many frames"))?;
        }
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// An envelope of somebody else, signed.
pub(crate) fn envelope(by: &Credentials, mut header: Header, body: &pb::Body) -> pb::Envelope {
    let carried = i247_trust::carry(body, [5; 16]);
    header.key_id = by.signing_key.key_id();
    header.body_hash = carried.body_hash;
    header.commitment = carried.commitment;
    let bytes = i247_wire::encode_header(&header);
    let signature = i247_trust::sign_headers(&by.signing_key, std::slice::from_ref(&bytes)).remove(0);
    pb::Envelope { header: bytes, body: carried.bytes, signature: Some(signature) }
}

/// A mailbox number of the normal lane.
pub(crate) fn delivery(number: u64, now: Timestamp, envelope: pb::Envelope) -> Down {
    Down::Delivery(pb::Delivery {
        lane: pb::Lane::Normal.into(),
        number,
        position: 10 + number,
        accepted_at_ms: now.as_millis(),
        content: Some(pb::delivery::Content::Envelope(envelope)),
    })
}
