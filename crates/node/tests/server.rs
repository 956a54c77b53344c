//! The accept loop over real sockets with real TLS: who gets in, how long, and how they leave.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use i247_model::{Hash, Identity, Reason, Refusal};
use i247_node::{
    ChannelLimits, Clock, ConnectError, Health, Limits, Live, Network as _, Role, Rule, Rules, Server,
    SystemClock, TcpNetwork, TlsClock, connect, reflection,
};
use i247_trust::{
    Admission, Authority, Credentials, Presented, TlsKey, Validity, client_config, server_config,
};
use i247_wire::pb;
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use opentelemetry::metrics::MeterProvider as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tower_service::Service as _;

const SUBMIT: &str = "/i247.v1.ExchangeService/Submit";
const PATIENCE: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);

fn identity(path: &str) -> Identity {
    format!("spiffe://i247.test/{path}").parse().unwrap()
}

/// Everybody but those who stand here.
#[derive(Debug, Default)]
struct Barred(std::sync::Mutex<Vec<Identity>>);

impl Admission for Barred {
    fn admit(&self, identity: &Identity, _: &Hash) -> Result<(), Refusal> {
        if self.0.lock().unwrap().contains(identity) {
            return Err(Refusal::of(Reason::Revoked, "certificate"));
        }
        Ok(())
    }
}

/// A hub with the standard services, and the authority that certified it.
struct Hub {
    authority: Authority,
    clock: Arc<dyn Clock>,
    address: SocketAddr,
    live: Live,
    health: Health,
    barred: Arc<Barred>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Hub {
    async fn with(limits: Limits) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let authority = Authority::new(Validity::lasting(clock.now(), 2 * DAY), TlsKey::P256).unwrap();
        let hub =
            authority.enrol(&identity("gs/hub/lyon"), &["localhost"], day(&*clock), TlsKey::P256).unwrap();
        let barred = Arc::new(Barred::default());
        let presented = Presented::new(&hub).unwrap();
        let time = Arc::new(TlsClock(clock.clone()));
        let tls = server_config(presented, authority.root(), time, barred.clone()).unwrap();
        let services = ["i247.v1.ExchangeService"];
        let (health, health_service) = Health::new(&services).await;
        let live = Live::new();
        let server = Server {
            tls,
            admission: barred.clone(),
            rules: Rules::new(i247_wire::DESCRIPTOR, &services, [(SUBMIT, Rule::Roles(&[Role::Post]))])
                .unwrap(),
            routes: Routes::new(health_service).add_service(reflection(&services).unwrap()),
            limits,
            clock: clock.clone(),
            live: live.clone(),
            meter: opentelemetry_sdk::metrics::SdkMeterProvider::builder().build().meter("i247"),
        };
        let listener = TcpNetwork.listen("127.0.0.1:0").await.unwrap();
        let address = listener.address();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(listener, stop.clone()));
        Self { authority, clock, address, live, health, barred, stop, serving }
    }

    fn enrol(&self, path: &str, validity: Validity) -> Credentials {
        self.authority.enrol(&identity(path), &[], validity, TlsKey::P256).unwrap()
    }

    fn tls_of(&self, credentials: &Credentials) -> Arc<rustls::ClientConfig> {
        let time = Arc::new(TlsClock(self.clock.clone()));
        let hub = |identity: &Identity| matches!(identity, Identity::Hub(_));
        client_config(Presented::new(credentials).unwrap(), self.authority.root(), time, hub).unwrap()
    }

    fn channel(&self, path: &str) -> Channel {
        let tls = self.tls_of(&self.enrol(path, day(&*self.clock)));
        connect(Arc::new(TcpNetwork), &self.address.to_string(), tls, &ChannelLimits::default()).unwrap()
    }

    async fn watch(&self, channel: Channel) -> tonic::Streaming<tonic_health::pb::HealthCheckResponse> {
        let mut stream = HealthClient::new(channel).watch(asked()).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        stream
    }
}

/// Shorter than the authority's own, which began earlier.
fn day(clock: &dyn Clock) -> Validity {
    Validity::lasting(clock.now(), DAY)
}

fn asked() -> HealthCheckRequest {
    HealthCheckRequest::default()
}

