//! What a bureau grants its posts.

use std::time::Duration;

use i247_model::{Audience, Grant, Identity, Kind, Leave, Reason, Term, Timestamp, Unit, Verb};
use i247_router::{
    DirectoryAction, Effect, GRANTS_MAX, Granted, Origin, REMEMBERED, Standing, State, Submission,
};

use crate::kit::{Hub, country, to};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn airport() -> Grant {
    Grant {
        unit: Unit::Airport,
        verb: Verb::Search,
        databases: [7, 8].into(),
        from: None,
        until: None,
        keys_per_minute: 60,
        keys_per_day: 5000,
        offline: [7].into(),
        supplement: false,
    }
}

fn post(path: &str) -> Identity {
    format!("spiffe://i247.test/ncb/{path}").parse().unwrap()
}

fn leave(hub: &mut Hub, sender: &str, post: &str, grant: Option<Grant>) -> Submission {
    let mut message = hub.message(sender, Kind::Grant, None, Audience::secretariat());
    message.lifted.leave = Some(Leave { post: post.parse().unwrap(), grant });
    message
}

fn granted<'a>(state: &'a State, path: &str) -> Option<&'a Granted> {
    state.directory().grant(&post(path))
}

#[test]
fn a_grant_is_held_under_its_own_country_and_replaced_by_the_next() {
    let mut hub = Hub::new();
    let message = leave(&mut hub, "FR", "cdg", Some(airport()));
    let accepted = hub.accept(message);
    assert_eq!(accepted.places.len(), 1, "the secretariat's mailbox is the log");
    assert!(hub.effects.contains(&Effect::Granted(post("fr/post/cdg"))));
    let held = granted(&hub.state, "fr/post/cdg").unwrap();
    assert_eq!((&held.grant, held.since, held.position), (&airport(), hub.now, hub.position()));
    for other in ["br/post/cdg", "fr/post/orly", "fr/officer/cdg", "fr"] {
        assert_eq!(granted(&hub.state, other), None, "{other}");
    }
    let narrower = Grant { databases: [7].into(), ..airport() };
    let message = leave(&mut hub, "FR", "cdg", Some(narrower.clone()));
    hub.accept(message);
    assert_eq!(granted(&hub.state, "fr/post/cdg").unwrap().grant, narrower);
    assert_eq!(hub.state.directory().grants_of(country("FR")).count(), 1);
    let message = leave(&mut hub, "FR", "cdg", None);
    hub.accept(message);
    assert!(hub.effects.contains(&Effect::Granted(post("fr/post/cdg"))));
    assert_eq!(granted(&hub.state, "fr/post/cdg"), None);
    assert_eq!(hub.state.open_messages().count(), 0);
}

#[test]
fn only_a_bureau_grants_and_only_to_the_secretariat() {
    let mut hub = Hub::new();
    for sender in ["GS.lena", "FR.cdg"] {
        let message = leave(&mut hub, sender, "cdg", Some(airport()));
        hub.void(message, Reason::KindNotAllowed, "kind");
    }
    let mut message = leave(&mut hub, "FR", "cdg", Some(airport()));
    message.header.audience = to(&["BR"]);
    hub.void(message, Reason::BadAudience, "audience");
    let mut message = leave(&mut hub, "FR", "cdg", Some(airport()));
    message.header.refers_to = Some("BR-1-N-1".parse().unwrap());
    hub.void(message, Reason::WrongField, "refers_to");
    let mut message = leave(&mut hub, "FR", "cdg", Some(airport()));
    message.lifted.missing = vec!["grant.unit".into()];
    hub.void(message, Reason::MissingData, "grant.unit");
    let mut message = leave(&mut hub, "FR", "cdg", Some(airport()));
    message.lifted.leave = None;
    hub.void(message, Reason::MissingData, "grant");
    assert_eq!(granted(&hub.state, "fr/post/cdg"), None);
}

#[test]
fn what_contradicts_itself_has_ended_or_is_not_there_is_void() {
    let mut hub = Hub::new();
    let partner = Grant { unit: Unit::Partner, ..airport() };
    let team = Grant { unit: Unit::EventTeam, ..airport() };
    let ended = Grant { until: Some(hub.now), ..airport() };
    let much = Grant { keys_per_minute: 5001, ..airport() };
    let beyond = Grant { offline: [9].into(), ..airport() };
    for (grant, field) in [
        (partner, "grant.verb"),
        (team, "grant.until_ms"),
        (ended, "grant.until_ms"),
        (much, "grant.keys_per_minute"),
        (beyond, "grant.offline"),
    ] {
        let message = leave(&mut hub, "FR", "cdg", Some(grant));
        hub.void(message, Reason::WrongField, field);
    }
    let message = leave(&mut hub, "FR", "cdg", None);
    hub.void(message, Reason::UnknownReference, "grant.post");
    assert_eq!(granted(&hub.state, "fr/post/cdg"), None);
    let message = leave(&mut hub, "FR", "cdg", Some(airport()));
    hub.accept(message);
}

