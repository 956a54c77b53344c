//! The journal of searches: who asked what for, in files of its own. No key is in it that anybody can read.
//!
//! ```text
//!   note ──► gathered, bounded ──every 50 ms──► one entry of the journal ──every second──► its root, an entry of the log
//! ```
//!
//! An answer goes out when its search is noted, and does not wait for the disk. Where nothing can be noted nothing is
//! answered: the disk is full, it is too slow, or the journal is an older copy than the log knows.

mod asked;
mod check;
mod handed_in;
mod kept;
mod operations;
mod rolled;
mod signed_for;
mod tally;
#[cfg(test)]
mod tests;
mod writing;
mod wrong;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use i247_ledger::disk::{self, Disk};
use i247_ledger::{Blocking, CloseError, Ledger as _, OpenError, Options, Position, ReadError, Segments};
use i247_model::{Hash, Reason, Refusal};
use i247_node::{Clock, Dice, Seams};
use i247_router::SearchRoot;
use i247_trust::sha256;
use i247_wire::pb;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};

use crate::views::Views;
use handed_in::HandedIn;
use operations::{Book, Operations};
use rolled::Sessions;
use writing::Roots;
use wrong::Wrong;

pub use check::{Asked, Searches, check_searches};
pub(crate) use handed_in::Given;
pub(crate) use rolled::Placed;
pub(crate) use tally::Counted;
pub use tally::{SearchTally, tally_searches};
pub(crate) use writing::Writer;
pub(crate) use wrong::WrongRollUp;

/// When those who were refused should come again.
const COME_AGAIN: Duration = Duration::from_secs(5);

/// What may be noted and not yet written, in bytes.
const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// The records of one entry, in bytes: what the journal takes, less room for the root of the entry before.
const ENTRY_BYTES: usize = i247_ledger::MAX_ENTRY_BYTES - 64;

/// Bytes of the digest of a key: enough to tell keys apart, and nothing without the secret.
const DIGEST_BYTES: usize = 8;

/// The directory of the journal, in that of the hub's data.
pub(crate) const DIR: &str = "audit";

/// The file with the secret, beside the segments.
const SECRET: &str = "secret";

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Its segments.
    #[error("the journal of searches cannot be opened")]
    Open(#[from] OpenError),
    /// Its last entry.
    #[error("the journal of searches cannot be read")]
    Read(#[from] ReadError),
    /// The secret behind the digests.
    #[error("{}: not accessible", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What the disk says.
        #[source]
        source: io::Error,
    },
}

/// The journal of a hub.
pub(crate) struct Audit {
    journal: Segments,
    /// What digests begin with.
    secret: Sha256,
    waiting: Mutex<Waiting>,
    bell: Notify,
    clock: Arc<dyn Clock>,
    /// Its end when it was opened.
    opened_at: Position,
    disk: Arc<dyn Disk>,
    blocking: Arc<dyn Blocking>,
    dir: PathBuf,
    /// How many records are written of those that were noted; none when no more will be.
    written: watch::Sender<Option<u64>>,
    handed_in: tokio::sync::Mutex<HandedIn>,
    /// What posts asked and have not signed for yet.
    sessions: Mutex<Sessions>,
    /// What was asked in operations.
    book: Book,
    /// What they have signed and is wrong, lately.
    wrong: Mutex<Wrong>,
    /// Whoever takes a roll-up holds it.
    rolling: tokio::sync::Mutex<()>,
}

/// What is noted and not yet written.
#[derive(Default)]
struct Waiting {
    /// The records of one entry each, encoded one behind the other.
    entries: Vec<Vec<u8>>,
    /// Of these and of what is being written.
    bytes: usize,
    /// How many records were noted since the start.
    noted: u64,
    /// What these entries have of operations.
    asked: Operations,
    shut: Option<Shut>,
}

/// Why nothing is noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shut {
    /// No room on the disk: looked at again.
    Full,
    /// The journal takes nothing more before the next start.
    Stopped,
    /// The log knows a later end than the journal has.
    Older,
}

