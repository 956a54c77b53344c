//! The append-only log: append, read, follow, erase.
//!
//! ```text
//!   append(after, group) ──► one buffer ──► one write ──► one fdatasync ──► end moves ──► followers wake
//!
//!   segment file:  | header | group | group | group | zeroes, allocated ahead … |
//!   group:         | head, table of lengths and checksums | entries | bodies | padding |
//!                    └────────── hashed into the next group ───────┘   └ each erasable
//! ```
//!
//! An *entry* is hashed, ordered and never changed. Its *body* lies beside it under its own checksum and can be
//! erased without breaking the chain. Both are opaque bytes here: this crate knows no gRPC, keys or decisions.
//!
//! * [`Ledger`] is the contract; [`Segments`] keeps it on a disk, [`Memory`] in memory.
//! * [`disk`] is the seam to the disk, [`faults`] a disk that breaks on purpose, [`Blocking`] where disk work runs.
//! * [`snapshot`] stores state beside the log, [`runs`] an index; [`check()`] says what is wrong where.

pub mod attachments;
mod blocking;
mod check;
mod damage;
pub mod disk;
pub mod faults;
mod format;
mod index;
mod memory;
mod os_disk;
pub mod runs;
mod scan;
mod segments;
pub mod snapshot;
mod writer;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

pub use blocking::{Blocking, Inline, OnThreads, outcome};
pub use check::{CheckError, Report, check};
pub use damage::{Damage, DamageKind};
pub use memory::Memory;
pub use segments::{CloseError, Dropped, OpenError, Opened, Options, Segments};

/// The most that one draft may hold, entry and body together, in bytes: 256 KiB and 16 KiB for what is decided.
pub const MAX_ENTRY_BYTES: usize = (256 + 16) * 1024;
/// The most drafts in one group.
pub const MAX_GROUP_DRAFTS: usize = 4096;
/// The most that one group may hold, entries and bodies together, in bytes.
pub const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// What every log keeps: one order, nothing acknowledged lost, bodies that can be erased.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// The last durable position; [`Position::START`] while the log is empty.
    fn end(&self) -> Position;

    /// Follows the end. The receiver always holds a durable position; steps may be skipped, so read up to it.
    fn watch_end(&self) -> watch::Receiver<Position>;

    /// Appends `group` behind `after`, whole or not at all, and returns the new end once it is durable.
    ///
    /// `after` must be the end: another writer's group is answered with [`AppendError::Conflict`]. An empty group
    /// changes nothing. Limits: [`MAX_ENTRY_BYTES`], [`MAX_GROUP_DRAFTS`], [`MAX_GROUP_BYTES`].
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for its turn, nothing happens. Dropped later, the write goes on to its end all the
    /// same and the end moves; the next `append` waits for it and answers `Conflict` when it has moved the end.
    async fn append(&self, after: Position, group: Vec<Draft>) -> Result<Position, AppendError>;

    /// Reads records from `from` on (`START` counts as the first), in order and without gaps.
    ///
    /// Returns at most `max_records`, and stops before entries and bodies would pass `max_bytes`; but one record is
    /// always returned when `from` is not behind the end, else none. Cancelling a read is harmless.
    async fn read(
        &self,
        from: Position,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError>;

    /// Erases the body at `position` for good: overwritten with zeroes and synced before `Ok`. The entry stays.
    /// Repeating it, or erasing where there is no body, changes nothing.
    ///
    /// # Cancel safety
    ///
    /// As for [`append`](Ledger::append): once begun it goes on to its end.
    async fn erase(&self, position: Position) -> Result<(), EraseError>;
}

/// The place of an entry in the log: 1, 2, 3 … without gaps. 0 stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Before the first entry: the end of an empty log.
    pub const START: Position = Position(0);

    /// The position behind this one.
    #[must_use]
    pub fn next(self) -> Position {
        self.plus(1)
    }

    /// The position `count` further on.
    #[must_use]
    pub fn plus(self, count: u64) -> Position {
        // 2^64 entries cannot be written; saturating keeps a damaged number from a panic.
        Position(self.0.saturating_add(count))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is appended. Its `Debug` shows lengths, never contents.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// Hashed, ordered, kept for ever.
    pub entry: Bytes,
    /// Kept beside the entry until erased.
    pub body: Option<Bytes>,
}

