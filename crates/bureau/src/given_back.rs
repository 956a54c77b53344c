//! What this bureau had sent and has lost with an older copy of its data, as the hub gives it back. It waits in the
//! outbox as it was signed; it is sent once more, and the hub answers it as it had done before.

use i247_model::{Hash, MessageId, Timestamp};
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;

use crate::checks::{self, Signers};
use crate::facts::facts;
use crate::journal::Note;
use crate::outbox::SentState;
use crate::views::Views;

/// What follows from one frame.
#[derive(Debug, Default)]
pub(crate) struct GivenBack {
    /// To be written.
    pub(crate) notes: Vec<Note>,
    /// The message, and the hash of its header; none for the end of a lane.
    pub(crate) message: Option<(MessageId, Hash)>,
}

impl GivenBack {
    /// Reads a frame. What this bureau cannot have sent, or cannot send once more, leads to nothing.
    pub(crate) fn read(given: pb::GivenBack, signers: &Signers, views: &Views) -> Self {
        let pb::GivenBack { epoch, lane, accepted_at_ms, envelope } = given;
        let Some(envelope) = envelope else {
            let end = Event::GivenBack(pb::JournalGivenBack { id: String::new(), epoch, lane });
            return Self { notes: vec![end.into()], message: None };
        };
        let accepted_at = Timestamp::from_millis(accepted_at_ms);
        let opened = checks::open_own(views.outbox.sender(), &envelope, accepted_at, signers);
        let (attested, body) = match opened {
            Ok(opened) => opened,
            Err(refusal) => {
                let (reason, fields) = (refusal.reason, refusal.fields);
                tracing::error!(%reason, ?fields, "the hub gives back what cannot be taken back: tell the secretariat");
                return Self::default();
            }
        };
        let (id, hash) = (attested.header().id.clone(), attested.header_hash());
        let here = views.outbox.get(&id).filter(|sent| sent.sealed.is_some_and(|at| at.header_hash == hash));
        let notes = match here.map(|sent| &sent.state) {
            // It was given up here.
            Some(SentState::Refused(_)) => {
                vec![Event::GivenBack(pb::JournalGivenBack { id: id.to_string(), epoch, lane }).into()]
            }
            Some(SentState::Waiting | SentState::Accepted(_)) => Vec::new(),
            None => {
                let facts = body.as_ref().map(facts);
                let header = Some(attested.header().into());
                let accepted = pb::JournalAccepted { header, facts, ..Default::default() };
                let pb::Envelope { header, body, signature } = envelope;
                let sealed = pb::JournalSealed { id: id.to_string(), header, signature };
                vec![
                    Note { event: Event::Accepted(accepted), body: Some(body) },
                    Event::Sealed(sealed).into(),
                ]
            }
        };
        tracing::debug!(message_id = %id, "given back by the hub");
        Self { notes, message: Some((id, hash)) }
    }
}
