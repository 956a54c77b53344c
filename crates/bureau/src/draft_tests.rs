//! What the desk makes of a draft.

use super::*;
use crate::story::{about, arrived, case, header};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn views() -> Views {
    let mut views = Views::new("FR".parse().unwrap());
    let mut entries = case();
    let mut notice = header("GS.lena-1-N-2", Kind::Notice);
    notice.refers_to = Some("BR-1-N-1".parse().unwrap());
    let facts = pb::JournalFacts { requester: "PT".into(), ..about("2010/8") };
    entries.push(arrived(2, &notice, facts));
    entries.push(arrived(5, &header("BR-1-U-9", Kind::Request), about("2010/8")));
    for (position, entry) in (1..).zip(&entries) {
        views.apply(position, entry).unwrap();
    }
    views
}

fn officer() -> Identity {
    "spiffe://i247.test/ncb/fr/officer/duty".parse().unwrap()
}

fn prepared(draft: pb::Draft) -> Result<Header, Refusal> {
    let views = views();
    let desk = Desk { me: "FR".parse().unwrap(), now: NOW, views: &views, notes: Vec::new() };
    let numberless = prepare(draft, &officer(), &desk, [7; 16])?;
    Ok(Header::try_from(numberless.accepted.header.unwrap()).unwrap())
}

fn refused(draft: pb::Draft) -> (Reason, Vec<String>) {
    let refusal = prepared(draft).unwrap_err();
    assert!(!refusal.next_step.is_empty());
    (refusal.reason, refusal.fields)
}

fn countries(codes: &[&str]) -> Option<pb::Audience> {
    let countries = codes.iter().map(|code| (*code).to_owned()).collect();
    Some(pb::Audience { countries, ..Default::default() })
}

fn body(form: pb::body::Form) -> Option<pb::Body> {
    Some(pb::Body {
        subject: "A subject".into(),
        language: "EN".into(),
        form: Some(form),
        ..Default::default()
    })
}

fn request() -> pb::Draft {
    let form = pb::body::Form::Request(pb::Request {
        subject: Some(pb::Identity { family_name: "MARLOWE".into(), ..Default::default() }),
        questions: vec![pb::Question::Record.into()],
        reason: "seen in your region".into(),
        crime_area: "FINANCIAL".into(),
        ..Default::default()
    });
    pb::Draft {
        kind: pb::Kind::Request.into(),
        lane: pb::Lane::Urgent.into(),
        audience: countries(&["JP", "BR", "JP"]),
        body: body(form),
        ..Default::default()
    }
}

fn reply() -> pb::Draft {
    let form =
        pb::body::Form::Reply(pb::Reply { outcome: pb::Outcome::Negative.into(), ..Default::default() });
    pb::Draft {
        kind: pb::Kind::Reply.into(),
        refers_to: "BR-1-U-9".into(),
        body: body(form),
        ..Default::default()
    }
}

fn located() -> pb::Draft {
    let form = pb::body::Form::PersonLocated(pb::PersonLocated {
        notice_id: "2010/8".into(),
        certainty: pb::Certainty::Possible.into(),
        place: "Split".into(),
        found_at_ms: 7,
        ..Default::default()
    });
    pb::Draft {
        kind: pb::Kind::PersonLocated.into(),
        refers_to: "GS.lena-1-N-2".into(),
        body: body(form),
        ..Default::default()
    }
}

#[test]
fn a_request_gets_its_deadline_from_its_lane_and_its_list_in_order() {
    let header = prepared(request()).unwrap();
    assert_eq!(header.reply_by, Some(NOW.plus(std::time::Duration::from_secs(12 * 3600))));
    assert_eq!(header.audience, Audience::countries(["BR".parse().unwrap(), "JP".parse().unwrap()]));
    assert_eq!((header.id.lane, header.seat.unwrap().as_str()), (Lane::Urgent, "duty"));
}

