//! What a bureau sends on its stream: Hello, then envelopes, receipts and credit. One task a stream, so that a
//! member slows down nobody but itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use i247_model::{Identity, Lane, MessageId, Party, Reason, Receipts, Refusal, Sender, Timestamp};
use i247_wire::{known, pb};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

use crate::core::{Behind, Core};
use crate::links::Link;
use crate::opening::Checked;
use crate::predecessors::{self, Given};
use crate::sequencer::{Answer, Work};

/// How long a stream may stay without Hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// At most so many envelopes are verified together.
const BATCH_MAX: usize = 64;

/// The reading side of one stream.
pub(crate) struct Inbound {
    pub(crate) link: Arc<Link>,
    pub(crate) submitter: Submitter,
    /// The bulk lane goes there.
    pub(crate) loads: mpsc::Sender<(pb::Envelope, Given)>,
}

/// Hands on what a bureau sends, and has the results told on the same stream.
#[derive(Clone)]
pub(crate) struct Submitter {
    pub(crate) core: Arc<Core>,
    pub(crate) peer: Identity,
    /// Has room for the window: a bureau that sends more waits until it has taken results.
    pub(crate) results: mpsc::Sender<pb::SubmitResult>,
}

/// Waits for the first frame.
pub(crate) async fn hello(frames: &mut Streaming<pb::ConnectRequest>) -> Result<pb::Hello, Refusal> {
    let first = tokio::time::timeout(HELLO_WITHIN, frames.message()).await;
    match first {
        Ok(Ok(Some(pb::ConnectRequest { frame: Some(pb::connect_request::Frame::Hello(hello)) }))) => {
            Ok(hello)
        }
        _ => Err(Refusal::of(Reason::Malformed, "hello")),
    }
}

/// Compares what both sides know.
///
/// # Errors
/// `BEHIND` when this hub is an older copy than the one that the bureau knew. With the proof of it, which is an
/// acceptance signed by this hub, nothing is accepted from anybody any more; a mere claim stops nobody else.
pub(crate) fn welcome(
    core: &Core,
    party: Party,
    sender: &Sender,
    hello: &pb::Hello,
) -> Result<pb::Welcome, Refusal> {
    let views = core.views();
    // What was seen of a predecessor was seen of another log, and comes back.
    let earlier_log = views.state.predecessor(&hello.log_id).is_some();
    let other_log = !hello.log_id.is_empty() && hello.log_id != core.log_id && !earlier_log;
    let received_more = |end: &pb::MailboxEnd| {
        let last = known::<pb::Lane, Lane>(end.lane, "hello.mailbox.lane")
            .ok()
            .and_then(|lane| Some(views.state.mailbox(party)?.last(lane)));
        end.received_up_to > last.unwrap_or_default()
    };
    let ahead = hello.log_end_seen > views.position || hello.mailbox.iter().any(received_more);
    if other_log || (ahead && !earlier_log) {
        let log = i247_model::hexadecimal(&hello.log_id);
        tracing::error!(%party, seen = hello.log_end_seen, end = views.position, other_log, log, "a bureau has seen more of the log than this hub");
        if !other_log && let Some(proved) = core.proves_later(&views, hello) {
            let behind = Behind { party, proved, end: views.position };
            // The first proof stays: more of them say no more.
            core.behind.send_if_modified(|known| {
                let first = known.is_none();
                known.get_or_insert(behind);
                first
            });
        }
        return Err(Refusal::of(Reason::Behind, if other_log { "log_id" } else { "log_end_seen" }));
    }
    let accepted = Lane::ALL.into_iter().map(|lane| {
        let (number, hash) = views.state.sender_end(sender, lane);
        let header_hash = hash.as_ref().map(crate::entry::hash_bytes).unwrap_or_default();
        pb::LaneEnd { lane: pb::Lane::from(lane).into(), number, header_hash }
    });
    let mailbox = Lane::ALL.into_iter().map(|lane| pb::MailboxEnd {
        lane: pb::Lane::from(lane).into(),
        received_up_to: views.state.mailbox(party).map_or(0, |mailbox| mailbox.delivered_up_to(lane)),
    });
    Ok(pb::Welcome {
        log_id: core.log_id.clone(),
        log_end: views.position,
        epoch: views.state.epoch(sender),
        accepted: accepted.collect(),
        mailbox: mailbox.collect(),
        window: core.window,
        hub_time_ms: core.clock.now().as_millis(),
        program: concat!("i247 ", env!("CARGO_PKG_VERSION")).into(),
        predecessors: predecessors::told(&views.state, party),
    })
}

