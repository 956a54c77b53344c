//! What came second by second, and when it was as quick as before. Pure.

use std::time::Duration;

use crate::flight::Sample;
use crate::measure::percentile;

const SECOND: Duration = Duration::from_secs(1);

/// One second: what came in it, and how long that had taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Second {
    pub(crate) deliveries: usize,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// The whole seconds between two moments.
pub(crate) fn seconds<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
    from: Duration,
    until: Duration,
) -> Vec<Second> {
    let count = until.saturating_sub(from).as_secs();
    let mut by_second: Vec<Vec<Duration>> = (0..count).map(|_| Vec::new()).collect();
    for sample in samples {
        let Some(since) = sample.at.checked_sub(from) else { continue };
        let second = usize::try_from(since.as_secs()).ok().and_then(|second| by_second.get_mut(second));
        if let Some(second) = second {
            second.push(sample.took);
        }
    }
    let second = |mut took: Vec<Duration>| {
        took.sort_unstable();
        Second { deliveries: took.len(), p50: percentile(&took, 50), p99: percentile(&took, 99) }
    };
    by_second.into_iter().map(second).collect()
}

/// How long until a second was over of which the p99 kept within the bound; none when there was no such second.
/// A second in which nothing came is none.
pub(crate) fn back_after(seconds: &[Second], bound: Duration) -> Option<Duration> {
    let back = seconds.iter().position(|second| second.deliveries > 0 && second.p99 <= bound)?;
    Some(SECOND * u32::try_from(back + 1).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, took_ms: u64) -> Sample {
        Sample { sender: 0, at: Duration::from_millis(at_ms), took: Duration::from_millis(took_ms) }
    }

    #[test]
    fn what_came_is_counted_in_the_second_in_which_it_came() {
        let samples = [sample(900, 1), sample(1000, 2), sample(1999, 4), sample(2500, 8), sample(3000, 16)];
        let seconds = seconds(&samples, Duration::from_secs(1), Duration::from_millis(3900));
        let found: Vec<(usize, u128)> =
            seconds.iter().map(|second| (second.deliveries, second.p99.as_millis())).collect();
        assert_eq!(found, [(2, 4), (1, 8)]);
    }

    #[test]
    fn it_is_back_when_a_second_was_quick_and_not_when_nothing_came() {
        let second =
            |deliveries, p99| Second { deliveries, p50: Duration::ZERO, p99: Duration::from_millis(p99) };
        let bound = Duration::from_millis(20);
        let slow_then_quick = [second(9, 300), second(0, 0), second(9, 20), second(9, 1)];
        assert_eq!(back_after(&slow_then_quick, bound), Some(Duration::from_secs(3)));
        assert_eq!(back_after(&slow_then_quick[..2], bound), None);
    }
}
