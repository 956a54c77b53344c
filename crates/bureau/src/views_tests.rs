//! The views, entry by entry.

use i247_model::Header;

use super::*;
use crate::inbox::Mark;
use crate::outbox::LaneEnds;
use crate::story::{
    about, accepted, accepted_by_hub, answered, arrived, case, entry, header, sealed, voided,
};

fn built(entries: &[pb::JournalEntry]) -> Views {
    let mut views = Views::new("FR".parse().unwrap());
    for (position, entry) in (1..).zip(entries) {
        views.apply(position, entry).unwrap();
    }
    views
}

fn the_case(views: &Views) -> pb::Case {
    views.cases.page("op-1", None, 10).remove(0)
}

#[test]
fn views_rebuilt_from_the_same_entries_are_the_same() {
    let entries = case();
    let (once, again) = (built(&entries), built(&entries));
    assert_eq!(once, again);
    assert_eq!(once.digest(), again.digest());
    assert_ne!(once.digest(), built(&entries[..entries.len() - 1]).digest());
}

#[test]
fn a_case_moves_on_signed_messages_only() {
    let entries = case();
    let states: Vec<Option<pb::CaseState>> = (1..=entries.len())
        .map(|end| built(&entries[..end]).cases.page("", None, 10).first().map(pb::Case::state))
        .collect();
    use pb::CaseState::{Arrested, PositivelyLocated, Selected, Worked};
    let (selected, worked) = (Some(Selected), Some(Worked));
    assert_eq!(
        states,
        [
            None,
            selected,
            selected,
            worked,
            worked,
            worked,
            worked,
            worked,
            worked,
            Some(PositivelyLocated),
            Some(Arrested),
            Some(Arrested)
        ]
    );
}

#[test]
fn a_case_counts_its_requests_replies_and_who_is_silent() {
    let case = the_case(&built(&case()));
    assert_eq!((case.requests_sent, case.replies_received, case.replies_owed), (1, 2, 1));
    assert_eq!(case.silent, ["JP"]);
    assert_eq!((case.request_id.as_str(), case.notice_id.as_str()), ("FR-1-N-1", "2010/7"));
    assert_eq!(
        (case.our_ref.as_str(), case.seat.as_str(), case.moved_by.as_str()),
        ("PA-1", "duty", "BR-1-U-4")
    );
}

#[test]
fn a_report_never_moves_a_case_back() {
    let mut entries = case();
    let possible = pb::JournalFacts { certainty: pb::Certainty::Possible.into(), ..about("2010/7") };
    let mut late = header("JP-1-U-1", Kind::PersonLocated);
    late.refers_to = Some("GS.lena-1-N-2".parse().unwrap());
    entries.push(arrived(5, &late, possible));
    assert_eq!(the_case(&built(&entries)).state(), pb::CaseState::Arrested);
}

#[test]
fn a_refused_request_ends_its_case() {
    let mut entries = case();
    entries.truncate(3);
    let mut decision = header("GS.lena-1-N-1", Kind::ReviewDecision);
    decision.refers_to = Some("FR-1-N-1".parse().unwrap());
    let refused = pb::JournalFacts { verdict: pb::ReviewVerdict::Refused.into(), ..about("") };
    entries.push(arrived(1, &decision, refused));
    assert_eq!(the_case(&built(&entries)).state(), pb::CaseState::Refused);
}

#[test]
fn what_officers_did_is_kept_in_order_and_once() {
    let mut entries = case();
    let marked = entries.last().unwrap().clone();
    entries.push(marked);
    let views = built(&entries);
    let mark = |actioned| Mark { lane: Lane::Urgent, number: 3, actioned };
    assert_eq!(views.inbox.marks(), [mark(false), mark(true)]);
    assert_eq!((views.inbox.all().len(), views.inbox.unopened()), (5, 4));
}

#[test]
fn the_hubs_word_is_remembered() {
    let views = built(&case());
    assert_eq!((views.outbox.log_id.as_slice(), views.outbox.log_end_seen), (b"log".as_slice(), 12));
    assert_eq!(views.outbox.waiting(), 0);
    assert_eq!(views.outbox.open(None, 10).len(), 2);
    let key = |officer: &str| Some(views.key(&(officer.into(), "case-7".into()))?.id.to_string());
    assert_eq!(key("spiffe://i247.test/ncb/fr/officer/duty").as_deref(), Some("FR-1-N-1"));
    assert_eq!(key("spiffe://i247.test/ncb/fr/officer/night"), None);
}