#[test]
fn deadlines_are_an_hour_twelve_hours_and_ten_days() {
    let hours = |lane| reply_time(lane).as_secs() / 3600;
    assert_eq!([Lane::VeryUrgent, Lane::Urgent, Lane::Normal].map(hours), [1, 12, 240]);
}

#[test]
fn a_reply_goes_to_the_asker_in_the_lane_of_the_request_and_quotes_its_reference() {
    let views = views();
    let desk = Desk { me: "FR".parse().unwrap(), now: NOW, views: &views, notes: Vec::new() };
    let numberless = prepare(reply(), &officer(), &desk, [7; 16]).unwrap();
    let header = Header::try_from(numberless.accepted.header.unwrap()).unwrap();
    assert_eq!(header.audience, Audience::countries(["BR".parse().unwrap()]));
    assert_eq!((header.id.lane, header.reply_stage), (Lane::Urgent, Some(i247_model::ReplyStage::Final)));
    let carried = i247_trust::open_carried(&numberless.body, &header).unwrap();
    assert_eq!(carried.your_ref, "PA-1");
}

#[test]
fn a_report_goes_to_the_owner_of_the_notice_with_a_copy_to_the_secretariat() {
    let header = prepared(located()).unwrap();
    let owner = Audience::countries(["PT".parse().unwrap()]).copies([Party::Secretariat]);
    assert_eq!(header.audience, owner);
}

#[test]
fn a_unique_prefix_names_the_reference() {
    let header = prepared(pb::Draft { refers_to: "GS".into(), ..located() });
    // Two messages of the reviewer are here.
    assert_eq!(header.unwrap_err().reason, Reason::UnknownReference);
    let header = prepared(pb::Draft { refers_to: "GS.lena-1-N-2".into(), ..located() }).unwrap();
    assert_eq!(header.refers_to.unwrap().to_string(), "GS.lena-1-N-2");
}

#[test]
fn a_kind_that_is_not_a_desks_is_refused() {
    for kind in [pb::Kind::Notice, pb::Kind::Reminder, pb::Kind::NewEpoch] {
        let draft = pb::Draft { kind: kind.into(), ..request() };
        assert_eq!(refused(draft), (Reason::KindNotAllowed, vec!["draft.kind".into()]));
    }
}

#[test]
fn every_missing_field_is_named_at_once() {
    let form = pb::body::Form::Request(pb::Request::default());
    let (reason, fields) = refused(pb::Draft { body: body(form), ..request() });
    assert_eq!(reason, Reason::MissingData);
    assert!(fields.len() >= 3, "{fields:?}");
}

#[test]
fn nobody_addressed_is_refused_where_the_kind_does_not_say_who() {
    let draft = pb::Draft { audience: None, ..request() };
    assert_eq!(refused(draft), (Reason::BadAudience, vec!["draft.audience".into()]));
}

#[test]
fn a_reply_to_what_is_no_request_is_refused() {
    let wrong = (Reason::WrongReference, vec!["draft.refers_to".to_owned()]);
    assert_eq!(refused(pb::Draft { refers_to: "GS.lena-1-N-2".into(), ..reply() }), wrong);
    let missing = (Reason::MissingData, vec!["draft.refers_to".to_owned()]);
    assert_eq!(refused(pb::Draft { refers_to: String::new(), ..reply() }), missing);
}

#[test]
fn the_explanation_that_the_officer_saw_goes_into_the_header() {
    let header = prepared(pb::Draft { explained_at: 881, exactly: true, ..request() }).unwrap();
    assert_eq!((header.explained_at, header.exactly), (Some(881), true));
    let alone = pb::Draft { exactly: true, ..request() };
    assert_eq!(refused(alone), (Reason::WrongField, vec!["explained_at".to_owned()]));
}

#[test]
fn times_in_the_past_are_refused() {
    let wrong = |field: &str| (Reason::WrongField, vec![field.to_owned()]);
    assert_eq!(refused(pb::Draft { reply_by_ms: 999_999, ..request() }), wrong("draft.reply_by_ms"));
    assert_eq!(refused(pb::Draft { expires_at_ms: 1, ..request() }), wrong("draft.expires_at_ms"));
}

