//! The searches of the whole network, as many as there are in reality, spread over countries and over a day that is
//! pressed into the time of the run. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use i247_model::{CountryCode, Name};
use serde::Deserialize;

use super::file::Told;
use super::plan::{BorderPlan, Setting, Station};
use crate::draw::Draw;
use crate::file::ScenarioError;

/// Longest run.
const MAX_SECONDS: u64 = 24 * 60 * 60;

/// Most searches of a run.
const MAX_SEARCHES: u64 = 2_000_000;

/// Into so many pieces the day is cut.
const PIECES: u32 = 1000;

/// Parts of a share, so that small ones count.
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

    /// What a table says of it.
    pub fn told(&self) -> Told<'_> {
        Told { id: "network", name: &self.name, recorded: &[], noted: &self.noted }
    }

    /// Draws a day that lasts so long, in whole seconds.
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
        let shares = self.shares();
        let station = |nth: u32| {
            let mut at = draw.below("who asks", nth, shares.iter().map(|(_, share)| share).sum());
            let asker = shares.iter().find(|(_, share)| {
                let here = at < *share;
                at = at.saturating_sub(*share);
                here
            });
            let country = asker.map_or(shares[0].0, |(country, _)| *country);
            Station { country, post: border() }
        };
        let countries = self.countries();
        let setting = Setting {
            // The shares were published in 2014; documents were stolen before that.
            year: 2014,
            stations: (0..searches).map(station).collect(),
            owners: &countries,
            records: self.records,
            matches: (searches / self.searches_per_hit.max(1)).max(1),
            look_alikes: 0,
            kept_back: 0,
            found_again: 0,
        };
        Ok(NetworkPlan { plan: setting.draw(seed)?, due: self.due(seconds, searches) })
    }

    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |what: &str| Err(ScenarioError::Contradiction(what.to_owned()));
        if let Some(country) =
            self.countries().into_iter().find(|country| i247_model::member(*country).is_none())
        {
            return Err(ScenarioError::UnknownCountry(country));
        }
        if self.others.is_empty() || self.others.iter().any(|country| self.shares.contains_key(country)) {
            return wrong("somebody asks the rest, and nobody twice");
        }
        if self.shares.values().sum::<u32>() >= 100 {
            return wrong("the shares leave nothing for the others");
        }
        if self.mean_per_second == 0 || !(1..=10).contains(&self.peak_factor) || self.records == 0 {
            return wrong("searches, records and a peak of one to ten times the mean are needed");
        }
        Ok(())
    }

    /// Who asks how much, in parts of [`PARTS`].
    fn shares(&self) -> Vec<(CountryCode, u32)> {
        let of_percent = |percent: u32| PARTS / 100 * percent;
        let mut shares: Vec<(CountryCode, u32)> =
            self.shares.iter().map(|(country, percent)| (*country, of_percent(*percent))).collect();
        let rest = of_percent(100 - self.shares.values().sum::<u32>());
        // A million divided by the rank, in whole numbers. Not only for exactness: rustc 1.95 adds rubbish to the number in
        // a pair of two bytes and a `u32` that was made of a float, and countries asked by wrong shares.
        let weight = |rank: u32| u64::from(PARTS / rank);
        let weights: u64 = (1_u32..).zip(&self.others).map(|(rank, _)| weight(rank)).sum();
        for (rank, country) in (1_u32..).zip(&self.others) {
            let share = u64::from(rest) * weight(rank) / weights.max(1);
            shares.push((*country, u32::try_from(share).unwrap_or(rest)));
        }
        shares
    }

    /// When each of so many searches comes. Over the day the rate goes from a low at night to its peak at noon, and is the
    /// mean on the whole.
    fn due(&self, seconds: u64, searches: u32) -> Vec<Duration> {
        let peak = f64::from(self.peak_factor);
        // sin^16 over half a turn is 1 at its peak and 6435/32768 on the whole.
        let hill = 6435.0 / 32768.0;
        let night = ((1.0 - peak * hill) / (1.0 - hill)).max(0.0);
        let rate = |piece: u32| {
            let turn = (f64::from(piece) + 0.5) / f64::from(PIECES) * std::f64::consts::PI;
            night + (peak - night) * turn.sin().powi(16)
        };
        let whole: f64 = (0..PIECES).map(rate).sum();
        let (mut due, mut piece, mut before) = (Vec::with_capacity(searches as usize), 0, 0.0);
        for nth in 0..searches {
            let wanted = (f64::from(nth) + 0.5) / f64::from(searches) * whole;
            while piece + 1 < PIECES && before + rate(piece) < wanted {
                before += rate(piece);
                piece += 1;
            }
            let at = f64::from(piece) + ((wanted - before) / rate(piece)).clamp(0.0, 1.0);
            due.push(Duration::from_secs(seconds).mul_f64(at / f64::from(PIECES)));
        }
        due
    }
}

/// The one post of a country, which stands for all of them.
fn border() -> Name {
    "border".parse().expect("a name in the program text")
}

#[cfg(test)]
mod tests {
    use super::super::file::network;
    use super::*;

    #[test]
    fn the_day_has_its_mean_and_its_peak() {
        let network = network().unwrap();
        assert_eq!((network.mean_per_second, network.peak_factor), (212, 4));
        let due = network.due(100, 21_200);
        assert_eq!(due.len(), 21_200);
        assert!(due.is_sorted() && due[21_199] < Duration::from_secs(100));
        let in_second = |second: u64| due.iter().filter(|due| due.as_secs() == second).count();
        // Four times 212 are 848; at night, by hand: (1 - 4 × 0.19638) / 0.80362 = 0.2669 of 212 is 57.
        assert!((840..=848).contains(&in_second(50)), "{}", in_second(50));
        assert!((55..=58).contains(&in_second(0)), "{}", in_second(0));
        assert_eq!(in_second(20), in_second(79), "the evening is like the morning");
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
