//! Bodies: limits, what is lifted, and what is missing.

use bytes::Bytes;
use i247_model::{Colour, Hash, Kind, Lifted, NoticeId, Reason};
use i247_wire::pb::body::Form;
use i247_wire::pb::notice_form::Form as NoticeKind;
use i247_wire::{check_body, lift, missing_data, pb};

const EVERY_FIELD_OF_A_RED_FORM: [&str; 17] = [
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
];

fn body(form: Form) -> pb::Body {
    pb::Body {
        subject: "MARLOWE Tessa Iris".into(),
        language: "EN".into(),
        form: Some(form),
        ..Default::default()
    }
}

fn person() -> pb::Identity {
    pb::Identity {
        family_name: "MARLOWE".into(),
        forename: "TESSA IRIS".into(),
        sex: pb::Sex::Female.into(),
        date_of_birth: "1987".into(),
        description: "1.68 m, brown eyes".into(),
        ..Default::default()
    }
}

fn form(status: pb::PersonStatus, form: NoticeKind) -> pb::NoticeForm {
    pb::NoticeForm {
        person_status: status.into(),
        legal_basis: "RPD 82-83".into(),
        purpose: "arrest for extradition".into(),
        source_authority: "Prosecutor, Lisbon".into(),
        publish_extract: true,
        form: Some(form),
    }
}

fn red() -> pb::RedForm {
    pb::RedForm {
        identity: Some(person()),
        facts: "Between 2028-01 and 2029-06, at Lisbon, sold forged shares to 40 buyers.".into(),
        charges: vec!["Fraud".into()],
        laws: vec!["Penal Code, invented art. 901".into()],
        max_penalty_months: 96,
        sentence_months: 0,
        warrant: Some(pb::Warrant {
            authority: "Court of Instruction, Lisbon".into(),
            reference: "INV-77/2030".into(),
            date: "2030-11-02".into(),
            judicial: true,
        }),
        extradition_undertaking: true,
    }
}

fn red_lacks(change: impl FnOnce(&mut pb::RedForm)) -> Vec<String> {
    let mut red = red();
    change(&mut red);
    missing_data(&form(pb::PersonStatus::Charged, NoticeKind::Red(red)))
}

