//! Bureaus that hold their stream open and read nothing: the kernel's buffers fill, and the hub cannot write.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use i247_model::CountryCode;
use i247_node::{BoxedStream, ChannelLimits, Listener, Network, TcpNetwork};
use i247_trust::Credentials;
use i247_wire::pb;
use i247_wire::pb::connect_request::Frame as Up;
use i247_wire::pb::connect_response::Frame as Down;
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use tokio::io::{AsyncRead, ReadBuf, join};
use tokio::net::TcpSocket;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::bureaus::request;
use crate::hub::Hub;

/// Deliveries that such a bureau asks for: all that there are.
const CREDIT: u32 = 60_000;
/// Bytes that HTTP/2 lets the hub send ahead: more than the kernel keeps here, so that TCP's window is full.
const WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes that the kernel keeps for us unread, about.
const UNREAD_BYTES: u32 = 32 * 1024;
/// They would end the connection themselves, since they do not read the answers to their own pings.
const NO_PINGS: Duration = Duration::from_secs(3600);
/// Streams that are opened at once.
const OPENING: usize = 16;

/// Streams that nobody reads. They end with this.
pub(crate) struct Stalled {
    streams: Vec<One>,
}

/// One of them; what is not read is kept all the same, since dropping it would end the stream.
struct One {
    port: u16,
    _frames: mpsc::Sender<pb::ConnectRequest>,
    _incoming: Streaming<pb::ConnectResponse>,
}

/// Opens a stream for each of these, then reads no more.
pub(crate) async fn hold(hub: &Hub, members: &[(CountryCode, Credentials)]) -> Result<Stalled> {
    let opening = members.iter().map(|(_, own)| open(hub, own));
    let opened: Vec<(One, Arc<Ear>)> =
        futures::stream::iter(opening).buffer_unordered(OPENING).try_collect().await?;
    // All at the same time, and only then is anything sent to them.
    let mut streams = Vec::new();
    for (one, ear) in opened {
        ear.deaf.store(true, Ordering::Release);
        one._frames.send(request(Up::Credit(pb::Credit { deliveries: CREDIT }))).await?;
        streams.push(one);
    }
    Ok(Stalled { streams })
}

async fn open(hub: &Hub, own: &Credentials) -> Result<(One, Arc<Ear>)> {
    let ear = Arc::new(Ear::default());
    let limits = ChannelLimits {
        connect: Duration::from_secs(30),
        ping_interval: NO_PINGS,
        ping_timeout: NO_PINGS,
        stream_window_bytes: WINDOW_BYTES,
        connection_window_bytes: WINDOW_BYTES,
    };
    let channel = hub.channel_over(Arc::new(Deafened(ear.clone())), &limits, own)?;
    let (frames, outgoing) = mpsc::channel(2);
    let hello = pb::Hello { epoch: 1, program: "i247-bench".into(), ..pb::Hello::default() };
    frames.send(request(Up::Hello(hello))).await?;
    let mut incoming =
        ExchangeServiceClient::new(channel).connect(ReceiverStream::new(outgoing)).await?.into_inner();
    match incoming.message().await?.and_then(|response| response.frame) {
        Some(Down::Welcome(_)) => {}
        other => bail!("no welcome but {other:?}"),
    }
    let port = ear.port.load(Ordering::Relaxed);
    Ok((One { port, _frames: frames, _incoming: incoming }, ear))
}

impl Stalled {
    /// How many of them the hub still holds, with bytes that it cannot get rid of, and how many bytes.
    ///
    /// # Errors
    /// When the kernel's table cannot be read.
    pub(crate) fn held(&self) -> Result<(usize, u64)> {
        let table = std::fs::read_to_string("/proc/net/tcp").context("/proc/net/tcp")?;
        let ports: BTreeSet<u16> = self.streams.iter().map(|one| one.port).collect();
        let stuck: Vec<u64> = stuck(&table)
            .into_iter()
            .filter(|(port, _)| ports.contains(port))
            .map(|(_, bytes)| bytes)
            .collect();
        Ok((stuck.len(), stuck.iter().sum()))
    }
}

/// Connections that stand, with bytes that are sent and not taken: the port at the other end, and how many bytes.
fn stuck(table: &str) -> BTreeMap<u16, u64> {
    const ESTABLISHED: &str = "01";
    let connection = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, remote, ESTABLISHED, queues, ..] = fields.as_slice() else { return None };
        let bytes = u64::from_str_radix(queues.split_once(':')?.0, 16).ok()?;
        let port = u16::from_str_radix(remote.split_once(':')?.1, 16).ok()?;
        (bytes > 0).then_some((port, bytes))
    };
    table.lines().filter_map(connection).collect()
}

/// Whether a connection is still read, and the port that it has here.
#[derive(Debug, Default)]
struct Ear {
    deaf: AtomicBool,
    port: AtomicU16,
}

/// TCP whose connections are read until their ear is deaf.
#[derive(Debug)]
struct Deafened(Arc<Ear>);

#[tonic::async_trait]
impl Network for Deafened {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        TcpNetwork.listen(address).await
    }

    async fn connect(&self, address: &str) -> io::Result<BoxedStream> {
        let address: SocketAddr =
            address.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(UNREAD_BYTES)?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        self.0.port.store(stream.local_addr()?.port(), Ordering::Relaxed);
        let (stream, writing) = stream.into_split();
        Ok(Box::new(join(Heard { stream, ear: self.0.clone() }, writing)))
    }
}

/// The end that is read.
struct Heard {
    stream: OwnedReadHalf,
    ear: Arc<Ear>,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ear.deaf.load(Ordering::Acquire) {
            // For ever: whoever waits here is dropped with the stream.
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_stuck_when_it_stands_and_its_bytes_are_not_taken() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
                        0: 0100007F:1C4F 0100007F:A001 01 0001F400:00000000 01:00000014 00000000 0\n\
                        1: 0100007F:1C4F 0100007F:A002 01 00000000:00000000 00:00000000 00000000 0\n\
                        2: 0100007F:1C4F 0100007F:A003 04 00000010:00000000 00:00000000 00000000 0\n";
        assert_eq!(stuck(table), BTreeMap::from([(0xA001, 0x1F400)]));
    }
}
