//! The changes that no run has yet, in memory. It must not be the only place of anything: the log has them too.

use std::collections::BTreeMap;

use super::entry::{Entry, Locator, Value};

/// Bits of the sieve for each change that it is made for: a key that is not there is found in it once in 32 or less.
const BITS_PER_CHANGE: usize = 32;
/// How many changes the first sieve is made for.
const FIRST_CHANGES: usize = 1024;

/// Changes by fingerprint and locator; the last one counts.
///
/// Nearly every search misses, so a sieve of single bits stands before the tree.
#[derive(Clone, Debug)]
pub(super) struct Delta {
    changes: BTreeMap<(u64, Locator), Value>,
    sieve: Vec<u64>,
    puts: u64,
}

impl Delta {
    pub(super) fn new() -> Self {
        Self { changes: BTreeMap::new(), sieve: sieve_for(FIRST_CHANGES), puts: 0 }
    }

    /// How many changes there are.
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// How often it was changed: the same number, the same changes.
    pub(super) fn puts(&self) -> u64 {
        self.puts
    }

    pub(super) fn put(&mut self, entry: Entry) {
        self.puts += 1;
        self.changes.insert(entry.key(), entry.value);
        if self.changes.len() * BITS_PER_CHANGE <= self.sieve.len() * 64 {
            mark(&mut self.sieve, entry.fingerprint);
            return;
        }
        self.sieve = sieve_for(self.changes.len() * 2);
        for &(fingerprint, _) in self.changes.keys() {
            mark(&mut self.sieve, fingerprint);
        }
    }

    /// Whether there may be changes of a fingerprint.
    pub(super) fn may_have(&self, fingerprint: u64) -> bool {
        let (word, bit) = place(&self.sieve, fingerprint);
        self.sieve[word] & bit != 0
    }

    /// The changes of a fingerprint, by locator.
    pub(super) fn of(&self, fingerprint: u64) -> impl Iterator<Item = Value> + '_ {
        let all = (fingerprint, Locator::FIRST)..=(fingerprint, Locator::LAST);
        self.changes.range(all).map(|(_, &value)| value)
    }

    /// All changes, sorted.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.changes.iter().map(|(&(fingerprint, _), &value)| Entry { fingerprint, value })
    }
}

fn sieve_for(changes: usize) -> Vec<u64> {
    vec![0; (changes * BITS_PER_CHANGE).next_power_of_two() / 64]
}

/// The word of a fingerprint, and its bit there.
fn place(sieve: &[u64], fingerprint: u64) -> (usize, u64) {
    // The sieve's length is a power of two.
    let word = (fingerprint >> 6) as usize & (sieve.len() - 1);
    (word, 1 << (fingerprint & 63))
}

fn mark(sieve: &mut [u64], fingerprint: u64) {
    let (word, bit) = place(sieve, fingerprint);
    sieve[word] |= bit;
}
