//! The log on a disk: opening, recovery, and the contract over writer and index. It must not acknowledge what is
//! not synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::disk::{DirLock, Disk, DiskFile, read_up_to, write_all_at};
use crate::format::{Kind, Stamp, segment_name};
use crate::index::{self, Index, Place, Wanted, find_frame, unreadable};
use crate::scan::{Depth, Last, Scan, ScanError, scan};
use crate::writer::{Active, WriteError, Writer, remove_leftover};
use crate::{
    AppendError, Blocking, Body, Damage, Draft, EraseError, Ledger, OnThreads, Position, ReadError, Record,
    Stopped, outcome, within_limits,
};

/// How much is cleaned with one write, in bytes.
const CLEAN_BYTES: usize = 256 * 1024;

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a new segment file is, in bytes; all of it is taken on the disk at once. A group that is longer
    /// gets a longer segment. Default 64 MiB.
    pub segment_bytes: u64,
    /// A number drawn at random when the log is first made; kept in the log, later ones are ignored. It keeps
    /// contents that come from elsewhere from passing for groups when a torn end is searched.
    pub salt: u64,
    /// Who writes: a number that stands in every group.
    pub writer: u64,
    /// The term of that writer: a number that stands in every group.
    pub term: u64,
    /// The position of a snapshot: entries up to there are not verified when the log is opened (but whenever they
    /// are read), so that opening reads only the tail. Default: everything is verified.
    pub trusted_to: Position,
    /// Where disk work runs. Default [`OnThreads`].
    pub blocking: Arc<dyn Blocking>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 64 * 1024 * 1024,
            salt: 0,
            writer: 0,
            term: 0,
            trusted_to: Position::START,
            blocking: Arc::new(OnThreads),
        }
    }
}

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The last durable position.
    pub end: Position,
    /// The torn group that was dropped: it was never acknowledged.
    pub dropped: Option<Dropped>,
    /// Whether the log was closed before.
    pub clean_stop: bool,
    /// Whether the log was made now.
    pub is_new: bool,
    /// Writer and term of the last group that was found; `None` in an empty log.
    pub author: Option<(u64, u64)>,
    /// What is damaged without hindering the service.
    pub damage: Vec<Damage>,
}

/// A torn group that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The file's name.
    pub file: String,
    /// Where it lay, in bytes.
    pub offset: u64,
    /// The position of its first entry.
    pub first: Position,
}

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has it open.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// Something that was acknowledged cannot be read. Run the check; restore a copy.
    #[error("the log in {} is damaged", .dir.display())]
    Damaged {
        /// The log's directory.
        dir: PathBuf,
        /// The first that is wrong.
        #[source]
        damage: Damage,
    },
    /// A file was written by another version of this program.
    #[error("{} has format version {version}, this program reads version 1", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The disk refused something.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

/// Why a stop is not clean. What was acknowledged is durable all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// No room for the closing group.
    #[error("no room on the disk")]
    Full,
    /// The log had stopped before, or stopped now.
    #[error("the log has stopped")]
    Stopped(#[source] Stopped),
    /// The runtime shuts down.
    #[error("it is not known whether the log was closed")]
    Unknown,
}

/// The log on a disk, in segment files of one directory. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Segments {
    shared: Arc<Shared>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
}

#[derive(Debug)]
struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    salt: u64,
    blocking: Arc<dyn Blocking>,
    index: RwLock<Index>,
    end: watch::Sender<Position>,
    /// Written while a body is overwritten, so that no reader takes half of it for damage.
    bodies: RwLock<()>,
    lock: Mutex<Option<Box<dyn DirLock>>>,
}

