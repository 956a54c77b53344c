//! Our own accept loop: TLS, identity, limits, and the table of live connections.
//!
//! ```text
//!  accept ─ a place? ─ handshake ≤ 5 s ─ h2? ─ identity ─ in the table ─ still admitted? ─ calls … ─ end
//! ```
//!
//! A stranger costs a place among the handshakes and nothing else: members' connections are counted apart. Whoever
//! comes when there is no place left gets that of the handshake that has lasted longest, so that those who do not go on
//! keep nobody out. It does not decide who is a member; the TLS configuration's verifier and the admission do.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use i247_model::{Hash, Identity, Timestamp};
use i247_trust::{Admission, Certificate, peer_identity};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter, UpDownCounter};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tracing::Instrument as _;

use crate::authorise::Rules;
use crate::calls::{Answers, Calls};
use crate::clock::{Clock, sleep};
use crate::connection::{Ends, drive};
use crate::limits::Limits;
use crate::live::{Live, LiveEntry};
use crate::net::{BoxedStream, Listener};

/// Who is at the other end of a call. Each request carries it: `request.extensions().get::<Peer>()`, or [`Peer::of`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Whom the certificate speaks of.
    pub identity: Identity,
    /// SHA-256 of the certificate's public key.
    pub tls_key: Hash,
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// Last second of the certificate, or of the authority's that issued it if that is earlier. The connection
    /// ends with it.
    pub not_after: Timestamp,
    /// First second of the certificate.
    pub not_before: Timestamp,
    /// What was agreed upon for the connection.
    pub agreed: Agreed,
}

/// What a handshake has agreed upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// The version of TLS, such as `TLSv1_3`.
    pub version: &'static str,
    /// The key agreement, such as `X25519MLKEM768`; empty when it is none that has a name.
    pub group: &'static str,
}

impl Agreed {
    /// Of a handshake that is done, at either end.
    pub fn of(connection: &rustls::CommonState) -> Self {
        Self {
            version: connection.protocol_version().and_then(|version| version.as_str()).unwrap_or_default(),
            group: connection
                .negotiated_key_exchange_group()
                .and_then(|group| group.name().as_str())
                .unwrap_or_default(),
        }
    }

    /// Whether what was recorded stays secret when there are quantum computers.
    pub fn is_post_quantum(&self) -> bool {
        self.group.contains("MLKEM")
    }
}

impl Peer {
    /// The peer of a call that came through a [`Server`]; `UNAUTHENTICATED` for any other.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<&Self, tonic::Status> {
        request.extensions().get().ok_or_else(|| tonic::Status::unauthenticated("no certificate"))
    }

    /// Whom the chain of a finished handshake shows.
    fn shown(chain: &[CertificateDer<'_>], address: SocketAddr, agreed: Agreed) -> Option<Self> {
        let leaf = peer_identity(chain).ok()?;
        let (mut not_after, not_before) = (leaf.not_after, leaf.not_before);
        // A national authority may end before those whom it certified.
        for above in &chain[1..] {
            not_after = not_after.min(Certificate::parse(above).ok()?.not_after);
        }
        Some(Self { identity: leaf.identity, tls_key: leaf.key_id, address, not_after, not_before, agreed })
    }
}

/// What serves one address. Fields are what it needs; nothing has a default but the limits.
pub struct Server {
    /// TLS with a demand for a client certificate; made by `trust`.
    pub tls: Arc<rustls::ServerConfig>,
    /// Asked once more, after the handshake, when the connection stands in the table, so that none slips past a revocation.
    pub admission: Arc<dyn Admission>,
    /// Who may call what.
    pub rules: Rules,
    /// The services.
    pub routes: Routes,
    /// What it puts up with.
    pub limits: Limits,
    /// By which certificates end.
    pub clock: Arc<dyn Clock>,
    /// The table that connections stand in while they are open.
    pub live: Live,
    /// Counts connections, open and refused.
    pub meter: Meter,
}

