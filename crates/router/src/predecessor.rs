//! The logs that this one goes on from: what a hub that was restored from an older copy lost, and how what was lost may
//! come back. It never decides about a message.

use std::collections::BTreeMap;
use std::time::Duration;

use i247_model::{Kind, Lane, MessageId, NoticeId, Party, Reason, Refusal, Sender, Timestamp};
use serde::{Deserialize, Serialize};

use crate::notice::year_of;
use crate::{Deadline, Input, Message, Origin, Stamp, State, Submission};

/// So long after a recovery a message is not refused for what it refers to while that may still come back.
pub const RECOVERY_WINDOW: Duration = Duration::from_secs(60 * 60);

/// So long after the hub runs again whoever is on the network has brought back what waits for nothing else. What has not
/// come by then is not waited for where it may not exist at all.
const BROUGHT_BACK_WITHIN: Duration = Duration::from_secs(15);

/// So long after a recovery nobody is reminded of an answer that may be among what comes back.
const CLOCKS_STAND: Duration = Duration::from_secs(10 * 60);

/// What may come back soon is worth another attempt after so long.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// So many notice numbers are left free behind the newest known one: those that the lost part had given are claimed.
const NOTICES_LEFT_FREE: u32 = 1000;

/// Where the epochs of made messages begin after each recovery, since positions begin again: more than a log has entries.
const GENERATION: u64 = 1_000_000_000_000;

/// A log that this one goes on from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Predecessor {
    /// Its name.
    pub log_id: Vec<u8>,
    /// Its last position that this log has too.
    pub end: u64,
    /// The last mailbox number given there by then, per party and lane.
    given: BTreeMap<Party, [u64; 4]>,
}

impl Predecessor {
    /// The last number of a mailbox that still means the same message. Higher ones are given anew.
    pub fn given_up_to(&self, party: Party, lane: Lane) -> u64 {
        self.given.get(&party).map_or(0, |lanes| lanes[lane.index()])
    }
}

impl State {
    /// The logs that this one goes on from, the oldest first.
    pub fn predecessors(&self) -> &[Predecessor] {
        &self.predecessors
    }

    /// The predecessor of this name.
    pub fn predecessor(&self, log_id: &[u8]) -> Option<&Predecessor> {
        self.predecessors.iter().find(|predecessor| predecessor.log_id == log_id)
    }

    /// How often the log was taken up again.
    pub fn generation(&self) -> u64 {
        self.predecessors.len() as u64
    }

    /// Whether what was lost may be expected back any moment.
    pub fn is_recovering(&self, at: Timestamp) -> bool {
        self.recovered_at.is_some_and(|since| at <= since.plus(RECOVERY_WINDOW))
    }

    /// Whether what was lost is expected back from all who are on the network.
    pub(crate) fn is_awaited(&self, at: Timestamp) -> bool {
        self.is_soon_after(Timestamp::default(), at)
    }

    /// Whether the log was taken up again, the hub has run since for no longer than everybody may need, and this has been
    /// there for no longer than that either.
    fn is_soon_after(&self, entered: Timestamp, at: Timestamp) -> bool {
        let since = self.heard_at.unwrap_or(at).max(entered);
        self.is_recovering(at) && at <= since.plus(BROUGHT_BACK_WITHIN)
    }

    /// The epoch of the messages that an entry makes: its position, and after a recovery apart from all that were made
    /// at such a position before.
    pub(crate) fn made_epoch(&self, position: u64) -> u64 {
        self.generation().saturating_mul(GENERATION).saturating_add(position)
    }

    /// The positions that every predecessor shares with this log end here.
    fn shared_end(&self) -> u64 {
        self.predecessors.first().map_or(u64::MAX, |oldest| oldest.end)
    }

    /// Whether a message that is not here was perhaps lost: its number is above what is known of its sender.
    fn may_come_back(&self, id: &MessageId) -> bool {
        match &id.sender {
            // Made by the hub, which makes its own again under other ids.
            Sender::Secretariat => false,
            sender if id.epoch < self.epoch(sender) && !self.is_left_open(sender, id.epoch) => false,
            sender => !self.senders.get(sender).is_some_and(|numbering| numbering.is_spent(id)),
        }
    }

