//! The life of a notice, and what does not fit it.

use i247_model::{Audience, Hash, Kind, Lane, MessageId, Reason};
use i247_router::Submission;

use crate::kit::{Hub, country, parties, to};

/// France asks for a notice and bars Japan from it.
fn ask(hub: &mut Hub) -> Submission {
    let mut request = hub.message("FR", Kind::NoticeRequest, None, Audience::secretariat());
    request.lifted.except = [country("JP")].into();
    hub.accept(request.clone());
    request
}

fn review(hub: &mut Hub, request: &Submission, approved: bool) -> Submission {
    let mut decision = hub.message("GS.lena", Kind::ReviewDecision, Some(&request.header.id), to(&["FR"]));
    decision.lifted.approved = Some(approved);
    decision.lifted.notice_id = Some("2010/1".parse().unwrap());
    decision.lifted.request_header_hash = Some(request.header_hash);
    decision
}

fn publish(hub: &mut Hub, request: &Submission) -> Submission {
    let mut notice = hub.message("GS.lena", Kind::Notice, Some(&request.header.id), Audience::all());
    notice.lifted.notice_id = Some("2010/1".parse().unwrap());
    notice.lifted.request_header_hash = Some(request.header_hash);
    notice.lifted.edition = 1;
    notice
}

fn in_force(hub: &mut Hub) -> (Submission, MessageId) {
    let request = ask(hub);
    let decision = review(hub, &request, true);
    hub.accept(decision);
    let notice = publish(hub, &request);
    let id = notice.header.id.clone();
    hub.accept(notice);
    (request, id)
}

#[test]
fn a_notice_goes_to_all_but_its_requester_and_whom_it_bars() {
    let mut hub = Hub::new();
    let request = ask(&mut hub);
    assert_eq!(hub.state.reviews().next().unwrap().notice_id, "2010/1".parse().unwrap());
    let decision = review(&mut hub, &request, true);
    assert_eq!(parties(&hub.accept(decision)), "FR");
    let notice = publish(&mut hub, &request);
    assert_eq!(parties(&hub.accept(notice)), "BR US");
    assert_eq!(hub.state.reviews().count(), 0);
}

#[test]
fn what_the_reviewer_names_must_be_what_was_asked() {
    let mut hub = Hub::new();
    let request = ask(&mut hub);
    let mut decision = review(&mut hub, &request, true);
    decision.lifted.notice_id = Some("2010/2".parse().unwrap());
    hub.void(decision, Reason::NoticeConflict, "notice_id");
    let mut decision = review(&mut hub, &request, true);
    decision.lifted.request_header_hash = Some(Hash([99; 32]));
    hub.void(decision, Reason::NoticeConflict, "request_header_hash");
    let mut decision = review(&mut hub, &request, true);
    decision.lifted.notice_id = None;
    hub.void(decision, Reason::NoticeConflict, "notice_id");
    let mut decision = review(&mut hub, &request, true);
    decision.lifted.approved = None;
    hub.void(decision, Reason::WrongField, "review_decision.verdict");
    let notice = publish(&mut hub, &request);
    hub.void(notice, Reason::NoticeConflict, "refers_to");
}

#[test]
fn a_notice_is_decided_and_published_once() {
    let mut hub = Hub::new();
    let (request, _) = in_force(&mut hub);
    let decision = review(&mut hub, &request, true);
    hub.void(decision, Reason::NoticeConflict, "refers_to");
    let notice = publish(&mut hub, &request);
    hub.void(notice, Reason::NoticeConflict, "refers_to");
}

#[test]
fn a_refused_request_is_over() {
    let mut hub = Hub::new();
    let request = ask(&mut hub);
    let mut decision = review(&mut hub, &request, false);
    // A refusal gives no number: there will be no notice.
    decision.lifted.notice_id = None;
    hub.accept(decision);
    assert_eq!((hub.state.reviews().count(), hub.state.notices().count()), (0, 0));
    let closed = hub.closed().into_iter().find(|message| message.id == request.header.id).unwrap().clone();
    let mut notice = publish(&mut hub, &request);
    notice.referred = Some(Box::new(closed));
    hub.void(notice, Reason::NoticeConflict, "refers_to");
}

#[test]
fn an_addendum_has_the_next_edition_and_the_same_recipients() {
    let mut hub = Hub::new();
    let (_, notice) = in_force(&mut hub);
    for (edition, fits) in [(1, false), (3, false), (2, true), (3, true)] {
        let mut addendum = hub.message("GS.lena", Kind::Addendum, Some(&notice), Audience::as_referred());
        addendum.lifted.notice_id = Some("2010/1".parse().unwrap());
        addendum.lifted.edition = edition;
        if fits {
            assert_eq!(parties(&hub.accept(addendum)), "BR US");
        } else {
            hub.void(addendum, Reason::NoticeConflict, "edition");
        }
    }
}