#[test]
fn who_came_and_who_went_is_remembered_from_the_hubs_receipt() {
    let words = header("FR-1-N-1", Kind::FreeText);
    let acceptance = pb::Acceptance {
        id: words.id.to_string(),
        position: 12,
        come: vec!["DE".into()],
        gone: vec!["BR".into(), "US".into()],
        ..Default::default()
    };
    let entries = [accepted(&words, about(""), ""), sealed(&words), answered(&acceptance)];
    let SentState::Accepted(told) = built(&entries).outbox.get(&words.id).unwrap().state.clone() else {
        panic!("not accepted")
    };
    assert_eq!((told.position, told.come), (12, vec!["DE".parse().unwrap()]));
    assert_eq!(told.gone, ["BR".parse().unwrap(), "US".parse().unwrap()]);
    let garbled = pb::Acceptance { come: vec!["nobody".into()], ..acceptance };
    let mut views = Views::new("FR".parse().unwrap());
    let error = views.apply(3, &answered(&garbled)).unwrap_err();
    assert_eq!(error.what, "acceptance.come");
}

#[test]
fn a_new_epoch_gives_up_what_waits_and_numbers_begin_again() {
    let mut entries = case();
    let waiting = header("FR-1-N-2", Kind::FreeText);
    entries.push(accepted(&waiting, about(""), ""));
    entries.push(sealed(&waiting));
    let mailbox = vec![pb::MailboxEnd { lane: pb::Lane::Urgent.into(), received_up_to: 9 }];
    let epoch = pb::JournalEpoch { epoch: 2, mailbox, ..Default::default() };
    entries.push(entry(Event::Epoch(epoch)));
    let views = built(&entries);
    let given_up = &views.outbox.get(&waiting.id).unwrap().state;
    assert!(matches!(given_up, SentState::Refused(refusal) if refusal.reason == Reason::Behind));
    assert_eq!((views.outbox.epoch, views.outbox.lane(Lane::Normal).numbered), (2, 0));
    assert_eq!((views.inbox.up_to(Lane::Urgent), views.inbox.lost_up_to(Lane::Urgent)), (4, 9));
}

#[test]
fn what_the_hub_gives_back_waits_for_its_answer_and_is_not_asked_for_again() {
    let mut entries = case();
    let draft = header("FR-1-N-2", Kind::FreeText);
    entries.push(accepted(&draft, about(""), ""));
    let lost = vec![pb::LostLane { epoch: 1, lane: pb::Lane::Normal.into(), known_up_to: 1 }];
    entries.push(entry(Event::Epoch(pb::JournalEpoch { epoch: 2, lost, ..Default::default() })));
    let lost = |entries: &[pb::JournalEntry]| built(entries).outbox.lost().collect::<Vec<_>>();
    assert_eq!(lost(&entries), [((1, Lane::Normal), 1)]);
    // The lost data had used the number for another message.
    let given = Header { operation: Some("INFRA-RED".into()), ..header("FR-1-N-2", Kind::FreeText) };
    entries.extend([accepted(&given, about(""), ""), sealed(&given)]);
    let views = built(&entries);
    assert_eq!(lost(&entries), [((1, Lane::Normal), 2)]);
    let back = views.outbox.get(&given.id).unwrap();
    assert_eq!((&back.state, back.operation.as_str()), (&SentState::Waiting, "INFRA-RED"));
    assert_eq!((views.outbox.epoch_due(), views.outbox.due(1, Lane::Normal, 1)), (1, Some(&given.id)));
    // The draft is still there to be sent anew; the numbers of the present epoch are not touched.
    let place = views.outbox.place(&given.id).unwrap();
    let [draft, back] = &views.outbox.all()[place..] else { panic!("both, and nothing behind them") };
    assert!(matches!(draft.state, SentState::Refused(_)) && draft.id == given.id);
    assert_eq!(back.state, SentState::Waiting);
    assert_eq!(views.outbox.lane(Lane::Normal).numbered, 0);
    let end = pb::JournalGivenBack { id: String::new(), epoch: 1, lane: pb::Lane::Normal.into() };
    entries.push(entry(Event::GivenBack(end)));
    assert_eq!(lost(&entries), []);
}

#[test]
fn what_was_signed_before_the_loss_and_given_up_waits_again_once_the_hub_gives_it_back() {
    let mut entries = case();
    let signed = header("FR-1-N-2", Kind::FreeText);
    entries.extend([accepted(&signed, about(""), ""), sealed(&signed)]);
    entries.push(entry(Event::Epoch(pb::JournalEpoch { epoch: 2, ..Default::default() })));
    assert!(matches!(built(&entries).outbox.get(&signed.id).unwrap().state, SentState::Refused(_)));
    let lane = pb::Lane::Normal.into();
    entries.push(entry(Event::GivenBack(pb::JournalGivenBack { id: signed.id.to_string(), epoch: 1, lane })));
    let views = built(&entries);
    assert_eq!(views.outbox.get(&signed.id).unwrap().state, SentState::Waiting);
    assert!(views.outbox.unanswered().contains(&signed.id));
}

