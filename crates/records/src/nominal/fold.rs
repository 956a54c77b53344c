//! From a name in any script to words of small Latin letters.
//!
//! Each word comes in two forms: as a passport prints it, and as it is said, which differ where a mark was dropped
//! (`Şahin` is printed SAHIN and said `shahin`). Nothing here knows what a surname is.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

use super::script;

/// A word of a name in the letters a to z.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folded {
    /// As a passport prints it.
    pub(super) printed: String,
    /// As it is said.
    pub(super) said: String,
    /// It comes from a script that leaves out short vowels.
    pub(super) unvowelled: bool,
    /// A hyphen, and no space, stands between this word and the next.
    pub(super) hyphen: bool,
}

/// The words of a text, in order. Marks, digits and signs go; hyphens and `<` part words; apostrophes do not.
pub(super) fn fold(text: &str) -> Vec<Folded> {
    let letters: Vec<char> = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut words = Vec::new();
    let mut word = Open::default();
    let mut at = 0;
    while at < letters.len() {
        let letter = letters[at];
        at += 1;
        if is_apart(letter) {
            word.close(&mut words, letter == '-' || letter == '‐');
        } else if let Some(latin) = script::arabic(letter) {
            word.unvowelled = true;
            word.push(latin);
        } else if let Some(latin) = script::cyrillic(letter) {
            word.push(latin);
        } else if let Some((latin, read)) =
            script::greek(bare(letter), letters.get(at).map(|next| joined(*next)), word.printed.is_empty())
        {
            word.push(latin);
            at += read - 1;
        } else {
            word.push_other(letter);
        }
    }
    word.close(&mut words, false);
    words
}

/// The word that is being read.
#[derive(Default)]
struct Open {
    printed: String,
    said: String,
    unvowelled: bool,
}

impl Open {
    fn push(&mut self, latin: &str) {
        self.printed.push_str(latin);
        self.said.push_str(latin);
    }

    /// A Latin letter, with or without marks, or one of a script that has no table of ours.
    fn push_other(&mut self, letter: char) {
        if letter.is_ascii_alphabetic() {
            self.printed.push(letter);
            self.said.push(letter);
        } else if let Some((printed, said)) = script::latin(letter) {
            self.printed.push_str(printed);
            self.said.push_str(said);
        } else if letter.is_alphabetic() && !is_combining_mark(letter) {
            let base = bare(letter);
            if base.is_ascii_alphabetic() {
                return self.push_other(base);
            }
            let latin = deunicode::deunicode_char(letter).unwrap_or_default().to_ascii_lowercase();
            self.push(&latin.replace(|c: char| !c.is_ascii_alphabetic(), ""));
        }
    }

    fn close(&mut self, words: &mut Vec<Folded>, hyphen: bool) {
        let Self { printed, said, unvowelled } = std::mem::take(self);
        if !printed.is_empty() {
            words.push(Folded { printed, said, unvowelled, hyphen });
        }
    }
}

fn is_apart(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(letter, '-' | '‐' | '–' | '<' | ',' | ';' | '/' | '_' | '.' | '،' | '·' | '・')
}

/// The letter without its marks.
fn bare(letter: char) -> char {
    let mut first = None;
    decompose_canonical(letter, |part| {
        first.get_or_insert(part);
    });
    first.unwrap_or(letter)
}

/// The second letter of a pair; one with a dialytika stands for itself, so it is left as it is.
fn joined(letter: char) -> char {
    let mut parted = false;
    decompose_canonical(letter, |part| parted |= part == '\u{308}');
    if parted { letter } else { bare(letter) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Vec<String> {
        fold(text).into_iter().map(|word| word.printed).collect()
    }

    fn said(text: &str) -> Vec<String> {
        fold(text).into_iter().map(|word| word.said).collect()
    }

    #[test]
    fn accents_go_and_special_letters_become_what_a_passport_prints() {
        assert_eq!(printed("Zoë Núñez"), ["zoe", "nunez"]);
        assert_eq!(printed("Łukasz Straße"), ["lukasz", "strasse"]);
        assert_eq!(printed("SØREN ÅKESSON"), ["soren", "akesson"]);
        assert_eq!(printed("İlkay Işıl"), ["ilkay", "isil"]);
    }

    #[test]
    fn a_mark_is_still_heard_in_the_form_that_is_said() {
        assert_eq!(said("Şahin"), ["shahin"]);
        assert_eq!(said("Černý"), ["cherny"]);
        assert_eq!(printed("Černý"), ["cerny"]);
    }

    #[test]
    fn decomposed_and_composed_letters_are_the_same() {
        assert_eq!(fold("Nu\u{301}n\u{303}ez"), fold("Núñez"));
        assert_eq!(fold("и\u{306}"), fold("й"));
    }

    #[test]
    fn cyrillic_is_read_letter_by_letter() {
        assert_eq!(printed("Дмитрий Щербаков"), ["dmitrii", "shcherbakov"]);
        assert_eq!(printed("Юлія Гнатюк"), ["iuliia", "gnatiuk"]);
        assert_eq!(printed("Ђорђе Његош"), ["djordje", "njegosh"]);
    }

    #[test]
    fn greek_is_read_by_pairs_and_the_dialytika_parts_them() {
        assert_eq!(printed("Παπαδόπουλος"), ["papadopoulos"]);
        assert_eq!(printed("Μπάμπης Ντόντης"), ["bampis", "dontis"]);
        assert_eq!(printed("Ευάγγελος"), ["evangelos"]);
        assert_eq!(printed("Μαΐου"), ["maiou"]);
    }

    #[test]
    fn arabic_has_its_consonants_and_long_vowels_and_says_so() {
        let words = fold("محمد منصور");
        assert_eq!(words[0].printed, "mhmd");
        assert_eq!(words[1].printed, "mnsur");
        assert!(words.iter().all(|word| word.unvowelled));
        assert_eq!(fold("مُحَمَّد")[0].printed, "mhmd", "vowel signs are dropped");
    }

    #[test]
    fn hyphens_and_fillers_part_words_and_apostrophes_do_not() {
        assert_eq!(printed("JEAN-LUC<<O'HARA"), ["jean", "luc", "ohara"]);
        assert!(fold("Jean-Luc")[0].hyphen);
        assert!(!fold("Jean Luc")[0].hyphen);
        assert_eq!(printed("D’Amato ʿUmar"), ["damato", "umar"]);
    }

    #[test]
    fn a_script_without_a_table_of_ours_is_read_by_the_general_one() {
        assert_eq!(printed("გიორგი"), ["giorgi"]);
        assert_eq!(printed("北"), ["bei"]);
    }

    #[test]
    fn digits_and_signs_are_nothing() {
        assert!(fold("4711 !? 🦄").is_empty());
        assert_eq!(printed("Anna2"), ["anna"]);
    }
}
