//! Search for persons by name: over the shelves, with the restrictions inside; and what else is in memory alone. It must
//! not keep a name anywhere else.

use i247_ledger::outcome;
use i247_model::Party;
use i247_records::index::Locator;
use i247_records::nominal::{Match, Query};
use i247_records::record::{Key, RecordName};
use i247_records::{Database, Date};
use parking_lot::RwLock;

use super::shelves::Shelves;
use super::{Databases, DatabasesError, Found, MAX_CANDIDATES, Score};

impl Databases {
    /// Who may be meant, the best first; whom the asker may not see is not looked at.
    ///
    /// # Errors
    /// [`DatabasesError`] when the log or the index of names cannot be read.
    pub(crate) async fn search_persons(
        &self,
        asker: Party,
        query: &Query,
        today: Date,
    ) -> Result<Vec<Found>, DatabasesError> {
        // Nobody waits for the search: it goes over the persons as they are now.
        let (persons, query, shelves) = (self.shelves().persons.clone(), query.clone(), self.shelves.clone());
        let search = move || persons.search(&query, |number| sees(&shelves, asker, number));
        let matches = outcome(&*self.blocking, search).await.ok_or(DatabasesError::GivenUp)??;
        let mut found = Vec::with_capacity(matches.len());
        for Match { locator, score, reasons } in matches {
            let Some(at) = Locator::of_number(locator) else { continue };
            let reasons = reasons.iter().map(ToString::to_string).collect();
            let score = Score { score, reasons };
            found.extend(self.still_open(asker, Database::Nominal, at, today, score).await?);
        }
        Ok(found)
    }

    /// The record that a search has found there, and that it was found by no key of; none when it has gone meanwhile, or
    /// is hidden by now.
    ///
    /// # Errors
    /// [`DatabasesError`] when the log cannot be read.
    pub(super) async fn still_open(
        &self,
        asker: Party,
        database: Database,
        at: Locator,
        today: Date,
        score: Score,
    ) -> Result<Option<Found>, DatabasesError> {
        let batch = self.batch(at.position().0).await?;
        let Some(record) = self.record(&batch, at, database)? else { return Ok(None) };
        let RecordName::Reference(owner, reference) = record.name() else { return Ok(None) };
        let key = Key::reference(database, owner, &reference);
        let there = self.shelves().candidates(asker, database, &[key], MAX_CANDIDATES);
        let open = there.iter().any(|(_, place)| *place == at)
            && record.is_visible_to(asker)
            && self.shelves().is_open_to(asker, at, &record, today);
        Ok(open.then(|| Found::of(&batch, at, record, Some(score))))
    }

    /// Reads what is found by no key from the log: persons, and what probes are compared with.
    ///
    /// # Errors
    /// [`DatabasesError`].
    pub(super) async fn recall(&self) -> Result<(), DatabasesError> {
        let kept_nowhere = |database: &Database| *database == Database::Nominal || database.is_compared();
        for database in Database::ALL.iter().copied().filter(kept_nowhere) {
            let mut places = self.shelves().places(database);
            places.sort_unstable();
            for at in places {
                let batch = self.batch(at.position().0).await?;
                let record = self.record(&batch, at, database)?;
                self.shelves.write().recall(at, record.as_ref());
                self.merge_persons().await?;
            }
        }
        Ok(())
    }

    /// Indexes the persons that came, when they are many. Searches go on meanwhile.
    ///
    /// # Errors
    /// [`DatabasesError`].
    pub(super) async fn merge_persons(&self) -> Result<(), DatabasesError> {
        let due = self.shelves().persons.merge_due();
        let Some(merge) = due else { return Ok(()) };
        let merged = outcome(&*self.blocking, move || merge.build()).await;
        let merged = merged.ok_or(DatabasesError::GivenUp)??;
        self.shelves.write().persons.install(merged);
        Ok(())
    }
}

/// Whether the asker may see the record there.
pub(super) fn sees(shelves: &RwLock<Shelves>, asker: Party, number: u64) -> bool {
    let shelves = shelves.read();
    Locator::of_number(number).is_some_and(|at| shelves.sees(asker, at))
}
