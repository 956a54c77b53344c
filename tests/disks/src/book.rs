//! What the senders know, in the order in which they learnt it. It must not ask a node.

use std::collections::{BTreeMap, BTreeSet};

use i247_model::{CountryCode, MessageId};

/// A promise that a sender holds: the desk's word or the hub's acceptance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Receipt {
    pub(crate) id: MessageId,
    pub(crate) text: String,
    pub(crate) to: BTreeSet<CountryCode>,
}

/// What was offered to desks and hub, and what was promised. Every message has a text that no other one has.
#[derive(Debug, Default)]
pub(crate) struct Book {
    offered: BTreeMap<String, BTreeSet<CountryCode>>,
    receipts: Vec<Receipt>,
}

impl Book {
    /// A sender is about to hand this in.
    pub(crate) fn offers(&mut self, text: &str, to: &BTreeSet<CountryCode>) {
        self.offered.insert(text.to_owned(), to.clone());
    }

    /// A sender was promised that it will arrive.
    pub(crate) fn holds(&mut self, receipt: Receipt) {
        self.receipts.push(receipt);
    }

    /// All promises so far.
    pub(crate) fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// Whether anybody ever offered this for that recipient.
    pub(crate) fn was_offered(&self, text: &str, at: CountryCode) -> bool {
        self.offered.get(text).is_some_and(|to| to.contains(&at))
    }
}