impl Segments {
    /// Opens the log in `dir`, or makes it: locks the directory, verifies the chain, drops a torn last group whole,
    /// finishes an erasure that was broken off, and syncs what it found. Blocks.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        options: Options,
    ) -> Result<(Self, Opened), OpenError> {
        let dir = dir.into();
        let io_error = |source| OpenError::Io { path: dir.clone(), source };
        disk.create_dir(&dir).map_err(io_error)?;
        let lock = match disk.lock(&dir) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(OpenError::Locked(dir)),
            Err(error) => return Err(io_error(error)),
        };
        let depth = Depth { trusted_to: options.trusted_to, bodies: false };
        let scan = scan(&*disk, &dir, depth).map_err(|error| walk_error(&dir, error))?;
        if let Some(damage) = scan.damage.iter().find(|damage| damage.kind.is_fatal()) {
            return Err(OpenError::Damaged { dir, damage: damage.clone() });
        }
        remove_leftover(&*disk, &dir).map_err(io_error)?;
        let active = recover(&*disk, &dir, &scan).map_err(io_error)?;
        disk.sync_dir(&dir).map_err(io_error)?;
        let opened = Opened {
            end: scan.end,
            dropped: scan.torn.as_ref().map(|torn| Dropped {
                file: torn.file.clone(),
                offset: torn.offset,
                first: torn.position,
            }),
            clean_stop: scan.torn.is_none()
                && scan.last.as_ref().is_some_and(|last| last.head.kind == Kind::Close),
            is_new: scan.segments == 0,
            author: scan.author,
            damage: scan.damage,
        };
        if let Some(dropped) = &opened.dropped {
            let Dropped { file, offset, first } = dropped;
            tracing::warn!(dir = %dir.display(), file, offset, first = first.0, "dropped a torn last group");
        }
        let salt = if opened.is_new { options.salt } else { scan.salt };
        let writer = Writer {
            disk: disk.clone(),
            dir: dir.clone(),
            stamp: Stamp { salt, writer: options.writer, term: options.term },
            segment_bytes: options.segment_bytes,
            end: scan.end,
            hash: scan.hash,
            active,
            buffer: Vec::new(),
            stopped: None,
            busy: false,
        };
        let shared = Shared {
            disk,
            dir,
            salt,
            blocking: options.blocking,
            index: RwLock::new(scan.index),
            end: watch::Sender::new(scan.end),
            bodies: RwLock::new(()),
            lock: Mutex::new(Some(lock)),
        };
        Ok((Segments { shared: Arc::new(shared), writer: Arc::new(tokio::sync::Mutex::new(writer)) }, opened))
    }

    /// Stops cleanly: waits for the write that is under way, writes a closing group and unlocks the directory.
    /// Reading goes on. Closing twice is fine.
    ///
    /// # Cancel safety
    ///
    /// As for [`append`](Ledger::append): once begun it goes on to its end.
    pub async fn close(&self) -> Result<(), CloseError> {
        let closed = self.write(|shared, writer| {
            let closed = match writer.ready() {
                Ok(()) => writer.mark(Kind::Close, Position::START).map_err(|error| match error {
                    WriteError::Full => CloseError::Full,
                    WriteError::Stopped(stopped) => CloseError::Stopped(stopped),
                }),
                Err(Stopped::Closed) => Ok(()),
                Err(stopped) => Err(CloseError::Stopped(stopped)),
            };
            writer.stopped.get_or_insert(Stopped::Closed);
            drop(shared.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
            closed
        });
        closed.await.unwrap_or(Err(CloseError::Unknown))
    }

    /// Runs a job of the writer to its end, whether or not the caller waits for it. `None`: it is not known
    /// whether it ran.
    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Shared, &mut Writer) -> T + Send + 'static,
    ) -> Option<T> {
        let mut writer = self.writer.clone().lock_owned().await;
        let shared = self.shared.clone();
        let whole = move || {
            let done = job(&shared, &mut writer);
            drop(writer);
            // Whoever hears the result may drop the log and open it again at once.
            drop(shared);
            done
        };
        outcome(&*self.shared.blocking, whole).await
    }
}

#[async_trait]
impl Ledger for Segments {
    fn end(&self) -> Position {
        *self.shared.end.borrow()
    }

    fn watch_end(&self) -> watch::Receiver<Position> {
        self.shared.end.subscribe()
    }

    async fn append(&self, after: Position, group: Vec<Draft>) -> Result<Position, AppendError> {
        within_limits(&group)?;
        let done = self.write(move |shared, writer| shared.append(writer, after, &group)).await;
        done.unwrap_or(Err(AppendError::Unknown))
    }

    async fn read(
        &self,
        from: Position,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let wanted =
            Wanted { from: from.max(Position(1)), to: self.end(), records: max_records, bytes: max_bytes };
        let shared = self.shared.clone();
        // The job owns its share of the log and lets go of it before the result is heard.
        let read = outcome(&*self.shared.blocking, move || shared.read(wanted)).await;
        read.unwrap_or(Err(ReadError::Cancelled))
    }

    async fn erase(&self, position: Position) -> Result<(), EraseError> {
        let done = self.write(move |shared, writer| shared.erase(writer, position)).await;
        done.unwrap_or(Err(EraseError::Unknown))
    }
}

impl Shared {
    fn append(&self, writer: &mut Writer, after: Position, group: &[Draft]) -> Result<Position, AppendError> {
        writer.ready().map_err(AppendError::Stopped)?;
        if after != writer.end {
            return Err(AppendError::Conflict { end: writer.end });
        }
        if group.is_empty() {
            return Ok(after);
        }
        writer.busy = true;
        let written = writer.append(group);
        let end = writer.end;
        if let Ok(place) = written {
            self.index.write().unwrap_or_else(PoisonError::into_inner).push(place, after.next());
            self.end.send_replace(end);
        }
        writer.busy = false;
        match written {
            Ok(_) => Ok(end),
            Err(WriteError::Full) => Err(AppendError::Full),
            Err(WriteError::Stopped(stopped)) => Err(AppendError::Stopped(stopped)),
        }
    }

