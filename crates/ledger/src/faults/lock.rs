//! The lock of a directory on a breakable disk. It must not outlive its boot.

use std::path::PathBuf;

use super::BreakableDisk;
use crate::disk::DirLock;

#[derive(Debug)]
pub(super) struct BreakableLock {
    pub(super) disk: BreakableDisk,
    pub(super) dir: PathBuf,
}

impl DirLock for BreakableLock {}

impl Drop for BreakableLock {
    fn drop(&mut self) {
        // A later boot's lock is not ours.
        if let Ok(mut world) = self.disk.running() {
            world.locks.remove(&self.dir);
        }
    }
}
