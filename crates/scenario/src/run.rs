//! The simulated officers and the reviewer at work, through the same clients as everybody.
//!
//! ```text
//!  CASES ─► REVIEW ─► REQUESTS and ANSWERS (side by side) ─► SETTLING ─► REHEARSAL ─► SETTLING
//! ```
//!
//! Nothing here writes an outcome, and nothing here knows one: it is handed the script, not the registers.
//! Waiting is for events at the desks, and ends when nothing has come for as long as the patience lasts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use i247_client::{Desk, Monitor, Reviewer, pb};
use i247_model::{CountryCode, MessageId, Name};
use i247_node::Clock;
use tokio::sync::Semaphore;

use crate::casework::{Casework, Task};
use crate::drafts;
use crate::events::{Events, events};
use crate::officer::{Done, Officer, review_batch};
use crate::plan::Script;
use crate::rehearsal::Rehearsed;

/// How often the reviewer looks again when the list was empty and nothing was heard.
const REVIEW_AGAIN: Duration = Duration::from_millis(500);

/// How often queues are looked at while they empty. No event tells of the last receipt.
const SETTLE_AGAIN: Duration = Duration::from_millis(100);

/// So many looks in a row must find nothing under way and nothing new.
const SETTLED_LOOKS: u32 = 4;

/// The connections of those who act.
#[derive(Debug)]
pub struct Actors {
    /// A desk for each seat, under that officer's own certificate.
    pub desks: BTreeMap<(CountryCode, Name), Desk>,
    /// The reviewer at the secretariat.
    pub reviewer: Reviewer,
    /// An operator, who only looks.
    pub monitor: Monitor,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// How the officers work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Things that the officers of one bureau do at once.
    pub at_once: usize,
    /// After so long without anything new, a phase ends as it is.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { at_once: 4, patience: Duration::from_secs(60) }
    }
}

/// A part of the operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Officers ask for Red Notices.
    Cases,
    /// The reviewer decides and publishes.
    Review,
    /// Officers send requests to chosen countries.
    Requests,
    /// The last words of the countries come in.
    Answers,
    /// Whatever is still under way arrives.
    Settling,
    /// A reminder and an escalation, on purpose.
    Rehearsal,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cases => "notice requests sent",
            Self::Review => "requests reviewed, notices published",
            Self::Requests => "search requests sent",
            Self::Answers => "final answers received",
            Self::Settling => "bureaus with nothing under way",
            Self::Rehearsal => "reminder, late answer and escalation",
        })
    }
}

/// Who is told how far the operation is.
pub trait Progress: Send {
    /// A phase has done so many things of so many.
    fn reached(&mut self, phase: Phase, done: usize, of: usize);

    /// One message's way, from submission to the last receipt.
    fn followed(&mut self, trace: &pb::TraceResponse);
}

/// How the operation went, as the officers saw it. What came of it is counted afterwards, from the network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Played {
    /// What could not be done, and why. Empty when all went well.
    pub gave_up: Vec<String>,
    /// The request that was followed.
    pub followed: Option<MessageId>,
}

/// Plays the script to its end.
///
/// It always comes to an end: a bureau that is gone costs each phase its patience, and is named in
/// [`Played::gave_up`]. Playing the same script twice on one network does nothing the second time.
///
/// # Cancel safety
/// Dropped, the officers stop where they are; playing again goes on from there.
pub async fn run(script: &Script, actors: Actors, pace: Pace, progress: &mut dyn Progress) -> Played {
    let Actors { desks, mut reviewer, monitor, clock } = actors;
    let mut first_desks: BTreeMap<CountryCode, Desk> = BTreeMap::new();
    for ((country, _), desk) in &desks {
        first_desks.entry(*country).or_insert_with(|| desk.clone());
    }
    let places =
        first_desks.keys().map(|code| (*code, Arc::new(Semaphore::new(pace.at_once.max(1))))).collect();
    let mut stage = Stage {
        script,
        events: events(&first_desks),
        first_desks,
        desks,
        monitor,
        clock,
        pace,
        places,
        work: Casework::new(script),
        under_way: FuturesUnordered::new(),
        progress,
        played: Played::default(),
    };
    stage.open_cases().await;
    stage.review(&mut reviewer).await;
    stage.ask_and_wait().await;
    stage.settle().await;
    stage.follow_one().await;
    stage.rehearse().await;
    stage.settle().await;
    stage.played
}

struct Stage<'a> {
    script: &'a Script,
    desks: BTreeMap<(CountryCode, Name), Desk>,
    /// One desk of each country: events and counts are the same at all of them.
    first_desks: BTreeMap<CountryCode, Desk>,
    monitor: Monitor,
    clock: Arc<dyn Clock>,
    pace: Pace,
    /// How much the officers of one bureau do at once.
    places: BTreeMap<CountryCode, Arc<Semaphore>>,
    events: Events,
    work: Casework<'a>,
    under_way: FuturesUnordered<BoxFuture<'a, Done>>,
    progress: &'a mut dyn Progress,
    played: Played,
}

