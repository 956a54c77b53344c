//! Certificates: what one says, and the one verification of chains, for TLS and for signatures.
//!
//! A chain is good when webpki finds a path to the root, and then our own rules hold: the leaf was
//! issued by whom its identity demands, with nothing in between; a national authority speaks for its
//! own country and has a path length of 0; each certificate names one identity; the key is of the
//! type that its use asks for. What an identity may do is not asked here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{Hash, Identity, Reason, Refusal, Timestamp};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::prelude::{GeneralName, X509Certificate};

use crate::{VerifyingKey, sha256};

/// Largest certificate, in bytes.
const MAX_CERTIFICATE_BYTES: usize = 4096;
/// Longest chain: leaf, national authority, and the root for those who send it too.
const MAX_CHAIN: usize = 3;

/// The only signatures on certificates that count.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[webpki::aws_lc_rs::ECDSA_P256_SHA256, webpki::aws_lc_rs::ED25519];

/// `id-kp-documentSigning` of RFC 9336: what the signing certificates are for.
pub(crate) const DOCUMENT_SIGNING: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 36];
const DOCUMENT_SIGNING_DER: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 36];
const CLIENT_AUTH_DER: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 2];

/// Why a certificate does not count.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate, or more of them than a chain can have.
    #[error("not a certificate of this network: {0}")]
    Malformed(&'static str),
    /// Not before its time, or after it.
    #[error("the certificate is not in force now")]
    NotInForce,
    /// No path leads to the root.
    #[error("the chain does not lead to the authority")]
    Untrusted(#[source] Option<webpki::Error>),
    /// Not exactly one name of this network.
    #[error("the certificate names no identity, or more than one")]
    WrongName,
    /// Issued by somebody who may not certify this identity.
    #[error("{issued_by} may not certify {identity}")]
    WrongIssuer {
        /// Whom the certificate names.
        identity: Identity,
        /// Who has certified it.
        issued_by: Identity,
    },
    /// A certificate in the chain stands for more below it than it may.
    #[error("the chain is longer than its authority allows")]
    PathTooLong,
    /// Made for another use, or with a key of another type.
    #[error("the certificate is not made for this use")]
    WrongUse,
}

impl From<CertificateError> for Refusal {
    fn from(error: CertificateError) -> Self {
        let reason = match error {
            CertificateError::Malformed(_) => Reason::Malformed,
            CertificateError::NotInForce => Reason::CertificateNotInForce,
            CertificateError::Untrusted(_)
            | CertificateError::WrongName
            | CertificateError::WrongIssuer { .. }
            | CertificateError::PathTooLong
            | CertificateError::WrongUse => Reason::UnknownKey,
        };
        Self::of(reason, "certificates")
    }
}

/// What a leaf is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// One end of a connection: an ECDSA P-256 key, or Ed25519.
    Tls,
    /// Signing messages: an Ed25519 key.
    Signing,
}

/// What a certificate says. Only [`verify_chain`] makes it true.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Whom it names.
    pub identity: Identity,
    /// SHA-256 of its key's `SubjectPublicKeyInfo`.
    pub key_id: Hash,
    /// First moment in force.
    pub not_before: Timestamp,
    /// Last second in force.
    pub not_after: Timestamp,
    spki: Vec<u8>,
    p256: bool,
    /// May certify others; with the path length, if there is one.
    authority: Option<Option<u32>>,
    uses: Vec<Use>,
}

impl Certificate {
    /// Reads a certificate without believing it.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`] and [`CertificateError::WrongName`].
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::Malformed("too large"));
        }
        let malformed = |_| CertificateError::Malformed("not X.509");
        let (rest, parsed) = x509_parser::parse_x509_certificate(der).map_err(malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed("more than one"));
        }
        let repeated = |_| CertificateError::Malformed("an extension is repeated or broken");
        let constraints = parsed.basic_constraints().map_err(repeated)?;
        let extended = parsed.extended_key_usage().map_err(repeated)?;
        let mut uses = Vec::new();
        if let Some(extended) = extended {
            if extended.value.client_auth && extended.value.server_auth {
                uses.push(Use::Tls);
            }
            if extended.value.other.iter().any(|oid| oid.as_bytes() == DOCUMENT_SIGNING_DER) {
                uses.push(Use::Signing);
            }
        }
        let spki = parsed.public_key().raw.to_vec();
        Ok(Self {
            identity: identity(&parsed)?,
            key_id: sha256(&[&spki]),
            not_before: timestamp(parsed.validity().not_before.timestamp())?,
            not_after: timestamp(parsed.validity().not_after.timestamp())?,
            p256: spki.starts_with(&P256_SPKI_PREFIX),
            spki,
            authority: constraints
                .filter(|constraints| constraints.value.ca)
                .map(|constraints| constraints.value.path_len_constraint),
            uses,
        })
    }

    /// Whether it is in force at this moment.
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.not_before <= at && at < end_of(self.not_after)
    }

    /// Its key, when that is an Ed25519 key of prime order.
    pub(crate) fn ed25519(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_spki(&self.spki).ok()
    }

    fn good_for(&self, purpose: Use) -> bool {
        self.uses == [purpose]
            && match purpose {
                Use::Tls => self.p256 || self.ed25519().is_some(),
                Use::Signing => self.ed25519().is_some(),
            }
    }
}

