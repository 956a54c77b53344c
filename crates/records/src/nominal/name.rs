//! A name in words: which of them are surname, given name or patronymic, and which are only particles.
//!
//! Names are split by rules, not by lists of names. Where the rules cannot know (a text without order), a word
//! stands for any part, and the comparison decides.

use serde::{Deserialize, Serialize};

use super::fold::{Folded, fold};
use super::sound::{Skeleton, sounds};
use super::spelling::{LETTER, letters_apart};

/// Most bytes of a name, in any script.
pub const NAME_BYTES_MAX: usize = 512;
/// Most words of a name, particles not counted.
pub const NAME_WORDS_MAX: usize = 10;

/// Why a text is not taken for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no letters.
    #[error("a name has letters")]
    Empty,
    /// It is longer than [`NAME_BYTES_MAX`].
    #[error("a name has at most {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// It has more words than [`NAME_WORDS_MAX`].
    #[error("a name has at most {NAME_WORDS_MAX} words, particles not counted")]
    TooManyWords,
}

/// Which part of a name a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The surname, or one of several.
    Surname,
    /// A given name.
    Given,
    /// A father's name: after `bin`, `ould` and the like, or with an ending such as `-ovich`.
    Patronymic,
    /// Not known: the name came as one text.
    Any,
}

/// A name of a person, ready to be compared. It keeps the folded form, not the text that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub(super) words: Vec<Word>,
}

/// A word that counts, with the particles before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Word {
    pub(super) part: Part,
    pub(super) printed: String,
    pub(super) sounds: String,
    /// The particles before it in one: `dela` before `cruz`.
    pub(super) particles: String,
    pub(super) unvowelled: bool,
}

impl Name {
    /// A name whose parts are known; one of the two may be empty.
    ///
    /// # Errors
    /// When nothing is left of it, or too much: see [`NameError`].
    pub fn new(surname: &str, given: &str) -> Result<Self, NameError> {
        if surname.len() + given.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let mut words = words_of(surname, Part::Surname);
        words.extend(words_of(given, Part::Given));
        Self::of(words)
    }

    /// A name as one text. `Surname, Given` and `SURNAME<<GIVEN` tell the parts; without either, they are not known.
    ///
    /// # Errors
    /// When nothing is left of it, or too much: see [`NameError`].
    pub fn whole(text: &str) -> Result<Self, NameError> {
        if let Some((surname, given)) = text.split_once("<<").or_else(|| text.split_once(',')) {
            return Self::new(surname, given);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        Self::of(words_of(text, Part::Any))
    }

    fn of(words: Vec<Word>) -> Result<Self, NameError> {
        match words.len() {
            0 => Err(NameError::Empty),
            1..=NAME_WORDS_MAX => Ok(Self { words }),
            _ => Err(NameError::TooManyWords),
        }
    }
}

impl Word {
    fn new(folded: &Folded, part: Part, particles: String) -> Self {
        Self {
            part,
            printed: folded.printed.clone(),
            sounds: sounds(&folded.said, folded.unvowelled),
            particles,
            unvowelled: folded.unvowelled,
        }
    }

    /// The skeletons under which the word is found: as it is said, as it is said where `j` and `ll` are vowels, as it is
    /// printed, and with its particles.
    pub(super) fn skeletons(&self) -> Vec<Skeleton> {
        let mut found = Vec::with_capacity(4);
        let gliding = self.sounds.replace(['j', 'L'], "i");
        let printed = sounds(&self.printed, self.unvowelled);
        let whole = sounds(&self.with_particles(), self.unvowelled);
        for skeleton in
            [self.sounds.as_str(), &gliding, &printed, &whole].into_iter().filter_map(Skeleton::of)
        {
            if !found.contains(&skeleton) {
                found.push(skeleton);
            }
        }
        found
    }

    /// Whether it can be one of the particles of another name, a letter of it wrong: `vom` and `dr` in `vom dr Aue`.
    pub(super) fn may_be_particle_of(&self, name: &Name) -> bool {
        let in_name = |particle: &str| name.words.iter().any(|word| word.particles.contains(particle));
        self.printed.len() <= 4
            && self.part != Part::Given
            && PARTICLES.iter().any(|one| letters_apart(one, &self.printed, LETTER) <= LETTER && in_name(one))
    }

    /// The word and the particles before it written as one.
    pub(super) fn with_particles(&self) -> String {
        format!("{}{}", self.particles, self.printed)
    }

