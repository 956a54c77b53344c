//! Rows of history in memory, until they are in a run. It must not lose the order of the keys on disk.

use std::collections::{BTreeMap, BTreeSet};

use i247_model::{Lane, Party, RecipientState, Sender, Timestamp};
use i247_router::MessageRef;

use super::bucket::Bucket;
use super::{Event, HistoryError, Item, Operation, keys, stored};

/// What a message takes beside its recipients, in rows of about 100 bytes.
const ITEM_ROWS: usize = 8;

/// What changed. Every row is whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// By id: closed and refused ones.
    pub(super) items: BTreeMap<String, Box<Item>>,
    /// Message, party and whether it was actioned: position and time.
    marks: BTreeMap<(MessageRef, Party, bool), (u64, Timestamp)>,
    pub(super) buckets: BTreeMap<(Party, Lane, u64), Bucket>,
    pub(super) operations: BTreeMap<String, Operation>,
    /// The entries from which records follow.
    pub(super) feeds: BTreeSet<u64>,
    held: usize,
}

impl Rows {
    /// How much is held: rows, and what stands in them once for each recipient.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn put(&mut self, key: String, item: Box<Item>) {
        let recipients = item.closed.as_ref().map_or(0, |message| message.recipients.len());
        self.held += ITEM_ROWS + recipients + item.events.len();
        self.items.insert(key, item);
    }

    pub(super) fn join(&mut self, operation: &str, id: &str, sender: &Sender, seat: Option<&str>) {
        self.held += 1;
        if !self.operations.contains_key(operation) {
            self.operations.insert(operation.to_owned(), Operation::default());
        }
        let Some(operation) = self.operations.get_mut(operation) else { return };
        operation.messages.insert(id.to_owned());
        operation.seats.extend(seat.map(|seat| (sender.to_string(), seat.to_owned())));
    }

    pub(super) fn feed(&mut self, position: u64) {
        self.held += 1;
        self.feeds.insert(position);
    }

    pub(super) fn mark(&mut self, message: MessageRef, party: Party, actioned: bool, when: (u64, Timestamp)) {
        self.held += 1;
        self.marks.insert((message, party, actioned), when);
    }

    pub(super) fn marks_of(&self, message: MessageRef) -> impl Iterator<Item = Event> {
        let all = (message, Party::Secretariat, false)..;
        let own = self.marks.range(all).take_while(move |((of, ..), _)| *of == message);
        own.map(|((_, party, actioned), (position, at))| event(*party, *actioned, *position, *at))
    }

    /// The bucket, to be changed; it begins empty.
    pub(super) fn bucket(&mut self, key: (Party, Lane, u64)) -> &mut Bucket {
        self.held += 1;
        self.buckets.entry(key).or_default()
    }

    /// Takes in rows of before; what is here is newer.
    pub(super) fn add_older(&mut self, older: Rows) {
        let Rows { items, marks, buckets, operations, feeds, held } = older;
        self.held += held;
        add(&mut self.items, items);
        add(&mut self.marks, marks);
        add(&mut self.buckets, buckets);
        self.feeds.extend(feeds);
        for (name, Operation { messages, seats }) in operations {
            let operation = self.operations.entry(name).or_default();
            operation.messages.extend(messages);
            operation.seats.extend(seats);
        }
    }

    /// Every row as it stands on disk, in the order of keys.
    ///
    /// # Errors
    /// The first that `put` says.
    pub(crate) fn each<E: From<HistoryError>>(
        &self,
        mut put: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut value = Vec::new();
        for (id, item) in &self.items {
            value.clear();
            stored::encode(item, &mut value)?;
            put(&keys::item(id), &value)?;
        }
        for ((message, party, actioned), (position, at)) in &self.marks {
            value.clear();
            stored::append(&(*position, *at), &mut value)?;
            put(&keys::mark(*message, *party, *actioned), &value)?;
        }
        for (key, bucket) in &self.buckets {
            value.clear();
            bucket.encode(&mut value)?;
            put(&keys::bucket(*key), &value)?;
        }
        for (name, operation) in &self.operations {
            for id in &operation.messages {
                put(&keys::message_of(name, id), b"")?;
            }
        }
        for position in &self.feeds {
            put(&keys::feed(*position), b"")?;
        }
        for (name, operation) in &self.operations {
            for (sender, seat) in &operation.seats {
                put(&keys::seat_of(name, sender, seat), b"")?;
            }
        }
        Ok(())
    }
}

/// A mark as what happened.
pub(super) fn event(party: Party, actioned: bool, position: u64, at: Timestamp) -> Event {
    let state = if actioned { RecipientState::Actioned } else { RecipientState::Opened };
    Event { at, position, party, state }
}

fn add<K: Ord, V>(newer: &mut BTreeMap<K, V>, older: BTreeMap<K, V>) {
    for (key, value) in older {
        newer.entry(key).or_insert(value);
    }
}
