//! Snapshots: state stored beside the log, so that a restart reads only the tail. It must not be the only place
//! of anything: every snapshot may be deleted.
//!
//! A file holds `magic 8 | format 4 | state version 4 | position 8 | length 8 | SHA-256 32 | bytes`, where the hash
//! covers all the rest. It is replaced as a whole, so that after a crash the old or the new one is there.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::disk::{Disk, read_whole, replace_whole};
use crate::{Blocking, Damage, DamageKind, Position, outcome};

/// How many snapshots are kept: the newest, and one in case it turns out damaged.
pub const KEPT: usize = 2;
/// The longest snapshot, in bytes.
pub const MAX_SNAPSHOT_BYTES: u64 = 4 * 1024 * 1024 * 1024;

const PREFIX: &str = "snapshot-";
const MAGIC: &[u8; 8] = b"i247snap";
const FORMAT: u32 = 1;
const HASH_AT: usize = 32;
const HEADER_BYTES: usize = 64;

/// The snapshots in one directory. One task stores them.
#[derive(Clone, Debug)]
pub struct Snapshots {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    blocking: Arc<dyn Blocking>,
}

/// State as of a position. Its `Debug` shows the length, never the contents.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that the state has taken in.
    pub position: Position,
    /// The version of the state's own format; its owner's business.
    pub version: u32,
    /// The state.
    pub state: Bytes,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Snapshot { position, version, state } = self;
        write!(f, "Snapshot {{ position: {position}, version: {version}, state: {} bytes }}", state.len())
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The newest good one.
    pub snapshot: Option<Snapshot>,
    /// The newer ones that were passed over, and why.
    pub passed_over: Vec<Damage>,
}

/// Why a snapshot was not stored or looked for. The log is not touched by it.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// No room; the older ones are still there.
    #[error("no room on the disk")]
    Full,
    /// It is longer than [`MAX_SNAPSHOT_BYTES`].
    #[error("a snapshot of {0} bytes is too long")]
    TooLarge(usize),
    /// The disk refused something else.
    #[error("cannot use the snapshots in {}", .dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The runtime shuts down.
    #[error("the snapshot was given up")]
    Cancelled,
}

impl Snapshots {
    /// The snapshots in `dir`, which is there (a log's directory will do).
    pub fn new(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>, blocking: Arc<dyn Blocking>) -> Self {
        Snapshots { disk, dir: dir.into(), blocking }
    }

    /// Stores a snapshot durably, and removes all but the newest [`KEPT`] up to its position: what is ahead of it is of
    /// a log that is no more. Storing a position again replaces it.
    ///
    /// # Cancel safety
    ///
    /// Once begun it goes on to its end. Wait for one before storing the next.
    pub async fn store(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        self.run(move |snapshots| snapshots.store_now(&snapshot)).await
    }

    /// Loads the newest good snapshot that is not ahead of the log's `end`.
    pub async fn load(&self, end: Position) -> Result<Loaded, SnapshotError> {
        self.run(move |snapshots| snapshots.load_now(end)).await
    }

