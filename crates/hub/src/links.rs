//! The live streams, by mailbox: how the sequencer wakes them, and what each may still send.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use i247_model::{MessageId, Party};
use i247_router::{Cursor, State, UnderWay};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Credit that a bureau can pile up, in deliveries.
const CREDIT_MAX: u32 = 65_536;

/// One live stream of a mailbox.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) party: Party,
    /// Rung when there is something to send.
    pub(crate) bell: Notify,
    /// Rung when a message of this bureau stands differently.
    pub(crate) news: Notify,
    /// Ends the stream.
    pub(crate) end: CancellationToken,
    credit: AtomicU32,
    cursor: Mutex<Cursor>,
    progress: Mutex<BTreeSet<MessageId>>,
}

impl Link {
    pub(crate) fn new(party: Party, cursor: Cursor, end: CancellationToken) -> Self {
        Self {
            party,
            bell: Notify::new(),
            news: Notify::new(),
            end,
            credit: AtomicU32::new(0),
            cursor: Mutex::new(cursor),
            progress: Mutex::default(),
        }
    }

    /// What the stream has handed out. Nothing may wait while it is held.
    pub(crate) fn cursor(&self) -> MutexGuard<'_, Cursor> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn grant(&self, deliveries: u32) {
        let add = |credit: u32| Some(credit.saturating_add(deliveries).min(CREDIT_MAX));
        // The closure always answers, so there is nothing to report.
        let _ = self.credit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        self.bell.notify_one();
    }

    pub(crate) fn credit(&self) -> u32 {
        self.credit.load(Ordering::Relaxed)
    }

    /// Only the sending side spends, so the credit cannot fall below what it saw.
    pub(crate) fn spend(&self, deliveries: u32) {
        self.credit.fetch_sub(deliveries, Ordering::Relaxed);
    }

    /// The sender of this message is to hear where it stands.
    pub(crate) fn tell(&self, id: MessageId) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        self.news.notify_one();
    }

    /// What its owner is to hear of, each message once.
    pub(crate) fn take_progress(&self) -> BTreeSet<MessageId> {
        std::mem::take(&mut *self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The live streams. At most one for a mailbox: the newest.
#[derive(Debug, Default)]
pub(crate) struct Links(DashMap<Party, Arc<Link>>);

impl Links {
    /// Puts a new stream in place of the one before, which ends.
    pub(crate) fn enter(&self, link: Arc<Link>) {
        if let Some(before) = self.0.insert(link.party, link) {
            before.end.cancel();
        }
    }

    /// Removes a stream, unless a newer one has taken its place.
    pub(crate) fn leave(&self, link: &Arc<Link>) {
        self.0.remove_if(&link.party, |_, present| Arc::ptr_eq(present, link));
    }

    pub(crate) fn find(&self, party: Party) -> Option<Arc<Link>> {
        self.0.get(&party).map(|link| link.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What is on its way to every live stream. The order of the table does not reach the result.
    pub(crate) fn under_way(&self, state: &State) -> UnderWay {
        let mut under_way = UnderWay::new();
        for link in &self.0 {
            state.add_under_way(&link.cursor(), &mut under_way);
        }
        under_way
    }
}
