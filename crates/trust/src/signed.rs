//! Bytes of a named type, signed: receipts, acceptances, changes of the directory.
//!
//! What is signed is the pre-authentication encoding of DSSE over type and payload, so that a
//! signature made for one type is worth nothing for another. One signature may cover several payloads of a type: then
//! those encodings are the leaves of a Merkle tree with the context `i247.v1.Signed`, and what is signed is the encoding
//! of type `i247.v1.Together` over one byte with the number of leaves and the root.

use std::collections::BTreeMap;

use bytes::Bytes;
use i247_model::{Hash, Reason, Refusal};
use i247_wire::pb;

use crate::key::{Claim, pae, verify_batch};
use crate::tree::{MAX_BURST, Tree};
use crate::{SigningKey, VerifyingKey};

const PAYLOADS: Tree = Tree(b"i247.v1.Signed");
const TOGETHER_TYPE: &str = "i247.v1.Together";

/// Signs a payload of a type, such as `i247.v1.Receipts`.
pub fn sign(key: &SigningKey, payload_type: &str, payload: Vec<u8>) -> pb::Signed {
    let signature = Bytes::copy_from_slice(&key.sign(&pae(payload_type, &payload)));
    pb::Signed {
        payload_type: payload_type.into(),
        payload: payload.into(),
        key_id: Bytes::copy_from_slice(key.key_id().as_bytes()),
        signature,
        ..pb::Signed::default()
    }
}

/// Signs payloads of one type with one signature for each [`MAX_BURST`] of them, in the order in which they come.
pub fn sign_together(key: &SigningKey, payload_type: &str, payloads: Vec<Vec<u8>>) -> Vec<pb::Signed> {
    let mut signed = Vec::with_capacity(payloads.len());
    let mut payloads = payloads.into_iter().peekable();
    while payloads.peek().is_some() {
        let burst: Vec<Vec<u8>> = payloads.by_ref().take(MAX_BURST).collect();
        match <[Vec<u8>; 1]>::try_from(burst) {
            Ok([alone]) => signed.push(sign(key, payload_type, alone)),
            Err(burst) => signed.extend(sign_burst(key, payload_type, burst)),
        }
    }
    signed
}

fn sign_burst(key: &SigningKey, payload_type: &str, payloads: Vec<Vec<u8>>) -> Vec<pb::Signed> {
    let leaf = |payload: &Vec<u8>| PAYLOADS.leaf(&pae(payload_type, payload));
    let leaves: Vec<Hash> = payloads.iter().map(leaf).collect();
    let (root, paths) = PAYLOADS.grow(&leaves);
    let count = u32::try_from(payloads.len()).expect("at most 64");
    let signature = Bytes::copy_from_slice(&key.sign(&statement(count, &root)));
    let key_id = Bytes::copy_from_slice(key.key_id().as_bytes());
    let signed = |(index, (payload, path)): (u32, (Vec<u8>, Vec<Bytes>))| pb::Signed {
        payload_type: payload_type.into(),
        payload: payload.into(),
        key_id: key_id.clone(),
        signature: signature.clone(),
        index,
        count,
        path,
    };
    (0..).zip(payloads.into_iter().zip(paths)).map(signed).collect()
}

/// The payload, once it is of this type and signed by this key.
///
/// # Errors
/// `MALFORMED` with `payload_type`, `UNKNOWN_KEY` with `key_id`, `BAD_SIGNATURE` with `signature` or `path`.
pub fn verify(signed: &pb::Signed, payload_type: &str, key: &VerifyingKey) -> Result<Bytes, Refusal> {
    let claim = claimed(signed, payload_type, key)?;
    if !key.signed(&claim.message, &claim.signature) {
        return Err(Refusal::of(Reason::BadSignature, "signature"));
    }
    Ok(signed.payload.clone())
}

