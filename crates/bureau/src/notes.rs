//! What the journal is handed, and why it did not take it. It writes nothing.

use bytes::Bytes;
use i247_model::{Lane, Refusal};
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;

/// What may be appended: an event, and the body that lies beside it.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) event: Event,
    pub(crate) body: Option<Bytes>,
}

impl From<Event> for Note {
    fn from(event: Event) -> Self {
        Self { event, body: None }
    }
}

/// A checked draft that waits for its number. The number in its header does not count yet.
#[derive(Debug)]
pub(crate) struct Numberless {
    pub(crate) accepted: pb::JournalAccepted,
    pub(crate) lane: Lane,
    pub(crate) body: Bytes,
}

/// Why something was not written.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// Nothing was written: no room. It may be tried again.
    #[error("there is no room for the journal")]
    Full,
    /// The journal takes nothing more; what was asked may be found at the next start, or not.
    #[error("the journal has stopped")]
    Stopped,
    /// Nothing was written: the key stands for another caller's message, or the entry is too large.
    #[error("{0}")]
    Refused(Refusal),
}
