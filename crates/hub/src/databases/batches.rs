//! Records as they lie in the log, in batches or in the forms from which they follow, the last used in memory. It must
//! not hold more than its limit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use i247_ledger::{Body, Record as LogRecord};
use i247_model::{Header, Kind, Lifted, MessageId, Party, Reason, Refusal, Timestamp};
use i247_records::record::{Change, Record};
use i247_records::{Database, Date, batch, derived};
use i247_router::Decision;
use i247_wire::{decode_header, pb};
use prost::Message as _;

use super::circulars::{self, Published, Step};
use crate::entry::decode_decision;

/// How much is kept, in bytes.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// The records and changes of one accepted message.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The message that carries them.
    pub(crate) id: MessageId,
    /// Who sent it.
    pub(crate) sender: Party,
    holds: Holds,
    bytes: usize,
}

#[derive(Debug)]
enum Holds {
    /// Changes that a bureau sent.
    Changes(pb::RecordBatch),
    /// A form from which records follow.
    Form(Box<Published>),
}

/// An entry as the databases take it in.
pub(crate) struct Taken {
    pub(crate) day: Date,
    /// None in an entry that is no accepted message.
    pub(crate) batch: Option<Arc<Batch>>,
    /// What it does to notices and diffusions.
    pub(crate) step: Option<Step>,
}

impl Taken {
    /// Reads an entry of the log.
    ///
    /// # Errors
    /// When something else has written it, or when its body is damaged: nobody knows then what is in the databases.
    pub(crate) fn of(record: &LogRecord) -> Result<Self, Refusal> {
        use pb::decision::Decision as Wire;
        let entry =
            pb::Entry::decode(record.entry.clone()).map_err(|_| Refusal::of(Reason::Malformed, "entry"))?;
        let day = Date::of(Timestamp::from_millis(entry.at_ms));
        let accepted = entry.decision.filter(|one| matches!(one.decision, Some(Wire::Accepted(_))));
        let (Some(pb::entry::Input::Submission(submission)), Some(accepted)) = (entry.input, accepted) else {
            return Ok(Self { day, batch: None, step: None });
        };
        let header = decode_header(&submission.header)?;
        if header.kind == Kind::Records {
            let batch = Some(Arc::new(Batch::of_changes(record, &header)?));
            return Ok(Self { day, batch, step: None });
        }
        let Decision::Accepted(accepted) = decode_decision(accepted)? else {
            return Ok(Self { day, batch: None, step: None });
        };
        let lifted: Lifted = submission.lifted.unwrap_or_default().try_into()?;
        let published = circulars::published(record, &header, &lifted, &accepted)?;
        let of_form = |published| Batch::of_form(record, &header, published);
        let batch = published.map_or_else(|| Batch::empty(&header), of_form);
        let batch = Some(Arc::new(batch));
        Ok(Self { day, batch, step: circulars::step(&header, lifted, &accepted) })
    }
}

/// A database, and the change in each item of a batch; none in those that were erased.
pub(crate) type Changes = (Database, Vec<Option<Change>>);

impl Batch {
    fn of_changes(record: &LogRecord, header: &Header) -> Result<Self, Refusal> {
        let wire = match &record.body {
            Body::Present(body) => i247_trust::decode_batch(body)?,
            // Nothing of it is left.
            Body::Erased | Body::None => pb::RecordBatch::default(),
            Body::Damaged => return Err(Refusal::of(Reason::Malformed, "body")),
        };
        let bytes = wire.encoded_len() + wire.items.len() * size_of::<pb::RecordItem>();
        Ok(Self {
            id: header.id.clone(),
            sender: header.id.sender.party(),
            holds: Holds::Changes(wire),
            bytes,
        })
    }

    fn of_form(record: &LogRecord, header: &Header, published: Published) -> Self {
        let bytes = match &record.body {
            Body::Present(body) => body.len(),
            Body::Erased | Body::None | Body::Damaged => 0,
        };
        let (id, sender) = (header.id.clone(), header.id.sender.party());
        Self { id, sender, holds: Holds::Form(Box::new(published)), bytes }
    }

    /// Of a message whose form was erased, or that has none.
    fn empty(header: &Header) -> Self {
        let holds = Holds::Changes(pb::RecordBatch::default());
        Self { id: header.id.clone(), sender: header.id.sender.party(), holds, bytes: 0 }
    }

    /// Whether it is a form from which records follow.
    pub(crate) fn is_form(&self) -> bool {
        matches!(self.holds, Holds::Form(_))
    }

    /// The database and the change in each item that a bureau sent; nothing when all of it was erased.
    ///
    /// # Errors
    /// When something else has written it.
    pub(crate) fn changes(&self) -> Result<Option<Changes>, Refusal> {
        match &self.holds {
            Holds::Changes(wire) if !wire.items.is_empty() => batch::read(wire).map(Some),
            Holds::Changes(_) | Holds::Form(_) => Ok(None),
        }
    }

    /// The records that follow from its form, which are `owner`'s.
    pub(crate) fn derived(&self, owner: Party) -> Vec<Record> {
        match &self.holds {
            Holds::Form(published) => derived::records(&published.form, &published.origin, owner),
            Holds::Changes(_) => Vec::new(),
        }
    }

    /// The record in an item of a batch of this database; none when it was erased, or when none is there. What follows
    /// from a form is `owner`'s.
    ///
    /// # Errors
    /// When something else has written it.
    pub(crate) fn record(
        &self,
        item: u16,
        database: Database,
        owner: Option<Party>,
    ) -> Result<Option<Record>, Refusal> {
        let wire = match &self.holds {
            Holds::Changes(wire) => wire,
            Holds::Form(_) => {
                let derived = owner.map(|owner| self.derived(owner)).unwrap_or_default();
                let record = derived.into_iter().nth(usize::from(item));
                return Ok(record.filter(|record| record.database() == database));
            }
        };
        let change = wire.items.get(usize::from(item)).map(|item| item.change.clone());
        let Some(change) = change.filter(|bytes: &Bytes| !bytes.is_empty()) else { return Ok(None) };
        if batch::database(wire)? != database {
            return Ok(None);
        }
        Ok(match Change::decode(database, &change)? {
            Change::Add(record) | Change::Change(record) | Change::Restrict(record) => Some(record),
            Change::Withdraw(_) => None,
        })
    }
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
