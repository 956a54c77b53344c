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
    latencies: Mutex<Vec<Duration>>,
    trouble: Mutex<Option<String>>,
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
            latencies: Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    /// When it began, by the clock.
    pub(crate) fn begun(&self) -> Duration {
        self.begun
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
            self.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(took);
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
        let counts = || {
            let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let receipts = if acknowledged { count(&self.acknowledged) } else { due };
            (count(&self.accepted), count(&self.delivered), receipts)
        };
        let (mut before, mut since) = (counts(), self.clock.monotonic());
        while counts() != (sent, due, due) {
            let now = self.clock.monotonic();
            if counts() != before {
                (before, since) = (counts(), now);
            }
            if now - since > PATIENCE || self.trouble().is_some() {
                return;
            }
            i247_node::sleep(LOOK).await;
        }
    }

    /// What came of it.
    pub(crate) fn measured(&self, sent: u64, cpu: Cpu) -> Measured {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Measured {
            elapsed: Duration::from_micros(count(&self.last)).saturating_sub(self.begun),
            sent,
            accepted: count(&self.accepted),
            due: sent * u64::from(self.recipients),
            delivered: count(&self.delivered),
            acknowledged: count(&self.acknowledged),
            latencies: std::mem::take(&mut self.latencies.lock().unwrap_or_else(PoisonError::into_inner)),
            cpu,
            trouble: self.trouble(),
        }
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_micros()).unwrap_or(u64::MAX)
    }
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
}
