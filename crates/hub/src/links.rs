//! The live streams, by mailbox: how the sequencer wakes them, and what each may still send.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use i247_model::{Lane, MessageId, Party, Timestamp};
use i247_node::Peer;
use i247_router::{Cursor, State, UnderWay};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Credit that a bureau can pile up, in deliveries.
const CREDIT_MAX: u32 = 65_536;

/// So much of what a bureau says of its program is kept, in characters.
const PROGRAM_MAX: usize = 64;

/// From so many of its last words a bureau's clock is estimated.
const SKEWS: usize = 8;

/// Who opened a stream.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    pub(crate) program: String,
    pub(crate) began: Timestamp,
}

/// How far a clock is from ours, by what came last. What was under way for some time seems to be late: the word that
/// took least counts.
#[derive(Debug, Default)]
struct Skew(VecDeque<i64>);

impl Skew {
    fn add(&mut self, there: Timestamp, here: Timestamp) {
        let ms = |at: Timestamp| i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        self.0.push_back(ms(there).saturating_sub(ms(here)));
        if self.0.len() > SKEWS {
            self.0.pop_front();
        }
    }

    fn estimate(&self) -> Option<i64> {
        self.0.iter().max().copied()
    }
}

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
    /// Who is at the other end, and how the connection is protected.
    pub(crate) peer: Peer,
    /// Name and version of the bureau's program, as it says.
    pub(crate) program: String,
    pub(crate) began: Timestamp,
    /// When something came last, by the hub's clock, in milliseconds.
    contact: AtomicU64,
    skew: Mutex<Skew>,
    credit: AtomicU32,
    cursor: Mutex<Cursor>,
    /// What the bureau had at the begin of the stream, by lane: perhaps more than it could sign for.
    received: [u64; 4],
    progress: Mutex<BTreeSet<MessageId>>,
}

impl Link {
    pub(crate) fn new(
        party: Party,
        cursor: Cursor,
        received: [u64; 4],
        end: CancellationToken,
        caller: Caller,
    ) -> Self {
        let Caller { peer, program, began } = caller;
        Self {
            party,
            bell: Notify::new(),
            news: Notify::new(),
            end,
            peer,
            program: program.chars().filter(|c| !c.is_control()).take(PROGRAM_MAX).collect(),
            began,
            contact: AtomicU64::new(began.as_millis()),
            skew: Mutex::default(),
            credit: AtomicU32::new(0),
            cursor: Mutex::new(cursor),
            received,
            progress: Mutex::default(),
        }
    }

    /// What the stream has handed out. Nothing may wait while it is held.
    pub(crate) fn cursor(&self) -> MutexGuard<'_, Cursor> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest number of a lane that the bureau may have, or may yet get on this stream.
    pub(crate) fn handed(&self, lane: Lane) -> u64 {
        self.cursor().handed(lane).max(self.received[lane.index()])
    }

    /// Something came.
    pub(crate) fn heard(&self, now: Timestamp) {
        self.contact.store(now.as_millis(), Ordering::Relaxed);
    }

    /// When something came last.
    pub(crate) fn last_contact(&self) -> Timestamp {
        Timestamp::from_millis(self.contact.load(Ordering::Relaxed))
    }

    /// The bureau said what time it is there.
    pub(crate) fn clock_was(&self, there: Timestamp, here: Timestamp) {
        self.skew.lock().unwrap_or_else(PoisonError::into_inner).add(there, here);
    }

