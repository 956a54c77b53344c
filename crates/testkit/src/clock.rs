//! The clock of a world: it goes as the operating system's, and a story can set it ahead. It never goes back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use i247_model::Timestamp;
use i247_node::{Clock, SystemClock};
use tokio::sync::watch;

/// A clock that can be set ahead, wall clock and monotonic time together: for those who read it, time has passed.
#[derive(Debug)]
pub(crate) struct TestClock {
    system: SystemClock,
    ahead_ms: AtomicU64,
    leaps: watch::Sender<()>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { system: SystemClock::new(), ahead_ms: AtomicU64::new(0), leaps: watch::Sender::new(()) }
    }

    /// So much time passes now; whoever waits for a moment of this clock looks again.
    pub(crate) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
        self.leaps.send_replace(());
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.system.now().plus(self.ahead())
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic() + self.ahead()
    }

    fn leaps(&self) -> Option<watch::Receiver<()>> {
        Some(self.leaps.subscribe())
    }
}
