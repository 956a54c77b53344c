//! Each refusal: what it is for, which field it names, and that it leaves everything as it was.

use std::time::Duration;

use i247_model::{Audience, Hash, Kind, Lane, Reason, ReplyStage};
use i247_router::{Decision, DirectoryAction};

use crate::kit::{Hub, country, party, to};

#[test]
fn free_text_in_order_is_accepted() {
    let mut hub = Hub::new();
    let message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    assert_eq!(hub.accept(message).places.len(), 1);
}

#[test]
fn a_missing_number_is_waited_for() {
    let mut hub = Hub::new();
    let mut message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    message.header.id.number = 2;
    hub.not_entered(message, Reason::OutOfOrder, "id");
}

#[test]
fn a_broken_chain_is_void() {
    let mut hub = Hub::new();
    hub.send("FR", Kind::FreeText, None, to(&["BR"]));
    let mut message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    message.header.previous = Some(Hash([99; 32]));
    hub.void(message, Reason::ChainBroken, "previous");
}

#[test]
fn a_number_used_twice_is_entered_once_as_evidence() {
    let mut hub = Hub::new();
    let message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    let first = message.header_hash;
    hub.accept(message.clone());
    let mut lie = message.clone();
    lie.header_hash = Hash([99; 32]);
    assert_eq!(hub.submit(lie.clone()), Ok(Decision::Equivocation { first }));
    hub.not_entered(lie, Reason::NumberReused, "id");
    assert!(
        matches!(hub.submit(message), Ok(Decision::Answered(answer)) if answer.outcome.as_ref().is_ok_and(|told| told.recipients == 1))
    );
}

#[test]
fn a_message_from_the_future_waits() {
    let mut hub = Hub::new();
    let mut message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    message.header.signed_at = hub.now.plus(Duration::from_millis(300_001));
    hub.not_entered(message.clone(), Reason::FutureDated, "signed_at_ms");
    message.header.signed_at = hub.now.plus(Duration::from_millis(300_000));
    hub.accept(message);
}

#[test]
fn an_expired_message_is_void() {
    let mut hub = Hub::new();
    let mut message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    message.header.expires_at = Some(hub.now);
    hub.void(message, Reason::Expired, "expires_at_ms");
}

#[test]
fn missing_data_is_named_whole() {
    let mut hub = Hub::new();
    let mut message = hub.message("FR", Kind::NoticeRequest, None, Audience::secretariat());
    message.lifted.missing = vec!["form.red.facts".into()];
    hub.void(message, Reason::MissingData, "form.red.facts");
}

#[test]
fn a_country_that_is_no_member_cannot_be_named() {
    let mut hub = Hub::new();
    let message = hub.message("FR", Kind::FreeText, None, to(&["BR", "DE"]));
    hub.void(message, Reason::UnknownCountry, "audience.countries.DE");
    let message = hub.message("FR", Kind::FreeText, None, to(&["BR"]).copies([party("DE")]));
    hub.void(message, Reason::UnknownCountry, "audience.copies.DE");
}

#[test]
fn an_audience_must_be_somebody() {
    let mut hub = Hub::new();
    let message = hub.message("FR", Kind::FreeText, None, Audience::default());
    hub.void(message, Reason::BadAudience, "audience");
    let message = hub.message("FR", Kind::FreeText, None, to(&["FR"]));
    hub.void(message, Reason::BadAudience, "audience");
    let message = hub.message("FR", Kind::FreeText, None, to(&["BR"]).except([country("BR")]));
    hub.void(message, Reason::BadAudience, "audience.except");
}

#[test]
fn each_kind_has_its_audience() {
    let mut hub = Hub::new();
    for kind in [Kind::NoticeRequest, Kind::Restriction, Kind::Void] {
        let message = hub.message("FR", kind, None, to(&["BR"]));
        hub.void(message, Reason::BadAudience, "audience");
    }
    let diffusion = hub.send("FR", Kind::Diffusion, None, to(&["BR"]));
    let message = hub.message("FR", Kind::Withdrawal, Some(&diffusion), to(&["BR"]));
    hub.void(message, Reason::BadAudience, "audience");
    let message = hub.message("FR", Kind::Request, None, Audience::default().copies([party("BR")]));
    hub.void(message, Reason::BadAudience, "audience");
}

