//! What follows from a request under each policy, by hand.

use super::*;
use crate::register::{Entry, Register};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn policy(red_notice: Measure) -> Policy {
    Policy { red_notice, objection: None }
}

fn objecting(to: &str) -> Policy {
    let requesters = [to.parse().unwrap()].into();
    Policy {
        objection: Some(Objection { requesters, ground: "article 3".into() }),
        ..policy(Measure::ArrestBasis)
    }
}

fn asked() -> Asked {
    Asked {
        id: "FR-1-U-7".parse().unwrap(),
        operation: "infra-red-2010".into(),
        their_ref: "PA-12".into(),
        request: pb::Request {
            questions: vec![pb::Question::EntryExit.into(), pb::Question::Record.into()],
            notice_id: "2010/4711".into(),
            ..Default::default()
        },
    }
}

fn notice(red: bool) -> KnownNotice {
    KnownNotice {
        id: "GS.lena-1-N-3".parse().unwrap(),
        notice_id: "2010/4711".into(),
        requester: "PT".parse().unwrap(),
        red,
        operation: "infra-red-2010".into(),
    }
}

fn entry(place: &str) -> Entry {
    Entry {
        family_name: "MARLOWE".into(),
        forename: "TESSA".into(),
        date_of_birth: "1987-03-22".into(),
        sex: "F".into(),
        nationalities: Vec::new(),
        files: vec!["ENTRY_EXIT".into()],
        place: place.into(),
        note: "entered by road".into(),
    }
}

/// The drafts as `kind stage`, in their order.
fn follows(
    policy: &Policy,
    likeness: Option<Likeness>,
    place: &str,
    notice: Option<&KnownNotice>,
) -> Vec<String> {
    let entry = entry(place);
    let matches: Vec<Match<'_>> =
        likeness.map(|likeness| Match { likeness, entry: &entry }).into_iter().collect();
    answer(policy, &asked(), &matches, notice, NOW).iter().map(said).collect()
}

