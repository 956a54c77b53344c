//! When the faults are over: one country stands still and another floods it. The rest must not notice.

use std::time::Duration;

use i247_ledger::faults::Dice;
use i247_model::CountryCode;

use crate::faults::Breaker;
use crate::network::{Fault, Network};
use crate::officer::Phase;

/// So many seeds have one that it comes in.
const ONE_IN: u64 = 3;

/// By then whoever was reinstated is back, and nobody takes a line for good on which something was lost: pings go every five
/// seconds and are answered within five.
const SETTLES: Duration = Duration::from_secs(12);

/// How long the country stands still: long enough that all that the hub has room for is full, and for some more; short
/// enough that nobody takes its line for broken.
const LASTS: Duration = Duration::from_secs(7);

/// Who stands still, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stall {
    /// Nothing comes to it, and nothing from it.
    pub(crate) country: CountryCode,
    /// Writes to it as much as it can.
    pub(crate) flooder: CountryCode,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

impl Stall {
    /// Whether a country is neither of the two.
    pub(crate) fn spares(&self, country: CountryCode) -> bool {
        country != self.country && country != self.flooder
    }
}

/// Plays it, if the seed has one and three countries are there for it.
pub(crate) fn play(network: &mut Network, breaker: &mut Breaker, seed: u64) -> Result<(), Fault> {
    let mut dice = Dice::new(seed.rotate_left(32));
    if !dice.one_in(ONE_IN) {
        return Ok(());
    }
    go_on(network, breaker, SETTLES)?;
    let mut there = linked(network);
    if there.len() < 3 {
        return Ok(());
    }
    let mut draw = || there.remove(usize::try_from(dice.below(there.len() as u64)).unwrap_or(0));
    let (country, flooder) = (draw(), draw());
    let from = network.now();
    let stall = Stall { country, flooder, from, until: from + LASTS };
    let name = country.to_lowercase();
    let dead = dice.one_in(2);
    if dead {
        network.sim.partition("hub", name.as_str());
    } else {
        network.sim.hold("hub", name.as_str());
    }
    {
        let mut record = network.record.borrow_mut();
        record.note(from, format!("* {country} stands still, and {flooder} floods it; dead: {dead}"));
        record.count("a country stands still");
        record.stall = Some(stall);
    }
    network.phase.set(Phase::Beside(stall));
    go_on(network, breaker, LASTS)?;
    network.phase.set(Phase::Ending);
    if dead {
        network.sim.repair("hub", name.as_str());
    } else {
        network.sim.release("hub", name.as_str());
    }
    network.record.borrow_mut().note(network.now(), format!("* {country} goes on"));
    Ok(())
}

fn go_on(network: &mut Network, breaker: &mut Breaker, time: Duration) -> Result<(), Fault> {
    let ends = network.now() + time;
    while network.now() < ends {
        breaker.watch(network);
        network.sim.step()?;
    }
    Ok(())
}

/// Countries that take part.
fn linked(network: &Network) -> Vec<CountryCode> {
    let record = network.record.borrow();
    network.countries.iter().copied().filter(|country| record.takes_part(*country)).collect()
}
