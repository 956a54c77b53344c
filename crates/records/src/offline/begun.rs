//! A snapshot while it comes, piece by piece. It is not asked before all of it is there and checked.

use std::path::PathBuf;
use std::sync::Arc;

use i247_ledger::disk::{DiskFile, write_all_at};

use super::{HolderError, Part};
use crate::database::Database;

/// A snapshot that is coming.
#[derive(Debug)]
pub struct Begun {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    pub(super) at: u64,
    pub(super) database: Database,
    pub(super) part: Part,
    pub(super) version: u64,
}

impl Begun {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), HolderError> {
        let written = write_all_at(&*self.file, bytes, self.at);
        written.map_err(|error| HolderError::io(&self.path, error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes are there.
    pub fn len(&self) -> u64 {
        self.at
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }
}
