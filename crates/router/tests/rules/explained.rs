//! Who came or went since the sender saw the audience explained.

use i247_model::{Audience, Kind, Reason};
use i247_router::{Accepted, Decision, DirectoryAction, Submission};

use crate::kit::{Hub, country, parties, party, to};

const BRAZIL: &str = "ncb/br";

/// Words to everybody, from a sender who saw the audience explained at this position.
fn to_all(hub: &mut Hub, explained_at: u64, exactly: bool) -> Submission {
    let mut message = hub.message("FR", Kind::FreeText, None, Audience::all());
    (message.header.explained_at, message.header.exactly) = (Some(explained_at), exactly);
    message
}

fn since(accepted: &Accepted) -> (Vec<String>, Vec<String>) {
    let texts = |parties: &[i247_model::Party]| parties.iter().map(ToString::to_string).collect();
    (texts(&accepted.come), texts(&accepted.gone))
}

fn texts(parties: &[&str]) -> Vec<String> {
    parties.iter().map(|party| (*party).to_owned()).collect()
}

#[test]
fn an_audience_that_has_not_changed_is_accepted_exactly() {
    let mut hub = Hub::new();
    let seen = hub.position();
    let message = to_all(&mut hub, seen, true);
    let accepted = hub.accept(message);
    assert_eq!(parties(&accepted), "BR JP US");
    assert_eq!(since(&accepted), (texts(&[]), texts(&[])));
}

#[test]
fn who_came_and_who_went_is_named_and_a_repetition_hears_the_same() {
    let mut hub = Hub::new();
    let seen = hub.position();
    hub.change(BRAZIL, DirectoryAction::Revoke, 2).unwrap();
    hub.change("ncb/de", DirectoryAction::Admit, 1).unwrap();
    let message = to_all(&mut hub, seen, false);
    let accepted = hub.accept(message.clone());
    assert_eq!(parties(&accepted), "DE JP US");
    assert_eq!(since(&accepted), (texts(&["DE"]), texts(&["BR"])));
    hub.change(BRAZIL, DirectoryAction::Admit, 3).unwrap();
    let Ok(Decision::Answered(answer)) = hub.submit(message) else { panic!("no answer") };
    let told = answer.outcome.unwrap();
    assert_eq!((told.recipients, told.come, told.gone), (3, vec![party("DE")], vec![party("BR")]));
}

#[test]
fn exactly_is_refused_with_everybody_who_came_or_went() {
    let mut hub = Hub::new();
    let seen = hub.position();
    hub.change(BRAZIL, DirectoryAction::Revoke, 2).unwrap();
    let message = to_all(&mut hub, seen, true);
    hub.void(message, Reason::AudienceChanged, "audience.gone.BR");
    hub.change("ncb/de", DirectoryAction::Admit, 1).unwrap();
    let message = to_all(&mut hub, seen, true);
    let Ok(Decision::Void(refusal)) = hub.submit(message) else { panic!("not refused") };
    assert_eq!(refusal.fields, ["audience.come.DE", "audience.gone.BR"]);
    // Explained again, it is as it was seen.
    let seen = hub.position();
    let message = to_all(&mut hub, seen, true);
    assert_eq!(parties(&hub.accept(message)), "DE JP US");
}

#[test]
fn who_left_and_came_back_has_neither_come_nor_gone() {
    let mut hub = Hub::new();
    let seen = hub.position();
    hub.change(BRAZIL, DirectoryAction::Revoke, 2).unwrap();
    let between = hub.position();
    hub.change(BRAZIL, DirectoryAction::Admit, 3).unwrap();
    let message = to_all(&mut hub, seen, true);
    assert_eq!(since(&hub.accept(message)), (texts(&[]), texts(&[])));
    let message = to_all(&mut hub, between, false);
    assert_eq!(since(&hub.accept(message)), (texts(&["BR"]), texts(&[])));
}

#[test]
fn new_keys_and_suspensions_change_no_audience() {
    let mut hub = Hub::new();
    let seen = hub.position();
    hub.change(BRAZIL, DirectoryAction::Admit, 2).unwrap();
    hub.change(BRAZIL, DirectoryAction::Suspend, 3).unwrap();
    let message = to_all(&mut hub, seen, true);
    assert_eq!(parties(&hub.accept(message)), "BR JP US");
}

#[test]
fn whoever_would_not_receive_anyway_is_not_named() {
    let mut hub = Hub::new();
    let seen = hub.position();
    hub.change(BRAZIL, DirectoryAction::Revoke, 2).unwrap();
    hub.change("ncb/de", DirectoryAction::Admit, 1).unwrap();
    let mut message = to_all(&mut hub, seen, true);
    message.header.audience = Audience::all().except([country("BR"), country("DE")]);
    assert_eq!(parties(&hub.accept(message)), "JP US");
    let mut message = to_all(&mut hub, seen, true);
    message.header.audience = to(&["JP"]);
    assert_eq!(parties(&hub.accept(message)), "JP");
}

#[test]
fn nobody_has_seen_what_is_yet_to_be_entered() {
    let mut hub = Hub::new();
    let next = hub.position() + 1;
    let message = to_all(&mut hub, next, false);
    hub.void(message, Reason::WrongField, "explained_at");
}

#[test]
fn exactly_needs_an_explanation() {
    let mut hub = Hub::new();
    let mut message = to_all(&mut hub, 1, true);
    message.header.explained_at = None;
    hub.void(message, Reason::WrongField, "explained_at");
}
