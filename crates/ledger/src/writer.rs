//! The one writer: builds a group, writes it, syncs it. It must not go on after a failed sync.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, is_full, remove_if_there, write_all_at};
use crate::format::{
    BLOCK, Hash, Heading, Kind, SegmentHeader, Stamp, encode_group, group_extent, segment_name,
};
use crate::index::Place;
use crate::{Draft, Position, Stopped};

/// The name under which a segment is prepared.
const NEXT_SEGMENT: &str = "next.tmp";
/// A buffer longer than this is given back after its group, in bytes.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// How much is zeroed ahead of short groups at a time, in bytes.
const ZEROED_AHEAD_BYTES: u64 = 1024 * 1024;
/// From here on a group is long, in bytes.
const LONG_GROUP_BYTES: u64 = 128 * 1024;

/// Why a group was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteError {
    Full,
    Stopped(Stopped),
}

/// The state of the log's end.
#[derive(Debug)]
pub(crate) struct Writer {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub stamp: Stamp,
    /// How long a new segment is, in bytes.
    pub segment_bytes: u64,
    pub end: Position,
    pub hash: Hash,
    pub active: Option<Active>,
    pub buffer: Vec<u8>,
    pub stopped: Option<Stopped>,
    /// Set while a job runs; found set by the next one, the job was broken off.
    pub busy: bool,
}

/// The segment that is written.
#[derive(Debug)]
pub(crate) struct Active {
    pub sequence: u64,
    pub file: Arc<dyn DiskFile>,
    pub offset: u64,
    pub bytes: u64,
    /// Up to here zeroes were really written, not only room taken.
    pub zeroed_to: u64,
}

impl Active {
    /// Before a short group, writes zeroes ahead of it. A block whose room is merely taken costs a journal commit
    /// when it is first written, which nearly doubles the time of a sync; so many short groups share one such
    /// commit. A long group pays it once for many entries, and writing its blocks twice would cost more.
    fn zero_ahead(&mut self, group_bytes: u64) -> io::Result<()> {
        let end = self.offset + group_bytes;
        if end <= self.zeroed_to {
            return Ok(());
        }
        self.zeroed_to = end;
        if group_bytes < LONG_GROUP_BYTES {
            let to = self.bytes.min(end + ZEROED_AHEAD_BYTES);
            let count = usize::try_from(to - self.offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
            write_all_at(&*self.file, &vec![0; count], self.offset)?;
            self.zeroed_to = to;
        }
        Ok(())
    }
}

impl Writer {
    /// Whether anything may be written.
    pub(crate) fn ready(&mut self) -> Result<(), Stopped> {
        if self.busy {
            self.stopped = Some(Stopped::Interrupted);
        }
        self.stopped.map_or(Ok(()), Err)
    }

    /// Appends a group with entries; returns where it lies.
    pub(crate) fn append(&mut self, group: &[Draft]) -> Result<Place, WriteError> {
        let (place, hash) = self.write(Kind::Entries, Position::START, group)?;
        self.end = self.end.plus(group.len() as u64);
        self.hash = hash;
        Ok(place)
    }

    /// Appends a group without entries.
    pub(crate) fn mark(&mut self, kind: Kind, subject: Position) -> Result<(), WriteError> {
        self.write(kind, subject, &[]).map(|_| ())
    }

    /// Overwrites a stretch of a segment with zeroes, durably.
    pub(crate) fn zero(&mut self, place: Place, bytes: usize) -> Result<(), WriteError> {
        let done = self.disk.open(&self.dir.join(segment_name(place.sequence))).map(|file| {
            let written = write_all_at(&*file, &vec![0; bytes], place.offset);
            (file, written)
        });
        match done {
            Ok((file, Ok(()))) => file.sync_data().map_err(|error| self.stop(Stopped::SyncFailed, &error)),
            // Half a body would be left, even for want of room: opening again finishes it.
            Ok((_, Err(error))) | Err(error) => Err(self.stop(Stopped::WriteFailed, &error)),
        }
    }