/// `SubjectPublicKeyInfo` of an uncompressed P-256 point, up to the point.
const P256_SPKI_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// The one URI among the names. Names of hosts may stand beside it.
fn identity(certificate: &X509Certificate<'_>) -> Result<Identity, CertificateError> {
    let wrong = CertificateError::WrongName;
    let names = certificate.subject_alternative_name().map_err(|_| wrong.clone())?.ok_or(wrong.clone())?;
    let mut found = None;
    for name in &names.value.general_names {
        match name {
            GeneralName::URI(uri) if found.is_none() => found = Some(*uri),
            GeneralName::DNSName(_) | GeneralName::IPAddress(_) => {}
            _ => return Err(wrong),
        }
    }
    found.and_then(|uri| uri.parse().ok()).ok_or(wrong)
}

fn timestamp(seconds: i64) -> Result<Timestamp, CertificateError> {
    let seconds = u64::try_from(seconds).map_err(|_| CertificateError::Malformed("dated before 1970"))?;
    Ok(Timestamp::from_millis(seconds.saturating_mul(1000)))
}

/// A certificate is good through the whole of its last second.
fn end_of(not_after: Timestamp) -> Timestamp {
    not_after.plus(Duration::from_secs(1))
}

/// The certificate of the secretariat's authority: where every chain ends.
#[derive(Clone, Debug)]
pub struct Anchor {
    anchor: TrustAnchor<'static>,
    certificate: Certificate,
}

impl Anchor {
    /// The authority's certificate, as it stands at the beginning of a log.
    ///
    /// # Errors
    /// When it is none. Whether it is in force is asked at each use.
    pub fn new(authority: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::parse(authority)?;
        if certificate.identity != Identity::Authority || certificate.authority.is_none() {
            return Err(CertificateError::WrongUse);
        }
        let anchor = webpki::anchor_from_trusted_cert(&CertificateDer::from(authority))
            .map_err(|error| CertificateError::Untrusted(Some(error)))?
            .to_owned();
        Ok(Self { anchor, certificate })
    }

    /// As [`introduce_past`].
    ///
    /// # Errors
    /// As [`introduce`].
    pub fn introduce_past(&self, chain: &[Bytes], now: Timestamp) -> Result<Signer, CertificateError> {
        let leaf = chain.first().ok_or(CertificateError::Malformed("an empty chain"))?;
        let not_after = Certificate::parse(leaf)?.not_after;
        Signer::of(&self.verify(&as_der(chain), now.min(not_after), Use::Signing)?)
    }

    fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
        purpose: Use,
    ) -> Result<Certificate, CertificateError> {
        let Some((leaf_der, between)) = chain.split_first() else {
            return Err(CertificateError::Malformed("an empty chain"));
        };
        if chain.len() > MAX_CHAIN || chain.iter().any(|der| der.len() > MAX_CERTIFICATE_BYTES) {
            return Err(CertificateError::Malformed("a chain too long"));
        }
        let leaf = Certificate::parse(leaf_der)?;
        if !leaf.good_for(purpose) {
            return Err(CertificateError::WrongUse);
        }
        let time = UnixTime::since_unix_epoch(Duration::from_millis(now.as_millis()));
        let usage = KeyUsage::required_if_present(match purpose {
            Use::Tls => CLIENT_AUTH_DER,
            Use::Signing => DOCUMENT_SIGNING_DER,
        });
        let end_entity = EndEntityCert::try_from(leaf_der).map_err(chain_error)?;
        let anchors = std::slice::from_ref(&self.anchor);
        let path = end_entity
            .verify_for_usage(ALGORITHMS, anchors, between, time, usage, None, None)
            .map_err(chain_error)?;
        // A trust anchor has no end for webpki. It has for us.
        if !self.certificate.in_force(now) {
            return Err(CertificateError::NotInForce);
        }
        let issuers: Vec<CertificateDer<'_>> =
            path.intermediate_certificates().map(|cert| cert.der()).collect();
        check_issuers(&leaf.identity, &issuers)?;
        Ok(leaf)
    }
}

/// The secretariat's authority: where every chain ends, and who signs changes of the directory.
#[derive(Clone, Debug)]
pub struct Root {
    anchor: Anchor,
    signer: Arc<Signer>,
    chain: [CertificateDer<'static>; 2],
}

impl Root {
    /// The authority's certificate, and the certificate of the key with which it signs changes of the
    /// directory. Both are in `authority.crt.pem`, in this order.
    ///
    /// # Errors
    /// When they are not that, or do not belong together. Whether they are in force is asked at each use.
    pub fn new(
        authority: CertificateDer<'static>,
        signing: CertificateDer<'static>,
    ) -> Result<Self, CertificateError> {
        let anchor = Anchor::new(&authority)?;
        let leaf = Certificate::parse(&signing)?;
        let mut root = Self { anchor, signer: Arc::new(Signer::of(&leaf)?), chain: [authority, signing] };
        root.signer =
            Arc::new(introduce_past(&[Bytes::copy_from_slice(&root.chain[1])], &root, leaf.not_before)?);
        if root.signer.identity != Identity::Authority {
            return Err(CertificateError::WrongUse);
        }
        Ok(root)
    }

