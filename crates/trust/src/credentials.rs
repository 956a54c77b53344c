//! What a node shows and signs with: two keys, their certificates, and the root that it trusts.

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use i247_model::{Hash, Identity};
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::authority::Issued;
use crate::files::{self, FileError};
use crate::request::NodeKeys;
use crate::{Certificate, CertificateError, KeyError, Root, SigningKey, sha256};

/// Why a directory holds no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file could not be read or written.
    #[error("a file could not be read or written")]
    File(#[from] FileError),
    /// A file does not hold what its name says.
    #[error("{0} does not hold what its name says")]
    Content(&'static str),
    /// A key or certificate that does not count.
    #[error("a certificate does not count")]
    Certificate(#[from] CertificateError),
    /// A key that is none.
    #[error("a key does not count")]
    Key(#[from] KeyError),
    /// The parts are of different identities, or a certificate of another key.
    #[error("keys and certificates do not belong together")]
    Mismatch,
}

/// The keys and certificates of one identity. Whether they are in force is not asked here.
#[derive(Clone)]
pub struct Credentials {
    /// Whom the certificates name.
    pub identity: Identity,
    /// The authority that this node trusts.
    pub root: Root,
    /// TLS certificate first, then the national authority's, if there is one.
    pub tls_chain: Vec<CertificateDer<'static>>,
    /// The key that signs messages.
    pub signing_key: SigningKey,
    /// Its certificate first, then the national authority's, if there is one; DER, as introductions carry it.
    pub signing_chain: Vec<Bytes>,
    tls_key: Zeroizing<Vec<u8>>,
    tls_key_id: Hash,
}

impl Credentials {
    /// Reads `tls.key.pem`, `tls.crt.pem`, `signing.key.pem`, `signing.crt.pem` and `authority.crt.pem`.
    ///
    /// # Errors
    /// When one is missing or not what it should be, or they do not belong together.
    pub fn load(dir: &Path) -> Result<Self, CredentialsError> {
        let root = load_root(dir)?;
        let tls_key = pem::parse(files::read(dir, files::TLS_KEY)?.as_bytes())
            .map_err(|_| CredentialsError::Content(files::TLS_KEY))?;
        let tls_key = Zeroizing::new(tls_key.into_contents());
        let signing_key = SigningKey::from_pkcs8_pem(&files::read(dir, files::SIGNING_KEY)?)?;
        let tls_chain = certificates(dir, files::TLS_CERTIFICATES)?;
        let signing_chain = certificates(dir, files::SIGNING_CERTIFICATES)?;
        Self::of(tls_key, tls_chain, signing_key, signing_chain, root)
    }

    /// Writes the files that [`Credentials::load`] reads; the keys with mode 0600.
    ///
    /// # Errors
    /// When one could not be written. Those before it are then new, those after it as they were.
    pub fn save(&self, dir: &Path) -> Result<(), CredentialsError> {
        let tls_key = Zeroizing::new(pem::encode(&pem::Pem::new("PRIVATE KEY", self.tls_key.to_vec())));
        files::write_private(dir, files::TLS_KEY, &tls_key)?;
        files::write_private(dir, files::SIGNING_KEY, &self.signing_key.to_pkcs8_pem())?;
        files::write_certificates(dir, files::TLS_CERTIFICATES, &self.tls_chain)?;
        let signing: Vec<_> =
            self.signing_chain.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
        files::write_certificates(dir, files::SIGNING_CERTIFICATES, &signing)?;
        files::write_certificates(dir, files::ROOT_CERTIFICATES, self.root.chain())?;
        Ok(())
    }

    /// SHA-256 of the TLS key's `SubjectPublicKeyInfo`: what the directory admits.
    pub fn tls_key_id(&self) -> Hash {
        self.tls_key_id
    }

    /// What the TLS certificate says.
    ///
    /// # Errors
    /// Never for credentials that were loaded or issued.
    pub fn tls_certificate(&self) -> Result<Certificate, CertificateError> {
        Certificate::parse(self.tls_chain.first().ok_or(CertificateError::Malformed("an empty chain"))?)
    }

    pub(crate) fn tls_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.tls_key.to_vec()).into()
    }

    /// Keys and what an authority made of them.
    pub(crate) fn assemble(keys: &NodeKeys, issued: Issued) -> Result<Self, CredentialsError> {
        let tls_key = Zeroizing::new(keys.tls.serialize_der());
        let signing_chain = issued.signing_chain.into_iter().map(|der| CertificateDer::from(der.to_vec()));
        Self::of(tls_key, issued.tls_chain, keys.signing.clone(), signing_chain.collect(), issued.root)
    }

    fn of(
        tls_key: Zeroizing<Vec<u8>>,
        tls_chain: Vec<CertificateDer<'static>>,
        signing_key: SigningKey,
        signing_chain: Vec<CertificateDer<'static>>,
        root: Root,
    ) -> Result<Self, CredentialsError> {
        let first = |chain: &[CertificateDer<'_>], name| {
            let leaf = chain.first().ok_or(CredentialsError::Content(name))?;
            Certificate::parse(leaf).map_err(CredentialsError::from)
        };
        let tls = first(&tls_chain, files::TLS_CERTIFICATES)?;
        let signing = first(&signing_chain, files::SIGNING_CERTIFICATES)?;
        let pair =
            KeyPair::try_from(tls_key.as_slice()).map_err(|_| CredentialsError::Content(files::TLS_KEY))?;
        let tls_key_id = sha256(&[&pair.subject_public_key_info()]);
        let belongs = tls.identity == signing.identity
            && tls.key_id == tls_key_id
            && signing.key_id == signing_key.key_id();
        if !belongs {
            return Err(CredentialsError::Mismatch);
        }
        let signing_chain = signing_chain.iter().map(|der| Bytes::copy_from_slice(der)).collect();
        Ok(Self { identity: tls.identity, root, tls_chain, signing_key, signing_chain, tls_key, tls_key_id })
    }
}

/// Nothing secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("identity", &self.identity)
            .field("tls_key_id", &self.tls_key_id)
            .field("signing_key", &self.signing_key)
            .finish_non_exhaustive()
    }
}

fn load_root(dir: &Path) -> Result<Root, CredentialsError> {
    let content = || CredentialsError::Content(files::ROOT_CERTIFICATES);
    let [authority, signing]: [CertificateDer<'static>; 2] =
        certificates(dir, files::ROOT_CERTIFICATES)?.try_into().map_err(|_| content())?;
    Ok(Root::new(authority, signing)?)
}

pub(crate) fn certificates(
    dir: &Path,
    name: &'static str,
) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    files::read_certificates(dir, name)?.ok_or(CredentialsError::Content(name))
}
