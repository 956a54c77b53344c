//! Messages that come by call, one each. What one member has waiting is checked together and goes to the sequencer in
//! the order in which it came: a hundred calls cost little more than a hundred frames of a stream. What is ahead of its turn
//! goes back before anything is verified. It must not mix members: whoever sends what cannot be verified makes only
//! itself wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
        Self { front: Arc::new(Semaphore::new(1)), waiting: Mutex::default(), in_turn: Mutex::default() }
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

    /// Those who have waited longest, each with the id that it claims, by their numbers: calls of one connection run beside
    /// each other, and what was sent in order may stand out of it.
    fn take(&self) -> Vec<(Option<MessageId>, Call)> {
        let longest: Vec<Call> = {
            let mut waiting = self.waiting();
            let longest = std::iter::from_fn(|| waiting.calls.pop_first()).take(TOGETHER_MAX);
            longest.map(|(_, call)| call).collect()
        };
        let claimed = |call: Call| (claimed_id(&call.envelope.header), call);
        let mut calls: Vec<(Option<MessageId>, Call)> = longest.into_iter().map(claimed).collect();
        calls.sort_by_key(|(id, _)| id.as_ref().map(|id| (id.epoch, id.number)));
        calls
    }

    /// Whether numbers before this one are missing that neither the state nor this line has. A header that nobody has
    /// verified may claim any number; all that it gets for that is the answer that it would get later.
    fn is_early(&self, state: &State, peer: &Identity, id: Option<&MessageId>) -> bool {
        let Some(id) = id else { return false };
        if peer.sender().as_ref() != Some(&id.sender) || id.epoch != state.epoch(&id.sender) {
            return false;
        }
        let mut turns = self.in_turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.epoch != id.epoch {
            *turns = InTurn { epoch: id.epoch, last: [0; 4] };
        }
        let last = &mut turns.last[id.lane.index()];
        *last = (*last).max(state.sender_end(&id.sender, id.lane).0);
        if id.number > last.saturating_add(1) {
            return true;
        }
        *last = (*last).max(id.number);
        false
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
    let early: Vec<bool> = {
        let views = core.views();
        calls.iter().map(|(id, _)| line.is_early(&views.state, &peer, id.as_ref())).collect()
    };
    let (mut envelopes, mut queued) = (Vec::new(), Vec::new());
    for ((id, call), early) in calls.into_iter().zip(early) {
        match id.filter(|_| early) {
            None => {
                envelopes.push((call.envelope, Given::Sent));
                queued.push(call.queued);
            }
            // Whoever is gone asks again, and is told the same.
            Some(id) => drop(call.queued.send(Ok(answered(id, &core.count(&peer, out_of_order()))))),
        }
    }
    if envelopes.is_empty() {
        return;
    }
    let checked = core.check(envelopes, &peer).await;
    for (checked, queued) in checked.into_iter().zip(queued) {
        let sent = match checked {
            Ok(checked) => core.queue(checked).await,
            Err(refusal) => Err(refusal),
        };
        drop(queued.send(sent));
    }
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
        line.take().iter().map(|(_, call)| call.envelope.header[0]).collect()
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
            line.is_early(&state, &france, claimed_id(&header).as_ref())
        };
        let came = ["FR-1-N-2", "FR-1-N-1", "FR-1-U-2", "FR-1-N-2", "FR-1-N-4", "FR-1-N-1"].map(early);
        assert_eq!(came, [true, false, true, false, true, false]);
        // Whether these may come is not decided here.
        assert_eq!(["BR-1-N-9", "FR-2-N-9", "nonsense"].map(early), [false; 3]);
    }

    #[test]
    fn what_came_to_stand_out_of_order_is_taken_along_in_order() {
        let line = Line::new();
        let sent = ["FR-1-N-3", "nonsense", "FR-1-N-1", "FR-1-U-9", "FR-1-N-2"].map(|id| {
            let header = pb::Header { id: id.into(), ..pb::Header::default() }.encode_to_vec().into();
            Call {
                envelope: pb::Envelope { header, ..pb::Envelope::default() },
                queued: oneshot::channel().0,
            }
        });
        let _places = sent.map(|call| line.stand(call));
        let ids = line.take().into_iter().map(|(id, _)| id.map_or_else(String::new, |id| id.to_string()));
        assert_eq!(ids.collect::<Vec<_>>(), ["", "FR-1-N-1", "FR-1-N-2", "FR-1-N-3", "FR-1-U-9"]);
    }
}
