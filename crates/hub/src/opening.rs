//! Envelopes and receipts that come, opened: whose signature they bear, and what the router needs of a body. It must not
//! decide whether their sender may send them.
//!
//! ```text
//!   member ──► its line ──┬─ small ──► together with those of others ──┐
//!                         └─ large ──► alone ──────────────────────────┴──► opened
//! ```

use std::sync::{Arc, PoisonError, RwLock};

use i247_ledger::{Blocking, outcome};
use i247_model::{Header, Identity, Kind, Lifted, Reason, Refusal, Timestamp};
use i247_node::{Clock, Stage};
use i247_trust::{Attested, Door, VerifyingKey, open_carried, open_many, verify_together};
use i247_wire::{payload, pb};
use tokio::sync::Semaphore;

use crate::databases;
use crate::predecessors::{self, Given, Way};
use crate::together::{How, Together};
use crate::turns::Turns;
use crate::views::Views;

/// What holds more bytes is opened alone, so that nobody else waits for it.
const LARGE_BYTES: usize = 256 * 1024;

/// A message whose signature and body have been checked, and how it comes.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) attested: Box<Attested>,
    pub(crate) lifted: Box<Lifted>,
    pub(crate) way: Way,
}

/// Where envelopes are opened. A member has one batch here at a time: one that floods stands in its own line.
pub(crate) struct Opening {
    lines: Turns,
    small: Together<Batch, Opened>,
    /// Places for what is opened alone.
    large: Semaphore,
    opener: Opener,
    blocking: Arc<dyn Blocking>,
}

/// What one member sent at once.
struct Batch {
    given: Vec<(pb::Envelope, Given)>,
    peer: Identity,
}

/// A result for every envelope of a batch, in their order.
type Opened = Vec<Result<Checked, Refusal>>;

/// What is needed to open anything.
#[derive(Clone)]
struct Opener {
    views: Arc<RwLock<Views>>,
    clock: Arc<dyn Clock>,
}

impl Opening {
    /// Begins; it ends when the stage is asked to stop.
    pub(crate) fn begin(
        stage: &Stage,
        views: Arc<RwLock<Views>>,
        clock: Arc<dyn Clock>,
        blocking: Arc<dyn Blocking>,
    ) -> Self {
        // The other half is for all else that the hub does with a message.
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        let opener = Opener { views, clock };
        let work = {
            let opener = opener.clone();
            move |batches| opener.open(batches)
        };
        let how = How { threads, weight: |batch: &Batch| batch.given.len(), work };
        let small = Together::begin(stage, "opening", blocking.clone(), how);
        Self { lines: Turns::default(), small, large: Semaphore::new(threads), opener, blocking }
    }

    /// Opens what one member sent, behind what it sent before. None when the hub stops.
    ///
    /// # Cancel safety
    /// What was begun goes on to its end, and nobody hears of it.
    pub(crate) async fn open(&self, given: Vec<(pb::Envelope, Given)>, peer: &Identity) -> Option<Opened> {
        let _turn = self.lines.take(peer).await;
        let bytes: usize = given.iter().map(|(envelope, _)| envelope.body.len()).sum();
        let batch = Batch { given, peer: peer.clone() };
        if bytes <= LARGE_BYTES {
            return self.small.answer(batch).await;
        }
        let _place = self.large.acquire().await.ok()?;
        let opener = self.opener.clone();
        outcome(&*self.blocking, move || opener.open(vec![batch])).await?.pop()
    }
}

impl Opener {
    /// Opens what has gathered, an answer for each batch. Each is held against whoever had its key when it was signed.
    fn open(&self, batches: Vec<Batch>) -> Vec<Opened> {
        let now = self.clock.now();
        let mut envelopes = Vec::new();
        let mut ways = Vec::with_capacity(batches.len());
        for Batch { given, peer } in batches {
            let (of_batch, given): (Vec<pb::Envelope>, Vec<Given>) = given.into_iter().unzip();
            envelopes.extend(of_batch);
            ways.push((given, peer));
        }
        // The views are held for one look at a time: the sequencer does not wait for signatures.
        let signer_of = |header: &Header| {
            let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
            views.signers.find_at(&header.key_id, header.signed_at).map(|known| known.signer.clone())
        };
        let mut opened = open_many(&envelopes, Door::Submission, now, signer_of).into_iter();
        let batch = |(given, peer): (Vec<Given>, Identity)| {
            let of_batch = given.into_iter().zip(opened.by_ref());
            of_batch.map(|(given, opened)| self.check(opened, given, &peer, now)).collect()
        };
        ways.into_iter().map(batch).collect()
    }

