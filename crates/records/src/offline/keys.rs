//! The keys of an offline copy, packed: is one of them there? It must not be asked anything else, since it knows nothing
//! else.
//!
//! Of each fingerprint the first 56 bits are kept. A key that is not there is taken for one that is with a probability
//! of `keys / 2⁵⁶`: 1.8 · 10⁻⁹ at 128 million keys, 6 · 10⁻⁸ at the most that fit (2³² - 1). So a traveller who is
//! asked for by 512 keys (documents, spellings, databases) is stopped for nothing once in 1.1 million at 128 million
//! keys. A filter of eight bits alone would stop one in 256 for each key; one before this table would spare a part of a
//! microsecond, and nothing else.
//!
//! ```text
//!   56 bits:  | directory bits | the remainder, in whole bytes |
//!   body:     directory bits 1 | how many keys in each bucket, as LEB128 | remainders, little end first
//! ```
//!
//! The same keys give the same bytes.

use super::OfflineError;
use crate::index::Fingerprint;

/// How many bits of a fingerprint are kept.
pub const KEY_BITS: u32 = 56;
/// Loads take eight bytes at once: so many zeroes stand behind the last remainder in memory.
const PADDING: usize = 8;
const MIN_DIRECTORY_BITS: u32 = 8;
const MAX_DIRECTORY_BITS: u32 = 24;

/// A set of keys that never changes.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySet {
    directory_bits: u32,
    remainder_bytes: usize,
    /// Where each bucket begins, and the end.
    directory: Vec<u32>,
    /// The remainders, and [`PADDING`].
    remainders: Vec<u8>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySet of {}", self.len())
    }
}

/// The bits that are kept.
pub(super) fn key_of(fingerprint: Fingerprint) -> u64 {
    fingerprint.0 >> (u64::BITS - KEY_BITS)
}

impl KeySet {
    /// The set of these fingerprints, which come sorted; repeated ones count once. `fingerprints` is called twice and
    /// says the same each time: the keys are counted first, so that they need not be held.
    ///
    /// # Errors
    /// [`OfflineError::TooManyKeys`] beyond `u32::MAX`.
    ///
    /// # Panics
    /// When they are not sorted, or not the same the second time.
    pub fn of<I: Iterator<Item = Fingerprint>>(fingerprints: impl Fn() -> I) -> Result<Self, OfflineError> {
        let count = distinct(fingerprints()).count() as u64;
        let mut set = Self::empty_for(count)?;
        for key in distinct(fingerprints()) {
            set.push(key);
        }
        set.close();
        assert_eq!(set.len(), count, "the fingerprints are the same each time");
        Ok(set)
    }

    fn empty_for(count: u64) -> Result<Self, OfflineError> {
        if count > u64::from(u32::MAX) {
            return Err(OfflineError::TooManyKeys(count));
        }
        let bits = count.max(1).ilog2().saturating_sub(2).clamp(MIN_DIRECTORY_BITS, MAX_DIRECTORY_BITS);
        let remainder_bytes = (KEY_BITS - bits).div_ceil(8) as usize;
        let mut directory = Vec::with_capacity((1 << bits) + 1);
        directory.push(0);
        let remainders = Vec::with_capacity(count as usize * remainder_bytes + PADDING);
        Ok(Self { directory_bits: bits, remainder_bytes, directory, remainders })
    }

    /// Takes the next key.
    fn push(&mut self, key: u64) {
        let begins = self.pushed();
        self.directory.resize(self.bucket(key) + 1, begins);
        self.remainders.extend_from_slice(&self.remainder(key).to_le_bytes()[..self.remainder_bytes]);
    }

    fn close(&mut self) {
        let end = self.pushed();
        self.directory.resize((1 << self.directory_bits) + 1, end);
        self.remainders.extend_from_slice(&[0; PADDING]);
    }

    fn pushed(&self) -> u32 {
        (self.remainders.len() / self.remainder_bytes) as u32
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.directory.last().map_or(0, |&end| u64::from(end))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.remainders.len() as u64 + 4 * self.directory.len() as u64
    }

