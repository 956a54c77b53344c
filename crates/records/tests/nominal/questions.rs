//! Questions about persons, as they arrive: transliterated anew, misspelt, misheard, reordered, incomplete.

use i247_records::Date;
use i247_records::nominal::{Birth, Name, Query};

use super::dice::Dice;
use super::tongues::{CUSTOMS, Habit};
use super::world::{Known, Someone, World, Written};

/// A question and whom it means; nobody, if that person has no record.
pub(crate) struct Question {
    pub(crate) query: Query,
    pub(crate) meant: Option<u64>,
    pub(crate) someone: Someone,
    pub(crate) known: Known,
    /// For reports of what was not found.
    pub(crate) text: String,
    /// What was done to the name and to the birth, for the table of recall by kind.
    pub(crate) kinds: Vec<&'static str>,
}

/// So many questions about persons with a record, and half as many about persons without one, who all look like
/// somebody that has one.
pub(crate) fn questions(world: &World, seed: u64, count: usize) -> Vec<Question> {
    let mut dice = Dice::new(seed);
    let mut questions = Vec::with_capacity(count + count / 2);
    for at in 0..count + count / 2 {
        let place = dice.below(world.people.len());
        let absent = at >= count;
        let someone =
            if absent { world.people[place].look_alike(&mut dice) } else { world.people[place].clone() };
        questions.push(ask(&someone, (!absent).then_some(place as u64), &mut dice));
    }
    questions
}

fn ask(someone: &Someone, meant: Option<u64>, dice: &mut Dice) -> Question {
    let how = if dice.percent(10) { 0 } else { dice.between(1, CUSTOMS) };
    let mut kinds = vec![someone.of().name, if how == 0 { "native script" } else { "in Latin letters" }];
    let mut written = someone.written(how, dice.percent(30), dice);
    kinds.extend(shorten(&mut written, someone, dice));
    let slips = [0, 0, 0, 1, 1, 1, 1, 2, 2, 0][dice.below(10)];
    kinds.push(["no slip", "one slip", "two slips"][slips]);
    for slip in 0..slips {
        // Two slips are made in two places.
        let text = if slip == 0 || dice.percent(50) { &mut written.surname } else { &mut written.given };
        *text = if dice.percent(70) { slipped(text, dice) } else { misheard(text, dice) };
    }
    let (surname, given) = (written.surname.trim(), written.given.trim());
    let (order, text, name) = match dice.below(100) {
        0..=54 => ("in parts", format!("{surname} / {given}"), Name::new(surname, given)),
        55..=66 => ("parts exchanged", format!("{given} / {surname}"), Name::new(given, surname)),
        67..=81 => ("as one text", format!("{given} {surname}"), Name::whole(&format!("{given} {surname}"))),
        82..=89 => ("as one text", format!("{surname} {given}"), Name::whole(&format!("{surname} {given}"))),
        _ => {
            let zone = format!("{surname}<<{given}").to_uppercase().replace([' ', '-'], "<");
            ("zone", zone.clone(), Name::whole(&zone))
        }
    };
    let (of_birth, known, birth) = birth(someone.born, dice);
    kinds.extend([order, of_birth]);
    let name = name.unwrap_or_else(|error| panic!("{text}: {error}"));
    let text = format!("{text} {birth:?}");
    Question { query: Query::new(name, birth), meant, someone: someone.clone(), known, text, kinds }
}

/// What is often left out: a second surname, a second given name; or a given name is an initial.
fn shorten(written: &mut Written, someone: &Someone, dice: &mut Dice) -> Option<&'static str> {
    let before = written.surname.len() + written.given.len();
    let two = |text: &str| text.split_once(' ').map(|(first, _)| first.to_owned());
    if someone.of().habit == Habit::TwoSurnames && someone.surnames.len() == 2 && dice.percent(25) {
        written.surname = written.surname.rsplit_once(' ').unwrap().0.to_owned();
    }
    if someone.of().habit != Habit::Short && dice.percent(25) {
        if let Some(first) = two(&written.given) {
            written.given = first;
        }
    } else if dice.percent(3) && written.given.is_ascii() {
        written.given.truncate(1);
        return Some("an initial");
    }
    (written.surname.len() + written.given.len() < before).then_some("a word left out")
}

