//! The data file of the operations at borders: what goes into the network, and apart from it what was recorded. It is
//! read and checked here. It draws nothing.

use std::collections::BTreeSet;

use i247_model::{CountryCode, Name, member};
use serde::{Deserialize, Serialize};

use super::network::Network;
use crate::file::{Qualifier, ScenarioError};

/// The format of the file that this program reads.
const SCHEMA: u32 = 1;

/// Most travellers of one operation.
const MAX_CHECKS: u32 = 1_000_000;

/// Most records of one owner.
const MAX_RECORDS: u32 = 100_000;

/// An operation at a border.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BorderOperation {
    /// Its short name: `hammer`.
    pub id: String,
    /// Its name, as people have it.
    pub name: String,
    /// When the real one was.
    pub year: u16,
    /// What it was, in a line.
    pub summary: String,
    /// What else was published about it, that no run comes to.
    pub noted: Vec<String>,
    /// What goes into the network.
    pub workload: BorderWorkload,
    /// What was published about the real operation. Only tables of counts read it.
    pub recorded: Vec<Seen>,
}

/// What goes into the network.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BorderWorkload {
    /// Whose posts ask.
    pub country: CountryCode,
    /// The posts.
    pub posts: Vec<Name>,
    /// Travellers, each of whom is checked once.
    pub checks: u32,
    /// Travellers whose document is recorded.
    pub matches: u32,
    /// Travellers whose document looks like a recorded one.
    pub look_alikes: u32,
    /// Travellers whose document is recorded, and the record kept from the country that asks.
    pub kept_back: u32,
    /// How many of the matches the owner has found again, and not taken out of the database.
    pub found_again: u32,
    /// Records of each owner.
    pub records: u32,
    /// Whose documents are recorded.
    pub owners: Vec<CountryCode>,
}

/// A published figure of the real operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// What was counted.
    pub figure: SeenFigure,
    /// The number.
    pub value: u64,
    /// How the source puts it.
    pub qualifier: Qualifier,
    /// Where it stands.
    pub source: String,
}

/// What is counted, in the run and in the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenFigure {
    /// Documents that were checked.
    Checks,
    /// Documents that were found in a database.
    Matches,
    /// Posts that checked.
    Stations,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    operation: Vec<BorderOperation>,
    network: Network,
}

/// What a table says of a scenario, beside what was counted.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its short name.
    pub id: &'a str,
    /// Its name, as people have it.
    pub name: &'a str,
    /// What was published and a run comes to, or not.
    pub recorded: &'a [Seen],
    /// What else was published.
    pub noted: &'a [String],
}

/// All operations that come with the program.
///
/// # Errors
/// [`ScenarioError`] says what is wrong with the file.
pub fn operations() -> Result<Vec<BorderOperation>, ScenarioError> {
    Ok(parse(include_str!("../border.toml"))?.operation)
}

/// The searches of the whole network, as they come with the program.
///
/// # Errors
/// [`ScenarioError`] says what is wrong with the file.
pub fn network() -> Result<Network, ScenarioError> {
    Ok(parse(include_str!("../border.toml"))?.network)
}

/// The operation of this name.
///
/// # Errors
/// [`ScenarioError::Unknown`] when there is none.
pub fn operation(id: &str) -> Result<BorderOperation, ScenarioError> {
    let mut operations = operations()?;
    let place = operations.iter().position(|operation| operation.id == id);
    match place {
        Some(place) => Ok(operations.swap_remove(place)),
        None => Err(ScenarioError::Unknown {
            name: id.chars().take(64).collect(),
            known: operations.into_iter().map(|one| one.id + ", ").collect::<String>() + "network",
        }),
    }
}

fn parse(text: &str) -> Result<File, ScenarioError> {
    let file: File = toml::from_str(text).map_err(|error| ScenarioError::Unreadable(Box::new(error)))?;
    if file.schema != SCHEMA {
        return Err(ScenarioError::Contradiction("schema is not 1".into()));
    }
    for operation in &file.operation {
        operation.workload.check()?;
    }
    file.network.check()?;
    Ok(file)
}

impl BorderOperation {
    /// What a table says of it.
    pub fn told(&self) -> Told<'_> {
        Told { id: &self.id, name: &self.name, recorded: &self.recorded, noted: &self.noted }
    }

    /// The same with so many checks; what was recorded does not stand beside a smaller or larger run.
    ///
    /// # Errors
    /// [`ScenarioError::Contradiction`] when that is fewer than are to be found.
    pub fn with_checks(mut self, checks: u32) -> Result<Self, ScenarioError> {
        if checks != self.workload.checks {
            self.workload.checks = checks;
            self.recorded.clear();
            self.workload.check()?;
        }
        Ok(self)
    }

    /// The same among these countries: the first asks, and the others own what is found. What was recorded does not stand
    /// beside it.
    ///
    /// # Errors
    /// [`ScenarioError::Contradiction`] when that is nobody, or one of them twice.
    pub fn among(mut self, countries: &[CountryCode]) -> Result<Self, ScenarioError> {
        let Some((asker, owners)) = countries.split_first() else {
            return Err(ScenarioError::Contradiction(
                "somebody asks, and somebody owns what is found".into(),
            ));
        };
        (self.workload.country, self.workload.owners) = (*asker, owners.to_vec());
        self.recorded.clear();
        self.workload.check()?;
        Ok(self)
    }
}

