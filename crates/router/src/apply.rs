//! What a decision does to the state. It never decides and never fails: a newer router that replays an
//! older log arrives at the history that was decided then.

use std::collections::{BTreeMap, BTreeSet};

use i247_model::{
    AnswerState, Identity, Kind, MessageId, Party, RecipientState, Refusal, ReplyStage, Sender, Timestamp,
};

use crate::mailbox::{Gap, Waiting};
use crate::number::Numbering;
use crate::{
    Acceptance, Accepted, Answer, Deadline, Decision, DirectoryAction, DirectoryChange, Effect, Fired,
    FiredDeadline, Input, Made, Message, MessageRef, Origin, Outcome, Place, Recipient, Stamp, State,
    Submission, hit, notice, predecessor, receipt, request,
};

/// What an entry changed, gathered until its end.
#[derive(Default)]
pub(crate) struct Changes {
    /// Open messages whose recipients changed.
    pub(crate) touched: BTreeSet<MessageRef>,
    /// Messages that this entry brought, or whose notice ended: perhaps there is nothing left to do.
    pub(crate) settling: BTreeSet<MessageRef>,
    /// Whoever has something to be handed; may stand several times.
    pub(crate) wake: Vec<Party>,
    pub(crate) effects: Vec<Effect>,
}

impl State {
    /// Applies a decision and says what is to be done next. A decision that does not fit its input
    /// changes nothing.
    pub fn apply(&mut self, stamp: Stamp, input: &Input, decision: &Decision) -> Vec<Effect> {
        let mut changes = Changes::default();
        self.heard_at = self.heard_at.or(Some(stamp.at));
        match (input, decision) {
            (Input::Genesis { log_id, previous: None }, Decision::Noted) => {
                self.log_id = Some(log_id.clone());
            }
            (Input::Genesis { log_id, previous: Some(previous) }, Decision::Noted) => {
                self.go_on(stamp, log_id, previous.end);
            }
            (Input::Receipts(receipts), Decision::Noted) => {
                receipt::apply(self, stamp, receipts, &mut changes)
            }
            (Input::DirectoryChange(change), Decision::Noted) => {
                self.change_directory(stamp, change, &mut changes)
            }
            (Input::SearchRoot(root), Decision::Noted) => self.search_root = Some(*root),
            (Input::Submission(submission), Decision::Accepted(accepted)) => {
                self.accept(stamp, submission, accepted, &mut changes);
            }
            (Input::Submission(submission), Decision::Void(refusal)) => {
                self.spend(stamp, submission, Err(refusal.clone()));
            }
            (Input::Submission(submission), Decision::Equivocation { .. }) => {
                let id = &submission.header.id;
                if let Some(numbering) = self.senders.get_mut(&id.sender) {
                    numbering.mark_reused(id);
                }
            }
            (Input::Tick { .. }, Decision::Fired(fired)) => self.fire(stamp, fired, &mut changes),
            (Input::Hit(found), Decision::Fired(fired)) => {
                for made in &fired.made {
                    let message = hit::message(stamp, found, made);
                    self.enter(stamp, message, &made.places, Timestamp::default(), &mut changes);
                }
            }
            _ => {}
        }
        self.finish(changes)
    }

    fn accept(&mut self, stamp: Stamp, submission: &Submission, accepted: &Accepted, changes: &mut Changes) {
        let header = &submission.header;
        // Before the notice's file goes, which says whose data it is.
        let message = message_of(self, stamp, submission, accepted);
        self.spend(stamp, submission, Ok(Acceptance::of(header.kind, accepted)));
        for taken in &accepted.taken_back {
            if let Some(at) = self.ids.get(&taken.message).copied() {
                self.settle(at, taken.party, RecipientState::Withdrawn, stamp.at, changes);
            }
        }
        if matches!(header.kind, Kind::Withdrawal | Kind::Cancellation) {
            self.mark_withdrawn(submission, accepted, changes);
        }
        if let Some(notice_id) = accepted.notice_id {
            let before = self.hot_messages(accepted);
            notice::apply(self, stamp, submission, notice_id);
            changes.settling.extend(before);
        }
        if let (Kind::Restriction, Some(country)) = (header.kind, header.id.sender.party().country()) {
            self.restrictions.insert(country, submission.lifted.except.clone());
        }
        if let (Sender::Bureau(country), Some(leave)) = (&header.id.sender, &submission.lifted.leave) {
            self.directory.grants.apply(stamp, *country, leave);
            changes.effects.push(Effect::Granted(Identity::Post(*country, leave.post.clone())));
        }
        if matches!(header.kind, Kind::Reply | Kind::HitDecision) {
            self.answer(stamp, submission, changes);
        }
        let clocks_from = self.clocks_from(stamp, submission);
        self.enter(stamp, message, &accepted.places, clocks_from, changes);
    }

