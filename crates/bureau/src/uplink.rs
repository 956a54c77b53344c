//! The one connection to the hub: greets, and goes on with a session, for ever. When hub and bureau do not remember the
//! same it says so and keeps still. It must not decide what follows from a message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use i247_model::{CountryCode, Reason, Refusal};
use i247_node::{Clock, Dice, sleep};
use i247_trust::{Credentials, Root};
use i247_wire::pb;
use i247_wire::pb::connect_request::Frame as Up;
use i247_wire::pb::connect_response::Frame as Down;
use i247_wire::pb::journal_entry::Event;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::attachments::Attachments;
use crate::greeting::{Halt, check_welcome, hello, hub_behind, recover};
use crate::inbound::Broken;
use crate::journal::Journal;
use crate::link::{Exchange, State};
use crate::session::Session;
use crate::takeover;

/// Frames that may wait for the network; above the window, so that sending never waits for reading.
const WAITING_FRAMES: usize = 4096;
/// How long the hub may take to say Welcome.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// The first and the longest wait before connecting anew.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const MAX_BACK_OFF: Duration = Duration::from_secs(5);
/// A stream that lasted so long was a good one: the next break is a new one.
pub(crate) const STEADY: Duration = Duration::from_secs(1);

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
                Broken::TakenOver => back_off = FIRST_BACK_OFF,
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
    pub(crate) fn own(&self) -> Arc<Credentials> {
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
        let hello = hello(&self.journal.views(), self.clock.now());
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
        let taken = takeover::due(&welcome, &self.journal.views());
        if let Some(taken) = taken {
            return Err(self.take_over(taken).await);
        }
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
        Ok(Session::new(self, welcome, doubted, (frames, incoming)))
    }

    /// Another log of the hub goes on from the one that is known here. Once that is journaled the hub is greeted anew:
    /// what was said in this greeting was about the log that is no more.
    async fn take_over(&self, taken: pb::JournalTakenOver) -> Broken {
        let end = taken.previous_end;
        if let Err(error) = self.journal.write(vec![Event::TakenOver(taken).into()]).await {
            return Broken::Stream(error.to_string());
        }
        let warning = takeover::warning(&self.journal.views());
        tracing::warn!(end, warning, "the hub was restored from an older copy and goes on with another log");
        self.state.send_replace(State::default());
        Broken::TakenOver
    }
}

/// Hands a frame to the network without waiting: the window and the credit bound what can be there.
pub(crate) fn put(frames: &mpsc::Sender<pb::ConnectRequest>, frame: Up) -> Result<(), Broken> {
    frames
        .try_send(pb::ConnectRequest { frame: Some(frame) })
        .map_err(|_| Broken::Stream("the hub does not read".into()))
}

pub(crate) fn refused(status: &tonic::Status) -> Broken {
    match i247_wire::refusal(status) {
        Some(refusal) => Broken::Farewell(refusal),
        None => {
            let cause = i247_node::ConnectError::of(status);
            Broken::Stream(cause.map_or_else(|| format!("{:?}", status.code()), ToString::to_string))
        }
    }
}
