//! The clock of a world: it goes as the operating system's, and a story can set it ahead. It never goes back; the wall
//! clock of one node may be wrong, and be set right.

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
    /// How far the wall clock of this one is ahead of the others, and of its own monotonic time.
    wrong_by_ms: AtomicU64,
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
        Self { shared: Arc::new(shared), wrong_by_ms: AtomicU64::new(0) }
    }

    /// A clock that is set with this one, and wrong.
    pub(crate) fn ahead_by(&self, wrong_by: Duration) -> Self {
        let clock = Self { shared: self.shared.clone(), wrong_by_ms: AtomicU64::new(0) };
        clock.set_ahead(wrong_by);
        clock
    }

    /// Sets the wall clock of this one alone so far ahead; zero sets it right.
    pub(crate) fn set_ahead(&self, wrong_by: Duration) {
        self.wrong_by_ms.store(millis(wrong_by), Ordering::SeqCst);
        self.shared.leaps.send_replace(());
    }

    /// So much time passes now; whoever waits for a moment of this clock looks again.
    pub(crate) fn advance(&self, by: Duration) {
        self.shared.ahead_ms.fetch_add(millis(by), Ordering::SeqCst);
        self.shared.leaps.send_replace(());
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.shared.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let wrong_by = Duration::from_millis(self.wrong_by_ms.load(Ordering::SeqCst));
        self.shared.system.now().plus(self.ahead()).plus(wrong_by)
    }

    fn monotonic(&self) -> Duration {
        self.shared.system.monotonic() + self.ahead()
    }

    fn leaps(&self) -> Option<watch::Receiver<()>> {
        Some(self.shared.leaps.subscribe())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
