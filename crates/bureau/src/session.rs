//! One stream between bureau and hub, from Welcome to its end.
//!
//! ```text
//!  hub ─► frames ─► inbound: check ─┐                       ┌─► receipts, credit
//!                                   ├─► one journal group ──┤
//!  outbox ─► window ─► seal ────────┘                       └─► envelopes
//! ```
//!
//! Nothing is acknowledged or sent before the group that holds it is durable. It must not decide what follows from a
//! message.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use i247_model::{Hash, Lane, LaneReceipt, MessageId, Party, Reason, Receipts};
use i247_node::sleep_on;
use i247_wire::pb;
use i247_wire::pb::connect_request::Frame as Up;
use i247_wire::pb::connect_response::Frame as Down;
use i247_wire::pb::journal_entry::Event;
use i247_wire::pb::submit_result::Result as Outcome;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::greeting::Halt;
use crate::handover::{self, Handover};
use crate::inbound::{Batch, Broken, Inbound, heard};
use crate::inbox::Mark;
use crate::journal::Note;
use crate::link::State;
use crate::lost::Lost;
use crate::marks::Marks;
use crate::outbound::{Next, Outbound};
use crate::sealing::{Outgoing, seal};
use crate::statuses::Statuses;
use crate::takeover;
use crate::uplink::{STEADY, Uplink, put, refused};
use crate::upload::{UploadError, upload};

/// Deliveries that the hub may send ahead of our credit.
const CREDIT: u32 = 256;
/// Most frames, and bytes of bodies, in one journal group.
const BATCH_FRAMES: usize = 256;
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Largest window that is used, whatever the hub offers.
const MAX_WINDOW: usize = 1024;

/// An open stream.
pub(crate) struct Session<'a> {
    uplink: &'a Uplink,
    inbound: Inbound,
    outbound: Outbound,
    log_id: Bytes,
    marks: Marks,
    /// Since when the hub has to show that it is whole, in monotonic time; none once it has.
    doubted: Option<Duration>,
    statuses: Statuses,
    lost: Lost,
    handover: Handover,
    /// Sent again without the acceptance of a predecessor, which the hub does not believe.
    disbelieved: BTreeSet<MessageId>,
    frames: mpsc::Sender<pb::ConnectRequest>,
    incoming: tonic::Streaming<pb::ConnectResponse>,
    /// One upload at a time; dropped with the session.
    uploads: JoinSet<Result<(), UploadError>>,
    uploading: Option<Hash>,
}

/// Both directions of the stream.
pub(crate) type Stream = (mpsc::Sender<pb::ConnectRequest>, tonic::Streaming<pb::ConnectResponse>);

impl<'a> Session<'a> {
    /// Begins behind the hub's welcome. A hub that is `doubted` has to show first that it is whole.
    pub(crate) fn new(
        uplink: &'a Uplink,
        welcome: pb::Welcome,
        doubted: bool,
        (frames, incoming): Stream,
    ) -> Self {
        let views = uplink.journal.views();
        let window = (welcome.window as usize).clamp(1, MAX_WINDOW);
        Self {
            uplink,
            inbound: Inbound::new(uplink.me, Arc::clone(&uplink.root), &welcome, &views),
            outbound: Outbound::new(window, &views.outbox),
            log_id: welcome.log_id,
            marks: Marks::new(&views.inbox),
            doubted: doubted.then(|| uplink.clock.monotonic()),
            statuses: Statuses::default(),
            lost: Lost::default(),
            handover: Handover::default(),
            disbelieved: BTreeSet::new(),
            frames,
            incoming,
            uploads: JoinSet::new(),
            uploading: None,
        }
    }

    /// Runs until the stream breaks.
    pub(crate) async fn run(&mut self) -> Result<Broken, Broken> {
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
        self.inbound.settle(&self.uplink.journal.views(), batch)
    }

