//! The file of one run, and how it is read. It must not serve a byte that its checksum does not cover.
//!
//! ```text
//!   header   magic 8 | format 4 | 0 4 | from 8 | to 8
//!   blocks   rows in order
//!   index    of each block: length 4 | checksum 4 | key length 2 | its first key
//!   footer   rows 8 | index begins 8 | index length 8 | index checksum 4 | checksum of header and footer 4
//! ```

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use crc32c::crc32c_append;

use super::block::{BlockReader, NotABlock};
use super::{MAX_KEY_BYTES, Range, RunError};
use crate::disk::{Disk, DiskFile, read_up_to};
use crate::{Damage, DamageKind, Position};

pub(super) const MAGIC: &[u8; 8] = b"i247runs";
pub(super) const FORMAT: u32 = 1;
pub(super) const HEADER_BYTES: usize = 32;
pub(super) const FOOTER_BYTES: usize = 32;
/// A block ends with the row that reaches this, in bytes.
pub(super) const BLOCK_BYTES: usize = 16 * 1024;

/// One run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Run(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    from: Position,
    to: Position,
    file: Arc<dyn DiskFile>,
    bytes: u64,
    rows: u64,
    index: Index,
    /// The block that was read last: the next look-up is often for a neighbour.
    last: Mutex<Option<(usize, Bytes)>>,
}

/// Where the blocks lie and with which keys they begin. The keys stand one behind the other.
#[derive(Debug, Default)]
pub(super) struct Index {
    blocks: Vec<Place>,
    keys: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    bytes: u32,
    crc: u32,
    key_at: u32,
    key_bytes: u16,
}

impl Run {
    /// Behind which position it begins.
    #[must_use]
    pub fn from(&self) -> Position {
        self.0.from
    }

    /// The last position whose changes it holds.
    #[must_use]
    pub fn to(&self) -> Position {
        self.0.to
    }

    /// How long its file is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// How many keys it holds.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.0.rows
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn open(disk: &dyn Disk, dir: &Path, from: Position, to: Position) -> Result<Self, RunError> {
        let name = name(from, to);
        let failed = |source| RunError::Io { file: name.clone(), source };
        let damaged = |offset| damaged(&name, offset, from);
        let file = disk.open_read(&dir.join(&name)).map_err(failed)?;
        let bytes = file.len().map_err(failed)?;
        let footer_at = bytes.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| damaged(0))?;
        let header = read(&*file, 0, HEADER_BYTES).map_err(failed)?.ok_or_else(|| damaged(0))?;
        let footer =
            read(&*file, footer_at, FOOTER_BYTES).map_err(failed)?.ok_or_else(|| damaged(footer_at))?;
        if header != head(from, to) || u32_at(&footer, 28) != Some(footer_crc(&header, &footer[..28])) {
            // Either of the two; the footer is where it shows.
            return Err(damaged(footer_at));
        }
        let number = |at| u64_at(&footer, at).ok_or_else(|| damaged(footer_at));
        let (rows, index_at, index_bytes) = (number(0)?, number(8)?, number(16)?);
        if index_at.checked_add(index_bytes) != Some(footer_at) {
            return Err(damaged(footer_at));
        }
        let length = usize::try_from(index_bytes).map_err(|_| damaged(footer_at))?;
        let raw = read(&*file, index_at, length).map_err(failed)?.ok_or_else(|| damaged(index_at))?;
        if u32_at(&footer, 24) != Some(crc32c_append(0, &raw)) {
            return Err(damaged(index_at));
        }
        let index = Index::decode(&raw, index_at).ok_or_else(|| damaged(index_at))?;
        Ok(Self::of(file, (from, to), bytes, rows, index))
    }

    pub(super) fn of(
        file: Arc<dyn DiskFile>,
        (from, to): Range,
        bytes: u64,
        rows: u64,
        index: Index,
    ) -> Self {
        let last = Mutex::default();
        Self(Arc::new(Inner { name: name(from, to), from, to, file, bytes, rows, index, last }))
    }

    pub(super) fn find(&self, key: &[u8]) -> Result<Option<Bytes>, RunError> {
        let Some(block) = self.0.index.block_of(key) else { return Ok(None) };
        let mut rows = BlockReader::new(self.block(block)?);
        while self.advance(&mut rows, block)? {
            match rows.key().cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(rows.value())),
                std::cmp::Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The first block that may hold keys from `key` on.
    pub(super) fn first_block(&self, key: &[u8]) -> usize {
        self.0.index.block_of(key).unwrap_or(0)
    }

    pub(super) fn blocks(&self) -> usize {
        self.0.index.blocks.len()
    }

    /// The rows of a block, which match its checksum.
    pub(super) fn block(&self, block: usize) -> Result<Bytes, RunError> {
        let kept = self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, bytes)) = kept.filter(|(kept, _)| *kept == block) {
            return Ok(bytes);
        }
        let bytes = self.read_block(block)?;
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((block, bytes.clone()));
        Ok(bytes)
    }

    /// As [`block`](Self::block), for whoever reads them all: nothing is kept.
    pub(super) fn read_block(&self, block: usize) -> Result<Bytes, RunError> {
        let Some(place) = self.0.index.blocks.get(block) else { return Ok(Bytes::new()) };
        let failed = |source| RunError::Io { file: self.0.name.clone(), source };
        let bytes = read(&*self.0.file, place.offset, place.bytes as usize).map_err(failed)?;
        let whole = bytes.filter(|bytes| crc32c_append(0, bytes) == place.crc);
        whole.map(Bytes::from).ok_or_else(|| damaged(&self.0.name, place.offset, self.0.from))
    }

    pub(super) fn advance(&self, rows: &mut BlockReader, block: usize) -> Result<bool, RunError> {
        rows.advance().map_err(|NotABlock| {
            let offset = self.0.index.blocks.get(block).map_or(0, |place| place.offset);
            damaged(&self.0.name, offset, self.0.from)
        })
    }

    /// Reads every block.
    pub(super) fn check(&self) -> Result<(), RunError> {
        let mut count = 0;
        for block in 0..self.blocks() {
            let mut rows = BlockReader::new(self.read_block(block)?);
            while self.advance(&mut rows, block)? {
                count += 1;
            }
        }
        if count == self.0.rows { Ok(()) } else { Err(damaged(&self.0.name, 0, self.0.from)) }
    }
}