/// A slip of the hand in the middle of a text.
fn slipped(text: &str, dice: &mut Dice) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let places: Vec<usize> = (0..letters.len()).filter(|at| letters[*at].is_alphabetic()).collect();
    if places.len() < 3 {
        return text.to_owned();
    }
    let at = *dice.pick(&places[..places.len() - 1]);
    let alphabet =
        if letters[at].is_ascii() { "abcdefghijklmnopqrstuvwxyz".chars().collect() } else { letters.clone() };
    match dice.below(5) {
        0 => letters[at] = *dice.pick(&alphabet),
        1 => {
            letters.remove(at);
        }
        2 => letters.insert(at + 1, *dice.pick(&alphabet)),
        3 => letters.insert(at, letters[at]),
        _ if letters[at + 1].is_alphabetic() => letters.swap(at, at + 1),
        _ => {
            letters.remove(at);
        }
    }
    letters.into_iter().collect()
}

/// One spelling that a listener chooses instead of another.
fn misheard(text: &str, dice: &mut Dice) -> String {
    const HEARD: &[(&str, &str)] = &[
        ("ph", "f"),
        ("f", "ph"),
        ("c", "k"),
        ("k", "c"),
        ("i", "y"),
        ("y", "i"),
        ("v", "w"),
        ("w", "v"),
        ("z", "s"),
        ("s", "z"),
        ("b", "p"),
        ("p", "b"),
        ("d", "t"),
        ("t", "d"),
        ("g", "k"),
        ("e", "i"),
        ("o", "u"),
        ("u", "o"),
        ("a", "e"),
        ("m", "n"),
        ("n", "m"),
        ("l", "ll"),
        ("n", "nn"),
        ("ss", "s"),
        ("tt", "t"),
        ("h", ""),
        ("r", "rr"),
        ("sch", "sh"),
        ("ou", "u"),
        ("oo", "u"),
        ("ei", "ai"),
        ("ie", "i"),
        ("ks", "x"),
        ("x", "ks"),
        ("а", "о"),
        ("о", "а"),
        ("и", "ы"),
        ("т", "д"),
        ("η", "ι"),
        ("ο", "ω"),
    ];
    let from = dice.below(HEARD.len());
    for (heard, written) in HEARD.iter().cycle().skip(from).take(HEARD.len()) {
        if let Some(at) =
            text.char_indices().skip(1).map(|(at, _)| at).find(|at| text[*at..].starts_with(heard))
        {
            return format!("{}{written}{}", &text[..at], &text[at + heard.len()..]);
        }
    }
    text.to_owned()
}

fn birth((year, month, day): (u16, u8, u8), dice: &mut Dice) -> (&'static str, Known, Option<Birth>) {
    let on = |year, month, day| Date::new(year, month, day).map(Birth::on);
    match dice.below(100) {
        0..=59 => ("day of birth", Known::Day, on(year, month, day)),
        60..=71 => ("year of birth", Known::Year, Birth::in_year(year).ok()),
        72..=77 if day <= 12 => ("day and month exchanged", Known::Day, on(year, day, month)),
        72..=77 => ("day of birth", Known::Day, on(year, month, day)),
        78..=84 => {
            // One digit is typed wrong.
            let number = u32::from(year) * 10_000 + u32::from(month) * 100 + u32::from(day);
            let place = *dice.pick(&[1, 10, 100, 10_000, 10_000, 100_000]);
            let digit = number / place % 10;
            let wrong = number - digit * place + (digit + dice.between(1, 9) as u32) % 10 * place;
            let typed = Date::from_number(wrong).map(Birth::on).or_else(|| on(year, month, day));
            ("digit of the birth wrong", Known::Day, typed)
        }
        85..=91 => {
            let from = year - dice.between(0, 4) as u16;
            let (first, last) = (Date::new(from, 1, 1).unwrap(), Date::new(from + 4, 12, 31).unwrap());
            ("window of years", Known::Window, Birth::between(first, last).ok())
        }
        _ => ("no birth", Known::Nothing, None),
    }
}
