//! What is counted and timed, and what becomes of it: percentiles, medians, and whether the counts add up. Pure.

use std::fmt;
use std::time::Duration;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Work {
    /// 1 KiB from one country to one other.
    PointToPoint,
    /// 1 KiB from one country to all others.
    FanOut,
    /// 1 KiB to a server and back, nothing stored.
    Echo,
    /// Keys of the databases, one in each call; few are recorded.
    Search,
    /// The same on streams, one in each frame.
    SearchStream,
    /// The same in packed frames.
    Frames,
    /// Packed frames of which every key is recorded.
    Hits,
}

/// How hard a contender is driven.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Setting {
    /// Messages sent and not yet received, in all.
    pub(crate) in_flight: usize,
    /// What else distinguishes this setting, in words.
    pub(crate) how: &'static str,
}

impl Setting {
    pub(crate) fn of(in_flight: usize, how: &'static str) -> Self {
        Self { in_flight, how }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.in_flight)?;
        if self.how.is_empty() { Ok(()) } else { write!(f, " {}", self.how) }
    }
}

/// Processor time, of the server's processes and of this one.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Cpu {
    pub(crate) server: Duration,
    pub(crate) client: Duration,
}

/// One measurement: a contender at a setting, once.
#[derive(Clone, Default, Debug)]
pub(crate) struct Measured {
    /// From the first message sent to the last received.
    pub(crate) elapsed: Duration,
    pub(crate) sent: u64,
    /// Sent and confirmed as stored by the server.
    pub(crate) accepted: u64,
    /// Deliveries that should have come.
    pub(crate) due: u64,
    /// Deliveries that came.
    pub(crate) delivered: u64,
    /// Deliveries that the server knows to be received.
    pub(crate) acknowledged: u64,
    /// From sent to received; for a fan-out, by the last of its recipients.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) cpu: Cpu,
    /// What went wrong, besides the counts.
    pub(crate) trouble: Option<String>,
}

impl Measured {
    /// Why this counts for nothing, if so.
    pub(crate) fn shortfall(&self) -> Option<String> {
        if let Some(trouble) = &self.trouble {
            return Some(trouble.clone());
        }
        let whole = self.sent > 0
            && self.sent == self.accepted
            && self.due == self.delivered
            && self.due == self.acknowledged;
        let Self { sent, accepted, due, delivered, acknowledged, .. } = self;
        (!whole).then(|| {
            format!(
                "sent {sent}, accepted {accepted}; due {due}, delivered {delivered}, acknowledged {acknowledged}"
            )
        })
    }

    /// The same as a few numbers.
    pub(crate) fn point(mut self) -> Point {
        let shortfall = self.shortfall();
        self.latencies.sort_unstable();
        let per_delivery = |time: Duration| micros(time) / (self.delivered.max(1) as f64);
        Point {
            rate: self.delivered as f64 / self.elapsed.as_secs_f64().max(1e-9),
            p50_us: micros(percentile(&self.latencies, 50)),
            p99_us: micros(percentile(&self.latencies, 99)),
            server_us: per_delivery(self.cpu.server),
            client_us: per_delivery(self.cpu.client),
            sent: self.sent,
            delivered: self.delivered,
            shortfall,
        }
    }
}

/// A measurement in numbers that can be compared. Times are microseconds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Point {
    /// Deliveries a second.
    pub(crate) rate: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Processor time of the server for one delivery.
    pub(crate) server_us: f64,
    /// Processor time of the client for one delivery.
    pub(crate) client_us: f64,
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) shortfall: Option<String>,
}

impl Point {
    /// Nothing was measured, and why.
    pub(crate) fn failed(why: String) -> Self {
        Measured { trouble: Some(why), ..Measured::default() }.point()
    }
}

/// Of several rounds at one setting, the median of each figure. One round that falls short spoils them all.
///
/// # Panics
/// Without a round.
pub(crate) fn median_point(rounds: &[Point]) -> Point {
    let of = |figure: fn(&Point) -> f64| median(rounds.iter().map(figure).collect());
    Point {
        rate: of(|point| point.rate),
        p50_us: of(|point| point.p50_us),
        p99_us: of(|point| point.p99_us),
        server_us: of(|point| point.server_us),
        client_us: of(|point| point.client_us),
        sent: rounds.iter().map(|point| point.sent).sum(),
        delivered: rounds.iter().map(|point| point.delivered).sum(),
        shortfall: rounds.iter().find_map(|point| point.shortfall.clone()),
    }
}

/// The middle one; of an even number, the mean of the two.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
    (at(figures.len() / 2) + at(figures.len().saturating_sub(1) / 2)) / 2.0
}

/// The value below which so many in a hundred lie, of sorted ones.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        Measured {
            elapsed: Duration::from_secs(2),
            sent: 10,
            accepted: 10,
            due: 20,
            delivered: 20,
            acknowledged: 20,
            ..Measured::default()
        }
    }

    #[test]
    fn what_adds_up_counts() {
        let point = measured().point();
        assert_eq!((point.rate, point.shortfall), (10.0, None));
    }

    #[test]
    fn a_message_that_is_missing_anywhere_spoils_the_measurement() {
        let unaccepted = Measured { accepted: 9, ..measured() };
        let lost = Measured { delivered: 19, ..measured() };
        let unreceipted = Measured { acknowledged: 19, ..measured() };
        let twice = Measured { delivered: 21, ..measured() };
        let nothing = Measured::default();
        for short in [unaccepted, lost, unreceipted, twice, nothing] {
            assert!(short.shortfall().is_some(), "{short:?}");
        }
    }

    #[test]
    fn one_bad_round_spoils_the_median() {
        let good = measured().point();
        let bad = Measured { delivered: 19, ..measured() }.point();
        assert_eq!(median_point(&[good.clone(), good.clone()]).shortfall, None);
        assert!(median_point(&[good.clone(), bad, good]).shortfall.is_some());
    }

    #[test]
    fn percentiles_are_taken_from_the_values_themselves() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(101));
        assert_eq!(percentile(&times, 99), Duration::from_millis(199));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0])), (2.0, 2.5));
    }
}
