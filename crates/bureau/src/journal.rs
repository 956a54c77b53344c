//! The bureau's journal: one writer, which numbers drafts, appends what has gathered and then applies it.
//!
//! ```text
//!  desk, national, uplink ──► commands ──► number ──► one append ──► apply to the views ──► answer, wake
//! ```
//!
//! Nobody sees a view that holds what is not durable. When an append fails for good the journal stops, and says so.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use bytes::Bytes;
use i247_ledger::{
    AppendError, Body, Ledger, MAX_ENTRY_BYTES, MAX_GROUP_BYTES, MAX_GROUP_DRAFTS, Position, ReadError,
};
use i247_model::{Hash, Lane, MessageId, Reason, Refusal};
use i247_node::Clock;
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;
use prost::Message as _;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::loads::{self, Part};
pub(crate) use crate::notes::{JournalError, Note, Numberless};
use crate::views::{Key, Keyed, Unreadable, Views};

/// How many commands may wait for the writer.
const WAITING_COMMANDS: usize = 1024;
/// How many commands go into one group.
const MAX_GROUP_COMMANDS: usize = 512;
/// How many changes a slow watcher may be behind.
const WAITING_CHANGES: usize = 4096;
/// How many bytes one entry with its body may take when it is read.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What changed. For watchers; everything in it can be read from the views too.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A message of this bureau was accepted by the desk, signed or answered.
    Sent(MessageId),
    /// The hub told where a message stands.
    Progress(MessageId),
}

enum Command {
    Number(Box<Numberless>, oneshot::Sender<Result<MessageId, JournalError>>),
    Write(Vec<Note>, oneshot::Sender<Result<(), JournalError>>),
}

/// A handle to the journal; clones are the same journal.
#[derive(Clone)]
pub(crate) struct Journal {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Arc<dyn Ledger>,
    views: RwLock<Views>,
    /// The last entry that was applied.
    applied: watch::Sender<u64>,
    changes: broadcast::Sender<Change>,
    /// False from a write that found no room until the next one that does.
    writable: watch::Sender<bool>,
    stopped: CancellationToken,
}

/// The one that writes. Runs until all handles are dropped or it is told to stop, and then writes what waits.
pub(crate) struct Writer {
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    end: Position,
    /// Taken from the channel, and left for the next group.
    held: Option<Command>,
}

/// A journal over a ledger whose entries are all in the views.
pub(crate) fn open(views: Views, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> (Journal, Writer) {
    let end = Position(views.position);
    let (commands, waiting) = mpsc::channel(WAITING_COMMANDS);
    let shared = Arc::new(Shared {
        ledger,
        views: RwLock::new(views),
        applied: watch::Sender::new(end.0),
        changes: broadcast::Sender::new(WAITING_CHANGES),
        writable: watch::Sender::new(true),
        stopped: CancellationToken::new(),
    });
    let writer = Writer { commands: waiting, shared: Arc::clone(&shared), clock, end, held: None };
    (Journal { commands, shared }, writer)
}

/// Why the journal was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The files cannot be opened.
    #[error("the files of the journal cannot be opened")]
    Files(#[from] i247_ledger::OpenError),
    /// The runtime shuts down.
    #[error("opening was given up")]
    Cancelled,
    /// An entry cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// An entry cannot be understood.
    #[error("the journal cannot be understood")]
    Unreadable(#[from] Unreadable),
}

impl Journal {
    /// The views as they stand. Hold it briefly, never across an await.
    pub(crate) fn views(&self) -> RwLockReadGuard<'_, Views> {
        // A panic while applying leaves views behind that are not used again: the writer has stopped.
        self.shared.views.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Follows the last applied entry.
    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.shared.applied.subscribe()
    }

    /// Follows what changes.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    /// Follows whether there is room: false from a write that found none until the next one that does.
    pub(crate) fn writable(&self) -> watch::Receiver<bool> {
        self.shared.writable.subscribe()
    }

    /// Cancelled when nothing more can be written.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.shared.stopped
    }

    /// Gives a draft its number and makes it durable. The same draft under the same key of the same caller gets the
    /// same id again; another draft under that key is refused.
    ///
    /// # Cancel safety
    /// Once handed to the writer it is written, whether or not the caller waits.
    pub(crate) async fn number(&self, draft: Numberless) -> Result<MessageId, JournalError> {
        let answered = self.number_later(draft).await?;
        answered.await.map_err(|_| JournalError::Stopped)?
    }

    /// As [`Journal::number`], without waiting: what is handed over later is written later.
    ///
    /// # Cancel safety
    /// As for [`Journal::number`].
    pub(crate) async fn number_later(
        &self,
        draft: Numberless,
    ) -> Result<oneshot::Receiver<Result<MessageId, JournalError>>, JournalError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Number(Box::new(draft), answer);
        self.commands.send(command).await.map_err(|_| JournalError::Stopped)?;
        Ok(answered)
    }

    /// Makes these durable, in one group.
    ///
    /// # Cancel safety
    /// As for [`Journal::number`].
    pub(crate) async fn write(&self, notes: Vec<Note>) -> Result<(), JournalError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Write(notes, answer)).await.map_err(|_| JournalError::Stopped)?;
        answered.await.map_err(|_| JournalError::Stopped)?
    }

    /// The entry at a position, and what is left of its body.
    pub(crate) async fn read(&self, position: u64) -> Result<(pb::JournalEntry, Body), ReadError> {
        let mut records = self.shared.ledger.read(Position(position), 1, READ_BYTES).await?;
        // Positions come from the views, so the record is there; a missing one reads as an empty entry.
        let Some(record) = records.pop() else { return Ok((pb::JournalEntry::default(), Body::None)) };
        let entry = pb::JournalEntry::decode(record.entry).unwrap_or_default();
        Ok((entry, record.body))
    }
}

