//! One signature for a burst of 1 to 64 headers: a Merkle tree over their hashes.
//!
//! The tree is that of RFC 9162 with a context string before each prefix: a leaf is
//! `SHA-256("i247.v1.Header" ‖ 0x00 ‖ header)`, an inner node
//! `SHA-256("i247.v1.Header" ‖ 0x01 ‖ left ‖ right)`. What is signed is the pre-authentication
//! encoding of type `i247.v1.Burst` over one byte with the number of headers and the root.

use bytes::Bytes;
use i247_model::{Hash, Reason, Refusal};
use i247_wire::pb;

use crate::key::pae;
use crate::{SigningKey, sha256};

/// How many headers one signature may serve.
pub const MAX_BURST: usize = 64;

const CONTEXT: &[u8] = b"i247.v1.Header";
const BURST_TYPE: &str = "i247.v1.Burst";

/// The hash of a header as it is chained, logged and signed.
pub fn header_hash(header: &[u8]) -> Hash {
    sha256(&[CONTEXT, &[0], header])
}

/// Signs a burst: one signature, with a path to it for each header.
///
/// # Panics
/// With no header, or with more than [`MAX_BURST`].
pub fn sign_headers(key: &SigningKey, headers: &[Bytes]) -> Vec<pb::Signature> {
    assert!((1..=MAX_BURST).contains(&headers.len()), "a burst has 1 to {MAX_BURST} headers");
    let leaves: Vec<Hash> = headers.iter().map(|header| header_hash(header)).collect();
    let mut paths = vec![Vec::new(); leaves.len()];
    let root = root_and_paths(&leaves, &mut paths);
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
    let root = root_of_path(leaf, signature).ok_or_else(|| bad("signature.path"))?;
    Ok((statement(signature.count, &root), bytes))
}

fn statement(count: u32, root: &Hash) -> Vec<u8> {
    let count = u8::try_from(count).expect("at most 64");
    pae(BURST_TYPE, &[&[count], root.as_bytes().as_slice()].concat())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[CONTEXT, &[1], left.as_bytes(), right.as_bytes()])
}

/// The root over some leaves; appends to each leaf's path its siblings, from the leaf upwards.
fn root_and_paths(leaves: &[Hash], paths: &mut [Vec<Bytes>]) -> Hash {
    if let [leaf] = leaves {
        return *leaf;
    }
    // The left side is the largest power of two that leaves something for the right.
    let middle = leaves.len().next_power_of_two() / 2;
    let (left_paths, right_paths) = paths.split_at_mut(middle);
    let left = root_and_paths(&leaves[..middle], left_paths);
    let right = root_and_paths(&leaves[middle..], right_paths);
    for path in left_paths {
        path.push(Bytes::copy_from_slice(right.as_bytes()));
    }
    for path in right_paths {
        path.push(Bytes::copy_from_slice(left.as_bytes()));
    }
    node(&left, &right)
}

/// The root that a path leads to, by RFC 9162, 2.1.3.2; none when the path has not the length that
/// index and count ask for.
fn root_of_path(leaf: Hash, signature: &pb::Signature) -> Option<Hash> {
    let mut index = signature.index;
    let mut last = signature.count - 1;
    let mut root = leaf;
    for sibling in &signature.path {
        let sibling = Hash::from_slice(sibling)?;
        if last == 0 {
            return None;
        }
        if index % 2 == 1 || index == last {
            root = node(&sibling, &root);
            while index.is_multiple_of(2) && index != 0 {
                index /= 2;
                last /= 2;
            }
        } else {
            root = node(&root, &sibling);
        }
        index /= 2;
        last /= 2;
    }
    (last == 0).then_some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|n| header_hash(&[n as u8])).collect()
    }

    #[test]
    fn a_tree_of_five_is_that_of_rfc_9162() {
        let l = leaves(5);
        let mut paths = vec![Vec::new(); 5];
        let expected = node(&node(&node(&l[0], &l[1]), &node(&l[2], &l[3])), &l[4]);
        assert_eq!(root_and_paths(&l, &mut paths), expected);
        let lengths: Vec<usize> = paths.iter().map(Vec::len).collect();
        assert_eq!(lengths, [3, 3, 3, 3, 1]);
    }

    #[test]
    fn every_path_of_every_burst_leads_to_its_root_and_no_other_place_does() {
        for count in 1..=MAX_BURST {
            let leaves = leaves(count);
            let mut paths = vec![Vec::new(); count];
            let root = root_and_paths(&leaves, &mut paths);
            for (at, path) in paths.iter().enumerate() {
                for index in 0..count {
                    let (index, count) = (index as u32, count as u32);
                    let signature = pb::Signature { index, count, path: path.clone(), ..Default::default() };
                    let found = root_of_path(leaves[at], &signature);
                    assert_eq!(found == Some(root), index as usize == at, "{count} {at} {index}");
                }
            }
        }
    }
}
