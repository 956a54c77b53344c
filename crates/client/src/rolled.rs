//! A post's searches with what it signs of them: each minute, and at the end, a roll-up of what was asked and answered
//! since the last one. The hub holds it against what it counted itself, so that neither can add a search or leave one
//! out.
//!
//! ```text
//!   check ──► number, salt ──► hub        answered: its digest │ refused: nothing │ no answer: its number
//!   roll_up, each minute: all up to the first that is under way ──signed──► hub ──► does it agree?
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use i247_model::{Hash, Timestamp};
use i247_node::{Clock, Dice, sleep_on};
use i247_trust::{Credentials, SigningKey, search_digest, search_root, search_session, sign};
use i247_wire::{payload, pb};
use prost::Message as _;

use crate::desk::Hits;
use crate::{ClientError, Searches};

/// How often a roll-up is signed.
pub const ROLL_UP_EVERY: Duration = Duration::from_secs(60);

/// Most frames of a roll-up without an answer: beyond, the others come with the next.
const UNKNOWN_MAX: usize = 256;

/// Most frames of a roll-up.
const FRAMES_MAX: usize = 16 * 1024;

/// The searches of one session of a post, and its key.
pub struct RolledSearches {
    searches: Searches,
    clock: Arc<dyn Clock>,
    key: SigningKey,
    chain: Vec<Bytes>,
    salt: [u8; 32],
    began: Timestamp,
    book: Mutex<Book>,
    /// Whoever hands in holds it: roll-ups go one behind the other.
    handing_in: tokio::sync::Mutex<()>,
}

/// What was asked in the session.
#[derive(Default)]
struct Book {
    /// Frames that were numbered.
    asked: u64,
    /// Frames up to and with this one are in a roll-up.
    rolled: u64,
    /// What became of those behind it; those that are under way are not here.
    settled: BTreeMap<u64, Settled>,
    /// Roll-ups that are not handed in, in their order, each with its last frame.
    waiting: VecDeque<(u64, pb::HandInRollUpRequest)>,
    /// Up to which frame the hub has taken roll-ups.
    taken: u64,
}

/// What became of a frame.
enum Settled {
    Answered(Hash),
    /// The hub has noted nothing.
    Refused,
    /// It may stand in the hub's journal.
    Unknown,
}

impl std::fmt::Debug for RolledSearches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RolledSearches").field("began", &self.began).finish_non_exhaustive()
    }
}

impl RolledSearches {
    /// A session of the post with these credentials.
    pub fn new(searches: Searches, own: Credentials, clock: Arc<dyn Clock>, dice: &dyn Dice) -> Self {
        let mut salt = [0; 32];
        dice.fill(&mut salt);
        Self {
            searches,
            began: clock.now(),
            clock,
            key: own.signing_key,
            chain: own.signing_chain,
            salt,
            book: Mutex::default(),
            handing_in: tokio::sync::Mutex::default(),
        }
    }

    /// Asks for a frame of keys, as one of the session.
    ///
    /// # Errors
    /// As [`Searches::check`].
    ///
    /// # Cancel safety
    /// Dropped, the frame may have been answered, and the next roll-up says that nobody knows.
    pub async fn check(&self, mut search: pb::SearchRequest) -> Result<pb::SearchResponse, ClientError> {
        let mut under_way = self.begin();
        let salt = Bytes::copy_from_slice(&self.salt);
        search.session = Some(pb::SearchSession { salt, number: under_way.number });
        let digest = search_digest(&self.salt, under_way.number, &search);
        let answered = self.searches.check(search).await;
        under_way.settled = match &answered {
            Ok(_) => Settled::Answered(digest),
            Err(error) if error.may_have_happened() => Settled::Unknown,
            Err(_) => Settled::Refused,
        };
        answered
    }

    /// As [`Searches::watch_hits`].
    ///
    /// # Errors
    /// Refused where nothing is granted, or to check only.
    pub async fn watch_hits(&self, after_position: u64, follow: bool) -> Result<Hits, ClientError> {
        self.searches.watch_hits(after_position, follow).await
    }

