//! What takes long, each a value of its own: made of the index, carried out while the index answers, taken by the index.

use std::path::PathBuf;
use std::sync::Arc;

use i247_ledger::Position;
use i247_ledger::disk::Disk;

use super::delta::Delta;
use super::merge::Source;
use super::run::{Range, Run, RunWriter};
use super::{IndexError, in_memory, remove_if_there};

/// A run of the changes of an index, which still searches the changes.
#[derive(Debug)]
#[must_use = "a run that is not sealed is not searched"]
pub struct Unsealed {
    pub(super) run: Arc<Run>,
    /// How many changes the index had ever been told since its last run.
    pub(super) puts: u64,
}

/// A run that is searched but not yet durable.
#[derive(Debug)]
#[must_use = "a run that is not stored is made anew from the log after a restart"]
pub struct Sealed {
    pub(super) run: Arc<Run>,
    /// The changes are dropped with it: that takes a while, and not where searches wait.
    pub(super) _replaced: Delta,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
}

impl Sealed {
    /// Makes it durable. It blocks.
    ///
    /// # Errors
    /// What the disk says. The index goes on; after a restart the log's changes have to be told from an earlier
    /// position.
    pub fn store(&self) -> Result<(), IndexError> {
        self.run.store(&*self.disk, &self.dir)
    }
}

/// Runs that are to become one. They stay searchable meanwhile.
#[derive(Debug)]
#[must_use = "nothing is merged before it is carried out"]
pub struct Merge {
    pub(super) range: Range,
    pub(super) parts: Vec<Arc<Run>>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
}

impl Merge {
    /// Writes the merged run durably, then reads it into memory. It blocks; beside the two it takes little memory.
    ///
    /// # Errors
    /// What the disk says; the parts are still there.
    pub fn carry_out(self) -> Result<MergedRun, IndexError> {
        let range = self.range;
        // What was removed has to be remembered as long as something older could still have it.
        let forget = range.after == Position::START;
        let at_most = self.parts.iter().map(|run| u64::from(run.packed.len())).sum();
        let mut writer = RunWriter::create(&*self.disk, &self.dir, range, at_most)?;
        let sources =
            self.parts.iter().map(|run| Box::new(run.packed.entries().map(Ok)) as Source<'_>).collect();
        for entry in in_memory(sources) {
            if !(forget && entry.value.is_removed()) {
                writer.push(entry)?;
            }
        }
        writer.finish()?;
        let run = Arc::new(Run::open(&*self.disk, &self.dir, range)?);
        Ok(MergedRun { run, parts: self.parts })
    }
}

/// A merged run and what it replaces.
#[derive(Debug)]
#[must_use = "the parts are searched until the index adopts it"]
pub struct MergedRun {
    pub(super) run: Arc<Run>,
    pub(super) parts: Vec<Arc<Run>>,
}

/// Runs in whose place there is another.
#[derive(Debug)]
#[must_use = "their files stay until they are removed"]
pub struct Replaced {
    pub(super) parts: Vec<Arc<Run>>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
}

impl Replaced {
    /// Removes their files. It blocks.
    ///
    /// # Errors
    /// When the disk refuses; a start removes what is left.
    pub fn remove(self) -> Result<(), IndexError> {
        self.parts.iter().try_for_each(|part| remove_if_there(&*self.disk, &part.range.path(&self.dir)))
    }
}

#[cfg(test)]
mod tests {
    use i247_ledger::faults::BreakableDisk;

    use super::super::{Fingerprint, Index, KeySpace, Locator};
    use super::*;

    fn key() -> Fingerprint {
        KeySpace::new("sltd", "number").fingerprint(b"P1234567")
    }

    fn at() -> Locator {
        Locator::new(Position(10), 0).unwrap()
    }

    fn found(index: &Index) -> Vec<u64> {
        index.look_up(key(), usize::MAX, |_| true).iter().map(|one| one.locator.position().0).collect()
    }

    #[test]
    fn a_run_of_changes_that_are_no_longer_all_takes_no_place() {
        let disk = Arc::new(BreakableDisk::new(8));
        let mut index = Index::open(disk, "keys").unwrap();
        index.add(key(), at(), false);
        let unsealed = index.run_of_changes(Position(10)).unwrap().unwrap();
        assert_eq!((found(&index), index.changes(), index.runs()), (vec![10], 1, 0), "searched as before");
        // Of the same key and record: there are not more changes than before, and yet others.
        index.remove(key(), at());
        assert!(index.seal(unsealed).is_none());
        assert_eq!((found(&index), index.changes(), index.runs()), (vec![], 1, 0));
        let unsealed = index.run_of_changes(Position(10)).unwrap().unwrap();
        let of_the_same = index.run_of_changes(Position(10)).unwrap().unwrap();
        assert!(index.seal(unsealed).is_some());
        assert!(index.seal(of_the_same).is_none(), "its changes are in a run already");
        assert_eq!((found(&index), index.changes(), index.runs()), (vec![], 0, 1));
    }
}
