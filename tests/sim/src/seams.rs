//! The seams of a simulated node: its clock, and how long the disk takes. Dice and disk are the product's own test
//! doubles. It must not decide what goes wrong, only let it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use i247_ledger::Blocking;
use i247_ledger::disk::Disk;
use i247_model::Timestamp;
use i247_node::{Clock, Dice, Seams, SeededDice};

use crate::lines::SimNetwork;

/// When every simulation begins: 1 March 2030, 00:00 UTC, in seconds since 1970.
pub(crate) const BEGIN: Duration = Duration::from_secs(1_898_553_600);

/// The clock of one machine: simulated time, and what it is wrong by. Clones show the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimClock(Arc<Hands>);

#[derive(Debug, Default)]
struct Hands {
    wrong_by_ms: AtomicI64,
    /// The wall clock stands still.
    stopped: AtomicBool,
    /// Destructors look at the clock when the simulation is over.
    last_ms: AtomicU64,
}

impl SimClock {
    /// Sets what the wall clock is wrong by.
    pub(crate) fn set_wrong_by(&self, ms: i64) {
        self.0.wrong_by_ms.store(ms, Ordering::Relaxed);
    }

    /// Stops the wall clock.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }

    fn true_ms(&self) -> u64 {
        match turmoil::since_epoch() {
            Some(since) => {
                let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
                self.0.last_ms.store(now, Ordering::Relaxed);
                now
            }
            None => self.0.last_ms.load(Ordering::Relaxed),
        }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        if self.0.stopped.load(Ordering::Relaxed) {
            return Timestamp::from_millis(0).plus(BEGIN);
        }
        Timestamp::from_millis(
            self.true_ms().saturating_add_signed(self.0.wrong_by_ms.load(Ordering::Relaxed)),
        )
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.true_ms()).saturating_sub(BEGIN)
    }
}

/// How long a disk that is well takes at most, in milliseconds. While a group is written, the next one is decided.
const WELL_MS: u64 = 10;

/// Where work that waits for the disk runs: in a task that waits as long as the disk takes. Clones are equally slow.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimBlocking {
    slowest_ms: Arc<AtomicU64>,
    dice: Option<Arc<SeededDice>>,
}

impl SimBlocking {
    /// Sets how long a job waits at most; 0: as long as on a disk that is well.
    pub(crate) fn set_slowest(&self, ms: u64) {
        self.slowest_ms.store(ms, Ordering::Relaxed);
    }
}

impl Blocking for SimBlocking {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        let slowest = self.slowest_ms.load(Ordering::Relaxed).max(WELL_MS);
        let wait = self.dice.as_ref().map_or(0, |dice| dice.below(slowest + 1));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if wait > 0 => {
                // A crash drops it unrun, as it ends a thread before its work is done.
                drop(runtime.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    job();
                }));
            }
            _ => job(),
        }
    }
}

/// The seams of one boot of a machine.
pub(crate) fn seams(
    clock: &SimClock,
    network: &SimNetwork,
    disk: Arc<dyn Disk>,
    blocking: &SimBlocking,
    luck: u64,
) -> Seams {
    let blocking = SimBlocking { dice: Some(Arc::new(SeededDice::new(!luck))), ..blocking.clone() };
    Seams {
        clock: Arc::new(clock.clone()),
        dice: Arc::new(SeededDice::new(luck)),
        network: Arc::new(network.clone()),
        disk,
        blocking: Arc::new(blocking),
    }
}
