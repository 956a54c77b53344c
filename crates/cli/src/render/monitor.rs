//! Alerts, single messages, and what else operators watch, as text.

use i247_client::pb;

use super::table::{kind, lane, line, moment, pairs, span, table};

/// A table, as it is.
pub(crate) fn plain(header: &[&str], rows: Vec<Vec<String>>) -> String {
    table(header, rows)
}

/// The time of day in UTC.
pub(crate) fn clock(at_ms: u64) -> String {
    moment(at_ms).split(' ').nth(1).unwrap_or("-").to_owned()
}

/// How bad an alert is, in a word; empty for none.
pub(crate) fn severity(severity: pb::AlertSeverity) -> &'static str {
    match severity {
        pb::AlertSeverity::Critical => "critical",
        pb::AlertSeverity::Warning => "warning",
        pb::AlertSeverity::Notice => "notice",
        pb::AlertSeverity::Unspecified => "",
    }
}

/// Whether somebody should look now.
pub(crate) fn is_critical(alert: &pb::Alert) -> bool {
    alert.severity() == pb::AlertSeverity::Critical && alert.cleared_at_ms == 0
}

/// How the hub is, in a few lines.
pub(crate) fn hub(
    statistics: &pb::StatisticsResponse,
    alerts: &pb::AlertsResponse,
    databases: &pb::DatabasesResponse,
) -> String {
    let numbers = statistics.numbers.unwrap_or_default();
    let oldest = match numbers.oldest_accepted_at_ms {
        0 => "nothing waits for a bureau that may connect".to_owned(),
        at => format!("the oldest waits for {}", span(statistics.at_ms.saturating_sub(at))),
    };
    let delivery = match numbers.delivery_p99_ms {
        0 => "nothing was delivered in the last minute".to_owned(),
        p99 => format!("99 of 100 within {}", span(p99)),
    };
    let head = pairs(&[
        ("hub", if numbers.writable { "takes entries" } else { "TAKES NOTHING" }.to_owned()),
        (
            "log",
            format!("{} entries; the slowest view is {} behind the log", numbers.log_end, numbers.behind_log),
        ),
        ("links", format!("{} of {} connected", numbers.links_connected, numbers.links)),
        (
            "now",
            format!(
                "{:.1} accepted/s, {:.1} delivered/s, {:.1} refused/s",
                numbers.accepted_per_second, numbers.delivered_per_second, numbers.refused_per_second
            ),
        ),
        ("delivery", format!("{delivery}; {oldest}")),
        (
            "open",
            format!(
                "{} messages, {} answers overdue, {} notices to review",
                numbers.open_messages, numbers.replies_overdue, numbers.pending_reviews
            ),
        ),
        ("copies", copies(databases)),
    ]);
    let lines =
        alerts.alerts.iter().map(|alert| format!("{:<9} {}", severity(alert.severity()), line(&alert.text)));
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return format!("{head}\n\nNothing is wrong by any of {} rules.", alerts.rules.len());
    }
    format!("{head}\n\n{}\n\n`i247 alerts` says what to do.", lines.join("\n"))
}

/// Offline copies by their age; empty where nobody has fetched one.
fn copies(databases: &pb::DatabasesResponse) -> String {
    let Some(oldest) = databases.copies.first() else { return String::new() };
    let age = |copy: &pb::CopyHolder| databases.at_ms.saturating_sub(copy.as_of_ms);
    // Those that are left out are younger.
    let old = databases.copies.iter().filter(|copy| age(copy) > databases.copies_old_after_ms).count();
    format!(
        "{} offline copies were fetched, {old} of them older than {}; the oldest is {} at {}, {}",
        databases.copies.len() + databases.copies_left_out as usize,
        span(databases.copies_old_after_ms),
        super::check::database(oldest.database()),
        holder(oldest),
        span(age(oldest)),
    )
}

/// A country, and its post where it is one's.
fn holder(copy: &pb::CopyHolder) -> String {
    match copy.holder.split_once("/post/") {
        Some((_, post)) => format!("{}/{post}", copy.party),
        None => copy.party.clone(),
    }
}