#[test]
fn each_kind_has_its_senders() {
    let mut hub = Hub::new();
    for (sender, kind) in [
        ("FR", Kind::Notice),
        ("FR", Kind::ReviewDecision),
        ("FR", Kind::Reminder),
        ("FR", Kind::Escalation),
        ("GS.lena", Kind::Diffusion),
        ("GS.lena", Kind::NoticeRequest),
        ("FR.cdg", Kind::Diffusion),
        ("FR.cdg", Kind::Restriction),
    ] {
        let message = hub.message(sender, kind, None, to(&["BR"]));
        hub.void(message, Reason::KindNotAllowed, "kind");
    }
}

#[test]
fn nobody_submits_in_the_hubs_own_name() {
    let mut hub = Hub::new();
    let message = hub.message("IPSG", Kind::FreeText, None, to(&["BR"]));
    hub.not_entered(message, Reason::NotAuthorised, "id");
}

#[test]
fn fields_that_do_not_fit_the_kind_are_named_all_at_once() {
    let mut hub = Hub::new();
    let mut message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    message.header.reply_by = Some(hub.now.plus(Duration::from_secs(1)));
    message.header.reply_to_all = true;
    message.header.reply_stage = Some(ReplyStage::Final);
    let Ok(Decision::Void(refusal)) = hub.submit(message) else { panic!("not void") };
    assert_eq!(refusal.fields, ["reply_by_ms", "reply_stage", "reply_to_all"]);
}

#[test]
fn a_reply_is_due_after_now_and_within_ninety_days() {
    let mut hub = Hub::new();
    let days = |n: u64| Some(hub.now.plus(Duration::from_secs(n * 86_400)));
    let limits = [(None, false), (days(0), false), (days(90), true), (days(91), false)];
    for (reply_by, fits) in limits {
        let mut message = hub.message("FR", Kind::Request, None, to(&["BR"]));
        message.header.reply_by = reply_by;
        if fits {
            hub.accept(message);
        } else {
            hub.void(message, Reason::WrongField, "reply_by_ms");
        }
    }
}

#[test]
fn a_stranger_cannot_tell_a_message_from_none() {
    let mut hub = Hub::new();
    let request = hub.send("FR", Kind::Request, None, to(&["BR"]));
    let none = "FR-1-N-77".parse().unwrap();
    for id in [&request, &none] {
        for kind in [Kind::Reply, Kind::FreeText, Kind::Withdrawal, Kind::Cancellation, Kind::PersonLocated] {
            let mut message = hub.message("JP", kind, Some(id), to(&["FR"]));
            message.header.reply_stage = (kind == Kind::Reply).then_some(ReplyStage::Final);
            hub.void(message, Reason::UnknownReference, "refers_to");
        }
    }
}

#[test]
fn a_reference_is_to_the_right_kind_and_must_be_there() {
    let mut hub = Hub::new();
    let text = hub.send("FR", Kind::FreeText, None, to(&["BR"]));
    let message = hub.message("FR", Kind::Withdrawal, Some(&text), Audience::as_referred());
    hub.void(message, Reason::WrongReference, "refers_to");
    let message = hub.message("FR", Kind::Withdrawal, None, Audience::as_referred());
    hub.void(message, Reason::WrongField, "refers_to");
    let message = hub.message("FR", Kind::Void, Some(&text), Audience::secretariat());
    hub.void(message, Reason::WrongField, "refers_to");
}

#[test]
fn a_reference_to_ones_own_message_that_is_still_coming_waits() {
    let mut hub = Hub::new();
    let mut message = hub.message("FR", Kind::FreeText, Some(&"FR-1-U-1".parse().unwrap()), to(&["BR"]));
    hub.not_entered(message.clone(), Reason::ReferenceAhead, "refers_to");
    // Its own lane can never bring it before.
    message.header.refers_to = Some("FR-1-N-1".parse().unwrap());
    hub.void(message, Reason::UnknownReference, "refers_to");
}

#[test]
fn only_the_sender_withdraws_and_only_once() {
    let mut hub = Hub::new();
    let diffusion = hub.send("FR", Kind::Diffusion, None, to(&["BR"]));
    let message = hub.message("BR", Kind::Withdrawal, Some(&diffusion), Audience::as_referred());
    hub.void(message, Reason::NotOwner, "refers_to");
    hub.deliver("BR");
    let diffusion = hub.closed()[0].clone();
    for again in [false, true] {
        let mut message = hub.message("FR", Kind::Withdrawal, Some(&diffusion.id), Audience::as_referred());
        if again {
            message.referred = Some(Box::new(hub.closed()[0].clone()));
            hub.void(message, Reason::WrongReference, "refers_to");
        } else {
            message.referred = Some(Box::new(diffusion.clone()));
            assert_eq!(hub.accept(message).places.len(), 1);
        }
    }
}

