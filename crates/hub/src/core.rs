//! What the services share: the views to read, the queue to the sequencer, the stores beside the log.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bytes::Bytes;
use i247_ledger::attachments::Attachments;
use i247_ledger::disk::{Disk, Room};
use i247_ledger::{Blocking, Ledger, outcome};
use i247_model::{Identity, Party, Reason, Refusal, Timestamp};
use i247_node::{Clock, Live, Stage};
use i247_router::Standing;
use i247_trust::{Credentials, verify};
use i247_wire::{payload, pb};
use prost::Message as _;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::alerts::Book;
use crate::audit::Audit;
use crate::calls::Calls;
use crate::copies::Copies;
use crate::databases::Databases;
use crate::flow::Flow;
use crate::gauges::Counters;
use crate::grants::Grants;
use crate::links::Links;
use crate::loads::Pace;
use crate::lookups::Lookups;
use crate::opening::{Checked, Opening, Receipting};
use crate::overdue::Overdue;
use crate::predecessors::{self, Given};
use crate::pulse::Pulse;
use crate::quota::Quotas;
use crate::recent::Recent;
use crate::searched::Searched;
use crate::sequencer::{Answer, Work};
use crate::views::Views;

/// What proved that this hub is an older copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Behind {
    /// The bureau that has the proof.
    pub(crate) party: Party,
    /// The entry of which it holds this hub's acceptance.
    pub(crate) proved: u64,
    /// Where the log ended.
    pub(crate) end: u64,
}

/// Shared by every service and stream of a hub.
pub(crate) struct Core {
    pub(crate) views: Arc<RwLock<Views>>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) databases: Arc<Databases>,
    pub(crate) attachments: Attachments,
    pub(crate) links: Arc<Links>,
    /// Whose connections are open.
    pub(crate) live: Live,
    pub(crate) recent: Arc<Recent>,
    pub(crate) quotas: Quotas,
    pub(crate) grants: Arc<Grants>,
    /// Keys that members ask the databases for.
    pub(crate) searches: Quotas,
    pub(crate) audit: Arc<Audit>,
    pub(crate) copies: Arc<Copies>,
    /// How fast loads go beside searches.
    pub(crate) pace: Pace,
    /// What was searched for lately, for operators.
    pub(crate) searched: Searched,
    /// The entry with which the register of hits changed last.
    pub(crate) hits: watch::Receiver<u64>,
    /// The last entry from which records follow.
    pub(crate) fed: watch::Receiver<u64>,
    pub(crate) counters: Counters,
    /// What moves, for those who watch.
    pub(crate) flow: Arc<Flow>,
    /// Who looked at what.
    pub(crate) lookups: Lookups,
    pub(crate) alerts: Book,
    pub(crate) overdue: Overdue,
    /// How the sequencer is doing.
    pub(crate) pulse: Arc<Pulse>,
    /// Where the data is.
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) data: PathBuf,
    pub(crate) room: Mutex<Option<Room>>,
    /// What the hub signs and presents itself with, as it is renewed.
    pub(crate) own: watch::Receiver<Arc<Credentials>>,
    pub(crate) began: Timestamp,
    pub(crate) work: mpsc::Sender<Work>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where signatures are checked and snapshots are taken.
    pub(crate) blocking: Arc<dyn Blocking>,
    pub(crate) handing_out: Arc<tokio::sync::RwLock<()>>,
    pub(crate) writable: watch::Receiver<bool>,
    pub(crate) opening: Opening,
    /// Submissions that come by call.
    pub(crate) calls: Calls,
    pub(crate) receipting: Receipting,
    /// A bureau holds a receipt from beyond the end of the log: an older copy was started. Nothing is entered then, so
    /// that the log never comes up to it, and this stays until the hub is stopped.
    pub(crate) behind: watch::Sender<Option<Behind>>,
    pub(crate) log_id: Bytes,
    /// Whether the log was ever taken up again: only then does anything come back.
    pub(crate) recovered: bool,
    /// Which hub it is.
    pub(crate) me: Identity,
    pub(crate) window: u32,
    pub(crate) progress_wait: Duration,
    /// Places for those who watch.
    pub(crate) watchers: Arc<Semaphore>,
    /// Owns the tasks of the streams.
    pub(crate) streams: Stage,
}