/// What is wrong, the worst first, and what was.
pub(crate) fn alerts(answer: &pb::AlertsResponse) -> String {
    let (over, lasting): (Vec<&pb::Alert>, Vec<&pb::Alert>) =
        answer.alerts.iter().partition(|alert| alert.cleared_at_ms > 0);
    let mut parts = Vec::new();
    if lasting.is_empty() {
        parts.push(format!("Nothing is wrong by any of {} rules.", answer.rules.len()));
    }
    for alert in lasting {
        parts.push(pairs(&[
            (severity(alert.severity()), alert.rule.replace('_', " ")),
            ("what", alert.text.clone()),
            ("party", alert.party.clone()),
            ("message", alert.message_id.clone()),
            ("since", format!("{} UTC, {}", moment(alert.first_seen_ms), lasted(alert, answer.at_ms))),
            ("do", alert.next_step.clone()),
        ]));
    }
    if !over.is_empty() {
        let rows = over.iter().map(|alert| {
            vec![
                moment(alert.first_seen_ms),
                lasted(alert, alert.cleared_at_ms),
                alert.rule.clone(),
                line(&alert.text),
            ]
        });
        parts.push(format!("Over:\n{}", table(&["BEGAN (UTC)", "LASTED", "RULE", "WHAT"], rows.collect())));
    }
    parts.join("\n\n")
}

fn lasted(alert: &pb::Alert, until_ms: u64) -> String {
    span(until_ms.saturating_sub(alert.first_seen_ms))
}

/// One thing that happened to one message, in a line.
pub(crate) fn tapped(event: &pb::TapEvent) -> String {
    let to = match (event.to.as_str(), event.recipients) {
        ("", 0) => String::new(),
        ("", 1) => "1 recipient".to_owned(),
        ("", count) => format!("{count} recipients"),
        (to, _) => to.to_owned(),
    };
    let after = if event.after_ms > 0 { format!("after {}", span(event.after_ms)) } else { String::new() };
    let text = format!(
        "{}  {:<9} {:<18} {:<16} {:<11} {} > {to}  {}{after}",
        clock(event.at_ms),
        event.event,
        event.id,
        kind(event.kind()),
        lane(event.lane()),
        event.from,
        event.reason,
    );
    line(text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_told_in_a_few_lines() {
        let numbers = pb::FlowNumbers {
            writable: true,
            log_end: 1234,
            behind_log: 5,
            links: 12,
            links_connected: 11,
            accepted_per_second: 20.04,
            delivery_p99_ms: 1_540,
            oldest_accepted_at_ms: 1_000,
            replies_overdue: 2,
            ..pb::FlowNumbers::default()
        };
        let statistics =
            pb::StatisticsResponse { at_ms: 61_000, numbers: Some(numbers), ..Default::default() };
        let rules = vec![pb::AlertRule::default(); 16];
        let alerts = pb::AlertsResponse { rules, ..Default::default() };
        let expected = "\
hub       takes entries
log       1234 entries; the slowest view is 5 behind the log
links     11 of 12 connected
now       20.0 accepted/s, 0.0 delivered/s, 0.0 refused/s
delivery  99 of 100 within 1.5 s; the oldest waits for 60.0 s
open      0 messages, 2 answers overdue, 0 notices to review

Nothing is wrong by any of 16 rules.";
        let told = hub(&statistics, &alerts, &pb::DatabasesResponse::default());
        assert_eq!(anstream::adapter::strip_str(&told).to_string(), expected);
    }

    #[test]
    fn offline_copies_are_told_by_their_age() {
        const HOUR: u64 = 3_600_000;
        let copy = |holder: &str, hours: u64| pb::CopyHolder {
            holder: format!("spiffe://i247.test/ncb/{holder}"),
            party: holder[..2].to_uppercase(),
            database: pb::Database::Sltd.into(),
            as_of_ms: (200 - hours) * HOUR,
            ..pb::CopyHolder::default()
        };
        let told = pb::DatabasesResponse {
            at_ms: 200 * HOUR,
            copies_old_after_ms: 48 * HOUR,
            copies: vec![copy("fr/post/cdg", 169), copy("de", 49), copy("jp", 48)],
            ..pb::DatabasesResponse::default()
        };
        assert_eq!(
            copies(&told),
            "3 offline copies were fetched, 2 of them older than 2 days; the oldest is sltd at FR/cdg, 7 days"
        );
        assert_eq!(copies(&pb::DatabasesResponse::default()), "");
    }
}
