//! The index: which records have a key. It must not be the only place of anything: all of it is made anew from the log.
//!
//! ```text
//!   key ──KeySpace──► fingerprint ──► delta (in memory)          changes behind the last run
//!                                 └─► run │ run │ run  (files)   sorted, never changed, read into memory
//!                                          └─merge─┘
//!                                 ──► candidates: locators, by which the caller reads the records
//! ```
//!
//! * A [`Fingerprint`] only names candidates: the caller reads each record and compares the whole key.
//! * Restrictions are applied inside: a restricted candidate comes out only when the caller's `sees` lets it, so that
//!   an asker who may not see it gets what one gets who asks for a key that is not there.
//! * [`Index::seal`] makes a run of the delta and [`Index::merge_due`] few of many; what takes long is done beside the
//!   index or is a value of its own ([`Sealed`], [`Merge`]) that another thread carries out while the index answers.
//! * [`Sorter`] makes a run of a whole log in bounded memory.
//!
//! Asked for in batches, keys wait for memory together. The `index` benchmark of this crate prints what that comes to.

mod delta;
mod entry;
mod fingerprint;
mod frozen;
mod merge;
mod run;
mod shape;
mod sort;
mod spaces;
mod work;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_ledger::Position;
use i247_ledger::disk::{self, Disk, is_full};
use i247_model::Hash;
use sha2::{Digest, Sha256};

use self::delta::Delta;
use self::entry::{Entry, Value};
use self::merge::{Merged, Source};
use self::run::{Range, Run};
use self::shape::{LANES, Span};

pub use self::entry::{Live, Locator};
pub use self::fingerprint::{Fingerprint, KeySpace};
pub use self::frozen::Frozen;
pub use self::sort::Sorter;
pub use self::spaces::KeySpaces;
pub use self::work::{Merge, MergedRun, Replaced, Sealed, Unsealed};

/// Why an index cannot be used. The log has everything that is in it: [`Index::clear`] and a rebuild help always.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// No room; what was there is still there.
    #[error("no room on the disk for {}", .0.display())]
    Full(PathBuf),
    /// A file is not what was written. Clear the index and make it anew from the log.
    #[error("{} is damaged: {flaw}; clear the index and rebuild it from the log", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The disk refused something else.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// More entries than one run can have: `u32::MAX`.
    #[error("{0} entries are over the limit of one run")]
    TooMany(u64),
    /// Entries do not come in order: something else has written a run. Clear the index and make it anew from the log.
    #[error("a run of the index is not sorted; clear the index and rebuild it from the log")]
    Unsorted,
    /// A locator names an entry of the log that the run should not know yet. Nothing was written.
    #[error("an entry of position {locator} does not belong into a run through position {through}")]
    Ahead {
        /// Its position.
        locator: Position,
        /// The last position of the run.
        through: Position,
    },
}

/// What is wrong with a file of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is shorter or longer than its header says.
    Length,
    /// The header is not one, or does not fit the name.
    Header,
    /// It was written by a program with another format.
    Format(u32),
    /// The entries are not those that were written.
    Buckets,
    /// The directory is not the one that was written.
    Directory,
    /// A block of a half sorted piece is not the one that was written.
    Piece,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Length => f.write_str("its length does not fit its header"),
            Flaw::Header => f.write_str("its header is wrong"),
            Flaw::Format(format) => write!(f, "its format {format} is unknown here"),
            Flaw::Buckets => f.write_str("the checksum of its entries is wrong"),
            Flaw::Directory => f.write_str("the checksum of its directory is wrong"),
            Flaw::Piece => f.write_str("the checksum of a block is wrong"),
        }
    }
}

impl IndexError {
    fn io(path: &Path, source: io::Error) -> Self {
        if is_full(&source) { Self::Full(path.into()) } else { Self::Io { path: path.into(), source } }
    }
}

/// Which records have a key.
#[derive(Debug)]
pub struct Index {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Oldest first, without a gap.
    runs: Vec<Arc<Run>>,
    delta: Delta,
}

/// A record that may have the key that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The number of the key among those that were asked for, from 0 on.
    pub query: usize,
    /// Where the record lies.
    pub locator: Locator,
    /// Whether some may not see it; this asker may.
    pub restricted: bool,
}

