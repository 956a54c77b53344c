//! How much was asked, counted from the journal.

use std::collections::BTreeMap;

use i247_ledger::{Ledger as _, Position, ReadError};
use i247_model::{Identity, Timestamp};
use i247_wire::pb;
use prost::Message as _;

use super::Audit;
use super::wrong::TOLD_FOR;

/// Entries that are read at once, and their bytes.
const ENTRIES: usize = 64;
const BYTES: usize = 4 * 1024 * 1024;

impl Audit {
    /// For how many keys each has asked since a moment of today, up to the end that the journal had when it was opened. What
    /// was wrong with roll-ups of the last day is remembered on the way.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn recall_since(
        &self,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<BTreeMap<Identity, u64>, ReadError> {
        let told_from =
            now.as_millis().saturating_sub(u64::try_from(TOLD_FOR.as_millis()).unwrap_or(u64::MAX));
        let first = self.first_since(from.min(Timestamp::from_millis(told_from))).await?;
        let mut asked: BTreeMap<Identity, u64> = BTreeMap::new();
        // What was asked of an offline copy is in nobody's budget.
        let counts = |record: &&pb::AuditRecord| record.at_ms >= from.as_millis() && record.offline.is_none();
        self.each_group(first, self.opened_at.0, |group| {
            let roll_ups = group.roll_ups.iter().filter(|entry| entry.at_ms >= told_from);
            roll_ups.for_each(|entry| self.remember(entry));
            for record in group.records.iter().filter(counts) {
                if let Ok(asker) = record.asker.parse() {
                    *asked.entry(asker).or_default() += u64::from(record.keys);
                }
            }
        })
        .await?;
        Ok(asked)
    }

    /// The first entry since a moment; the one behind the end that the journal had when it was opened, without one.
    pub(super) async fn first_since(&self, from: Timestamp) -> Result<u64, ReadError> {
        let from = from.as_millis();
        let (mut first, mut behind) = (1, self.opened_at.0 + 1);
        while first < behind {
            let middle = first + (behind - first) / 2;
            let groups = self.groups(middle, 1).await?;
            let before = groups.iter().all(|group| {
                group.records.iter().all(|record| record.at_ms < from)
                    && group.roll_ups.iter().all(|roll_up| roll_up.at_ms < from)
            });
            if before {
                first = middle + 1;
            } else {
                behind = middle;
            }
        }
        Ok(first)
    }

    /// The entries of the journal from the first to the last, in order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) async fn each_group(
        &self,
        first: u64,
        last: u64,
        mut look: impl FnMut(&pb::AuditGroup),
    ) -> Result<(), ReadError> {
        let mut next = first;
        while next <= last {
            let left = usize::try_from(last - next + 1).unwrap_or(usize::MAX);
            let groups = self.groups(next, left.min(ENTRIES)).await?;
            next += groups.len().max(1) as u64;
            groups.iter().for_each(&mut look);
            // There may be many, and others have their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn groups(&self, at: u64, entries: usize) -> Result<Vec<pb::AuditGroup>, ReadError> {
        let read = self.journal.read(Position(at), entries, BYTES).await?;
        // What is no group was written by something else, and says nothing.
        Ok(read.into_iter().map(|record| pb::AuditGroup::decode(record.entry).unwrap_or_default()).collect())
    }
}
