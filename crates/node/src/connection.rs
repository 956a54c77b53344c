//! One authenticated connection, from its first HTTP/2 frame to its end.
//!
//! It ends when the peer goes, when it is cut, at its certificate's end, when it stays silent or idle, floods us or does
//! not take its answers, by age, or with the process. A cut ends its calls with it, whatever they wait for.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::budget::Budget;
use crate::calls::{Answers, Calls};
use crate::clock::{Clock, sleep, sleep_until};
use crate::limits::Limits;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Peer,
    Broken,
    Cut,
    Silent,
    /// Too many frames that carry nothing.
    Flood,
    /// It did not take what it had asked for.
    Stalled,
    Certificate,
    /// The peer was asked to leave and stayed until the grace was over.
    Overstayed,
}

/// What may end a connection from this side.
pub(crate) struct Ends {
    /// Cut at once.
    pub(crate) cut: CancellationToken,
    /// The process stops: the peer is asked to leave.
    pub(crate) stop: CancellationToken,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Serves `calls` on `stream` until the connection ends. Dropping it cuts the connection and its calls.
pub(crate) async fn drive<S>(stream: S, calls: Calls, ends: Ends) -> End
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = calls.limits.clone();
    let not_after = calls.peer.not_after;
    let mut open = calls.open.subscribe();
    let answers = calls.answers.clone();
    let budget = Budget::new(limits.idle_frames_per_second, ends.clock.monotonic());
    let (stream, mut seen) = Watched::new(stream, budget, ends.clock.clone());
    let flooded = seen.clone();
    let tasks = CancellationToken::new();
    let _calls_end_with_the_connection = tasks.clone().drop_guard();
    let connection = http2_builder(&limits, Tasks(tasks)).serve_connection(TokioIo::new(stream), calls);
    let mut connection = pin!(connection);
    // Good through the whole of its last second.
    let mut certificate = pin!(sleep_until(&*ends.clock, not_after.plus(Duration::from_secs(1))));
    let ended = |result: hyper::Result<()>| match (result, *flooded.borrow()) {
        (_, Stage::Flooded) => End::Flood,
        (Ok(()), _) => End::Peer,
        (Err(_), _) => End::Broken,
    };

    // What a branch drops here is a wait, never data.
    tokio::select! {
        biased;
        () = ends.cut.cancelled() => return End::Cut,
        result = &mut connection => return ended(result),
        () = &mut certificate => return End::Certificate,
        () = silent(&mut seen, limits.first_frame) => return End::Silent,
        () = stalled(&answers, limits.stalled) => return End::Stalled,
        () = idle(&mut open, limits.idle) => {}
        () = ends.stop.cancelled() => {}
        () = sleep(limits.age) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        () = ends.cut.cancelled() => End::Cut,
        result = &mut connection => ended(result),
        () = &mut certificate => End::Certificate,
        () = sleep(limits.grace) => End::Overstayed,
    }
}

/// Every limit stands here: what is not set, hyper either leaves open or sets as it likes.
fn http2_builder(limits: &Limits, tasks: Tasks) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        // It would read the operating system's clock.
        .auto_date_header(false)
        .adaptive_window(false)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .max_send_buf_size(limits.send_buffer_bytes)
        .max_local_error_reset_streams(limits.local_resets)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    builder
}

/// Returns when the peer's preface and settings have not come in time.
async fn silent(seen: &mut watch::Receiver<Stage>, limit: Duration) {
    if tokio::time::timeout(limit, seen.wait_for(|stage| *stage != Stage::Silent)).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Returns once a piece of an answer has waited for so long.
async fn stalled(answers: &Answers, limit: Duration) {
    /// How often it is looked whether the same piece still waits.
    const LOOKS: u32 = 4;
    while answers.look() < LOOKS {
        sleep(limit / LOOKS).await;
    }
}

/// Returns once no call has been open for so long.
async fn idle(open: &mut watch::Receiver<u32>, limit: Duration) {
    loop {
        // The sender lives in the connection, which outlives this.
        if open.wait_for(|open| *open == 0).await.is_err() {
            return;
        }
        if tokio::time::timeout(limit, open.wait_for(|open| *open > 0)).await.is_err() {
            return;
        }
    }
}

/// Where hyper runs the calls of one connection, so that they can be ended with it.
#[derive(Clone)]
struct Tasks(CancellationToken);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        tokio::spawn(self.0.clone().run_until_cancelled_owned(task).in_current_span());
    }
}

/// What a peer has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not yet preface and settings.
    Silent,
    Begun,
    /// More than its budget.
    Flooded,
}

/// A stream that tells when HTTP/2 has begun on it, and that ends when the budget of its frames is spent.
struct Watched<S> {
    stream: S,
    stage: watch::Sender<Stage>,
    bytes: usize,
    budget: Budget,
    clock: Arc<dyn Clock>,
}

impl<S> Watched<S> {
    /// The preface (24 bytes) and the head of the settings frame (9 bytes).
    const BEGUN_BYTES: usize = 24 + 9;

    fn new(stream: S, budget: Budget, clock: Arc<dyn Clock>) -> (Self, watch::Receiver<Stage>) {
        let (stage, seen) = watch::channel(Stage::Silent);
        (Self { stream, stage, bytes: 0, budget, clock }, seen)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        if this.bytes < Self::BEGUN_BYTES {
            this.bytes += read.len();
            if this.bytes >= Self::BEGUN_BYTES {
                this.stage.send_replace(Stage::Begun);
            }
        }
        if !this.budget.covers(read, || this.clock.monotonic()) {
            this.stage.send_replace(Stage::Flooded);
            return Poll::Ready(Err(std::io::Error::other("too many frames that carry no message")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
