//! Several sorted streams as one, in which the newest entry of a key stands for all. It must not hold more than one
//! entry of each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::IndexError;
use super::entry::{Entry, Locator, Value};

/// A sorted stream of entries.
pub(super) type Source<'a> = Box<dyn Iterator<Item = Result<Entry, IndexError>> + 'a>;

/// The newest entry of each key, sorted; entries that say "removed" among them.
pub(super) struct Merged<'a> {
    sources: Vec<Source<'a>>,
    heads: BinaryHeap<Reverse<Head>>,
    failed: bool,
}

/// The next entry of a source: by key, and the newest first.
type Head = (u64, Locator, Reverse<usize>, Value);

impl<'a> Merged<'a> {
    /// Merges sources that come oldest first.
    pub(super) fn new(sources: Vec<Source<'a>>) -> Result<Self, IndexError> {
        let mut merged = Self { heads: BinaryHeap::with_capacity(sources.len()), sources, failed: false };
        for number in 0..merged.sources.len() {
            if let Some(head) = merged.head_of(number)? {
                merged.heads.push(Reverse(head));
            }
        }
        Ok(merged)
    }

    fn head_of(&mut self, number: usize) -> Result<Option<Head>, IndexError> {
        let entry = self.sources[number].next().transpose()?;
        Ok(entry.map(|entry| (entry.fingerprint, entry.value.locator(), Reverse(number), entry.value)))
    }

    /// Takes the first head away and brings its source's next one up.
    fn pop(&mut self) -> Result<Option<Entry>, IndexError> {
        let Some(mut first) = self.heads.peek_mut() else { return Ok(None) };
        let Reverse((fingerprint, _, Reverse(number), value)) = *first;
        match self.sources[number].next().transpose()? {
            // Put in place of the old one: one sift instead of two.
            Some(next) => {
                *first = Reverse((next.fingerprint, next.value.locator(), Reverse(number), next.value))
            }
            None => drop(std::collections::binary_heap::PeekMut::pop(first)),
        }
        Ok(Some(Entry { fingerprint, value }))
    }

    fn step(&mut self) -> Result<Option<Entry>, IndexError> {
        let Some(entry) = self.pop()? else { return Ok(None) };
        while self.heads.peek().is_some_and(|Reverse(head)| (head.0, head.1) == entry.key()) {
            self.pop()?;
        }
        Ok(Some(entry))
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<Entry, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}