    /// What looks damaged is read twice: perhaps only the reading went wrong, and what is made of damage is for ever.
    fn read(&self, wanted: Wanted) -> Result<Vec<Record>, ReadError> {
        let _whole = self.bodies.read().unwrap_or_else(PoisonError::into_inner);
        let read = || index::read(&*self.disk, &self.dir, self.salt, wanted, |position| self.place(position));
        match read() {
            Err(ReadError::Damaged(_)) => read(),
            Ok(records) if records.iter().any(|record| record.body == Body::Damaged) => read(),
            read => read,
        }
    }

    fn erase(&self, writer: &mut Writer, position: Position) -> Result<(), EraseError> {
        let refused = |error| match error {
            WriteError::Full => EraseError::Full,
            WriteError::Stopped(stopped) => EraseError::Stopped(stopped),
        };
        writer.ready().map_err(EraseError::Stopped)?;
        let place = self.place(position).filter(|_| position <= writer.end);
        let place = place.ok_or(EraseError::Absent(position))?;
        let name = segment_name(place.sequence);
        let frame = self
            .disk
            .open_read(&self.dir.join(&name))
            .map_err(|error| unreadable(&name, &error))
            .and_then(|file| find_frame(&*file, place, self.salt, position))
            .map_err(EraseError::Unreadable)?;
        if matches!(frame.body, Body::None | Body::Erased) {
            return Ok(());
        }
        writer.busy = true;
        // Noted first: a half erased body would else look like damage, or like a torn group.
        let erased = writer.mark(Kind::Erase, position).and_then(|()| {
            let _alone = self.bodies.write().unwrap_or_else(PoisonError::into_inner);
            writer.zero(Place { sequence: place.sequence, offset: frame.offset }, frame.bytes)
        });
        writer.busy = false;
        erased.map_err(refused)
    }

    fn place(&self, position: Position) -> Option<Place> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).place(position)
    }
}

/// Makes what was found durable: cleans what is torn, finishes an erasure, and writes the last group once more.
///
/// That group may be known to the page cache only: its writer was killed before the sync, or the sync failed.
/// Everything before it was synced, else it would not have been written.
fn recover(disk: &dyn Disk, dir: &Path, scan: &Scan) -> io::Result<Option<Active>> {
    let Some(tail) = scan.tail else { return Ok(None) };
    let file = disk.open(&dir.join(segment_name(tail.sequence)))?;
    let bytes = file.len()?;
    if scan.torn.is_some() {
        clean(&*file, tail.offset, bytes)?;
    }
    if let Some(last) = &scan.last {
        let file = disk.open(&dir.join(segment_name(last.place.sequence)))?;
        let extent = usize::try_from(last.head.extent()).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut group = vec![0; extent];
        if read_up_to(&*file, &mut group, last.place.offset)? < extent {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write_all_at(&*file, &group, last.place.offset)?;
        file.sync_data()?;
        finish_erasure(disk, dir, scan, last)?;
    }
    file.sync_data()?;
    Ok(Some(Active { sequence: tail.sequence, file, offset: tail.offset, bytes, zeroed_to: tail.offset }))
}

/// The last noted erasure may have been broken off; those before it were done before anything else was written.
fn finish_erasure(disk: &dyn Disk, dir: &Path, scan: &Scan, last: &Last) -> io::Result<()> {
    if last.head.kind != Kind::Erase {
        return Ok(());
    }
    let Some(place) = scan.index.place(last.head.subject) else { return Ok(()) };
    let file = disk.open(&dir.join(segment_name(place.sequence)))?;
    let frame = find_frame(&*file, place, scan.salt, last.head.subject)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    // Zeroes are written again: those that were found may be known to the page cache only.
    write_all_at(&*file, &vec![0; frame.bytes], frame.offset)?;
    file.sync_data()
}

/// Overwrites what is not zero, so that nothing torn can come back.
fn clean(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut buffer = vec![0; CLEAN_BYTES];
    let zeroes = vec![0; CLEAN_BYTES];
    let mut offset = from;
    while offset < to {
        let count = read_up_to(file, &mut buffer, offset)?;
        if count == 0 {
            break;
        }
        if buffer[..count].iter().any(|byte| *byte != 0) {
            write_all_at(file, &zeroes[..count], offset)?;
        }
        offset += count as u64;
    }
    Ok(())
}

fn walk_error(dir: &Path, error: ScanError) -> OpenError {
    match error {
        ScanError::Io { file, source } => OpenError::Io { path: dir.join(file), source },
        ScanError::Version { file, version } => OpenError::Version { path: dir.join(file), version },
    }
}