/// What a bureau says it has, by lane. [`welcome`] has found that it was given so much; of a predecessor's numbers those
/// count that still mean the same.
pub(crate) fn received(core: &Core, party: Party, hello: &pb::Hello) -> [u64; 4] {
    let mut received = [0; 4];
    for end in &hello.mailbox {
        if let Ok(lane) = known::<pb::Lane, Lane>(end.lane, "hello.mailbox.lane") {
            received[lane.index()] = end.received_up_to;
        }
    }
    predecessors::held(&core.views().state, &hello.log_id, party, received)
}

impl Inbound {
    /// Reads until the stream ends; a refusal is the farewell.
    pub(crate) async fn run(self, mut frames: Streaming<pb::ConnectRequest>) -> Result<(), Refusal> {
        loop {
            let Some(first) = frames.next().await else { return Ok(()) };
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX {
                // Only what is there already; dropping an unready `next` loses nothing.
                match frames.next().now_or_never() {
                    Some(Some(frame)) => batch.push(frame),
                    Some(None) | None => break,
                }
            }
            self.take(batch).await?;
        }
    }

    async fn take(&self, batch: Vec<Result<pb::ConnectRequest, Status>>) -> Result<(), Refusal> {
        use pb::connect_request::Frame;
        let core = &self.submitter.core;
        self.link.heard(core.clock.now());
        let mut given: Vec<(pb::Envelope, Given)> = Vec::new();
        // Whatever ends the batch, what came whole before counts.
        let mut refused = None;
        for frame in batch {
            let request = match frame {
                Ok(request) => request,
                Err(status) if status.code() == Code::OutOfRange => {
                    refused = Some(Refusal::of(Reason::TooLarge, "frame"));
                    break;
                }
                // The connection broke.
                Err(_) => break,
            };
            match request.frame {
                Some(Frame::Envelope(envelope)) => given.push((envelope, Given::Sent)),
                Some(Frame::Resubmission(pb::Resubmission {
                    envelope: Some(envelope),
                    acceptance,
                    refusal,
                })) if core.recovered => {
                    let way = match (acceptance, refusal) {
                        (Some(acceptance), None) => Given::Again(acceptance),
                        (None, Some(refusal)) => Given::Refused(refusal),
                        _ => return Err(Refusal::of(Reason::Malformed, "resubmission")),
                    };
                    given.push((envelope, way));
                }
                Some(Frame::HandedOver(envelope)) if core.recovered => {
                    given.push((envelope, Given::HandedOver))
                }
                Some(Frame::Receipts(signed)) => self.receipts(signed).await?,
                Some(Frame::Credit(credit)) => self.link.grant(credit.deliveries),
                Some(Frame::Hello(_) | Frame::Resubmission(_) | Frame::HandedOver(_)) | None => {
                    return Err(Refusal::of(Reason::Malformed, "frame"));
                }
            }
        }
        self.hand_on(given).await?;
        refused.map_or(Ok(()), Err)
    }

    /// A lane is in order, and the bulk lane is in nobody's way.
    async fn hand_on(&self, given: Vec<(pb::Envelope, Given)>) -> Result<(), Refusal> {
        let is_load = |header: &[u8]| claimed_id(header).is_some_and(|id| id.lane == Lane::Bulk);
        let (loads, others): (Vec<_>, Vec<_>) =
            given.into_iter().partition(|(envelope, _)| is_load(&envelope.header));
        if !others.is_empty() {
            self.submitter.submit(others).await?;
        }
        for load in loads {
            // The other side of this stream is gone.
            self.loads.send(load).await.map_err(|_| Refusal::of(Reason::Busy, "stream"))?;
        }
        Ok(())
    }

