//! What becomes of the views when the hub goes on with another log, entry by entry.

use i247_model::{Kind, MessageId};
use i247_wire::pb::journal_entry::Event;

use super::*;
use crate::inbox::{Known, Mark};
use crate::outbox::Outbox;
use crate::story::{
    about, accepted, accepted_by_hub, arrived, entry, everything, given_anew, header, refused_by_hub, sealed,
    taken_over,
};

fn built(entries: &[pb::JournalEntry]) -> Views {
    let mut views = Views::new("FR".parse().unwrap());
    for (position, entry) in (1..).zip(entries) {
        views.apply(position, entry).unwrap();
    }
    views
}

fn id(text: &str) -> MessageId {
    text.parse().unwrap()
}

fn again(outbox: &Outbox) -> Vec<String> {
    outbox.again().iter().map(MessageId::to_string).collect()
}

/// Five messages: accepted at 11, refused, accepted at 12, refused, and one that waits.
fn sent() -> Vec<pb::JournalEntry> {
    let mut entries = Vec::new();
    for number in 1..=5 {
        let words = header(&format!("FR-1-N-{number}"), Kind::FreeText);
        entries.extend([accepted(&words, about(""), ""), sealed(&words)]);
    }
    entries.extend([
        accepted_by_hub(&header("FR-1-N-1", Kind::FreeText), 11),
        refused_by_hub("FR-1-N-2"),
        accepted_by_hub(&header("FR-1-N-3", Kind::FreeText), 12),
        refused_by_hub("FR-1-N-4"),
    ]);
    entries
}

fn state<'a>(views: &'a Views, of: &str) -> &'a SentState {
    &views.outbox.get(&id(of)).unwrap().state
}

fn is_lost(views: &Views, of: &str) -> bool {
    matches!(state(views, of), SentState::Accepted(acceptance) if acceptance.lost)
}

#[test]
fn what_the_hub_answered_in_the_lost_part_is_sent_again_in_order_and_nothing_else() {
    let mut entries = sent();
    // The copy ends at 11, and had refused the second.
    entries.push(taken_over("log", "log two", 11, [0; 4], 2));
    let views = built(&entries);
    assert_eq!(again(&views.outbox), ["FR-1-N-3", "FR-1-N-4"]);
    assert_eq!((is_lost(&views, "FR-1-N-1"), is_lost(&views, "FR-1-N-3")), (false, true));
    let next = |from| views.outbox.due(1, Lane::Normal, from).map(|id| id.number);
    assert_eq!([next(1), next(4), next(5), next(6)], [Some(3), Some(4), Some(5), None]);
    assert_eq!((views.outbox.log_id.as_slice(), views.outbox.log_end_seen), (&b"log two"[..], 11));
    assert_eq!((&views.outbox.newest_acceptance, views.outbox.waiting()), (&None, 1));
}

#[test]
fn a_later_acceptance_takes_the_place_of_a_lost_one_and_a_refusal_does_not() {
    let mut entries = sent();
    entries.push(taken_over("log", "log two", 10, [0; 4], 0));
    entries.push(accepted_by_hub(&header("FR-1-N-1", Kind::FreeText), 31));
    entries.push(refused_by_hub("FR-1-N-3"));
    let views = built(&entries);
    let SentState::Accepted(first) = state(&views, "FR-1-N-1") else { panic!("accepted") };
    assert_eq!((first.position, first.lost), (31, false));
    assert!(is_lost(&views, "FR-1-N-3"));
    assert_eq!(again(&views.outbox), ["FR-1-N-2", "FR-1-N-4"]);
    // Held by the present log, it is not overwritten by whatever comes.
    entries.push(accepted_by_hub(&header("FR-1-N-1", Kind::FreeText), 99));
    let SentState::Accepted(first) = state(&built(&entries), "FR-1-N-1").clone() else { panic!("accepted") };
    assert_eq!(first.position, 31);
}

#[test]
fn what_was_lost_twice_keeps_its_place_among_what_is_sent_again() {
    let mut entries = sent();
    entries.push(taken_over("log", "log two", 11, [0; 4], 1));
    // Position 12 is below the end of the second log, and another message stands there.
    entries.push(taken_over("log two", "log three", 40, [0; 4], 2));
    let views = built(&entries);
    assert!(is_lost(&views, "FR-1-N-3"));
    assert!(!is_lost(&views, "FR-1-N-1"));
    assert_eq!(views.outbox.due(1, Lane::Normal, 1), Some(&id("FR-1-N-2")));
}

