//! Mailboxes, receipts, suspension and explanations.

use std::time::Duration;

use i247_model::{Audience, Kind, Lane, NumberRange, Reason, RecipientState, Region, Rule};
use i247_router::{
    Decision, DirectoryAction, Effect, Gap, Input, Outcome, Question, Submission, UnderWay, explain,
};

use crate::kit::{Hub, country, parties, party, to};

#[test]
fn what_is_taken_back_comes_as_a_gap_and_what_is_under_way_is_withdrawn_by_message() {
    let mut hub = Hub::new();
    let diffusion = hub.send("FR", Kind::Diffusion, None, to(&["BR", "JP"]));
    let mut cursor = hub.state.cursor(party("BR"));
    assert_eq!(hub.state.next_delivery(&mut cursor).unwrap().gap, None);
    let mut withdrawal = hub.message("FR", Kind::Withdrawal, Some(&diffusion), Audience::as_referred());
    hub.state.add_under_way(&cursor, &mut withdrawal.under_way);
    withdrawal.header.id.lane = Lane::VeryUrgent;
    (withdrawal.header.id.number, withdrawal.header.previous) = (1, None);
    let accepted = hub.accept(withdrawal);
    assert_eq!(parties(&accepted), "BR");
    assert_eq!(accepted.places[0].after, Some((Lane::Normal, 1)));
    let mut japan = hub.state.cursor(party("JP"));
    assert_eq!(hub.state.next_delivery(&mut japan).unwrap().gap, Some(Gap::Withdrawn));
    // On a new stream the withdrawal waits for the diffusion, although its lane is more urgent.
    let mut cursor = hub.state.cursor(party("BR"));
    assert_eq!(hub.state.next_delivery(&mut cursor).unwrap().lane, Lane::Normal);
    assert_eq!(hub.state.next_delivery(&mut cursor).unwrap().lane, Lane::VeryUrgent);
    assert_eq!(hub.state.next_delivery(&mut cursor), None);
    hub.deliver("BR");
    assert_eq!(hub.closed()[0].recipients[&party("BR")].state, RecipientState::Delivered);
    assert_eq!(hub.closed()[0].recipients[&party("JP")].state, RecipientState::Withdrawn);
}

#[test]
fn receipts_never_go_back_and_never_beyond_what_was_given() {
    let mut hub = Hub::new();
    for _ in 0..3 {
        hub.send("FR", Kind::FreeText, None, to(&["BR"]));
    }
    let wrong = |field: &str| Err((Reason::WrongField, vec![field.to_owned()]));
    let receipts = hub.receipt("BR", 4);
    assert_eq!(hub.enter(&Input::Receipts(receipts)), wrong("lanes.N.delivered_up_to"));
    for up_to in [2, 1] {
        let receipts = hub.receipt("BR", up_to);
        assert_eq!(hub.enter(&Input::Receipts(receipts)), Ok(Decision::Noted));
        assert_eq!(hub.state.mailbox(party("BR")).unwrap().delivered_up_to(Lane::Normal), 2);
    }
    let mut receipts = hub.receipt("BR", 2);
    receipts.lanes[0].opened.push(NumberRange { first: 1, last: 3 });
    assert_eq!(hub.enter(&Input::Receipts(receipts.clone())), wrong("lanes.N.opened"));
    // Twice the same, and out of order: a frame costs no more than what it tells.
    let range = |first, last| NumberRange { first, last };
    for ranges in [vec![range(1, 2), range(2, 2)], vec![range(2, 2), range(1, 1)], vec![range(2, 1)]] {
        receipts.lanes[0].opened = ranges;
        assert_eq!(hub.enter(&Input::Receipts(receipts.clone())), wrong("lanes.N.opened"));
    }
    receipts.lanes[0].opened = vec![range(1, 2)];
    receipts.lanes.push(receipts.lanes[0].clone());
    assert_eq!(hub.enter(&Input::Receipts(receipts)), wrong("lanes.N.lane"));
}

#[test]
fn what_is_opened_after_closing_is_for_history() {
    let mut hub = Hub::new();
    hub.send("FR", Kind::FreeText, None, to(&["BR"]));
    let asked = hub.send("FR", Kind::Request, None, to(&["BR"]));
    hub.send("FR", Kind::FreeText, None, to(&["BR"]));
    hub.deliver("BR");
    let mut receipts = hub.receipt("BR", 3);
    receipts.lanes[0].opened.push(NumberRange { first: 1, last: 3 });
    hub.enter(&Input::Receipts(receipts)).unwrap();
    assert_eq!(hub.state.message(&asked).unwrap().recipients[&party("BR")].state, RecipientState::Opened);
    let late = |number| Effect::LateReceipt {
        party: party("BR"),
        lane: Lane::Normal,
        numbers: NumberRange { first: number, last: number },
        actioned: false,
        at: hub.now,
    };
    assert_eq!(hub.effects, [late(1), late(3), Effect::Progress(asked)]);
}

