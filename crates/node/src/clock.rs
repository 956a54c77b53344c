//! What time it is, and how long something takes. Nobody else asks the operating system.
//!
//! Waiting is `tokio::time`, whose clock a simulator replaces; the wall clock is handed in as a [`Clock`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use i247_model::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// The time, handed in at the composition root.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The wall clock. It may jump either way.
    fn now(&self) -> Timestamp;

    /// Time since this clock was made. It never goes back.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system")]
    #[expect(clippy::new_without_default, reason = "reading the clock is not a default value")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 reads as 1970: every certificate is then not yet in force, and nothing is accepted.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(0).plus(since_1970)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A [`Clock`] as rustls asks for it, so that certificates are judged by the same time as messages.
#[derive(Debug, Clone)]
pub struct TlsClock(pub Arc<dyn Clock>);

impl TimeProvider for TlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().as_millis())))
    }
}

/// Waits so long.
pub async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits until the wall clock has reached `moment`, also when that clock is set in between: it looks once a minute.
pub async fn sleep_until(clock: &dyn Clock, moment: Timestamp) {
    const LOOK: Duration = Duration::from_secs(60);
    loop {
        let left = moment.since(clock.now());
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_is_past_2025_and_monotonic_time_does_not_go_back() {
        let clock = SystemClock::new();
        assert!(clock.now() > Timestamp::from_millis(1_735_689_600_000));
        let earlier = clock.monotonic();
        assert!(clock.monotonic() >= earlier);
    }
}
