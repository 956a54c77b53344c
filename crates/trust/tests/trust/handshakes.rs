//! TLS handshakes in memory: who gets in, and who does not.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use i247_model::{Hash, Identity, Reason, Refusal, Timestamp};
use i247_trust::{
    Admission, Authority, Credentials, Presented, TlsKey, client_config, peer_identity, server_config,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, HandshakeKind, NamedGroup,
    ProtocolVersion, ServerConfig, ServerConnection,
};

use crate::{NOW, days, until};

#[derive(Debug)]
struct At(Mutex<Timestamp>);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let now = *self.0.lock().unwrap();
        Some(UnixTime::since_unix_epoch(Duration::from_millis(now.as_millis())))
    }
}

/// Admits the keys of a list, and counts how often it was asked.
#[derive(Debug, Default)]
struct List {
    admitted: Mutex<Vec<(Identity, Hash)>>,
    asked: AtomicUsize,
}

impl Admission for List {
    fn admit(&self, identity: &Identity, tls_key: &Hash) -> Result<(), Refusal> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let known = self.admitted.lock().unwrap().contains(&(identity.clone(), *tls_key));
        if known { Ok(()) } else { Err(Refusal::of(Reason::Revoked, "identity")) }
    }
}

fn identity(path: &str) -> Identity {
    format!("spiffe://i247.test/{path}").parse().unwrap()
}

struct Scene {
    authority: Authority,
    clock: Arc<At>,
    list: Arc<List>,
    hub: Credentials,
    bureau: Credentials,
}

impl Scene {
    fn new() -> Self {
        Self::with(TlsKey::P256)
    }

    fn with(tls: TlsKey) -> Self {
        let authority = Authority::new(until(100), tls).unwrap();
        let hub = authority.enrol(&identity("gs/hub/lyon"), &["hub.example"], until(60), tls).unwrap();
        let bureau = authority.enrol(&identity("ncb/fr"), &[], until(30), tls).unwrap();
        let scene =
            Self { authority, clock: Arc::new(At(Mutex::new(NOW))), list: Arc::default(), hub, bureau };
        scene.admit(&scene.bureau);
        scene
    }

    fn admit(&self, credentials: &Credentials) {
        let entry = (credentials.identity.clone(), credentials.tls_key_id());
        self.list.admitted.lock().unwrap().push(entry);
    }

    fn server(&self, credentials: &Credentials) -> Arc<ServerConfig> {
        let presented = Presented::new(credentials).unwrap();
        let root = self.authority.root();
        server_config(presented, root, self.clock.clone(), self.list.clone()).unwrap()
    }

    fn client(&self, credentials: &Credentials) -> Arc<ClientConfig> {
        let presented = Presented::new(credentials).unwrap();
        let hub = |identity: &Identity| matches!(identity, Identity::Hub(_));
        client_config(presented, self.authority.root(), self.clock.clone(), hub).unwrap()
    }

    fn greet(&self, client: &Credentials) -> Result<(ClientConnection, ServerConnection), Box<Failed>> {
        handshake(&self.client(client), &self.server(&self.hub))
    }
}

/// What each side said about a handshake that failed.
#[derive(Debug)]
struct Failed {
    client: Option<Error>,
    server: Option<Error>,
}

fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), Box<Failed>> {
    // A host name that stands in no certificate.
    let mut client = ClientConnection::new(Arc::clone(client), "any.example".try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut failed = Failed { client: None, server: None };
    let mut bytes = Vec::new();
    for _ in 0..20 {
        bytes.clear();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut sent = io::Cursor::new(&bytes);
        while failed.server.is_none() && server.read_tls(&mut sent).unwrap() > 0 {
            failed.server = server.process_new_packets().err();
        }
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut sent = io::Cursor::new(&bytes);
        while failed.client.is_none() && client.read_tls(&mut sent).unwrap() > 0 {
            failed.client = client.process_new_packets().err();
        }
    }
    if failed.client.is_some() || failed.server.is_some() {
        return Err(Box::new(failed));
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((client, server))
}

#[test]
fn a_bureau_that_is_admitted_connects_and_both_sides_know_who_is_there() {
    for tls in [TlsKey::P256, TlsKey::Ed25519] {
        let scene = Scene::with(tls);
        let (client, server) = scene.greet(&scene.bureau).unwrap();
        let peer = peer_identity(server.peer_certificates().unwrap()).unwrap();
        assert_eq!(peer.identity, identity("ncb/fr"));
        assert_eq!(peer.key_id, scene.bureau.tls_key_id());
        assert_eq!(peer.not_after, days(30));
        let peer = peer_identity(client.peer_certificates().unwrap()).unwrap();
        assert_eq!(peer.identity, identity("gs/hub/lyon"));
        assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        let group = client.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
        assert_eq!(server.alpn_protocol(), Some(b"h2".as_slice()));
        // Nothing was installed for the whole process.
        assert!(CryptoProvider::get_default().is_none());
    }
}

#[test]
fn a_post_connects_with_the_certificate_of_its_national_authority() {
    let scene = Scene::new();
    let national = scene.authority.issue_national("FR".parse().unwrap(), until(50), TlsKey::P256).unwrap();
    let post = national.enrol(&identity("ncb/fr/post/cdg"), &[], until(30), TlsKey::P256).unwrap();
    scene.admit(&post);
    let (_, server) = scene.greet(&post).unwrap();
    let peer = peer_identity(server.peer_certificates().unwrap()).unwrap();
    assert_eq!(peer.identity, identity("ncb/fr/post/cdg"));
    // Without the certificate between there is no path.
    let mut shortened = post;
    shortened.tls_chain.truncate(1);
    let failed = scene.greet(&shortened).unwrap_err();
    assert_eq!(failed.server, Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
}

#[test]
fn who_was_struck_off_the_list_is_refused_in_the_next_handshake() {
    let scene = Scene::new();
    let (client, server) = (scene.client(&scene.bureau), scene.server(&scene.hub));
    assert!(handshake(&client, &server).is_ok());
    scene.list.admitted.lock().unwrap().clear();
    let failed = handshake(&client, &server).unwrap_err();
    assert_eq!(failed.server, Some(Error::InvalidCertificate(CertificateError::Revoked)));
    assert_eq!(failed.client, Some(Error::AlertReceived(AlertDescription::CertificateRevoked)));
}

#[test]
fn an_old_certificate_of_a_key_that_was_replaced_is_refused() {
    let scene = Scene::new();
    let replaced = scene.authority.enrol(&identity("ncb/fr"), &[], until(30), TlsKey::P256).unwrap();
    assert!(scene.greet(&scene.bureau).is_ok());
    scene.list.admitted.lock().unwrap().clear();
    scene.admit(&replaced);
    assert!(scene.greet(&replaced).is_ok());
    let failed = scene.greet(&scene.bureau).unwrap_err();
    assert_eq!(failed.server, Some(Error::InvalidCertificate(CertificateError::Revoked)));
}

#[test]
fn no_session_is_resumed_so_the_list_is_asked_every_time() {
    let scene = Scene::new();
    let (client, server) = (scene.client(&scene.bureau), scene.server(&scene.hub));
    for times in 1..=3 {
        let (client, server) = handshake(&client, &server).unwrap();
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(client.tls13_tickets_received(), 0);
        assert_eq!(scene.list.asked.load(Ordering::Relaxed), times);
    }
    // Not even with a client that would like to: nothing is given that could be resumed.
    let mut eager = ClientConfig::clone(&client);
    eager.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let eager = Arc::new(eager);
    for _ in 0..2 {
        let (client, _) = handshake(&eager, &server).unwrap();
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(client.tls13_tickets_received(), 0);
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let scene = Scene::new();
    let mut client = ClientConfig::clone(&scene.client(&scene.bureau));
    client.client_auth_cert_resolver = Arc::new(Nothing);
    let failed = handshake(&Arc::new(client), &scene.server(&scene.hub)).unwrap_err();
    assert_eq!(failed.server, Some(Error::NoCertificatesPresented));
    assert_eq!(failed.client, Some(Error::AlertReceived(AlertDescription::CertificateRequired)));
    assert_eq!(scene.list.asked.load(Ordering::Relaxed), 0);
}

#[derive(Debug)]
struct Nothing;

impl rustls::client::ResolvesClientCert for Nothing {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[test]
fn a_certificate_of_a_foreign_authority_is_refused_on_both_sides() {
    let (scene, foreign) = (Scene::new(), Scene::new());
    scene.admit(&foreign.bureau);
    let failed = scene.greet(&foreign.bureau).unwrap_err();
    assert_eq!(failed.server, Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
    assert_eq!(failed.client, Some(Error::AlertReceived(AlertDescription::UnknownCA)));
    let failed = handshake(&scene.client(&scene.bureau), &scene.server(&foreign.hub)).unwrap_err();
    assert_eq!(failed.client, Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
}

#[test]
fn an_expired_certificate_is_refused_by_the_clock_that_was_handed_in() {
    let scene = Scene::new();
    let (client, server) = (scene.client(&scene.bureau), scene.server(&scene.hub));
    *scene.clock.0.lock().unwrap() = days(30);
    assert!(handshake(&client, &server).is_ok());
    *scene.clock.0.lock().unwrap() = days(31);
    let failed = handshake(&client, &server).unwrap_err();
    assert_eq!(failed.server, Some(Error::InvalidCertificate(CertificateError::Expired)));
    *scene.clock.0.lock().unwrap() = days(61);
    let failed = handshake(&client, &server).unwrap_err();
    assert_eq!(failed.client, Some(Error::InvalidCertificate(CertificateError::Expired)));
}

#[test]
fn a_server_that_is_not_the_expected_one_is_refused_whatever_its_host_names() {
    let scene = Scene::new();
    let names = &["any.example"];
    let other = scene.authority.enrol(&identity("ncb/br"), names, until(30), TlsKey::P256).unwrap();
    let failed = handshake(&scene.client(&scene.bureau), &scene.server(&other)).unwrap_err();
    assert_eq!(failed.client, Some(Error::InvalidCertificate(CertificateError::NotValidForName)));
}

#[test]
fn a_renewed_certificate_is_shown_from_the_next_handshake_on() {
    let scene = Scene::new();
    let renewed = scene.authority.enrol(&identity("ncb/fr"), &[], until(90), TlsKey::P256).unwrap();
    scene.admit(&renewed);
    let presented = Presented::new(&scene.bureau).unwrap();
    let root = scene.authority.root();
    let client = client_config(presented.clone(), root, scene.clock.clone(), |_| true).unwrap();
    let server = scene.server(&scene.hub);
    let shown = || {
        let (_, server) = handshake(&client, &server).unwrap();
        peer_identity(server.peer_certificates().unwrap()).unwrap().not_after
    };
    assert_eq!(shown(), days(30));
    presented.renew(&renewed).unwrap();
    assert_eq!(shown(), days(90));
}

#[test]
fn a_client_that_speaks_only_tls_1_2_gets_nowhere() {
    let scene = Scene::new();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let old = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let failed = handshake(&Arc::new(old), &scene.server(&scene.hub)).unwrap_err();
    assert!(matches!(failed.server, Some(Error::PeerIncompatible(_))), "{failed:?}");
}
