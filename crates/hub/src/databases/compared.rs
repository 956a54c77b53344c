//! Search by fingerprint, face or profile: the probe is compared with what the asker may see. It must not keep a probe,
//! nor write it anywhere.

use std::sync::Arc;

use i247_ledger::outcome;
use i247_model::Party;
use i247_records::index::Locator;
use i247_records::template::{Candidate, Sought};
use i247_records::{Database, Date};

use super::persons::sees;
use super::{Databases, DatabasesError, Found, Score};

impl Databases {
    /// Whose trace it may be, the best first; what the asker may not see is not looked at.
    ///
    /// # Errors
    /// [`DatabasesError`] when the log cannot be read.
    pub(crate) async fn compare(
        &self,
        asker: Party,
        database: Database,
        sought: &Arc<Sought>,
        today: Date,
    ) -> Result<Vec<Found>, DatabasesError> {
        // Nobody waits for it: it goes over the templates as they are now.
        let (galleries, sought, shelves) =
            (self.shelves().galleries.clone(), sought.clone(), self.shelves.clone());
        let search = move || galleries.search(database, &sought, |number| sees(&shelves, asker, number));
        let candidates = outcome(&*self.blocking, search).await.ok_or(DatabasesError::GivenUp)?;
        let mut found = Vec::new();
        for Candidate { locator, score, reasons } in candidates? {
            let Some(at) = Locator::of_number(locator) else { continue };
            found.extend(self.still_open(asker, database, at, today, Score { score, reasons }).await?);
        }
        Ok(found)
    }
}
