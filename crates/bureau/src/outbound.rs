//! The sending window of one stream: what goes out next, and what its result means. Pure.
//!
//! Per lane in number order; the most urgent lane first; never more under way than the hub allows. A message whose
//! attachments are not at the hub yet holds back its own lane only.

use std::collections::BTreeSet;
use std::time::Duration;

use i247_model::{Hash, Lane, MessageId};

use crate::outbox::Outbox;

/// How long a lane waits when a refusal names no time.
const DEFAULT_WAIT: Duration = Duration::from_millis(200);
/// How long a lane waits at most.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How long uploads wait after one has failed.
const UPLOAD_WAIT: Duration = Duration::from_secs(1);

/// What may go out next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Next {
    /// These messages, in this order.
    pub(crate) messages: Vec<MessageId>,
    /// These attachments must be at the hub before more can go.
    pub(crate) attachments: BTreeSet<Hash>,
}

/// The window of one stream.
#[derive(Debug)]
pub(crate) struct Outbound {
    window: usize,
    /// The epoch whose numbers go out: the hub has to have all of one before it takes the next.
    epoch: u64,
    /// Per lane, the number from which on nothing was sent.
    next: [u64; 4],
    /// When a lane goes on, in monotonic time.
    paused: [Duration; 4],
    under_way: BTreeSet<MessageId>,
    /// Attachments that the hub holds.
    uploaded: BTreeSet<Hash>,
    /// When uploads go on, in monotonic time.
    uploads_from: Duration,
}

impl Outbound {
    /// Begins with the lowest number of each lane that the hub has not answered, or whose answer it has lost: what it
    /// had answered before, it answers again the same.
    pub(crate) fn new(window: usize, outbox: &Outbox) -> Self {
        Self {
            window,
            epoch: outbox.epoch_due(),
            next: [1; 4],
            paused: [Duration::ZERO; 4],
            under_way: BTreeSet::new(),
            uploaded: BTreeSet::new(),
            uploads_from: Duration::ZERO,
        }
    }

    /// What may go out now, at most `limit` messages. They count as under way from here on.
    pub(crate) fn take(&mut self, outbox: &Outbox, now: Duration, limit: usize) -> Next {
        let mut next = Next::default();
        // What the hub gives back, after a loss here, is of an epoch before.
        if outbox.epoch_due() != self.epoch {
            (self.epoch, self.next) = (outbox.epoch_due(), [1; 4]);
        }
        for lane in Lane::ALL {
            while next.messages.len() < limit
                && self.under_way.len() < self.window
                && self.paused[lane.index()] <= now
                && let Some(id) = outbox.due(self.epoch, lane, self.next[lane.index()])
                && let Some(sent) = outbox.get(id)
            {
                let id = id.clone();
                if self.under_way.contains(&id) {
                    self.next[lane.index()] = id.number.saturating_add(1);
                    continue;
                }
                let missing: Vec<Hash> = {
                    let absent = |hash: &&Hash| !self.uploaded.contains(*hash);
                    sent.needs().iter().filter(absent).copied().collect()
                };
                if !missing.is_empty() {
                    if self.uploads_from <= now {
                        next.attachments.extend(missing);
                    }
                    break;
                }
                self.next[lane.index()] = id.number.saturating_add(1);
                self.under_way.insert(id.clone());
                next.messages.push(id);
            }
        }
        next
    }

    /// How many more may be under way.
    pub(crate) fn room(&self) -> usize {
        self.window.saturating_sub(self.under_way.len())
    }

    /// Somebody else's message goes out within the same window.
    pub(crate) fn lend(&mut self, id: MessageId) {
        self.under_way.insert(id);
    }

    /// The hub answered somebody else's message.
    pub(crate) fn returned(&mut self, id: &str) {
        if let Ok(id) = id.parse::<MessageId>() {
            self.under_way.remove(&id);
        }
    }

    /// Whether the hub has answered everything that was sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether nothing of this lane, from this number on, is under way.
    pub(crate) fn is_idle_from(&self, id: &MessageId) -> bool {
        !self
            .under_way
            .iter()
            .any(|sent| sent.sender == id.sender && sent.lane == id.lane && sent.number >= id.number)
    }

