//! A log that was taken up again after its hub was restored from an older copy, and what comes back to it.

use std::time::Duration;

use i247_model::{
    Audience, Header, Kind, Lane, Lifted, MessageId, Party, Reason, Refusal, ReplyStage, Timestamp,
};
use i247_router::{Decision, Earlier, Input, Origin, Previous, RECOVERY_WINDOW, Submission};

use crate::kit::{Hub, parties, party, to};

const BEYOND: Duration = Duration::from_secs(RECOVERY_WINDOW.as_secs() + 1);

/// Longer than everybody may need to bring back what waits for nothing else.
const SOON: Duration = Duration::from_secs(16);

/// The hub as it went on after it was copied, and the copy, taken up again.
fn two_hubs(mut hub: Hub) -> (Hub, Hub) {
    let mut copy = hub.copy();
    copy.go_on(2);
    // The same position holds another entry in each from here on.
    hub.send("JP", Kind::FreeText, None, to(&["US"]));
    (hub, copy)
}

/// The message as its sender brings it back, who shows what the lost part of the log said.
fn again(message: &Submission, accepted_at: Timestamp) -> Submission {
    let earlier = Earlier { accepted_at, recipients: 2, notice_id: None };
    Submission { origin: Origin::Again(earlier), ..message.clone() }
}

fn handed_over(message: &Submission) -> Submission {
    Submission { origin: Origin::HandedOver, ..message.clone() }
}

/// The message as its sender brings it who never heard what became of it: he had signed it before the recovery.
fn signed_before(message: &Submission) -> Submission {
    let signed_at = Timestamp::from_millis(message.header.signed_at.as_millis() - 1);
    Submission { header: Header { signed_at, ..message.header.clone() }, ..message.clone() }
}

/// The same as the first that its reviewer writes after the recovery.
fn anew(message: &Submission) -> Submission {
    let id = "GS.lena-2-N-1".parse().unwrap();
    Submission { header: Header { id, previous: None, ..message.header.clone() }, ..message.clone() }
}

/// France asks for a notice; the number that it is given.
fn ask_for_notice(hub: &mut Hub) -> (Submission, String) {
    let request = hub.message("FR", Kind::NoticeRequest, None, Audience::secretariat());
    let number = hub.accept(request.clone()).notice_id.unwrap().to_string();
    (request, number)
}

#[test]
fn a_log_goes_on_only_from_itself_and_under_a_new_name() {
    let enter = |log_id: u8, own: Option<u8>, ahead: u64| {
        let mut hub = Hub::new();
        let end = hub.position() + ahead;
        let previous = own.map(|own| Previous { log_id: vec![own], end });
        hub.enter(&Input::Genesis { log_id: vec![log_id], previous })
    };
    assert_eq!(enter(2, Some(1), 0), Ok(Decision::Noted));
    let refused = Err((Reason::Malformed, vec!["genesis".to_owned()]));
    assert_eq!(enter(2, None, 0), refused, "it says nothing of the log that there is");
    assert_eq!(enter(2, Some(3), 0), refused, "it goes on from another");
    assert_eq!(enter(1, Some(1), 0), refused, "under the same name");
    assert_eq!(enter(2, Some(1), 1), refused, "from an entry that is not there");
}

#[test]
fn every_predecessor_is_known_with_the_numbers_that_it_had_given() {
    let mut hub = Hub::new();
    hub.send("FR", Kind::FreeText, None, to(&["BR"]));
    let first_end = hub.position();
    hub.go_on(2);
    hub.send("FR", Kind::FreeText, None, to(&["BR", "JP"]));
    hub.go_on(3);
    let known: Vec<(&[u8], u64, u64, u64)> = hub
        .state
        .predecessors()
        .iter()
        .map(|one| {
            let given = |code| one.given_up_to(party(code), Lane::Normal);
            (&one.log_id[..], one.end, given("BR"), given("JP"))
        })
        .collect();
    assert_eq!(known, [(&[1][..], first_end, 1, 0), (&[2][..], first_end + 2, 2, 1)]);
    assert_eq!((hub.state.log_id(), hub.state.generation()), (Some(&[3][..]), 2));
}

