//! What comes too early, and what is against the rules.

use bytes::Bytes;
use i247_model::Reason;
use i247_testkit::{Letter, Pen, airport, free_text, grant_draft, name, notice_request, pb, red_form};

use super::{Case, NOTHING, ONE, another_end, answer, end, leave, notice, request, words};

/// What may be accepted later, as it is.
pub(super) const NOT_NOW: &[Case] = &[
    case!(
        "a number too early",
        words,
        |pen, mut letter| {
            letter.header.id = "FR-1-N-4711".into();
            pen.sign(&letter)
        },
        OutOfOrder,
        ["id"],
        NOTHING
    ),
    case!(
        "an epoch that was not opened",
        words,
        |pen, mut letter| {
            letter.header.id = letter.header.id.replace("FR-1-", "FR-2-");
            pen.sign(&letter)
        },
        OutOfOrder,
        ["id"],
        NOTHING
    ),
    case!(
        "a date in the future",
        words,
        |pen, mut letter| {
            letter.header.signed_at_ms += 6 * 60 * 1000;
            pen.sign(&letter)
        },
        FutureDated,
        ["signed_at_ms"],
        NOTHING
    ),
    case!(
        "a reference to what is still to come",
        words,
        |pen, mut letter| {
            letter.header.refers_to = "FR-1-U-9".into();
            pen.sign(&letter)
        },
        ReferenceAhead,
        ["refers_to"],
        NOTHING
    ),
    case!(
        "an attachment that was not uploaded",
        words,
        |pen, mut letter| {
            letter.header.attachments = vec![Bytes::from_static(&[7; 32])];
            pen.sign(&letter)
        },
        AttachmentMissing,
        ["attachments"],
        NOTHING
    ),
];

/// The same grant with one thing changed.
fn granting(pen: &Pen, mut letter: Letter, change: fn(&mut pb::Grant)) -> pb::Envelope {
    let mut draft = grant_draft(airport(&name("cdg")));
    let body = draft.body.as_mut().unwrap();
    let Some(pb::body::Form::Grant(grant)) = &mut body.form else { panic!("no grant") };
    change(grant);
    pen.say(&mut letter, body);
    pen.sign(&letter)
}

