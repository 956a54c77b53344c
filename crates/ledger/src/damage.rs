//! What can be wrong, and where. It must not say what the damaged bytes were.

use std::fmt;

use crate::Position;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Damage {
    /// The file's name inside the log's directory.
    pub file: String,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// The position that is hit, or the first one that may be.
    pub position: Position,
    /// What is wrong.
    pub kind: DamageKind,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}, position {}: {}", self.file, self.offset, self.position, self.kind)
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamageKind {
    /// A segment file does not begin as one.
    Segment,
    /// A segment file is missing.
    Missing,
    /// The head of a group does not match its checksum, or is gone.
    Group,
    /// An entry does not match its checksum.
    Entry,
    /// A group is whole, but does not follow the one before.
    Chain,
    /// A body does not match its checksum and is not erased. The rest is served.
    Body,
    /// A group without entries (a stop, a noted erasure) is unreadable. Nothing is lost by it.
    Control,
    /// The last group was not written to its end. It was never acknowledged, and is dropped when the log is opened.
    Torn,
    /// A snapshot is unreadable; an older one, or the log itself, serves instead.
    Snapshot,
    /// A snapshot or a run stands ahead of the log's end: the log is an older copy.
    Ahead,
    /// A run does not match its checksums. All runs are made anew from the log.
    Run,
    /// Runs are missing. All runs are made anew from the log.
    RunMissing,
}

impl DamageKind {
    /// Whether the log cannot be opened with it: something acknowledged cannot be served.
    #[must_use]
    pub fn is_fatal(self) -> bool {
        match self {
            DamageKind::Segment
            | DamageKind::Missing
            | DamageKind::Group
            | DamageKind::Entry
            | DamageKind::Chain => true,
            DamageKind::Body
            | DamageKind::Control
            | DamageKind::Torn
            | DamageKind::Snapshot
            | DamageKind::Ahead
            | DamageKind::Run
            | DamageKind::RunMissing => false,
        }
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DamageKind::Segment => "the segment's header is damaged",
            DamageKind::Missing => "the segment is missing",
            DamageKind::Group => "the head of the group is damaged",
            DamageKind::Entry => "the entry is damaged",
            DamageKind::Chain => "the group does not follow the one before",
            DamageKind::Body => "the body is damaged",
            DamageKind::Control => "a mark without entries is damaged, nothing is lost",
            DamageKind::Torn => "the last group is torn and was never acknowledged",
            DamageKind::Snapshot => "the snapshot is damaged",
            DamageKind::Ahead => "it is ahead of the log",
            DamageKind::Run => "the run is damaged and is made anew from the log",
            DamageKind::RunMissing => "runs are missing and are made anew from the log",
        })
    }
}
