//! A disk in memory that breaks on purpose, for tests: of this log, and of whatever is built on it. It must not be
//! kinder than a real one.
//!
//! * What was not synced is lost, kept or torn when the power goes off; a name that was not synced may vanish.
//! * [`power_off`](BreakableDisk::power_off) and [`kill`](BreakableDisk::kill) return the disk of the next boot. Every
//!   handle from before is dead, so that destructors of the crashed program can repair nothing.
//! * [`power_off_after`](BreakableDisk::power_off_after) cuts the power in the middle of a commit.
//! * A failed sync loses what it should have written, and a later sync does not bring it back, as on Linux.
//!
//! The same seed and the same calls give the same faults.

mod file;
mod lock;
mod struck;
mod trap;
mod world;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::file::BreakableFile;
use self::lock::BreakableLock;
pub use self::trap::{Moment, Trap};
use self::world::{Faults, Inode, NameChange, World, apply_name, power_is_off};
use crate::disk::{DirLock, Disk, DiskFile, Room};

/// What a disk writes whole or not at all, in bytes; a seeded power cut tears even that now and then.
pub const SECTOR_BYTES: usize = 512;

/// A small generator of numbers: the same seed, the same numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as the seed says.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A disk that breaks on purpose. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct BreakableDisk {
    world: Arc<Mutex<World>>,
    boot: u64,
}

impl BreakableDisk {
    /// An empty disk; the seed decides what its faults do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let world = World {
            boot: 0,
            powered: true,
            files: Default::default(),
            names: Default::default(),
            durable_names: Default::default(),
            unsynced_names: Vec::new(),
            locks: Default::default(),
            dice: Dice::new(seed),
            next_inode: 0,
            operations: 0,
            faults: Faults::default(),
            struck: Default::default(),
        };
        BreakableDisk { world: Arc::new(Mutex::new(world)), boot: 0 }
    }

    /// A copy that goes its own way.
    #[must_use]
    pub fn fork(&self) -> BreakableDisk {
        let world = World { struck: Default::default(), ..self.world().clone() };
        BreakableDisk { world: Arc::new(Mutex::new(world)), boot: self.boot }
    }

    /// The power goes off and on again: what was not synced is lost, kept or torn, as the dice fall. Faults that
    /// were set are gone. Returns the disk of the next boot.
    #[must_use]
    pub fn power_off(&self) -> BreakableDisk {
        let mut world = self.world();
        let mut dice = Dice::new(world.dice.roll());
        let mood = dice.below(4);
        let mut alive = true;
        let mut keep = |_: usize| match mood {
            0 => 0,
            1 => SECTOR_BYTES,
            // What was written first is kept.
            2 => {
                alive = alive && !dice.one_in(4);
                if alive { SECTOR_BYTES } else { 0 }
            }
            _ => match dice.below(8) {
                0..4 => SECTOR_BYTES,
                4 => usize::try_from(dice.below(SECTOR_BYTES as u64)).unwrap_or(0),
                _ => 0,
            },
        };
        world.lose_unsynced(&mut keep);
        drop(world);
        self.next_boot()
    }

    /// As [`power_off`](Self::power_off), but `keep` decides: of each unsynced sector, growth and name change, in
    /// order and numbered from 0, whether it survives. [`unsynced`](Self::unsynced) says how many there are.
    #[must_use]
    pub fn power_off_keeping(&self, mut keep: impl FnMut(usize) -> bool) -> BreakableDisk {
        self.world().lose_unsynced(&mut |index| if keep(index) { SECTOR_BYTES } else { 0 });
        self.next_boot()
    }

    /// As [`power_off_keeping`](Self::power_off_keeping), but `keep` says how many bytes of each sector survive, from
    /// its first on; of the other things, which survive whole, 0 means that one is lost.
    #[must_use]
    pub fn power_off_tearing(&self, mut keep: impl FnMut(usize) -> usize) -> BreakableDisk {
        self.world().lose_unsynced(&mut keep);
        self.next_boot()
    }

    /// The program is killed; what it wrote is still in the page cache. Returns the disk of the next boot.
    #[must_use]
    pub fn kill(&self) -> BreakableDisk {
        self.next_boot()
    }

    /// How many sectors, growths and name changes are not synced.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        let mut count = 0;
        let mut copy = self.world().clone();
        copy.lose_unsynced(&mut |_| {
            count += 1;
            0
        });
        count
    }

    /// How many operations that change something were asked for so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// After `count` more operations that change something, the next one is broken off by a power cut: a write is
    /// then not synced, a sync not done. Everything fails from there on, until `power_off` is called.
    pub fn power_off_after(&self, count: u64) {
        self.world().faults.operations_left = Some(count);
    }

    /// The power goes off at a moment of a file's life: everything fails from there on, until `power_off` is called.
    pub fn power_off_at(&self, trap: Trap) {
        self.world().faults.trap = Some(trap);
    }

    /// The power goes off now: everything fails from here on, until `power_off` is called.
    pub fn cut_power(&self) {
        self.world().powered = false;
    }

    /// Whether there is power: false from the moment at which a fault took it.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.world().powered
    }

    /// Limits the room for all files together, in bytes; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().faults.capacity = bytes;
    }

    /// The room that is taken, in bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.world().used()
    }

    /// The next sync fails, and what it should have written will not be durable.
    pub fn fail_next_sync(&self) {
        self.world().faults.syncs_fail += 1;
    }

    /// Every sync of a file takes so much longer.
    pub fn slow_syncs(&self, by: Duration) {
        self.world().faults.syncs_slower_by = by;
    }

    /// The next write fails half done.
    pub fn fail_next_write(&self) {
        self.world().faults.next_write_fails = Some(io::ErrorKind::Other);
    }

    /// The next write finds no room half done, even where room was taken before (some file systems copy on write).
    pub fn no_room_for_next_write(&self) {
        self.world().faults.next_write_fails = Some(io::ErrorKind::StorageFull);
    }

    /// The next read fails.
    pub fn fail_next_read(&self) {
        self.world().faults.reads_fail += 1;
    }

    /// Reads and writes transfer less than asked now and then.
    pub fn set_short_transfers(&self, short: bool) {
        self.world().faults.short_transfers = short;
    }

    /// One read in `times` returns a flipped bit; `None`: no more.
    pub fn flip_one_read_in(&self, times: Option<u64>) {
        self.world().faults.flip_one_read_in = times;
    }

    /// Syncs of files say that they are done and do nothing: the bug that a crash test must find.
    pub fn set_lazy_syncs(&self, lazy: bool) {
        self.world().faults.lazy_syncs = lazy;
    }

    /// Syncs of directories say that they are done and do nothing: the bug that a crash test must find.
    pub fn set_lazy_dir_syncs(&self, lazy: bool) {
        self.world().faults.lazy_dir_syncs = lazy;
    }

    /// Flips one bit of a file, durably. `false` if there is no such byte.
    #[must_use]
    pub fn flip(&self, path: &Path, offset: u64, bit: u8) -> bool {
        let mut world = self.world();
        let Some(inode) = world.inode(path) else { return false };
        let Ok(offset) = usize::try_from(offset) else { return false };
        let mask = 1 << (bit % 8);
        if let Some(byte) = inode.durable.get_mut(offset) {
            *byte ^= mask;
        }
        match inode.current.get_mut(offset) {
            Some(byte) => {
                *byte ^= mask;
                true
            }
            None => false,
        }
    }

    /// What a file holds, if it is there.
    #[must_use]
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.world().inode(path).map(|inode| inode.current.clone())
    }

    /// Every file, by its path.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.world().names.keys().cloned().collect()
    }

    /// Writes a file whole and durably, in place of what has that name.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        world.next_inode += 1;
        let inode = world.next_inode;
        world
            .files
            .insert(inode, Inode { durable: bytes.to_vec(), current: bytes.to_vec(), unsynced: Vec::new() });
        world.names.insert(path.to_owned(), inode);
        world.durable_names.insert(path.to_owned(), inode);
    }

    fn next_boot(&self) -> BreakableDisk {
        let mut world = self.world();
        world.boot += 1;
        world.powered = true;
        world.locks.clear();
        world.faults = Faults { capacity: world.faults.capacity, ..Faults::default() };
        BreakableDisk { world: self.world.clone(), boot: world.boot }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, if this boot still runs.
    fn running(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.world();
        if world.boot == self.boot && world.powered { Ok(world) } else { Err(power_is_off()) }
    }

    fn file(&self, inode: u64) -> Arc<dyn DiskFile> {
        Arc::new(BreakableFile::new(self.clone(), inode))
    }
}

