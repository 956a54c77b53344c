//! The limit that gRPC sets: the product's own messages over tonic and mutual TLS, sent back as they came. Nothing is
//! stored or checked.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result};
use i247_model::{Hash, Identity, Refusal};
use i247_node::{SystemClock, TlsClock};
use i247_trust::{Admission, Credentials, Presented, server_config};
use i247_wire::pb;
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use i247_wire::pb::exchange_service_server::{ExchangeService, ExchangeServiceServer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use crate::bureaus::request;
use crate::contender::{Contender, Place, Task};
use crate::flight::Flight;
use crate::hub::{People, channel};
use crate::measure::{Measured, Setting, Work};
use crate::peers::{payload, read_payload, start_own, supply};
use crate::process::{Server, Stopwatch};

/// Its name among the contenders.
pub(crate) const NAME: &str = "raw-tonic";

/// The two ways to call.
pub(crate) const STREAM: &str = "on one stream";
pub(crate) const UNARY: &str = "unary calls";

/// Frames that wait for the network.
const WAITING_FRAMES: usize = 1024;

/// Runs the server until it is killed.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn serve(credentials: &Path, ready: impl FnOnce(SocketAddr) -> Result<()>) -> Result<()> {
    let own = Credentials::load(credentials)?;
    let time = Arc::new(TlsClock(Arc::new(SystemClock::new())));
    let tls = server_config(Presented::new(&own)?, &own.root, time, Arc::new(Everybody))?;
    let acceptor = TlsAcceptor::from(tls);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    ready(listener.local_addr()?)?;
    let (accepted, streams) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut handshakes = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
            handshakes.spawn(async move {
                // One that fails is the client's business.
                if stream.set_nodelay(true).is_ok()
                    && let Ok(stream) = acceptor.accept(stream).await
                {
                    drop(accepted.send(io::Result::Ok(Connection(stream))).await);
                }
            });
            while handshakes.try_join_next().is_some() {}
        }
    });
    let service = ExchangeServiceServer::new(Echo);
    let server = tonic::transport::Server::builder().add_service(service);
    Ok(server.serve_with_incoming(ReceiverStream::new(streams)).await?)
}

#[derive(Debug)]
struct Everybody;

impl Admission for Everybody {
    fn admit(&self, _: &Identity, _: &Hash) -> Result<(), Refusal> {
        Ok(())
    }
}

/// A TLS stream as tonic takes it.
struct Connection(TlsStream<TcpStream>);

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Sends back what came.
struct Echo;

fn no<T>() -> Result<T, Status> {
    Err(Status::unimplemented("an echo only"))
}

#[tonic::async_trait]
impl ExchangeService for Echo {
    type ConnectStream = Pin<Box<dyn futures::Stream<Item = Result<pb::ConnectResponse, Status>> + Send>>;
    type FetchAttachmentStream = ReceiverStream<Result<pb::FetchAttachmentResponse, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<pb::ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let back = request.into_inner().map(|request| {
            let Some(pb::connect_request::Frame::Envelope(envelope)) = request?.frame else { return no() };
            let content = Some(pb::delivery::Content::Envelope(envelope));
            let delivery = pb::Delivery { content, ..pb::Delivery::default() };
            Ok(pb::ConnectResponse { frame: Some(pb::connect_response::Frame::Delivery(delivery)) })
        });
        Ok(Response::new(Box::pin(back)))
    }

    async fn submit(
        &self,
        request: Request<pb::SubmitRequest>,
    ) -> Result<Response<pb::SubmitResponse>, Status> {
        let body = request.into_inner().envelope.unwrap_or_default().body;
        let signed = pb::Signed { payload: body, ..pb::Signed::default() };
        let result = Some(pb::submit_result::Result::Acceptance(signed));
        let result = Some(pb::SubmitResult { result, ..pb::SubmitResult::default() });
        Ok(Response::new(pb::SubmitResponse { result }))
    }

    async fn explain(&self, _: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        no()
    }

    async fn statuses(
        &self,
        _: Request<pb::StatusesRequest>,
    ) -> Result<Response<pb::StatusesResponse>, Status> {
        no()
    }

    async fn list_posts(
        &self,
        _: Request<pb::ListPostsRequest>,
    ) -> Result<Response<pb::ListPostsResponse>, Status> {
        no()
    }

    async fn find_attachment(
        &self,
        _: Request<pb::FindAttachmentRequest>,
    ) -> Result<Response<pb::FindAttachmentResponse>, Status> {
        no()
    }

    async fn put_attachment(
        &self,
        _: Request<Streaming<pb::PutAttachmentRequest>>,
    ) -> Result<Response<pb::PutAttachmentResponse>, Status> {
        no()
    }

    async fn fetch_attachment(
        &self,
        _: Request<pb::FetchAttachmentRequest>,
    ) -> Result<Response<Self::FetchAttachmentStream>, Status> {
        no()
    }
}

/// The limit as a contender.
pub(crate) struct RawTonic {
    place: Place,
    people: Arc<People>,
    running: Option<(Server, SocketAddr)>,
}

impl RawTonic {
    pub(crate) fn new(place: &Place, people: &Arc<People>) -> Self {
        Self { place: place.clone(), people: people.clone(), running: None }
    }

