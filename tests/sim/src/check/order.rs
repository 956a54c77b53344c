//! What comes first: an urgent message is not held up behind less urgent ones, and none of these starves.
//!
//! Looked at where it is certain what the hub had to choose from: at what arrived on a line that was opened when the
//! sender held its receipt already.

use std::time::Duration;

use i247_model::{CountryCode, Lane, MessageId};

use super::Broken;
use crate::lines::Line;
use crate::record::{Record, Seen, simulated};

/// At most so many more urgent messages pass one that waits, for each that is taken in turn.
const PASS: usize = 17;

/// The hub's own reminders may be taken back like others, and this record has none of them.
const UNSEEN: usize = 1;

pub(super) fn check(record: &Record, broken: &mut Vec<Broken>) {
    // What comes a second time from a recovered hub has its turn, and nobody sees it.
    if record.recovered.is_some() {
        return;
    }
    for (at, inbox) in &record.inboxes {
        if record.astray.contains(at) || record.restored.contains(at) {
            continue;
        }
        let lines = record.lines.from(&at.to_lowercase());
        for (nth, seen) in inbox.iter().enumerate() {
            let before = &inbox[..nth];
            in_turn(record, *at, seen, before, &lines, broken);
        }
    }
}

fn in_turn(
    record: &Record,
    at: CountryCode,
    seen: &Seen,
    before: &[Seen],
    lines: &[Line],
    broken: &mut Vec<Broken>,
) {
    let Some(line) = line_of(lines, seen) else { return };
    let waited = record.wish(&seen.id).is_some_and(|wish| wish.receipt && wish.receipt_seen < line.opened);
    if !waited || !seen.refers_to.is_empty() {
        return;
    }
    let since = before.iter().filter(|other| simulated(other.received_at_ms) >= line.opened);
    let lanes: Vec<(Lane, bool)> = since.map(|other| (other.lane, other.refers_to.is_empty())).collect();
    // What is before it in its lane may have had to wait for what it refers to.
    if lanes.iter().any(|(lane, free)| *lane == seen.lane && !free) {
        return;
    }
    let (urgent, less) = (
        lanes.iter().filter(|(lane, _)| *lane < seen.lane).count(),
        lanes.iter().filter(|(lane, _)| *lane > seen.lane).count(),
    );
    let again = again(seen, before, lines, line);
    let others = lanes.len() - urgent + unseen(record, at, seen) + again;
    if urgent > PASS * (others + 1 + UNSEEN) {
        let text = format!("at {at} {urgent} more urgent messages came before it");
        broken.push(("no lane starves", seen.id.clone(), text));
    }
    if less > 1 + (lanes.len() - less + again) / 4 {
        let text = format!("at {at} {less} less urgent messages came before it");
        broken.push(("the urgent first", seen.id.clone(), text));
    }
}

/// How many of its lane were accepted before it came and never seen there: what was taken back or has expired has its
/// turn, too.
fn unseen(record: &Record, at: CountryCode, seen: &Seen) -> usize {
    let came = simulated(seen.received_at_ms);
    let lane_of = |id: &str| id.parse::<MessageId>().ok().map(|id| id.lane);
    let gone = record.wishes.iter().filter(|wish| {
        let id = wish.id.as_deref().unwrap_or_default();
        wish.receipt
            && wish.receipt_seen <= came
            && wish.audience.contains(&at)
            && lane_of(id) == Some(seen.lane)
            && !record.has(at, id)
    });
    gone.count()
}

/// How many of its lane came on the last line before on which anything came: others were cut or refused before that. The
/// receipt for them may be lost: then they come once more, have their turns, and are not seen.
fn again(seen: &Seen, before: &[Seen], lines: &[Line], line: &Line) -> usize {
    let earlier = before.iter().rfind(|one| simulated(one.received_at_ms) < line.opened);
    let Some(earlier) = earlier.and_then(|last| line_of(lines, last)) else { return 0 };
    let times = earlier.opened..line.opened;
    before
        .iter()
        .filter(|one| one.lane == seen.lane && times.contains(&simulated(one.received_at_ms)))
        .count()
}

/// The line on which it came.
fn line_of<'a>(lines: &'a [Line], seen: &Seen) -> Option<&'a Line> {
    let came: Duration = simulated(seen.received_at_ms);
    lines.iter().rfind(|line| line.opened <= came)
}
