//! Ed25519 keys, and the one rule by which a signature holds.
//!
//! The rule, the same singly and in batches: S below the group order; A and R canonical and not of
//! small order; A of prime order; and the cofactored equation of ZIP-215. Every implementation that
//! follows it gives the same answer about the same bytes.

use std::convert::Infallible;
use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use ed25519_zebra::{Signature, VerificationKey, VerificationKeyBytes, batch};
use i247_model::Hash;
use rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use crate::sha256;

/// What stands before the 32 bytes of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why some bytes are no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Not an Ed25519 private key in PKCS#8.
    #[error("not an Ed25519 private key in PKCS#8")]
    Private,
    /// Not a point of prime order in its only spelling.
    #[error("not an Ed25519 public key of prime order in canonical form")]
    Public,
    /// The operating system gave no randomness.
    #[error("the system gave no randomness")]
    Randomness,
}

/// A private key that signs messages. Copies share one key, which is overwritten when the last is dropped.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Ed25519KeyPair>,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A new key from the system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Self::of(Ed25519KeyPair::generate().map_err(|_| KeyError::Randomness)?)
    }

    /// The key in a PEM text of PKCS#8, as `openssl genpkey -algorithm ed25519` writes it.
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, KeyError> {
        let document = pem::parse(text).map_err(|_| KeyError::Private)?;
        let der = Zeroizing::new(document.into_contents());
        Self::of(Ed25519KeyPair::from_pkcs8(&der).map_err(|_| KeyError::Private)?)
    }

    /// The key as a PEM text of PKCS#8, version 1.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let document = pem::Pem::new("PRIVATE KEY", self.to_pkcs8_der().to_vec());
        let text = Zeroizing::new(pem::encode(&document));
        drop(Zeroizing::new(document.into_contents()));
        text
    }

    /// SHA-256 of the key's `SubjectPublicKeyInfo`: what headers name.
    pub fn key_id(&self) -> Hash {
        self.verifying.key_id()
    }

    /// The public half.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Signs bytes as they are. Callers separate their uses by [`pae`].
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }

    pub(crate) fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        let document = self.pair.to_pkcs8v1().expect("a key that was made can be written");
        Zeroizing::new(document.as_ref().to_vec())
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let bytes: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Private)?;
        Ok(Self { pair: Arc::new(pair), verifying: VerifyingKey::from_bytes(bytes)? })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.key_id())
    }
}

/// A public key of prime order, parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifyingKey {
    point: VerificationKey,
    key_id: Hash,
}

impl VerifyingKey {
    /// The key in these bytes (RFC 8032).
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        if !well_formed(&bytes) {
            return Err(KeyError::Public);
        }
        let point = CompressedEdwardsY(bytes).decompress().ok_or(KeyError::Public)?;
        if !point.is_torsion_free() {
            return Err(KeyError::Public);
        }
        let key_id = sha256(&[&SPKI_PREFIX, &bytes]);
        Ok(Self { point: VerificationKey::try_from(bytes).map_err(|_| KeyError::Public)?, key_id })
    }

    /// The key in a DER `SubjectPublicKeyInfo`.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let bytes = der.strip_prefix(&SPKI_PREFIX).ok_or(KeyError::Public)?;
        Self::from_bytes(bytes.try_into().map_err(|_| KeyError::Public)?)
    }

    /// The 32 bytes of RFC 8032.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.point.into()
    }

    /// SHA-256 of the key's `SubjectPublicKeyInfo`.
    pub fn key_id(&self) -> Hash {
        self.key_id
    }

    /// Whether this key signed these bytes.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        acceptable(signature) && self.point.verify(&Signature::from_bytes(signature), message).is_ok()
    }
}

/// That a key signed some bytes: to be verified.
pub(crate) struct Claim {
    pub(crate) key: VerifyingKey,
    pub(crate) message: Vec<u8>,
    pub(crate) signature: [u8; 64],
}

impl Claim {
    /// One value for one claim: key and signature are of fixed length, the message is the rest.
    pub(crate) fn digest(&self) -> Hash {
        sha256(&[&self.key.to_bytes(), &self.signature, &self.message])
    }
}

/// Which of the claims hold. One that does not costs the others a second, single verification.
pub(crate) fn verify_batch(claims: &[Claim]) -> Vec<bool> {
    let mut holds: Vec<bool> = claims.iter().map(|claim| acceptable(&claim.signature)).collect();
    if holds.iter().filter(|ok| **ok).count() > 1 {
        let mut verifier = batch::Verifier::new();
        for (claim, _) in claims.iter().zip(&holds).filter(|(_, ok)| **ok) {
            let key = VerificationKeyBytes::from(claim.key.point);
            verifier.queue((key, Signature::from_bytes(&claim.signature), &claim.message));
        }
        if verifier.verify(Coefficients::over(claims)).is_ok() {
            return holds;
        }
    }
    for (claim, ok) in claims.iter().zip(&mut holds) {
        *ok = claim.key.signed(&claim.message, &claim.signature);
    }
    holds
}

/// Whether S and R of a signature are what the rule asks for.
fn acceptable(signature: &[u8; 64]) -> bool {
    let (r, s) = signature.split_at(32);
    let r: &[u8; 32] = r.try_into().expect("half of 64 bytes");
    let s: [u8; 32] = s.try_into().expect("half of 64 bytes");
    well_formed(r) && bool::from(Scalar::from_canonical_bytes(s).is_some())
}