    /// The hub's last word came: the message is no longer under way.
    pub(crate) fn answered(&mut self, id: &MessageId) {
        self.under_way.remove(id);
    }

    /// The hub wants the same bytes later: the lane goes back to this message and waits.
    pub(crate) fn later(&mut self, id: &MessageId, wait: Option<Duration>, now: Duration) {
        self.under_way.remove(id);
        let lane = id.lane.index();
        self.next[lane] = self.next[lane].min(id.number);
        let until = now + wait.unwrap_or(DEFAULT_WAIT).min(MAX_WAIT);
        self.paused[lane] = self.paused[lane].max(until);
    }

    /// The hub holds this attachment.
    pub(crate) fn uploaded(&mut self, attachment: Hash) {
        self.uploaded.insert(attachment);
    }

    /// The hub does not hold these attachments after all.
    pub(crate) fn not_uploaded(&mut self, attachments: &[Hash]) {
        for attachment in attachments {
            self.uploaded.remove(attachment);
        }
    }

    /// An upload failed: the next one waits.
    pub(crate) fn hold_uploads(&mut self, now: Duration) {
        self.uploads_from = now + UPLOAD_WAIT;
    }

    /// How long until something that waits goes on, if anything does.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        self.paused
            .iter()
            .chain([&self.uploads_from])
            .filter(|until| **until > now)
            .map(|until| *until - now)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use i247_model::{Kind, Sender, Timestamp};

    use super::*;
    use crate::outbox::{Acceptance, Sent, SentState};

    fn outbox(ids: &[&str]) -> Outbox {
        outbox_with(ids, &[])
    }

    fn outbox_with(ids: &[&str], attachments: &[(&str, Hash)]) -> Outbox {
        let mut outbox = Outbox::new(Sender::Bureau("FR".parse().unwrap()));
        for id in ids {
            let named = attachments.iter().filter(|(of, _)| of == id).map(|(_, hash)| *hash);
            outbox.accepted(Sent {
                id: id.parse().unwrap(),
                kind: Kind::FreeText,
                accepted_at_entry: 0,
                accepted_at: Timestamp::default(),
                refers_to: None,
                operation: String::new(),
                seat: String::new(),
                named: BTreeSet::new(),
                attachments: named.collect(),
                facts: i247_wire::pb::JournalFacts::default(),
                voided_at_entry: None,
                sealed: None,
                state: SentState::Waiting,
                answered_at_entry: None,
                status: None,
            });
        }
        outbox
    }

    fn taken(outbound: &mut Outbound, outbox: &Outbox, now_ms: u64) -> Vec<String> {
        let next = outbound.take(outbox, Duration::from_millis(now_ms), 64);
        next.messages.iter().map(MessageId::to_string).collect()
    }

    #[test]
    fn the_most_urgent_lane_goes_first_and_each_lane_in_order() {
        let outbox = outbox(&["FR-1-N-1", "FR-1-N-2", "FR-1-V-1", "FR-1-U-1"]);
        let mut outbound = Outbound::new(64, &outbox);
        assert_eq!(taken(&mut outbound, &outbox, 0), ["FR-1-V-1", "FR-1-U-1", "FR-1-N-1", "FR-1-N-2"]);
        assert!(taken(&mut outbound, &outbox, 0).is_empty());
    }

    #[test]
    fn no_more_is_under_way_than_the_window_allows() {
        let outbox = outbox(&["FR-1-N-1", "FR-1-N-2", "FR-1-N-3"]);
        let mut outbound = Outbound::new(2, &outbox);
        assert_eq!(taken(&mut outbound, &outbox, 0), ["FR-1-N-1", "FR-1-N-2"]);
        outbound.answered(&"FR-1-N-1".parse().unwrap());
        assert_eq!(taken(&mut outbound, &outbox, 0), ["FR-1-N-3"]);
    }