impl<'a> Stage<'a> {
    /// Every officer asks for the notices of her cases.
    async fn open_cases(&mut self) {
        let of = self.script.cases.len();
        for task in self.work.begin() {
            self.start(task);
        }
        self.progress.reached(Phase::Cases, 0, of);
        // Every task ends by itself, at the latest when its patience does.
        while !self.under_way.is_empty() {
            self.step(self.pace.patience).await;
            self.progress.reached(Phase::Cases, self.work.counts().opened, of);
        }
    }

    /// The reviewer reads what waits, decides and publishes, until every request that the desks took is
    /// decided.
    async fn review(&mut self, reviewer: &mut Reviewer) {
        let of = self.work.counts().opened;
        let mut reviewed = 0;
        let mut quiet_since = self.clock.monotonic();
        self.progress.reached(Phase::Review, 0, of);
        while reviewed < of && self.quiet_for(quiet_since) < self.pace.patience {
            let operation = self.script.operation.as_str();
            let batch = self.alongside(review_batch(reviewer, operation)).await;
            match batch {
                Ok(0) => {
                    // All that has happened is taken in before the list is asked for again.
                    let mut happened = self.step(REVIEW_AGAIN).await;
                    while happened {
                        happened = self.step(Duration::ZERO).await;
                    }
                }
                Ok(decided) => {
                    reviewed += decided;
                    quiet_since = self.clock.monotonic();
                    self.progress.reached(Phase::Review, reviewed.min(of), of);
                }
                Err(error) if error.passes() => {
                    self.step(REVIEW_AGAIN).await;
                }
                Err(error) => {
                    self.played.gave_up.push(format!("review: {error}"));
                    return;
                }
            }
        }
        if reviewed < of {
            let never = of - reviewed;
            self.played.gave_up.push(format!("review: {never} requests never reached the secretariat"));
        }
    }

    /// Officers read decisions, send requests, and send follow-ups once the first answers are in.
    async fn ask_and_wait(&mut self) {
        let (requests, finals) = (self.script.requests(), self.script.addressees());
        let mut quiet_since = self.clock.monotonic();
        let mut before = self.work.counts();
        loop {
            self.step(self.pace.patience.saturating_sub(self.quiet_for(quiet_since))).await;
            let counts = self.work.counts();
            if counts != before {
                quiet_since = self.clock.monotonic();
                before = counts;
            }
            self.progress.reached(Phase::Requests, counts.asked, requests);
            self.progress.reached(Phase::Answers, counts.finals, finals);
            let decisions_read = counts.decided == counts.opened;
            if decisions_read && self.under_way.is_empty() && self.work.settled() {
                return;
            }
            if self.quiet_for(quiet_since) < self.pace.patience {
                continue;
            }
            let more = self.work.impatient();
            if more.is_empty() && self.under_way.is_empty() {
                let missing = finals.saturating_sub(counts.finals);
                self.played.gave_up.push(format!("answers: {missing} never came"));
                return;
            }
            for task in more {
                self.start(task);
            }
            quiet_since = self.clock.monotonic();
        }
    }

    /// Waits until nothing is under way any more: outboxes empty, mailboxes empty, the log at rest.
    async fn settle(&mut self) {
        let of = self.first_desks.len();
        let mut quiet_since = self.clock.monotonic();
        let mut before = None;
        let mut looks = 0;
        while looks < SETTLED_LOOKS && self.quiet_for(quiet_since) < self.pace.patience {
            let look = self.look().await;
            if before.as_ref() != Some(&look) {
                quiet_since = self.clock.monotonic();
                looks = 0;
            } else if look.at_rest == of && look.queued == 0 {
                looks += 1;
            }
            self.progress.reached(Phase::Settling, look.at_rest, of);
            before = Some(look);
            self.step(SETTLE_AGAIN).await;
        }
    }

    async fn look(&mut self) -> Look {
        let mut at_rest = 0;
        let mut received = 0;
        let desks: Vec<Desk> = self.first_desks.values().cloned().collect();
        let reports: FuturesUnordered<_> = desks.iter().map(Desk::report).collect();
        for report in reports.collect::<Vec<_>>().await.into_iter().flatten() {
            at_rest += usize::from(report.outbox_waiting == 0);
            received += report.received;
        }
        let (log_end, queued) = match self.monitor.summary().await {
            Ok(summary) => (summary.log_end, summary.links.iter().map(|link| link.queued).sum()),
            Err(_) => (0, u64::MAX),
        };
        Look { at_rest, received, log_end, queued }
    }

    /// Follows one request by name.
    async fn follow_one(&mut self) {
        let Some(id) = self.work.first_request().map(str::to_owned) else { return };
        match self.monitor.trace(&id).await {
            Ok(trace) => {
                self.played.followed = id.parse().ok();
                self.progress.followed(&trace);
            }
            Err(error) => self.played.gave_up.push(format!("trace of {id}: {error}")),
        }
    }