    /// The bureau's clock minus the hub's, in milliseconds; none when it has not said.
    pub(crate) fn skew_ms(&self) -> Option<i64> {
        self.skew.lock().unwrap_or_else(PoisonError::into_inner).estimate()
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.end.is_cancelled()
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

/// The newest stream of each mailbox. One that has ended stays until the next begins: what it handed out may have
/// come through, and only the bureau's next Hello says how much of it did. So it is with the streams of a hub that
/// ran before on the same log; they may have handed out all that there was.
#[derive(Debug, Default)]
pub(crate) struct Links {
    streams: DashMap<Party, Arc<Link>>,
    /// The last numbers at the start, by lane, of those who have not said Hello since.
    before: DashMap<Party, [u64; 4]>,
}

impl Links {
    /// No stream yet, after a start with this state.
    pub(crate) fn after(state: &State) -> Self {
        let before = DashMap::new();
        for (party, mailbox) in state.mailboxes() {
            before.insert(party, Lane::ALL.map(|lane| mailbox.last(lane)));
        }
        Self { streams: DashMap::new(), before }
    }

    /// Puts a new stream in place of the one before, which ends.
    pub(crate) fn enter(&self, link: Arc<Link>) {
        let party = link.party;
        if let Some(before) = self.streams.insert(party, link) {
            before.end.cancel();
        }
        // Last, so that at no moment less is under way than may have come through.
        self.before.remove(&party);
    }

    /// The live stream of a mailbox.
    pub(crate) fn find(&self, party: Party) -> Option<Arc<Link>> {
        self.streams.get(&party).filter(|link| link.is_live()).map(|link| link.clone())
    }

    /// The newest stream of a mailbox, also when it has ended.
    pub(crate) fn newest(&self, party: Party) -> Option<Arc<Link>> {
        self.streams.get(&party).map(|link| link.clone())
    }

    /// How many streams are live.
    pub(crate) fn count(&self) -> usize {
        self.streams.iter().filter(|link| link.is_live()).count()
    }

    /// What is, or may be, on its way to every mailbox. The order of the tables does not reach the result.
    pub(crate) fn under_way(&self, state: &State) -> UnderWay {
        let mut under_way = UnderWay::new();
        // First: whoever says Hello meanwhile is found in the one table or in the other.
        for before in &self.before {
            add(state, *before.key(), *before.value(), &mut under_way);
        }
        for link in &self.streams {
            state.add_under_way(&link.cursor(), &mut under_way);
            add(state, link.party, link.received, &mut under_way);
        }
        under_way
    }
}

/// Adds numbers, by lane, that the bureau has or may have and did not sign for.
fn add(state: &State, party: Party, numbers: [u64; 4], under_way: &mut UnderWay) {
    for lane in Lane::ALL {
        let number = numbers[lane.index()];
        let delivered = state.mailbox(party).map_or(0, |mailbox| mailbox.delivered_up_to(lane));
        if number > delivered {
            let handed = under_way.entry((party, lane)).or_default();
            *handed = number.max(*handed);
        }
    }
}

#[cfg(test)]
mod tests {
    use i247_model::Hash;
    use i247_node::Agreed;

    use super::*;

    fn link(received: u64) -> Arc<Link> {
        let party: Party = "FR".parse().unwrap();
        let cursor = State::default().cursor(party);
        let peer = Peer {
            identity: "spiffe://i247.test/ncb/fr".parse().unwrap(),
            tls_key: Hash([0; 32]),
            address: ([127, 0, 0, 1], 1).into(),
            not_before: Timestamp::default(),
            not_after: Timestamp::default(),
            agreed: Agreed { version: "TLSv1_3", group: "X25519" },
        };
        let caller = Caller { peer, program: "i247\u{7} 1".into(), began: Timestamp::default() };
        Arc::new(Link::new(party, cursor, [0, 0, received, 0], CancellationToken::new(), caller))
    }

    #[test]
    fn the_word_that_took_least_tells_how_far_a_clock_is() {
        let link = link(0);
        assert_eq!((link.skew_ms(), link.program.as_str()), (None, "i247 1"));
        let at = Timestamp::from_millis;
        for (there, here) in [(9_000, 10_000), (13_100, 13_000), (14_000, 15_000)] {
            link.clock_was(at(there), at(here));
        }
        assert_eq!(link.skew_ms(), Some(100));
        for _ in 0..SKEWS {
            link.clock_was(at(20_000), at(23_000));
        }
        assert_eq!(link.skew_ms(), Some(-3_000));
    }

    #[test]
    fn what_a_broken_stream_handed_out_is_under_way_until_the_next_hello() {
        let (links, state) = (Links::default(), State::default());
        let party: Party = "FR".parse().unwrap();
        let broken = link(7);
        links.enter(broken.clone());
        broken.end.cancel();
        assert!(links.find(party).is_none(), "it is no live stream");
        assert_eq!(links.count(), 0);
        assert_eq!(links.under_way(&state), UnderWay::from([((party, Lane::Normal), 7)]));
        links.enter(link(0));
        assert_eq!(links.under_way(&state), UnderWay::new(), "the bureau says that nothing came through");
    }

    #[test]
    fn after_a_start_all_that_there_was_may_have_come_through() {
        let state = State::default();
        let party: Party = "FR".parse().unwrap();
        let links = Links::default();
        links.before.insert(party, [0, 0, 7, 0]);
        assert_eq!(links.under_way(&state), UnderWay::from([((party, Lane::Normal), 7)]));
        links.enter(link(3));
        assert_eq!(links.under_way(&state), UnderWay::from([((party, Lane::Normal), 3)]));
    }

    #[test]
    fn a_newer_stream_ends_the_one_before() {
        let links = Links::default();
        let (first, second) = (link(0), link(0));
        links.enter(first.clone());
        links.enter(second.clone());
        // The task of the first ends late; the second is not touched.
        first.end.cancel();
        assert!(Arc::ptr_eq(&links.find(first.party).unwrap(), &second));
    }

    #[test]
    fn credit_has_an_upper_bound() {
        let link = link(0);
        link.grant(u32::MAX);
        link.grant(u32::MAX);
        assert_eq!(link.credit(), CREDIT_MAX);
    }
}
