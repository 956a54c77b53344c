//! Everything that a node takes from outside, in one hand, given at the composition root.

use std::sync::Arc;

use i247_ledger::disk::{Disk, OsDisk};
use i247_ledger::{Blocking, OnThreads};

use crate::{Clock, Dice, Network, SystemClock, SystemDice, TcpNetwork};

/// What a node takes from outside, so that a test or a simulator can hand in others.
#[derive(Clone, Debug)]
pub struct Seams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance: salts, jitter.
    pub dice: Arc<dyn Dice>,
    /// Connections.
    pub network: Arc<dyn Network>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Where work that waits for the disk runs.
    pub blocking: Arc<dyn Blocking>,
}

impl Seams {
    /// Those of the operating system.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            dice: Arc::new(SystemDice::new()),
            network: Arc::new(TcpNetwork),
            disk: Arc::new(OsDisk),
            blocking: Arc::new(OnThreads),
        }
    }
}
