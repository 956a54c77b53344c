//! Builds a run from entries in any order, in bounded memory: sorted pieces go to the disk and are merged. It must not
//! leave a piece behind that a later build could take for its own.
//!
//! A piece is a row of blocks `entries 4 | CRC-32C of the rest 4 | (fingerprint 8, value 8) …`, little end first.

use std::path::PathBuf;
use std::sync::Arc;

use i247_ledger::Position;
use i247_ledger::disk::{Disk, DiskFile, read_up_to, write_all_at};

use super::entry::{Entry, Locator, Value};
use super::merge::{Merged, Source};
use super::run::{Range, Run, RunWriter};
use super::{Fingerprint, Flaw, IndexError};

/// What an entry takes in a piece, in bytes.
const ENTRY_BYTES: usize = 16;
/// What sorting takes for an entry, in bytes: the order of equal keys is kept, which needs room for half of them again.
const SORTING_BYTES: usize = ENTRY_BYTES + ENTRY_BYTES / 2;
/// Entries in a block of a piece.
const BLOCK_ENTRIES: usize = 16 * 1024;
const BLOCK_HEAD_BYTES: usize = 8;
/// So many pieces are merged at once, each through a block in memory: 16 MiB.
const MAX_PIECES: usize = 64;
const PREFIX: &str = "sort-";

/// Takes the changes of a log in any order of keys, and makes a run of them. Of several changes of the same fingerprint
/// and locator the last one counts.
#[derive(Debug)]
pub struct Sorter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    capacity: usize,
    pending: Vec<Entry>,
    pieces: Vec<Piece>,
    named: u64,
}

#[derive(Debug)]
struct Piece {
    path: PathBuf,
    entries: u64,
}

impl Sorter {
    /// The least memory that is taken, in bytes.
    pub const MIN_MEMORY_BYTES: usize = 64 * 1024;

    /// A sorter that holds at most `memory_bytes` of entries (beside 16 MiB for merging, and the directory of the
    /// run), and puts its pieces into `dir`. What an earlier one left there goes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn new(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        memory_bytes: usize,
    ) -> Result<Self, IndexError> {
        let dir = dir.into();
        disk.create_dir(&dir).map_err(|error| IndexError::io(&dir, error))?;
        for name in disk.list(&dir).map_err(|error| IndexError::io(&dir, error))? {
            if name.starts_with(PREFIX) {
                super::remove_if_there(&*disk, &dir.join(name))?;
            }
        }
        let capacity = memory_bytes.max(Self::MIN_MEMORY_BYTES) / SORTING_BYTES;
        Ok(Self { disk, dir, capacity, pending: Vec::new(), pieces: Vec::new(), named: 0 })
    }

    /// A record has this key.
    ///
    /// # Errors
    /// When the disk refuses; the sorter is of no use then.
    pub fn add(&mut self, key: Fingerprint, locator: Locator, restricted: bool) -> Result<(), IndexError> {
        self.push(Entry { fingerprint: key.0, value: Value::present(locator, restricted) })
    }

    /// A record has this key no more.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn remove(&mut self, key: Fingerprint, locator: Locator) -> Result<(), IndexError> {
        self.push(Entry { fingerprint: key.0, value: Value::removed(locator) })
    }

    /// Makes the run of everything up to `through` durable in the directory, and removes the pieces. It is found when
    /// the index is opened; runs that were there are replaced by it.
    ///
    /// # Errors
    /// [`IndexError::Ahead`] when a locator lies behind `through`, [`IndexError::TooMany`], or what the disk says.
    pub fn finish(mut self, through: Position) -> Result<(), IndexError> {
        let range = Range { after: Position::START, through };
        self.pending.sort_by_key(|entry| entry.key());
        if self.pieces.is_empty() {
            let at_most = self.pending.len() as u64;
            let entries = newest(&self.pending).filter(|entry| !entry.value.is_removed());
            return Run::of(range, at_most, entries)?.store(&*self.disk, &self.dir);
        }
        self.spill()?;
        self.pending = Vec::new();
        let at_most = self.pieces.iter().map(|piece| piece.entries).sum();
        let mut writer = RunWriter::create(&*self.disk, &self.dir, range, at_most)?;
        for entry in self.merged()? {
            let entry = entry?;
            if !entry.value.is_removed() {
                writer.push(entry)?;
            }
        }
        writer.finish()?;
        self.remove_pieces()
    }

    fn push(&mut self, entry: Entry) -> Result<(), IndexError> {
        if self.pending.is_empty() {
            self.pending.reserve_exact(self.capacity);
        }
        self.pending.push(entry);
        if self.pending.len() < self.capacity {
            return Ok(());
        }
        self.pending.sort_by_key(|entry| entry.key());
        self.spill()?;
        if self.pieces.len() == MAX_PIECES { self.merge_pieces() } else { Ok(()) }
    }

    /// Writes what is pending and sorted as a piece.
    fn spill(&mut self) -> Result<(), IndexError> {
        let mut piece = self.next_piece()?;
        for entry in newest(&self.pending) {
            piece.push(entry)?;
        }
        self.pieces.push(piece.finish()?);
        self.pending.clear();
        Ok(())
    }

    /// Makes one piece of all.
    fn merge_pieces(&mut self) -> Result<(), IndexError> {
        let mut piece = self.next_piece()?;
        for entry in self.merged()? {
            piece.push(entry?)?;
        }
        let merged = piece.finish()?;
        self.remove_pieces()?;
        self.pieces.push(merged);
        Ok(())
    }

    fn merged(&self) -> Result<Merged<'static>, IndexError> {
        let mut sources: Vec<Source<'static>> = Vec::new();
        for piece in &self.pieces {
            sources.push(Box::new(PieceReader::open(&*self.disk, piece)?));
        }
        Merged::new(sources)
    }

    fn next_piece(&mut self) -> Result<PieceWriter, IndexError> {
        self.named += 1;
        let path = self.dir.join(format!("{PREFIX}{:06}.tmp", self.named));
        let file = self.disk.create(&path).map_err(|error| IndexError::io(&path, error))?;
        Ok(PieceWriter { file, path, offset: 0, entries: 0, block: new_block() })
    }

    fn remove_pieces(&mut self) -> Result<(), IndexError> {
        self.pieces.drain(..).try_for_each(|piece| super::remove_if_there(&*self.disk, &piece.path))
    }
}

