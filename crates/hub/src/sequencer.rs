//! The one task that orders everything: stamp, decide, append, apply, act. Nobody else changes the views.
//!
//! ```text
//!   gather ──► decide on `ahead`, one after the other ──► append the group ──► apply to the views ──► answer, wake
//!     ▲                                                       │
//!     └── the next group is decided while this is written ────┘
//! ```
//!
//! `ahead` is the state as if all that is decided were durable. Nobody but this task sees it; when an append fails
//! it is thrown away. It must not do anything that can wait on a bureau.

mod before;
mod keys;
mod shut;
mod work;
mod writing;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use i247_ledger::{AppendError, Draft, Ledger, MAX_ENTRY_BYTES, Position};
use i247_model::{MessageId, Reason, Refusal, Timestamp};
use i247_node::Clock;
use i247_router::{Decision, Effect, Input, Message, Stamp, State, Submission, decide};
use i247_trust::Credentials;
use i247_wire::pb;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::answer::{Answers, Outcome};
use crate::core::Behind;
use crate::effects::Actor;
use crate::entry::encode_decision;
use crate::flow::{Flow, Moves};
use crate::gauges::Counters;
use crate::history::HistoryError;
use crate::made::Maker;
use crate::opening::Checked;
use crate::pulse::Pulse;
use crate::spans;
use crate::stamps::Stamps;
use crate::views::{Taken, Views};
use shut::{LOOK_AGAIN, no_room};

use work::takes_back;

pub(crate) use shut::Held;
pub(crate) use work::{Answer, Work};
pub(crate) use writing::Groups;

/// At most so many inputs in a group.
const GROUP_MAX: usize = 512;

/// A group ends before its entries and bodies pass this, in bytes.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Why the sequencer stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SequencerError {
    /// The log takes nothing more; what was not answered may or may not be in it.
    #[error("the log has stopped")]
    Log(#[source] AppendError),
    /// History cannot be read: what is decided without it may be wrong.
    #[error("history cannot be read")]
    History(#[from] HistoryError),
}

/// The sequencer and what it needs.
pub(crate) struct Sequencer {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) views: Arc<RwLock<Views>>,
    pub(crate) ahead: State,
    pub(crate) groups: Groups,
    pub(crate) stamps: Stamps,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) work: mpsc::Receiver<Work>,
    pub(crate) actor: Actor,
    pub(crate) answers: Answers,
    pub(crate) maker: Maker,
    /// What the hub signs with, as it is renewed.
    pub(crate) own: watch::Receiver<Arc<Credentials>>,
    /// The certificates of the key that signs now, as they stand in the log.
    pub(crate) entered: Vec<Bytes>,
    /// Closed while a group is decided that must know what is under way.
    pub(crate) handing_out: Arc<tokio::sync::RwLock<()>>,
    /// False while the disk is full.
    pub(crate) writable: watch::Sender<bool>,
    /// When, on the monotonic clock, a full disk is looked at again.
    pub(crate) look_again: Duration,
    /// Receipts for which there was no room.
    pub(crate) held: Held,
    /// True once a bureau has proved that this is an older copy: then nothing is entered.
    pub(crate) behind: watch::Receiver<Option<Behind>>,
    pub(crate) receipts_wait: Duration,
    pub(crate) counters: Counters,
    /// The entry with which the register of hits changed last.
    pub(crate) hits: watch::Sender<u64>,
    /// The last entry from which records follow.
    pub(crate) fed: watch::Sender<u64>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) pulse: Arc<Pulse>,
}

/// One entry of the group that is being decided.
struct Pending {
    taken: Taken,
    draft: Draft,
    message: Option<pb::Envelope>,
    made: Vec<pb::Envelope>,
}

/// The group that is being decided.
#[derive(Default)]
struct Group {
    #[expect(clippy::vec_box, reason = "an entry is large, and a group grows")]
    entries: Vec<Box<Pending>>,
    answers: Vec<(Answer, Outcome)>,
    noted: Vec<(oneshot::Sender<Result<u64, Refusal>>, u64)>,
    /// Messages that the group closes: not yet in the history that others see.
    closed: BTreeMap<MessageId, Box<Message>>,
    /// Of the messages that somebody traces.
    appending: Vec<tracing::Span>,
    bytes: usize,
    /// When its first input came, on the monotonic clock.
    begun: Duration,
}

