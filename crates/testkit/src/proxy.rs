//! The line between a bureau and the hub: a small TCP proxy that can be cut, healed and slowed down, and that can take
//! the hub's power at the moment at which something comes through.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use i247_ledger::faults::BreakableDisk;
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

/// Which way something goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Toward {
    Hub,
    Bureau,
}

/// What becomes of a piece that the line waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Catch {
    /// It stays in the line, with all that follows, until the line breaks.
    Hold,
    /// It goes on, once the power is off.
    Pass,
}

/// Less is no frame of a message, only the keeping of the connection, in bytes with TLS.
const MESSAGE_BYTES_MIN: usize = 128;

#[derive(Debug)]
struct Line {
    target: SocketAddr,
    delay: Duration,
    cut: bool,
    /// The power of this disk goes off at the next piece that goes this way.
    waits_for: Option<(Toward, Catch, BreakableDisk)>,
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
        let line = Line {
            target,
            delay: Duration::ZERO,
            cut: false,
            waits_for: None,
            open: CancellationToken::new(),
        };
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

    /// At the next message that goes this way the power of the hub's disk goes off.
    pub(crate) fn catch(&self, toward: Toward, catch: Catch, disk: BreakableDisk) {
        lock(&self.line).waits_for = Some((toward, catch, disk));
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
        () = copy(&mut near_in, &mut far_out, &line, Toward::Hub) => {}
        () = copy(&mut far_in, &mut near_out, &line, Toward::Bureau) => {}
    }
}

async fn copy(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    line: &Mutex<Line>,
    toward: Toward,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let delay = lock(line).delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if caught(line, toward, count) == Some(Catch::Hold) {
            std::future::pending::<()>().await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Takes the power if this is what the line waits for.
fn caught(line: &Mutex<Line>, toward: Toward, bytes: usize) -> Option<Catch> {
    let mut line = lock(line);
    let waited_for =
        |waits: &mut (Toward, Catch, BreakableDisk)| waits.0 == toward && bytes >= MESSAGE_BYTES_MIN;
    let (_, catch, disk) = line.waits_for.take_if(waited_for)?;
    disk.cut_power();
    Some(catch)
}

fn lock(line: &Mutex<Line>) -> std::sync::MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
