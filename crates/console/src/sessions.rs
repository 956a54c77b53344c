//! Who is logged in. A session is a random token in a cookie; here is only its hash.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use i247_model::{Hash, hexadecimal};
use i247_node::{Clock, Dice};

/// How long a session may stay without a request.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// After so long it ends, used or not.
const AGE: Duration = Duration::from_secs(12 * 3600);
/// Sessions at once. One more, and the one that was used least lately ends.
const SESSIONS: usize = 64;

/// The open sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    open: Mutex<BTreeMap<Hash, Session>>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

#[derive(Debug)]
struct Session {
    name: String,
    since: Duration,
    used: Duration,
}

impl Sessions {
    pub(crate) fn new(clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Self {
        Self { open: Mutex::default(), clock, dice }
    }

    /// Opens a session and returns its token.
    pub(crate) fn open(&self, name: &str) -> String {
        let mut bytes = [0; 32];
        self.dice.fill(&mut bytes);
        let token = hexadecimal(&bytes);
        let now = self.clock.monotonic();
        let mut open = self.lock();
        open.retain(|_, session| session.lasts(now));
        if open.len() >= SESSIONS {
            let least = open.iter().min_by_key(|(_, session)| session.used).map(|(hash, _)| *hash);
            if let Some(least) = least {
                open.remove(&least);
            }
        }
        open.insert(hash(&token), Session { name: name.to_owned(), since: now, used: now });
        token
    }

    /// Whose session it is, which counts as its use.
    pub(crate) fn find(&self, token: &str) -> Option<String> {
        let now = self.clock.monotonic();
        let mut open = self.lock();
        let hash = hash(token);
        let session = open.get_mut(&hash)?;
        if !session.lasts(now) {
            open.remove(&hash);
            return None;
        }
        session.used = now;
        Some(session.name.clone())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        let now = self.clock.monotonic();
        self.lock().values().filter(|session| session.lasts(now)).count() as u64
    }

    /// Ends it.
    pub(crate) fn close(&self, token: &str) {
        self.lock().remove(&hash(token));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Hash, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn lasts(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) < IDLE && now.saturating_sub(self.since) < AGE
    }
}

/// Looked up by hash: how long it takes tells nothing about a token.
fn hash(token: &str) -> Hash {
    i247_trust::sha256(&[token.as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use i247_model::Timestamp;
    use i247_node::SystemDice;

    use super::*;

    /// A clock that is set by hand, in seconds.
    #[derive(Debug, Default)]
    struct ByHand(AtomicU64);

    impl Clock for ByHand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    fn sessions() -> (Sessions, Arc<ByHand>) {
        let clock = Arc::new(ByHand::default());
        (Sessions::new(clock.clone(), Arc::new(SystemDice::new())), clock)
    }

    #[test]
    fn a_session_is_found_by_its_token_until_it_is_closed() {
        let (sessions, _) = sessions();
        let (anna, ben) = (sessions.open("anna"), sessions.open("ben"));
        assert_eq!(anna.len(), 64);
        assert_eq!(sessions.find(&anna).as_deref(), Some("anna"));
        assert_eq!(sessions.find(&anna[1..]), None);
        sessions.close(&anna);
        assert_eq!(sessions.find(&anna), None);
        assert_eq!(sessions.find(&ben).as_deref(), Some("ben"));
    }

    #[test]
    fn who_does_nothing_for_half_an_hour_is_logged_out_and_everyone_after_twelve_hours() {
        let (sessions, clock) = sessions();
        let (idle, busy) = (sessions.open("idle"), sessions.open("busy"));
        for minute in 1..=30 {
            clock.0.store(minute * 60, Ordering::Relaxed);
            assert_eq!(sessions.find(&busy).as_deref(), Some("busy"));
        }
        assert_eq!(sessions.find(&idle), None);
        for second in (1800..12 * 3600 - 1).step_by(1700) {
            clock.0.store(second, Ordering::Relaxed);
            assert!(sessions.find(&busy).is_some());
        }
        clock.0.store(12 * 3600 - 1, Ordering::Relaxed);
        assert!(sessions.find(&busy).is_some());
        clock.0.store(12 * 3600, Ordering::Relaxed);
        assert_eq!(sessions.find(&busy), None);
    }

    #[test]
    fn the_session_used_least_lately_makes_way() {
        let (sessions, clock) = sessions();
        let tokens: Vec<String> = (0..SESSIONS)
            .map(|n| {
                clock.0.store(n as u64, Ordering::Relaxed);
                sessions.open("anna")
            })
            .collect();
        assert!(sessions.find(&tokens[0]).is_some());
        sessions.open("ben");
        assert!(sessions.find(&tokens[0]).is_some());
        assert_eq!(sessions.find(&tokens[1]), None);
    }
}
