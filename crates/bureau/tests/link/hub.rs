//! A scripted hub: it greets, accepts whatever is signed and in order, delivers what a test hands it, and remembers
//! everything it sees. It decides nothing, and knows no audience.

mod service;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
use i247_wire::pb::exchange_service_server::ExchangeServiceServer;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

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
    /// Mailbox numbers that an officer acted upon.
    pub(crate) actioned: Vec<u64>,
    /// Messages that were asked about.
    pub(crate) asked: BTreeSet<String>,
    /// Envelopes that came, answered or not.
    pub(crate) submitted: usize,
    /// Streams that were greeted.
    pub(crate) streams: usize,
    /// With what they were greeted.
    pub(crate) hellos: Vec<pb::Hello>,
    /// Messages that came with the acceptance of a predecessor: the id, and its position there.
    pub(crate) resubmitted: Vec<(String, u64)>,
    /// Messages that came with the refusal of a predecessor: the reason and its fields.
    pub(crate) resubmitted_refused: Vec<(String, Vec<String>)>,
    /// Messages that came from a recipient, as often as they came.
    pub(crate) handed_over: Vec<String>,
    /// Attachments that came whole.
    pub(crate) uploads: usize,
    /// What is in the log: its header hash and its position.
    hashes: BTreeMap<String, (Hash, u64)>,
    /// The last position.
    pub(crate) end: u64,
}

/// Which log it keeps.
#[derive(Clone)]
struct Log {
    id: Bytes,
    predecessors: Vec<pb::Predecessor>,
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
    /// Whatever is right is accepted, so many at a time under one signature.
    Gathers(usize),
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
    log: Arc<watch::Sender<Log>>,
    /// What it says to messages instead, once for each time.
    refusals: Arc<watch::Sender<BTreeMap<String, VecDeque<Refusal>>>>,
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
            seen: Arc::new(watch::Sender::new(Seen { end: 99, ..Seen::default() })),
            script: Arc::new(watch::Sender::new(Vec::new())),
            mood: Arc::new(watch::Sender::new(Mood::Accepts)),
            log: Arc::new(watch::Sender::new(Log {
                id: Bytes::from_static(LOG_ID),
                predecessors: Vec::new(),
            })),
            refusals: Arc::default(),
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

    /// What it says to this message the next time, instead of accepting it.
    pub(crate) fn refuses(&self, id: &str, refusal: Refusal) {
        self.refusals.send_modify(|refusals| refusals.entry(id.into()).or_default().push_back(refusal));
    }

    /// It was restored from a copy that ends there, and recovered: the log goes on under another id, and what came
    /// behind is forgotten. Of the normal lane's mailbox numbers it had given so many. All streams end.
    pub(crate) fn recovers(&self, log_id: &'static [u8], end: u64, given: u64) {
        self.script.send_modify(Vec::clear);
        self.seen.send_modify(|seen| {
            seen.hashes.retain(|_, (_, position)| *position <= end);
            let kept = &seen.hashes;
            seen.messages.retain(|(header, _)| kept.contains_key(&header.id.to_string()));
            for delivered in seen.delivered.values_mut() {
                *delivered = given.min(*delivered);
            }
            seen.opened.clear();
            seen.actioned.clear();
            seen.submitted = 0;
            seen.end = end + 1;
        });
        self.log.send_modify(|log| {
            let mailbox = vec![pb::GivenUpTo { lane: pb::Lane::Normal.into(), number: given }];
            log.predecessors.push(pb::Predecessor { log_id: log.id.clone(), end, mailbox });
            log.id = Bytes::from_static(log_id);
        });
    }

    /// It has nothing any more, and knows of no log before this one.
    pub(crate) fn begins_anew(&self, log_id: &'static [u8]) {
        self.log.send_replace(Log { id: Bytes::from_static(log_id), predecessors: Vec::new() });
    }

    fn refusal(&self, id: &str) -> Option<pb::SubmitResult> {
        let mut refusal = None;
        self.refusals.send_modify(|refusals| {
            refusal = refusals.get_mut(id).and_then(VecDeque::pop_front);
        });
        let refusal = pb::submit_result::Result::Refusal((&refusal?).into());
        Some(pb::SubmitResult { id: id.into(), result: Some(refusal) })
    }