#[test]
fn a_suspended_member_is_admitted_and_gets_nothing_until_it_is_back() {
    let mut hub = Hub::new();
    let before = hub.send("FR", Kind::FreeText, None, to(&["BR"]));
    hub.change("ncb/br", DirectoryAction::Suspend, 2).unwrap();
    let message = hub.message("FR", Kind::FreeText, None, to(&["BR"]));
    let during = message.header.id.clone();
    assert!(hub.accept(message).places[0].held);
    let mut cursor = hub.state.cursor(party("BR"));
    assert_eq!(hub.state.next_delivery(&mut cursor), None);
    let state = |hub: &Hub, id| hub.state.message(id).unwrap().recipients[&party("BR")].state;
    assert_eq!([state(&hub, &before), state(&hub, &during)], [RecipientState::Held; 2]);
    let receipts = hub.receipt("BR", 1);
    assert_eq!(hub.enter(&Input::Receipts(receipts)), Err((Reason::Suspended, vec!["party".into()])));
    hub.change("ncb/br", DirectoryAction::Reinstate, 3).unwrap();
    assert_eq!([state(&hub, &before), state(&hub, &during)], [RecipientState::Queued; 2]);
    assert_eq!(hub.state.next_delivery(&mut cursor).unwrap().number, 1);
}

#[test]
fn what_was_handed_out_before_a_suspension_is_neither_taken_back_nor_expired() {
    let mut hub = Hub::new();
    let mut message = hub.message("FR", Kind::Diffusion, None, to(&["BR"]));
    let diffusion = message.header.id.clone();
    message.header.expires_at = Some(hub.now.plus(Duration::from_secs(10)));
    hub.accept(message);
    let mut cursor = hub.state.cursor(party("BR"));
    assert!(hub.state.next_delivery(&mut cursor).is_some());
    // Brazil may have it, and cannot sign for it any more.
    hub.change("ncb/br", DirectoryAction::Suspend, 2).unwrap();
    let mut under_way = UnderWay::new();
    hub.state.add_under_way(&cursor, &mut under_way);
    hub.now = hub.now.plus(Duration::from_secs(11));
    let fired = hub.enter(&Input::Tick { under_way: under_way.clone() });
    let Ok(Decision::Fired(fired)) = fired else { panic!("{fired:?}") };
    let again = Some(hub.now.plus(Duration::from_secs(60)));
    assert_eq!(fired.deadlines[0].outcome, Outcome::Expired { parties: Vec::new(), again });
    let withdrawal = hub.message("FR", Kind::Withdrawal, Some(&diffusion), Audience::as_referred());
    let accepted = hub.accept(Submission { under_way, ..withdrawal });
    assert_eq!((parties(&accepted).as_str(), accepted.taken_back.len()), ("BR", 0));
    assert!(accepted.places[0].held);
}

#[test]
fn a_revoked_member_is_refused_what_waits_and_left_out_of_what_follows() {
    let mut hub = Hub::new();
    let before = hub.send("FR", Kind::FreeText, None, to(&["BR"]));
    hub.change("ncb/br", DirectoryAction::Revoke, 2).unwrap();
    assert_eq!(hub.closed()[0].id, before);
    assert_eq!(hub.closed()[0].recipients[&party("BR")].state, RecipientState::Refused);
    let message = hub.message("FR", Kind::FreeText, None, Audience::all());
    assert_eq!(parties(&hub.accept(message)), "JP US");
}

#[test]
fn every_member_of_the_table_is_explained() {
    let mut hub = Hub::new();
    let mut restriction = hub.message("FR", Kind::Restriction, None, Audience::secretariat());
    restriction.lifted.except = [country("US")].into();
    hub.accept(restriction);
    hub.change("ncb/jp", DirectoryAction::Suspend, 2).unwrap();
    let mut audience = Audience::all().copies([party("IPSG")]);
    audience.regions = [Region::Americas].into();
    let (sender, except, under_way) = ("FR".parse().unwrap(), Default::default(), UnderWay::new());
    let question = Question {
        sender: &sender,
        kind: Kind::Diffusion,
        audience: &audience,
        except: &except,
        refers_to: None,
        referred: None,
        under_way: &under_way,
    };
    let explained: std::collections::BTreeMap<_, _> =
        explain(&hub.state, &question).unwrap().into_iter().collect();
    assert_eq!(explained.len(), 197);
    for (code, rule) in [
        ("IPSG", Rule::Copy),
        ("FR", Rule::Sender),
        ("BR", Rule::Region),
        ("US", Rule::RestrictedByOwner),
        ("JP", Rule::Suspended),
        ("DE", Rule::NotAMember),
    ] {
        assert_eq!(explained[&party(code)], rule, "{code}");
    }
}

#[test]
fn a_thousand_answers_are_remembered_and_no_more() {
    let mut hub = Hub::new();
    let first = hub.message("FR", Kind::Void, None, Audience::secretariat());
    hub.accept(first.clone());
    for _ in 0..1023 {
        hub.send("FR", Kind::Void, None, Audience::secretariat());
    }
    assert!(matches!(hub.submit(first.clone()), Ok(Decision::Answered(_))));
    hub.send("FR", Kind::Void, None, Audience::secretariat());
    assert_eq!(hub.submit(first), Ok(Decision::Older));
    assert_eq!(hub.state.open_messages().count(), 0, "the state is bounded by what is open");
}