    fn check(
        &self,
        opened: Result<Attested, Refusal>,
        given: Given,
        peer: &Identity,
        now: Timestamp,
    ) -> Result<Checked, Refusal> {
        let attested = opened.map_err(|refusal| predecessors::perhaps_lost(&self.views, refusal, now))?;
        let way = predecessors::way(&self.views, given, &attested, peer)?;
        let lifted = Box::new(lift(&attested)?);
        Ok(Checked { attested: Box::new(attested), lifted, way })
    }
}

/// What the router needs of the body, where the secretariat may open it.
fn lift(attested: &Attested) -> Result<Lifted, Refusal> {
    let header = attested.header();
    match attested.body() {
        Some(body) if header.kind == Kind::Records => databases::lift(body, header),
        Some(body) if header.kind.examined() => i247_wire::lift(header.kind, &open_carried(body, header)?),
        // RPD art. 22(6): the secretariat does not open what bureaus say to each other.
        Some(_) => Ok(Lifted::default()),
        None => Err(Refusal::of(Reason::BodyMismatch, "body")),
    }
}

/// Receipts whose signatures are verified.
pub(crate) struct Receipting(Together<Claimed, Result<pb::Signed, Refusal>>);

/// Receipts, and the key of whoever should have signed them.
struct Claimed {
    signed: pb::Signed,
    key: VerifyingKey,
}

impl Receipting {
    /// Begins; it ends when the stage is asked to stop.
    pub(crate) fn begin(stage: &Stage, blocking: Arc<dyn Blocking>) -> Self {
        let how = How { threads: 1, weight: |_: &Claimed| 1, work: verify };
        Self(Together::begin(stage, "receipts", blocking, how))
    }

    /// The same receipts, once they are signed by this key.
    ///
    /// # Errors
    /// As `i247_trust::verify`; `BUSY` when the hub stops.
    pub(crate) async fn verify(&self, signed: pb::Signed, key: VerifyingKey) -> Result<pb::Signed, Refusal> {
        let stopping = || Err(Refusal::of(Reason::Busy, "receipts"));
        self.0.answer(Claimed { signed, key }).await.unwrap_or_else(stopping)
    }
}

fn verify(claimed: Vec<Claimed>) -> Vec<Result<pb::Signed, Refusal>> {
    let claims: Vec<_> = claimed.iter().map(|claimed| (&claimed.signed, claimed.key)).collect();
    let payloads = verify_together(payload::RECEIPTS, &claims);
    let answer = |(claimed, payload): (Claimed, Result<_, Refusal>)| payload.map(|_| claimed.signed);
    claimed.into_iter().zip(payloads).map(answer).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use i247_ledger::OnThreads;
    use i247_node::Shutdown;
    use i247_trust::{SigningKey, sign};

    use super::*;

    #[tokio::test]
    async fn each_gets_its_own_answer_and_after_the_stop_all_are_told_to_come_again() {
        let mut shutdown = Shutdown::new();
        let stage = shutdown.stage("streams", Duration::from_secs(5));
        let receipting = Receipting::begin(&stage, Arc::new(OnThreads));
        let (ours, theirs) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let good = sign(&ours, payload::RECEIPTS, b"delivered up to 7".to_vec());
        let mut forged = sign(&theirs, payload::RECEIPTS, b"delivered up to 7".to_vec());
        forged.key_id = Bytes::copy_from_slice(ours.key_id().as_bytes());
        let other = sign(&theirs, payload::RECEIPTS, b"delivered up to 9".to_vec());
        let (ours, theirs) = (*ours.verifying_key(), *theirs.verifying_key());
        let (first, second, third) = tokio::join!(
            receipting.verify(good.clone(), ours),
            receipting.verify(forged, ours),
            receipting.verify(other.clone(), theirs),
        );
        assert_eq!((first, third), (Ok(good.clone()), Ok(other)));
        let refusal = second.unwrap_err();
        assert_eq!((refusal.reason, refusal.fields), (Reason::BadSignature, vec!["signature".to_owned()]));
        assert!(shutdown.run().await.is_empty());
        assert_eq!(receipting.verify(good, ours).await.unwrap_err().reason, Reason::Busy);
    }
}