/// Several of one type, each with the key that it should be signed by, and the answers that each would get alone.
/// A signature that covers several of them is verified once, different ones together.
pub fn verify_together(
    payload_type: &str,
    signed: &[(&pb::Signed, VerifyingKey)],
) -> Vec<Result<Bytes, Refusal>> {
    let mut claims: Vec<Claim> = Vec::new();
    let mut places: BTreeMap<Hash, usize> = BTreeMap::new();
    let mut placed: Vec<Result<usize, Refusal>> = Vec::with_capacity(signed.len());
    for (signed, key) in signed {
        placed.push(claimed(signed, payload_type, key).map(|claim| {
            let place = *places.entry(claim.digest()).or_insert(claims.len());
            if place == claims.len() {
                claims.push(claim);
            }
            place
        }));
    }
    let holds = verify_batch(&claims);
    let unsigned = || Refusal::of(Reason::BadSignature, "signature");
    let answer = |(place, (signed, _)): (Result<usize, Refusal>, &(&pb::Signed, VerifyingKey))| {
        place.and_then(|place| holds[place].then(|| signed.payload.clone()).ok_or_else(unsigned))
    };
    placed.into_iter().zip(signed).map(answer).collect()
}

/// All but the signature: the claim that is left to verify makes the rest true.
fn claimed(signed: &pb::Signed, payload_type: &str, key: &VerifyingKey) -> Result<Claim, Refusal> {
    if signed.payload_type != payload_type {
        return Err(Refusal::of(Reason::Malformed, "payload_type"));
    }
    if signed.key_id.as_ref() != key.key_id().as_bytes() {
        return Err(Refusal::of(Reason::UnknownKey, "key_id"));
    }
    let bad = |field| Refusal::of(Reason::BadSignature, field);
    let signature: [u8; 64] = signed.signature.as_ref().try_into().map_err(|_| bad("signature"))?;
    let alone = pae(payload_type, &signed.payload);
    let message = if signed.count == 0 && signed.index == 0 && signed.path.is_empty() {
        alone
    } else {
        let leaf = PAYLOADS.leaf(&alone);
        let root = PAYLOADS.root_of_path(leaf, signed.index, signed.count, &signed.path);
        statement(signed.count, &root.ok_or_else(|| bad("path"))?)
    };
    Ok(Claim { key: *key, message, signature })
}

