//! What a breakable disk holds: contents and names, each as seen now and as durable. It must not decide when
//! something breaks, only what is left then.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Dice, Moment, SECTOR_BYTES, Trap};

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) boot: u64,
    pub(super) powered: bool,
    pub(super) files: BTreeMap<u64, Inode>,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    pub(super) unsynced_names: Vec<NameChange>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) dice: Dice,
    pub(super) next_inode: u64,
    pub(super) operations: u64,
    pub(super) faults: Faults,
    pub(super) struck: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) capacity: Option<u64>,
    pub(super) operations_left: Option<u64>,
    pub(super) trap: Option<Trap>,
    pub(super) syncs_fail: u32,
    pub(super) syncs_slower_by: Duration,
    pub(super) next_write_fails: Option<io::ErrorKind>,
    pub(super) reads_fail: u32,
    pub(super) short_transfers: bool,
    pub(super) flip_one_read_in: Option<u64>,
    pub(super) lazy_syncs: bool,
    pub(super) lazy_dir_syncs: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) durable: Vec<u8>,
    pub(super) current: Vec<u8>,
    pub(super) unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Grow(usize),
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Set(PathBuf, u64),
    Remove(PathBuf),
}

impl World {
    /// Changes the file as far as there is room; returns whether it all went in.
    pub(super) fn change(&mut self, inode: u64, change: Change) -> bool {
        let used = self.used();
        let room = self.faults.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used));
        let Some(file) = self.files.get_mut(&inode) else { return false };
        let limit = file.current.len().saturating_add(usize::try_from(room).unwrap_or(usize::MAX));
        let (change, whole) = match change {
            Change::Grow(bytes) => (Change::Grow(bytes.min(limit)), bytes <= limit),
            Change::Write { offset, mut bytes } => {
                let whole = offset.saturating_add(bytes.len()) <= limit;
                bytes.truncate(limit.saturating_sub(offset));
                (Change::Write { offset, bytes }, whole)
            }
        };
        change.apply(&mut file.current);
        file.unsynced.push(change);
        whole
    }

    /// Counts an operation; at the fuse's end the power goes off.
    pub(super) fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        match &mut self.faults.operations_left {
            None => Ok(()),
            Some(0) => {
                self.powered = false;
                Err(power_is_off())
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    /// Whether the power goes off now, at this moment of this file, whose latest bytes are `bytes`; a write is asked
    /// for, else they are what is not synced. Then it is off.
    pub(super) fn trapped(&mut self, moment: Moment, inode: u64, bytes: Option<&[u8]>) -> bool {
        let Some(trap) = self.faults.trap.as_ref().filter(|trap| trap.moment == moment) else { return false };
        let lies_there =
            |(path, named): (&PathBuf, &u64)| *named == inode && path.parent() == Some(&trap.dir);
        if !self.names.iter().any(lies_there) {
            return false;
        }
        let changes = self.files.get(&inode).map(|file| file.unsynced.as_slice()).unwrap_or_default();
        let sprung = match bytes {
            Some(bytes) => trap.springs_at(bytes),
            None => changes.iter().any(|change| match change {
                Change::Write { bytes, .. } => trap.springs_at(bytes),
                Change::Grow(_) => false,
            }),
        };
        self.powered &= !sprung;
        sprung
    }

    pub(super) fn inode(&mut self, path: &Path) -> Option<&mut Inode> {
        let inode = *self.names.get(path)?;
        self.files.get_mut(&inode)
    }

    pub(super) fn used(&self) -> u64 {
        let named: BTreeSet<_> = self.names.values().collect();
        named.iter().filter_map(|inode| self.files.get(inode)).map(|file| file.current.len() as u64).sum()
    }

    pub(super) fn rename(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    /// `keep` says for each unsynced thing how many bytes of it survive.
    pub(super) fn lose_unsynced(&mut self, keep: &mut dyn FnMut(usize) -> usize) {
        let mut index = 0;
        let mut survives = || {
            index += 1;
            keep(index - 1)
        };
        for inode in self.files.values_mut() {
            for change in std::mem::take(&mut inode.unsynced) {
                match change {
                    Change::Grow(_) if survives() > 0 => change.apply(&mut inode.durable),
                    Change::Grow(_) => {}
                    Change::Write { offset, bytes } => {
                        let mut begin = 0;
                        while begin < bytes.len() {
                            let left_in_sector = SECTOR_BYTES - (offset + begin) % SECTOR_BYTES;
                            let end = bytes.len().min(begin + left_in_sector);
                            let kept = bytes[begin..end.min(begin + survives())].to_vec();
                            Change::Write { offset: offset + begin, bytes: kept }.apply(&mut inode.durable);
                            begin = end;
                        }
                    }
                }
            }
            inode.current.clone_from(&inode.durable);
        }
        // Directories are journalled: their changes survive in order.
        let mut alive = true;
        for change in std::mem::take(&mut self.unsynced_names) {
            alive = survives() > 0 && alive;
            if alive {
                apply_name(&mut self.durable_names, &change);
            }
        }
        self.names.clone_from(&self.durable_names);
    }
}

impl Change {
    pub(super) fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Change::Grow(bytes) if contents.len() < *bytes => contents.resize(*bytes, 0),
            Change::Grow(_) => {}
            Change::Write { bytes, .. } if bytes.is_empty() => {}
            Change::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if contents.len() < end {
                    contents.resize(end, 0);
                }
                contents[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

pub(super) fn apply_name(names: &mut BTreeMap<PathBuf, u64>, change: &NameChange) {
    match change {
        NameChange::Set(path, inode) => drop(names.insert(path.clone(), *inode)),
        NameChange::Remove(path) => drop(names.remove(path)),
    }
}

pub(super) fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}
