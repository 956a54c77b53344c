//! Says what is wrong where, in everything that a log's directory holds. It must not change anything.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::format::Kind;
use crate::runs::{self, RunError, RunStore};
use crate::scan::{Depth, ScanError, scan};
use crate::{Damage, Position, snapshot};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The last position that is whole.
    pub end: Position,
    /// How many segment files there are.
    pub segments: u64,
    /// How many groups, those without entries too.
    pub groups: u64,
    /// How many bodies are whole.
    pub bodies_present: u64,
    /// How many bodies are erased.
    pub bodies_erased: u64,
    /// How many snapshots are good.
    pub snapshots: u64,
    /// How many runs are good.
    pub runs: u64,
    /// Whether the log was closed.
    pub clean_stop: bool,
    /// What is wrong, segments in order, then snapshots and runs.
    pub damage: Vec<Damage>,
}

impl Report {
    /// Whether nothing is wrong; a torn last group, which a crash leaves, counts as wrong here.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file was written by another version of this program.
    #[error("{} has format version {version}, this program reads version 1", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The disk did not answer.
    #[error("cannot read {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

/// Reads every byte of the log in `dir`, of its snapshots and its runs. Blocks, takes no lock, changes nothing. On a log that
/// is being written, the group under way may show as torn.
pub fn check(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Report, CheckError> {
    let depth = Depth { trusted_to: Position::START, bodies: true };
    let scan = scan(&**disk, dir, depth).map_err(|error| match error {
        ScanError::Io { file, source } => CheckError::Io { path: dir.join(file), source },
        ScanError::Version { file, version } => CheckError::Version { path: dir.join(file), version },
    })?;
    let (snapshots, damaged) = snapshot::check(disk, dir, scan.end)
        .map_err(|source| CheckError::Io { path: dir.to_owned(), source })?;
    let (runs, damaged_runs) = check_runs(disk, dir, scan.end)?;
    let clean_stop =
        scan.torn.is_none() && scan.last.as_ref().is_some_and(|last| last.head.kind == Kind::Close);
    let mut damage = scan.damage;
    damage.extend(scan.torn);
    damage.extend(damaged);
    damage.extend(damaged_runs);
    Ok(Report {
        end: scan.end,
        segments: scan.segments,
        groups: scan.groups,
        bodies_present: scan.bodies.present,
        bodies_erased: scan.bodies.erased,
        snapshots,
        runs,
        clean_stop,
        damage,
    })
}

fn check_runs(disk: &Arc<dyn Disk>, dir: &Path, end: Position) -> Result<(u64, Vec<Damage>), CheckError> {
    let dir = dir.join(runs::DIR);
    RunStore::new(disk.clone(), &dir).check(end).map_err(|error| match error {
        RunError::Io { file, source } => CheckError::Io { path: dir.join(file), source },
        // Nothing is written here, so that only reading can fail.
        RunError::Full | RunError::Damaged(_) | RunError::OutOfOrder | RunError::TooLarge(_) => {
            CheckError::Io { path: dir, source: io::Error::other(error) }
        }
    })
}
