//! Bugs on purpose that a seam plays: disks and clocks that lie. The simulation must find each.

use std::io;
use std::path::Path;
use std::sync::Arc;

use i247_ledger::disk::{DirLock, Disk, DiskFile, is_full};
use i247_ledger::faults::BreakableDisk;

/// A bug on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plant {
    /// None.
    Nothing,
    /// Disks say that they have synced a file, and have not.
    LyingDisk,
    /// Disks say that they have synced a directory, and have not.
    LostNames,
    /// Disks say nothing of a sync that failed.
    HiddenErrors,
    /// Disks that are full say that they have written.
    HiddenFull,
    /// The wall clock of the hub stands still.
    StoppedClock,
}

impl Plant {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Nothing,
        Self::LyingDisk,
        Self::LostNames,
        Self::HiddenErrors,
        Self::HiddenFull,
        Self::StoppedClock,
    ];

    /// As it is asked for.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::LyingDisk => "lying-disk",
            Self::LostNames => "lost-names",
            Self::HiddenErrors => "hidden-errors",
            Self::HiddenFull => "hidden-full",
            Self::StoppedClock => "stopped-clock",
        }
    }

    /// The disk that a program gets in place of its own.
    pub(crate) fn disk(self, disk: &BreakableDisk) -> Arc<dyn Disk> {
        disk.set_lazy_syncs(self == Self::LyingDisk);
        disk.set_lazy_dir_syncs(self == Self::LostNames);
        match self {
            Self::HiddenErrors | Self::HiddenFull => Arc::new(Silent { disk: disk.clone(), plant: self }),
            Self::Nothing | Self::LyingDisk | Self::LostNames | Self::StoppedClock => Arc::new(disk.clone()),
        }
    }
}

/// A disk that keeps some of its errors to itself.
#[derive(Debug)]
struct Silent {
    disk: BreakableDisk,
    plant: Plant,
}

impl Silent {
    fn file(&self, file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SilentFile { file: file?, disk: self.disk.clone(), plant: self.plant }))
    }
}

impl Disk for Silent {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(self.disk.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(self.disk.open(path))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(self.disk.open_read(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn DirLock>> {
        self.disk.lock(dir)
    }
}

#[derive(Debug)]
struct SilentFile {
    file: Arc<dyn DiskFile>,
    disk: BreakableDisk,
    plant: Plant,
}

impl DiskFile for SilentFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self.file.write_at(bytes, offset) {
            Err(error) if self.plant == Plant::HiddenFull && is_full(&error) => Ok(bytes.len()),
            written => written,
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.file.sync_data() {
            // What has no power says nothing at all.
            Err(_) if self.plant == Plant::HiddenErrors && self.disk.is_powered() => Ok(()),
            synced => synced,
        }
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match self.file.allocate(bytes) {
            Err(error) if self.plant == Plant::HiddenFull && is_full(&error) => Ok(()),
            allocated => allocated,
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
