//! Chance: salts, jitter, drawn choices. Nobody else asks for random numbers (keys are made in `trust`).

use std::fmt;
use std::sync::Mutex;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// Random bytes, handed in at the composition root.
pub trait Dice: Send + Sync + fmt::Debug + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A number below `limit`, each as likely as the others; 0 when `limit` is 0 or 1.
    fn below(&self, limit: u64) -> u64 {
        if limit < 2 {
            return 0;
        }
        // Draws above the largest multiple of `limit` would favour the small numbers: draw again.
        let fair = u64::MAX - u64::MAX % limit;
        loop {
            let mut bytes = [0; 8];
            self.fill(&mut bytes);
            let drawn = u64::from_le_bytes(bytes);
            if drawn < fair {
                return drawn % limit;
            }
        }
    }
}

/// The operating system's random source, for everything that must not be guessed.
#[derive(Debug)]
pub struct SystemDice(SystemRandom);

impl SystemDice {
    /// The one there is.
    #[expect(clippy::new_without_default, reason = "named like the other seams")]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Dice for SystemDice {
    fn fill(&self, bytes: &mut [u8]) {
        // It fails only where the machine has no random source at all; then no key could be made either.
        self.0.fill(bytes).expect("the operating system has a random source");
    }
}

/// Dice that fall the same way for the same seed. For tests and demonstrations only: anyone can repeat them.
#[derive(Debug)]
pub struct SeededDice(Mutex<u64>);

impl SeededDice {
    /// Dice for this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Dice for SeededDice {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            let word = split_mix(&mut state).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// `SplitMix64`: small, and good enough to draw lots with.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_dice_repeat_themselves() {
        // The published first output of SplitMix64 for seed 0.
        let mut bytes = [0; 8];
        SeededDice::new(0).fill(&mut bytes);
        assert_eq!(u64::from_le_bytes(bytes), 0xe220_a839_7b1d_cdaf);
        let draw = |seed| {
            let dice = SeededDice::new(seed);
            (0..20).map(|_| dice.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().all(|n| *n < 6));
    }

    #[test]
    fn a_die_with_no_sides_shows_nought() {
        assert_eq!(SystemDice::new().below(0), 0);
        assert_eq!(SystemDice::new().below(1), 0);
        assert!(SystemDice::new().below(3) < 3);
    }
}
