//! The hub's stamps: one clock for all entries, which never goes back. It must not ask the time itself.
//!
//! Order in the log is the position and nothing else; the stamp is what deadlines count by. A wall clock that
//! lies well behind the last stamp, or has jumped ahead of the monotonic clock, is not believed: the stamps then go on
//! with monotonic time, and say so. For one that is a little behind, as after it was set right, they stand still.

use std::time::Duration;

use i247_model::Timestamp;

/// How far the wall clock may run ahead of monotonic time before it is not believed.
const LEAP_MAX: Duration = Duration::from_secs(60);

/// How far it may lie behind the last stamp: two clocks never go alike, and one that was set right must be believed again.
const LAG_MAX: Duration = Duration::from_secs(1);

/// Makes stamps from two readings of the clock.
#[derive(Debug)]
pub(crate) struct Stamps {
    last: Timestamp,
    last_monotonic: Option<Duration>,
    astray: bool,
}

impl Stamps {
    /// Continues behind the last stamp of the log.
    pub(crate) fn after(last: Timestamp) -> Self {
        Self { last, last_monotonic: None, astray: false }
    }

    /// The stamp for now.
    ///
    /// The first stamp after a start believes the wall clock, since monotonic time does not span a restart.
    pub(crate) fn stamp(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let expected = match self.last_monotonic {
            Some(before) => self.last.plus(monotonic.saturating_sub(before)),
            None => self.last.max(wall),
        };
        self.astray = wall.plus(LAG_MAX) < self.last || wall > expected.plus(LEAP_MAX);
        let stamp = if self.astray { expected } else { wall.max(self.last) };
        self.last = stamp;
        self.last_monotonic = Some(monotonic);
        stamp
    }

    /// Whether the wall clock was not believed at the last stamp: the operator must set it right.
    pub(crate) fn astray(&self) -> bool {
        self.astray
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_right_clock_is_followed() {
        let mut stamps = Stamps::after(START);
        assert_eq!(stamps.stamp(START.plus(seconds(1)), seconds(100)), START.plus(seconds(1)));
        assert_eq!(stamps.stamp(START.plus(seconds(3)), seconds(102)), START.plus(seconds(3)));
        assert!(!stamps.astray());
    }

    #[test]
    fn a_clock_that_goes_back_is_not_believed() {
        let mut stamps = Stamps::after(START);
        stamps.stamp(START.plus(seconds(10)), seconds(100));
        assert_eq!(stamps.stamp(START, seconds(101)), START.plus(seconds(11)));
        assert!(stamps.astray());
    }

    #[test]
    fn a_clock_that_leaps_ahead_is_not_believed() {
        let mut stamps = Stamps::after(START);
        stamps.stamp(START.plus(seconds(10)), seconds(100));
        assert_eq!(stamps.stamp(START.plus(seconds(3600)), seconds(101)), START.plus(seconds(11)));
        assert!(stamps.astray());
        assert_eq!(stamps.stamp(START.plus(seconds(12)), seconds(102)), START.plus(seconds(12)));
        assert!(!stamps.astray());
    }

    #[test]
    fn a_clock_that_is_set_right_a_little_late_is_believed_and_the_stamps_stand_still() {
        let mut stamps = Stamps::after(START);
        stamps.stamp(START.plus(seconds(10)), seconds(100));
        assert_eq!(stamps.stamp(START.plus(seconds(3600)), seconds(105)), START.plus(seconds(15)));
        assert_eq!(stamps.stamp(START.plus(seconds(14)), seconds(105)), START.plus(seconds(15)));
        assert!(!stamps.astray());
        let early = START.plus(Duration::from_millis(13_999));
        assert_eq!(stamps.stamp(early, seconds(105)), START.plus(seconds(15)));
        assert!(stamps.astray(), "more than a second behind");
    }

    #[test]
    fn a_start_behind_the_log_waits_for_the_clock() {
        let mut stamps = Stamps::after(START);
        assert_eq!(stamps.stamp(Timestamp::from_millis(5), seconds(1)), START);
        assert!(stamps.astray());
    }
}
