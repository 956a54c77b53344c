//! Envelopes: opened, and refused. Each envelope is opened alone and among others, with one answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{Audience, Hash, Header, Identity, Kind, Reason, Timestamp};
use i247_trust::{
    Attested, Authority, CarriedBody, Credentials, Door, MAX_BURST, Signer, TlsKey, carry, header_hash,
    introduce, open, open_many, open_submission, sign_headers,
};
use i247_wire::{decode_header, encode_header, pb};

use crate::{NOW, days, until};

/// A body that every envelope here carries.
fn carried() -> CarriedBody {
    let form = pb::body::Form::FreeText(pb::FreeText { text: "Words.".into() });
    carry(&pb::Body { subject: "Test".into(), form: Some(form), ..Default::default() }, [7; 16])
}

/// The bytes of a header that is accepted: free text to Brazil and Japan.
pub(crate) fn header(id: &str, key_id: Hash) -> Bytes {
    encode_header(&plain(id, key_id))
}

fn plain(id: &str, key_id: Hash) -> Header {
    Header {
        attachments: vec![],
        ..Header::bare(
            id.parse().unwrap(),
            Kind::FreeText,
            Audience {
                countries: ["BR", "JP"].iter().map(|code| code.parse().unwrap()).collect(),
                ..Default::default()
            },
            key_id,
            NOW,
            (carried().body_hash, carried().commitment),
        )
    }
}

/// An authority and some of those who sign; the directory of this test.
struct Network {
    known: BTreeMap<Hash, Arc<Signer>>,
    credentials: BTreeMap<&'static str, Credentials>,
}

impl Network {
    fn new() -> Self {
        let authority = Authority::new(until(100), TlsKey::P256).unwrap();
        let national = authority.issue_national("FR".parse().unwrap(), until(50), TlsKey::P256).unwrap();
        let mut network = Self { known: BTreeMap::new(), credentials: BTreeMap::new() };
        for (path, issuer) in [
            ("ncb/fr", &authority),
            ("ncb/br", &authority),
            ("gs/hub/lyon", &authority),
            ("gs/reviewer/lena", &authority),
            ("operator/ops", &authority),
            ("ncb/fr/post/cdg", &national),
        ] {
            let identity: Identity = format!("spiffe://i247.test/{path}").parse().unwrap();
            let credentials = issuer.enrol(&identity, &[], until(30), TlsKey::P256).unwrap();
            let signer = introduce(&credentials.signing_chain, authority.root(), NOW).unwrap();
            network.known.insert(signer.key_id, Arc::new(signer));
            network.credentials.insert(path, credentials);
        }
        network
    }

    fn key_id(&self, path: &str) -> Hash {
        self.credentials[path].signing_key.key_id()
    }

    /// Signed by the key of `path`, whatever the headers say.
    fn burst(&self, path: &str, headers: &[Bytes]) -> Vec<pb::Envelope> {
        let signatures = sign_headers(&self.credentials[path].signing_key, headers);
        let envelope = |(header, signature): (&Bytes, pb::Signature)| pb::Envelope {
            header: header.clone(),
            body: carried().bytes,
            signature: Some(signature),
        };
        headers.iter().zip(signatures).map(envelope).collect()
    }

    fn sent(&self, path: &str, header: &Header) -> pb::Envelope {
        self.burst(path, &[encode_header(header)]).remove(0)
    }

    /// France writes to Brazil and Japan.
    fn accepted(&self) -> (Header, pb::Envelope) {
        let header = plain("FR-1-N-1", self.key_id("ncb/fr"));
        let envelope = self.sent("ncb/fr", &header);
        assert!(self.opened(&envelope, Door::Submission, NOW).is_ok());
        assert!(self.opened(&envelope, Door::Delivery, NOW).is_ok());
        (header, envelope)
    }

