//! Runs: an index beside the log, in sorted files that never change. It must not be the only place of anything: all
//! of it may be deleted and made anew from the log. Keys and values are opaque here.
//!
//! ```text
//!   what positions ( 0, 40]  (40, 70]  (70, 75] changed, sorted by key: one file each
//!                  └─────merge─────┘      └ newest: looked into first
//! ```
//!
//! A run is written whole, synced and then named, so that after a crash it is there or not. Runs follow each other
//! without a gap. Those of similar size are merged, so that there are few; the merged one has the name of the whole
//! range, and what it replaces is removed when it is durable. Values are put whole: the newest run that holds a key
//! has its value. Only the sparse index of each run is in memory, and the block that was read last.
//!
//! Everything here blocks; callers run it through [`Blocking`](crate::Blocking).

mod block;
mod file;
mod scan;
mod writer;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, is_full, remove_if_there};
use crate::{Damage, DamageKind, Position};

pub use file::Run;
pub use scan::Rows;
pub use writer::RunWriter;

/// The directory of the runs, below that of their log.
pub const DIR: &str = "runs";
/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// So many runs of similar size are merged into one.
const MERGED_AT_ONCE: usize = 4;
/// Runs below this size, in bytes, count as similar.
const SMALL_BYTES: u64 = 64 * 1024;

/// Why the runs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No room; what was there is still there.
    #[error("no room on the disk")]
    Full,
    /// A run is not what was written, or is missing. Throw all of them away and make them anew from the log.
    #[error("the runs are damaged")]
    Damaged(#[source] Damage),
    /// The disk refused something else.
    #[error("cannot use {file}")]
    Io {
        /// The name of the file; of the directory when it is none of its files.
        file: String,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// Nothing was written: keys must come in ascending order and each once.
    #[error("a key is out of order")]
    OutOfOrder,
    /// Nothing was written: [`MAX_KEY_BYTES`] or [`MAX_VALUE_BYTES`] is passed.
    #[error("{0} bytes are over the limit")]
    TooLarge(usize),
}

/// Where runs lie. One task at a time writes, and one merges.
#[derive(Clone, Debug)]
pub struct RunStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// Behind which position, and up to which.
type Range = (Position, Position);

/// Runs that follow each other from the log's first entry on. Never changes, is cheap to clone, and stays readable
/// when its files are removed.
#[derive(Clone, Debug, Default)]
pub struct Runs(Arc<[Run]>);

/// A key and its newest value. Its `Debug` shows lengths, never contents.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Bytes,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row {{ key: {} bytes, value: {} bytes }}", self.key.len(), self.value.len())
    }
}

impl RunStore {
    /// The runs in `dir`, which need not be there.
    pub fn new(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Self {
        Self { disk, dir: dir.into() }
    }

    /// Opens the runs up to `end`, and removes those beyond it, those that a merged run replaces, and what a crash
    /// left half written.
    ///
    /// # Errors
    /// [`RunError::Damaged`] when they do not reach from the first entry to `end` without a gap, or the index of one
    /// is damaged. A damaged block shows when it is read.
    pub fn open(&self, end: Position) -> Result<Runs, RunError> {
        self.disk.create_dir(&self.dir).map_err(|error| self.refused("", error))?;
        let mut kept: Vec<Range> = Vec::new();
        let mut superfluous = Vec::new();
        // The first of one beginning is the longest: it replaces the others.
        for (name, range) in self.names()? {
            let Some((from, to)) = range else {
                superfluous.push(name);
                continue;
            };
            let replaced = kept.last().is_some_and(|(_, reached)| to <= *reached);
            if to > end || replaced {
                superfluous.push(name);
            } else {
                kept.push((from, to));
            }
        }
        let mut runs = Vec::with_capacity(kept.len());
        let mut reached = Position::START;
        for (from, to) in kept {
            if from != reached {
                return Err(missing(reached));
            }
            runs.push(Run::open(&*self.disk, &self.dir, from, to)?);
            reached = to;
        }
        if reached != end {
            return Err(missing(reached));
        }
        self.remove_files(&superfluous)?;
        Ok(Runs(runs.into()))
    }

    /// Begins the run of what the positions behind `from` up to `to` changed.
    ///
    /// # Errors
    /// When the disk refuses the file.
    pub fn begin(&self, from: Position, to: Position) -> Result<RunWriter, RunError> {
        RunWriter::create(self, from, to)
    }

    /// Merges runs that follow each other into one; none when `wanted` said no meanwhile.
    ///
    /// The new run is durable when it is returned; what it replaces is still there: [`remove`](Self::remove) it once
    /// nobody looks for it any more.
    ///
    /// # Errors
    /// When one cannot be read, or the new one not be written: nothing has changed.
    pub fn merge(&self, runs: &[Run], wanted: impl Fn() -> bool) -> Result<Option<Run>, RunError> {
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return Ok(None) };
        let mut writer = self.begin(first.from(), last.to())?;
        for (count, row) in Rows::of(runs, b"").enumerate() {
            const LOOK: usize = 256;
            if count % LOOK == 0 && !wanted() {
                return Ok(None);
            }
            let row = row?;
            writer.push(&row.key, &row.value)?;
        }
        writer.finish().map(Some)
    }

