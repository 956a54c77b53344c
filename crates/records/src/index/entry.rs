//! An entry: a fingerprint, where its record lies, and whether it is restricted.

use i247_ledger::Position;

use super::Fingerprint;

/// Where a record lies: an entry of the log, and an item of the batch in it. One number of 62 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locator(u64);

impl Locator {
    /// The last item that a batch can have; items count from 0.
    pub const MAX_ITEM: u16 = (1 << ITEM_BITS) - 1;
    /// The last position that can be named: 2⁴⁸ - 1.
    pub const MAX_POSITION: Position = Position((1 << POSITION_BITS) - 1);

    /// The one behind which all others lie.
    pub(crate) const FIRST: Self = Self(0);
    pub(super) const LAST: Self = Self((1 << (POSITION_BITS + ITEM_BITS)) - 1);

    /// The item of the batch at `position`; nothing beyond [`MAX_ITEM`](Self::MAX_ITEM) and
    /// [`MAX_POSITION`](Self::MAX_POSITION).
    #[must_use]
    pub fn new(position: Position, item: u16) -> Option<Self> {
        if position > Self::MAX_POSITION || item > Self::MAX_ITEM {
            return None;
        }
        Some(Self(position.0 << ITEM_BITS | u64::from(item)))
    }

    /// One number for both, ordered as locators are.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The locator of such a number; nothing beyond the last.
    #[must_use]
    pub fn of_number(number: u64) -> Option<Self> {
        (number <= Self::LAST.0).then_some(Self(number))
    }

    /// The entry of the log.
    #[must_use]
    pub fn position(self) -> Position {
        Position(self.0 >> ITEM_BITS)
    }

    /// The item of its batch.
    #[must_use]
    pub fn item(self) -> u16 {
        // The mask leaves 14 bits.
        (self.0 & u64::from(Self::MAX_ITEM)) as u16
    }
}

const ITEM_BITS: u32 = 14;
const POSITION_BITS: u32 = 48;

/// What the index keeps under a fingerprint: a locator and two flags, as one number. Its order is that of locators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value(pub(super) u64);

const RESTRICTED: u64 = 1;
const REMOVED: u64 = 2;
const FLAG_BITS: u32 = 2;

impl Value {
    pub(super) fn present(locator: Locator, restricted: bool) -> Self {
        Self(locator.0 << FLAG_BITS | if restricted { RESTRICTED } else { 0 })
    }

    pub(super) fn removed(locator: Locator) -> Self {
        Self(locator.0 << FLAG_BITS | REMOVED)
    }

    /// The greatest value that a log of this length can have.
    pub(super) fn greatest(through: Position) -> Self {
        let position = through.min(Locator::MAX_POSITION);
        Self((position.0 << ITEM_BITS | u64::from(Locator::MAX_ITEM)) << FLAG_BITS | REMOVED | RESTRICTED)
    }

    pub(super) fn locator(self) -> Locator {
        Locator(self.0 >> FLAG_BITS)
    }

    pub(super) fn is_restricted(self) -> bool {
        self.0 & RESTRICTED != 0
    }

    pub(super) fn is_removed(self) -> bool {
        self.0 & REMOVED != 0
    }
}

/// A fingerprint and a value. Of entries with the same key the newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) fingerprint: u64,
    pub(super) value: Value,
}

impl Entry {
    /// What entries are sorted by.
    pub(super) fn key(self) -> (u64, Locator) {
        (self.fingerprint, self.value.locator())
    }

    pub(super) fn live(self) -> Live {
        Live {
            fingerprint: Fingerprint(self.fingerprint),
            locator: self.value.locator(),
            restricted: self.value.is_restricted(),
        }
    }
}

/// One entry of the index that was not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// What stands for its key.
    pub fingerprint: Fingerprint,
    /// Where its record lies.
    pub locator: Locator,
    /// Whether some may not see it.
    pub restricted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_keeps_position_and_item() {
        let locator = Locator::new(Position(128_000), 999).unwrap();
        assert_eq!((locator.position(), locator.item()), (Position(128_000), 999));
        assert_eq!(Locator::of_number(locator.number()), Some(locator));
        assert_eq!(Locator::of_number(1 << 62), None);
        let last = Locator::new(Locator::MAX_POSITION, Locator::MAX_ITEM).unwrap();
        assert_eq!((last.position(), last.item()), (Position(281_474_976_710_655), 16_383));
    }

    #[test]
    fn a_locator_beyond_its_bits_is_not_made() {
        assert_eq!(Locator::new(Position(281_474_976_710_656), 0), None);
        assert_eq!(Locator::new(Position(1), 16_384), None);
    }

    #[test]
    fn flags_do_not_disturb_the_locator() {
        let last = Locator::new(Locator::MAX_POSITION, Locator::MAX_ITEM).unwrap();
        for value in [Value::present(last, true), Value::present(last, false), Value::removed(last)] {
            assert_eq!(value.locator(), last);
        }
        assert!(Value::present(last, true).is_restricted());
        assert!(!Value::present(last, true).is_removed());
        assert!(Value::removed(last).is_removed());
        assert_eq!(Value::greatest(Position(u64::MAX)).0, u64::MAX);
    }
}
