//! Frames in masses, and frames that may not be. A connection that sends them ends; nothing else does.

use std::time::Duration;

use i247_node::sleep;
use i247_testkit::WorldError;

use crate::frames::{
    ACK, END_HEADERS, END_STREAM, block, code, frame, kind, message, reset, setting, window,
};
use crate::line::{Answer, End, Line, head};
use crate::scene::{Target, Took, end, targets};

/// Pieces that are sent at most. Nobody may get so far.
const PIECES_MAX: u32 = 60_000;

/// How long each flood goes on, with one connection after the other.
const LASTS: Duration = Duration::from_secs(1);

/// How much memory a process may have gained after any of them since before the first, in KiB.
const FLOOD_KIB_MAX: u64 = 16 * 1024;

/// A piece that is sent again and again, on the next stream each time, and how the server says that it is enough.
struct Flood {
    what: &'static str,
    piece: fn(u32, &str) -> Vec<u8>,
    told: &'static [End],
}

const CALM: &[End] = &[End::Told(code::ENHANCE_YOUR_CALM)];

/// By hyper's limit or by the frame budget, whichever is reached first.
const CALM_OR_CUT: &[End] = &[End::Told(code::ENHANCE_YOUR_CALM), End::Closed];

/// Masses that the frame budget ends: there is no time for a word.
const CUT: &[End] = &[End::Closed];

const FLOODS: &[Flood] = &[
    flood("rapid reset", |stream, path| [begun(stream, path), reset(stream)].concat(), CALM_OR_CUT),
    flood(
        "window of a stream too wide",
        |stream, path| [begun(stream, path), window(stream, WIDEST)].concat(),
        CALM,
    ),
    flood("more than the length that was said", too_long, CALM),
    flood("less than the length that was said", too_short, CALM),
    flood("a head without a path", |stream, path| headers(stream, &head(path)[..3]), CALM),
    flood("streams above their number", begun, CALM),
    flood("heads without end", |_, _| frame(kind::CONTINUATION, 0, 1, &block(&[("x", "x")])), CALM),
    flood("pings", |_, _| frame(kind::PING, 0, 0, b"flooding").repeat(16), CUT),
    flood("pings that nobody asked", |_, _| frame(kind::PING, ACK, 0, b"flooding").repeat(16), CUT),
    flood("settings", |_, _| frame(kind::SETTINGS, 0, 0, &[]).repeat(16), CUT),
    flood("settings that say something", |number, _| setting(4, number).repeat(16), CUT),
    flood("priorities", |_, _| frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 3, 9]).repeat(16), CUT),
    flood("frames of nobody", |_, _| frame(0xbe, 0, 0, b"what?").repeat(16), CUT),
    flood("windows by one", |_, _| window(0, 1).repeat(16), CUT),
    flood("empty data", |_, _| frame(kind::DATA, 0, 1, &[]).repeat(16), CALM_OR_CUT),
];

