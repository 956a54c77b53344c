//! The scenario file: what goes into the network, and apart from it what was recorded.
//!
//! It is read and checked here, and scaled to a subset of countries. It draws nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use i247_model::{CountryCode, member};
use serde::{Deserialize, Serialize};

/// The format of scenario files that this program reads.
const SCHEMA: u32 = 1;

/// Most cases of a workload; messages are numbered and pictures drawn for each of them.
const MAX_CASES: u32 = 10_000;

/// Most decoys in one register.
const MAX_DECOYS: u32 = 200;

/// Most officers' seats of one country.
const MAX_SEATS: u32 = 16;

/// A scenario file, read and checked.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    schema: u32,
    /// The operation, as headers name it.
    pub id: String,
    /// The operation, as people name it.
    pub name: String,
    /// What goes into the network.
    pub workload: Workload,
    /// What was published about the real operation. Only tables of counts read it.
    #[serde(default)]
    pub recorded: Vec<Recorded>,
}

/// What goes into the network.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Wanted persons, one notice request each.
    pub cases: u32,
    /// Requests that officers send: one for each case, and a follow-up for the rest.
    pub requests: u32,
    /// Countries asked, over all requests.
    pub addressees: u32,
    /// Other invented persons in every register.
    pub decoys: u32,
    /// When answers are due, in milliseconds after the request.
    reply_within_ms: u64,
    /// How many fugitives stand in the register of a country that is asked.
    pub findable: Findable,
    /// Two requests beside the operation that show a reminder and an escalation.
    pub rehearsal: RehearsalSetting,
    /// Who takes part.
    pub countries: BTreeMap<CountryCode, CountrySetting>,
}

/// How many fugitives can be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findable {
    /// With certainty, where the policy lets a Red Notice lead to arrest.
    pub arrest_basis: u32,
    /// With certainty, where it does not.
    pub elsewhere: u32,
    /// By partial data.
    pub partial: u32,
}

/// Two requests beside the operation that show a reminder and an escalation.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearsalSetting {
    /// The operation that they belong to; never the main one.
    pub operation: String,
    /// When answers are due, in milliseconds after the request.
    reply_within_ms: u64,
    /// Who asks.
    pub asker: CountryCode,
    /// Who answers only after a reminder.
    pub late: CountryCode,
    /// Who never answers.
    pub silent: CountryCode,
}

/// A country that takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountrySetting {
    /// Officers in the operations room.
    pub seats: u32,
    /// What a Red Notice may lead to there.
    pub policy: Policy,
}

/// What a country's law lets a Red Notice do there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Policy {
    /// Provisional arrest is possible on the notice alone.
    ArrestBasis,
    /// Locate and inform; arrest only on a formal request.
    WarrantFirst,
    /// Locate and inform.
    LocateOnly,
    /// Refuse entry, cancel permission to stay.
    ImmigrationOnly,
}

impl Policy {
    /// Its name, as configuration files have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ArrestBasis => "ARREST_BASIS",
            Self::WarrantFirst => "WARRANT_FIRST",
            Self::LocateOnly => "LOCATE_ONLY",
            Self::ImmigrationOnly => "IMMIGRATION_ONLY",
        }
    }
}

/// A published figure of the real operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// What was counted.
    pub figure: Figure,
    /// The number.
    pub value: u64,
    /// How the source puts it.
    pub qualifier: Qualifier,
    /// Where it stands.
    pub source: String,
}

/// What is counted, in the run and in the record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Cases worked.
    Cases,
    /// Countries that took part.
    Countries,
    /// Officers who worked the cases.
    Officers,
    /// Requests that officers sent.
    Sent,
    /// Replies that reached them.
    Received,
    /// Persons arrested.
    Arrests,
    /// Persons surely located, not arrested.
    PositivelyLocated,
    /// Persons perhaps located.
    PossiblyLocated,
    /// Arrested or surely located, in percent of the cases.
    PositivePercent,
}