    /// Whether the key is there, or one that shares its first 56 bits.
    #[must_use]
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.has(key_of(fingerprint))
    }

    pub(super) fn has(&self, key: u64) -> bool {
        let bucket = self.bucket(key);
        let (mut low, mut high) = (self.directory[bucket], self.directory[bucket + 1]);
        let wanted = self.remainder(key);
        // A bucket holds eight keys or so; only one that was made on purpose is worth halving.
        while high - low > 32 {
            let middle = low + (high - low) / 2;
            if self.load(middle) <= wanted { low = middle } else { high = middle }
        }
        (low..high).any(|at| self.load(at) == wanted)
    }

    /// All keys, sorted.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        let shift = KEY_BITS - self.directory_bits;
        self.directory.windows(2).enumerate().flat_map(move |(bucket, ends)| {
            (ends[0]..ends[1]).map(move |at| (bucket as u64) << shift | self.load(at))
        })
    }

    fn bucket(&self, key: u64) -> usize {
        (key >> (KEY_BITS - self.directory_bits)) as usize
    }

    fn remainder(&self, key: u64) -> u64 {
        key & ((1 << (KEY_BITS - self.directory_bits)) - 1)
    }

    fn load(&self, at: u32) -> u64 {
        let from = at as usize * self.remainder_bytes;
        let bytes: &[u8; 8] =
            self.remainders[from..].first_chunk().expect("the padding stands behind the last one");
        u64::from_le_bytes(*bytes) & (u64::MAX >> (u64::BITS - 8 * self.remainder_bytes as u32))
    }

    /// The body of a snapshot.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.remainders.len() + self.directory.len() + 1);
        body.push(self.directory_bits as u8);
        for ends in self.directory.windows(2) {
            let mut count = ends[1] - ends[0];
            while count >= 0x80 {
                body.push(count as u8 | 0x80);
                count >>= 7;
            }
            body.push(count as u8);
        }
        body.extend_from_slice(&self.remainders[..self.remainders.len() - PADDING]);
        body
    }

    /// The set in a body that says to hold `count` keys; nothing unless [`encode`](Self::encode) makes the same bytes.
    pub(super) fn decode(body: &[u8], count: u64) -> Option<Self> {
        let mut set = Self::empty_for(count).ok()?;
        let (&bits, mut rest) = body.split_first()?;
        if u32::from(bits) != set.directory_bits {
            return None;
        }
        let mut end = 0u32;
        for _ in 0..1usize << set.directory_bits {
            end = end.checked_add(take_count(&mut rest)?)?;
            set.directory.push(end);
        }
        if u64::from(end) != count || rest.len() != count as usize * set.remainder_bytes {
            return None;
        }
        set.remainders.extend_from_slice(rest);
        set.remainders.extend_from_slice(&[0; PADDING]);
        let greatest = (1u64 << (KEY_BITS - set.directory_bits)) - 1;
        for ends in set.directory.windows(2) {
            let mut last = None;
            for at in ends[0]..ends[1] {
                let remainder = Some(set.load(at));
                if remainder <= last || remainder > Some(greatest) {
                    return None;
                }
                last = remainder;
            }
        }
        Some(set)
    }
}

/// Sorted keys, each once.
fn distinct(fingerprints: impl Iterator<Item = Fingerprint>) -> impl Iterator<Item = u64> {
    let mut last = None;
    fingerprints.map(key_of).filter(move |&key| {
        assert!(last <= Some(key), "the fingerprints come sorted");
        last.replace(key) != Some(key)
    })
}

/// Takes a LEB128 number of 32 bits in its shortest form.
fn take_count(rest: &mut &[u8]) -> Option<u32> {
    let mut count = 0u32;
    for shift in (0..32).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        let part = u32::from(byte & 0x7f);
        if part > u32::MAX >> shift || (byte == 0 && shift > 0) {
            return None;
        }
        count |= part << shift;
        if byte & 0x80 == 0 {
            return Some(count);
        }
    }
    None
}