impl Server {
    /// Serves until `stop`, then asks every peer to leave and returns when all have, at the latest after the grace.
    /// Dropped before, it cuts all connections.
    pub async fn serve(self, listener: Box<dyn Listener>, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let dropped = CancellationToken::new();
        let _cut_when_dropped = dropped.clone().drop_guard();
        let door = Arc::new(Door::new(self, stop.clone()));
        loop {
            // Dropping `accept` loses no connection.
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    let place = door.places.take(from.ip());
                    let one = door.clone().connection(stream, from, place);
                    connections.spawn(dropped.clone().run_until_cancelled_owned(one).in_current_span());
                }
                Err(error) => {
                    // Out of file handles, most likely: what is open goes on, and something will close.
                    tracing::warn!(%error, "cannot accept connections");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }
}

/// What all connections of one listener share.
struct Door {
    acceptor: TlsAcceptor,
    admission: Arc<dyn Admission>,
    rules: Arc<Rules>,
    routes: Routes,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    live: Live,
    stop: CancellationToken,
    places: Places,
    open: UpDownCounter<i64>,
    refused: Counter<u64>,
    denied: Counter<u64>,
    handshakes: Counter<u64>,
}

impl Door {
    fn new(server: Server, stop: CancellationToken) -> Self {
        let limits = Arc::new(server.limits);
        Self {
            acceptor: TlsAcceptor::from(server.tls),
            admission: server.admission,
            rules: Arc::new(server.rules),
            routes: server.routes.prepare(),
            places: Places::new(limits.handshakes, limits.handshakes_per_address),
            limits,
            clock: server.clock,
            live: server.live,
            stop,
            open: server.meter.i64_up_down_counter("i247.connections").build(),
            refused: server.meter.u64_counter("i247.connections.refused").build(),
            denied: server
                .meter
                .u64_counter("i247.policy.denied")
                .with_description("calls that the rule of the RPC does not allow the caller")
                .build(),
            handshakes: server
                .meter
                .u64_counter("i247.tls.handshakes")
                .with_description("handshakes done, by key agreement")
                .build(),
        }
    }

    async fn connection(self: Arc<Self>, stream: BoxedStream, from: SocketAddr, place: Place) {
        // Who is not in yet when the process stops is not waited for.
        let entering = place.makes_way.run_until_cancelled(self.enter(stream, from));
        let (stream, peer, entry) = match self.stop.run_until_cancelled(entering).await {
            Some(Some(Ok(entered))) => entered,
            Some(Some(Err(why))) => return self.refuse(why, from),
            Some(None) => return self.refuse("too many handshakes", from),
            None => return,
        };
        drop(place);
        self.open.add(1, &[]);
        tracing::info!(peer = %peer.identity, address = %from, "connected");
        let calls = Calls {
            peer: peer.clone(),
            rules: self.rules.clone(),
            denied: self.denied.clone(),
            routes: self.routes.clone(),
            limits: self.limits.clone(),
            open: watch::Sender::new(0),
            answers: Answers::default(),
        };
        let ends = Ends { cut: entry.token().clone(), stop: self.stop.clone(), clock: self.clock.clone() };
        let end = drive(stream, calls, ends).await;
        self.open.add(-1, &[]);
        tracing::info!(peer = %peer.identity, address = %from, ?end, "disconnected");
    }

    /// Handshake, identity, a place in the table; or why not.
    async fn enter(
        &self,
        stream: BoxedStream,
        from: SocketAddr,
    ) -> Result<(TlsStream<BoxedStream>, Peer, LiveEntry), &'static str> {
        let handshake = tokio::time::timeout(self.limits.handshake, self.acceptor.accept(stream));
        let stream = match handshake.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, address = %from, "handshake failed");
                return Err("handshake failed");
            }
            Err(_late) => return Err("handshake too slow"),
        };
        let session = stream.get_ref().1;
        if session.alpn_protocol() != Some(b"h2") {
            return Err("not HTTP/2");
        }
        let agreed = Agreed::of(session);
        self.handshakes.add(1, &[KeyValue::new("group", agreed.group)]);
        let Some(peer) = Peer::shown(session.peer_certificates().unwrap_or_default(), from, agreed) else {
            return Err("no identity");
        };
        let (in_all, of_one) = (self.limits.connections, self.limits.connections_per_identity);
        let Some(entry) = self.live.enter(&peer.identity, in_all, of_one) else {
            return Err("too many connections");
        };
        // Only now: a revocation before this line is seen here, one after it finds the entry to cut.
        if self.admission.admit(&peer.identity, &peer.tls_key).is_err() {
            return Err("not admitted");
        }
        Ok((stream, peer, entry))
    }

    fn refuse(&self, why: &'static str, from: SocketAddr) {
        self.refused.add(1, &[KeyValue::new("reason", why)]);
        tracing::debug!(why, address = %from, "connection refused");
    }
}

