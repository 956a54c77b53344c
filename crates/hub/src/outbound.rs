//! What a bureau gets on its stream: results of its submissions, deliveries within its credit, and where its own
//! messages stand. One task a stream; a slow bureau fills its own buffer and nobody else's.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use i247_model::{Hash, Kind};
use i247_router::{Delivery, Gap};
use i247_wire::pb;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::core::Core;
use crate::links::Link;
use crate::recent::Stored;

/// At most so many deliveries are picked before results and the end of the stream are looked at again.
const PICKED_MAX: u32 = 64;

/// Frames on their way to one bureau.
pub(crate) type Frames = mpsc::Sender<Result<pb::ConnectResponse, Status>>;

/// The sending side of one stream.
pub(crate) struct Outbound {
    pub(crate) core: Arc<Core>,
    pub(crate) link: Arc<Link>,
    pub(crate) frames: Frames,
    pub(crate) introduced: BTreeSet<Hash>,
}

/// The bureau is gone.
pub(crate) struct Gone;

/// Passes results on as they come. A task of its own, so that deliveries never hold them up.
pub(crate) async fn send_results(mut results: mpsc::Receiver<pb::SubmitResult>, frames: Frames) {
    while let Some(result) = results.recv().await {
        if frames.send(Ok(response(pb::connect_response::Frame::Result(result)))).await.is_err() {
            return;
        }
    }
}

/// Tells a bureau where its messages stand, folded together over a little while. A task of its own, since it waits.
pub(crate) async fn send_progress(core: Arc<Core>, link: Arc<Link>, frames: Frames) {
    loop {
        link.news.notified().await;
        i247_node::sleep(core.progress_wait).await;
        for id in link.take_progress() {
            let status = core.views().status(&id);
            if let Some(status) = status {
                let progress = pb::Progress { status: Some(status) };
                if frames.send(Ok(response(pb::connect_response::Frame::Progress(progress)))).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Outbound {
    /// Sends until the stream ends.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let hub = self.core.chain.clone();
        if self.introduce_chain(hub).await.is_err() {
            return;
        }
        loop {
            if self.deliver().await.is_err() {
                return;
            }
            // A bell that rang meanwhile is remembered; dropping the wait loses nothing.
            tokio::select! {
                () = self.link.bell.notified() => {}
                () = self.frames.closed() => return,
                () = stop.cancelled() => return,
            }
        }
    }

    /// Hands out what is due, within the credit.
    async fn deliver(&mut self) -> Result<(), Gone> {
        loop {
            let picked = self.pick().await;
            if picked.is_empty() {
                return Ok(());
            }
            for delivery in picked {
                self.send(delivery).await?;
            }
        }
    }

    async fn pick(&self) -> Vec<Delivery> {
        let credit = self.link.credit().min(PICKED_MAX);
        if credit == 0 {
            return Vec::new();
        }
        let _open = self.core.handing_out.read().await;
        let views = self.core.views();
        let mut cursor = self.link.cursor();
        let mut picked = Vec::new();
        while (picked.len() as u32) < credit {
            let Some(delivery) = views.state.next_delivery(&mut cursor) else { break };
            picked.push(delivery);
        }
        self.link.spend(picked.len() as u32);
        picked
    }

    async fn send(&mut self, delivery: Delivery) -> Result<(), Gone> {
        let Delivery { lane, number, message, gap } = delivery;
        let mut frame = pb::Delivery {
            lane: pb::Lane::from(lane).into(),
            number,
            position: message.position,
            accepted_at_ms: 0,
            content: None,
        };
        if let Some(gap) = gap {
            let gap = match gap {
                Gap::Withdrawn => pb::Gap::Withdrawn,
                Gap::Expired => pb::Gap::Expired,
            };
            frame.content = Some(pb::delivery::Content::Gap(gap.into()));
        } else {
            let found = self.core.recent.find(&*self.core.ledger, message).await;
            let Stored { at, envelope } = match found {
                Ok(stored) => stored,
                Err(refusal) => return self.farewell(refusal).await,
            };
            self.introduce(&envelope).await?;
            frame.accepted_at_ms = at.as_millis();
            frame.content = Some(pb::delivery::Content::Envelope(envelope));
        }
        self.frame(pb::connect_response::Frame::Delivery(frame)).await
    }

    /// Introduces the signer of an envelope by all its certificates, each once on this stream.
    async fn introduce(&mut self, envelope: &pb::Envelope) -> Result<(), Gone> {
        let Ok(header) = i247_wire::decode_header(&envelope.header) else { return Ok(()) };
        let of_the_hub = matches!(header.kind, Kind::Reminder | Kind::Escalation);
        if of_the_hub {
            return Ok(());
        }
        let chains = {
            let views = self.core.views();
            let known = views.signers.find_at(&header.key_id, header.signed_at);
            known.map(|known| known.chains.clone()).unwrap_or_default()
        };
        for chain in chains {
            let Some(leaf) = chain.first().map(|leaf| i247_trust::sha256(&[leaf])) else { continue };
            if self.introduced.insert(leaf) {
                self.introduce_chain(chain).await?;
            }
        }
        Ok(())
    }

    async fn introduce_chain(&self, certificates: Vec<Bytes>) -> Result<(), Gone> {
        self.frame(pb::connect_response::Frame::Introduction(pb::Introduction { certificates })).await
    }

    async fn farewell(&self, refusal: i247_model::Refusal) -> Result<(), Gone> {
        self.frame(pb::connect_response::Frame::Farewell((&refusal).into())).await?;
        Err(Gone)
    }

    async fn frame(&self, frame: pb::connect_response::Frame) -> Result<(), Gone> {
        self.frames.send(Ok(response(frame))).await.map_err(|_| Gone)
    }
}

pub(crate) fn response(frame: pb::connect_response::Frame) -> pb::ConnectResponse {
    pb::ConnectResponse { frame: Some(frame) }
}
