//! What was asked in each operation, counted as it is written to the journal of searches. It must not count what the
//! journal does not have.
//!
//! ```text
//!   note ──► counted beside what waits ──written──► the book ──every 1,024 entries, at a stop──► DIR/operations
//!                             a start: DIR/operations, and the entries of the journal behind it ──┘
//! ```
//!
//! The book is bounded. Of too many operations the one that was asked in the longest time ago is forgotten, of the country
//! that began the most: nobody displaces what others began. An operation that comes again after that says since when it is
//! counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use i247_ledger::ReadError;
use i247_model::{Identity, Reason, Refusal};
use i247_wire::pb;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Audit, COME_AGAIN};
use crate::grants;

/// Where it is kept, beside the segments.
const FILE: &str = "operations";

/// Operations that are counted at once.
const OPERATIONS_MAX: usize = 256;

/// Stations of an operation that are told apart. Searches of others count without their station.
const STATIONS_MAX: usize = 1024;

/// After so many entries of the journal the book is kept.
const KEEP_EVERY: u64 = 1024;

/// How long a question waits until the journal has what was answered before it, and until it was read at a start.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);
const READ_WITHIN: Duration = Duration::from_secs(2);

/// What was asked in an operation.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Operation {
    /// The country that asked first.
    begun_by: String,
    /// Only what came after this is counted; 0 when all is.
    pub(crate) since_ms: u64,
    pub(crate) count: pb::SearchCount,
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
    /// By who asked and where.
    pub(crate) stations: BTreeMap<(String, String), pb::SearchCount>,
}

/// What was asked in operations.
#[derive(Default)]
pub(super) struct Operations {
    operations: BTreeMap<String, Operation>,
    /// The last search of one that was forgotten.
    forgotten_ms: u64,
}

/// All that was asked, as the journal has it.
#[derive(Default)]
pub(super) struct Book {
    asked: Mutex<Operations>,
    /// What the journal had at the start is in it.
    whole: watch::Sender<bool>,
}

impl Operation {
    pub(crate) fn more_stations(&self) -> bool {
        self.stations.len() >= STATIONS_MAX && self.keys_of_stations() < self.count.keys
    }

    fn keys_of_stations(&self) -> u64 {
        self.stations.values().map(|count| count.keys).sum()
    }

    fn add_station(&mut self, station: (String, String), count: &pb::SearchCount) {
        if self.stations.len() < STATIONS_MAX || self.stations.contains_key(&station) {
            add(self.stations.entry(station).or_default(), count);
        }
    }

    fn add(&mut self, later: Self) {
        self.since_ms = self.since_ms.max(later.since_ms);
        self.first_ms = self.first_ms.min(later.first_ms);
        self.last_ms = self.last_ms.max(later.last_ms);
        add(&mut self.count, &later.count);
        for (station, count) in later.stations {
            self.add_station(station, &count);
        }
    }
}

impl Operations {
    /// Counts a search, when it belongs to an operation.
    pub(super) fn count(&mut self, record: &pb::AuditRecord) {
        if record.operation.is_empty() {
            return;
        }
        let keys = u64::from(record.keys);
        let count = pb::SearchCount {
            frames: 1,
            keys,
            refused: record.refused.into(),
            matches: record.matches.into(),
            possible: record.possible.into(),
            offline: if record.offline.is_some() { keys } else { 0 },
        };
        // A post may say that it asked later than it is.
        let asked_ms = record.offline.as_ref().map_or(u64::MAX, |offline| offline.asked_at_ms);
        let at_ms = asked_ms.min(record.at_ms);
        let mut one = Operation { count, first_ms: at_ms, last_ms: at_ms, ..Operation::default() };
        one.stations.insert((record.asker.clone(), record.station.clone()), count);
        let asker: Option<Identity> = record.asker.parse().ok();
        one.begun_by =
            asker.as_ref().and_then(grants::country).map(|country| country.to_string()).unwrap_or_default();
        self.put(&record.operation, one);
    }