impl BorderWorkload {
    /// Everybody who takes part: who asks, and the owners.
    pub fn countries(&self) -> BTreeSet<CountryCode> {
        self.owners.iter().copied().chain([self.country]).collect()
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |what: &str| Err(ScenarioError::Contradiction(what.to_owned()));
        if let Some(country) = self.countries().into_iter().find(|country| member(*country).is_none()) {
            return Err(ScenarioError::UnknownCountry(country));
        }
        let owners: BTreeSet<CountryCode> = self.owners.iter().copied().collect();
        if owners.is_empty() || owners.len() < self.owners.len() || owners.contains(&self.country) {
            return wrong("owners are countries other than the one that asks, each named once");
        }
        if self.posts.is_empty() || self.posts.iter().collect::<BTreeSet<_>>().len() < self.posts.len() {
            return wrong("posts are named, each once");
        }
        if self.checks > MAX_CHECKS || self.records > MAX_RECORDS {
            return wrong("more than 1,000,000 checks or 100,000 records of an owner");
        }
        let found = u64::from(self.matches) + u64::from(self.look_alikes) + u64::from(self.kept_back);
        if found > u64::from(self.checks) {
            return wrong("fewer are checked than are to be found");
        }
        // A range of blanks is one record; of the others half at most are borne by somebody.
        if found * 2 > u64::from(self.records) * owners.len() as u64 {
            return wrong("there are too few records for what is to be found");
        }
        if self.found_again > self.matches {
            return wrong("more is found again than is found");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operations_that_come_with_the_program_are_those_that_were() {
        let told: Vec<String> = operations()
            .unwrap()
            .iter()
            .map(|one| {
                let figures: Vec<String> = one
                    .recorded
                    .iter()
                    .map(|seen| format!("{:?} {} {}", seen.figure, seen.qualifier, seen.value))
                    .collect();
                format!("{} {}: {}", one.id, one.year, figures.join(", "))
            })
            .collect();
        assert_eq!(
            told,
            [
                "hammer 2011: Checks exact 8000, Matches exact 3, Stations exact 2",
                "anaconda 2008: Checks more than 20000, Matches about 200, Stations exact 1",
                "kigali 2013: Checks more than 6500, Stations exact 1",
                "manila 2010: Checks more than 5000, Stations exact 1",
            ]
        );
    }

    #[test]
    fn an_operation_that_is_not_there_is_answered_with_those_that_are() {
        let error = operation("thunder").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no scenario \"thunder\"; there is: hammer, anaconda, kigali, manila, network"
        );
    }

    #[test]
    fn a_smaller_run_has_no_recorded_figures_and_not_fewer_checks_than_are_found() {
        let hammer = operation("hammer").unwrap();
        assert_eq!(hammer.clone().with_checks(8000).unwrap(), hammer);
        let small = hammer.clone().with_checks(100).unwrap();
        assert_eq!((small.workload.checks, small.recorded.len()), (100, 0));
        assert!(hammer.with_checks(6).unwrap_err().to_string().contains("fewer are checked"));
    }

    #[test]
    fn an_operation_among_other_countries_has_no_recorded_figures() {
        let countries =
            |codes: &[&str]| -> Vec<CountryCode> { codes.iter().map(|code| code.parse().unwrap()).collect() };
        let among = |codes: &[&str]| operation("hammer").unwrap().among(&countries(codes));
        let hammer = among(&["FR", "BR", "JP"]).unwrap();
        assert_eq!((hammer.workload.country.as_str(), hammer.workload.checks), ("FR", 8000));
        assert_eq!((hammer.workload.owners, hammer.recorded), (countries(&["BR", "JP"]), vec![]));
        for wrong in [&[][..], &["FR"], &["FR", "FR"], &["FR", "BR", "BR"]] {
            assert!(among(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let text = include_str!("../border.toml");
        for (from, to) in [
            ("country = \"IT\"", "country = \"XX\""),
            ("country = \"IT\"", "country = \"FR\""),
            ("posts = [\"fiumicino\", \"malpensa\"]", "posts = []"),
            ("posts = [\"fiumicino\", \"malpensa\"]", "posts = [\"lima\", \"lima\"]"),
            ("matches = 3\n", "matches = 8000\n"),
            ("found_again = 1\n", "found_again = 4\n"),
            ("records = 400\n", "records = 1\n"),
            ("schema = 1", "schema = 2"),
            ("US = 31", "US = 79"),
            ("\"FR\", \"DE\", \"TR\"", "\"FR\", \"US\""),
            ("peak_factor = 4", "peak_factor = 0"),
            ("TH = 7", "TH = 17"),
            ("noted =", "unknown ="),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(parse(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
