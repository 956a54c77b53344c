//! One bureau's stream to the hub, as the load generator speaks it: takes deliveries and results, returns credit, signs
//! receipts. It keeps nothing on disk and checks numbers, not signatures.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures::FutureExt as _;
use i247_model::{CountryCode, Lane, LaneReceipt, MessageId, Party, Receipts, Timestamp};
use i247_trust::Credentials;
use i247_wire::pb;
use i247_wire::pb::connect_request::Frame as Up;
use i247_wire::pb::connect_response::Frame as Down;
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::flight::Flight;

/// Deliveries that the hub may send ahead, as a bureau grants them.
const CREDIT: u32 = 256;
/// Credit goes back in portions of so many.
const CREDIT_BACK: u32 = 64;
/// Frames that wait for the network.
const WAITING_FRAMES: usize = 1024;
/// Frames that are taken before anything else is done.
const AT_ONCE: usize = 256;
/// Largest frame from the hub, in bytes.
const FRAME_BYTES: usize = 1024 * 1024;

/// The measurement that is under way, if one is; the same for all bureaus.
pub(crate) type Current = Arc<RwLock<Option<Arc<Flight>>>>;

/// What a bureau has to say is handed over here.
pub(crate) struct Mouth {
    country: CountryCode,
    pub(crate) credentials: Credentials,
    log_id: Bytes,
    pub(crate) frames: mpsc::Sender<pb::ConnectRequest>,
    /// The highest mailbox number that came, and the highest that a receipt was signed for.
    received: AtomicU64,
    receipted: AtomicU64,
}

/// The receiving side.
pub(crate) struct Ear {
    mouth: Arc<Mouth>,
    incoming: Streaming<pb::ConnectResponse>,
    current: Current,
    /// The place of a country among the senders, by its code.
    places: Arc<dyn Fn(CountryCode) -> usize + Send + Sync>,
    credit: u32,
}

/// Greets the hub.
pub(crate) async fn open(
    country: CountryCode,
    credentials: Credentials,
    channel: Channel,
    current: Current,
    places: Arc<dyn Fn(CountryCode) -> usize + Send + Sync>,
) -> Result<(Arc<Mouth>, Ear)> {
    let (frames, outgoing) = mpsc::channel(WAITING_FRAMES);
    let hello = pb::Hello { epoch: 1, program: "i247-bench".into(), ..pb::Hello::default() };
    frames.send(request(Up::Hello(hello))).await?;
    let mut exchange = ExchangeServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES);
    let mut incoming = exchange.connect(ReceiverStream::new(outgoing)).await?.into_inner();
    let log_id = match incoming.message().await?.and_then(|response| response.frame) {
        Some(Down::Welcome(welcome)) => welcome.log_id,
        other => bail!("{country}: no welcome but {other:?}"),
    };
    frames.send(request(Up::Credit(pb::Credit { deliveries: CREDIT }))).await?;
    let (received, receipted) = (AtomicU64::new(0), AtomicU64::new(0));
    let mouth = Arc::new(Mouth { country, credentials, log_id, frames, received, receipted });
    let ear = Ear { mouth: Arc::clone(&mouth), incoming, current, places, credit: 0 };
    Ok((mouth, ear))
}

impl Mouth {
    /// Signs a receipt for what came since the last one, if anything did.
    pub(crate) async fn acknowledge(&self, now: Timestamp) -> Result<()> {
        let received = self.received.load(Ordering::Acquire);
        if self.receipted.swap(received, Ordering::Relaxed) == received {
            return Ok(());
        }
        let lane = LaneReceipt {
            lane: Lane::Normal,
            delivered_up_to: received,
            opened: Vec::new(),
            actioned: Vec::new(),
        };
        let receipts = Receipts { party: Party::Bureau(self.country), lanes: vec![lane], signed_at: now };
        let payload = i247_wire::receipts(&receipts, self.log_id.clone()).encode_to_vec();
        let key = &self.credentials.signing_key;
        let signed = i247_trust::sign(key, i247_wire::payload::RECEIPTS, payload);
        Ok(self.frames.send(request(Up::Receipts(signed))).await?)
    }
}

impl Ear {
    /// Listens until the stream ends, which it should not.
    pub(crate) async fn run(mut self) {
        let ended = loop {
            match self.turn().await {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        let flight = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(flight) = flight {
            flight.spoil(|| format!("the stream of {} ended: {ended:#}", self.mouth.country));
        }
    }

    async fn turn(&mut self) -> Result<()> {
        let first = self.incoming.message().await?.context("by the hub")?;
        let flight = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.take(first, flight.as_deref())?;
        for _ in 1..AT_ONCE {
            let Some(frame) = self.incoming.message().now_or_never() else { break };
            self.take(frame?.context("by the hub")?, flight.as_deref())?;
        }
        if self.credit >= CREDIT_BACK {
            let credit = pb::Credit { deliveries: std::mem::take(&mut self.credit) };
            self.mouth.frames.send(request(Up::Credit(credit))).await?;
        }
        Ok(())
    }

    fn take(&mut self, response: pb::ConnectResponse, flight: Option<&Flight>) -> Result<()> {
        match response.frame {
            Some(Down::Delivery(delivery)) => self.delivery(delivery, flight),
            Some(Down::Result(result)) => {
                let Some(flight) = flight else { return Ok(()) };
                match result.result {
                    Some(pb::submit_result::Result::Acceptance(_)) => flight.stored(1),
                    refused => flight.spoil(|| format!("{} was not accepted: {refused:?}", result.id)),
                }
                Ok(())
            }
            Some(Down::Progress(progress)) => {
                let Some(flight) = flight else { return Ok(()) };
                for status in progress.statuses {
                    let delivered = pb::RecipientState::Delivered as i32;
                    let settled = status.recipients.iter().filter(|one| one.state == delivered).count();
                    let id: MessageId = status.id.parse()?;
                    flight.settled((self.places)(self.mouth.country), id.number, u32::try_from(settled)?);
                }
                Ok(())
            }
            Some(Down::Introduction(_)) => Ok(()),
            other => bail!("{other:?}"),
        }
    }

    fn delivery(&mut self, delivery: pb::Delivery, flight: Option<&Flight>) -> Result<()> {
        let expected = self.mouth.received.load(Ordering::Relaxed) + 1;
        if delivery.number != expected {
            bail!("mailbox number {} came instead of {expected}", delivery.number);
        }
        let Some(pb::delivery::Content::Envelope(envelope)) = delivery.content else {
            bail!("nothing lies under mailbox number {expected}");
        };
        let header = pb::Header::decode(envelope.header)?;
        let id: MessageId = header.id.parse()?;
        if let (Some(flight), Party::Bureau(sender)) = (flight, id.sender.party()) {
            flight.received((self.places)(sender), id.number);
        }
        self.mouth.received.store(expected, Ordering::Release);
        self.credit += 1;
        Ok(())
    }
}

pub(crate) fn request(frame: Up) -> pb::ConnectRequest {
    pb::ConnectRequest { frame: Some(frame) }
}
