//! `i247 top`: a live table of the links. `q` leaves; `--once` prints one table for pipes.

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use clap::Args;
use i247_client::{ClientError, Monitor, pb};
use ratatui::DefaultTerminal;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line as Text;
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};
use tokio::sync::mpsc;
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

/// How long one look for a key takes, so that the table goes away soon when the command ends otherwise.
const KEYS: Duration = Duration::from_millis(100);

const HEADER: [&str; 8] = ["LINK", "STATE", "SENT/s", "RECV/s", "V/U/N/B QUEUED", "OLDEST", "P99", "ALERT"];

/// How it is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TopArgs {
    /// Print one table and end
    #[arg(long)]
    once: bool,
}

/// Shows the links until `q`, or once.
pub(crate) async fn top(args: &TopArgs, session: &Session) -> Result<(), Fail> {
    let monitor = session.monitor()?;
    let mut ticks = monitor.watch(pb::FlowFilter::default(), TICK_MS).await?;
    let mut board = Board::default();
    board.statistics(&monitor.statistics(WINDOW_S).await?);
    board.tick(next(&mut ticks).await?);
    if args.once || session.global.json || !stdout().is_terminal() {
        // The first tick says how all stand; the second how much moves.
        board.tick(next(&mut ticks).await?);
        print(&board, session.global.json);
        return Ok(());
    }
    let mut terminal = ratatui::try_init().map_err(|error| {
        Fail::because("no table can be drawn here", &error, "run it in a terminal, or with --once")
    })?;
    let shown = show(&mut terminal, &mut board, &monitor, &mut ticks).await;
    ratatui::restore();
    shown
}

async fn show(
    terminal: &mut DefaultTerminal,
    board: &mut Board,
    monitor: &Monitor,
    ticks: &mut Streaming<pb::MonitorServiceWatchResponse>,
) -> Result<(), Fail> {
    let mut keys = keys();
    let mut state = TableState::default();
    let mut statistics = tokio::time::interval(STATISTICS);
    loop {
        terminal.draw(|frame| draw(frame, board, &mut state)).map_err(|error| {
            Fail::because("the table cannot be drawn", &error, "run it in another terminal, or with --once")
        })?;
        // Dropping a wait loses nothing: ticks, keys and the interval are remembered.
        tokio::select! {
            tick = next(ticks) => board.tick(tick?),
            key = keys.recv() => match key {
                Some(KeyCode::Char('q') | KeyCode::Esc) | None => return Ok(()),
                Some(KeyCode::Down | KeyCode::Char('j')) => state.scroll_down_by(1),
                Some(KeyCode::Up | KeyCode::Char('k')) => state.scroll_up_by(1),
                Some(KeyCode::PageDown) => state.scroll_down_by(20),
                Some(KeyCode::PageUp) => state.scroll_up_by(20),
                Some(_) => {}
            },
            _ = statistics.tick() => board.statistics(&monitor.statistics(WINDOW_S).await?),
        }
    }
}

async fn next(ticks: &mut Streaming<pb::MonitorServiceWatchResponse>) -> Result<pb::FlowTick, Fail> {
    let tick = ticks.message().await.map_err(ClientError::of_stream)?;
    let gone = || Fail::refused("the hub has ended the stream", "see that it runs, and start again");
    tick.and_then(|tick| tick.tick).ok_or_else(gone)
}

/// Keys as they are pressed. The thread that waits for them ends with the receiver.
fn keys() -> mpsc::Receiver<KeyCode> {
    let (pressed, keys) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        while !pressed.is_closed() {
            // Without a terminal there are no keys: the command ends.
            let Ok(waiting) = event::poll(KEYS) else { return };
            if !waiting {
                continue;
            }
            let Ok(event) = event::read() else { return };
            let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else {
                continue;
            };
            let stop = code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL);
            if pressed.blocking_send(if stop { KeyCode::Esc } else { code }).is_err() {
                return;
            }
        }
    });
    keys
}

fn draw(frame: &mut Frame, board: &Board, state: &mut TableState) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(3), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    let lines = summary(board);
    frame.render_widget(Paragraph::new(lines.into_iter().map(Text::from).collect::<Vec<_>>()), head);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let links = board.lines();
    let widths = [5, 9, 8, 8, 16, 10, 8, 8].map(Constraint::Length);
    let rows = links.iter().map(|line| Row::new(cells(line).map(Cell::from)).style(style(line)));
    let table = Table::new(rows, widths)
        .header(Row::new(HEADER).style(bold))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .column_spacing(1);
    frame.render_stateful_widget(table, body, state);
    frame.render_widget(Paragraph::new("q leaves   up/down, page up/down move   worst first"), foot);
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
            "p99 {}  oldest {oldest}  open {}  overdue {}  alerts {}  log {}, {} behind",
            span(numbers.delivery_p99_ms),
            numbers.open_messages,
            numbers.replies_overdue,
            numbers.alerts,
            numbers.log_end,
            numbers.behind_log
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

/// Colour says nothing that the words do not say.
fn style(line: &Line) -> Style {
    match line.worst {
        pb::AlertSeverity::Critical => Style::new().fg(Color::Red),
        pb::AlertSeverity::Warning => Style::new().fg(Color::Yellow),
        pb::AlertSeverity::Notice | pb::AlertSeverity::Unspecified => Style::new(),
    }
}

fn print(board: &Board, as_json: bool) {
    if as_json {
        let links: Vec<_> = board.lines().iter().map(json).collect();
        return out::json(&serde_json::json!({ "at_ms": board.at_ms, "links": links }));
    }
    let rows = board.lines().iter().map(|line| cells(line).to_vec()).collect();
    out::data(&format!("{}\n\n{}", summary(board).join("\n"), render::plain(&HEADER, rows)));
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
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    #[test]
    fn the_table_fits_eighty_columns() {
        let mut board = Board::default();
        let country = pb::FlowCountry {
            party: "FR".into(),
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
            countries: vec![country],
            numbers: Some(numbers),
            ..Default::default()
        });
        let mut terminal = Terminal::new(TestBackend::new(80, 10)).unwrap();
        terminal.draw(|frame| draw(frame, &board, &mut TableState::default())).unwrap();
        let shown: String = terminal.backend().buffer().content().iter().map(|cell| cell.symbol()).collect();
        for word in
            ["connected", "1/22/333/4444", "critical", "19675 days", "196 of 196", "ALERT", "q leaves"]
        {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert!(shown.contains("THE HUB ACCEPTS NOTHING"));
    }
}
