//! Copies of several databases, asked as one. It must not let one question become wrong more often because there are
//! several.

use std::collections::BTreeMap;

use i247_model::Timestamp;

use super::{Answer, COMPARISONS, Finding, MAX_QUESTIONS, OfflineCopy, OfflineError, Question};
use crate::database::Database;

/// Copies, each of one database.
#[derive(Clone, Debug, Default)]
pub struct Copies(BTreeMap<Database, OfflineCopy>);

impl Copies {
    /// Takes the copy of a database in the place of the one before.
    pub fn put(&mut self, database: Database, copy: OfflineCopy) {
        self.0.insert(database, copy);
    }

    /// The databases that can be asked.
    pub fn databases(&self) -> impl Iterator<Item = Database> {
        self.0.keys().copied()
    }

    /// The copy of a database.
    pub fn get(&self, database: Database) -> Option<&OfflineCopy> {
        self.0.get(&database)
    }

    /// Asks for the keys of one check, each in its database; `now` is the post's clock. The oldest copy that is asked
    /// dates the answer.
    ///
    /// # Errors
    /// As [`OfflineCopy::check`]: there is no answer then, not "no record".
    pub fn check(&self, questions: &[Question<'_>], now: Timestamp) -> Result<Answer, OfflineError> {
        let mut asked: BTreeMap<Database, (Vec<usize>, Vec<Question<'_>>)> = BTreeMap::new();
        let mut comparisons = 0u64;
        for (number, question) in questions.iter().enumerate() {
            let not_covered = || OfflineError::NotCovered(question.database.to_owned());
            let database: Database = question.database.parse().map_err(|_| not_covered())?;
            comparisons += self.0.get(&database).ok_or_else(not_covered)?.keys();
            let (numbers, of_database) = asked.entry(database).or_default();
            numbers.push(number);
            of_database.push(*question);
        }
        if comparisons > COMPARISONS || questions.len() > MAX_QUESTIONS {
            return Err(OfflineError::TooManyQuestions(questions.len()));
        }
        let mut possible = Vec::new();
        let (mut as_of, mut old) = (None, None);
        for (database, (numbers, questions)) in asked {
            let Some(copy) = self.0.get(&database) else { continue };
            let answer = copy.check(&questions, now)?;
            if let Finding::Possible(of_copy) = answer.finding {
                possible.extend(of_copy.into_iter().map(|place| numbers[place]));
            }
            as_of = Some(as_of.map_or(answer.as_of, |before: Timestamp| before.min(answer.as_of)));
            old = old.max(answer.old);
        }
        possible.sort_unstable();
        let finding = if possible.is_empty() { Finding::NoRecord } else { Finding::Possible(possible) };
        Ok(Answer { finding, as_of: as_of.unwrap_or(now), old })
    }
}
