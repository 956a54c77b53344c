//! A database as it was at a moment: what a copy of it is made of, while the databases go on. It reads no record.

use std::collections::BTreeMap;
use std::iter::Peekable;

use i247_model::{CountryCode, Party};
use i247_records::Database;
use i247_records::index::{self, Fingerprint, KeySpaces, Locator};
use i247_records::offline::{KeySet, OfflineError, blocks};
use i247_records::register::Ranges;

use super::shelves::Restricted;

/// The keys of one database at a position of the log.
pub(crate) struct Frozen {
    position: u64,
    database: Database,
    index: index::Frozen,
    begins: BTreeMap<Locator, Database>,
    restricted: BTreeMap<Locator, Restricted>,
    /// The blocks of its ranges of blanks, sorted.
    blocks: Vec<(Fingerprint, Locator)>,
}

/// A key of a record that somebody may not see.
#[derive(Clone, Debug)]
pub(crate) struct RestrictedKey {
    fingerprint: Fingerprint,
    restricted: Restricted,
}

impl Frozen {
    pub(super) fn new(
        position: u64,
        database: Database,
        index: index::Frozen,
        (begins, restricted): (BTreeMap<Locator, Database>, BTreeMap<Locator, Restricted>),
        (ranges, spaces): (&Ranges, &KeySpaces),
    ) -> Self {
        let mut of_ranges: Vec<(Fingerprint, Locator)> = ranges
            .serials()
            .flat_map(|range| {
                let of_range = blocks::of_range(&range, database, spaces);
                of_range.into_iter().map(move |fingerprint| (fingerprint, range.at))
            })
            .collect();
        of_ranges.sort_unstable();
        Self { position, database, index, begins, restricted, blocks: of_ranges }
    }

    /// The position of the log.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The keys of records that nobody is kept from. It takes long where there are many.
    ///
    /// # Errors
    /// When there are too many.
    pub(crate) fn base(&self) -> Result<KeySet, OfflineError> {
        let open = |(_, at): &(Fingerprint, Locator)| !self.restricted.contains_key(at);
        KeySet::of(|| self.entries().filter(open).map(|(fingerprint, _)| fingerprint))
    }

    /// The keys of records that somebody is kept from, sorted.
    pub(crate) fn restricted(&self) -> Vec<RestrictedKey> {
        let with_restriction = |(fingerprint, at): (Fingerprint, Locator)| {
            let restricted = self.restricted.get(&at)?.clone();
            Some(RestrictedKey { fingerprint, restricted })
        };
        self.entries().filter_map(with_restriction).collect()
    }

    /// What a country sees of these.
    ///
    /// # Errors
    /// When there are too many.
    pub(crate) fn supplement(keys: &[RestrictedKey], country: CountryCode) -> Result<KeySet, OfflineError> {
        let asker = Party::Bureau(country);
        KeySet::of(|| keys.iter().filter(|key| !key.restricted.bars(asker)).map(|key| key.fingerprint))
    }

    /// All keys of the database, sorted, and where their records lie.
    fn entries(&self) -> impl Iterator<Item = (Fingerprint, Locator)> + '_ {
        let of_database = |at: Locator| {
            self.begins.range(..=at).next_back().is_some_and(|(_, database)| *database == self.database)
        };
        let live = self.index.live().map(|live| (live.fingerprint, live.locator));
        let keys = live.filter(move |(_, at)| of_database(*at));
        Merged { keys: keys.peekable(), blocks: self.blocks.iter().copied().peekable() }
    }
}

/// Two sorted lists as one.
struct Merged<A: Iterator<Item = (Fingerprint, Locator)>, B: Iterator<Item = (Fingerprint, Locator)>> {
    keys: Peekable<A>,
    blocks: Peekable<B>,
}

impl<A, B> Iterator for Merged<A, B>
where
    A: Iterator<Item = (Fingerprint, Locator)>,
    B: Iterator<Item = (Fingerprint, Locator)>,
{
    type Item = (Fingerprint, Locator);

    fn next(&mut self) -> Option<Self::Item> {
        match (self.keys.peek(), self.blocks.peek()) {
            (Some(key), Some(block)) if block < key => self.blocks.next(),
            (Some(_), _) => self.keys.next(),
            (None, _) => self.blocks.next(),
        }
    }
}
