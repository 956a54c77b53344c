//! The newest messages in memory, so that a fan-out does not read the log once for each recipient; the others are
//! read. What cannot be read is named, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use i247_ledger::{Body, Ledger, Position, ReadError, Record};
use i247_model::{Hash, Reason, Refusal, Timestamp};
use i247_router::MessageRef;
use i247_wire::pb;
use prost::Message as _;
use tokio::sync::watch;

use crate::spans::Traced;
use crate::views::envelope_of;

/// How much is kept, in bytes.
const KEPT_BYTES: usize = 32 * 1024 * 1024;

/// So many positions of entries, and of bodies, are named at most.
const NAMED_MAX: usize = 1024;

/// A message and the stamp of its entry.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) at: Timestamp,
    /// The key that it is signed with, and when it was; none for bytes that are no header.
    pub(crate) signed: Option<(Hash, Timestamp)>,
    pub(crate) envelope: pb::Envelope,
    pub(crate) traced: Option<Box<Traced>>,
}

impl Stored {
    /// A message of which only the bytes are at hand.
    pub(crate) fn of(at: Timestamp, envelope: pb::Envelope) -> Self {
        let header = i247_wire::decode_header(&envelope.header).ok();
        let traced = header.as_ref().and_then(Traced::of);
        Self { at, signed: header.map(|header| (header.key_id, header.signed_at)), envelope, traced }
    }
}

/// The newest messages.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    kept: Mutex<Kept>,
    /// Messages that somebody asked for and that cannot be read: the position of the entry, and which of it.
    unreadable: watch::Sender<BTreeSet<(u64, u32)>>,
    /// The same of messages whose body is damaged.
    bodies: Mutex<BTreeSet<(u64, u32)>>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: BTreeMap<(u64, u32), Stored>,
    bytes: usize,
}

impl Recent {
    /// The messages that somebody asked for and that cannot be read. While there are any, an operator must act.
    pub(crate) fn unreadable(&self) -> watch::Receiver<BTreeSet<(u64, u32)>> {
        self.unreadable.subscribe()
    }

    /// The entries that cannot be read, in order and each once.
    pub(crate) fn unreadable_entries(&self) -> Vec<u64> {
        positions(&self.unreadable.borrow())
    }

    /// The entries whose body is damaged, in order and each once.
    pub(crate) fn damaged_bodies(&self) -> Vec<u64> {
        positions(&self.bodies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tries to read that again which could not be read: whoever waited for it may be gone, and nobody else would ask.
    ///
    /// # Cancel safety
    /// Dropped, some were tried and others were not.
    pub(crate) async fn look_again(&self, ledger: &dyn Ledger) {
        let mut named = self.unreadable.borrow().clone();
        named.extend(self.bodies.lock().unwrap_or_else(PoisonError::into_inner).iter());
        for (position, n) in named {
            // What came of it is in the list.
            drop(self.find(ledger, MessageRef { position, n }).await);
        }
    }

    /// Keeps a message; the oldest make room.
    pub(crate) fn keep(&self, at: MessageRef, stored: Stored) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += size(&stored);
        kept.messages.insert((at.position, at.n), stored);
        while kept.bytes > KEPT_BYTES {
            let Some((_, oldest)) = kept.messages.pop_first() else { break };
            kept.bytes -= size(&oldest);
        }
    }

    /// A message, from memory or from the log. One whose body is damaged comes without it, as if that were erased:
    /// who sent it, and what it refers to, is still true.
    ///
    /// # Errors
    /// `READ_ONLY` when the log cannot be read, `MALFORMED` when there is no message.
    pub(crate) async fn find(&self, ledger: &dyn Ledger, at: MessageRef) -> Result<Stored, Refusal> {
        if let Some(stored) = self.kept(at) {
            return Ok(stored);
        }
        let found = match ledger.read(Position(at.position), 1, usize::MAX).await {
            // Nothing is wrong with the log: the hub stops.
            Err(ReadError::Cancelled) => return Err(Refusal::of(Reason::ReadOnly, "position")),
            Err(error) => Err((Refusal::of(Reason::ReadOnly, "position"), error.to_string())),
            Ok(records) => {
                let record = records.into_iter().find(|record| record.position.0 == at.position);
                message(record, at).map_err(|refusal| (refusal, "it holds no such message".into()))
            }
        };
        match found {
            Ok((stored, body_damaged)) => {
                self.readable(at);
                self.note_body(at, body_damaged);
                Ok(stored)
            }
            Err((refusal, why)) => {
                self.name(at, &why);
                Err(refusal)
            }
        }
    }

    fn kept(&self, at: MessageRef) -> Option<Stored> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.messages.get(&(at.position, at.n)).cloned()
    }

    fn name(&self, at: MessageRef, why: &str) {
        let named = self
            .unreadable
            .send_if_modified(|named| named.len() < NAMED_MAX && named.insert((at.position, at.n)));
        if named {
            let position = at.position;
            tracing::error!(position, why, "an entry cannot be read: who should get it waits for it");
        }
    }

    fn readable(&self, at: MessageRef) {
        if self.unreadable.send_if_modified(|named| named.remove(&(at.position, at.n))) {
            tracing::info!(position = at.position, "the entry can be read again");
        }
    }

