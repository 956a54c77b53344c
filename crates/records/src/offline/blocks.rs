//! Ranges of stolen blanks in an offline copy: a range is a few keys, one for each whole block of ten, a hundred, a
//! thousand numbers …, and whoever asks for a number asks for the blocks that it lies in too. It must not leave out a
//! number of a range.
//!
//! ```text
//!   D/C01X00095 … D/C01X00213  ──►  D/C01X00095 … D/C01X00099, D/C01X001**, D/C01X0020*, D/C01X00210 … D/C01X00213
//! ```
//!
//! A star stands for any digit; no number has one.

use crate::database::{Database, KeyKind};
use crate::index::{Fingerprint, KeySpaces};
use crate::record::Key;
use crate::register::Serials;

/// Digits that a block leaves open at the most: as many as the numbers of the longest range.
const OPEN_DIGITS: usize = 7;

/// The fingerprints of the blocks of a range.
pub fn of_range(range: &Serials<'_>, database: Database, spaces: &KeySpaces) -> Vec<Fingerprint> {
    let mut fingerprints = Vec::new();
    let mut from = range.from;
    while from <= range.to {
        let fits = |open: &usize| {
            let size = 10u128.pow(*open as u32);
            *open <= range.digits && from.is_multiple_of(size) && from + (size - 1) <= range.to
        };
        let open = (0..=OPEN_DIGITS).rev().find(fits).unwrap_or(0);
        let size = 10u128.pow(open as u32);
        let width = range.digits - open;
        let head = if width == 0 { String::new() } else { format!("{:0width$}", from / size) };
        let block = format!("{}/{}{head}{}", range.issuer.as_str(), range.prefix, "*".repeat(open));
        fingerprints.push(spaces.of(database, KeyKind::TravelDocument, block.as_bytes()));
        from += size;
    }
    fingerprints
}

/// Adds the fingerprints under which a key is asked for: its own, and for a travel document those of every block that
/// its number lies in.
pub fn asked(key: &Key, spaces: &KeySpaces, fingerprints: &mut Vec<Fingerprint>) {
    fingerprints.push(spaces.fingerprint(key));
    if key.kind() != KeyKind::TravelDocument {
        return;
    }
    let mut block = key.as_bytes().to_vec();
    let digits = block.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let end = block.len();
    for open in 1..=digits.min(OPEN_DIGITS) {
        block[end - open] = b'*';
        fingerprints.push(spaces.of(key.database(), key.kind(), &block));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use i247_ledger::Position;

    use super::*;
    use crate::document::DocumentNumber;
    use crate::index::Locator;

    fn meets(blocks: &BTreeSet<Fingerprint>, number: &str) -> bool {
        let number: DocumentNumber = number.parse().unwrap();
        let key = Key::travel_document(Database::Sltd, "D".parse().unwrap(), &number);
        let mut fingerprints = Vec::new();
        asked(&key, &KeySpaces::default(), &mut fingerprints);
        fingerprints.iter().any(|fingerprint| blocks.contains(fingerprint))
    }

    fn range(prefix: &str, digits: usize, from: u128, to: u128) -> BTreeSet<Fingerprint> {
        let at = Locator::new(Position(1), 0).unwrap();
        let serials = Serials { issuer: "D".parse().unwrap(), prefix, digits, from, to, at };
        of_range(&serials, Database::Sltd, &KeySpaces::default()).into_iter().collect()
    }

    #[test]
    fn each_number_of_a_range_meets_it_and_no_other_does() {
        let blocks = range("C01X", 5, 95, 213);
        // 95 to 99, one hundred, one ten and 210 to 213.
        assert_eq!(blocks.len(), 11);
        for number in 0..1000 {
            let inside = (95..=213).contains(&number);
            assert_eq!(meets(&blocks, &format!("C01X{number:05}")), inside, "{number}");
        }
        assert!(!meets(&blocks, "C01X0100") && !meets(&blocks, "C02X00100"));
        assert!(meets(&blocks, "COIXOO1OO"), "a look-alike meets it too");
    }

    #[test]
    fn a_range_of_all_numbers_of_its_length_is_one_block() {
        let blocks = range("", 7, 0, 9_999_999);
        assert_eq!(blocks.len(), 1);
        assert!(meets(&blocks, "0000000") && meets(&blocks, "9999999"));
        assert!(!meets(&blocks, "00000000") && !meets(&blocks, "000000"));
    }

    #[test]
    fn the_longest_range_across_every_boundary_is_a_few_blocks() {
        // 54 and 53 in each of seven places at the most.
        let blocks = range("AX", 9, 5_555_555, 15_555_554);
        assert!(blocks.len() <= 126, "{}", blocks.len());
        assert!(meets(&blocks, "AX005555555") && meets(&blocks, "AX015555554"));
        assert!(!meets(&blocks, "AX005555554") && !meets(&blocks, "AX015555555"));
    }
}
