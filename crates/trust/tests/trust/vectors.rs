//! Bytes that others compute too: `tests/vectors.py` makes the same ones without our code.

use bytes::Bytes;
use i247_model::{Audience, Header, Kind};
use i247_trust::{SigningKey, VerifyingKey, carry, header_hash, sign, sign_headers, verify};
use i247_wire::{decode_canonical_header, encode_header, pb};
use serde_json::Value;

use crate::NOW;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors.json")).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn list(value: &Value) -> Vec<Bytes> {
    value.as_array().unwrap().iter().map(|item| hex(item).into()).collect()
}

/// The key of the vectors, by way of the text that `openssl genpkey` would write.
fn key() -> SigningKey {
    let prefix = hex(&Value::from("302e020100300506032b657004220420"));
    let der = [prefix, hex(&vectors()["seed"])].concat();
    SigningKey::from_pkcs8_pem(&pem::encode(&pem::Pem::new("PRIVATE KEY", der))).unwrap()
}

fn body() -> pb::Body {
    let form = pb::body::Form::FreeText(pb::FreeText { text: "Words.".into() });
    pb::Body { subject: "Test".into(), form: Some(form), ..Default::default() }
}

#[test]
fn a_key_and_its_id_are_as_computed_elsewhere() {
    let vectors = vectors();
    assert_eq!(key().verifying_key().to_bytes().to_vec(), hex(&vectors["key"]));
    assert_eq!(key().key_id().as_bytes().to_vec(), hex(&vectors["key_id"]));
    let spki = [hex(&Value::from("302a300506032b6570032100")), hex(&vectors["key"])].concat();
    assert_eq!(VerifyingKey::from_spki(&spki).unwrap().key_id(), key().key_id());
}

#[test]
fn a_carried_body_is_as_computed_elsewhere() {
    let vectors = vectors();
    let carried = carry(&body(), hex(&vectors["salt"]).try_into().unwrap());
    assert_eq!(carried.bytes.to_vec(), hex(&vectors["carried"]));
    assert_eq!(carried.body_hash.as_bytes().to_vec(), hex(&vectors["body_hash"]));
    assert_eq!(carried.commitment.as_bytes().to_vec(), hex(&vectors["commitment"]));
}

#[test]
fn a_header_and_its_hash_are_as_computed_elsewhere() {
    let vectors = vectors();
    let carried = carry(&body(), hex(&vectors["salt"]).try_into().unwrap());
    let mut previous = None;
    let mut first = None;
    for (number, (bytes, hash)) in
        (1..).zip(list(&vectors["headers"]).into_iter().zip(list(&vectors["header_hashes"])))
    {
        let header = Header {
            id: format!("FR-1-N-{number}").parse().unwrap(),
            key_id: key().key_id(),
            previous,
            kind: Kind::FreeText,
            refers_to: None,
            conversation: None,
            audience: Audience {
                countries: ["BR", "JP"].iter().map(|code| code.parse().unwrap()).collect(),
                ..Default::default()
            },
            signed_at: NOW,
            expires_at: None,
            reply_by: None,
            reply_stage: None,
            reply_to_all: false,
            operation: None,
            seat: None,
            service: None,
            traceparent: None,
            seen: None,
            body_hash: carried.body_hash,
            commitment: carried.commitment,
            wraps_root: None,
            attachments: vec![],
            explained_at: None,
            exactly: false,
        };
        assert_eq!(encode_header(&header), bytes);
        assert_eq!(decode_canonical_header(&bytes).unwrap(), header);
        assert_eq!(header_hash(&bytes).as_bytes().as_slice(), hash);
        previous = Some(header_hash(&bytes));
        first.get_or_insert(header);
    }
    let exact = Header { explained_at: Some(881), exactly: true, ..first.unwrap() };
    let bytes = encode_header(&exact);
    assert_eq!(bytes, hex(&vectors["exact"]));
    assert_eq!(decode_canonical_header(&bytes).unwrap(), exact);
    assert_eq!(header_hash(&bytes).as_bytes().to_vec(), hex(&vectors["exact_hash"]));
}

#[test]
fn signatures_are_as_computed_elsewhere() {
    let vectors = vectors();
    let headers = list(&vectors["headers"]);
    let alone = sign_headers(&key(), &headers[..1]);
    let expected =
        pb::Signature { signature: hex(&vectors["alone"]).into(), index: 0, count: 1, path: vec![] };
    assert_eq!(alone, [expected]);
    let burst = sign_headers(&key(), &headers);
    assert_eq!(burst.len(), 3);
    for (index, (signature, path)) in (0..).zip(burst.iter().zip(vectors["burst_paths"].as_array().unwrap()))
    {
        assert_eq!(signature.signature, hex(&vectors["burst"]));
        assert_eq!((signature.index, signature.count), (index, 3));
        assert_eq!(signature.path, list(path));
    }
}

#[test]
fn a_signed_payload_is_as_computed_elsewhere() {
    let vectors = vectors();
    let payload_type = vectors["signed_type"].as_str().unwrap();
    let signed = sign(&key(), payload_type, hex(&vectors["signed_payload"]));
    assert_eq!(signed.signature, hex(&vectors["signed"]));
    assert_eq!(verify(&signed, payload_type, key().verifying_key()).unwrap(), "receipts");
}