    /// Adds what was counted after this.
    fn add(&mut self, later: Self) {
        self.forgotten_ms = self.forgotten_ms.max(later.forgotten_ms);
        for (name, operation) in later.operations {
            self.put(&name, operation);
        }
    }

    fn put(&mut self, name: &str, later: Operation) {
        if let Some(known) = self.operations.get_mut(name) {
            known.add(later);
            return;
        }
        // It may have been counted before, and forgotten.
        let since_ms = self.forgotten_ms.max(later.since_ms);
        self.operations.insert(name.to_owned(), Operation { since_ms, ..later });
        if self.operations.len() > OPERATIONS_MAX {
            self.forget();
        }
    }

    fn forget(&mut self) {
        let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
        for operation in self.operations.values() {
            *begun.entry(operation.begun_by.as_str()).or_default() += 1;
        }
        let Some(most) = begun.into_iter().max_by_key(|(_, count)| *count).map(|(by, _)| by) else { return };
        let of_most = self.operations.iter().filter(|(_, operation)| operation.begun_by == most);
        let oldest = of_most.min_by_key(|(_, operation)| operation.last_ms).map(|(name, _)| name.clone());
        if let Some(operation) = oldest.and_then(|name| self.operations.remove(&name)) {
            self.forgotten_ms = self.forgotten_ms.max(operation.last_ms);
        }
    }
}

fn add(count: &mut pb::SearchCount, other: &pb::SearchCount) {
    count.frames += other.frames;
    count.keys += other.keys;
    count.refused += other.refused;
    count.matches += other.matches;
    count.possible += other.possible;
    count.offline += other.offline;
}

impl Book {
    /// Adds what the journal has now.
    pub(super) fn written(&self, asked: Operations) {
        if !asked.operations.is_empty() {
            self.asked().add(asked);
        }
    }

    fn asked(&self) -> MutexGuard<'_, Operations> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Audit {
    /// What was asked in an operation; none when nothing was.
    ///
    /// # Errors
    /// `BUSY` while what the journal had at the start is still being read.
    pub(crate) async fn asked_in(&self, operation: &str) -> Result<Option<Operation>, Refusal> {
        let mut whole = self.book.whole.subscribe();
        let read =
            matches!(tokio::time::timeout(READ_WITHIN, whole.wait_for(|whole| *whole)).await, Ok(Ok(_)));
        if !read {
            let next_step = "the journal of searches is being read: ask again after the time given".into();
            let refusal = Refusal { next_step, ..Refusal::of(Reason::Busy, "audit") };
            return Err(refusal.retry_after(COME_AGAIN));
        }
        let noted = self.waiting().noted;
        // What a full disk does not take is in no journal yet, and not counted.
        drop(tokio::time::timeout(WRITTEN_WITHIN, self.written(noted)).await);
        Ok(self.book.asked().operations.get(operation).cloned())
    }

    /// Reads what was asked before the start: what was kept of that, and the entries behind it.
    pub(crate) async fn count_past(self: Arc<Self>, stop: CancellationToken) {
        match stop.run_until_cancelled(self.read_past()).await {
            Some(Ok(mut past)) => {
                let mut asked = self.book.asked();
                past.add(std::mem::take(&mut *asked));
                *asked = past;
                self.book.whole.send_replace(true);
            }
            Some(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "what was asked in operations is not counted: the journal cannot be read"
                );
            }
            // Nobody asks any more.
            None => {}
        }
    }

    async fn read_past(&self) -> Result<Operations, ReadError> {
        let kept: Option<pb::CountedOperations> = self.kept(FILE).await;
        // Kept of a journal that was longer: of no use for this one.
        let kept = kept.filter(|kept| kept.position <= self.opened_at.0).unwrap_or_default();
        let (after, mut past) = (kept.position, Operations::from(kept));
        let count = |group: &pb::AuditGroup| group.records.iter().for_each(|record| past.count(record));
        self.each_group(after + 1, self.opened_at.0, count).await?;
        Ok(past)
    }

    /// Keeps the book, which is that of the journal up to `position`, when that has grown enough. Without it more of the
    /// journal is read after the next start, and nothing is lost.
    pub(super) async fn keep_operations(&self, kept_at: &mut u64, position: u64, stopping: bool) {
        let grown = position.saturating_sub(*kept_at);
        if grown == 0 || (grown < KEEP_EVERY && !stopping) || !*self.book.whole.borrow() {
            return;
        }
        *kept_at = position;
        let counted = {
            let asked = self.book.asked();
            let operations = asked.operations.iter().map(|(name, operation)| wire(name, operation)).collect();
            pb::CountedOperations { position, operations, forgotten_ms: asked.forgotten_ms }
        };
        self.keep_beside(FILE, &counted).await;
    }
}

