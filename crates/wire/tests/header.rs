//! Headers from bytes: every rule of a header in itself, and the round trip.

use bytes::Bytes;
use i247_model::{
    Audience, Class, CountryCode, Hash, Header, Kind, MEMBERS, Party, Reason, Region, ReplyStage, Seen,
    Timestamp,
};
use i247_wire::{decode_canonical_header, decode_header, encode_header, pb};
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;

fn request() -> pb::Header {
    pb::Header {
        version: 1,
        id: "FR-2-U-1042".into(),
        key_id: Bytes::from_static(&[1; 32]),
        previous: Bytes::from_static(&[2; 32]),
        kind: pb::Kind::Request.into(),
        audience: Some(pb::Audience { countries: vec!["AO".into(), "HR".into()], ..Default::default() }),
        signed_at_ms: 1_290_000_000_000,
        expires_at_ms: 1_290_000_086_400,
        reply_by_ms: 1_290_000_043_200,
        reply_to_all: true,
        operation: "infra-red-2010".into(),
        seat: "duty".into(),
        service: "border_police".into(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        body_hash: Bytes::from_static(&[3; 32]),
        commitment: Bytes::from_static(&[4; 32]),
        attachments: vec![Bytes::from_static(&[5; 32])],
        explained_at: 881,
        exactly: true,
        ..Default::default()
    }
}

fn reply() -> pb::Header {
    pb::Header {
        kind: pb::Kind::Reply.into(),
        refers_to: "AO-1-U-7".into(),
        conversation: "AO-1-U-7".into(),
        reply_stage: pb::ReplyStage::Final.into(),
        reply_by_ms: 0,
        reply_to_all: false,
        ..request()
    }
}

/// What decoding these bytes for an addressee says is wrong.
fn fault(header: &pb::Header) -> (Reason, String) {
    let refusal = decode_header(&header.encode_to_vec()).expect_err("refused");
    assert_eq!(
        refusal.reason.class(),
        Class::NotAttributable,
        "no number is spent before a signature is checked"
    );
    (refusal.reason, refusal.fields.join(" "))
}

fn malformed(change: impl FnOnce(&mut pb::Header), base: pb::Header, fields: &str) {
    let mut header = base;
    change(&mut header);
    assert_eq!(fault(&header), (Reason::Malformed, fields.to_owned()));
}

#[test]
fn a_request_and_a_reply_decode() {
    let header = decode_canonical_header(&request().encode_to_vec()).unwrap();
    assert_eq!(header.id.to_string(), "FR-2-U-1042");
    assert_eq!(header.kind, Kind::Request);
    assert_eq!(header.reply_by, Some(Timestamp::from_millis(1_290_000_043_200)));
    assert_eq!(header.audience.countries.len(), 2);
    let header = decode_canonical_header(&reply().encode_to_vec()).unwrap();
    assert_eq!(header.reply_stage, Some(ReplyStage::Final));
    assert_eq!(header.refers_to.unwrap().to_string(), "AO-1-U-7");
}

/// Bytes made by another encoder (buf, in Go) from the same fields in JSON.
const REPLY_BYTES: &str = concat!(
    "0801120b46522d322d552d31303432",
    "1a200101010101010101010101010101010101010101010101010101010101010101",
    "22200202020202020202020202020202020202020202020202020202020202020202",
    "28093208414f2d312d552d373a08414f2d312d552d37",
    "42161a02414f1a02485222025655",
    "3a0246523a0449505347",
    "4880c8f7cfc5255080ebfccfc5256002",
    "720e696e6672612d7265642d323031307a0464757479",
    "9a01200303030303030303030303030303030303030303030303030303030303030303",
    "a201200404040404040404040404040404040404040404040404040404040404040404",
    "b201200505050505050505050505050505050505050505050505050505050505050505",
    "b801f106c00101",
);

#[test]
fn our_bytes_are_those_of_another_encoder() {
    let audience = pb::Audience {
        countries: vec!["AO".into(), "HR".into()],
        except: vec!["VU".into()],
        copies: vec!["FR".into(), "IPSG".into()],
        ..Default::default()
    };
    let wire = pb::Header {
        audience: Some(audience),
        service: String::new(),
        traceparent: String::new(),
        ..reply()
    };
    let header = Header::try_from(wire).unwrap();
    assert_eq!(i247_model::hexadecimal(&encode_header(&header)), REPLY_BYTES);
}

#[test]
fn each_broken_field_is_named() {
    malformed(|h| h.version = 2, request(), "version");
    malformed(|h| h.id = "FR-2-U-01042".into(), request(), "id");
    malformed(|h| h.key_id = Bytes::from_static(&[1; 31]), request(), "key_id");
    malformed(|h| h.previous = Bytes::from_static(&[1; 33]), request(), "previous");
    malformed(|h| h.kind = 0, request(), "kind");
    malformed(|h| h.kind = 99, request(), "kind");
    malformed(|h| h.refers_to = "FR".into(), request(), "refers_to");
    malformed(|h| h.conversation = h.id.clone(), request(), "conversation");
    malformed(|h| h.operation = "Infra Red".into(), request(), "operation");
    malformed(|h| h.operation = "a".repeat(65), request(), "operation");
    malformed(|h| h.seat = "Jean Dupont".into(), request(), "seat");
    malformed(|h| h.service = "x y".into(), request(), "service");
    malformed(|h| h.body_hash = Bytes::new(), request(), "body_hash");
    malformed(|h| h.commitment = Bytes::new(), request(), "commitment");
    malformed(|h| h.wraps_root = Bytes::from_static(&[1]), request(), "wraps_root");
    malformed(|h| h.attachments[0] = Bytes::new(), request(), "attachments");
    malformed(|h| h.reply_stage = 9, reply(), "reply_stage");
    malformed(|h| h.seen = Some(pb::Seen::default()), request(), "seen.log_id");
    let seen = pb::Seen { log_id: Bytes::from_static(b"l"), size: 1, root: Bytes::from_static(b"r") };
    malformed(|h| h.seen = Some(seen), request(), "seen.root");
}

#[test]
fn only_the_first_number_has_no_predecessor() {
    malformed(|h| h.previous = Bytes::new(), request(), "previous");
    malformed(|h| h.id = "FR-2-U-1".into(), request(), "previous");
    let first = pb::Header { id: "FR-2-U-1".into(), previous: Bytes::new(), ..request() };
    assert!(decode_header(&first.encode_to_vec()).is_ok());
}

#[test]
fn the_hubs_own_messages_need_no_predecessor() {
    let reminder = pb::Header {
        id: "IPSG-881-U-2".into(),
        previous: Bytes::new(),
        kind: pb::Kind::Reminder.into(),
        reply_stage: 0,
        ..reply()
    };
    assert!(decode_header(&reminder.encode_to_vec()).is_ok());
}

#[test]
fn the_fields_of_a_kind_are_checked_all_at_once() {
    malformed(|h| h.reply_by_ms = 0, request(), "reply_by_ms");
    malformed(|h| h.reply_stage = 1, request(), "reply_stage");
    malformed(|h| h.reply_stage = 0, reply(), "reply_stage");
    malformed(
        |h| {
            h.refers_to.clear();
            h.reply_by_ms = 5;
            h.reply_to_all = true;
        },
        reply(),
        "refers_to reply_by_ms reply_to_all",
    );
    let examined = |h: &mut pb::Header| {
        h.kind = pb::Kind::Diffusion.into();
        h.reply_by_ms = 0;
        h.reply_to_all = false;
        h.wraps_root = Bytes::from_static(&[1; 32]);
    };
    malformed(examined, request(), "wraps_root");
}

#[test]
fn exactly_needs_an_explanation() {
    malformed(|h| h.explained_at = 0, request(), "explained_at");
    let refusal = decode_header(&pb::Header { explained_at: 0, ..request() }.encode_to_vec()).unwrap_err();
    assert_eq!(refusal.next_step, "name the directory position of the explanation, or leave out exactly");
    let seen = pb::Header { exactly: false, ..request() };
    assert_eq!(decode_header(&seen.encode_to_vec()).unwrap().explained_at, Some(881));
}

#[test]
fn the_next_step_names_the_kind() {
    let refusal = decode_header(&pb::Header { reply_by_ms: 0, ..request() }.encode_to_vec()).unwrap_err();
    assert_eq!(refusal.next_step, "set the fields that a request asks for, and only those");
}

#[test]
fn times_must_make_sense() {
    malformed(|h| h.signed_at_ms = 0, request(), "signed_at_ms");
    malformed(|h| h.expires_at_ms = h.signed_at_ms, request(), "expires_at_ms");
}

#[test]
fn a_traceparent_has_one_shape() {
    for text in [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "x",
    ] {
        malformed(|h| h.traceparent = text.into(), request(), "traceparent");
    }
}

#[test]
fn an_audience_must_be_meant() {
    malformed(|h| h.audience = None, request(), "audience");
    let referred = pb::Audience { as_referred: true, ..Default::default() };
    malformed(|h| h.audience = Some(referred), request(), "audience.as_referred");
    let twice = pb::Audience { regions: vec!["MENA".into(), "MENA".into()], ..Default::default() };
    malformed(|h| h.audience = Some(twice), request(), "audience.regions");
}

#[test]
fn before_a_number_is_spent_the_reason_is_told_as_it_is() {
    let audience = Header::try_from(pb::Header { audience: None, ..request() }).unwrap_err();
    assert_eq!(audience.reason, Reason::BadAudience);
    let field = Header::try_from(pb::Header { reply_by_ms: 0, ..request() }).unwrap_err();
    assert_eq!(field.reason, Reason::WrongField);
}

#[test]
fn a_header_that_names_every_country_twice_over_fits() {
    let half: Vec<CountryCode> = MEMBERS.iter().map(|member| member.code).collect();
    let mut header = decode_header(&request().encode_to_vec()).unwrap();
    header.audience = Audience::countries(half.iter().copied().take(98))
        .except(half.iter().copied().skip(98))
        .copies(half.iter().copied().take(98).map(Party::Bureau));
    let bytes = encode_header(&header);
    assert_eq!(decode_canonical_header(&bytes).unwrap(), header);
}

#[test]
fn too_much_is_too_large() {
    assert_eq!(decode_header(&[0; 16 * 1024 + 1]).unwrap_err().reason, Reason::TooLarge);
    let attachments = vec![Bytes::from_static(&[5; 32]); 33];
    let header = pb::Header { attachments, ..request() };
    assert_eq!(fault(&header), (Reason::TooLarge, "attachments".into()));
}

#[test]
fn an_addressee_ignores_what_it_does_not_know_and_the_hub_refuses_it() {
    let mut bytes = request().encode_to_vec();
    bytes.extend([0xf8, 0x07, 0x01]); // field 127, varint 1
    assert!(decode_header(&bytes).is_ok());
    assert_eq!(decode_canonical_header(&bytes).unwrap_err().reason, Reason::NotCanonical);
}

#[test]
fn other_spellings_of_the_same_header_are_not_canonical() {
    let canonical = request().encode_to_vec();
    // The version once more at the end; a default value spelled out; an over-long varint.
    let repeated = [canonical.clone(), vec![0x08, 0x01]].concat();
    let default = [canonical.clone(), vec![0x60, 0x00]].concat();
    let long = [vec![0x08, 0x81, 0x00], canonical[2..].to_vec()].concat();
    for bytes in [repeated, default, long] {
        assert!(decode_header(&bytes).is_ok());
        assert_eq!(decode_canonical_header(&bytes).unwrap_err().reason, Reason::NotCanonical);
    }
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn country() -> impl Strategy<Value = CountryCode> {
    prop::sample::select(MEMBERS.iter().map(|member| member.code).collect::<Vec<_>>())
}

prop_compose! {
    fn audience()(
        all in any::<bool>(),
        regions in prop::collection::btree_set(prop::sample::select(&Region::ALL[..]), 0..5),
        named in prop::collection::btree_set(country(), 0..40),
        barred in prop::collection::btree_set(country(), 0..40),
        copies in prop::collection::btree_set(country(), 0..9),
    ) -> Audience {
        let except = &(&barred - &named) - &copies;
        let copies = copies.into_iter().map(Party::Bureau).chain([Party::Secretariat]).collect();
        Audience { all, regions, countries: named, except, secretariat: !all, as_referred: false, copies }
    }
}

prop_compose! {
    fn optional()(
        hashes in (option::of(hash()), prop::collection::vec(hash(), 0..4)),
        operation in option::of("[a-z0-9-]{1,64}"),
        names in (option::of("[a-z][a-z0-9_]{0,31}"), option::of("[a-z][a-z0-9_]{0,31}")),
        trace in option::of("00-[1-9a-f]{32}-[1-9a-f]{16}-0[01]"),
        seen in option::of((prop::collection::vec(any::<u8>(), 1..33), any::<u64>(), any::<[u8; 32]>())),
        expiry in option::of(1_u64..1_000_000),
        explained in option::of((1_u64.., any::<bool>())),
    ) -> Header {
        let mut header = decode_header(&request().encode_to_vec()).expect("a valid header");
        header.wraps_root = hashes.0;
        header.attachments = hashes.1;
        header.explained_at = explained.map(|(position, _)| position);
        header.exactly = explained.is_some_and(|(_, exactly)| exactly);
        header.operation = operation;
        header.seat = names.0.map(|name| name.parse().expect("valid by its pattern"));
        header.service = names.1.map(|name| name.parse().expect("valid by its pattern"));
        header.traceparent = trace;
        header.seen = seen.map(|(log_id, size, root)| Seen { log_id, size, root: root.to_vec() });
        header.expires_at = expiry.map(|after| header.signed_at.plus(std::time::Duration::from_millis(after)));
        header
    }
}

prop_compose! {
    fn header()(
        base in optional(),
        kind in prop::sample::select(&Kind::ALL[..]),
        number in 1_u64..,
        key in hash(),
        audience in audience(),
        stage in prop::sample::select(&[ReplyStage::Interim, ReplyStage::Final, ReplyStage::Refusal][..]),
        to_all in any::<bool>(),
    ) -> Header {
        let request = kind == Kind::Request;
        let lane = if kind == Kind::Grant { 'V' } else { 'B' };
        Header {
            id: format!("FR.cdg-3-{lane}-{number}").parse().expect("valid by its pattern"),
            key_id: key,
            previous: (number > 1).then_some(key),
            kind,
            refers_to: kind.needs_reference().then(|| "AO-1-V-7".parse().expect("valid by its pattern")),
            audience,
            reply_by: request.then_some(base.signed_at),
            reply_stage: (kind == Kind::Reply).then_some(stage),
            reply_to_all: request && to_all,
            wraps_root: base.wraps_root.filter(|_| !kind.examined()),
            ..base
        }
    }
}

proptest! {
    #[test]
    fn a_header_comes_back_as_it_was_and_is_canonical(header in header()) {
        let bytes = encode_header(&header);
        prop_assert_eq!(decode_canonical_header(&bytes).unwrap(), header.clone());
        prop_assert_eq!(decode_header(&bytes).unwrap(), header);
    }

    #[test]
    fn no_bytes_panic_and_what_is_canonical_encodes_to_itself(
        header in header(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode_header(&header).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(header) = decode_canonical_header(&bytes) {
            prop_assert_eq!(encode_header(&header).to_vec(), bytes);
        }
    }
}
