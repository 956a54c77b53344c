//! Those who begin and do not go on. All of them wait at the same time, and nobody else does.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use i247_model::Identity;
use i247_node::sleep;
use i247_testkit::{WorldError, country, free_text};
use i247_wire::pb;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::frames::{END_HEADERS, PREFACE, block, frame, kind, message, setting, window};
use crate::line::{End, Line, PATIENCE, head};
use crate::scene::{Target, end, targets};

/// Handshakes that are begun from each address, and addresses: more than there are places.
const BEGUN: usize = 40;
const ADDRESSES: u8 = 10;

/// A bureau's stream.
pub(crate) const CONNECT: &str = "/i247.v1.ExchangeService/Connect";

/// What is sent to those who do not read, together more than a stream and its line have room for.
const LONG: usize = 60;
const LONG_BYTES: usize = 60_000;

/// How much memory the hub may need for it, in KiB: of its whole log it keeps what is recent.
const UNREAD_KIB_MAX: u64 = 16 * 1024;

/// What a peer may be sent on a stream before it says anything of windows.
const FIRST_WINDOW_BYTES: u32 = 65_535;

/// Between two bytes of those who drip.
const DRIP: Duration = Duration::from_millis(200);

/// How long each is waited for at most, in milliseconds: a handshake, the preface, an answer to pings, a message, a Hello.
const HANDSHAKE_MS: u128 = 5_000;
const PREFACE_MS: u128 = 5_000;
const PONG_MS: u128 = 10_000;
const MESSAGE_MS: u128 = 20_000;
const HELLO_MS: u128 = 10_000;

/// What a machine that is busy with other cases may add, in milliseconds.
const BUSY_MS: u128 = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_go_on_is_sent_away_and_holds_nobody_up() -> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    let [hub, desk] = &targets;
    tokio::join!(all(hub), all(desk), no_hello(hub));
    for target in &targets {
        target.recovers("those who do not go on").await;
    }
    end(targets).await
}

async fn all(target: &Target) {
    let handshakes =
        async { tokio::join!(half_handshakes(target), no_preface(target), dripping_preface(target)) };
    tokio::join!(handshakes, slow_body(target), no_pong(target));
}

/// Half handshakes take every place that there is, again and again, and an honest caller still comes in.
async fn half_handshakes(target: &Target) {
    let mut held = Vec::new();
    for last in 2..2 + ADDRESSES {
        for _ in 0..BEGUN {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0))).unwrap();
            let mut stream = socket.connect(target.address).await.unwrap();
            // The head of a client's first word, which says that more will come.
            let _ = stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).await;
            held.push(stream);
        }
    }
    target.serves_while("half handshakes fill every place").await;
    let begun = target.now_ms();
    for stream in held {
        closed(stream).await;
    }
    ended(target, "half handshakes were closed", begun, HANDSHAKE_MS);
}

/// TLS, and then silence.
async fn no_preface(target: &Target) {
    let begun = target.now_ms();
    let mut line = Line::connect(target.address, target.tls()).await.unwrap();
    assert_ne!(line.end().await, End::Open, "{}", target.node);
    ended(target, "no preface", begun, PREFACE_MS);
}

/// TLS, and then a byte now and then.
async fn dripping_preface(target: &Target) {
    let begun = target.now_ms();
    let mut line = Line::connect(target.address, target.tls()).await.unwrap();
    let bytes = [PREFACE, &frame(kind::SETTINGS, 0, 0, &[0; 96])].concat();
    for byte in bytes {
        if line.seen().closed || !line.send(&[byte]).await {
            break;
        }
        sleep(DRIP).await;
    }
    assert!(line.seen().closed, "{}: the preface dripped in", target.node);
    ended(target, "a dripping preface", begun, PREFACE_MS);
}

/// A call that goes on, and nobody who answers pings.
async fn no_pong(target: &Target) {
    let begun = target.now_ms();
    let mut line = target.line().await;
    assert_eq!(line.call_with("/grpc.health.v1.Health/Watch", &[Vec::new()], 1).await.messages().len(), 1);
    assert_ne!(line.hushed().await.line.end().await, End::Open, "{}", target.node);
    ended(target, "no answer to pings", begun, PONG_MS);
}

