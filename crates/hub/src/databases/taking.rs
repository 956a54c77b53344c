//! How entries change the shelves, in the order of the log. It reads no log: a record that it needs and does not have, it
//! names, and goes on from there when it has come.

use std::collections::BTreeSet;

use i247_ledger::{Position, Record as LogRecord};
use i247_model::{MessageId, Party, Refusal};
use i247_records::index::Locator;
use i247_records::nominal::Person;
use i247_records::record::{Change, Content, Key, Record};
use i247_records::register::{Effect, IndexChange, Lookup, Rejected, Request};
use i247_records::{Database, Date};
use parking_lot::RwLock;

use super::DatabasesError;
use super::batches::{Batch, Batches, Taken};
use super::circulars::{Circular, Step, Subject};
use super::shelves::{Restricted, Shelves};
use super::unpublished::Unpublished;

/// So many records go at once when their day is past.
const EXPIRE_AT_ONCE: usize = 256;

/// Takes in entries, from where it stopped the last time. Returns the position of the batch without which it does not go
/// on; none when all was taken in.
///
/// # Errors
/// When an entry cannot be understood. Those before it were taken in.
pub(crate) fn take_in(
    shelves: &RwLock<Shelves>,
    batches: &Batches,
    records: &[LogRecord],
) -> Result<Option<u64>, DatabasesError> {
    let taken = shelves.read().position;
    for record in records.iter().filter(|record| record.position.0 > taken) {
        let position = record.position.0;
        let broken = |refusal| DatabasesError::Entry { position, refusal };
        let Taken { day, batch, step } = Taken::of(record).map_err(broken)?;
        let entry = Entry { position, day, batch: batch.as_deref() };
        if let Some(missing) = entry.take_in(shelves, batches, step).map_err(broken)? {
            return Ok(Some(missing));
        }
        let hash = i247_trust::sha256(&[&record.entry]);
        let mut shelves = shelves.write();
        (shelves.position, shelves.entry) = (position, hash);
        shelves.items_done = 0;
    }
    Ok(None)
}

/// An entry that is being taken in.
#[derive(Clone, Copy)]
struct Entry<'a> {
    position: u64,
    day: Date,
    batch: Option<&'a Batch>,
}

/// A published form and what it is.
struct Publication {
    subject: Subject,
    owner: Party,
    except: BTreeSet<i247_model::CountryCode>,
    only: Option<Box<[Party]>>,
}

impl Entry<'_> {
    /// Takes it in, from where it stopped the last time. Returns the batch that is missing, if one is.
    fn take_in(
        &self,
        shelves: &RwLock<Shelves>,
        batches: &Batches,
        step: Option<Step>,
    ) -> Result<Option<u64>, Refusal> {
        if let Some(missing) = shelves.write().begin(self.day, batches)? {
            return Ok(Some(missing));
        }
        match step {
            Some(step) => shelves.write().circulate(self, step, batches),
            None => self.changes(shelves, batches),
        }
    }

    /// Decides about each change of its batch. Searches go on while it decides, and wait only while one change is made: a
    /// load takes most of a core, and whoever holds the lock for long is sent off the core with it.
    fn changes(&self, shelves: &RwLock<Shelves>, batches: &Batches) -> Result<Option<u64>, Refusal> {
        let Some(batch) = self.batch else { return Ok(None) };
        let Some((database, changes)) = batch.changes()? else { return Ok(None) };
        let mut shelves = shelves.upgradable_read();
        for (item, change) in changes.iter().enumerate().skip(shelves.items_done) {
            let (Some(change), Some(at)) = (change, Locator::new(Position(self.position), item as u16))
            else {
                continue;
            };
            let request = Request { change, sender: batch.sender, from_notice: false, at, today: self.day };
            let decided = match shelves.decide(database, &request, (self.position, batch), batches) {
                Err(Rejected::Unreadable(error)) => return error.missing(),
                decided => decided.map_err(|rejected| rejected.refusal()),
            };
            shelves.with_upgraded(|shelves| {
                shelves.decided(database, &request, &batch.id, decided);
                shelves.items_done = item + 1;
            });
        }
        Ok(None)
    }
}

/// Why a record is not at hand.
#[derive(Debug, thiserror::Error)]
enum NotAtHand {
    /// The batch at this position has to be read.
    #[error("the batch at {0} is not in memory")]
    Missing(u64),
    /// Something else has written it.
    #[error("a record cannot be understood")]
    Broken(#[source] Refusal),
}

impl NotAtHand {
    fn missing(self) -> Result<Option<u64>, Refusal> {
        match self {
            Self::Missing(position) => Ok(Some(position)),
            Self::Broken(refusal) => Err(refusal),
        }
    }
}

/// Finds records for the register.
struct Reader<'a> {
    database: Database,
    shelves: &'a Shelves,
    batches: &'a Batches,
    /// The batch that is being taken in.
    present: Option<(u64, &'a Batch)>,
}

impl Lookup for Reader<'_> {
    type Error = NotAtHand;

