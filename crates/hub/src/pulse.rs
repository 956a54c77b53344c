//! How the sequencer is doing, for those who look after the hub: how long the last writes of the log took, and whether
//! its clock is believed. One small write a group.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Of so many writes the time is kept.
const KEPT: usize = 512;

/// Fewer say nothing of one in a hundred.
const ENOUGH: usize = 50;

/// What the sequencer tells.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    appends: Mutex<VecDeque<Duration>>,
    astray: AtomicBool,
}

impl Pulse {
    /// A group was written in so much time.
    pub(crate) fn appended(&self, took: Duration) {
        let mut appends = self.appends.lock().unwrap_or_else(PoisonError::into_inner);
        if appends.len() == KEPT {
            appends.pop_front();
        }
        appends.push_back(took);
    }

    /// Ninety-nine of a hundred of the last writes took at most so long; none while there were too few.
    pub(crate) fn append_p99(&self) -> Option<Duration> {
        let appends = self.appends.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times: Vec<Duration> = appends.iter().copied().collect();
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
        let ms = Duration::from_millis;
        (0..99).for_each(|_| pulse.appended(ms(1)));
        pulse.appended(ms(80));
        assert_eq!(pulse.append_p99(), Some(ms(1)));
        pulse.appended(ms(80));
        assert_eq!(pulse.append_p99(), Some(ms(80)));
        (0..KEPT).for_each(|_| pulse.appended(ms(2)));
        assert_eq!(pulse.append_p99(), Some(ms(2)), "what is long past does not count");
        assert_eq!(Pulse::default().append_p99(), None);
    }
}
