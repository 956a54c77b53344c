//! Roll-ups: what a post has signed of its searches is held against what was counted here, and stands in the journal with
//! what came of that. A session is known since the hub started; what lies before is read from the journal when its first
//! roll-up comes.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use i247_model::{Hash, Identity, Reason, Refusal, Timestamp};
use i247_trust::{Root, read_roll_up, search_root, sha256};
use i247_wire::pb;
use prost::Message as _;

use super::{Audit, COME_AGAIN, shut};

/// Sessions of one post; beyond, the one that was heard of the longest time ago is forgotten.
const SESSIONS_MAX: usize = 64;

/// Frames of a session that are in no roll-up.
const FRAMES_MAX: usize = 65_536;

/// Frames of a roll-up, and those of them of which a post knows nothing.
const ROLLED_MAX: u64 = 65_536;
const UNKNOWN_MAX: usize = 1024;

/// How far back the journal is read for a session, in milliseconds: a week.
const SESSION_MS_MAX: u64 = 7 * 86_400_000;

/// How far the clock of a post may be from the hub's.
const SKEW_MS: u64 = 600_000;

/// The sessions of all posts, by who asks and what the session is called.
pub(super) type Sessions = BTreeMap<(String, [u8; 16]), Session>;

/// What was asked in a session.
#[derive(Default)]
pub(super) struct Session {
    /// Up to this frame all is in a roll-up.
    rolled: u64,
    /// The digests of the frames behind it.
    frames: BTreeMap<u64, Hash>,
    /// All of it is here, also what was asked before the hub started.
    whole: bool,
    /// The hash of the last roll-up, and whether it agreed.
    last: Option<(Hash, bool)>,
    at_ms: u64,
}

/// Where a frame stands in a session.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) session: [u8; 16],
    pub(crate) number: u64,
    pub(crate) digest: Hash,
}

impl Audit {
    /// Notes a search as a frame of a session.
    ///
    /// # Errors
    /// `NUMBER_REUSED` when the session has such a frame, `BUSY` when too many are in no roll-up, and as
    /// [`note`](Self::note).
    pub(crate) fn note_placed(&self, mut record: pb::AuditRecord, placed: &Placed) -> Result<u64, Refusal> {
        record.placed = Some(pb::PlacedSearch {
            session: placed.session.to_vec().into(),
            number: placed.number,
            digest: placed.digest.as_bytes().to_vec().into(),
        });
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (record.asker.clone(), placed.session);
        let session = sessions.entry(key).or_insert_with(|| Session {
            // Nothing was asked in it before.
            whole: placed.number == 1,
            ..Session::default()
        });
        if placed.number <= session.rolled || session.frames.contains_key(&placed.number) {
            return Err(Refusal::of(Reason::NumberReused, "session.number"));
        }
        if session.frames.len() >= FRAMES_MAX {
            let next_step = "hand in a roll-up of what was asked: a post signs one each minute".into();
            let refusal = Refusal { next_step, ..Refusal::of(Reason::Busy, "session") };
            return Err(refusal.retry_after(COME_AGAIN));
        }
        let noted = self.note(&record)?;
        session.at_ms = record.at_ms;
        session.frames.insert(placed.number, placed.digest);
        forget_oldest(&mut sessions, &record.asker);
        Ok(noted)
    }

    /// Takes what a post has signed of its searches, holds it against what was counted here, and writes down what came of
    /// it. Whether it agrees.
    ///
    /// # Errors
    /// `BAD_SIGNATURE` and `UNKNOWN_KEY` when the post has not signed it, `NUMBER_REUSED` when it is of what was rolled up
    /// before, `OUT_OF_ORDER` when something is left out: these are written down too. `MALFORMED`, and as
    /// [`note`](Self::note).
    ///
    /// # Cancel safety
    /// Dropped, it may have been taken; handed in again it is taken once.
    pub(crate) async fn take_roll_up(
        &self,
        post: &Identity,
        given: &pb::HandInRollUpRequest,
        root: &Root,
        at: Timestamp,
    ) -> Result<bool, Refusal> {
        self.check_open()?;
        let _alone = self.rolling.lock().await;
        let mut entry = pb::AuditRollUp {
            at_ms: at.as_millis(),
            asker: post.to_string(),
            chain: given.chain.clone(),
            signed: given.signed.clone(),
            ..pb::AuditRollUp::default()
        };
        let read = match read_roll_up(given, post, root.anchor(), at) {
            Ok(read) => read,
            Err(refusal) if matches!(refusal.reason, Reason::BadSignature | Reason::UnknownKey) => {
                // What was forged is of any size; that it came is what counts.
                (entry.chain, entry.signed) = (Vec::new(), None);
                entry.set_finding(pb::RollUpFinding::Forged);
                return self.note_roll_up(&entry).await.and(Err(refusal));
            }
            Err(refusal) => return Err(refusal),
        };
        let session = check(&read)?;
        let key = (entry.asker.clone(), session);
        // A session is as long as its post likes; what is read of it is not.
        let began = read.began_ms.max(at.as_millis().saturating_sub(SESSION_MS_MAX));
        self.recall(&key, began).await?;
        let given = given.signed.as_ref().map(|signed| sha256(&[&signed.payload]));
        let (found, refusal) = {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            let session = sessions.entry(key).or_default();
            if let Some((_, agreed)) = session.last.filter(|(last, _)| Some(*last) == given) {
                return Ok(agreed);
            }
            session.at_ms = at.as_millis();
            let (found, refusal) = session.hold(&read, &mut entry);
            if refusal.is_none() {
                session.last = given.map(|given| (given, found == pb::RollUpFinding::Agrees));
            }
            forget_oldest(&mut sessions, &entry.asker);
            (found, refusal)
        };
        entry.set_finding(found);
        if found != pb::RollUpFinding::Agrees {
            tracing::warn!(
                asker = entry.asker,
                finding = found.as_str_name(),
                "a roll-up of searches is wrong"
            );
        }
        self.note_roll_up(&entry).await?;
        refusal.map_or(Ok(found == pb::RollUpFinding::Agrees), Err)
    }

