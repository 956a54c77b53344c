//! Notices who asks about one number after the other, as those do who would copy a database by asking. It refuses
//! nothing: the quota bounds the harm, and people are told. It keeps no key longer than it takes to compare it.

use std::collections::{BTreeMap, VecDeque};

use dashmap::DashMap;
use i247_model::Identity;

/// How many keys of an asker are remembered.
const WINDOW: usize = 256;

/// So many of them with a neighbour are no families and no tour groups.
const NEIGHBOURS: usize = 64;

/// Digits of a number that can have a neighbour.
const DIGITS_MAX: usize = 18;

/// The last keys of everybody who asks.
#[derive(Debug, Default)]
pub(crate) struct Enumeration(DashMap<Identity, Recent>);

/// The last keys of one asker, each as the digits at its end and what stands before them.
#[derive(Debug, Default)]
struct Recent {
    order: VecDeque<(Number, bool)>,
    /// How often each is there.
    held: BTreeMap<Number, u32>,
    neighbours: usize,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Number {
    before: Box<[u8]>,
    number: u64,
}

impl Enumeration {
    /// Looks at a normalised key. True when the asker has asked about so many neighbouring numbers that people should
    /// know; then it is looked at anew.
    pub(crate) fn notice(&self, asker: &Identity, key: &[u8]) -> bool {
        let Some(number) = Number::of(key) else { return false };
        let mut recent = self.0.entry(asker.clone()).or_default();
        recent.add(number);
        if recent.neighbours < NEIGHBOURS {
            return false;
        }
        *recent = Recent::default();
        true
    }
}

impl Recent {
    fn add(&mut self, number: Number) {
        let beside = |number: Option<u64>, all: &Self, before: &[u8]| {
            number.is_some_and(|number| all.held.contains_key(&Number { before: before.into(), number }))
        };
        let is_neighbour = beside(number.number.checked_add(1), self, &number.before)
            || beside(number.number.checked_sub(1), self, &number.before);
        self.neighbours += usize::from(is_neighbour);
        *self.held.entry(number.clone()).or_default() += 1;
        self.order.push_back((number, is_neighbour));
        if self.order.len() <= WINDOW {
            return;
        }
        let Some((oldest, was_neighbour)) = self.order.pop_front() else { return };
        self.neighbours -= usize::from(was_neighbour);
        if let Some(times) = self.held.get_mut(&oldest) {
            *times -= 1;
            if *times == 0 {
                self.held.remove(&oldest);
            }
        }
    }
}

impl Number {
    fn of(key: &[u8]) -> Option<Self> {
        let digits = key.iter().rev().take_while(|byte| byte.is_ascii_digit()).take(DIGITS_MAX).count();
        let (before, number) = key.split_at(key.len() - digits);
        let number = std::str::from_utf8(number).ok()?.parse().ok()?;
        Some(Self { before: before.into(), number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(post: &str) -> Identity {
        format!("spiffe://i247.test/ncb/fr/post/{post}").parse().unwrap()
    }

    /// After how many of these keys people are told; none when they are not.
    fn noticed(keys: impl IntoIterator<Item = String>) -> Option<usize> {
        let enumeration = Enumeration::default();
        keys.into_iter().position(|key| enumeration.notice(&asker("cdg"), key.as_bytes())).map(|n| n + 1)
    }

    #[test]
    fn one_number_after_the_other_is_noticed_forwards_backwards_and_in_turns() {
        assert_eq!(noticed((1000..2000).map(|n| format!("UTO/P{n:07}"))), Some(65));
        assert_eq!(noticed((1000..2000).rev().map(|n| format!("UTO/P{n:07}"))), Some(65));
        // Three runs at once, and honest travellers in between.
        let turns = (0..400).map(|n| match n % 4 {
            3 => format!("FRA/{}", 7_919 * n),
            run => format!("UTO/{run}{:06}", 5000 + n / 4),
        });
        assert!(noticed(turns).is_some());
    }

    #[test]
    fn travellers_and_their_families_are_not() {
        // One in eight has a child whose passport was issued with the own one.
        let families = (0..2000u64).flat_map(|n| {
            let own = n * 7_919 % 9_000_000;
            [Some(own), (n % 8 == 0).then_some(own + 1)]
        });
        assert_eq!(noticed(families.flatten().map(|n| format!("UTO/P{n:07}"))), None);
        let strangers = (0..2000u64).map(|n| format!("UTO/P{:07}", n * 7_919 % 9_000_000));
        assert_eq!(noticed(strangers), None);
        assert_eq!(noticed((0..2000).map(|_| "UTO/P0001234".to_owned())), None, "one key again and again");
        assert_eq!(noticed((0..2000).map(|n| format!("VESSEL {}", "X".repeat(n % 50)))), None);
    }

    #[test]
    fn what_others_ask_makes_nobody_a_neighbour_and_the_memory_is_bounded() {
        let enumeration = Enumeration::default();
        for n in 0..1000 {
            let who = asker(if n % 2 == 0 { "cdg" } else { "orly" });
            assert!(!enumeration.notice(&who, format!("UTO/P{n:07}").as_bytes()));
        }
        let recent = enumeration.0.get(&asker("cdg")).unwrap();
        assert_eq!((recent.order.len(), recent.held.len()), (WINDOW, WINDOW));
    }
}
