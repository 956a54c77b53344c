//! The newest messages in memory, so that a fan-out does not read the log once for each recipient.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use i247_ledger::{Ledger, Position};
use i247_model::{Reason, Refusal, Timestamp};
use i247_router::MessageRef;
use i247_wire::pb;
use prost::Message as _;

use crate::views::envelope_of;

/// How much is kept, in bytes.
const KEPT_BYTES: usize = 32 * 1024 * 1024;

/// A message and the stamp of its entry.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) at: Timestamp,
    pub(crate) envelope: pb::Envelope,
}

/// The newest messages.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    messages: BTreeMap<(u64, u32), Stored>,
    bytes: usize,
}

impl Recent {
    /// Keeps a message; the oldest make room.
    pub(crate) fn keep(&self, at: MessageRef, stored: Stored) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += size(&stored);
        kept.messages.insert((at.position, at.n), stored);
        while kept.bytes > KEPT_BYTES {
            let Some((_, oldest)) = kept.messages.pop_first() else { break };
            kept.bytes -= size(&oldest);
        }
    }

    /// A message, from memory or from the log.
    ///
    /// # Errors
    /// `READ_ONLY` when the log cannot be read, `MALFORMED` when there is no message.
    pub(crate) async fn find(&self, ledger: &dyn Ledger, at: MessageRef) -> Result<Stored, Refusal> {
        let kept =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).messages.get(&(at.position, at.n)).cloned();
        if let Some(stored) = kept {
            return Ok(stored);
        }
        let records = ledger.read(Position(at.position), 1, usize::MAX).await.map_err(|error| {
            tracing::error!(position = at.position, %error, "cannot read the log");
            Refusal::of(Reason::ReadOnly, "position")
        })?;
        let record = records
            .into_iter()
            .find(|record| record.position.0 == at.position)
            .ok_or_else(|| Refusal::of(Reason::Malformed, "position"))?;
        let entry =
            pb::Entry::decode(record.entry.clone()).map_err(|_| Refusal::of(Reason::Malformed, "entry"))?;
        Ok(Stored { at: Timestamp::from_millis(entry.at_ms), envelope: envelope_of(&record, at.n)? })
    }
}

fn size(stored: &Stored) -> usize {
    // What a small message costs beside its bytes.
    const OVERHEAD: usize = 512;
    stored.envelope.header.len() + stored.envelope.body.len() + OVERHEAD
}