/// Waits until the other side has closed the stream.
async fn closed(mut stream: impl tokio::io::AsyncRead + Unpin) {
    let mut bytes = [0; 1024];
    let reading = async { while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(PATIENCE, reading).await.expect("the connection is closed");
}

/// Waits until something is so.
async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes about");
}

#[tokio::test]
async fn a_peer_with_a_certificate_is_served_and_health_says_what_it_was_told() {
    let hub = Hub::with(Limits::default()).await;
    let mut client = HealthClient::new(hub.channel("ncb/fr"));
    let status = |reply: tonic::Response<tonic_health::pb::HealthCheckResponse>| reply.into_inner().status();
    use tonic_health::pb::health_check_response::ServingStatus;
    assert_eq!(status(client.check(asked()).await.unwrap()), ServingStatus::NotServing);
    hub.health.set_ready("", true).await;
    assert_eq!(status(client.check(asked()).await.unwrap()), ServingStatus::Serving);
    assert_eq!(hub.live.connections_of(&identity("ncb/fr")), 1);
    drop(client);
    until(|| hub.live.connections() == 0).await;
}

#[tokio::test]
async fn an_authenticated_peer_can_ask_which_services_there_are() {
    let hub = Hub::with(Limits::default()).await;
    let ask = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let asks = tokio_stream::once(ask);
    let mut answers = ServerReflectionClient::new(hub.channel("ncb/fr"))
        .server_reflection_info(asks)
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    let expected =
        ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "i247.v1.ExchangeService"];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_half_open_handshake_is_closed_at_its_deadline() {
    let hub = Hub::with(Limits { handshake: Duration::from_millis(100), ..Limits::default() }).await;
    closed(TcpStream::connect(hub.address).await.unwrap()).await;
}