/// Numbers and keys of drafts that are in the group under way.
#[derive(Default)]
struct Tentative {
    numbered: BTreeMap<Lane, u64>,
    keys: BTreeMap<Key, Keyed>,
    /// How far loads are with it.
    loads: BTreeMap<Hash, u64>,
}

/// A group that is being gathered.
#[derive(Default)]
struct Group {
    entries: Vec<pb::JournalEntry>,
    drafts: Vec<i247_ledger::Draft>,
    bytes: usize,
    numbered: Vec<(MessageId, oneshot::Sender<Result<MessageId, JournalError>>)>,
    written: Vec<oneshot::Sender<Result<(), JournalError>>>,
}

impl Writer {
    /// Writes until `stop`, then what waits, then ends. Ends early when the ledger fails for good.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            if let Some(held) = self.held.take() {
                let group = self.gather(held);
                if self.append(group).await.is_err() {
                    self.shared.stopped.cancel();
                    return;
                }
                continue;
            }
            // Both arms are cancel-safe: a command that was not received stays in the channel.
            let first = tokio::select! {
                command = self.commands.recv() => command,
                () = stop.cancelled() => {
                    self.commands.close();
                    self.commands.recv().await
                }
            };
            let Some(first) = first else { return };
            let group = self.gather(first);
            if self.append(group).await.is_err() {
                self.shared.stopped.cancel();
                return;
            }
        }
    }

    /// What waits, up to the limits of a group. What is checked against the views as they stand has a group of its own.
    fn gather(&mut self, first: Command) -> Group {
        let (mut group, mut tentative) = (Group::default(), Tentative::default());
        if stands_alone(&first) {
            self.take_alone(first, &mut group, &mut tentative);
            return group;
        }
        self.take(first, &mut group, &mut tentative);
        for _ in 1..MAX_GROUP_COMMANDS {
            let Ok(command) = self.commands.try_recv() else { break };
            if stands_alone(&command) || !group.has_room_for(&Size::of(&command)) {
                self.held = Some(command);
                break;
            }
            self.take(command, &mut group, &mut tentative);
        }
        group
    }

    fn take_alone(&self, command: Command, group: &mut Group, tentative: &mut Tentative) {
        let refused = match &command {
            Command::Write(notes, _) => {
                let views = self.shared.views.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                notes.iter().find_map(|note| views.overtaken(&note.event))
            }
            Command::Number(..) => None,
        };
        match refused {
            Some(refusal) => command.refuse(&refusal),
            None => self.take(command, group, tentative),
        }
    }

    fn take(&self, command: Command, group: &mut Group, tentative: &mut Tentative) {
        if Size::of(&command).too_large() {
            // It alone is refused, not what others put into the same group.
            return command.refuse(&Refusal::of(Reason::TooLarge, "draft"));
        }
        let at_ms = self.clock.now().as_millis();
        match command {
            Command::Write(notes, answer) => {
                for note in notes {
                    group.push(pb::JournalEntry { at_ms, event: Some(note.event) }, note.body);
                }
                group.written.push(answer);
            }
            Command::Number(draft, answer) => {
                let (id, earlier) = match self.place(&draft, tentative) {
                    Ok(placed) => placed,
                    Err(refusal) => return Command::Number(draft, answer).refuse(&refusal),
                };
                // The earlier message may be in this very group: it is answered once the group is durable.
                if !earlier {
                    let Numberless { mut accepted, body, .. } = *draft;
                    if let Some(header) = accepted.header.as_mut() {
                        header.id = id.to_string();
                    }
                    let event = Some(Event::Accepted(accepted));
                    group.push(pb::JournalEntry { at_ms, event }, Some(body));
                }
                group.numbered.push((id, answer));
            }
        }
    }

    /// The id that a draft gets, and whether its key stands for that message already.
    fn place(&self, draft: &Numberless, tentative: &mut Tentative) -> Result<(MessageId, bool), Refusal> {
        let views = self.shared.views.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (draft.accepted.officer.clone(), draft.accepted.idempotency_key.clone());
        let hash = Hash::from_slice(&draft.accepted.draft_hash);
        let keyed = !key.1.is_empty();
        if keyed && let Some(known) = tentative.keys.get(&key).or_else(|| views.key(&key)) {
            return known.stands_for(hash.as_ref()).map(|id| (id.clone(), true));
        }
        if let Some(load) = &draft.accepted.load {
            let part = Part::of(load)?;
            // A part before it was not written: what follows would leave a gap that nobody fills.
            let line = tentative.loads.entry(part.name).or_insert_with(|| views.loads.line(&part.name));
            if *line != part.after {
                return Err(loads::out_of_order());
            }
            *line = part.last();
        }
        let last =
            tentative.numbered.entry(draft.lane).or_insert_with(|| views.outbox.lane(draft.lane).numbered);
        *last += 1;
        let id = views.outbox.id(draft.lane, *last);
        if keyed {
            tentative.keys.insert(key, Keyed { id: id.clone(), draft: hash });
        }
        Ok((id, false))
    }

    /// Appends a group, applies it and answers. An error is final.
    async fn append(&mut self, group: Group) -> Result<(), JournalError> {
        let appended = self.shared.ledger.append(self.end, group.drafts).await;
        let outcome = match appended {
            Ok(end) => self.apply(end, &group.entries),
            Err(AppendError::Full) => Err(JournalError::Full),
            Err(AppendError::TooLarge { size, limit }) => {
                tracing::error!(size, limit, "a group of journal entries is too large");
                Err(JournalError::Refused(Refusal::of(Reason::TooLarge, "draft")))
            }
            // One process writes the journal; another end, or an unknown one, is told apart at the next start.
            Err(error @ (AppendError::Conflict { .. } | AppendError::Unknown | AppendError::Stopped(_))) => {
                tracing::error!(%error, "the journal stops");
                Err(JournalError::Stopped)
            }
        };
        self.shared.writable.send_if_modified(|writable| {
            let room = !matches!(outcome, Err(JournalError::Full));
            let changed = *writable != room;
            if changed && !room {
                tracing::error!("no room for the journal: nothing is taken until there is");
            }
            *writable = room;
            changed
        });
        for (id, answer) in group.numbered {
            drop(answer.send(outcome.clone().map(|()| id)));
        }
        for answer in group.written {
            drop(answer.send(outcome.clone()));
        }
        match outcome {
            Err(JournalError::Stopped) => outcome,
            Ok(()) | Err(JournalError::Full | JournalError::Refused(_)) => Ok(()),
        }
    }

    fn apply(&mut self, end: Position, entries: &[pb::JournalEntry]) -> Result<(), JournalError> {
        let mut views = self.shared.views.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for entry in entries {
            self.end = self.end.next();
            if let Err(error) = views.apply(self.end.0, entry) {
                // It is written and would stop the next start too: a fault of this program.
                tracing::error!(%error, "the journal stops");
                return Err(JournalError::Stopped);
            }
        }
        drop(views);
        self.end = end;
        for entry in entries {
            if let Some(change) = entry.event.as_ref().and_then(change) {
                // Nobody may be watching.
                drop(self.shared.changes.send(change));
            }
        }
        self.shared.applied.send_replace(end.0);
        Ok(())
    }
}

