//! Byte streams to and from other machines. A simulator hands in another [`Network`]; TLS comes on top of it.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// A connection, both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// Any connection.
pub type BoxedStream = Box<dyn Stream>;

/// Where streams come from, handed in at the composition root.
#[async_trait]
pub trait Network: Send + Sync + fmt::Debug + 'static {
    /// Listens at `address`, written `host:port`; port 0 takes a free one.
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>>;

    /// Connects to `address`, written `host:port`. It sets no deadline of its own. A host without an address is
    /// `NotFound`.
    async fn connect(&self, address: &str) -> io::Result<BoxedStream>;
}

/// Where connections arrive.
#[async_trait]
pub trait Listener: Send + Sync + fmt::Debug + 'static {
    /// The next connection, and where it comes from.
    ///
    /// # Cancel safety
    ///
    /// No connection is lost when this is dropped.
    async fn accept(&self) -> io::Result<(BoxedStream, SocketAddr)>;

    /// Where it listens, with the port that it got.
    fn address(&self) -> SocketAddr;
}

/// The operating system's TCP. Small writes leave at once.
#[derive(Debug, Clone, Copy)]
pub struct TcpNetwork;

#[async_trait]
impl Network for TcpNetwork {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Box::new(Tcp { listener, address }))
    }

    async fn connect(&self, address: &str) -> io::Result<BoxedStream> {
        // The look-up apart, since its errors have no kind of their own.
        let found = tokio::net::lookup_host(address).await.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => error,
            _ => io::Error::new(io::ErrorKind::NotFound, error),
        })?;
        let found: Vec<SocketAddr> = found.collect();
        let stream = TcpStream::connect(&found[..]).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

#[derive(Debug)]
struct Tcp {
    listener: TcpListener,
    address: SocketAddr,
}

#[async_trait]
impl Listener for Tcp {
    async fn accept(&self) -> io::Result<(BoxedStream, SocketAddr)> {
        let (stream, from) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), from))
    }

    fn address(&self) -> SocketAddr {
        self.address
    }
}
