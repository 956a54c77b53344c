//! Authorities: the secretariat's, and the national ones below it.
//!
//! An authority takes public keys out of requests, and nothing else: who somebody is, and for how long,
//! is said by whoever operates it. That a certificate exists admits nobody; the directory does.

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use i247_model::{CountryCode, Hash, Identity};
use rcgen::{CertificateSigningRequestParams, Issuer, KeyPair, PublicKeyData as _};
use rustls::pki_types::CertificateDer;

use crate::credentials::certificates;
use crate::files::FileError;
use crate::request::NodeKeys;
use crate::{
    Certificate, CertificateError, Credentials, CredentialsError, Request, Root, TlsKey, Use, Validity,
    VerifyingKey, files, profile,
};

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There are keys in the directory already.
    #[error("there are keys in the directory already")]
    Exists,
    /// The request is not what it should be.
    #[error("the request does not count: {0}")]
    BadRequest(&'static str),
    /// Another authority certifies this identity, or nobody does.
    #[error("{authority} does not certify {identity}")]
    NotOurs {
        /// Who was asked.
        authority: Identity,
        /// Who was to be certified.
        identity: Identity,
    },
    /// The time asked for is empty, or not within that of the authority's own certificate.
    #[error("the validity is not within that of the authority")]
    Validity,
    /// A file could not be read or written.
    #[error("a file could not be read or written")]
    File(#[from] FileError),
    /// What was read or made does not belong together.
    #[error("the authority's files do not belong together")]
    Credentials(#[from] CredentialsError),
    /// A certificate does not count.
    #[error("a certificate does not count")]
    Certificate(#[from] CertificateError),
    /// A key or a certificate could not be made.
    #[error("a key or a certificate could not be made")]
    Making(#[from] rcgen::Error),
}

/// An authority: the key that certifies others, and credentials of its own to act under its name.
pub struct Authority {
    key: KeyPair,
    certificate: CertificateDer<'static>,
    described: Certificate,
    credentials: Credentials,
}

impl Authority {
    /// The secretariat's authority, in memory. Its certificates are in force for the whole validity.
    ///
    /// # Errors
    /// [`AuthorityError::Validity`] and [`AuthorityError::Making`].
    pub fn new(validity: Validity, tls: TlsKey) -> Result<Self, AuthorityError> {
        let identity = Identity::Authority;
        let keys = NodeKeys::generate(&identity, tls)?;
        let request = keys.request(&identity)?;
        let key = keys.ca.as_ref().ok_or(AuthorityError::BadRequest("no key to certify others"))?;
        check_validity(validity)?;
        // Above the leaves there may be one authority between.
        let certificate = profile::of_authority(&identity, validity, 1)?.self_signed(key)?.der().clone();
        let maker = Maker { key, certificate: &certificate };
        let (tls, signing) = maker.leaves(&request, &identity, &[], validity)?;
        let root = Root::new(certificate.clone(), signing.clone())?;
        let signing_chain = vec![Bytes::copy_from_slice(&signing)];
        let issued = Issued { identity, tls_chain: vec![tls], signing_chain, certificate: None, root };
        Self::of(keys, certificate, issued)
    }

    /// The secretariat's authority, in a new directory.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`] when there is one already; else as [`Authority::new`] and
    /// [`Authority::save`].
    pub fn create(dir: &Path, validity: Validity, tls: TlsKey) -> Result<Self, AuthorityError> {
        if dir.join(files::CA_KEY).exists() {
            return Err(AuthorityError::Exists);
        }
        let authority = Self::new(validity, tls)?;
        authority.save(dir)?;
        Ok(authority)
    }

    /// An authority that [`Authority::save`] wrote, or a national one after its certificates came back.
    ///
    /// # Errors
    /// When a file is missing or does not belong to the others.
    pub fn load(dir: &Path) -> Result<Self, AuthorityError> {
        let credentials = Credentials::load(dir)?;
        let key = KeyPair::from_pem(&files::read(dir, files::CA_KEY)?)?;
        let chain = certificates(dir, files::CA_CERTIFICATE)?;
        let [certificate]: [CertificateDer<'static>; 1] =
            chain.try_into().map_err(|_| CredentialsError::Content(files::CA_CERTIFICATE))?;
        Self::with(key, certificate, credentials)
    }

    /// Writes `ca.key.pem` (mode 0600), `ca.crt.pem`, and the authority's own credentials.
    ///
    /// # Errors
    /// When a file could not be written.
    pub fn save(&self, dir: &Path) -> Result<(), AuthorityError> {
        files::write_private(dir, files::CA_KEY, &self.key.serialize_pem())?;
        files::write_certificates(dir, files::CA_CERTIFICATE, std::slice::from_ref(&self.certificate))?;
        Ok(self.credentials.save(dir)?)
    }

    /// Which authority it is.
    pub fn identity(&self) -> &Identity {
        &self.credentials.identity
    }

    /// The root of the network.
    pub fn root(&self) -> &Root {
        &self.credentials.root
    }

    /// The authority's own credentials; their signing key signs changes of the directory.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Certifies the keys of a request for an identity with these names of hosts (DNS names or addresses).
    ///
    /// # Errors
    /// [`AuthorityError::NotOurs`], [`AuthorityError::BadRequest`], [`AuthorityError::Validity`].
    pub fn issue(
        &self,
        request: &Request,
        identity: &Identity,
        names: &[&str],
        validity: Validity,
    ) -> Result<Issued, AuthorityError> {
        if *identity == Identity::Authority || identity.issuer() != *self.identity() {
            return Err(AuthorityError::NotOurs {
                authority: self.identity().clone(),
                identity: identity.clone(),
            });
        }
        if request.identity() != identity {
            return Err(AuthorityError::BadRequest("it asks for another identity"));
        }
        check_validity(validity)?;
        if validity.not_before < self.described.not_before || !self.described.in_force(validity.not_after) {
            return Err(AuthorityError::Validity);
        }
        let maker = Maker { key: &self.key, certificate: &self.certificate };
        let certificate = request.ca.as_ref().map(|ca| maker.national(ca, identity, validity)).transpose()?;
        let (tls, signing) = maker.leaves(request, identity, names, validity)?;
        let mut tls_chain = vec![tls];
        let mut signing_chain = vec![Bytes::copy_from_slice(&signing)];
        if *self.identity() != Identity::Authority {
            tls_chain.push(self.certificate.clone());
            signing_chain.push(Bytes::copy_from_slice(&self.certificate));
        }
        let root = self.root().clone();
        Ok(Issued { identity: identity.clone(), tls_chain, signing_chain, certificate, root })
    }

    /// Makes keys and certifies them at once, in memory: for tests and demonstrations, where all is on one
    /// machine.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn enrol(
        &self,
        identity: &Identity,
        names: &[&str],
        validity: Validity,
        tls: TlsKey,
    ) -> Result<Credentials, AuthorityError> {
        let keys = NodeKeys::generate(identity, tls)?;
        let issued = self.issue(&keys.request(identity)?, identity, names, validity)?;
        Ok(Credentials::assemble(&keys, issued)?)
    }

    /// Makes a country's authority and certifies it at once, in memory: for tests and demonstrations.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_national(
        &self,
        country: CountryCode,
        validity: Validity,
        tls: TlsKey,
    ) -> Result<Self, AuthorityError> {
        let identity = Identity::NationalAuthority(country);
        let keys = NodeKeys::generate(&identity, tls)?;
        let issued = self.issue(&keys.request(&identity)?, &identity, &[], validity)?;
        let missing = AuthorityError::BadRequest("no key to certify others");
        let certificate = issued.certificate.clone().ok_or(missing)?;
        Self::of(keys, certificate, issued)
    }

    fn of(
        mut keys: NodeKeys,
        certificate: CertificateDer<'static>,
        issued: Issued,
    ) -> Result<Self, AuthorityError> {
        let key = keys.ca.take().ok_or(AuthorityError::BadRequest("no key to certify others"))?;
        Self::with(key, certificate, Credentials::assemble(&keys, issued)?)
    }

    fn with(
        key: KeyPair,
        certificate: CertificateDer<'static>,
        credentials: Credentials,
    ) -> Result<Self, AuthorityError> {
        let described = Certificate::parse(&certificate)?;
        let key_id = crate::sha256(&[&key.subject_public_key_info()]);
        if described.identity != credentials.identity || described.key_id != key_id {
            return Err(CredentialsError::Mismatch.into());
        }
        Ok(Self { key, certificate, described, credentials })
    }
}

/// Nothing secret.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

/// What an authority made of a request: nothing of it is secret.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Whom the certificates name.
    pub identity: Identity,
    /// TLS certificate first, then the national authority's, if there is one.
    pub tls_chain: Vec<CertificateDer<'static>>,
    /// Signing certificate first, then the national authority's, if there is one; DER, as the directory's
    /// changes carry it.
    pub signing_chain: Vec<Bytes>,
    /// A national authority's certificate to certify others.
    certificate: Option<CertificateDer<'static>>,
    pub(crate) root: Root,
}

impl Issued {
    /// Writes the certificates, and the root, for the machine that made the request.
    ///
    /// # Errors
    /// When a file could not be written.
    pub fn save(&self, dir: &Path) -> Result<(), AuthorityError> {
        files::write_certificates(dir, files::TLS_CERTIFICATES, &self.tls_chain)?;
        let signing: Vec<_> =
            self.signing_chain.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
        files::write_certificates(dir, files::SIGNING_CERTIFICATES, &signing)?;
        if let Some(certificate) = &self.certificate {
            files::write_certificates(dir, files::CA_CERTIFICATE, std::slice::from_ref(certificate))?;
        }
        files::write_certificates(dir, files::ROOT_CERTIFICATES, self.root.chain())?;
        Ok(())
    }

    /// SHA-256 of the TLS key's `SubjectPublicKeyInfo`: what the directory admits.
    ///
    /// # Errors
    /// Never for what an authority issued.
    pub fn tls_key_id(&self) -> Result<Hash, CertificateError> {
        let leaf = self.tls_chain.first().ok_or(CertificateError::Malformed("an empty chain"))?;
        Ok(Certificate::parse(leaf)?.key_id)
    }
}

/// The certifying key with its certificate.
struct Maker<'a> {
    key: &'a KeyPair,
    certificate: &'a CertificateDer<'static>,
}

impl Maker<'_> {
    fn national(
        &self,
        request: &CertificateSigningRequestParams,
        identity: &Identity,
        validity: Validity,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        check_tls_key(request)?;
        let params = profile::of_authority(identity, validity, 0)?;
        let issuer = Issuer::from_ca_cert_der(self.certificate, self.key)?;
        Ok(params.signed_by(&request.public_key, &issuer)?.der().clone())
    }

    /// TLS certificate and signing certificate.
    fn leaves(
        &self,
        request: &Request,
        identity: &Identity,
        names: &[&str],
        validity: Validity,
    ) -> Result<(CertificateDer<'static>, CertificateDer<'static>), AuthorityError> {
        check_tls_key(&request.tls)?;
        let signing_key = request.signing.public_key.subject_public_key_info();
        if VerifyingKey::from_spki(&signing_key).is_err() {
            return Err(AuthorityError::BadRequest("the signing key is not Ed25519, or not of prime order"));
        }
        if signing_key == request.tls.public_key.subject_public_key_info() {
            return Err(AuthorityError::BadRequest("one key for two uses"));
        }
        let issuer = Issuer::from_ca_cert_der(self.certificate, self.key)?;
        let tls = profile::of_leaf(identity, names, validity, Use::Tls)?;
        let tls = tls.signed_by(&request.tls.public_key, &issuer)?;
        let signing = profile::of_leaf(identity, names, validity, Use::Signing)?;
        let signing = signing.signed_by(&request.signing.public_key, &issuer)?;
        Ok((tls.der().clone(), signing.der().clone()))
    }
}

fn check_tls_key(request: &CertificateSigningRequestParams) -> Result<(), AuthorityError> {
    let algorithm = request.public_key.algorithm();
    if algorithm == &rcgen::PKCS_ECDSA_P256_SHA256 || algorithm == &rcgen::PKCS_ED25519 {
        return Ok(());
    }
    Err(AuthorityError::BadRequest("the TLS key is neither ECDSA P-256 nor Ed25519"))
}

fn check_validity(validity: Validity) -> Result<(), AuthorityError> {
    if validity.not_before < validity.not_after { Ok(()) } else { Err(AuthorityError::Validity) }
}
