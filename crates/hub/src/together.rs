//! Signatures of receipts, verified together: those of many bureaus cost half as much at once as one after the other.
//! It must not look at what is signed.

use std::sync::Arc;

use i247_ledger::{Blocking, outcome};
use i247_model::{Reason, Refusal};
use i247_node::Stage;
use i247_trust::{VerifyingKey, verify_together};
use i247_wire::{payload, pb};
use tokio::sync::{mpsc, oneshot};

/// At most so many at once.
const TOGETHER_MAX: usize = 64;

/// Where receipts wait. Each stream has one here at most, so that nobody waits long for the flood of another.
pub(crate) struct Together {
    queue: mpsc::Sender<Waiting>,
}

/// A receipt that waits.
struct Waiting {
    signed: pb::Signed,
    key: VerifyingKey,
    verified: oneshot::Sender<Result<pb::Signed, Refusal>>,
}

impl Together {
    /// Begins; it ends when the stage is asked to stop.
    pub(crate) fn begin(stage: &Stage, blocking: Arc<dyn Blocking>) -> Self {
        let (queue, waiting) = mpsc::channel(TOGETHER_MAX);
        let stop = stage.stop();
        stage.spawn_vital("receipts", async move {
            stop.run_until_cancelled(run(waiting, blocking)).await;
        });
        Self { queue }
    }

    /// The same receipts, once they are signed by this key.
    ///
    /// # Errors
    /// As `i247_trust::verify`; `BUSY` when the hub stops.
    pub(crate) async fn verify(&self, signed: pb::Signed, key: VerifyingKey) -> Result<pb::Signed, Refusal> {
        let stopping = || Refusal::of(Reason::Busy, "receipts");
        let (verified, answer) = oneshot::channel();
        self.queue.send(Waiting { signed, key, verified }).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

/// What gathers while some are verified is verified next.
async fn run(mut queue: mpsc::Receiver<Waiting>, blocking: Arc<dyn Blocking>) {
    let mut gathered = Vec::with_capacity(TOGETHER_MAX);
    while queue.recv_many(&mut gathered, TOGETHER_MAX).await > 0 {
        let batch = std::mem::take(&mut gathered);
        // Given up by a runtime that shuts down: whoever waits hears that the hub stops.
        let Some(verified) = outcome(&*blocking, move || verify(batch)).await else { continue };
        for (answer, result) in verified {
            // A stream that is gone needs no answer.
            drop(answer.send(result));
        }
    }
}

type Answered = (oneshot::Sender<Result<pb::Signed, Refusal>>, Result<pb::Signed, Refusal>);

fn verify(batch: Vec<Waiting>) -> Vec<Answered> {
    let claims: Vec<(&pb::Signed, VerifyingKey)> =
        batch.iter().map(|waiting| (&waiting.signed, waiting.key)).collect();
    let payloads = verify_together(payload::RECEIPTS, &claims);
    let answer = |(waiting, payload): (Waiting, Result<_, Refusal>)| {
        (waiting.verified, payload.map(|_| waiting.signed))
    };
    batch.into_iter().zip(payloads).map(answer).collect()
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
        let together = Together::begin(&stage, Arc::new(OnThreads));
        let (ours, theirs) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let good = sign(&ours, payload::RECEIPTS, b"delivered up to 7".to_vec());
        let mut forged = sign(&theirs, payload::RECEIPTS, b"delivered up to 7".to_vec());
        forged.key_id = Bytes::copy_from_slice(ours.key_id().as_bytes());
        let other = sign(&theirs, payload::RECEIPTS, b"delivered up to 9".to_vec());
        let (ours, theirs) = (*ours.verifying_key(), *theirs.verifying_key());
        let (first, second, third) = tokio::join!(
            together.verify(good.clone(), ours),
            together.verify(forged, ours),
            together.verify(other.clone(), theirs),
        );
        assert_eq!((first, third), (Ok(good.clone()), Ok(other)));
        let refusal = second.unwrap_err();
        assert_eq!((refusal.reason, refusal.fields), (Reason::BadSignature, vec!["signature".to_owned()]));
        assert!(shutdown.run().await.is_empty());
        assert_eq!(together.verify(good, ours).await.unwrap_err().reason, Reason::Busy);
    }
}
