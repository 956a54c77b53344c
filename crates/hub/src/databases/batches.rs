//! Batches of records as they lie in the log, the last used in memory. It must not hold more than its limit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use i247_ledger::{Body, Record as LogRecord};
use i247_model::{Kind, MessageId, Party, Reason, Refusal, Timestamp};
use i247_records::record::{Change, Record};
use i247_records::{Database, Date, batch};
use i247_wire::{decode_header, pb};
use prost::Message as _;

/// How much is kept, in bytes.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// The accepted batch of one entry.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The message that carries it.
    pub(crate) id: MessageId,
    /// Who sent it.
    pub(crate) sender: Party,
    wire: pb::RecordBatch,
    bytes: usize,
}

/// An entry as the databases take it in.
pub(crate) struct Taken {
    pub(crate) day: Date,
    /// None in an entry that changes no record.
    pub(crate) batch: Option<Arc<Batch>>,
}

impl Taken {
    /// Reads an entry of the log.
    ///
    /// # Errors
    /// When something else has written it, or when its body is damaged: nobody knows then what is in the databases.
    pub(crate) fn of(record: &LogRecord) -> Result<Self, Refusal> {
        let entry = entry_of(record)?;
        let day = Date::of(Timestamp::from_millis(entry.at_ms));
        let batch = Batch::read(record, entry)?.map(Arc::new);
        Ok(Self { day, batch })
    }
}

/// A database, and the change in each item of a batch; none in those that were erased.
pub(crate) type Changes = (Database, Vec<Option<Change>>);

impl Batch {
    /// The accepted batch in an entry; none in any other entry.
    ///
    /// # Errors
    /// As [`Taken::of`].
    pub(crate) fn of(record: &LogRecord) -> Result<Option<Self>, Refusal> {
        Self::read(record, entry_of(record)?)
    }

    fn read(record: &LogRecord, entry: pb::Entry) -> Result<Option<Self>, Refusal> {
        use pb::decision::Decision;
        let accepted = entry.decision.and_then(|decision| decision.decision);
        let (Some(pb::entry::Input::Submission(submission)), Some(Decision::Accepted(_))) =
            (entry.input, accepted)
        else {
            return Ok(None);
        };
        let header = decode_header(&submission.header)?;
        if header.kind != Kind::Records {
            return Ok(None);
        }
        let wire = match &record.body {
            Body::Present(body) => i247_trust::decode_batch(body)?,
            // Nothing of it is left.
            Body::Erased | Body::None => pb::RecordBatch::default(),
            Body::Damaged => return Err(Refusal::of(Reason::Malformed, "body")),
        };
        let bytes = wire.encoded_len() + wire.items.len() * size_of::<pb::RecordItem>();
        let sender = header.id.sender.party();
        Ok(Some(Self { id: header.id, sender, wire, bytes }))
    }

    /// The database and the change in each item; nothing when all of it was erased.
    ///
    /// # Errors
    /// When something else has written it.
    pub(crate) fn changes(&self) -> Result<Option<Changes>, Refusal> {
        if self.wire.items.is_empty() { Ok(None) } else { batch::read(&self.wire).map(Some) }
    }

    /// The record in an item of a batch of this database; none when it was erased, or when none is there.
    ///
    /// # Errors
    /// When something else has written it.
    pub(crate) fn record(&self, item: u16, database: Database) -> Result<Option<Record>, Refusal> {
        let change = self.wire.items.get(usize::from(item)).map(|item| item.change.clone());
        let Some(change) = change.filter(|bytes: &Bytes| !bytes.is_empty()) else { return Ok(None) };
        if batch::database(&self.wire)? != database {
            return Ok(None);
        }
        Ok(match Change::decode(database, &change)? {
            Change::Add(record) | Change::Change(record) | Change::Restrict(record) => Some(record),
            Change::Withdraw(_) => None,
        })
    }
}

fn entry_of(record: &LogRecord) -> Result<pb::Entry, Refusal> {
    pb::Entry::decode(record.entry.clone()).map_err(|_| Refusal::of(Reason::Malformed, "entry"))
}

/// The batches that were used last.
#[derive(Debug, Default)]
pub(crate) struct Batches(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    batches: BTreeMap<u64, (u64, Arc<Batch>)>,
    /// By when they were used last.
    used: BTreeMap<u64, u64>,
    clock: u64,
    bytes: usize,
}

impl Batches {
    /// The batch at a position, if it is in memory.
    pub(crate) fn find(&self, position: u64) -> Option<Arc<Batch>> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut *guard;
        let (used, batch) = kept.batches.get_mut(&position)?;
        kept.clock += 1;
        kept.used.remove(used);
        kept.used.insert(kept.clock, position);
        *used = kept.clock;
        Some(batch.clone())
    }

    /// Keeps a batch; those that were not used for the longest time make room.
    pub(crate) fn keep(&self, position: u64, batch: Arc<Batch>) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut *guard;
        kept.clock += 1;
        kept.bytes += batch.bytes;
        kept.used.insert(kept.clock, position);
        if let Some((used, before)) = kept.batches.insert(position, (kept.clock, batch)) {
            kept.used.remove(&used);
            kept.bytes -= before.bytes;
        }
        while kept.bytes > KEPT_BYTES && kept.batches.len() > 1 {
            let Some((_, oldest)) = kept.used.pop_first() else { break };
            if let Some((_, batch)) = kept.batches.remove(&oldest) {
                kept.bytes -= batch.bytes;
            }
        }
    }
}
