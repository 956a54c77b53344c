//! Command lines and the drafts that they become.

use clap::Parser as _;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(subcommand)]
    message: Message,
}

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn composed(words: &[&str], read: &Read) -> Result<pb::Draft, Fail> {
    let line = Line::try_parse_from(["i247"].iter().chain(words)).unwrap_or_else(|error| panic!("{error}"));
    compose(&line.message, read)
}

fn at_now() -> Read {
    Read { now: NOW, ..Read::default() }
}

fn shown(kind: pb::Kind, form: pb::body::Form) -> Read {
    let header = pb::Header { kind: kind.into(), ..Default::default() };
    let body = pb::Body { form: Some(form), ..Default::default() };
    let shown = pb::ShowResponse { header: Some(header), body: Some(body), ..Default::default() };
    Read { referred: Some(shown), ..at_now() }
}

#[test]
fn a_request_says_who_what_and_until_when() {
    let words = [
        "ask",
        "br,JP,europe",
        "--about",
        "wanted for fraud",
        "--name",
        "Marlowe, Tessa",
        "--born",
        "1987-03-22",
        "--notice",
        "2010/1",
        "--within",
        "12h",
        "--lane",
        "urgent",
        "--except",
        "CH",
        "--copy",
        "ipsg",
        "--question",
        "record,entry-exit",
        "--operation",
        "infra-red-2010",
    ];
    let draft = composed(&words, &at_now()).unwrap();
    assert_eq!(draft.kind(), pb::Kind::Request);
    assert_eq!(draft.lane(), pb::Lane::Urgent);
    assert_eq!(draft.reply_by_ms, 1_000 + 12 * 3_600_000);
    assert_eq!(draft.operation, "infra-red-2010");
    let audience = draft.audience.unwrap();
    assert_eq!(audience.countries, ["BR", "JP"]);
    assert_eq!(audience.regions, ["Europe"]);
    assert_eq!(audience.except, ["CH"]);
    assert_eq!(audience.copies, ["IPSG"]);
    let body = draft.body.unwrap();
    assert_eq!((body.subject.as_str(), body.language.as_str()), ("wanted for fraud", "EN"));
    let Some(pb::body::Form::Request(request)) = body.form else { panic!() };
    let subject = request.subject.unwrap();
    assert_eq!((subject.family_name.as_str(), subject.forename.as_str()), ("Marlowe", "Tessa"));
    assert_eq!(request.questions, [pb::Question::Record as i32, pb::Question::EntryExit as i32]);
}

#[test]
fn without_a_deadline_the_desk_sets_the_lanes() {
    let draft = composed(&["ask", "BR", "--about", "car"], &at_now()).unwrap();
    assert_eq!((draft.reply_by_ms, draft.lane()), (0, pb::Lane::Unspecified));
    let Some(pb::body::Form::Request(request)) = draft.body.unwrap().form else { panic!() };
    assert_eq!(request.subject, None);
}

#[test]
fn a_wrong_recipient_is_named_with_what_would_do() {
    for (to, what) in [
        ("BR,Atlantis", "recipient \"Atlantis\": two letters are expected, such as FR"),
        ("XX", "recipient \"XX\": XX is not a member country"),
        (",", "no recipient is named"),
    ] {
        let fail = composed(&["text", to, "hello"], &at_now()).unwrap_err();
        assert_eq!(fail.what, what);
        assert_eq!(fail.next, "name countries (FR,BR), regions (Europe), IPSG or all");
    }
}

