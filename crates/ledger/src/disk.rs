//! The seam to the disk: what the log asks of a file system, and no more. It must not hide an error.
//!
//! Everything here blocks; callers run it through [`Blocking`](crate::Blocking). What is written is durable only
//! after a sync of the file, and a new name only after a sync of its directory.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use crate::os_disk::OsDisk;

/// A file system.
pub trait Disk: Send + Sync + Debug + 'static {
    /// Makes the directory and those above it, durably; fine if it is there.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names of the files in the directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a new, empty file; an error if it is there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for reading only.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Gives a file another name, in place of what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in the directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Locks the directory against other processes and other openers in this one, until the guard is dropped.
    /// [`io::ErrorKind::WouldBlock`] if it is locked.
    fn lock(&self, dir: &Path) -> io::Result<Box<dyn DirLock>>;
    /// How much room the file system has on which the directory lies; none where nobody can say.
    fn room(&self, _dir: &Path) -> io::Result<Option<Room>> {
        Ok(None)
    }
}

/// The room of a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// What whoever asks may still write.
    pub free: u64,
    /// Of how much.
    pub total: u64,
}

/// An open file. Reads and writes may be short.
pub trait DiskFile: Send + Sync + Debug + 'static {
    /// Reads at `offset`; 0 bytes at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes what was written durable. After an error it must not be tried again.
    fn sync_data(&self) -> io::Result<()>;
    /// Grows the file to `bytes` of zeroes and takes the room on the disk, so that later writes find it.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Holds the lock of a directory until dropped.
pub trait DirLock: Send + Sync + Debug {}

/// Whether the error says that there is no room.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Reads as much of `buffer` as the file has at `offset`; returns how much.
pub fn read_up_to(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `bytes`, normally with one call; an error leaves any part of it written.
pub fn write_all_at(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is written of a growing file before it is synced, in bytes.
const PIECE_BYTES: usize = 1024 * 1024;

/// A file that is written from its beginning to its end, and synced as it grows. Synced in one go at the end, a large one
/// would keep the disk to itself for that long, and whoever syncs a message waits.
#[derive(Debug)]
pub struct GrowingFile {
    file: Arc<dyn DiskFile>,
    unsynced: usize,
}

impl GrowingFile {
    /// Nothing of it is written yet.
    pub fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, unsynced: 0 }
    }

    /// Writes all of it there.
    ///
    /// # Errors
    /// What the disk says; what is behind `offset` is unknown then.
    pub fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut offset = offset;
        for piece in bytes.chunks(PIECE_BYTES) {
            if self.unsynced + piece.len() > PIECE_BYTES {
                self.sync_data()?;
            }
            write_all_at(&*self.file, piece, offset)?;
            self.unsynced += piece.len();
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Makes durable what was written.
    ///
    /// # Errors
    /// What the disk says; whether it is durable is unknown then.
    pub fn sync_data(&mut self) -> io::Result<()> {
        self.unsynced = 0;
        self.file.sync_data()
    }

    /// The file, for whoever reads it.
    pub fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }
}

/// Reads a whole file of at most `limit` bytes; longer is [`io::ErrorKind::FileTooLarge`].
pub fn read_whole(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open_read(path)?;
    let len = file.len()?;
    if len > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let count = read_up_to(&*file, &mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Removes a file that may be there or not.
pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a whole file durably, in place of what has that name: after a crash the old or the new one is there,
/// never a mixture. Only one writer at a time.
pub fn replace_whole(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    remove_if_there(disk, &temporary)?;
    let written = disk.create(&temporary).and_then(|file| {
        let mut growing = GrowingFile::new(file);
        growing.write_all_at(bytes, 0)?;
        growing.sync_data()
    });
    if let Err(error) = written {
        // It makes room again; what fails here is removed when the file is written the next time.
        drop(disk.remove(&temporary));
        return Err(error);
    }
    disk.rename(&temporary, &dir.join(name))?;
    disk.sync_dir(dir)
}
