//! A frame of keys: what it must say, what is looked up for it, and how what was found is told. It must not keep
//! anything, nor log what was asked.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{Identity, MessageId, Name, Reason, Refusal, Timestamp};
use i247_node::Clock;
use i247_records::database::KeyKind;
use i247_records::question::Question;
use i247_records::record::{Key, Likeness, Record};
use i247_records::{Database, Date};
use i247_trust::{search_digest, search_session};
use i247_wire::pb;

use super::Asker;
use crate::audit::{Audit, Placed};
use crate::databases::{Databases, DatabasesError, Found};
use crate::searched::{Asked, Keys, Tally};

/// Most keys of a frame.
pub(super) const KEYS_MAX: usize = 256;

/// Most keys of a frame that have to be looked up under every issuer there is.
const OPEN_KEYS_MAX: usize = 4;

/// Most persons of a frame, and most probes: each is compared with many.
const PERSONS_MAX: usize = 4;
const PROBES_MAX: usize = 4;

/// Most records in the answer to a key.
const FOUND_MAX: usize = 20;

/// The records in the answers to a frame, in bytes: what a client takes, and some room.
const ANSWERS_BYTES: usize = 3 * 1024 * 1024;

/// What is said with every hit.
const LEAD: &str = "a hit is a lead and no ground for action: have the owner confirm it first";

/// What is said to who may only check.
const REFER: &str = "refer whoever it is to the police; nothing has been established";

/// What is said with what a probe led to.
const EXAMINE: &str = "have an examiner compare the traces themselves; a hit is a lead and no ground for action: have the owner confirm it first";

/// What is said with what is only possible.
const COMPARE: &str = "compare the record with what is before you; a hit is a lead and no ground for action: have the owner confirm it first";

/// How long a frame was looked up in each database.
pub(super) type Times = BTreeMap<Database, Duration>;

/// A frame that may be answered.
pub(super) struct Frame {
    pub(super) purpose: pb::Purpose,
    officer: Name,
    pub(super) station: Name,
    /// The operation that it belongs to.
    pub(super) operation: Option<String>,
    /// For each key what is asked, or why nothing is.
    questions: Vec<Result<Question, Refusal>>,
    /// Only what is found, or wrong, is answered.
    only_told: bool,
    /// Where each database is asked for which of them.
    databases: BTreeMap<Database, Vec<usize>>,
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// `MISSING_DATA` with everything that is missing, `TOO_LARGE`, `MALFORMED`, `WRONG_FIELD`.
    pub(super) fn read(
        asker: &Asker,
        request: &pb::SearchRequest,
        databases: &[Database],
        today: Date,
    ) -> Result<Self, Refusal> {
        let missing = [
            ("purpose", request.purpose == 0),
            ("officer", request.officer.is_empty()),
            ("station", request.station.is_empty() && post(asker).is_none()),
            ("keys", request.keys.is_empty() && request.documents.is_empty()),
        ];
        let missing: Vec<String> =
            missing.into_iter().filter(|(_, missing)| *missing).map(|(field, _)| field.to_owned()).collect();
        if !missing.is_empty() {
            let next_step = "say what the search is for, who asks and where".into();
            return Err(Refusal { next_step, ..Refusal::of_fields(Reason::MissingData, missing) });
        }
        if request.keys.len() > KEYS_MAX {
            return Err(too_many("keys"));
        }
        let purpose =
            pb::Purpose::try_from(request.purpose).map_err(|_| Refusal::of(Reason::Malformed, "purpose"))?;
        let officer = i247_wire::parsed(&request.officer, "officer")?;
        let station = match post(asker) {
            Some(own) if request.station.is_empty() || request.station == own.as_str() => own.clone(),
            Some(_) => return Err(Refusal::of(Reason::WrongField, "station")),
            None => i247_wire::parsed(&request.station, "station")?,
        };
        let operation = i247_wire::operation(&request.operation, "operation")?;
        let questions = questions(request, today)?;
        if questions.iter().flatten().filter(|question| question.is_open()).count() > OPEN_KEYS_MAX {
            return Err(too_many("keys without the country that issued"));
        }
        if questions.iter().flatten().filter(|question| question.person().is_some()).count() > PERSONS_MAX {
            return Err(too_many("persons"));
        }
        if questions.iter().flatten().filter(|question| question.probe().is_some()).count() > PROBES_MAX {
            return Err(too_many("probes"));
        }
        let only_told = !request.documents.is_empty();
        let places = BTreeMap::new();
        let mut frame =
            Self { purpose, officer, station, operation, questions, only_told, databases: places };
        frame.place(databases);
        Ok(frame)
    }