#[test]
fn an_older_epoch_is_complete_at_the_hub_before_the_next_one_begins() {
    let mut entries = sent();
    entries.push(entry(Event::Epoch(pb::JournalEpoch { epoch: 2, ..Default::default() })));
    let opening = header("FR-2-V-1", Kind::NewEpoch);
    entries.extend([accepted(&opening, about(""), ""), sealed(&opening), accepted_by_hub(&opening, 13)]);
    entries.push(accepted(&header("FR-2-N-1", Kind::FreeText), about(""), ""));
    entries.push(taken_over("log", "log two", 11, [0; 4], 3));
    let mut views = built(&entries);
    // The fifth was given up, and its sender told to send it anew: it is not sent any more.
    assert_eq!(again(&views.outbox), ["FR-1-N-3", "FR-1-N-4", "FR-2-V-1"]);
    assert_eq!(views.outbox.epoch_due(), 1);
    for (of, at) in [("FR-1-N-3", 31), ("FR-1-N-4", 32)] {
        views.apply(90, &accepted_by_hub(&header(of, Kind::FreeText), at)).unwrap();
    }
    assert_eq!(views.outbox.epoch_due(), 2);
    assert_eq!(views.outbox.due(2, Lane::VeryUrgent, 1), Some(&id("FR-2-V-1")));
    assert_eq!(views.outbox.due(2, Lane::Normal, 1), Some(&id("FR-2-N-1")));
}

#[test]
fn where_a_message_stands_is_asked_anew_whether_the_copy_has_it_or_not() {
    let mut entries = sent();
    let closed = |id: &str| {
        let status = Some(pb::MessageStatus { id: id.into(), closed: true, ..Default::default() });
        entry(Event::Heard(pb::JournalHeard { status }))
    };
    entries.extend([closed("FR-1-N-1"), closed("FR-1-N-3")]);
    entries.push(taken_over("log", "log two", 11, [0; 4], 1));
    let open = built(&entries).outbox.open(None, 9);
    assert_eq!(open, [id("FR-1-N-1"), id("FR-1-N-3"), id("FR-1-N-5")]);
}

/// Four messages in the mailbox, two of them opened, one of these actioned.
fn received() -> Vec<pb::JournalEntry> {
    let mut entries: Vec<_> = (1..=4)
        .map(|number| arrived(number, &header(&format!("BR-1-N-{number}"), Kind::FreeText), about("")))
        .collect();
    for (id, actioned) in [("BR-1-N-1", false), ("BR-1-N-3", true)] {
        let marked = pb::JournalMarked { id: id.into(), actioned, officer: "duty".into() };
        entries.push(entry(Event::Marked(marked)));
    }
    entries.push(entry(Event::Told(pb::JournalTold { marks: 3 })));
    entries
}

fn mark(number: u64, actioned: bool) -> Mark {
    Mark { lane: Lane::Normal, number, actioned }
}

#[test]
fn numbers_above_what_the_copy_had_given_are_given_anew_and_marks_are_told_from_the_first() {
    let mut entries = received();
    let mailbox = vec![pb::MailboxEnd { lane: pb::Lane::Normal.into(), received_up_to: 9 }];
    entries.push(entry(Event::Epoch(pb::JournalEpoch { epoch: 2, mailbox, ..Default::default() })));
    entries.push(taken_over("log", "log two", 42, [0, 0, 2, 0], 0));
    let views = built(&entries);
    assert_eq!((views.inbox.up_to(Lane::Normal), views.inbox.lost_up_to(Lane::Normal)), (2, 2));
    assert_eq!(views.inbox.known(Lane::Normal, 2), Known::Message(&id("BR-1-N-2")));
    assert_eq!(views.inbox.known(Lane::Normal, 3), Known::Nothing);
    assert_eq!((views.inbox.marks(), views.inbox.told()), (&[mark(1, false)][..], 0));
    // Whatever comes next of this sender is held against what the copy had, not against what was lost.
    assert_eq!(views.inbox.last_of(&id("BR-1-N-1").sender, Lane::Normal), (1, 2));
    assert_eq!((views.inbox.owing(), views.inbox.all().len(), views.inbox.unopened()), (2, 4, 2));
}

#[test]
fn what_is_given_anew_is_counted_once_and_its_marks_go_under_the_new_number() {
    let mut entries = received();
    entries.push(taken_over("log", "log two", 42, [0, 0, 2, 0], 0));
    // Read while it has no number at all.
    let marked = pb::JournalMarked { id: "BR-1-N-4".into(), actioned: false, officer: "duty".into() };
    entries.push(entry(Event::Marked(marked)));
    entries.extend([given_anew("BR-1-N-3", 3, 61), given_anew("BR-1-N-4", 5, 63)]);
    let views = built(&entries);
    let expected = [mark(1, false), mark(3, false), mark(3, true), mark(5, false)];
    assert_eq!(views.inbox.marks(), expected);
    assert_eq!(views.inbox.known(Lane::Normal, 5), Known::Message(&id("BR-1-N-4")));
    assert_eq!(views.inbox.up_to(Lane::Normal), 5);
    assert_eq!((views.inbox.owing(), views.inbox.all().len(), views.inbox.unopened()), (0, 4, 1));
    assert_eq!(views.inbox.last_of(&id("BR-1-N-1").sender, Lane::Normal), (1, 4));
}

#[test]
fn what_the_hub_makes_by_itself_is_not_handed_over() {
    let mut reminder = header("IPSG-60-N-1", Kind::Reminder);
    reminder.refers_to = Some(id("BR-1-N-1"));
    let entries = [arrived(1, &reminder, about("")), taken_over("log", "log two", 40, [0; 4], 0)];
    assert_eq!(built(&entries).inbox.owing(), 0);
}

