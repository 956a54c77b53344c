//! A run: sorted entries in a file that never changes, and in memory to be searched. It must not be believed before its
//! checksums are checked.
//!
//! ```text
//!   header 64 bytes | buckets | directory
//!   header: magic 8 | format 4 | directory bits 1 | value bytes 1 | 0 0 | entries 8 | after 8 | through 8
//!           | CRC-32C of the buckets 4 | of the directory 4 | 0 × 12 | of the header so far 4
//! ```
//!
//! All numbers little end first; the directory in four bytes a bucket. The name of the file says which changes are in
//! it: those of the log behind `after`, up to and with `through`. It is written under another name, synced and then
//! renamed, so that after a crash it is there whole or not at all.

use std::path::{Path, PathBuf};

use i247_ledger::Position;
use i247_ledger::disk::{Disk, DiskFile, GrowingFile, read_up_to};

use super::entry::Entry;
use super::shape::{PADDING, Packed, Packer, Shape};
use super::{Flaw, IndexError};

const MAGIC: &[u8; 8] = b"i247keys";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 64;
const PREFIX: &str = "keys-";
const SUFFIX: &str = ".run";
/// What is gathered before it is written, in bytes.
const WRITE_BYTES: usize = 1024 * 1024;

/// Which changes of the log are in a run: those behind the first position, up to and with the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) after: Position,
    pub(super) through: Position,
}

impl Range {
    /// The file of the run.
    pub(super) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{PREFIX}{:020}-{:020}{SUFFIX}", self.after.0, self.through.0))
    }

    /// What a file name says, if it is one of a run.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let (after, through) = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.split_once('-')?;
        let range = Self { after: Position(after.parse().ok()?), through: Position(through.parse().ok()?) };
        (range.path(Path::new("")).to_str() == Some(name)).then_some(range)
    }
}

/// A sorted run, in memory.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) range: Range,
    pub(super) packed: Packed,
}

impl Run {
    /// A run of entries that come sorted and each key once, of which there are at most `at_most`.
    pub(super) fn of(
        range: Range,
        at_most: u64,
        entries: impl Iterator<Item = Entry>,
    ) -> Result<Self, IndexError> {
        let mut order = Order::new(range, at_most)?;
        let mut packer = Packer::new(order.shape);
        let mut bytes = Vec::new();
        for entry in entries {
            order.check(entry)?;
            packer.push(entry, &mut bytes);
        }
        let directory = packer.finish(&mut bytes);
        bytes.extend_from_slice(&[0; PADDING]);
        Ok(Self { range, packed: Packed::new(order.shape, directory.into_iter(), bytes) })
    }

    /// Writes it durably into `dir`.
    pub(super) fn store(&self, disk: &dyn Disk, dir: &Path) -> Result<(), IndexError> {
        let mut draft = Draft::create(disk, dir, self.range)?;
        draft.write(self.packed.buckets())?;
        draft.finish(self.packed.shape(), self.packed.starts())
    }

    /// Reads a run into memory and checks it.
    pub(super) fn open(disk: &dyn Disk, dir: &Path, range: Range) -> Result<Self, IndexError> {
        let path = range.path(dir);
        let damaged = |flaw| IndexError::Damaged { path: path.clone(), flaw };
        let file = disk.open_read(&path).map_err(|error| IndexError::io(&path, error))?;
        let len = file.len().map_err(|error| IndexError::io(&path, error))?;
        let head: [u8; HEADER_BYTES] =
            read(&*file, &path, HEADER_BYTES, 0, 0)?.try_into().map_err(|_| damaged(Flaw::Length))?;
        let header = Header::decode(&head).map_err(damaged)?;
        if header.range != range {
            return Err(damaged(Flaw::Header));
        }
        let (buckets_bytes, directory_bytes) = header.lengths().ok_or_else(|| damaged(Flaw::Header))?;
        // Compared before anything is made as long as the header says.
        if len != (HEADER_BYTES + buckets_bytes + directory_bytes) as u64 {
            return Err(damaged(Flaw::Length));
        }
        let bytes = read(&*file, &path, buckets_bytes, HEADER_BYTES, PADDING)?;
        if crc32c::crc32c(&bytes[..buckets_bytes]) != header.buckets_crc {
            return Err(damaged(Flaw::Buckets));
        }
        let raw = read(&*file, &path, directory_bytes, HEADER_BYTES + buckets_bytes, 0)?;
        if crc32c::crc32c(&raw) != header.directory_crc {
            return Err(damaged(Flaw::Directory));
        }
        let starts = || raw.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four));
        let ends = (starts().next(), starts().next_back().map(u64::from));
        if ends != (Some(0), Some(header.entries)) || !starts().is_sorted() {
            return Err(damaged(Flaw::Directory));
        }
        Ok(Self { range, packed: Packed::new(header.shape, starts(), bytes) })
    }
}

