//! The disk of the operating system. It must not buffer: a write that returned is the kernel's.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use crate::disk::{DirLock, Disk, DiskFile, Room, write_all_at};

/// The file whose lock stands for the directory.
const LOCK_FILE: &str = "lock";
/// How much is zeroed with one write, in bytes.
const ZEROES: usize = 1024 * 1024;

/// The disk of the operating system. Files and directories are made for their owner only.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
            self.create_dir(above)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match dir.parent().filter(|above| !above.as_os_str().is_empty()) {
            Some(above) => self.sync_dir(above),
            None => self.sync_dir(Path::new(".")),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for found in fs::read_dir(dir)? {
            let found = found?;
            if let (true, Ok(name)) = (found.file_type()?.is_file(), found.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OsFile(File::options().read(true).write(true).open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OsFile(File::open(path)?)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn DirLock>> {
        let path = dir.join(LOCK_FILE);
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(OsLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn room(&self, dir: &Path) -> io::Result<Option<Room>> {
        let found = rustix::fs::statvfs(dir)?;
        // What is set aside for the administrator is neither free nor of use.
        let used = found.f_blocks.saturating_sub(found.f_bfree);
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Some(Room { free: bytes(found.f_bavail), total: bytes(used.saturating_add(found.f_bavail)) }))
    }
}

/// The lock goes with the file: the kernel releases it even if the process is killed.
#[derive(Debug)]
struct OsLock {
    _file: File,
}

impl DirLock for OsLock {}

#[derive(Debug)]
struct OsFile(File);

impl DiskFile for OsFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let from = self.0.metadata()?.len();
        if reserve(&self.0, bytes)? {
            return Ok(());
        }
        let zeroes = vec![0; ZEROES];
        let mut offset = from;
        while offset < bytes {
            let count = usize::try_from(bytes - offset).map_or(ZEROES, |left| left.min(ZEROES));
            write_all_at(self, &zeroes[..count], offset)?;
            offset += count as u64;
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Takes the room in one piece where the file system can; elsewhere (`false`) written zeroes take it.
#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<bool> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes the room in one piece where the file system can; elsewhere (`false`) written zeroes take it.
#[cfg(not(target_os = "linux"))]
fn reserve(_file: &File, _bytes: u64) -> io::Result<bool> {
    Ok(false)
}
