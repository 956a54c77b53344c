//! SHA-256. What goes in is the business of the callers, each with a context string of its own.

use i247_model::Hash;
use sha2::{Digest as _, Sha256};

/// SHA-256 over the parts, one after the other, with nothing between them.
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut state = Sha256::new();
    for part in parts {
        state.update(part);
    }
    Hash(state.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_hashed_as_one_text() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&[b"abc"]).to_string(), expected);
        assert_eq!(sha256(&[b"a", b"", b"bc"]).to_string(), expected);
    }
}
