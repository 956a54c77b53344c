//! One connection to a listener, on which frames are written by hand and everything that comes back is kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::frames::{
    ACK, END_HEADERS, END_STREAM, Frame, HEAD_BYTES, PREFACE, block, frame, headers, kind, message, setting,
};

/// Much longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// What came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The code of the last GOAWAY.
    pub(crate) goaway: Option<u32>,
    /// Streams that the server has reset, with its reasons.
    pub(crate) resets: BTreeMap<u32, u32>,
    pub(crate) answers: BTreeMap<u32, Answer>,
    /// Settings and pings that were confirmed.
    pub(crate) confirmed: usize,
    pub(crate) closed: bool,
}

/// An answer, as far as it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) http: Option<u16>,
    pub(crate) grpc: Option<u16>,
    pub(crate) text: String,
    pub(crate) data: Vec<u8>,
    pub(crate) ended: bool,
}

impl Answer {
    /// The first message of a stream, or the only one, when it has come whole.
    pub(crate) fn messages(&self) -> Vec<&[u8]> {
        let mut found = Vec::new();
        let mut rest = &self.data[..];
        while let [_, a, b, c, d, after @ ..] = rest {
            let Some((one, more)) = after.split_at_checked(u32::from_be_bytes([*a, *b, *c, *d]) as usize)
            else {
                break;
            };
            found.push(one);
            rest = more;
        }
        found
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With GOAWAY and this code.
    Told(u32),
    /// Without a word.
    Closed,
    /// Not at all, but the stream was reset, with this code.
    Reset(u32),
    /// Not at all, and the call was answered, with this status.
    Answered(Option<u16>),
    /// Not at all.
    Open,
}

type Writing = Arc<Mutex<WriteHalf<TlsStream<TcpStream>>>>;

/// A connection. It answers pings, as long as nothing else is being written.
pub(crate) struct Line {
    write: Writing,
    seen: watch::Receiver<Seen>,
    next: u32,
    _reading: JoinSet<()>,
}

/// A connection on which nothing is said any more.
pub(crate) struct Hushed {
    pub(crate) line: Line,
    _nothing_more: OwnedMutexGuard<WriteHalf<TlsStream<TcpStream>>>,
}

/// Why there is no connection: the alert that the server gave, if it gave one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) Option<AlertDescription>);

impl Line {
    /// Connects, with TLS and nothing behind it.
    ///
    /// In TLS 1.3 a client hears that it is refused when it reads first: see [`Self::end`] and [`Line::let_in`].
    pub(crate) async fn connect(address: SocketAddr, tls: Arc<ClientConfig>) -> Result<Self, Refused> {
        let (read, write) = tokio::io::split(shake_hands(address, tls).await?);
        let write = Arc::new(Mutex::new(write));
        let (tell, seen) = watch::channel(Seen::default());
        let mut reading = JoinSet::new();
        reading.spawn(listen(read, write.clone(), tell));
        Ok(Self { write, seen, next: 1, _reading: reading })
    }

    /// The same with preface and settings.
    pub(crate) async fn open(address: SocketAddr, tls: Arc<ClientConfig>) -> Result<Self, Refused> {
        let mut line = Self::connect(address, tls).await?;
        line.greet().await;
        Ok(line)
    }

    /// Preface and settings; the header table gets no room, so that answers can be read one by one.
    pub(crate) async fn greet(&mut self) {
        const HEADER_TABLE_SIZE: u16 = 1;
        self.send(&[PREFACE, &setting(HEADER_TABLE_SIZE, 0)].concat()).await;
    }