    /// Opened alone, and in the middle of others: the answers must be the same.
    fn opened(
        &self,
        envelope: &pb::Envelope,
        door: Door,
        now: Timestamp,
    ) -> Result<Attested, (Reason, String)> {
        let signer_of = |key_id: &Hash| self.known.get(key_id).cloned();
        let alone = match door {
            Door::Submission => open_submission(envelope, now, signer_of),
            Door::Delivery => open(envelope, now, signer_of),
        };
        let other = |id: &str| {
            let header = Header { signed_at: now, ..plain(id, self.key_id("ncb/br")) };
            self.sent("ncb/br", &header)
        };
        let batch = [other("BR-1-N-1"), envelope.clone(), other("BR-1-U-1"), envelope.clone()];
        let together = open_many(&batch, door, now, |header| signer_of(&header.key_id));
        for (at, same) in [1, 3].map(|at| (at, &together[at])) {
            let refusal = |result: &Result<Attested, _>| result.as_ref().err().cloned();
            assert_eq!(refusal(same), refusal(&alone), "at place {at} of a batch");
        }
        if now < days(30) {
            assert!(together[0].is_ok() && together[2].is_ok(), "others pay for it");
        }
        alone.map_err(|refusal| (refusal.reason, refusal.fields.join(" ")))
    }

    fn refusal(&self, envelope: &pb::Envelope) -> (Reason, String) {
        self.opened(envelope, Door::Submission, NOW).unwrap_err()
    }
}

fn refused(reason: Reason, field: &str) -> (Reason, String) {
    (reason, field.to_owned())
}

#[test]
fn an_opened_envelope_says_who_signed_which_bytes() {
    let network = Network::new();
    let (header, envelope) = network.accepted();
    let attested = network.opened(&envelope, Door::Submission, NOW).unwrap();
    assert_eq!(attested.header(), &header);
    assert_eq!(attested.header_bytes(), &envelope.header);
    assert_eq!(attested.header_hash(), header_hash(&envelope.header));
    assert_eq!(attested.signer().identity.to_string(), "spiffe://i247.test/ncb/fr");
    assert_eq!(attested.body(), Some(&envelope.body));
    assert_eq!(attested.envelope(), &envelope);
}

#[test]
fn bureau_post_reviewer_and_hub_sign_under_their_own_names() {
    let network = Network::new();
    for (path, id) in [
        ("ncb/fr", "FR-1-N-1"),
        ("ncb/br", "BR-2-V-1"),
        ("ncb/fr/post/cdg", "FR.cdg-1-N-1"),
        ("gs/reviewer/lena", "GS.lena-1-N-1"),
    ] {
        let header = plain(id, network.key_id(path));
        assert!(network.opened(&network.sent(path, &header), Door::Submission, NOW).is_ok(), "{path}");
    }
}

#[test]
fn another_country_in_the_id_than_in_the_signature_is_refused() {
    let network = Network::new();
    let (header, _) = network.accepted();
    for id in ["BR-1-N-1", "FR.cdg-1-N-1", "GS.lena-1-N-1", "IPSG-1-N-1"] {
        let header = Header { id: id.parse().unwrap(), ..header.clone() };
        let envelope = network.sent("ncb/fr", &header);
        assert_eq!(network.refusal(&envelope), refused(Reason::WrongSender, "id"), "{id}");
    }
    // A post is not its bureau, and an operator is no sender at all.
    for path in ["ncb/fr/post/cdg", "operator/ops", "gs/hub/lyon"] {
        let envelope = network.sent(path, &Header { key_id: network.key_id(path), ..header.clone() });
        assert_eq!(network.refusal(&envelope), refused(Reason::WrongSender, "id"), "{path}");
    }
}

#[test]
fn the_key_of_the_hub_signs_reminders_escalations_and_hits_and_nothing_else() {
    let network = Network::new();
    let of_hub = |kind| Header {
        kind,
        refers_to: Some("FR-1-N-9".parse().unwrap()),
        ..plain("IPSG-8-N-1", network.key_id("gs/hub/lyon"))
    };
    for kind in [Kind::Reminder, Kind::Escalation, Kind::Hit] {
        let envelope = network.sent("gs/hub/lyon", &of_hub(kind));
        assert!(network.opened(&envelope, Door::Delivery, NOW).is_ok());
    }
    for kind in [Kind::Notice, Kind::ReviewDecision, Kind::Addendum, Kind::HitDecision, Kind::FreeText] {
        let envelope = network.sent("gs/hub/lyon", &of_hub(kind));
        assert_eq!(network.refusal(&envelope), refused(Reason::NotAuthorised, "kind"), "{kind}");
    }
    // And nobody else signs them.
    let (header, _) = network.accepted();
    let header = Header { kind: Kind::Reminder, refers_to: Some("FR-1-N-9".parse().unwrap()), ..header };
    let envelope = network.sent("ncb/fr", &header);
    assert_eq!(network.refusal(&envelope), refused(Reason::NotAuthorised, "kind"));
}