#[test]
fn what_was_accepted_before_a_recovery_comes_back_late() {
    let mut hub = Hub::new();
    let ended = Grant { until: Some(hub.now), ..airport() };
    let mut message = leave(&mut hub, "FR", "cdg", Some(ended));
    message.origin = Origin::HandedOver;
    hub.accept(message);
    let mut message = leave(&mut hub, "FR", "orly", None);
    message.origin = Origin::HandedOver;
    hub.accept(message);
}

#[test]
fn a_grant_that_has_ended_is_remembered_for_a_month() {
    let mut hub = Hub::new();
    let until = hub.now.plus(DAY);
    let message = leave(&mut hub, "FR", "stade", Some(Grant { until: Some(until), ..airport() }));
    hub.accept(message);
    assert_eq!(hub.state.directory().next_grant_end(hub.now), Some(until));
    assert_eq!(hub.state.directory().next_grant_end(until), None);
    hub.now = until.plus(REMEMBERED - Duration::from_millis(1));
    let message = leave(&mut hub, "FR", "cdg", Some(airport()));
    hub.accept(message);
    let held = granted(&hub.state, "fr/post/stade").unwrap();
    assert_eq!(held.grant.term(hub.now), Term::Ended(until));
    hub.now = until.plus(REMEMBERED);
    let message = leave(&mut hub, "FR", "cdg", Some(airport()));
    hub.accept(message);
    assert_eq!(granted(&hub.state, "fr/post/stade"), None);
}

#[test]
fn one_country_has_so_many_grants_and_no_more() {
    let mut hub = Hub::new();
    for n in 0..GRANTS_MAX {
        let message = leave(&mut hub, "FR", &format!("gate_{n}"), Some(airport()));
        hub.accept(message);
    }
    let message = leave(&mut hub, "FR", "one_more", Some(airport()));
    hub.void(message, Reason::WrongField, "grant.post");
    for (sender, post) in [("FR", "gate_7"), ("BR", "galeao")] {
        let message = leave(&mut hub, sender, post, Some(airport()));
        hub.accept(message);
    }
    let message = leave(&mut hub, "FR", "gate_7", None);
    hub.accept(message);
    let message = leave(&mut hub, "FR", "one_more", Some(airport()));
    hub.accept(message);
}

#[test]
fn a_grant_outlasts_the_suspension_of_its_bureau_and_helps_nobody_meanwhile() {
    let mut hub = Hub::new();
    let message = leave(&mut hub, "FR", "cdg", Some(airport()));
    hub.accept(message);
    hub.change("ncb/fr", DirectoryAction::Suspend, 2).unwrap();
    assert_eq!(hub.state.directory().standing(&post("fr/post/cdg")), Some(Standing::Suspended));
    assert!(granted(&hub.state, "fr/post/cdg").is_some());
    let message = leave(&mut hub, "FR", "orly", Some(airport()));
    hub.not_entered(message, Reason::Suspended, "id");
    hub.change("ncb/fr", DirectoryAction::Reinstate, 3).unwrap();
    assert_eq!(hub.state.directory().standing(&post("fr/post/cdg")), Some(Standing::Active));
}

#[test]
fn grants_are_part_of_the_state_and_come_back_from_a_snapshot() {
    let mut hub = Hub::new();
    let before = postcard::to_allocvec(&hub.state).unwrap();
    let (from, until) = (Some(Timestamp::from_millis(1)), Some(hub.now.plus(DAY)));
    let message = leave(&mut hub, "FR", "cdg", Some(Grant { from, until, ..airport() }));
    hub.accept(message);
    let after = postcard::to_allocvec(&hub.state).unwrap();
    assert_ne!(before, after);
    let back: State = postcard::from_bytes(&after).unwrap();
    assert_eq!(back, hub.state);
    assert_eq!(granted(&back, "fr/post/cdg"), granted(&hub.state, "fr/post/cdg"));
}
