//! The searches of the whole network, as many as there are in reality, spread over countries and over a day that is
//! pressed into the time of the run. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use i247_model::{CountryCode, Member, Name, Region, member};
use serde::Deserialize;

use super::day::{Asker, Day};
use super::file::Told;
use super::plan::{BorderPlan, Setting, Station};
use crate::draw::Draw;
use crate::file::ScenarioError;

/// Longest run.
const MAX_SECONDS: u64 = 24 * 60 * 60;

/// Most searches of a run.
const MAX_SEARCHES: u64 = 2_000_000;

/// So finely chance is cut.
const PARTS: u32 = 1_000_000;

/// What the whole network asks.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its name in a table.
    pub name: String,
    /// What it is, in a line.
    pub summary: String,
    /// What was published about it.
    pub noted: Vec<String>,
    /// Searches a second, over a whole day.
    pub mean_per_second: u32,
    /// How many times that in the busiest moment.
    pub peak_factor: u32,
    /// One search of so many finds something.
    pub searches_per_hit: u32,
    /// Records of each country.
    pub records: u32,
    /// Whose posts ask, in percent of all searches.
    pub shares: BTreeMap<CountryCode, u32>,
    /// Who asks the rest: the second of them half as much as the first, the third a third.
    pub others: Vec<CountryCode>,
    /// How many hours the clocks of countries are ahead of UTC, where that is known better than by their region.
    pub ahead_of_utc: BTreeMap<CountryCode, i32>,
}

/// A run of the whole network: who is asked about, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkPlan {
    /// Records and travellers.
    pub plan: BorderPlan,
    /// When each traveller comes, after the beginning.
    pub due: Vec<Duration>,
}

impl Network {
    /// Everybody who takes part.
    pub fn countries(&self) -> Vec<CountryCode> {
        self.shares.keys().chain(&self.others).copied().collect()
    }

    /// The same among these countries: those with a share keep it, the others share the rest in this order.
    ///
    /// # Errors
    /// [`ScenarioError::Contradiction`] when nobody asks the rest, or one of them twice.
    pub fn among(mut self, countries: &[CountryCode]) -> Result<Self, ScenarioError> {
        self.others = countries.iter().copied().filter(|one| !self.shares.contains_key(one)).collect();
        self.shares.retain(|country, _| countries.contains(country));
        self.check()?;
        Ok(self)
    }

    /// What a table says of it.
    pub fn told(&self) -> Told<'_> {
        Told { id: "network", name: &self.name, recorded: &[], noted: &self.noted }
    }

    /// Draws a day from midnight UTC on that lasts so long, in whole seconds.
    ///
    /// # Errors
    /// [`ScenarioError::Contradiction`] when that is less than a second or more than a day, or too many searches.
    pub fn draw(&self, lasting: Duration, seed: u64) -> Result<NetworkPlan, ScenarioError> {
        let seconds = lasting.as_secs();
        let searches = seconds.saturating_mul(self.mean_per_second.into());
        if seconds == 0 || seconds > MAX_SECONDS || searches > MAX_SEARCHES {
            let what = format!("a run lasts from a second to a day, and has at most {MAX_SEARCHES} searches");
            return Err(ScenarioError::Contradiction(what));
        }
        let draw = Draw::new(seed);
        let searches = u32::try_from(searches).unwrap_or(u32::MAX);
        let countries = self.countries();
        let day = Day::new(&self.askers(), self.peak_factor.into());
        let due = day.due(seconds, searches);
        let station = |(nth, due): (u32, &Duration)| {
            let chance = f64::from(draw.below("who asks", nth, PARTS)) / f64::from(PARTS);
            let asker = day.asker(*due, seconds, chance);
            Station { country: countries[asker], post: border() }
        };
        let setting = Setting {
            // The shares were published in 2014; documents were stolen before that.
            year: 2014,
            stations: (0..).zip(&due).map(station).collect(),
            owners: &countries,
            records: self.records,
            matches: (searches / self.searches_per_hit.max(1)).max(1),
            look_alikes: 0,
            kept_back: 0,
            found_again: 0,
        };
        Ok(NetworkPlan { plan: setting.draw(seed)?, due })
    }

    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |what: &str| Err(ScenarioError::Contradiction(what.to_owned()));
        if let Some(country) = self.countries().into_iter().find(|country| member(*country).is_none()) {
            return Err(ScenarioError::UnknownCountry(country));
        }
        let all = self.countries();
        if self.others.is_empty() || all.iter().collect::<BTreeSet<_>>().len() < all.len() {
            return wrong("somebody asks the rest, and nobody twice");
        }
        if self.shares.values().sum::<u32>() >= 100 {
            return wrong("the shares leave nothing for the others");
        }
        if self.ahead_of_utc.values().any(|hours| !(-12..=14).contains(hours)) {
            return wrong("a clock is at most twelve hours behind UTC or fourteen ahead");
        }
        if self.mean_per_second == 0 || !(1..=10).contains(&self.peak_factor) || self.records == 0 {
            return wrong("searches, records and a peak of one to ten times the mean are needed");
        }
        Ok(())
    }

    /// Who asks how much and when, in the order of the countries.
    fn askers(&self) -> Vec<Asker> {
        let rest = 1.0 - f64::from(self.shares.values().sum::<u32>()) / 100.0;
        let weight = |rank: u32| 1.0 / f64::from(rank);
        let weights: f64 = (1_u32..).zip(&self.others).map(|(rank, _)| weight(rank)).sum();
        let with_share = self.shares.values().map(|percent| f64::from(*percent) / 100.0);
        let others = (1_u32..).zip(&self.others).map(|(rank, _)| rest * weight(rank) / weights);
        let asker = |(country, share)| Asker { share, ahead: self.ahead(country) };
        self.countries().into_iter().zip(with_share.chain(others)).map(asker).collect()
    }

    /// How far a country's clock is ahead of UTC, in hours: as the file has it, else as in much of its region.
    fn ahead(&self, country: CountryCode) -> i32 {
        let of_region = |member: &Member| match member.region {
            Region::Africa => 2,
            Region::Americas => -5,
            Region::AsiaPacific => 8,
            Region::Europe => 1,
            Region::Mena => 3,
        };
        let known = self.ahead_of_utc.get(&country).copied();
        known.or_else(|| member(country).map(of_region)).unwrap_or(0)
    }
}