    /// How many keys it has.
    pub(super) fn len(&self) -> usize {
        self.questions.len()
    }

    /// The answer with these to the keys in their order.
    pub(super) fn response(&self, answers: Vec<pb::KeyAnswer>, as_of_position: u64) -> pb::SearchResponse {
        if !self.only_told {
            return pb::SearchResponse { answers, as_of_position, places: Vec::new() };
        }
        let (mut told, mut places) = (Vec::new(), Vec::new());
        for (place, answer) in (0..).zip(answers) {
            if answer.result != i32::from(pb::SearchResult::NoRecord) {
                told.push(answer);
                places.push(place);
            }
        }
        pb::SearchResponse { answers: told, as_of_position, places }
    }

    /// Holds a partner to what it may ask: it screens, and sends number, type and country of travel documents, nothing
    /// else. Another key is refused in its own place.
    ///
    /// # Errors
    /// `NOT_GRANTED` for another purpose.
    pub(super) fn check_partner(&mut self, keys: &[pb::SearchKey]) -> Result<(), Refusal> {
        let not_granted = |field: &str, next_step: &str| {
            let next_step = next_step.to_owned();
            Refusal { next_step, ..Refusal::of(Reason::NotGranted, field) }
        };
        if self.purpose != pb::Purpose::Screening {
            return Err(not_granted("purpose", "screen: a partner asks for nothing else"));
        }
        for (asked, key) in self.questions.iter_mut().zip(keys) {
            if !matches!(key.key, None | Some(pb::search_key::Key::TravelDocument(_))) {
                *asked = Err(not_granted("key", "send number, type and country of a travel document"));
            }
        }
        for places in self.databases.values_mut() {
            places.retain(|at| self.questions[*at].is_ok());
        }
        Ok(())
    }

    /// Says which database is asked for which key. A key that none of those named knows is refused.
    fn place(&mut self, named: &[Database]) {
        // A frame may have many keys, and hardly ever more than one kind of them.
        let mut of_kind: Vec<(KeyKind, Vec<Database>)> = Vec::new();
        for (at, asked) in self.questions.iter_mut().enumerate() {
            let Ok(question) = asked else { continue };
            // A probe names its database itself.
            let known = |(kind, _): &(KeyKind, _)| *kind == question.kind() && question.probe().is_none();
            let known = of_kind.iter().position(known).unwrap_or_else(|| {
                of_kind.push((question.kind(), question.databases(named)));
                of_kind.len() - 1
            });
            let databases = &of_kind[known].1;
            if databases.is_empty() {
                *asked = Err(Refusal::of(Reason::WrongField, "databases"));
            }
            for database in databases {
                self.databases.entry(*database).or_default().push(at);
            }
        }
    }

    /// The keys that are some, each in its one form.
    pub(super) fn normalised(&self) -> impl Iterator<Item = Vec<u8>> {
        self.questions.iter().flatten().map(|question| {
            let mut bytes = Vec::new();
            question.normalised(&mut bytes);
            bytes
        })
    }

