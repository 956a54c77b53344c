//! A register as it is stored beside the log. It must not hold what a record says: places and days only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ranges::{Ranges, StoredRange};
use super::{Locator, Register};
use crate::database::Database;
use crate::date::Date;

/// The stored form of a [`Register`]: about one byte for each record that follows another one.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredRegister {
    database: u8,
    live: u64,
    /// Places and days, in their order.
    days: Vec<(u64, u32)>,
    /// For each day the places, each by how far it lies behind the one before.
    expiry: Vec<(u32, Vec<u8>)>,
    ranges: Vec<StoredRange>,
    marks: [u64; 4],
}

impl Register {
    /// What is to be stored of it.
    pub fn stored(&self) -> StoredRegister {
        StoredRegister {
            database: self.database.number(),
            live: self.live,
            days: self.days.iter().map(|(at, day)| (at.number(), day.number())).collect(),
            expiry: self.expiry.iter().map(|(day, places)| (day.number(), pack(places))).collect(),
            ranges: self.ranges.stored(),
            marks: self.marks,
        }
    }

    /// The register that was stored; none when something else has written it.
    pub fn of_stored(stored: StoredRegister) -> Option<Self> {
        let StoredRegister { database, live, days, expiry, ranges, marks } = stored;
        let mut register = Self::new(Database::from_number(database)?);
        for (at, day) in days {
            register.days.insert(Locator::of_number(at)?, Date::from_number(day)?);
        }
        let mut expiring = BTreeMap::new();
        for (day, packed) in expiry {
            expiring.insert(Date::from_number(day)?, unpack(&packed)?);
        }
        Some(Self { live, expiry: expiring, ranges: Ranges::of_stored(ranges)?, marks, ..register })
    }
}

fn pack(places: &[Locator]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(places.len() + 8);
    let mut before = 0;
    for place in places {
        let mut step = place.number() - before;
        before = place.number();
        while step >= 0x80 {
            // Seven bits at a time, and a bit that says that more follow.
            packed.push(step as u8 | 0x80);
            step >>= 7;
        }
        packed.push(step as u8);
    }
    packed
}

fn unpack(packed: &[u8]) -> Option<Vec<Locator>> {
    let mut places = Vec::with_capacity(packed.len());
    let (mut number, mut step, mut shift) = (0_u64, 0_u64, 0_u32);
    for byte in packed {
        step |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            number = number.checked_add(step)?;
            places.push(Locator::of_number(number)?);
            (step, shift) = (0, 0);
        }
    }
    (shift == 0 && places.is_sorted()).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_take_a_byte_where_they_follow_each_other() {
        let places = [0, 1, 2, 130, 16_384, 16_385, (1 << 62) - 1].map(|n| Locator::of_number(n).unwrap());
        let packed = pack(&places);
        assert_eq!(packed.len(), 1 + 1 + 1 + 2 + 2 + 1 + 9);
        assert_eq!(unpack(&packed).unwrap(), places);
        assert_eq!(unpack(&packed[..packed.len() - 1]), None, "cut short");
        assert_eq!(unpack(&[0xff; 20]), None);
    }
}
