//! Numbers of invented documents: each once, in no order that anybody sees, and none that looks like another.

/// Letters that look like no digit.
const LETTERS: &[u8; 16] = b"ACEFHJKLMNPRTUVX";

/// Two letters and seven digits.
const SPACE: u64 = 16 * 16 * 10_000_000;

/// Odd and no multiple of five: it takes every number of the space once.
const STRIDE: u64 = 1_618_033_987;

/// How many blanks are in a stolen range.
pub(super) const BLANKS: u64 = 50;

/// The numbers of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    offset: u64,
}

impl Numbers {
    pub(super) fn new(offset: u64) -> Self {
        Self { offset: offset % SPACE }
    }

    /// The number of the document that is counted so; different ones have different numbers.
    pub(super) fn number(self, nth: u64) -> String {
        let number = (nth % SPACE * STRIDE + self.offset) % SPACE;
        let (letters, digits) = (number / 10_000_000, number % 10_000_000);
        let letter = |at: u64| char::from(LETTERS[usize::try_from(at % 16).unwrap_or(0)]);
        format!("{}{}{digits:07}", letter(letters / 16), letter(letters))
    }
}

/// A number of a range of stolen blanks, with letters that no other document has.
pub(super) fn blank(range: u64, nth: u64) -> String {
    format!("WW{:07}", (range * BLANKS * 2 + nth % BLANKS) % 10_000_000)
}

/// The number as somebody reads it who takes a nought for an O; none when there is no nought.
pub(super) fn misread(number: &str) -> Option<String> {
    let (before, after) = number.rsplit_once('0')?;
    Some(format!("{before}O{after}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_comes_once() {
        let numbers = Numbers::new(12_345);
        let all: BTreeSet<String> = (0..50_000).map(|nth| numbers.number(nth)).collect();
        assert_eq!(all.len(), 50_000);
        assert!(all.iter().all(|number| number.len() == 9 && !number.starts_with('W')));
        assert_eq!(numbers.number(0), "AA0012345");
        // 12,345 + 1,618,033,987 is 161 times ten million and 8,046,332: row 10, column 1.
        assert_eq!(numbers.number(1), "PC8046332");
    }

    #[test]
    fn ranges_of_blanks_do_not_touch() {
        assert_eq!((blank(0, 0), blank(0, 49)), ("WW0000000".into(), "WW0000049".into()));
        assert_eq!((blank(1, 0), blank(1, 50)), ("WW0000100".into(), "WW0000100".into()));
    }

    #[test]
    fn a_nought_is_taken_for_an_o_where_there_is_one() {
        assert_eq!(misread("AC1020345").unwrap(), "AC102O345");
        assert_eq!(misread("AC1234567"), None);
    }
}