    /// Removes the files of these runs. Whoever holds the runs can still read them.
    ///
    /// # Errors
    /// When the disk refuses: what is left is removed by the next [`open`](Self::open).
    pub fn remove(&self, runs: &[Run]) -> Result<(), RunError> {
        let names: Vec<String> = runs.iter().map(|run| run.name().to_owned()).collect();
        self.remove_files(&names)
    }

    /// Removes every run and returns how many there were.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clear(&self) -> Result<usize, RunError> {
        let names: Vec<String> = self.names()?.into_iter().map(|(name, _)| name).collect();
        self.remove_files(&names)?;
        Ok(names.len())
    }

    /// Reads every byte of every run: how many are good, and what is wrong with the others or beyond `end`.
    pub(crate) fn check(&self, end: Position) -> Result<(u64, Vec<Damage>), RunError> {
        let (mut good, mut damage) = (0, Vec::new());
        for (name, range) in self.names()? {
            let Some((from, to)) = range else { continue };
            if to > end {
                damage.push(Damage { file: name, offset: 0, position: to, kind: DamageKind::Ahead });
                continue;
            }
            match Run::open(&*self.disk, &self.dir, from, to).and_then(|run| run.check()) {
                Ok(()) => good += 1,
                Err(RunError::Damaged(found)) => damage.push(found),
                Err(error) => return Err(error),
            }
        }
        Ok((good, damage))
    }

    /// The files here, with their range where they are runs: by the beginning of the range, the longest first.
    fn names(&self) -> Result<Vec<(String, Option<Range>)>, RunError> {
        let listed = match self.disk.list(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|error| self.refused("", error))?,
        };
        let mut names = Vec::new();
        for name in listed {
            if name.starts_with("run-") {
                let range = file::range(&name);
                names.push((name, range));
            }
        }
        names.sort_by_key(|(_, range)| range.map(|(from, to)| (from, std::cmp::Reverse(to))));
        Ok(names)
    }

    fn remove_files(&self, names: &[String]) -> Result<(), RunError> {
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            let removed = remove_if_there(&*self.disk, &self.dir.join(name));
            removed.map_err(|error| self.refused(name, error))?;
        }
        self.disk.sync_dir(&self.dir).map_err(|error| self.refused("", error))
    }

    fn refused(&self, file: &str, source: io::Error) -> RunError {
        if is_full(&source) {
            return RunError::Full;
        }
        let file = if file.is_empty() { self.dir.display().to_string() } else { file.to_owned() };
        RunError::Io { file, source }
    }
}

impl Runs {
    /// Up to which position they reach.
    #[must_use]
    pub fn end(&self) -> Position {
        self.0.last().map_or(Position::START, Run::to)
    }

    /// Each of them, the oldest first.
    #[must_use]
    pub fn all(&self) -> &[Run] {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The newest value of a key. Reads at most one block of each run.
    ///
    /// # Errors
    /// When a run cannot be read or is damaged.
    pub fn find(&self, key: &[u8]) -> Result<Option<Bytes>, RunError> {
        for run in self.0.iter().rev() {
            if let Some(value) = run.find(key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Every key that begins with `prefix`, in order, with its newest value. Holds one block of each run at a time.
    #[must_use]
    pub fn rows(&self, prefix: &[u8]) -> Rows {
        Rows::of(&self.0, prefix)
    }

    /// These runs and the next, which begins where they end.
    #[must_use]
    pub fn and(&self, next: Run) -> Runs {
        Runs(self.0.iter().cloned().chain([next]).collect())
    }

    /// These runs with a merged one in place of those that it was made of.
    #[must_use]
    pub fn with_merged(&self, merged: Run) -> Runs {
        let (from, to) = (merged.from(), merged.to());
        let before = self.0.iter().filter(|run| run.to() <= from).cloned();
        let behind = self.0.iter().filter(|run| run.from() >= to).cloned();
        Runs(before.chain([merged]).chain(behind).collect())
    }

    /// The runs that are to be merged next, of those that end at `durable` or before; none when there are few.
    ///
    /// `durable` is the position of the oldest snapshot that a start may have to go back to: a run that reaches
    /// beyond it could not be given up alone.
    #[must_use]
    pub fn due(&self, durable: Position) -> Option<Vec<Run>> {
        let mergeable: Vec<&Run> = self.0.iter().take_while(|run| run.to() <= durable).collect();
        for last in (0..mergeable.len()).rev() {
            let (mut first, mut sum) = (last, size(mergeable[last]));
            while first > 0 && size(mergeable[first - 1]) <= 2 * sum {
                first -= 1;
                sum += size(mergeable[first]);
            }
            if last + 1 - first >= MERGED_AT_ONCE {
                return Some(mergeable[first..=last].iter().map(|run| (*run).clone()).collect());
            }
        }
        None
    }
}

fn size(run: &Run) -> u64 {
    run.bytes().max(SMALL_BYTES)
}

fn missing(behind: Position) -> RunError {
    RunError::Damaged(Damage {
        file: DIR.into(),
        offset: 0,
        position: behind.next(),
        kind: DamageKind::RunMissing,
    })
}
