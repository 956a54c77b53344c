//! Whose envelopes are verified next: one batch of each member at a time, and as many in all as there are cores. A
//! member that floods stands in its own line.

use std::sync::Arc;

use dashmap::DashMap;
use i247_model::Identity;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// The lines. One for each identity that ever stood in one, and only the admitted come so far.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Semaphore,
    own: DashMap<Identity, Arc<Semaphore>>,
}

/// A turn, given back when dropped. Nothing of a closed line: none ever is.
pub(crate) struct Turn<'a> {
    _all: Option<SemaphorePermit<'a>>,
    _own: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many batches at once.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { all: Semaphore::new(at_once), own: DashMap::new() }
    }

    /// Waits for a turn. Whoever gives up waiting leaves the line.
    pub(crate) async fn take(&self, member: &Identity) -> Turn<'_> {
        let own = self.own.entry(member.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone();
        let own = own.acquire_owned().await.ok();
        Turn { _own: own, _all: self.all.acquire().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_member_that_floods_stands_in_its_own_line() {
        let turns = Turns::new(2);
        let flood: Identity = "spiffe://i247.test/ncb/fr".parse().unwrap();
        let calm: Identity = "spiffe://i247.test/ncb/br".parse().unwrap();
        let first = turns.take(&flood).await;
        assert!(turns.take(&flood).now_or_never().is_none(), "one at a time");
        assert!(turns.take(&calm).now_or_never().is_some(), "the other goes past the line");
        drop(first);
        assert!(turns.take(&flood).now_or_never().is_some());
    }
}