    /// The two written as one.
    pub(super) fn joined(&self, next: &Self) -> Self {
        Self {
            part: self.part,
            printed: format!("{}{}", self.printed, next.printed),
            sounds: format!("{}{}", self.sounds, next.sounds),
            particles: self.particles.clone(),
            unvowelled: self.unvowelled || next.unvowelled,
        }
    }
}

fn words_of(text: &str, part: Part) -> Vec<Word> {
    let folded = split_articles(fold(text));
    let mut words: Vec<Word> = Vec::new();
    let mut particles = String::new();
    let mut father = false;
    let mut at = 0;
    while at < folded.len() {
        let mut word = folded[at].clone();
        let next = folded.get(at + 1);
        at += 1;
        if next.is_some() && is_particle(&folded[at - 1], next, part, words.is_empty()) {
            father |= is_son_of(&word.printed) && part != Part::Surname && !words.is_empty();
            particles.push_str(&word.printed);
            continue;
        }
        if let Some(servant) = next.is_some().then(|| servant_of(&word.printed)).flatten() {
            // Abd al-Rahman is one name, however it is parted.
            while folded.get(at + 1).is_some() && is_article(&folded[at].printed) {
                at += 1;
            }
            word.printed = format!("{servant}{}", folded[at].printed);
            word.said = format!("{servant}{}", folded[at].said);
            word.unvowelled |= folded[at].unvowelled;
            at += 1;
        }
        let patronymic =
            part != Part::Surname && !words.is_empty() && (father || has_patronymic_ending(&word.printed));
        let part = if patronymic { Part::Patronymic } else { part };
        words.push(Word::new(&word, part, std::mem::take(&mut particles)));
        father = false;
    }
    words
}

/// The Arabic article is written together with its word.
fn split_articles(folded: Vec<Folded>) -> Vec<Folded> {
    let mut words = Vec::with_capacity(folded.len());
    for word in folded {
        match word.printed.strip_prefix("al") {
            Some(rest) if word.unvowelled && rest.len() > 2 => {
                words.push(Folded {
                    printed: "al".into(),
                    said: "al".into(),
                    unvowelled: true,
                    hyphen: true,
                });
                words.push(Folded { printed: rest.to_owned(), said: rest.to_owned(), ..word });
            }
            _ => words.push(word),
        }
    }
    words
}

/// Small words that stand before a name and are left out as often as not.
const PARTICLES: &[&str] = &[
    "al", "el", "ul", "de", "da", "do", "dos", "das", "del", "della", "di", "du", "des", "la", "le", "las",
    "los", "van", "von", "vom", "zu", "zum", "der", "den", "ter", "ten", "te",
];

fn is_particle(word: &Folded, next: Option<&Folded>, part: Part, first: bool) -> bool {
    match word.printed.as_str() {
        known if PARTICLES.contains(&known) => {
            // As a first given name, Van and Do and Le are names.
            part == Part::Surname || !first || matches!(word.printed.as_str(), "al" | "el")
        }
        "y" => part != Part::Given,
        "e" | "i" | "o" => part == Part::Surname && !first,
        // The article before a letter that it takes the sound of: as-Salim, ar-Rashid.
        "ar" | "as" | "ash" | "ad" | "az" | "at" | "an" | "er" | "es" | "ed" | "ez" | "et" | "en" => {
            word.hyphen && next.is_some_and(|next| next.printed.as_bytes()[0] == word.printed.as_bytes()[1])
        }
        other => is_son_of(other) && (part == Part::Surname || !first),
    }
}

fn is_article(word: &str) -> bool {
    matches!(
        word,
        "al" | "el"
            | "ul"
            | "ar"
            | "as"
            | "ash"
            | "ad"
            | "az"
            | "at"
            | "an"
            | "er"
            | "es"
            | "ed"
            | "ez"
            | "et"
            | "en"
    )
}

/// Words for son and daughter. `bn` is how Arabic script has them.
fn is_son_of(word: &str) -> bool {
    matches!(
        word,
        "bin"
            | "ibn"
            | "ben"
            | "bn"
            | "abn"
            | "bint"
            | "bnt"
            | "binti"
            | "binte"
            | "bte"
            | "ould"
            | "uld"
            | "wuld"
    )
}

/// The first word of names such as Abd al-Rahman and Abu Bakr, which are one name in two words.
fn servant_of(word: &str) -> Option<&'static str> {
    match word {
        "abd" | "abdul" | "abdel" | "abdal" | "abdol" | "abdoul" | "abdool" | "abdur" | "abder" | "abdar" => {
            Some("abdul")
        }
        "abu" | "abou" | "abo" => Some("abu"),
        "mac" | "mc" => Some("mac"),
        _ => None,
    }
}

