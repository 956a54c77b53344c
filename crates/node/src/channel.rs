//! The way out: a tonic channel over our network, with TLS inside the connector and every deadline set.
//!
//! It connects when it is first used and again when a call finds the connection gone; a call on a broken connection
//! fails and is not repeated here, since only the caller knows whether it may be.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use i247_model::Reason;
use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use crate::clock::Clock;
use crate::net::{BoxedStream, Network};
use crate::server::Agreed;

/// Deadlines and windows of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelLimits {
    /// How long connecting may take, up to the server's first bytes inside TLS.
    pub connect: Duration,
    /// Pings are sent at this interval, calls or none, and must be answered within [`Self::ping_timeout`].
    pub ping_interval: Duration,
    /// How long the answer to a ping may take.
    pub ping_timeout: Duration,
    /// Bytes that the server may send ahead on one stream.
    pub stream_window_bytes: u32,
    /// Bytes that the server may send ahead on the connection.
    pub connection_window_bytes: u32,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(5),
            stream_window_bytes: 1024 * 1024,
            connection_window_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Why there is no connection. The text says what to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The address is not `host:port`.
    #[error("{address:?} is not an address such as hub.example:2470")]
    Address {
        /// What stood there.
        address: String,
    },
    /// The name has no address.
    #[error("{address}: no such host; check the name and the resolver")]
    NoSuchHost {
        /// Where to.
        address: String,
    },
    /// Nobody listens there.
    #[error("{address}: connection refused; nothing listens there: is it running, is the port right?")]
    Refused {
        /// Where to.
        address: String,
    },
    /// No connection in time.
    #[error("{address}: no answer within {within:?}; is it running, does a firewall drop packets?")]
    TimedOut {
        /// Where to.
        address: String,
        /// The deadline.
        within: Duration,
    },
    /// The TLS handshake failed: most likely we do not accept their certificate.
    #[error(
        "{address}: TLS failed: {detail}; check certificates, their dates, and the clocks of both machines"
    )]
    Tls {
        /// Where to.
        address: String,
        /// What the TLS library says.
        detail: String,
    },
    /// The other side did not accept our certificate.
    #[error(
        "{address}: our certificate was not accepted ({detail}); has it ended, is it suspended or revoked?"
    )]
    NotAdmitted {
        /// Where to.
        address: String,
        /// What the other side says.
        detail: String,
        /// Why, where that says it: `SUSPENDED`, `REVOKED` or `NOT_GRANTED`.
        reason: Option<Reason>,
    },
    /// Anything else of the network.
    #[error("{address}: {detail}")]
    Network {
        /// Where to.
        address: String,
        /// What the operating system says.
        detail: String,
    },
}

impl ConnectError {
    /// The reason why a call found no connection, if that is why it failed.
    pub fn of(status: &tonic::Status) -> Option<&Self> {
        let mut cause = status.source();
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }

    fn of_io(address: &str, error: &io::Error) -> Self {
        let address = address.to_owned();
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return match tls {
                rustls::Error::AlertReceived(alert) => {
                    let reason = match alert {
                        AlertDescription::AccessDenied => Some(Reason::Suspended),
                        AlertDescription::CertificateRevoked => Some(Reason::Revoked),
                        AlertDescription::UnsupportedCertificate => Some(Reason::NotGranted),
                        _ => None,
                    };
                    Self::NotAdmitted { address, detail: format!("{alert:?}"), reason }
                }
                other => Self::Tls { address, detail: other.to_string() },
            };
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { address },
            io::ErrorKind::InvalidInput => Self::Address { address },
            io::ErrorKind::NotFound => Self::NoSuchHost { address },
            _ => Self::Network { address, detail: error.to_string() },
        }
    }
}

