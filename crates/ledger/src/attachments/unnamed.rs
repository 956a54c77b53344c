//! Who is charged for what no message names yet, and what of it is abandoned. It must not touch a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What no message names yet. Of what was there when the process started nobody knows who brought it.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    files: BTreeMap<String, Charged>,
    /// A sync failed: what is durable is not known until the process starts again, so nothing more is taken in.
    pub(super) failed: bool,
}

#[derive(Debug, Default)]
struct Charged {
    owner: String,
    bytes: u64,
    /// The last sweep found it, and nothing has happened to it since.
    seen: bool,
    /// Shared with the uploads of it: while there is one, it is not swept.
    open: Arc<()>,
}

impl Charged {
    fn is_open(&self) -> bool {
        Arc::strong_count(&self.open) > 1
    }
}

impl Unnamed {
    /// Charges an attachment to whoever brings it, for as long as what is returned lives and up to two sweeps more;
    /// none when that would be more than `limit`.
    pub(super) fn charge(&mut self, name: String, owner: String, bytes: u64, limit: u64) -> Option<Arc<()>> {
        let others = self.files.iter().filter(|(other, charged)| **other != name && charged.owner == owner);
        let has: u64 = others.map(|(_, charged)| charged.bytes).sum();
        if has.saturating_add(bytes) > limit {
            return None;
        }
        let charged = self.files.entry(name).or_default();
        (charged.owner, charged.bytes, charged.seen) = (owner, bytes, false);
        Some(charged.open.clone())
    }

    /// Something has happened to it.
    pub(super) fn touch(&mut self, name: &str) {
        if let Some(charged) = self.files.get_mut(name) {
            charged.seen = false;
        }
    }

    /// A message names it: nobody is charged for it any more.
    pub(super) fn release(&mut self, name: &str) {
        self.files.remove(name);
    }

    /// Whether nothing has happened to it since the sweep before.
    pub(super) fn is_abandoned(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(|charged| charged.seen && !charged.is_open())
    }

    /// A sweep has left these.
    pub(super) fn swept(&mut self, left: &BTreeSet<String>) {
        for name in left {
            self.files.entry(name.clone()).or_default();
        }
        self.files.retain(|name, charged| {
            let abandoned = charged.seen && !charged.is_open();
            charged.seen = !charged.is_open();
            left.contains(name) || !abandoned
        });
    }
}
