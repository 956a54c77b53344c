//! What is under way in one measurement: when each message was sent, who still has to get it, and what came back.
//! Shared by everything that sends and receives for one contender; it sends nothing itself.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use i247_node::{Clock, SystemClock};
use tokio::sync::Semaphore;

use crate::measure::{Cpu, Measured};

/// After so long without any progress, what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether all has come.
const LOOK: Duration = Duration::from_millis(2);

/// One measurement.
pub(crate) struct Flight {
    clock: Arc<SystemClock>,
    /// When it began, by the clock.
    begun: Duration,
    /// How many get each message.
    recipients: u32,
    senders: Vec<Lane>,
    accepted: AtomicU64,
    delivered: AtomicU64,
    acknowledged: AtomicU64,
    /// When the last delivery came, in microseconds of the clock.
    last: AtomicU64,
    samples: Mutex<Vec<Sample>>,
    trouble: Mutex<Option<String>>,
}

/// A message that all its recipients have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sample {
    /// The place of its sender.
    pub(crate) sender: usize,
    /// When the last of them got it, by the clock.
    pub(crate) at: Duration,
    /// How long that took, from when it was sent.
    pub(crate) took: Duration,
}

/// How much has come back so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) acknowledged: u64,
}

/// The messages of one sender.
struct Lane {
    first: u64,
    messages: Vec<Entry>,
    /// Places for messages sent and not yet received by all.
    places: Semaphore,
}

/// One message.
#[derive(Default)]
struct Entry {
    sent: AtomicU64,
    missing: AtomicU32,
    unacknowledged: AtomicU32,
}

impl Flight {
    /// Begins now, for senders with `(first number, how many, places)` each.
    pub(crate) fn new(clock: Arc<SystemClock>, recipients: u32, senders: &[(u64, usize, usize)]) -> Self {
        let lane = |&(first, count, places): &(u64, usize, usize)| {
            let entry = || Entry {
                sent: AtomicU64::new(0),
                missing: AtomicU32::new(recipients),
                unacknowledged: AtomicU32::new(recipients),
            };
            Lane { first, messages: (0..count).map(|_| entry()).collect(), places: Semaphore::new(places) }
        };
        let begun = clock.monotonic();
        Self {
            clock,
            begun,
            recipients,
            senders: senders.iter().map(lane).collect(),
            accepted: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            last: AtomicU64::new(0),
            samples: Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    /// When it began, by the clock.
    pub(crate) fn begun(&self) -> Duration {
        self.begun
    }

    /// How many messages this sender can send.
    pub(crate) fn room(&self, sender: usize) -> usize {
        self.senders[sender].messages.len()
    }

    /// Whether it is earlier than that, and nothing has gone wrong.
    pub(crate) fn open(&self, until: Duration) -> bool {
        self.clock.monotonic() < until && self.trouble().is_none()
    }

    /// Takes a place of this sender and marks its `nth` message as sent now; false when there is none until then.
    pub(crate) async fn send(&self, sender: usize, nth: usize, until: Duration) -> bool {
        let lane = &self.senders[sender];
        let left = until.saturating_sub(self.clock.monotonic());
        if left.is_zero() {
            return false;
        }
        // A timer costs more than a place: only who has to wait pays for one.
        let place = match lane.places.try_acquire() {
            Ok(place) => place,
            Err(_) => match tokio::time::timeout(left, lane.places.acquire()).await {
                Ok(Ok(place)) => place,
                Ok(Err(_)) | Err(_) => return false,
            },
        };
        place.forget();
        lane.messages[nth].sent.store(self.micros(), Ordering::Relaxed);
        true
    }

    /// Marks the `nth` message of this sender as sent at this time, whether or not there is a place for it. What is sent
    /// again was sent the first time.
    pub(crate) fn mark(&self, sender: usize, nth: usize, at: Duration) {
        let sent = &self.senders[sender].messages[nth].sent;
        // When it is not the first time, there is nothing to do.
        let _ = sent.compare_exchange(0, in_micros(at), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A message of this sender came to one of its recipients.
    pub(crate) fn received(&self, sender: usize, number: u64) {
        let lane = self.senders.get(sender);
        let Some((lane, entry)) = lane.and_then(|lane| Some((lane, lane.entry(number)?))) else {
            return self.spoil(|| format!("message {number} of sender {sender} was never sent"));
        };
        let now = self.micros();
        self.last.fetch_max(now, Ordering::Relaxed);
        self.delivered.fetch_add(1, Ordering::Relaxed);
        if entry.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            let took = Duration::from_micros(now - entry.sent.load(Ordering::Relaxed).min(now));
            let sample = Sample { sender, at: Duration::from_micros(now), took };
            self.samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            lane.places.add_permits(1);
        }
    }

    /// The server has so many messages more in store.
    pub(crate) fn stored(&self, messages: u64) {
        self.accepted.fetch_add(messages, Ordering::Relaxed);
    }

    /// The server knows so many deliveries more to be received.
    pub(crate) fn confirmed(&self, deliveries: u64) {
        self.acknowledged.fetch_add(deliveries, Ordering::Relaxed);
    }

    /// The server knows so many recipients to have this message.
    pub(crate) fn settled(&self, sender: usize, number: u64, recipients: u32) {
        let Some(entry) = self.senders.get(sender).and_then(|lane| lane.entry(number)) else { return };
        let left = self.recipients - recipients.min(self.recipients);
        let before = entry.unacknowledged.fetch_min(left, Ordering::Relaxed);
        self.acknowledged.fetch_add(u64::from(before.saturating_sub(left)), Ordering::Relaxed);
    }

    /// Something went wrong; the first thing that did is kept.
    pub(crate) fn spoil(&self, what: impl FnOnce() -> String) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(what);
    }

    /// Waits until everything that was sent is accepted and delivered, or nothing comes any more. `acknowledged`: also
    /// until all of it is.
    pub(crate) async fn settle(&self, sent: u64, acknowledged: bool) {
        let due = sent * u64::from(self.recipients);
        self.reach(Counts {
            accepted: sent,
            delivered: due,
            acknowledged: if acknowledged { due } else { 0 },
        })
        .await;
    }

    /// Waits until exactly so many are accepted and delivered and at least so many acknowledged, or nothing comes any
    /// more.
    pub(crate) async fn reach(&self, goal: Counts) {
        let short = |counts: Counts| {
            counts.accepted != goal.accepted
                || counts.delivered != goal.delivered
                || counts.acknowledged < goal.acknowledged
        };
        let (mut before, mut since) = (self.counts(), self.clock.monotonic());
        while short(self.counts()) {
            let now = self.clock.monotonic();
            if self.counts() != before {
                (before, since) = (self.counts(), now);
            }
            if now - since > PATIENCE || self.trouble().is_some() {
                return;
            }
            i247_node::sleep(LOOK).await;
        }
    }

    /// How much has come back so far.
    pub(crate) fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            accepted: count(&self.accepted),
            delivered: count(&self.delivered),
            acknowledged: count(&self.acknowledged),
        }
    }