    /// Keeps the answer of a submission under its number.
    fn spend(&mut self, stamp: Stamp, submission: &Submission, outcome: Result<Acceptance, Refusal>) {
        let id = &submission.header.id;
        let (first, recovered) = (self.first_epoch(&id.sender), self.generation() > 0);
        let numbering = self.senders.entry(id.sender.clone()).or_insert_with(|| Numbering::of_epoch(first));
        if id.epoch > numbering.epoch {
            numbering.begin(id.epoch, recovered);
        }
        let header_hash = submission.header_hash;
        let answer = Answer { header_hash, position: stamp.position, at: stamp.at, outcome, reused: false };
        numbering.spend(id, answer);
    }

    /// Puts a new message and its places into the state. No answer is due before `clocks_from`.
    fn enter(
        &mut self,
        stamp: Stamp,
        mut message: Message,
        places: &[Place],
        clocks_from: Timestamp,
        changes: &mut Changes,
    ) {
        for place in places {
            let queue = &mut self.mailboxes.entry(place.party).or_default().lanes[message.id.lane.index()];
            // The secretariat's mailbox is the log itself: what is durable there is delivered.
            let state = match (place.party, place.held) {
                (Party::Secretariat, _) => RecipientState::Delivered,
                (Party::Bureau(_), true) => RecipientState::Held,
                (Party::Bureau(_), false) => RecipientState::Queued,
            };
            if state.has_it() {
                queue.delivered_up_to = place.number;
                queue.delivered.insert(place.number, message.at);
            } else {
                queue.waiting.push_back(Waiting { message: message.at, gap: None, after: place.after });
                changes.wake.push(place.party);
            }
            let due = message.reply_by.filter(|_| place.owes).map(|by| by.max(clocks_from));
            let line = due.map(request::new_line);
            self.deadlines.extend(due.map(|at| Deadline {
                at,
                message: message.at,
                addressee: Some(place.party),
            }));
            let recipient = Recipient { number: place.number, state, since: stamp.at, line };
            message.recipients.insert(place.party, recipient);
        }
        let expiry = message.expires_at.map(|at| Deadline { at, message: message.at, addressee: None });
        self.deadlines.extend(expiry);
        changes.settling.insert(message.at);
        self.ids.insert(message.id.clone(), message.at);
        self.open.insert(message.at, Box::new(message));
    }

    /// Ends a delivery without a message: its number becomes a gap and its clock stops.
    fn settle(
        &mut self,
        at: MessageRef,
        party: Party,
        state: RecipientState,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let Some(message) = self.open.get_mut(&at) else { return };
        let Some(recipient) = message.recipients.get_mut(&party) else { return };
        recipient.state = state;
        recipient.since = now;
        let gap = if state == RecipientState::Expired { Gap::Expired } else { Gap::Withdrawn };
        if let Some(mailbox) = self.mailboxes.get_mut(&party) {
            mailbox.lanes[message.id.lane.index()].open_gap(recipient.number, gap);
        }
        self.stop_clock(at, party);
        changes.wake.push(party);
        changes.touched.insert(at);
    }

    fn stop_clock(&mut self, message: MessageRef, party: Party) {
        let recipient = self.open.get_mut(&message).and_then(|message| message.recipients.get_mut(&party));
        let due = recipient.and_then(|recipient| recipient.line.as_mut()).and_then(|line| line.due.take());
        if let Some(at) = due {
            self.deadlines.remove(&Deadline { at, message, addressee: Some(party) });
        }
    }

    fn mark_withdrawn(&mut self, submission: &Submission, accepted: &Accepted, changes: &mut Changes) {
        let mut ended: Vec<MessageId> = submission.header.refers_to.iter().cloned().collect();
        if let Some(id) = accepted.notice_id {
            ended.extend(self.messages_of(id).map(|message| message.id.clone()));
        }
        for id in &ended {
            if let Some(message) = self.ids.get(id).and_then(|at| self.open.get_mut(at)) {
                message.withdrawn = true;
                changes.touched.insert(message.at);
            } else if let Some(closed) = submission.referred.as_deref().filter(|closed| closed.id == *id) {
                changes.effects.push(Effect::Closed(Box::new(Message { withdrawn: true, ..closed.clone() })));
            }
        }
    }