    fn candidates(&self, key: &Key) -> Result<Vec<Locator>, NotAtHand> {
        let found = self.shelves.index.look_up(self.shelves.spaces.fingerprint(key), usize::MAX, |_| true);
        Ok(found.into_iter().map(|candidate| candidate.locator).collect())
    }

    fn fetch(&self, at: Locator) -> Result<Option<Record>, NotAtHand> {
        let (position, owner) = (at.position().0, self.shelves.owner(at));
        let read = match self.present {
            Some((here, batch)) if here == position => batch.record(at.item(), self.database, owner),
            _ => match self.batches.find(position) {
                Some(batch) => batch.record(at.item(), self.database, owner),
                None => return Err(NotAtHand::Missing(position)),
            },
        };
        read.map_err(NotAtHand::Broken)
    }
}

impl Shelves {
    /// A day begins: what is past its last one goes first. Returns the batch that is missing, if one is.
    fn begin(&mut self, day: Date, batches: &Batches) -> Result<Option<u64>, Refusal> {
        if self.today.is_some_and(|today| today >= day) {
            return Ok(None);
        }
        for database in Database::ALL {
            while let Some(register) = self.registers.get(database) {
                let due = register.due(day, EXPIRE_AT_ONCE);
                if due.is_empty() {
                    break;
                }
                for at in due {
                    if let Some(missing) = self.end(*database, at, batches)? {
                        return Ok(Some(missing));
                    }
                }
            }
        }
        self.today = Some(day);
        Ok(None)
    }

    /// A record goes without anybody asking.
    fn end(&mut self, database: Database, at: Locator, batches: &Batches) -> Result<Option<u64>, Refusal> {
        let reader = Reader { database, shelves: self, batches, present: None };
        let Some(register) = self.registers.get(&database) else { return Ok(None) };
        match register.decide_end(at, &reader) {
            Ok(effect) => self.apply(database, &effect, None, None),
            Err(error) => return error.missing(),
        }
        Ok(None)
    }

    /// Decides about one change, in the batch that is being taken in.
    fn decide(
        &self,
        database: Database,
        request: &Request<'_>,
        present: (u64, &Batch),
        batches: &Batches,
    ) -> Result<Effect, Rejected<NotAtHand>> {
        let reader = Reader { database, shelves: self, batches, present: Some(present) };
        self.registers[&database].decide(request, &reader)
    }

    /// Makes what was decided about a change that a bureau sent.
    fn decided(
        &mut self,
        database: Database,
        request: &Request<'_>,
        message: &MessageId,
        decided: Result<Effect, Refusal>,
    ) {
        let (change, at) = (request.change, request.at);
        let position = at.position().0;
        match decided {
            Ok(effect) => {
                let restricted = change.record().filter(|record| record.is_restricted());
                let restricted = restricted.map(|record| Restricted::But {
                    owner: record.owner(),
                    except: record.about().except.clone().into_boxed_slice(),
                });
                let before = effect.goes().and_then(|at| self.unpublished.get(&at));
                let unpublished = Unpublished::after(change, message, before);
                self.apply(database, &effect, restricted, unpublished);
                self.note_place(at, database, request.sender);
                self.recall(at, change.record());
                self.verdicts.entry(position).or_default().accepted += 1;
            }
            Err(refusal) => self.verdicts.entry(position).or_default().refuse(at.item(), refusal),
        }
    }

    /// What an entry does to notices, diffusions and what follows from them. Returns the batch that is missing, if one is.
    fn circulate(
        &mut self,
        entry: &Entry<'_>,
        step: Step,
        batches: &Batches,
    ) -> Result<Option<u64>, Refusal> {
        match step {
            Step::Asked { notice, owner, except } => {
                let circular = self.circulars.entry(Subject::Notice(notice));
                circular.or_insert_with(|| Circular::of(owner)).except.extend(except);
            }
            Step::Refused(notice) => {
                let subject = Subject::Notice(notice);
                if self.circulars.get(&subject).is_some_and(|circular| !circular.published) {
                    self.circulars.remove(&subject);
                }
            }
            Step::Published { subject, owner, except, only } => {
                return self.publish(entry, Publication { subject, owner, except, only }, batches);
            }
            Step::Ended(subject) => {
                if let Some(missing) = self.end_all(&subject, batches)? {
                    return Ok(Some(missing));
                }
                self.circulars.remove(&subject);
            }
            Step::Barred { owner, except } if except.is_empty() => drop(self.barred.remove(&owner)),
            Step::Barred { owner, except } => drop(self.barred.insert(owner, except)),
            Step::Checked { message, item, approved } => self.decide_alert(&message, item, approved),
        }
        Ok(None)
    }