    /// How often each message that this sender sent came to somebody, in the order of their numbers.
    pub(crate) fn deliveries(&self, sender: usize) -> impl Iterator<Item = u32> {
        let sent =
            self.senders[sender].messages.iter().filter(|entry| entry.sent.load(Ordering::Relaxed) > 0);
        // Below zero it wraps around, and here it does so back.
        sent.map(|entry| self.recipients.wrapping_sub(entry.missing.load(Ordering::Relaxed)))
    }

    /// All that came so far, in that order.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came of it.
    pub(crate) fn measured(&self, sent: u64, cpu: Cpu) -> Measured {
        let Counts { accepted, delivered, acknowledged } = self.counts();
        let last = Duration::from_micros(self.last.load(Ordering::Relaxed));
        Measured {
            elapsed: last.saturating_sub(self.begun),
            sent,
            accepted,
            due: sent * u64::from(self.recipients),
            delivered,
            acknowledged,
            latencies: self.samples().iter().map(|sample| sample.took).collect(),
            cpu,
            trouble: self.trouble(),
        }
    }

    /// What went wrong, if anything did.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn micros(&self) -> u64 {
        in_micros(self.clock.monotonic())
    }
}

fn in_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Lane {
    fn entry(&self, number: u64) -> Option<&Entry> {
        let nth = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.messages.get(nth).filter(|entry| entry.sent.load(Ordering::Relaxed) > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_free_again_when_all_have_it_and_states_count_once() {
        let flight = Flight::new(Arc::new(SystemClock::new()), 2, &[(7, 2, 1)]);
        // The clock of a flight has run before anything is sent.
        i247_node::sleep(Duration::from_millis(1)).await;
        assert!(flight.send(0, 0, Duration::from_secs(5)).await);
        assert!(!flight.send(0, 1, Duration::ZERO).await);
        flight.received(0, 7);
        assert!(!flight.send(0, 1, Duration::ZERO).await);
        flight.received(0, 7);
        assert!(flight.send(0, 1, Duration::from_secs(5)).await);
        flight.settled(0, 7, 1);
        flight.settled(0, 7, 2);
        flight.settled(0, 7, 2);
        assert_eq!(flight.acknowledged.load(Ordering::Relaxed), 2);
        assert_eq!(flight.trouble(), None);
        flight.received(0, 9);
        assert_eq!(flight.trouble(), Some("message 9 of sender 0 was never sent".into()));
    }

    #[tokio::test]
    async fn what_comes_twice_or_never_is_seen_message_by_message() {
        let flight = Flight::new(Arc::new(SystemClock::new()), 1, &[(7, 4, 0)]);
        for nth in 0..3 {
            flight.mark(0, nth, Duration::from_millis(5));
        }
        // It goes again, and was sent the first time.
        flight.mark(0, 1, Duration::from_secs(900));
        flight.received(0, 8);
        flight.received(0, 9);
        flight.received(0, 9);
        assert_eq!(flight.deliveries(0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(flight.counts(), Counts { accepted: 0, delivered: 3, acknowledged: 0 });
    }
}