#[test]
fn the_key_of_another_country_does_not_sign_for_this_one() {
    let network = Network::new();
    let (header, _) = network.accepted();
    let envelope = network.sent("ncb/br", &header);
    assert_eq!(network.refusal(&envelope), refused(Reason::BadSignature, "signature"));
}

#[test]
fn a_key_that_nobody_introduced_is_refused() {
    let network = Network::new();
    let (header, _) = network.accepted();
    let envelope = network.sent("ncb/fr", &Header { key_id: Hash([9; 32]), ..header });
    assert_eq!(network.refusal(&envelope), refused(Reason::UnknownKey, "key_id"));
}

#[test]
fn the_signer_that_is_found_must_be_that_of_the_key() {
    let network = Network::new();
    let (_, envelope) = network.accepted();
    let other = &network.known[&network.key_id("ncb/br")];
    let refusal = open(&envelope, NOW, |_| Some(Arc::clone(other))).unwrap_err();
    assert_eq!((refusal.reason, refusal.fields), (Reason::UnknownKey, vec!["key_id".to_owned()]));
}

#[test]
fn a_certificate_must_be_in_force_when_it_signs_and_when_that_arrives() {
    let network = Network::new();
    let (header, envelope) = network.accepted();
    let not_in_force = refused(Reason::CertificateNotInForce, "key_id");
    for door in [Door::Submission, Door::Delivery] {
        assert!(network.opened(&envelope, door, days(29)).is_ok(), "the outbox waited");
        assert_eq!(network.opened(&envelope, door, days(31)).unwrap_err(), not_in_force);
        let before = network.sent("ncb/fr", &Header { signed_at: days(-2), ..header.clone() });
        assert_eq!(network.opened(&before, door, NOW).unwrap_err(), not_in_force);
        let last = network.sent("ncb/fr", &Header { signed_at: days(30), ..header.clone() });
        assert!(network.opened(&last, door, days(30)).is_ok());
    }
}

#[test]
fn a_header_dated_more_than_five_minutes_ahead_may_come_again_later() {
    let network = Network::new();
    let (header, _) = network.accepted();
    let ahead = |ms| {
        let header = Header { signed_at: NOW.plus(Duration::from_millis(ms)), ..header.clone() };
        network.sent("ncb/fr", &header)
    };
    assert!(network.opened(&ahead(300_000), Door::Submission, NOW).is_ok());
    let envelope = ahead(300_001);
    assert_eq!(network.refusal(&envelope), refused(Reason::FutureDated, "signed_at_ms"));
    let signer_of = |key_id: &Hash| network.known.get(key_id).cloned();
    let refusal = open_submission(&envelope, NOW, signer_of).unwrap_err();
    assert_eq!(refusal.retry_after, Some(Duration::from_millis(1)));
    assert!(network.opened(&envelope, Door::Submission, NOW.plus(Duration::from_millis(1))).is_ok());
}