#[test]
fn a_notice_request_gets_its_number_again_and_new_ones_keep_clear_of_it() {
    let mut hub = Hub::new();
    ask_for_notice(&mut hub);
    let (mut hub, mut copy) = two_hubs(hub);
    let (lost, number) = ask_for_notice(&mut hub);
    assert_eq!(number, "2010/2");
    // Somebody asks before what was lost is there again.
    let new = copy.message("BR", Kind::NoticeRequest, None, Audience::secretariat());
    assert_eq!(copy.accept(new).notice_id.unwrap().to_string(), "2010/1002");
    let notice_id = Some("2010/2".parse().unwrap());
    let claim = Origin::Again(Earlier { accepted_at: hub.now, recipients: 1, notice_id });
    let accepted = copy.accept(Submission { origin: claim.clone(), ..lost });
    assert_eq!(accepted.notice_id.unwrap().to_string(), "2010/2");
    let mut taken = copy.message("JP", Kind::NoticeRequest, None, Audience::secretariat());
    taken.origin = claim;
    assert_eq!(copy.accept(taken).notice_id.unwrap().to_string(), "2010/1003");
}

#[test]
fn ids_of_made_messages_are_not_given_twice() {
    let reminded = |hub: &mut Hub| {
        hub.send("FR", Kind::Request, None, to(&["BR"]));
        let made = hub.tick(100).made;
        (made[0].id.to_string(), hub.position())
    };
    let (id, at) = reminded(&mut Hub::new());
    assert_eq!(id, format!("IPSG-{at}-N-1"));
    let mut hub = Hub::new();
    hub.go_on(2);
    hub.go_on(3);
    let (id, at) = reminded(&mut hub);
    assert_eq!(id, format!("IPSG-{}-N-1", 2_000_000_000_000 + at));
}

#[test]
fn a_reviewer_begins_a_new_epoch_and_what_was_lost_of_the_old_one_may_come_back() {
    let mut hub = Hub::new();
    hub.send("GS.lena", Kind::FreeText, None, to(&["BR"]));
    let (mut hub, mut copy) = two_hubs(hub);
    let lost = hub.message("GS.lena", Kind::FreeText, None, to(&["BR"]));
    let new = copy.message("GS.lena", Kind::FreeText, None, to(&["BR"]));
    assert_eq!(
        (lost.header.id.to_string(), new.header.id.to_string()),
        ("GS.lena-1-N-2".to_owned(), "GS.lena-2-N-1".to_owned())
    );
    copy.accept(new);
    assert_eq!(copy.submit(lost.clone()), Ok(Decision::Older), "she would not use an old number");
    assert_eq!(parties(&copy.accept(handed_over(&lost))), "BR");
    let Ok(Decision::Answered(_)) = copy.submit(handed_over(&lost)) else { panic!("it is known now") };
    // A reviewer of whom nothing is known here may have written something that was lost.
    copy.change("gs/reviewer/otto", i247_router::DirectoryAction::Admit, 1).unwrap();
    let of_otto = copy.message("GS.otto", Kind::FreeText, None, to(&["BR"]));
    assert_eq!(of_otto.header.id.to_string(), "GS.otto-2-N-1");
    let mut lost = of_otto.clone();
    lost.header.id = "GS.otto-1-N-1".parse().unwrap();
    lost.header_hash.0[31] = 1;
    copy.accept(of_otto);
    copy.accept(handed_over(&lost));
}