    /// Removes every snapshot and what was left of one half written, and returns how many files there were. It blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn clear(&self) -> io::Result<u64> {
        let mut removed = 0;
        for name in self.disk.list(&self.dir)? {
            if name.starts_with(PREFIX) {
                self.disk.remove(&self.dir.join(&name))?;
                removed += 1;
            }
        }
        self.disk.sync_dir(&self.dir)?;
        Ok(removed)
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Snapshots) -> Result<T, SnapshotError> + Send + 'static,
    ) -> Result<T, SnapshotError> {
        let snapshots = self.clone();
        outcome(&*self.blocking, move || job(&snapshots)).await.unwrap_or(Err(SnapshotError::Cancelled))
    }

    fn store_now(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let size = snapshot.state.len();
        if size as u64 > MAX_SNAPSHOT_BYTES {
            return Err(SnapshotError::TooLarge(size));
        }
        replace_whole(&*self.disk, &self.dir, &snapshot_name(snapshot.position), &encode(snapshot))
            .map_err(|error| self.refused(error))?;
        let names = self.names().map_err(|error| self.refused(error))?;
        let (current, ahead): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|(position, _)| *position <= snapshot.position);
        for (_, name) in current.iter().rev().skip(KEPT).chain(&ahead) {
            self.disk.remove(&self.dir.join(name)).map_err(|error| self.refused(error))?;
        }
        Ok(())
    }

    fn load_now(&self, end: Position) -> Result<Loaded, SnapshotError> {
        let mut passed_over = Vec::new();
        let names = self.names().map_err(|error| self.refused(error))?;
        for (position, name) in names.into_iter().rev() {
            let kind = if position > end {
                DamageKind::Ahead
            } else {
                let limit = MAX_SNAPSHOT_BYTES + HEADER_BYTES as u64;
                // What cannot be read is passed over like what is damaged.
                let read = read_whole(&*self.disk, &self.dir.join(&name), limit).ok().and_then(decode);
                match read {
                    Some(snapshot) if snapshot.position == position => {
                        return Ok(Loaded { snapshot: Some(snapshot), passed_over });
                    }
                    _ => DamageKind::Snapshot,
                }
            };
            let damage = Damage { file: name, offset: 0, position, kind };
            tracing::warn!(dir = %self.dir.display(), damage = %damage, "passed over a snapshot");
            passed_over.push(damage);
        }
        Ok(Loaded { snapshot: None, passed_over })
    }

    /// Positions and file names, the oldest first.
    fn names(&self) -> io::Result<Vec<(Position, String)>> {
        let mut names = Vec::new();
        for name in self.disk.list(&self.dir)? {
            if let Some(position) = snapshot_position(&name) {
                names.push((position, name));
            }
        }
        Ok(names)
    }

    fn refused(&self, error: io::Error) -> SnapshotError {
        if crate::disk::is_full(&error) {
            return SnapshotError::Full;
        }
        SnapshotError::Io { dir: self.dir.clone(), source: error }
    }
}

/// What is wrong with the snapshots in a directory.
pub(crate) fn check(
    disk: &Arc<dyn Disk>,
    dir: &std::path::Path,
    end: Position,
) -> io::Result<(u64, Vec<Damage>)> {
    let snapshots = Snapshots::new(disk.clone(), dir, Arc::new(crate::Inline));
    let mut good = 0;
    let mut damage = Vec::new();
    for (position, file) in snapshots.names()? {
        let read = read_whole(&**disk, &dir.join(&file), MAX_SNAPSHOT_BYTES + HEADER_BYTES as u64)?;
        let kind = match decode(read) {
            Some(snapshot) if snapshot.position != position => DamageKind::Snapshot,
            Some(_) if position > end => DamageKind::Ahead,
            Some(_) => {
                good += 1;
                continue;
            }
            None => DamageKind::Snapshot,
        };
        damage.push(Damage { file, offset: 0, position, kind });
    }
    Ok((good, damage))
}

fn snapshot_name(position: Position) -> String {
    format!("{PREFIX}{:020}", position.0)
}

fn snapshot_position(name: &str) -> Option<Position> {
    let position = Position(name.strip_prefix(PREFIX)?.parse().ok()?);
    (snapshot_name(position) == name).then_some(position)
}

fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + snapshot.state.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&snapshot.version.to_le_bytes());
    bytes.extend_from_slice(&snapshot.position.0.to_le_bytes());
    bytes.extend_from_slice(&(snapshot.state.len() as u64).to_le_bytes());
    let hash = hash(&bytes, &snapshot.state);
    bytes.extend_from_slice(hash.as_ref());
    bytes.extend_from_slice(&snapshot.state);
    bytes
}

fn decode(bytes: Vec<u8>) -> Option<Snapshot> {
    let bytes = Bytes::from(bytes);
    let header = bytes.get(..HEADER_BYTES)?;
    let state = bytes.slice(HEADER_BYTES..);
    if &header[..8] != MAGIC || header[8..12] != FORMAT.to_le_bytes() {
        return None;
    }
    if hash(&header[..HASH_AT], &state).as_ref() != &header[HASH_AT..] {
        return None;
    }
    let version = u32::from_le_bytes(header[12..16].try_into().ok()?);
    let position = Position(u64::from_le_bytes(header[16..24].try_into().ok()?));
    let length = u64::from_le_bytes(header[24..32].try_into().ok()?);
    (length == state.len() as u64).then_some(Snapshot { position, version, state })
}

fn hash(header: &[u8], state: &[u8]) -> aws_lc_rs::digest::Digest {
    let mut context = Context::new(&SHA256);
    context.update(header);
    context.update(state);
    context.finish()
}
