//! What time it is, and how long something takes. Nobody else asks the operating system.
//!
//! Waiting is `tokio::time`, whose clock a simulator replaces; the wall clock is handed in as a [`Clock`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use i247_model::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use tokio::sync::watch;

/// The time, handed in at the composition root.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The wall clock. It may jump either way.
    fn now(&self) -> Timestamp;

    /// Time since this clock was made. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Changes whenever somebody has set this clock, so that who waits for a moment looks again at once. Without it
    /// nobody is told: the operating system's clock is set behind our back.
    fn leaps(&self) -> Option<watch::Receiver<()>> {
        None
    }
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

/// Waits so long by the monotonic time of `clock`: less where that leaps ahead.
pub async fn sleep_on(clock: &dyn Clock, time: Duration) {
    let mut leaps = clock.leaps();
    let end = clock.monotonic().saturating_add(time);
    loop {
        let left = end.saturating_sub(clock.monotonic());
        if left.is_zero() || !leapt_within(left, leaps.as_mut()).await {
            return;
        }
    }
}

/// Waits until the wall clock has reached `moment`, also when that clock is set in between: it looks at every leap
/// that is told, and once a minute.
pub async fn sleep_until(clock: &dyn Clock, moment: Timestamp) {
    const LOOK: Duration = Duration::from_secs(60);
    let mut leaps = clock.leaps();
    loop {
        let left = moment.since(clock.now());
        if left.is_zero() {
            return;
        }
        leapt_within(left.min(LOOK), leaps.as_mut()).await;
    }
}

/// Waits so long, or until the next leap: then it is true.
async fn leapt_within(time: Duration, leaps: Option<&mut watch::Receiver<()>>) -> bool {
    let leap = async {
        let told = match leaps {
            Some(leaps) => leaps.changed().await.is_ok(),
            None => false,
        };
        if !told {
            // Nobody tells, or nobody can set the clock any more.
            std::future::pending::<()>().await;
        }
    };
    tokio::time::timeout(time, leap).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that stands still until it is set.
    #[derive(Debug, Default)]
    struct SetByHand {
        seconds: AtomicU64,
        leaps: watch::Sender<()>,
    }

    impl SetByHand {
        fn set(&self, seconds: u64) {
            self.seconds.store(seconds, Ordering::Relaxed);
            self.leaps.send_replace(());
        }
    }

    impl Clock for SetByHand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0).plus(self.monotonic())
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.seconds.load(Ordering::Relaxed))
        }

        fn leaps(&self) -> Option<watch::Receiver<()>> {
            Some(self.leaps.subscribe())
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_moment_is_woken_when_the_clock_is_set_to_it() {
        let clock = SetByHand::default();
        let until = sleep_until(&clock, Timestamp::from_millis(3_000_000));
        let so_long = sleep_on(&clock, Duration::from_secs(2000));
        let setting = async {
            clock.set(1999);
            tokio::task::yield_now().await;
            clock.set(3000);
        };
        tokio::join!(until, so_long, setting);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_on_a_clock_that_nobody_sets_lasts_as_long_as_it_was_asked() {
        let clock = SystemClock::new();
        let wait = sleep_on(&clock, Duration::from_secs(5));
        tokio::pin!(wait);
        assert!(tokio::time::timeout(Duration::from_secs(4), &mut wait).await.is_err());
        tokio::time::timeout(Duration::from_secs(2), wait).await.unwrap();
    }

    #[test]
    fn the_system_clock_is_past_2025_and_monotonic_time_does_not_go_back() {
        let clock = SystemClock::new();
        assert!(clock.now() > Timestamp::from_millis(1_735_689_600_000));
        let earlier = clock.monotonic();
        assert!(clock.monotonic() >= earlier);
    }
}
