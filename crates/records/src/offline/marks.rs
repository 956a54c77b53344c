//! The marks of the newest copies that a holder has had: kept apart from the copies, so that an older copy of those does
//! not bring older marks with it.
//!
//! ```text
//!   i247 marks 1
//!   sltd base 1763839000 5f3c…
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use i247_ledger::disk::{self, Disk};
use i247_model::Hash;

use super::{HolderError, Mark, Part};
use crate::database::Database;

const HEAD: &str = "i247 marks 1";

/// More than all databases need.
const MAX_BYTES: u64 = 64 * 1024;

/// The newest marks, by database and part.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Marks(BTreeMap<(Database, Part), Mark>);

impl Marks {
    /// Those in a file; none when it is not there yet. It blocks.
    ///
    /// # Errors
    /// [`HolderError::NotOurs`] when it is no such file, or what the disk says.
    pub fn load(disk: &dyn Disk, file: &Path) -> Result<Self, HolderError> {
        let bytes = match disk::read_whole(disk, file, MAX_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(|error| HolderError::io(file, error))?,
        };
        let read = || {
            let mut lines = std::str::from_utf8(&bytes).ok()?.lines();
            let marks = (lines.next()? == HEAD).then(|| lines.map(mark).collect::<Option<_>>())?;
            marks.map(Self)
        };
        read().ok_or_else(|| HolderError::NotOurs(file.into()))
    }

    /// Writes them, durably and whole or not at all. It blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn save(&self, disk: &dyn Disk, dir: &Path, name: &str) -> Result<(), HolderError> {
        let mut text = format!("{HEAD}\n");
        for ((database, part), Mark { version, chain }) in &self.0 {
            let _ = writeln!(text, "{database} {part} {version} {chain}");
        }
        let written =
            disk.create_dir(dir).and_then(|()| disk::replace_whole(disk, dir, name, text.as_bytes()));
        written.map_err(|error| HolderError::io(&dir.join(name), error))
    }

    /// The newest of a part.
    pub fn get(&self, database: Database, part: Part) -> Option<Mark> {
        self.0.get(&(database, part)).copied()
    }

    pub(super) fn forget(&mut self, database: Database, part: Part) {
        self.0.remove(&(database, part));
    }

    pub(super) fn put(&mut self, database: Database, part: Part, mark: Mark) {
        self.0.insert((database, part), mark);
    }
}

fn mark(line: &str) -> Option<((Database, Part), Mark)> {
    let mut words = line.split(' ');
    let (database, part) = (words.next()?.parse().ok()?, Part::of_name(words.next()?)?);
    let (version, chain) = (words.next()?.parse().ok()?, hash(words.next()?)?);
    words.next().is_none().then_some(((database, part), Mark { version, chain }))
}

/// 64 hexadecimal digits.
fn hash(text: &str) -> Option<Hash> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>()?;
    if rest.is_empty() { Hash::from_slice(&bytes) } else { None }
}