    fn write(&mut self, kind: Kind, subject: Position, group: &[Draft]) -> Result<(Place, Hash), WriteError> {
        let needed = group_extent(group) as u64;
        if self.active.as_ref().is_none_or(|active| active.offset + needed > active.bytes) {
            self.begin_segment(needed)?;
        }
        let heading = Heading { kind, first: self.end.next(), subject, previous: self.hash };
        let mut buffer = std::mem::take(&mut self.buffer);
        let hash = encode_group(&mut buffer, self.stamp, heading, group);
        let written = self.write_out(&buffer);
        if buffer.capacity() <= KEPT_BUFFER_BYTES {
            self.buffer = buffer;
        }
        Ok((written?, hash))
    }

    /// One write, one sync.
    fn write_out(&mut self, group: &[u8]) -> Result<Place, WriteError> {
        let Some(active) = &mut self.active else { return Err(WriteError::Full) };
        let place = Place { sequence: active.sequence, offset: active.offset };
        let written = active.zero_ahead(group.len() as u64);
        if let Err(error) = written.and_then(|()| write_all_at(&*active.file, group, active.offset)) {
            // What was written may look whole. It goes, durably, before another group can take its place.
            let cleaned = is_full(&error)
                && write_all_at(&*active.file, &vec![0; group.len()], active.offset).is_ok()
                && active.file.sync_data().is_ok();
            return Err(if cleaned { WriteError::Full } else { self.stop(Stopped::WriteFailed, &error) });
        }
        if let Err(error) = active.file.sync_data() {
            return Err(self.stop(Stopped::SyncFailed, &error));
        }
        active.offset += group.len() as u64;
        Ok(place)
    }

    /// Begins the next segment, with room for a group of `needed` bytes. It gets its name only when it is whole.
    fn begin_segment(&mut self, needed: u64) -> Result<(), WriteError> {
        let sequence = self.active.as_ref().map_or(1, |active| active.sequence + 1);
        let bytes = self.segment_bytes.max(BLOCK + needed).next_multiple_of(BLOCK);
        let temporary = self.dir.join(NEXT_SEGMENT);
        let file = match self.prepare_segment(&temporary, sequence, bytes) {
            Ok(file) => file,
            Err(error) => {
                // Gives the room back; what is left of it is removed when the log is opened.
                drop(self.disk.remove(&temporary));
                return Err(self.refused(&error));
            }
        };
        if let Err(error) = file.sync_data() {
            return Err(self.stop(Stopped::SyncFailed, &error));
        }
        let path = self.dir.join(segment_name(sequence));
        let named = self.disk.rename(&temporary, &path).and_then(|()| self.disk.sync_dir(&self.dir));
        if let Err(error) = named {
            return Err(self.stop(Stopped::SyncFailed, &error));
        }
        self.active = Some(Active { sequence, file, offset: BLOCK, bytes, zeroed_to: BLOCK });
        Ok(())
    }

    fn prepare_segment(&self, path: &Path, sequence: u64, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        remove_leftover(&*self.disk, &self.dir)?;
        let file = self.disk.create(path)?;
        file.allocate(bytes)?;
        let header =
            SegmentHeader { sequence, salt: self.stamp.salt, first: self.end.next(), previous: self.hash };
        write_all_at(&*file, &header.encode(), 0)?;
        Ok(file)
    }

    fn refused(&mut self, error: &io::Error) -> WriteError {
        if is_full(error) { WriteError::Full } else { self.stop(Stopped::WriteFailed, error) }
    }

    fn stop(&mut self, why: Stopped, error: &io::Error) -> WriteError {
        tracing::error!(dir = %self.dir.display(), error = %error, reason = %why, "the log stops");
        self.stopped = Some(why);
        WriteError::Stopped(why)
    }
}

/// Removes a segment that was not prepared to its end.
pub(crate) fn remove_leftover(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    remove_if_there(disk, &dir.join(NEXT_SEGMENT))
}