/// Frames that end a connection at once, and with which word.
const FORBIDDEN: &[Flood] = &[
    flood("data behind the end", |stream, path| [whole(stream, path), data(stream)].concat(), BEHIND),
    flood("heads behind the end", |stream, path| [whole(stream, path), begun(stream, path)].concat(), BEHIND),
    flood(
        "a head in capitals",
        |stream, path| headers(stream, &[&head(path)[..], &[("X", "x")]].concat()),
        PROTOCOL,
    ),
    flood("data on a stream of nobody", |stream, _| data(stream + 2), PROTOCOL),
    flood("a stream of the server's", |stream, path| begun(stream + 1, path), PROTOCOL),
    flood("a call on stream 0", |_, path| begun(0, path), PROTOCOL),
    flood("a stream that is behind", |_, path| [begun(9, path), begun(7, path)].concat(), PROTOCOL),
    flood(
        "a promise",
        |stream, path| frame(kind::PUSH_PROMISE, END_HEADERS, stream, &block(&head(path))),
        PROTOCOL,
    ),
    flood(
        "a head that nobody began",
        |stream, _| frame(kind::CONTINUATION, END_HEADERS, stream, &[]),
        PROTOCOL,
    ),
    flood(
        "a ping inside a head",
        |stream, path| [half(stream, path), frame(kind::PING, 0, 0, &[0; 8])].concat(),
        PROTOCOL,
    ),
    flood(
        "a head on another stream inside a head",
        |stream, path| [half(stream, path), begun(stream + 2, path)].concat(),
        PROTOCOL,
    ),
    flood(
        "padding longer than the frame",
        |stream, path| [begun(stream, path), frame(kind::DATA, 8, stream, &[99, 1])].concat(),
        PROTOCOL,
    ),
    flood("settings on a stream", |stream, _| frame(kind::SETTINGS, 0, stream, &[]), PROTOCOL),
    flood(
        "a frame too large",
        |stream, path| [begun(stream, path), frame(kind::DATA, 0, stream, &[0; 16_385])].concat(),
        SIZE,
    ),
    flood("a ping of seven bytes", |_, _| frame(kind::PING, 0, 0, &[0; 7]), SIZE),
    flood("settings of five bytes", |_, _| frame(kind::SETTINGS, 0, 0, &[0; 5]), SIZE),
    flood("window of the connection too wide", |_, _| window(0, WIDEST), FLOW),
    flood(
        "window of a stream by nothing",
        |stream, path| [begun(stream, path), window(stream, 0)].concat(),
        PROTOCOL,
    ),
    flood("window of the connection by nothing", |_, _| window(0, 0), PROTOCOL),
    flood("a first window too wide", |_, _| setting(4, u32::MAX), FLOW),
    flood("frames below the smallest", |_, _| setting(5, 1), PROTOCOL),
    flood(
        "a head that no table gives",
        |stream, _| frame(kind::HEADERS, END_HEADERS, stream, &[0xff, 0xff, 0xff]),
        PACKING,
    ),
    flood(
        "a table that grows beyond its limit",
        |stream, _| frame(kind::HEADERS, END_HEADERS, stream, &[0x3f, 0xff, 0xff, 0x3f]),
        PACKING,
    ),
    flood(
        "more than the window",
        |stream, path| [begun(stream, path), data_of(stream, 16_384).repeat(80)].concat(),
        BEYOND,
    ),
];

/// The connection, or the stream alone; the call had been made whole, and may be answered before.
const BEHIND: &[End] = &[
    End::Told(code::PROTOCOL_ERROR),
    End::Told(code::STREAM_CLOSED),
    End::Reset(code::PROTOCOL_ERROR),
    End::Reset(code::STREAM_CLOSED),
    End::Answered(Some(0)),
];
/// The connection, or the stream alone, but never an answer.
const BEYOND: &[End] = &[End::Told(code::FLOW_CONTROL_ERROR), End::Reset(code::FLOW_CONTROL_ERROR)];
const PROTOCOL: &[End] = &[End::Told(code::PROTOCOL_ERROR)];
const SIZE: &[End] = &[End::Told(code::FRAME_SIZE_ERROR), End::Told(code::PROTOCOL_ERROR)];
const FLOW: &[End] = &[End::Told(code::FLOW_CONTROL_ERROR), End::Told(code::PROTOCOL_ERROR)];
const PACKING: &[End] = &[End::Told(code::COMPRESSION_ERROR), End::Told(code::PROTOCOL_ERROR)];

const WIDEST: u32 = 0x7fff_ffff;

const fn flood(what: &'static str, piece: fn(u32, &str) -> Vec<u8>, told: &'static [End]) -> Flood {
    Flood { what, piece, told }
}

fn headers(stream: u32, list: &[(&str, &str)]) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS, stream, &block(list))
}

/// A good head of a call, with the message still to come.
fn begun(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, &head(path))
}

/// A good head that does not say that it is the end of the heads.
fn half(stream: u32, path: &str) -> Vec<u8> {
    frame(kind::HEADERS, 0, stream, &block(&head(path)))
}

fn data(stream: u32) -> Vec<u8> {
    frame(kind::DATA, 0, stream, &message(b""))
}

fn data_of(stream: u32, length: usize) -> Vec<u8> {
    frame(kind::DATA, 0, stream, &vec![0; length])
}

/// A whole call.
fn whole(stream: u32, path: &str) -> Vec<u8> {
    [begun(stream, path), frame(kind::DATA, END_STREAM, stream, &message(b""))].concat()
}

fn too_long(stream: u32, path: &str) -> Vec<u8> {
    let said = [&head(path)[..], &[("content-length", "1")]].concat();
    [headers(stream, &said), data(stream)].concat()
}