fn lacks(status: pb::PersonStatus, kind: NoticeKind) -> Vec<String> {
    missing_data(&form(status, kind))
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn missing(kind: Kind, form: Form) -> Vec<String> {
    lift(kind, &body(form)).expect("within limits").missing
}

#[test]
fn an_empty_red_form_lacks_everything_at_once() {
    let empty = pb::NoticeForm { form: Some(NoticeKind::Red(pb::RedForm::default())), ..Default::default() };
    assert_eq!(missing_data(&empty), EVERY_FIELD_OF_A_RED_FORM);
    assert!(red_lacks(|_| {}).is_empty());
}

#[test]
fn a_form_without_a_colour_says_so() {
    let form = pb::NoticeForm { form: None, ..form(pb::PersonStatus::Wanted, NoticeKind::Red(red())) };
    assert_eq!(missing_data(&form), ["form.red|yellow|blue|green|orange|purple|black"]);
}

#[test]
fn two_years_of_penalty_or_six_months_of_sentence_are_needed() {
    let penalty = |max: u32, sentence: u32| {
        red_lacks(|red| (red.max_penalty_months, red.sentence_months) = (max, sentence))
    };
    assert!(penalty(24, 0).is_empty());
    assert!(penalty(0, 6).is_empty());
    assert_eq!(penalty(23, 0), ["form.red.max_penalty_months|sentence_months"]);
    assert_eq!(penalty(0, 5), ["form.red.sentence_months"]);
}

#[test]
fn one_thing_more_than_names_is_needed_to_recognise_a_person() {
    let marks = ["form.red.identity.description|documents|fingerprints|dna|photograph"];
    let with = |change: fn(&mut pb::Identity)| {
        red_lacks(|red| {
            let mut identity = pb::Identity { description: String::new(), ..person() };
            change(&mut identity);
            red.identity = Some(identity);
        })
    };
    assert_eq!(with(|_| {}), marks);
    assert_eq!(with(|identity| identity.photograph = true), marks);
    assert!(with(|identity| identity.dna = true).is_empty());
    assert!(with(|identity| identity.fingerprints = true).is_empty());
    let document = |identity: &mut pb::Identity| {
        identity.documents.push(pb::IdentityDocument { number: "X4719".into(), ..Default::default() });
    };
    assert!(with(document).is_empty());
    let photograph_and_day = |identity: &mut pb::Identity| {
        (identity.photograph, identity.date_of_birth) = (true, "1987-03-22".into());
    };
    assert!(with(photograph_and_day).is_empty());
    let photograph_and_alias = |identity: &mut pb::Identity| {
        (identity.photograph, identity.aliases) = (true, vec!["LANTERN".into()]);
    };
    assert!(with(photograph_and_alias).is_empty());
}

#[test]
fn a_red_form_is_never_about_a_witness() {
    assert_eq!(lacks(pb::PersonStatus::Witness, NoticeKind::Red(red())), ["form.person_status"]);
}

#[test]
fn a_birth_date_that_is_none_and_a_blank_fact_are_missing() {
    let lacking = red_lacks(|red| {
        red.facts = "  \n".into();
        if let Some(identity) = &mut red.identity {
            identity.date_of_birth = "22/03/1987".into();
        }
    });
    assert_eq!(lacking, ["form.red.identity.date_of_birth", "form.red.facts"]);
}

#[test]
fn the_empty_forms_of_the_other_colours_lack_their_own_data() {
    use pb::PersonStatus::{Missing, Suspect, Unspecified};
    let yellow = lacks(Missing, NoticeKind::Yellow(pb::YellowForm::default()));
    assert_eq!(
        yellow,
        [
            "form.yellow.identity.family_name|description|photograph",
            "form.yellow.missing_since",
            "form.yellow.last_seen_place",
            "form.yellow.circumstances",
            "form.yellow.registered",
        ]
    );
    let blue = lacks(Suspect, NoticeKind::Blue(pb::BlueForm::default()));
    assert_eq!(blue, ["form.blue.identity", "form.blue.facts", "form.blue.sought"]);
    let green = lacks(Suspect, NoticeKind::Green(pb::GreenForm::default()));
    assert_eq!(
        green,
        [
            "form.green.identity.family_name",
            "form.green.identity.date_of_birth|description|documents|photograph|fingerprints|dna",
            "form.green.warning",
            "form.green.assessment",
        ]
    );
    let orange = lacks(Unspecified, NoticeKind::Orange(pb::OrangeForm::default()));
    assert_eq!(
        orange,
        ["form.orange.threat", "form.orange.place", "form.orange.measures", "form.orange.imminent"]
    );
    let purple = lacks(Unspecified, NoticeKind::Purple(pb::PurpleForm::default()));
    assert_eq!(purple, ["form.purple.modus_operandi", "form.purple.crime_area"]);
    let black = lacks(Unspecified, NoticeKind::Black(pb::BlackForm::default()));
    assert_eq!(
        black,
        [
            "form.black.place",
            "form.black.discovered_on",
            "form.black.description|fingerprints|dna|dental",
            "form.black.registered",
        ]
    );
    let blue = lacks(Unspecified, NoticeKind::Blue(pb::BlueForm::default()));
    assert_eq!(blue[0], "form.person_status");
}

#[test]
fn a_notice_request_is_lifted_without_personal_data() {
    let request = pb::NoticeRequest {
        form: Some(form(pb::PersonStatus::Charged, NoticeKind::Red(red()))),
        except: strings(&["VU", "KI"]),
    };
    let lifted = lift(Kind::NoticeRequest, &body(Form::NoticeRequest(request))).unwrap();
    let except = ["KI", "VU"].iter().map(|code| code.parse().unwrap()).collect();
    assert_eq!(lifted, Lifted { except, colour: Some(Colour::Red), ..Lifted::default() });
}

#[test]
fn a_published_notice_is_lifted_with_number_edition_and_the_request_it_rests_on() {
    let notice = pb::Notice {
        notice_id: "2010/4711".into(),
        edition: 1,
        requester: "PT".into(),
        form: Some(form(pb::PersonStatus::Charged, NoticeKind::Red(red()))),
        request_header_hash: Bytes::from_static(&[9; 32]),
        except: Vec::new(),
    };
    let lifted = lift(Kind::Notice, &body(Form::Notice(notice))).unwrap();
    let expected = Lifted {
        notice_id: Some(NoticeId { year: 2010, serial: 4711 }),
        edition: 1,
        colour: Some(Colour::Red),
        request_header_hash: Some(Hash([9; 32])),
        ..Lifted::default()
    };
    assert_eq!(lifted, expected);
    assert_eq!(
        missing(Kind::Notice, Form::Notice(pb::Notice::default())),
        ["form", "notice.notice_id", "notice.edition", "notice.requester", "notice.request_header_hash"]
    );
}

#[test]
fn a_refused_review_needs_its_ground_and_an_approved_one_its_number() {
    let decision = |verdict: pb::ReviewVerdict| pb::ReviewDecision {
        verdict: verdict.into(),
        request_header_hash: Bytes::from_static(&[9; 32]),
        ..Default::default()
    };
    let lifted = |verdict| {
        let lifted = lift(Kind::ReviewDecision, &body(Form::ReviewDecision(decision(verdict)))).unwrap();
        (lifted.approved, lifted.missing)
    };
    assert_eq!(lifted(pb::ReviewVerdict::Approved), (Some(true), strings(&["review_decision.notice_id"])));
    assert_eq!(lifted(pb::ReviewVerdict::Refused), (Some(false), strings(&["review_decision.ground"])));
    assert_eq!(lifted(pb::ReviewVerdict::Unspecified), (None, strings(&["review_decision.verdict"])));
}

#[test]
fn every_empty_form_names_what_it_lacks() {
    let lacks = |kind, form, expected: &[&str]| assert_eq!(missing(kind, form), expected, "{kind}");
    lacks(Kind::NoticeRequest, Form::NoticeRequest(pb::NoticeRequest::default()), &["form"]);
    lacks(
        Kind::Addendum,
        Form::Addendum(pb::Addendum::default()),
        &["addendum.notice_id", "addendum.edition", "addendum.text|form"],
    );
    lacks(Kind::Cancellation, Form::Cancellation(pb::Cancellation::default()), &["cancellation.reason"]);
    lacks(Kind::Diffusion, Form::Diffusion(pb::Diffusion::default()), &["form"]);
    lacks(Kind::Withdrawal, Form::Withdrawal(pb::Withdrawal::default()), &["withdrawal.reason"]);
    lacks(
        Kind::Request,
        Form::Request(pb::Request::default()),
        &["request.subject", "request.questions", "request.reason"],
    );
    lacks(Kind::Reply, Form::Reply(pb::Reply::default()), &["reply.outcome"]);
    lacks(
        Kind::PersonLocated,
        Form::PersonLocated(pb::PersonLocated::default()),
        &["person_located.notice_id", "person_located.certainty", "person_located.place"],
    );
    lacks(
        Kind::ArrestReport,
        Form::ArrestReport(pb::ArrestReport::default()),
        &[
            "arrest_report.notice_id",
            "arrest_report.arrested_at_ms",
            "arrest_report.place",
            "arrest_report.identity_proof",
        ],
    );
    lacks(
        Kind::NationalDecision,
        Form::NationalDecision(pb::NationalDecision::default()),
        &["national_decision.notice_id", "national_decision.measure"],
    );
    lacks(Kind::FreeText, Form::FreeText(pb::FreeText::default()), &["free_text.text"]);
    lacks(Kind::Restriction, Form::Restriction(pb::Restriction::default()), &[]);
    lacks(Kind::Void, Form::Void(pb::Void::default()), &["void.reason"]);
    lacks(Kind::NewEpoch, Form::NewEpoch(pb::NewEpoch::default()), &["new_epoch.epoch", "new_epoch.reason"]);
}

#[test]
fn a_refused_reply_needs_its_ground() {
    let reply = |ground: &str| pb::Reply {
        outcome: pb::Outcome::Refused.into(),
        ground: ground.into(),
        ..Default::default()
    };
    assert_eq!(missing(Kind::Reply, Form::Reply(reply(""))), ["reply.ground"]);
    assert!(missing(Kind::Reply, Form::Reply(reply("national law"))).is_empty());
}

#[test]
fn a_request_names_somebody_and_asks_something() {
    let request = pb::Request {
        subject: Some(person()),
        questions: vec![pb::Question::Record.into(), pb::Question::Address.into()],
        reason: "red notice subject, reported in your region".into(),
        notice_id: "2031/4711".into(),
        ..Default::default()
    };
    let lifted = lift(Kind::Request, &body(Form::Request(request.clone()))).unwrap();
    assert_eq!((lifted.notice_id, lifted.missing), (Some(NoticeId { year: 2031, serial: 4711 }), vec![]));
    let unknown = pb::Request { questions: vec![99], ..request };
    assert_eq!(missing(Kind::Request, Form::Request(unknown)), ["request.questions"]);
}

#[test]
fn the_form_must_be_that_of_the_kind() {
    for wrong in [Some(Form::Reply(pb::Reply::default())), None] {
        let refusal = check_body(Kind::Request, &pb::Body { form: wrong, ..Default::default() }).unwrap_err();
        assert_eq!((refusal.reason, refusal.fields), (Reason::Malformed, strings(&["body.form"])));
    }
}

#[test]
fn what_is_no_noun_is_malformed() {
    let refused = |kind, form| {
        let refusal = lift(kind, &body(form)).unwrap_err();
        (refusal.reason, refusal.fields)
    };
    let located = pb::PersonLocated { notice_id: "4711".into(), ..Default::default() };
    assert_eq!(
        refused(Kind::PersonLocated, Form::PersonLocated(located)),
        (Reason::Malformed, strings(&["person_located.notice_id"]))
    );
    let restriction = pb::Restriction { except: strings(&["France"]) };
    assert_eq!(
        refused(Kind::Restriction, Form::Restriction(restriction)),
        (Reason::Malformed, strings(&["restriction.except"]))
    );
}

#[test]
fn everything_too_long_is_named_at_once() {
    let text = |length: usize| "x".repeat(length);
    let free = |length: usize| Form::FreeText(pb::FreeText { text: text(length) });
    assert!(check_body(Kind::FreeText, &body(free(64 * 1024))).is_ok());
    let long = pb::Body {
        subject: text(201),
        our_ref: text(41),
        your_ref: text(40),
        handling: vec![text(1); 17],
        attachments: vec![pb::AttachmentNote::default(); 33],
        ..body(free(64 * 1024 + 1))
    };
    let refusal = check_body(Kind::FreeText, &long).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooLarge);
    assert_eq!(
        refusal.fields,
        ["body.subject", "body.our_ref", "body.handling", "body.attachments", "free_text.text"]
    );
    let many = pb::Restriction { except: vec!["FR".into(); 257] };
    let refusal = check_body(Kind::Restriction, &body(Form::Restriction(many))).unwrap_err();
    assert_eq!((refusal.reason, refusal.fields), (Reason::TooLarge, strings(&["restriction.except"])));
    let finding = pb::Finding { text: text(60 * 1024), ..Default::default() };
    let reply = pb::Reply { findings: vec![finding; 4], ..Default::default() };
    let refusal = check_body(Kind::Reply, &body(Form::Reply(reply))).unwrap_err();
    assert_eq!((refusal.reason, refusal.fields), (Reason::TooLarge, strings(&["body"])));
}

#[test]
fn control_characters_do_not_reach_an_officers_terminal() {
    let garbled = pb::Body {
        subject: "a\u{1b}[2J".into(),
        language: "XX".into(),
        ..body(Form::FreeText(pb::FreeText { text: "two\n\tlines".into() }))
    };
    let refusal = check_body(Kind::FreeText, &garbled).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.fields),
        (Reason::Malformed, strings(&["body.subject", "body.language"]))
    );
}
