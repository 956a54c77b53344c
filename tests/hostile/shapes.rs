//! Calls that are not shaped as gRPC says, one thing wrong each, on connections that are good.

use i247_testkit::WorldError;

use crate::frames::{END_HEADERS, END_STREAM, block, frame, kind, message};
use crate::line::{Answer, head};
use crate::scene::{Target, end, targets};

/// A change of a good head, and the answer that it gets.
struct Shape {
    what: &'static str,
    change: fn(&mut Head),
    http: u16,
    grpc: Option<u16>,
}

type Head = Vec<(&'static str, &'static str)>;

const INVALID_ARGUMENT: u16 = 3;
const DENIED: u16 = 7;
const OUT_OF_RANGE: u16 = 11;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;

const HEADS: &[Shape] = &[
    shape("GET", |head| set(head, ":method", "GET"), 405, None),
    shape("PUT", |head| set(head, ":method", "PUT"), 405, None),
    shape("a method of nobody", |head| set(head, ":method", "BREW"), 405, None),
    shape("JSON", |head| set(head, "content-type", "application/json"), 415, None),
    shape("gRPC with JSON", |head| set(head, "content-type", "application/grpc+json"), 415, None),
    shape("gRPC-Web", |head| set(head, "content-type", "application/grpc-web+proto"), 415, None),
    shape("no content type", |head| drop_header(head, "content-type"), 415, None),
    shape("two content types", |head| head.push(("content-type", "application/grpc")), 415, None),
    shape("no te", |head| drop_header(head, "te"), 200, Some(INVALID_ARGUMENT)),
    shape(
        "a timeout that is none",
        |head| head.push(("grpc-timeout", "banana")),
        200,
        Some(INVALID_ARGUMENT),
    ),
    shape("a negative timeout", |head| head.push(("grpc-timeout", "-1S")), 200, Some(INVALID_ARGUMENT)),
    shape(
        "two timeouts",
        |head| head.extend([("grpc-timeout", "1H"), ("grpc-timeout", "2H")]),
        200,
        Some(INVALID_ARGUMENT),
    ),
    shape(
        "gzip, which nobody speaks here",
        |head| head.push(("grpc-encoding", "gzip")),
        200,
        Some(UNIMPLEMENTED),
    ),
];

const fn shape(what: &'static str, change: fn(&mut Head), http: u16, grpc: Option<u16>) -> Shape {
    Shape { what, change, http, grpc }
}

fn set(head: &mut Head, name: &str, value: &'static str) {
    head.iter_mut().filter(|pair| pair.0 == name).for_each(|pair| pair.1 = value);
}