    #[test]
    fn not_now_sends_the_same_number_again_after_the_wait_and_other_lanes_go_on() {
        let outbox = outbox(&["FR-1-U-1", "FR-1-U-2", "FR-1-N-1"]);
        let mut outbound = Outbound::new(64, &outbox);
        assert_eq!(taken(&mut outbound, &outbox, 0).len(), 3);
        let wait = Some(Duration::from_millis(500));
        outbound.later(&"FR-1-U-1".parse().unwrap(), wait, Duration::from_millis(100));
        outbound.later(&"FR-1-U-2".parse().unwrap(), None, Duration::from_millis(100));
        assert!(taken(&mut outbound, &outbox, 599).is_empty());
        assert_eq!(outbound.wait(Duration::from_millis(100)), wait);
        assert_eq!(taken(&mut outbound, &outbox, 600), ["FR-1-U-1", "FR-1-U-2"]);
    }

    #[test]
    fn an_attachment_that_is_not_at_the_hub_holds_back_its_own_lane_only() {
        let picture = Hash([9; 32]);
        let outbox = outbox_with(&["FR-1-U-1", "FR-1-U-2", "FR-1-N-1"], &[("FR-1-U-1", picture)]);
        let mut outbound = Outbound::new(64, &outbox);
        let next = outbound.take(&outbox, Duration::ZERO, 64);
        assert_eq!(next.attachments, [picture].into());
        assert_eq!(next.messages, ["FR-1-N-1".parse().unwrap()]);
        outbound.uploaded(picture);
        assert_eq!(taken(&mut outbound, &outbox, 0), ["FR-1-U-1", "FR-1-U-2"]);
    }

    #[test]
    fn a_new_stream_begins_with_the_lowest_unanswered_number() {
        let mut outbox = outbox(&["FR-1-N-1", "FR-1-N-2", "FR-1-N-3"]);
        outbox.answered(&"FR-1-N-1".parse().unwrap(), SentState::Accepted(Acceptance::default()), 1);
        let mut outbound = Outbound::new(64, &outbox);
        assert_eq!(taken(&mut outbound, &outbox, 0), ["FR-1-N-2", "FR-1-N-3"]);
    }

    #[test]
    fn what_is_handed_over_shares_the_window_and_holds_up_no_void_of_this_bureau() {
        let outbox = outbox(&["FR-1-N-1", "FR-1-N-2"]);
        let mut outbound = Outbound::new(2, &outbox);
        outbound.lend("BR-1-N-7".parse().unwrap());
        assert_eq!(outbound.room(), 1);
        assert_eq!(taken(&mut outbound, &outbox, 0), ["FR-1-N-1"]);
        assert_eq!(outbound.room(), 0);
        assert!(outbound.is_idle_from(&"FR-1-N-2".parse().unwrap()));
        outbound.returned("BR-1-N-7");
        assert_eq!(taken(&mut outbound, &outbox, 0), ["FR-1-N-2"]);
    }

    #[test]
    fn what_a_recovered_hub_lost_of_an_older_epoch_goes_before_anything_of_the_present_one() {
        use crate::story::{about, accepted, accepted_by_hub, entry, header, sealed, taken_over};
        use crate::views::Views;
        use i247_wire::pb::journal_entry::Event;

        let mut views = Views::new("FR".parse().unwrap());
        let (old, new) = (header("FR-1-N-1", Kind::FreeText), header("FR-2-V-1", Kind::NewEpoch));
        let epoch = i247_wire::pb::JournalEpoch { epoch: 2, ..Default::default() };
        let entries = [
            accepted(&old, about(""), ""),
            sealed(&old),
            accepted_by_hub(&old, 12),
            entry(Event::Epoch(epoch)),
            accepted(&new, about(""), ""),
            taken_over("log", "log two", 11, [0; 4], 0),
        ];
        for (position, entry) in (1..).zip(&entries) {
            views.apply(position, entry).unwrap();
        }
        let mut outbound = Outbound::new(64, &views.outbox);
        assert_eq!(taken(&mut outbound, &views.outbox, 0), ["FR-1-N-1"]);
        outbound.answered(&old.id);
        assert!(taken(&mut outbound, &views.outbox, 0).is_empty(), "the answer is not written yet");
        views.apply(7, &accepted_by_hub(&old, 31)).unwrap();
        assert_eq!(taken(&mut outbound, &views.outbox, 0), ["FR-2-V-1"]);
    }
}