    async fn receipts(&self, signed: pb::Signed) -> Result<(), Refusal> {
        let Submitter { core, peer, .. } = &self.submitter;
        self.submitter.charge(1).await;
        core.check_open()?;
        let signer = {
            let views = core.views();
            let key = i247_wire::hash(&signed.key_id, "receipts.key_id")?;
            let known = views.signers.find(&key).map(|known| known.signer.clone());
            known.filter(|signer| {
                signer.identity == *peer
                    && signer.in_force(core.clock.now())
                    && views.state.directory().signing_key_allowed(peer, &key)
            })
        };
        let signer = signer.ok_or_else(|| Refusal::of(Reason::UnknownKey, "receipts.key_id"))?;
        let signed = core.receipting.verify(signed, signer.key).await?;
        let receipts = pb::Receipts::decode(signed.payload.clone())
            .map_err(|_| Refusal::of(Reason::Malformed, "receipts"))?;
        if receipts.log_id != core.log_id {
            return Err(Refusal::of(Reason::Behind, "receipts.log_id"));
        }
        self.link.clock_was(Timestamp::from_millis(receipts.signed_at_ms), core.clock.now());
        let receipts: Receipts = receipts.try_into()?;
        if receipts.party != self.link.party {
            return Err(Refusal::of(Reason::WrongSender, "receipts.party"));
        }
        self.check_handed(&receipts)?;
        let work = Work::Receipts { signed, receipts };
        core.work.send(work).await.map_err(|_| Refusal::of(Reason::Busy, "receipts"))
    }

    /// Nobody can have received what was not handed out.
    fn check_handed(&self, receipts: &Receipts) -> Result<(), Refusal> {
        for lane in &receipts.lanes {
            if lane.delivered_up_to > self.link.handed(lane.lane) {
                return Err(Refusal::of(Reason::WrongField, "receipts.lanes.delivered_up_to"));
            }
        }
        Ok(())
    }
}

impl Submitter {
    /// Checks what came and hands it to the sequencer, in this order; the results follow by themselves.
    ///
    /// # Errors
    /// `BUSY` when the stream or the hub ends.
    pub(crate) async fn submit(&self, given: Vec<(pb::Envelope, Given)>) -> Result<(), Refusal> {
        self.charge(given.len()).await;
        let headers: Vec<Bytes> = given.iter().map(|(envelope, _)| envelope.header.clone()).collect();
        for (header, checked) in headers.into_iter().zip(self.core.check(given, &self.peer).await) {
            // The other side of this stream is gone.
            let gone = |_| Refusal::of(Reason::Busy, "stream");
            let room = self.results.clone().reserve_owned().await.map_err(gone)?;
            match checked {
                Ok(Checked { attested, lifted, way }) => {
                    let answer = Answer::Stream(room);
                    let work = Work::Submission { attested, lifted, way, answer };
                    self.core.work.send(work).await.map_err(|_| Refusal::of(Reason::Busy, "envelope"))?;
                }
                Err(refusal) => {
                    let id = claimed_id(&header).map(|id| id.to_string()).unwrap_or_default();
                    tracing::warn!(message_id = %id, peer = %self.peer, %refusal, "submission refused");
                    let result = pb::submit_result::Result::Refusal((&refusal).into());
                    room.send(pb::SubmitResult { id, result: Some(result) });
                }
            }
        }
        Ok(())
    }

    /// Quota on a stream is withheld reading: the member waits, nothing is lost.
    async fn charge(&self, count: usize) {
        while let Err(wait) = self.core.quotas.take(&self.peer, count, self.core.clock.monotonic()) {
            i247_node::sleep(wait).await;
        }
    }
}

/// The id that a header claims; none when nothing in it could be one. Whatever else a stranger writes there reaches
/// neither the log nor an answer.
pub(crate) fn claimed_id(header: &[u8]) -> Option<MessageId> {
    /// What of a [`pb::Header`] is looked at.
    #[derive(prost::Message)]
    struct Claim {
        #[prost(string, tag = "2")]
        id: String,
    }
    Claim::decode(header).ok()?.id.parse().ok()
}

/// Whether what the bureau says it sent agrees with what is in the log.
///
/// # Errors
/// `NUMBER_REUSED`: the last number that both know has different bytes.
pub(crate) fn check_chain(core: &Core, sender: &Sender, hello: &pb::Hello) -> Result<(), Refusal> {
    let views = core.views();
    for end in &hello.sent {
        let lane: Lane = known::<pb::Lane, Lane>(end.lane, "hello.sent.lane")?;
        let (number, hash) = views.state.sender_end(sender, lane);
        let same = hash.as_ref().is_none_or(|hash| hash.as_bytes()[..] == end.header_hash[..]);
        if hello.epoch == views.state.epoch(sender) && number == end.number && number > 0 && !same {
            return Err(Refusal::of(Reason::NumberReused, "hello.sent"));
        }
    }
    Ok(())
}
