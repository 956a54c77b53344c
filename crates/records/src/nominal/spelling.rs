//! How far two words are apart: in letters, as a typist errs, and in sounds, as a listener does.
//!
//! Distances are in tenths of a letter. The tables say what is easily taken for what; nothing here knows whose
//! name it is or what a distance costs.

/// A letter that is simply another, or missing.
pub(super) const LETTER: u32 = 10;
/// Two neighbours exchanged: a slip of the hand. Nobody hears so, so in sounds it is as bad as it looks.
const EXCHANGED: u32 = 8;
/// Longest word that is compared; what is longer is compared up to here.
const WORD_MAX: usize = 24;

/// Sounds that are taken for each other, and how far apart they are.
const ALIKE: &[(u8, u8, u8)] = &[
    (b's', b'S', 2),
    (b's', b'T', 2),
    (b's', b'z', 3),
    (b's', b'C', 5),
    (b'S', b'C', 3),
    (b'S', b'Z', 3),
    (b'S', b'T', 5),
    (b'S', b'J', 5),
    (b'C', b'T', 3),
    (b'C', b'J', 4),
    (b'C', b'x', 3),
    (b'C', b'k', 4),
    (b'Z', b'z', 3),
    (b'Z', b'J', 2),
    (b'Z', b'C', 4),
    (b'z', b'T', 3),
    (b'z', b'd', 5),
    (b'J', b'i', 2),
    (b'J', b'g', 4),
    (b'J', b'x', 5),
    (b'J', b'k', 6),
    (b'T', b'k', 5),
    // J is dj in Turkish and English, zh in French, y in German and Slavic tongues, kh in Spanish; zh is r in Peking.
    (b'j', b'J', 2),
    (b'j', b'i', 2),
    (b'j', b'Z', 2),
    (b'j', b'S', 5),
    (b'j', b'C', 4),
    (b'j', b'g', 4),
    (b'j', b'x', 5),
    (b'j', b'h', 5),
    (b'j', b'r', 4),
    (b'r', b'Z', 5),
    // Q is k in Arabic and Spanish, ch in Chinese.
    (b'q', b'k', 1),
    (b'q', b'C', 2),
    (b'q', b'g', 4),
    (b'q', b'x', 3),
    // X is ks, sh in Chinese, kh in Spanish.
    (b'X', b'S', 2),
    (b'X', b's', 4),
    (b'X', b'z', 4),
    (b'X', b'C', 4),
    (b'X', b'k', 5),
    (b'X', b'h', 5),
    // Ll is y in Spanish.
    (b'L', b'l', 1),
    (b'L', b'i', 2),
    (b'L', b'j', 3),
    (b'x', b'h', 2),
    (b'x', b'k', 3),
    (b'x', b'g', 4),
    (b'g', b'h', 4),
    (b'g', b'k', 4),
    (b'd', b't', 4),
    (b'b', b'p', 4),
    (b'b', b'v', 4),
    (b'v', b'f', 3),
    (b'v', b'u', 2),
    (b'v', b'o', 4),
    (b'm', b'n', 6),
    (b'a', b'e', 4),
    (b'a', b'o', 4),
    (b'e', b'i', 3),
    (b'o', b'u', 3),
    (b'a', b'i', 5),
    (b'a', b'u', 5),
    (b'e', b'o', 5),
    (b'e', b'u', 5),
    (b'i', b'o', 5),
    (b'i', b'u', 4),
];

/// The table above, to be asked by two bytes.
static APART: [[u8; 128]; 128] = apart_table();

const fn apart_table() -> [[u8; 128]; 128] {
    let mut table = [[10; 128]; 128];
    let mut at = 0;
    while at < ALIKE.len() {
        let (a, b, apart) = ALIKE[at];
        table[a as usize][b as usize] = apart;
        table[b as usize][a as usize] = apart;
        at += 1;
    }
    at = 0;
    while at < 128 {
        table[at][at] = 0;
        at += 1;
    }
    table
}

/// What is left of the sound at a place that the other side does not have. One of two vowels, or an `e` at the end, is
/// as often a way to write the one sound as a sound of its own.
fn dropped(word: &[u8], at: usize) -> u32 {
    let glides =
        |place: Option<&u8>| place.is_some_and(|sound| is_vowel(*sound) || matches!(sound, b'v' | b'j'));
    match word[at] {
        b'i' => 3,
        b'e' if at > 0 && at + 1 == word.len() => 3,
        b'a' | b'e' | b'o' | b'u' if glides(word.get(at + 1)) || at > 0 && glides(word.get(at - 1)) => 3,
        b'a' | b'e' | b'o' | b'u' | b'h' => 5,
        b'J' | b'j' => 6,
        _ => LETTER,
    }
}

/// The same where the other side comes from a script that leaves out short vowels.
fn dropped_unwritten(word: &[u8], at: usize) -> u32 {
    if is_vowel(word[at]) { 1 } else { dropped(word, at) }
}

fn is_vowel(sound: u8) -> bool {
    matches!(sound, b'a' | b'e' | b'i' | b'o' | b'u')
}

/// The distance of two words in letters: changed, missing, added, or exchanged with a neighbour. Measuring stops when
/// it is clear that it is more than `most`.
pub(super) fn letters_apart(a: &str, b: &str, most: u32) -> u32 {
    let (only_a, only_b) = (letters_of(a) & !letters_of(b), letters_of(b) & !letters_of(a));
    let least = LETTER * only_a.count_ones().max(only_b.count_ones());
    if least > most {
        return least;
    }
    let differs = |a: u8, b: u8| if a == b { 0 } else { LETTER };
    distance(a.as_bytes(), b.as_bytes(), (EXCHANGED, most), differs, |_, _| LETTER, |_, _| LETTER)
}

