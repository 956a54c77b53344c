//! Answers, reminders, escalations and what comes late.

use i247_model::{AnswerState, Audience, Kind, MessageId, ReplyStage};
use i247_router::{Effect, Outcome};

use crate::kit::{Hub, parties, party, to};

fn reply(hub: &mut Hub, from: &str, request: &MessageId, stage: ReplyStage) {
    let mut reply = hub.message(from, Kind::Reply, Some(request), to(&["FR"]));
    reply.header.reply_stage = Some(stage);
    hub.accept(reply);
}

fn line(hub: &Hub, request: &MessageId, of: &str) -> AnswerState {
    hub.state.message(request).unwrap().recipients[&party(of)].line.unwrap().state
}

#[test]
fn the_silent_are_reminded_twice_and_then_asker_and_secretariat_hear() {
    let mut hub = Hub::new();
    let request = hub.send("FR", Kind::Request, None, to(&["BR", "JP"]).copies([party("US")]));
    for country in ["BR", "JP", "US"] {
        hub.deliver(country);
    }
    reply(&mut hub, "BR", &request, ReplyStage::Final);
    assert!(hub.tick(99).deadlines.is_empty());
    for nth in [1, 2] {
        let fired = hub.tick(if nth == 1 { 1 } else { 100 });
        assert_eq!(fired.made.len(), 1);
        assert_eq!((fired.made[0].kind, fired.made[0].nth), (Kind::Reminder, nth));
        assert_eq!(fired.made[0].places[0].party, party("JP"));
        assert_eq!(line(&hub, &request, "JP"), AnswerState::Reminded(nth));
    }
    let fired = hub.tick(100);
    assert_eq!(fired.made[0].kind, Kind::Escalation);
    assert_eq!(fired.made[0].silent, [party("JP")]);
    assert_eq!(
        fired.made[0].places.iter().map(|place| place.party).collect::<Vec<_>>(),
        [party("IPSG"), party("FR")]
    );
    assert!(hub.closed().iter().any(|message| message.id == request), "silence closes it");
}

#[test]
fn a_late_answer_settles_the_line_of_a_closed_request() {
    let mut hub = Hub::new();
    let request = hub.send("FR", Kind::Request, None, to(&["JP"]));
    hub.deliver("JP");
    for seconds in [100, 100, 100] {
        hub.tick(seconds);
    }
    let closed = hub.closed().into_iter().find(|message| message.id == request).unwrap().clone();
    assert_eq!(closed.recipients[&party("JP")].line.unwrap().state, AnswerState::Escalated);
    let mut late = hub.message("JP", Kind::Reply, Some(&request), to(&["FR"]));
    late.header.reply_stage = Some(ReplyStage::Final);
    late.referred = Some(Box::new(closed));
    assert_eq!(parties(&hub.accept(late)), "FR");
    assert_eq!(hub.closed()[0].recipients[&party("JP")].line.unwrap().state, AnswerState::Answered);
}

#[test]
fn an_interim_answer_restarts_the_clock_three_times() {
    let mut hub = Hub::new();
    let request = hub.send("FR", Kind::Request, None, to(&["JP"]));
    for n in 1..=4 {
        assert!(hub.tick(99).made.is_empty(), "interim {n} gave more time");
        if n < 4 {
            reply(&mut hub, "JP", &request, ReplyStage::Interim);
            assert_eq!(line(&hub, &request, "JP"), AnswerState::Interim);
        }
    }
    reply(&mut hub, "JP", &request, ReplyStage::Interim);
    assert_eq!(hub.tick(1).made.len(), 1, "the fourth did not");
}

#[test]
fn a_tick_fires_at_most_so_many_deadlines_as_fit_into_an_entry() {
    let mut hub = Hub::new();
    for _ in 0..84 {
        hub.send("FR", Kind::Request, None, to(&["BR", "JP", "US"]));
    }
    assert_eq!(hub.tick(100).deadlines.len(), 250);
    assert_eq!(hub.tick(0).deadlines.len(), 2);
    assert!(hub.tick(0).deadlines.is_empty());
}

#[test]
fn an_expired_message_is_not_delivered_and_owes_nothing() {
    let mut hub = Hub::new();
    let mut request = hub.message("FR", Kind::Request, None, to(&["BR", "JP"]));
    request.header.expires_at = Some(hub.now.plus(std::time::Duration::from_secs(10)));
    let id = request.header.id.clone();
    hub.accept(request);
    hub.deliver("BR");
    let fired = hub.tick(10);
    assert_eq!(fired.deadlines[0].outcome, Outcome::Expired { parties: vec![party("JP")], again: None });
    assert_eq!(hub.state.owed(party("JP")).count(), 0);
    assert_eq!(hub.state.owed(party("BR")).count(), 1);
    reply(&mut hub, "BR", &id, ReplyStage::Refusal);
    assert!(hub.effects.iter().any(|effect| matches!(effect, Effect::Closed(message) if message.id == id)));
}

#[test]
fn whoever_asks_all_waits_for_each() {
    let mut hub = Hub::new();
    let request = hub.send("FR", Kind::Request, None, Audience::all());
    for from in ["BR", "JP", "US"] {
        hub.deliver(from);
        assert!(hub.state.message(&request).is_some());
        reply(&mut hub, from, &request, ReplyStage::Final);
    }
    assert!(hub.state.message(&request).is_none());
}
