//! `i247 top`: a live table of the links, drawn anew every second; Ctrl-C leaves. `--once` prints one table for pipes.

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use clap::Args;
use i247_client::{ClientError, Monitor, pb};
use tonic::Streaming;

use super::board::{Board, Line};
use crate::fail::Fail;
use crate::out;
use crate::render::{self, span};
use crate::session::Session;

/// Length of a tick, in milliseconds.
const TICK_MS: u32 = 1000;

/// How often the slower numbers are asked for.
const STATISTICS: Duration = Duration::from_secs(5);

/// Over so many seconds they count.
const WINDOW_S: u32 = 60;

/// From the first column of the first line, with nothing behind.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// How many links are shown where the terminal does not say how many lines it has.
const LINES: usize = 20;

const HEADER: [&str; 8] = ["LINK", "STATE", "SENT/s", "RECV/s", "QUEUE V/U/N/B", "OLDEST", "P99", "ALERT"];

/// How it is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TopArgs {
    /// Print one table and end
    #[arg(long)]
    once: bool,
}

/// Shows the links until it is interrupted, or once.
pub(crate) async fn top(args: &TopArgs, session: &Session) -> Result<(), Fail> {
    let monitor = session.monitor()?;
    let mut ticks = monitor.watch(pb::FlowFilter::default(), TICK_MS).await?;
    let mut board = Board::default();
    board.statistics(&monitor.statistics(WINDOW_S).await?);
    board.tick(next(&mut ticks).await?);
    if args.once || session.global.json || !stdout().is_terminal() {
        // The first tick says how all stand; the second how much moves.
        board.tick(next(&mut ticks).await?);
        if session.global.json {
            out::json(&json_of(&board));
        } else {
            out::data(&text(&board, usize::MAX));
        }
        return Ok(());
    }
    show(&mut board, &monitor, &mut ticks).await
}

async fn show(
    board: &mut Board,
    monitor: &Monitor,
    ticks: &mut Streaming<pb::MonitorServiceWatchResponse>,
) -> Result<(), Fail> {
    let lines = std::env::var("LINES").ok().and_then(|lines| lines.parse::<usize>().ok());
    let links = lines.map_or(LINES, |lines| lines.saturating_sub(6));
    let mut statistics = tokio::time::interval(STATISTICS);
    loop {
        out::data(&format!("{CLEAR}{}", text(board, links)));
        // Dropping a wait loses nothing: ticks and the interval are remembered.
        tokio::select! {
            tick = next(ticks) => board.tick(tick?),
            _ = statistics.tick() => board.statistics(&monitor.statistics(WINDOW_S).await?),
        }
    }
}

async fn next(ticks: &mut Streaming<pb::MonitorServiceWatchResponse>) -> Result<pb::FlowTick, Fail> {
    let tick = ticks.message().await.map_err(ClientError::of_stream)?;
    let gone = || Fail::refused("the hub has ended the stream", "see that it runs, and start again");
    tick.and_then(|tick| tick.tick).ok_or_else(gone)
}

/// What matters of the whole network, in lines that fit 80 columns.
fn summary(board: &Board) -> Vec<String> {
    let numbers = &board.numbers;
    let oldest = match numbers.oldest_accepted_at_ms {
        0 => "none".to_owned(),
        at => span(board.at_ms.saturating_sub(at)),
    };
    vec![
        format!(
            "i247  {} UTC   accepted {:.1}/s  delivered {:.1}/s  refused {:.1}/s",
            render::clock(board.at_ms),
            numbers.accepted_per_second,
            numbers.delivered_per_second,
            numbers.refused_per_second
        ),
        format!(
            "p99 {}  oldest {oldest}  open {}  overdue {}  alerts {}  log {} (+{})",
            span(numbers.delivery_p99_ms),
            numbers.open_messages,
            numbers.replies_overdue,
            numbers.alerts,
            numbers.log_end,
            numbers.log_lag
        ),
        format!(
            "links {} of {}, {} not post-quantum{}{}",
            numbers.links_connected,
            numbers.links,
            numbers.links_not_post_quantum,
            if numbers.writable { "" } else { "   THE HUB ACCEPTS NOTHING" },
            if board.lost > 0 { format!("   {} ticks lost", board.lost) } else { String::new() }
        ),
    ]
}

/// A link in the columns of the table.
fn cells(line: &Line) -> [String; 8] {
    let queued: Vec<String> = line.queued.iter().map(ToString::to_string).collect();
    let idle = line.queued.iter().all(|count| *count == 0);
    let rate = |rate: f64| if rate > 0.0 { format!("{rate:.1}") } else { "-".to_owned() };
    [
        line.party.clone(),
        line.state.to_owned(),
        rate(line.sent_per_second),
        rate(line.received_per_second),
        if idle { "-".to_owned() } else { queued.join("/") },
        line.oldest_ms.map_or_else(|| "-".to_owned(), span),
        if line.p99_ms == 0 { "-".to_owned() } else { span(line.p99_ms) },
        render::severity(line.worst).to_owned(),
    ]
}

/// The whole table, with at most so many links.
fn text(board: &Board, links: usize) -> String {
    let lines = board.lines();
    let rows = lines.iter().take(links).map(|line| cells(line).to_vec()).collect();
    let table = format!("{}\n\n{}", summary(board).join("\n"), render::plain(&HEADER, rows));
    match lines.len().saturating_sub(links) {
        0 => table,
        more => format!("{table}\n… and {more} more"),
    }
}

fn json_of(board: &Board) -> serde_json::Value {
    let links: Vec<_> = board.lines().iter().map(json).collect();
    serde_json::json!({ "at_ms": board.at_ms, "links": links })
}

fn json(line: &Line) -> serde_json::Value {
    serde_json::json!({
        "party": line.party,
        "state": line.state,
        "sent_per_second": line.sent_per_second,
        "received_per_second": line.received_per_second,
        "queued": line.queued,
        "oldest_ms": line.oldest_ms,
        "p99_ms": line.p99_ms,
        "alert": render::severity(line.worst),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_eighty_columns() {
        let mut board = Board::default();
        let country = |party: &str| pb::FlowCountry {
            party: party.into(),
            connected: true,
            standing: pb::Standing::Active.into(),
            queued: vec![1, 22, 333, 4444],
            oldest_accepted_at_ms: 1_000,
            worst: pb::AlertSeverity::Critical.into(),
        };
        let numbers = pb::FlowNumbers { links: 196, links_connected: 196, ..Default::default() };
        board.tick(pb::FlowTick {
            at_ms: 1_700_000_000_000,
            span_ms: 1000,
            countries: vec![country("FR"), country("BR")],
            numbers: Some(numbers),
            ..Default::default()
        });
        let shown = anstream::adapter::strip_str(&text(&board, 1)).to_string();
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        for word in
            ["connected", "1/22/333/4444", "critical", "19675 days", "196 of 196", "ALERT", "and 1 more"]
        {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert!(shown.contains("THE HUB ACCEPTS NOTHING"));
    }
}
