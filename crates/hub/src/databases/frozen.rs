//! A database as it was at a moment: what a copy of it is made of, while the databases go on. It reads no record.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::sync::Arc;

use i247_model::{CountryCode, Party};
use i247_records::Database;
use i247_records::index::{self, Fingerprint, KeySpaces, Locator};
use i247_records::offline::{KeySet, OfflineError, blocks};
use i247_records::register::Ranges;

/// The keys of one database at a position of the log.
pub(crate) struct Frozen {
    position: u64,
    database: Database,
    index: index::Frozen,
    /// Where records of a database and an owner begin.
    begins: BTreeMap<Locator, (Database, Party)>,
    hidden: BTreeMap<Locator, Arc<Hidden>>,
    /// What hides all records of an owner.
    barred: BTreeMap<Party, Arc<Hidden>>,
    /// The blocks of its ranges of blanks, sorted.
    blocks: Vec<(Fingerprint, Locator)>,
}

/// From whom a record is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hidden {
    pub(super) owner: Party,
    pub(super) except: BTreeSet<CountryCode>,
    /// Those who may see it, where nobody else may.
    pub(super) only: Option<Box<[Party]>>,
}

/// Records that are hidden, and owners that bar countries from all that they own.
pub(super) type Restrictions = (Vec<(Locator, Hidden)>, BTreeMap<Party, BTreeSet<CountryCode>>);

/// A key of a record that somebody may not see.
#[derive(Clone, Debug)]
pub(crate) struct RestrictedKey {
    fingerprint: Fingerprint,
    hidden: Arc<Hidden>,
}

impl Hidden {
    /// From these countries.
    pub(super) fn but(owner: Party, except: impl IntoIterator<Item = CountryCode>) -> Self {
        Self { owner, except: except.into_iter().collect(), only: None }
    }

    /// From these countries besides.
    fn and_from(mut self, except: Option<&BTreeSet<CountryCode>>) -> Self {
        self.except.extend(except.into_iter().flatten().copied());
        self
    }

    fn is_from_nobody(&self) -> bool {
        self.except.is_empty() && self.only.is_none()
    }

    /// Its owner sees it always.
    fn is_from(&self, country: CountryCode) -> bool {
        let asker = Party::Bureau(country);
        let shown =
            !self.except.contains(&country) && self.only.as_ref().is_none_or(|only| only.contains(&asker));
        asker != self.owner && !shown
    }
}

impl Frozen {
    pub(super) fn new(
        (position, database): (u64, Database),
        index: index::Frozen,
        begins: BTreeMap<Locator, (Database, Party)>,
        (hidden, barred): Restrictions,
        (ranges, spaces): (&Ranges, &KeySpaces),
    ) -> Self {
        let hidden = hidden
            .into_iter()
            .map(|(at, hidden)| {
                let except = barred.get(&hidden.owner);
                (at, hidden.and_from(except))
            })
            .filter(|(_, hidden)| !hidden.is_from_nobody())
            .map(|(at, hidden)| (at, Arc::new(hidden)))
            .collect();
        let barred =
            barred.into_iter().map(|(owner, except)| (owner, Arc::new(Hidden::but(owner, except)))).collect();
        let mut of_ranges: Vec<(Fingerprint, Locator)> = ranges
            .serials()
            .flat_map(|range| {
                let of_range = blocks::of_range(&range, database, spaces);
                of_range.into_iter().map(move |fingerprint| (fingerprint, range.at))
            })
            .collect();
        of_ranges.sort_unstable();
        Self { position, database, index, begins, hidden, barred, blocks: of_ranges }
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
        let open = |(_, at): &(Fingerprint, Locator)| self.hidden(*at).is_none();
        KeySet::of(|| self.entries().filter(open).map(|(fingerprint, _)| fingerprint))
    }

    /// The keys of records that somebody is kept from, sorted.
    pub(crate) fn restricted(&self) -> Vec<RestrictedKey> {
        let with_restriction = |(fingerprint, at): (Fingerprint, Locator)| {
            let hidden = self.hidden(at)?.clone();
            Some(RestrictedKey { fingerprint, hidden })
        };
        self.entries().filter_map(with_restriction).collect()
    }

    /// What a country sees of these.
    ///
    /// # Errors
    /// When there are too many.
    pub(crate) fn supplement(keys: &[RestrictedKey], country: CountryCode) -> Result<KeySet, OfflineError> {
        KeySet::of(|| keys.iter().filter(|key| !key.hidden.is_from(country)).map(|key| key.fingerprint))
    }

    /// From whom the record there is kept, if it is.
    fn hidden(&self, at: Locator) -> Option<&Arc<Hidden>> {
        let of_owner = || self.barred.get(&self.place(at)?.1);
        self.hidden.get(&at).or_else(of_owner)
    }

    /// The database and the owner of the record there.
    fn place(&self, at: Locator) -> Option<(Database, Party)> {
        self.begins.range(..=at).next_back().map(|(_, place)| *place)
    }

    /// All keys of the database, sorted, and where their records lie.
    fn entries(&self) -> impl Iterator<Item = (Fingerprint, Locator)> + '_ {
        let of_database = |at: Locator| self.place(at).is_some_and(|(database, _)| database == self.database);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> CountryCode {
        code.parse().unwrap()
    }

    #[test]
    fn what_follows_from_a_form_is_for_those_who_received_it_and_whom_its_owner_does_not_bar() {
        let owner = Party::Bureau(country("FR"));
        let received: Box<[Party]> = ["BR", "DE"].map(|code| Party::Bureau(country(code))).into();
        let barred = BTreeSet::from([country("DE")]);
        let hidden = Hidden { only: Some(received), ..Hidden::but(owner, []) }.and_from(Some(&barred));
        let kept_from: Vec<&str> =
            ["FR", "BR", "DE", "JP"].into_iter().filter(|code| hidden.is_from(country(code))).collect();
        assert_eq!(kept_from, ["DE", "JP"]);
        assert!(Hidden::but(owner, []).is_from_nobody());
    }
}