fn statement(count: u32, root: &Hash) -> Vec<u8> {
    let count = u8::try_from(count).expect("at most 64");
    pae(TOGETHER_TYPE, &[&[count], root.as_bytes().as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted() -> (SigningKey, pb::Signed) {
        let key = SigningKey::generate().unwrap();
        let signed = sign(&key, "i247.v1.Receipts", b"delivered up to 7".to_vec());
        (key, signed)
    }

    fn refusal(key: &SigningKey, signed: &pb::Signed) -> (Reason, Vec<String>) {
        let refusal = verify(signed, "i247.v1.Receipts", key.verifying_key()).unwrap_err();
        (refusal.reason, refusal.fields)
    }

    #[test]
    fn what_was_signed_is_given_back() {
        let (key, signed) = accepted();
        let payload = verify(&signed, "i247.v1.Receipts", key.verifying_key()).unwrap();
        assert_eq!(payload.as_ref(), b"delivered up to 7");
    }

    #[test]
    fn a_payload_of_another_type_is_refused_whatever_its_label_says() {
        let (key, mut signed) = accepted();
        signed.payload_type = "i247.v1.DirectoryChange".into();
        assert_eq!(refusal(&key, &signed), (Reason::Malformed, vec!["payload_type".into()]));
        let mut relabelled = sign(&key, "i247.v1.DirectoryChange", b"delivered up to 7".to_vec());
        relabelled.payload_type = "i247.v1.Receipts".into();
        assert_eq!(refusal(&key, &relabelled), (Reason::BadSignature, vec!["signature".into()]));
    }

    #[test]
    fn another_key_another_payload_or_another_signature_is_refused() {
        let (key, signed) = accepted();
        let mut other = signed.clone();
        other.key_id = Bytes::copy_from_slice(&[7; 32]);
        assert_eq!(refusal(&key, &other), (Reason::UnknownKey, vec!["key_id".into()]));
        let mut other = signed.clone();
        other.payload = Bytes::from_static(b"delivered up to 8");
        assert_eq!(refusal(&key, &other), (Reason::BadSignature, vec!["signature".into()]));
        let mut other = signed.clone();
        other.signature = signed.signature.slice(..63);
        assert_eq!(refusal(&key, &other), (Reason::BadSignature, vec!["signature".into()]));
        let mut flipped = signed.signature.to_vec();
        flipped[40] ^= 1;
        let other = pb::Signed { signature: flipped.into(), ..signed };
        assert_eq!(refusal(&key, &other), (Reason::BadSignature, vec!["signature".into()]));
    }

    #[test]
    fn one_signature_covers_several_payloads_and_each_can_be_shown_alone() {
        let key = SigningKey::generate().unwrap();
        let payloads: Vec<Vec<u8>> = (0..67u8).map(|n| vec![n; 3]).collect();
        let signed = sign_together(&key, "i247.v1.Acceptance", payloads);
        let counts: Vec<u32> = signed.iter().map(|one| one.count).collect();
        assert_eq!((counts[0], counts[63], counts[64], counts[66]), (64, 64, 3, 3));
        for (n, one) in signed.iter().enumerate() {
            let payload = verify(one, "i247.v1.Acceptance", key.verifying_key()).unwrap();
            assert_eq!(payload.as_ref(), [n as u8; 3]);
        }
        let alone = sign_together(&key, "i247.v1.Acceptance", vec![b"one".to_vec()]);
        assert_eq!(alone, [sign(&key, "i247.v1.Acceptance", b"one".to_vec())]);
        assert!(sign_together(&key, "i247.v1.Acceptance", Vec::new()).is_empty());
    }

    #[test]
    fn together_each_gets_the_answer_that_it_would_get_alone() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let ours = sign_together(&key, "i247.v1.Receipts", vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]);
        let mut changed = ours[1].clone();
        changed.payload = Bytes::from_static(b"d");
        let mut moved = ours[2].clone();
        moved.index = 0;
        let mut cut = ours[0].clone();
        cut.path.pop();
        let mut bare = ours[0].clone();
        (bare.count, bare.path) = (0, Vec::new());
        let theirs = sign(&other, "i247.v1.Receipts", b"e".to_vec());
        let (key, other) = (*key.verifying_key(), *other.verifying_key());
        let all = [
            (&ours[0], key),
            (&changed, key),
            (&moved, key),
            (&cut, key),
            (&bare, key),
            (&theirs, other),
            (&theirs, key),
            (&ours[2], key),
        ];
        let said = |result: &Result<Bytes, Refusal>| match result {
            Ok(payload) => (String::from_utf8(payload.to_vec()).unwrap(), Vec::new()),
            Err(refusal) => (refusal.reason.to_string(), refusal.fields.clone()),
        };
        let together = verify_together("i247.v1.Receipts", &all);
        let bad = |field: &str| ("BAD_SIGNATURE".to_owned(), vec![field.to_owned()]);
        let good = |text: &str| (text.to_owned(), Vec::new());
        let expected = [
            good("a"),
            bad("signature"),
            bad("path"),
            bad("path"),
            bad("signature"),
            good("e"),
            ("UNKNOWN_KEY".to_owned(), vec!["key_id".to_owned()]),
            good("c"),
        ];
        assert_eq!(together.iter().map(said).collect::<Vec<_>>(), expected);
        for ((one, key), told) in all.iter().zip(&together) {
            assert_eq!(said(&verify(one, "i247.v1.Receipts", key)), said(told));
        }
    }
}