#[test]
fn every_flipped_bit_of_a_header_is_found_out() {
    let network = Network::new();
    let (_, envelope) = network.accepted();
    for at in 0..envelope.header.len() {
        for bit in 0..8 {
            let mut header = envelope.header.to_vec();
            header[at] ^= 1 << bit;
            let changed = pb::Envelope { header: header.into(), ..envelope.clone() };
            let signer_of = |key_id: &Hash| network.known.get(key_id).cloned();
            assert!(open_submission(&changed, NOW, signer_of).is_err(), "bit {bit} of byte {at}");
            assert!(open(&changed, NOW, signer_of).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_changed_header_is_not_what_was_signed() {
    let network = Network::new();
    let (header, envelope) = network.accepted();
    for changed in [
        Header { signed_at: NOW.plus(Duration::from_millis(1)), ..header.clone() },
        Header { reply_to_all: false, operation: Some("infra-red-2010".into()), ..header.clone() },
        Header { id: "FR-2-N-1".parse().unwrap(), ..header.clone() },
        Header { commitment: Hash([0; 32]), ..header },
    ] {
        let changed = pb::Envelope { header: encode_header(&changed), ..envelope.clone() };
        assert_eq!(network.refusal(&changed), refused(Reason::BadSignature, "signature"));
    }
}

#[test]
fn another_body_is_refused_and_an_erased_one_only_at_submission() {
    let network = Network::new();
    let (_, envelope) = network.accepted();
    let mismatch = refused(Reason::BodyMismatch, "body");
    let mut body = envelope.body.to_vec();
    body[5] ^= 1;
    let changed = pb::Envelope { body: body.into(), ..envelope.clone() };
    assert_eq!(network.refusal(&changed), mismatch);
    assert_eq!(network.opened(&changed, Door::Delivery, NOW).unwrap_err(), mismatch);
    let erased = pb::Envelope { body: Bytes::new(), ..envelope };
    assert_eq!(network.refusal(&erased), mismatch);
    assert_eq!(network.opened(&erased, Door::Delivery, NOW).unwrap().body(), None);
}

#[test]
fn a_signature_of_another_length_value_or_none_is_refused() {
    let network = Network::new();
    let (_, envelope) = network.accepted();
    let good = envelope.signature.clone().unwrap();
    let with = |signature| pb::Envelope { signature, ..envelope.clone() };
    assert_eq!(network.refusal(&with(None)), refused(Reason::BadSignature, "signature"));
    for length in [0, 63] {
        let short = pb::Signature { signature: good.signature.slice(..length), ..good.clone() };
        assert_eq!(network.refusal(&with(Some(short))), refused(Reason::BadSignature, "signature.signature"));
    }
    for at in 0..64 {
        let mut bytes = good.signature.to_vec();
        bytes[at] ^= 1;
        let flipped = pb::Signature { signature: bytes.into(), ..good.clone() };
        assert_eq!(network.refusal(&with(Some(flipped))), refused(Reason::BadSignature, "signature"));
    }
}

#[test]
fn a_header_written_in_another_way_is_refused_at_submission_and_read_at_delivery() {
    let network = Network::new();
    let (_, envelope) = network.accepted();
    // A field that this version does not know, validly signed.
    let longer = Bytes::from([envelope.header.as_ref(), &[0xf8, 0x06, 0x01]].concat());
    let envelope = network.burst("ncb/fr", &[longer]).remove(0);
    assert_eq!(network.refusal(&envelope), refused(Reason::NotCanonical, "header"));
    let attested = network.opened(&envelope, Door::Delivery, NOW).unwrap();
    assert_eq!(attested.header_hash(), header_hash(&envelope.header));
    let envelope = network.burst("ncb/fr", &[Bytes::from_static(b"\xff")]).remove(0);
    assert_eq!(network.refusal(&envelope), refused(Reason::Malformed, "header"));
}

fn five(network: &Network) -> Vec<pb::Envelope> {
    let lanes = ["FR-1-V-1", "FR-1-U-1", "FR-1-N-1", "FR-1-B-1", "FR-2-N-1"];
    let headers = lanes.map(|id| header(id, network.key_id("ncb/fr")));
    network.burst("ncb/fr", &headers)
}

#[test]
fn each_envelope_of_a_burst_stands_alone() {
    let network = Network::new();
    for envelope in five(&network) {
        assert!(network.opened(&envelope, Door::Submission, NOW).is_ok());
    }
    let signer_of = |header: &Header| network.known.get(&header.key_id).cloned();
    for count in [1, 2, 63, MAX_BURST] {
        let headers: Vec<Bytes> =
            (1..=count).map(|epoch| header(&format!("FR-{epoch}-N-1"), network.key_id("ncb/fr"))).collect();
        let envelopes = network.burst("ncb/fr", &headers);
        let opened = open_many(&envelopes, Door::Submission, NOW, signer_of);
        assert!(opened.iter().all(Result::is_ok), "{count}");
    }
}

#[test]
fn another_place_path_or_count_in_the_burst_is_refused() {
    let network = Network::new();
    let envelopes = five(&network);
    let good = envelopes[1].signature.clone().unwrap();
    assert_eq!((good.index, good.count, good.path.len()), (1, 5, 3));
    let with =
        |signature| network.refusal(&pb::Envelope { signature: Some(signature), ..envelopes[1].clone() });
    let path = || refused(Reason::BadSignature, "signature.path");
    let signature = || refused(Reason::BadSignature, "signature");
    for index in [0, 2, 3] {
        assert_eq!(with(pb::Signature { index, ..good.clone() }), signature(), "index {index}");
    }
    assert_eq!(with(pb::Signature { index: 4, ..good.clone() }), path());
    assert_eq!(
        with(pb::Signature { index: 5, ..good.clone() }),
        refused(Reason::BadSignature, "signature.index")
    );
    for count in [0, 65, u32::MAX] {
        let other = pb::Signature { count, ..good.clone() };
        assert_eq!(with(other), refused(Reason::BadSignature, "signature.count"), "count {count}");
    }
    // Of the same shape, and still not what was signed.
    for count in [6, 7, 8] {
        assert_eq!(with(pb::Signature { count, ..good.clone() }), signature(), "count {count}");
    }
    for count in [2, 3, 4, 9, 64] {
        assert_eq!(with(pb::Signature { count, ..good.clone() }), path(), "count {count}");
    }
    let other_path = |change: fn(&mut Vec<Bytes>)| {
        let mut signature = good.clone();
        change(&mut signature.path);
        with(signature)
    };
    assert_eq!(other_path(|path| path.clear()), path());
    assert_eq!(other_path(|path| drop(path.pop())), path());
    assert_eq!(other_path(|path| path.push(path[0].clone())), path());
    assert_eq!(other_path(|path| path[1] = path[1].slice(1..)), path());
    assert_eq!(other_path(|path| path.swap(0, 1)), signature());
    assert_eq!(other_path(|path| path[2] = Bytes::from_static(&[0; 32])), signature());
}

#[test]
fn an_inner_node_of_the_tree_passes_for_no_header() {
    let network = Network::new();
    let envelopes = five(&network);
    let sibling = |at: usize| envelopes[at].signature.clone().unwrap().path[0].clone();
    let node = [b"i247.v1.Header\x01".as_slice(), &sibling(1), &sibling(0)].concat();
    assert!(decode_header(&node).is_err());
}

#[test]
fn one_bad_envelope_among_many_is_named_and_the_others_are_opened() {
    let network = Network::new();
    let mut envelopes = five(&network);
    for (path, id) in [("ncb/br", "BR-1-N-1"), ("ncb/fr/post/cdg", "FR.cdg-1-N-1")] {
        envelopes.push(network.sent(path, &plain(id, network.key_id(path))));
    }
    let signer_of = |header: &Header| network.known.get(&header.key_id).cloned();
    let opened = open_many(&envelopes, Door::Submission, NOW, signer_of);
    let ids: Vec<String> = opened.iter().map(|one| one.as_ref().unwrap().header().id.to_string()).collect();
    assert_eq!(ids, ["FR-1-V-1", "FR-1-U-1", "FR-1-N-1", "FR-1-B-1", "FR-2-N-1", "BR-1-N-1", "FR.cdg-1-N-1"]);
    // The signature of one member of the burst is broken: the others carry a good copy of it.
    let mut signature = envelopes[2].signature.clone().unwrap();
    let mut bytes = signature.signature.to_vec();
    bytes[63] ^= 0x01;
    signature.signature = bytes.into();
    envelopes[2].signature = Some(signature);
    let opened = open_many(&envelopes, Door::Submission, NOW, signer_of);
    let good: Vec<bool> = opened.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, true, false, true, true, true, true]);
    assert!(open_many(&[], Door::Submission, NOW, signer_of).is_empty());
}

#[test]
fn among_many_each_is_held_against_the_signer_of_its_time() {
    let network = Network::new();
    let key_id = network.key_id("ncb/fr");
    let now = days(10);
    let between = |not_before, not_after| {
        Arc::new(Signer { not_before, not_after, ..(*network.known[&key_id]).clone() })
    };
    let (ended, renewed) = (between(days(0), days(5)), between(days(8), days(20)));
    let signed =
        |id: &str, day: i64| network.sent("ncb/fr", &Header { signed_at: days(day), ..plain(id, key_id) });
    let envelopes = [signed("FR-1-N-1", 4), signed("FR-1-U-1", 9)];
    let signer_of = |header: &Header| {
        [&ended, &renewed].into_iter().find(|signer| signer.in_force(header.signed_at)).cloned()
    };
    let opened = open_many(&envelopes, Door::Submission, now, signer_of);
    assert_eq!(opened[0].as_ref().unwrap_err().reason, Reason::CertificateNotInForce);
    assert_eq!(opened[1].as_ref().unwrap().signer().not_after, days(20));
}
