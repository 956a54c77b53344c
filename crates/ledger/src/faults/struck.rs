//! Which faults a breakable disk has really played: one that is set and never met counts for nothing.

use std::collections::BTreeMap;

use super::BreakableDisk;
use super::world::World;

pub(super) const FULL: &str = "full disk";
pub(super) const NO_ROOM: &str = "no room for a write";
pub(super) const READ_FAILS: &str = "a read fails";
pub(super) const WRITE_FAILS: &str = "a write fails";
pub(super) const SYNC_FAILS: &str = "a sync fails";
pub(super) const FLIPPED: &str = "bit flips in reads";
pub(super) const SHORT: &str = "short transfers";

impl BreakableDisk {
    /// What has struck since this was asked last, in words, and how often.
    #[must_use]
    pub fn struck(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.world().struck)
    }
}

impl World {
    pub(super) fn strike(&mut self, what: &'static str) {
        *self.struck.entry(what).or_default() += 1;
    }

    pub(super) fn strike_if(&mut self, has: bool, what: &'static str) {
        if has {
            self.strike(what);
        }
    }
}
