//! The state of the network: what is open, and nothing else. It reads, and changes only through `apply`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use i247_model::{CountryCode, Hash, Kind, Lane, MessageId, NoticeId, Party, Sender, Timestamp};
use serde::{Deserialize, Serialize};

use crate::directory::Directory;
use crate::mailbox::Mailbox;
use crate::notice::{NoticeFile, Review};
use crate::number::Numbering;
use crate::{Message, MessageRef, Predecessor, SearchRoot};

/// A deadline of an open message. Ordered by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Deadline {
    /// When.
    pub at: Timestamp,
    /// Of which message.
    pub message: MessageRef,
    /// Whose answer is due; none for the expiry of the message.
    pub addressee: Option<Party>,
}

/// All that decisions depend on. Built by applying every entry of a log, or from a snapshot and
/// the entries after it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub(crate) log_id: Option<Vec<u8>>,
    pub(crate) directory: Directory,
    pub(crate) senders: BTreeMap<Sender, Numbering>,
    pub(crate) mailboxes: BTreeMap<Party, Mailbox>,
    /// Boxed, because they are moved when others come and go.
    pub(crate) open: BTreeMap<MessageRef, Box<Message>>,
    pub(crate) ids: BTreeMap<MessageId, MessageRef>,
    pub(crate) deadlines: BTreeSet<Deadline>,
    pub(crate) notices: BTreeMap<NoticeId, NoticeFile>,
    pub(crate) reviews: BTreeMap<MessageId, Review>,
    /// The newest notice number.
    pub(crate) newest_notice: Option<NoticeId>,
    pub(crate) restrictions: BTreeMap<CountryCode, BTreeSet<CountryCode>>,
    /// The oldest first.
    pub(crate) predecessors: Vec<Predecessor>,
    /// When the log was taken up again for the last time.
    pub(crate) recovered_at: Option<Timestamp>,
    /// How far the journal of searches had come when the log last heard of it.
    pub(crate) search_root: Option<SearchRoot>,
    /// When the first entry came since then: the hub runs again, perhaps long after.
    pub(crate) heard_at: Option<Timestamp>,
}

impl State {
    /// The name of the log, once it has begun.
    pub fn log_id(&self) -> Option<&[u8]> {
        self.log_id.as_deref()
    }

    /// Who is on the network and what they may do.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// An open message: its status is its recipients. Closed ones are in history.
    pub fn message(&self, id: &MessageId) -> Option<&Message> {
        self.open.get(self.ids.get(id)?).map(Box::as_ref)
    }

    /// How far the journal of searches had come when the log last heard of it; none before, and after a recovery.
    pub fn search_root(&self) -> Option<SearchRoot> {
        self.search_root
    }

    /// An open message, by where the log has it.
    pub fn message_at(&self, at: MessageRef) -> Option<&Message> {
        self.open.get(&at).map(Box::as_ref)
    }

