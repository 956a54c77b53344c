//! Values as lines of plain text. Pure; colours are the command's business.

use i247_client::pb;

use crate::file::Qualifier;
use crate::table::{RecordedCell, Table};

/// The table as lines.
pub fn render(table: &Table) -> Vec<String> {
    let rows: Vec<(String, String, String)> = table
        .rows
        .iter()
        .map(|row| {
            (row.label.clone(), row.run.clone(), row.recorded.as_ref().map_or(String::new(), recorded))
        })
        .collect();
    let width = |column: fn(&(String, String, String)) -> &String, least: usize| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0).max(least)
    };
    let (label, run) = (width(|row| &row.0, 9), width(|row| &row.1, 8));
    let line = |a: &str, b: &str, c: &str| format!("{a:label$}  {b:>run$}  {c}").trim_end().to_owned();
    let mut lines = vec![line(&table.operation, "this run", "recorded"), "-".repeat(label + run + 20)];
    lines.extend(rows.iter().map(|(a, b, c)| line(a, b, c)));
    if rows.is_empty() {
        lines.push("Neither the log nor the journal of searches holds anything of it.".to_owned());
    }
    let mut sources: Vec<&str> =
        table.rows.iter().filter_map(|row| row.recorded.as_ref()).map(|cell| cell.source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    lines.push(String::new());
    lines.extend(sources.iter().map(|source| format!("Recorded: {source}.")));
    lines.push(format!("Digest over cases, outcomes and counts: {}", table.digest));
    if table.falls_short() {
        lines.push(String::new());
        lines.push("The run falls short:".to_owned());
        lines.extend(table.gaps.iter().map(|gap| format!("  {gap}")));
    }
    lines
}

/// A recorded figure, as its source puts it; marked where the run does not come to it.
pub(crate) fn recorded(cell: &RecordedCell) -> String {
    let mark = if cell.met { "" } else { "  (differs)" };
    match cell.qualifier {
        Qualifier::Exact => format!("{}{mark}", cell.value),
        Qualifier::MoreThan | Qualifier::About => format!("{} {}{mark}", cell.qualifier, cell.value),
    }
}

/// One message's way as lines: when, after how long, where, what.
pub fn trace_lines(trace: &pb::TraceResponse) -> Vec<String> {
    let id = trace.status.as_ref().map_or("", |status| status.id.as_str());
    let mut lines = vec![format!("{id}: {} of {}", trace.kind, trace.sender)];
    let begin = trace.events.first().map_or(0, |event| event.at_ms);
    for event in &trace.events {
        let after = event.at_ms.saturating_sub(begin);
        lines.push(format!("  +{after:>6} ms  {:<5} {}", event.party, event.event));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::tests::small;
    use crate::file::{Figure, Recorded};
    use crate::table::tabulate;

    #[test]
    fn the_table_is_read_from_left_to_right() {
        let recorded = |figure, value, qualifier| Recorded {
            figure,
            value,
            qualifier,
            source: "public page on Operation Infra-Red".into(),
        };
        let table = tabulate(
            &small(),
            &[
                recorded(Figure::Cases, 3, Qualifier::Exact),
                recorded(Figure::Officers, 45, Qualifier::MoreThan),
            ],
            None,
        );
        let lines = render(&table);
        assert_eq!(lines[0], "infra-red-2010                              this run  recorded");
        assert_eq!(lines[2], "Cases                                              3  3");
        assert_eq!(lines[3], "Countries                                          2");
        assert_eq!(lines[4], "Officers                                           3  more than 45  (differs)");
        assert!(lines.contains(&"Recorded: public page on Operation Infra-Red.".to_owned()));
        let short = lines.iter().position(|line| line == "The run falls short:").unwrap();
        assert_eq!(lines[short + 1], "  BR: silent, 1 cases wait for its answer");
        assert!(lines.iter().all(|line| line.is_ascii() && line.len() <= 110));
    }

    #[test]
    fn of_an_operation_that_nobody_worked_it_is_said_that_there_is_nothing() {
        let nothing = crate::count::Counted { operation: "misspelt".into(), ..Default::default() };
        let lines = render(&tabulate(&nothing, &[], None));
        assert_eq!(lines[2], "Neither the log nor the journal of searches holds anything of it.");
    }

    #[test]
    fn a_trace_counts_from_the_first_event() {
        let event = |at_ms, party: &str, event: &str| pb::TraceEvent {
            at_ms,
            party: party.into(),
            event: event.into(),
            ..Default::default()
        };
        let trace = pb::TraceResponse {
            status: Some(pb::MessageStatus { id: "FR-1-U-12".into(), ..Default::default() }),
            kind: "request".into(),
            sender: "FR".into(),
            events: vec![event(5_000, "IPSG", "accepted"), event(5_012, "BR", "delivered")],
            ..Default::default()
        };
        assert_eq!(
            trace_lines(&trace),
            ["FR-1-U-12: request of FR", "  +     0 ms  IPSG  accepted", "  +    12 ms  BR    delivered"]
        );
    }
}
