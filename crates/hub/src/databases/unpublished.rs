//! The quality check: alerts that only their owner and the secretariat find until a reviewer has published them. It
//! decides nothing about them: a reviewer's signed decision does, and lies in the log.
//!
//! ```text
//!   owner adds or changes ──► waits ──approved──► published, and found by all who may see it
//!                               └────refused────► returned, until its owner changes or withdraws it
//! ```

use i247_ledger::Position;
use i247_model::{MessageId, Party};
use i247_records::index::Locator;
use i247_records::record::{AlertState, Change, Key, Record, RecordName};
use i247_records::{Database, Date};
use serde::{Deserialize, Serialize};

use super::shelves::Shelves;
use super::{Databases, DatabasesError, Found};

/// A record that is not published.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Unpublished {
    /// Whose it is.
    owner: Party,
    /// The message that brought it, as it now stands.
    message: MessageId,
    /// A reviewer has returned it.
    returned: bool,
}

impl Unpublished {
    /// What becomes of a record that a change brings; none when it is seen at once. What its owner only keeps from other
    /// countries than before stands where it stood.
    pub(super) fn after(change: &Change, message: &MessageId, before: Option<&Self>) -> Option<Self> {
        let record = change.record().filter(|record| record.database().is_checked())?;
        let returned = match change {
            Change::Restrict(_) => before?.returned,
            Change::Add(_) | Change::Change(_) | Change::Withdraw(_) => false,
        };
        Some(Self { owner: record.owner(), message: message.clone(), returned })
    }

    /// Whether an asker sees it all the same.
    pub(super) fn is_shown_to(&self, asker: Party) -> bool {
        asker == self.owner || asker == Party::Secretariat
    }

    /// Whose it is.
    pub(super) fn owner(&self) -> Party {
        self.owner
    }
}

impl Shelves {
    /// What a reviewer decided about an item of a message; nothing when that does not wait any more.
    pub(super) fn decide_alert(&mut self, message: &MessageId, item: u16, approved: bool) {
        let waits = |(at, one): &(&Locator, &Unpublished)| {
            at.item() == item && !one.returned && one.message == *message
        };
        let Some(at) = self.unpublished.iter().find(waits).map(|(at, _)| *at) else { return };
        if approved {
            self.unpublished.remove(&at);
        } else if let Some(one) = self.unpublished.get_mut(&at) {
            one.returned = true;
        }
    }

    /// Whether the record there waits for a reviewer.
    fn waits(&self, at: Locator) -> bool {
        self.unpublished.get(&at).is_some_and(|one| !one.returned)
    }

    /// The record there, with how far it has come: its owner cannot know when it sends it.
    pub(super) fn with_state(&self, at: Locator, record: Record) -> Record {
        match self.unpublished.get(&at) {
            None => record.with_alert_state(AlertState::Published),
            Some(one) if one.returned => record.with_alert_state(AlertState::Submitted),
            Some(_) => record.with_alert_state(AlertState::QualityCheck),
        }
    }
}

impl Databases {
    /// At most `limit` alerts that wait for a reviewer, in the order of the log, behind this place; each with its place.
    ///
    /// # Errors
    /// [`DatabasesError`] when the log cannot be read.
    pub(crate) async fn waiting_alerts(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Found)>, DatabasesError> {
        let places: Vec<Locator> = {
            let shelves = self.shelves();
            let waiting = shelves.unpublished.keys().filter(|at| at.number() > after && shelves.waits(**at));
            waiting.take(limit).copied().collect()
        };
        let mut found = Vec::with_capacity(places.len());
        for at in places {
            let batch = self.batch(at.position().0).await?;
            let Some(record) = self.record(&batch, at, Database::DialDoc)? else { continue };
            found.push((at.number(), Found::of(&batch, at, record, None)));
        }
        Ok(found)
    }

    /// The alert of this name, if it waits for a reviewer.
    ///
    /// # Errors
    /// [`DatabasesError`] when the log cannot be read.
    pub(crate) async fn waiting_alert(
        &self,
        name: &RecordName,
        today: Date,
    ) -> Result<Option<(u64, Found)>, DatabasesError> {
        let RecordName::Reference(owner, reference) = name else { return Ok(None) };
        let key = Key::reference(Database::DialDoc, *owner, reference);
        let found = self.look_up(Party::Secretariat, Database::DialDoc, &[key], today).await?;
        let named = found.into_iter().flatten().find(|found| found.record.name() == *name);
        let place =
            named.and_then(|found| Some((Locator::new(Position(found.position), found.item)?, found)));
        Ok(place.filter(|(at, _)| self.shelves().waits(*at)).map(|(at, found)| (at.number(), found)))
    }
}