    /// Sends bytes. False when the other side takes nothing more.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        let writing = async {
            let mut write = self.write.lock().await;
            write.write_all(bytes).await?;
            write.flush().await
        };
        matches!(tokio::time::timeout(PATIENCE, writing).await, Ok(Ok(())))
    }

    /// Sends one piece after the other, as fast as it goes, until the other side has enough. How many were sent.
    pub(crate) async fn flood(&mut self, pieces: impl Iterator<Item = Vec<u8>>) -> usize {
        let mut sent = 0;
        for piece in pieces {
            if self.seen.borrow().closed || !self.send(&piece).await {
                break;
            }
            sent += 1;
        }
        sent
    }

    /// Hears everything and says nothing any more, not even that it is there.
    pub(crate) async fn hushed(self) -> Hushed {
        let _nothing_more = self.write.clone().lock_owned().await;
        Hushed { line: self, _nothing_more }
    }

    /// The number of the next stream.
    pub(crate) fn stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// Begins a call with a good head. Its stream.
    pub(crate) async fn begin(&mut self, path: &str) -> u32 {
        let stream = self.stream();
        self.send(&frame(kind::HEADERS, END_HEADERS, stream, &block(&head(path)))).await;
        stream
    }

    /// Makes a call with one message, whole, and waits for the end of its answer.
    pub(crate) async fn call(&mut self, path: &str, bytes: &[u8]) -> Answer {
        let stream = self.begin(path).await;
        self.send(&frame(kind::DATA, END_STREAM, stream, &message(bytes))).await;
        self.answer(stream).await
    }

    /// Makes a call with these messages, and waits for so many of the answer, or for its end.
    pub(crate) async fn call_with(&mut self, path: &str, messages: &[Vec<u8>], answers: usize) -> Answer {
        let stream = self.begin(path).await;
        let bytes: Vec<u8> = messages.iter().flat_map(|bytes| message(bytes)).collect();
        self.send(&frame(kind::DATA, 0, stream, &bytes)).await;
        if answers == 1 {
            self.send(&frame(kind::DATA, END_STREAM, stream, &[])).await;
        }
        let enough = |answer: &&Answer| answer.ended || answer.messages().len() >= answers;
        self.until(|seen| seen.answers.get(&stream).filter(enough).cloned()).await
    }

    /// The answer on a stream once it has ended. What was reset before has no status.
    pub(crate) async fn answer(&mut self, stream: u32) -> Answer {
        self.until(|seen| seen.answers.get(&stream).filter(|answer| answer.ended).cloned()).await
    }

    /// Waits until something is seen; the line's end is the end of all answers.
    ///
    /// # Panics
    /// When it never comes.
    pub(crate) async fn until<T>(&mut self, look: impl Fn(&Seen) -> Option<T>) -> T {
        let mut found = None;
        let waiting = self.seen.wait_for(|seen| {
            found = look(seen);
            found.is_some() || seen.closed
        });
        let _ = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|| panic!("it never came: {:?}", self.seen.borrow()))
    }

    /// Waits until the server has closed the connection, and says how.
    pub(crate) async fn end(&mut self) -> End {
        let waiting = self.seen.wait_for(|seen| seen.closed);
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            return End::Open;
        }
        self.seen.borrow().goaway.map_or(End::Closed, End::Told)
    }

    /// The same after a forbidden frame, which may concern this stream alone.
    pub(crate) async fn end_or_answer(&mut self, stream: u32) -> End {
        let answered = |seen: &Seen| seen.answers.get(&stream).is_some_and(|answer| answer.ended);
        let waiting = self.seen.wait_for(|seen| seen.closed || answered(seen));
        let _ = tokio::time::timeout(PATIENCE, waiting).await;
        let seen = self.seen.borrow();
        match (seen.closed, seen.resets.get(&stream), seen.answers.get(&stream)) {
            (true, _, _) => seen.goaway.map_or(End::Closed, End::Told),
            (false, Some(code), _) => End::Reset(*code),
            (false, None, Some(answer)) if answer.ended => End::Answered(answer.grpc),
            (false, None, _) => End::Open,
        }
    }

    /// Goes on with this stream.
    pub(crate) fn skip_to(&mut self, stream: u32) {
        self.next = stream;
    }

    /// What has come so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }
}

/// The head of a good call.
pub(crate) fn head(path: &str) -> [(&str, &str); 6] {
    [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "hub"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
}

/// A handshake, as far as the client's side sees it.
pub(crate) async fn shake_hands(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, Refused> {
    let stream = TcpStream::connect(address).await.unwrap();
    // Calls are timed, and a head and its message go one after the other.
    stream.set_nodelay(true).unwrap();
    let name = "localhost".try_into().unwrap();
    TlsConnector::from(tls).connect(name, stream).await.map_err(|error| Refused(alert(&error)))
}

/// Whether the server lets somebody in: it answers with its settings, or with an alert.
pub(crate) async fn let_in(address: SocketAddr, tls: Arc<ClientConfig>) -> Result<(), Refused> {
    let mut stream = shake_hands(address, tls).await?;
    // Who is refused cannot write any more; it is the reading that says why.
    let _ = stream.write_all(&[PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat()).await;
    let mut first = [0; HEAD_BYTES];
    match tokio::time::timeout(PATIENCE, stream.read_exact(&mut first)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Refused(alert(&error))),
        Err(_late) => panic!("neither let in nor refused"),
    }
}

fn alert(error: &std::io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

async fn listen(mut stream: ReadHalf<TlsStream<TcpStream>>, write: Writing, tell: watch::Sender<Seen>) {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        bytes.extend_from_slice(&piece[..read]);
        let frames: Vec<Frame> = std::iter::from_fn(|| Frame::take(&mut bytes)).collect();
        tell.send_modify(|seen| frames.iter().for_each(|frame| note(seen, frame)));
        let pings = frames.iter().filter(|frame| frame.kind == kind::PING && frame.flags & ACK == 0);
        for ping in pings {
            if let Ok(mut write) = write.try_lock() {
                let _ = write.write_all(&frame(kind::PING, ACK, 0, &ping.payload)).await;
            }
        }
    }
    tell.send_modify(|seen| seen.closed = true);
}

fn note(seen: &mut Seen, frame: &Frame) {
    match frame.kind {
        kind::GOAWAY => seen.goaway = frame.number(4),
        kind::SETTINGS | kind::PING => seen.confirmed += usize::from(frame.flags & ACK != 0),
        kind::RST_STREAM => {
            seen.resets.insert(frame.stream, frame.number(0).unwrap_or_default());
            seen.answers.entry(frame.stream).or_default().ended = true;
        }
        kind::HEADERS => {
            let answer = seen.answers.entry(frame.stream).or_default();
            for (name, value) in headers(&frame.payload) {
                match name.as_str() {
                    ":status" => answer.http = value.parse().ok(),
                    "grpc-status" => answer.grpc = value.parse().ok(),
                    "grpc-message" => answer.text = value,
                    _ => {}
                }
            }
            answer.ended |= frame.flags & END_STREAM != 0;
        }
        kind::DATA => {
            let answer = seen.answers.entry(frame.stream).or_default();
            answer.data.extend(&frame.payload);
            answer.ended |= frame.flags & END_STREAM != 0;
        }
        _ => {}
    }
}
