//! What follows from the log: a register for each database, and one index over all of them. It reads no log and no disk
//! but that of the index: a record that it needs and does not have, it names.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use i247_ledger::{Position, Record as LogRecord};
use i247_model::{CountryCode, Hash, Party, Refusal};
use i247_records::database::KeyKind;
use i247_records::document::{DocumentNumber, Issuer};
use i247_records::index::{Fingerprint, Index, IndexError, KeySpaces, Locator, Merge, MergedRun, Sealed};
use i247_records::record::{Change, Content, Key, Record};
use i247_records::register::{Effect, IndexChange, Lookup, Ranges, Register, Rejected, Request};
use i247_records::{Database, Date};
use serde::{Deserialize, Serialize};

use super::batches::{Batch, Batches, Taken};
use super::frozen::Frozen;
use super::{DatabasesError, Verdicts};

/// Searches wait while so many changes are decided.
const CHUNK: usize = 64;

/// So many records go at once when their day is past.
const EXPIRE_AT_ONCE: usize = 256;

/// The databases up to a position.
#[derive(Debug)]
pub(crate) struct Shelves {
    /// The last entry that was taken in.
    pub(super) position: u64,
    /// The hash of it, which tells one log from another.
    pub(super) entry: Hash,
    /// The latest day of any entry.
    pub(super) today: Option<Date>,
    pub(super) registers: BTreeMap<Database, Register>,
    spaces: KeySpaces,
    pub(super) index: Index,
    /// Who must not see which record: a search applies it without reading the record.
    pub(super) restricted: BTreeMap<Locator, Restricted>,
    pub(super) verdicts: BTreeMap<u64, Verdicts>,
    /// Where records of a database begin that follow those of another one: places grow, so each has its database.
    pub(super) begins: BTreeMap<Locator, Database>,
    /// How many items of the next entry were taken in already.
    items_done: usize,
    /// How many keys came and went since they were stored.
    unstored: u64,
}

/// Who must not see a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Restricted {
    owner: Party,
    except: Box<[CountryCode]>,
}

impl Restricted {
    pub(super) fn bars(&self, asker: Party) -> bool {
        self.owner != asker && asker.country().is_some_and(|one| self.except.contains(&one))
    }
}

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
    let taken = read(shelves).position;
    for record in records.iter().filter(|record| record.position.0 > taken) {
        let position = record.position.0;
        let broken = |refusal| DatabasesError::Entry { position, refusal };
        let taken = Taken::of(record).map_err(broken)?;
        let changes = match &taken.batch {
            Some(batch) => batch.changes().map_err(broken)?,
            None => None,
        };
        let missing = match (&taken.batch, changes) {
            (Some(batch), Some((database, changes))) => {
                let entry = Entry { position, day: taken.day, database, batch, changes: &changes };
                entry.take_in(shelves, batches).map_err(broken)?
            }
            _ => write(shelves).begin(taken.day, batches).map_err(broken)?,
        };
        if missing.is_some() {
            return Ok(missing);
        }
        let mut shelves = write(shelves);
        shelves.position = position;
        shelves.entry = i247_trust::sha256(&[&record.entry]);
        shelves.items_done = 0;
    }
    Ok(None)
}

/// An entry that changes records.
struct Entry<'a> {
    position: u64,
    day: Date,
    database: Database,
    batch: &'a Batch,
    changes: &'a [Option<Change>],
}

impl Entry<'_> {
    /// Takes in its changes, from where it stopped the last time. Returns the batch that is missing, if one is.
    fn take_in(&self, shelves: &RwLock<Shelves>, batches: &Batches) -> Result<Option<u64>, Refusal> {
        if let Some(missing) = write(shelves).begin(self.day, batches)? {
            return Ok(Some(missing));
        }
        loop {
            let mut shelves = write(shelves);
            let done = shelves.items_done;
            if done >= self.changes.len() {
                return Ok(None);
            }
            let chunk: Range<usize> = done..self.changes.len().min(done + CHUNK);
            for (item, change) in chunk.clone().zip(&self.changes[chunk]) {
                if let Some(change) = change
                    && let Some(missing) = shelves.change(self, item as u16, change, batches)?
                {
                    return Ok(Some(missing));
                }
                shelves.items_done = item + 1;
            }
        }
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
    index: &'a Index,
    spaces: &'a KeySpaces,
    batches: &'a Batches,
    /// The batch that is being taken in.
    present: Option<(u64, &'a Batch)>,
}

impl Lookup for Reader<'_> {
    type Error = NotAtHand;

    fn candidates(&self, key: &Key) -> Result<Vec<Locator>, NotAtHand> {
        let found = self.index.look_up(self.spaces.fingerprint(key), usize::MAX, |_| true);
        Ok(found.into_iter().map(|candidate| candidate.locator).collect())
    }

    fn fetch(&self, at: Locator) -> Result<Option<Record>, NotAtHand> {
        let position = at.position().0;
        let read = match self.present {
            Some((here, batch)) if here == position => batch.record(at.item(), self.database),
            _ => match self.batches.find(position) {
                Some(batch) => batch.record(at.item(), self.database),
                None => return Err(NotAtHand::Missing(position)),
            },
        };
        read.map_err(NotAtHand::Broken)
    }
}