    /// Signs a roll-up each minute and hands it in, until it is dropped. What the hub finds wrong is told to `wrong`; what
    /// cannot be handed in waits for the next minute.
    ///
    /// # Cancel safety
    /// Dropped, what is signed and not handed in waits for the next call.
    pub async fn keep(&self, mut wrong: impl FnMut(ClientError)) {
        loop {
            sleep_on(&*self.clock, ROLL_UP_EVERY).await;
            if let Err(error) = self.roll_up().await
                && !error.passes()
            {
                wrong(error);
            }
        }
    }

    /// Signs what is settled since the last roll-up, and hands in all that waits.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the hub counted something else (`NUMBER_REUSED`, `OUT_OF_ORDER`, `BAD_SIGNATURE`), and
    /// [`ClientError::Unexpected`] when it does not agree: what is refused does not wait any more. Otherwise it is handed
    /// in with the next call.
    ///
    /// # Cancel safety
    /// Dropped, the roll-up may have been taken; handed in again it is taken once.
    pub async fn roll_up(&self) -> Result<(), ClientError> {
        let _alone = self.handing_in.lock().await;
        self.sign_next();
        loop {
            let Some((last, next)) = self.book().waiting.front().cloned() else { return Ok(()) };
            let answered = self.searches.hand_in_roll_up(next).await;
            if !matches!(&answered, Err(error) if error.passes()) {
                self.book().waiting.pop_front();
            }
            let agrees = answered?.agrees;
            self.book().taken = last;
            if !agrees {
                return Err(ClientError::unexpected("the hub has counted other searches than this post"));
            }
        }
    }

    /// Ends the session: all that was asked is rolled up.
    ///
    /// # Errors
    /// As [`roll_up`](Self::roll_up).
    pub async fn end(&self) -> Result<(), ClientError> {
        while self.has_more() {
            self.roll_up().await?;
        }
        Ok(())
    }

    /// Up to which frame of the session the hub has taken what was signed.
    pub fn taken(&self) -> u64 {
        self.book().taken
    }

    fn has_more(&self) -> bool {
        let book = self.book();
        !book.waiting.is_empty() || book.settled.contains_key(&(book.rolled + 1))
    }

    /// Signs a roll-up of all up to the first frame that is under way; of nothing when that is the next one.
    fn sign_next(&self) {
        let mut book = self.book();
        let first = book.rolled + 1;
        let (mut digests, mut unknown) = (Vec::new(), Vec::new());
        let mut last = book.rolled;
        while let Some(settled) = book.settled.remove(&(last + 1)) {
            last += 1;
            match settled {
                Settled::Answered(digest) => digests.push(digest),
                Settled::Unknown => unknown.push(last),
                Settled::Refused => {}
            }
            if unknown.len() >= UNKNOWN_MAX || last - book.rolled >= FRAMES_MAX as u64 {
                break;
            }
        }
        if last == book.rolled {
            return;
        }
        let roll_up = pb::SearchRollUp {
            session: Bytes::copy_from_slice(&search_session(&self.salt)),
            began_ms: self.began.as_millis(),
            signed_at_ms: self.clock.now().as_millis(),
            first,
            last,
            answered: digests.len() as u32,
            unknown,
            root: Bytes::copy_from_slice(search_root(&digests).as_bytes()),
        };
        let signed = sign(&self.key, payload::SEARCH_ROLL_UP, roll_up.encode_to_vec());
        book.rolled = last;
        let waiting = pb::HandInRollUpRequest { chain: self.chain.clone(), signed: Some(signed) };
        book.waiting.push_back((last, waiting));
    }

    fn begin(&self) -> UnderWay<'_> {
        let mut book = self.book();
        book.asked += 1;
        UnderWay { number: book.asked, settled: Settled::Unknown, session: self }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame that is under way. What becomes of it is written down when this is dropped.
struct UnderWay<'a> {
    number: u64,
    settled: Settled,
    session: &'a RolledSearches,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let settled = std::mem::replace(&mut self.settled, Settled::Unknown);
        self.session.book().settled.insert(self.number, settled);
    }
}