    /// How many messages are open.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// The open messages behind a place in the log, in its order; all of them, without one.
    pub fn open_after(&self, after: Option<MessageRef>) -> impl DoubleEndedIterator<Item = &Message> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.open.range((from, Bound::Unbounded)).map(|(_, message)| message.as_ref())
    }

    /// The open messages before a place in the log, the newest first; all of them, without one.
    pub fn open_before(&self, before: Option<MessageRef>) -> impl Iterator<Item = &Message> {
        let until = before.map_or(Bound::Unbounded, Bound::Excluded);
        self.open.range((Bound::Unbounded, until)).rev().map(|(_, message)| message.as_ref())
    }

    /// Every open message, in the order of the log.
    pub fn open_messages(&self) -> impl Iterator<Item = &Message> {
        self.open.values().map(Box::as_ref)
    }

    /// The open requests that `party` owes an answer to, the oldest first.
    pub fn owed(&self, party: Party) -> impl Iterator<Item = &Message> {
        self.open_messages().filter(move |message| {
            message.recipients.get(&party).is_some_and(|recipient| {
                let reachable = recipient.state.has_it() || !recipient.state.settled();
                reachable && recipient.line.is_some_and(|line| line.state.owed())
            })
        })
    }

    /// Notice requests that wait for a reviewer: undecided, or approved and not yet published.
    pub fn reviews(&self) -> impl Iterator<Item = &Review> {
        self.reviews.values()
    }

    /// A notice that is asked for or in force. What is refused or cancelled is not kept.
    pub fn notice(&self, id: NoticeId) -> Option<&NoticeFile> {
        self.notices.get(&id)
    }

    /// Every notice that is asked for or in force, by number.
    pub fn notices(&self) -> impl Iterator<Item = (NoticeId, &NoticeFile)> {
        self.notices.iter().map(|(id, file)| (*id, file))
    }

    /// The mailbox of a party; none while nothing was ever addressed to it.
    pub fn mailbox(&self, party: Party) -> Option<&Mailbox> {
        self.mailboxes.get(&party)
    }

    /// Every mailbox, by party.
    pub fn mailboxes(&self) -> impl Iterator<Item = (Party, &Mailbox)> {
        self.mailboxes.iter().map(|(party, mailbox)| (*party, mailbox))
    }

    /// The epoch of a sender's numbers. From 1; a recovery of the log raises those of reviewers.
    pub fn epoch(&self, sender: &Sender) -> u64 {
        self.senders.get(sender).map_or_else(|| self.first_epoch(sender), |numbering| numbering.epoch)
    }

    /// The last number of a sender that was decided on in a lane, with its header hash.
    pub fn sender_end(&self, sender: &Sender, lane: Lane) -> (u64, Option<Hash>) {
        self.senders.get(sender).map_or((0, None), |numbering| numbering.end(numbering.epoch, lane))
    }

    /// The same of the epoch and lane that an id names.
    pub(crate) fn end_of(&self, id: &MessageId) -> (u64, Option<Hash>) {
        self.senders.get(&id.sender).map_or((0, None), |numbering| numbering.end(id.epoch, id.lane))
    }

    /// The epoch with which a sender begins.
    pub(crate) fn first_epoch(&self, sender: &Sender) -> u64 {
        match sender {
            Sender::Reviewer(_) => self.first_epoch_of_reviewers(),
            Sender::Secretariat | Sender::Bureau(_) | Sender::Post(..) => 1,
        }
    }

    /// Whether numbers of an epoch that has ended may still come back: a recovery of the log ended it, or it ended after
    /// one.
    pub(crate) fn is_left_open(&self, sender: &Sender, epoch: u64) -> bool {
        match self.senders.get(sender) {
            Some(numbering) => numbering.is_left_open(epoch),
            None => epoch < self.first_epoch(sender),
        }
    }

    /// The countries that an owner bars from all that it owns.
    pub fn restrictions(&self, owner: CountryCode) -> Option<&BTreeSet<CountryCode>> {
        self.restrictions.get(&owner)
    }

    /// When the next deadline is due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|deadline| deadline.at)
    }

    /// The messages of a notice that may still be queued: the notice and its addenda.
    pub(crate) fn messages_of(&self, notice: NoticeId) -> impl Iterator<Item = &Message> {
        let file = self.notices.get(&notice);
        let published = file.into_iter().flat_map(|file| file.published.iter());
        published
            .filter_map(|id| self.message(id))
            .filter(|message| matches!(message.kind, Kind::Notice | Kind::Addendum))
    }

    /// Whether the message stays open although all is delivered: its notice is asked for or in force.
    pub(crate) fn is_hot(&self, message: &Message) -> bool {
        if self.reviews.contains_key(&message.id) {
            return true;
        }
        let file = message.notice_id.and_then(|id| self.notices.get(&id));
        file.is_some_and(|file| file.request == message.id || file.message() == Some(&message.id))
    }
}
