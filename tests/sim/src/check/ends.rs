//! What was taken back while its addressee was away is not delivered to it any more.

use std::time::Duration;

use i247_model::Kind;

use super::Broken;
use crate::record::{Record, Seen, Wish};

/// How long the hub may need to notice that a line has ended.
const LET_GO: Duration = Duration::from_millis(100);

/// Looked at where it is certain that it was never under way: from before it was written until its sender held the
/// receipt for its end, its addressee had no line, and the hub was well. A hub that starts takes all that it has for
/// handed out, until its addressee says what came.
pub(super) fn check(record: &Record, broken: &mut Vec<Broken>) {
    if record.older_hub || record.recovered.is_some() {
        return;
    }
    let ends = record.wishes.iter().filter(|wish| matches!(wish.kind, Kind::Withdrawal | Kind::Cancellation));
    for end in ends.filter(|end| end.receipt && !record.restored.contains(&end.from)) {
        // A notice is younger than the request for it.
        let Some(ended) = record.wish(&end.refers_to) else { continue };
        let (from, until) = (ended.written.saturating_sub(LET_GO), end.receipt_seen);
        if record.hub_unwell.iter().any(|(since, ends)| *since <= until && *ends >= from) {
            continue;
        }
        for (at, inbox) in &record.inboxes {
            let lines = record.lines.from(&at.to_lowercase());
            let certain = !record.astray.contains(at) && !record.restored.contains(at);
            if !certain || lines.iter().any(|line| line.overlaps(from, until)) {
                continue;
            }
            if let Some(seen) = inbox.iter().find(|seen| is_ended(seen, end)) {
                let by = end.id.as_deref().unwrap_or_default();
                let text = format!("{at} was away until {by} took it back, and has it");
                broken.push(("nothing taken back is delivered", seen.id.clone(), text));
            }
        }
    }
}

/// A circular, or the notice that a request led to.
fn is_ended(seen: &Seen, end: &Wish) -> bool {
    match end.kind {
        Kind::Withdrawal => seen.id == end.refers_to,
        _ => seen.kind == Kind::Notice && seen.refers_to == end.refers_to,
    }
}