#[test]
fn a_hole_among_what_a_reviewer_had_written_holds_up_what_follows_it_only_for_a_while() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let mut lost = Vec::new();
    for _ in 0..5 {
        let words = hub.message("GS.lena", Kind::FreeText, None, to(&["BR"]));
        hub.accept(words.clone());
        lost.push(handed_over(&words));
    }
    // The hub may not have run for long: that is nobody's delay.
    copy.now = copy.now.plus(2 * SOON);
    copy.not_entered(lost[1].clone(), Reason::OutOfOrder, "id");
    let of_france = copy.message("FR", Kind::FreeText, None, to(&["BR"]));
    copy.accept(of_france.clone());
    copy.not_entered(lost[1].clone(), Reason::OutOfOrder, "id");
    copy.now = copy.now.plus(SOON);
    for nth in [3, 1] {
        assert_eq!(parties(&copy.accept(lost[nth].clone())), "BR");
    }
    // What fills a hole late counts all the same, and each once.
    for nth in [0, 2] {
        copy.accept(lost[nth].clone());
    }
    for words in &lost[..4] {
        let Ok(Decision::Answered(_)) = copy.submit(words.clone()) else { panic!("it is known now") };
    }
    let mut other = lost[3].clone();
    other.header_hash.0[31] = 1;
    let Ok(Decision::Equivocation { .. }) = copy.submit(other) else { panic!("its number is spent") };
    // A sender that goes on with its numbers fills its holes itself.
    let mut ahead = of_france;
    (ahead.header.id.number, ahead.header_hash.0[31]) = (3, 1);
    copy.not_entered(handed_over(&ahead), Reason::OutOfOrder, "id");
    // Nothing is missing any more: what comes next need not wait.
    copy.go_on(3);
    copy.accept(lost[4].clone());
}

#[test]
fn an_epoch_that_a_bureau_ended_meanwhile_is_open_for_what_comes_back() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let lost = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    let mut opening = copy.message("FR", Kind::NewEpoch, None, Audience::secretariat());
    opening.header.id = "FR-2-N-1".parse().unwrap();
    opening.lifted.epoch = Some(2);
    copy.accept(opening);
    assert_eq!(copy.submit(lost.clone()), Ok(Decision::Older));
    copy.accept(again(&lost, hub.now));
}

#[test]
fn what_may_come_back_is_waited_for_and_after_an_hour_no_more() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let question = hub.message("FR", Kind::Request, None, to(&["BR"]));
    hub.accept(question.clone());
    let mut reply = hub.message("BR", Kind::Reply, Some(&question.header.id), to(&["FR"]));
    reply.header.reply_stage = Some(ReplyStage::Final);
    let reply = again(&reply, hub.now);
    copy.not_entered(reply.clone(), Reason::ReferenceAhead, "refers_to");
    let mut late = copy.copy();
    late.now = late.now.plus(BEYOND);
    late.void(reply.clone(), Reason::UnknownReference, "refers_to");
    // Whoever has it brings it; then the answer follows.
    copy.accept(handed_over(&question));
    copy.accept(reply);
}

#[test]
fn what_is_void_here_or_was_never_sent_is_not_waited_for() {
    let mut hub = Hub::new();
    let void = hub.message("FR", Kind::Request, None, to(&["FR"]));
    hub.void(void.clone(), Reason::BadAudience, "audience");
    let (_, mut copy) = two_hubs(hub);
    let about = copy.message("BR", Kind::FreeText, Some(&void.header.id), to(&["FR"]));
    copy.void(about, Reason::UnknownReference, "refers_to");
}

#[test]
fn words_about_a_lost_reminder_come_back_without_it() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    hub.send("FR", Kind::Request, None, to(&["BR"]));
    hub.deliver("BR");
    let reminder: MessageId = hub.tick(100).made[0].id.clone();
    let words = hub.message("BR", Kind::FreeText, Some(&reminder), to(&["FR"]));
    hub.accept(words.clone());
    copy.now = hub.now;
    let mut other = copy.copy();
    other.void(words.clone(), Reason::UnknownReference, "refers_to");
    assert_eq!(parties(&copy.accept(again(&words, hub.now))), "FR");
}

#[test]
fn what_is_handed_over_spends_no_number_of_its_sender() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let mut expired = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    expired.header.expires_at = Some(hub.now.plus(Duration::from_secs(5)));
    hub.accept(expired.clone());
    copy.now = copy.now.plus(Duration::from_secs(6));
    copy.not_entered(handed_over(&expired), Reason::Expired, "expires_at_ms");
    // Its sender is told as of any message.
    copy.void(again(&expired, hub.now), Reason::Expired, "expires_at_ms");
}

#[test]
fn what_is_handed_over_comes_in_order_and_once() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let first = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    hub.accept(first.clone());
    let second = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    copy.not_entered(handed_over(&second), Reason::OutOfOrder, "id");
    copy.accept(handed_over(&first));
    copy.accept(handed_over(&second));
    let Ok(Decision::Answered(_)) = copy.submit(again(&first, hub.now)) else { panic!("it is known now") };
}

