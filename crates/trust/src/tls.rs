//! TLS 1.3 on both sides, with our own verification: a chain up to the root and the name in the
//! certificate, on the server's side also the directory's word. Host names prove nothing here.
//!
//! No session is ever resumed: a resumed handshake would not ask the verifier.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use i247_model::{Hash, Identity, Reason, Refusal, Timestamp};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError as TlsCertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, SignatureScheme,
};

use crate::{Certificate, CertificateError, Credentials, Root, Use, verify_chain};

/// The only protocol spoken inside: HTTP/2.
const ALPN: &[u8] = b"h2";

/// Signatures in handshakes: by the two types of keys that certificates may hold.
const SCHEMES: [SignatureScheme; 2] = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519];

/// A configuration that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be configured with these credentials")]
pub struct TlsError(#[from] Error);

/// Who may connect now: the directory's list, asked in every handshake after the chain was verified.
pub trait Admission: Send + Sync + fmt::Debug {
    /// Admits this identity with this TLS key, or says why not.
    ///
    /// # Errors
    /// The handshake then fails, with the alert `access_denied` for `SUSPENDED`, `certificate_revoked` for `REVOKED`,
    /// `unsupported_certificate` for `NOT_GRANTED`, and `certificate_unknown` for every other reason.
    fn admit(&self, identity: &Identity, tls_key: &Hash) -> Result<(), Refusal>;
}

/// The certificate that a node shows, exchangeable while connections go on.
#[derive(Debug)]
pub struct Presented(RwLock<Arc<CertifiedKey>>);

impl Presented {
    /// Shows the TLS certificate of these credentials.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn new(credentials: &Credentials) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(RwLock::new(Arc::new(certified(credentials)?)))))
    }

    /// Shows another certificate from the next handshake on.
    ///
    /// # Errors
    /// When the key cannot be used; the old certificate is then still shown.
    pub fn renew(&self, credentials: &Credentials) -> Result<(), TlsError> {
        let certified = Arc::new(certified(credentials)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl ResolvesClientCert for Presented {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The server's side: every client shows a certificate, and is admitted or refused within the handshake.
///
/// # Errors
/// When rustls does not take the configuration, which does not depend on input.
pub fn server_config(
    presented: Arc<Presented>,
    root: &Root,
    time: Arc<dyn TimeProvider>,
    admission: Arc<dyn Admission>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(provider());
    let verifier = ClientVerifier { chains: Chains::new(root, &provider), admission };
    let mut config = ServerConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(presented);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// The client's side: the server is whoever its certificate names, and must be expected. Which host name
/// is connected to does not matter.
///
/// # Errors
/// As [`server_config`].
pub fn client_config(
    presented: Arc<Presented>,
    root: &Root,
    time: Arc<dyn TimeProvider>,
    expected: impl Fn(&Identity) -> bool + Send + Sync + 'static,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(provider());
    let verifier = ServerVerifier { chains: Chains::new(root, &provider), expected: Box::new(expected) };
    let mut config = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(presented);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The other end of a connection whose handshake is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Whom its certificate names.
    pub identity: Identity,
    /// SHA-256 of its TLS key's `SubjectPublicKeyInfo`.
    pub key_id: Hash,
    /// First second of its certificate.
    pub not_before: Timestamp,
    /// Last second of its certificate: the connection ends then at the latest.
    pub not_after: Timestamp,
}

/// Reads who the peer is from the certificates of a finished handshake, which has verified them.
///
/// # Errors
/// When there are none.
pub fn peer_identity(certificates: &[CertificateDer<'_>]) -> Result<Peer, CertificateError> {
    let leaf = certificates.first().ok_or(CertificateError::Malformed("an empty chain"))?;
    let Certificate { identity, key_id, not_before, not_after, .. } = Certificate::parse(leaf)?;
    Ok(Peer { identity, key_id, not_before, not_after })
}

/// Named here and never installed for the process: what a test or a library installs does not matter.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    provider
}

fn certified(credentials: &Credentials) -> Result<CertifiedKey, TlsError> {
    let chain = credentials.tls_chain.clone();
    Ok(CertifiedKey::from_der(chain, credentials.tls_key(), &provider())?)
}

/// What both verifiers do alike.
#[derive(Debug)]
struct Chains {
    root: Root,
    provider: Arc<CryptoProvider>,
}

impl Chains {
    fn new(root: &Root, provider: &Arc<CryptoProvider>) -> Self {
        Self { root: root.clone(), provider: Arc::clone(provider) }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Certificate, Error> {
        let mut chain = vec![leaf.clone()];
        chain.extend_from_slice(between);
        let now = Timestamp::from_millis(now.as_secs().saturating_mul(1000));
        verify_chain(&chain, &self.root, now, Use::Tls).map_err(|error| match error {
            CertificateError::NotInForce if is_early(&chain, now) => {
                Error::InvalidCertificate(TlsCertificateError::NotValidYet)
            }
            error => alert(error),
        })
    }

    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }
}

/// Whether a certificate of the chain is not in force yet: a clock that is wrong, most likely.
fn is_early(chain: &[CertificateDer<'_>], now: Timestamp) -> bool {
    chain.iter().any(|der| Certificate::parse(der).is_ok_and(|certificate| now < certificate.not_before))
}

/// The alert that the peer gets; the cause stays readable on our side.
fn alert(error: CertificateError) -> Error {
    Error::InvalidCertificate(match error {
        CertificateError::Malformed(_) => TlsCertificateError::BadEncoding,
        CertificateError::NotInForce => TlsCertificateError::Expired,
        CertificateError::Untrusted(_) => TlsCertificateError::UnknownIssuer,
        CertificateError::WrongName
        | CertificateError::WrongIssuer { .. }
        | CertificateError::PathTooLong
        | CertificateError::WrongUse => TlsCertificateError::Other(OtherError(Arc::new(error))),
    })
}

/// The same for somebody whose certificate is good, and who may not come all the same: who was suspended or revoked, or
/// is a post without a grant in force, is told so by the alert, since no call can say it.
fn not_admitted(refusal: Refusal) -> Error {
    Error::InvalidCertificate(match refusal.reason {
        Reason::Revoked => TlsCertificateError::Revoked,
        Reason::Suspended => TlsCertificateError::ApplicationVerificationFailure,
        Reason::NotGranted => TlsCertificateError::InvalidPurpose,
        _ => TlsCertificateError::Other(OtherError(Arc::new(refusal))),
    })
}

/// TLS 1.2 is not offered, so nobody can ask for this.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerIncompatible::Tls12NotOffered.into())
}

#[derive(Debug)]
struct ClientVerifier {
    chains: Chains,
    admission: Arc<dyn Admission>,
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let leaf = self.chains.verify(end_entity, intermediates, now)?;
        self.admission.admit(&leaf.identity, &leaf.key_id).map_err(not_admitted)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

struct ServerVerifier {
    chains: Chains,
    expected: Box<dyn Fn(&Identity) -> bool + Send + Sync>,
}

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier").field("chains", &self.chains).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = self.chains.verify(end_entity, intermediates, now)?;
        if !(self.expected)(&leaf.identity) {
            return Err(Error::InvalidCertificate(TlsCertificateError::NotValidForName));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}