/// Reads so many bytes, and leaves room for zeroes behind them.
fn read(
    file: &dyn DiskFile,
    path: &Path,
    len: usize,
    from: usize,
    zeroes: usize,
) -> Result<Vec<u8>, IndexError> {
    let mut bytes = vec![0; len + zeroes];
    let count =
        read_up_to(file, &mut bytes[..len], from as u64).map_err(|error| IndexError::io(path, error))?;
    if count < len {
        return Err(IndexError::Damaged { path: path.into(), flaw: Flaw::Length });
    }
    Ok(bytes)
}

/// Writes a run as its entries come: in memory are only the directory and what is not yet written.
#[derive(Debug)]
pub(super) struct RunWriter<'a> {
    order: Order,
    packer: Packer,
    draft: Draft<'a>,
    bytes: Vec<u8>,
}

impl<'a> RunWriter<'a> {
    /// A writer for at most so many entries.
    pub(super) fn create(
        disk: &'a dyn Disk,
        dir: &Path,
        range: Range,
        at_most: u64,
    ) -> Result<Self, IndexError> {
        let order = Order::new(range, at_most)?;
        let draft = Draft::create(disk, dir, range)?;
        Ok(Self {
            packer: Packer::new(order.shape),
            order,
            draft,
            bytes: Vec::with_capacity(2 * WRITE_BYTES),
        })
    }

    /// Takes the next entry: in order, and each key once.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), IndexError> {
        self.order.check(entry)?;
        self.packer.push(entry, &mut self.bytes);
        if self.bytes.len() >= WRITE_BYTES {
            self.draft.write(&self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }

    /// Makes it durable.
    pub(super) fn finish(mut self) -> Result<(), IndexError> {
        let directory = self.packer.finish(&mut self.bytes);
        self.draft.write(&self.bytes)?;
        drop(self.bytes);
        self.draft.finish(self.order.shape, directory.into_iter())
    }
}

/// Sees to it that a run is sorted and that everything fits.
#[derive(Debug)]
struct Order {
    shape: Shape,
    range: Range,
    last: Option<Entry>,
    left: u64,
}

impl Order {
    fn new(range: Range, at_most: u64) -> Result<Self, IndexError> {
        if at_most > u64::from(u32::MAX) {
            return Err(IndexError::TooMany(at_most));
        }
        Ok(Self { shape: Shape::of(at_most, range.through), range, last: None, left: at_most })
    }

    fn check(&mut self, entry: Entry) -> Result<(), IndexError> {
        let in_order = self.last.is_none_or(|last| last.key() < entry.key());
        // A run that something else wrote may have right checksums and be in disorder all the same.
        if !in_order || self.left == 0 {
            return Err(IndexError::Unsorted);
        }
        if entry.value.0 > self.shape.greatest_value()
            || entry.value.locator().position() > self.range.through
        {
            let locator = entry.value.locator();
            return Err(IndexError::Ahead { locator: locator.position(), through: self.range.through });
        }
        self.last = Some(entry);
        self.left -= 1;
        Ok(())
    }
}

/// A file that has not its name yet.
#[derive(Debug)]
struct Draft<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    temporary: PathBuf,
    range: Range,
    file: GrowingFile,
    written: usize,
    crc: u32,
}

impl<'a> Draft<'a> {
    fn create(disk: &'a dyn Disk, dir: &Path, range: Range) -> Result<Self, IndexError> {
        let temporary = range.path(dir).with_extension("tmp");
        super::remove_if_there(disk, &temporary)?;
        let file = disk.create(&temporary).map_err(|error| IndexError::io(&temporary, error))?;
        let file = GrowingFile::new(file);
        Ok(Self { disk, dir: dir.into(), temporary, range, file, written: 0, crc: 0 })
    }

    /// Writes the next bytes of the buckets.
    fn write(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.write_at(bytes, HEADER_BYTES + self.written)?;
        self.written += bytes.len();
        Ok(())
    }