    /// Whether the notice that a request led to was perhaps lost, and those who have it bring it back soon.
    fn notice_may_come_back(&self, at: Timestamp, request: &Message) -> bool {
        let file = request.notice_id.and_then(|id| self.notices.get(&id));
        let unpublished = file.is_some_and(|file| file.request == request.id && file.published.is_empty());
        let end = self.predecessors.last().map_or(0, |predecessor| predecessor.end);
        let perhaps = request.again || request.at.position <= end;
        // Nobody can hand the notice over before the request is there.
        unpublished && perhaps && self.is_soon_after(request.accepted_at, at)
    }

    /// Goes on under another name after a recovery.
    pub(crate) fn go_on(&mut self, stamp: Stamp, log_id: &[u8], end: u64) {
        let lasts = |mailbox: &crate::Mailbox| Lane::ALL.map(|lane| mailbox.last(lane));
        let given = self.mailboxes.iter().map(|(party, mailbox)| (*party, lasts(mailbox))).collect();
        let before = self.log_id.replace(log_id.to_vec()).unwrap_or_default();
        self.predecessors.push(Predecessor { log_id: before, end, given });
        (self.recovered_at, self.heard_at) = (Some(stamp.at), None);
        // Whoever restored the log may have restored the journal of searches as well.
        self.search_root = None;
        self.hold_clocks(stamp.at.plus(CLOCKS_STAND));
        let year = year_of(stamp.at);
        let newest = self.newest_notice.filter(|newest| newest.year >= year);
        let NoticeId { year, serial } = newest.unwrap_or(NoticeId { year, serial: 0 });
        self.newest_notice = Some(NoticeId { year, serial: serial.saturating_add(NOTICES_LEFT_FREE) });
        // A reviewer keeps no numbers of her own, and those that were lost may belong to other bytes.
        let epoch = self.first_epoch_of_reviewers();
        for (sender, numbering) in &mut self.senders {
            if matches!(sender, Sender::Reviewer(_)) {
                numbering.begin(epoch.max(numbering.epoch.saturating_add(1)), true);
            }
        }
    }

    /// No answer is due before this time: it may have been given in what was lost.
    fn hold_clocks(&mut self, until: Timestamp) {
        let early = |deadline: &&Deadline| deadline.addressee.is_some() && deadline.at < until;
        let held: Vec<Deadline> = self.deadlines.iter().filter(early).copied().collect();
        for deadline in held {
            self.deadlines.remove(&deadline);
            self.deadlines.insert(Deadline { at: until, ..deadline });
            let message = self.open.get_mut(&deadline.message);
            let recipient = message
                .zip(deadline.addressee)
                .and_then(|(message, party)| message.recipients.get_mut(&party));
            if let Some(line) = recipient.and_then(|recipient| recipient.line.as_mut()) {
                line.due = Some(until);
            }
        }
    }

    /// Before this time no answer to a message is due: what comes back may have been answered already.
    pub(crate) fn clocks_from(&self, stamp: Stamp, submission: &Submission) -> Timestamp {
        let recovered_at = self.recovered_at.filter(|_| was_perhaps_accepted(self, stamp, submission));
        recovered_at.map_or_else(Timestamp::default, |at| at.plus(CLOCKS_STAND))
    }

    /// The epoch with which a reviewer begins of whom nothing is known here.
    pub(crate) fn first_epoch_of_reviewers(&self) -> u64 {
        self.generation() + 1
    }
}

