//! How much one member may submit: a token bucket each. Looked up by key, never iterated.
//!
//! An envelope counts once, however many it is for: it is checked, written and kept once, and at most 195 recipients take it
//! at their own speed. Counted by addressee, a member could not speak to all as often as it may have to. What one that
//! floods all takes from the others is bounded by its window: they wait behind what it has under way.

use std::time::Duration;

use dashmap::DashMap;
use i247_model::Identity;

/// How many seconds' worth of tokens a bucket holds.
const BURST_SECONDS: u64 = 2;

/// The buckets.
#[derive(Debug)]
pub(crate) struct Quotas {
    per_second: u64,
    buckets: DashMap<Identity, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Thousandths of a token.
    level: u64,
    filled_at: Duration,
}

impl Quotas {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: u64::from(per_second.max(1)), buckets: DashMap::new() }
    }

    /// Takes `count` tokens, or says how long to wait before asking again.
    ///
    /// A bucket may go below zero by one batch, so that a batch larger than what is left is not put off for ever.
    pub(crate) fn take(&self, member: &Identity, count: usize, now: Duration) -> Result<(), Duration> {
        let full = self.per_second * BURST_SECONDS * 1000;
        let mut bucket = self.buckets.entry(member.clone()).or_insert(Bucket { level: full, filled_at: now });
        let passed = now.saturating_sub(bucket.filled_at).as_millis();
        let poured = self.per_second.saturating_mul(u64::try_from(passed).unwrap_or(u64::MAX));
        bucket.level = bucket.level.saturating_add(poured).min(full);
        bucket.filled_at = now;
        if bucket.level < 1000 {
            return Err(Duration::from_millis((1000 - bucket.level).div_ceil(self.per_second).max(1)));
        }
        bucket.level = bucket.level.saturating_sub(1000 * count as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_floods_waits_and_the_others_do_not() {
        let quotas = Quotas::new(10);
        let flood: Identity = "spiffe://i247.test/ncb/fr".parse().unwrap();
        let calm: Identity = "spiffe://i247.test/gs/reviewer/lena".parse().unwrap();
        let start = Duration::from_secs(50);
        assert_eq!(quotas.take(&flood, 20, start), Ok(()));
        assert_eq!(quotas.take(&flood, 1, start), Err(Duration::from_millis(100)));
        assert_eq!(quotas.take(&calm, 1, start), Ok(()));
        assert_eq!(quotas.take(&flood, 1, start + Duration::from_millis(100)), Ok(()));
    }
}