    /// After a recovery a message may have to wait for the one before it.
    fn out_of_order(&self, id: &str) -> Option<pb::SubmitResult> {
        let mut before: i247_model::MessageId = id.parse().unwrap();
        before.number -= 1;
        let known = before.number == 0 || self.seen.borrow().hashes.contains_key(&before.to_string());
        if known || self.log.borrow().predecessors.is_empty() {
            return None;
        }
        let refusal = Refusal::of(i247_model::Reason::OutOfOrder, "id");
        let refusal = pb::submit_result::Result::Refusal((&refusal).into());
        Some(pb::SubmitResult { id: id.into(), result: Some(refusal) })
    }

    /// A message from a recipient. Whose it is a scripted hub does not check.
    fn handed_over(&self, envelope: &pb::Envelope) -> pb::SubmitResult {
        let id = pb::Header::decode(envelope.header.clone()).unwrap().id;
        self.seen.send_modify(|seen| seen.handed_over.push(id.clone()));
        let accepted = Some(pb::submit_result::Result::Acceptance(pb::Signed::default()));
        self.refusal(&id).unwrap_or(pb::SubmitResult { id, result: accepted })
    }

    /// Answers to several envelopes at once.
    fn answers(&self, envelopes: &[pb::Envelope]) -> Vec<pb::SubmitResult> {
        let accepted: Vec<(String, Vec<u8>)> =
            envelopes.iter().map(|envelope| self.enter(envelope)).collect();
        let (ids, payloads): (Vec<String>, Vec<Vec<u8>>) = accepted.into_iter().unzip();
        let signed = i247_trust::sign_together(&self.credentials.signing_key, "i247.v1.Acceptance", payloads);
        let result = |(id, signed)| pb::SubmitResult {
            id,
            result: Some(pb::submit_result::Result::Acceptance(signed)),
        };
        ids.into_iter().zip(signed).map(result).collect()
    }

