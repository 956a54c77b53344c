//! A disk that is trusted until a sync fails. What that sync should have written nobody knows, and the next one may say
//! that all is well; so none is asked for any more, of no file, and the process must end. It must not change what is
//! written or read.

use std::io;
use std::path::Path;
use std::sync::Arc;

use i247_ledger::disk::{DirLock, Disk, DiskFile, Room};
use tokio_util::sync::CancellationToken;

/// A disk as it is, up to its first failed sync.
#[derive(Debug)]
pub struct TrustedDisk {
    disk: Arc<dyn Disk>,
    trust: Trust,
}

#[derive(Clone, Debug)]
struct Trust(CancellationToken);

#[derive(Debug)]
struct TrustedFile {
    file: Arc<dyn DiskFile>,
    trust: Trust,
}

impl TrustedDisk {
    /// This disk; `distrusted` is cancelled when a sync fails.
    pub fn new(disk: Arc<dyn Disk>, distrusted: CancellationToken) -> Self {
        Self { disk, trust: Trust(distrusted) }
    }

    fn file(&self, file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(TrustedFile { file: file?, trust: self.trust.clone() }))
    }
}

impl Trust {
    fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let Self(distrusted) = self;
        if distrusted.is_cancelled() {
            return Err(io::Error::other("a sync failed before; start again"));
        }
        sync().inspect_err(|error| {
            tracing::error!(%error, "a sync failed: nothing is synced any more, the process stops");
            distrusted.cancel();
        })
    }
}

impl Disk for TrustedDisk {
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
        self.disk.open_read(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.trust.sync(|| self.disk.sync_dir(dir))
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn DirLock>> {
        self.disk.lock(dir)
    }

    fn room(&self, dir: &Path) -> io::Result<Option<Room>> {
        self.disk.room(dir)
    }
}

impl DiskFile for TrustedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.trust.sync(|| self.file.sync_data())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

#[cfg(test)]
mod tests {
    use i247_ledger::faults::BreakableDisk;

    use super::*;

    #[test]
    fn after_a_failed_sync_none_is_asked_for_of_any_file_and_reading_goes_on() {
        let (broken, distrusted) = (BreakableDisk::new(1), CancellationToken::new());
        let disk = TrustedDisk::new(Arc::new(broken.clone()), distrusted.clone());
        let [one, other] = ["/d/one", "/d/other"].map(|path| disk.create(Path::new(path)).unwrap());
        one.write_at(b"one", 0).unwrap();
        one.sync_data().unwrap();
        assert!(!distrusted.is_cancelled());
        broken.fail_next_sync();
        other.write_at(b"other", 0).unwrap();
        other.sync_data().unwrap_err();
        assert!(distrusted.is_cancelled());
        let asked = broken.operations();
        for sync in [other.sync_data(), one.sync_data(), disk.sync_dir(Path::new("/d"))] {
            assert_eq!(sync.unwrap_err().to_string(), "a sync failed before; start again");
        }
        assert_eq!(broken.operations(), asked, "the disk was asked once more");
        let mut bytes = [0; 3];
        assert_eq!(one.read_at(&mut bytes, 0).unwrap(), 3);
        assert_eq!(&bytes, b"one");
    }

    #[test]
    fn names_that_cannot_be_synced_count_as_well() {
        let (broken, distrusted) = (BreakableDisk::new(1), CancellationToken::new());
        let disk = TrustedDisk::new(Arc::new(broken.clone()), distrusted.clone());
        broken.cut_power();
        disk.sync_dir(Path::new("/d")).unwrap_err();
        assert!(distrusted.is_cancelled());
    }
}