    fn finish(mut self, shape: Shape, directory: impl Iterator<Item = u32>) -> Result<(), IndexError> {
        let mut raw = Vec::with_capacity(4 * (shape.buckets() + 1));
        let mut entries = 0;
        for start in directory {
            raw.extend_from_slice(&start.to_le_bytes());
            entries = u64::from(start);
        }
        let header = Header {
            shape,
            entries,
            range: self.range,
            buckets_crc: self.crc,
            directory_crc: crc32c::crc32c(&raw),
        };
        self.write_at(&raw, HEADER_BYTES + self.written)?;
        self.write_at(&header.encode(), 0)?;
        let mut named = || {
            self.file.sync_data()?;
            self.disk.rename(&self.temporary, &self.range.path(&self.dir))?;
            self.disk.sync_dir(&self.dir)
        };
        named().map_err(|error| IndexError::io(&self.temporary, error))
    }

    fn write_at(&mut self, bytes: &[u8], offset: usize) -> Result<(), IndexError> {
        self.file.write_all_at(bytes, offset as u64).map_err(|error| IndexError::io(&self.temporary, error))
    }
}

/// The header of a run's file.
struct Header {
    shape: Shape,
    entries: u64,
    range: Range,
    buckets_crc: u32,
    directory_crc: u32,
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut head = [0; HEADER_BYTES];
        head[..8].copy_from_slice(MAGIC);
        head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        // Both are below 256: see `Shape`.
        head[12] = self.shape.directory_bits as u8;
        head[13] = self.shape.value_bytes as u8;
        head[16..24].copy_from_slice(&self.entries.to_le_bytes());
        head[24..32].copy_from_slice(&self.range.after.0.to_le_bytes());
        head[32..40].copy_from_slice(&self.range.through.0.to_le_bytes());
        head[40..44].copy_from_slice(&self.buckets_crc.to_le_bytes());
        head[44..48].copy_from_slice(&self.directory_crc.to_le_bytes());
        let crc = crc32c::crc32c(&head[..60]);
        head[60..].copy_from_slice(&crc.to_le_bytes());
        head
    }

    fn decode(head: &[u8; HEADER_BYTES]) -> Result<Self, Flaw> {
        let four = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
        if head[..8] != *MAGIC || crc32c::crc32c(&head[..60]) != four(60) {
            return Err(Flaw::Header);
        }
        if four(8) != FORMAT {
            return Err(Flaw::Format(four(8)));
        }
        let (directory_bits, value_bytes) = (u32::from(head[12]), usize::from(head[13]));
        if !Shape::DIRECTORY_BITS.contains(&directory_bits) || !(1..=8).contains(&value_bytes) {
            return Err(Flaw::Header);
        }
        Ok(Self {
            shape: Shape::with(directory_bits, value_bytes),
            entries: eight(16),
            range: Range { after: Position(eight(24)), through: Position(eight(32)) },
            buckets_crc: four(40),
            directory_crc: four(44),
        })
    }

    /// How long the buckets and the directory are, in bytes.
    fn lengths(&self) -> Option<(usize, usize)> {
        let entries = usize::try_from(self.entries).ok().filter(|&entries| entries <= u32::MAX as usize)?;
        Some((entries.checked_mul(self.shape.width())?, 4 * (self.shape.buckets() + 1)))
    }
}

#[cfg(test)]
mod tests {
    use i247_ledger::disk::OsDisk;

    use super::*;
    use crate::index::entry::{Locator, Value};

    #[test]
    fn a_run_in_disorder_with_right_checksums_is_an_error_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let range = Range { after: Position(0), through: Position(9) };
        let shape = Shape::of(2, range.through);
        let entry = |fingerprint| Entry {
            fingerprint,
            value: Value::present(Locator::new(Position(1), 0).unwrap(), false),
        };
        let mut packer = Packer::new(shape);
        let mut bytes = Vec::new();
        for fingerprint in [7, 5] {
            packer.push(entry(fingerprint), &mut bytes);
        }
        let directory = packer.finish(&mut bytes);
        bytes.extend_from_slice(&[0; PADDING]);
        let bent = Run { range, packed: Packed::new(shape, directory.into_iter(), bytes) };
        bent.store(&OsDisk, dir.path()).unwrap();

        let run = Run::open(&OsDisk, dir.path(), range).unwrap();
        let mut writer = RunWriter::create(&OsDisk, dir.path(), range, 2).unwrap();
        let written: Result<(), IndexError> = run.packed.entries().try_for_each(|entry| writer.push(entry));
        assert!(matches!(written, Err(IndexError::Unsorted)), "{written:?}");
        let again = Run::of(range, 2, run.packed.entries());
        assert!(matches!(again, Err(IndexError::Unsorted)));
    }
}
