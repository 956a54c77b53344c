//! Bytes that are not what they should be.

use bytes::Bytes;
use i247_model::Reason;
use i247_testkit::{Letter, Pen, airport, free_text, grant_draft, name, pb};
use i247_trust::sign_headers;
use prost::Message as _;

use super::{Case, NOTHING, ONE, leave, notice, request, words};

/// Bytes that are not what they should be: nobody can be held to them.
pub(super) const NOT_ATTRIBUTABLE: &[Case] = &[
    case!(
        "a header that is none",
        words,
        |pen, letter| { pb::Envelope { header: Bytes::from_static(&[0xff; 9]), ..pen.sign(&letter) } },
        Malformed,
        ["header"],
        NOTHING
    ),
    case!(
        "a grant in a lane in which it could be overtaken",
        leave,
        |pen, mut letter| {
            letter.header.id = letter.header.id.replace("-V-", "-B-");
            pen.sign(&letter)
        },
        Malformed,
        ["id"],
        NOTHING
    ),
    case!(
        "a grant of a database that does not exist",
        leave,
        |pen, mut letter| {
            let mut draft = grant_draft(airport(&name("cdg")));
            let body = draft.body.as_mut().unwrap();
            let Some(pb::body::Form::Grant(grant)) = &mut body.form else { panic!("no grant") };
            grant.databases.push(20);
            pen.say(&mut letter, body);
            pen.sign(&letter)
        },
        Malformed,
        ["grant.databases"],
        NOTHING
    ),
    case!("an empty envelope", words, |_, _| pb::Envelope::default(), Malformed, ["version"], NOTHING),
    case!(
        "another version",
        words,
        |pen, mut letter| {
            letter.header.version = 2;
            pen.sign(&letter)
        },
        Malformed,
        ["version"],
        NOTHING
    ),
    case!(
        "an unknown kind",
        words,
        |pen, mut letter| {
            letter.header.kind = 99;
            pen.sign(&letter)
        },
        Malformed,
        ["kind"],
        NOTHING
    ),
    case!(
        "an id that is none",
        words,
        |pen, mut letter| {
            letter.header.id = "FR-01-N-1".into();
            pen.sign(&letter)
        },
        Malformed,
        ["id"],
        NOTHING
    ),
    case!(
        "nobody is addressed",
        words,
        |pen, mut letter| {
            letter.header.audience = None;
            pen.sign(&letter)
        },
        Malformed,
        ["audience"],
        NOTHING
    ),
    case!(
        "somebody is addressed and excluded too",
        words,
        |pen, mut letter| {
            letter.header.audience.as_mut().unwrap().except = vec!["PT".into()];
            pen.sign(&letter)
        },
        Malformed,
        ["audience.except"],
        NOTHING
    ),
    case!(
        "a request without a deadline",
        request,
        |pen, mut letter| {
            letter.header.reply_by_ms = 0;
            pen.sign(&letter)
        },
        Malformed,
        ["reply_by_ms"],
        NOTHING
    ),
    case!(
        "a field that nobody knows",
        words,
        |pen, letter| unknown_field(pen, letter),
        NotCanonical,
        ["header"],
        NOTHING
    ),
    case!(
        "fields in another order",
        words,
        |pen, letter| another_order(pen, letter),
        NotCanonical,
        ["header"],
        NOTHING
    ),
    case!(
        "too many attachments",
        words,
        |pen, mut letter| {
            letter.header.attachments = vec![Bytes::from_static(&[7; 32]); 33];
            pen.sign(&letter)
        },
        TooLarge,
        ["attachments"],
        NOTHING
    ),
    case!(
        "too long a header",
        words,
        |pen, mut letter| {
            letter.header.traceparent = "0".repeat(17 * 1024);
            pen.sign(&letter)
        },
        TooLarge,
        ["header"],
        NOTHING
    ),
    case!(
        "too long a body",
        words,
        |pen, mut letter| {
            let text = "x".repeat(280 * 1024);
            pen.say(&mut letter, &free_text(&[], &text).body.unwrap());
            pen.sign(&letter)
        },
        TooLarge,
        ["body"],
        NOTHING
    ),
    case!(
        "no signature",
        words,
        |pen, letter| { pb::Envelope { signature: None, ..pen.sign(&letter) } },
        BadSignature,
        ["signature"],
        NOTHING
    ),
    case!(
        "another signature",
        words,
        |pen, letter| {
            let other = pen.sign(&Letter {
                header: pb::Header { seat: "other".into(), ..letter.header.clone() },
                ..letter.clone()
            });
            pb::Envelope { signature: other.signature, ..pen.sign(&letter) }
        },
        BadSignature,
        ["signature"],
        NOTHING
    ),
    case!(
        "an unknown key",
        words,
        |pen, mut letter| {
            letter.header.key_id = Bytes::from_static(&[7; 32]);
            pen.sign(&letter)
        },
        UnknownKey,
        ["key_id"],
        NOTHING
    ),
    case!(
        "another body",
        words,
        |pen, letter| {
            let mut other = letter.clone();
            pen.say(&mut other, &free_text(&[], "something else").body.unwrap());
            pb::Envelope { body: other.body, ..pen.sign(&letter) }
        },
        BodyMismatch,
        ["body"],
        NOTHING
    ),
    case!(
        "no body",
        words,
        |pen, letter| { pb::Envelope { body: Bytes::new(), ..pen.sign(&letter) } },
        BodyMismatch,
        ["body"],
        NOTHING
    ),
    case!(
        "another commitment",
        notice,
        |pen, mut letter| {
            letter.header.commitment = Bytes::from_static(&[7; 32]);
            pen.sign(&letter)
        },
        BodyMismatch,
        ["commitment"],
        NOTHING
    ),
    case!(
        "the form of another kind",
        notice,
        |pen, mut letter| {
            pen.say(&mut letter, &free_text(&[], "no notice").body.unwrap());
            pen.sign(&letter)
        },
        Malformed,
        ["body.form"],
        NOTHING
    ),
    case!(
        "another sender",
        words,
        |pen, mut letter| {
            letter.header.id = letter.header.id.replace("FR-", "PT-");
            pen.sign(&letter)
        },
        WrongSender,
        ["id"],
        NOTHING
    ),
    case!(
        "a kind that only the hub makes",
        words,
        |pen, mut letter| {
            letter.header.kind = pb::Kind::Reminder.into();
            letter.header.refers_to = "FR-1-N-1".into();
            pen.sign(&letter)
        },
        NotAuthorised,
        ["kind"],
        NOTHING
    ),
    case!(
        "a number used before",
        words,
        |pen, mut letter| {
            letter.header.id = "FR-1-N-2".into();
            pen.sign(&letter)
        },
        NumberReused,
        ["id"],
        ONE
    ),
    case!(
        "a number used before, once more",
        words,
        |pen, mut letter| {
            letter.header.id = "FR-1-N-2".into();
            pen.sign(&letter)
        },
        NumberReused,
        ["id"],
        NOTHING
    ),
];

/// Signed as it is: nothing is wrong but the field at the end.
fn unknown_field(pen: &Pen, letter: Letter) -> pb::Envelope {
    let mut header = letter.header.encode_to_vec();
    // Field 99, a number.
    header.extend_from_slice(&[0x98, 0x06, 0x01]);
    signed(pen, header, letter.body)
}

/// The version, which is the first field, comes last.
fn another_order(pen: &Pen, letter: Letter) -> pb::Envelope {
    let header = letter.header.encode_to_vec();
    let turned = [&header[2..], &header[..2]].concat();
    signed(pen, turned, letter.body)
}

fn signed(pen: &Pen, header: Vec<u8>, body: Bytes) -> pb::Envelope {
    let header = Bytes::from(header);
    let signature = sign_headers(&pen.credentials().signing_key, std::slice::from_ref(&header)).pop();
    pb::Envelope { header, body, signature }
}
