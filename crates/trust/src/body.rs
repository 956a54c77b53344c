//! A body on its way: content and salt together, bound to the header by hash and commitment.
//!
//! The body hash covers the bytes as carried. The commitment is
//! `SHA-256("i247.v1.Commitment" ‖ 0x00 ‖ salt ‖ content)`: it stays provable when the body is erased,
//! and tells nothing about the content without the salt.

use bytes::Bytes;
use i247_model::{Hash, Header, Reason, Refusal};
use i247_wire::pb;
use prost::Message as _;

use crate::sha256;

const CONTEXT: &[u8] = b"i247.v1.Commitment";
const SALT_BYTES: usize = 16;

/// Largest body as carried, in bytes: the largest content, with its salt and their framing.
pub(crate) const MAX_CARRIED_BYTES: usize = i247_wire::MAX_BODY_BYTES + 64;

/// A body as carried, with what the header must say of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CarriedBody {
    /// An encoded `Carried`: salt and content.
    pub bytes: Bytes,
    /// SHA-256 of these bytes.
    pub body_hash: Hash,
    /// SHA-256 over salt and content.
    pub commitment: Hash,
}

/// Packs a body. The salt must be random and used for nothing else.
pub fn carry(body: &pb::Body, salt: [u8; SALT_BYTES]) -> CarriedBody {
    let clear = Bytes::from(body.encode_to_vec());
    let commitment = commitment(&salt, &clear);
    let carried = pb::Carried { salt: Bytes::copy_from_slice(&salt), clear, sealed: Bytes::new() };
    let bytes = Bytes::from(carried.encode_to_vec());
    CarriedBody { body_hash: sha256(&[&bytes]), commitment, bytes }
}

/// Unpacks a body, once it is the one that the header was made for.
///
/// # Errors
/// `BODY_MISMATCH` with `body` or `commitment`, `MALFORMED` with `body`.
pub fn open_carried(bytes: &Bytes, header: &Header) -> Result<pb::Body, Refusal> {
    if sha256(&[bytes]) != header.body_hash {
        return Err(Refusal::of(Reason::BodyMismatch, "body"));
    }
    let malformed = |_| Refusal::of(Reason::Malformed, "body");
    let carried = pb::Carried::decode(bytes.clone()).map_err(malformed)?;
    if carried.salt.len() != SALT_BYTES || !carried.sealed.is_empty() {
        return Err(Refusal::of(Reason::Malformed, "body"));
    }
    if commitment(&carried.salt, &carried.clear) != header.commitment {
        return Err(Refusal::of(Reason::BodyMismatch, "commitment"));
    }
    pb::Body::decode(carried.clear).map_err(malformed)
}

fn commitment(salt: &[u8], clear: &[u8]) -> Hash {
    sha256(&[CONTEXT, &[0], salt, clear])
}
