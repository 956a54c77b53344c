//! One country that stands still and is flooded holds up nobody else: what is written among the others arrives as fast as
//! ever, in simulated time.

use std::time::Duration;

use i247_model::Kind;

use super::Broken;
use crate::record::{Record, simulated};

/// From the officer who writes it to the desk of the other country: six times over a line of at most 45 ms, five disks
/// that take up to 10 ms, and what the flood itself keeps the hub's disk busy with.
const WITHIN: Duration = Duration::from_millis(500);

pub(super) fn check(record: &Record, broken: &mut Vec<Broken>) -> u64 {
    let Some(stall) = &record.stall else { return 0 };
    let mut looked_at = 0;
    let others = record.wishes.iter().filter(|wish| {
        let meanwhile = wish.written >= stall.from && wish.written + WITHIN <= stall.until;
        meanwhile && stall.spares(wish.from) && wish.kind == Kind::FreeText
    });
    for wish in others {
        let id = wish.id.clone().unwrap_or_default();
        for at in &wish.audience {
            let seen = record.inboxes.get(at).into_iter().flatten().find(|seen| seen.id == id);
            let took = seen.map(|seen| simulated(seen.received_at_ms).saturating_sub(wish.written));
            if took.is_none_or(|took| took > WITHIN) {
                let text = format!("took {took:?} to {at} while {} stood still", stall.country);
                broken.push(("nobody is held up", id.clone(), text));
            }
            looked_at += 1;
        }
    }
    looked_at
}
