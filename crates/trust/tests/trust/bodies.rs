//! Bodies: bound to their headers by hash and commitment.

use bytes::Bytes;
use i247_model::{Header, Reason};
use i247_trust::{carry, open_carried, sha256};
use i247_wire::{decode_header, pb};
use prost::Message as _;

use crate::envelopes::header;

fn body() -> pb::Body {
    let form = pb::body::Form::FreeText(pb::FreeText { text: "Words.".into() });
    pb::Body { subject: "Test".into(), form: Some(form), ..Default::default() }
}

fn accepted() -> (Bytes, Header) {
    let carried = carry(&body(), [7; 16]);
    let header = Header {
        body_hash: carried.body_hash,
        commitment: carried.commitment,
        ..decode_header(&header("FR-1-N-1", i247_model::Hash([1; 32]))).unwrap()
    };
    (carried.bytes, header)
}

fn refusal(bytes: &Bytes, header: &Header) -> (Reason, String) {
    let refusal = open_carried(bytes, header).unwrap_err();
    (refusal.reason, refusal.fields.join(" "))
}

/// The header says the hash of these bytes, whatever they are.
fn rehashed(bytes: &Bytes, header: &Header) -> Header {
    Header { body_hash: sha256(&[bytes]), ..header.clone() }
}

#[test]
fn a_body_arrives_as_it_was_sent() {
    let (bytes, header) = accepted();
    assert_eq!(open_carried(&bytes, &header).unwrap(), body());
}

#[test]
fn the_salt_hides_what_the_commitment_says() {
    let (one, other) = (carry(&body(), [7; 16]), carry(&body(), [8; 16]));
    assert_ne!(one.commitment, other.commitment);
    assert_ne!(one.body_hash, other.body_hash);
}

#[test]
fn other_bytes_are_not_the_body() {
    let (bytes, header) = accepted();
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        assert_eq!(refusal(&changed.into(), &header), (Reason::BodyMismatch, "body".into()), "byte {at}");
    }
    assert_eq!(refusal(&Bytes::new(), &header), (Reason::BodyMismatch, "body".into()));
}

#[test]
fn a_commitment_to_something_else_is_found_out() {
    let (bytes, header) = accepted();
    let header = Header { commitment: carry(&body(), [8; 16]).commitment, ..header };
    assert_eq!(refusal(&bytes, &header), (Reason::BodyMismatch, "commitment".into()));
}

#[test]
fn a_body_without_a_proper_salt_or_with_sealed_bytes_is_malformed() {
    let (bytes, header) = accepted();
    let carried = pb::Carried::decode(bytes).unwrap();
    let malformed = (Reason::Malformed, "body".to_owned());
    for changed in [
        pb::Carried { salt: Bytes::from_static(&[7; 15]), ..carried.clone() },
        pb::Carried { sealed: Bytes::from_static(b"x"), ..carried },
    ] {
        let bytes = Bytes::from(changed.encode_to_vec());
        assert_eq!(refusal(&bytes, &rehashed(&bytes, &header)), malformed);
    }
    let bytes = Bytes::from_static(b"\xff");
    assert_eq!(refusal(&bytes, &rehashed(&bytes, &header)), malformed);
}