    /// The messages that stay open for the sake of a notice.
    fn hot_messages(&self, accepted: &Accepted) -> Vec<MessageRef> {
        let file = accepted.notice_id.and_then(|id| self.notices.get(&id));
        let own = file.into_iter().flat_map(|file| file.message().into_iter().chain([&file.request]));
        let reviews = self.reviews.values().filter(|review| Some(review.notice_id) == accepted.notice_id);
        own.chain(reviews.map(|review| &review.request)).filter_map(|id| self.ids.get(id).copied()).collect()
    }

    fn answer(&mut self, stamp: Stamp, submission: &Submission, changes: &mut Changes) {
        let header = &submission.header;
        // What the owner of a record decides is all that it owes.
        let decided = (header.kind == Kind::HitDecision).then_some(ReplyStage::Final);
        let (Some(id), Some(stage)) = (&header.refers_to, header.reply_stage.or(decided)) else { return };
        let addressee = header.id.sender.party();
        let Some(at) = self.ids.get(id).copied() else {
            let closed = submission.referred.clone().filter(|closed| closed.id == *id);
            if let Some(mut closed) = closed
                && request::answer(&mut closed, addressee, stage, stamp.at)
            {
                // The line is open again, or settled; the clock of a closed request has stopped for good.
                if let Some(line) = closed.recipients.get_mut(&addressee).and_then(|r| r.line.as_mut()) {
                    line.due = None;
                }
                changes.effects.push(Effect::Closed(closed));
            }
            return;
        };
        let Some(message) = self.open.get_mut(&at) else { return };
        let due = |message: &Message| {
            message.recipients.get(&addressee).and_then(|r| r.line).and_then(|line| line.due)
        };
        let before = due(message);
        if request::answer(message, addressee, stage, stamp.at) {
            let after = due(message);
            let deadline = |due| Deadline { at: due, message: at, addressee: Some(addressee) };
            if let Some(before) = before {
                self.deadlines.remove(&deadline(before));
            }
            self.deadlines.extend(after.map(deadline));
            changes.touched.insert(at);
        }
    }

    fn fire(&mut self, stamp: Stamp, fired: &Fired, changes: &mut Changes) {
        for FiredDeadline { deadline, outcome } in &fired.deadlines {
            self.deadlines.remove(deadline);
            let at = deadline.message;
            match (outcome, deadline.addressee) {
                (Outcome::Expired { parties, again }, _) => {
                    for party in parties {
                        self.settle(at, *party, RecipientState::Expired, stamp.at, changes);
                    }
                    if let Some(message) = self.open.get_mut(&at) {
                        message.expiry_due = *again;
                        changes.settling.insert(at);
                    }
                    self.deadlines.extend(again.map(|again| Deadline { at: again, ..*deadline }));
                }
                (Outcome::Reminded { nth, due }, Some(party)) => {
                    self.move_line(at, party, AnswerState::Reminded(*nth), Some(*due), changes);
                }
                (Outcome::Escalated, Some(party)) => {
                    self.move_line(at, party, AnswerState::Escalated, None, changes)
                }
                (Outcome::Reminded { .. } | Outcome::Escalated, None) => {}
            }
        }
        for made in &fired.made {
            self.enter(stamp, made_message(stamp, made), &made.places, Timestamp::default(), changes);
        }
    }

    fn move_line(
        &mut self,
        at: MessageRef,
        party: Party,
        state: AnswerState,
        due: Option<Timestamp>,
        changes: &mut Changes,
    ) {
        let recipient = self.open.get_mut(&at).and_then(|message| message.recipients.get_mut(&party));
        let Some(line) = recipient.and_then(|recipient| recipient.line.as_mut()) else { return };
        (line.state, line.due) = (state, due);
        self.deadlines.extend(due.map(|due| Deadline { at: due, message: at, addressee: Some(party) }));
        changes.touched.insert(at);
    }

