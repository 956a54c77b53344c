//! The keys of history's rows on disk. Each begins with the letter of its table, and is ordered as its table in memory
//! is. It must not lose anything that a key tells apart.
//!
//! ```text
//!   i  id                                        what is known of a message
//!   m  position, n, party, actioned?             opened or actioned after it was closed
//!   n  party, lane, bucket                       which messages 64 mailbox numbers carry
//!   o  operation 0 id          s  operation 0 sender 0 seat
//!   r  position                                  records follow from this entry
//! ```

use std::collections::BTreeMap;

use i247_model::{CountryCode, Lane, Party};
use i247_router::MessageRef;

use super::HistoryError;

/// Between texts: neither ids nor names of operations and seats hold it.
const BETWEEN: u8 = 0;

/// The table of entries from which records follow.
pub(super) const FEEDS: u8 = b'r';

/// Also a prefix, when `id` is the beginning of one: ids are ordered by their text.
pub(super) fn item(id: &str) -> Vec<u8> {
    join(b'i', &[id.as_bytes()])
}

pub(super) fn mark(message: MessageRef, party: Party, actioned: bool) -> Vec<u8> {
    let mut key = marks_of(message);
    key.extend_from_slice(&party_code(party).to_be_bytes());
    key.push(u8::from(actioned));
    key
}

pub(super) fn marks_of(message: MessageRef) -> Vec<u8> {
    let mut key = Vec::with_capacity(16);
    key.push(b'm');
    key.extend_from_slice(&message.position.to_be_bytes());
    key.extend_from_slice(&message.n.to_be_bytes());
    key
}

/// Party and whether it actioned, from the key of a mark.
pub(super) fn marked(key: &[u8]) -> Result<(Party, bool), HistoryError> {
    let &[.., high, low, actioned @ (0 | 1)] = key else { return Err(HistoryError::Row) };
    Ok((party(u16::from_be_bytes([high, low]))?, actioned == 1))
}

pub(super) fn bucket((party, lane, bucket): (Party, Lane, u64)) -> Vec<u8> {
    let mut key = Vec::with_capacity(12);
    key.push(b'n');
    key.extend_from_slice(&party_code(party).to_be_bytes());
    key.push(lane.index() as u8);
    key.extend_from_slice(&bucket.to_be_bytes());
    key
}

pub(super) fn message_of(operation: &str, id: &str) -> Vec<u8> {
    join(b'o', &[operation.as_bytes(), id.as_bytes()])
}

pub(super) fn messages_of(operation: &str) -> Vec<u8> {
    message_of(operation, "")
}

/// Also a prefix of none but itself: positions are of one length.
pub(super) fn feed(position: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(FEEDS);
    key.extend_from_slice(&position.to_be_bytes());
    key
}

/// The position in the key of an entry from which records follow.
pub(super) fn fed_at(key: &[u8]) -> Result<u64, HistoryError> {
    let position = key.strip_prefix(&[FEEDS]).and_then(|bytes| bytes.try_into().ok());
    position.map(u64::from_be_bytes).ok_or(HistoryError::Row)
}

pub(super) fn seat_of(operation: &str, sender: &str, seat: &str) -> Vec<u8> {
    join(b's', &[operation.as_bytes(), sender.as_bytes(), seat.as_bytes()])
}

pub(super) fn seats_of(operation: &str) -> Vec<u8> {
    join(b's', &[operation.as_bytes(), b""])
}

/// The last text of a key.
pub(super) fn last(key: &[u8]) -> Result<String, HistoryError> {
    text(key.rsplit(|byte| *byte == BETWEEN).next().unwrap_or_default())
}

/// The last two texts of a key.
pub(super) fn last_two(key: &[u8]) -> Result<(String, String), HistoryError> {
    let mut parts = key.rsplit(|byte| *byte == BETWEEN);
    let (Some(second), Some(first)) = (parts.next(), parts.next()) else { return Err(HistoryError::Row) };
    Ok((text(first)?, text(second)?))
}

pub(super) fn text(bytes: &[u8]) -> Result<String, HistoryError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| HistoryError::Row)
}

/// The keys of a table that begin with `prefix`.
pub(super) fn beginning<'a, T>(
    table: &'a BTreeMap<String, T>,
    prefix: &'a str,
) -> impl Iterator<Item = &'a String> {
    table.range(prefix.to_owned()..).map(|(key, _)| key).take_while(move |key| key.starts_with(prefix))
}

/// A party in two bytes, ordered as parties are.
pub(super) fn party_code(party: Party) -> u16 {
    let code = |country: CountryCode| <[u8; 2]>::try_from(country.as_str().as_bytes()).unwrap_or_default();
    party.country().map_or(0, |country| u16::from_be_bytes(code(country)))
}

pub(super) fn party(code: u16) -> Result<Party, HistoryError> {
    if code == 0 {
        return Ok(Party::Secretariat);
    }
    let bytes = code.to_be_bytes();
    let country = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
    country.map(Party::Bureau).ok_or(HistoryError::Row)
}

fn join(table: u8, texts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + texts.iter().map(|text| text.len() + 1).sum::<usize>());
    key.push(table);
    for (n, text) in texts.iter().enumerate() {
        if n > 0 {
            key.push(BETWEEN);
        }
        key.extend_from_slice(text);
    }
    key
}