#[test]
fn an_answer_says_its_stage_in_the_header_and_its_outcome_in_the_body() {
    for (words, outcome, stage) in [
        (vec!["--positive", "seen"], pb::Outcome::Positive, pb::ReplyStage::Final),
        (vec!["--negative"], pb::Outcome::Negative, pb::ReplyStage::Final),
        (vec!["--partial"], pb::Outcome::Partial, pb::ReplyStage::Final),
        (vec!["--interim", "--expected", "1h"], pb::Outcome::Pending, pb::ReplyStage::Interim),
        (vec!["--refuse", "national interest"], pb::Outcome::Refused, pb::ReplyStage::Refusal),
    ] {
        let words: Vec<&str> = ["reply", "BR-1-U-3"].into_iter().chain(words).collect();
        let draft = composed(&words, &at_now()).unwrap();
        assert_eq!(draft.reply_stage(), stage);
        assert_eq!((draft.refers_to.as_str(), draft.audience), ("BR-1-U-3", None));
        let Some(pb::body::Form::Reply(reply)) = draft.body.unwrap().form else { panic!() };
        assert_eq!(reply.outcome(), outcome);
        assert_eq!(reply.findings.len(), usize::from(outcome == pb::Outcome::Positive));
        assert_eq!(reply.expected_at_ms, if stage == pb::ReplyStage::Interim { 3_601_000 } else { 0 });
        assert_eq!(reply.ground.is_empty(), stage != pb::ReplyStage::Refusal);
    }
}

#[test]
fn what_is_withdrawn_decides_how() {
    let words = ["withdraw", "FR-1-N-1", "--reason", "found"];
    let diffusion = shown(pb::Kind::Diffusion, pb::body::Form::Diffusion(pb::Diffusion::default()));
    assert_eq!(composed(&words, &diffusion).unwrap().kind(), pb::Kind::Withdrawal);
    let notice = shown(pb::Kind::NoticeRequest, pb::body::Form::NoticeRequest(pb::NoticeRequest::default()));
    assert_eq!(composed(&words, &notice).unwrap().kind(), pb::Kind::Cancellation);
    let other = shown(pb::Kind::Request, pb::body::Form::Request(pb::Request::default()));
    let fail = composed(&words, &other).unwrap_err();
    assert_eq!(fail.what, "FR-1-N-1 is a request; only diffusions and notices are withdrawn");
}

#[test]
fn a_report_takes_the_number_of_the_notice_that_it_is_about() {
    let notice = pb::Notice { notice_id: "2010/7".into(), ..Default::default() };
    let read = shown(pb::Kind::Notice, pb::body::Form::Notice(notice));
    let draft = composed(&["locate", "GS.lena-1-N-1", "--place", "Split", "--possibly"], &read).unwrap();
    let Some(pb::body::Form::PersonLocated(located)) = draft.body.unwrap().form else { panic!() };
    assert_eq!((located.notice_id.as_str(), located.certainty()), ("2010/7", pb::Certainty::Possible));
    let words = ["arrest", "GS.lena-1-N-1", "--place", "Split", "--identity-proof", "prints"];
    let draft = composed(&words, &read).unwrap();
    let Some(pb::body::Form::ArrestReport(report)) = draft.body.unwrap().form else { panic!() };
    assert_eq!(report.papers_due_by_ms, 1_000 + 40 * 86_400_000);
    assert!(composed(&words, &at_now()).unwrap_err().what.contains("is not a notice"));
}

#[test]
fn a_subject_line_is_cut_between_characters() {
    let text = "é".repeat(100);
    assert_eq!(shortened(&text), "é".repeat(60));
}

#[test]
fn what_was_explained_can_be_held_to() {
    let draft = composed(&["text", "all", "hello", "--explained-at", "31", "--exactly"], &at_now()).unwrap();
    assert_eq!((draft.explained_at, draft.exactly), (31, true));
    let without = Line::try_parse_from(["i247", "text", "all", "hello", "--exactly"]);
    assert!(without.unwrap_err().to_string().contains("--explained-at"));
}

#[test]
fn a_restriction_names_whom_it_bars_or_nobody() {
    for (words, barred) in [(["restrict", "ch,SN"], vec!["CH", "SN"]), (["restrict", "--none"], vec![])] {
        let draft = composed(&words, &at_now()).unwrap();
        assert_eq!(draft.kind(), pb::Kind::Restriction);
        let Some(pb::body::Form::Restriction(restriction)) = draft.body.unwrap().form else { panic!() };
        assert_eq!(restriction.except, barred);
    }
    assert!(Line::try_parse_from(["i247", "restrict"]).is_err());
}