/// Places for those who have not shown a certificate yet.
struct Places {
    taken: Arc<Mutex<Taken>>,
    in_all: usize,
    per_address: usize,
}

#[derive(Default)]
struct Taken {
    next: u64,
    in_all: usize,
    /// What makes each one go, the oldest first. No address stands here without a place.
    by_address: BTreeMap<IpAddr, BTreeMap<u64, CancellationToken>>,
}

impl Places {
    fn new(in_all: usize, per_address: usize) -> Self {
        Self { taken: Arc::default(), in_all, per_address }
    }

    /// A place, if need be that of another: the oldest of the same address, or of the one that has most.
    fn take(&self, address: IpAddr) -> Place {
        let mut taken = lock(&self.taken);
        let own = taken.by_address.get(&address).map_or(0, BTreeMap::len);
        if own >= self.per_address {
            taken.make_way(address);
        } else if taken.in_all >= self.in_all {
            let most = taken.by_address.iter().max_by_key(|(_, places)| places.len()).map(|(most, _)| *most);
            most.into_iter().for_each(|most| taken.make_way(most));
        }
        taken.next += 1;
        taken.in_all += 1;
        let (number, makes_way) = (taken.next, CancellationToken::new());
        taken.by_address.entry(address).or_default().insert(number, makes_way.clone());
        Place { taken: self.taken.clone(), address, number, makes_way }
    }
}

impl Taken {
    fn make_way(&mut self, address: IpAddr) {
        let oldest = self.by_address.get(&address).and_then(|places| places.keys().next().copied());
        if let Some(makes_way) = oldest.and_then(|oldest| self.give_back(address, oldest)) {
            makes_way.cancel();
        }
    }

    fn give_back(&mut self, address: IpAddr, number: u64) -> Option<CancellationToken> {
        let places = self.by_address.get_mut(&address)?;
        let found = places.remove(&number);
        if places.is_empty() {
            self.by_address.remove(&address);
        }
        self.in_all -= usize::from(found.is_some());
        found
    }
}

/// A place, given back when dropped.
struct Place {
    taken: Arc<Mutex<Taken>>,
    address: IpAddr,
    number: u64,
    /// Cancelled when somebody else has got it.
    makes_way: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.taken).give_back(self.address, self.number);
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    // Nothing can panic while it is held, so a poisoned lock holds sound counts all the same.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_lasted_longest_makes_way_at_the_address_that_has_most() {
        let places = Places::new(3, 2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let (one, two, three) = (address("192.0.2.1"), address("192.0.2.2"), address("192.0.2.3"));
        let gone = |place: &Place| place.makes_way.is_cancelled();
        let first = places.take(one);
        let second = places.take(one);
        let third = places.take(one);
        assert_eq!((gone(&first), gone(&second), gone(&third)), (true, false, false), "two per address");
        let fourth = places.take(two);
        assert!(!gone(&second), "three in all");
        let fifth = places.take(three);
        assert_eq!((gone(&second), gone(&third), gone(&fourth)), (true, false, false));
        // Who went gives nothing back a second time.
        drop((first, second, fifth));
        let sixth = places.take(two);
        assert!(![&third, &fourth, &sixth].into_iter().any(gone));
        drop((third, fourth, sixth));
        assert!(lock(&places.taken).by_address.is_empty());
        assert_eq!(lock(&places.taken).in_all, 0);
    }
}