impl Draft {
    /// Entry and body together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entry.len() + self.body.as_ref().map_or(0, Bytes::len)
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.as_ref().map(Bytes::len);
        f.debug_struct("Draft").field("entry_bytes", &self.entry.len()).field("body_bytes", &body).finish()
    }
}

/// What is read. Its `Debug` shows lengths, never contents.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub position: Position,
    /// As it was appended, checked.
    pub entry: Bytes,
    /// What is left of the body.
    pub body: Body,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("position", &self.position.0)
            .field("entry_bytes", &self.entry.len())
            .field("body", &self.body)
            .finish()
    }
}

/// What is left of a body. Its `Debug` shows the length, never the contents.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// None was appended.
    None,
    /// As it was appended, checked.
    Present(Bytes),
    /// It was erased.
    Erased,
    /// Its bytes do not match their checksum; they are not served.
    Damaged,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::None => f.write_str("None"),
            Body::Present(bytes) => write!(f, "Present({} bytes)", bytes.len()),
            Body::Erased => f.write_str("Erased"),
            Body::Damaged => f.write_str("Damaged"),
        }
    }
}

/// Why a group was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written: the end is another. Read up to it and decide again.
    #[error("the log ends at {end}")]
    Conflict {
        /// The end as it is.
        end: Position,
    },
    /// The group may have been written or not: read back before going on.
    #[error("it is not known whether the group was written")]
    Unknown,
    /// Nothing was written: the draft or the group is over its limit.
    #[error("{size} is over the limit of {limit}")]
    TooLarge {
        /// What was handed in: bytes, or drafts.
        size: usize,
        /// The limit that it passes.
        limit: usize,
    },
    /// Nothing was written: no room. Reading goes on; the same group may be tried again when there is room.
    #[error("no room on the disk")]
    Full,
    /// The log takes nothing more until it is opened again. The group may be found then, whole, or not.
    #[error("the log has stopped")]
    Stopped(#[source] Stopped),
}

/// Why a log takes nothing more. Reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// It was closed.
    #[error("it was closed")]
    Closed,
    /// A sync failed. The kernel may have dropped what was not written, so a sync is never tried twice.
    #[error("a sync failed")]
    SyncFailed,
    /// The disk refused a write for another reason than room.
    #[error("a write failed")]
    WriteFailed,
    /// An earlier write was broken off in the middle by a fault of this program.
    #[error("an earlier write was broken off")]
    Interrupted,
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The entry that was asked for is damaged; nothing of it is served.
    #[error("the log is damaged")]
    Damaged(#[source] Damage),
    /// The disk did not answer; may be tried again.
    #[error("cannot read {file}: {kind}")]
    Io {
        /// The file's name.
        file: String,
        /// What the disk said.
        kind: std::io::ErrorKind,
    },
    /// The read was given up by a runtime that shuts down.
    #[error("the read was given up")]
    Cancelled,
}

/// Why a body may still be there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EraseError {
    /// There is no such position.
    #[error("no entry at {0}")]
    Absent(Position),
    /// Where the body lies cannot be found out.
    #[error("the body cannot be found")]
    Unreadable(#[source] ReadError),
    /// No room to note the erasure; may be tried again.
    #[error("no room on the disk")]
    Full,
    /// The body may be erased or not; when the log is opened again, an erasure that was noted is finished.
    #[error("the log has stopped")]
    Stopped(#[source] Stopped),
    /// The body may be erased or not: try again.
    #[error("it is not known whether the body was erased")]
    Unknown,
}

/// Refuses what passes a limit, before anything is written.
fn within_limits(group: &[Draft]) -> Result<(), AppendError> {
    if group.len() > MAX_GROUP_DRAFTS {
        return Err(AppendError::TooLarge { size: group.len(), limit: MAX_GROUP_DRAFTS });
    }
    let mut total = 0;
    for draft in group {
        let size = draft.bytes();
        if size > MAX_ENTRY_BYTES {
            return Err(AppendError::TooLarge { size, limit: MAX_ENTRY_BYTES });
        }
        total += size;
    }
    if total > MAX_GROUP_BYTES {
        return Err(AppendError::TooLarge { size: total, limit: MAX_GROUP_BYTES });
    }
    Ok(())
}
