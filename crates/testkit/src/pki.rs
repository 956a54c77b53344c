//! A throw-away authority and everyone whom it certifies. For tests and demonstrations: all keys are on one machine.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{CountryCode, Identity, Name, Timestamp};
use i247_trust::{Authority, AuthorityError, Credentials, TlsKey, Validity, sign};
use i247_wire::pb;
use prost::Message as _;

/// How long the certificates of a world are in force: longer than stories let days pass.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Host names in the certificates of servers.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// The authority of a world, and the national ones below it.
#[derive(Debug)]
pub struct Pki {
    authority: Authority,
    national: BTreeMap<CountryCode, Authority>,
    validity: Validity,
}

impl Pki {
    /// A new authority whose certificates begin now.
    ///
    /// # Errors
    /// When keys or certificates cannot be made.
    pub fn new(now: Timestamp) -> Result<Self, AuthorityError> {
        let validity = Validity::lasting(now, LIFETIME);
        Ok(Self { authority: Authority::new(validity, TlsKey::P256)?, national: BTreeMap::new(), validity })
    }

    /// The secretariat's authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Keys and certificates for an identity, from whoever may certify it.
    ///
    /// # Errors
    /// When keys or certificates cannot be made.
    pub fn enrol(&mut self, identity: &Identity) -> Result<Credentials, AuthorityError> {
        let validity = self.validity;
        self.enrol_for(identity, validity)
    }

    /// The same with another validity: for certificates that have ended, or have not begun.
    ///
    /// # Errors
    /// As [`Pki::enrol`]; the validity must lie within the authority's.
    pub fn enrol_for(
        &mut self,
        identity: &Identity,
        validity: Validity,
    ) -> Result<Credentials, AuthorityError> {
        self.authority_of(identity)?.enrol(identity, &NAMES, validity, TlsKey::P256)
    }

    /// Whoever certifies an identity.
    ///
    /// # Errors
    /// When keys or certificates cannot be made.
    pub fn authority_of(&mut self, identity: &Identity) -> Result<&Authority, AuthorityError> {
        match identity.issuer() {
            Identity::NationalAuthority(country) => self.national(country),
            _ => Ok(&self.authority),
        }
    }

    /// The authority of a country, made when it is first asked for.
    ///
    /// # Errors
    /// When keys or certificates cannot be made.
    pub fn national(&mut self, country: CountryCode) -> Result<&Authority, AuthorityError> {
        if !self.national.contains_key(&country) {
            let authority = self.authority.issue_national(country, self.validity, TlsKey::P256)?;
            self.national.insert(country, authority);
        }
        Ok(&self.national[&country])
    }

    /// A change of the directory, signed by the authority.
    pub fn change(
        &self,
        action: pb::DirectoryAction,
        identity: &Identity,
        sequence: u64,
        now: Timestamp,
    ) -> Change {
        Change(pb::DirectoryChange {
            action: action.into(),
            identity: identity.to_string(),
            tls_key: Bytes::new(),
            signing_certificates: Vec::new(),
            reason: "test kit".into(),
            signed_at_ms: now.as_millis(),
            sequence,
        })
    }

    /// The change, signed by the secretariat's authority.
    pub fn sign(&self, change: Change) -> pb::Signed {
        change.signed_by(self.authority.credentials())
    }
}

/// A change before it is signed.
#[derive(Clone, Debug)]
pub struct Change(pb::DirectoryChange);

impl Change {
    /// The change, signed by an authority.
    pub fn signed_by(self, authority: &Credentials) -> pb::Signed {
        sign(&authority.signing_key, i247_wire::payload::DIRECTORY_CHANGE, self.0.encode_to_vec())
    }

    /// The same with the TLS key of these credentials alone: what a bureau is told of a revocation.
    pub fn tls_key(mut self, credentials: &Credentials) -> Self {
        self.0.tls_key = Bytes::copy_from_slice(credentials.tls_key_id().as_bytes());
        self
    }

    /// The same with the keys of these credentials: what an admission needs.
    pub fn keys(mut self, credentials: &Credentials) -> Self {
        self.0.tls_key = Bytes::copy_from_slice(credentials.tls_key_id().as_bytes());
        self.0.signing_certificates = credentials.signing_chain.clone();
        self
    }
}

/// An officer's, reviewer's or operator's short name.
///
/// # Panics
/// When it is none: it stands in the program text.
pub fn name(text: &str) -> Name {
    text.parse().expect("a name of lower-case letters and digits")
}

/// A country's code.
///
/// # Panics
/// When it is none: it stands in the program text.
pub fn country(text: &str) -> CountryCode {
    text.parse().expect("a country code of two capital letters")
}
