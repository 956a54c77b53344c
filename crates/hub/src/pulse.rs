//! How the sequencer is doing, for those who must not wait for it: how far the views are, how long the last writes of the
//! log took, and whether its clock is believed. A few small writes a group.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Of so many writes the time is kept.
const KEPT: usize = 512;

/// What is older does not count: a disk that was slow when it was last used need not be now.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// Fewer say nothing of one in a hundred.
const ENOUGH: usize = 50;

/// What the sequencer tells.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// When each began, and how long it took.
    appends: Mutex<VecDeque<(Duration, Duration)>>,
    astray: AtomicBool,
    applied: AtomicU64,
}

impl Pulse {
    /// The views have all entries up to this position.
    pub(crate) fn set_applied(&self, position: u64) {
        self.applied.store(position, Ordering::Release);
    }

    /// The last entry in the views.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// A group was written in so much time, from this moment of monotonic time on.
    pub(crate) fn appended(&self, begun: Duration, took: Duration) {
        let mut appends = self.appends.lock().unwrap_or_else(PoisonError::into_inner);
        if appends.len() == KEPT {
            appends.pop_front();
        }
        appends.push_back((begun, took));
    }

    /// Ninety-nine of a hundred of the last writes took at most so long; none where there were too few of late.
    pub(crate) fn append_p99(&self, now: Duration) -> Option<Duration> {
        let appends = self.appends.lock().unwrap_or_else(PoisonError::into_inner);
        let late = appends.iter().filter(|(begun, _)| now.saturating_sub(*begun) <= KEPT_FOR);
        let mut times: Vec<Duration> = late.map(|(_, took)| *took).collect();
        drop(appends);
        times.sort_unstable();
        (times.len() >= ENOUGH).then(|| times[(times.len() * 99).div_ceil(100) - 1])
    }

    pub(crate) fn set_astray(&self, astray: bool) {
        self.astray.store(astray, Ordering::Relaxed);
    }

    /// Whether the wall clock is not believed.
    pub(crate) fn is_astray(&self) -> bool {
        self.astray.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_write_of_a_hundred_does_not_count_and_two_do() {
        let pulse = Pulse::default();
        let (ms, now) = (Duration::from_millis, Duration::from_secs(1000));
        (0..99).for_each(|_| pulse.appended(now, ms(1)));
        pulse.appended(now, ms(80));
        assert_eq!(pulse.append_p99(now), Some(ms(1)));
        pulse.appended(now, ms(80));
        assert_eq!(pulse.append_p99(now), Some(ms(80)));
        (0..KEPT).for_each(|_| pulse.appended(now, ms(2)));
        assert_eq!(pulse.append_p99(now), Some(ms(2)), "there were many since");
        assert_eq!(Pulse::default().append_p99(now), None);
    }

    #[test]
    fn what_is_long_past_does_not_count() {
        let (pulse, now) = (Pulse::default(), Duration::from_secs(1000));
        (0..ENOUGH).for_each(|_| pulse.appended(now, Duration::from_millis(80)));
        assert_eq!(pulse.append_p99(now + KEPT_FOR), Some(Duration::from_millis(80)));
        assert_eq!(pulse.append_p99(now + KEPT_FOR + Duration::from_millis(1)), None);
    }
}