    /// How much was asked and found, for the counters.
    pub(super) fn tally(&self, told: &[Vec<Told>], times: &Times) -> Tally {
        let found = |at: &usize| told.get(*at).is_some_and(|told| !told.is_empty());
        let mut tally = Tally::default();
        // What the keys of one asker may ask nothing of was not asked.
        for (database, places) in self.databases.iter().filter(|(_, places)| !places.is_empty()) {
            let there = |at: &usize| {
                let told = told.get(*at).into_iter().flatten();
                told.filter(|told| told.found.database == *database).map(|told| told.likeness).max()
            };
            let surest: Vec<Likeness> = places.iter().filter_map(there).collect();
            let keys = Keys { asked: places.len() as u64, found: surest.len() as u64 };
            let took = times.get(database).copied().unwrap_or_default();
            tally.databases.insert(*database, Asked { keys, surest: surest.into_iter().max(), took });
        }
        tally.keys.asked = self.questions.len() as u64;
        tally.keys.found = (0..self.questions.len()).filter(found).count() as u64;
        tally
    }

    /// Looks all keys up, one database after the other. For each key what may be what is asked for, and how long each
    /// database took.
    ///
    /// # Errors
    /// `READ_ONLY` when a database cannot be read: nobody is told that there is no record then.
    pub(super) async fn look_up(
        &self,
        databases: &Databases,
        asker: &Asker,
        today: Date,
        clock: &dyn Clock,
    ) -> Result<(Vec<Vec<Found>>, Times), Refusal> {
        let mut found: Vec<Vec<Found>> = self.questions.iter().map(|_| Vec::new()).collect();
        let mut times = Times::new();
        for (database, places) in &self.databases {
            let begun = clock.monotonic();
            let (mut keys, mut whose) = (Vec::<Key>::new(), Vec::new());
            for at in places {
                let Ok(question) = &self.questions[*at] else { continue };
                if let Some(query) = question.person() {
                    let persons = databases.search_persons(asker.party, query, today).await;
                    found[*at].extend(persons.map_err(|error| unreadable(&error))?);
                }
                if let Some(probe) = question.probe() {
                    let compared = databases.compare(asker.party, *database, probe, today).await;
                    found[*at].extend(compared.map_err(|error| unreadable(&error))?);
                }
                question.keys(*database, &mut keys);
                whose.resize(keys.len(), *at);
            }
            let looked_up = databases.look_up(asker.party, *database, &keys, today).await;
            let of_keys = looked_up.map_err(|error| unreadable(&error))?;
            for (at, of_key) in whose.into_iter().zip(of_keys) {
                found[at].extend(of_key);
            }
            times.insert(*database, clock.monotonic().saturating_sub(begun));
        }
        Ok((found, times))
    }

    /// What the journal keeps of it.
    pub(super) fn record(
        &self,
        audit: &Audit,
        asker: &Asker,
        at: Timestamp,
        told: &[Vec<Told>],
    ) -> pb::AuditRecord {
        let mut digests = Vec::with_capacity(self.questions.len() * 8);
        let mut normalised = Vec::new();
        for question in self.questions.iter().flatten() {
            normalised.clear();
            question.normalised(&mut normalised);
            audit.digest(&normalised, &mut digests);
        }
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let surest = |likeness| {
            let is = |told: &&Vec<Told>| told.first().is_some_and(|one| one.likeness == likeness);
            count(told.iter().filter(is).count())
        };
        pb::AuditRecord {
            at_ms: at.as_millis(),
            asker: asker.identity.to_string(),
            officer: self.officer.to_string(),
            station: self.station.to_string(),
            purpose: self.purpose.into(),
            databases: self.databases.keys().map(|database| i32::from(database.number())).collect(),
            digests: Bytes::from(digests),
            keys: count(self.questions.len()),
            refused: count(self.questions.iter().filter(|asked| asked.is_err()).count()),
            matches: surest(Likeness::Same),
            possible: surest(Likeness::Similar),
            offline: None,
            placed: None,
            operation: self.operation.clone().unwrap_or_default(),
        }
    }
}