impl Audit {
    /// Opens the journal in `dir`, or begins it. `known` is what the log was last told of it.
    ///
    /// # Errors
    /// [`AuditError`]. That the log knows more is none: searches are refused then, and everything else goes on.
    pub(crate) async fn open(
        disk: Arc<dyn Disk>,
        blocking: Arc<dyn Blocking>,
        dir: &Path,
        (clock, dice): (Arc<dyn Clock>, &dyn Dice),
        known: Option<SearchRoot>,
    ) -> Result<(Self, Writer), AuditError> {
        let mut salt = [0; 8];
        dice.fill(&mut salt);
        let options =
            Options { salt: u64::from_le_bytes(salt), blocking: blocking.clone(), ..Options::default() };
        let (journal, opened) = Segments::open(disk.clone(), dir, options)?;
        let secret = secret(&*disk, dir, dice)
            .map_err(|source| AuditError::Secret { path: dir.join(SECRET), source })?;
        let end = journal.end();
        let now =
            SearchRoot { position: end.0, root: root_at(&journal, end).await?.unwrap_or(Hash([0; 32])) };
        let mut waiting = Waiting::default();
        if let Some(known) = known
            && root_at(&journal, Position(known.position)).await? != Some(known.root)
        {
            tracing::error!(
                known = known.position,
                end = end.0,
                "the journal of searches is not the one that the log knows; searches are refused: restore it from its \
                 newest copy, or recover the hub"
            );
            waiting.shut = Some(Shut::Older);
        }
        tracing::info!(end = end.0, clean_stop = opened.clean_stop, "journal of searches opened");
        let roots = Roots { now, entered: known.map_or(0, |known| known.position) };
        let (waiting, bell) = (Mutex::new(waiting), Notify::new());
        let audit = Self {
            journal,
            secret: behind(&secret),
            waiting,
            bell,
            clock,
            opened_at: end,
            disk,
            blocking,
            dir: dir.to_owned(),
            written: watch::Sender::new(Some(0)),
            handed_in: tokio::sync::Mutex::default(),
            sessions: Mutex::default(),
            book: Book::default(),
            wrong: Mutex::default(),
            rolling: tokio::sync::Mutex::default(),
        };
        Ok((audit, Writer { roots, kept_at: 0 }))
    }

    /// Whether searches are noted, so that they may be answered.
    ///
    /// # Errors
    /// `READ_ONLY` or `BEHIND`, with the time after which to ask again.
    pub(crate) fn check_open(&self) -> Result<(), Refusal> {
        self.waiting().check()
    }

    /// Adds the digest of a key in its normalised form.
    pub(crate) fn digest(&self, normalised: &[u8], digests: &mut Vec<u8>) {
        let whole = self.secret.clone().chain_update(normalised).finalize();
        digests.extend_from_slice(&whole[..DIGEST_BYTES]);
    }

    /// Notes a search, which is durable within 100 ms. Which one it is since the start.
    ///
    /// # Errors
    /// As [`check_open`](Self::check_open): then it must not be answered.
    pub(crate) fn note(&self, record: &pb::AuditRecord) -> Result<u64, Refusal> {
        const RECORDS: u32 = 2;
        self.note_as(RECORDS, record, |asked| asked.count(record))
    }

    /// Notes a message as this field of the next entry, and counts it.
    fn note_as(
        &self,
        field: u32,
        record: &impl prost::Message,
        count: impl FnOnce(&mut Operations),
    ) -> Result<u64, Refusal> {
        let bytes = prost::encoding::message::encoded_len(field, record);
        let mut waiting = self.waiting();
        waiting.check()?;
        if waiting.bytes + bytes > WAITING_BYTES {
            return Err(shut(
                "the journal of searches is written too slowly: ask again after the time given",
            ));
        }
        waiting.bytes += bytes;
        let first = waiting.entries.is_empty();
        let entry = match waiting.entries.last_mut() {
            Some(entry) if entry.len() + bytes <= ENTRY_BYTES => entry,
            _ => {
                waiting.entries.push(Vec::new());
                waiting.entries.last_mut().expect("one was pushed")
            }
        };
        prost::encoding::message::encode(field, record, entry);
        waiting.noted += 1;
        count(&mut waiting.asked);
        let noted = waiting.noted;
        drop(waiting);
        if first {
            self.bell.notify_one();
        }
        Ok(noted)
    }

