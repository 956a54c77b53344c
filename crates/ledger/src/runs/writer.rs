//! Writes one run, row by row. It must not show a run that is not whole and durable.

use std::path::PathBuf;

use crc32c::crc32c_append;

use super::block::BlockWriter;
use super::file::{BLOCK_BYTES, FOOTER_BYTES, HEADER_BYTES, Index, footer_crc, head, name};
use super::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Range, Run, RunError, RunStore};
use crate::Position;
use crate::disk::{GrowingFile, remove_if_there};

/// So much is written at once, in bytes.
const WRITE_BYTES: usize = 256 * 1024;

/// A run that is being written. Dropped before [`finish`](Self::finish), it leaves nothing.
#[derive(Debug)]
pub struct RunWriter {
    store: RunStore,
    range: Range,
    temporary: PathBuf,
    file: GrowingFile,
    /// What is not written yet, and where it goes.
    buffer: Vec<u8>,
    written: u64,
    block: BlockWriter,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
    rows: u64,
    index: Index,
    finished: bool,
}

impl RunWriter {
    pub(super) fn create(store: &RunStore, from: Position, to: Position) -> Result<Self, RunError> {
        let temporary = store.dir.join(format!("{}.tmp", name(from, to)));
        let removed = remove_if_there(&*store.disk, &temporary);
        let created = removed.and_then(|()| store.disk.create(&temporary));
        let file = created.map_err(|error| store.refused(&name(from, to), error))?;
        Ok(Self {
            store: store.clone(),
            range: (from, to),
            temporary,
            file: GrowingFile::new(file),
            buffer: head(from, to),
            written: 0,
            block: BlockWriter::default(),
            first_key: Vec::new(),
            last_key: Vec::new(),
            rows: 0,
            index: Index::default(),
            finished: false,
        })
    }

    /// Adds a row. Keys come in ascending order, each once.
    ///
    /// # Errors
    /// [`RunError::OutOfOrder`], [`RunError::TooLarge`], or what the disk says; nothing can be added then.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), RunError> {
        if key.len() > MAX_KEY_BYTES || value.len() > MAX_VALUE_BYTES {
            return Err(RunError::TooLarge(key.len() + value.len()));
        }
        if self.rows > 0 && key <= self.last_key.as_slice() {
            return Err(RunError::OutOfOrder);
        }
        if self.block.bytes().is_empty() {
            self.first_key.clear();
            self.first_key.extend_from_slice(key);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.block.push(key, value);
        self.rows += 1;
        if self.block.bytes().len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    /// Makes the run durable under its name.
    ///
    /// # Errors
    /// What the disk says; then there is no run, unless only its name could not be made durable: the next
    /// [`open`](RunStore::open) finds out.
    pub fn finish(mut self) -> Result<Run, RunError> {
        if !self.block.bytes().is_empty() {
            self.end_block()?;
        }
        let index_at = self.written + self.buffer.len() as u64;
        let index = self.index.encode();
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.extend_from_slice(&self.rows.to_le_bytes());
        footer.extend_from_slice(&index_at.to_le_bytes());
        footer.extend_from_slice(&(index.len() as u64).to_le_bytes());
        footer.extend_from_slice(&crc32c_append(0, &index).to_le_bytes());
        let crc = footer_crc(&head(self.range.0, self.range.1), &footer);
        footer.extend_from_slice(&crc.to_le_bytes());
        self.buffer.extend_from_slice(&index);
        self.buffer.extend_from_slice(&footer);
        self.flush()?;
        let name = name(self.range.0, self.range.1);
        let (disk, dir) = (&self.store.disk, &self.store.dir);
        let named = self.file.sync_data().and_then(|()| disk.rename(&self.temporary, &dir.join(&name)));
        named.map_err(|error| self.store.refused(&name, error))?;
        self.finished = true;
        disk.sync_dir(dir).map_err(|error| self.store.refused(&name, error))?;
        let index = std::mem::take(&mut self.index);
        Ok(Run::of(self.file.file().clone(), self.range, self.written, self.rows, index))
    }

    fn end_block(&mut self) -> Result<(), RunError> {
        let offset = self.written + self.buffer.len() as u64;
        debug_assert!(offset >= HEADER_BYTES as u64);
        self.index.push(offset, self.block.bytes(), &self.first_key)?;
        self.buffer.extend_from_slice(self.block.bytes());
        self.block.clear();
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), RunError> {
        let written = self.file.write_all_at(&self.buffer, self.written);
        written.map_err(|error| self.store.refused(&name(self.range.0, self.range.1), error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        if !self.finished {
            // It makes room again; what fails here is removed when the runs are opened the next time.
            drop(self.store.disk.remove(&self.temporary));
        }
    }
}
