//! Who is not let in: certificates with one thing wrong each, and handshakes that are not what is spoken here.

use std::path::Path;
use std::sync::Arc;

use i247_model::Identity;
use i247_testkit::{WorldError, country, name};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs::{self, kx_group, sign::any_supported_type};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, HandshakeKind, SignatureScheme};
use tokio::io::AsyncReadExt as _;

use crate::frames::{frame, kind};
use crate::line::{End, Line, Refused, let_in, shake_hands};
use crate::scene::{Target, end, targets};
use crate::slow::{CONNECT, greeting};

/// A change to a good certificate, and the alert that it gets.
pub(crate) type Flaw = (&'static str, fn(&mut CertificateParams), AlertDescription);

pub(crate) const FLAWS: &[Flaw] = &[
    (
        "expired",
        |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1),
        AlertDescription::CertificateExpired,
    ),
    (
        "not yet valid",
        |params| params.not_before = rcgen::date_time_ymd(2198, 1, 1),
        AlertDescription::CertificateExpired,
    ),
    (
        "for servers only",
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        AlertDescription::CertificateUnknown,
    ),
    (
        "for every use",
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any],
        AlertDescription::CertificateUnknown,
    ),
    ("for no use", |params| params.extended_key_usages.clear(), AlertDescription::CertificateUnknown),
    (
        "two identities",
        |params| params.subject_alt_names.push(uri("spiffe://i247.test/operator/ops")),
        AlertDescription::CertificateUnknown,
    ),
    (
        "one identity twice",
        |params| params.subject_alt_names.push(params.subject_alt_names[0].clone()),
        AlertDescription::CertificateUnknown,
    ),
    ("no identity", |params| params.subject_alt_names.clear(), AlertDescription::CertificateUnknown),
    (
        "an identity as common name only",
        |params| {
            params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
            params.distinguished_name.push(DnType::CommonName, "spiffe://i247.test/ncb/fr");
        },
        AlertDescription::CertificateUnknown,
    ),
    (
        "an identity with a wildcard",
        |params| params.subject_alt_names = vec![uri("spiffe://i247.test/ncb/*")],
        AlertDescription::CertificateUnknown,
    ),
    (
        "an identity of another network",
        |params| params.subject_alt_names = vec![uri("spiffe://i247.example/ncb/fr")],
        AlertDescription::CertificateUnknown,
    ),
    (
        "an identity that another authority certifies",
        |params| params.subject_alt_names = vec![uri("spiffe://i247.test/ncb/jp/officer/duty")],
        AlertDescription::CertificateUnknown,
    ),
    (
        "an authority's own",
        |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)),
        AlertDescription::CertificateUnknown,
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_with_one_flaw_opens_no_door() -> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    for target in &targets {
        let forger = Forger::at(target).await;
        let good = forger.shows(&forger.issued(|_| {}));
        assert_eq!(let_in(target.address, good).await, Ok(()), "without a flaw: {}", target.node);
        for (flaw, change, alert) in FLAWS {
            refused(target, flaw, forger.shows(&forger.issued(change)), Some(*alert)).await;
        }
        let unknown = Some(AlertDescription::UnknownCA);
        refused(target, "self-signed", forger.shows(&[forger.self_signed()]), unknown).await;
        refused(target, "of another authority of the same name", forger.shows(&forger.by_another()), unknown)
            .await;
        let hundred = vec![forger.issued(|_| {})[0].clone(); 30];
        refused(target, "a chain of thirty", forger.shows(&hundred), Some(AlertDescription::BadCertificate))
            .await;
        refused(target, "none", forger.shows(&[]), Some(AlertDescription::CertificateRequired)).await;
        standing(target).await?;
        target.recovers("bad certificates").await;
    }
    end(targets).await
}