    /// A form comes, in place of the one before it, if there was one.
    fn publish(
        &mut self,
        entry: &Entry<'_>,
        publication: Publication,
        batches: &Batches,
    ) -> Result<Option<u64>, Refusal> {
        let Publication { subject, owner, except, only } = publication;
        let circular = self.circulars.entry(subject.clone()).or_insert_with(|| Circular::of(owner));
        circular.published = true;
        circular.except.extend(except);
        circular.only = only;
        let owner = circular.owner;
        // Without a form all stays as it was.
        let Some(batch) = entry.batch.filter(|batch| batch.is_form()) else { return Ok(None) };
        if self.items_done == 0
            && let Some(missing) = self.end_all(&subject, batches)?
        {
            return Ok(Some(missing));
        }
        for (item, record) in batch.derived(owner).into_iter().enumerate().skip(self.items_done) {
            let Some(at) = Locator::new(Position(entry.position), item as u16) else { break };
            let (database, change) = (record.database(), Change::Add(record));
            let request = Request { change: &change, sender: owner, from_notice: true, at, today: entry.day };
            match self.decide(database, &request, (entry.position, batch), batches) {
                Ok(effect) => {
                    self.apply(database, &effect, Some(Restricted::Following(subject.clone())), None);
                    self.note_place(at, database, owner);
                    self.recall(at, change.record());
                    if let Some(circular) = self.circulars.get_mut(&subject) {
                        circular.records.push((database.number(), at.number()));
                    }
                }
                Err(Rejected::Unreadable(error)) => return error.missing(),
                // A document that a form names twice is one.
                Err(_) => {}
            }
            self.items_done = item + 1;
        }
        self.let_go(&subject);
        Ok(None)
    }

    /// Nothing more is heard of a diffusion from which nothing follows but its end.
    fn let_go(&mut self, subject: &Subject) {
        let is_empty = |circular: &Circular| circular.records.is_empty();
        if matches!(subject, Subject::Diffusion(_)) && self.circulars.get(subject).is_some_and(is_empty) {
            self.circulars.remove(subject);
        }
    }

    /// All that follows from it goes.
    fn end_all(&mut self, subject: &Subject, batches: &Batches) -> Result<Option<u64>, Refusal> {
        while let Some((database, at)) =
            self.circulars.get(subject).and_then(|one| one.records.last().copied())
        {
            let place = Database::from_number(database).zip(Locator::of_number(at));
            if let Some((database, at)) = place
                && let Some(missing) = self.end(database, at, batches)?
            {
                return Ok(Some(missing));
            }
            if let Some(circular) = self.circulars.get_mut(subject) {
                circular.records.retain(|(_, place)| *place != at);
            }
        }
        Ok(None)
    }

    /// Whose record came there, and into which database.
    fn note_place(&mut self, at: Locator, database: Database, owner: Party) {
        if self.begins.last_key_value().is_none_or(|(_, last)| *last != (database, owner)) {
            self.begins.insert(at, (database, owner));
        }
    }

    /// What is found by no key can be searched for once its record came.
    pub(super) fn recall(&mut self, at: Locator, record: Option<&Record>) {
        let Some(record) = record else { return };
        if let Content::Person(person) = record.content() {
            Person::of_record(at.number(), person).into_iter().for_each(|person| self.persons.add(person));
        }
        self.galleries.add(at.number(), record);
    }

    /// Makes it so; `restricted` says who must not see the record that comes, and `unpublished` that nobody does yet.
    fn apply(
        &mut self,
        database: Database,
        effect: &Effect,
        restricted: Option<Restricted>,
        unpublished: Option<Unpublished>,
    ) {
        if let Some(register) = self.registers.get_mut(&database) {
            register.apply(effect);
        }
        if let Some(at) = effect.goes() {
            if database == Database::Nominal {
                self.persons.withdraw(at.number());
            }
            self.galleries.withdraw(database, at.number());
        }
        if let Some(at) = effect.goes()
            && let Some(Restricted::Following(subject)) = self.restricted.remove(&at)
            && let Some(circular) = self.circulars.get_mut(&subject)
        {
            circular.records.retain(|(_, place)| *place != at.number());
            self.let_go(&subject);
        }
        if let Some(at) = effect.goes() {
            self.unpublished.remove(&at);
        }
        let hidden = restricted.is_some() || unpublished.is_some();
        if let (Some(at), Some(unpublished)) = (effect.comes(), unpublished) {
            self.unpublished.insert(at, unpublished);
        }
        if let (Some(at), Some(restricted)) = (effect.comes(), restricted) {
            self.restricted.insert(at, restricted);
        }
        self.unstored += effect.index().len() as u64;
        for change in effect.index() {
            match change {
                IndexChange::Insert { key, at, .. } => {
                    self.index.add(self.spaces.fingerprint(key), *at, hidden);
                }
                IndexChange::Remove { key, at } => self.index.remove(self.spaces.fingerprint(key), *at),
            }
        }
    }
}