    fn note_body(&self, at: MessageRef, is_damaged: bool) {
        let mut named = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let position = at.position;
        if !is_damaged {
            if named.remove(&(position, at.n)) {
                tracing::info!(position, "the body is not damaged any more");
            }
        } else if named.len() < NAMED_MAX && named.insert((position, at.n)) {
            tracing::error!(position, "a body is damaged: its message is delivered without it");
        }
    }
}

fn positions(named: &BTreeSet<(u64, u32)>) -> Vec<u64> {
    let mut positions: Vec<u64> = named.iter().map(|(position, _)| *position).collect();
    positions.dedup();
    positions
}

/// The message in a record, and whether its body is damaged.
fn message(record: Option<Record>, at: MessageRef) -> Result<(Stored, bool), Refusal> {
    let record = record.ok_or_else(|| Refusal::of(Reason::Malformed, "position"))?;
    let entry =
        pb::Entry::decode(record.entry.clone()).map_err(|_| Refusal::of(Reason::Malformed, "entry"))?;
    let stored = Stored::of(Timestamp::from_millis(entry.at_ms), envelope_of(&record, at.n)?);
    Ok((stored, matches!(record.body, Body::Damaged)))
}

fn size(stored: &Stored) -> usize {
    // What a small message costs beside its bytes.
    const OVERHEAD: usize = 512;
    stored.envelope.header.len() + stored.envelope.body.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use i247_ledger::{AppendError, Draft, EraseError, Memory};

    use super::*;

    /// A log whose entries cannot be read while it is broken; a body comes as it is told.
    #[derive(Debug)]
    struct Trouble {
        log: Memory,
        broken: Mutex<bool>,
        body: Option<Body>,
    }

    #[async_trait::async_trait]
    impl Ledger for Trouble {
        fn end(&self) -> Position {
            self.log.end()
        }
        fn watch_end(&self) -> watch::Receiver<Position> {
            self.log.watch_end()
        }
        async fn append(&self, after: Position, group: Vec<Draft>) -> Result<Position, AppendError> {
            self.log.append(after, group).await
        }
        async fn read(&self, from: Position, max: usize, bytes: usize) -> Result<Vec<Record>, ReadError> {
            if *self.broken.lock().unwrap() {
                return Err(ReadError::Io { file: "0000000001.log".into(), kind: std::io::ErrorKind::Other });
            }
            let mut records = self.log.read(from, max, bytes).await?;
            for record in &mut records {
                record.body = self.body.clone().unwrap_or(record.body.clone());
            }
            Ok(records)
        }
        async fn erase(&self, position: Position) -> Result<(), EraseError> {
            self.log.erase(position).await
        }
    }

    const AT: MessageRef = MessageRef { position: 1, n: 0 };

    async fn trouble(broken: bool, body: Option<Body>) -> Trouble {
        let log = Memory::new();
        let submission = pb::Submission {
            header: "header".into(),
            signature: Some(pb::Signature::default()),
            ..pb::Submission::default()
        };
        let entry =
            pb::Entry { input: Some(pb::entry::Input::Submission(submission)), ..pb::Entry::default() };
        let draft = Draft { entry: entry.encode_to_vec().into(), body: Some("body".into()) };
        log.append(Position::START, vec![draft]).await.unwrap();
        Trouble { log, broken: Mutex::new(broken), body }
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_read_is_named_once_until_it_can() {
        let (recent, log) = (Recent::default(), trouble(true, None).await);
        let mut unreadable = recent.unreadable();
        for _ in 0..3 {
            assert_eq!(recent.find(&log, AT).await.unwrap_err().reason, Reason::ReadOnly);
        }
        assert!(unreadable.has_changed().unwrap());
        assert_eq!(*unreadable.borrow_and_update(), BTreeSet::from([(1, 0)]));
        assert!(recent.find(&log, AT).await.is_err());
        assert!(!unreadable.has_changed().unwrap(), "it was named before");
        *log.broken.lock().unwrap() = false;
        assert_eq!(recent.find(&log, AT).await.unwrap().envelope.body, "body");
        assert!(unreadable.borrow_and_update().is_empty());
        assert!(recent.find(&log, MessageRef { position: 1, n: 2 }).await.is_err());
        assert_eq!(unreadable.borrow_and_update().len(), 1, "what holds no message is named too");
    }

    #[tokio::test]
    async fn what_could_not_be_read_is_tried_again_although_nobody_asks_for_it_any_more() {
        let (recent, log) = (Recent::default(), trouble(true, None).await);
        let unreadable = recent.unreadable();
        assert!(recent.find(&log, AT).await.is_err());
        recent.look_again(&log).await;
        assert_eq!(*unreadable.borrow(), BTreeSet::from([(1, 0)]));
        *log.broken.lock().unwrap() = false;
        recent.look_again(&log).await;
        assert!(unreadable.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_damaged_body_is_named_until_it_is_whole_and_the_rest_is_served() {
        let (recent, mut log) = (Recent::default(), trouble(false, Some(Body::Damaged)).await);
        for _ in 0..2 {
            let stored = recent.find(&log, AT).await.unwrap();
            assert_eq!((&stored.envelope.header[..], &stored.envelope.body[..]), (&b"header"[..], &b""[..]));
        }
        assert_eq!(recent.damaged_bodies(), [1]);
        assert!(recent.unreadable_entries().is_empty());
        recent.look_again(&log).await;
        assert_eq!(recent.damaged_bodies(), [1]);
        log.body = None;
        recent.look_again(&log).await;
        assert!(recent.damaged_bodies().is_empty());
    }
}
