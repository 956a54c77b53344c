//! Bytes of a named type, signed: receipts, acceptances, changes of the directory.
//!
//! What is signed is the pre-authentication encoding of DSSE over type and payload, so that a
//! signature made for one type is worth nothing for another.

use bytes::Bytes;
use i247_model::{Reason, Refusal};
use i247_wire::pb;

use crate::key::pae;
use crate::{SigningKey, VerifyingKey};

/// Signs a payload of a type, such as `i247.v1.Receipts`.
pub fn sign(key: &SigningKey, payload_type: &str, payload: Vec<u8>) -> pb::Signed {
    let signature = Bytes::copy_from_slice(&key.sign(&pae(payload_type, &payload)));
    pb::Signed {
        payload_type: payload_type.into(),
        payload: payload.into(),
        key_id: Bytes::copy_from_slice(key.key_id().as_bytes()),
        signature,
    }
}

/// The payload, once it is of this type and signed by this key.
///
/// # Errors
/// `MALFORMED` with `payload_type`, `UNKNOWN_KEY` with `key_id`, `BAD_SIGNATURE` with `signature`.
pub fn verify(signed: &pb::Signed, payload_type: &str, key: &VerifyingKey) -> Result<Bytes, Refusal> {
    if signed.payload_type != payload_type {
        return Err(Refusal::of(Reason::Malformed, "payload_type"));
    }
    if signed.key_id.as_ref() != key.key_id().as_bytes() {
        return Err(Refusal::of(Reason::UnknownKey, "key_id"));
    }
    let bad = || Refusal::of(Reason::BadSignature, "signature");
    let signature: [u8; 64] = signed.signature.as_ref().try_into().map_err(|_| bad())?;
    if !key.signed(&pae(payload_type, &signed.payload), &signature) {
        return Err(bad());
    }
    Ok(signed.payload.clone())
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
}
