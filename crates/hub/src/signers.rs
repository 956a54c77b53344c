//! Whose signatures the hub knows: certificate chains from the log, by key. A view like the others.
//!
//! Whether a key counts *now* is the directory's business; this only finds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use i247_model::{Hash, Timestamp};
use i247_trust::{Certificate, CertificateError, Root, Signer, introduce_past, sha256};

/// A signer, for as long as its certificates follow each other, and the chains that introduce it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) signer: Arc<Signer>,
    pub(crate) chains: Vec<Chain>,
}

/// Certificates that introduce a signer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Chain {
    /// SHA-256 of the signing certificate.
    pub(crate) leaf: Hash,
    /// The signing certificate first.
    pub(crate) certificates: Vec<Bytes>,
}

/// Every signer that was ever admitted.
#[derive(Clone, Debug)]
pub(crate) struct Signers {
    root: Root,
    /// More than one for a key only where it had no certificate for a while.
    by_key: BTreeMap<Hash, Vec<Known>>,
}

impl Signers {
    pub(crate) fn new(root: Root) -> Self {
        Self { root, by_key: BTreeMap::new() }
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Whoever has this key now.
    pub(crate) fn find(&self, key: &Hash) -> Option<&Known> {
        self.by_key.get(key)?.last()
    }

    /// Whoever had this key at that time; whoever has it now, where nobody had.
    pub(crate) fn find_at(&self, key: &Hash, at: Timestamp) -> Option<&Known> {
        let known = self.by_key.get(key)?;
        known.iter().rev().find(|known| known.signer.in_force(at)).or(known.last())
    }

    /// The certificate by which a key counted at that time; the newest, where it did not.
    pub(crate) fn chain_at(&self, key: &Hash, at: Timestamp) -> Vec<Bytes> {
        let Some(known) = self.find_at(key, at) else { return Vec::new() };
        let covers = |chain: &&Chain| {
            let leaf = chain.certificates.first().and_then(|leaf| Certificate::parse(leaf).ok());
            leaf.is_some_and(|leaf| leaf.in_force(at))
        };
        let chain = known.chains.iter().rev().find(covers).or(known.chains.last());
        chain.map(|chain| chain.certificates.clone()).unwrap_or_default()
    }

    /// Whether this chain was taken in.
    pub(crate) fn holds(&self, chain: &[Bytes]) -> bool {
        self.by_key.values().flatten().any(|known| known.chains.iter().any(|held| held.certificates == chain))
    }

    /// Takes a chain in. It was checked when it was entered; here it may be older than its certificates.
    ///
    /// # Errors
    /// When the chain does not lead to the root.
    pub(crate) fn admit(
        &mut self,
        chain: Vec<Bytes>,
        at: Timestamp,
    ) -> Result<Arc<Signer>, CertificateError> {
        let signer = Arc::new(introduce_past(&chain, &self.root, at)?);
        let leaf = sha256(&[chain.first().map_or(&[], |leaf| leaf)]);
        let chain = Chain { leaf, certificates: chain };
        let known = self.by_key.entry(signer.key_id).or_default();
        match known.last_mut().and_then(|last| Some((last.signer.joined(&signer)?, last))) {
            Some((joined, last)) => {
                last.signer = Arc::new(joined);
                if !last.chains.contains(&chain) {
                    last.chains.push(chain);
                }
            }
            None => known.push(Known { signer: signer.clone(), chains: vec![chain] }),
        }
        Ok(signer)
    }

    /// The chains, for a snapshot.
    pub(crate) fn chains(&self) -> Vec<Vec<Vec<u8>>> {
        let chains = self.by_key.values().flatten().flat_map(|known| &known.chains);
        chains.map(|chain| chain.certificates.iter().map(|der| der.to_vec()).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use i247_model::Identity;
    use i247_trust::{Authority, Request, TlsKey, Validity};

    use super::*;

    const DAY: u64 = 86_400_000;

    fn day(day: u64) -> Timestamp {
        Timestamp::from_millis(day * DAY)
    }

    #[test]
    fn a_renewed_key_counts_for_what_it_signed_before() {
        let between = |from: u64, to: u64| Validity { not_before: day(from), not_after: day(to) };
        let authority = Authority::new(between(1000, 9000), TlsKey::P256).unwrap();
        let brazil: Identity = "spiffe://i247.test/ncb/br".parse().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let request = Request::create(dir.path(), &brazil, TlsKey::P256).unwrap();
        let issue = |from, to| authority.issue(&request, &brazil, &["br"], between(from, to)).unwrap();
        let (first, renewed, later) = (issue(2000, 2365), issue(2350, 2715), issue(3000, 3365));
        let mut signers = Signers::new(authority.credentials().root.clone());
        let mut key = Hash([0; 32]);
        for (issued, at) in [(&first, 2001), (&renewed, 2351), (&renewed, 2352), (&later, 3001)] {
            key = signers.admit(issued.signing_chain.clone(), day(at)).unwrap().key_id;
        }
        let counts = |at: u64| signers.find_at(&key, day(at)).unwrap().signer.in_force(day(at));
        assert!(counts(2001) && counts(2400) && counts(3001));
        assert!(!counts(1999) && !counts(2800) && !counts(3400));
        // All of them are introduced, and each by itself is good for its time.
        assert_eq!(signers.find_at(&key, day(2001)).unwrap().chains.len(), 2);
        assert_eq!(signers.chain_at(&key, day(2001)), first.signing_chain);
        assert_eq!(signers.chain_at(&key, day(2400)), renewed.signing_chain);
        assert_eq!(signers.chain_at(&key, day(3001)), later.signing_chain);
        assert_eq!(signers.chains().len(), 3);
    }
}
