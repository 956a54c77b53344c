//! Invented persons, their records, and those who look like them.

use i247_records::Date;
use i247_records::nominal::{Birth, Name, Person};

use super::dice::Dice;
use super::syllables::TONGUES;
use super::tongues::{CUSTOMS, Habit, Sound, Tongue, Word};

/// How many surnames and given names a tongue has.
const SURNAMES: usize = 12_000;
const GIVEN: usize = 900;

/// Somebody, before anything is written down.
#[derive(Clone)]
pub(crate) struct Someone {
    pub(crate) tongue: usize,
    pub(crate) surnames: Vec<Word>,
    pub(crate) given: Vec<Word>,
    pub(crate) father: Word,
    pub(crate) particle: Sound,
    pub(crate) born: (u16, u8, u8),
}

/// A name on paper.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) surname: String,
    pub(crate) given: String,
}

impl Someone {
    fn new(dice: &mut Dice) -> Self {
        let tongue = dice.below(TONGUES.len());
        let of = TONGUES[tongue];
        let two_surnames = of.habit == Habit::TwoSurnames && dice.percent(75);
        let two_given = matches!(of.habit, Habit::Plain | Habit::TwoSurnames) && dice.percent(25)
            || of.habit == Habit::Short;
        let surnames =
            (0..1 + usize::from(two_surnames)).map(|_| of.surname(dice.skewed(SURNAMES))).collect();
        let given = (0..1 + usize::from(two_given)).map(|_| of.given(dice.skewed(GIVEN))).collect();
        let particle = if of.particles.is_empty() { [""; 4] } else { *dice.pick(of.particles) };
        let born = day(dice, 1945, 2004);
        Self { tongue, surnames, given, father: of.given(dice.skewed(GIVEN)), particle, born }
    }

    pub(crate) fn of(&self) -> &'static Tongue {
        TONGUES[self.tongue]
    }

    /// On paper, natively (0) or in a custom; `full` with the father's name, if the tongue has them.
    pub(crate) fn written(&self, how: usize, full: bool, dice: &mut Dice) -> Written {
        let words = |words: &[Word], between: &str| {
            words.iter().map(|word| word.written(how)).collect::<Vec<_>>().join(between)
        };
        let surname = format!("{}{}", self.particle[how], words(&self.surnames, " "));
        let given = match self.of().habit {
            Habit::Plain | Habit::TwoSurnames => words(&self.given, if dice.percent(25) { "-" } else { " " }),
            Habit::Short if dice.percent(40) => {
                let joined = words(&self.given, "").to_lowercase();
                joined[..1].to_uppercase() + &joined[1..]
            }
            Habit::Short => words(&self.given, if dice.percent(30) { "-" } else { " " }),
            Habit::Patronymic if full => {
                let son = ["ович", "ovich", "ovitch", "owitsch"][how];
                format!("{} {}{son}", words(&self.given, " "), self.father.written(how))
            }
            Habit::Chain if full => {
                let son = ["بن", "bin", "ben", "ibn"][how];
                format!("{} {son} {}", words(&self.given, " "), self.father.written(how))
            }
            Habit::Patronymic | Habit::Chain => words(&self.given, " "),
        };
        Written { surname, given }
    }

    /// Somebody else who is easily taken for this one.
    pub(crate) fn look_alike(&self, dice: &mut Dice) -> Self {
        let of = self.of();
        let mut other = self.clone();
        let (year, month, _) = self.born;
        match dice.below(7) {
            // A sibling.
            0 => {
                other.given[0] = another(&self.given[0], || of.given(dice.skewed(GIVEN)));
                other.born = day(dice, year.saturating_sub(6), year + 6);
            }
            // A twin.
            1 => other.given[0] = another(&self.given[0], || of.given(dice.skewed(GIVEN))),
            // A namesake of about the same age.
            2 => {
                let years = if dice.percent(50) { dice.between(2, 9) as u16 } else { 0 };
                other.born = day(dice, year - years, year - years);
                other.father = of.given(dice.skewed(GIVEN));
            }
            // A parent of the same name.
            3 => other.born = day(dice, year - 35, year - 20),
            // A neighbour in the register: the same given name and birth, another surname.
            4 => other.surnames[0] = another(&self.surnames[0], || of.surname(dice.skewed(SURNAMES))),
            // A surname with one sound changed, the same given name, another day.
            5 => {
                let at = dice.below(other.surnames[0].0.len());
                let with = *dice.pick(if at % 3 == 1 { of.vowels } else { of.onsets });
                other.surnames[0].0[at] = with;
                other.born = day(dice, year.saturating_sub(4), year + 4);
            }
            // Another given name and the same month of birth.
            _ => {
                other.given[0] = another(&self.given[0], || of.given(dice.skewed(GIVEN)));
                other.born = (year, month, dice.between(1, 28) as u8);
            }
        }
        other
    }
}