fn said(draft: &pb::Draft) -> String {
    use pb::body::Form;
    match draft.body.as_ref().and_then(|body| body.form.as_ref()).unwrap() {
        Form::Reply(reply) => format!("{:?} {:?}", draft.reply_stage(), reply.outcome()),
        Form::PersonLocated(located) => format!("Located {:?}", located.certainty()),
        Form::ArrestReport(_) => "Arrest".into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_found_is_answered_once_and_for_all() {
    let notice = notice(true);
    assert_eq!(follows(&policy(Measure::ArrestBasis), None, "", Some(&notice)), ["Final Negative"]);
}

#[test]
fn a_certain_match_leads_as_far_as_the_law_goes() {
    let notice = notice(true);
    let located = ["Interim Pending", "Final Positive", "Located Positive"];
    for measure in [Measure::WarrantFirst, Measure::LocateOnly, Measure::ImmigrationOnly] {
        assert_eq!(follows(&policy(measure), Some(Likeness::Certain), "Split", Some(&notice)), located);
    }
    assert_eq!(
        follows(&policy(Measure::ArrestBasis), Some(Likeness::Certain), "Split", Some(&notice)),
        ["Interim Pending", "Final Positive", "Located Positive", "Arrest"]
    );
}

#[test]
fn a_possible_match_is_never_arrested() {
    let notice = notice(true);
    assert_eq!(
        follows(&policy(Measure::ArrestBasis), Some(Likeness::Possible), "Split", Some(&notice)),
        ["Interim Pending", "Final Partial", "Located Possible"]
    );
}

#[test]
fn without_a_red_notice_or_a_place_there_are_findings_only() {
    let arrest = policy(Measure::ArrestBasis);
    let findings = ["Interim Pending", "Final Positive"];
    assert_eq!(follows(&arrest, Some(Likeness::Certain), "Split", None), findings);
    assert_eq!(follows(&arrest, Some(Likeness::Certain), "Split", Some(&notice(false))), findings);
    assert_eq!(follows(&arrest, Some(Likeness::Certain), "", Some(&notice(true))), findings);
}

#[test]
fn an_objection_is_a_refusal_and_nothing_else() {
    let notice = notice(true);
    assert_eq!(
        follows(&objecting("PT"), Some(Likeness::Certain), "Split", Some(&notice)),
        ["Refusal Refused"]
    );
    assert_eq!(follows(&objecting("BR"), None, "", Some(&notice)), ["Final Negative"]);
}

#[test]
fn replies_go_to_the_asker_and_reports_to_the_owner_with_a_copy_to_the_secretariat() {
    let entry = entry("Split");
    let matches = [Match { likeness: Likeness::Certain, entry: &entry }];
    let drafts = answer(&policy(Measure::ArrestBasis), &asked(), &matches, Some(&notice(true)), NOW);
    let to: Vec<Vec<String>> = drafts.iter().map(|draft| draft.audience.clone().unwrap().countries).collect();
    assert_eq!(to, [["FR"], ["FR"], ["PT"], ["PT"]]);
    assert_eq!(drafts[2].audience.clone().unwrap().copies, ["IPSG"]);
    let refers: Vec<&str> = drafts.iter().map(|draft| draft.refers_to.as_str()).collect();
    assert_eq!(refers, ["FR-1-U-7", "FR-1-U-7", "GS.lena-1-N-3", "GS.lena-1-N-3"]);
    let keys: Vec<&str> = drafts.iter().map(|draft| draft.idempotency_key.as_str()).collect();
    assert_eq!(
        keys,
        ["auto:FR-1-U-7:interim", "auto:FR-1-U-7:final", "auto:FR-1-U-7:located", "auto:FR-1-U-7:arrest"]
    );
    assert!(drafts.iter().all(|draft| draft.lane() == pb::Lane::Urgent));
}

#[test]
fn a_reply_names_the_files_that_hold_the_answer() {
    let draft = answer(&policy(Measure::LocateOnly), &asked(), &[], None, NOW).remove(0);
    let body = draft.body.unwrap();
    assert_eq!(body.your_ref, "PA-12");
    let Some(pb::body::Form::Reply(reply)) = body.form else { panic!("a reply") };
    assert_eq!(reply.files_searched, ["CRIMINAL_RECORDS", "ENTRY_EXIT"]);
}

#[test]
fn every_red_notice_gets_a_decision_and_no_other() {
    let draft = decide_notice(&objecting("PT"), &notice(true)).unwrap();
    let Some(pb::body::Form::NationalDecision(decision)) = draft.body.unwrap().form else {
        panic!("a decision")
    };
    assert_eq!(decision.measure(), pb::NationalPolicy::ArrestBasis);
    assert_eq!(decision.objection, "article 3");
    assert_eq!(draft.idempotency_key, "auto:GS.lena-1-N-3:decision");
    assert_eq!(decide_notice(&objecting("PT"), &notice(false)), None);
}

#[test]
fn only_those_who_are_addressed_owe_an_answer() {
    let (fr, asker) = ("FR".parse().unwrap(), "BR".parse().unwrap());
    let of = |countries: &[&str], copies: &[&str]| pb::Audience {
        countries: countries.iter().map(|code| (*code).to_owned()).collect(),
        copies: copies.iter().map(|code| (*code).to_owned()).collect(),
        ..Default::default()
    };
    assert!(owes_answer(fr, &asker, &of(&["FR", "JP"], &[])));
    assert!(!owes_answer(fr, &asker, &of(&["JP"], &["FR"])));
    assert!(owes_answer(fr, &asker, &pb::Audience { all: true, ..Default::default() }));
    assert!(!owes_answer(fr, &"FR.cdg".parse().unwrap(), &of(&["FR"], &[])));
}

#[test]
fn every_automatic_draft_has_its_minimum_data() {
    let entry = entry("Split");
    let matches = [Match { likeness: Likeness::Certain, entry: &entry }];
    let mut drafts = answer(&policy(Measure::ArrestBasis), &asked(), &matches, Some(&notice(true)), NOW);
    drafts.extend(answer(&objecting("PT"), &asked(), &matches, Some(&notice(true)), NOW));
    drafts.extend(decide_notice(&objecting("PT"), &notice(true)));
    assert_eq!(drafts.len(), 6);
    for draft in drafts {
        let kind: i247_model::Kind = i247_wire::known::<pb::Kind, _>(draft.kind, "kind").unwrap();
        let lifted = i247_wire::lift(kind, draft.body.as_ref().unwrap()).unwrap();
        assert_eq!(lifted.missing, Vec::<String>::new(), "{kind}");
    }
}

#[test]
fn the_same_register_gives_the_same_answer() {
    let line = r#"{"family_name":"MARLOWE","forename":"TESSA","date_of_birth":"1987-03-22","files":["ENTRY_EXIT"],"place":"Split"}"#;
    let register = Register::parse(line).unwrap();
    let subject = pb::Identity {
        family_name: "Marlowe".into(),
        forename: "Tessa".into(),
        date_of_birth: "1987-03-22".into(),
        ..Default::default()
    };
    let drafts = || {
        let matches = register.search(&subject);
        answer(&policy(Measure::ArrestBasis), &asked(), &matches, Some(&notice(true)), NOW)
    };
    assert_eq!(drafts().len(), 4);
    assert_eq!(drafts(), drafts());
}
