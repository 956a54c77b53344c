//! Answers that are owed, and deadlines: reminders, escalations, expiry. Time comes with the stamp.
//!
//! An addressee's clock first runs to the request's `reply_by`. The *interval* of a request is the
//! time from its acceptance to `reply_by`, at least one second: an interim answer, at most three
//! times, and each of the two reminders give so much more time. After that asker and secretariat
//! are told, and the clock stops; a late answer still settles the line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use i247_model::{AnswerState, Kind, MessageId, Party, ReplyStage, Sender, Timestamp};

use crate::audience::is_under_way;
use crate::directory::Standing;
use crate::{Fired, FiredDeadline, Line, Made, Message, MessageRef, Outcome, Place, Stamp, State, UnderWay};

/// A tick fires at most so many deadlines; the next tick takes the rest. So many fit into one entry of the log
/// together with the messages that they make.
pub const DEADLINES_PER_TICK: usize = 250;

/// So many interim answers restart the clock.
const INTERIMS: u8 = 3;

/// What was under way at its expiry is looked at again after so long.
const EXPIRY_AGAIN: Duration = Duration::from_secs(60);

/// What comes of the deadlines that are due.
pub(crate) fn fire(state: &State, stamp: Stamp, under_way: &UnderWay) -> Fired {
    let mut firing = Firing { state, stamp, fired: Fired::default(), next: BTreeMap::new() };
    let mut silent: BTreeMap<MessageRef, Vec<Party>> = BTreeMap::new();
    let mut expired: BTreeSet<(MessageRef, Party)> = BTreeSet::new();
    let due = state.deadlines.iter().take_while(|deadline| deadline.at <= stamp.at);
    for deadline in due.take(DEADLINES_PER_TICK) {
        let Some(message) = state.open.get(&deadline.message) else { continue };
        let outcome = match deadline.addressee {
            None => {
                let outcome = expire(message, stamp, under_way);
                if let Outcome::Expired { parties, .. } = &outcome {
                    expired.extend(parties.iter().map(|party| (message.at, *party)));
                }
                outcome
            }
            // Whoever cannot get the request any more owes nothing; its clock stops with the expiry.
            Some(party) if expired.contains(&(message.at, party)) => continue,
            Some(party) => match reminders(message, party) {
                nth @ (0 | 1) => firing.remind(message, party, nth + 1),
                _ => {
                    silent.entry(message.at).or_default().push(party);
                    Outcome::Escalated
                }
            },
        };
        firing.fired.deadlines.push(FiredDeadline { deadline: *deadline, outcome });
    }
    for (at, parties) in silent {
        if let Some(message) = state.open.get(&at) {
            firing.escalate(message, parties);
        }
    }
    firing.fired
}

/// What an accepted answer does to the addressee's line of an open or closed request.
pub(crate) fn answer(request: &mut Message, addressee: Party, stage: ReplyStage, at: Timestamp) -> bool {
    let Some(interval) = request.interval else { return false };
    let Some(line) = request.recipients.get_mut(&addressee).and_then(|recipient| recipient.line.as_mut())
    else {
        return false;
    };
    match stage {
        ReplyStage::Final => (line.state, line.due) = (AnswerState::Answered, None),
        ReplyStage::Refusal => (line.state, line.due) = (AnswerState::Refused, None),
        ReplyStage::Interim if line.interims >= INTERIMS || !line.state.owed() => return false,
        ReplyStage::Interim => {
            line.state = AnswerState::Interim;
            line.interims += 1;
            line.due = Some(at.plus(interval));
        }
    }
    true
}

/// The interval of a request.
pub(crate) fn interval(accepted_at: Timestamp, reply_by: Timestamp) -> Duration {
    reply_by.since(accepted_at).max(Duration::from_secs(1))
}

/// The line of an addressee of a new request.
pub(crate) fn new_line(reply_by: Timestamp) -> Line {
    Line { state: AnswerState::Awaited, interims: 0, due: Some(reply_by) }
}

fn expire(message: &Message, stamp: Stamp, under_way: &UnderWay) -> Outcome {
    let mut parties = Vec::new();
    let mut again = None;
    for (party, recipient) in &message.recipients {
        if recipient.state.settled() {
            continue;
        }
        if is_under_way(under_way, message, *party) {
            again = Some(stamp.at.plus(EXPIRY_AGAIN));
        } else {
            parties.push(*party);
        }
    }
    Outcome::Expired { parties, again }
}

fn reminders(message: &Message, party: Party) -> u8 {
    match message.recipients.get(&party).and_then(|recipient| recipient.line).map(|line| line.state) {
        Some(AnswerState::Reminded(nth)) => nth,
        _ => 0,
    }
}

struct Firing<'a> {
    state: &'a State,
    stamp: Stamp,
    fired: Fired,
    /// Places already given by this decision: mailbox and lane index.
    next: BTreeMap<(Party, usize), u64>,
}

impl Firing<'_> {
    /// Each silent addressee is reminded by a message of its own: who else is silent is not its business.
    fn remind(&mut self, request: &Message, party: Party, nth: u8) -> Outcome {
        let made = self.made(request, Kind::Reminder, &[party]);
        self.fired.made.push(Made { nth, ..made });
        Outcome::Reminded { nth, due: self.stamp.at.plus(request.interval.unwrap_or_default()) }
    }

    fn escalate(&mut self, request: &Message, silent: Vec<Party>) {
        // Of a hit the hub itself is the sender.
        let mut told = vec![Party::Secretariat, request.id.sender.party()];
        told.dedup();
        let made = self.made(request, Kind::Escalation, &told);
        self.fired.made.push(Made { silent, ..made });
    }

    fn made(&mut self, request: &Message, kind: Kind, parties: &[Party]) -> Made {
        let lane = request.id.lane;
        let number = self.fired.made.len() as u64 + 1;
        let epoch = self.state.made_epoch(self.stamp.position);
        let id = MessageId { sender: Sender::Secretariat, epoch, lane, number };
        let mut places = Vec::new();
        for party in parties {
            let standing = self.state.directory().standing_of(*party);
            if matches!(standing, None | Some(Standing::Revoked)) {
                continue;
            }
            // The same lane as the request, so it cannot overtake it.
            let place = self.state.place(*party, lane, false, None);
            let next = self.next.entry((*party, lane.index())).or_insert(place.number);
            places.push(Place { number: *next, ..place });
            *next += 1;
        }
        Made { id, kind, refers_to: request.id.clone(), places, nth: 0, silent: Vec::new() }
    }
}
