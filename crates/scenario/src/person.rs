//! Invented persons.
//!
//! Names are put together from syllables by number; nobody real is meant, and whoever bears such a
//! name bears it by chance. No two persons of a plan share a family name, but for travellers.

use i247_model::{CountryCode, MEMBERS};
use serde::{Deserialize, Serialize};

use crate::draw::Draw;

const FIRST: [&str; 40] = [
    "Ba", "Be", "Bo", "Ca", "Co", "Da", "De", "Do", "Fa", "Fe", "Ga", "Go", "Ha", "He", "Ja", "Jo", "Ka",
    "Ke", "Ko", "La", "Le", "Lo", "Ma", "Me", "Mo", "Na", "Ne", "No", "Pa", "Pe", "Ra", "Ro", "Sa", "Se",
    "Ta", "Te", "Va", "Ve", "Za", "Zo",
];
const MIDDLE: [&str; 40] = [
    "bin", "cal", "cor", "dal", "den", "dor", "fel", "fin", "gan", "gor", "hal", "jan", "kam", "kel", "kor",
    "lan", "len", "lom", "mar", "men", "mir", "nal", "ner", "nor", "pal", "pen", "por", "ran", "rel", "rin",
    "sal", "sen", "sor", "tal", "ter", "tor", "val", "ven", "vor", "zan",
];
const LAST: [&str; 40] = [
    "ada", "ade", "ado", "aga", "ago", "ala", "ale", "ama", "amo", "ana", "ano", "ara", "aro", "asa", "ata",
    "ava", "eda", "edo", "ega", "ela", "elo", "ema", "ena", "eno", "era", "ero", "esa", "eta", "eva", "ida",
    "ido", "ila", "ima", "ina", "ino", "ira", "isa", "ita", "iva", "ola",
];
const FEMALE: [&str; 16] = [
    "Adela", "Brisa", "Celia", "Dorina", "Elmira", "Fadia", "Gisela", "Hanami", "Ilona", "Jadwa", "Kaisa",
    "Lunela", "Mirela", "Nadira", "Orela", "Perla",
];
const MALE: [&str; 16] = [
    "Aldo", "Boris", "Cesario", "Dario", "Emrik", "Fabio", "Goran", "Hamo", "Ilario", "Janko", "Karim",
    "Leandro", "Milo", "Nestor", "Osman", "Pavlo",
];

/// The largest prime below 40 × 40 × 40: multiplying modulo it is a permutation of the family names.
const NAMES: u64 = 63_997;

/// Whose name is whose: fugitives first, then the decoys of every member's register.
const FIRST_DECOY: u32 = 10_000;
/// Numbers kept for the decoys of one register.
const DECOYS_EACH: u32 = 200;

/// Who somebody is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Person {
    /// Family name.
    pub family_name: String,
    /// Forename.
    pub forename: String,
    /// Whether a woman.
    pub female: bool,
    /// `YYYY-MM-DD`.
    pub date_of_birth: String,
    /// A member country.
    pub nationality: CountryCode,
}

/// The fugitive of this case. Case numbers begin at 1.
pub(crate) fn fugitive(draw: Draw, case: u32) -> Person {
    invent(draw, case)
}

/// One of the other persons in a country's register.
pub(crate) fn decoy(draw: Draw, country: CountryCode, nth: u32) -> Person {
    let place = MEMBERS.iter().position(|member| member.code == country).unwrap_or(0);
    let place = u32::try_from(place).unwrap_or(0);
    invent(draw, FIRST_DECOY + place * DECOYS_EACH + nth % DECOYS_EACH)
}

/// Somebody who crosses a border. Of a great many some share a family name.
pub(crate) fn traveller(draw: Draw, nth: u32) -> Person {
    invent(draw, nth)
}

fn invent(draw: Draw, number: u32) -> Person {
    let female = draw.below("sex", number, 4) == 0;
    let forenames = if female { &FEMALE } else { &MALE };
    let (year, month, day) = (
        1950 + draw.below("birth year", number, 38),
        1 + draw.below("birth month", number, 12),
        1 + draw.below("birth day", number, 28),
    );
    let nationality = draw.below("nationality", number, u32::try_from(MEMBERS.len()).unwrap_or(1));
    Person {
        family_name: family_name(draw, number),
        forename: draw.pick("forename", number, forenames).to_owned(),
        female,
        date_of_birth: format!("{year}-{month:02}-{day:02}"),
        nationality: MEMBERS[nationality as usize].code,
    }
}

/// Different numbers below [`NAMES`] give different names.
fn family_name(draw: Draw, number: u32) -> String {
    let factor = 1 + draw.hash("family names, factor", 0, "") % (NAMES - 1);
    let offset = draw.hash("family names, offset", 0, "") % NAMES;
    let name = usize::try_from((factor * (u64::from(number) % NAMES) + offset) % NAMES).unwrap_or(0);
    let syllables = [FIRST[name / 1600], MIDDLE[name / 40 % 40], LAST[name % 40]];
    syllables.concat()
}

impl Person {
    /// The same person as a hasty clerk writes the forename: `Mirela` becomes `Mirele`.
    pub(crate) fn with_variant_forename(mut self) -> Self {
        let last = self.forename.pop();
        self.forename.push(if last == Some('e') { 'a' } else { 'e' });
        self
    }

    /// The same person with another day of birth.
    pub(crate) fn with_another_birth_day(mut self) -> Self {
        let day: u32 = self.date_of_birth.get(8..).and_then(|day| day.parse().ok()).unwrap_or(1);
        self.date_of_birth.truncate(8);
        let other = if day > 14 { day - 7 } else { day + 7 };
        self.date_of_birth.push_str(&format!("{other:02}"));
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_persons_share_a_family_name() {
        let draw = Draw::new(2010);
        let mut names: BTreeSet<String> = (1..=1_000).map(|case| fugitive(draw, case).family_name).collect();
        for country in ["AE", "FR", "ZW"] {
            let country = country.parse().unwrap();
            names.extend((0..200).map(|nth| decoy(draw, country, nth).family_name));
        }
        assert_eq!(names.len(), 1_600);
        let all: BTreeSet<String> = (0..63_997).map(|number| family_name(draw, number)).collect();
        assert_eq!(all.len(), 63_997);
        // The last decoy of the last member still has a number of its own.
        assert!(u64::from(FIRST_DECOY + 196 * DECOYS_EACH) < NAMES);
    }

    #[test]
    fn a_person_written_down_wrongly_differs_in_one_thing() {
        let person = fugitive(Draw::new(1), 1);
        let variant = person.clone().with_variant_forename();
        assert_ne!(variant.forename, person.forename);
        assert_eq!(Person { forename: person.forename.clone(), ..variant }, person);
        let other = person.clone().with_another_birth_day();
        assert_ne!(other.date_of_birth, person.date_of_birth);
        assert_eq!(other.date_of_birth[..8], person.date_of_birth[..8]);
        assert_eq!(Person { date_of_birth: person.date_of_birth.clone(), ..other }, person);
    }
}
