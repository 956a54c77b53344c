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
mod wrong;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use i247_ledger::disk::{self, Disk};
use i247_ledger::{
    AppendError, Blocking, CloseError, Draft, Ledger, OpenError, Options, Position, ReadError, Segments,
};
use i247_model::{Hash, Reason, Refusal};
use i247_node::{Clock, Dice, Seams};
use i247_router::SearchRoot;
use i247_trust::sha256;
use i247_wire::pb;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::sequencer::Work;
use crate::views::Views;
use handed_in::HandedIn;
use operations::{Book, Operations};
use rolled::Sessions;
use wrong::Wrong;

pub use check::{Asked, Searches, check_searches};
pub(crate) use handed_in::Given;
pub(crate) use rolled::Placed;
pub(crate) use tally::Counted;
pub use tally::{SearchTally, tally_searches};
pub(crate) use wrong::WrongRollUp;

/// What is noted waits at most so long before it is written.
const WRITE_WAIT: Duration = Duration::from_millis(50);

/// How often the log hears of the journal, when it has grown.
const ROOT_EVERY: Duration = Duration::from_secs(1);

/// How often a disk that was full is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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

/// What the log was last told, and what it is told next.
struct Roots {
    /// Of the journal as it is.
    now: SearchRoot,
    /// As the log has it.
    entered: u64,
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

    /// Writes what is noted, and tells the log, until `stop`; what was noted by then is written.
    pub(crate) async fn keep(
        self: Arc<Self>,
        mut writer: Writer,
        log: mpsc::Sender<Work>,
        stop: CancellationToken,
    ) {
        let mut told_at = Duration::ZERO;
        loop {
            let stale = writer.roots.now.position > writer.roots.entered;
            // Dropping any of these waits loses nothing: the bell rings again for what is still there.
            tokio::select! {
                () = self.bell.notified() => {
                    let waited = i247_node::sleep_on(&*self.clock, WRITE_WAIT);
                    stop.run_until_cancelled(waited).await;
                }
                () = i247_node::sleep_on(&*self.clock, ROOT_EVERY), if stale => {}
                () = stop.cancelled() => {}
            }
            // Asked before it is written: what is noted while the log is told is written too.
            let stopping = stop.is_cancelled();
            self.write(&mut writer, &stop).await;
            let now = self.clock.monotonic();
            if now.saturating_sub(told_at) >= ROOT_EVERY {
                told_at = now;
                self.tell(&mut writer, &log).await;
            }
            let written = writer.roots.now.position;
            self.keep_operations(&mut writer.kept_at, written, stopping).await;
            if stopping {
                return;
            }
        }
    }

    /// Closes the journal.
    ///
    /// # Errors
    /// When it was not closed cleanly: the next start finds out what is there.
    pub(crate) async fn close(&self) -> Result<(), CloseError> {
        self.journal.close().await
    }

    /// Writes all that is noted. While there is no room it waits here, and nothing more is noted.
    async fn write(&self, writer: &mut Writer, stop: &CancellationToken) {
        let (entries, noted, asked) = {
            let mut waiting = self.waiting();
            let asked = std::mem::take(&mut waiting.asked);
            (std::mem::take(&mut waiting.entries), waiting.noted, asked)
        };
        if entries.is_empty() {
            return;
        }
        let bytes: usize = entries.iter().map(Vec::len).sum();
        let mut root = writer.roots.now;
        let mut group = Vec::with_capacity(entries.len());
        for entry in entries {
            let bytes = chained(&root, entry);
            root = SearchRoot { position: root.position + 1, root: root_of(&bytes) };
            group.push(Draft { entry: bytes, body: None });
        }
        let after = Position(writer.roots.now.position);
        loop {
            match self.journal.append(after, group.clone()).await {
                Ok(_) => break,
                Err(AppendError::Full) => {
                    if self.waiting().shut.replace(Shut::Full).is_none() {
                        tracing::error!(
                            "no room for the journal of searches: they are refused until there is some"
                        );
                    }
                    let waited = i247_node::sleep_on(&*self.clock, LOOK_AGAIN);
                    if stop.run_until_cancelled(waited).await.is_none() {
                        self.written.send_replace(None);
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the journal of searches has stopped: they are refused");
                    self.waiting().shut = Some(Shut::Stopped);
                    self.written.send_replace(None);
                    return;
                }
            }
        }
        writer.roots.now = root;
        self.book.written(asked);
        self.written.send_replace(Some(noted));
        let mut waiting = self.waiting();
        waiting.bytes -= bytes;
        if waiting.shut == Some(Shut::Full) {
            waiting.shut = None;
            tracing::info!("there is room for the journal of searches again");
        }
    }

    /// Tells the log how far the journal has come.
    async fn tell(&self, writer: &mut Writer, log: &mpsc::Sender<Work>) {
        let Roots { now, entered } = &mut writer.roots;
        if now.position <= *entered {
            return;
        }
        let (answer, told) = oneshot::channel();
        if log.send(Work::SearchRoot { root: *now, answer }).await.is_err() {
            return;
        }
        match told.await {
            Ok(Ok(_)) => *entered = now.position,
            Ok(Err(refusal)) => tracing::warn!(%refusal, "the log was not told of the journal of searches"),
            // The hub stops; the next start tells.
            Err(_) => {}
        }
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

/// What only the one task has that writes the journal.
pub(crate) struct Writer {
    roots: Roots,
    /// Up to where in the journal it is kept what was asked in operations.
    kept_at: u64,
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
