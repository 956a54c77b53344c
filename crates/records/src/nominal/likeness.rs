//! How alike two words are.
//!
//! Two rulers are laid on: letters, for slips of the hand, and sounds, for other ways to write the same. The better one
//! counts. A difference weighs by the length of the words: one letter is much of `Li` and little of `Papadopoulos`.

use super::name::Word;
use super::reason::Likeness;
use super::spelling::{LETTER, letters_apart, sounds_apart};

/// Words whose difference costs more than this are not the same.
const WORD_COST_MAX: u32 = 230;
/// Sounds may differ by so many tenths of a letter for each sound of the word, and are still called alike.
const ALIKE_TENTHS: u32 = 1;

/// How alike the words are; nothing if they are two words.
pub(super) fn likeness(a: &Word, b: &Word) -> Option<Likeness> {
    let plain = bare_likeness(a, b);
    if plain == Some(Likeness::Exact) || a.particles == b.particles {
        return plain;
    }
    // Elmasri and El Masri.
    if (a.particles.len() + a.printed.len()).abs_diff(b.particles.len() + b.printed.len()) > 3
        && !a.unvowelled
        && !b.unvowelled
    {
        return plain;
    }
    let with = match (a.particles.is_empty(), b.particles.is_empty()) {
        (false, true) => bare_likeness(&whole(a), b),
        (true, false) => bare_likeness(a, &whole(b)),
        _ => None,
    };
    match (plain, with) {
        (Some(plain), Some(with)) => Some(if with.cost() < plain.cost() { with } else { plain }),
        (plain, with) => plain.or(with),
    }
}

/// The word with its particles, as one.
fn whole(word: &Word) -> Word {
    let printed = word.with_particles();
    let sounds = super::sound::sounds(&printed, word.unvowelled);
    Word { printed, sounds, particles: String::new(), ..*word }
}

fn bare_likeness(a: &Word, b: &Word) -> Option<Likeness> {
    if a.printed == b.printed {
        return Some(Likeness::Exact);
    }
    if a.printed.len() == 1 || b.printed.len() == 1 {
        return (a.printed.as_bytes()[0] == b.printed.as_bytes()[0]).then_some(Likeness::Initial);
    }
    if a.sounds == b.sounds {
        return Some(Likeness::SoundsSame);
    }
    let (heard_max, spelt_max) = (longer(&a.sounds, &b.sounds), longer(&a.printed, &b.printed));
    let heard = sounds_apart(&a.sounds, &b.sounds, a.unvowelled, b.unvowelled, tenths_max(heard_max));
    let spelt = letters_apart(&a.printed, &b.printed, tenths_max(spelt_max));
    let (heard_cost, spelt_cost) = (cost_of(heard, heard_max), cost_of(spelt, spelt_max));
    let least = heard_cost.min(spelt_cost);
    if least > WORD_COST_MAX {
        return None;
    }
    // Never less than for the same sound.
    let cost = u16::try_from(least).unwrap_or(u16::MAX).max(Likeness::SoundsSame.cost());
    let letters = u8::try_from(spelt.div_ceil(LETTER)).unwrap_or(u8::MAX);
    // One letter is called a letter, though it may not be heard; so are two that are heard.
    Some(if heard_cost <= spelt_cost && letters > 1 && (letters > 2 || heard <= ALIKE_TENTHS * heard_max) {
        Likeness::SoundsAlike { cost }
    } else {
        Likeness::SpeltAlike { letters, cost }
    })
}

/// What it costs that so many tenths of a letter differ in a word of so many letters. Twice the difference costs more
/// than twice as much: a name that changes its script differs a little in every word, another name in one of them.
fn cost_of(tenths: u32, letters: u32) -> u32 {
    let share = 1000 * tenths / (LETTER * letters);
    200 * share / 1000 + 1300 * share * share / 1_000_000
}

fn longer(a: &str, b: &str) -> u32 {
    u32::try_from(a.len().max(b.len())).unwrap_or(u32::MAX).max(1)
}

/// From how many tenths of a letter on words of so many letters are two words, whatever the rest of them is like.
fn tenths_max(letters: u32) -> u32 {
    // A share of 352 in 1000 costs 231.
    352 * LETTER * letters / 1000 + 1
}

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;

    fn alike(a: &str, b: &str) -> Option<Likeness> {
        likeness(&Name::new(a, "").unwrap().words[0], &Name::new(b, "").unwrap().words[0])
    }

    fn said(a: &str, b: &str) -> String {
        alike(a, b).map_or_else(|| "another word".into(), |likeness| likeness.to_string())
    }

    #[test]
    fn words_are_exact_when_a_passport_would_print_them_the_same() {
        assert_eq!(said("Núñez", "NUNEZ"), "exact");
        assert_eq!(said("Şahin", "SAHIN"), "exact");
    }

    #[test]
    fn another_transliteration_sounds_the_same_or_alike() {
        assert_eq!(said("Müller", "Mueller"), "sounds the same");
        assert_eq!(said("Youssouf", "Yusuf"), "sounds the same");
        assert_eq!(said("Shevchenko", "Schewtschenko"), "sounds the same");
        assert_eq!(said("Chevtchenko", "Shevchenko"), "sounds alike");
        assert_eq!(said("Шевченко", "Szewczenko"), "sounds the same");
        assert_eq!(said("Щербаков", "Scherbakow"), "sounds the same");
        assert_eq!(said("محمد", "Muhammad"), "sounds alike");
        assert_eq!(said("محمد", "Mohamed"), "sounds alike");
        assert_eq!(said("Παπαδόπουλος", "Papadopoulos"), "exact");
    }

    #[test]
    fn a_slip_of_the_hand_is_counted_in_letters() {
        assert_eq!(said("Petrovski", "Pertovski"), "spelt alike (1 letter)");
        assert_eq!(said("Petrovski", "Petrvski"), "spelt alike (1 letter)");
        assert_eq!(said("Petrovski", "Pelrofski"), "spelt alike (2 letters)");
    }

    #[test]
    fn one_letter_is_much_of_a_short_word() {
        // Shares of 333 and 166 in 1000.
        assert_eq!(alike("Kim", "Lim"), Some(Likeness::SpeltAlike { letters: 1, cost: 66 + 144 }));
        assert_eq!(alike("Kimura", "Limura"), Some(Likeness::SpeltAlike { letters: 1, cost: 33 + 35 }));
        assert_eq!(alike("Li", "Ba"), None);
    }

    #[test]
    fn other_names_are_other_words() {
        for (a, b) in [("Ivanov", "Petrov"), ("Ahmed", "Omar"), ("Maria", "Anna"), ("Garcia", "Gomez")] {
            assert_eq!(alike(a, b), None, "{a} {b}");
        }
    }

    #[test]
    fn an_initial_agrees_with_every_name_that_begins_so() {
        assert_eq!(said("M", "Muhammad"), "initial agrees");
        assert_eq!(alike("A", "Muhammad"), None);
    }

    #[test]
    fn particles_may_be_written_with_the_word() {
        assert_eq!(said("El Masri", "Elmasri"), "exact");
        assert_eq!(said("de la Cruz", "Delacruz"), "exact");
        assert_eq!(said("Al-Masri", "El Masri"), "exact");
        assert_eq!(said("المصري", "El-Masry"), "sounds alike");
    }
}
