//! What the officers write: a planned case as the forms of the network. Pure.

use std::collections::BTreeSet;

use bytes::Bytes;
use i247_client::{Examined, pb};
use i247_model::{CountryCode, Hash, MessageId, Timestamp, member};

use crate::plan::{PlannedCase, Rehearsal, Script};

/// The lane of everything in the operation. Notices and requests share it, so that a request never
/// reaches a country before the notice that it is about.
const LANE: pb::Lane = pb::Lane::Urgent;

/// The picture's name and type, as the bureau keeps it beside the bytes.
pub(crate) fn picture_note(case: &PlannedCase) -> pb::AttachmentNote {
    pb::AttachmentNote {
        name: format!("{}.png", case.our_ref),
        media_type: "image/png".into(),
        size_bytes: case.picture.len() as u64,
    }
}

/// The request for a Red Notice that opens a case.
pub(crate) fn notice_request(script: &Script, case: &PlannedCase, picture: Hash) -> pb::Draft {
    let country = country_name(case.owner);
    let charge = case.charge;
    let red = pb::RedForm {
        identity: Some(pb::Identity { photograph: true, ..identity(case) }),
        facts: format!("{} {}. Invented for a simulation.", case.person.family_name, charge.facts),
        charges: vec![charge.name.into()],
        laws: vec![format!("Criminal code of {country}, invented article {}", 100 + case.number % 300)],
        max_penalty_months: if charge.convicted { 0 } else { charge.months },
        sentence_months: if charge.convicted { charge.months } else { 0 },
        warrant: Some(pb::Warrant {
            authority: format!("Criminal court of {country}"),
            reference: format!("W-{:05}", case.number),
            date: case.warrant_date.clone(),
            judicial: true,
        }),
        extradition_undertaking: true,
    };
    let status = if charge.convicted { pb::PersonStatus::Convicted } else { pb::PersonStatus::Wanted };
    let form = pb::NoticeForm {
        person_status: status.into(),
        legal_basis: "RPD art. 82 to 87".into(),
        purpose: "locate and arrest with a view to extradition".into(),
        source_authority: format!("National Central Bureau of {country}"),
        publish_extract: false,
        form: Some(pb::notice_form::Form::Red(red)),
    };
    let request = pb::NoticeRequest { form: Some(form), except: Vec::new() };
    pb::Draft {
        kind: pb::Kind::NoticeRequest.into(),
        audience: Some(pb::Audience { secretariat: true, ..Default::default() }),
        body: Some(pb::Body {
            subject: format!("Red Notice request: {}", charge.name),
            our_ref: case.our_ref.clone(),
            language: "EN".into(),
            form: Some(pb::body::Form::NoticeRequest(request)),
            ..Default::default()
        }),
        attachments: vec![Bytes::copy_from_slice(picture.as_bytes())],
        ..operation_draft(script, &case.our_ref, "notice")
    }
}

/// One of a case's requests: "please check your records". `nth` counts from 0.
pub(crate) fn request(
    script: &Script,
    case: &PlannedCase,
    nth: usize,
    notice_id: &str,
    now: Timestamp,
) -> pb::Draft {
    let empty = BTreeSet::new();
    let asked = case.asked.get(nth).unwrap_or(&empty);
    let subject = if nth == 0 { "Search request" } else { "Follow-up request" };
    let questions = [pb::Question::Record, pb::Question::Address, pb::Question::EntryExit];
    let request = pb::Request {
        subject: Some(identity(case)),
        questions: questions.map(i32::from).into(),
        reason: format!("fugitive wanted for {}", case.charge.name),
        crime_area: "fugitives".into(),
        notice_id: notice_id.to_owned(),
    };
    pb::Draft {
        kind: pb::Kind::Request.into(),
        audience: Some(to(asked)),
        body: Some(pb::Body {
            subject: format!("{subject}: notice {notice_id}"),
            our_ref: case.our_ref.clone(),
            language: "EN".into(),
            form: Some(pb::body::Form::Request(request)),
            ..Default::default()
        }),
        reply_by_ms: now.plus(script.reply_within).as_millis(),
        ..operation_draft(script, &case.our_ref, &format!("request {nth}"))
    }
}

/// A request of the rehearsal, to one country.
pub(crate) fn rehearsal_request(
    script: &Script,
    rehearsal: &Rehearsal,
    what: &str,
    to_country: CountryCode,
    now: Timestamp,
) -> pb::Draft {
    let subject = pb::Identity {
        family_name: "Rehearsal".into(),
        description: "nobody: this request is played to be answered late, or never".into(),
        ..Default::default()
    };
    let request = pb::Request {
        subject: Some(subject),
        questions: vec![pb::Question::Other.into()],
        reason: "rehearsal of a reminder and an escalation".into(),
        ..Default::default()
    };
    pb::Draft {
        kind: pb::Kind::Request.into(),
        audience: Some(to(&BTreeSet::from([to_country]))),
        body: Some(pb::Body {
            subject: format!("Rehearsal: {what}"),
            language: "EN".into(),
            form: Some(pb::body::Form::Request(request)),
            ..Default::default()
        }),
        reply_by_ms: now.plus(rehearsal.reply_within).as_millis(),
        operation: rehearsal.operation.clone(),
        ..operation_draft(script, what, "rehearsal")
    }
}

