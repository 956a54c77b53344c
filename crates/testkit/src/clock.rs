//! The clock of a world: it goes as the operating system's, and a story can set it ahead. It never goes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use i247_model::Timestamp;
use i247_node::{Clock, SystemClock};
use tokio::sync::watch;

/// A clock that can be set ahead, wall clock and monotonic time together: for those who read it, time has passed.
#[derive(Debug)]
pub(crate) struct TestClock {
    shared: Arc<Shared>,
    /// How wrong this one is.
    wrong_by: Duration,
}

/// What all clocks of a world have in common.
#[derive(Debug)]
struct Shared {
    system: SystemClock,
    ahead_ms: AtomicU64,
    leaps: watch::Sender<()>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        let system = SystemClock::new();
        let shared = Shared { system, ahead_ms: AtomicU64::new(0), leaps: watch::Sender::new(()) };
        Self { shared: Arc::new(shared), wrong_by: Duration::ZERO }
    }

    /// A clock that is set with this one, and wrong.
    pub(crate) fn ahead_by(&self, wrong_by: Duration) -> Self {
        Self { shared: self.shared.clone(), wrong_by }
    }

    /// So much time passes now; whoever waits for a moment of this clock looks again.
    pub(crate) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.shared.ahead_ms.fetch_add(ms, Ordering::SeqCst);
        self.shared.leaps.send_replace(());
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.shared.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.shared.system.now().plus(self.ahead()).plus(self.wrong_by)
    }

    fn monotonic(&self) -> Duration {
        self.shared.system.monotonic() + self.ahead()
    }

    fn leaps(&self) -> Option<watch::Receiver<()>> {
        Some(self.shared.leaps.subscribe())
    }
}