fn too_short(stream: u32, path: &str) -> Vec<u8> {
    let said = [&head(path)[..], &[("content-length", "9")]].concat();
    [headers(stream, &said), frame(kind::DATA, END_STREAM, stream, &[0])].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_frames_ends_its_connection_and_nothing_else() -> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    let mut wrong = Vec::new();
    for target in &targets {
        let ((), alone) = target.beside(sleep(LASTS)).await;
        for flood in FLOODS {
            let (found, beside) = target.beside(again_and_again(target, flood)).await;
            wrong.extend(found);
            said(target, flood, &beside, &alone);
            target.recovers_within(flood.what, FLOOD_KIB_MAX).await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    end(targets).await
}

/// One connection after the other is flooded until it ends. What ends otherwise than it should is returned. While the
/// process is flooded, the last word may be lost to the reset of a connection that still sends: the first one hears it.
async fn again_and_again(target: &Target, flood: &Flood) -> Vec<String> {
    let (begun, mut wrong, mut heard) = (target.now_ms(), Vec::new(), false);
    while target.now_ms() - begun < LASTS.as_millis() {
        let mut line = target.line().await;
        // A stream for the frames that need one.
        let prefix = match flood.what {
            "heads without end" => half(1, target.call),
            "empty data" => self::begun(1, target.call),
            _ => Vec::new(),
        };
        line.send(&prefix).await;
        let pieces = (0..PIECES_MAX).map(|number| (flood.piece)(2 * number + 3, target.call));
        let sent = line.flood(pieces).await;
        let end = line.end().await;
        let lost = heard && end == End::Closed;
        if !lost && !flood.told.contains(&end) {
            wrong.push(format!("{}: {}: {end:?} after {sent}", target.node, flood.what));
        }
        heard = true;
    }
    wrong
}

#[expect(clippy::print_stdout, reason = "the figures of the case, shown with --nocapture")]
fn said(target: &Target, flood: &Flood, beside: &Took, alone: &Took) {
    println!("{}: {}: honest calls {beside}; without it {alone}", target.node, flood.what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_may_not_be_ends_its_connection_with_a_word() -> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    let mut wrong = Vec::new();
    for target in &targets {
        for forbidden in FORBIDDEN {
            let mut line = target.line().await;
            line.send(&(forbidden.piece)(1, target.call)).await;
            let end = line.end_or_answer(1).await;
            if !forbidden.told.contains(&end) {
                wrong.push(format!("{}: {}: {end:?}", target.node, forbidden.what));
            }
        }
        prefaces(target).await;
        target.recovers("forbidden frames").await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    end(targets).await
}

/// What is no HTTP/2 from the first byte on.
async fn prefaces(target: &Target) {
    let beginnings: [(&str, &[u8]); 3] = [
        ("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"),
        ("a bent preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r!"),
        ("zeros", &[0; 64]),
    ];
    for (what, bytes) in beginnings {
        let mut line = Line::connect(target.address, target.tls()).await.unwrap();
        line.send(bytes).await;
        assert_ne!(line.end().await, End::Open, "{}: {what}", target.node);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_unpack_to_more_than_may_be_are_refused() -> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    for target in &targets {
        let long = "x".repeat(15_000);
        let mut line = target.line().await;
        line.send(&headers(1, &[&head(target.call)[..], &[("long", &long)]].concat())).await;
        assert_eq!(line.answer(1).await.http, Some(431));
        // The connection is none the worse.
        line.skip_to(3);
        assert_eq!(line.call(target.call, b"").await.grpc, Some(0));
        // Four kilobytes enter the table once, and are named a thousand times with a byte each.
        let mut bomb = block(&head(target.call));
        let mut entry = block(&[("bomb", &"x".repeat(3900))]);
        entry[0] = 0x40;
        bomb.extend(entry);
        bomb.extend([0xbe; 1000]);
        line.send(&frame(kind::HEADERS, END_HEADERS, 5, &bomb)).await;
        assert_eq!(line.end().await, End::Told(code::ENHANCE_YOUR_CALM));
        target.recovers("heads that unpack").await;
    }
    end(targets).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_begun_and_never_made_take_their_places_and_no_more() -> Result<(), WorldError> {
    const BUSY: u16 = 8;
    let Some(targets) = targets().await? else { return Ok(()) };
    for target in &targets {
        let mut line = target.line().await;
        let mut begun = Vec::new();
        for _ in 0..90 {
            let call = line.begin(target.call).await;
            // Five bytes that announce as much as may be.
            line.send(&frame(kind::DATA, 0, call, &[0, 0, 4, 0, 0])).await;
            begun.push(call);
        }
        for call in &begun[64..] {
            let refused: Answer = line.answer(*call).await;
            assert_eq!(refused.grpc, Some(BUSY), "{refused:?}");
        }
        assert_eq!(line.seen().answers.len(), 90 - 64, "64 calls wait for their messages");
        target.serves_while("calls wait for their messages").await;
        drop(line);
        target.recovers("calls that are never made").await;
    }
    end(targets).await
}
