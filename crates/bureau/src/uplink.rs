//! The one connection to the hub: greets, sends what waits, takes what comes, for ever.
//!
//! ```text
//!  hub ─► frames ─► inbound: check ─┐                       ┌─► receipts, credit
//!                                   ├─► one journal group ──┤
//!  outbox ─► window ─► seal ────────┘                       └─► envelopes
//! ```
//!
//! Nothing is acknowledged or sent before the group that holds it is durable. It must not decide what follows from a
//! message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use i247_model::{CountryCode, Hash, Lane, LaneReceipt, Party, Reason, Receipts, Refusal};
use i247_node::{Clock, Dice, sleep, sleep_on};
use i247_trust::{Credentials, Root};
use i247_wire::pb;
use i247_wire::pb::connect_request::Frame as Up;
use i247_wire::pb::connect_response::Frame as Down;
use i247_wire::pb::journal_entry::Event;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::attachments::Attachments;
use crate::greeting::{Halt, check_welcome, hello, hub_behind, recover};
use crate::inbound::{Batch, Broken, Inbound, heard};
use crate::inbox::Mark;
use crate::journal::{Journal, Note};
use crate::link::{Exchange, State};
use crate::lost::Lost;
use crate::marks::Marks;
use crate::outbound::{Next, Outbound};
use crate::sealing::seal;
use crate::statuses::Statuses;
use crate::upload::{UploadError, upload};

/// Deliveries that the hub may send ahead of our credit.
const CREDIT: u32 = 256;
/// Most frames, and bytes of bodies, in one journal group.
const BATCH_FRAMES: usize = 256;
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Largest window that is used, whatever the hub offers.
const MAX_WINDOW: usize = 1024;
/// Frames that may wait for the network; above the window, so that sending never waits for reading.
const WAITING_FRAMES: usize = 4096;
/// How long the hub may take to say Welcome.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// The first and the longest wait before connecting anew.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const MAX_BACK_OFF: Duration = Duration::from_secs(5);
/// A stream that lasted so long was a good one: the next break is a new one.
const STEADY: Duration = Duration::from_secs(1);

/// What the link to the hub needs.
pub(crate) struct Uplink {
    pub(crate) me: CountryCode,
    /// What is signed with, as it is renewed.
    pub(crate) credentials: watch::Receiver<Arc<Credentials>>,
    pub(crate) root: Arc<Root>,
    pub(crate) journal: Journal,
    pub(crate) attachments: Attachments,
    pub(crate) exchange: Exchange,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: Arc<dyn Dice>,
    pub(crate) state: watch::Sender<State>,
}

