//! The numbers of one sender that calls and does not wait: which may go now, and which go again. Pure.
//!
//! New numbers go as they are due, in order, also while refused ones wait for the time that the hub named: that is the
//! open loop. A refused number goes again when its time has come, the lowest first. A lane is in order, so what gets past
//! a refused number is refused too, and goes again at its own time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Numbers that one sender has called and that are not accepted, at most: as many as the hub serves on a connection, and
/// half as many that were refused.
pub(crate) const OPEN_MAX: usize = 96;

/// When a refusal names no time: the generator's own pause, so that it does not spin.
const OWN_PAUSE: Duration = Duration::from_millis(100);

/// Numbers from 1 of a run, by what became of them.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// The highest that ever went.
    sent: u64,
    under_way: BTreeSet<u64>,
    /// Refused, or not known; they go again, not before this.
    again: BTreeMap<u64, Duration>,
    accepted: u64,
}

/// What may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Offer {
    /// This number, for the first time or again.
    Number(u64),
    /// Nothing: as many are open as may be, and the hub asked to wait with those that it refused.
    HeldBack,
    /// Nothing: so many are under way.
    Full,
}

impl Chain {
    /// What may go now; it is under way then.
    pub(crate) fn offer(&mut self, now: Duration) -> Offer {
        let again = self.again.first_key_value().filter(|(_, not_before)| **not_before <= now);
        let number = match again.map(|(number, _)| *number) {
            Some(number) => {
                self.again.remove(&number);
                number
            }
            None if self.under_way.len() >= OPEN_MAX => return Offer::Full,
            None if self.under_way.len() + self.again.len() >= OPEN_MAX => return Offer::HeldBack,
            None => {
                self.sent += 1;
                self.sent
            }
        };
        self.under_way.insert(number);
        Offer::Number(number)
    }

    /// The hub has it.
    pub(crate) fn accepted(&mut self, number: u64) {
        if self.under_way.remove(&number) {
            self.accepted += 1;
        }
    }

    /// The hub does not have it, or nobody knows. `wait`: as the hub says.
    pub(crate) fn refused(&mut self, number: u64, wait: Option<Duration>, now: Duration) {
        if self.under_way.remove(&number) {
            self.again.insert(number, now + wait.unwrap_or(OWN_PAUSE));
        }
    }

    /// How many were accepted: the first ones, since nothing is accepted before what comes before it.
    pub(crate) fn accepted_count(&self) -> u64 {
        self.accepted
    }

    /// The lowest number that is not accepted.
    pub(crate) fn lowest_open(&self) -> u64 {
        let open = self.again.keys().next().into_iter().chain(self.under_way.first()).min();
        open.copied().unwrap_or(self.sent + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(50);

    fn offers(chain: &mut Chain, count: usize, now: Duration) -> Vec<Offer> {
        (0..count).map(|_| chain.offer(now)).collect()
    }

    #[test]
    fn what_was_refused_goes_again_at_its_time_and_what_follows_it_behind_it() {
        let mut chain = Chain::default();
        assert_eq!(offers(&mut chain, 3, NOW), [1, 2, 3].map(Offer::Number));
        chain.accepted(1);
        chain.refused(2, Some(Duration::from_millis(300)), NOW);
        chain.refused(3, Some(Duration::from_millis(300)), NOW);
        assert_eq!(chain.lowest_open(), 2);
        assert_eq!(chain.offer(NOW), Offer::Number(4), "what is new does not wait");
        let later = NOW + Duration::from_millis(300);
        assert_eq!(offers(&mut chain, 3, later), [2, 3, 5].map(Offer::Number));
        for number in 2..=5 {
            chain.accepted(number);
        }
        assert_eq!((chain.accepted_count(), chain.lowest_open()), (5, 6));
    }

    #[test]
    fn no_more_is_open_than_the_bound_and_an_answer_counts_once() {
        let mut chain = Chain::default();
        let offered = offers(&mut chain, OPEN_MAX + 1, NOW);
        assert_eq!(offered.last(), Some(&Offer::Full));
        chain.refused(96, Some(Duration::from_millis(5)), NOW);
        assert_eq!(chain.offer(NOW), Offer::HeldBack);
        chain.accepted(1);
        chain.accepted(1);
        assert_eq!(chain.accepted_count(), 1);
        assert_eq!(chain.offer(NOW), Offer::Number(97));
    }

    #[test]
    fn a_refusal_without_a_time_waits_for_the_generators_own() {
        let mut chain = Chain::default();
        chain.offer(NOW);
        chain.refused(1, None, NOW);
        assert_eq!(chain.offer(NOW + Duration::from_millis(99)), Offer::Number(2));
        assert_eq!(chain.offer(NOW + Duration::from_millis(100)), Offer::Number(1));
    }
}
