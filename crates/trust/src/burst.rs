//! One signature for a burst of 1 to 64 headers: a Merkle tree over their hashes.
//!
//! The tree is that of RFC 9162 with a context string before each prefix: a leaf is
//! `SHA-256("i247.v1.Header" ‖ 0x00 ‖ header)`, an inner node
//! `SHA-256("i247.v1.Header" ‖ 0x01 ‖ left ‖ right)`. What is signed is the pre-authentication
//! encoding of type `i247.v1.Burst` over one byte with the number of headers and the root.

use bytes::Bytes;
use i247_model::{Hash, Reason, Refusal};
use i247_wire::pb;

use crate::SigningKey;
use crate::key::pae;
use crate::tree::{MAX_BURST, Tree};

const HEADERS: Tree = Tree(b"i247.v1.Header");
const BURST_TYPE: &str = "i247.v1.Burst";

/// The hash of a header as it is chained, logged and signed.
pub fn header_hash(header: &[u8]) -> Hash {
    HEADERS.leaf(header)
}

/// Signs a burst: one signature, with a path to it for each header.
///
/// # Panics
/// With no header, or with more than [`MAX_BURST`].
pub fn sign_headers(key: &SigningKey, headers: &[Bytes]) -> Vec<pb::Signature> {
    assert!((1..=MAX_BURST).contains(&headers.len()), "a burst has 1 to {MAX_BURST} headers");
    let leaves: Vec<Hash> = headers.iter().map(|header| header_hash(header)).collect();
    let (root, paths) = HEADERS.grow(&leaves);
    let count = u32::try_from(headers.len()).expect("at most 64");
    let signature = Bytes::copy_from_slice(&key.sign(&statement(count, &root)));
    let signed = (0u32..).zip(paths);
    signed.map(|(index, path)| pb::Signature { signature: signature.clone(), index, count, path }).collect()
}

/// What must have been signed for this header to be part of the burst, and the signature over it.
pub(crate) fn claimed(signature: &pb::Signature, leaf: Hash) -> Result<(Vec<u8>, [u8; 64]), Refusal> {
    let bad = |field: &str| Refusal::of(Reason::BadSignature, field);
    let bytes: [u8; 64] = signature.signature.as_ref().try_into().map_err(|_| bad("signature.signature"))?;
    if !(1..=MAX_BURST).contains(&(signature.count as usize)) {
        return Err(bad("signature.count"));
    }
    if signature.index >= signature.count {
        return Err(bad("signature.index"));
    }
    let root = HEADERS.root_of_path(leaf, signature.index, signature.count, &signature.path);
    Ok((statement(signature.count, &root.ok_or_else(|| bad("signature.path"))?), bytes))
}

fn statement(count: u32, root: &Hash) -> Vec<u8> {
    let count = u8::try_from(count).expect("at most 64");
    pae(BURST_TYPE, &[&[count], root.as_bytes().as_slice()].concat())
}