    async fn answer(&self, envelope: &pb::Envelope) -> pb::SubmitResult {
        self.seen.send_modify(|seen| seen.submitted += 1);
        let mood = *self.mood.subscribe().wait_for(|mood| *mood != Mood::Ponders).await.unwrap();
        let id = pb::Header::decode(envelope.header.clone()).unwrap().id;
        if mood != Mood::Behind {
            let refused = self.refusal(&id).or_else(|| self.out_of_order(&id));
            // The number of what is refused for good is spent all the same.
            if refused.as_ref().is_none_or(is_final) {
                let accepted = self.answers(std::slice::from_ref(envelope)).remove(0);
                return refused.unwrap_or(accepted);
            }
            return refused.unwrap();
        }
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

    /// Takes an envelope into the log, and returns its id and what is to be signed.
    fn enter(&self, envelope: &pb::Envelope) -> (String, Vec<u8>) {
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
            seen.end += 1;
            position = seen.end;
            seen.hashes.insert(id.clone(), (hash, position));
            seen.messages.push((header.clone(), body.clone()));
        });
        let acceptance = pb::Acceptance {
            id: id.clone(),
            header_hash: Bytes::copy_from_slice(hash.as_bytes()),
            log_id: self.log.borrow().id.clone(),
            position,
            ..Default::default()
        };
        (id, acceptance.encode_to_vec())
    }

    fn receipts(&self, signed: &pb::Signed) {
        let payload = i247_trust::verify(signed, "i247.v1.Receipts", &self.bureau.key).unwrap();
        let receipts = pb::Receipts::decode(payload).unwrap();
        assert_eq!(receipts.log_id, self.log.borrow().id);
        self.seen.send_modify(|seen| {
            for lane in &receipts.lanes {
                let delivered = seen.delivered.entry(lane.lane).or_default();
                *delivered = lane.delivered_up_to.max(*delivered);
                for range in &lane.opened {
                    seen.opened.extend(range.first..=range.last);
                }
                for range in &lane.actioned {
                    seen.actioned.extend(range.first..=range.last);
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
            log_id: self.log.borrow().id.clone(),
            log_end: 1_000_000,
            epoch: 1,
            accepted: self.accepted(),
            mailbox,
            predecessors: self.log.borrow().predecessors.clone(),
            window: 8,
            hub_time_ms: self.clock.now().as_millis(),
            ..Default::default()
        }
    }

    /// The last number of the normal lane, once it was recovered: until then nobody needs it.
    fn accepted(&self) -> Vec<pb::LaneEnd> {
        if self.log.borrow().predecessors.is_empty() {
            return Vec::new();
        }
        let seen = self.seen.borrow();
        let ids = seen.hashes.iter().filter_map(|(id, (hash, _))| {
            let id: i247_model::MessageId = id.parse().ok()?;
            Some((id.number, *hash)).filter(|_| id.lane == i247_model::Lane::Normal)
        });
        let Some((number, hash)) = ids.max_by_key(|(number, _)| *number) else { return Vec::new() };
        let header_hash = Bytes::copy_from_slice(hash.as_bytes());
        vec![pb::LaneEnd { lane: pb::Lane::Normal.into(), number, header_hash }]
    }

    async fn stream(
        self,
        mut requests: Streaming<pb::ConnectRequest>,
        frames: mpsc::Sender<Result<pb::ConnectResponse, Status>>,
    ) {
        let send = |frame| frames.send(Ok(pb::ConnectResponse { frame: Some(frame) }));
        let mut log = self.log.subscribe();
        log.borrow_and_update();
        let Ok(Some(pb::ConnectRequest { frame: Some(Up::Hello(hello)) })) = requests.message().await else {
            return;
        };
        let certificates = self.credentials.signing_chain.clone();
        send(Down::Welcome(self.welcome())).await.unwrap();
        send(Down::Introduction(pb::Introduction { certificates })).await.unwrap();
        self.seen.send_modify(|seen| {
            seen.streams += 1;
            seen.hellos.push(hello);
        });
        let mut gathered: Vec<pb::Envelope> = Vec::new();
        let mut script = self.script.subscribe();
        let mut told = 0;
        loop {
            let rest = script.borrow_and_update().get(told..).unwrap_or_default().to_vec();
            // What is in the script by now may be meant for streams of the next log.
            if log.has_changed().unwrap_or(true) {
                return;
            }
            told += rest.len();
            for frame in rest {
                if send(frame).await.is_err() {
                    return;
                }
            }
            let request = tokio::select! {
                request = requests.message() => request,
                changed = script.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                _ = log.changed() => return,
            };
            let Ok(Some(pb::ConnectRequest { frame: Some(frame) })) = request else { return };
            // A stream that was greeted for one log says nothing of another.
            let results = tokio::select! {
                results = self.results(frame, &mut gathered) => results,
                _ = log.changed() => return,
            };
            for result in results {
                if send(Down::Result(result)).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn results(&self, frame: Up, gathered: &mut Vec<pb::Envelope>) -> Vec<pb::SubmitResult> {
        let mood = *self.mood.borrow();
        match (frame, mood) {
            (Up::Envelope(envelope), Mood::Gathers(count)) => {
                gathered.push(envelope);
                if gathered.len() < count { Vec::new() } else { self.answers(&std::mem::take(gathered)) }
            }
            (Up::Envelope(envelope), _) => vec![self.answer(&envelope).await],
            (Up::Resubmission(again), _) => {
                let envelope = again.envelope.unwrap();
                self.seen.send_modify(|seen| match (again.acceptance, again.refusal) {
                    (Some(promise), None) => {
                        let promise = pb::Acceptance::decode(promise.payload).unwrap();
                        seen.resubmitted.push((promise.id, promise.position));
                    }
                    (None, Some(refusal)) => {
                        seen.resubmitted_refused.push((refusal.reason, refusal.fields));
                    }
                    neither => panic!("{neither:?}"),
                });
                vec![self.answer(&envelope).await]
            }
            (Up::HandedOver(envelope), _) => vec![self.handed_over(&envelope)],
            (Up::Receipts(signed), _) => {
                self.receipts(&signed);
                Vec::new()
            }
            (Up::Hello(_) | Up::Credit(_), _) => Vec::new(),
        }
    }
}

fn is_final(result: &pb::SubmitResult) -> bool {
    let Some(pb::submit_result::Result::Refusal(refusal)) = &result.result else { return false };
    refusal.class() == pb::RefusalClass::No
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
    delivery_at(10 + number, number, now, envelope)
}

/// The same, from a place in the hub's log.
pub(crate) fn delivery_at(position: u64, number: u64, now: Timestamp, envelope: pb::Envelope) -> Down {
    Down::Delivery(pb::Delivery {
        lane: pb::Lane::Normal.into(),
        number,
        position,
        accepted_at_ms: now.as_millis(),
        content: Some(pb::delivery::Content::Envelope(envelope)),
    })
}
