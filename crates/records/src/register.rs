//! The register of one database: what may be done to which record by whom, and what follows from it.
//!
//! ```text
//!  Request ──► decide (reads register and Lookup) ──► Effect ──► apply ──► register
//!                                                       └──────► index: keys that come and go
//! ```
//!
//! Deciding changes nothing and applying decides nothing, so the effects of a log give the same register whenever they
//! are applied in the order of the log. The register keeps no record and no key: it asks a [`Lookup`] for them. What it
//! keeps are the days on which records expire (8 bytes a record), the ranges of blanks, and one digest over all that is there.

mod ranges;
mod refusal;
mod stored;

use std::collections::BTreeMap;

use i247_model::{Hash, Party};

use crate::database::{Database, Writers};
use crate::date::Date;
use crate::derived::is_derived;
use crate::document::{DocumentNumber, Issuer};
use crate::index::Locator;
use crate::record::{AlertState, Change, Content, Key, Record, RecordName};

pub use ranges::{Ranges, Serials};
pub use refusal::Rejected;
pub use stored::StoredRegister;

/// Where records are found and read. Handed in; the index and the log stand behind it.
pub trait Lookup {
    /// Why it could not be asked. Nothing is known then.
    type Error: std::error::Error;

    /// Where records lie that may have this key. Some of them may turn out to have another.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn candidates(&self, key: &Key) -> Result<Vec<Locator>, Self::Error>;

    /// The record that lies there; none when it was erased.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn fetch(&self, at: Locator) -> Result<Option<Record>, Self::Error>;
}

/// A change that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is asked.
    pub change: &'a Change,
    /// Who asks.
    pub sender: Party,
    /// It follows from a published notice, and nobody sent it.
    pub from_notice: bool,
    /// Where the change will lie. Later requests lie behind earlier ones.
    pub at: Locator,
    /// The day on which it is accepted.
    pub today: Date,
}

/// What a change does when it is accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    comes: Option<Place>,
    goes: Option<Place>,
    index: Vec<IndexChange>,
}

impl Effect {
    /// What the index has to do, in this order.
    pub fn index(&self) -> &[IndexChange] {
        &self.index
    }

    /// Where the record lies that comes.
    pub fn comes(&self) -> Option<Locator> {
        self.comes.map(|place| place.at)
    }

    /// Where the record lies that goes.
    pub fn goes(&self) -> Option<Locator> {
        self.goes.map(|place| place.at)
    }
}

/// What comes into the index or goes out of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexChange {
    /// A record has this key.
    Insert {
        /// The key.
        key: Key,
        /// Where the record lies.
        at: Locator,
        /// Whether somebody may not see it.
        restricted: bool,
    },
    /// A record is no longer found by this key.
    Remove {
        /// The key.
        key: Key,
        /// Where the record lies.
        at: Locator,
    },
}

/// What the register keeps of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    at: Locator,
    accepted: Date,
    expires: Option<Date>,
    range: Option<(Issuer, DocumentNumber, DocumentNumber)>,
}

/// The register of one database.
#[derive(Clone, Debug)]
pub struct Register {
    database: Database,
    live: u64,
    /// The first place of each day on which something was accepted. Places grow, so each has its day.
    days: BTreeMap<Locator, Date>,
    /// What expires behind which day, sorted by place.
    expiry: BTreeMap<Date, Vec<Locator>>,
    ranges: Ranges,
    /// Sum of the marks of what is there. The order in which it came and went does not matter.
    marks: [u64; 4],
}