#[test]
fn what_came_back_is_taken_back_by_words_to_all_who_may_have_it_from_before() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let circular = hub.message("FR", Kind::Diffusion, None, to(&["BR", "JP"]));
    hub.accept(circular.clone());
    hub.deliver("BR");
    let end = hub.message("FR", Kind::Withdrawal, Some(&circular.header.id), Audience::as_referred());
    assert_eq!(parties(&hub.accept(end.clone())), "BR");
    copy.accept(again(&circular, hub.now));
    let accepted = copy.accept(again(&end, hub.now));
    assert_eq!(parties(&accepted), "BR JP", "Brazil has the circular, and has not said so here");
    assert!(accepted.taken_back.is_empty());
    copy.deliver("BR");
    copy.deliver("JP");
    let known = copy.closed().iter().filter(|message| message.settled()).count();
    assert_eq!(known, 2, "both, in their order");
}

/// A decision about the request, then the notice.
fn publish(hub: &mut Hub, request: &Submission, number: &str) -> [Submission; 2] {
    let id = Some(&request.header.id);
    let lifted = Lifted {
        notice_id: Some(number.parse().unwrap()),
        request_header_hash: Some(request.header_hash),
        ..Lifted::default()
    };
    let mut decision = hub.message("GS.lena", Kind::ReviewDecision, id, to(&["FR"]));
    decision.lifted = Lifted { approved: Some(true), ..lifted.clone() };
    hub.accept(decision.clone());
    let mut notice = hub.message("GS.lena", Kind::Notice, id, Audience::all());
    notice.lifted = Lifted { edition: 1, ..lifted };
    hub.accept(notice.clone());
    [decision, notice]
}

#[test]
fn the_end_of_a_notice_waits_for_the_notice_and_reaches_all_who_have_it() {
    let mut hub = Hub::new();
    let (request, number) = ask_for_notice(&mut hub);
    let (mut hub, mut copy) = two_hubs(hub);
    let published = publish(&mut hub, &request, &number);
    hub.deliver("BR");
    hub.deliver("JP");
    hub.deliver("US");
    let end = hub.message("FR", Kind::Cancellation, Some(&request.header.id), Audience::as_referred());
    assert_eq!(parties(&hub.accept(end.clone())), "IPSG BR JP US");
    for end in [again(&end, hub.now), handed_over(&end), end.clone()] {
        copy.not_entered(end, Reason::ReferenceAhead, "refers_to");
    }
    for message in published {
        copy.accept(handed_over(&message));
    }
    assert_eq!(parties(&copy.accept(again(&end, hub.now))), "IPSG BR JP US");
}

#[test]
fn the_end_of_a_notice_that_nobody_has_waits_only_while_that_is_not_known() {
    let mut hub = Hub::new();
    let (request, _) = ask_for_notice(&mut hub);
    let (mut hub, mut copy) = two_hubs(hub);
    let end = hub.message("FR", Kind::Cancellation, Some(&request.header.id), Audience::as_referred());
    assert_eq!(parties(&hub.accept(end.clone())), "IPSG");
    let earlier = Earlier { accepted_at: hub.now, recipients: 1, notice_id: None };
    let known = Submission { origin: Origin::Again(earlier), ..end.clone() };
    assert_eq!(parties(&copy.copy().accept(known)), "IPSG");
    copy.send("JP", Kind::FreeText, None, to(&["US"]));
    copy.not_entered(end.clone(), Reason::ReferenceAhead, "refers_to");
    // A request that comes back late may bring its notice late.
    let (mut late, mut other) =
        (hub.message("FR", Kind::NoticeRequest, None, Audience::secretariat()), copy.copy());
    (late.header.id.number, late.header.previous) =
        (2, copy.state.sender_end(&end.header.id.sender, Lane::Normal).1);
    copy.now = copy.now.plus(SOON);
    other.now = copy.now;
    assert_eq!(parties(&copy.accept(end.clone())), "IPSG");
    other.accept(handed_over(&late));
    let mut end = other.message("FR", Kind::Cancellation, Some(&late.header.id), Audience::as_referred());
    end.header.id.number = 3;
    other.not_entered(end.clone(), Reason::ReferenceAhead, "refers_to");
    other.now = other.now.plus(SOON);
    other.accept(end);
}

