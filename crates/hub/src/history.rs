//! Everything that was ever accepted or refused, by id: what an operator asks for, and what late messages refer to.
//!
//! ```text
//!   apply ─► open items, and rows in memory ─freeze─► frozen ─written─► a run      look-ups: memory, frozen, runs
//! ```
//!
//! A view of the log like the state, but of the past; it holds no body. What is closed goes to disk with the next
//! snapshot, in a run of its own (`i247_ledger::runs`), so that memory is bounded by what is open and by what changed
//! since. Rows are put whole, so that whatever wrote them may write them again. It must not decide.

mod bucket;
mod carried;
mod keys;
mod rows;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use i247_ledger::runs::{Run, RunError, Runs};
use i247_ledger::{Damage, Position};
use i247_model::{Hash, Kind, Lane, MessageId, NumberRange, Party, RecipientState, Refusal, Timestamp};
use i247_router::{Message, MessageRef, Recipient, Stamp};
use serde::{Deserialize, Serialize};

use crate::flow::Moves;
use bucket::Bucket;
pub(crate) use carried::{Carried, carried_in};
pub(crate) use rows::Rows;

/// All messages, open and closed.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Messages that are not closed, by id. Boxed, because they are moved when others come and go.
    open: BTreeMap<String, Box<Item>>,
    /// What changed since the newest run.
    memory: Rows,
    /// What the run that is being written will hold.
    frozen: Option<Arc<Rows>>,
    runs: Runs,
    /// An entry was taken in by half: nothing of this may be kept.
    broken: bool,
}

/// Why history cannot answer. It is never the same as not knowing a message.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The runs cannot be read or written.
    #[error("the history beside the log cannot be used")]
    Runs(#[from] RunError),
    /// A row was written by something else.
    #[error("the history beside the log holds what this program cannot understand")]
    Row,
    /// The work was given up by a runtime that shuts down.
    #[error("the work was given up")]
    GivenUp,
}

/// What history knows of one message beside its recipients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    /// Place in the log.
    pub(crate) place: MessageRef,
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
    /// What happened to it until it was closed. Later there are marks.
    pub(crate) events: Vec<Event>,
    /// It was closed before, so that there may be older marks in the runs.
    #[serde(skip)]
    again: bool,
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
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Operation {
    pub(crate) messages: BTreeSet<String>,
    /// Sender and seat of whoever sent.
    pub(crate) seats: BTreeSet<(String, String)>,
}

/// What is to become the next run.
#[derive(Debug)]
pub(crate) struct Frozen {
    pub(crate) rows: Arc<Rows>,
    pub(crate) from: Position,
    pub(crate) to: Position,
}

impl Item {
    pub(crate) fn new(place: MessageRef, at: Timestamp, kind: Kind, refers_to: Option<MessageId>) -> Self {
        Self {
            place,
            at,
            kind,
            refers_to,
            operation: None,
            header_hash: None,
            refused: None,
            closed: None,
            events: Vec::new(),
            again: false,
        }
    }

    /// Adds what recipients said of it after it was closed.
    pub(crate) fn mark(&mut self, mut marks: Vec<Event>) {
        marks.sort_by_key(|mark| (mark.position, mark.state));
        let Some(message) = &mut self.closed else { return };
        for mark in marks {
            let recipient = message.recipients.get_mut(&mark.party);
            let Some(recipient) = recipient.filter(|one| one.state.has_it() && one.state < mark.state) else {
                continue;
            };
            (recipient.state, recipient.since) = (mark.state, mark.at);
            self.events.push(mark);
        }
    }