impl Disk for BreakableDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        // Directories need no making here: a file's path says them.
        self.running().map(drop)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let world = self.running()?;
        let here = world.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(here.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.running()?;
        world.operate()?;
        if world.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.next_inode += 1;
        let inode = world.next_inode;
        world.files.insert(inode, Inode::default());
        world.rename(NameChange::Set(path.to_owned(), inode));
        drop(world);
        Ok(self.file(inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.running()?.names.get(path).copied();
        inode.map(|inode| self.file(inode)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.running()?;
        if !world.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.operate()?;
        world.rename(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.running()?;
        let inode = world.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        world.operate()?;
        // A crash between the two leaves both names, as it may on a real disk.
        world.rename(NameChange::Set(to.to_owned(), inode));
        world.rename(NameChange::Remove(from.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.running()?;
        world.operate()?;
        if world.faults.lazy_dir_syncs {
            return Ok(());
        }
        let changes = std::mem::take(&mut world.unsynced_names);
        for change in changes {
            let (NameChange::Set(path, _) | NameChange::Remove(path)) = &change;
            if path.parent() == Some(dir) {
                apply_name(&mut world.durable_names, &change);
            } else {
                world.unsynced_names.push(change);
            }
        }
        Ok(())
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn DirLock>> {
        if !self.running()?.locks.insert(dir.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(BreakableLock { disk: self.clone(), dir: dir.to_owned() }))
    }

    fn room(&self, _dir: &Path) -> io::Result<Option<Room>> {
        let world = self.running()?;
        let room = |total: u64| Room { free: total.saturating_sub(world.used()), total };
        Ok(world.faults.capacity.map(room))
    }
}