/// How the source puts a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Qualifier {
    /// The number itself.
    #[serde(rename = "exact")]
    Exact,
    /// At least one more.
    #[serde(rename = "more than")]
    MoreThan,
    /// Near it.
    #[serde(rename = "about")]
    About,
}

impl Qualifier {
    /// Whether a run comes to a figure: exactly, at least, or within two in a hundred.
    pub(crate) fn is_met(self, recorded: u64, run: u64) -> bool {
        match self {
            Self::Exact => run == recorded,
            Self::MoreThan => run >= recorded,
            Self::About => 50 * run.abs_diff(recorded) <= recorded,
        }
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::MoreThan => "more than",
            Self::About => "about",
        })
    }
}

/// A scenario that cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No scenario has this name.
    #[error("there is no scenario {name:?}; there is: {known}")]
    Unknown {
        /// The name, cut short.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The text is not a scenario file.
    #[error("the scenario file cannot be read")]
    Unreadable(#[source] Box<toml::de::Error>),
    /// The numbers contradict each other.
    #[error("the scenario contradicts itself: {0}")]
    Contradiction(String),
    /// A country that is no member.
    #[error("{0} is no member country")]
    UnknownCountry(CountryCode),
    /// Nobody is left to ask.
    #[error("an operation needs at least two countries")]
    TooFewCountries,
}

impl Scenario {
    /// Operation Infra-Red 2010, as it comes with the program.
    ///
    /// # Errors
    /// [`ScenarioError::Unknown`] when there is no scenario of this name.
    pub fn named(id: &str) -> Result<Self, ScenarioError> {
        match id {
            "infra-red-2010" => Self::parse(include_str!("infra_red_2010.toml")),
            _ => Err(ScenarioError::Unknown {
                name: id.chars().take(64).collect(),
                known: "infra-red-2010".into(),
            }),
        }
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self =
            toml::from_str(text).map_err(|error| ScenarioError::Unreadable(Box::new(error)))?;
        scenario.check()?;
        Ok(scenario)
    }

    /// The same operation with these countries alone.
    ///
    /// Every count is scaled by how many countries are left (`count × left / all`, rounded half up);
    /// there is at least one case for each seat, and no more is asked than there are countries to
    /// ask. A country that the file does not name has one seat and may only locate. A rehearsal whose
    /// countries are gone is played by the first ones that are left.
    ///
    /// # Errors
    /// [`ScenarioError::TooFewCountries`] below two, [`ScenarioError::UnknownCountry`] for a code that
    /// is no member's.
    pub fn with_countries(
        mut self,
        countries: impl IntoIterator<Item = CountryCode>,
    ) -> Result<Self, ScenarioError> {
        let all = u64::try_from(self.workload.countries.len()).unwrap_or(u64::MAX);
        let left: BTreeMap<CountryCode, CountrySetting> = countries
            .into_iter()
            .map(|country| {
                let unnamed = CountrySetting { seats: 1, policy: Policy::LocateOnly };
                (country, self.workload.countries.get(&country).copied().unwrap_or(unnamed))
            })
            .collect();
        let workload = &mut self.workload;
        if left != workload.countries {
            let n = u64::try_from(left.len()).unwrap_or(u64::MAX);
            let scaled = |count: u32| {
                let scaled = (2 * u64::from(count) * n + all) / (2 * all);
                u32::try_from(scaled).unwrap_or(u32::MAX)
            };
            let seats: u32 = left.values().map(|setting| setting.seats).sum();
            workload.cases = scaled(workload.cases).clamp(seats, MAX_CASES.max(seats));
            // A follow-up goes to other countries than the first request: that takes two.
            let most = if n > 2 { 2 * workload.cases } else { workload.cases };
            workload.requests = scaled(workload.requests).clamp(workload.cases, most);
            let room = u64::from(workload.cases) * n.saturating_sub(1);
            let room = u32::try_from(room).unwrap_or(u32::MAX).max(workload.requests);
            workload.addressees = scaled(workload.addressees).clamp(workload.requests, room);
            workload.findable = Findable {
                arrest_basis: scaled(workload.findable.arrest_basis),
                elsewhere: scaled(workload.findable.elsewhere),
                partial: scaled(workload.findable.partial),
            };
            workload.countries = left;
            workload.rehearsal.fit(&workload.countries);
        }
        self.check()?;
        Ok(self)
    }

    /// What was recorded, where these are the countries that it was recorded of. Beside a smaller network, or a larger
    /// one, the figures would only mislead: there they are left out.
    pub fn recorded_of<'a>(&self, countries: impl IntoIterator<Item = &'a CountryCode>) -> &[Recorded] {
        let countries: BTreeSet<&CountryCode> = countries.into_iter().collect();
        if self.workload.countries.keys().eq(countries) { &self.recorded } else { &[] }
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let workload = &self.workload;
        let wrong = |what: &str| Err(ScenarioError::Contradiction(what.to_owned()));
        if self.schema != SCHEMA {
            return wrong("schema is not 1");
        }
        if workload.countries.len() < 2 {
            return Err(ScenarioError::TooFewCountries);
        }
        if let Some(country) = workload.countries.keys().find(|country| member(**country).is_none()) {
            return Err(ScenarioError::UnknownCountry(*country));
        }
        if workload.countries.values().any(|setting| !(1..=MAX_SEATS).contains(&setting.seats)) {
            return wrong("a country has from 1 to 16 seats");
        }
        if workload.cases > MAX_CASES || workload.decoys > MAX_DECOYS {
            return wrong("at most 10,000 cases, and 200 decoys in a register");
        }
        if workload.requests < workload.cases || workload.requests > workload.cases.saturating_mul(2) {
            return wrong("requests must lie between the number of cases and twice that number");
        }
        if workload.addressees < workload.requests {
            return wrong("every request has an addressee");
        }
        let others = u64::try_from(workload.countries.len() - 1).unwrap_or(u64::MAX);
        if u64::from(workload.addressees) > u64::from(workload.cases) * others {
            return wrong("more addressees than there are countries to ask");
        }
        let findable = &workload.findable;
        if u64::from(findable.arrest_basis) + u64::from(findable.elsewhere) + u64::from(findable.partial)
            > u64::from(workload.cases)
        {
            return wrong("more fugitives findable than cases");
        }
        if workload.rehearsal.operation == self.id {
            return wrong("the rehearsal needs an operation of its own");
        }
        Ok(())
    }
}