    fn observe(&mut self, message: &Message, stamp: Stamp, by: Option<Party>, mut moves: Option<&mut Moves>) {
        let Stamp { position, at } = stamp;
        let mut look = |party: Party, recipient: &Recipient| {
            let changed = recipient.since == at && recipient.state.settled();
            let seen = |event: &Event| event.party == party && event.state == recipient.state;
            if changed && !self.events.iter().rev().any(seen) {
                self.events.push(Event { at, position, party, state: recipient.state });
                if let Some(moves) = &mut moves {
                    moves.stands(stamp, message, party, recipient.state);
                }
            }
        };
        match by {
            Some(party) => message.recipients.get(&party).into_iter().for_each(|one| look(party, one)),
            None => message.recipients.iter().for_each(|(party, one)| look(*party, one)),
        }
    }
}

/// What entries do to it.
impl History {
    /// The history up to the end of the runs.
    pub(crate) fn of(open: BTreeMap<String, Box<Item>>, runs: Runs) -> Self {
        Self { open, runs, ..Self::default() }
    }

    /// A message was accepted or refused.
    pub(crate) fn enter(&mut self, id: &MessageId, item: Item, seat: Option<&str>) {
        let (key, item) = (id.to_string(), Box::new(item));
        if let Some(name) = &item.operation {
            self.memory.join(name, &key, &id.sender, seat);
        }
        if item.refused.is_some() {
            self.memory.put(key, item);
        } else {
            self.open.insert(key, item);
        }
    }

    /// Records follow from this entry.
    pub(crate) fn feed(&mut self, position: u64) {
        self.memory.feed(position);
    }

    /// A mailbox number carries this message.
    ///
    /// # Errors
    /// When the numbers before it cannot be read.
    pub(crate) fn place(
        &mut self,
        party: Party,
        lane: Lane,
        number: u64,
        message: MessageRef,
    ) -> Result<(), HistoryError> {
        // The secretariat's mailbox is the log: it signs no receipts.
        if party == Party::Secretariat {
            return Ok(());
        }
        let key = (party, lane, bucket::of(number));
        // Numbers come one after the other: nothing can be known before the first of a bucket.
        if bucket::offset(number) > 0 && !self.memory.buckets.contains_key(&key) {
            let known = self.bucket(key)?;
            *self.memory.bucket(key) = known;
        }
        self.memory.bucket(key).place(number, message);
        Ok(())
    }

    /// Notes which recipients of an open message changed at this entry: `by` at most, when it is the receipts of one.
    /// Whoever counts what moves is told.
    pub(crate) fn observe(
        &mut self,
        message: &Message,
        stamp: Stamp,
        by: Option<Party>,
        moves: Option<&mut Moves>,
    ) {
        if let Some(item) = self.open.get_mut(&message.id.to_string()) {
            item.observe(message, stamp, by, moves);
        }
    }

    /// A message has left the state, or changed after that, at this entry. `by` and `moves` as for [`Self::observe`].
    ///
    /// # Errors
    /// When what is known of it cannot be read.
    pub(crate) fn close(
        &mut self,
        message: Message,
        stamp: Stamp,
        by: Option<Party>,
        moves: Option<&mut Moves>,
    ) -> Result<(), HistoryError> {
        let key = message.id.to_string();
        let mut item = match self.open.remove(&key) {
            Some(item) => item,
            None => match self.find(&key)? {
                Some(item) => Box::new(Item { again: true, ..item }),
                None => return Ok(()),
            },
        };
        item.observe(&message, stamp, by, moves);
        item.closed = Some(message);
        self.memory.put(key, item);
        Ok(())
    }

    /// Numbers of closed messages were opened or actioned after all.
    ///
    /// # Errors
    /// When it cannot be read what these numbers carry.
    pub(crate) fn late(
        &mut self,
        (party, lane): (Party, Lane),
        numbers: NumberRange,
        actioned: bool,
        position: u64,
        at: Timestamp,
    ) -> Result<(), HistoryError> {
        for number in bucket::of(numbers.first)..=bucket::of(numbers.last) {
            let key = (party, lane, number);
            let places = bucket::within(number, numbers);
            let fresh = match self.memory.buckets.get_mut(&key) {
                Some(bucket) => bucket.mark(places, actioned),
                None => {
                    let mut bucket = self.bucket(key)?;
                    let fresh = bucket.mark(places, actioned);
                    // What says nothing new takes no memory.
                    if !fresh.is_empty() {
                        *self.memory.bucket(key) = bucket;
                    }
                    fresh
                }
            };
            for message in fresh {
                self.memory.mark(message, party, actioned, (position, at));
            }
        }
        Ok(())
    }