#[test]
fn a_notice_whose_approval_nobody_has_comes_back() {
    let mut hub = Hub::new();
    let (request, number) = ask_for_notice(&mut hub);
    let (mut hub, mut copy) = two_hubs(hub);
    let [decision, notice] = publish(&mut hub, &request, &number);
    copy.copy().void(anew(&notice), Reason::NoticeConflict, "refers_to");
    copy.send("JP", Kind::FreeText, None, to(&["US"]));
    copy.now = copy.now.plus(SOON);
    assert_eq!(parties(&copy.accept(handed_over(&notice))), "BR JP US");
    assert_eq!(copy.state.reviews().count(), 0, "it is published");
    copy.not_entered(handed_over(&decision), Reason::NoticeConflict, "refers_to");
}

#[test]
fn an_addendum_waits_for_the_request_that_it_answers_and_not_for_its_approval() {
    let mut hub = Hub::new();
    let (first, number) = ask_for_notice(&mut hub);
    let [_, notice] = publish(&mut hub, &first, &number);
    let (mut hub, mut copy) = two_hubs(hub);
    let about = Some(&notice.header.id);
    let asked = Some(&first.header.id);
    let mut request = hub.message("FR", Kind::NoticeRequest, asked, Audience::secretariat());
    request.lifted.notice_id = Some(number.parse().unwrap());
    hub.accept(request.clone());
    // Two editions, of which nobody has the first.
    let mut addendum = hub.message("GS.lena", Kind::Addendum, about, Audience::as_referred());
    addendum.lifted = Lifted {
        notice_id: Some(number.parse().unwrap()),
        request_header_hash: Some(request.header_hash),
        edition: 3,
        ..Lifted::default()
    };
    copy.not_entered(handed_over(&addendum), Reason::ReferenceAhead, "request_header_hash");
    copy.accept(again(&request, hub.now));
    assert_eq!(copy.state.reviews().count(), 1);
    assert_eq!(parties(&copy.accept(handed_over(&addendum))), "BR JP US");
    assert_eq!(copy.state.reviews().count(), 0);
    let mut older = addendum;
    (older.header.id.number, older.header.previous) = (4, Some(older.header_hash));
    (older.lifted.edition, older.lifted.request_header_hash) = (2, None);
    older.header_hash.0[31] = 1;
    copy.copy().void(anew(&older), Reason::NoticeConflict, "edition");
    copy.accept(handed_over(&older));
    assert_eq!(copy.state.notice(number.parse().unwrap()).unwrap().edition, 3);
}

#[test]
fn a_question_whose_time_is_over_comes_back_with_its_old_interval() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let asked_at = hub.now;
    let question = hub.message("FR", Kind::Request, None, to(&["BR"]));
    copy.now = copy.now.plus(Duration::from_secs(200));
    copy.copy().void(question.clone(), Reason::WrongField, "reply_by_ms");
    copy.accept(again(&question, asked_at.plus(Duration::from_secs(10))));
    let message = copy.state.message(&question.header.id).unwrap();
    assert_eq!(message.interval, Some(Duration::from_secs(90)), "from its first acceptance to its deadline");
    assert!(copy.tick(399).made.is_empty(), "the answer may be on its way");
    assert_eq!(copy.tick(1).made.len(), 1);
    assert!(copy.tick(89).made.is_empty());
    assert_eq!(copy.tick(1).made.len(), 1);
}

#[test]
fn what_a_predecessor_had_refused_stays_refused() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    let refusal = Refusal::of(Reason::UnknownCountry, "audience.countries.BR");
    let refused = Submission { origin: Origin::Refused(refusal), ..message.clone() };
    assert_eq!(parties(&copy.copy().accept(message.clone())), "BR", "nothing else is wrong with it");
    copy.void(refused.clone(), Reason::UnknownCountry, "audience.countries.BR");
    // Its number is spent: whoever brings its bytes is told the same.
    let Ok(Decision::Answered(answer)) = copy.submit(message) else { panic!("not answered") };
    assert_eq!(answer.outcome.unwrap_err().reason, Reason::UnknownCountry);
    let mut later = refused;
    later.header.id.number = 9;
    copy.not_entered(later, Reason::OutOfOrder, "id");
}