/// What is asked, for each key or document.
fn questions(request: &pb::SearchRequest, today: Date) -> Result<Vec<Result<Question, Refusal>>, Refusal> {
    if request.documents.is_empty() {
        return Ok(request.keys.iter().map(|key| Question::read(key, today)).collect());
    }
    if !request.keys.is_empty() {
        return Err(Refusal::of(Reason::Malformed, "documents"));
    }
    let documents = i247_wire::unpack_documents(&request.documents, KEYS_MAX).map_err(|refusal| {
        if refusal.reason == Reason::TooLarge { too_many("documents") } else { refusal }
    })?;
    Ok(documents.into_iter().map(Question::of_document).collect())
}

/// The databases that a frame names.
///
/// # Errors
/// `MALFORMED` when there is no such database.
pub(super) fn named(request: &pb::SearchRequest) -> Result<Vec<Database>, Refusal> {
    request.databases.iter().map(|number| database(*number)).collect()
}

/// Where a frame stands among those that a post rolls up; none of others.
///
/// # Errors
/// `MALFORMED` when it cannot stand there.
pub(super) fn placed(asker: &Asker, request: &pb::SearchRequest) -> Result<Option<Placed>, Refusal> {
    let Some(session) = request.session.as_ref().filter(|_| post(asker).is_some()) else { return Ok(None) };
    let malformed = |field: &str| Refusal::of(Reason::Malformed, field);
    let salt: [u8; 32] = session.salt.as_ref().try_into().map_err(|_| malformed("session.salt"))?;
    if session.number == 0 || session.number == u64::MAX {
        return Err(malformed("session.number"));
    }
    let digest = search_digest(&salt, session.number, request);
    Ok(Some(Placed { session: search_session(&salt), number: session.number, digest }))
}

/// The answers to who may only check, in the order of the keys: that there is nothing, or that somebody else should look.
pub(super) fn only_checked(frame: &Frame, told: &[Vec<Told>]) -> Vec<pb::KeyAnswer> {
    let mut answers = Vec::with_capacity(told.len());
    for (asked, told) in frame.questions.iter().zip(told) {
        answers.push(match asked {
            Err(refusal) => pb::KeyAnswer { refusal: Some(refusal.into()), ..pb::KeyAnswer::default() },
            Ok(_) if told.is_empty() => {
                pb::KeyAnswer { result: pb::SearchResult::NoRecord.into(), ..pb::KeyAnswer::default() }
            }
            Ok(_) => pb::KeyAnswer {
                result: pb::SearchResult::Refer.into(),
                next_step: REFER.into(),
                ..pb::KeyAnswer::default()
            },
        });
    }
    answers
}

/// A record that is, or may be, what was asked for.
pub(super) struct Told {
    likeness: Likeness,
    pub(super) found: Found,
    /// The hit of which its owner is told.
    pub(super) hit: Option<MessageId>,
}

impl Told {
    /// Which record it is.
    fn name(&self) -> (Database, &str) {
        (self.found.database, &self.found.reference)
    }

    /// Whether its owner is told: it is what was asked for, or as near to it as a probe ever comes.
    pub(super) fn is_hit(&self) -> bool {
        self.likeness == Likeness::Same || self.found.database.is_compared()
    }
}

/// For each key the records that are or may be what was asked for, the surest first: what lies under the same key and
/// is something else is left out.
pub(super) fn judge(frame: &Frame, found: Vec<Vec<Found>>) -> Vec<Vec<Told>> {
    let mut judged = Vec::with_capacity(found.len());
    for (asked, found) in frame.questions.iter().zip(found) {
        let Ok(question) = asked else {
            judged.push(Vec::new());
            continue;
        };
        let likely = |found: Found| {
            question.likeness(&found.record).map(|likeness| Told { likeness, found, hit: None })
        };
        let mut told: Vec<Told> = found.into_iter().filter_map(likely).collect();
        let score = |told: &Told| told.found.score.as_ref().map_or(0, |score| score.score);
        told.sort_by(|one, other| {
            let by_score = || score(other).cmp(&score(one));
            other.likeness.cmp(&one.likeness).then_with(by_score).then_with(|| one.name().cmp(&other.name()))
        });
        // A record may lie under several of the keys of an open question.
        told.dedup_by(|one, other| one.name() == other.name());
        told.truncate(FOUND_MAX);
        judged.push(told);
    }
    judged
}