/// Whether an encoded point is canonical and not of small order. (Whether it is on the curve shows later.)
fn well_formed(bytes: &[u8; 32]) -> bool {
    let mut y = *bytes;
    y[31] &= 0x7f;
    // p = 2^255 - 19 ends in 0xed and is all ones above.
    let below_p = y[31] != 0x7f || y[1..31].iter().any(|byte| *byte != 0xff) || y[0] < 0xed;
    // The sign is left out: the encodings of ±1 with a sign for x = 0 are not canonical either.
    below_p && !SMALL_ORDER_Y.contains(&y)
}

/// The y coordinates of the eight points of small order.
static SMALL_ORDER_Y: LazyLock<[[u8; 32]; 8]> = LazyLock::new(|| {
    EIGHT_TORSION.map(|point| {
        let mut y = point.compress().to_bytes();
        y[31] &= 0x7f;
        y
    })
});

/// The random coefficients of a batch, drawn from a hash over all that it checks: nobody can know them
/// before the batch stands, and the same batch is checked in the same way each time.
struct Coefficients {
    seed: Hash,
    block: u64,
}

impl Coefficients {
    fn over(claims: &[Claim]) -> Self {
        let parts: Vec<[u8; 32]> = claims.iter().map(|claim| claim.digest().0).collect();
        Self { seed: sha256(&[b"i247.v1.Batch", parts.as_flattened()]), block: 0 }
    }
}

impl TryRng for Coefficients {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        for chunk in destination.chunks_mut(32) {
            let block = sha256(&[self.seed.as_bytes(), &self.block.to_le_bytes()]);
            self.block += 1;
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Coefficients {}

/// What stands in a pre-authentication encoding beside type and payload, at most: a word, two numbers, four spaces.
const PAE_REST: usize = 50;

/// The pre-authentication encoding of DSSE: what is signed for a payload of a type.
pub(crate) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload_type.len() + payload.len() + PAE_REST);
    // A vector takes whatever is written into it.
    let _ = write!(bytes, "DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../tests/vectors.json")).unwrap()
    }

    fn hex(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// The claims of the vectors with what must be said of each.
    fn rule() -> Vec<(String, Claim, bool)> {
        let vectors = vectors();
        let key = VerifyingKey::from_bytes(hex(&vectors["key"]).try_into().unwrap()).unwrap();
        let claim = |case: &Value| Claim {
            key,
            message: hex(&vectors["rule_message"]),
            signature: hex(&case["signature"]).try_into().unwrap(),
        };
        let cases = vectors["rule"].as_array().unwrap();
        cases
            .iter()
            .map(|case| (case["about"].to_string(), claim(case), case["holds"].as_bool().unwrap()))
            .collect()
    }

    #[test]
    fn only_keys_of_prime_order_in_their_one_spelling_count() {
        for case in vectors()["keys"].as_array().unwrap() {
            let key = VerifyingKey::from_bytes(hex(&case["key"]).try_into().unwrap());
            assert_eq!(key.is_ok(), case["counts"].as_bool().unwrap(), "{}", case["about"]);
        }
    }

    #[test]
    fn a_signature_gets_one_answer_alone_and_in_every_batch() {
        let cases = rule();
        for (about, claim, holds) in &cases {
            assert_eq!(claim.key.signed(&claim.message, &claim.signature), *holds, "alone: {about}");
        }
        // Every pair, in both orders, and all together.
        for (first, claim, holds) in rule() {
            for (second, other, other_holds) in rule() {
                let again = Claim { message: claim.message.clone(), ..claim };
                assert_eq!(verify_batch(&[again, other]), [holds, other_holds], "{first} with {second}");
            }
        }
        let (claims, expected): (Vec<Claim>, Vec<bool>) =
            cases.into_iter().map(|(_, claim, holds)| (claim, holds)).unzip();
        assert_eq!(verify_batch(&claims), expected);
        assert!(verify_batch(&[]).is_empty());
    }

    #[test]
    fn two_signatures_with_opposite_faults_do_not_make_up_for_each_other() {
        let key = SigningKey::generate().unwrap();
        let claim = |message: &[u8], change: fn(Scalar) -> Scalar| {
            let mut signature = key.sign(message);
            let s: [u8; 32] = signature[32..].try_into().unwrap();
            let s = change(Scalar::from_canonical_bytes(s).unwrap());
            signature[32..].copy_from_slice(s.as_bytes());
            Claim { key: *key.verifying_key(), message: message.to_vec(), signature }
        };
        let claims = [claim(b"one", |s| s + Scalar::ONE), claim(b"two", |s| s - Scalar::ONE)];
        assert_eq!(verify_batch(&claims), [false, false]);
    }

    #[test]
    fn a_batch_of_good_signatures_by_several_keys_holds() {
        let mut claims = Vec::new();
        for number in 0..40u8 {
            let key = SigningKey::generate().unwrap();
            let signature = key.sign(&[number]);
            claims.push(Claim { key: *key.verifying_key(), message: vec![number], signature });
        }
        assert_eq!(verify_batch(&claims), [true; 40]);
        claims[17].message = vec![99];
        let expected: Vec<bool> = (0..40).map(|number| number != 17).collect();
        assert_eq!(verify_batch(&claims), expected);
    }

    #[test]
    fn a_key_survives_its_text_and_shows_nothing_of_itself() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pkcs8_pem(&key.to_pkcs8_pem()).unwrap();
        assert_eq!(again.key_id(), key.key_id());
        assert_eq!(again.sign(b"x"), key.sign(b"x"));
        assert_eq!(format!("{key:?}"), format!("SigningKey({:?})", key.key_id()));
        assert!(matches!(SigningKey::from_pkcs8_pem("-----BEGIN"), Err(KeyError::Private)));
    }

    #[test]
    fn the_encoding_before_signing_is_that_of_dsse() {
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(pae("http://example.com/HelloWorld", b"hello world"), expected);
    }
}