fn another(than: &Word, mut draw: impl FnMut() -> Word) -> Word {
    loop {
        let word = draw();
        if word != *than {
            return word;
        }
    }
}

fn day(dice: &mut Dice, from: u16, to: u16) -> (u16, u8, u8) {
    (
        dice.between(usize::from(from), usize::from(to)) as u16,
        dice.between(1, 12) as u8,
        dice.between(1, 28) as u8,
    )
}

/// Everybody in the database.
pub(crate) struct World {
    pub(crate) people: Vec<Someone>,
    /// What the record of each says, for reports.
    pub(crate) papers: Vec<String>,
    /// Which births are in their records, and how.
    births: Vec<Paper>,
    dice: Dice,
}

/// How a birth stands in a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paper {
    Nothing,
    Year,
    Day,
}

impl World {
    /// So many persons; three in ten look like somebody who was there before.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let mut dice = Dice::new(seed);
        let mut people: Vec<Someone> = Vec::with_capacity(count);
        while people.len() < count {
            let someone = if people.len() > 10 && dice.percent(30) {
                let like = dice.below(people.len());
                people[like].clone().look_alike(&mut dice)
            } else {
                Someone::new(&mut dice)
            };
            people.push(someone);
        }
        Self { people, papers: Vec::new(), births: Vec::new(), dice }
    }

    /// Their records, in order, the place being the locator.
    pub(crate) fn records(&mut self) -> Vec<Person> {
        let mut records = Vec::with_capacity(self.people.len());
        for at in 0..self.people.len() {
            records.push(self.record(at));
        }
        records
    }

    fn record(&mut self, at: usize) -> Person {
        let (someone, dice) = (&self.people[at], &mut self.dice);
        let how = if dice.percent(30) { 0 } else { dice.between(1, CUSTOMS) };
        let mut written = vec![someone.written(how, dice.percent(60), dice)];
        if dice.percent(10) {
            // An alias: the same name in another custom, or a name of somebody's own making.
            let alias = if dice.percent(60) { someone.clone() } else { Someone::new(dice) };
            let how = dice.between(1, CUSTOMS);
            written.push(alias.written(how, false, dice));
        }
        let (year, month, day) = someone.born;
        let (paper, births) = match dice.below(100) {
            0..=3 => (Paper::Nothing, Vec::new()),
            4..=13 => (Paper::Year, vec![Birth::in_year(year).unwrap()]),
            14..=17 => (Paper::Year, vec![Birth::on(Date::new(year, 1, 1).unwrap())]),
            _ => (Paper::Day, vec![Birth::on(Date::new(year, month, day).unwrap())]),
        };
        self.papers.push(format!("{written:?} {births:?}"));
        self.births.push(paper);
        Person::new(at as u64, written.iter().map(name).collect(), births, Vec::new()).unwrap()
    }

    /// Whether nothing on paper tells the person at this place from the one who was asked for: they bear the same
    /// name, and their births are not both known well enough to differ. No search could do better than name both.
    pub(crate) fn cannot_be_told_apart(&self, at: usize, asked: &Someone, known: Known) -> bool {
        let other = &self.people[at];
        let namesake =
            other.tongue == asked.tongue && other.surnames == asked.surnames && other.given == asked.given;
        let years = (i32::from(other.born.0) - i32::from(asked.born.0)).abs();
        namesake
            && match (self.births[at], known) {
                (Paper::Nothing, _) | (_, Known::Nothing) => true,
                (_, Known::Window) => years <= 4,
                (Paper::Year, _) | (_, Known::Year) => years == 0,
                (Paper::Day, Known::Day) => other.born == asked.born,
            }
    }
}

/// What a question says of a birth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    Window,
    Year,
    Day,
}

fn name(written: &Written) -> Name {
    Name::new(&written.surname, &written.given).unwrap_or_else(|error| panic!("{written:?}: {error}"))
}