/// Whether all of it fits into an answer.
///
/// # Errors
/// `TOO_LARGE`.
pub(super) fn check_size(told: &[Vec<Told>]) -> Result<(), Refusal> {
    // So many of the largest records fit in any case.
    if told.iter().map(Vec::len).sum::<usize>() <= ANSWERS_BYTES / i247_records::record::MAX_RECORD_BYTES {
        return Ok(());
    }
    let bytes = told.iter().flatten().map(|told| told.found.record.encode().len()).sum::<usize>();
    if bytes > ANSWERS_BYTES { Err(too_many("keys")) } else { Ok(()) }
}

/// The answers, in the order of the keys.
pub(super) fn answers(frame: &Frame, told: Vec<Vec<Told>>) -> Vec<pb::KeyAnswer> {
    let mut answers = Vec::with_capacity(told.len());
    for (asked, told) in frame.questions.iter().zip(told) {
        answers.push(match asked {
            Ok(_) => answer(told),
            Err(refusal) => pb::KeyAnswer { refusal: Some(refusal.into()), ..pb::KeyAnswer::default() },
        });
    }
    answers
}

fn answer(told: Vec<Told>) -> pb::KeyAnswer {
    let result = told.first().map_or(pb::SearchResult::NoRecord, |told| certainty(told.likeness));
    let by_probe = told.first().is_some_and(|told| told.found.database.is_compared());
    let next_step = match result {
        pb::SearchResult::Match => LEAD,
        pb::SearchResult::Possible if by_probe => EXAMINE,
        pb::SearchResult::Possible => COMPARE,
        pb::SearchResult::NoRecord | pb::SearchResult::Refer | pb::SearchResult::Unspecified => "",
    };
    let found = told.into_iter().map(|Told { likeness, found, hit }| pb::FoundRecord {
        database: i32::from(found.database.number()),
        certainty: certainty(likeness).into(),
        owner: found.owner.to_string(),
        record: Some(shown(&found.record)),
        name: found.reference,
        hit_id: hit.map(|id| id.to_string()).unwrap_or_default(),
        score: found.score.as_ref().map_or(0, |score| u32::from(score.score)),
        reasons: found.score.map(|score| score.reasons).unwrap_or_default(),
    });
    pb::KeyAnswer {
        result: result.into(),
        found: found.collect(),
        next_step: next_step.into(),
        refusal: None,
    }
}

/// The record as others see it: whom it is kept from is its owner's business, and what probes are compared with stays
/// here.
fn shown(record: &Record) -> pb::Record {
    let mut shown = pb::Record { except: Vec::new(), ..record.to_wire() };
    match &mut shown.content {
        Some(pb::record::Content::Template(template)) => template.vector.clear(),
        Some(pb::record::Content::DnaProfile(profile)) => profile.loci.clear(),
        _ => {}
    }
    shown
}

fn certainty(likeness: Likeness) -> pb::SearchResult {
    match likeness {
        Likeness::Same => pb::SearchResult::Match,
        Likeness::Similar => pb::SearchResult::Possible,
    }
}

fn post(asker: &Asker) -> Option<&Name> {
    match &asker.identity {
        Identity::Post(_, name) => Some(name),
        _ => None,
    }
}

fn database(number: i32) -> Result<Database, Refusal> {
    let known = u8::try_from(number).ok().and_then(Database::from_number);
    known.ok_or_else(|| Refusal::of(Reason::Malformed, "databases"))
}

fn too_many(field: &str) -> Refusal {
    let next_step = "ask for fewer keys at once".into();
    Refusal { next_step, ..Refusal::of(Reason::TooLarge, field) }
}

fn unreadable(error: &DatabasesError) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "a database cannot be read");
    let next_step = "the databases cannot be read at the moment: ask again, and tell whoever runs the hub";
    Refusal { next_step: next_step.into(), ..Refusal::of(Reason::ReadOnly, "databases") }
}