    /// Says that an entry was taken in by half.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
    }

    fn bucket(&self, key: (Party, Lane, u64)) -> Result<Bucket, HistoryError> {
        let near = self.near_rows().find_map(|rows| rows.buckets.get(&key));
        if let Some(bucket) = near {
            return Ok(bucket.clone());
        }
        match self.runs.find(&keys::bucket(key))? {
            Some(value) => Bucket::decode(&value),
            None => Ok(Bucket::default()),
        }
    }
}

/// How it is read. What is near is in memory.
impl History {
    /// An item as it was closed, from memory or disk.
    ///
    /// # Errors
    /// When it cannot be read: that is not the same as none.
    pub(crate) fn find(&self, key: &str) -> Result<Option<Item>, HistoryError> {
        match self.near(key) {
            Some(item) => Ok(Some(item.clone())),
            None => item_in(&self.runs, key),
        }
    }

    pub(crate) fn near(&self, key: &str) -> Option<&Item> {
        self.open.get(key).or_else(|| self.near_rows().find_map(|rows| rows.items.get(key))).map(Box::as_ref)
    }

    /// A closed message whose marks are all in memory.
    pub(crate) fn near_whole(&self, key: &str) -> Option<&Item> {
        self.near_rows().find_map(|rows| rows.items.get(key)).map(Box::as_ref).filter(|item| !item.again)
    }

    /// What memory knows of a message since it was closed.
    pub(crate) fn near_marks(&self, message: MessageRef) -> Vec<Event> {
        self.near_rows().flat_map(|rows| rows.marks_of(message)).collect()
    }

    /// The ids in memory that begin with `prefix`, at most `limit` of open ones and of each table.
    pub(crate) fn near_ids(&self, prefix: &str, limit: usize) -> BTreeSet<String> {
        let tables = self.near_rows().map(|rows| &rows.items).chain([&self.open]);
        tables.flat_map(|table| keys::beginning(table, prefix).take(limit).cloned()).collect()
    }

    /// What memory knows of an operation.
    pub(crate) fn near_operation(&self, name: &str) -> Operation {
        let mut all = Operation::default();
        for operation in self.near_rows().filter_map(|rows| rows.operations.get(name)) {
            all.messages.extend(operation.messages.iter().cloned());
            all.seats.extend(operation.seats.iter().cloned());
        }
        all
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.runs
    }

    pub(crate) fn open(&self) -> &BTreeMap<String, Box<Item>> {
        &self.open
    }

    /// The entries behind a position from which records follow, in the order of the log. What lies behind the newest run
    /// is in memory.
    ///
    /// # Errors
    /// When runs cannot be read.
    pub(crate) fn feeds_behind(&self, position: u64) -> Result<Vec<u64>, HistoryError> {
        let mut feeds = Vec::new();
        if position < self.runs.end().0 {
            for row in self.runs.rows(&[keys::FEEDS]) {
                feeds.push(keys::fed_at(&row?.key)?);
            }
            feeds.drain(..feeds.partition_point(|feed| *feed <= position));
        }
        for rows in [self.frozen.as_deref(), Some(&self.memory)].into_iter().flatten() {
            feeds.extend(rows.feeds.range(position.saturating_add(1)..));
        }
        Ok(feeds)
    }

    /// How many rows are in memory that a run will hold.
    pub(crate) fn held(&self) -> usize {
        self.near_rows().map(Rows::held).sum()
    }