impl Uplink {
    /// Holds the connection until `stop`.
    ///
    /// # Cancel safety
    /// Dropped at any point nothing is lost: the next stream begins from the journal.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut back_off = FIRST_BACK_OFF;
        while !stop.is_cancelled() && !self.journal.stopped().is_cancelled() {
            let begun = self.clock.monotonic();
            // Dropping a session drops its stream; everything else is in the journal.
            let ended = tokio::select! {
                () = stop.cancelled() => break,
                ended = self.session() => ended,
            };
            let was_connected = self.state.borrow().connected;
            self.state.send_modify(|state| state.connected = false);
            // A stream that breaks as soon as it is greeted would break ten times a second.
            if was_connected && self.clock.monotonic().saturating_sub(begun) >= STEADY {
                back_off = FIRST_BACK_OFF;
            }
            match ended {
                Broken::Stream(why) => tracing::info!(why, "the link to the hub is down; connecting anew"),
                Broken::Farewell(refusal) if refusal.reason == Reason::Behind => {
                    self.halt(&hub_behind(&refusal));
                    back_off = MAX_BACK_OFF;
                }
                Broken::Farewell(refusal) if refusal.reason == Reason::NumberReused => {
                    self.number_reused(&refusal);
                    back_off = MAX_BACK_OFF;
                }
                Broken::Farewell(refusal) => {
                    tracing::warn!(%refusal, "the hub ended the link");
                    back_off = back_off.max(refusal.retry_after.unwrap_or_default()).min(MAX_BACK_OFF);
                }
                Broken::Halt(halt) => {
                    self.halt(&halt);
                    back_off = MAX_BACK_OFF;
                }
            }
            let jitter = self.dice.below(u64::try_from(back_off.as_millis()).unwrap_or(0) / 2 + 1);
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(back_off / 2 + Duration::from_millis(jitter)) => {}
                () = self.new_epoch() => {}
            }
            back_off = (back_off * 2).min(MAX_BACK_OFF);
        }
        self.state.send_modify(|state| state.connected = false);
    }

    /// The credentials of this moment. What is signed already keeps its signature.
    fn own(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.borrow())
    }

    fn halt(&self, halt: &Halt) {
        if self.state.borrow().halted != halt.text() {
            tracing::error!(why = halt.text(), "halted: neither sending nor acknowledging");
        }
        self.state.send_modify(|state| {
            state.halted = halt.text().to_owned();
            state.doubted = matches!(halt, Halt::HubBehind(_));
            if !matches!(halt, Halt::BureauBehind(_)) {
                state.behind = None;
            }
        });
    }

    /// Returns when a new epoch has begun: there is no reason to wait any longer.
    async fn new_epoch(&self) {
        let mut applied = self.journal.applied();
        let before = self.journal.views().outbox.epoch;
        while applied.changed().await.is_ok() {
            if self.journal.views().outbox.epoch != before {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// The hub holds other bytes under a number of this bureau, and said so before its Welcome.
    fn number_reused(&self, refusal: &Refusal) {
        let views = self.journal.views();
        // What is known without a Welcome: enough to begin a new epoch.
        let end = pb::LaneEnd { lane: pb::Lane::VeryUrgent.into(), number: u64::MAX, ..Default::default() };
        let welcome = pb::Welcome {
            log_id: Bytes::copy_from_slice(&views.outbox.log_id),
            log_end: views.outbox.log_end_seen,
            epoch: views.outbox.epoch,
            accepted: vec![end],
            ..Default::default()
        };
        let recover = recover(&views);
        drop(views);
        self.state.send_modify(|state| state.behind = Some(Arc::new(welcome)));
        self.halt(&Halt::BureauBehind(format!("the hub ended the link: {refusal}; {recover}")));
    }

    /// One stream, from Hello to its end.
    async fn session(&self) -> Broken {
        match self.greet().await {
            Ok(mut session) => match session.run().await {
                Ok(never) => never,
                Err(broken) => broken,
            },
            Err(broken) => broken,
        }
    }

    async fn greet(&self) -> Result<Session<'_>, Broken> {
        let hello = hello(&self.journal.views());
        let (frames, outgoing) = mpsc::channel(WAITING_FRAMES);
        put(&frames, Up::Hello(hello))?;
        let mut exchange = self.exchange.clone();
        let connecting = exchange.connect(ReceiverStream::new(outgoing));
        let greeted = tokio::time::timeout(WELCOME_WITHIN, async {
            let mut incoming = connecting.await?.into_inner();
            let first = incoming.message().await?;
            Ok::<_, tonic::Status>((incoming, first))
        });
        let late = |_| Broken::Stream("no welcome in time".into());
        let (incoming, first) = greeted.await.map_err(late)?.map_err(|status| refused(&status))?;
        let welcome = match first.and_then(|response| response.frame) {
            Some(Down::Welcome(welcome)) => welcome,
            Some(Down::Farewell(refusal)) => {
                let refusal = Refusal::try_from(refusal);
                return Err(refusal.map_or_else(|why| Broken::Stream(why.to_string()), Broken::Farewell));
            }
            _ => return Err(Broken::Stream("the hub did not begin with a welcome".into())),
        };
        let checked = check_welcome(&welcome, &self.journal.views());
        if let Err(halt) = checked {
            if matches!(halt, Halt::BureauBehind(_)) {
                self.state.send_modify(|state| state.behind = Some(Arc::new(welcome)));
            }
            return Err(Broken::Halt(halt));
        }
        tracing::info!(log_end = welcome.log_end, program = welcome.program, "connected to the hub");
        let doubted = self.state.borrow().doubted;
        if !doubted {
            self.state.send_replace(State { connected: true, ..State::default() });
        }
        let views = self.journal.views();
        let window = (welcome.window as usize).clamp(1, MAX_WINDOW);
        Ok(Session {
            uplink: self,
            inbound: Inbound::new(self.me, Arc::clone(&self.root), &welcome, &views),
            outbound: Outbound::new(window, &views.outbox),
            log_id: welcome.log_id,
            marks: Marks::new(&views.inbox),
            doubted: doubted.then(|| self.clock.monotonic()),
            statuses: Statuses::default(),
            lost: Lost::default(),
            frames,
            incoming,
            uploads: JoinSet::new(),
            uploading: None,
        })
    }
}

/// An open stream.
struct Session<'a> {
    uplink: &'a Uplink,
    inbound: Inbound,
    outbound: Outbound,
    log_id: Bytes,
    marks: Marks,
    /// Since when the hub has to show that it is whole, in monotonic time; none once it has.
    doubted: Option<Duration>,
    statuses: Statuses,
    lost: Lost,
    frames: mpsc::Sender<pb::ConnectRequest>,
    incoming: tonic::Streaming<pb::ConnectResponse>,
    /// One upload at a time; dropped with the session.
    uploads: JoinSet<Result<(), UploadError>>,
    uploading: Option<Hash>,
}