#[tokio::test]
async fn a_connection_that_stays_silent_after_the_handshake_is_closed() {
    let hub = Hub::with(Limits { first_frame: Duration::from_millis(100), ..Limits::default() }).await;
    let tls = hub.tls_of(&hub.enrol("ncb/fr", day(&*hub.clock)));
    let stream = TcpStream::connect(hub.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    closed(tokio_rustls::TlsConnector::from(tls).connect(name, stream).await.unwrap()).await;
    until(|| hub.live.connections() == 0).await;
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_and_one_with_a_call_is_not() {
    let hub = Hub::with(Limits { idle: Duration::from_millis(100), ..Limits::default() }).await;
    let _open = hub.watch(hub.channel("ncb/fr")).await;
    let mut idle = HealthClient::new(hub.channel("ncb/br"));
    idle.check(asked()).await.unwrap();
    until(|| hub.live.connections_of(&identity("ncb/br")) == 0).await;
    assert_eq!(hub.live.connections_of(&identity("ncb/fr")), 1);
    idle.check(asked()).await.expect("the channel connects anew");
}

#[tokio::test]
async fn handshakes_that_do_not_go_on_make_way_for_one_that_does() {
    let limits = Limits { handshakes_per_address: 2, handshake: PATIENCE * 3, ..Limits::default() };
    let hub = Hub::with(limits).await;
    let first = TcpStream::connect(hub.address).await.unwrap();
    let _second = TcpStream::connect(hub.address).await.unwrap();
    HealthClient::new(hub.channel("ncb/fr")).check(asked()).await.unwrap();
    closed(first).await;
}

#[tokio::test]
async fn a_peer_that_does_not_take_its_answer_is_cut_off_and_one_that_waits_is_not() {
    let hub = Hub::with(Limits { stalled: Duration::from_millis(200), ..Limits::default() }).await;
    let mut waits = hub.watch(hub.channel("ncb/br")).await;
    let tls = hub.tls_of(&hub.enrol("ncb/fr", day(&*hub.clock)));
    let stream = TcpStream::connect(hub.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await.unwrap();
    // No room for an answer, and a call of the health service: literal heads, then an empty message.
    let mut call = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0".to_vec();
    let mut head = vec![0x83, 0x87, 0x04, 28];
    head.extend(b"/grpc.health.v1.Health/Check\x0f\x10\x10application/grpc\0\x02te\x08trailers");
    call.extend([0, 0, u8::try_from(head.len()).unwrap(), 1, 4, 0, 0, 0, 1]);
    call.extend(head);
    call.extend(b"\0\0\x05\0\x01\0\0\0\x01\0\0\0\0\0");
    stream.write_all(&call).await.unwrap();
    closed(stream).await;
    until(|| hub.live.connections_of(&identity("ncb/fr")) == 0).await;
    hub.health.set_ready("", true).await;
    waits.message().await.expect("whoever waits for news is not cut off").unwrap();
}

#[tokio::test]
async fn one_identity_gets_only_so_many_connections() {
    let hub = Hub::with(Limits { connections_per_identity: 1, ..Limits::default() }).await;
    let _first = hub.watch(hub.channel("ncb/fr")).await;
    HealthClient::new(hub.channel("ncb/fr")).check(asked()).await.unwrap_err();
    HealthClient::new(hub.channel("ncb/br")).check(asked()).await.expect("others have their own place");
}

#[tokio::test]
async fn a_cut_ends_a_live_stream_and_a_revoked_peer_stays_out() {
    let hub = Hub::with(Limits::default()).await;
    let channel = hub.channel("ncb/fr");
    let mut stream = hub.watch(channel.clone()).await;
    let mut other = hub.watch(hub.channel("ncb/br")).await;
    hub.barred.0.lock().unwrap().push(identity("ncb/fr"));
    assert_eq!(hub.live.cut(&identity("ncb/fr")), 1);
    let end = tokio::time::timeout(Duration::from_secs(1), stream.message()).await.expect("within a second");
    assert!(end.is_err(), "cut, not ended in order");
    let status = HealthClient::new(channel).check(asked()).await.unwrap_err();
    assert!(matches!(ConnectError::of(&status), Some(ConnectError::NotAdmitted { .. })), "{status:?}");
    hub.health.set_ready("", true).await;
    other.message().await.expect("others go on").unwrap();
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate() {
    let hub = Hub::with(Limits::default()).await;
    // Its last second is this one or the next.
    let now = hub.clock.now();
    let validity = Validity::lasting(now, Duration::from_secs(1));
    let tls = hub.tls_of(&hub.enrol("ncb/fr", validity));
    let address = hub.address.to_string();
    let channel = connect(Arc::new(TcpNetwork), &address, tls, &ChannelLimits::default()).unwrap();
    let mut stream = hub.watch(channel).await;
    let end = tokio::time::timeout(PATIENCE, stream.message()).await.expect("it ends");
    assert!(end.is_err());
    assert!(hub.clock.now() > validity.not_after);
}

#[tokio::test]
async fn who_has_no_certificate_of_the_network_gets_a_tls_error() {
    let hub = Hub::with(Limits::default()).await;
    let stranger = Hub::with(Limits::default()).await;
    let tls = {
        // It trusts the hub, but its own certificate is another authority's.
        let credentials = stranger.enrol("ncb/fr", day(&*hub.clock));
        let time = Arc::new(TlsClock(hub.clock.clone()));
        client_config(Presented::new(&credentials).unwrap(), hub.authority.root(), time, |_| true).unwrap()
    };
    let address = hub.address.to_string();
    let channel = connect(Arc::new(TcpNetwork), &address, tls, &ChannelLimits::default()).unwrap();
    let status = HealthClient::new(channel).check(asked()).await.unwrap_err();
    let cause = ConnectError::of(&status);
    assert!(matches!(cause, Some(ConnectError::NotAdmitted { .. })), "{status:?}");
    assert_eq!(hub.live.connections(), 0);
}

#[tokio::test]
async fn a_call_says_why_there_is_no_connection() {
    let hub = Hub::with(Limits::default()).await;
    let tls = hub.tls_of(&hub.enrol("ncb/fr", day(&*hub.clock)));
    // A port that is taken and where nobody listens.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let deaf = taken.local_addr().unwrap().to_string();
    let fails = async |address: &str, tls: Arc<rustls::ClientConfig>| {
        let channel = connect(Arc::new(TcpNetwork), address, tls, &ChannelLimits::default()).unwrap();
        let status = HealthClient::new(channel).check(asked()).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
        ConnectError::of(&status).cloned().unwrap_or_else(|| panic!("{status:?} has a cause"))
    };
    assert_eq!(fails(&deaf, tls.clone()).await, ConnectError::Refused { address: deaf });
    let nowhere = "no-such-host.invalid:1";
    assert_eq!(fails(nowhere, tls).await, ConnectError::NoSuchHost { address: nowhere.into() });
    let time = Arc::new(TlsClock(hub.clock.clone()));
    let presented = Presented::new(&hub.enrol("ncb/fr", day(&*hub.clock))).unwrap();
    let pickier = client_config(presented, hub.authority.root(), time, |_| false).unwrap();
    assert!(matches!(fails(&hub.address.to_string(), pickier).await, ConnectError::Tls { .. }));
}

#[tokio::test]
async fn what_is_no_address_is_refused_before_anything_is_tried() {
    let hub = Hub::with(Limits::default()).await;
    let tls = hub.tls_of(&hub.enrol("ncb/fr", day(&*hub.clock)));
    for address in ["", "hub", "hub:", "http://hub:1", "hub:1/path", "hub:99999", "a b:1", ":1"] {
        let channel = connect(Arc::new(TcpNetwork), address, tls.clone(), &ChannelLimits::default());
        assert_eq!(channel.unwrap_err(), ConnectError::Address { address: address.into() });
    }
    for address in ["hub:1", "127.0.0.1:1", "[::1]:1"] {
        connect(Arc::new(TcpNetwork), address, tls.clone(), &ChannelLimits::default()).unwrap();
    }
}

#[tokio::test]
async fn a_call_without_a_rule_or_for_another_role_is_refused_with_its_reason() {
    let hub = Hub::with(Limits::default()).await;
    let mut client = ExchangeServiceClient::new(hub.channel("ncb/fr"));
    let without = client.explain(pb::ExplainRequest::default()).await.unwrap_err();
    let for_posts = client.submit(pb::SubmitRequest::default()).await.unwrap_err();
    for status in [without, for_posts] {
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        assert_eq!(i247_wire::refusal(&status).unwrap().reason, Reason::NotAuthorised);
    }
}

#[tokio::test]
async fn what_is_no_proper_call_is_refused() {
    let hub = Hub::with(Limits::default()).await;
    let mut channel = hub.channel("ncb/fr");
    let good = || {
        http::Request::post("/grpc.health.v1.Health/Check")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
    };
    let mut send = async |request: http::request::Builder, messages: &'static [u8]| {
        std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
        let body = Body::new(http_body_util::Full::from(messages));
        let response = channel.call(request.body(body).unwrap()).await.unwrap();
        let grpc = response.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
        (response.status().as_u16(), grpc)
    };
    const ONE: &[u8] = b"\0\0\0\0\0";
    const TWO: &[u8] = b"\0\0\0\0\0\0\0\0\0\0";
    let invalid = (200, Some("3".to_owned()));
    assert_eq!(send(good(), ONE).await, (200, None), "served: its status comes behind the message");
    assert_eq!(send(good().method("GET"), ONE).await, (405, None));
    let json = http::Request::post("/grpc.health.v1.Health/Check").header("content-type", "application/json");
    assert_eq!(send(json, ONE).await, (415, None));
    assert_eq!(send(good().header("grpc-timeout", "banana"), ONE).await, invalid);
    assert_eq!(send(good().uri("/grpc.health.v1.Health/Check?x=1"), ONE).await, invalid);
    assert_eq!(send(good().uri("/grpc.health.v1.Health/Nothing"), ONE).await, (200, Some("12".into())));
    assert_eq!(send(good(), TWO).await, invalid);
    assert_eq!(send(good().header("metadata", "x".repeat(9000)), ONE).await, (431, None));
}

#[tokio::test]
async fn a_call_that_never_sends_its_message_is_ended() {
    let hub = Hub::with(Limits { call: Duration::from_millis(100), ..Limits::default() }).await;
    let mut channel = hub.channel("ncb/fr");
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let (_sender, body) = tokio::io::duplex(1);
    let request = http::Request::post("/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Slow(body)))
        .unwrap();
    let response = tokio::time::timeout(PATIENCE, channel.call(request)).await.unwrap().unwrap();
    assert_eq!(response.headers().get("grpc-status").unwrap(), "4");
}

/// A body that never comes, as long as its other end lives.
struct Slow(tokio::io::DuplexStream);

impl http_body::Body for Slow {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
        let mut bytes = [0; 1];
        let mut buffer = tokio::io::ReadBuf::new(&mut bytes);
        let reading = tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.0), context, &mut buffer);
        reading.map(|_| None)
    }
}

#[tokio::test]
async fn a_peer_that_makes_the_server_reset_its_streams_is_sent_away() {
    const HEADERS: u8 = 1;
    const WINDOW_UPDATE: u8 = 8;
    const GOAWAY: u8 = 7;
    const ENHANCE_YOUR_CALM: u8 = 11;
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    };
    let hub = Hub::with(Limits::default()).await;
    let tls = hub.tls_of(&hub.enrol("ncb/fr", day(&*hub.clock)));
    let stream = TcpStream::connect(hub.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    for number in (1..).step_by(2).take(90) {
        // A request, and a window that overflows: the server must reset the stream.
        bytes.extend(frame(HEADERS, 4, number, &[0x83, 0x86, 0x84]));
        bytes.extend(frame(WINDOW_UPDATE, 0, number, &[0x7f, 0xff, 0xff, 0xff]));
    }
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    reading.expect("the connection is closed").ok();
    let mut rest = &answer[..];
    let mut calm = false;
    while let [_, high, low, kind, _, _, _, _, _, after @ ..] = rest {
        let (payload, next) = after.split_at(usize::from(*high) << 8 | usize::from(*low));
        calm |= *kind == GOAWAY && payload[7] == ENHANCE_YOUR_CALM;
        rest = next;
    }
    assert!(calm, "{answer:?}");
}

#[tokio::test]
async fn calls_above_the_limit_of_a_connection_are_refused_as_busy() {
    let hub = Hub::with(Limits { calls_per_connection: 1, ..Limits::default() }).await;
    let channel = hub.channel("ncb/fr");
    let _open = hub.watch(channel.clone()).await;
    let status = HealthClient::new(channel).check(asked()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(i247_wire::refusal(&status).unwrap().reason, Reason::Busy);
}

#[tokio::test]
async fn a_connection_that_has_grown_old_is_left_and_an_open_call_may_go_on_within_the_grace() {
    let age = Duration::from_millis(100);
    let hub = Hub::with(Limits { age, grace: PATIENCE * 3, ..Limits::default() }).await;
    let mut open = hub.watch(hub.channel("ncb/fr")).await;
    let mut idle = HealthClient::new(hub.channel("ncb/br"));
    idle.check(asked()).await.unwrap();
    // The younger of the two goes at its age, so the older one was asked to leave, too.
    until(|| hub.live.connections_of(&identity("ncb/br")) == 0).await;
    idle.check(asked()).await.expect("the channel connects anew");
    hub.health.set_ready("", true).await;
    open.message().await.expect("what was open goes on").unwrap();
}

#[tokio::test]
async fn a_call_that_outlasts_the_grace_of_an_old_connection_ends_with_it() {
    let (age, grace) = (Duration::from_millis(100), Duration::from_millis(100));
    let hub = Hub::with(Limits { age, grace, ..Limits::default() }).await;
    let mut open = hub.watch(hub.channel("ncb/fr")).await;
    let end = tokio::time::timeout(PATIENCE, open.message()).await.expect("it ends");
    assert!(end.is_err(), "cut, not ended in order");
    until(|| hub.live.connections_of(&identity("ncb/fr")) == 0).await;
}

#[tokio::test]
async fn stopping_lets_calls_end_within_the_grace_and_then_ends_them() {
    let hub = Hub::with(Limits { grace: Duration::from_millis(200), ..Limits::default() }).await;
    let mut stream = hub.watch(hub.channel("ncb/fr")).await;
    hub.stop.cancel();
    hub.health.set_ready("", true).await;
    stream.message().await.expect("still served within the grace").unwrap();
    tokio::time::timeout(PATIENCE, hub.serving).await.expect("it stops").unwrap();
    assert!(stream.message().await.is_err());
    TcpStream::connect(hub.address).await.unwrap_err();
}
