//! The list of searches that were asked of a copy, until they are handed in. A search is durable here before its answer
//! is shown. It must not lose one, nor give one number to two.
//!
//! ```text
//!   DIR/asked:  head = "i247asks" | format 4 | the list's own 16 bytes | number of the first search 8 | chain before it 32
//!               | frame of nothing, sealed for this head
//!               | for each search: frame of the search, sealed for this list and its number
//!   frame:      length 4 | CRC-32C 4 | sealed bytes
//! ```
//!
//! All numbers little end first. Only the last search can be torn by a crash: it was not answered, and is dropped. What is
//! handed in goes out of the file; the list goes on counting. What was changed, exchanged or left out in the middle does
//! not open, and is refused; that the last searches were cut off cannot be seen here.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use i247_ledger::disk::{self, DirLock, Disk, DiskFile, is_full, write_all_at};
use i247_model::Hash;
use i247_wire::pb;
use prost::Message as _;

use super::part::sha256;

const MAGIC: &[u8; 8] = b"i247asks";
const FORMAT: u32 = 2;
const HEAD_BYTES: usize = 68;
const NAME: &str = "asked";

/// So much may wait to be handed in, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Why a search cannot be noted. It must not be answered then.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Somebody else asks or hands in at this moment. Try again soon.
    #[error("{} is in use by another process; try again", .0.display())]
    InUse(PathBuf),
    /// Too many searches wait. Hand them in first.
    #[error("too many searches wait to be handed in; run `i247 mind sync` while there is a network")]
    Full,
    /// The file is not what was written.
    #[error("{} is damaged at byte {at}; keep it for whoever examines it, and move it away", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// Something in the file does not open.
    #[error(
        "{} was changed at byte {at}, or sealed with another key; keep it for whoever examines it, and move it away",
        .path.display()
    )]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
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

/// Seals searches while they lie on the disk. Whose key it is, is the caller's business.
pub trait Seal: Send + Sync + fmt::Debug {
    /// Seals something for its place.
    fn seal(&self, place: &[u8], plain: &[u8]) -> Vec<u8>;

    /// What was sealed for this place; none when it was changed, or sealed for another place or with another key.
    fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>>;
}

/// The searches that wait. Whoever has it has it alone.
#[derive(Debug)]
pub struct AskedList {
    disk: Arc<dyn Disk>,
    seal: Arc<dyn Seal>,
    dir: PathBuf,
    _lock: Box<dyn DirLock>,
    list: [u8; 16],
    first: u64,
    chain: Hash,
    waiting: Vec<Vec<u8>>,
    file: Arc<dyn DiskFile>,
    end: u64,
}

/// The chain of a list behind a search.
#[must_use]
pub fn chained(chain: &Hash, search: &[u8]) -> Hash {
    sha256(&[b"i247.v1.OfflineSearch\0", &chain.0, search])
}

impl AskedList {
    /// Opens the list in `dir`, or begins it as `list`: random bytes that no other has. It blocks.
    ///
    /// # Errors
    /// [`ListError::InUse`], [`ListError::Damaged`], [`ListError::Sealed`], or what the disk says.
    pub fn open(
        disk: Arc<dyn Disk>,
        seal: Arc<dyn Seal>,
        dir: &Path,
        list: [u8; 16],
    ) -> Result<Self, ListError> {
        let at = |error| io_error(dir, error);
        disk.create_dir(dir).map_err(at)?;
        let lock = disk.lock(dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => ListError::InUse(dir.into()),
            _ => at(error),
        })?;
        let path = dir.join(NAME);
        let bytes = match disk::read_whole(&*disk, &path, 2 * MAX_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let head = sealed_head(&*seal, list, 1, &Hash([0; 32]));
                disk::replace_whole(&*disk, dir, NAME, &head).map_err(at)?;
                head
            }
            read => read.map_err(at)?,
        };
        let damaged = |at: usize| ListError::Damaged { path: path.clone(), at: at as u64 };
        let (list, first, chain) = read_head(&bytes).ok_or_else(|| damaged(0))?;
        let (frames, end) = read_frames(&bytes).map_err(damaged)?;
        let waiting = opened(&*seal, &bytes[..HEAD_BYTES], (list, first), &frames);
        let waiting = waiting.map_err(|at| ListError::Sealed { path: path.clone(), at: at as u64 })?;
        let file = disk.open(&path).map_err(at)?;
        let torn = end < bytes.len();
        let (dir, end) = (dir.to_owned(), end as u64);
        let mut list = Self { disk, seal, dir, _lock: lock, list, first, chain, waiting, file, end };
        if torn {
            list.rewrite(list.list, first, chain, 0)?;
        }
        Ok(list)
    }

    /// Notes a search, durably. Its number.
    ///
    /// # Errors
    /// [`ListError::Full`], or what the disk says. It must not be answered then.
    pub fn note(&mut self, search: &pb::OfflineSearch) -> Result<u64, ListError> {
        let search = search.encode_to_vec();
        let number = self.first + self.waiting.len() as u64;
        let framed = framed(&self.seal.seal(&place(&self.list, number), &search));
        if self.end + framed.len() as u64 > MAX_BYTES {
            return Err(ListError::Full);
        }
        let written = write_all_at(&*self.file, &framed, self.end).and_then(|()| self.file.sync_data());
        written.map_err(|error| match is_full(&error) {
            true => ListError::Full,
            false => io_error(&self.dir.join(NAME), error),
        })?;
        self.end += framed.len() as u64;
        self.waiting.push(search);
        Ok(number)
    }

    /// The bytes that tell this list from others.
    pub fn id(&self) -> [u8; 16] {
        self.list
    }

    /// The number of the first search that waits, or of the next one that comes.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The chain before it.
    pub fn chain(&self) -> Hash {
        self.chain
    }

    /// What waits, encoded, in order.
    pub fn waiting(&self) -> &[Vec<u8>] {
        &self.waiting
    }

    /// Lets go of all up to and with this number: they stand in the hub's journal.
    ///
    /// # Errors
    /// What the disk says; then they are handed in again, and taken once all the same.
    pub fn let_go(&mut self, through: u64) -> Result<(), ListError> {
        let done = through.saturating_add(1).saturating_sub(self.first);
        let done = usize::try_from(done).unwrap_or(usize::MAX).min(self.waiting.len());
        let chain = self.waiting[..done].iter().fold(self.chain, |chain, search| chained(&chain, search));
        self.rewrite(self.list, self.first + done as u64, chain, done)
    }

    /// Goes on as another list with what waits: somebody else has handed in under this one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn begin_anew(&mut self, list: [u8; 16]) -> Result<(), ListError> {
        self.rewrite(list, 1, Hash([0; 32]), 0)
    }

    fn rewrite(&mut self, list: [u8; 16], first: u64, chain: Hash, done: usize) -> Result<(), ListError> {
        let mut bytes = sealed_head(&*self.seal, list, first, &chain);
        for (number, search) in (first..).zip(&self.waiting[done..]) {
            bytes.extend_from_slice(&framed(&self.seal.seal(&place(&list, number), search)));
        }
        let path = self.dir.join(NAME);
        let replaced = disk::replace_whole(&*self.disk, &self.dir, NAME, &bytes);
        let opened = replaced.and_then(|()| self.disk.open(&path));
        self.file = opened.map_err(|error| io_error(&path, error))?;
        self.waiting.drain(..done);
        (self.list, self.first, self.chain, self.end) = (list, first, chain, bytes.len() as u64);
        Ok(())
    }
}