impl Session<'_> {
    async fn run(&mut self) -> Result<Broken, Broken> {
        put(&self.frames, Up::Credit(pb::Credit { deliveries: CREDIT }))?;
        let mut batch = Batch::default();
        let mut applied = self.uplink.journal.applied();
        let clock = Arc::clone(&self.uplink.clock);
        loop {
            let wait = self.turn(&mut batch).await?;
            // Every arm is cancel-safe: frames stay in the stream, results of uploads and questions in their sets,
            // and the rest is only a wake-up.
            tokio::select! {
                frame = self.incoming.message() => self.take(frame, &mut batch)?,
                changed = applied.changed() => {
                    changed.map_err(|_| Broken::Stream("the journal has stopped".into()))?;
                }
                Some(done) = self.uploads.join_next() => self.uploaded(done),
                Some(answer) = self.statuses.answered() => {
                    let views = self.uplink.journal.views();
                    for status in self.statuses.take(answer, clock.monotonic()) {
                        heard(status, &views, &mut batch);
                    }
                }
                () = sleep_on(&*clock, wait) => {}
            }
            self.drain(&mut batch)?;
        }
    }

    /// Takes the frames that are there already.
    fn drain(&mut self, batch: &mut Batch) -> Result<(), Broken> {
        for _ in 1..BATCH_FRAMES {
            if batch.bytes > BATCH_BYTES {
                break;
            }
            let Some(frame) = self.incoming.message().now_or_never() else { break };
            self.take(frame, batch)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        frame: Result<Option<pb::ConnectResponse>, tonic::Status>,
        batch: &mut Batch,
    ) -> Result<(), Broken> {
        let response = frame.map_err(|status| refused(&status))?;
        let response = response.ok_or_else(|| Broken::Stream("the hub ended the stream".into()))?;
        if let Some(Down::Progress(pb::Progress { status: Some(status) })) = &response.frame {
            self.statuses.told(&status.id);
        }
        let views = self.uplink.journal.views();
        self.inbound.take(response.frame, self.uplink.clock.now(), &views, batch)
    }

    /// Writes what has gathered together with what is to be sent, then acknowledges and sends. Returns how long
    /// until there is more to do even if nothing happens.
    async fn turn(&mut self, batch: &mut Batch) -> Result<Duration, Broken> {
        let now = self.uplink.clock.monotonic();
        let mut batch = std::mem::take(batch);
        for id in &batch.answered {
            self.outbound.answered(id);
        }
        for (id, wait, reason) in &batch.later {
            if *reason == Reason::AttachmentMissing
                && let Some(sent) = self.uplink.journal.views().outbox.get(id)
            {
                self.outbound.not_uploaded(&sent.attachments);
            }
            self.outbound.later(id, *wait, now);
        }
        self.believe(&batch, now);
        // One is enough to ask with whether the hub accepts.
        let limit =
            if self.doubted.is_some() { usize::from(self.outbound.is_idle()) } else { i247_trust::MAX_BURST };
        let next = self.outbound.take(&self.uplink.journal.views().outbox, now, limit);
        self.begin_upload(&next);
        let mut notes = self.own_notes(&batch, now);
        let own = self.uplink.own();
        let sealed = seal(&self.uplink.journal, &own.signing_key, self.uplink.clock.now(), &next.messages);
        let mut burst = sealed.await.map_err(|error| Broken::Halt(Halt::Other(error.to_string())))?;
        notes.append(&mut batch.take_notes());
        notes.append(&mut burst.notes);
        if !notes.is_empty() {
            let written = self.uplink.journal.write(notes).await;
            written.map_err(|error| Broken::Stream(error.to_string()))?;
        }
        self.acknowledge(&batch)?;
        self.marks.sent(burst.fresh);
        for (id, envelope) in next.messages.iter().zip(burst.envelopes) {
            tracing::debug!(message_id = %id, country = %self.uplink.me, "sent to the hub");
            put(&self.frames, Up::Envelope(envelope))?;
        }
        let more = next.messages.len() == i247_trust::MAX_BURST || !self.new_marks().is_empty();
        if more {
            return Ok(Duration::ZERO);
        }
        let doubt = self.doubted.map(|since| (since + STEADY).saturating_sub(now));
        let waits = [self.outbound.wait(now), self.statuses.wait(now), doubt.filter(|wait| !wait.is_zero())];
        Ok(waits.into_iter().flatten().min().unwrap_or(Duration::MAX))
    }

    /// A hub that said it is an older copy is believed again when it answers a message otherwise, or when there is
    /// nothing for it to answer and it takes receipts for a while.
    fn believe(&mut self, batch: &Batch, now: Duration) {
        let Some(since) = self.doubted else { return };
        let answered = !batch.answered.is_empty() || !batch.later.is_empty();
        if answered || (self.outbound.is_idle() && now.saturating_sub(since) >= STEADY) {
            self.doubted = None;
            tracing::info!("the hub accepts again");
            self.uplink.state.send_replace(State { connected: true, ..State::default() });
        }
    }

    /// What follows from the state of this stream: marks that the hub has for certain, voids. Asks about messages, too.
    fn own_notes(&mut self, batch: &Batch, now: Duration) -> Vec<Note> {
        let views = self.uplink.journal.views();
        self.statuses.ask(&self.uplink.exchange, &views.outbox, now);
        let mut notes = self.lost.voids(&views.outbox, &self.outbound, &*self.uplink.dice);
        if let Some(marks) = self.marks.proven(&batch.answered, &views.inbox) {
            notes.push(Event::Told(pb::JournalTold { marks: marks as u64 }).into());
        }
        notes
    }

    /// Signed receipts for what is durable here, and what officers did since; credit apart.
    fn acknowledge(&mut self, batch: &Batch) -> Result<(), Broken> {
        let mut lanes: Vec<LaneReceipt> = batch.lanes.iter().map(|lane| self.receipt(*lane)).collect();
        let marks = self.new_marks();
        for mark in &marks {
            if !lanes.iter().any(|receipt| receipt.lane == mark.lane) {
                lanes.push(self.receipt(mark.lane));
            }
        }
        self.marks.tell(&marks, &mut lanes);
        if !lanes.is_empty() {
            lanes.sort_by_key(|receipt| receipt.lane);
            put(&self.frames, Up::Receipts(self.signed(lanes)))?;
        }
        if batch.deliveries > 0 {
            put(&self.frames, Up::Credit(pb::Credit { deliveries: batch.deliveries }))?;
        }
        Ok(())
    }

    /// What officers did and the hub was not told yet, as far as the hub has handed out what they did it to.
    fn new_marks(&self) -> Vec<Mark> {
        self.marks.due(&self.uplink.journal.views().inbox, |lane| self.inbound.receivable(lane))
    }

    fn receipt(&self, lane: Lane) -> LaneReceipt {
        LaneReceipt {
            lane,
            delivered_up_to: self.inbound.receivable(lane),
            opened: Vec::new(),
            actioned: Vec::new(),
        }
    }

    fn signed(&self, lanes: Vec<LaneReceipt>) -> pb::Signed {
        let party = Party::Bureau(self.uplink.me);
        let receipts = Receipts { party, lanes, signed_at: self.uplink.clock.now() };
        let frame = i247_wire::receipts(&receipts, self.log_id.clone());
        i247_trust::sign(&self.uplink.own().signing_key, i247_wire::payload::RECEIPTS, frame.encode_to_vec())
    }

    fn begin_upload(&mut self, next: &Next) {
        if self.uploading.is_some() {
            return;
        }
        let Some(attachment) = next.attachments.first().copied() else { return };
        self.uploading = Some(attachment);
        let (exchange, store) = (self.uplink.exchange.clone(), self.uplink.attachments.clone());
        self.uploads.spawn(async move { upload(exchange, &store, attachment).await });
    }

    fn uploaded(&mut self, done: Result<Result<(), UploadError>, tokio::task::JoinError>) {
        let Some(attachment) = self.uploading.take() else { return };
        match done {
            Ok(Ok(())) => self.outbound.uploaded(attachment),
            Ok(Err(error)) => {
                tracing::warn!(%attachment, %error, "an upload failed");
                if matches!(error, UploadError::Damaged) {
                    self.lost.found(attachment);
                }
                self.outbound.hold_uploads(self.uplink.clock.monotonic());
            }
            Err(error) => {
                tracing::error!(%attachment, %error, "an upload broke off");
                self.outbound.hold_uploads(self.uplink.clock.monotonic());
            }
        }
    }
}

/// Hands a frame to the network without waiting: the window and the credit bound what can be there.
fn put(frames: &mpsc::Sender<pb::ConnectRequest>, frame: Up) -> Result<(), Broken> {
    frames
        .try_send(pb::ConnectRequest { frame: Some(frame) })
        .map_err(|_| Broken::Stream("the hub does not read".into()))
}

fn refused(status: &tonic::Status) -> Broken {
    match i247_wire::refusal(status) {
        Some(refusal) => Broken::Farewell(refusal),
        None => {
            let cause = i247_node::ConnectError::of(status);
            Broken::Stream(cause.map_or_else(|| format!("{:?}", status.code()), ToString::to_string))
        }
    }
}