    /// One request is answered only after a reminder, one never.
    async fn rehearse(&mut self) {
        let rehearsal = &self.script.rehearsal;
        let Some(asker) = self.first_desks.get(&rehearsal.asker).cloned() else { return };
        let mut ids = Vec::new();
        for (what, country) in [("late", rehearsal.late), ("silent", rehearsal.silent)] {
            let draft = drafts::rehearsal_request(self.script, rehearsal, what, country, self.clock.now());
            match asker.send(draft).await {
                Ok(id) => ids.push(id),
                Err(error) => self.played.gave_up.push(format!("rehearsal: {error}")),
            }
        }
        let [late, silent] = ids.as_slice() else { return };
        let mut rehearsed = Rehearsed::new(rehearsal, late.to_string(), silent.to_string());
        let mut quiet_since = self.clock.monotonic();
        while rehearsed.done() < 3 {
            let left = self.pace.patience.saturating_sub(self.quiet_for(quiet_since));
            let Ok(Some((country, event))) = tokio::time::timeout(left, self.events.next()).await else {
                self.played.gave_up.push(format!("rehearsal: {} of 3 happened", rehearsed.done()));
                return;
            };
            let before = rehearsed.done();
            if rehearsed.heard(country, &event) {
                let reply = drafts::late_reply(self.script, rehearsal, late);
                self.answer_late(reply).await;
            }
            if rehearsed.done() > before {
                quiet_since = self.clock.monotonic();
                self.progress.reached(Phase::Rehearsal, rehearsed.done(), 3);
            }
        }
    }

    async fn answer_late(&mut self, reply: pb::Draft) {
        let Some(desk) = self.first_desks.get(&self.script.rehearsal.late) else { return };
        if let Err(error) = desk.send(reply).await {
            self.played.gave_up.push(format!("rehearsal: the late answer: {error}"));
        }
    }

    fn quiet_for(&self, since: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(since)
    }

    /// Takes in the next thing that happens: a task ends, or a bureau has an event. At most so long;
    /// false when nothing happened.
    async fn step(&mut self, within: Duration) -> bool {
        // Both arms are streams, which lose nothing when the other arm wins.
        let one = async {
            tokio::select! {
                Some(done) = self.under_way.next() => Happened::Done(done),
                Some((country, event)) = self.events.next() => Happened::Event(country, event),
                else => std::future::pending().await,
            }
        };
        match tokio::time::timeout(within, one).await {
            Ok(Happened::Done(done)) => self.done(done),
            Ok(Happened::Event(country, event)) => {
                let (task, _) = self.work.heard(country, &event);
                if let Some(task) = task {
                    self.start(task);
                }
            }
            Err(_late) => return false,
        }
        true
    }

    /// Does something else, and goes on taking in what happens meanwhile.
    async fn alongside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = Box::pin(work);
        loop {
            // `work` is kept across turns; a dropped step loses nothing.
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = self.step(self.pace.patience) => {}
            }
        }
    }

    fn done(&mut self, done: Done) {
        let next = match done {
            Done::Opened(case, Ok(id)) => self.work.opened(case, &id),
            Done::Read(case, Ok(notice_id)) => self.work.read_decision(case, notice_id),
            Done::Asked { case, nth, sent: Ok(id) } => self.work.asked(case, nth, &id),
            Done::ReportRead => None,
            Done::Opened(case, Err(error))
            | Done::Read(case, Err(error))
            | Done::Asked { case, sent: Err(error), .. } => {
                let our_ref = &self.work.case(case).our_ref;
                self.played.gave_up.push(format!("{our_ref}: {error}"));
                None
            }
        };
        if let Some(task) = next {
            self.start(task);
        }
    }

    /// Begins a task; it waits for its turn at its bureau.
    fn start(&mut self, task: Task) {
        let country = match &task {
            Task::Open { case } | Task::Read { case, .. } | Task::Ask { case, .. } => {
                self.work.case(*case).owner
            }
            Task::ReadReport { country, .. } => *country,
        };
        let desk = match &task {
            Task::Open { case } | Task::Read { case, .. } | Task::Ask { case, .. } => {
                let planned = self.work.case(*case);
                self.desks.get(&(planned.owner, planned.seat.clone())).cloned()
            }
            Task::ReadReport { country, .. } => self.first_desks.get(country).cloned(),
        };
        let (Some(desk), Some(places)) = (desk, self.places.get(&country).cloned()) else {
            self.played.gave_up.push(format!("{country}: there is no desk for a seat of the script"));
            return;
        };
        let officer =
            Officer { script: self.script, desk, clock: self.clock.clone(), patience: self.pace.patience };
        self.under_way.push(Box::pin(async move {
            // The semaphore is never closed; without a place the task would still be right, only early.
            let _place = places.acquire_owned().await;
            officer.work(task).await
        }));
    }
}

/// One thing that happened.
enum Happened {
    Done(Done),
    Event(CountryCode, i247_client::Event),
}

/// What a look at the whole network shows.
#[derive(PartialEq, Eq)]
struct Look {
    at_rest: usize,
    received: u64,
    log_end: u64,
    queued: u64,
}
