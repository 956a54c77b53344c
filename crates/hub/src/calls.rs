//! Messages that come by call, one each. What one member has waiting is checked together and goes to the sequencer in
//! the order in which it came: a hundred calls cost little more than a hundred frames of a stream. What is ahead of its turn
//! goes back before anything is verified, and not all at once comes again: the further ahead it is, and the longer the line
//! takes for each, the later. It must not mix members: whoever sends what cannot be verified makes only itself wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use i247_model::{Identity, MessageId, Reason, Refusal};
use i247_router::{State, out_of_order};
use i247_wire::pb;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::core::Core;
use crate::inbound::claimed_id;
use crate::predecessors::Given;

/// At most so many are checked together.
const TOGETHER_MAX: usize = 64;

/// What is ahead of its turn comes again after this time at the latest.
const COME_AGAIN_MAX: Duration = Duration::from_secs(5);

/// The lines, one for each identity that ever stood in one, and only the admitted come so far.
#[derive(Debug, Default)]
pub(crate) struct Calls(DashMap<Identity, Arc<Line>>);

/// The calls of one member.
#[derive(Debug)]
struct Line {
    /// Held by whoever takes the others along.
    front: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    in_turn: Mutex<InTurn>,
    /// What the line took for each of those that were taken along last, in microseconds.
    pace: AtomicU64,
}

/// The last number of each lane that came in its turn, of one epoch. Only what the state does not have yet matters.
#[derive(Debug, Default)]
struct InTurn {
    epoch: u64,
    last: [u64; 4],
}

#[derive(Debug, Default)]
struct Waiting {
    calls: BTreeMap<u64, Call>,
    next: u64,
}

/// A message, and who is told that the sequencer has it, with where its result will come.
#[derive(Debug)]
struct Call {
    envelope: pb::Envelope,
    queued: oneshot::Sender<Result<oneshot::Receiver<pb::SubmitResult>, Refusal>>,
}

/// A place in a line. Whoever gives up leaves it.
struct Place<'a> {
    line: &'a Line,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.waiting().calls.remove(&self.number);
    }
}

