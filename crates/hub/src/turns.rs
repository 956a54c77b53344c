//! Whose envelopes are opened next: one batch of each member at a time. A member that floods stands in its own line.

use std::sync::Arc;

use dashmap::DashMap;
use i247_model::Identity;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The lines. One for each identity that ever stood in one, and only the admitted come so far.
#[derive(Debug, Default)]
pub(crate) struct Turns(DashMap<Identity, Arc<Semaphore>>);

/// A turn, given back when dropped. Nothing of a closed line: none ever is.
pub(crate) struct Turn(#[expect(dead_code, reason = "held")] Option<OwnedSemaphorePermit>);

impl Turns {
    /// Waits for a turn. Whoever gives up waiting leaves the line.
    pub(crate) async fn take(&self, member: &Identity) -> Turn {
        let line = self.0.entry(member.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone();
        Turn(line.acquire_owned().await.ok())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_member_that_floods_stands_in_its_own_line() {
        let turns = Turns::default();
        let flood: Identity = "spiffe://i247.test/ncb/fr".parse().unwrap();
        let calm: Identity = "spiffe://i247.test/ncb/br".parse().unwrap();
        let first = turns.take(&flood).await;
        assert!(turns.take(&flood).now_or_never().is_none(), "one at a time");
        assert!(turns.take(&calm).now_or_never().is_some(), "the other goes past the line");
        drop(first);
        assert!(turns.take(&flood).now_or_never().is_some());
    }
}
