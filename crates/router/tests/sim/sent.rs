//! Every message that was accepted, as the record has it. It notes which changed, for the checks.

use std::collections::BTreeMap;
use std::ops::Index;
use std::time::Duration;

use i247_model::{Kind, Lane, MessageId, NoticeId, Party, Timestamp};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Waiting,
    Delivered,
    Gone,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) due: Option<Timestamp>,
    pub(crate) interims: u8,
    pub(crate) reminders: u8,
    pub(crate) settled: bool,
}

#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) number: u64,
    pub(crate) fate: Fate,
    /// Not before this number of this lane.
    pub(crate) waits_for: Option<(Lane, u64)>,
    pub(crate) line: Option<Line>,
}

#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    pub(crate) from: Party,
    /// Entry of the log, and which message of it.
    pub(crate) at: (u64, u64),
    pub(crate) copies: BTreeMap<Party, Copy>,
    pub(crate) interval: Duration,
    pub(crate) expiry: Option<Timestamp>,
    pub(crate) withdrawn: bool,
    /// Accepted soon after a recovery: whoever is to have it may have it from before.
    pub(crate) again: bool,
    pub(crate) notice: Option<NoticeId>,
    pub(crate) refers_to: Option<MessageId>,
    pub(crate) reply_to_all: bool,
}

/// All that was sent, in the order of the log.
#[derive(Default)]
pub(crate) struct AllSent {
    sent: Vec<Sent>,
    places: BTreeMap<MessageId, usize>,
    changed: Vec<usize>,
}

impl AllSent {
    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn get(&self, id: &MessageId) -> Option<&Sent> {
        Some(&self.sent[*self.places.get(id)?])
    }

    /// What was sent at this place in the order of the log.
    pub(crate) fn nth(&self, place: usize) -> &Sent {
        &self.sent[place]
    }

    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter()
    }

    pub(crate) fn by_id(&self) -> impl Iterator<Item = &Sent> {
        self.places.values().map(|place| &self.sent[*place])
    }

    /// The only way to change what was sent: whoever takes it is noted.
    pub(crate) fn change(&mut self, id: &MessageId) -> &mut Sent {
        self.change_nth(self.places[id])
    }

    pub(crate) fn change_nth(&mut self, place: usize) -> &mut Sent {
        self.changed.push(place);
        &mut self.sent[place]
    }

    pub(crate) fn enter(&mut self, sent: Sent) {
        assert!(self.sent.last().is_none_or(|last| last.at < sent.at), "the log goes forward");
        assert!(self.places.insert(sent.id.clone(), self.sent.len()).is_none(), "{} was there", sent.id);
        self.changed.push(self.sent.len());
        self.sent.push(sent);
    }

    /// What changed since this was asked last, each once.
    pub(crate) fn take_changed(&mut self) -> Vec<usize> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        changed
    }
}

impl Index<&MessageId> for AllSent {
    type Output = Sent;

    fn index(&self, id: &MessageId) -> &Sent {
        &self.sent[self.places[id]]
    }
}