#[test]
fn a_reply_goes_no_wider_than_the_request_allows() {
    let mut hub = Hub::new();
    let request = hub.send("FR", Kind::Request, None, to(&["BR", "JP"]));
    let mut message = hub.message("BR", Kind::Reply, Some(&request), to(&["FR", "JP"]));
    message.header.reply_stage = Some(ReplyStage::Final);
    hub.void(message, Reason::ReplyTooWide, "audience");
    let mut open = hub.message("FR", Kind::Request, None, to(&["BR", "JP"]));
    open.header.reply_to_all = true;
    let request = open.header.id.clone();
    hub.accept(open);
    for (audience, fits) in [(to(&["FR", "JP"]), true), (to(&["FR", "US"]), false), (Audience::all(), false)]
    {
        let mut message = hub.message("BR", Kind::Reply, Some(&request), audience);
        message.header.reply_stage = Some(ReplyStage::Final);
        if fits {
            hub.accept(message);
        } else {
            hub.void(message, Reason::ReplyTooWide, "audience");
        }
    }
}

#[test]
fn a_suspended_sender_waits_and_a_revoked_one_is_refused() {
    let mut hub = Hub::new();
    hub.change("ncb/fr", DirectoryAction::Suspend, 2).unwrap();
    for sender in ["FR", "FR.cdg"] {
        let message = hub.message(sender, Kind::FreeText, None, to(&["BR"]));
        hub.not_entered(message, Reason::Suspended, "id");
    }
    hub.change("ncb/fr", DirectoryAction::Revoke, 3).unwrap();
    let message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    hub.not_entered(message, Reason::Revoked, "id");
    let message = hub.message("DE", Kind::FreeText, None, to(&["BR"]));
    hub.not_entered(message, Reason::NotAuthorised, "id");
}

#[test]
fn a_new_epoch_must_be_higher_and_begin_at_one() {
    let mut hub = Hub::new();
    let old = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    hub.accept(old.clone());
    let mut message = hub.message("FR", Kind::NewEpoch, None, Audience::secretariat());
    message.lifted.epoch = Some(1);
    hub.void(message, Reason::WrongField, "new_epoch.epoch");
    let mut message = hub.message("FR", Kind::NewEpoch, None, Audience::secretariat());
    (message.header.id.epoch, message.header.id.number, message.header.previous) = (2, 1, None);
    message.lifted.epoch = Some(3);
    hub.not_entered(message.clone(), Reason::OutOfOrder, "id");
    message.lifted.epoch = Some(2);
    hub.accept(message);
    assert_eq!(hub.submit(old), Ok(Decision::Older));
    let next = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    assert_eq!((next.header.id.epoch, next.header.id.number), (2, 2));
    assert_eq!(hub.state.sender_end(&"FR".parse().unwrap(), Lane::Urgent), (0, None));
    hub.accept(next);
}

#[test]
fn an_older_copy_of_the_authority_undoes_nothing() {
    let mut hub = Hub::new();
    hub.change("ncb/fr", DirectoryAction::Suspend, 2).unwrap();
    hub.change("ncb/fr", DirectoryAction::Revoke, 3).unwrap();
    let wrong = |field: &str| Err((Reason::WrongField, vec![field.to_owned()]));
    assert_eq!(hub.change("ncb/fr", DirectoryAction::Reinstate, 3), wrong("sequence"));
    assert_eq!(hub.change("ncb/fr", DirectoryAction::Reinstate, 4), wrong("action"));
    // The void key of the first admission does not come back.
    let mut change = i247_router::DirectoryChange {
        action: DirectoryAction::Admit,
        identity: "spiffe://i247.test/ncb/fr".parse().unwrap(),
        tls_key: Some(Hash([1; 32])),
        signing_key: None,
        not_after: None,
        sequence: 4,
    };
    assert_eq!(hub.enter(&i247_router::Input::DirectoryChange(change.clone())), wrong("tls_key"));
    change.tls_key = Some(Hash([4; 32]));
    hub.enter(&i247_router::Input::DirectoryChange(change.clone())).unwrap();
    let directory = hub.state.directory();
    assert!(directory.tls_key_allowed(&change.identity, &Hash([4; 32])));
    assert!(!directory.signing_key_allowed(&change.identity, &Hash([1; 32])));
}
