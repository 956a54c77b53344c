//! Stories about who said it. Each refusal starts from what is accepted and changes one thing.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

mod authorities;
mod bodies;
mod certificates;
mod envelopes;
mod hand_made;
mod handshakes;
mod vectors;

use i247_model::Timestamp;
use i247_trust::Validity;

/// 2030-01-01 00:00:00 UTC.
const NOW: Timestamp = Timestamp::from_millis(1_893_456_000_000);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn days(count: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis().saturating_add_signed(count * DAY_MS as i64))
}

/// From a day ago until so many days from now.
fn until(day: i64) -> Validity {
    Validity { not_before: days(-1), not_after: days(day) }
}
