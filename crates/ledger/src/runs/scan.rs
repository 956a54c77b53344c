//! Rows of several runs in one order, each key once with its newest value. It must not hold more than a block of each.

use super::block::BlockReader;
use super::{Row, Run, RunError};

/// Goes through the rows under a prefix. Ends with the first error.
#[derive(Debug)]
pub struct Rows {
    prefix: Vec<u8>,
    /// The oldest run first, each at its next row.
    cursors: Vec<Cursor>,
    started: bool,
    failed: bool,
}

#[derive(Debug)]
struct Cursor {
    run: Run,
    block: usize,
    rows: BlockReader,
}

impl Rows {
    pub(super) fn of(runs: &[Run], prefix: &[u8]) -> Self {
        let cursor = |run: &Run| Cursor {
            run: run.clone(),
            block: run.first_block(prefix),
            rows: BlockReader::new(bytes::Bytes::new()),
        };
        let cursors = runs.iter().map(cursor).collect();
        Self { prefix: prefix.to_vec(), cursors, started: false, failed: false }
    }

    fn start(&mut self) -> Result<(), RunError> {
        let mut kept = Vec::with_capacity(self.cursors.len());
        for mut cursor in self.cursors.drain(..) {
            if cursor.seek(&self.prefix)? && cursor.rows.key().starts_with(&self.prefix) {
                kept.push(cursor);
            }
        }
        self.cursors = kept;
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Row>, RunError> {
        if !self.started {
            self.started = true;
            self.start()?;
        }
        // Of equal keys the last, which is of the newest run.
        let Some(newest) = self.cursors.iter().rev().min_by(|a, b| a.rows.key().cmp(b.rows.key())) else {
            return Ok(None);
        };
        let row = Row { key: newest.rows.key().to_vec(), value: newest.rows.value() };
        let mut at = 0;
        while let Some(cursor) = self.cursors.get_mut(at) {
            let more = cursor.rows.key() != row.key
                || (cursor.advance()? && cursor.rows.key().starts_with(&self.prefix));
            if more {
                at += 1;
            } else {
                self.cursors.remove(at);
            }
        }
        Ok(Some(row))
    }
}

impl Iterator for Rows {
    type Item = Result<Row, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let taken = self.take();
        self.failed = taken.is_err();
        taken.transpose()
    }
}

impl Cursor {
    /// Goes to the first row that is not before `key`; `false` when there is none.
    fn seek(&mut self, key: &[u8]) -> Result<bool, RunError> {
        if self.block >= self.run.blocks() {
            return Ok(false);
        }
        self.rows = BlockReader::new(self.run.block(self.block)?);
        while self.advance()? {
            if self.rows.key() >= key {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn advance(&mut self) -> Result<bool, RunError> {
        while !self.run.advance(&mut self.rows, self.block)? {
            self.block += 1;
            if self.block >= self.run.blocks() {
                return Ok(false);
            }
            self.rows = BlockReader::new(self.run.read_block(self.block)?);
        }
        Ok(true)
    }
}