#[test]
fn a_question_of_which_its_sender_never_heard_that_it_was_accepted_comes_back_late_with_its_answer() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let question = signed_before(&hub.message("FR", Kind::Request, None, to(&["BR"])));
    hub.accept(question.clone());
    let mut reply = hub.message("BR", Kind::Reply, Some(&question.header.id), to(&["FR"]));
    reply.header.reply_stage = Some(ReplyStage::Final);
    hub.accept(reply.clone());
    copy.now = copy.now.plus(Duration::from_secs(200));
    copy.accept(question.clone());
    assert!(copy.tick(399).made.is_empty(), "the answer may be on its way");
    assert_eq!(parties(&copy.accept(again(&reply, hub.now))), "FR");
    assert!(copy.tick(1000).made.is_empty(), "it is answered");
}

#[test]
fn nobody_is_reminded_while_his_answer_may_come_back() {
    let mut hub = Hub::new();
    let question = hub.send("FR", Kind::Request, None, to(&["BR", "JP"]));
    let (mut hub, mut copy) = two_hubs(hub);
    let mut reply = hub.message("BR", Kind::Reply, Some(&question), to(&["FR"]));
    reply.header.reply_stage = Some(ReplyStage::Final);
    assert!(copy.tick(599).made.is_empty(), "it was due after 100 seconds");
    copy.accept(again(&reply, hub.now));
    let reminded: Vec<Party> = copy.tick(1).made.iter().map(|made| made.places[0].party).collect();
    assert_eq!(reminded, [party("JP")]);
}

#[test]
fn an_explanation_from_the_lost_part_is_no_fault_and_says_nothing() {
    let mut hub = Hub::new();
    let seen = hub.position();
    hub.change("ncb/br", i247_router::DirectoryAction::Revoke, 2).unwrap();
    let (mut hub, mut copy) = two_hubs(hub);
    let mut message = hub.message("FR", Kind::FreeText, None, Audience::all());
    (message.header.explained_at, message.header.exactly) = (Some(1_000), true);
    copy.copy().void(message.clone(), Reason::WrongField, "explained_at");
    copy.copy().accept(again(&message, hub.now));
    message.header.explained_at = Some(copy.position());
    copy.copy().void(signed_before(&message), Reason::WrongField, "explained_at");
    (message.header.explained_at, message.header.exactly) = (Some(1_000), false);
    copy.copy().accept(signed_before(&message));
    copy.copy().void(message.clone(), Reason::WrongField, "explained_at");
    message.header.exactly = true;
    // Behind it somebody became a member, in another log than the one that was explained.
    message.header.explained_at = Some(hub.position());
    copy.change("ncb/de", i247_router::DirectoryAction::Admit, 1).unwrap();
    let accepted = copy.accept(again(&message, hub.now));
    assert_eq!((accepted.come, accepted.gone), (vec![], vec![]));
    // What both logs share still says who came and went.
    let mut message = copy.message("FR", Kind::FreeText, None, Audience::all());
    message.header.explained_at = Some(seen);
    let accepted = copy.accept(again(&message, hub.now));
    assert_eq!(accepted.gone, [Party::Bureau("BR".parse().unwrap())]);
}

#[test]
fn the_chain_was_checked_by_the_log_that_accepted_it() {
    let (mut hub, mut copy) = two_hubs(Hub::new());
    let gone = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    hub.accept(gone.clone());
    let behind_it = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    // What it does not hold any more its sender gives up.
    let given_up = copy.message("FR", Kind::Void, None, Audience::secretariat());
    assert_eq!(given_up.header.id, gone.header.id);
    copy.accept(given_up);
    copy.copy().void(behind_it.clone(), Reason::ChainBroken, "previous");
    copy.not_entered(handed_over(&behind_it), Reason::ChainBroken, "previous");
    copy.accept(again(&behind_it, hub.now));
}
