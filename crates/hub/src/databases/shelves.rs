//! What follows from the log: a register for each database, and one index over all of them, as searches ask them. It
//! reads no log and no disk but that of the index.

use std::collections::{BTreeMap, BTreeSet};

use i247_ledger::Position;
use i247_model::{CountryCode, Hash, Party};
use i247_records::index::{
    Candidate, Fingerprint, Index, IndexError, KeySpaces, Locator, Merge, MergedRun, Replaced, Sealed,
    Unsealed,
};
use i247_records::nominal::Persons;
use i247_records::record::{Content, Key, Record};
use i247_records::register::{Ranges, Register};
use i247_records::template::Galleries;
use i247_records::{Database, Date};
use serde::{Deserialize, Serialize};

use super::Verdicts;
use super::circulars::{Circular, Subject};
use super::frozen::{Frozen, Hidden};
use super::unpublished::Unpublished;

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
    pub(super) spaces: KeySpaces,
    pub(super) index: Index,
    /// Who must not see which record: a search applies it without reading the record.
    pub(super) restricted: BTreeMap<Locator, Restricted>,
    /// What waits for a reviewer, or was returned by one: found by its owner alone.
    pub(super) unpublished: BTreeMap<Locator, Unpublished>,
    /// Notices and diffusions that are in force or asked for.
    pub(super) circulars: BTreeMap<Subject, Circular>,
    /// The persons of the nominal database. Not stored: what they are called stands in the log alone.
    pub(super) persons: Persons,
    /// What probes are compared with. Not stored either.
    pub(super) galleries: Galleries,
    /// Whom owners bar from all that they own.
    pub(super) barred: BTreeMap<Party, BTreeSet<CountryCode>>,
    pub(super) verdicts: BTreeMap<u64, Verdicts>,
    /// Where records of a database and an owner begin that follow those of others: places grow, so each has its own.
    pub(super) begins: BTreeMap<Locator, (Database, Party)>,
    /// How many items of the next entry were taken in already.
    pub(super) items_done: usize,
    /// How many keys came and went since they were stored.
    pub(super) unstored: u64,
}

