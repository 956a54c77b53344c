//! Hits: a record matched what somebody asked for. What a decision needs of one, and nothing about persons.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Lane, MessageId, Name, Party, Timestamp};

/// A record that matched, and who asked for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HitFound {
    /// The message that brought the record.
    pub records: MessageId,
    /// Which item of that message it is, from 0.
    pub item: u16,
    /// The number of the database.
    pub database: u8,
    /// Whose record it is.
    pub owner: Party,
    /// Who asked.
    pub asker: Party,
    /// How urgent it is: urgent where somebody is waiting.
    pub lane: Lane,
    /// The number of the purpose.
    pub purpose: u8,
    /// Where it was asked.
    pub station: Name,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// A post asked, and the station is its name.
    pub by_post: bool,
    /// The operation that the search belongs to.
    pub operation: Option<String>,
}

impl HitFound {
    /// How long the owner may take over its answer.
    pub fn confirm_within(&self) -> Duration {
        const HOUR: u64 = 60 * 60;
        match self.lane {
            Lane::VeryUrgent => Duration::from_secs(HOUR),
            Lane::Urgent => Duration::from_secs(12 * HOUR),
            Lane::Normal | Lane::Bulk => Duration::from_secs(10 * 24 * HOUR),
        }
    }
}

/// What the owner says of a hit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum HitVerdict {
    /// The record holds.
    Confirmed,
    /// It is another, or was found again.
    Denied,
    /// The record is out of date and goes.
    Stale,
}