impl Index {
    /// Opens the index in `dir`, reads its runs into memory and checks them. What merged runs replace, what a crash left
    /// half written, and what lies behind a missing run is removed. It blocks.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] when a run is not what was written, or what the disk says.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<Self, IndexError> {
        Self::open_to(disk, dir, Position(u64::MAX))
    }

    /// As [`open`](Self::open), and removes the runs that reach beyond `end`. [`through`](Self::through) says whether
    /// what is left reaches up to it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>, end: Position) -> Result<Self, IndexError> {
        let dir = dir.into();
        disk.create_dir(&dir).map_err(|error| IndexError::io(&dir, error))?;
        let mut ranges = Vec::new();
        for name in disk.list(&dir).map_err(|error| IndexError::io(&dir, error))? {
            match Range::of_name(&name) {
                Some(range) => ranges.push(range),
                None if name.ends_with(".tmp") => remove_if_there(&*disk, &dir.join(name))?,
                None => {}
            }
        }
        // Of those with one beginning the longest first: it replaces the others.
        ranges.sort_by_key(|range| (range.after, std::cmp::Reverse(range.through)));
        let mut runs = Vec::new();
        let mut reached = Position::START;
        for range in ranges {
            if range.after != reached || range.through <= reached || range.through > end {
                remove_if_there(&*disk, &range.path(&dir))?;
                continue;
            }
            runs.push(Arc::new(Run::open(&*disk, &dir, range)?));
            reached = range.through;
        }
        Ok(Self { disk, dir, runs, delta: Delta::new() })
    }

    /// Removes all files of the index in `dir`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clear(disk: &dyn Disk, dir: &Path) -> Result<(), IndexError> {
        let names = match disk.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            names => names.map_err(|error| IndexError::io(dir, error))?,
        };
        for name in names {
            if Range::of_name(&name).is_some() || name.ends_with(".tmp") {
                remove_if_there(disk, &dir.join(name))?;
            }
        }
        disk.sync_dir(dir).map_err(|error| IndexError::io(dir, error))
    }

    /// The last position of the log whose changes are in a run. What follows is to be told again after a restart.
    #[must_use]
    pub fn through(&self) -> Position {
        self.runs.last().map_or(Position::START, |run| run.range.through)
    }

    /// How many changes no run has yet.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.delta.len()
    }

    /// How many runs a search looks into.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// What the runs take in memory, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.packed.memory_bytes()).sum()
    }

    /// A record has this key. Said again with another restriction, the last word counts.
    pub fn add(&mut self, key: Fingerprint, locator: Locator, restricted: bool) {
        self.delta.put(Entry { fingerprint: key.0, value: Value::present(locator, restricted) });
    }

    /// A record has this key no more.
    pub fn remove(&mut self, key: Fingerprint, locator: Locator) {
        self.delta.put(Entry { fingerprint: key.0, value: Value::removed(locator) });
    }

    /// The records that may have the key, at most `limit`, in the order of the log. Of restricted ones only those that
    /// `sees` lets through.
    #[must_use]
    pub fn look_up(
        &self,
        key: Fingerprint,
        limit: usize,
        sees: impl FnMut(Locator) -> bool,
    ) -> Vec<Candidate> {
        let mut found = Vec::new();
        let in_run = |(age, run): (usize, &Arc<Run>)| run.packed.find_one(key).map(|span| (0, age, span));
        let spans: Vec<(usize, usize, Span)> = self.runs.iter().enumerate().filter_map(in_run).collect();
        let asked = Asked { query: 0, key, changed: self.delta.may_have(key.0) };
        self.resolve(asked, &spans, limit, sees, &mut found);
        found
    }

    /// The records that may have one of the keys, put behind what is in `found`: by the order of the keys, and for each at
    /// most `limit` in the order of the log. Of restricted ones only those that `sees` lets through.
    ///
    /// Asked for in one go, keys cost less than one by one, from a few on.
    pub fn look_up_many(
        &self,
        keys: &[Fingerprint],
        limit: usize,
        mut sees: impl FnMut(Locator) -> bool,
        found: &mut Vec<Candidate>,
    ) {
        let mut spans: Vec<(usize, usize, Span)> = Vec::new();
        for (chunk, first) in keys.chunks(LANES).zip((0..).step_by(LANES)) {
            spans.clear();
            for (age, run) in self.runs.iter().enumerate() {
                run.packed.find_all(chunk, |number, span| spans.push((number, age, span)));
            }
            if self.runs.len() > 1 {
                spans.sort_unstable_by_key(|&(number, age, _)| (number, age));
            }
            let mut changed = [false; LANES];
            for (changed, key) in changed.iter_mut().zip(chunk) {
                *changed = self.delta.may_have(key.0);
            }
            let mut rest = &spans[..];
            for (number, &key) in chunk.iter().enumerate() {
                let own = rest.iter().take_while(|span| span.0 == number).count();
                let (of_key, behind) = rest.split_at(own);
                rest = behind;
                let asked = Asked { query: first + number, key, changed: changed[number] };
                self.resolve(asked, of_key, limit, &mut sees, found);
            }
        }
    }

    /// Puts the newest of each locator behind what is in `found`, in the order of locators, up to `limit`.
    fn resolve(
        &self,
        asked: Asked,
        spans: &[(usize, usize, Span)],
        limit: usize,
        mut sees: impl FnMut(Locator) -> bool,
        found: &mut Vec<Candidate>,
    ) {
        let Asked { query, key, changed } = asked;
        if spans.is_empty() && !changed {
            return;
        }
        let mut left = limit;
        // Says whether there is room for more.
        let mut take = |value: Value| {
            let (locator, restricted) = (value.locator(), value.is_restricted());
            if left > 0 && !value.is_removed() && (!restricted || sees(locator)) {
                found.push(Candidate { query, locator, restricted });
                left -= 1;
            }
            left > 0
        };
        let packed = |age: usize| &self.runs[age].packed;
        if let (&[(_, age, span)], false) = (spans, changed) {
            let _ = (0..span.len()).all(|at| take(packed(age).value(span, at)));
            return;
        }
        let entry = |value| Ok(Entry { fingerprint: key.0, value });
        let mut sources: Vec<Source<'_>> = Vec::new();
        for &(_, age, span) in spans {
            sources.push(Box::new((0..span.len()).map(move |at| entry(packed(age).value(span, at)))));
        }
        sources.push(Box::new(self.delta.of(key.0).map(entry)));
        let _ = in_memory(sources).all(|entry| take(entry.value));
    }

    /// A SHA-256 over every entry that was not removed: the same for an index that grew and for one made anew.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut hash = Sha256::new_with_prefix(b"i247 index 1");
        for live in self.live() {
            hash.update(live.fingerprint.0.to_be_bytes());
            hash.update(Value::present(live.locator, live.restricted).0.to_be_bytes());
        }
        Hash(hash.finalize().into())
    }

    /// Makes a run of the changes, which reach up to and with `through`: nothing when there is nothing new. It takes as
    /// long as there are changes; meanwhile they are searched where they are, until [`seal`](Self::seal).
    ///
    /// # Errors
    /// [`IndexError::Ahead`] when a change lies behind `through`.
    pub fn run_of_changes(&self, through: Position) -> Result<Option<Unsealed>, IndexError> {
        let range = Range { after: self.through(), through };
        if through <= range.after {
            return Ok(None);
        }
        let run = Arc::new(Run::of(range, self.delta.len() as u64, self.delta.entries())?);
        Ok(Some(Unsealed { run, puts: self.delta.puts() }))
    }

    /// Puts a run in the place of the changes of which it was made: it is searched at once, and durable when
    /// [`Sealed::store`] has returned. Store runs in the order of their seals. None when something changed since it was
    /// made; then nothing changes here.
    #[must_use]
    pub fn seal(&mut self, unsealed: Unsealed) -> Option<Sealed> {
        let Unsealed { run, puts } = unsealed;
        if run.range.after != self.through() || puts != self.delta.puts() {
            return None;
        }
        let replaced = std::mem::replace(&mut self.delta, Delta::new());
        self.runs.push(run.clone());
        Some(Sealed { run, _replaced: replaced, disk: self.disk.clone(), dir: self.dir.clone() })
    }

    /// What should be merged now, if anything: the newest runs, as long as the next older one is not larger than they are
    /// together. So there are no more runs than the size can be doubled, and each entry is written about as often.
    ///
    /// What lies behind `stored` is never merged with what lies before it, so that an index can be opened up to there
    /// again.
    #[must_use]
    pub fn merge_due(&self, stored: Position) -> Option<Merge> {
        let before = self.runs.partition_point(|run| run.range.after < stored);
        let (before, behind) = self.runs.split_at(before);
        self.merge_of(newest_alike(behind)).or_else(|| self.merge_of(newest_alike(before)))
    }

    /// All runs into one, when there are several.
    #[must_use]
    pub fn merge_all(&self) -> Option<Merge> {
        self.merge_of(&self.runs)
    }

    fn merge_of(&self, parts: &[Arc<Run>]) -> Option<Merge> {
        let (first, last) = (parts.first()?, parts.last()?);
        let range = Range { after: first.range.after, through: last.range.through };
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        (parts.len() > 1).then(|| Merge { range, parts: parts.to_vec(), disk, dir })
    }

    /// Puts a merged run in the place of its parts, which are left to be removed. What is not in this index any more
    /// changes nothing.
    pub fn adopt(&mut self, merged: MergedRun) -> Replaced {
        let MergedRun { run, mut parts } = merged;
        let same = |window: &[Arc<Run>]| window.iter().zip(&parts).all(|(a, b)| Arc::ptr_eq(a, b));
        match self.runs.windows(parts.len()).position(same) {
            Some(at) => drop(self.runs.splice(at..at + parts.len(), [run])),
            None => parts.clear(),
        }
        Replaced { parts, disk: self.disk.clone(), dir: self.dir.clone() }
    }
}

/// The newest runs, as long as the next older one is not larger than they are together.
fn newest_alike(runs: &[Arc<Run>]) -> &[Arc<Run>] {
    let mut sum = 0;
    let mut first = runs.len();
    for run in runs.iter().rev() {
        let entries = u64::from(run.packed.len());
        if first < runs.len() && entries > sum {
            break;
        }
        sum += entries;
        first -= 1;
    }
    &runs[first..]
}

/// A key that is being looked for.
struct Asked {
    query: usize,
    key: Fingerprint,
    /// Whether the delta may have it.
    changed: bool,
}

/// Merges sources that lie in memory.
fn in_memory(sources: Vec<Source<'_>>) -> impl Iterator<Item = Entry> + '_ {
    const WHY: &str = "only pieces on a disk can fail";
    Merged::new(sources).expect(WHY).map(|entry| entry.expect(WHY))
}

/// Removes a file that may be there or not.
fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<(), IndexError> {
    disk::remove_if_there(disk, path).map_err(|error| IndexError::io(path, error))
}