#[test]
fn an_attachment_that_is_not_here_is_refused() {
    let views = views();
    let desk = Desk { me: "FR".parse().unwrap(), now: NOW, views: &views, notes: vec![None] };
    let draft = pb::Draft { attachments: vec![Bytes::from_static(&[1; 32])], ..request() };
    let refusal = prepare(draft, &officer(), &desk, [7; 16]).unwrap_err();
    assert_eq!(refusal.reason, Reason::AttachmentMissing);
}

#[test]
fn the_national_systems_keys_are_its_own() {
    let draft = pb::Draft { idempotency_key: "auto:BR-1-U-9:final".into(), ..request() };
    assert_eq!(refused(draft), (Reason::WrongField, vec!["draft.idempotency_key".into()]));
}

#[test]
fn the_message_that_begins_an_epoch_is_a_good_header() {
    let opening = |reason: &str| new_epoch("FR".parse().unwrap(), 2, reason, &officer(), [1; 16]);
    let (accepted, _) = opening("disk replaced").unwrap();
    assert_eq!(opening("disk\nreplaced").unwrap_err().fields, ["new_epoch.reason"]);
    let mut header = accepted.header.unwrap();
    header.key_id = Bytes::from_static(&[1; 32]);
    header.signed_at_ms = 5;
    let header = Header::try_from(header).unwrap();
    assert_eq!(header.id.to_string(), "FR-2-V-1");
    assert_eq!(header.kind, Kind::NewEpoch);
}

#[test]
fn a_draft_handed_in_again_is_the_same_whenever_it_is_and_another_one_is_not() {
    let contents = [Some(Hash([5; 32]))];
    let draft = || pb::Draft {
        idempotency_key: "case 17".into(),
        attachments: vec![Bytes::from_static(&[1; 32])],
        ..request()
    };
    let first = digest(&draft(), &contents).unwrap();
    // Handed in again later, explained anew, and with its attachment stored anew.
    let again = pb::Draft {
        reply_by_ms: 99,
        expires_at_ms: 98,
        explained_at: 7,
        attachments: vec![Bytes::from_static(&[2; 32])],
        ..draft()
    };
    assert_eq!(digest(&again, &contents), Some(first));
    let mut other = draft();
    other.body.as_mut().unwrap().subject = "Another subject".into();
    let wider = pb::Draft { audience: countries(&["JP", "BR", "DE"]), ..draft() };
    for another in [other, wider, pb::Draft { lane: pb::Lane::Normal.into(), ..draft() }] {
        assert_ne!(digest(&another, &contents).unwrap(), first);
    }
    assert_ne!(digest(&draft(), &[Some(Hash([6; 32]))]).unwrap(), first);
    for key in ["", "auto:BR-1-U-9:final"] {
        assert_eq!(digest(&pb::Draft { idempotency_key: key.into(), ..draft() }, &contents), None);
    }
}

#[test]
fn a_void_is_a_message_that_the_hub_can_take() {
    let why = Refusal::of(Reason::AttachmentMissing, "attachments");
    let (voided, carried) = void(&"FR-1-N-4".parse().unwrap(), "attachment 1f is damaged", &why, [1; 16]);
    let mut header = voided.header.unwrap();
    header.key_id = Bytes::from_static(&[1; 32]);
    header.previous = Bytes::from_static(&[2; 32]);
    header.signed_at_ms = 5;
    let header = Header::try_from(header).unwrap();
    assert_eq!((header.id.to_string().as_str(), header.kind), ("FR-1-N-4", Kind::Void));
    let body = i247_trust::open_carried(&carried, &header).unwrap();
    i247_wire::check_body(Kind::Void, &body).unwrap();
    assert!(i247_wire::lift(Kind::Void, &body).unwrap().missing.is_empty());
}