fn drop_header(head: &mut Head, name: &str) {
    head.retain(|pair| pair.0 != name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_another_shape_is_refused_before_anything_is_done() -> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    for target in &targets {
        let good = answer_to(target, &head(target.call), &message(b"")).await;
        assert_eq!((good.http, good.grpc), (Some(200), Some(0)), "{good:?}");
        for shape in HEADS {
            let mut head = head(target.call).to_vec();
            (shape.change)(&mut head);
            let answer = answer_to(target, &head, &message(b"")).await;
            assert_eq!(
                (answer.http, answer.grpc),
                (Some(shape.http), shape.grpc),
                "{}: {answer:?}",
                shape.what
            );
        }
        paths(target).await;
        bodies(target).await;
        not_http(target).await;
        target.recovers("odd calls").await;
    }
    end(targets).await
}

/// Ways round a rule that goes by the path.
async fn paths(target: &Target) {
    let (own, others) = (target.call, target.of_others);
    let odd = [
        (format!("{own}?x=1"), INVALID_ARGUMENT),
        (format!("{others}?x=1"), INVALID_ARGUMENT),
        (others.to_owned(), DENIED),
        (format!("/{others}"), UNIMPLEMENTED),
        (format!("{others}/"), UNIMPLEMENTED),
        (others.to_lowercase(), UNIMPLEMENTED),
        (others.replace('.', "%2E"), UNIMPLEMENTED),
        (format!("{own}/..{others}"), UNIMPLEMENTED),
        (format!("{own}{others}"), UNIMPLEMENTED),
        ("/".to_owned(), UNIMPLEMENTED),
        ("/i247.v1.NoService/NoCall".to_owned(), UNIMPLEMENTED),
        ("/grpc.channelz.v1.Channelz/GetServers".to_owned(), UNIMPLEMENTED),
        ("/metrics".to_owned(), UNIMPLEMENTED),
    ];
    for (path, grpc) in odd {
        // Nothing but the head: whoever may not call is told so before a body comes.
        let mut line = target.line().await;
        let stream = line.begin(&path).await;
        let answer = line.answer(stream).await;
        assert_eq!((answer.http, answer.grpc), (Some(200), Some(grpc)), "{path}: {answer:?}");
        silent_about_us(&answer);
    }
}

/// Bodies that are not one message.
async fn bodies(target: &Target) {
    let one = message(b"");
    let too_large = 8_u32 * 1024 * 1024;
    let announced = [&[0], &too_large.to_be_bytes()[..], b"five"].concat();
    let cases: [(&str, Vec<u8>, u16); 9] = [
        ("a second message", [one.clone(), one.clone()].concat(), INVALID_ARGUMENT),
        ("a byte behind the message", [&one[..], &[0]].concat(), INVALID_ARGUMENT),
        ("nothing", Vec::new(), INTERNAL),
        ("half a message", vec![0, 0, 0, 0, 9, 1], INTERNAL),
        ("no protobuf", message(&[0xff; 9]), INTERNAL),
        (
            "an endless number",
            message(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            INTERNAL,
        ),
        ("compressed, and not said how", vec![1, 0, 0, 0, 0], INTERNAL),
        ("a flag of nobody", vec![7, 0, 0, 0, 0], INTERNAL),
        ("more than may be", announced, OUT_OF_RANGE),
    ];
    for (what, body, grpc) in cases {
        let answer = answer_to(target, &head(target.call), &body).await;
        assert_eq!((answer.http, answer.grpc), (Some(200), Some(grpc)), "{what}: {answer:?}");
        silent_about_us(&answer);
    }
}

/// An error says nothing about the machine that it happened on.
fn silent_about_us(answer: &Answer) {
    for word in ["src/", ".rs", "panicked", "/root", "/home", "127.0.0.1", "os error"] {
        assert!(!answer.text.contains(word), "{}", answer.text);
    }
}

/// Requests that HTTP/2 forbids: the stream is reset, nobody is served.
async fn not_http(target: &Target) {
    let good = head(target.call);
    let with = |extra| [&good[..], &[extra]].concat();
    let without = |name| good.iter().copied().filter(|pair| pair.0 != name).collect::<Vec<_>>();
    let cases: [(&str, Vec<(&str, &str)>); 8] = [
        ("a name in capitals", with(("Te", "trailers"))),
        ("a head of the connection", with(("connection", "close"))),
        ("another te", without("te").into_iter().chain([("te", "gzip")]).collect()),
        ("two paths", with((":path", target.of_others))),
        ("a pseudo header too late", with((":authority", "hub"))),
        ("a pseudo header of nobody", with((":proto", "x"))),
        ("no path", without(":path")),
        ("no method", without(":method")),
    ];
    for (what, head) in cases {
        let mut line = target.line().await;
        let stream = line.stream();
        line.send(&frame(kind::HEADERS, END_HEADERS, stream, &block(&head))).await;
        line.send(&frame(kind::DATA, END_STREAM, stream, &message(b""))).await;
        let refused = line.until(|seen| {
            let answer = seen.answers.get(&stream).filter(|answer| answer.ended);
            seen.goaway.map(|_| Answer::default()).or(answer.cloned())
        });
        assert_ne!(refused.await.grpc, Some(0), "{what}");
    }
}

async fn answer_to(target: &Target, head: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut line = target.line().await;
    let stream = line.stream();
    line.send(&frame(kind::HEADERS, END_HEADERS, stream, &block(head))).await;
    line.send(&frame(kind::DATA, END_STREAM, stream, body)).await;
    line.answer(stream).await
}