    /// Waits until so many of those that were noted are written.
    ///
    /// # Errors
    /// `READ_ONLY` when that does not happen any more: the next start says what is there.
    async fn written(&self, noted: u64) -> Result<(), Refusal> {
        let mut written = self.written.subscribe();
        let far = written.wait_for(|written| written.is_none_or(|written| written >= noted)).await;
        match far.ok().and_then(|written| *written) {
            Some(_) => Ok(()),
            None => Err(shut("the journal of searches has stopped: tell whoever runs the hub")),
        }
    }

    /// Closes the journal.
    ///
    /// # Errors
    /// When it was not closed cleanly: the next start finds out what is there.
    pub(crate) async fn close(&self) -> Result<(), CloseError> {
        self.journal.close().await
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the journal of searches, which lies beside the log in the hub's data.
///
/// # Errors
/// As [`Audit::open`].
pub(crate) async fn open_beside(
    data: &Path,
    seams: &Seams,
    views: &Views,
) -> Result<(Audit, Writer), AuditError> {
    let (dir, known) = (data.join(DIR), views.state.search_root());
    let chance = (seams.clock.clone(), &*seams.dice);
    Audit::open(seams.disk.clone(), seams.blocking.clone(), &dir, chance, known).await
}

impl Waiting {
    fn check(&self) -> Result<(), Refusal> {
        match self.shut {
            None => Ok(()),
            Some(Shut::Full) => Err(shut("there is no room for the journal of searches: ask again later")),
            Some(Shut::Stopped) => {
                Err(shut("the journal of searches has stopped: tell whoever runs the hub"))
            }
            Some(Shut::Older) => {
                let next_step = "the journal of searches is an older copy: tell whoever runs the hub";
                let refusal = Refusal { next_step: next_step.into(), ..Refusal::of(Reason::Behind, "audit") };
                Err(refusal.retry_after(COME_AGAIN))
            }
        }
    }
}

fn shut(next_step: &str) -> Refusal {
    let refusal = Refusal { next_step: next_step.into(), ..Refusal::of(Reason::ReadOnly, "audit") };
    refusal.retry_after(COME_AGAIN)
}

/// An entry behind the one with this root.
fn chained(previous: &SearchRoot, records: Vec<u8>) -> Bytes {
    const PREVIOUS: u32 = 1;
    if previous.position == 0 {
        return records.into();
    }
    let mut bytes = Vec::with_capacity(records.len() + 64);
    let root = Bytes::copy_from_slice(previous.root.as_bytes());
    prost::encoding::bytes::encode(PREVIOUS, &root, &mut bytes);
    bytes.extend_from_slice(&records);
    bytes.into()
}

/// The root of an entry of the journal.
fn root_of(entry: &[u8]) -> Hash {
    sha256(&[b"i247.v1.AuditGroup\0", entry])
}

/// The root of the entry at a position; none when there is no such entry.
async fn root_at(journal: &Segments, at: Position) -> Result<Option<Hash>, ReadError> {
    if at == Position::START || at > journal.end() {
        return Ok(None);
    }
    let records = journal.read(at, 1, usize::MAX).await?;
    Ok(records.first().map(|record| root_of(&record.entry)))
}

/// A SHA-256 that goes on behind the secret. They fill a block of it, so that a digest costs one more.
fn behind(secret: &[u8; 32]) -> Sha256 {
    Sha256::new_with_prefix([&b"i247.v1.AuditKey"[..], secret, &[0; 16]].concat())
}

/// The secret behind the digests, made at the first start.
fn secret(disk: &dyn Disk, dir: &Path, dice: &dyn Dice) -> io::Result<[u8; 32]> {
    match disk::read_whole(disk, &dir.join(SECRET), 32) {
        Ok(bytes) => bytes.try_into().map_err(|_| io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = [0; 32];
            dice.fill(&mut secret);
            disk::replace_whole(disk, dir, SECRET, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}
