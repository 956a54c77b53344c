//! Counts by link: from whom, to whom, of which kind, in which lane. A table that is only ever read in order of size.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use i247_model::{CountryCode, Kind, Lane, Party, RecipientState};
use i247_wire::pb;

use super::{Move, What, wire_kind, wire_lane};

/// A link in eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct LinkKey(u64);

/// What moved on a link.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Cell {
    /// Recipients.
    pub(crate) accepted: u32,
    /// Recipients.
    pub(crate) delivered: u32,
    /// Messages.
    pub(crate) refused: u32,
}

/// A table with keys of our own making, whose order reaches nobody.
pub(crate) type Table<K, V> = HashMap<K, V, BuildHasherDefault<Mixed>>;

/// Counts by link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    links: Table<LinkKey, Cell>,
    pub(crate) total: Cell,
}

impl Cell {
    pub(crate) fn add(&mut self, other: Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.delivered = self.delivered.saturating_add(other.delivered);
        self.refused = self.refused.saturating_add(other.refused);
    }

    fn size(self) -> u64 {
        u64::from(self.accepted) + u64::from(self.delivered) + u64::from(self.refused)
    }

    /// What a move adds; none for those that pictures do not show.
    fn of(what: What) -> Option<Self> {
        match what {
            What::Entered => Some(Self { accepted: 1, ..Self::default() }),
            What::Stands(RecipientState::Delivered) => Some(Self { delivered: 1, ..Self::default() }),
            What::Refused(_) => Some(Self { refused: 1, ..Self::default() }),
            What::Accepted | What::Stands(_) => None,
        }
    }
}

impl Cells {
    pub(crate) fn count(&mut self, moved: &Move) {
        if let Some(cell) = Cell::of(moved.what) {
            self.add(LinkKey::of(moved), cell);
        }
    }

    pub(crate) fn add(&mut self, key: LinkKey, cell: Cell) {
        self.total.add(cell);
        self.links.entry(key).or_default().add(cell);
    }

    /// Adds what fits of others.
    pub(crate) fn add_all(&mut self, others: &Self, fits: impl Fn(LinkKey) -> bool) {
        for (key, cell) in others.links.iter().filter(|(key, _)| fits(**key)) {
            self.add(*key, *cell);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The links that moved most, at most `max`, the most first, and what the others moved together.
    pub(crate) fn largest(&self, max: usize) -> (Vec<(LinkKey, Cell)>, Cell) {
        let mut links: Vec<(LinkKey, Cell)> = self.links.iter().map(|(key, cell)| (*key, *cell)).collect();
        links.sort_unstable_by_key(|(key, cell)| (u64::MAX - cell.size(), *key));
        let mut rest = Cell::default();
        links.drain(max.min(links.len())..).for_each(|(_, cell)| rest.add(cell));
        (links, rest)
    }
}

impl LinkKey {
    pub(crate) fn of(moved: &Move) -> Self {
        let party = |party: Party| u64::from(code(party));
        // No code of a country is 1.
        let to = moved.to.map_or(1, party);
        let kind = wire_kind(moved.kind) as u64 & 0xff;
        let lane = wire_lane(moved.lane) as u64 & 0xff;
        Self(party(moved.from) << 32 | to << 16 | kind << 8 | lane)
    }

    pub(crate) fn from(self) -> Party {
        party((self.0 >> 32) as u16).unwrap_or(Party::Secretariat)
    }

    pub(crate) fn to(self) -> Option<Party> {
        party((self.0 >> 16) as u16)
    }

    pub(crate) fn kind(self) -> Option<Kind> {
        pb::Kind::try_from((self.0 >> 8 & 0xff) as i32).ok().and_then(|kind| kind.try_into().ok())
    }

    pub(crate) fn lane(self) -> Option<Lane> {
        pb::Lane::try_from((self.0 & 0xff) as i32).ok().and_then(|lane| lane.try_into().ok())
    }

    pub(crate) fn wire(self, cell: Cell) -> pb::FlowLink {
        pb::FlowLink {
            from: self.from().to_string(),
            to: self.to().map(|to| to.to_string()).unwrap_or_default(),
            kind: wire_kind(self.kind()),
            lane: wire_lane(self.lane()),
            accepted: cell.accepted,
            delivered: cell.delivered,
            refused: cell.refused,
        }
    }
}

/// A party in two bytes: 0 for the secretariat, else the letters of the country.
pub(super) fn code(party: Party) -> u16 {
    let letters = |country: CountryCode| <[u8; 2]>::try_from(country.as_str().as_bytes()).unwrap_or_default();
    party.country().map_or(0, |country| u16::from_be_bytes(letters(country)))
}

/// The party of a code; none for one that stands for nobody.
pub(super) fn party(code: u16) -> Option<Party> {
    if code == 0 {
        return Some(Party::Secretariat);
    }
    let letters = code.to_be_bytes();
    std::str::from_utf8(&letters).ok()?.parse().ok().map(Party::Bureau)
}

/// A hash of one number: the keys come from the directory, not from strangers.
#[derive(Default)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(from: &str, to: Option<&str>, what: What) -> Move {
        let to = to.map(|to| to.parse().unwrap());
        let (kind, lane) = (Some(Kind::Diffusion), Some(Lane::Urgent));
        Move { from: from.parse().unwrap(), to, kind, lane, what, after_ms: 0 }
    }

    #[test]
    fn a_link_says_all_that_its_key_was_made_of() {
        for (from, to) in [("FR", Some("BR")), ("IPSG", Some("ZW")), ("FR", None), ("FR", Some("IPSG"))] {
            let key = LinkKey::of(&moved(from, to, What::Entered));
            assert_eq!(key.from().to_string(), from);
            assert_eq!(key.to().map(|to| to.to_string()).as_deref(), to);
            assert_eq!((key.kind(), key.lane()), (Some(Kind::Diffusion), Some(Lane::Urgent)));
        }
        let unknown = Move { kind: None, lane: None, ..moved("FR", None, What::Entered) };
        assert_eq!((LinkKey::of(&unknown).kind(), LinkKey::of(&unknown).lane()), (None, None));
    }

    #[test]
    fn the_largest_links_come_first_and_the_others_are_added_up() {
        let mut cells = Cells::default();
        for _ in 0..3 {
            cells.count(&moved("FR", Some("BR"), What::Entered));
        }
        cells.count(&moved("FR", Some("BR"), What::Stands(RecipientState::Delivered)));
        cells.count(&moved("FR", Some("JP"), What::Entered));
        cells.count(&moved("FR", Some("SN"), What::Entered));
        cells.count(&moved("FR", Some("SN"), What::Stands(RecipientState::Opened)));
        let (links, rest) = cells.largest(1);
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].1, Cell { accepted: 3, delivered: 1, refused: 0 });
        assert_eq!(rest, Cell { accepted: 2, delivered: 0, refused: 0 });
        assert_eq!(cells.total, Cell { accepted: 5, delivered: 1, refused: 0 });
    }
}
