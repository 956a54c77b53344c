//! Whoever is cut off is gone within a second: nothing more arrives, and no line to the hub stays. And nobody gets a line
//! without showing a certificate that counts now.

use std::time::Duration;

use i247_model::CountryCode;

use super::Broken;
use crate::lines::Line;
use crate::record::{Record, simulated};

/// How long after a revocation, or a suspension, something may still go on.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// A certificate is good through the whole of its last second.
const LAST_SECOND: Duration = Duration::from_secs(1);

/// So long after a line was opened there is an identity behind it, or nobody.
const HANDSHAKE: Duration = Duration::from_millis(5_500);

pub(super) fn check(record: &Record, now: Duration, broken: &mut Vec<Broken>) {
    for (at, inbox) in &record.inboxes {
        let (cut, away) = (record.revoked.get(at), record.away.get(at));
        for seen in inbox {
            let late = |from: u64| simulated(seen.received_at_ms) > simulated(from) + CUT_WITHIN;
            if cut.is_some_and(|cut| late(*cut)) {
                broken.push(("cut off", seen.id.clone(), format!("{at} received it after its revocation")));
            }
            if away.is_some_and(|(from, until)| late(*from + 1_000) && seen.received_at_ms < *until) {
                broken.push(("cut off", seen.id.clone(), format!("{at} received it without a certificate")));
            }
        }
    }
    for line in record.lines.resumed() {
        let text = format!(
            "the line of {} at {:.3} takes up an earlier session: nobody looks at its certificate",
            line.from,
            line.opened.as_secs_f64()
        );
        broken.push(("every line is verified", String::new(), text));
    }
    for (country, since) in &record.revoked {
        let since = simulated(*since);
        for line in record.lines.from(&country.to_lowercase()) {
            // One that was opened later may fail in its handshake, but lead to nothing.
            let by = (since + CUT_WITHIN).max(line.opened + HANDSHAKE + CUT_WITHIN);
            let by = if is_known(&line, since) { since + CUT_WITHIN } else { by };
            outlived(*country, &line, by, now, "was revoked", broken);
        }
    }
    for (country, since) in &record.suspended {
        for line in record.lines.from(&country.to_lowercase()) {
            if is_known(&line, *since) {
                outlived(*country, &line, *since + CUT_WITHIN, now, "was suspended", broken);
            }
        }
    }
    for (country, (since, _)) in &record.away {
        let ends = simulated(*since) + LAST_SECOND;
        for line in record.lines.from(&country.to_lowercase()) {
            if is_known(&line, ends) {
                outlived(*country, &line, ends + CUT_WITHIN, now, "lost its certificate", broken);
            }
        }
    }
}

/// Whether it was open then, and its handshake done.
fn is_known(line: &Line, then: Duration) -> bool {
    line.opened + HANDSHAKE <= then && line.overlaps(then, then)
}

fn outlived(
    country: CountryCode,
    line: &Line,
    by: Duration,
    now: Duration,
    why: &str,
    broken: &mut Vec<Broken>,
) {
    let closed = line.closed.unwrap_or(now);
    if closed > by {
        let text = format!(
            "{country} {why}, and its line of {:.3} was open until {:.3}, not until {:.3}",
            line.opened.as_secs_f64(),
            closed.as_secs_f64(),
            by.as_secs_f64()
        );
        broken.push(("cut off", String::new(), text));
    }
}