/// The answer that an officer gives by hand after the reminder.
pub(crate) fn late_reply(script: &Script, rehearsal: &Rehearsal, request: &MessageId) -> pb::Draft {
    let reply = pb::Reply {
        outcome: pb::Outcome::Negative.into(),
        files_searched: vec!["NATIONAL_REGISTER".into()],
        ..Default::default()
    };
    pb::Draft {
        kind: pb::Kind::Reply.into(),
        body: Some(pb::Body {
            subject: "Answer after your reminder".into(),
            language: "EN".into(),
            form: Some(pb::body::Form::Reply(reply)),
            ..Default::default()
        }),
        refers_to: request.to_string(),
        reply_stage: pb::ReplyStage::Final.into(),
        operation: rehearsal.operation.clone(),
        ..operation_draft(script, "late", "rehearsal reply")
    }
}

/// What a reviewer looks at beyond the minimum data that the hub insists on: why a request for a Red
/// Notice cannot be approved.
pub(crate) fn objection(examined: &Examined) -> Option<&'static str> {
    let Some(pb::notice_form::Form::Red(red)) = &examined.form.form else {
        return Some("the operation works Red Notices only");
    };
    let lacking = i247_wire::missing_data(&examined.form);
    if !lacking.is_empty() {
        return Some("minimum data is missing");
    }
    if !red.warrant.as_ref().is_some_and(|warrant| warrant.judicial) {
        return Some("the warrant is not a judicial decision");
    }
    None
}

fn operation_draft(script: &Script, about: &str, what: &str) -> pb::Draft {
    pb::Draft {
        lane: LANE.into(),
        operation: script.operation.clone(),
        // The same draft of the same run is one message, however often it is handed in.
        idempotency_key: format!("{}/{}/{about}/{what}", script.operation, script.seed),
        ..Default::default()
    }
}

fn identity(case: &PlannedCase) -> pb::Identity {
    let person = &case.person;
    let sex = if person.female { pb::Sex::Female } else { pb::Sex::Male };
    pb::Identity {
        family_name: person.family_name.clone(),
        forename: person.forename.clone(),
        sex: sex.into(),
        date_of_birth: person.date_of_birth.clone(),
        nationalities: vec![person.nationality.to_string()],
        description: "invented person".into(),
        ..Default::default()
    }
}

fn to(countries: &BTreeSet<CountryCode>) -> pb::Audience {
    let countries = countries.iter().map(CountryCode::to_string).collect();
    pb::Audience { countries, ..Default::default() }
}

fn country_name(code: CountryCode) -> &'static str {
    member(code).map_or("an unknown country", |member| member.name)
}

#[cfg(test)]
mod tests {
    use i247_model::Kind;

    use super::*;
    use crate::{Plan, Scenario};

    const NOW: Timestamp = Timestamp::from_millis(1_280_000_000_000);

    fn script() -> Script {
        Plan::draw(&Scenario::named("infra-red-2010").unwrap(), 2010).unwrap().script
    }

    #[test]
    fn every_draft_of_the_operation_has_its_minimum_data() {
        let script = script();
        for case in &script.cases {
            let mut drafts = vec![notice_request(&script, case, Hash([7; 32]))];
            drafts.extend((0..case.asked.len()).map(|nth| request(&script, case, nth, "2010/1", NOW)));
            for draft in drafts {
                let kind = Kind::try_from(draft.kind()).unwrap();
                let body = draft.body.unwrap();
                assert!(body.subject.len() <= 200);
                let lifted = i247_wire::lift(kind, &body).unwrap();
                assert_eq!(lifted.missing, Vec::<String>::new(), "{}", case.our_ref);
            }
        }
    }

    #[test]
    fn no_two_drafts_share_a_key() {
        let script = script();
        let mut keys = BTreeSet::new();
        let mut all = 0;
        for case in &script.cases {
            keys.insert(notice_request(&script, case, Hash([7; 32])).idempotency_key);
            keys.extend(
                (0..case.asked.len()).map(|nth| request(&script, case, nth, "2010/1", NOW).idempotency_key),
            );
            all += 1 + case.asked.len();
        }
        let rehearsal = &script.rehearsal;
        for (what, country) in [("late", rehearsal.late), ("silent", rehearsal.silent)] {
            keys.insert(rehearsal_request(&script, rehearsal, what, country, NOW).idempotency_key);
        }
        let request = "FR-1-U-1".parse().unwrap();
        keys.insert(late_reply(&script, rehearsal, &request).idempotency_key);
        assert_eq!(all, 447 + 700);
        assert_eq!(keys.len(), all + 3);
        assert!(keys.iter().all(|key| key.len() <= 128 && !key.starts_with("auto:")));
    }

    #[test]
    fn the_rehearsal_has_its_minimum_data_and_stays_out_of_the_operation() {
        let script = script();
        let draft = rehearsal_request(&script, &script.rehearsal, "late", script.rehearsal.late, NOW);
        assert_eq!(draft.operation, "infra-red-2010-rehearsal");
        assert_eq!(draft.reply_by_ms, NOW.as_millis() + 1_000);
        let body = draft.body.unwrap();
        assert!(i247_wire::lift(Kind::Request, &body).unwrap().missing.is_empty());
        let reply = late_reply(&script, &script.rehearsal, &"FR-1-U-1".parse().unwrap());
        assert!(i247_wire::lift(Kind::Reply, &reply.body.unwrap()).unwrap().missing.is_empty());
    }
}
