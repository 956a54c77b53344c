//! The log in memory: the same contract, for simulations and tests. It must not outlive its process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{AppendError, Body, Draft, EraseError, Ledger, Position, ReadError, Record, within_limits};

/// The log in memory.
#[derive(Debug)]
pub struct Memory {
    records: Mutex<Vec<Record>>,
    end: watch::Sender<Position>,
}

impl Memory {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Memory { records: Mutex::default(), end: watch::Sender::new(Position::START) }
    }

    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new()
    }
}

#[async_trait]
impl Ledger for Memory {
    fn end(&self) -> Position {
        *self.end.borrow()
    }

    fn watch_end(&self) -> watch::Receiver<Position> {
        self.end.subscribe()
    }

    async fn append(&self, after: Position, group: Vec<Draft>) -> Result<Position, AppendError> {
        within_limits(&group)?;
        let mut records = self.records();
        let end = Position(records.len() as u64);
        if after != end {
            return Err(AppendError::Conflict { end });
        }
        if group.is_empty() {
            return Ok(end);
        }
        for draft in group {
            let position = Position(records.len() as u64).next();
            let body = draft.body.map_or(Body::None, Body::Present);
            records.push(Record { position, entry: draft.entry, body });
        }
        let end = Position(records.len() as u64);
        self.end.send_replace(end);
        Ok(end)
    }

    async fn read(
        &self,
        from: Position,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let records = self.records();
        let skip = usize::try_from(from.0.saturating_sub(1)).unwrap_or(usize::MAX);
        let mut read = Vec::new();
        let mut bytes = 0;
        for record in records.iter().skip(skip).take(max_records) {
            let body = if let Body::Present(body) = &record.body { body.len() } else { 0 };
            bytes += record.entry.len() + body;
            if bytes > max_bytes && !read.is_empty() {
                break;
            }
            read.push(record.clone());
        }
        Ok(read)
    }

    async fn erase(&self, position: Position) -> Result<(), EraseError> {
        let mut records = self.records();
        let index = position.0.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let record = index.and_then(|index| records.get_mut(index)).ok_or(EraseError::Absent(position))?;
        if record.body != Body::None {
            record.body = Body::Erased;
        }
        Ok(())
    }
}
