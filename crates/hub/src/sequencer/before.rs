//! What the sequencer asks of history before it decides. It must not decide on what it could not read: an error stops it.

use std::sync::PoisonError;

use i247_model::{Hash, Header, HitFound, MessageId, Reason, Refusal};
use i247_router::{Decision, Input, Message, Stamp, decide};
use i247_wire::pb;

use super::{Group, Sequencer};
use crate::answer::Outcome;
use crate::history::HistoryError;
use crate::past;
use crate::views::Taken;

impl Sequencer {
    /// A hit, told to its owner by a message of the hub.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub(super) fn hit(
        &mut self,
        group: &mut Group,
        stamp: Stamp,
        found: HitFound,
        name: &str,
    ) -> Result<(), Refusal> {
        let input = Input::Hit(found);
        let decision = decide(&self.ahead, stamp, &input)?;
        let (Input::Hit(found), Decision::Fired(fired)) = (&input, &decision) else { return Ok(()) };
        let wire = pb::entry::Input::Hit(found.into());
        let envelope = fired.made.first().map(|made| self.maker.hit(stamp, made, found, name));
        self.enter(group, Taken { stamp, input, decision, chain: Vec::new() }, wire, envelope)
    }

    /// A repetition from before the answers that the state keeps: the first answer stands in history.
    ///
    /// # Errors
    /// When history cannot be read.
    pub(super) fn older(&self, id: MessageId, header_hash: Hash) -> Result<Outcome, HistoryError> {
        let Some(found) = past::find(&self.views, &id)? else {
            return Ok(Outcome::refused(id, Refusal::of(Reason::Behind, "id")));
        };
        if found.item.header_hash != Some(header_hash) {
            return Ok(Outcome::refused(id, Refusal::of(Reason::NumberReused, "id")));
        }
        Ok(match (found.item.refused, found.message) {
            (None, Some(message)) => {
                let told = (&message).into();
                Outcome::accepted(id, header_hash, message.at.position, message.accepted_at, told)
            }
            (Some(refusal), _) => Outcome::refused(id, refusal),
            (None, None) => Outcome::refused(id, Refusal::of(Reason::Behind, "id")),
        })
    }

    /// The closed message that a header refers to: closed in this group, or before.
    ///
    /// # Errors
    /// When history cannot be read.
    pub(super) fn referred(
        &self,
        group: &Group,
        header: &Header,
    ) -> Result<Option<Box<Message>>, HistoryError> {
        let Some(id) = &header.refers_to else { return Ok(None) };
        if self.ahead.message(id).is_some() {
            return Ok(None);
        }
        if let Some(message) = group.closed.get(id) {
            return Ok(Some(message.clone()));
        }
        self.views.read().unwrap_or_else(PoisonError::into_inner).referred(header)
    }
}