    /// Every row of memory and disk in the order of keys.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn each_row(&self, mut take: impl FnMut(&[u8], &[u8])) -> Result<(), HistoryError> {
        let mut near: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for rows in [self.frozen.as_deref(), Some(&self.memory)].into_iter().flatten() {
            rows.each(|key, value| {
                near.insert(key.to_vec(), value.to_vec());
                Ok::<(), HistoryError>(())
            })?;
        }
        let mut near = near.into_iter().peekable();
        for row in self.runs.rows(b"") {
            let row = row?;
            while let Some((key, value)) = near.next_if(|(key, _)| *key < row.key) {
                take(&key, &value);
            }
            if near.peek().is_none_or(|(key, _)| *key != row.key) {
                take(&row.key, &row.value);
            }
        }
        near.for_each(|(key, value)| take(&key, &value));
        Ok(())
    }

    /// The newest first.
    fn near_rows(&self) -> impl Iterator<Item = &Rows> {
        [Some(&self.memory), self.frozen.as_deref()].into_iter().flatten()
    }
}

/// How it goes to disk.
impl History {
    /// Sets apart what is to become the next run, up to `position`; none while another is being written, or when
    /// nothing of this may be kept.
    pub(crate) fn freeze(&mut self, position: u64) -> Option<Frozen> {
        if self.broken || self.frozen.is_some() {
            return None;
        }
        let rows = Arc::new(std::mem::take(&mut self.memory));
        self.frozen = Some(rows.clone());
        Some(Frozen { rows, from: self.runs.end(), to: Position(position) })
    }

    /// What was frozen is in a run now.
    pub(crate) fn written(&mut self, run: Option<Run>) {
        self.frozen = None;
        if let Some(run) = run {
            self.runs = self.runs.and(run);
        }
    }

    /// What was frozen could not be written.
    pub(crate) fn thaw(&mut self) {
        if let Some(rows) = self.frozen.take() {
            self.memory.add_older(Arc::unwrap_or_clone(rows));
        }
    }

    pub(crate) fn merged(&mut self, run: Run) {
        self.runs = self.runs.with_merged(run);
    }
}

impl HistoryError {
    /// What is damaged, if that is what it says.
    pub(crate) fn damage(&self) -> Option<&Damage> {
        match self {
            Self::Runs(RunError::Damaged(damage)) => Some(damage),
            Self::Runs(
                RunError::Full | RunError::Io { .. } | RunError::OutOfOrder | RunError::TooLarge(_),
            )
            | Self::Row
            | Self::GivenUp => None,
        }
    }
}

/// An item as runs have it.
pub(crate) fn item_in(runs: &Runs, key: &str) -> Result<Option<Item>, HistoryError> {
    runs.find(&keys::item(key))?.map(|value| stored::decode(key, &value)).transpose()
}

/// What runs know of a message since it was closed.
pub(crate) fn marks_in(runs: &Runs, message: MessageRef) -> Result<Vec<Event>, HistoryError> {
    runs.rows(&keys::marks_of(message)).map(|row| stored::decode_mark(&row?)).collect()
}

/// At most `limit` ids in runs that begin with `prefix`.
pub(crate) fn ids_in(runs: &Runs, prefix: &str, limit: usize) -> Result<Vec<String>, HistoryError> {
    runs.rows(&keys::item(prefix)).take(limit).map(|row| keys::text(&row?.key[1..])).collect()
}

/// What runs know of an operation.
pub(crate) fn operation_in(runs: &Runs, name: &str) -> Result<Operation, HistoryError> {
    let mut operation = Operation::default();
    for row in runs.rows(&keys::messages_of(name)) {
        operation.messages.insert(keys::last(&row?.key)?);
    }
    for row in runs.rows(&keys::seats_of(name)) {
        operation.seats.insert(keys::last_two(&row?.key)?);
    }
    Ok(operation)
}