/// Who may see a record that not all may see.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Restricted {
    /// All but these countries; its owner in any case.
    But { owner: Party, except: Box<[CountryCode]> },
    /// Whoever may see what it follows from.
    Following(Subject),
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
            unpublished: BTreeMap::new(),
            circulars: BTreeMap::new(),
            persons: Persons::default(),
            galleries: Galleries::default(),
            barred: BTreeMap::new(),
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
        let hidden = self.restricted.iter().map(|(at, restricted)| {
            let hidden = match restricted {
                Restricted::But { owner, except } => Hidden::but(*owner, except.iter().copied()),
                Restricted::Following(subject) => match self.circulars.get(subject) {
                    Some(circular) => Hidden {
                        only: circular.only.clone(),
                        ..Hidden::but(circular.owner, circular.except.iter().copied())
                    },
                    // As in a search: what is not known to be for somebody is for nobody.
                    None => Hidden { only: Some(Box::default()), ..Hidden::but(Party::Secretariat, []) },
                },
            };
            (*at, hidden)
        });
        // Nobody but its owner, whatever else restricts it: of two words on a place the last one counts.
        let unpublished = self
            .unpublished
            .iter()
            .map(|(at, one)| (*at, Hidden { only: Some(Box::default()), ..Hidden::but(one.owner(), []) }));
        let restrictions = (hidden.chain(unpublished).collect(), self.barred.clone());
        Frozen::new(
            (self.position, database),
            self.index.frozen(),
            self.begins.clone(),
            restrictions,
            (ranges, &self.spaces),
        )
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
    /// `limit` for each. What an owner bars the asker from is passed over here too, where no record is read yet: read and
    /// left out afterwards it would take longer than what there is not, and take the places of what there is.
    pub(crate) fn candidates(
        &self,
        asker: Party,
        database: Database,
        keys: &[Key],
        limit: usize,
    ) -> Vec<(usize, Locator)> {
        let sees = |at: Locator| self.sees(asker, at);
        let fingerprints: Vec<Fingerprint> = keys.iter().map(|key| self.spaces.fingerprint(key)).collect();
        let mut found = Vec::new();
        let barred = self.barred.keys().any(|owner| self.bars(*owner, asker));
        self.index.look_up_many(&fingerprints, if barred { usize::MAX } else { limit }, sees, &mut found);
        if barred {
            found.retain(|candidate| self.is_unbarred(asker, candidate.locator));
            keep_first(&mut found, limit);
        }
        let mut places: Vec<(usize, Locator)> =
            found.into_iter().map(|candidate| (candidate.query, candidate.locator)).collect();
        let Some(register) = self.registers.get(&database).filter(|register| !register.ranges().is_empty())
        else {
            return places;
        };
        for (query, key) in keys.iter().enumerate() {
            let Some((issuer, number)) = key.document() else { continue };
            let covering = register.ranges().covering(issuer, &number).into_iter().filter(|at| sees(*at));
            places.extend(covering.take(limit).map(|at| (query, at)));
        }
        places.sort_unstable();
        places
    }

    /// Whether an asker may see the record there, as far as its restriction and its owner say.
    pub(crate) fn sees(&self, asker: Party, at: Locator) -> bool {
        let shown = || self.unpublished.get(&at).is_none_or(|one| one.is_shown_to(asker));
        self.is_unbarred(asker, at) && self.is_unrestricted(asker, at) && shown()
    }

    fn is_unrestricted(&self, asker: Party, at: Locator) -> bool {
        match self.restricted.get(&at) {
            None => true,
            Some(Restricted::But { owner, except }) => {
                *owner == asker || !asker.country().is_some_and(|one| except.contains(&one))
            }
            Some(Restricted::Following(subject)) => {
                let shown =
                    |circular: &Circular| circular.is_shown_to(asker) && !self.bars(circular.owner, asker);
                self.circulars.get(subject).is_some_and(shown)
            }
        }
    }

    /// Whether an owner bars an asker from all that it owns.
    pub(crate) fn bars(&self, owner: Party, asker: Party) -> bool {
        let barred =
            |countries: &BTreeSet<CountryCode>| asker.country().is_some_and(|one| countries.contains(&one));
        owner != asker && self.barred.get(&owner).is_some_and(barred)
    }

    /// Whether the owner of the record there does not bar the asker. The record is not read for it.
    fn is_unbarred(&self, asker: Party, at: Locator) -> bool {
        if self.barred.is_empty() {
            return true;
        }
        let place = self.begins.range(..=at).next_back();
        place.is_none_or(|(_, (_, owner))| !self.bars(*owner, asker))
    }

    /// Whose the record there is, where it follows from a form.
    pub(crate) fn owner(&self, at: Locator) -> Option<Party> {
        let Some(Restricted::Following(subject)) = self.restricted.get(&at) else { return None };
        self.circulars.get(subject).map(|circular| circular.owner)
    }

    /// Where the records of a database lie that have a last day.
    pub(crate) fn places(&self, database: Database) -> Vec<Locator> {
        self.registers.get(&database).map(|register| register.places().collect()).unwrap_or_default()
    }

    /// Whether the record there still counts today, and its owner does not bar the asker.
    pub(crate) fn is_open_to(&self, asker: Party, at: Locator, record: &Record, today: Date) -> bool {
        let register = self.registers.get(&record.database());
        let last = register.and_then(|register| register.expires_on(at, record));
        last.is_none_or(|last| last >= today) && !self.bars(record.owner(), asker)
    }

    /// Makes a run of what has gathered; none when nothing came.
    ///
    /// # Errors
    /// Never for an index that was filled here.
    pub(crate) fn run_of_changes(&self) -> Result<Option<Unsealed>, IndexError> {
        self.index.run_of_changes(Position(self.position))
    }

    /// Puts a run in the place of what has gathered; nothing when more has gathered meanwhile.
    pub(crate) fn seal(&mut self, unsealed: Unsealed) -> Option<Sealed> {
        self.index.seal(unsealed)
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
    pub(crate) fn adopt(&mut self, merged: MergedRun) -> Replaced {
        self.index.adopt(merged)
    }
}

/// Of each key the first so many; they come by the order of the keys.
fn keep_first(found: &mut Vec<Candidate>, limit: usize) {
    let (mut query, mut kept) = (0, 0);
    found.retain(|candidate| {
        if candidate.query != query {
            (query, kept) = (candidate.query, 0);
        }
        kept += 1;
        kept <= limit
    });
}

/// Whether a record of a range has the number of a key, or one that looks like it.
pub(crate) fn covers(record: &Record, key: &Key) -> bool {
    match (record.content(), key.document()) {
        (Content::TravelDocument(range), Some((issuer, number))) => {
            range.last_number.is_some()
                && range.issuing_country == issuer
                && range.likeness(&number).is_some()
        }
        _ => false,
    }
}
