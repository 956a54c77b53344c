//! The values of history's rows on disk: compact, of one version with the snapshot beside them. It must not store a
//! body, nor twice what the item says already.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use i247_ledger::runs::Row;
use i247_model::{Hash, Kind, MessageId, NoticeId, Party, RecipientState, Refusal, Timestamp};
use i247_router::{Line, Message, MessageRef, Recipient};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::{Event, HistoryError, Item, keys, rows};

#[derive(Serialize, Deserialize)]
struct StoredItem<'a> {
    position: u64,
    n: u32,
    at: Timestamp,
    kind: Kind,
    refers_to: Cow<'a, Option<MessageId>>,
    operation: Cow<'a, Option<String>>,
    header_hash: Option<Hash>,
    refused: Cow<'a, Option<Refusal>>,
    closed: Option<StoredMessage<'a>>,
    events: Vec<StoredEvent>,
}

/// What the item does not say of its message.
#[derive(Serialize, Deserialize)]
struct StoredMessage<'a> {
    owner: u16,
    notice_id: Option<NoticeId>,
    expires_at: Option<Timestamp>,
    expiry_due: Option<Timestamp>,
    reply_by: Option<Timestamp>,
    interval: Option<Duration>,
    reply_to_all: bool,
    withdrawn: bool,
    again: bool,
    come: Cow<'a, [Party]>,
    gone: Cow<'a, [Party]>,
    recipients: Vec<StoredRecipient>,
}

#[derive(Serialize, Deserialize)]
struct StoredRecipient {
    party: u16,
    number: u64,
    state: RecipientState,
    /// In milliseconds after the item's time.
    since: u64,
    line: Option<Line>,
}

#[derive(Serialize, Deserialize)]
struct StoredEvent {
    party: u16,
    state: RecipientState,
    /// In milliseconds and positions after the item's.
    at: u64,
    position: u64,
}

pub(super) fn encode(item: &Item, bytes: &mut Vec<u8>) -> Result<(), HistoryError> {
    let since = |at: Timestamp| at.as_millis().wrapping_sub(item.at.as_millis());
    let event = |event: &Event| StoredEvent {
        party: keys::party_code(event.party),
        state: event.state,
        at: since(event.at),
        position: event.position.wrapping_sub(item.place.position),
    };
    let recipient = |(party, recipient): (&Party, &Recipient)| StoredRecipient {
        party: keys::party_code(*party),
        number: recipient.number,
        state: recipient.state,
        since: since(recipient.since),
        line: recipient.line,
    };
    let closed = item.closed.as_ref().map(|message| StoredMessage {
        owner: keys::party_code(message.owner),
        notice_id: message.notice_id,
        expires_at: message.expires_at,
        expiry_due: message.expiry_due,
        reply_by: message.reply_by,
        interval: message.interval,
        reply_to_all: message.reply_to_all,
        withdrawn: message.withdrawn,
        again: message.again,
        come: Cow::Borrowed(&message.come),
        gone: Cow::Borrowed(&message.gone),
        recipients: message.recipients.iter().map(recipient).collect(),
    });
    let stored = StoredItem {
        position: item.place.position,
        n: item.place.n,
        at: item.at,
        kind: item.kind,
        refers_to: Cow::Borrowed(&item.refers_to),
        operation: Cow::Borrowed(&item.operation),
        header_hash: item.header_hash,
        refused: Cow::Borrowed(&item.refused),
        closed,
        events: item.events.iter().map(event).collect(),
    };
    append(&stored, bytes)
}

/// The item of this id.
pub(super) fn decode(id: &str, bytes: &[u8]) -> Result<Item, HistoryError> {
    let stored: StoredItem = postcard::from_bytes(bytes).map_err(|_| HistoryError::Row)?;
    let id: MessageId = id.parse().map_err(|_| HistoryError::Row)?;
    let after = |millis: u64| Timestamp::from_millis(stored.at.as_millis().wrapping_add(millis));
    let mut events = Vec::with_capacity(stored.events.len());
    for event in &stored.events {
        events.push(Event {
            at: after(event.at),
            position: stored.position.wrapping_add(event.position),
            party: keys::party(event.party)?,
            state: event.state,
        });
    }
    let mut item = Item::new(
        MessageRef { position: stored.position, n: stored.n },
        stored.at,
        stored.kind,
        stored.refers_to.into_owned(),
    );
    if let Some(closed) = stored.closed {
        let mut recipients = BTreeMap::new();
        for StoredRecipient { party, number, state, since, line } in closed.recipients {
            let recipient = Recipient { number, state, since: after(since), line };
            recipients.insert(keys::party(party)?, recipient);
        }
        item.closed = Some(Message {
            id,
            at: item.place,
            accepted_at: item.at,
            kind: item.kind,
            header_hash: stored.header_hash,
            refers_to: item.refers_to.clone(),
            owner: keys::party(closed.owner)?,
            notice_id: closed.notice_id,
            expires_at: closed.expires_at,
            expiry_due: closed.expiry_due,
            reply_by: closed.reply_by,
            interval: closed.interval,
            reply_to_all: closed.reply_to_all,
            withdrawn: closed.withdrawn,
            again: closed.again,
            come: closed.come.into_owned(),
            gone: closed.gone.into_owned(),
            recipients,
        });
    }
    item.operation = stored.operation.into_owned();
    item.header_hash = stored.header_hash;
    item.refused = stored.refused.into_owned();
    item.events = events;
    Ok(item)
}

pub(super) fn decode_mark(row: &Row) -> Result<Event, HistoryError> {
    let (party, actioned) = keys::marked(&row.key)?;
    let (position, at): (u64, Timestamp) = postcard::from_bytes(&row.value).map_err(|_| HistoryError::Row)?;
    Ok(rows::event(party, actioned, position, at))
}

/// Appends a value in its stored form.
pub(super) fn append<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), HistoryError> {
    postcard::serialize_with_flavor(value, Appended(bytes)).map_err(|_| HistoryError::Row)
}

/// Values behind what is there, without memory of their own.
struct Appended<'a>(&'a mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