    fn take(
        &mut self,
        frame: Result<Option<pb::ConnectResponse>, tonic::Status>,
        batch: &mut Batch,
    ) -> Result<(), Broken> {
        let response = frame.map_err(|status| refused(&status))?;
        let response = response.ok_or_else(|| Broken::Stream("the hub ended the stream".into()))?;
        if let Some(Down::Progress(progress)) = &response.frame {
            progress.statuses.iter().for_each(|status| self.statuses.told(&status.id));
        }
        let views = self.uplink.journal.views();
        if let Some(Down::Result(result)) = &response.frame
            && self.handover.answered(result, &views.inbox, self.uplink.clock.monotonic())
        {
            self.outbound.returned(&result.id);
            return Ok(());
        }
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
        self.disbelieved.extend(std::mem::take(&mut batch.disbelieved));
        self.believe(&batch, now);
        // One is enough to ask with whether the hub accepts.
        let limit =
            if self.doubted.is_some() { usize::from(self.outbound.is_idle()) } else { i247_trust::MAX_BURST };
        let next = self.outbound.take(&self.uplink.journal.views().outbox, now, limit);
        let handed = self.hand_over(next.messages.len(), now).await?;
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
        if batch.given_back {
            self.statuses.begin_again();
        }
        self.acknowledge(&batch)?;
        self.marks.sent(burst.fresh);
        for id in &burst.skipped {
            self.outbound.answered(id);
        }
        for outgoing in burst.outgoing {
            tracing::debug!(message_id = %outgoing.id, country = %self.uplink.me, "sent to the hub");
            put(&self.frames, self.frame(outgoing))?;
        }
        let sent = next.messages.len() + handed.len();
        for envelope in handed {
            put(&self.frames, Up::HandedOver(envelope))?;
        }
        let more = sent >= i247_trust::MAX_BURST || !self.new_marks().is_empty();
        if more {
            return Ok(Duration::ZERO);
        }
        let doubt = self.doubted.map(|since| (since + STEADY).saturating_sub(now));
        let waits = [
            self.outbound.wait(now),
            self.statuses.wait(now),
            self.handover.wait(now),
            doubt.filter(|wait| !wait.is_zero()),
        ];
        Ok(waits.into_iter().flatten().min().unwrap_or(Duration::MAX))
    }

    /// What is handed over behind so many messages of this bureau. They go first as far as they can go: one may wait for
    /// what it refers to, and only this bureau may have that.
    async fn hand_over(&mut self, before: usize, now: Duration) -> Result<Vec<pb::Envelope>, Broken> {
        let journal = &self.uplink.journal;
        let mut limit = i247_trust::MAX_BURST.saturating_sub(before).min(self.outbound.room());
        if self.doubted.is_some() {
            limit = 0;
        }
        let handed = self.handover.take(&journal.views().inbox, now, limit);
        let mut envelopes = Vec::with_capacity(handed.len());
        for handed in handed {
            let read = handover::envelope(journal, &handed).await;
            match read.map_err(|error| Broken::Stream(error.to_string()))? {
                Some(envelope) => {
                    tracing::debug!(message_id = %handed.id, country = %self.uplink.me, "handed over to the hub");
                    self.outbound.lend(handed.id);
                    envelopes.push(envelope);
                }
                None => {
                    tracing::error!(message_id = %handed.id, "damaged or erased here: it cannot be handed over to the hub");
                    self.handover.give_up(&handed.id);
                }
            }
        }
        Ok(envelopes)
    }

    /// What a message goes out as: with what a predecessor of the hub's log said of it, if that log said anything.
    fn frame(&self, outgoing: Outgoing) -> Up {
        let Outgoing { id, envelope, answered } = outgoing;
        let (acceptance, refusal) = match answered.filter(|_| !self.disbelieved.contains(&id)) {
            Some(Outcome::Acceptance(acceptance)) => (Some(acceptance), None),
            Some(Outcome::Refusal(refusal)) => (None, Some(refusal)),
            None => return Up::Envelope(envelope),
        };
        Up::Resubmission(pb::Resubmission { envelope: Some(envelope), acceptance, refusal })
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

    /// What follows from the state of this stream: which log it is of, marks that the hub has for certain, voids, that
    /// all is handed over. Asks about messages, too.
    fn own_notes(&mut self, batch: &Batch, now: Duration) -> Vec<Note> {
        let views = self.uplink.journal.views();
        self.statuses.ask(&self.uplink.exchange, &views.outbox, now);
        let mut notes = self.lost.voids(&views.outbox, &self.outbound, &*self.uplink.dice);
        if let Some(marks) = self.marks.proven(&batch.answered, &views.inbox) {
            notes.push(Event::Told(pb::JournalTold { marks: marks as u64 }).into());
        }
        if let Some(first) = takeover::first(&self.log_id, &views, batch.deliveries > 0) {
            notes.push(Event::TakenOver(first).into());
        }
        if self.handover.is_done(&views.inbox) {
            notes.push(Event::HandedOver(pb::JournalHandedOver { log_id: self.log_id.clone() }).into());
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
        let own = next.attachments.first().copied();
        let Some(attachment) = own.or_else(|| self.handover.attachment()) else { return };
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
