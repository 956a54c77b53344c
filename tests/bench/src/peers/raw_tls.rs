//! The limit that the machine sets: frames over mutual TLS 1.3 with nothing above it. Nothing is stored or checked.
//!
//! A connection begins with one byte that says what it is: an echo, the publisher of a fan-out, or a recipient.
//! A frame is its length in four bytes, and its bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::{Buf as _, Bytes, BytesMut};
use futures::FutureExt as _;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::certs::Certs;
use crate::contender::{Contender, Place, Task};
use crate::flight::Flight;
use crate::measure::{Measured, Setting, Work};
use crate::peers::{mark, payload, read_payload, start_own, supply};
use crate::process::{Server, Stopwatch};

/// Its name among the contenders.
pub(crate) const NAME: &str = "raw-tls";

const ECHO: u8 = b'E';
const PUBLISHER: u8 = b'P';
const RECIPIENT: u8 = b'R';

const BUFFER_BYTES: usize = 128 * 1024;
/// Messages in one write.
const IN_ONE_WRITE: usize = 16;
/// Frames that wait for a recipient.
const WAITING_FRAMES: usize = 1024;

/// Runs the server until it is killed.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn serve(certs: &Certs, ready: impl FnOnce(SocketAddr) -> Result<()>) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(certs.server()?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    ready(listener.local_addr()?)?;
    let recipients: Recipients = Arc::default();
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, recipients) = (acceptor.clone(), recipients.clone());
        tasks.spawn(async move {
            // One that breaks is the client's business.
            if let Ok(stream) = acceptor.accept(stream).await {
                drop(connection(stream, recipients).await);
            }
        });
        while tasks.try_join_next().is_some() {}
    }
}

type Recipients = Arc<Mutex<Vec<mpsc::Sender<Bytes>>>>;

async fn connection(mut stream: server::TlsStream<TcpStream>, recipients: Recipients) -> Result<()> {
    match stream.read_u8().await? {
        ECHO => {
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                let read = stream.read(&mut buffer).await?;
                if read == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..read]).await?;
            }
        }
        PUBLISHER => {
            let mut frames = Frames::new(stream);
            while let Some(frame) = frames.next().await? {
                let all = recipients.lock().unwrap_or_else(PoisonError::into_inner).clone();
                for recipient in all {
                    // One that is gone gets no more.
                    drop(recipient.send(frame.clone()).await);
                }
            }
            Ok(())
        }
        _ => {
            let (sender, waiting) = mpsc::channel(WAITING_FRAMES);
            let (mut acknowledgements, writing) = tokio::io::split(stream);
            recipients.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
            let mut buffer = [0; 4096];
            // Whichever ends first ends the connection.
            tokio::select! {
                written = write_frames(writing, waiting) => written,
                read = async { while acknowledgements.read(&mut buffer).await? > 0 {} anyhow::Ok(()) } => read,
            }
        }
    }
}

/// Writes what has gathered in one go.
async fn write_frames(
    mut writing: WriteHalf<server::TlsStream<TcpStream>>,
    mut waiting: mpsc::Receiver<Bytes>,
) -> Result<()> {
    let mut gathered = Vec::new();
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    while waiting.recv_many(&mut gathered, 64).await > 0 {
        buffer.clear();
        gathered.drain(..).for_each(|frame| put(&mut buffer, &frame));
        writing.write_all(&buffer).await?;
        writing.flush().await?;
    }
    Ok(())
}

fn put(buffer: &mut Vec<u8>, frame: &[u8]) {
    buffer.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend_from_slice(frame);
}

/// Frames out of a stream.
struct Frames<S> {
    stream: S,
    buffer: BytesMut,
}