/// Whether this genesis may be entered: the first, or one that goes on from this very log.
///
/// # Errors
/// `MALFORMED`.
pub(crate) fn check(state: &State, stamp: Stamp, genesis: &Input) -> Result<(), Refusal> {
    let Input::Genesis { log_id, previous } = genesis else { return Ok(()) };
    let fits = match (&state.log_id, previous) {
        (None, None) => true,
        (Some(own), Some(previous)) => {
            previous.log_id == *own
                && previous.end < stamp.position
                && !log_id.is_empty()
                && log_id != own
                && state.predecessor(log_id).is_none()
        }
        (None, Some(_)) | (Some(_), None) => false,
    };
    if fits { Ok(()) } else { Err(Refusal::of(Reason::Malformed, "genesis")) }
}

/// Whether what a message refers to was perhaps lost and comes back; for what ends a notice by its request, whether the
/// notice does, so that whoever has it is told.
///
/// # Errors
/// `REFERENCE_AHEAD` for a while after a recovery.
pub(crate) fn check_reference(state: &State, stamp: Stamp, submission: &Submission) -> Result<(), Refusal> {
    let Some(id) = &submission.header.refers_to else { return Ok(()) };
    let comes_back = match state.message(id) {
        None => submission.referred.is_none() && state.is_recovering(stamp.at) && state.may_come_back(id),
        Some(request) if submission.header.kind == Kind::Cancellation => {
            !was_for_nobody_else(submission) && state.notice_may_come_back(stamp.at, request)
        }
        Some(_) => false,
    };
    if !comes_back {
        return Ok(());
    }
    Err(ahead(vec!["refers_to".into()]))
}

/// Whether a publication that is handed over answers a request that was perhaps lost: it names that by its hash alone.
pub(crate) fn awaits_request(
    state: &State,
    stamp: Stamp,
    submission: &Submission,
    refusal: &Refusal,
) -> bool {
    submission.origin == Origin::HandedOver
        && refusal.reason == Reason::NoticeConflict
        && refusal.fields.iter().any(|field| field == "request_header_hash")
        && state.is_recovering(stamp.at)
}

/// What is said of a message whose turn has not come, because something that these fields name may still come back.
pub(crate) fn ahead(fields: Vec<String>) -> Refusal {
    Refusal::of_fields(Reason::ReferenceAhead, fields).retry_after(COME_AGAIN)
}

/// Whether the message had no recipient but the secretariat when a predecessor of the log accepted it.
fn was_for_nobody_else(submission: &Submission) -> bool {
    matches!(&submission.origin, Origin::Again(earlier) if earlier.recipients <= 1)
}

/// Whether a predecessor of the log has accepted the message, or may have: a sender to whom no acceptance came has none to
/// show, and what was delivered of it may have been answered.
pub(crate) fn was_perhaps_accepted(state: &State, stamp: Stamp, submission: &Submission) -> bool {
    let signed_before = state.recovered_at.is_some_and(|at| submission.header.signed_at < at);
    submission.origin != Origin::Sender || (signed_before && state.is_recovering(stamp.at))
}

/// The explanation that a message names; none when it stood at a position that may mean another entry here.
pub(crate) fn explained_at(state: &State, stamp: Stamp, submission: &Submission) -> Option<u64> {
    let position = submission.header.explained_at?;
    let sure = position <= state.shared_end() || !was_perhaps_accepted(state, stamp, submission);
    sure.then_some(position)
}

/// What a message refers to, unless that was made by the hub and lost: such a message never comes back, and is no more
/// than a reference where the kind needs none.
pub(crate) fn refers_to<'a>(state: &State, submission: &'a Submission) -> Option<&'a MessageId> {
    let id = submission.header.refers_to.as_ref()?;
    let known = state.message(id).is_some() || submission.referred.is_some();
    let lost = !known && id.sender == Sender::Secretariat && submission.origin != Origin::Sender;
    (!lost || submission.header.kind.needs_reference()).then_some(id)
}

/// When a message was first accepted, as far as anybody knows.
pub(crate) fn first_accepted_at(stamp: Stamp, submission: &Submission) -> Timestamp {
    match &submission.origin {
        Origin::Sender | Origin::Refused(_) => stamp.at,
        Origin::Again(earlier) => earlier.accepted_at,
        Origin::HandedOver => submission.header.signed_at,
    }
}
