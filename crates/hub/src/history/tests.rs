//! History gives the same answers wherever it lies: in memory, frozen, in one run or in many.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use i247_ledger::faults::{BreakableDisk, Dice};
use i247_ledger::runs::RunStore;
use i247_model::{Reason, Sender};
use i247_router::{Line, Recipient};

use super::*;

const PARTIES: [&str; 4] = ["BR", "FR", "JP", "SN"];

fn party(n: u64) -> Party {
    PARTIES[usize::try_from(n).unwrap() % PARTIES.len()].parse().unwrap()
}

fn id(number: u64) -> MessageId {
    let sender: Sender = ["FR", "FR.cdg", "BR"][usize::try_from(number % 3).unwrap()].parse().unwrap();
    MessageId { sender, epoch: 1, lane: Lane::Urgent, number }
}

fn stamp(position: u64, at: Timestamp) -> Stamp {
    Stamp { position, at }
}

fn closed(number: u64, position: u64, at: Timestamp, recipients: &[(Party, u64)]) -> Message {
    let recipient = |(party, number): &(Party, u64)| {
        let line = (*number % 2 == 0).then_some(Line {
            state: i247_model::AnswerState::Reminded(1),
            interims: 2,
            due: None,
        });
        (*party, Recipient { number: *number, state: RecipientState::Delivered, since: at, line })
    };
    Message {
        id: id(number),
        at: MessageRef { position, n: 0 },
        accepted_at: Timestamp::from_millis(position * 10),
        kind: Kind::Request,
        header_hash: Some(Hash([7; 32])),
        refers_to: (number > 1).then(|| id(number - 1)),
        owner: "FR".parse().unwrap(),
        notice_id: None,
        expires_at: Some(at),
        expiry_due: None,
        reply_by: Some(at),
        interval: Some(std::time::Duration::from_secs(5)),
        reply_to_all: true,
        withdrawn: false,
        again: false,
        come: vec!["JP".parse().unwrap()],
        gone: Vec::new(),
        recipients: recipients.iter().map(recipient).collect(),
    }
}

type Recipients = Vec<(Party, u64)>;

/// A story of messages: what it does to a history depends on the dice alone.
struct Story {
    dice: Dice,
    position: u64,
    sent: u64,
    numbers: BTreeMap<Party, u64>,
    /// Number, position and recipients.
    open: Vec<(u64, u64, Recipients)>,
    done: Vec<Message>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let (numbers, open, done) = Default::default();
        Self { dice: Dice::new(seed), position: 0, sent: 0, numbers, open, done }
    }

    /// The next entry, done to every history alike.
    fn go_on(&mut self, histories: &mut [&mut History]) {
        self.position += 1;
        let at = Timestamp::from_millis(self.position * 10);
        match self.dice.below(6) {
            0 | 1 => self.send(histories, at),
            2 | 3 if !self.open.is_empty() => {
                let index = usize::try_from(self.dice.below(self.open.len() as u64)).unwrap();
                let (number, position, recipients) = self.open.swap_remove(index);
                let message = closed(number, position, at, &recipients);
                self.done.push(message.clone());
                for history in histories {
                    history.close(message.clone(), stamp(self.position, at), None, None).unwrap();
                }
            }
            4 if !self.done.is_empty() => {
                // Answered late, or taken back.
                let index = usize::try_from(self.dice.below(self.done.len() as u64)).unwrap();
                self.done[index].withdrawn = true;
                for history in histories {
                    history.close(self.done[index].clone(), stamp(self.position, at), None, None).unwrap();
                }
            }
            _ => {
                let party = party(self.dice.roll());
                let last = self.numbers.get(&party).copied().unwrap_or_default();
                let first = 1 + self.dice.below(last + 1);
                let numbers = NumberRange { first, last: last.min(first + self.dice.below(100)) };
                let actioned = self.dice.one_in(2);
                for history in histories.iter_mut().filter(|_| first <= last) {
                    history.late((party, Lane::Urgent), numbers, actioned, self.position, at).unwrap();
                }
            }
        }
    }

    fn send(&mut self, histories: &mut [&mut History], at: Timestamp) {
        self.sent += 1;
        let place = MessageRef { position: self.position, n: 0 };
        let mut item = Item::new(place, at, Kind::Request, (self.sent > 1).then(|| id(self.sent - 1)));
        item.header_hash = Some(Hash([7; 32]));
        item.operation = Some(["infra-red", "infra"][usize::try_from(self.sent % 2).unwrap()].into());
        let mut recipients = Vec::new();
        if self.dice.one_in(5) {
            item.refused = Some(Refusal::of(Reason::MissingData, "form"));
        } else {
            for n in 0..=self.dice.below(4) {
                let number = self.numbers.entry(party(n)).or_default();
                *number += 1;
                recipients.push((party(n), *number));
            }
            self.open.push((self.sent, self.position, recipients.clone()));
        }
        for history in histories {
            history.enter(&id(self.sent), item.clone(), Some(["desk", "night"][self.sent as usize % 2]));
            for (party, number) in &recipients {
                history.place(*party, Lane::Urgent, *number, place).unwrap();
            }
        }
    }
}

fn rows(history: &History) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    history.each_row(|key, value| rows.push((key.to_vec(), value.to_vec()))).unwrap();
    rows
}

fn write(history: &History, store: &RunStore, frozen: &Frozen) -> Run {
    assert!(history.frozen.is_some());
    let mut writer = store.begin(frozen.from, frozen.to).unwrap();
    frozen.rows.each(|key, value| writer.push(key, value).map_err(HistoryError::from)).unwrap();
    writer.finish().unwrap()
}

