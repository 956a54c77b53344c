//! A bureau's stream, spoken by hand: one frame after the other.

use i247_model::Refusal;
use i247_testkit::{Pen, World, WorldError, pb};
use i247_wire::payload;
use pb::connect_request::Frame as Up;
use pb::connect_response::Frame as Down;
use pb::exchange_service_client::ExchangeServiceClient;
use pb::submit_result::Result as Outcome;
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::Streaming;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// A stream that was greeted.
pub(crate) struct Line {
    up: mpsc::Sender<pb::ConnectRequest>,
    down: Streaming<pb::ConnectResponse>,
    pub(crate) welcome: pb::Welcome,
}

impl Line {
    /// Says hello; the farewell when the hub does not welcome it.
    pub(crate) async fn open(pen: &Pen, hello: pb::Hello) -> Result<Self, Refusal> {
        Self::over(pen.service(), hello).await
    }

    /// The same over a connection of whoever is let in.
    pub(crate) async fn over(
        mut service: ExchangeServiceClient<Channel>,
        hello: pb::Hello,
    ) -> Result<Self, Refusal> {
        let (up, frames) = mpsc::channel(8);
        up.send(pb::ConnectRequest { frame: Some(Up::Hello(hello)) }).await.unwrap();
        let mut down = service.connect(ReceiverStream::new(frames)).await.unwrap().into_inner();
        match down.message().await.unwrap().and_then(|frame| frame.frame) {
            Some(Down::Welcome(welcome)) => Ok(Self { up, down, welcome }),
            Some(Down::Farewell(refusal)) => Err(refusal.try_into().unwrap()),
            other => panic!("{other:?} is no greeting"),
        }
    }

    pub(crate) async fn say(&self, frame: Up) {
        self.up.send(pb::ConnectRequest { frame: Some(frame) }).await.unwrap();
    }

    /// What the hub says next, whatever it may tell besides.
    async fn hear(&mut self) -> Down {
        loop {
            match self.down.message().await.unwrap().unwrap().frame.unwrap() {
                Down::Introduction(_) | Down::Progress(_) => {}
                frame => return frame,
            }
        }
    }

    /// Sends a message in this frame; what became of it.
    pub(crate) async fn submit(&mut self, frame: Up) -> Result<pb::Signed, Refusal> {
        self.say(frame).await;
        match self.hear().await {
            Down::Result(pb::SubmitResult { result: Some(Outcome::Acceptance(signed)), .. }) => Ok(signed),
            Down::Result(pb::SubmitResult { result: Some(Outcome::Refusal(refusal)), .. }) => {
                Err(refusal.try_into().unwrap())
            }
            other => panic!("{other:?} is no result"),
        }
    }

    /// The next that is given back.
    pub(crate) async fn given_back(&mut self) -> pb::GivenBack {
        match self.hear().await {
            Down::GivenBack(given) => given,
            other => panic!("{other:?} is not given back"),
        }
    }

    /// The next delivery, for which there must be credit.
    pub(crate) async fn delivery(&mut self) -> pb::Delivery {
        match self.hear().await {
            Down::Delivery(delivery) => delivery,
            other => panic!("{other:?} is no delivery"),
        }
    }

    /// With which words the hub ends the stream.
    pub(crate) async fn farewell(&mut self) -> Refusal {
        match self.hear().await {
            Down::Farewell(refusal) => refusal.try_into().unwrap(),
            other => panic!("{other:?} is no farewell"),
        }
    }

    /// Signs for this number of the normal lane, and all before it.
    pub(crate) async fn receipt(&self, pen: &Pen, delivered_up_to: u64) {
        let lane = pb::LaneReceipt { lane: pb::Lane::Normal.into(), delivered_up_to, ..Default::default() };
        let receipts = pb::Receipts {
            party: "JP".into(),
            log_id: self.welcome.log_id.clone(),
            lanes: vec![lane],
            signed_at_ms: 1,
        };
        let key = &pen.credentials().signing_key;
        self.say(Up::Receipts(i247_trust::sign(key, payload::RECEIPTS, receipts.encode_to_vec()))).await;
    }
}

/// What an acceptance says.
pub(crate) fn said(signed: &pb::Signed) -> pb::Acceptance {
    pb::Acceptance::decode(signed.payload.clone()).unwrap()
}

/// A hello of somebody who knew this log, whatever he has seen of it.
pub(crate) fn hello(log_id: &[u8], seen: u64, received: u64) -> pb::Hello {
    let mailbox = pb::MailboxEnd { lane: pb::Lane::Normal.into(), received_up_to: received };
    pb::Hello {
        log_id: log_id.to_vec().into(),
        log_end_seen: seen,
        epoch: 1,
        mailbox: vec![mailbox],
        ..pb::Hello::default()
    }
}

/// Stops the hub and starts it as it was when the copy was made, with the log taken up again, which had these names
/// since. The pens go on.
pub(crate) async fn from_copy(
    world: &World,
    copy: &std::path::Path,
    lost: &[bytes::Bytes],
    pens: &mut [&mut Pen],
) -> Result<i247_hub::TakenUp, WorldError> {
    world.stop_hub().await?;
    world.restore("hub", copy)?;
    let taken_up = world.recover_hub_from(lost).await?;
    world.start_hub().await?;
    reconnect(world, pens).await?;
    Ok(taken_up)
}

/// A copy of the hub's data, which runs before and after.
pub(crate) async fn copy(world: &World, pens: &mut [&mut Pen]) -> Result<std::path::PathBuf, WorldError> {
    world.stop_hub().await?;
    let copy = world.back_up("hub")?;
    world.start_hub().await?;
    reconnect(world, pens).await?;
    Ok(copy)
}

async fn reconnect(world: &World, pens: &mut [&mut Pen]) -> Result<(), WorldError> {
    for pen in pens {
        let channel = world.hub_channel(pen.credentials()).await?;
        pen.continue_over(channel);
    }
    Ok(())
}
