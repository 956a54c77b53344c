//! What became of the changes of a message: counts, and the first that were not accepted.

use std::collections::BTreeMap;

use i247_model::{Reason, Refusal};
use serde::{Deserialize, Serialize};

/// So many refused changes of a message are named; the others are counted.
const NAMED_MAX: usize = 16;

/// The verdicts on the changes of one message.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verdicts {
    /// How many were accepted.
    pub(crate) accepted: u32,
    /// How many were not, by reason.
    pub(crate) refused: BTreeMap<Reason, u32>,
    /// The first of them, by item.
    pub(crate) first: Vec<(u16, Refusal)>,
}

impl Verdicts {
    /// One more was not accepted.
    pub(crate) fn refuse(&mut self, item: u16, refusal: Refusal) {
        *self.refused.entry(refusal.reason).or_default() += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push((item, refusal));
        }
    }
}