/// Slavic endings of a father's name, in the spellings of several languages. In a surname they mean nothing.
fn has_patronymic_ending(word: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "ovich", "evich", "ovych", "evych", "ovitch", "evitch", "ovic", "evic", "owitsch", "ewitsch",
        "owicz", "ewicz", "ovna", "evna", "ivna", "owna", "ewna", "ichna", "inichna",
    ];
    word.len() >= 7 && ENDINGS.iter().any(|ending| word.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &Name) -> String {
        let word = |word: &Word| {
            let part = match word.part {
                Part::Surname => 's',
                Part::Given => 'g',
                Part::Patronymic => 'p',
                Part::Any => '?',
            };
            let particles =
                if word.particles.is_empty() { String::new() } else { format!("({})", word.particles) };
            format!("{part}:{particles}{}", word.printed)
        };
        name.words.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn parts(surname: &str, given: &str) -> String {
        shown(&Name::new(surname, given).unwrap())
    }

    fn whole(text: &str) -> String {
        shown(&Name::whole(text).unwrap())
    }

    #[test]
    fn surname_and_given_names_are_told_apart_where_the_text_does() {
        assert_eq!(parts("García López", "Ana María"), "s:garcia s:lopez g:ana g:maria");
        assert_eq!(whole("García López, Ana María"), "s:garcia s:lopez g:ana g:maria");
        assert_eq!(whole("GARCIA<LOPEZ<<ANA<MARIA"), "s:garcia s:lopez g:ana g:maria");
        assert_eq!(whole("Ana María García"), "?:ana ?:maria ?:garcia");
    }

    #[test]
    fn particles_are_kept_with_the_word_after_them() {
        assert_eq!(parts("de la Cruz", "Juan"), "s:(dela)cruz g:juan");
        assert_eq!(parts("von der Aue", "Else"), "s:(vonder)aue g:else");
        assert_eq!(parts("al-Masri", "Omar"), "s:(al)masri g:omar");
        assert_eq!(parts("ar-Rashid", "Omar"), "s:(ar)rashid g:omar");
        assert_eq!(whole("Juan de la Cruz"), "?:juan ?:(dela)cruz");
    }

    #[test]
    fn a_particle_that_stands_alone_or_first_is_a_name() {
        assert_eq!(parts("Le", "Van"), "s:le g:van");
        assert_eq!(parts("Do", "Thi Lan"), "s:do g:thi g:lan");
    }

    #[test]
    fn a_fathers_name_is_known_by_its_ending_or_the_word_before_it() {
        assert_eq!(parts("Сидоров", "Иван Петрович"), "s:sidorov g:ivan p:petrovich");
        assert_eq!(parts("Sidorova", "Anna Petrovna"), "s:sidorova g:anna p:petrovna");
        assert_eq!(parts("al-Masri", "Omar bin Khalid"), "s:(al)masri g:omar p:(bin)khalid");
        assert_eq!(whole("عمر بن خالد المصري"), "?:mr p:(bn)khald ?:(al)msri");
        assert_eq!(parts("Petrović", "Jovan"), "s:petrovic g:jovan", "in a surname the ending means nothing");
    }

    #[test]
    fn names_in_two_words_are_one() {
        assert_eq!(parts("Hassan", "Abd al-Rahman"), "s:hassan g:abdulrahman");
        assert_eq!(parts("Hassan", "Abdul Rahman"), "s:hassan g:abdulrahman");
        assert_eq!(parts("Hassan", "Abdel-Rahman"), "s:hassan g:abdulrahman");
        assert_eq!(parts("Hassan", "Abu Bakr"), "s:hassan g:abubakr");
        assert_eq!(parts("Mc Gowan", "Iona"), "s:macgowan g:iona");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!(Name::new("", " - "), Err(NameError::Empty));
        assert_eq!(Name::whole("12345"), Err(NameError::Empty));
        assert_eq!(Name::whole(&"a".repeat(513)), Err(NameError::TooLong));
        assert_eq!(Name::new(&"a".repeat(256), &"b".repeat(257)), Err(NameError::TooLong));
        assert_eq!(Name::whole("a b c d f g h j k l m"), Err(NameError::TooManyWords));
    }
}