impl Line {
    fn new() -> Self {
        Self {
            front: Arc::new(Semaphore::new(1)),
            waiting: Mutex::default(),
            in_turn: Mutex::default(),
            pace: AtomicU64::new(0),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stand(&self, call: Call) -> Place<'_> {
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.calls.insert(number, call);
        Place { line: self, number }
    }

    /// Those who have waited longest.
    fn take(&self) -> Vec<Call> {
        let mut waiting = self.waiting();
        std::iter::from_fn(|| waiting.calls.pop_first()).take(TOGETHER_MAX).map(|(_, call)| call).collect()
    }

    /// Its id, and how many earlier numbers are missing that neither the state nor this line has; none when none is. A
    /// header that nobody has verified may claim any number; all that it gets for that is the answer that it would get later.
    fn early(&self, state: &State, peer: &Identity, envelope: &pb::Envelope) -> Option<(MessageId, u64)> {
        let id = claimed_id(&envelope.header)?;
        if peer.sender().as_ref() != Some(&id.sender) || id.epoch != state.epoch(&id.sender) {
            return None;
        }
        let mut turns = self.in_turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.epoch != id.epoch {
            *turns = InTurn { epoch: id.epoch, last: [0; 4] };
        }
        let last = &mut turns.last[id.lane.index()];
        *last = (*last).max(state.sender_end(&id.sender, id.lane).0);
        let missing = id.number.saturating_sub(last.saturating_add(1));
        if missing > 0 {
            return Some((id, missing));
        }
        *last = (*last).max(id.number);
        None
    }

    /// The answer to what is ahead of its turn: it comes again when those that are missing should have gone through, if
    /// they go as the last ones did.
    fn out_of_order(&self, missing: u64) -> Refusal {
        let refusal = out_of_order();
        let pace = Duration::from_micros(self.pace.load(Ordering::Relaxed));
        let all = pace.saturating_mul(u32::try_from(missing).unwrap_or(u32::MAX));
        let least = refusal.retry_after.unwrap_or_default();
        refusal.retry_after(all.clamp(least, COME_AGAIN_MAX))
    }

    /// So many went through in this time.
    fn went(&self, count: usize, took: Duration) {
        let each = took.as_micros() / count.max(1) as u128;
        self.pace.store(u64::try_from(each).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Calls {
    /// Has a message checked and entered, and waits for its result.
    ///
    /// # Errors
    /// Every refusal of [`Core::check`]; `BUSY` when the hub stops.
    ///
    /// # Cancel safety
    /// Whoever gives up early is not checked; later the message may be entered all the same, and the same bytes may come
    /// again.
    pub(crate) async fn submit(
        &self,
        core: &Arc<Core>,
        envelope: pb::Envelope,
        peer: &Identity,
    ) -> Result<pb::SubmitResult, Refusal> {
        let stopping = |_| Refusal::of(Reason::Busy, "envelope");
        let new = || Arc::new(Line::new());
        let line = self.0.entry(peer.clone()).or_insert_with(new).clone();
        let (queued, mut result) = oneshot::channel();
        let _place = line.stand(Call { envelope, queued });
        let result = loop {
            tokio::select! {
                biased;
                result = &mut result => break result.map_err(stopping)??,
                front = line.front.clone().acquire_owned() => {
                    // A task of its own: who gives up does not take the others with it.
                    let front = front.map_err(|_| Refusal::of(Reason::Busy, "envelope"))?;
                    core.streams.spawn(take_along(core.clone(), line.clone(), front, peer.clone()));
                }
            }
        };
        result.await.map_err(stopping)
    }
}

/// Checks those who wait and sends them on; only then the next may come to the front, so that none overtakes.
async fn take_along(core: Arc<Core>, line: Arc<Line>, _front: OwnedSemaphorePermit, peer: Identity) {
    let calls = line.take();
    let begun = core.clock.monotonic();
    let early: Vec<Option<(MessageId, u64)>> = {
        let views = core.views();
        calls.iter().map(|call| line.early(&views.state, &peer, &call.envelope)).collect()
    };
    let (mut envelopes, mut queued) = (Vec::new(), Vec::new());
    for (call, early) in calls.into_iter().zip(early) {
        match early {
            None => {
                envelopes.push((call.envelope, Given::Sent));
                queued.push(call.queued);
            }
            // Whoever is gone asks again, and is told the same.
            Some((id, missing)) => {
                let refusal = core.count(&peer, line.out_of_order(missing));
                drop(call.queued.send(Ok(answered(id, &refusal))));
            }
        }
    }
    if envelopes.is_empty() {
        return;
    }
    let checked = core.check(envelopes, &peer).await;
    let count = checked.len();
    for (checked, queued) in checked.into_iter().zip(queued) {
        let sent = match checked {
            Ok(checked) => core.queue(checked).await,
            Err(refusal) => Err(refusal),
        };
        drop(queued.send(sent));
    }
    line.went(count, core.clock.monotonic().saturating_sub(begun));
}

/// A result that is there already.
fn answered(id: MessageId, refusal: &Refusal) -> oneshot::Receiver<pb::SubmitResult> {
    let (answer, result) = oneshot::channel();
    let refusal = pb::submit_result::Result::Refusal(refusal.into());
    // Its receiver is at hand.
    drop(answer.send(pb::SubmitResult { id: id.to_string(), result: Some(refusal) }));
    result
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn call(number: u8) -> Call {
        let envelope = pb::Envelope { header: vec![number].into(), ..pb::Envelope::default() };
        Call { envelope, queued: oneshot::channel().0 }
    }

    fn taken(line: &Line) -> Vec<u8> {
        line.take().iter().map(|call| call.envelope.header[0]).collect()
    }

    #[test]
    fn the_longest_waiting_go_first_64_at_a_time_and_whoever_gives_up_leaves_the_line() {
        let line = Line::new();
        let mut places: Vec<Place<'_>> = (0..70).map(|number| line.stand(call(number))).collect();
        drop(places.remove(1));
        assert_eq!(taken(&line), [&[0][..], &(2..65).collect::<Vec<u8>>()].concat());
        drop(places);
        assert_eq!(taken(&line), [0_u8; 0], "65 to 69 have given up");
    }

    #[test]
    fn what_is_ahead_of_its_turn_is_early_until_those_before_it_have_come() {
        let (line, state) = (Line::new(), State::default());
        let france: Identity = "spiffe://i247.test/ncb/fr".parse().unwrap();
        let early = |id: &str| {
            let header = pb::Header { id: id.into(), ..pb::Header::default() }.encode_to_vec();
            let envelope = pb::Envelope { header: header.into(), ..pb::Envelope::default() };
            line.early(&state, &france, &envelope).map(|(_, missing)| missing)
        };
        let came = ["FR-1-N-2", "FR-1-N-1", "FR-1-U-2", "FR-1-N-2", "FR-1-N-9", "FR-1-N-1"].map(early);
        assert_eq!(came, [Some(1), None, Some(1), None, Some(6), None]);
        // Whether these may come is not decided here.
        assert_eq!(["BR-1-N-9", "FR-2-N-9", "nonsense"].map(early), [None; 3]);
    }

    #[test]
    fn what_is_ahead_comes_again_when_those_before_it_should_have_gone_through() {
        let line = Line::new();
        let wait = |missing| line.out_of_order(missing).retry_after.unwrap().as_millis();
        assert_eq!([1, 90].map(wait), [200, 200], "nothing is known of this line");
        line.went(4, Duration::from_millis(120));
        assert_eq!([1, 6, 7, 90, 167, u64::MAX].map(wait), [200, 200, 210, 2700, 5000, 5000]);
        line.went(64, Duration::from_millis(2));
        assert_eq!(wait(90), 200);
    }
}
