//! New keys, and the request that an authority certifies them. Private keys never leave the machine
//! that made them; the request is one file of certificate signing requests.

use std::path::Path;

use i247_model::Identity;
use rcgen::{CertificateSigningRequestParams, KeyPair, SanType};

use crate::authority::AuthorityError;
use crate::{Credentials, SigningKey, files, profile};

const TAG: &str = "CERTIFICATE REQUEST";

/// The type of the keys that TLS uses, an authority's own included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsKey {
    /// ECDSA P-256, which gRPC clients in every language accept.
    P256,
    /// Ed25519, whose signatures are of one length: runs that are repeated byte for byte need that.
    Ed25519,
}

impl TlsKey {
    pub(crate) fn generate(self) -> Result<KeyPair, rcgen::Error> {
        match self {
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        }
    }
}

/// What an authority is asked to certify: a TLS key, a signing key, and for a national authority the key
/// with which it certifies others.
pub struct Request {
    identity: Identity,
    pub(crate) tls: CertificateSigningRequestParams,
    pub(crate) signing: CertificateSigningRequestParams,
    pub(crate) ca: Option<CertificateSigningRequestParams>,
    text: String,
}

impl Request {
    /// Makes new keys in a directory (mode 0600), and `request.pem` beside them.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`] when there are keys already: they may be in use.
    pub fn create(dir: &Path, identity: &Identity, tls: TlsKey) -> Result<Self, AuthorityError> {
        check_empty(dir)?;
        NodeKeys::generate(identity, tls)?.requested(dir, identity)
    }

    /// The same with a new signing key alone: the TLS key is that of a node that runs from the directory `running`,
    /// and whose connections go on while its signing key is renewed.
    ///
    /// # Errors
    /// As [`Request::create`]; [`AuthorityError::BadRequest`] for an authority, and when `running` is another's.
    pub fn renew_signing(dir: &Path, running: &Path, identity: &Identity) -> Result<Self, AuthorityError> {
        check_empty(dir)?;
        if is_authority(identity) {
            return Err(AuthorityError::BadRequest("an authority's keys go together"));
        }
        if Credentials::load(running)?.identity != *identity {
            return Err(AuthorityError::BadRequest("the TLS key is another's"));
        }
        let tls = KeyPair::from_pem(&files::read(running, files::TLS_KEY)?)?;
        let signing = SigningKey::generate().map_err(|_| rcgen::Error::RingUnspecified)?;
        NodeKeys { tls, signing, ca: None }.requested(dir, identity)
    }

    /// Reads a request, and proves that whoever made it holds the keys.
    ///
    /// # Errors
    /// [`AuthorityError::BadRequest`].
    pub fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        let blocks = pem::parse_many(text).map_err(|_| AuthorityError::BadRequest("not PEM"))?;
        if blocks.len() > 3 || blocks.iter().any(|block| block.tag() != TAG) {
            return Err(AuthorityError::BadRequest("not two or three certificate requests"));
        }
        let mut parsed = Vec::new();
        for block in &blocks {
            let request = CertificateSigningRequestParams::from_der(&block.contents().into());
            parsed.push(request.map_err(|_| AuthorityError::BadRequest("not signed by its own key"))?);
        }
        let mut parsed = parsed.into_iter();
        let (Some(tls), Some(signing), ca) = (parsed.next(), parsed.next(), parsed.next()) else {
            return Err(AuthorityError::BadRequest("not two or three certificate requests"));
        };
        let identity = named(&tls)?;
        if named(&signing)? != identity
            || ca.as_ref().map(named).transpose()?.is_some_and(|ca| ca != identity)
        {
            return Err(AuthorityError::BadRequest("the keys are of different identities"));
        }
        if ca.is_some() != is_authority(&identity) {
            return Err(AuthorityError::BadRequest("only an authority has a key to certify others"));
        }
        Ok(Self { identity, tls, signing, ca, text: text.to_owned() })
    }

    /// Who asks.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The text of `request.pem`.
    pub fn to_pem(&self) -> &str {
        &self.text
    }
}

/// The private keys of a node.
pub(crate) struct NodeKeys {
    pub(crate) tls: KeyPair,
    pub(crate) signing: SigningKey,
    pub(crate) ca: Option<KeyPair>,
}

impl NodeKeys {
    pub(crate) fn generate(identity: &Identity, tls: TlsKey) -> Result<Self, AuthorityError> {
        let ca = if is_authority(identity) { Some(tls.generate()?) } else { None };
        let signing = SigningKey::generate().map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(Self { tls: tls.generate()?, signing, ca })
    }

    pub(crate) fn request(&self, identity: &Identity) -> Result<Request, AuthorityError> {
        let params = profile::of_request(identity)?;
        let signing = KeyPair::try_from(self.signing.to_pkcs8_der().as_slice())?;
        let mut text = params.serialize_request(&self.tls)?.pem()?;
        text.push_str(&params.serialize_request(&signing)?.pem()?);
        if let Some(ca) = &self.ca {
            text.push_str(&params.serialize_request(ca)?.pem()?);
        }
        Request::from_pem(&text)
    }

    /// Writes the keys and the request.
    fn requested(&self, dir: &Path, identity: &Identity) -> Result<Request, AuthorityError> {
        let request = self.request(identity)?;
        self.save(dir)?;
        files::write_public(dir, files::REQUEST, &request.text)?;
        Ok(request)
    }

    fn save(&self, dir: &Path) -> Result<(), AuthorityError> {
        if let Some(ca) = &self.ca {
            files::write_private(dir, files::CA_KEY, &ca.serialize_pem())?;
        }
        files::write_private(dir, files::TLS_KEY, &self.tls.serialize_pem())?;
        files::write_private(dir, files::SIGNING_KEY, &self.signing.to_pkcs8_pem())?;
        Ok(())
    }
}

/// Keys that are there may be in use.
fn check_empty(dir: &Path) -> Result<(), AuthorityError> {
    let there =
        [files::TLS_KEY, files::SIGNING_KEY, files::CA_KEY].iter().any(|name| dir.join(name).exists());
    if there { Err(AuthorityError::Exists) } else { Ok(()) }
}

fn is_authority(identity: &Identity) -> bool {
    matches!(identity, Identity::Authority | Identity::NationalAuthority(_))
}

/// The one identity that a request names.
fn named(request: &CertificateSigningRequestParams) -> Result<Identity, AuthorityError> {
    match request.params.subject_alt_names.as_slice() {
        [SanType::URI(uri)] => {
            uri.as_str().parse().map_err(|_| AuthorityError::BadRequest("no such identity"))
        }
        _ => Err(AuthorityError::BadRequest("not exactly one identity")),
    }
}