fn wire(name: &str, operation: &Operation) -> pb::CountedOperation {
    let station = |((asker, station), count): (&(String, String), &pb::SearchCount)| pb::CountedStation {
        asker: asker.clone(),
        station: station.clone(),
        count: Some(*count),
    };
    pb::CountedOperation {
        name: name.to_owned(),
        begun_by: operation.begun_by.clone(),
        since_ms: operation.since_ms,
        count: Some(operation.count),
        first_ms: operation.first_ms,
        last_ms: operation.last_ms,
        stations: operation.stations.iter().map(station).collect(),
    }
}

impl From<pb::CountedOperations> for Operations {
    fn from(kept: pb::CountedOperations) -> Self {
        let station = |one: pb::CountedStation| ((one.asker, one.station), one.count.unwrap_or_default());
        let operation = |one: pb::CountedOperation| {
            let operation = Operation {
                begun_by: one.begun_by,
                since_ms: one.since_ms,
                count: one.count.unwrap_or_default(),
                first_ms: one.first_ms,
                last_ms: one.last_ms,
                stations: one.stations.into_iter().map(station).collect(),
            };
            (one.name, operation)
        };
        let operations = kept.operations.into_iter().map(operation).collect();
        Self { operations, forgotten_ms: kept.forgotten_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(operation: &str, asker: &str, at_ms: u64) -> pb::AuditRecord {
        let asker = format!("spiffe://i247.test/ncb/{asker}");
        let (operation, station) = (operation.to_owned(), "cdg".to_owned());
        pb::AuditRecord { at_ms, asker, station, keys: 1, operation, ..pb::AuditRecord::default() }
    }

    #[test]
    fn who_begins_too_many_operations_displaces_its_own_and_what_comes_again_says_since_when() {
        let mut asked = Operations::default();
        asked.count(&record("hammer", "it", 1));
        for n in 0..300 {
            asked.count(&record(&format!("made-up-{n}"), "br", 1000 + n));
        }
        assert_eq!(asked.operations.len(), OPERATIONS_MAX);
        assert_eq!(asked.operations["hammer"].count.keys, 1);
        // 255 of the 300 stay: the first 45 are gone, the last of them asked at 1044.
        assert!(!asked.operations.contains_key("made-up-44") && asked.operations.contains_key("made-up-45"));
        asked.count(&record("made-up-3", "br", 2000));
        asked.count(&record("hammer", "it", 2001));
        assert_eq!(asked.operations["made-up-3"].since_ms, 1044);
        assert_eq!(asked.operations["hammer"].since_ms, 0);
    }

    #[test]
    fn more_stations_than_are_told_apart_count_all_the_same() {
        let mut asked = Operations::default();
        for n in 0..1030 {
            let station = format!("gate{n}");
            asked.count(&pb::AuditRecord { station, ..record("hammer", "it", 1) });
        }
        let hammer = &asked.operations["hammer"];
        assert_eq!((hammer.count.keys, hammer.stations.len(), hammer.more_stations()), (1030, 1024, true));
    }
}
