//! Rounds: every contender at every setting, one after the other, again and again. What disturbs the machine then
//! disturbs all alike.

use std::collections::BTreeMap;

use crate::contender::{Contender, Task};
use crate::measure::{Point, Setting, Work, median_point};
use crate::out;

/// What was measured, by contender, work and setting; a list of rounds each.
#[derive(Default, Debug)]
pub(crate) struct Results(BTreeMap<(&'static str, Work, Setting), Vec<Point>>);

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// Only the settings that are likely to be the best.
    pub(crate) quick: bool,
}

/// Plays all rounds of these kinds of work.
pub(crate) async fn play(contenders: &mut [Box<dyn Contender>], works: &[Work], effort: Effort) -> Results {
    let mut results = Results::default();
    for round in 0..effort.rounds {
        let mut ready = Vec::new();
        for contender in contenders.iter_mut() {
            if works.iter().all(|work| contender.settings(*work, effort.quick).is_empty()) {
                continue;
            }
            out::talk(&format!("round {} of {}: {} starts", round + 1, effort.rounds, contender.name()));
            match contender.begin().await {
                Ok(()) => ready.push(contender),
                Err(error) => {
                    out::talk(&format!("  not ready: {error:#}"));
                    results.absent(&**contender, works, effort.quick, &format!("not ready: {error:#}"));
                }
            }
        }
        let mut measured = Vec::new();
        for work in works {
            // Turn by turn, so that equal places in the sweep lie next to each other in time.
            let lists: Vec<Vec<Setting>> =
                ready.iter().map(|contender| contender.settings(*work, effort.quick)).collect();
            let turns = lists.iter().map(Vec::len).max().unwrap_or(0);
            for turn in 0..turns {
                for (contender, list) in ready.iter_mut().zip(&lists) {
                    let Some(setting) = list.get(turn) else { continue };
                    let key = (contender.name(), *work, setting.clone());
                    let rate_before = results.last_rate(&key);
                    let task =
                        Task { work: *work, setting: setting.clone(), seconds: effort.seconds, rate_before };
                    let point = measure(&mut ***contender, &task).await;
                    out::talk(&line(&key, &point));
                    measured.push((key, point));
                }
            }
        }
        let mut unsound = BTreeMap::new();
        for contender in ready {
            if let Err(error) = contender.end().await {
                out::talk(&format!("  {}: {error:#}", contender.name()));
                unsound.insert(contender.name(), format!("{error:#}"));
            }
        }
        for (key, mut point) in measured {
            if let Some(why) = unsound.get(key.0) {
                point.shortfall.get_or_insert_with(|| why.clone());
            }
            results.0.entry(key).or_default().push(point);
        }
    }
    results
}

async fn measure(contender: &mut dyn Contender, task: &Task) -> Point {
    match contender.measure(task).await {
        Ok(measured) => measured.point(),
        Err(error) => Point::failed(format!("{error:#}")),
    }
}

fn line((name, work, setting): &(&'static str, Work, Setting), point: &Point) -> String {
    let what = match work {
        Work::PointToPoint => "one to one",
        Work::FanOut => "one to all",
        Work::Echo => "echo",
        Work::Search => "search",
        Work::SearchStream => "streamed",
        Work::Frames => "packed",
        Work::Hits => "all hit",
    };
    let figures = match &point.shortfall {
        Some(why) => format!("INVALID: {why}"),
        None => format!(
            "{:>9.0}/s  p50 {:>9.0} us  p99 {:>9.0} us  cpu {:>6.1} + {:>5.1} us",
            point.rate, point.p50_us, point.p99_us, point.server_us, point.client_us
        ),
    };
    format!("  {name:<18} {what:<10} {setting:<40} {figures}", setting = setting.to_string())
}

impl Results {
    /// A contender that was not there in a round has no result in any.
    fn absent(&mut self, contender: &dyn Contender, works: &[Work], quick: bool, why: &str) {
        for work in works {
            for setting in contender.settings(*work, quick) {
                let rounds = self.0.entry((contender.name(), *work, setting)).or_default();
                rounds.push(Point::failed(why.to_owned()));
            }
        }
    }

    fn last_rate(&self, key: &(&'static str, Work, Setting)) -> Option<f64> {
        let point = self.0.get(key)?.last()?;
        point.shortfall.is_none().then_some(point.rate)
    }

    /// Every setting with the median of its rounds.
    pub(crate) fn medians(&self) -> impl Iterator<Item = (&'static str, Work, &Setting, Point)> {
        self.0.iter().map(|((name, work, setting), points)| (*name, *work, setting, median_point(points)))
    }

    /// The rounds of everything, for the record.
    pub(crate) fn rounds(&self) -> impl Iterator<Item = (&'static str, Work, &Setting, &[Point])> {
        self.0.iter().map(|((name, work, setting), points)| (*name, *work, setting, points.as_slice()))
    }

    /// The best setting of a contender: with the highest rate, or the lowest latency with one message in flight.
    /// A setting that falls short is the best only when all do.
    pub(crate) fn best(&self, name: &str, work: Work, figure: Figure, how: &str) -> Option<(Setting, Point)> {
        let fits = |setting: &Setting| {
            (how.is_empty() || setting.how == how) && (figure == Figure::Rate || setting.in_flight == 1)
        };
        let all = self
            .medians()
            .filter(|(whose, what, setting, _)| *whose == name && *what == work && fits(setting));
        let value = |point: &Point| {
            let value = match figure {
                Figure::Rate => point.rate,
                Figure::Latency => -point.p50_us,
            };
            if point.shortfall.is_some() { f64::NEG_INFINITY } else { value }
        };
        let best = all.max_by(|one, other| value(&one.3).total_cmp(&value(&other.3)));
        best.map(|(_, _, setting, point)| (setting.clone(), point))
    }
}

/// By which figure settings are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Figure {
    /// Deliveries a second.
    Rate,
    /// The median latency of one message in flight.
    Latency,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(rate: f64, shortfall: Option<&str>) -> Point {
        let shortfall = shortfall.map(str::to_owned);
        Point { rate, p50_us: 1e6 / rate, shortfall, ..Point::failed(String::new()) }
    }

    #[test]
    fn the_best_setting_is_the_fastest_that_lost_nothing() {
        let mut results = Results::default();
        for (in_flight, point) in
            [(1, point(10.0, None)), (16, point(90.0, None)), (64, point(500.0, Some("lost two")))]
        {
            results.0.insert(("ours", Work::FanOut, Setting::of(in_flight, "")), vec![point]);
        }
        let (setting, best) = results.best("ours", Work::FanOut, Figure::Rate, "").unwrap();
        assert_eq!((setting.in_flight, best.rate), (16, 90.0));
        let (setting, _) = results.best("ours", Work::FanOut, Figure::Latency, "").unwrap();
        assert_eq!(setting.in_flight, 1);
        assert!(results.best("theirs", Work::FanOut, Figure::Rate, "").is_none());
    }
}