impl Register {
    /// An empty register.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            live: 0,
            days: BTreeMap::new(),
            expiry: BTreeMap::new(),
            ranges: Ranges::default(),
            marks: [0; 4],
        }
    }

    /// The database.
    pub fn database(&self) -> Database {
        self.database
    }

    /// How many records are there. A range of blanks is one.
    pub fn len(&self) -> u64 {
        self.live
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Where the records lie that have a last day, in no order. Those of the nominal database all have one.
    pub fn places(&self) -> impl Iterator<Item = Locator> + '_ {
        self.expiry.values().flatten().copied()
    }

    /// The ranges of stolen blanks, which are found by number here and not by a key.
    pub fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// 32 bytes that are the same for two registers that have the same records at the same places of the same log.
    /// They tell mistakes, not forgeries: what the records say is vouched for by the log.
    pub fn digest(&self) -> Hash {
        let mut bytes = [0; 32];
        for (chunk, sum) in bytes.chunks_exact_mut(8).zip(self.marks) {
            chunk.copy_from_slice(&sum.to_be_bytes());
        }
        Hash(bytes)
    }

    /// The last day on which the record at this place counts; none while its notice lives.
    pub fn expires_on(&self, at: Locator, record: &Record) -> Option<Date> {
        self.accepted_on(at).and_then(|accepted| record.expires_on(accepted))
    }

    /// Whether a request is accepted, and what it does then.
    ///
    /// # Errors
    /// [`Rejected`], the first reason that was met.
    pub fn decide<L: Lookup>(&self, request: &Request<'_>, lookup: &L) -> Result<Effect, Rejected<L::Error>> {
        let name = request.change.name();
        let derived = self.database.writers() == Writers::FromNotices || is_derived(self.database, &name);
        if derived && !request.from_notice {
            return Err(Rejected::FromNoticesOnly { database: self.database });
        }
        match request.change {
            Change::Add(record) => {
                self.check_record::<L::Error>(record, request)?;
                if let Some((_, there)) = self.find(&name, request.today, lookup)? {
                    return Err(Rejected::Duplicate { identical: there == *record });
                }
                self.check_range(record, None, lookup)?;
                Ok(self.effect(None, Some(record), request))
            }
            Change::Change(record) => {
                let (at, there) = self.find_own(&name, request, lookup)?;
                self.check_record::<L::Error>(record, request)?;
                if there == *record {
                    return Err(Rejected::Unchanged);
                }
                self.check_range(record, Some(at), lookup)?;
                Ok(self.effect(Some((at, &there)), Some(record), request))
            }
            Change::Restrict(record) => {
                let (at, there) = self.find_own(&name, request, lookup)?;
                if there == *record {
                    return Err(Rejected::Unchanged);
                }
                if there.clone().with_except(record.about().except.clone()) != *record {
                    return Err(Rejected::MoreThanRestriction);
                }
                Ok(self.effect(Some((at, &there)), Some(record), request))
            }
            Change::Withdraw(_) => {
                let (at, there) = self.find_own(&name, request, lookup)?;
                Ok(self.effect(Some((at, &there)), None, request))
            }
        }
    }

    /// What is past its last day, at most `limit` places. Each goes by [`Register::decide_end`].
    pub fn due(&self, today: Date, limit: usize) -> Vec<Locator> {
        self.expiry.range(..today).flat_map(|(_, places)| places).take(limit).copied().collect()
    }

    /// What it does when a record that is there goes without anybody asking: it is [due](Register::due), or what it
    /// follows from has ended. The keys of an erased record cannot be taken out of the index any more; they lead to
    /// nothing.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn decide_end<L: Lookup>(&self, at: Locator, lookup: &L) -> Result<Effect, L::Error> {
        if let Some(record) = lookup.fetch(at)? {
            return Ok(Effect {
                comes: None,
                goes: Some(self.place(at, &record)),
                index: removals(at, &record),
            });
        }
        let day = self.expiry.iter().find(|(_, places)| places.binary_search(&at).is_ok());
        let (accepted, expires) = (self.accepted_on(at).unwrap_or(Date::LAST), day.map(|(day, _)| *day));
        let goes = Some(Place { at, accepted, expires, range: None });
        Ok(Effect { comes: None, goes, index: Vec::new() })
    }

    /// Makes it so.
    pub fn apply(&mut self, effect: &Effect) {
        if let Some(place) = &effect.goes {
            self.take(place);
        }
        if let Some(place) = &effect.comes {
            self.put(place);
        }
    }

    fn put(&mut self, place: &Place) {
        if self.days.last_key_value().is_none_or(|(_, last)| *last < place.accepted) {
            self.days.insert(place.at, place.accepted);
        }
        self.live += 1;
        self.mark(place.at, u64::wrapping_add);
        if let Some(day) = place.expires {
            let places = self.expiry.entry(day).or_default();
            if let Err(slot) = places.binary_search(&place.at) {
                places.insert(slot, place.at);
            }
        }
        if let Some((issuer, first, last)) = &place.range {
            self.ranges.insert(*issuer, first, last, place.at);
        }
    }

    fn take(&mut self, place: &Place) {
        self.live = self.live.saturating_sub(1);
        self.mark(place.at, u64::wrapping_sub);
        if let Some(day) = place.expires
            && let Some(places) = self.expiry.get_mut(&day)
        {
            if let Ok(slot) = places.binary_search(&place.at) {
                places.remove(slot);
            }
            if places.is_empty() {
                self.expiry.remove(&day);
            }
        }
        self.ranges.remove(place.at);
    }

    fn mark(&mut self, at: Locator, add: impl Fn(u64, u64) -> u64) {
        let place = at.position().0 << 16 | u64::from(at.item());
        let mut seed = place ^ u64::from(self.database.number()) << 56;
        for sum in &mut self.marks {
            // The finaliser of SplitMix64: neighbouring places get unrelated marks.
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mark = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mark = (mark ^ mark >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            *sum = add(*sum, mark ^ mark >> 31);
        }
    }

    /// The day on which what lies at this place was accepted.
    fn accepted_on(&self, at: Locator) -> Option<Date> {
        self.days.range(..=at).next_back().map(|(_, day)| *day)
    }

    /// Today, or the last day on which something was accepted if the clock went back.
    fn day(&self, today: Date) -> Date {
        self.days.last_key_value().map_or(today, |(_, last)| today.max(*last))
    }

    fn place(&self, at: Locator, record: &Record) -> Place {
        let accepted = self.accepted_on(at).unwrap_or(Date::LAST);
        Place { at, accepted, expires: record.expires_on(accepted), range: range(record) }
    }

    fn effect(
        &self,
        goes: Option<(Locator, &Record)>,
        comes: Option<&Record>,
        request: &Request<'_>,
    ) -> Effect {
        let accepted = self.day(request.today);
        let mut index = goes.map(|(at, record)| removals(at, record)).unwrap_or_default();
        if let Some(record) = comes {
            let restricted = record.is_restricted();
            index.extend(record.keys().into_iter().map(|key| IndexChange::Insert {
                key,
                at: request.at,
                restricted,
            }));
        }
        let comes = comes.map(|record| Place {
            at: request.at,
            accepted,
            expires: record.expires_on(accepted),
            range: range(record),
        });
        Effect { comes, goes: goes.map(|(at, record)| self.place(at, record)), index }
    }

    /// What a record must be, whether or not there is one of its name.
    fn check_record<E>(&self, record: &Record, request: &Request<'_>) -> Result<(), Rejected<E>> {
        if record.database() != self.database {
            return Err(Rejected::OtherDatabase { database: record.database() });
        }
        if record.owner() != request.sender && !request.from_notice {
            return Err(Rejected::NotOwner { field: "owner", owner: record.owner() });
        }
        if let Some(owner) = record.sole_writer().filter(|owner| *owner != request.sender) {
            return Err(Rejected::NotOwner { field: "issuing_country", owner });
        }
        if let Content::DocumentAlert(alert) = record.content()
            && alert.state != AlertState::Submitted
        {
            return Err(Rejected::NotSubmitted);
        }
        // Where the sun rises first it is tomorrow already.
        let tomorrow = request.today.next();
        for (field, day) in record.content().past() {
            if let Some(on) = day.filter(|day| *day > tomorrow) {
                return Err(Rejected::Future { field, on });
            }
        }
        match record.expires_on(request.today).filter(|day| *day < request.today) {
            Some(on) => Err(Rejected::Expired { on }),
            None => Ok(()),
        }
    }

    /// Two ranges never share a number, so that a number has one range that stands for it.
    fn check_range<L: Lookup>(
        &self,
        record: &Record,
        instead_of: Option<Locator>,
        lookup: &L,
    ) -> Result<(), Rejected<L::Error>> {
        let Some((issuer, first, last)) = range(record) else { return Ok(()) };
        for at in self.ranges.touching(issuer, &first, &last) {
            if instead_of == Some(at) {
                continue;
            }
            let Some(other) = lookup.fetch(at).map_err(Rejected::Unreadable)? else { continue };
            if let (Content::TravelDocument(one), Content::TravelDocument(two)) =
                (record.content(), other.content())
                && one.overlaps(two)
            {
                return Err(Rejected::Overlap { name: other.name() });
            }
        }
        Ok(())
    }

    /// The record of this name that the sender may change.
    fn find_own<L: Lookup>(
        &self,
        name: &RecordName,
        request: &Request<'_>,
        lookup: &L,
    ) -> Result<(Locator, Record), Rejected<L::Error>> {
        let (at, record) = self.find(name, request.today, lookup)?.ok_or(Rejected::Unknown)?;
        if record.owner() != request.sender && !request.from_notice {
            return Err(Rejected::NotOwner { field: "owner", owner: record.owner() });
        }
        if let Some(after) = request.change.record()
            && after.owner() != record.owner()
        {
            return Err(Rejected::NotOwner { field: "owner", owner: record.owner() });
        }
        Ok((at, record))
    }

    /// The record of this name. One that is past its last day is not there any more.
    fn find<L: Lookup>(
        &self,
        name: &RecordName,
        today: Date,
        lookup: &L,
    ) -> Result<Option<(Locator, Record)>, Rejected<L::Error>> {
        let candidates = match (name, name.key(self.database)) {
            (RecordName::Range(issuer, _, first, last), _) => self.ranges.touching(*issuer, first, last),
            (_, Some(key)) => lookup.candidates(&key).map_err(Rejected::Unreadable)?,
            (_, None) => Vec::new(),
        };
        for at in candidates {
            let Some(record) = lookup.fetch(at).map_err(Rejected::Unreadable)? else { continue };
            let past = self.expires_on(at, &record).is_some_and(|day| day < today);
            if !past && record.database() == self.database && record.name() == *name {
                return Ok(Some((at, record)));
            }
        }
        Ok(None)
    }
}

fn removals(at: Locator, record: &Record) -> Vec<IndexChange> {
    record.keys().into_iter().map(|key| IndexChange::Remove { key, at }).collect()
}

fn range(record: &Record) -> Option<(Issuer, DocumentNumber, DocumentNumber)> {
    match record.content() {
        Content::TravelDocument(of) => Some((of.issuing_country, of.number, of.last_number?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
