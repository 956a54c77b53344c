//! turmoil's network, and who was connected to a machine from when until when: what the machine itself says of that
//! is not asked.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use i247_node::{BoxedStream, Listener, Network};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, join};
use turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use turmoil::net::{TcpListener, TcpStream};

use crate::handshake::Clear;

/// A connection that a machine took, in simulated time. A handshake that fails is one, too.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The machine at its other end.
    pub(crate) from: String,
    pub(crate) opened: Duration,
    /// When this end was let go of.
    pub(crate) closed: Option<Duration>,
    /// Its handshake took up an earlier session.
    pub(crate) resumed: bool,
}

impl Line {
    /// Whether it was open at some time between these.
    pub(crate) fn overlaps(&self, from: Duration, until: Duration) -> bool {
        self.opened <= until && self.closed.is_none_or(|closed| closed >= from)
    }
}

/// All lines to a machine, the oldest first. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<Line>>>);

impl Lines {
    /// All lines from this machine.
    pub(crate) fn from(&self, machine: &str) -> Vec<Line> {
        self.all().iter().filter(|line| line.from == machine).cloned().collect()
    }

    /// All lines that took up an earlier session.
    pub(crate) fn resumed(&self) -> Vec<Line> {
        self.all().iter().filter(|line| line.resumed).cloned().collect()
    }

    /// Whether a line from this machine is open.
    pub(crate) fn is_joined(&self, machine: &str) -> bool {
        self.all().iter().any(|line| line.from == machine && line.closed.is_none())
    }

    /// The machine crashes, and all its lines with it.
    pub(crate) fn close_all(&self, now: Duration) {
        self.all().iter_mut().for_each(|line| line.closed = line.closed.or(Some(now)));
    }

    fn open(&self, from: String) -> usize {
        let mut lines = self.all();
        let opened = turmoil::sim_elapsed().unwrap_or_default();
        lines.push(Line { from, opened, closed: None, resumed: false });
        lines.len() - 1
    }

    fn note_resumed(&self, nth: usize) {
        if let Some(line) = self.all().get_mut(nth) {
            line.resumed = true;
        }
    }

    fn close(&self, nth: usize) {
        // Outside of the simulation a crash drops it, and has said when.
        let Some(now) = turmoil::sim_elapsed() else { return };
        if let Some(line) = self.all().get_mut(nth) {
            line.closed = line.closed.or(Some(now));
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// turmoil's network, as one machine uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimNetwork {
    /// The lines to this machine.
    pub(crate) lines: Lines,
}

#[async_trait]
impl Network for SimNetwork {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Box::new(SimListener { listener, address, lines: self.lines.clone() }))
    }

    async fn connect(&self, address: &str) -> io::Result<BoxedStream> {
        Ok(Box::new(TcpStream::connect(address).await?))
    }
}

struct SimListener {
    listener: TcpListener,
    address: SocketAddr,
    lines: Lines,
}

impl std::fmt::Debug for SimListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

#[async_trait]
impl Listener for SimListener {
    async fn accept(&self) -> io::Result<(BoxedStream, SocketAddr)> {
        let (stream, from) = self.listener.accept().await?;
        let nth = self.lines.open(turmoil::reverse_lookup(from.ip()).unwrap_or_default());
        let (stream, writing) = stream.into_split();
        let writing = Answering { stream: writing, clear: Clear::default(), nth, lines: self.lines.clone() };
        Ok((Box::new(join(Taken { stream, nth, lines: self.lines.clone() }, writing)), from))
    }

    fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The end of a line at the machine that took it, as far as it is read: it goes when the whole goes.
struct Taken {
    stream: OwnedReadHalf,
    nth: usize,
    lines: Lines,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.lines.close(self.nth);
    }
}

impl AsyncRead for Taken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// The same line as far as it is written: what is said there in the clear is listened to.
struct Answering {
    stream: OwnedWriteHalf,
    clear: Clear,
    nth: usize,
    lines: Lines,
}

impl AsyncWrite for Answering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written
            && self.clear.says(&bytes[..*count])
        {
            self.lines.note_resumed(self.nth);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