impl Shelves {
    /// Empty ones, over an empty index.
    pub(crate) fn new(index: Index) -> Self {
        Self {
            position: 0,
            entry: Hash([0; 32]),
            today: None,
            registers: Database::ALL.iter().map(|database| (*database, Register::new(*database))).collect(),
            spaces: KeySpaces::default(),
            index,
            restricted: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            begins: BTreeMap::new(),
            items_done: 0,
            unstored: 0,
        }
    }

    /// A database as it is now, for whoever makes a copy of it.
    pub(super) fn frozen(&self, database: Database) -> Frozen {
        let no_ranges = Ranges::default();
        let ranges = self.registers.get(&database).map_or(&no_ranges, Register::ranges);
        let parts = (self.begins.clone(), self.restricted.clone());
        Frozen::new(self.position, database, self.index.frozen(), parts, (ranges, &self.spaces))
    }

    /// The last entry that was taken in.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> u64 {
        self.registers.values().map(Register::len).sum()
    }

    /// Whether a part of an entry was taken in: they are as of no position then.
    pub(crate) fn is_half_way(&self) -> bool {
        self.items_done > 0
    }

    /// How many changes are in no run.
    pub(crate) fn unsealed(&self) -> usize {
        self.index.changes()
    }

    /// How many keys came and went since they were stored.
    pub(crate) fn unstored(&self) -> u64 {
        self.unstored
    }

    /// A snapshot of them is taken.
    pub(crate) fn begin_store(&mut self) {
        self.unstored = 0;
    }

    /// How many records there are of a database.
    pub(crate) fn count(&self, database: Database) -> u64 {
        self.registers.get(&database).map_or(0, Register::len)
    }

    /// What became of the changes of the message at a position.
    pub(crate) fn verdicts(&self, position: u64) -> Option<&Verdicts> {
        self.verdicts.get(&position)
    }

    /// Where records may lie that have one of the keys and that the asker may see: by the order of the keys, at most
    /// `limit` for each.
    pub(crate) fn candidates(
        &self,
        asker: Party,
        database: Database,
        keys: &[Key],
        limit: usize,
    ) -> Vec<(usize, Locator)> {
        let sees = |at: Locator| !self.restricted.get(&at).is_some_and(|restricted| restricted.bars(asker));
        let fingerprints: Vec<Fingerprint> = keys.iter().map(|key| self.spaces.fingerprint(key)).collect();
        let mut found = Vec::new();
        self.index.look_up_many(&fingerprints, limit, sees, &mut found);
        let mut places: Vec<(usize, Locator)> =
            found.into_iter().map(|candidate| (candidate.query, candidate.locator)).collect();
        let Some(register) = self.registers.get(&database).filter(|register| !register.ranges().is_empty())
        else {
            return places;
        };
        for (query, key) in keys.iter().enumerate() {
            let Some((issuer, number)) = document_of(key) else { continue };
            let covering = register.ranges().covering(issuer, &number).into_iter().filter(|at| sees(*at));
            places.extend(covering.take(limit).map(|at| (query, at)));
        }
        places.sort_unstable();
        places
    }

    /// Whether the record there still counts today.
    pub(crate) fn counts(&self, database: Database, at: Locator, record: &Record, today: Date) -> bool {
        let last = self.registers.get(&database).and_then(|register| register.expires_on(at, record));
        last.is_none_or(|last| last >= today)
    }

    /// Makes a run of what has gathered; none when nothing came.
    ///
    /// # Errors
    /// Never for an index that was filled here.
    pub(crate) fn seal(&mut self) -> Result<Option<Sealed>, IndexError> {
        self.index.seal(Position(self.position))
    }

    /// What should be merged now, where there is a snapshot up to `stored`.
    pub(crate) fn merge_due(&self, stored: Position) -> Option<Merge> {
        self.index.merge_due(stored)
    }

    /// How many runs there are.
    #[cfg(test)]
    pub(crate) fn runs(&self) -> usize {
        self.index.runs()
    }

    /// Takes a merged run.
    ///
    /// # Errors
    /// When the disk refuses to remove its parts.
    pub(crate) fn adopt(&mut self, merged: MergedRun) -> Result<(), IndexError> {
        self.index.adopt(merged)
    }

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
                    let reader = self.reader(*database, batches, None);
                    let Some(register) = self.registers.get(database) else { break };
                    match register.decide_expiry(at, day, &reader) {
                        Ok(effect) => self.apply(*database, &effect, None),
                        Err(error) => return error.missing(),
                    }
                }
            }
        }
        self.today = Some(day);
        Ok(None)
    }

    /// Decides about one change. Returns the batch that is missing, if one is.
    fn change(
        &mut self,
        entry: &Entry<'_>,
        item: u16,
        change: &Change,
        batches: &Batches,
    ) -> Result<Option<u64>, Refusal> {
        let Some(at) = Locator::new(Position(entry.position), item) else { return Ok(None) };
        let request =
            Request { change, sender: entry.batch.sender, from_notice: false, at, today: entry.day };
        let reader = self.reader(entry.database, batches, Some((entry.position, entry.batch)));
        let Some(register) = self.registers.get(&entry.database) else { return Ok(None) };
        match register.decide(&request, &reader) {
            Ok(effect) => {
                self.apply(entry.database, &effect, change.record());
                self.verdicts.entry(entry.position).or_default().accepted += 1;
            }
            Err(Rejected::Unreadable(error)) => return error.missing(),
            Err(rejected) => {
                self.verdicts.entry(entry.position).or_default().refuse(item, rejected.refusal());
            }
        }
        Ok(None)
    }

    fn reader<'a>(
        &'a self,
        database: Database,
        batches: &'a Batches,
        present: Option<(u64, &'a Batch)>,
    ) -> Reader<'a> {
        Reader { database, index: &self.index, spaces: &self.spaces, batches, present }
    }

    /// Makes it so; `record` is the one that comes.
    fn apply(&mut self, database: Database, effect: &Effect, record: Option<&Record>) {
        if let Some(register) = self.registers.get_mut(&database) {
            register.apply(effect);
        }
        if let Some(at) = effect.goes() {
            self.restricted.remove(&at);
        }
        if let Some(at) = effect.comes()
            && self.begins.last_key_value().is_none_or(|(_, last)| *last != database)
        {
            self.begins.insert(at, database);
        }
        if let (Some(at), Some(record)) = (effect.comes(), record.filter(|record| record.is_restricted())) {
            let except = record.about().except.clone().into_boxed_slice();
            self.restricted.insert(at, Restricted { owner: record.owner(), except });
        }
        self.unstored += effect.index().len() as u64;
        for change in effect.index() {
            match change {
                IndexChange::Insert { key, at, restricted } => {
                    self.index.add(self.spaces.fingerprint(key), *at, *restricted);
                }
                IndexChange::Remove { key, at } => self.index.remove(self.spaces.fingerprint(key), *at),
            }
        }
    }
}

/// Whether a record of a range has the number of a key, or one that looks like it.
pub(crate) fn covers(record: &Record, key: &Key) -> bool {
    match (record.content(), document_of(key)) {
        (Content::TravelDocument(range), Some((issuer, number))) => {
            range.last_number.is_some()
                && range.issuing_country == issuer
                && range.likeness(&number).is_some()
        }
        _ => false,
    }
}

/// The document that a key stands for, with its number folded.
fn document_of(key: &Key) -> Option<(Issuer, DocumentNumber)> {
    if key.kind() != KeyKind::TravelDocument {
        return None;
    }
    let (issuer, number) = std::str::from_utf8(key.as_bytes()).ok()?.split_once('/')?;
    Some((issuer.parse().ok()?, number.parse().ok()?))
}

fn write(shelves: &RwLock<Shelves>) -> RwLockWriteGuard<'_, Shelves> {
    shelves.write().unwrap_or_else(PoisonError::into_inner)
}

fn read(shelves: &RwLock<Shelves>) -> RwLockReadGuard<'_, Shelves> {
    shelves.read().unwrap_or_else(PoisonError::into_inner)
}