#[test]
fn a_notice_is_known_until_it_is_cancelled() {
    let facts =
        pb::JournalFacts { requester: "BR".into(), colour: pb::Colour::Red.into(), ..about("2010/8") };
    let mut notice = header("GS.lena-1-N-2", Kind::Notice);
    notice.refers_to = Some("BR-1-N-1".parse().unwrap());
    let mut entries = vec![arrived(1, &notice, facts)];
    let known = built(&entries).inbox.notice("2010/8").unwrap();
    assert!(known.red);
    assert_eq!((known.id, known.requester), (notice.id.clone(), "BR".parse().unwrap()));
    let mut end = header("BR-1-N-2", Kind::Cancellation);
    end.refers_to = Some(notice.id);
    entries.push(arrived(2, &end, about("2010/8")));
    assert_eq!(built(&entries).inbox.notice("2010/8"), None);
}

#[test]
fn an_unreadable_entry_is_named() {
    let mut views = Views::new("FR".parse().unwrap());
    let error = views.apply(3, &pb::JournalEntry::default()).unwrap_err();
    assert_eq!(error.to_string(), "journal entry 3 is not readable: event");
}

#[test]
fn only_who_was_asked_counts_among_the_replies() {
    let mut entries = case();
    let reply = |id: &str| Header {
        refers_to: "FR-1-U-1".parse().ok(),
        reply_stage: Some(i247_model::ReplyStage::Final),
        ..header(id, Kind::Reply)
    };
    entries.push(arrived(5, &reply("DE-1-U-1"), about("")));
    let case = the_case(&built(&entries));
    assert_eq!((case.replies_received, case.replies_owed, case.silent), (2, 1, vec!["JP".to_owned()]));

    // Whom a region means, the hub tells; it may do so after the first answer.
    let recipient = |party: &str| pb::RecipientStatus {
        party: party.into(),
        answer: pb::AnswerState::Awaited.into(),
        ..Default::default()
    };
    let recipients = ["BR", "DE", "JP"].map(recipient).into();
    let status = pb::MessageStatus { id: "FR-1-U-1".into(), recipients, ..Default::default() };
    entries.push(entry(Event::Heard(pb::JournalHeard { status: Some(status) })));
    let case = the_case(&built(&entries));
    assert_eq!((case.replies_received, case.replies_owed), (3, 1));
}

#[test]
fn a_void_takes_the_number_and_what_was_signed_behind_it_is_signed_anew() {
    let headers = ["FR-1-B-1", "FR-1-B-2", "FR-1-B-3"].map(|id| header(id, Kind::NoticeRequest));
    let mut entries = Vec::new();
    for header in &headers {
        entries.extend([accepted(header, about(""), ""), sealed(header)]);
    }
    entries.push(accepted_by_hub(&headers[0], 11));
    entries.push(voided("FR-1-B-2"));
    let views = built(&entries);
    let sent = |views: &Views, at: usize| views.outbox.get(&headers[at].id).unwrap().clone();
    let first_due = |views: &Views| views.outbox.due(1, Lane::Bulk, 1).map(|id| id.number);
    let given_up = sent(&views, 1);
    assert!(matches!(given_up.state, SentState::Refused(why) if why.reason == Reason::AttachmentMissing));
    assert_eq!((given_up.sealed, sent(&views, 2).sealed), (None, None));
    let first = sent(&views, 0).sealed.unwrap().header_hash;
    assert_eq!(views.outbox.lane(Lane::Bulk), LaneEnds { numbered: 3, sealed: 1, last_hash: Some(first) });
    assert_eq!(first_due(&views), Some(2));
    // It never was a request: there is no case.
    assert_eq!(views.cases.page("", None, 10).len(), 2);

    let mut void = headers[1].clone();
    void.kind = Kind::Void;
    entries.extend([sealed(&void), accepted_by_hub(&void, 12)]);
    let views = built(&entries);
    assert!(matches!(sent(&views, 1).state, SentState::Refused(_)));
    assert_eq!((first_due(&views), views.outbox.waiting()), (Some(3), 1));
    // The hub has had its say: there is nothing to void any more.
    entries.push(voided("FR-1-B-1"));
    assert!(matches!(sent(&built(&entries), 0).state, SentState::Accepted(_)));
}