impl Core {
    pub(crate) fn views(&self) -> RwLockReadGuard<'_, Views> {
        self.views.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to which entry of the log the databases know it.
    pub(crate) fn databases_as_of(&self) -> u64 {
        // Every search asks: it must not wait for the views, nor for the databases, to take something in. The end is read
        // first: what is told to feed them was told before it.
        let end = self.pulse.applied();
        let fed_at = *self.fed.borrow();
        // From what came later nothing follows for them.
        let taken_in = self.databases.taken_in();
        if taken_in >= fed_at { end } else { taken_in }
    }

    /// How many entries of the log its slowest view has yet to take in: the databases, which follow the others by
    /// themselves.
    pub(crate) fn behind_log(&self) -> u64 {
        let end = self.views().position;
        end.saturating_sub(self.databases_as_of())
    }

    /// Whether anything is taken at all. A full disk is the sequencer's business.
    ///
    /// # Errors
    /// `BEHIND` on an older copy.
    pub(crate) fn check_open(&self) -> Result<(), Refusal> {
        if self.behind.borrow().is_some() {
            return Err(Refusal::of(Reason::Behind, "log_end_seen"));
        }
        Ok(())
    }

    /// The entry from beyond the end of the log of which a bureau holds this hub's acceptance; none when it holds none.
    pub(crate) fn proves_later(&self, views: &Views, hello: &pb::Hello) -> Option<u64> {
        let signed = hello.newest_acceptance.as_ref()?;
        let key = i247_wire::hash(&signed.key_id, "newest_acceptance.key_id").ok()?;
        let signer = views.signers.find(&key).map(|known| known.signer.clone())?;
        if signer.identity != self.me {
            return None;
        }
        let payload = verify(signed, payload::ACCEPTANCE, &signer.key).ok()?;
        let acceptance = pb::Acceptance::decode(payload).ok()?;
        let later = acceptance.log_id == self.log_id && acceptance.position > views.position;
        later.then_some(acceptance.position)
    }

    /// Looks how much room the disk of the log has.
    pub(crate) async fn look_at_room(&self) {
        let (disk, data) = (self.disk.clone(), self.data.clone());
        let room = outcome(&*self.blocking, move || disk.room(&data)).await.and_then(Result::ok).flatten();
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }

    /// How much room there was at the last look; none where nobody can say.
    pub(crate) fn room(&self) -> Option<Room> {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges a call for so many messages. A stream waits instead.
    ///
    /// # Errors
    /// `BUSY` with the time after which they may come again.
    pub(crate) fn charge(&self, member: &Identity, count: usize) -> Result<(), Refusal> {
        let taken = self.quotas.take(member, count, self.clock.monotonic());
        taken.map_err(|wait| self.count(member, Refusal::of(Reason::Busy, "quota").retry_after(wait)))
    }

    /// Counts a refusal of which the sequencer does not hear.
    pub(crate) fn count(&self, peer: &Identity, refusal: Refusal) -> Refusal {
        let from = peer.sender().map_or(Party::Secretariat, |sender| sender.party());
        self.flow.refused(from, None, None, refusal.reason);
        refusal
    }

    /// Checks what has gathered from one member: signatures together, then bodies and attachments one by one.
    /// The member waits for it; nobody else does. There is a result for every envelope, in their order, and every
    /// refusal is counted. On an older copy nothing is looked at: all are `BEHIND`.
    pub(crate) async fn check(
        &self,
        given: Vec<(pb::Envelope, Given)>,
        peer: &Identity,
    ) -> Vec<Result<Checked, Refusal>> {
        if let Err(refusal) = self.check_open() {
            return given.iter().map(|_| Err(self.count(peer, refusal.clone()))).collect();
        }
        let count = given.len();
        let opened = self.opening.open(given, peer).await;
        // Every sender hears of it all the same.
        let not_done = || (0..count).map(|_| Err(Refusal::of(Reason::Busy, "envelope"))).collect();
        let opened: Vec<Result<Checked, Refusal>> = opened.unwrap_or_else(not_done);
        let mut checked = Vec::with_capacity(opened.len());
        for result in opened {
            let admitted = match result {
                Ok(message) => self.admit(message, peer).await,
                Err(refusal) => Err(refusal),
            };
            checked.push(admitted.map_err(|refusal| self.count(peer, refusal)));
        }
        checked
    }

    /// A message to the sequencer, behind those before it. Its result comes when it is durable; without one the hub
    /// stops, and the same bytes may come again.
    ///
    /// # Errors
    /// `BUSY` when the hub stops.
    pub(crate) async fn queue(
        &self,
        message: Checked,
    ) -> Result<oneshot::Receiver<pb::SubmitResult>, Refusal> {
        let Checked { attested, lifted, way } = message;
        let (answer, result) = oneshot::channel();
        let work = Work::Submission { attested, lifted, way, answer: Answer::Once(answer) };
        self.work.send(work).await.map_err(|_| Refusal::of(Reason::Busy, "envelope"))?;
        Ok(result)
    }

    /// Messages to the sequencer in this order, and their results.
    ///
    /// # Errors
    /// `BUSY` when the hub stops: what was not answered may be entered or not, and the
    /// same bytes may come again.
    pub(crate) async fn submit(&self, messages: Vec<Checked>) -> Result<Vec<pb::SubmitResult>, Refusal> {
        let mut waiting = Vec::with_capacity(messages.len());
        for message in messages {
            waiting.push(self.queue(message).await?);
        }
        let mut results = Vec::with_capacity(waiting.len());
        for result in waiting {
            results.push(result.await.map_err(|_| Refusal::of(Reason::Busy, "envelope"))?);
        }
        Ok(results)
    }

    /// Whether this message may come from this peer now, and whether what it names is there.
    async fn admit(&self, checked: Checked, peer: &Identity) -> Result<Checked, Refusal> {
        let attested = &checked.attested;
        let signer = attested.signer();
        let own = signer.identity == *peer;
        let behind_it = match (&signer.identity, peer) {
            (Identity::Post(home, _), Identity::Bureau(country)) => home == country,
            _ => false,
        };
        if !own && !behind_it && !checked.way.is_handed_over() {
            return Err(Refusal::of(Reason::WrongSender, "id"));
        }
        {
            let views = self.views();
            let directory = views.state.directory();
            // The standing of the sender is the router's business; a key that is void signs nothing.
            let active = directory.standing(&signer.identity) == Some(Standing::Active);
            if active && !directory.signing_key_allowed(&signer.identity, &signer.key_id) {
                return Err(Refusal::of(Reason::CertificateNotInForce, "key_id"));
            }
        }
        for commitment in &attested.header().attachments {
            // It stays from here on, before the message is written that may name it for ever.
            let kept = self.attachments.keep(*commitment.as_bytes()).await.map_err(|error| {
                tracing::error!(%error, "cannot keep an attachment");
                Refusal::of(Reason::ReadOnly, "attachments").retry_after(Duration::from_secs(1))
            })?;
            if !kept {
                let missing = Refusal::of(Reason::AttachmentMissing, "attachments");
                let late =
                    checked.way.is_handed_over() && !self.views().state.is_recovering(self.clock.now());
                return Err(if late {
                    predecessors::too_late(missing)
                } else {
                    missing.retry_after(Duration::from_secs(1))
                });
            }
        }
        Ok(checked)
    }
}

/// The mailbox of whoever is at the other end.
///
/// # Errors
/// `NOT_AUTHORISED` for those who have none.
pub(crate) fn mailbox_of(peer: &Identity) -> Result<Party, Refusal> {
    match peer {
        Identity::Bureau(country) => Ok(Party::Bureau(*country)),
        _ => Err(Refusal::of(Reason::NotAuthorised, "identity")),
    }
}