/// What a command takes in a group, at most.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    drafts: usize,
    bytes: usize,
    largest: usize,
}

impl Size {
    /// Room for the number, the time and the framing of an entry.
    const ENTRY: usize = 128;

    fn of(command: &Command) -> Self {
        let mut size = Self::default();
        match command {
            Command::Number(draft, _) => size.add(draft.accepted.encoded_len() + draft.body.len()),
            Command::Write(notes, _) => {
                for note in notes {
                    size.add(note.event.encoded_len() + note.body.as_ref().map_or(0, Bytes::len));
                }
            }
        }
        size
    }

    fn add(&mut self, bytes: usize) {
        self.drafts += 1;
        self.bytes += bytes + Self::ENTRY;
        self.largest = self.largest.max(bytes + Self::ENTRY);
    }

    fn too_large(&self) -> bool {
        self.largest > MAX_ENTRY_BYTES || self.bytes > MAX_GROUP_BYTES || self.drafts > MAX_GROUP_DRAFTS
    }
}

impl Command {
    fn refuse(self, refusal: &Refusal) {
        // Whoever asked may be gone.
        match self {
            Self::Number(_, answer) => drop(answer.send(Err(JournalError::Refused(refusal.clone())))),
            Self::Write(_, answer) => drop(answer.send(Err(JournalError::Refused(refusal.clone())))),
        }
    }
}