impl Workload {
    /// When answers are due after a request.
    pub fn reply_within(&self) -> Duration {
        Duration::from_millis(self.reply_within_ms)
    }
}

impl RehearsalSetting {
    /// When answers are due after a request.
    pub fn reply_within(&self) -> Duration {
        Duration::from_millis(self.reply_within_ms)
    }

    /// Puts countries that are there in the place of those that are not.
    fn fit(&mut self, countries: &BTreeMap<CountryCode, CountrySetting>) {
        let first_but = |not: &[CountryCode]| countries.keys().copied().find(|code| !not.contains(code));
        if !countries.contains_key(&self.asker) {
            self.asker = first_but(&[]).unwrap_or(self.asker);
        }
        for place in [&mut self.late, &mut self.silent] {
            if !countries.contains_key(place) || *place == self.asker {
                *place = first_but(&[self.asker]).unwrap_or(*place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<CountryCode> {
        text.split(',').map(|code| code.parse().unwrap()).collect()
    }

    #[test]
    fn what_was_recorded_stands_beside_its_own_countries_alone() {
        let scenario = Scenario::named("infra-red-2010").unwrap();
        let mut countries: Vec<CountryCode> = scenario.workload.countries.keys().rev().copied().collect();
        assert_eq!(scenario.recorded_of(&countries), scenario.recorded);
        assert!(!scenario.recorded.is_empty());
        let first = countries.pop().unwrap();
        assert_eq!(scenario.recorded_of(&countries), []);
        countries.extend([first, "IS".parse().unwrap()]);
        assert!(!scenario.workload.countries.contains_key(&countries[countries.len() - 1]));
        assert_eq!(scenario.recorded_of(&countries), []);
    }

    #[test]
    fn the_file_holds_29_countries_with_45_seats() {
        let workload = Scenario::named("infra-red-2010").unwrap().workload;
        assert_eq!(workload.countries.len(), 29);
        assert_eq!(workload.countries.values().map(|setting| setting.seats).sum::<u32>(), 45);
        assert_eq!(workload.countries.values().filter(|setting| setting.seats == 2).count(), 16);
        for code in codes("US,NZ") {
            assert_eq!(workload.countries[&code].policy, Policy::WarrantFirst, "{code}");
        }
    }

    #[test]
    fn every_recorded_figure_says_how_sure_it_is_and_where_it_stands() {
        let recorded = Scenario::named("infra-red-2010").unwrap().recorded;
        let exact: Vec<u64> =
            recorded.iter().filter(|r| r.qualifier == Qualifier::Exact).map(|r| r.value).collect();
        assert_eq!(exact, [447, 29, 2000, 71, 90, 73]);
        assert!(recorded.iter().all(|r| r.source == "public page on Operation Infra-Red"));
    }

    #[test]
    fn three_countries_get_three_twenty_ninths_of_the_work() {
        let scenario = Scenario::named("infra-red-2010").unwrap().with_countries(codes("FR,BR,JP")).unwrap();
        let workload = scenario.workload;
        // 447 × 3 / 29 = 46.2; 700 × 3 / 29 = 72.4; 1766 × 3 / 29 = 182.7, but 46 cases × 2 others = 92.
        assert_eq!((workload.cases, workload.requests, workload.addressees), (46, 72, 92));
        // 7.34, 9.31, 7.55
        assert_eq!(workload.findable, Findable { arrest_basis: 7, elsewhere: 9, partial: 8 });
    }

    #[test]
    fn all_countries_leave_the_workload_as_it_is() {
        let scenario = Scenario::named("infra-red-2010").unwrap();
        let all: Vec<CountryCode> = scenario.workload.countries.keys().copied().collect();
        assert_eq!(scenario.clone().with_countries(all).unwrap(), scenario);
    }

    #[test]
    fn two_countries_have_nobody_to_follow_up_with() {
        let workload =
            Scenario::named("infra-red-2010").unwrap().with_countries(codes("US,SN")).unwrap().workload;
        assert_eq!((workload.cases, workload.requests, workload.addressees), (31, 31, 31));
        assert_eq!(workload.rehearsal.asker, codes("SN")[0]);
        assert_eq!(workload.rehearsal.late, codes("US")[0]);
    }

    #[test]
    fn nobody_can_play_alone_or_with_strangers() {
        let infra = || Scenario::named("infra-red-2010").unwrap();
        assert!(matches!(infra().with_countries(codes("FR")), Err(ScenarioError::TooFewCountries)));
        assert!(matches!(infra().with_countries(codes("FR,XX")), Err(ScenarioError::UnknownCountry(_))));
    }

    #[test]
    fn a_contradiction_and_an_unknown_key_are_refused() {
        let text = include_str!("infra_red_2010.toml");
        for (from, to) in [
            ("requests = 700", "requests = 446"),
            ("requests = 700", "requests = 895"),
            ("addressees = 1766", "addressees = 699"),
            ("arrest_basis = 71", "arrest_basis = 285"),
            ("schema = 1", "schema = 2"),
            ("operation = \"infra-red-2010-rehearsal\"", "operation = \"infra-red-2010\""),
            ("decoys = 40", "decoys = 201"),
            ("AE = { seats = 1", "AE = { seats = 0"),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(
                matches!(Scenario::parse(&text.replace(from, to)), Err(ScenarioError::Contradiction(_))),
                "{to}"
            );
        }
        let unknown = text.replace("decoys = 40", "decoys = 40\ndecoy = 1");
        assert!(matches!(Scenario::parse(&unknown), Err(ScenarioError::Unreadable(_))));
    }
}
