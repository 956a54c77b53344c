//! Which connections are open, by identity, and the handle that cuts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use i247_model::Identity;
use tokio_util::sync::CancellationToken;

/// The table of live connections. Clones share one table; several listeners may too.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    next: AtomicU64,
    open: AtomicUsize,
    by_identity: DashMap<Identity, Vec<(u64, CancellationToken)>>,
}

impl Live {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts every connection of `identity` at once, with all its calls, and says how many there were.
    ///
    /// Whoever cuts because of a revocation must first make new connections impossible (the directory), or the peer
    /// is back before this returns.
    pub fn cut(&self, identity: &Identity) -> usize {
        let Some(open) = self.0.by_identity.get(identity) else { return 0 };
        open.iter().for_each(|(_, token)| token.cancel());
        open.len()
    }

    /// Cuts every connection whose identity `whom` picks: a bureau with its posts and officers, for example.
    pub fn cut_where(&self, whom: impl Fn(&Identity) -> bool) -> usize {
        let mut cut = 0;
        for entry in self.0.by_identity.iter().filter(|entry| whom(entry.key())) {
            entry.value().iter().for_each(|(_, token)| token.cancel());
            cut += entry.value().len();
        }
        cut
    }

    /// How many connections `identity` has.
    pub fn connections_of(&self, identity: &Identity) -> usize {
        self.0.by_identity.get(identity).map_or(0, |open| open.len())
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Enters a connection; it leaves the table when the entry is dropped. `None` when there are too many.
    pub(crate) fn enter(&self, identity: &Identity, in_all: usize, of_one: usize) -> Option<LiveEntry> {
        let below = |open: usize| (open < in_all).then_some(open + 1);
        self.0.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok()?;
        let mut open = self.0.by_identity.entry(identity.clone()).or_default();
        if open.len() >= of_one {
            self.0.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let (number, token) = (self.0.next.fetch_add(1, Ordering::Relaxed), CancellationToken::new());
        open.push((number, token.clone()));
        drop(open);
        Some(LiveEntry { live: self.clone(), identity: identity.clone(), number, token })
    }
}

/// A connection's place in the table.
#[derive(Debug)]
pub(crate) struct LiveEntry {
    live: Live,
    identity: Identity,
    number: u64,
    token: CancellationToken,
}

impl LiveEntry {
    /// Cancelled when the connection is cut.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for LiveEntry {
    fn drop(&mut self) {
        let table = &self.live.0;
        if let Some(mut open) = table.by_identity.get_mut(&self.identity) {
            open.retain(|(number, _)| *number != self.number);
        }
        table.by_identity.remove_if(&self.identity, |_, open| open.is_empty());
        table.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_takes_all_connections_of_one_identity_and_nobody_elses() {
        let live = Live::new();
        let france: Identity = "spiffe://i247.test/ncb/fr".parse().unwrap();
        let brazil: Identity = "spiffe://i247.test/ncb/br".parse().unwrap();
        let one = live.enter(&france, 10, 2).unwrap();
        let two = live.enter(&france, 10, 2).unwrap();
        let other = live.enter(&brazil, 10, 2).unwrap();
        assert!(live.enter(&france, 10, 2).is_none(), "two of one identity are the limit");
        assert!(live.enter(&brazil, 3, 2).is_none(), "three in all are the limit");
        assert_eq!(live.connections(), 3);
        assert_eq!(live.cut(&france), 2);
        assert!(one.token().is_cancelled() && two.token().is_cancelled());
        assert!(!other.token().is_cancelled());
        drop((one, two));
        assert_eq!((live.connections_of(&france), live.connections()), (0, 1));
        assert_eq!(live.cut(&france), 0);
        assert_eq!(live.cut_where(|_| true), 1);
        drop(other);
        assert!(live.0.by_identity.is_empty());
    }
}
