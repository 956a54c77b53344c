//! Fingerprints: what the index knows of a key. It must not decide whether two keys are the same.
//!
//! A fingerprint is the first 64 bits of a SHA-256 over the key behind a block that names the database and the kind of
//! key, so that a chassis number never meets a document number. There is no secret in it: a rebuild gives the same
//! bytes everywhere, and whoever holds an index can try keys against it. Two keys among `n` share a fingerprint with a
//! probability of about `n² / 2⁶⁵`; a key that is not there meets one that is with `n / 2⁶⁴`, which is 7 · 10⁻¹² at
//! 128 million. A meeting can also be looked for on purpose (2⁶⁴ tries against one key, 2³⁷ against any of 128
//! million), so a fingerprint only ever names candidates: whoever answers reads the record and compares the whole key.

use std::fmt;

use sha2::{Digest, Sha256};

/// The block that a SHA-256 takes in at once, in bytes: a key space costs its block only once.
const BLOCK_BYTES: usize = 64;
/// What every block begins with.
const DOMAIN: &[u8] = b"i247 key 1";

/// 64 bits that stand for a normalised key. Its `Debug` shows only the first 16: keys are easily guessed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}…", self.0 >> 48)
    }
}

/// The keys of one kind in one database. Making one costs more than a fingerprint: keep it.
#[derive(Clone)]
pub struct KeySpace {
    begun: Sha256,
}

impl KeySpace {
    /// The most bytes that the names of a database and of a kind of key may have together.
    pub const MAX_NAME_BYTES: usize = BLOCK_BYTES - DOMAIN.len() - 2;

    /// The space of the keys of this kind (such as `number`) in this database (such as `sltd`).
    ///
    /// # Panics
    /// When the names are longer than [`MAX_NAME_BYTES`](Self::MAX_NAME_BYTES) together: names are part of the program.
    #[must_use]
    pub fn new(database: &str, kind: &str) -> Self {
        assert!(database.len() + kind.len() <= Self::MAX_NAME_BYTES, "{database} and {kind} are too long");
        let mut block = [0; BLOCK_BYTES];
        let mut end = 0;
        // The lengths keep `ab` + `c` apart from `a` + `bc`.
        for part in
            [DOMAIN, &[database.len() as u8], database.as_bytes(), &[kind.len() as u8], kind.as_bytes()]
        {
            block[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        Self { begun: Sha256::new_with_prefix(block) }
    }

    /// The fingerprint of a normalised key of any length; up to 55 bytes cost the same.
    #[must_use]
    pub fn fingerprint(&self, key: &[u8]) -> Fingerprint {
        let hash: [u8; 32] = self.begun.clone().chain_update(key).finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        Fingerprint(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl fmt::Debug for KeySpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySpace")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_same_for_ever() {
        // Taken from `sha256sum` over "i247 key 1", 0x04, "sltd", 0x06, "number", 42 zeroes and the key.
        assert_eq!(KeySpace::new("sltd", "number").fingerprint(b"X4719T06M").0, 0x32c1_8b5b_ac71_15c8);
    }

    #[test]
    fn the_same_key_in_another_database_or_of_another_kind_is_another_key() {
        let of = |database, kind| KeySpace::new(database, kind).fingerprint(b"X4719T06M");
        assert_ne!(of("sltd", "number"), of("sad", "number"));
        assert_ne!(of("sltd", "number"), of("sltd", "similar"));
        assert_ne!(of("ab", "c"), of("a", "bc"));
    }

    #[test]
    fn a_key_of_any_length_has_a_fingerprint() {
        let space = KeySpace::new("art", "title");
        let long = vec![b'A'; 100_000];
        let mut seen: Vec<u64> = (0..200).map(|len| space.fingerprint(&long[..len]).0).collect();
        seen.push(space.fingerprint(&long).0);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 201);
    }

    #[test]
    fn what_is_printed_of_a_fingerprint_does_not_give_the_key_away() {
        assert_eq!(format!("{:?}", Fingerprint(0x1234_5678_9abc_def0)), "1234…");
    }
}