#[test]
fn every_answer_is_the_same_wherever_history_lies() {
    for seed in 0..60 {
        let disk = Arc::new(BreakableDisk::new(seed));
        let store = RunStore::new(disk, Path::new("/runs"));
        store.open(Position::START).unwrap();
        let mut dice = Dice::new(seed + 1000);
        let (mut kept, mut stored) = (History::default(), History::default());
        let mut story = Story::new(seed);
        let mut frozen = None;
        for _ in 0..600 {
            story.go_on(&mut [&mut kept, &mut stored]);
            match dice.below(20) {
                0 if frozen.is_none() => frozen = stored.freeze(story.position),
                1 => {
                    if let Some(frozen) = frozen.take() {
                        let run = write(&stored, &store, &frozen);
                        stored.written(Some(run));
                    }
                }
                2 if frozen.take().is_some() => stored.thaw(),
                _ => {}
            }
            while let Some(due) = stored.runs.due(stored.runs.end()) {
                let merged = store.merge(&due, || true).unwrap().unwrap();
                stored.merged(merged);
                store.remove(&due).unwrap();
            }
        }
        assert!(stored.runs.count() > 0, "seed {seed}");
        assert_eq!(rows(&stored), rows(&kept), "seed {seed}");
        assert!(stored.runs.count() < 8);
        for number in 1..=story.sent {
            let key = id(number).to_string();
            let mut whole = Vec::new();
            for history in [&kept, &stored] {
                let mut item = history.find(&key).unwrap().expect("was entered");
                let mut marks = history.near_marks(item.place);
                marks.extend(marks_in(&history.runs, item.place).unwrap());
                item.mark(marks);
                item.again = false;
                whole.push(item);
            }
            assert_eq!(whole[0], whole[1], "seed {seed}, {key}");
        }
        assert_eq!(stored.find("FR-1-U-999999").unwrap(), None);
        for name in ["infra-red", "infra", "red"] {
            let mut all = operation_in(&stored.runs, name).unwrap();
            let near = stored.near_operation(name);
            all.messages.extend(near.messages);
            all.seats.extend(near.seats);
            assert_eq!(all, kept.near_operation(name), "seed {seed}");
        }
    }
}

#[test]
fn what_is_frozen_leaves_memory_and_is_found_all_the_same() {
    let store = RunStore::new(Arc::new(BreakableDisk::new(1)), Path::new("/runs"));
    store.open(Position::START).unwrap();
    let mut history = History::default();
    let mut story = Story::new(3);
    for _ in 0..2000 {
        story.go_on(&mut [&mut history]);
    }
    let held = history.held();
    assert!(held > 2000, "{held}");
    let frozen = history.freeze(2000).unwrap();
    assert_eq!(history.held(), held, "what is being written is in memory still");
    assert!(history.freeze(2000).is_none(), "one at a time");
    let run = write(&history, &store, &frozen);
    history.written(Some(run));
    assert_eq!(history.held(), 0);
    assert_eq!(history.open().len(), story.open.len());
    assert!(history.find(&story.done[0].id.to_string()).unwrap().is_some());
}

#[test]
fn what_is_half_changed_is_not_kept() {
    let mut history = History::default();
    history.break_off();
    assert!(history.freeze(1).is_none());
}

#[test]
fn what_was_said_of_a_closed_message_counts_once_and_never_goes_back() {
    let at = Timestamp::from_millis;
    let (brazil, japan): (Party, Party) = ("BR".parse().unwrap(), "JP".parse().unwrap());
    let mut history = History::default();
    let place = MessageRef { position: 1, n: 0 };
    history.enter(&id(3), Item::new(place, at(10), Kind::Request, None), None);
    history.place(brazil, Lane::Urgent, 1, place).unwrap();
    history.close(closed(3, 1, at(20), &[(brazil, 1), (japan, 1)]), stamp(2, at(20)), None, None).unwrap();
    let one = NumberRange { first: 1, last: 1 };
    history.late((brazil, Lane::Urgent), one, true, 3, at(30)).unwrap();
    history.late((brazil, Lane::Urgent), one, false, 4, at(40)).unwrap();
    history.late((brazil, Lane::Urgent), NumberRange { first: 1, last: 900 }, true, 5, at(50)).unwrap();
    let mut item = history.find("FR-1-U-3").unwrap().unwrap();
    item.mark(history.near_marks(place));
    let states: Vec<(u64, RecipientState)> = item
        .events
        .iter()
        .filter(|event| event.party == brazil)
        .map(|event| (event.position, event.state))
        .collect();
    assert_eq!(states, [(2, RecipientState::Delivered), (3, RecipientState::Actioned)]);
    let message = item.closed.unwrap();
    assert_eq!(
        (message.recipients[&brazil].state, message.recipients[&brazil].since),
        (RecipientState::Actioned, at(30))
    );
    assert_eq!(message.recipients[&japan].state, RecipientState::Delivered);
}

#[test]
fn ids_are_found_by_their_beginning() {
    let mut history = History::default();
    let place = MessageRef { position: 1, n: 0 };
    for number in [3, 9, 33, 36, 4] {
        history.enter(&id(number), Item::new(place, Timestamp::default(), Kind::Request, None), None);
    }
    let found = |prefix: &str| history.near_ids(prefix, 10).into_iter().collect::<Vec<_>>();
    assert_eq!(found("FR-1-U-3"), ["FR-1-U-3", "FR-1-U-33", "FR-1-U-36"]);
    assert_eq!(found("FR."), ["FR.cdg-1-U-4"]);
    assert_eq!(found("FR-2"), [""; 0]);
    assert_eq!(history.near_ids("", 2).len(), 2);
}
