//! A day of searches: each country asks most at noon by its own clock, and little at night. Pure.
//!
//! ```text
//!   rate of a country, x days from its noon:   exp(k (cos 2πx - 1)), so that its mean is its share
//!   rate of the whole:                         their sum; k is such that its busiest moment is the peak
//! ```
//!
//! No such curve is published; that of a whole day with one hill is assumed. Noons lie apart, so that each country's hill is
//! steeper than that of the whole.

use std::time::Duration;

/// Into so many pieces the day is cut.
const PIECES: usize = 1000;

/// The steepest hill that is looked for, and how often the search for it is halved.
const STEEPEST: f64 = 400.0;
const HALVED: u32 = 60;

/// Whoever asks, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// Its part of all searches.
    pub(super) share: f64,
    /// How far its clock is ahead of UTC, in hours.
    pub(super) ahead: i32,
}

/// The rates of a day that begins at midnight UTC, as multiples of the mean of the whole.
#[derive(Clone, Debug)]
pub(super) struct Day {
    /// Piece by piece, for each asker.
    rates: Vec<Vec<f64>>,
    wholes: Vec<f64>,
}

impl Day {
    /// A day whose busiest moment has so many times the mean.
    pub(super) fn new(askers: &[Asker], peak: f64) -> Self {
        let (mut flat, mut steep) = (0.0, STEEPEST);
        for _ in 0..HALVED {
            let between = f64::midpoint(flat, steep);
            if Self::with(askers, between).peak() < peak { flat = between } else { steep = between }
        }
        Self::with(askers, steep)
    }

    fn with(askers: &[Asker], steepness: f64) -> Self {
        let moment = |piece: usize| (piece as f64 + 0.5) / PIECES as f64;
        let hill = |from_noon: f64| (steepness * ((from_noon * std::f64::consts::TAU).cos() - 1.0)).exp();
        let mean = (0..PIECES).map(|piece| hill(moment(piece))).sum::<f64>() / PIECES as f64;
        let rate = |asker: &Asker, piece: usize| {
            let noon = f64::from(12 - asker.ahead) / 24.0;
            asker.share * hill(moment(piece) - noon) / mean
        };
        let of_piece = |piece| askers.iter().map(|asker| rate(asker, piece)).collect::<Vec<f64>>();
        let rates: Vec<Vec<f64>> = (0..PIECES).map(of_piece).collect();
        let wholes = rates.iter().map(|rates| rates.iter().sum()).collect();
        Self { rates, wholes }
    }

    fn peak(&self) -> f64 {
        self.wholes.iter().copied().fold(0.0, f64::max)
    }

    /// When each of so many searches comes, the first one first, in a day that is pressed into so many seconds.
    pub(super) fn due(&self, seconds: u64, searches: u32) -> Vec<Duration> {
        let all: f64 = self.wholes.iter().sum();
        let (mut due, mut piece, mut before) = (Vec::with_capacity(searches as usize), 0, 0.0);
        for nth in 0..searches {
            let wanted = (f64::from(nth) + 0.5) / f64::from(searches) * all;
            while piece + 1 < PIECES && before + self.wholes[piece] < wanted {
                before += self.wholes[piece];
                piece += 1;
            }
            let within = ((wanted - before) / self.wholes[piece]).clamp(0.0, 1.0);
            let at = (piece as f64 + within) / PIECES as f64;
            due.push(Duration::from_secs(seconds).mul_f64(at));
        }
        due
    }

    /// Who asks at this moment of such a day; `chance` is from 0 up to 1.
    pub(super) fn asker(&self, at: Duration, seconds: u64, chance: f64) -> usize {
        let piece = (at.as_secs_f64() / seconds.max(1) as f64 * PIECES as f64) as usize;
        let piece = piece.min(PIECES - 1);
        let mut left = chance * self.wholes[piece];
        let asks = |rate: &f64| {
            left -= rate;
            left < 0.0
        };
        self.rates[piece].iter().position(asks).unwrap_or_else(|| self.rates[piece].len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(share: f64, ahead: i32) -> Asker {
        Asker { share, ahead }
    }

    #[test]
    fn one_country_alone_has_its_peak_at_its_noon_and_its_mean_on_the_whole() {
        for (ahead, noon) in [(0, 50), (6, 25), (-6, 75)] {
            let due = Day::new(&[asker(1.0, ahead)], 4.0).due(100, 20_000);
            let in_second = |second: u64| due.iter().filter(|due| due.as_secs() == second).count();
            assert!(due.is_sorted() && due.len() == 20_000 && due[19_999] < Duration::from_secs(100));
            // Two hundred a second are the mean: eight hundred at noon, and at midnight next to nothing.
            assert!((790..=800).contains(&in_second(noon)), "{}", in_second(noon));
            assert!(in_second((noon + 50) % 100) < 5);
            assert!(
                in_second(noon - 10).abs_diff(in_second(noon + 9)) <= 1,
                "the evening is like the morning"
            );
        }
    }

    #[test]
    fn countries_whose_noons_lie_apart_ask_one_behind_the_other_and_the_whole_has_its_peak() {
        // Two thirds at 6 and a third at 18 o'clock UTC: the whole is busiest at 6.
        let day = Day::new(&[asker(2.0 / 3.0, 6), asker(1.0 / 3.0, -6)], 4.0);
        assert!((day.peak() - 4.0).abs() < 0.01, "{}", day.peak());
        let busiest = (0..PIECES).max_by(|a, b| day.wholes[*a].total_cmp(&day.wholes[*b])).unwrap();
        assert!((245..255).contains(&busiest), "{busiest}");
        // Each at its noon asks alone; in between the one follows the other.
        let at = |part: u64, chance| day.asker(Duration::from_secs(part), 100, chance);
        assert_eq!((at(25, 0.0), at(25, 0.99), at(75, 0.01), at(75, 0.99)), (0, 0, 1, 1));
        // All of the day: two thirds of it are the first one's.
        let first: f64 = day.rates.iter().map(|rates| rates[0]).sum();
        assert!((first / PIECES as f64 - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn without_a_peak_a_day_is_even() {
        let due = Day::new(&[asker(1.0, 3)], 1.0).due(10, 1000);
        assert_eq!(due.iter().filter(|due| due.as_secs() == 3).count(), 100);
    }
}