/// The last of each run of equal keys.
fn newest(sorted: &[Entry]) -> impl Iterator<Item = Entry> + '_ {
    sorted.chunk_by(|a, b| a.key() == b.key()).filter_map(|same| same.last().copied())
}

fn new_block() -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK_HEAD_BYTES + BLOCK_ENTRIES * ENTRY_BYTES);
    block.resize(BLOCK_HEAD_BYTES, 0);
    block
}

/// Writes a piece. It need not be durable: a build that is cut off begins anew.
struct PieceWriter {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    offset: u64,
    entries: u64,
    block: Vec<u8>,
}

impl PieceWriter {
    fn push(&mut self, entry: Entry) -> Result<(), IndexError> {
        self.block.extend_from_slice(&entry.fingerprint.to_le_bytes());
        self.block.extend_from_slice(&entry.value.0.to_le_bytes());
        self.entries += 1;
        if self.block.len() == BLOCK_HEAD_BYTES + BLOCK_ENTRIES * ENTRY_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        let count = (self.block.len() - BLOCK_HEAD_BYTES) / ENTRY_BYTES;
        if count == 0 {
            return Ok(());
        }
        let crc = crc32c::crc32c(&self.block[BLOCK_HEAD_BYTES..]);
        self.block[..4].copy_from_slice(&(count as u32).to_le_bytes());
        self.block[4..8].copy_from_slice(&crc.to_le_bytes());
        write_all_at(&*self.file, &self.block, self.offset)
            .map_err(|error| IndexError::io(&self.path, error))?;
        self.offset += self.block.len() as u64;
        self.block.truncate(BLOCK_HEAD_BYTES);
        Ok(())
    }

    fn finish(mut self) -> Result<Piece, IndexError> {
        self.flush()?;
        Ok(Piece { path: self.path, entries: self.entries })
    }
}

/// Reads a piece, one block at a time.
struct PieceReader {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    offset: u64,
    left: u64,
    block: Vec<u8>,
    at: usize,
}

impl PieceReader {
    fn open(disk: &dyn Disk, piece: &Piece) -> Result<Self, IndexError> {
        let path = piece.path.clone();
        let file = disk.open_read(&path).map_err(|error| IndexError::io(&path, error))?;
        Ok(Self { file, path, offset: 0, left: piece.entries, block: Vec::new(), at: 0 })
    }

    fn read_block(&mut self) -> Result<(), IndexError> {
        let damaged = || IndexError::Damaged { path: self.path.clone(), flaw: Flaw::Piece };
        // Only the last block is shorter than the others.
        let entries = self.left.min(BLOCK_ENTRIES as u64) as usize;
        self.block.resize(BLOCK_HEAD_BYTES + entries * ENTRY_BYTES, 0);
        let count = read_up_to(&*self.file, &mut self.block, self.offset)
            .map_err(|error| IndexError::io(&self.path, error))?;
        let crc = crc32c::crc32c(&self.block[BLOCK_HEAD_BYTES..]);
        let head_is_right =
            self.block[..4] == (entries as u32).to_le_bytes() && self.block[4..8] == crc.to_le_bytes();
        if count < self.block.len() || !head_is_right {
            return Err(damaged());
        }
        self.offset += self.block.len() as u64;
        self.left -= entries as u64;
        self.at = BLOCK_HEAD_BYTES;
        Ok(())
    }
}

impl Iterator for PieceReader {
    type Item = Result<Entry, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.block.len() {
            if self.left == 0 {
                return None;
            }
            if let Err(error) = self.read_block() {
                self.left = 0;
                self.at = self.block.len();
                return Some(Err(error));
            }
        }
        let (numbers, _) = self.block[self.at..].as_chunks::<8>();
        let entry = match numbers {
            [fingerprint, value, ..] => Entry {
                fingerprint: u64::from_le_bytes(*fingerprint),
                value: Value(u64::from_le_bytes(*value)),
            },
            _ => return None,
        };
        self.at += ENTRY_BYTES;
        Some(Ok(entry))
    }
}