/// The one post of a country, which stands for all of them.
fn border() -> Name {
    "border".parse().expect("a name in the program text")
}

#[cfg(test)]
mod tests {
    use super::super::file::network;
    use super::super::plan::Traveller;
    use super::*;

    /// A day of a hundred seconds.
    const DAY: Duration = Duration::from_secs(100);

    #[test]
    fn the_day_of_the_whole_has_its_mean_and_its_peak() {
        let network = network().unwrap();
        assert_eq!((network.mean_per_second, network.peak_factor), (212, 4));
        let due = network.draw(DAY, 7).unwrap().due;
        assert!(due.len() == 21_200 && due.is_sorted() && due[21_199] < DAY);
        let mut seconds = [0_u32; 100];
        due.iter().for_each(|due| seconds[due.as_secs() as usize] += 1);
        // Four times 212 are 848.
        let busiest = seconds.iter().max().unwrap();
        assert!((800..=848).contains(busiest), "{seconds:?}");
        assert!(*seconds.iter().min().unwrap() < 212 / 4, "{seconds:?}");
    }

    #[test]
    fn each_country_asks_most_at_noon_by_its_own_clock() {
        let network = network().unwrap();
        let NetworkPlan { plan, due } = network.draw(DAY, 7).unwrap();
        let asked = |code: &str, hour: u64| {
            let at_hour = |(traveller, due): &(&Traveller, &Duration)| {
                traveller.station.country.as_str() == code && due.as_secs() * 24 / 100 == hour
            };
            plan.travellers.iter().zip(&due).filter(at_hour).count()
        };
        // Noon is at 18 o'clock UTC in the middle of the United States, at 11 in France, at 3 in Japan.
        for (code, noon) in [("US", 18), ("FR", 11), ("JP", 3)] {
            let busy = asked(code, noon) + asked(code, noon - 1);
            let night = asked(code, (noon + 11) % 24) + asked(code, (noon + 12) % 24);
            assert!(busy > 20 * night.max(1), "{code}: {busy} at noon, {night} at night");
        }
    }

    #[test]
    fn countries_ask_by_their_shares() {
        let network = network().unwrap();
        let plan = network.draw(Duration::from_secs(100), 7).unwrap().plan;
        let part = |code: &str| {
            let checks = plan.expected[&code.parse().unwrap()].checks;
            checks as f64 / plan.travellers.len() as f64
        };
        for (code, share) in [("US", 0.31), ("GB", 0.15), ("AE", 0.06)] {
            assert!((part(code) - share).abs() < 0.01, "{code} {}", part(code));
        }
        let (first, second) = (network.others[0], network.others[1]);
        assert!((part(first.as_str()) / part(second.as_str()) - 2.0).abs() < 0.2);
        // 21,200 searches, one of 15,489 a hit.
        assert_eq!(plan.expected.values().map(|row| row.hits).sum::<u64>(), 1);
    }

    #[test]
    fn a_run_that_is_too_short_or_too_long_is_refused() {
        let network = network().unwrap();
        for seconds in [0, 86_401, 20_000] {
            assert!(network.draw(Duration::from_secs(seconds), 1).is_err(), "{seconds}");
        }
    }
}
