//! A recipient without a bureau: it opens a stream, takes everything that lies in its mailbox, and signs for nothing, so
//! that the same lies there the next time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use i247_model::{Header, MessageId};
use i247_wire::pb;
use i247_wire::pb::connect_request::Frame as Up;
use i247_wire::pb::connect_response::Frame as Down;
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

/// More than lies in any mailbox here.
const CREDIT: u32 = 1_000_000;
/// Largest frame from the hub, in bytes.
const FRAME_BYTES: usize = 1024 * 1024;

/// What lay under one mailbox number.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Delivered {
    pub(crate) id: MessageId,
    /// The subject, out of a body that matches its hash in the header; empty when the message came without its body.
    pub(crate) text: String,
    pub(crate) envelope: pb::Envelope,
}

/// A stream that only takes.
#[derive(Debug)]
pub(crate) struct Reader {
    incoming: Streaming<pb::ConnectResponse>,
    /// The stream ends with it.
    _frames: mpsc::Sender<pb::ConnectRequest>,
    next: BTreeMap<i32, u64>,
}

impl Reader {
    /// Greets the hub as a member that has nothing yet.
    pub(crate) async fn open(channel: Channel) -> Result<Self> {
        let (frames, outgoing) = mpsc::channel(2);
        let hello = pb::Hello { epoch: 1, program: "i247-disks".into(), ..pb::Hello::default() };
        for frame in [Up::Hello(hello), Up::Credit(pb::Credit { deliveries: CREDIT })] {
            frames.send(pb::ConnectRequest { frame: Some(frame) }).await?;
        }
        let mut exchange = ExchangeServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES);
        let mut incoming = exchange.connect(ReceiverStream::new(outgoing)).await?.into_inner();
        match incoming.message().await?.and_then(|response| response.frame) {
            Some(Down::Welcome(_)) => {}
            other => bail!("no welcome but {other:?}"),
        }
        Ok(Self { incoming, _frames: frames, next: BTreeMap::new() })
    }

    /// The next message; `None` when none came for so long, or the stream ended.
    ///
    /// # Errors
    /// When a mailbox number is left out or empty, or a body does not match its header.
    pub(crate) async fn next(&mut self, within: Duration) -> Result<Option<Delivered>> {
        loop {
            let Ok(frame) = tokio::time::timeout(within, self.incoming.message()).await else {
                return Ok(None);
            };
            // A hub that cannot read on ends the stream.
            let Ok(Some(pb::ConnectResponse { frame: Some(frame) })) = frame else { return Ok(None) };
            match frame {
                Down::Delivery(delivery) => return self.delivered(delivery).map(Some),
                Down::Farewell(_) => return Ok(None),
                Down::Welcome(_)
                | Down::Result(_)
                | Down::Introduction(_)
                | Down::Progress(_)
                | Down::GivenBack(_) => {}
            }
        }
    }

    fn delivered(&mut self, delivery: pb::Delivery) -> Result<Delivered> {
        let next = self.next.entry(delivery.lane).or_insert(1);
        if delivery.number != *next {
            bail!("mailbox number {} came instead of {next}", delivery.number);
        }
        *next += 1;
        let Some(pb::delivery::Content::Envelope(envelope)) = delivery.content else {
            bail!("nothing lies under mailbox number {}", delivery.number);
        };
        let header = pb::Header::decode(envelope.header.clone())?;
        let id: MessageId = header.id.parse().context("a delivery without an id")?;
        let checked = Header::try_from(header).map_err(|refusal| anyhow!("the header of {id}: {refusal}"))?;
        if envelope.body.is_empty() {
            return Ok(Delivered { id, text: String::new(), envelope });
        }
        let body = i247_trust::open_carried(&envelope.body, &checked);
        let body = body.map_err(|refusal| anyhow!("the body of {id}: {refusal}"))?;
        Ok(Delivered { id, text: body.subject, envelope })
    }
}