/// Whether a command is checked against the views as they stand.
fn stands_alone(command: &Command) -> bool {
    let alone = |note: &Note| matches!(note.event, Event::Epoch(_) | Event::Directory(_));
    match command {
        Command::Number(..) => false,
        Command::Write(notes, _) => notes.iter().any(alone),
    }
}

impl Group {
    fn has_room_for(&self, more: &Size) -> bool {
        self.bytes + more.bytes <= MAX_GROUP_BYTES && self.drafts.len() + more.drafts <= MAX_GROUP_DRAFTS
    }

    fn push(&mut self, entry: pb::JournalEntry, body: Option<Bytes>) {
        let draft = i247_ledger::Draft { entry: entry.encode_to_vec().into(), body };
        self.bytes += draft.bytes();
        self.drafts.push(draft);
        self.entries.push(entry);
    }
}

fn change(event: &Event) -> Option<Change> {
    let sent = |id: &str| id.parse().ok().map(Change::Sent);
    match event {
        Event::Accepted(accepted) => sent(&accepted.header.as_ref()?.id),
        Event::Sealed(sealed) => sent(&sealed.id),
        Event::Answered(answered) => sent(&answered.result.as_ref()?.id),
        Event::Voided(voided) => sent(&voided.header.as_ref()?.id),
        Event::Heard(heard) => heard.status.as_ref()?.id.parse().ok().map(Change::Progress),
        Event::Arrived(_)
        | Event::Gap(_)
        | Event::Rejected(_)
        | Event::Marked(_)
        | Event::Handled(_)
        | Event::Attachment(_)
        | Event::Told(_)
        | Event::Epoch(_)
        | Event::Directory(_)
        | Event::TakenOver(_)
        | Event::GivenAnew(_)
        | Event::GivenBack(_)
        | Event::HandedOver(_) => None,
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
pub(crate) mod tests;