    fn change_directory(&mut self, stamp: Stamp, change: &DirectoryChange, changes: &mut Changes) {
        self.directory.apply(stamp, change);
        changes.effects.push(Effect::Directory(change.identity.clone()));
        let Identity::Bureau(country) = change.identity else { return };
        let party = Party::Bureau(country);
        let waiting: Vec<MessageRef> = match self.mailboxes.get(&party) {
            None => return,
            Some(mailbox) => mailbox
                .lanes
                .iter()
                .flat_map(|lane| &lane.waiting)
                .filter(|waiting| waiting.gap.is_none())
                .map(|waiting| waiting.message)
                .collect(),
        };
        let state = match change.action {
            DirectoryAction::Admit => return,
            DirectoryAction::Suspend => RecipientState::Held,
            DirectoryAction::Reinstate => RecipientState::Queued,
            DirectoryAction::Revoke => {
                for at in waiting {
                    self.settle(at, party, RecipientState::Refused, stamp.at, changes);
                }
                return self.stop_clocks(party, changes);
            }
        };
        for at in waiting {
            let message = self.open.get_mut(&at);
            if let Some(recipient) = message.and_then(|message| message.recipients.get_mut(&party)) {
                (recipient.state, recipient.since) = (state, stamp.at);
                changes.touched.insert(at);
            }
        }
        changes.wake.push(party);
    }

    /// Whoever left owes nothing any more.
    fn stop_clocks(&mut self, party: Party, changes: &mut Changes) {
        let running: Vec<MessageRef> = self
            .deadlines
            .iter()
            .filter(|deadline| deadline.addressee == Some(party))
            .map(|deadline| deadline.message)
            .collect();
        for at in running {
            self.stop_clock(at, party);
            changes.touched.insert(at);
        }
    }

    fn finish(&mut self, changes: Changes) -> Vec<Effect> {
        let Changes { touched, settling, mut wake, mut effects } = changes;
        for at in touched.union(&settling) {
            let Some(message) = self.open.get(at) else { continue };
            if message.settled() && !message.clock_runs() && !self.is_hot(message) {
                effects.extend(self.close(*at).map(Effect::Closed));
            } else if touched.contains(at) {
                effects.push(Effect::Progress(message.id.clone()));
            }
        }
        wake.sort_unstable();
        wake.dedup();
        effects.extend(wake.into_iter().map(Effect::Wake));
        effects
    }

    fn close(&mut self, at: MessageRef) -> Option<Box<Message>> {
        let message = self.open.remove(&at)?;
        self.ids.remove(&message.id);
        for (party, recipient) in &message.recipients {
            if let Some(mailbox) = self.mailboxes.get_mut(party) {
                mailbox.lanes[message.id.lane.index()].delivered.remove(&recipient.number);
            }
        }
        if let Some(due) = message.expiry_due {
            self.deadlines.remove(&Deadline { at: due, message: at, addressee: None });
        }
        Some(message)
    }
}

fn message_of(state: &State, stamp: Stamp, submission: &Submission, accepted: &Accepted) -> Message {
    let header = &submission.header;
    let owner =
        accepted.notice_id.and_then(|id| state.notices.get(&id)).map(|file| Party::Bureau(file.owner));
    let about_notice = matches!(header.kind, Kind::Notice | Kind::Addendum | Kind::Cancellation);
    Message {
        id: header.id.clone(),
        at: MessageRef { position: stamp.position, n: 0 },
        accepted_at: stamp.at,
        kind: header.kind,
        header_hash: Some(submission.header_hash),
        refers_to: header.refers_to.clone(),
        owner: owner.filter(|_| about_notice).unwrap_or_else(|| header.id.sender.party()),
        notice_id: accepted.notice_id,
        expires_at: header.expires_at,
        expiry_due: header.expires_at,
        reply_by: header.reply_by,
        interval: header
            .reply_by
            .map(|by| request::interval(predecessor::first_accepted_at(stamp, submission), by)),
        reply_to_all: header.reply_to_all,
        withdrawn: false,
        // Its sender may not have heard that it was accepted before.
        again: submission.origin != Origin::Sender || state.is_recovering(stamp.at),
        come: accepted.come.clone(),
        gone: accepted.gone.clone(),
        recipients: BTreeMap::new(),
    }
}

pub(crate) fn made_message(stamp: Stamp, made: &Made) -> Message {
    Message {
        id: made.id.clone(),
        at: MessageRef { position: stamp.position, n: u32::try_from(made.id.number).unwrap_or(u32::MAX) },
        accepted_at: stamp.at,
        kind: made.kind,
        header_hash: None,
        refers_to: Some(made.refers_to.clone()),
        owner: Party::Secretariat,
        notice_id: None,
        expires_at: None,
        expiry_due: None,
        reply_by: None,
        interval: None,
        reply_to_all: false,
        withdrawn: false,
        again: false,
        come: Vec::new(),
        gone: Vec::new(),
        recipients: BTreeMap::new(),
    }
}
