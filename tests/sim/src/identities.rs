//! The authority of a simulated network and everyone whom it certifies. All keys are new in each run: nothing that a
//! history shows may depend on them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{CountryCode, Identity, Timestamp};
use i247_trust::{Authority, AuthorityError, Credentials, Issued, Request, TlsKey, Validity, sign};
use i247_wire::pb;
use prost::Message as _;

use crate::seams::BEGIN;

/// Longer than any simulation.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The authority and the national ones below it.
#[derive(Debug)]
pub(crate) struct Identities {
    authority: Authority,
    national: BTreeMap<CountryCode, Authority>,
    /// The number of the last change of the directory, for each identity.
    changes: BTreeMap<Identity, u64>,
}

impl Identities {
    /// A new authority.
    pub(crate) fn new() -> Result<Self, AuthorityError> {
        let authority = Authority::new(lasting(LIFETIME), TlsKey::Ed25519)?;
        Ok(Self { authority, national: BTreeMap::new(), changes: BTreeMap::new() })
    }

    /// The authority's own credentials.
    pub(crate) fn authority(&self) -> &Credentials {
        self.authority.credentials()
    }

    /// Keys and certificates for an identity, whose machine has this name.
    pub(crate) fn enrol(&mut self, identity: &Identity, host: &str) -> Result<Credentials, AuthorityError> {
        let validity = lasting(LIFETIME);
        let Identity::NationalAuthority(country) = identity.issuer() else {
            return self.authority.enrol(identity, &[host], validity, TlsKey::Ed25519);
        };
        if !self.national.contains_key(&country) {
            let national = self.authority.issue_national(country, validity, TlsKey::Ed25519)?;
            self.national.insert(country, national);
        }
        self.national[&country].enrol(identity, &[host], validity, TlsKey::Ed25519)
    }

    /// Keys in `dir`, with a TLS certificate that ends at this time of the simulation, and the one that follows it.
    pub(crate) fn enrol_until(
        &self,
        identity: &Identity,
        host: &str,
        ends: Duration,
        dir: &Path,
    ) -> Result<(Credentials, Issued), AuthorityError> {
        // What an earlier run left.
        drop(std::fs::remove_dir_all(dir));
        let request = Request::create(dir, identity, TlsKey::Ed25519)?;
        self.authority.issue(&request, identity, &[host], lasting(ends))?.save(dir)?;
        let renewed = self.authority.issue(&request, identity, &[host], lasting(LIFETIME))?;
        let mut credentials = Credentials::load(dir)?;
        // Only its connections end.
        credentials.signing_chain.clone_from(&renewed.signing_chain);
        Ok((credentials, renewed))
    }

    /// The next change of the directory about an identity, signed, and its number.
    pub(crate) fn change(
        &mut self,
        action: pb::DirectoryAction,
        identity: &Identity,
        keys: Option<&Credentials>,
        now: Timestamp,
    ) -> (u64, pb::Signed) {
        let sequence = self.changes.entry(identity.clone()).or_default();
        *sequence += 1;
        let change = pb::DirectoryChange {
            action: action.into(),
            identity: identity.to_string(),
            tls_key: keys
                .map_or_else(Bytes::new, |keys| Bytes::copy_from_slice(keys.tls_key_id().as_bytes())),
            signing_certificates: keys.map_or_else(Vec::new, |keys| keys.signing_chain.clone()),
            reason: "simulation".into(),
            signed_at_ms: now.as_millis(),
            sequence: *sequence,
        };
        let key = &self.authority.credentials().signing_key;
        (*sequence, sign(key, i247_wire::payload::DIRECTORY_CHANGE, change.encode_to_vec()))
    }
}

fn lasting(length: Duration) -> Validity {
    Validity::lasting(Timestamp::from_millis(0).plus(BEGIN), length)
}