    /// The server's process, while it runs.
    pub(crate) fn process(&self) -> Option<u32> {
        self.running.as_ref().map(|(server, _)| server.id())
    }

    /// A connection of the `nth` member's.
    ///
    /// # Errors
    /// When no server runs, or there are fewer members.
    pub(crate) fn client(&self, nth: usize) -> Result<ExchangeServiceClient<tonic::transport::Channel>> {
        let address = self.running.as_ref().context("no server runs")?.1.to_string();
        let (_, own) = self.people.members.get(nth).context("so few members")?;
        Ok(ExchangeServiceClient::new(channel(&address, own, &self.place.clock)?))
    }
}

#[tonic::async_trait(?Send)]
impl Contender for RawTonic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn settings(&self, work: Work, quick: bool) -> Vec<Setting> {
        let of = |list: &[(usize, &'static str)]| list.iter().map(|(n, how)| Setting::of(*n, how)).collect();
        match (work, quick) {
            (Work::Echo, true) => of(&[(1024, STREAM), (128, UNARY)]),
            (Work::Echo, false) => {
                of(&[(1, STREAM), (64, STREAM), (1024, STREAM), (1, UNARY), (16, UNARY), (128, UNARY)])
            }
            _ => Vec::new(),
        }
    }

    async fn begin(&mut self) -> Result<()> {
        let dir = self.place.dir.join(NAME);
        let credentials = dir.join("credentials");
        crate::machine::empty(&dir)?;
        std::fs::create_dir_all(&credentials)?;
        self.people.hub.save(&credentials)?;
        self.running = Some(start_own(&dir.join("server"), NAME, &credentials).await?);
        Ok(())
    }

    async fn measure(&mut self, task: &Task) -> Result<Measured> {
        let mut client = self.client(0)?;
        // The connection is made before the time runs.
        client.submit(pb::SubmitRequest::default()).await?;
        let unary = task.setting.how == UNARY;
        let callers = if unary { task.setting.in_flight } else { 1 };
        let each = supply(task, 1) / callers;
        let lanes = vec![(1, each, task.setting.in_flight / callers); callers];
        let flight = Arc::new(Flight::new(self.place.clock.clone(), 1, &lanes));
        let stopwatch = Stopwatch::start(self.process());
        let until = flight.begun() + Duration::from_secs_f64(task.seconds);
        let mut calling = JoinSet::new();
        for caller in 0..callers {
            let (client, flight) = (client.clone(), flight.clone());
            if unary {
                calling.spawn(call(caller, client, each, flight, until));
            } else {
                calling.spawn(stream(client, each, flight, until));
            }
        }
        let mut sent = 0;
        while let Some(done) = calling.join_next().await {
            sent += done??;
        }
        flight.stored(sent);
        flight.settle(sent, true).await;
        Ok(flight.measured(sent, stopwatch.stop()))
    }

    async fn end(&mut self) -> Result<()> {
        drop(self.running.take());
        Ok(())
    }
}

fn envelope(caller: usize, number: u64) -> pb::Envelope {
    pb::Envelope { body: payload(caller, number), ..pb::Envelope::default() }
}

/// One call after the other.
async fn call(
    caller: usize,
    mut client: ExchangeServiceClient<tonic::transport::Channel>,
    count: usize,
    flight: Arc<Flight>,
    until: Duration,
) -> Result<u64> {
    let mut sent = 0;
    while (sent as usize) < count && flight.open(until) && flight.send(caller, sent as usize, until).await {
        sent += 1;
        let request = pb::SubmitRequest { envelope: Some(envelope(caller, sent)) };
        let result = client.submit(request).await?.into_inner().result.and_then(|result| result.result);
        let Some(pb::submit_result::Result::Acceptance(signed)) = result else { continue };
        let (caller, number) = read_payload(&signed.payload);
        flight.received(caller, number);
        flight.confirmed(1);
    }
    Ok(sent)
}

/// One stream, with as many messages under way as there are places.
async fn stream(
    mut client: ExchangeServiceClient<tonic::transport::Channel>,
    count: usize,
    flight: Arc<Flight>,
    until: Duration,
) -> Result<u64> {
    let (frames, outgoing) = mpsc::channel(WAITING_FRAMES);
    let mut incoming = client.connect(ReceiverStream::new(outgoing)).await?.into_inner();
    let mut receiving = JoinSet::new();
    let back = flight.clone();
    receiving.spawn(async move {
        while let Ok(Some(response)) = incoming.message().await {
            let Some(pb::connect_response::Frame::Delivery(delivery)) = response.frame else { continue };
            let Some(pb::delivery::Content::Envelope(envelope)) = delivery.content else { continue };
            let (caller, number) = read_payload(&envelope.body);
            back.received(caller, number);
            back.confirmed(1);
        }
    });
    let mut sent = 0;
    while (sent as usize) < count && flight.send(0, sent as usize, until).await {
        sent += 1;
        frames.send(request(pb::connect_request::Frame::Envelope(envelope(0, sent)))).await?;
    }
    drop(frames);
    while receiving.join_next().await.is_some() {}
    Ok(sent)
}