#[test]
fn an_addendum_for_a_request_needs_its_approval() {
    let mut hub = Hub::new();
    let (request, notice) = in_force(&mut hub);
    let more = hub.message("FR", Kind::NoticeRequest, Some(&request.header.id), Audience::secretariat());
    hub.accept(more.clone());
    for approved in [false, true] {
        if approved {
            let decision = review(&mut hub, &more, true);
            hub.accept(decision);
        }
        let mut addendum = hub.message("GS.lena", Kind::Addendum, Some(&notice), Audience::as_referred());
        addendum.lifted.notice_id = Some("2010/1".parse().unwrap());
        addendum.lifted.request_header_hash = Some(more.header_hash);
        addendum.lifted.edition = 2;
        if approved {
            hub.accept(addendum);
        } else {
            hub.void(addendum, Reason::NoticeConflict, "request_header_hash");
        }
    }
    assert_eq!(hub.state.reviews().count(), 0);
}

#[test]
fn the_owner_cancels_and_who_has_it_hears_while_the_rest_is_taken_back() {
    let mut hub = Hub::new();
    let (request, notice) = in_force(&mut hub);
    hub.deliver("BR");
    let stranger = hub.message("BR", Kind::Cancellation, Some(&notice), Audience::as_referred());
    hub.void(stranger, Reason::NotOwner, "refers_to");
    let cancellation =
        hub.message("FR", Kind::Cancellation, Some(&request.header.id), Audience::as_referred());
    let accepted = hub.accept(cancellation);
    assert_eq!(parties(&accepted), "IPSG BR");
    assert_eq!(accepted.taken_back.len(), 1);
    assert_eq!(accepted.taken_back[0].party, country("US").into());
    assert_eq!(hub.state.notices().count(), 0);
}

#[test]
fn only_a_recipient_reports_on_a_notice_and_only_to_its_owner() {
    let mut hub = Hub::new();
    let (_, notice) = in_force(&mut hub);
    let report =
        |hub: &mut Hub, from: &str, to: Audience| hub.message(from, Kind::PersonLocated, Some(&notice), to);
    let barred = report(&mut hub, "JP", to(&["FR"]));
    hub.void(barred, Reason::UnknownReference, "refers_to");
    let elsewhere = report(&mut hub, "BR", to(&["US"]));
    hub.void(elsewhere, Reason::BadAudience, "audience");
    let right = report(&mut hub, "BR", to(&["FR"]).copies(["IPSG".parse().unwrap()]));
    assert_eq!(parties(&hub.accept(right)), "IPSG FR");
}

#[test]
fn a_reviewer_decides_about_one_record_of_the_very_message_that_she_examined() {
    let mut hub = Hub::new();
    let mut records = hub.message("FR", Kind::Records, None, Audience::secretariat());
    records.header.id.lane = Lane::Bulk;
    hub.accept(records.clone());
    // It is settled, and the hub reads it from history.
    let referred = Box::new(hub.closed()[0].clone());
    let request = ask(&mut hub);
    let decides = |hub: &mut Hub, about: &Submission, item, hash| {
        let mut decision = hub.message("GS.lena", Kind::ReviewDecision, Some(&about.header.id), to(&["FR"]));
        decision.lifted.approved = Some(true);
        decision.lifted.item = item;
        decision.lifted.request_header_hash = Some(hash);
        decision.referred = Some(referred.clone());
        decision
    };
    let other = decides(&mut hub, &records, Some(3), Hash([9; 32]));
    hub.void(other, Reason::NoticeConflict, "request_header_hash");
    let no_item = decides(&mut hub, &records, None, records.header_hash);
    hub.void(no_item, Reason::NoticeConflict, "item");
    let notice = decides(&mut hub, &request, Some(0), request.header_hash);
    hub.void(notice, Reason::NoticeConflict, "refers_to");
    let mut numbered = decides(&mut hub, &records, Some(3), records.header_hash);
    numbered.lifted.notice_id = Some("2010/1".parse().unwrap());
    hub.void(numbered, Reason::NoticeConflict, "notice_id");
    let mut by_country = decides(&mut hub, &records, Some(3), records.header_hash);
    by_country.header.id.sender = "BR".parse().unwrap();
    by_country.header.id.number = 1;
    by_country.header.previous = None;
    hub.void(by_country, Reason::KindNotAllowed, "kind");
    let right = decides(&mut hub, &records, Some(3), records.header_hash);
    let accepted = hub.accept(right);
    assert_eq!((parties(&accepted), accepted.notice_id), ("FR".to_owned(), None));
    assert_eq!(hub.state.reviews().count(), 1, "the request waits as before");
}

#[test]
fn a_standing_restriction_holds_for_the_owners_notices_too() {
    let mut hub = Hub::new();
    let mut restriction = hub.message("FR", Kind::Restriction, None, Audience::secretariat());
    restriction.lifted.except = [country("US")].into();
    hub.accept(restriction);
    let request = ask(&mut hub);
    let decision = review(&mut hub, &request, true);
    hub.accept(decision);
    let notice = publish(&mut hub, &request);
    assert_eq!(parties(&hub.accept(notice)), "BR");
}