/// A channel to `address` (`host:port`). It connects at the first call; while there is no connection, calls fail and
/// [`ConnectError::of`] says why.
pub fn connect(
    network: Arc<dyn Network>,
    address: &str,
    tls: Arc<rustls::ClientConfig>,
    limits: &ChannelLimits,
) -> Result<Channel, ConnectError> {
    let wrong = || ConnectError::Address { address: address.to_owned() };
    // TLS is the connector's, so tonic must believe that there is none.
    let uri: Uri = format!("http://{address}").parse().map_err(|_| wrong())?;
    let (Some(host), Some(_port), "/") = (uri.host(), uri.port_u16(), uri.path()) else {
        return Err(wrong());
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| wrong())?;
    let connector = Connector {
        network,
        address: address.into(),
        name,
        tls: TlsConnector::from(tls),
        within: limits.connect,
    };
    let endpoint = Endpoint::from(uri)
        .http2_keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout)
        .keep_alive_while_idle(true)
        .http2_adaptive_window(false)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes);
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// What one connection has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// How long it took until the other side had taken the connection.
    pub connected: Duration,
    /// How long it took from there until both sides had shown who they are.
    pub greeted: Duration,
    /// How it is protected.
    pub agreed: Agreed,
    /// Who answers there, and from when to when its certificate counts.
    pub server: i247_trust::Peer,
}

/// Connects once to `address` (`host:port`), looks, and closes.
///
/// # Errors
/// What keeps the connection from being made, in the words of [`ConnectError`].
pub async fn probe(
    network: &dyn Network,
    clock: &dyn Clock,
    address: &str,
    tls: Arc<rustls::ClientConfig>,
    within: Duration,
) -> Result<Probe, ConnectError> {
    let wrong = || ConnectError::Address { address: address.to_owned() };
    let (host, _) = address.rsplit_once(':').ok_or_else(wrong)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| wrong())?;
    let probing = async {
        let begun = clock.monotonic();
        let stream = network.connect(address).await?;
        let connected = clock.monotonic();
        let greeted = Greeted::wait(TlsConnector::from(tls).connect(name, stream).await?).await?;
        let session = greeted.stream.get_ref().1;
        let shown = i247_trust::peer_identity(session.peer_certificates().unwrap_or_default());
        Ok(Probe {
            connected: connected.saturating_sub(begun),
            greeted: clock.monotonic().saturating_sub(connected),
            agreed: Agreed::of(session),
            server: shown.map_err(io::Error::other)?,
        })
    };
    match tokio::time::timeout(within, probing).await {
        Ok(probed) => probed.map_err(|error| ConnectError::of_io(address, &error)),
        Err(_late) => Err(ConnectError::TimedOut { address: address.to_owned(), within }),
    }
}

/// Makes one TLS connection each time it is asked.
#[derive(Clone)]
struct Connector {
    network: Arc<dyn Network>,
    address: Arc<str>,
    name: ServerName<'static>,
    tls: TlsConnector,
    within: Duration,
}

impl Connector {
    async fn connect(self) -> Result<TokioIo<Greeted>, ConnectError> {
        let connecting = async {
            let stream = self.network.connect(&self.address).await?;
            Greeted::wait(self.tls.connect(self.name, stream).await?).await
        };
        match tokio::time::timeout(self.within, connecting).await {
            Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
            Ok(Err(error)) => Err(ConnectError::of_io(&self.address, &error)),
            Err(_late) => {
                Err(ConnectError::TimedOut { address: self.address.to_string(), within: self.within })
            }
        }
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Greeted>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// A TLS stream whose first bytes were read already.
struct Greeted {
    first: Vec<u8>,
    stream: TlsStream<BoxedStream>,
}

impl Greeted {
    /// Enough for the settings frame that every HTTP/2 server begins with.
    const FIRST_BYTES: usize = 64;

    /// Waits for the server's first bytes. Only then is it certain that it took our certificate: in TLS 1.3 the
    /// handshake ends on our side before the server has looked at it, and HTTP/2 would lose what its alert says.
    async fn wait(mut stream: TlsStream<BoxedStream>) -> io::Result<Self> {
        let mut first = Vec::with_capacity(Self::FIRST_BYTES);
        if stream.read_buf(&mut first).await? == 0 {
            let closed = "closed by the other side after the handshake; too many connections?";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, closed));
        }
        Ok(Self { first, stream })
    }
}

impl AsyncRead for Greeted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let take = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..take]);
        self.first.drain(..take);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