/// A call whose message never ends.
async fn slow_body(target: &Target) {
    const DEADLINE_EXCEEDED: u16 = 4;
    let begun = target.now_ms();
    let mut line = target.line().await;
    let stream = line.begin(target.call).await;
    line.send(&frame(kind::DATA, 0, stream, &[0, 0, 0, 1, 0])).await;
    let dripping = async {
        let mut answer = None;
        while answer.is_none() {
            line.send(&frame(kind::DATA, 0, stream, &[10])).await;
            sleep(DRIP).await;
            answer = line.seen().answers.remove(&stream).filter(|answer| answer.ended);
        }
        answer
    };
    let answer = tokio::time::timeout(PATIENCE, dripping).await.expect("it is answered").unwrap();
    assert_eq!(answer.grpc, Some(DEADLINE_EXCEEDED), "{answer:?}");
    ended(target, "a message without end", begun, MESSAGE_MS);
}

/// A bureau's stream on which nobody says who it is.
async fn no_hello(hub: &Target) {
    let begun = hub.now_ms();
    let mut line = hub.line().await;
    let stream = line.begin(CONNECT).await;
    let answer = line.answer(stream).await;
    assert_eq!((answer.http, answer.messages().len()), (Some(200), 1), "a farewell: {answer:?}");
    ended(hub, "a stream without Hello", begun, HELLO_MS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_nobody_reads_holds_nobody_up() -> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    let [hub, _desk] = &targets;
    let (world, brazil) = (hub.world(), hub.world().bureau("BR"));
    // One gives all the room that there can be and takes nothing off the line; the other gives no room.
    let deaf = deaf(hub).await;
    let narrow = world.credentials(&Identity::Bureau(country("IT"))).await?;
    let mut narrow = Line::open(hub.address, hub.tls_of(&narrow)).await.unwrap();
    let stream = narrow.begin(CONNECT).await;
    narrow.send(&frame(kind::DATA, 0, stream, &greeting())).await;
    let long = "x".repeat(LONG_BYTES);
    let mut last = None;
    for _ in 0..LONG {
        last = Some(brazil.tell(&["FR", "IT"], &long).await?);
    }
    brazil.accepted(&last.unwrap()).await?;
    hub.serves_while("two mailboxes are not read").await;
    let mut portugal = world.pen("PT").await?;
    let letter = portugal.sign(&portugal.letter(free_text(&["BR"], "in the middle of it")));
    let other = portugal.submit(&letter).await?;
    brazil.receives(&other.id.parse().unwrap()).await?;
    hub.has_grown_at_most("two mailboxes are not read", UNREAD_KIB_MAX);
    let seen = narrow.seen();
    let came = seen.answers[&stream].data.len();
    assert!(!seen.closed && came > 0 && came <= FIRST_WINDOW_BYTES as usize, "{came} bytes came");
    drop((deaf, narrow, portugal));
    hub.recovers("mailboxes that nobody reads").await;
    end(targets).await
}

/// A bureau's stream with windows as wide as they can be, and a socket that takes little and is never read.
async fn deaf(hub: &Target) -> TlsStream<TcpStream> {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    const WIDEST: u32 = 0x7fff_ffff;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(hub.address).await.unwrap();
    let connecting = TlsConnector::from(hub.tls()).connect("localhost".try_into().unwrap(), stream);
    let mut stream = connecting.await.unwrap();
    let bytes = [
        PREFACE,
        &setting(INITIAL_WINDOW_SIZE, WIDEST),
        &window(0, WIDEST - FIRST_WINDOW_BYTES),
        &frame(kind::HEADERS, END_HEADERS, 1, &block(&head(CONNECT))),
        &frame(kind::DATA, 0, 1, &greeting()),
    ]
    .concat();
    stream.write_all(&bytes).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// Hello, and leave to deliver much.
pub(crate) fn greeting() -> Vec<u8> {
    use pb::connect_request::Frame;
    let hello = pb::Hello { epoch: 1, program: "hostile".into(), ..pb::Hello::default() };
    let frames = [Frame::Hello(hello), Frame::Credit(pb::Credit { deliveries: 10_000 })];
    let frames = frames.map(|frame| pb::ConnectRequest { frame: Some(frame) }.encode_to_vec());
    frames.iter().flat_map(|bytes| message(bytes)).collect()
}

async fn closed(mut stream: TcpStream) {
    let mut bytes = [0; 64];
    let reading = async { while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(PATIENCE, reading).await.expect("the connection is closed");
}

#[expect(clippy::print_stdout, reason = "the figures of the case, shown with --nocapture")]
fn ended(target: &Target, what: &str, begun: u128, ms_max: u128) {
    let took_ms = target.now_ms() - begun;
    println!("{}: {what}: {took_ms} ms", target.node);
    assert!(took_ms <= ms_max + BUSY_MS, "{}: {what}: {took_ms} ms", target.node);
}
