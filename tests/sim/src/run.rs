//! One seed: the network, its faults, then quiet, and what must hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use i247_trust::sha256;

use crate::check::{check, unfinished};
use crate::faults::Breaker;
use crate::logs::Heard;
use crate::network::{Fault, Network};
use crate::officer::Phase;
use crate::plants::Plant;
use crate::record::{Record, Shared, Violation};
use crate::stall;

/// How long work goes on.
pub(crate) const BUSY: Duration = Duration::from_secs(20);

/// How long everything may take to arrive once the faults have stopped.
const LIVE_WITHIN: Duration = Duration::from_secs(60);

/// How long it goes on then, for whoever was revoked and has perhaps come back: longer than a handshake may take.
const LINGER: Duration = Duration::from_secs(8);

/// What became of a seed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) violations: Vec<Violation>,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) history: Vec<String>,
    pub(crate) simulated: Duration,
}

impl Outcome {
    /// A seed that could not be played to its end, and what had happened until then.
    pub(crate) fn broken_off(mut record: Record, text: &str) -> Self {
        record.broken("no panic", "", text.to_owned());
        Self::of(record, Duration::ZERO)
    }

    fn of(record: Record, simulated: Duration) -> Self {
        Self { violations: record.violations, counts: record.counts, history: record.history, simulated }
    }

    /// The same for the same history.
    pub(crate) fn digest(&self) -> String {
        let lines: Vec<&[u8]> = self.history.iter().flat_map(|line| [line.as_bytes(), b"\n"]).collect();
        sha256(&lines).to_string()
    }
}

/// Plays a seed to its end, into this record.
pub(crate) fn run(
    seed: u64,
    dir: &Path,
    plant: Plant,
    heard: &Heard,
    record: &Shared,
) -> Result<Outcome, Fault> {
    let mut network = Network::new(seed, dir, plant, record)?;
    let mut breaker = Breaker::new(seed, &network, heard);
    while network.now() < BUSY {
        breaker.step(&mut network);
        network.sim.step()?;
    }
    network.phase.set(Phase::Ending);
    breaker.heal(&mut network);
    let mut quiet = becomes_quiet(&mut network, &mut breaker)?;
    if quiet {
        stall::play(&mut network, &mut breaker, seed)?;
        quiet = becomes_quiet(&mut network, &mut breaker)?;
    }
    let lingers = quiet && !network.record.borrow().revoked.is_empty();
    let ends = network.now() + if lingers { LINGER } else { Duration::ZERO };
    while network.now() < ends {
        breaker.watch(&mut network);
        network.sim.step()?;
    }
    let simulated = network.now();
    let mut record = network.record.take();
    record.hub_unwell = breaker.hub_unwell();
    record.astray = breaker.astray(&network);
    if quiet {
        check(&mut record, simulated);
    } else {
        for (message, text) in unfinished(&record) {
            record.broken("everything arrives", &message, text);
        }
    }
    // The simulation goes first, and nothing may be written behind its back.
    for machine in network.bureaus.iter().chain([&network.hub]) {
        drop(machine.disk.borrow().kill());
    }
    Ok(Outcome::of(record, simulated))
}

/// Whether everything has arrived in time now that nothing goes wrong.
fn becomes_quiet(network: &mut Network, breaker: &mut Breaker) -> Result<bool, Fault> {
    let ends = network.now() + LIVE_WITHIN;
    let mut quiet = false;
    while !quiet && network.now() < ends {
        for _ in 0..100 {
            breaker.watch(network);
            network.sim.step()?;
        }
        quiet = unfinished(&network.record.borrow()).is_empty();
    }
    Ok(quiet)
}