/// Which letters occur, a bit for each.
fn letters_of(word: &str) -> u32 {
    word.bytes().fold(0, |bits, letter| bits | 1 << (letter & 31))
}

/// The distance of two words in sounds; a word that is `unvowelled` has only its long vowels. Measuring stops when it
/// is clear that it is more than `most`.
pub(super) fn sounds_apart(a: &str, b: &str, a_unvowelled: bool, b_unvowelled: bool, most: u32) -> u32 {
    let differs = |a: u8, b: u8| u32::from(APART[usize::from(a & 127)][usize::from(b & 127)]);
    let drop_a = if b_unvowelled && !a_unvowelled { dropped_unwritten } else { dropped };
    let drop_b = if a_unvowelled && !b_unvowelled { dropped_unwritten } else { dropped };
    distance(a.as_bytes(), b.as_bytes(), (2 * LETTER, most), differs, drop_a, drop_b)
}

/// Damerau's distance (each pair of neighbours exchanged at most once) with the given costs.
fn distance(
    a: &[u8],
    b: &[u8],
    (exchanged, most): (u32, u32),
    differs: impl Fn(u8, u8) -> u32,
    drop_a: impl Fn(&[u8], usize) -> u32,
    drop_b: impl Fn(&[u8], usize) -> u32,
) -> u32 {
    let (a, b) = (&a[..a.len().min(WORD_MAX)], &b[..b.len().min(WORD_MAX)]);
    // Row i says what it takes to make the first i of `a` out of the beginnings of `b`; three rows are kept, in turn.
    let mut rows = [[0; WORD_MAX + 1]; 3];
    for j in 0..b.len() {
        rows[0][j + 1] = rows[0][j] + drop_b(b, j);
    }
    for (i, &from) in a.iter().enumerate() {
        let (above, row) = (i % 3, (i + 1) % 3);
        rows[row][0] = rows[above][0] + drop_a(a, i);
        let mut row_least = rows[row][0];
        for (j, &to) in b.iter().enumerate() {
            let changed = rows[above][j] + differs(from, to);
            let missing = rows[above][j + 1] + drop_a(a, i);
            let added = rows[row][j] + drop_b(b, j);
            let mut least = changed.min(missing).min(added);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to && from != to {
                least = least.min(rows[(i + 2) % 3][j - 1] + exchanged);
            }
            rows[row][j + 1] = least;
            row_least = row_least.min(least);
        }
        // What follows only adds to it; two neighbours exchanged add to the row above this one.
        if row_least > most && rows[above][..=b.len()].iter().all(|cost| *cost > most) {
            return row_least;
        }
    }
    rows[a.len() % 3][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_changed_missing_added_or_exchanged() {
        assert_eq!(letters_apart("petrov", "petrov", 99), 0);
        assert_eq!(letters_apart("petrov", "pelrov", 99), 10);
        assert_eq!(letters_apart("petrov", "perov", 99), 10);
        assert_eq!(letters_apart("perov", "petrov", 99), 10);
        assert_eq!(letters_apart("petrov", "pertov", 99), 8);
        assert_eq!(letters_apart("", "abc", 99), 30);
        assert_eq!(letters_apart("kitten", "sitting", 99), 30);
    }

    #[test]
    fn sounds_that_are_taken_for_each_other_are_near() {
        assert_eq!(sounds_apart("iusuf", "iosef", false, false, 99), 3 + 5);
        assert_eq!(sounds_apart("Sahin", "sahin", false, false, 99), 2);
        assert_eq!(sounds_apart("xalid", "halid", false, false, 99), 2);
        assert_eq!(sounds_apart("eltsin", "ieltsin", false, false, 99), 3);
        assert_eq!(sounds_apart("marko", "mirko", false, false, 99), 5);
        assert_eq!(sounds_apart("kauel", "kael", false, false, 99), 3);
        assert_eq!(sounds_apart("marine", "marin", false, false, 99), 3);
        assert_eq!(sounds_apart("marina", "marin", false, false, 99), 5);
        assert_eq!(sounds_apart("qian", "Cian", false, false, 99), 2);
        assert_eq!(sounds_apart("jurij", "iurii", false, false, 99), 4);
        assert_eq!(sounds_apart("marko", "narko", false, false, 99), 6);
    }

    #[test]
    fn short_vowels_that_a_script_leaves_out_cost_next_to_nothing() {
        assert_eq!(sounds_apart("mhmd", "muhamad", true, false, 99), 3);
        assert_eq!(sounds_apart("muhamad", "mhmd", false, true, 99), 3);
        assert_eq!(sounds_apart("mhmd", "muhamad", false, false, 99), 15);
        assert_eq!(sounds_apart("mnsur", "mansur", true, false, 99), 1);
        assert_eq!(
            sounds_apart("mnsur", "mnsr", true, true, 99),
            5,
            "both left them out: what is there counts"
        );
        assert_eq!(
            sounds_apart("salim", "slim", true, false, 99),
            5,
            "a long vowel is written, and is missing here"
        );
    }

    #[test]
    fn only_the_beginning_of_a_very_long_word_is_compared() {
        assert_eq!(letters_apart(&"a".repeat(40), &"a".repeat(24), 99), 0);
    }
}
