//! The limit that gRPC sets to questions: the same frames, over as many connections with the same TLS, sent back as they
//! came by a server that looks nothing up.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use i247_node::SystemClock;
use i247_wire::pb;
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::asked::{CALLING, STREAMING, single_keys};
use super::asking::{self, Line, Opened, Span, Wire};
use super::planted::{Hits, Planted, Question, Script};
use crate::bureaus::request;
use crate::contender::{Contender, Task};
use crate::measure::{Measured, Setting, Work};
use crate::peers::raw_tonic::{NAME, RawTonic};
use crate::process::Stopwatch;

/// The echo as a contender.
pub(crate) struct Bare {
    server: RawTonic,
    clock: Arc<SystemClock>,
    planted: Arc<Planted>,
}

impl Bare {
    pub(crate) fn new(server: RawTonic, clock: &Arc<SystemClock>, planted: &Arc<Planted>) -> Self {
        Self { server, clock: clock.clone(), planted: planted.clone() }
    }

    fn script(&self, asker: usize) -> Script {
        Script::new(self.planted.clone(), Hits::Recorded, 1, asker)
    }

    /// Connections that are made.
    async fn clients(&self, count: usize) -> Result<Vec<ExchangeServiceClient<Channel>>> {
        let mut clients = Vec::new();
        for nth in 0..count {
            let mut client = self.server.client(nth)?;
            client.submit(pb::SubmitRequest::default()).await?;
            clients.push(client);
        }
        Ok(clients)
    }

    async fn calls(&self, task: &Task) -> Result<Measured> {
        let clients = self.clients(CALLING).await?;
        let stopwatch = Stopwatch::start(self.server.process());
        let span = Span::new(&self.clock, task.seconds);
        let mut calling = JoinSet::new();
        for caller in 0..task.setting.in_flight {
            let line = Call { client: clients[caller % CALLING].clone(), planted: self.planted.clone() };
            calling.spawn(asking::call(line, self.script(caller), span.clone()));
        }
        asking::gather(calling, &span, &stopwatch).await
    }

    async fn streams(&self, task: &Task) -> Result<Measured> {
        let window = task.setting.in_flight / STREAMING;
        let mut opened = Vec::new();
        for mut client in self.clients(STREAMING).await? {
            let (up, outgoing) = mpsc::channel(window);
            let down = client.connect(ReceiverStream::new(outgoing)).await?.into_inner();
            opened.push(Opened { wire: Stream(self.planted.clone()), up, down });
        }
        let stopwatch = Stopwatch::start(self.server.process());
        let span = Span::new(&self.clock, task.seconds);
        let mut asking = JoinSet::new();
        for (nth, opened) in opened.into_iter().enumerate() {
            asking.spawn(asking::stream(opened, window, self.script(nth), span.clone()));
        }
        asking::gather(asking, &span, &stopwatch).await
    }
}

/// The frame as bytes, in an envelope.
fn envelope(planted: &Planted, question: &Question) -> pb::Envelope {
    pb::Envelope { body: planted.frame(question).encode_to_vec().into(), ..pb::Envelope::default() }
}

/// The frame itself is the right answer.
fn judge(planted: &Planted, question: &Question, came: Bytes) -> Result<()> {
    let frame = pb::SearchRequest::decode(came)?;
    ensure!(frame == planted.frame(question), "another frame came back");
    Ok(())
}

struct Call {
    client: ExchangeServiceClient<Channel>,
    planted: Arc<Planted>,
}

#[tonic::async_trait]
impl Line for Call {
    async fn ask(&mut self, question: &Question) -> Result<()> {
        let request = pb::SubmitRequest { envelope: Some(envelope(&self.planted, question)) };
        let result = self.client.submit(request).await?.into_inner().result.and_then(|result| result.result);
        match result {
            Some(pb::submit_result::Result::Acceptance(signed)) => {
                judge(&self.planted, question, signed.payload)
            }
            other => anyhow::bail!("no echo but {other:?}"),
        }
    }
}

struct Stream(Arc<Planted>);

impl Wire for Stream {
    type Up = pb::ConnectRequest;
    type Down = pb::ConnectResponse;

    fn write(&self, question: &Question) -> pb::ConnectRequest {
        request(pb::connect_request::Frame::Envelope(envelope(&self.0, question)))
    }

    fn judge(&self, question: &Question, answer: pb::ConnectResponse) -> Result<()> {
        let Some(pb::connect_response::Frame::Delivery(delivery)) = answer.frame else {
            anyhow::bail!("no echo");
        };
        match delivery.content.context("an empty echo")? {
            pb::delivery::Content::Envelope(envelope) => judge(&self.0, question, envelope.body),
            _ => anyhow::bail!("no echo"),
        }
    }
}

#[tonic::async_trait(?Send)]
impl Contender for Bare {
    fn name(&self) -> &'static str {
        NAME
    }

    fn settings(&self, work: Work, quick: bool) -> Vec<Setting> {
        single_keys(work, quick).iter().map(|window| Setting::of(*window, "")).collect()
    }

    async fn begin(&mut self) -> Result<()> {
        self.server.begin().await
    }

    async fn measure(&mut self, task: &Task) -> Result<Measured> {
        match task.work {
            Work::SearchStream => self.streams(task).await,
            _ => self.calls(task).await,
        }
    }

    async fn end(&mut self) -> Result<()> {
        self.server.end().await
    }
}
