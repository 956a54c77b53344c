//! How long something took, counted in a few classes, from which percentiles are read.

/// Upper bounds of the classes, in milliseconds; what is above the last has a class of its own.
pub(crate) const BOUNDS_MS: [u32; 15] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// Counts by class. A count that does not fit stays at its largest.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Latency([u32; 16]);

impl Latency {
    pub(crate) fn count(&mut self, ms: u32) {
        let class = BOUNDS_MS.partition_point(|bound| *bound < ms);
        self.0[class] = self.0[class].saturating_add(1);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own = own.saturating_add(other);
        }
    }

    /// The percentile, in milliseconds: the upper bound of the class that it falls into. 0 when nothing was counted;
    /// above the last bound that bound is said.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let rank = (total * percent).div_ceil(100);
        let mut seen = 0;
        for (class, count) in self.0.iter().enumerate() {
            seen += u64::from(*count);
            if total > 0 && seen >= rank {
                return u64::from(BOUNDS_MS[class.min(BOUNDS_MS.len() - 1)]);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_bound_below_which_so_many_are() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentile(99), 0);
        for _ in 0..98 {
            latency.count(3);
        }
        latency.count(150);
        latency.count(700_000);
        assert_eq!(latency.percentile(50), 5);
        assert_eq!(latency.percentile(99), 200);
        assert_eq!(latency.percentile(100), 60_000);
        let mut other = Latency::default();
        other.count(5);
        assert_eq!(other.percentile(1), 5, "a bound belongs to its class");
        other.add(&latency);
        assert_eq!(other.percentile(99), 200);
    }
}
