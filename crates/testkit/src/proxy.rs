//! The line between a bureau and the hub: a small TCP proxy that can be cut, healed and slowed down.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use i247_node::sleep;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A line that faults can be put on. It goes with its owner.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    line: Arc<Mutex<Line>>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Line {
    target: SocketAddr,
    delay: Duration,
    cut: bool,
    /// Ends what is connected now.
    open: CancellationToken,
}

impl Proxy {
    /// Listens on a free port of the loopback and passes everything on to `target`.
    ///
    /// # Errors
    /// When there is no free port.
    pub(crate) async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let line = Line { target, delay: Duration::ZERO, cut: false, open: CancellationToken::new() };
        let line = Arc::new(Mutex::new(line));
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, line.clone(), stop.clone())));
        Ok(Self { address, line, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it leads elsewhere: the other end has a new port.
    pub(crate) fn retarget(&self, target: SocketAddr) {
        let mut line = lock(&self.line);
        line.target = target;
        hang_up(&mut line);
    }

    /// Cuts the line: what is connected breaks, and nothing new gets through.
    pub(crate) fn cut(&self) {
        let mut line = lock(&self.line);
        line.cut = true;
        hang_up(&mut line);
    }

    /// Ends the cut.
    pub(crate) fn heal(&self) {
        lock(&self.line).cut = false;
    }

    /// Every piece takes so much longer, each way.
    pub(crate) fn delay(&self, delay: Duration) {
        lock(&self.line).delay = delay;
    }
}

fn hang_up(line: &mut Line) {
    std::mem::replace(&mut line.open, CancellationToken::new()).cancel();
}

async fn accept(listener: TcpListener, line: Arc<Mutex<Line>>, stop: CancellationToken) {
    while let Ok((near, _)) = listener.accept().await {
        let (target, cut, open) = {
            let line = lock(&line);
            (line.target, line.cut, line.open.clone())
        };
        if cut {
            continue;
        }
        let line = line.clone();
        let pass = async move {
            if let Ok(far) = TcpStream::connect(target).await {
                pass(near, far, line).await;
            }
        };
        tokio::spawn(open.run_until_cancelled_owned(stop.clone().run_until_cancelled_owned(pass)));
    }
}

async fn pass(near: TcpStream, far: TcpStream, line: Arc<Mutex<Line>>) {
    // Small frames must not wait for each other; a socket that does not take the option still works.
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
    // Whichever direction ends, the connection ends.
    tokio::select! {
        () = copy(&mut near_in, &mut far_out, &line) => {}
        () = copy(&mut far_in, &mut near_out, &line) => {}
    }
}

async fn copy(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    line: &Mutex<Line>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let delay = lock(line).delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

fn lock(line: &Mutex<Line>) -> std::sync::MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
