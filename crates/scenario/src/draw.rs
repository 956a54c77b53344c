//! Choices that depend on what is chosen and on nothing else.
//!
//! Each choice is a hash of the seed, its own name, the case and the country. There is no generator
//! whose state passes from one choice to the next, so the order in which choices are made, and how
//! many others there are, makes no difference.

use std::fmt::Display;

use aws_lc_rs::digest::{SHA256, digest};

/// A source of choices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    seed: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The hash of one choice. `about` names a country or another thing beside the case; it may be empty.
    pub(crate) fn hash(self, what: &str, case: u32, about: impl Display) -> u64 {
        let text = format!("i247 scenario/{}/{what}/{case}/{about}", self.seed);
        let hash = digest(&SHA256, text.as_bytes());
        hash.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A number below `limit`, which must not be zero.
    pub(crate) fn below(self, what: &str, case: u32, limit: u32) -> u32 {
        let hash = self.hash(what, case, "");
        u32::try_from(hash % u64::from(limit)).unwrap_or(0)
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<T: Copy>(self, what: &str, case: u32, items: &[T]) -> T {
        let limit = u32::try_from(items.len()).unwrap_or(u32::MAX);
        items[self.below(what, case, limit) as usize]
    }

    /// The same things in an order of chance. To draw exactly `n`, take the first `n`.
    pub(crate) fn ranked<T: Copy + Ord + Display>(
        self,
        what: &str,
        case: u32,
        items: impl IntoIterator<Item = T>,
    ) -> Vec<T> {
        let mut ranked: Vec<(u64, T)> =
            items.into_iter().map(|item| (self.hash(what, case, item), item)).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_depends_on_nothing_but_its_name() {
        let draw = Draw::new(7);
        let alone = draw.hash("where", 3, "FR");
        for case in 0..100 {
            draw.hash("where", case, "BR");
        }
        assert_eq!(draw.hash("where", 3, "FR"), alone);
        for other in [draw.hash("where", 3, "BR"), draw.hash("where", 4, "FR"), draw.hash("whose", 3, "FR")] {
            assert_ne!(other, alone);
        }
        assert_ne!(Draw::new(8).hash("where", 3, "FR"), alone);
    }

    #[test]
    fn a_rank_does_not_depend_on_the_order_or_on_the_others() {
        let draw = Draw::new(7);
        let ranked = draw.ranked("case", 0, 1..=20_u32);
        assert_eq!(draw.ranked("case", 0, (1..=20_u32).rev()), ranked);
        let without_5: Vec<u32> = ranked.iter().copied().filter(|n| *n != 5).collect();
        assert_eq!(draw.ranked("case", 0, (1..=20_u32).filter(|n| *n != 5)), without_5);
    }
}
