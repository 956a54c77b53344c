//! Asking copies: the same questions as on line, with a lesser answer.

use std::time::Duration;

use i247_model::{Reason, Refusal, Timestamp};
use i247_records::offline::{Copies as OfflineCopies, Finding, OfflineError, Question as Asked, blocks};
use i247_records::question::Question;
use i247_records::{Database, Date, index::KeySpaces};
use i247_wire::pb;

use super::{Mind, MindError};

/// Most keys of a frame.
const KEYS_MAX: usize = 256;

/// What copies say of a frame of keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfflineAnswers {
    /// One for each key, in their order; a key that is none is refused in its own place.
    pub answers: Vec<Result<Found, Refusal>>,
    /// When the network was as they say; of several copies, the oldest.
    pub as_of: Timestamp,
    /// How old that is, when it is old enough to warn.
    pub old: Option<Duration>,
}

/// What copies say of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Those that were asked.
    pub asked: Vec<Database>,
    /// Those of them in which there may be something. Ask on line before anything is done.
    pub possible: Vec<Database>,
}

impl Mind {
    /// Asks copies for a frame of keys. The search is written down before this answers.
    ///
    /// # Errors
    /// [`MindError::Offline`] when a copy does not answer (too old, not there), [`MindError::Question`] for what the frame
    /// lacks, [`MindError::List`] when the search cannot be written down: there is no answer then, not "no record".
    ///
    /// # Cancel safety
    /// Dropped, the search may be written down and nobody has its answer.
    pub async fn check(
        &self,
        copies: &OfflineCopies,
        request: &pb::SearchRequest,
    ) -> Result<OfflineAnswers, MindError> {
        let now = self.clock.now();
        let named = named(request)?;
        let questions: Vec<Result<Question, Refusal>> =
            request.keys.iter().map(|key| question(key, Date::of(now))).collect();
        let answers = answer(copies, &named, &questions, now)?;
        let mut search = pb::OfflineSearch {
            asked_at_ms: now.as_millis(),
            as_of_ms: answers.as_of.as_millis(),
            officer: request.officer.clone(),
            station: request.station.clone(),
            purpose: request.purpose,
            operation: request.operation.clone(),
            ..pb::OfflineSearch::default()
        };
        let mut asked: Vec<Database> = Vec::new();
        for (question, answer) in questions.iter().zip(&answers.answers) {
            match (question, answer) {
                (Ok(question), Ok(found)) => {
                    let mut key = Vec::new();
                    question.normalised(&mut key);
                    search.keys.push(key.into());
                    search.possible += u32::from(!found.possible.is_empty());
                    asked.extend(&found.asked);
                }
                _ => search.refused += 1,
            }
        }
        asked.sort_unstable();
        asked.dedup();
        search.databases = asked.iter().map(|database| i32::from(database.number())).collect();
        self.with_list(move |list| list.note(&search)).await?;
        Ok(answers)
    }
}

/// What copies can be asked: they know numbers, and nobody's name or trace.
fn question(key: &pb::SearchKey, today: Date) -> Result<Question, Refusal> {
    let question = Question::read(key, today)?;
    if question.person().is_some() {
        let next_step = "ask for persons where there is a network: no copy holds names".into();
        return Err(Refusal { next_step, ..Refusal::of(Reason::WrongField, "person") });
    }
    if question.probe().is_some() {
        let next_step =
            "compare where there is a network: no copy holds what a probe is compared with".into();
        return Err(Refusal { next_step, ..Refusal::of(Reason::WrongField, "probe") });
    }
    Ok(question)
}

/// The databases that a frame names.
fn named(request: &pb::SearchRequest) -> Result<Vec<Database>, Refusal> {
    let missing = [
        ("purpose", request.purpose == 0),
        ("officer", request.officer.is_empty()),
        ("station", request.station.is_empty()),
        ("keys", request.keys.is_empty()),
    ];
    let missing: Vec<String> =
        missing.into_iter().filter(|(_, missing)| *missing).map(|(field, _)| field.to_owned()).collect();
    if !missing.is_empty() {
        return Err(Refusal::of_fields(Reason::MissingData, missing));
    }
    if request.keys.len() > KEYS_MAX {
        return Err(Refusal::of(Reason::TooLarge, "keys"));
    }
    // What is noted with a wrong one, the hub would never take.
    i247_wire::operation(&request.operation, "operation")?;
    let known = |number: &i32| u8::try_from(*number).ok().and_then(Database::from_number);
    let databases: Option<Vec<Database>> = request.databases.iter().map(known).collect();
    databases.ok_or_else(|| Refusal::of(Reason::Malformed, "databases"))
}

/// What the copies say. Each question is a check of its own.
fn answer(
    copies: &OfflineCopies,
    named: &[Database],
    questions: &[Result<Question, Refusal>],
    now: Timestamp,
) -> Result<OfflineAnswers, OfflineError> {
    let spaces = KeySpaces::default();
    let mut answers = OfflineAnswers { answers: Vec::new(), as_of: now, old: None };
    for question in questions {
        let question = match question {
            Ok(question) => question,
            Err(refusal) => {
                answers.answers.push(Err(refusal.clone()));
                continue;
            }
        };
        let mut databases = question.databases(named);
        if named.is_empty() {
            // What there is no copy of is not asked, and the answer says which were.
            let all = databases.clone();
            databases.retain(|database| copies.get(*database).is_some());
            if databases.is_empty() {
                let wanted: Vec<&str> = all.iter().map(|database| database.as_str()).collect();
                return Err(OfflineError::NotCovered(wanted.join(" or ")));
            }
        } else if databases.is_empty() {
            answers.answers.push(Err(Refusal::of(Reason::WrongField, "databases")));
            continue;
        }
        let (mut asked, mut whose) = (Vec::new(), Vec::new());
        for database in &databases {
            let (mut keys, mut fingerprints) = (Vec::new(), Vec::new());
            question.keys(*database, &mut keys);
            keys.iter().for_each(|key| blocks::asked(key, &spaces, &mut fingerprints));
            asked.extend(fingerprints.into_iter().map(|key| Asked { database: database.as_str(), key }));
            whose.resize(asked.len(), *database);
        }
        let answer = copies.check(&asked, now)?;
        let mut possible: Vec<Database> = match answer.finding {
            Finding::NoRecord => Vec::new(),
            Finding::Possible(numbers) => numbers.into_iter().map(|number| whose[number]).collect(),
        };
        possible.dedup();
        answers.as_of = answers.as_of.min(answer.as_of);
        answers.old = answers.old.max(answer.old);
        answers.answers.push(Ok(Found { asked: databases, possible }));
    }
    Ok(answers)
}
