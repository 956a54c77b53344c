//! Everything that was ever accepted or refused, by id: what an operator asks for, and what late messages refer to.
//!
//! A view of the log like the state, but of the past; it holds no body. It must not decide.

use std::collections::BTreeMap;
use std::ops::Bound;

use i247_model::{Hash, Kind, Lane, MessageId, Party, RecipientState, Refusal, Sender, Timestamp};
use i247_router::Message;
use serde::{Deserialize, Serialize};

/// All messages, open and closed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    items: BTreeMap<MessageId, Item>,
    operations: BTreeMap<String, Operation>,
    /// Whose mailbox number carries which message.
    numbers: BTreeMap<(Party, Lane, u64), MessageId>,
}

/// What history knows of one message beside its recipients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    /// Place in the log.
    pub(crate) position: u64,
    /// When it was decided on.
    pub(crate) at: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) refers_to: Option<MessageId>,
    pub(crate) operation: Option<String>,
    /// Hash of its header; none for messages that the hub made.
    pub(crate) header_hash: Option<Hash>,
    /// Why it was refused; it has no recipients then.
    pub(crate) refused: Option<Refusal>,
    /// Its last form, once it is closed. Open ones are in the state.
    pub(crate) closed: Option<Message>,
    /// What happened to it since.
    pub(crate) events: Vec<Event>,
}

/// Something that happened to a message at one recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) position: u64,
    pub(crate) party: Party,
    pub(crate) state: RecipientState,
}

/// What belongs to an operation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) messages: Vec<MessageId>,
    /// Sender and seat of whoever sent.
    pub(crate) seats: std::collections::BTreeSet<(Sender, String)>,
}

impl History {
    pub(crate) fn item(&self, id: &MessageId) -> Option<&Item> {
        self.items.get(id)
    }

    /// The last form of a closed message.
    pub(crate) fn closed(&self, id: &MessageId) -> Option<&Message> {
        self.items.get(id)?.closed.as_ref()
    }

    pub(crate) fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }

    /// The ids that begin with `prefix`, at most `limit` of them.
    pub(crate) fn with_prefix(&self, prefix: &str, limit: usize) -> Vec<MessageId> {
        if let Ok(id) = prefix.parse::<MessageId>()
            && self.items.contains_key(&id)
        {
            return vec![id];
        }
        // Ids are ordered by sender, epoch, lane and number, not by their text.
        self.items.keys().filter(|id| id.to_string().starts_with(prefix)).take(limit).cloned().collect()
    }

    /// A message was accepted or refused.
    pub(crate) fn enter(&mut self, id: MessageId, item: Item, seat: Option<String>) {
        if let Some(name) = &item.operation {
            let operation = self.operations.entry(name.clone()).or_default();
            operation.messages.push(id.clone());
            operation.seats.extend(seat.map(|seat| (id.sender.clone(), seat)));
        }
        self.items.insert(id, item);
    }

    /// A mailbox number carries this message.
    pub(crate) fn place(&mut self, party: Party, lane: Lane, number: u64, id: &MessageId) {
        self.numbers.insert((party, lane, number), id.clone());
    }

    /// Notes which recipients of an open message changed at this stamp.
    pub(crate) fn observe(&mut self, message: &Message, position: u64, at: Timestamp) {
        let Some(item) = self.items.get_mut(&message.id) else { return };
        for (party, recipient) in &message.recipients {
            let changed = recipient.since == at && recipient.state.settled();
            let seen = |event: &Event| event.party == *party && event.state == recipient.state;
            if changed && !item.events.iter().rev().any(seen) {
                item.events.push(Event { at, position, party: *party, state: recipient.state });
            }
        }
    }

    /// A message has left the state.
    pub(crate) fn close(&mut self, message: Message, position: u64, at: Timestamp) {
        self.observe(&message, position, at);
        if let Some(item) = self.items.get_mut(&message.id) {
            item.closed = Some(message);
        }
    }

    /// A message is open again.
    pub(crate) fn reopen(&mut self, id: &MessageId) {
        if let Some(item) = self.items.get_mut(id) {
            item.closed = None;
        }
    }

    /// Numbers of closed messages were opened or actioned after all. Returns the messages concerned.
    pub(crate) fn late(
        &mut self,
        (party, lane): (Party, Lane),
        (first, last): (u64, u64),
        state: RecipientState,
        position: u64,
        at: Timestamp,
    ) -> Vec<MessageId> {
        let range = (Bound::Included((party, lane, first)), Bound::Included((party, lane, last)));
        let ids: Vec<MessageId> = self.numbers.range(range).map(|(_, id)| id.clone()).collect();
        let mut changed = Vec::new();
        for id in ids {
            let Some(item) = self.items.get_mut(&id) else { continue };
            let Some(recipient) = item.closed.as_mut().and_then(|message| message.recipients.get_mut(&party))
            else {
                continue;
            };
            if recipient.state < state && recipient.state.has_it() {
                recipient.state = state;
                recipient.since = at;
                item.events.push(Event { at, position, party, state });
                changed.push(id);
            }
        }
        changed
    }
}
