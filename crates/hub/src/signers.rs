//! Whose signatures the hub knows: certificate chains from the log, by key. A view like the others.
//!
//! Whether a key counts *now* is the directory's business; this only finds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use i247_model::{Hash, Timestamp};
use i247_trust::{CertificateError, Root, Signer, introduce_past};

/// A signer and the chain that introduces it, leaf first.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) signer: Arc<Signer>,
    pub(crate) chain: Vec<Bytes>,
}

/// Every signer that was ever admitted.
#[derive(Clone, Debug)]
pub(crate) struct Signers {
    root: Root,
    by_key: BTreeMap<Hash, Known>,
}

impl Signers {
    pub(crate) fn new(root: Root) -> Self {
        Self { root, by_key: BTreeMap::new() }
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn find(&self, key: &Hash) -> Option<&Known> {
        self.by_key.get(key)
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
        self.by_key.insert(signer.key_id, Known { signer: signer.clone(), chain });
        Ok(signer)
    }

    /// The chains, for a snapshot.
    pub(crate) fn chains(&self) -> Vec<Vec<Vec<u8>>> {
        self.by_key.values().map(|known| known.chain.iter().map(|der| der.to_vec()).collect()).collect()
    }
}