/// What is signed, in its turn, and against the rules.
pub(super) const NO: &[Case] = &[
    case!(
        "a grant that ended before it came",
        leave,
        |pen, letter| granting(pen, letter, |grant| grant.until_ms = 1000),
        WrongField,
        ["grant.until_ms"],
        ONE
    ),
    case!(
        "a partner that would browse",
        leave,
        |pen, letter| granting(pen, letter, |grant| grant.set_unit(pb::PostUnit::Partner)),
        WrongField,
        ["grant.verb"],
        ONE
    ),
    case!(
        "an event that never ends",
        leave,
        |pen, letter| granting(pen, letter, |grant| grant.set_unit(pb::PostUnit::EventTeam)),
        WrongField,
        ["grant.until_ms"],
        ONE
    ),
    case!(
        "a grant of no database and nothing a day",
        leave,
        |pen, letter| granting(pen, letter, |grant| {
            grant.databases.clear();
            grant.keys_per_day = 0;
        }),
        MissingData,
        ["grant.databases", "grant.keys_per_day"],
        ONE
    ),
    case!(
        "a grant to everybody",
        leave,
        |pen, mut letter| {
            letter.header.audience.as_mut().unwrap().countries = vec!["PT".into()];
            pen.sign(&letter)
        },
        BadAudience,
        ["audience"],
        ONE
    ),
    case!(
        "the end of a grant that is not there",
        leave,
        |pen, letter| granting(pen, letter, |grant| {
            *grant = pb::Grant { post: "orly".into(), withdrawn: true, ..Default::default() };
        }),
        UnknownReference,
        ["grant.post"],
        ONE
    ),
    case!(
        "another chain",
        words,
        |pen, mut letter| {
            letter.header.previous = Bytes::from_static(&[7; 32]);
            pen.sign(&letter)
        },
        ChainBroken,
        ["previous"],
        ONE
    ),
    case!(
        "an expiry that has passed",
        words,
        |pen, mut letter| {
            letter.header.expires_at_ms = letter.header.signed_at_ms - 5000;
            letter.header.signed_at_ms -= 10_000;
            pen.sign(&letter)
        },
        Expired,
        ["expires_at_ms"],
        ONE
    ),
    case!(
        "a country that is none",
        words,
        |pen, mut letter| {
            letter.header.audience.as_mut().unwrap().countries = vec!["PT".into(), "SE".into(), "ZZ".into()];
            pen.sign(&letter)
        },
        UnknownCountry,
        ["audience.countries.SE", "audience.countries.ZZ"],
        ONE
    ),
    case!(
        "an audience that the kind does not have",
        notice,
        |pen, mut letter| {
            letter.header.audience.as_mut().unwrap().countries = vec!["PT".into()];
            pen.sign(&letter)
        },
        BadAudience,
        ["audience"],
        ONE
    ),
    case!(
        "a reference to nothing",
        words,
        |pen, mut letter| {
            letter.header.refers_to = "BR-1-N-4711".into();
            pen.sign(&letter)
        },
        UnknownReference,
        ["refers_to"],
        ONE
    ),
    case!(
        "a reference to what others said to each other",
        words,
        |pen, mut letter| {
            letter.header.refers_to = "BR-1-N-1".into();
            pen.sign(&letter)
        },
        UnknownReference,
        ["refers_to"],
        ONE
    ),
    case!(
        "a reference to the wrong kind",
        end,
        |pen, mut letter| {
            letter.header.refers_to = "FR-1-N-1".into();
            pen.sign(&letter)
        },
        WrongReference,
        ["refers_to"],
        ONE
    ),
    case!(
        "the end of another's diffusion",
        another_end,
        |pen, mut letter| {
            letter.header.refers_to = "BR-1-N-3".into();
            pen.sign(&letter)
        },
        NotOwner,
        ["refers_to"],
        ONE
    ),
    case!(
        "an answer to too many",
        answer,
        |pen, mut letter| {
            letter.header.audience.as_mut().unwrap().countries = vec!["BR".into(), "PT".into()];
            pen.sign(&letter)
        },
        ReplyTooWide,
        ["audience"],
        ONE
    ),
    case!(
        "a kind that only a reviewer sends",
        words,
        |pen, mut letter| {
            let form = pb::Notice { notice_id: "2010/1".into(), edition: 1, ..pb::Notice::default() };
            let mut body = free_text(&[], "").body.unwrap();
            body.form = Some(pb::body::Form::Notice(pb::Notice {
                requester: "FR".into(),
                form: Some(red_form("MARLOWE", "ANTON")),
                request_header_hash: Bytes::from_static(&[7; 32]),
                ..form
            }));
            pen.say(&mut letter, &body);
            letter.header.kind = pb::Kind::Notice.into();
            letter.header.refers_to = "FR-1-N-1".into();
            pen.sign(&letter)
        },
        KindNotAllowed,
        ["kind"],
        ONE
    ),
    case!(
        "a notice without its data",
        notice,
        |pen, mut letter| {
            let empty = pb::RedForm { identity: Some(pb::Identity::default()), ..pb::RedForm::default() };
            let form =
                pb::NoticeForm { form: Some(pb::notice_form::Form::Red(empty)), ..pb::NoticeForm::default() };
            pen.say(&mut letter, &notice_request(form, &[]).body.unwrap());
            pen.sign(&letter)
        },
        MissingData,
        [
            "form.legal_basis",
            "form.purpose",
            "form.source_authority",
            "form.person_status",
            "form.red.identity.family_name",
            "form.red.identity.forename",
            "form.red.identity.sex",
            "form.red.identity.date_of_birth",
            "form.red.identity.description|documents|fingerprints|dna|photograph",
            "form.red.facts",
            "form.red.charges",
            "form.red.laws",
            "form.red.max_penalty_months|sentence_months",
            "form.red.warrant.authority",
            "form.red.warrant.reference",
            "form.red.warrant.date",
            "form.red.extradition_undertaking",
        ],
        ONE
    ),
    case!(
        "a deadline that has passed",
        request,
        |pen, mut letter| {
            letter.header.reply_by_ms = letter.header.signed_at_ms - 1;
            pen.sign(&letter)
        },
        WrongField,
        ["reply_by_ms"],
        ONE
    ),
    case!(
        "exactly the audience of a day on which nobody was a member yet",
        words,
        |pen, mut letter| {
            letter.header.audience = Some(pb::Audience { all: true, ..pb::Audience::default() });
            letter.header.explained_at = 1;
            letter.header.exactly = true;
            pen.sign(&letter)
        },
        AudienceChanged,
        ["audience.come.BR", "audience.come.JP", "audience.come.PT"],
        ONE
    ),
];
