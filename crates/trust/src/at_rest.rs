//! Sealing what lies on a disk and is read again on the same machine. The key lies beside the private keys; it must not be
//! used for anything that travels.

use std::fmt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::files::{self, FileError};

/// How much longer something is when it is sealed, in bytes.
pub const SEALED_MORE: usize = NONCE_LEN + 16;

/// The kind of block in the file.
const TAG: &str = "I247 AT REST KEY";

/// Why a key for what lies on a disk cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AtRestError {
    /// The file cannot be read or written.
    #[error("the key of what lies on the disk")]
    File(#[from] FileError),
    /// The file holds no such key.
    #[error("{}: no key of what lies on the disk", files::AT_REST_KEY)]
    NoKey,
}

/// A key under which something lies on a disk: AES-256-GCM-SIV, which forgives a nonce that comes twice.
pub struct AtRestKey(LessSafeKey);

impl AtRestKey {
    /// The key beside the private keys in a directory; made there of `random` when there is none.
    ///
    /// # Errors
    /// [`AtRestError`].
    pub fn load_or_make(dir: &Path, random: [u8; 32]) -> Result<Self, AtRestError> {
        let random = Zeroizing::new(random);
        if !dir.join(files::AT_REST_KEY).exists() {
            let block = Zeroizing::new(pem::encode(&pem::Pem::new(TAG, random.to_vec())));
            files::write_private(dir, files::AT_REST_KEY, &block)?;
        }
        let text = files::read(dir, files::AT_REST_KEY)?;
        let block = pem::parse(text.as_bytes()).map_err(|_| AtRestError::NoKey)?;
        if block.tag() != TAG {
            return Err(AtRestError::NoKey);
        }
        Self::new(&Zeroizing::new(block.into_contents())).ok_or(AtRestError::NoKey)
    }

    /// The key in these bytes; none unless they are 32.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM_SIV, bytes).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    /// Seals something for its place: it opens nowhere else. `nonce` is random.
    ///
    /// # Panics
    /// Never for what fits into memory.
    pub fn seal(&self, nonce: [u8; NONCE_LEN], place: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plain.len() + SEALED_MORE);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut body)
            .expect("less than 64 GiB");
        sealed.extend_from_slice(&body);
        sealed
    }

    /// What was sealed for this place; none when a bit of it was changed, or it was sealed for another place or with
    /// another key.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let plain =
            self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(place), &mut body).ok()?;
        Some(plain.to_vec())
    }
}

/// Never the key.
impl fmt::Debug for AtRestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtRestKey")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_sealed_opens_at_its_place_alone_and_not_when_one_bit_was_changed() {
        let key = AtRestKey::new(&[7; 32]).unwrap();
        let sealed = key.seal([1; NONCE_LEN], b"list/1", b"P0000001");
        assert_eq!(sealed.len(), 8 + SEALED_MORE);
        assert!(!sealed.windows(8).any(|bytes| bytes == b"P0000001"));
        assert_eq!(key.open(b"list/1", &sealed).as_deref(), Some(&b"P0000001"[..]));
        assert_eq!(key.open(b"list/2", &sealed), None);
        assert_eq!(AtRestKey::new(&[8; 32]).unwrap().open(b"list/1", &sealed), None);
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert_eq!(key.open(b"list/1", &bent), None, "byte {at}");
        }
        assert_eq!(key.open(b"list/1", &sealed[..SEALED_MORE - 1]), None);
    }

    #[test]
    fn the_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let make = |byte: u8| AtRestKey::load_or_make(dir.path(), [byte; 32]);
        let sealed = make(1).unwrap().seal([1; NONCE_LEN], b"", b"text");
        assert_eq!(make(2).unwrap().open(b"", &sealed).as_deref(), Some(&b"text"[..]), "the first one stays");
        let path = dir.path().join(files::AT_REST_KEY);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "something else").unwrap();
        assert!(matches!(make(3), Err(AtRestError::NoKey)));
    }
}
