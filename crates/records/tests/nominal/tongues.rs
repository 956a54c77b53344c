//! Invented names of nine tongues, made of syllables, and the ways in which each tongue's names are written.
//!
//! The tables here are of their own: none is shared with the search, and where a spelling is a matter of custom the
//! customs of passports, newspapers and neighbours stand side by side in `syllables`. A name is a row of sounds; each sound has
//! its native spelling and its spelling in three Latin customs.

use super::dice::Dice;

/// One sound: native, and in the customs 0, 1 and 2.
pub(crate) type Sound = [&'static str; 4];

/// How many customs there are beside the native spelling.
pub(crate) const CUSTOMS: usize = 3;

/// A name as a row of sounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Word(pub(crate) Vec<Sound>);

impl Word {
    /// Written natively (0) or in a custom (1 to 3), with a capital.
    pub(crate) fn written(&self, how: usize) -> String {
        let text: String = self.0.iter().map(|sound| sound[how]).collect();
        let mut letters = text.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }
}

/// What names of a tongue are made of.
pub(crate) struct Tongue {
    pub(crate) name: &'static str,
    pub(crate) onsets: &'static [Sound],
    pub(crate) vowels: &'static [Sound],
    pub(crate) codas: &'static [Sound],
    pub(crate) surname_endings: &'static [&'static [Sound]],
    pub(crate) given_endings: &'static [&'static [Sound]],
    /// Particles before a surname, as written natively and in the customs.
    pub(crate) particles: &'static [Sound],
    pub(crate) habit: Habit,
}

/// How names are put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Habit {
    /// One or two given names and a surname.
    Plain,
    /// A father's name as well.
    Patronymic,
    /// Given name, `bin` father, article and surname.
    Chain,
    /// Two surnames.
    TwoSurnames,
    /// A short surname, and a given name of two syllables that may be written as one.
    Short,
}

impl Tongue {
    fn syllables(&self, dice: &mut Dice, count: usize) -> Vec<Sound> {
        let mut sounds = Vec::new();
        for _ in 0..count {
            sounds.push(*dice.pick(self.onsets));
            sounds.push(*dice.pick(self.vowels));
            sounds.push(*dice.pick(self.codas));
        }
        sounds
    }

    /// A surname: the same number gives the same one.
    pub(crate) fn surname(&self, number: usize) -> Word {
        let mut dice = Dice::new(0x5eed_0001 ^ (number as u64) << 8 ^ self.onsets.len() as u64);
        let long = if self.habit == Habit::Short { 1 } else { 2 };
        let mut sounds = self.syllables(&mut dice, long);
        let ending: &[Sound] = dice.pick::<&[Sound]>(self.surname_endings);
        if long == 2 && begins_with_vowel(ending) {
            // The coda and the last vowel give way to the ending.
            sounds.truncate(4);
        }
        sounds.extend_from_slice(ending);
        Word(sounds)
    }

    /// A given name: the same number gives the same one.
    pub(crate) fn given(&self, number: usize) -> Word {
        let mut dice = Dice::new(0x5eed_0002 ^ (number as u64) << 8 ^ self.vowels.len() as u64);
        let long = if self.habit == Habit::Short { 1 } else { dice.between(1, 2) };
        let mut sounds = self.syllables(&mut dice, long);
        let ending: &[Sound] = dice.pick::<&[Sound]>(self.given_endings);
        if long == 2 && begins_with_vowel(ending) {
            sounds.truncate(4);
        }
        sounds.extend_from_slice(ending);
        Word(sounds)
    }
}

fn begins_with_vowel(ending: &[Sound]) -> bool {
    ending.first().is_some_and(|sound| sound[1].starts_with(['a', 'e', 'i', 'o', 'u']))
}
