//! Where browsers come in: connections, TLS, and their limits. HTTP/1.1, so that one connection is one request at a time.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use i247_client::Monitor;
use i247_node::{BoxedStream, Listener, Seams, Telemetry, TelemetryConfig, TelemetryError, sleep};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::gate::Gate;
use crate::live::Live;
use crate::measured::{Counters, gauges};
use crate::passwords::Passwords;
use crate::sessions::Sessions;

/// Connections at once; the next wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long a handshake, and the head of a request, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD: usize = 16 * 1024;
/// How long open requests may go on once the console stops.
const GRACE: Duration = Duration::from_secs(2);

/// What a console is set to.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens: `host:port`.
    pub listen: String,
    /// From [`tls`]. Without it, only this machine may be listened to.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who may log in.
    pub passwords: Passwords,
    /// What it tells about itself.
    pub telemetry: TelemetryConfig,
}

/// Why a console does not start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Passwords would cross the network in the clear.
    #[error("{address} can be reached from other machines, and there is no certificate")]
    Plain {
        /// Where it would have listened.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("cannot listen at {address}")]
    Listen {
        /// Which.
        address: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// Nothing can be told about it.
    #[error("telemetry cannot be set up")]
    Telemetry(#[from] TelemetryError),
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file has no certificate, or no key, in PEM.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key do not go together.
    #[error("the certificate cannot be served")]
    Unusable(#[source] rustls::Error),
}

/// TLS 1.3 with this certificate chain and its key, both PEM.
///
/// # Errors
/// When a file has none, or they do not go together.
pub fn tls(certificate: &Path, key: &Path) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let file = |path: &Path, problem: String| TlsError::File { path: path.to_owned(), problem };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| file(certificate, error.to_string()))?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key_der))
        .map_err(TlsError::Unusable)?;
    Ok(Arc::new(config))
}

/// A console that listens, and does not serve yet.
pub struct Console {
    listener: Box<dyn Listener>,
    tls: Option<TlsAcceptor>,
    gate: Arc<Gate>,
    live: Arc<Live>,
    telemetry: Telemetry,
}

impl Console {
    /// Listens. Nobody is served before [`Self::serve`].
    ///
    /// # Errors
    /// When an address cannot be had, or would take passwords from other machines in the clear.
    pub async fn build(settings: Settings, monitor: Monitor, seams: &Seams) -> Result<Self, BuildError> {
        let Settings { listen, tls, passwords, telemetry } = settings;
        let unheard = |source| BuildError::Listen { address: listen.clone(), source };
        let listener = seams.network.listen(&listen).await.map_err(unheard)?;
        let address = listener.address();
        if tls.is_none() && !address.ip().is_loopback() {
            return Err(BuildError::Plain { address });
        }
        let instance = address.to_string();
        let telemetry = Telemetry::start(&telemetry, "i247-console", &instance, &*seams.network).await?;
        let counters = Counters::new(&telemetry.meter());
        let live = Arc::new(Live::new(monitor.clone()));
        let (waiting, hashing) = Gate::places();
        let gate = Gate {
            tls: tls.is_some(),
            passwords: Arc::new(passwords),
            sessions: Arc::new(Sessions::new(seams.clock.clone(), seams.dice.clone())),
            attempts: Mutex::default(),
            waiting,
            hashing,
            clock: seams.clock.clone(),
            blocking: seams.blocking.clone(),
            api: Api::new(monitor, counters.clone()),
            live: live.clone(),
            counters,
        };
        Ok(Self { listener, tls: tls.map(TlsAcceptor::from), gate: Arc::new(gate), live, telemetry })
    }

    /// Where it listens, with the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Where its metrics are, if they are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.telemetry.metrics_address()
    }

    /// Serves until `stop`; open requests then have two seconds. Dropped before, it cuts all connections.
    pub async fn serve(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let _gauges = gauges(&self.telemetry.meter(), &self.live, &self.gate.sessions);
        let dropped = CancellationToken::new();
        let _cut_when_dropped = dropped.clone().drop_guard();
        connections.spawn(stop.clone().run_until_cancelled_owned(self.live.clone().follow()));
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // Neither a place nor a connection is lost when this is dropped.
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accept(&places, &*self.listener) => accepted,
            };
            match accepted {
                Ok((place, stream, from)) => {
                    let (tls, gate, stop) = (self.tls.clone(), self.gate.clone(), stop.clone());
                    let one = async move {
                        let _place = place;
                        connection(stream, from, tls, gate, stop).await;
                    };
                    connections.spawn(dropped.clone().run_until_cancelled_owned(one));
                }
                Err(error) => {
                    // Out of file handles, most likely: what is open goes on, and something will close.
                    tracing::warn!(%error, "cannot accept connections");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
        connections.close();
        // Whoever has not ended by then is cut.
        drop(tokio::time::timeout(GRACE, connections.wait()).await);
        self.telemetry.stop().await;
    }
}

type Accepted = (tokio::sync::OwnedSemaphorePermit, BoxedStream, SocketAddr);

async fn accept(places: &Arc<Semaphore>, listener: &dyn Listener) -> io::Result<Accepted> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, from) = listener.accept().await?;
    Ok((place, stream, from))
}

async fn connection(
    stream: BoxedStream,
    from: SocketAddr,
    tls: Option<TlsAcceptor>,
    gate: Arc<Gate>,
    stop: CancellationToken,
) {
    let Some(tls) = tls else { return serve(stream, from, gate, stop).await };
    // A browser that breaks off or takes too long has itself to blame.
    if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
        serve(Box::new(stream), from, gate, stop).await;
    }
}

async fn serve(stream: BoxedStream, from: SocketAddr, gate: Arc<Gate>, stop: CancellationToken) {
    let answers = service_fn(move |request| {
        let gate = gate.clone();
        async move { Ok::<_, Infallible>(gate.answer(request, from.ip()).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), answers);
    let mut connection = std::pin::pin!(connection);
    // Dropped by the stop, the connection is only asked to end, below.
    tokio::select! {
        _ended = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}