    async fn note_roll_up(&self, entry: &pb::AuditRollUp) -> Result<(), Refusal> {
        const ROLL_UPS: u32 = 3;
        self.remember(entry);
        let noted = self.note_as(ROLL_UPS, entry, |_| {})?;
        self.written(noted).await
    }

    /// Reads what was asked in a session before the hub started, unless all of it is here.
    async fn recall(&self, key: &(String, [u8; 16]), began_ms: u64) -> Result<(), Refusal> {
        {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            if sessions.get(key).is_some_and(|session| session.whole) {
                return Ok(());
            }
        }
        let unreadable = |_| shut("the journal of searches cannot be read: tell whoever runs the hub");
        let mut past = Session::default();
        let first = self
            .first_since(Timestamp::from_millis(began_ms.saturating_sub(SKEW_MS)))
            .await
            .map_err(unreadable)?;
        let take_in = |group: &pb::AuditGroup| past.take_in(key, group);
        self.each_group(first, self.opened_at.0, take_in).await.map_err(unreadable)?;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.entry(key.clone()).or_default();
        session.rolled = session.rolled.max(past.rolled);
        session.last = session.last.or(past.last);
        session.frames.append(&mut past.frames);
        let rolled = session.rolled;
        session.frames.retain(|number, _| *number > rolled);
        session.whole = true;
        Ok(())
    }
}

impl Session {
    /// Holds a roll-up against what was counted. What comes of it, and the refusal where it is not taken.
    fn hold(
        &mut self,
        read: &pb::SearchRollUp,
        entry: &mut pb::AuditRollUp,
    ) -> (pb::RollUpFinding, Option<Refusal>) {
        use pb::RollUpFinding as Finding;
        if read.first <= self.rolled {
            return (Finding::Repeated, Some(Refusal::of(Reason::NumberReused, "first")));
        }
        if read.first > self.rolled + 1 {
            let next_step = format!("hand in the roll-ups from frame {} on", self.rolled + 1);
            let refusal = Refusal { next_step, ..Refusal::of(Reason::OutOfOrder, "first") };
            return (Finding::LeftOut, Some(refusal.retry_after(COME_AGAIN)));
        }
        let later = self.frames.split_off(&(read.last + 1));
        let mut counted = std::mem::replace(&mut self.frames, later);
        counted.retain(|number, _| read.unknown.binary_search(number).is_err());
        self.rolled = read.last;
        let root = search_root(counted.values());
        (entry.counted, entry.root) = (counted.len() as u32, root.as_bytes().to_vec().into());
        let agrees = entry.counted == read.answered && entry.root == read.root;
        (if agrees { Finding::Agrees } else { Finding::Differs }, None)
    }

    /// Takes in what an entry of the journal says of this session.
    fn take_in(&mut self, (asker, session): &(String, [u8; 16]), group: &pb::AuditGroup) {
        for record in group.records.iter().filter(|record| record.asker == *asker) {
            let Some(placed) = record.placed.as_ref().filter(|placed| placed.session == session[..]) else {
                continue;
            };
            self.frames.extend(Hash::from_slice(&placed.digest).map(|digest| (placed.number, digest)));
        }
        use pb::RollUpFinding as Finding;
        for entry in group.roll_ups.iter().filter(|entry| entry.asker == *asker) {
            let taken = matches!(entry.finding(), Finding::Agrees | Finding::Differs);
            let Some(signed) = entry.signed.as_ref().filter(|_| taken) else { continue };
            let Ok(read) = pb::SearchRollUp::decode(signed.payload.clone()) else { continue };
            if read.session == session[..] {
                self.rolled = self.rolled.max(read.last);
                self.last = Some((sha256(&[&signed.payload]), entry.finding() == Finding::Agrees));
            }
        }
    }
}

/// Whether a roll-up says what it must. The name of its session.
fn check(read: &pb::SearchRollUp) -> Result<[u8; 16], Refusal> {
    let malformed = |field: &str| Refusal::of(Reason::Malformed, field);
    let session = read.session.as_ref().try_into().map_err(|_| malformed("session"))?;
    if read.first == 0 || read.last < read.first || read.last == u64::MAX {
        return Err(malformed("first"));
    }
    if read.last - read.first >= ROLLED_MAX || read.unknown.len() > UNKNOWN_MAX {
        return Err(Refusal::of(Reason::TooLarge, "last"));
    }
    let sorted = read.unknown.windows(2).all(|pair| pair[0] < pair[1]);
    if !sorted || read.unknown.iter().any(|number| !(read.first..=read.last).contains(number)) {
        return Err(malformed("unknown"));
    }
    Ok(session)
}

fn forget_oldest(sessions: &mut Sessions, asker: &str) {
    let from = (asker.to_owned(), [0; 16]);
    let own = sessions.range(from..).take_while(|((other, _), _)| other == asker);
    let own: Vec<([u8; 16], u64)> = own.map(|((_, name), session)| (*name, session.at_ms)).collect();
    if own.len() > SESSIONS_MAX
        && let Some((oldest, _)) = own.into_iter().min_by_key(|(_, at)| *at)
    {
        sessions.remove(&(asker.to_owned(), oldest));
    }
}
