//! A file on a breakable disk: where its faults strike. It must not decide what a power cut leaves.

use std::io;

use super::world::{Change, power_is_off};
use super::{BreakableDisk, Moment, struck};
use crate::disk::DiskFile;

/// An open file of a boot. It is dead when that is over.
#[derive(Debug)]
pub(super) struct BreakableFile {
    disk: BreakableDisk,
    inode: u64,
}

impl BreakableFile {
    pub(super) fn new(disk: BreakableDisk, inode: u64) -> Self {
        Self { disk, inode }
    }
}

impl DiskFile for BreakableFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.disk.running()?;
        if world.faults.reads_fail > 0 {
            world.faults.reads_fail -= 1;
            world.strike(struck::READ_FAILS);
            return Err(input_output());
        }
        let short = world.faults.short_transfers && world.dice.one_in(4);
        let flip = world.faults.flip_one_read_in.is_some_and(|times| world.dice.one_in(times));
        let luck = world.dice.roll();
        let Some(file) = world.files.get(&self.inode) else { return Ok(0) };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(file.current.len());
        let mut count = buffer.len().min(file.current.len() - from);
        let short = short && count > 1;
        if short {
            count = 1 + usize::try_from(luck % (count as u64 - 1)).unwrap_or(0);
        }
        buffer[..count].copy_from_slice(&file.current[from..from + count]);
        let flip = flip && count > 0;
        if flip {
            let bit = luck % (count as u64 * 8);
            buffer[usize::try_from(bit / 8).unwrap_or(0)] ^= 1 << (bit % 8);
        }
        world.strike_if(short, struck::SHORT);
        world.strike_if(flip, struck::FLIPPED);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut world = self.disk.running()?;
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if world.trapped(Moment::BeforeWrite, self.inode, Some(bytes)) {
            return Err(power_is_off());
        }
        if let Err(error) = world.operate() {
            let change = Change::Write { offset, bytes: bytes.to_vec() };
            world.change(self.inode, change);
            return Err(error);
        }
        let fails = world.faults.next_write_fails.take();
        let mut count = bytes.len();
        let short = fails.is_none() && world.faults.short_transfers && count > 1 && world.dice.one_in(4);
        world.strike_if(short, struck::SHORT);
        if fails.is_some() || short {
            count = usize::try_from(world.dice.below(count as u64)).unwrap_or(0).max(1).min(count);
        }
        let whole = world.change(self.inode, Change::Write { offset, bytes: bytes[..count].to_vec() });
        if let Some(kind) = fails {
            let is_full = kind == io::ErrorKind::StorageFull;
            world.strike(if is_full { struck::NO_ROOM } else { struck::WRITE_FAILS });
            return Err(kind.into());
        }
        world.strike_if(!whole, struck::FULL);
        if whole { Ok(count) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let slower_by = self.disk.running()?.faults.syncs_slower_by;
        // On the thread that waits for the disk, as with a real one.
        std::thread::sleep(slower_by);
        let mut world = self.disk.running()?;
        world.operate()?;
        if world.trapped(Moment::BeforeSync, self.inode, None) {
            return Err(power_is_off());
        }
        let gone = world.trapped(Moment::AfterSync, self.inode, None);
        if world.faults.lazy_syncs {
            return if gone { Err(power_is_off()) } else { Ok(()) };
        }
        let fails = world.faults.syncs_fail > 0;
        let Some(file) = world.files.get_mut(&self.inode) else { return Ok(()) };
        let changes = std::mem::take(&mut file.unsynced);
        if fails {
            world.faults.syncs_fail -= 1;
            world.strike(struck::SYNC_FAILS);
            return Err(input_output());
        }
        for change in changes {
            change.apply(&mut file.durable);
        }
        if gone { Err(power_is_off()) } else { Ok(()) }
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.disk.running()?;
        world.operate()?;
        let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let whole = world.change(self.inode, Change::Grow(bytes));
        world.strike_if(!whole, struck::FULL);
        if whole { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn len(&self) -> io::Result<u64> {
        let world = self.disk.running()?;
        Ok(world.files.get(&self.inode).map_or(0, |file| file.current.len() as u64))
    }
}

fn input_output() -> io::Error {
    io::Error::other("the disk has an error")
}
