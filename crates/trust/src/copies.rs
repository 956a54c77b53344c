//! Whose offline copies count: those that a hub of the same network has signed. It must not look into them.

use i247_model::{Hash, Identity, Timestamp};
use i247_wire::{payload, pb};
use prost::Message as _;

use crate::{Root, introduce, sha256, verify};

/// What tells a network apart from others in its offline copies: the key of its authority.
pub fn copy_network(root: &Root) -> Hash {
    sha256(&[b"i247 offline network\0", root.certificate().key_id.as_bytes()])
}

/// Whether a hub of this network has signed this statement of an offline copy, with a certificate that is in force now.
pub fn copy_signed(root: &Root, now: Timestamp, statement: &[u8], signature: &[u8]) -> bool {
    let Ok(pb::CopySignature { chain, signed: Some(signed) }) = pb::CopySignature::decode(signature) else {
        return false;
    };
    let Ok(signer) = introduce(&chain, root, now) else { return false };
    let signed = pb::Signed { payload: statement.to_vec().into(), ..signed };
    matches!(signer.identity, Identity::Hub(_)) && verify(&signed, payload::OFFLINE_COPY, &signer.key).is_ok()
}
