//! Ranges of stolen blanks: one record, many numbers, found without a key for each. It reads no record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::{DocumentNumber, Issuer};
use crate::index::Locator;

/// The ranges of a database, by issuer and what their numbers begin with.
///
/// Numbers are folded first, so that a look-alike finds the range as well. A range may thus seem to lie over another one
/// of look-alike letters; which numbers a range really has is said by its record.
#[derive(Clone, Default, Debug)]
pub struct Ranges {
    series: BTreeMap<(Issuer, Series), Spans>,
    places: BTreeMap<Locator, (Issuer, Series)>,
}

/// One range, with its numbers folded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Serials<'a> {
    /// Who issued the numbers.
    pub issuer: Issuer,
    /// What stands before the digits.
    pub prefix: &'a str,
    /// How many digits there are.
    pub digits: usize,
    /// The first number.
    pub from: u128,
    /// The last number.
    pub to: u128,
    /// Where the record lies.
    pub at: Locator,
}

/// Letters in front and digits behind, after folding. In place: every search for a document looks for one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Series {
    /// Filled up with zeroes.
    prefix: [u8; DocumentNumber::MAX_CHARS],
    digits: usize,
}

impl Series {
    /// None when no number begins like this.
    fn new(prefix: &str, digits: usize) -> Option<Self> {
        let mut bytes = [0; DocumentNumber::MAX_CHARS];
        bytes.get_mut(..prefix.len())?.copy_from_slice(prefix.as_bytes());
        Some(Self { prefix: bytes, digits })
    }

    fn prefix(&self) -> &str {
        let len = self.prefix.iter().position(|byte| *byte == 0).unwrap_or(self.prefix.len());
        // Made of a text, and of nothing else.
        std::str::from_utf8(&self.prefix[..len]).unwrap_or("")
    }
}

#[derive(Clone, Default, Debug)]
struct Spans {
    /// Sorted by their first number.
    spans: Vec<Span>,
    /// No span has more numbers than this.
    longest: u128,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    from: u128,
    to: u128,
    at: Locator,
}

/// A range as it is stored: its numbers folded, as it is found.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredRange {
    issuer: String,
    prefix: Box<str>,
    digits: usize,
    from: u128,
    to: u128,
    at: u64,
}

impl Ranges {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Where the records of all ranges lie, in the order of the log.
    pub fn all(&self) -> impl Iterator<Item = Locator> + '_ {
        self.places.keys().copied()
    }

    /// Each range with its numbers.
    pub fn serials(&self) -> impl Iterator<Item = Serials<'_>> {
        self.series.iter().flat_map(|((issuer, series), spans)| {
            spans.spans.iter().map(|&Span { from, to, at }| Serials {
                issuer: *issuer,
                prefix: series.prefix(),
                digits: series.digits,
                from,
                to,
                at,
            })
        })
    }

    /// Where records of ranges lie that have this number of this issuer, or one that looks like it.
    pub fn covering(&self, issuer: Issuer, number: &DocumentNumber) -> Vec<Locator> {
        self.touching(issuer, number, number)
    }

    /// Where records of ranges lie that may have a number from `first` to `last`.
    pub(super) fn touching(
        &self,
        issuer: Issuer,
        first: &DocumentNumber,
        last: &DocumentNumber,
    ) -> Vec<Locator> {
        if self.series.is_empty() {
            return Vec::new();
        }
        let (Some((series, from)), Some((_, to))) = (folded_serial(first), folded_serial(last)) else {
            return Vec::new();
        };
        let Some(Spans { spans, longest }) = self.series.get(&(issuer, series)) else { return Vec::new() };
        let end = spans.partition_point(|span| span.from <= to);
        let near = spans[..end].iter().rev().take_while(|span| span.from + longest > from);
        near.filter(|span| span.to >= from).map(|span| span.at).collect()
    }

    pub(super) fn insert(
        &mut self,
        issuer: Issuer,
        first: &DocumentNumber,
        last: &DocumentNumber,
        at: Locator,
    ) {
        let (Some((series, from)), Some((_, to))) = (folded_serial(first), folded_serial(last)) else {
            return;
        };
        self.put((issuer, series), Span { from, to, at });
    }

    fn put(&mut self, key: (Issuer, Series), span: Span) {
        let Spans { spans, longest } = self.series.entry(key).or_default();
        let slot = spans.partition_point(|other| (other.from, other.at) < (span.from, span.at));
        spans.insert(slot, span);
        *longest = (*longest).max(span.to.saturating_sub(span.from) + 1);
        self.places.insert(span.at, key);
    }

    /// What is stored of them, by issuer and series.
    pub(super) fn stored(&self) -> Vec<StoredRange> {
        let of_series = |((issuer, series), of): (&(Issuer, Series), &Spans)| {
            let stored = |span: &Span| StoredRange {
                issuer: issuer.to_string(),
                prefix: series.prefix().into(),
                digits: series.digits,
                from: span.from,
                to: span.to,
                at: span.at.number(),
            };
            of.spans.iter().map(stored).collect::<Vec<_>>()
        };
        self.series.iter().flat_map(of_series).collect()
    }

    /// As they were stored; none when something else has written them.
    pub(super) fn of_stored(stored: Vec<StoredRange>) -> Option<Self> {
        let mut ranges = Self::default();
        for StoredRange { issuer, prefix, digits, from, to, at } in stored {
            let series = Series::new(&prefix, digits)?;
            let at = Locator::of_number(at)?;
            ranges.put((issuer.parse().ok()?, series), Span { from, to, at });
        }
        Some(ranges)
    }

    pub(super) fn remove(&mut self, at: Locator) {
        let Some(key) = self.places.remove(&at) else { return };
        let Some(of) = self.series.get_mut(&key) else { return };
        of.spans.retain(|span| span.at != at);
        if of.spans.is_empty() {
            self.series.remove(&key);
        }
    }
}

/// The series of a number and its place in it, after folding; none when it does not end in digits even so.
fn folded_serial(number: &DocumentNumber) -> Option<(Series, u128)> {
    let folded = number.folded();
    let text = folded.as_str();
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (prefix, tail) = text.split_at(text.len() - digits);
    Some((Series::new(prefix, digits)?, tail.parse().ok()?))
}