impl<S: tokio::io::AsyncRead + Unpin> Frames<S> {
    fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(BUFFER_BYTES) }
    }

    /// The length of the frame that is wholly there, if one is.
    fn length(&self) -> Option<usize> {
        let length = u32::from_le_bytes(*self.buffer.first_chunk()?) as usize;
        (self.buffer.len() >= 4 + length).then_some(length)
    }

    fn is_ready(&self) -> bool {
        self.length().is_some()
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(length) = self.length() {
                self.buffer.advance(4);
                return Ok(Some(self.buffer.split_to(length).freeze()));
            }
            self.buffer.reserve(BUFFER_BYTES / 2);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// The limit as a contender.
pub(crate) struct RawTls {
    place: Place,
    certs: Certs,
    running: Option<(Server, SocketAddr)>,
}

impl RawTls {
    pub(crate) fn new(place: &Place, certs: &Certs) -> Self {
        Self { place: place.clone(), certs: certs.clone(), running: None }
    }

    async fn connect(&self, role: u8) -> Result<client::TlsStream<TcpStream>> {
        let address = self.running.as_ref().context("no server runs")?.1;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::new(self.certs.client()?));
        let mut stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
        stream.write_u8(role).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

#[tonic::async_trait(?Send)]
impl Contender for RawTls {
    fn name(&self) -> &'static str {
        NAME
    }

    fn settings(&self, work: Work, quick: bool) -> Vec<Setting> {
        let of = |windows: &[usize], how| windows.iter().map(|n| Setting::of(*n, how)).collect();
        match (work, quick) {
            (Work::FanOut, true) => of(&[1, 64], ""),
            (Work::FanOut, false) => of(&[1, 4, 16, 64], ""),
            (Work::Echo, true) => of(&[1024], ""),
            (Work::Echo, false) => of(&[64, 1024], ""),
            _ => Vec::new(),
        }
    }

    async fn begin(&mut self) -> Result<()> {
        let dir = self.place.dir.join(NAME);
        self.running = Some(start_own(&dir, NAME, self.certs.dir()).await?);
        Ok(())
    }

    async fn measure(&mut self, task: &Task) -> Result<Measured> {
        let recipients = if task.work == Work::FanOut { self.place.countries - 1 } else { 1 };
        let supply = supply(task, recipients);
        let lanes = [(1, supply, task.setting.in_flight)];
        let mut receiving = JoinSet::new();
        let (writing, streams) = if task.work == Work::FanOut {
            let mut streams = Vec::new();
            for _ in 0..recipients {
                let (reading, writing) = tokio::io::split(self.connect(RECIPIENT).await?);
                streams.push((reading, Some(writing)));
            }
            (tokio::io::split(self.connect(PUBLISHER).await?).1, streams)
        } else {
            let (reading, writing) = tokio::io::split(self.connect(ECHO).await?);
            (writing, vec![(reading, None)])
        };
        let clock = self.place.clock.clone();
        let flight = Arc::new(Flight::new(clock, u32::try_from(recipients)?, &lanes));
        let server = self.running.as_ref().map(|(server, _)| server.id());
        let stopwatch = Stopwatch::start(server);
        for (reading, writing) in streams {
            receiving.spawn(receive(reading, writing, flight.clone()));
        }
        let until = flight.begun() + Duration::from_secs_f64(task.seconds);
        let sent = send(writing, supply, &flight, until).await?;
        flight.stored(sent);
        flight.settle(sent, true).await;
        Ok(flight.measured(sent, stopwatch.stop()))
    }

    async fn end(&mut self) -> Result<()> {
        drop(self.running.take());
        Ok(())
    }
}

/// Sends while there are places and time, up to sixteen messages in one write.
async fn send(
    mut writing: WriteHalf<client::TlsStream<TcpStream>>,
    count: usize,
    flight: &Flight,
    until: Duration,
) -> Result<u64> {
    let mut sent = 0;
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut message = payload(0, 0).to_vec();
    while sent < count && flight.send(0, sent, until).await {
        buffer.clear();
        for _ in 0..IN_ONE_WRITE {
            sent += 1;
            mark(&mut message, 0, sent as u64);
            put(&mut buffer, &message);
            // Only what has a place at once.
            if sent >= count || flight.send(0, sent, until).now_or_never() != Some(true) {
                break;
            }
        }
        writing.write_all(&buffer).await?;
        writing.flush().await?;
    }
    Ok(sent as u64)
}

/// Takes frames, and acknowledges those that came together by the number of the last.
async fn receive(
    reading: ReadHalf<client::TlsStream<TcpStream>>,
    mut writing: Option<WriteHalf<client::TlsStream<TcpStream>>>,
    flight: Arc<Flight>,
) {
    let mut frames = Frames::new(reading);
    let result: Result<()> = async {
        while let Some(frame) = frames.next().await? {
            let (sender, number) = read_payload(&frame);
            flight.received(sender, number);
            flight.confirmed(1);
            if let Some(writing) = writing.as_mut().filter(|_| !frames.is_ready()) {
                writing.write_all(&number.to_le_bytes()).await?;
                writing.flush().await?;
            }
        }
        Ok(())
    }
    .await;
    if let Err(error) = result {
        flight.spoil(|| format!("receiving: {error:#}"));
    }
}
