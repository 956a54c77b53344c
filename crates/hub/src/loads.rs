//! Loads: what a bureau sends in the bulk lane. It stands aside of the rest of its stream, and goes at a pace at which
//! searches do not wait for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use i247_model::Refusal;
use i247_wire::pb;
use tokio::sync::mpsc;

use crate::inbound::Submitter;
use crate::predecessors::Given;

/// Envelopes of one stream that stand aside, at most; what comes behind them is not read.
pub(crate) const LOADS_ASIDE: usize = 32;

/// A search that takes longer in the hub waits for something.
const SLOW: Duration = Duration::from_millis(1);
/// One search in so many may be slow.
const ONE_SLOW_IN: u32 = 50;
/// Over so much time it is looked how searches fare.
const WINDOW: Duration = Duration::from_millis(100);
/// Fewer searches than this in a window say nothing: loads go as fast as they can.
const FEW: u32 = 10;
/// Loads never stand still, in bytes a second: some 8,000 records.
const LEAST: f64 = 5e5;
/// In each window in which searches are quick, loads go so much faster.
const FASTER: f64 = 1.03;

/// Takes what stands aside, one after the other, until the stream ends.
///
/// # Errors
/// As [`Submitter::submit`].
///
/// # Cancel safety
/// What stands aside is dropped: its sender has no result of it, and sends it again.
pub(crate) async fn take_loads(
    submitter: Submitter,
    mut aside: mpsc::Receiver<(pb::Envelope, Given)>,
) -> Result<(), Refusal> {
    let core = &submitter.core;
    while let Some(load) = aside.recv().await {
        let wait = core.pace.take(load.0.body.len(), core.clock.monotonic());
        i247_node::sleep(wait).await;
        submitter.submit(vec![load]).await?;
    }
    Ok(())
}

/// How fast loads go, all together: half as fast whenever searches become slow, and faster and faster while they are
/// quick; without searches as fast as they can.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Paced>);

#[derive(Debug, Default)]
struct Paced {
    /// Bytes a second; none when there is nobody to wait for.
    allowed: Option<f64>,
    /// When the next load may begin.
    next: Duration,
    window: Window,
}

/// What happened since then.
#[derive(Debug, Default)]
struct Window {
    since: Duration,
    searches: u32,
    slow: u32,
    bytes: u64,
}

impl Pace {
    /// A search was answered so long after it came.
    pub(crate) fn searched(&self, took: Duration, now: Duration) {
        let mut paced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paced.look(now);
        paced.window.searches += 1;
        paced.window.slow += u32::from(took > SLOW);
    }

    /// How long a load of so many bytes has to wait.
    pub(crate) fn take(&self, bytes: usize, now: Duration) -> Duration {
        let mut paced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paced.look(now);
        paced.window.bytes += bytes as u64;
        let begins = paced.next.max(now);
        paced.next = match paced.allowed {
            Some(allowed) => begins + Duration::from_secs_f64(bytes as f64 / allowed),
            None => now,
        };
        begins - now
    }
}

impl Paced {
    /// Looks how searches fared, once a window is over.
    fn look(&mut self, now: Duration) {
        let length = now.saturating_sub(self.window.since);
        if length < WINDOW {
            return;
        }
        let Window { searches, slow, bytes, .. } =
            std::mem::replace(&mut self.window, Window { since: now, ..Window::default() });
        let went = bytes as f64 / length.as_secs_f64();
        self.allowed = if searches < FEW {
            None
        } else if slow.saturating_mul(ONE_SLOW_IN) > searches {
            Some((self.allowed.unwrap_or(went).min(went.max(LEAST)) / 2.0).max(LEAST))
        } else {
            self.allowed.map(|allowed| allowed * FASTER)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(50);
    const MB: usize = 1_000_000;

    /// A window in which so many searches are quick and so many are slow, and then its end.
    fn window(pace: &Pace, at: &mut Duration, quick: u32, slow: u32) {
        for nth in 0..quick + slow {
            let took = if nth < slow { 2 } else { 1 };
            pace.searched(Duration::from_millis(took), *at);
        }
        *at += WINDOW;
    }

    #[test]
    fn a_load_waits_for_nobody_when_nobody_searches() {
        let pace = Pace::default();
        let mut at = START;
        for _ in 0..50 {
            assert_eq!(pace.take(MB, at), Duration::ZERO);
            window(&pace, &mut at, 0, FEW - 1);
        }
    }

    #[test]
    fn a_load_goes_half_as_fast_when_searches_are_slow_faster_when_they_are_not_and_never_stands_still() {
        let pace = Pace::default();
        let mut at = START;
        // The first look ends a window in which nothing was.
        pace.take(0, at);
        // 4 MB in a tenth of a second, and one of 49 is slow.
        pace.take(4 * MB, at);
        window(&pace, &mut at, 48, 1);
        // 20 MB a second: 2 MB take 100 ms.
        assert_eq!(pace.take(2 * MB, at), Duration::ZERO);
        assert_eq!(pace.take(2 * MB, at), Duration::from_millis(100));
        // Quick ones: 20.6 MB a second.
        window(&pace, &mut at, 98, 2);
        assert_eq!(pace.take(2_060_000, at), Duration::from_millis(100));
        assert_eq!(pace.take(0, at), Duration::from_millis(200));
        // Slow for so long that it comes to the least: half a MB a second.
        for _ in 0..20 {
            window(&pace, &mut at, 0, FEW);
            pace.take(0, at);
        }
        assert_eq!(pace.take(MB, at), Duration::ZERO);
        assert_eq!(pace.take(MB, at), Duration::from_secs(2));
        // Nobody searches any more: what has begun to wait does, and the next does not.
        at += WINDOW;
        assert_eq!(pace.take(MB, at), Duration::from_millis(3900));
        assert_eq!(pace.take(MB, at), Duration::ZERO);
    }
}