/// Good certificates of those who may not come now.
async fn standing(target: &Target) -> Result<(), WorldError> {
    let who = |text| match target.hostile.identity {
        Identity::Officer(home, _) => Identity::Officer(home, name(text)),
        _ => Identity::Bureau(country(if text == "gone" { "DE" } else { "IT" })),
    };
    let world = target.world();
    let (gone, paused) = (who("gone"), who("paused"));
    for identity in [&gone, &paused] {
        let tls = target.tls_of(&world.credentials(identity).await?);
        assert_eq!(let_in(target.address, tls).await, Ok(()), "{identity} before");
    }
    world.revoke(&gone).await?;
    world.suspend(&paused).await?;
    let revoked = target.tls_of(&world.credentials(&gone).await?);
    refused(target, "revoked", revoked, Some(AlertDescription::CertificateRevoked)).await;
    let suspended = target.tls_of(&world.credentials(&paused).await?);
    refused(target, "suspended", suspended, Some(AlertDescription::AccessDenied)).await;
    // Certified as it should be, with a key that the directory does not have. A desk asks for the certificate only.
    if target.node == "hub" {
        let second = target.tls_of(&world.pki().await.enrol(&target.hostile.identity)?);
        refused(target, "another key", second, Some(AlertDescription::CertificateUnknown)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_open_stream_of_a_bureau_ends_when_it_is_revoked_and_no_other() -> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    let [hub, _desk] = &targets;
    let (spain, portugal) = (Identity::Bureau(country("ES")), Identity::Bureau(country("PT")));
    let mut open = connected(hub, &spain).await?;
    let mut other = connected(hub, &portugal).await?;
    let begun = hub.now_ms();
    hub.world().revoke(&spain).await?;
    let answered = hub.now_ms();
    assert_ne!(open.end().await, End::Open);
    let ended = hub.now_ms();
    said(answered - begun, ended - begun);
    let revoked = hub.tls_of(&hub.world().credentials(&spain).await?);
    refused(hub, "revoked", revoked, Some(AlertDescription::CertificateRevoked)).await;
    assert_eq!(other.call(hub.call, b"").await.grpc, Some(0));
    assert!(!other.seen().closed);
    drop((open, other));
    hub.recovers("a bureau that was revoked").await;
    end(targets).await
}

#[expect(clippy::print_stdout, reason = "the figures of the case, shown with --nocapture")]
fn said(answered_ms: u128, ended_ms: u128) {
    println!(
        "hub: a revocation is answered after {answered_ms} ms, the open stream ends after {ended_ms} ms"
    );
}

/// A bureau with an open stream, which the hub has welcomed.
async fn connected(hub: &Target, bureau: &Identity) -> Result<Line, WorldError> {
    let tls = hub.tls_of(&hub.world().credentials(bureau).await?);
    let mut line = Line::open(hub.address, tls).await.unwrap();
    let stream = line.begin(CONNECT).await;
    line.send(&frame(kind::DATA, 0, stream, &greeting())).await;
    line.until(|seen| seen.answers.get(&stream).filter(|answer| !answer.messages().is_empty()).map(drop))
        .await;
    Ok(line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_spoken_here_is_refused_in_the_handshake() -> Result<(), WorldError> {
    let Some(targets) = targets().await? else { return Ok(()) };
    for target in &targets {
        let mut silent = ClientConfig::clone(&target.tls());
        silent.alpn_protocols.clear();
        refused(target, "no protocol named", Arc::new(silent), None).await;
        let mut older = ClientConfig::clone(&target.tls());
        older.alpn_protocols = vec![b"http/1.1".to_vec()];
        let alert = Some(AlertDescription::NoApplicationProtocol);
        refused(target, "HTTP/1.1", Arc::new(older), alert).await;
        refused(target, "TLS 1.2", Arc::new(tls12()), Some(AlertDescription::ProtocolVersion)).await;
        refused(target, "another group", Arc::new(p384()), Some(AlertDescription::HandshakeFailure)).await;
        never_resumed(target).await;
        target.recovers("handshakes").await;
    }
    end(targets).await
}

/// Nothing is given that could be resumed, however much the client would like to.
async fn never_resumed(target: &Target) {
    let mut eager = ClientConfig::clone(&target.tls());
    eager.resumption = Resumption::in_memory_sessions(8);
    eager.enable_early_data = true;
    let eager = Arc::new(eager);
    for _ in 0..3 {
        let mut stream = shake_hands(target.address, eager.clone()).await.unwrap();
        // The server's settings come behind its tickets.
        stream.read_u8().await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full), "{}", target.node);
        assert_eq!((session.tls13_tickets_received(), session.is_early_data_accepted()), (0, false));
    }
}

pub(crate) async fn refused(
    target: &Target,
    what: &str,
    tls: Arc<ClientConfig>,
    alert: Option<AlertDescription>,
) {
    assert_eq!(let_in(target.address, tls).await, Err(Refused(alert)), "{}: {what}", target.node);
}

/// Makes certificates for the key of the hostile identity, which is admitted, with the authority's own key.
pub(crate) struct Forger {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    /// What leads from the leaf to the root.
    pub(crate) above: Vec<CertificateDer<'static>>,
    identity: String,
    pub(crate) key: KeyPair,
    tls: Arc<ClientConfig>,
}

impl Forger {
    pub(crate) async fn at(target: &Target) -> Self {
        let dir = tempfile::tempdir().unwrap();
        target.world().pki().await.authority_of(&target.hostile.identity).unwrap().save(dir.path()).unwrap();
        Self::with(target, dir.path())
    }

    /// With the keys of the authority in this directory, whoever that is.
    pub(crate) fn with(target: &Target, dir: &Path) -> Self {
        let read = |name| std::fs::read_to_string(dir.join(name)).unwrap();
        let issuer_key = KeyPair::from_pem(&read("ca.key.pem")).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&read("ca.crt.pem"), issuer_key).unwrap();
        let certificate = CertificateDer::from_pem_slice(read("ca.crt.pem").as_bytes()).unwrap();
        target.hostile.save(dir).unwrap();
        Self {
            issuer,
            // The root needs not be shown.
            above: target.hostile.tls_chain[1..].iter().map(|_| certificate.clone()).collect(),
            identity: target.hostile.identity.to_string(),
            key: KeyPair::from_pem(&read("tls.key.pem")).unwrap(),
            tls: target.tls(),
        }
    }

    /// A good certificate but for this change, and what leads to the root.
    pub(crate) fn issued(&self, change: impl Fn(&mut CertificateParams)) -> Vec<CertificateDer<'static>> {
        let leaf = self.params(change).signed_by(&self.key, &self.issuer).unwrap().der().clone();
        [vec![leaf], self.above.clone()].concat()
    }

    fn self_signed(&self) -> CertificateDer<'static> {
        self.params(|_| {}).self_signed(&self.key).unwrap().der().clone()
    }

    /// By somebody who has taken the authority's name and has another key.
    fn by_another(&self) -> Vec<CertificateDer<'static>> {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        authority.subject_alt_names = vec![uri("spiffe://i247.test/gs/authority")];
        let key = KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(authority, key);
        let leaf = self.params(|_| {}).signed_by(&self.key, &issuer).unwrap().der().clone();
        vec![leaf, certificate]
    }

    pub(crate) fn params(&self, change: impl Fn(&mut CertificateParams)) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![uri(&self.identity)];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.is_ca = IsCa::ExplicitNoCa;
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2199, 1, 1);
        change(&mut params);
        params
    }

    /// TLS that shows this chain.
    pub(crate) fn shows(&self, chain: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let key = any_supported_type(&key).unwrap();
        let shown = (!chain.is_empty()).then(|| Arc::new(CertifiedKey::new(chain.to_vec(), key)));
        let mut tls = ClientConfig::clone(&self.tls);
        tls.client_auth_cert_resolver = Arc::new(Shows(shown));
        Arc::new(tls)
    }
}

#[derive(Debug)]
pub(crate) struct Shows(pub(crate) Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn tls12() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

fn p384() -> ClientConfig {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::SECP384R1];
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