impl Sequencer {
    /// Runs until `stop`, and then until the queue is empty.
    ///
    /// # Errors
    /// When the log has stopped: the process must end, and finds out the truth when it starts again.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), SequencerError> {
        let mut gathered = Vec::with_capacity(GROUP_MAX);
        loop {
            if let Some(result) = self.gather(&mut gathered, &stop).await {
                self.finish(result)?;
            }
            let now = self.stamp_now();
            let is_idle = self.turn(&mut gathered, now).await?;
            self.begin(stop.is_cancelled());
            if is_idle && stop.is_cancelled() && self.work.is_empty() {
                return self.settle().await;
            }
        }
    }

    /// Takes on what was gathered and what is due; whether there was nothing.
    async fn turn(&mut self, gathered: &mut Vec<Work>, now: Timestamp) -> Result<bool, SequencerError> {
        if let Some(refusal) = self.shut(now).await? {
            self.put_off(gathered.drain(..), &refusal);
            return Ok(true);
        }
        // What was held came first: a sender takes the answer to a message as proof of the receipts before it.
        gathered.splice(0..0, self.held.take());
        let due = self.ahead.next_deadline().is_some_and(|deadline| deadline <= now);
        if gathered.is_empty() && !due {
            return Ok(true);
        }
        self.commit(gathered, due, now).await?;
        Ok(false)
    }

    /// The stamp for this group; whether the wall clock is believed is said when that changes.
    fn stamp_now(&mut self) -> Timestamp {
        let before = self.stamps.astray();
        // In this order: a machine that sleeps in between has a wall clock that is not believed once, not for ever.
        let monotonic = self.clock.monotonic();
        let now = self.stamps.stamp(self.clock.now(), monotonic);
        self.pulse.set_astray(self.stamps.astray());
        match (before, self.stamps.astray()) {
            (false, true) => tracing::error!(
                "the wall clock went back or leapt ahead; stamps go on with monotonic time: set the clock right"
            ),
            (true, false) => tracing::info!("the wall clock is believed again"),
            (true, true) | (false, false) => {}
        }
        now
    }

    /// Waits for work, for the next deadline, or for the group that is on its way to the disk: what became of that.
    async fn gather(
        &mut self,
        gathered: &mut Vec<Work>,
        stop: &CancellationToken,
    ) -> Option<Result<Position, AppendError>> {
        let now = self.stamp_now();
        let idle = if self.behind.borrow().is_some() || !*self.writable.borrow() {
            Some(LOOK_AGAIN)
        } else {
            // A clock that is set meanwhile is noticed within the second.
            let left = self.ahead.next_deadline().map(|deadline| deadline.since(now));
            let left = left.map(|left| left.clamp(Duration::from_millis(1), Duration::from_secs(1)));
            // One that is not believed is looked at until it is, also when nobody wants anything.
            left.or(self.stamps.astray().then_some(LOOK_AGAIN))
        };
        let receipts = self.groups.receipts_due(self.receipts_wait);
        let receipts = receipts.map(|due| due.saturating_sub(self.clock.monotonic()));
        let clock = self.clock.clone();
        let alarm = async {
            match idle.into_iter().chain(receipts).min() {
                Some(idle) => i247_node::sleep_on(&*clock, idle).await,
                None => std::future::pending().await,
            }
        };
        let room = self.groups.next.room();
        // Dropping `recv_many` before it is ready loses nothing.
        tokio::select! {
            biased;
            result = self.groups.written() => return Some(result),
            _ = self.work.recv_many(gathered, room), if room > 0 => {}
            () = alarm => {}
            () = stop.cancelled() => {
                self.work.close();
                self.work.recv_many(gathered, GROUP_MAX).await;
            }
        }
        None
    }

    async fn commit(
        &mut self,
        gathered: &mut Vec<Work>,
        due: bool,
        now: Timestamp,
    ) -> Result<(), SequencerError> {
        let due = due || !self.new_chain().is_empty();
        let still = due || gathered.iter().any(Work::takes_back);
        if still || gathered.iter().any(|work| self.needs_all_settled(work)) {
            self.settle().await?;
        }
        let handing_out = self.handing_out.clone();
        let _quiet = if still { Some(handing_out.write().await) } else { None };
        if due {
            let mut group = self.groups.open(&*self.clock);
            self.tick(&mut group, now);
            self.groups.next = group;
        }
        let mut gathered = gathered.drain(..);
        while *self.writable.borrow()
            && let Some(work) = gathered.next()
        {
            let mut group = self.groups.open(&*self.clock);
            let decided = self.decide(&mut group, work, now);
            self.groups.next = group;
            decided?;
            if self.groups.next.room() == 0 {
                self.settle().await?;
            }
        }
        self.put_off(gathered, &no_room());
        if still {
            self.settle().await?;
        }
        Ok(())
    }

    fn tick(&mut self, group: &mut Group, now: Timestamp) {
        let input = Input::Tick { under_way: self.actor.links.under_way(&self.ahead) };
        let (stamp, chain) = (self.stamp(group, now), self.new_chain());
        if let Ok(decision) = decide(&self.ahead, stamp, &input)
            && (decision.is_entry() || !chain.is_empty())
        {
            let wire = pb::entry::Input::Tick(pb::Tick { certificates: chain.clone() });
            let taken = Taken { stamp, input, decision, chain };
            if let Err(refusal) = self.enter(group, taken, wire, None) {
                tracing::error!(%refusal, "deadlines are due that do not fit into an entry");
            }
        }
    }

    fn decide(&mut self, group: &mut Group, work: Work, now: Timestamp) -> Result<(), HistoryError> {
        let stamp = self.stamp(group, now);
        match work {
            Work::Submission { attested, lifted, way, answer } => {
                self.submission(group, stamp, Checked { attested, lifted, way }, answer)?;
            }
            Work::Receipts { signed, receipts } => {
                let (party, input) = (receipts.party, Input::Receipts(receipts));
                let entered = decide(&self.ahead, stamp, &input).and_then(|decision| {
                    let wire = pb::entry::Input::Receipts(signed);
                    self.enter(group, Taken { stamp, input, decision, chain: Vec::new() }, wire, None)
                });
                if let Err(refusal) = entered {
                    tracing::warn!(%party, %refusal, "receipts refused");
                }
            }
            Work::Change { signed, change, chain, answer } => {
                let input = Input::DirectoryChange(*change);
                let entered = decide(&self.ahead, stamp, &input).and_then(|decision| {
                    let wire = pb::entry::Input::DirectoryChange(signed);
                    self.enter(group, Taken { stamp, input, decision, chain }, wire, None)
                });
                group.note(entered, stamp, answer);
            }
            Work::Hit { found, name, answer } => {
                let entered = self.hit(group, stamp, *found, &name);
                group.note(entered, stamp, answer);
            }
            Work::SearchRoot { root, answer } => {
                let input = Input::SearchRoot(root);
                let entered = decide(&self.ahead, stamp, &input).and_then(|decision| {
                    let bytes = crate::entry::hash_bytes(&root.root);
                    let wire = pb::SearchRoot { position: root.position, root: bytes };
                    let wire = pb::entry::Input::SearchRoot(wire);
                    self.enter(group, Taken { stamp, input, decision, chain: Vec::new() }, wire, None)
                });
                group.note(entered, stamp, answer);
            }
        }
        Ok(())
    }

    fn submission(
        &mut self,
        group: &mut Group,
        stamp: Stamp,
        checked: Checked,
        answer: Answer,
    ) -> Result<(), HistoryError> {
        let Checked { attested, lifted, way } = checked;
        let id = attested.header().id.clone();
        let header_hash = attested.header_hash();
        let _decide = spans::decide(attested.header(), stamp.position, stamp.at).entered();
        let (origin, handed_over) = (way.origin(), way.is_handed_over());
        let mut submission = pb::Submission {
            header: attested.header_bytes().clone(),
            signature: attested.envelope().signature.clone(),
            lifted: Some((&*lifted).into()),
            ..pb::Submission::default()
        };
        way.store(&mut submission);
        let wire = pb::entry::Input::Submission(submission);
        let (header, envelope) = attested.into_parts();
        let kind = header.kind;
        let input = Input::Submission(Box::new(Submission {
            referred: self.referred(group, &header)?,
            under_way: if takes_back(kind) {
                self.actor.links.under_way(&self.ahead)
            } else {
                Default::default()
            },
            header,
            header_hash,
            lifted: *lifted,
            origin,
        }));
        let outcome = match decide(&self.ahead, stamp, &input) {
            Err(refusal) => {
                self.flow.refused(id.sender.party(), Some(kind), Some(id.lane), refusal.reason);
                Outcome::refused(id, refusal)
            }
            Ok(Decision::Answered(answered)) => {
                self.counters.duplicate();
                Outcome::answered(id, &answered)
            }
            Ok(Decision::Older) => self.older(id, header_hash)?,
            Ok(decision) => {
                let outcome = Outcome::decided(id.clone(), kind, header_hash, stamp, &decision);
                let taken = Taken { stamp, input, decision, chain: Vec::new() };
                let outcome = match self.enter(group, taken, wire, Some(envelope)) {
                    Ok(()) => outcome,
                    Err(refusal) => Outcome::refused(id, refusal),
                };
                tracing::debug!(outcome = outcome.as_str(), "decided");
                outcome
            }
        };
        let outcome =
            if handed_over { outcome.for_another(self.ahead.is_recovering(stamp.at)) } else { outcome };
        group.answers.push((answer, outcome));
        Ok(())
    }

    fn stamp(&self, group: &Group, at: Timestamp) -> Stamp {
        Stamp { position: self.written_end().0 + group.entries.len() as u64 + 1, at }
    }

    /// Adds an entry to the group and goes ahead as if it were durable.
    ///
    /// # Errors
    /// `TOO_LARGE` for what the log would not take: nothing is added, and the rest of the group goes on.
    fn enter(
        &mut self,
        group: &mut Group,
        taken: Taken,
        input: pb::entry::Input,
        message: Option<pb::Envelope>,
    ) -> Result<(), Refusal> {
        let (message, made) = match (&taken.input, &taken.decision) {
            (Input::Hit(_), _) => (None, Vec::from_iter(message)),
            (_, Decision::Fired(fired)) => (message, self.maker.make(taken.stamp, &fired.made)),
            _ => (message, Vec::new()),
        };
        let mut stored = made.clone();
        let mut body = message.as_ref().map(|envelope| envelope.body.clone());
        if matches!(taken.input, Input::Hit(_)) {
            // It names the record: beside the entry it can be erased.
            body = stored.first_mut().map(|envelope| std::mem::take(&mut envelope.body));
        }
        let entry = pb::Entry {
            at_ms: taken.stamp.at.as_millis(),
            input: Some(input),
            decision: encode_decision(&taken.decision),
            made: stored,
        };
        let draft = Draft { entry: entry.encode_to_vec().into(), body };
        if draft.bytes() > MAX_ENTRY_BYTES {
            return Err(Refusal::of(Reason::TooLarge, "envelope"));
        }
        for effect in self.ahead.apply(taken.stamp, &taken.input, &taken.decision) {
            if let Effect::Closed(message) = effect {
                group.closed.insert(message.id.clone(), message);
            }
        }
        if let Input::Submission(submission) = &taken.input {
            group.appending.extend(spans::append(&submission.header, taken.stamp.position));
        }
        group.bytes += draft.bytes();
        group.entries.push(Box::new(Pending { taken, draft, message, made }));
        Ok(())
    }

    /// The group is durable: the views take it in, and everyone concerned hears of it.
    ///
    /// # Errors
    /// When history cannot be read. Nobody is answered: the next start finds the entries in the log.
    fn act(&mut self, group: Group) -> Result<(), HistoryError> {
        let mut effects = Vec::new();
        let mut moves = {
            let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
            views.moves = Some(Moves { tap: self.flow.is_tapped(), ..Moves::default() });
            for pending in &group.entries {
                effects.extend(views.apply(&pending.taken)?);
            }
            work::tell(&self.hits, views.hits.changed());
            work::tell(&self.fed, views.fed_at);
            self.pulse.set_applied(views.position);
            views.moves.take().unwrap_or_default()
        };
        self.flow.take(&mut moves);
        self.take_key(&group);
        self.count(&group);
        for pending in group.entries {
            let Pending { taken, message, made, .. } = *pending;
            self.actor.keep(taken.stamp, &taken.input, message, made);
        }
        self.answers.send(group.answers);
        for (answer, position) in group.noted {
            drop(answer.send(Ok(position)));
        }
        self.actor.act(effects);
        Ok(())
    }

    fn count(&self, group: &Group) {
        self.counters.group(group.entries.len());
        for pending in &group.entries {
            if matches!(pending.taken.input, Input::Receipts(_)) {
                self.counters.receipts();
            }
        }
    }
}