impl Index {
    pub(super) fn push(&mut self, offset: u64, block: &[u8], key: &[u8]) -> Result<(), RunError> {
        let key_at = u32::try_from(self.keys.len()).map_err(|_| RunError::TooLarge(self.keys.len()))?;
        let bytes = u32::try_from(block.len()).map_err(|_| RunError::TooLarge(block.len()))?;
        let key_bytes = u16::try_from(key.len()).map_err(|_| RunError::TooLarge(key.len()))?;
        self.keys.extend_from_slice(key);
        let crc = crc32c_append(0, block);
        self.blocks.push(Place { offset, bytes, crc, key_at, key_bytes });
        Ok(())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.blocks.len() * 10 + self.keys.len());
        for place in &self.blocks {
            raw.extend_from_slice(&place.bytes.to_le_bytes());
            raw.extend_from_slice(&place.crc.to_le_bytes());
            raw.extend_from_slice(&place.key_bytes.to_le_bytes());
            raw.extend_from_slice(self.key(place));
        }
        raw
    }

    /// None unless it describes blocks that lie one behind the other up to `end`, in the order of their keys.
    fn decode(mut raw: &[u8], end: u64) -> Option<Self> {
        let mut index = Self::default();
        let mut offset = HEADER_BYTES as u64;
        while !raw.is_empty() {
            let (bytes, crc) = (u32_at(raw, 0)?, u32_at(raw, 4)?);
            let key_bytes = u16::from_le_bytes(raw.get(8..10)?.try_into().ok()?);
            let key = raw.get(10..10 + usize::from(key_bytes)).filter(|key| key.len() <= MAX_KEY_BYTES)?;
            if index.blocks.last().is_some_and(|before| index.key(before) >= key) {
                return None;
            }
            let key_at = u32::try_from(index.keys.len()).ok()?;
            index.keys.extend_from_slice(key);
            index.blocks.push(Place { offset, bytes, crc, key_at, key_bytes });
            offset = offset.checked_add(u64::from(bytes))?;
            raw = &raw[10 + usize::from(key_bytes)..];
        }
        (offset == end).then_some(index)
    }

    /// The block that holds `key`, if any does.
    fn block_of(&self, key: &[u8]) -> Option<usize> {
        self.blocks.partition_point(|place| self.key(place) <= key).checked_sub(1)
    }

    fn key(&self, place: &Place) -> &[u8] {
        let at = place.key_at as usize;
        &self.keys[at..at + usize::from(place.key_bytes)]
    }
}

pub(super) fn head(from: Position, to: Position) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEADER_BYTES);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&FORMAT.to_le_bytes());
    head.extend_from_slice(&[0; 4]);
    head.extend_from_slice(&from.0.to_le_bytes());
    head.extend_from_slice(&to.0.to_le_bytes());
    head
}

pub(super) fn footer_crc(header: &[u8], footer: &[u8]) -> u32 {
    crc32c_append(crc32c_append(0, header), footer)
}

pub(super) fn name(from: Position, to: Position) -> String {
    format!("run-{:020}-{:020}", from.0, to.0)
}

/// The range in a run's name.
pub(super) fn range(text: &str) -> Option<Range> {
    let (from, to) = text.strip_prefix("run-")?.split_once('-')?;
    let (from, to) = (Position(from.parse().ok()?), Position(to.parse().ok()?));
    (name(from, to) == text).then_some((from, to))
}

fn damaged(file: &str, offset: u64, from: Position) -> RunError {
    RunError::Damaged(Damage { file: file.into(), offset, position: from.next(), kind: DamageKind::Run })
}

/// As many bytes as asked for, which the file should have; none when it ends before.
fn read(file: &dyn DiskFile, offset: u64, length: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; length];
    let count = read_up_to(file, &mut bytes, offset)?;
    Ok((count == length).then_some(bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
