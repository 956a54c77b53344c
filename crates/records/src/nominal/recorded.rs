//! The person of a record, as the search keeps persons. It must not refuse one for what can be left out.

use super::{BIRTHS_MAX, Birth, NAMES_MAX, NATIONALITIES_MAX, Name, Person};
use crate::Date;
use crate::record::{self, PartialDate};

impl Person {
    /// The person of the record at `locator`; none when nothing of its names has letters. What is more than the search
    /// takes is left out.
    pub fn of_record(locator: u64, person: &record::Person) -> Option<Self> {
        let given: Vec<&str> = person.forenames.iter().map(|name| name.as_str()).collect();
        let given = given.join(" ");
        let mut names = Vec::new();
        match person.family_names.as_slice() {
            [] => names.extend(Name::new("", &given)),
            families => {
                names.extend(families.iter().filter_map(|family| Name::new(family.as_str(), &given).ok()))
            }
        }
        names.extend(person.aliases.iter().filter_map(|alias| Name::whole(alias.as_str()).ok()));
        names.truncate(NAMES_MAX);
        let births = person.birth_dates.iter().filter_map(|date| birth(*date)).take(BIRTHS_MAX).collect();
        let countries = person.nationalities.iter().filter_map(|issuer| issuer.owner()?.country());
        let nationalities = countries.take(NATIONALITIES_MAX).collect();
        Self::new(locator, names, births, nationalities).ok()
    }
}

/// A birth as far as it is known.
pub(crate) fn birth(date: PartialDate) -> Option<Birth> {
    match (date.month(), date.day()) {
        (Some(month), Some(day)) => Date::new(date.year(), month, day).map(Birth::on),
        (Some(month), None) => Birth::in_month(date.year(), month).ok(),
        (None, _) => Birth::in_year(date.year()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Persons, Query};
    use super::*;
    use crate::Database;
    use crate::record::{About, Cell, Content, Record};

    fn recorded(family: &str, given: &str, aliases: &str, born: &str) -> Option<Person> {
        let columns = Record::columns(Database::Nominal);
        let cell = |column: &str| match column {
            "reference" => "1",
            "family_names" => family,
            "forenames" => given,
            "aliases" => aliases,
            "birth_dates" => born,
            "nationalities" => "FRA;D",
            "status" => "WANTED",
            _ => "",
        };
        let cells: Vec<Cell<'_>> = columns.map(|column| Cell::Text(cell(column).into())).collect();
        let owner = About::of("FR".parse().unwrap()).owner;
        let record = Record::from_row(Database::Nominal, owner, &cells).unwrap();
        let Content::Person(person) = record.content() else { panic!() };
        Person::of_record(7, person)
    }

    #[test]
    fn a_person_is_found_by_the_names_the_aliases_and_the_birth_of_the_record() {
        let person = recorded("DORANOV;DORANOW", "Ivan;Oleg", "Ахмед Зайнуллин", "1972-05;1973").unwrap();
        let persons = Persons::from_all([person]).unwrap();
        let found = |name: &str, birth: Option<Birth>| {
            let query = Query::new(Name::whole(name).unwrap(), birth);
            persons.search(&query, |_| true).unwrap().len()
        };
        let may = Birth::in_month(1972, 5).ok();
        assert_eq!(found("Doranov, Ivan Oleg", may), 1);
        assert_eq!(found("Ivan Doranow", may), 1);
        assert_eq!(found("Zainullin, Akhmed", Birth::in_year(1973).ok()), 1);
        assert_eq!(found("Castellet, Pilar", may), 0);
        assert_eq!(recorded("", "", "…", "1972"), None);
    }
}
