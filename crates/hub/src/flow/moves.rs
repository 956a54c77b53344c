//! What moved, as the views tell it while they take entries in. It must cost nothing that can be felt there.

use i247_model::{Kind, Lane, MessageId, Party, Reason, RecipientState, Refusal, Timestamp};
use i247_router::{Message, Place, Stamp};

/// One thing that happened to a message, or to it at one recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    pub(crate) from: Party,
    /// None for what happened to the message as a whole.
    pub(crate) to: Option<Party>,
    /// None for what was refused before it was known what it is.
    pub(crate) kind: Option<Kind>,
    pub(crate) lane: Option<Lane>,
    pub(crate) what: What,
    /// Since it was accepted.
    pub(crate) after_ms: u32,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// The message was accepted.
    Accepted,
    /// A recipient was entered for it.
    Entered,
    /// Where it stands with a recipient from now on.
    Stands(RecipientState),
    Refused(Reason),
}

/// The same of a message by its id, for those who tap.
#[derive(Clone, Debug)]
pub(crate) struct Tapped {
    pub(crate) moved: Move,
    pub(crate) at: Timestamp,
    pub(crate) position: u64,
    pub(crate) id: MessageId,
    /// Of what was accepted: whom it is for.
    pub(crate) recipients: Vec<Party>,
}

/// A final answer to a request, or that there will be none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Replied {
    pub(crate) by: Party,
    /// Since the request was accepted.
    pub(crate) after_ms: u64,
    pub(crate) in_time: bool,
}

/// The moves of some entries.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    pub(crate) moves: Vec<Move>,
    /// Only while [`Self::tap`] says so.
    pub(crate) tapped: Vec<Tapped>,
    pub(crate) replies: Vec<Replied>,
    /// Whether single messages are wanted.
    pub(crate) tap: bool,
}

impl Moves {
    pub(crate) fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.tapped.is_empty() && self.replies.is_empty()
    }

    /// Takes all of another list, which is empty then.
    pub(super) fn append(&mut self, other: &mut Self) {
        if self.moves.is_empty() {
            std::mem::swap(&mut self.moves, &mut other.moves);
        } else {
            self.moves.append(&mut other.moves);
        }
        self.tapped.append(&mut other.tapped);
        self.replies.append(&mut other.replies);
    }

    /// A message was accepted for these places.
    pub(crate) fn accepted(&mut self, stamp: Stamp, id: &MessageId, kind: Kind, places: &[Place]) {
        let accepted = Move {
            from: id.sender.party(),
            to: None,
            kind: Some(kind),
            lane: Some(id.lane),
            what: What::Accepted,
            after_ms: 0,
        };
        self.moves.push(accepted);
        self.moves.reserve(places.len());
        for place in places {
            let entered = Move { to: Some(place.party), what: What::Entered, ..accepted };
            self.moves.push(entered);
            // Its mailbox is the log: what is durable there is delivered.
            if place.party == Party::Secretariat {
                self.moves.push(Move { what: What::Stands(RecipientState::Delivered), ..entered });
            }
        }
        self.show(stamp, accepted, id, places);
    }

    /// A message was refused by a rule.
    pub(crate) fn refused(&mut self, stamp: Stamp, id: &MessageId, kind: Kind, refusal: &Refusal) {
        let refused = Move {
            from: id.sender.party(),
            to: None,
            kind: Some(kind),
            lane: Some(id.lane),
            what: What::Refused(refusal.reason),
            after_ms: 0,
        };
        self.moves.push(refused);
        self.show(stamp, refused, id, &[]);
    }

    /// A message stands otherwise with a recipient.
    pub(crate) fn stands(&mut self, stamp: Stamp, message: &Message, to: Party, state: RecipientState) {
        // Counted when it was entered.
        if to == Party::Secretariat {
            return;
        }
        let after = stamp.at.since(message.accepted_at).as_millis();
        let moved = Move {
            from: message.id.sender.party(),
            to: Some(to),
            kind: Some(message.kind),
            lane: Some(message.id.lane),
            what: What::Stands(state),
            after_ms: u32::try_from(after).unwrap_or(u32::MAX),
        };
        self.moves.push(moved);
        self.show(stamp, moved, &message.id, &[]);
    }

    fn show(&mut self, stamp: Stamp, moved: Move, id: &MessageId, places: &[Place]) {
        if self.tap {
            let recipients = places.iter().map(|place| place.party).collect();
            let (at, position) = (stamp.at, stamp.position);
            self.tapped.push(Tapped { moved, at, position, id: id.clone(), recipients });
        }
    }
}