#[test]
fn the_first_log_is_noted_with_the_first_delivery_and_changes_nothing_else() {
    let log = Bytes::from_static(b"log");
    let mut views = built(&[]);
    assert_eq!(first(&log, &views, false), None);
    let noted = first(&log, &views, true).unwrap();
    views = built(&received());
    assert_eq!(first(&log, &views, false).as_ref(), Some(&noted));
    let before = (views.inbox.up_to(Lane::Normal), views.inbox.told(), views.inbox.owing());
    views.apply(90, &entry(Event::TakenOver(noted))).unwrap();
    assert_eq!(views.outbox.log_id, b"log");
    assert_eq!((views.inbox.up_to(Lane::Normal), views.inbox.told(), views.inbox.owing()), before);
    assert_eq!(first(&log, &views, true), None);
}

fn predecessor(log_id: &'static [u8], end: u64, given: u64) -> pb::Predecessor {
    let mailbox = vec![pb::GivenUpTo { lane: pb::Lane::Normal.into(), number: given }];
    pb::Predecessor { log_id: Bytes::from_static(log_id), end, mailbox }
}

#[test]
fn a_bureau_that_was_away_over_several_recoveries_takes_over_from_the_log_that_it_knew() {
    let views = built(&sent());
    let accepted =
        vec![pb::LaneEnd { lane: pb::Lane::Normal.into(), number: 2, header_hash: Bytes::from_static(&[1]) }];
    let welcome = pb::Welcome {
        log_id: Bytes::from_static(b"log four"),
        log_end: 70,
        epoch: 1,
        accepted,
        predecessors: vec![
            predecessor(b"log zero", 3, 1),
            predecessor(b"log", 11, 2),
            predecessor(b"log three", 60, 9),
        ],
        ..Default::default()
    };
    let taken = due(&welcome, &views).unwrap();
    let read = TakenOver::try_from(&taken).unwrap();
    assert_eq!(taken.predecessor.as_ref(), b"log");
    assert_eq!((read.end, read.given, read.epoch, read.accepted), (11, [0, 0, 2, 0], 1, [0, 0, 2, 0]));
    assert!(!read.first);
}

#[test]
fn only_a_log_that_goes_on_from_the_known_one_is_taken_over() {
    let known = built(&sent());
    let welcome = |log_id: &'static [u8], predecessors: &[pb::Predecessor]| pb::Welcome {
        log_id: Bytes::from_static(log_id),
        predecessors: predecessors.to_vec(),
        log_end: 11,
        ..Default::default()
    };
    let own = predecessor(b"log", 11, 0);
    assert!(due(&welcome(b"log two", std::slice::from_ref(&own)), &known).is_some());
    assert_eq!(due(&welcome(b"log two", &[predecessor(b"other", 11, 0)]), &known), None);
    assert_eq!(due(&welcome(b"log two", &[]), &known), None);
    assert_eq!(due(&welcome(b"log", std::slice::from_ref(&own)), &known), None);
    assert_eq!(due(&welcome(b"", std::slice::from_ref(&own)), &known), None);
    assert_eq!(due(&welcome(b"log two", &[predecessor(b"", 11, 0)]), &built(&[])), None);
    assert_eq!(due(&welcome(b"log two", &[predecessor(b"log", 12, 0)]), &known), None);
    let mut nonsense = own;
    nonsense.mailbox[0].lane = 77;
    assert_eq!(due(&welcome(b"log two", &[nonsense]), &known), None);
}

#[test]
fn people_are_told_what_is_under_way_and_what_is_left() {
    let mut entries = sent();
    entries.extend(received());
    assert_eq!(warning(&built(&entries)), "");
    entries.push(taken_over("log", "log two", 11, [0; 4], 2));
    assert_eq!(
        warning(&built(&entries)),
        "the hub was restored from an older copy and recovered: 2 sent messages are sent again; 4 received messages \
         are handed over to it"
    );
    entries.extend([refused_by_hub("FR-1-N-3"), refused_by_hub("FR-1-N-4")]);
    entries.push(entry(Event::HandedOver(pb::JournalHandedOver { log_id: Bytes::from_static(b"log two") })));
    assert_eq!(
        warning(&built(&entries)),
        "the hub was restored from an older copy and recovered: 1 that it had accepted before it refuses now \
         (FR-1-N-3): ask the secretariat"
    );
}

#[test]
fn every_entry_of_a_take_over_is_in_the_story_that_snapshots_are_tested_with() {
    let entries = everything();
    let is =
        |wanted: fn(&Event) -> bool| entries.iter().any(|entry| entry.event.as_ref().is_some_and(wanted));
    assert!(is(|event| matches!(event, Event::TakenOver(_))));
    assert!(is(|event| matches!(event, Event::GivenAnew(_))));
    assert!(is(|event| matches!(event, Event::HandedOver(_))));
    let views = built(&entries);
    assert!(!views.outbox.again().is_empty() && views.inbox.owing() > 0);
}