fn head(list: [u8; 16], first: u64, chain: &Hash) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&list);
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(&chain.0);
    bytes
}

/// The head, and what says that nobody changed it.
fn sealed_head(seal: &dyn Seal, list: [u8; 16], first: u64, chain: &Hash) -> Vec<u8> {
    let mut bytes = head(list, first, chain);
    let sealed = framed(&seal.seal(&bytes, &[]));
    bytes.extend_from_slice(&sealed);
    bytes
}

/// For what a search is sealed.
fn place(list: &[u8; 16], number: u64) -> Vec<u8> {
    [b"search".as_slice(), list, &number.to_le_bytes()].concat()
}

/// The searches in sealed frames; else where one does not open. The first frame is that of the head.
fn opened(
    seal: &dyn Seal,
    head: &[u8],
    (list, first): ([u8; 16], u64),
    frames: &[(usize, &[u8])],
) -> Result<Vec<Vec<u8>>, usize> {
    let Some(((at, of_head), searches)) = frames.split_first() else { return Err(HEAD_BYTES) };
    seal.open(head, of_head).ok_or(*at)?;
    let open =
        |(number, (at, sealed)): (u64, &(usize, &[u8]))| seal.open(&place(&list, number), sealed).ok_or(*at);
    (first..).zip(searches).map(open).collect()
}

fn read_head(bytes: &[u8]) -> Option<([u8; 16], u64, Hash)> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (format, rest) = rest.split_first_chunk::<4>()?;
    let (list, rest) = rest.split_first_chunk::<16>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (chain, _) = rest.split_first_chunk::<32>()?;
    let known = magic == MAGIC && u32::from_le_bytes(*format) == FORMAT;
    known.then(|| (*list, u64::from_le_bytes(*first), Hash(*chain)))
}

/// What stands in frames, each with where it begins.
type Frames<'a> = Vec<(usize, &'a [u8])>;

/// What stands in the frames, each with where it begins, and where the last one ends; else where the damage is.
fn read_frames(bytes: &[u8]) -> Result<(Frames<'_>, usize), usize> {
    let (mut frames, mut at) = (Vec::new(), HEAD_BYTES);
    while at < bytes.len() {
        let Some(frame) = frame_at(bytes, at) else {
            // Torn is only what nothing follows.
            let followed = (at + 1..bytes.len()).any(|later| frame_at(bytes, later).is_some());
            return if followed || !is_torn(&bytes[at..]) { Err(at) } else { Ok((frames, at)) };
        };
        frames.push((at, frame));
        at += 8 + frame.len();
    }
    Ok((frames, at))
}

/// Whether a crash can have left this in the place of a frame: less than it, or a hole in it. Sealed bytes have no such
/// run of zeroes.
fn is_torn(rest: &[u8]) -> bool {
    let whole = rest.first_chunk().is_some_and(|len| rest.len() - 4 > u32::from_le_bytes(*len) as usize + 3);
    !whole || rest.windows(8).any(|bytes| bytes == [0; 8])
}

/// What stands in the frame that begins there, if one does.
fn frame_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let (&[a, b, c, d, e, f, g, h], rest) = bytes.get(at..)?.split_first_chunk()?;
    let (len, crc) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]));
    let frame = rest.get(..len).filter(|frame| !frame.is_empty())?;
    (crc32c::crc32c(frame) == crc).then_some(frame)
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = (frame.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(&crc32c::crc32c(frame).to_le_bytes());
    bytes.extend_from_slice(frame);
    bytes
}

fn io_error(path: &Path, source: io::Error) -> ListError {
    ListError::Io { path: path.into(), source }
}

#[cfg(test)]
mod tests;
