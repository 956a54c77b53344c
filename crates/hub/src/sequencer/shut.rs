//! What the sequencer does while nothing may be entered, because the disk is full or this is an older copy: it says so
//! to whoever asks, keeps receipts, and looks whether there is room again. It must not decide.

use std::mem;
use std::sync::PoisonError;
use std::time::Duration;

use i247_model::{Party, Reason, Receipts, Refusal, Timestamp};
use i247_router::{Decision, Fired, Input, UnderWay};
use i247_wire::pb;
use prost::Message as _;

use super::{Answer, Group, Pending, Sequencer, SequencerError, Work};
use crate::answer::Outcome;
use crate::views::Taken;

/// How often a full disk is looked at again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// When those who were refused for want of room should come again.
const COME_AGAIN: Duration = Duration::from_secs(5);

/// Frames of receipts that wait.
const HELD_MAX: usize = 2048;

/// How large they may be together, in bytes.
const HELD_BYTES: usize = 16 * 1024 * 1024;

impl Sequencer {
    /// Why nothing can be entered now, if so. A disk that was full is tried with an entry that says nothing, so that
    /// it is found writable again although nobody asks for anything.
    pub(super) async fn shut(&mut self, now: Timestamp) -> Result<Option<Refusal>, SequencerError> {
        if self.behind.borrow().is_some() {
            return Ok(Some(Refusal::of(Reason::Behind, "log_end_seen")));
        }
        if *self.writable.borrow() {
            return Ok(None);
        }
        let mut room = false;
        if self.clock.monotonic() >= self.look_again {
            let mut group = Group::default();
            let (stamp, input) = (self.stamp(&group, now), Input::Tick { under_way: UnderWay::new() });
            let taken =
                Taken { stamp, input, decision: Decision::Fired(Fired::default()), chain: Vec::new() };
            let entered = self.enter(&mut group, taken, pb::entry::Input::Tick(pb::Tick::default()), None);
            self.groups.next = group;
            self.settle().await?;
            room = entered.is_ok() && *self.writable.borrow();
        }
        Ok((!room).then(no_room))
    }

    /// The group was not written: nothing of it has happened, and the same bytes may come again.
    pub(super) fn take_back(&mut self, group: Group) {
        self.ahead = self.views.read().unwrap_or_else(PoisonError::into_inner).state.clone();
        let refused = |(answer, outcome): (Answer, Outcome)| {
            (answer, Outcome::refused(outcome.id().clone(), no_room()))
        };
        self.answers.send(group.answers.into_iter().map(refused).collect());
        for (answer, _) in group.noted {
            drop(answer.send(Err(no_room())));
        }
        for pending in group.entries {
            let Pending { taken, draft, .. } = *pending;
            let wire = pb::Entry::decode(draft.entry).ok().and_then(|entry| entry.input);
            if let (Input::Receipts(receipts), Some(pb::entry::Input::Receipts(signed))) = (taken.input, wire)
            {
                self.hold(signed, receipts);
            }
        }
    }

    /// Nothing of this is entered. Senders may come again with the same bytes; receipts wait here.
    pub(super) fn put_off(&mut self, works: impl Iterator<Item = Work>, refusal: &Refusal) {
        for work in works {
            match work {
                Work::Submission { attested, answer, .. } => {
                    let id = attested.header().id.clone();
                    self.answers.send(vec![(answer, Outcome::refused(id, refusal.clone()))]);
                }
                Work::Change { answer, .. } | Work::SearchRoot { answer, .. } | Work::Hit { answer, .. } => {
                    drop(answer.send(Err(refusal.clone())))
                }
                // Whoever signed them has a newer log to go by than this copy.
                Work::Receipts { .. } if refusal.reason == Reason::Behind => {}
                Work::Receipts { signed, receipts } => self.hold(signed, receipts),
            }
        }
    }

    pub(super) fn hold(&mut self, signed: pb::Signed, receipts: Receipts) {
        let (party, bytes) = (receipts.party, signed.encoded_len());
        if let Err(party) = self.held.keep(party, Work::Receipts { signed, receipts }, bytes)
            && let Some(link) = self.actor.links.find(party)
        {
            link.end.cancel();
        }
    }
}

pub(super) fn no_room() -> Refusal {
    Refusal::of(Reason::ReadOnly, "").retry_after(COME_AGAIN)
}

/// Receipts that came while nothing could be written. A bureau says them once on a stream, so they wait; of those for
/// which there is no place the stream ends, and its bureau says all again.
#[derive(Debug, Default)]
pub(crate) struct Held {
    receipts: Vec<Work>,
    bytes: usize,
}

impl Held {
    /// Keeps receipts; names their party when there is no place.
    ///
    /// # Errors
    /// The party whose stream must end.
    pub(crate) fn keep(&mut self, party: Party, work: Work, bytes: usize) -> Result<(), Party> {
        if self.receipts.len() == HELD_MAX || self.bytes + bytes > HELD_BYTES {
            return Err(party);
        }
        self.receipts.push(work);
        self.bytes += bytes;
        Ok(())
    }

    /// All of them, in the order in which they came.
    pub(crate) fn take(&mut self) -> Vec<Work> {
        mem::take(self).receipts
    }
}

#[cfg(test)]
mod tests {
    use i247_model::Receipts;
    use i247_wire::pb;

    use super::*;

    fn receipts(party: Party) -> Work {
        Work::Receipts {
            signed: pb::Signed::default(),
            receipts: Receipts { party, lanes: Vec::new(), signed_at: Default::default() },
        }
    }

    #[test]
    fn receipts_wait_up_to_a_bound_and_then_the_stream_ends() {
        let party: Party = "FR".parse().unwrap();
        let mut held = Held::default();
        for _ in 0..HELD_MAX {
            assert_eq!(held.keep(party, receipts(party), 100), Ok(()));
        }
        assert_eq!(held.keep(party, receipts(party), 100), Err(party));
        assert_eq!(held.take().len(), HELD_MAX);
        assert_eq!(held.keep(party, receipts(party), HELD_BYTES + 1), Err(party));
        assert_eq!(held.keep(party, receipts(party), HELD_BYTES), Ok(()));
    }
}