    /// The key with which the authority signs changes of the directory.
    pub fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// Where chains end.
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// The authority's certificate, DER.
    pub fn authority(&self) -> Bytes {
        Bytes::copy_from_slice(&self.chain[0])
    }

    /// What the authority's certificate says.
    pub fn certificate(&self) -> &Certificate {
        &self.anchor.certificate
    }

    /// The two certificates, as [`Root::new`] takes them.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>; 2] {
        &self.chain
    }
}

/// Somebody whose signatures count, while the certificate is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signer {
    /// Who signs.
    pub identity: Identity,
    /// With which key.
    pub key: VerifyingKey,
    /// SHA-256 of the key's `SubjectPublicKeyInfo`.
    pub key_id: Hash,
    /// First moment in force.
    pub not_before: Timestamp,
    /// Last second in force.
    pub not_after: Timestamp,
}

impl Signer {
    /// Whether the certificate is in force at this moment.
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.not_before <= at && at < end_of(self.not_after)
    }

    /// The same signer with the time of another certificate of the same key added, when there is no time between
    /// them: a renewal does not make untrue what was signed before it.
    pub fn joined(&self, other: &Self) -> Option<Self> {
        let touch = self.not_before <= end_of(other.not_after) && other.not_before <= end_of(self.not_after);
        let same = self.identity == other.identity && self.key_id == other.key_id;
        (same && touch).then(|| Self {
            not_before: self.not_before.min(other.not_before),
            not_after: self.not_after.max(other.not_after),
            ..self.clone()
        })
    }

    fn of(certificate: &Certificate) -> Result<Self, CertificateError> {
        Ok(Self {
            identity: certificate.identity.clone(),
            key: certificate.ed25519().ok_or(CertificateError::WrongUse)?,
            key_id: certificate.key_id,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        })
    }
}

/// Who signs, by a chain of DER certificates: the signing certificate first, then what leads to the root.
///
/// # Errors
/// When the chain is not good at `now`.
pub fn introduce(chain: &[Bytes], root: &Root, now: Timestamp) -> Result<Signer, CertificateError> {
    Signer::of(&verify_chain(&as_der(chain), root, now, Use::Signing)?)
}

/// The same for the signer of a message that has waited, perhaps longer than its certificate lives:
/// a certificate that has ended is judged at its last second. [`crate::open`] then holds the moment of
/// signing against its validity.
///
/// # Errors
/// As [`introduce`].
pub fn introduce_past(chain: &[Bytes], root: &Root, now: Timestamp) -> Result<Signer, CertificateError> {
    root.anchor.introduce_past(chain, now)
}

/// Verifies a chain, leaf first, and says what the leaf says.
///
/// # Errors
/// When it does not lead to the root, breaks one of our rules, or is not in force at `now`.
pub fn verify_chain(
    chain: &[CertificateDer<'_>],
    root: &Root,
    now: Timestamp,
    purpose: Use,
) -> Result<Certificate, CertificateError> {
    root.anchor.verify(chain, now, purpose)
}

/// Who may certify whom: the rule that X.509 name constraints cannot express.
fn check_issuers(identity: &Identity, issuers: &[CertificateDer<'_>]) -> Result<(), CertificateError> {
    let wrong = |issued_by| CertificateError::WrongIssuer { identity: identity.clone(), issued_by };
    let demanded = identity.issuer();
    match (issuers, &demanded) {
        ([], Identity::Authority) => Ok(()),
        ([], _) => Err(wrong(Identity::Authority)),
        ([national], _) => {
            let national = Certificate::parse(national)?;
            if national.identity != demanded {
                return Err(wrong(national.identity));
            }
            // Only with a path length of 0 can nobody be certified between it and its leaves.
            if national.authority != Some(Some(0)) {
                return Err(CertificateError::PathTooLong);
            }
            Ok(())
        }
        _ => Err(CertificateError::PathTooLong),
    }
}

fn as_der(chain: &[Bytes]) -> Vec<CertificateDer<'_>> {
    chain.iter().map(|der| CertificateDer::from(der.as_ref())).collect()
}

fn chain_error(error: webpki::Error) -> CertificateError {
    match error {
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => {
            CertificateError::NotInForce
        }
        webpki::Error::PathLenConstraintViolated => CertificateError::PathTooLong,
        webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::CaUsedAsEndEntity => {
            CertificateError::WrongUse
        }
        other => CertificateError::Untrusted(Some(other)),
    }
}
