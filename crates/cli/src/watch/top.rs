//! `i247 top`: a live table of the links. `q` leaves; `--once` prints one table for pipes.

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use clap::Args;
use i247_client::{ClientError, Monitor, pb};
use i247_model::{CountryCode, member};
use i247_node::with_causes;
use ratatui::DefaultTerminal;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Alignment, Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line as Text;
use ratatui::widgets::{Cell, Paragraph, Row, Table};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};

use super::anew;
use super::board::{Board, Line, News};
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

/// How wide they are, and which of them hold a number.
const WIDTHS: [u16; 8] = [5, 9, 8, 8, 16, 10, 8, 8];
const NUMBERS: [usize; 5] = [2, 3, 4, 5, 6];

/// Where so much is left beside them, countries have their names, of which so much is shown at most.
const NAME_ROOM: u16 = 12;
const NAME_MOST: u16 = 32;

/// What moves, as the hub tells it.
type Ticks = Streaming<pb::MonitorServiceWatchResponse>;

/// How it is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TopArgs {
    /// Print one table and end
    #[arg(long)]
    once: bool,
}

/// Which links are on the screen.
#[derive(Debug, Default)]
struct Shown {
    /// The first of them.
    first: usize,
    /// How many there is room for.
    room: usize,
}

impl Shown {
    /// Goes where a key says; drawing goes no further than there are links.
    fn go(&mut self, key: KeyCode) {
        self.first = match key {
            KeyCode::Down | KeyCode::Char('j') => self.first.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.first.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.first.saturating_add(self.room),
            KeyCode::PageUp => self.first.saturating_sub(self.room),
            KeyCode::Home => 0,
            KeyCode::End => usize::MAX,
            _ => self.first,
        };
    }
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
    let shown = show(&mut terminal, &mut board, monitor, ticks).await;
    ratatui::restore();
    shown
}

async fn show(
    terminal: &mut DefaultTerminal,
    board: &mut Board,
    monitor: Monitor,
    ticks: Ticks,
) -> Result<(), Fail> {
    let mut keys = keys();
    let mut shown = Shown::default();
    let (telling, mut told) = mpsc::channel(4);
    let _follows = AbortOnDropHandle::new(tokio::spawn(follow(monitor, ticks, telling)));
    loop {
        terminal.draw(|frame| draw(frame, board, &mut shown)).map_err(|error| {
            Fail::because("the table cannot be drawn", &error, "run it in another terminal, or with --once")
        })?;
        // Dropping a wait loses nothing: what was told and keys are remembered.
        tokio::select! {
            news = told.recv() => match news {
                Some(Ok(news)) => board.take(news),
                Some(Err(fail)) => return Err(fail),
                None => return Ok(()),
            },
            key = keys.recv() => match key {
                Some(KeyCode::Char('q') | KeyCode::Esc) | None => return Ok(()),
                Some(key) => shown.go(key),
            },
        }
    }
}

/// Tells what comes from the hub, and finds it again when it is lost, until nobody listens or it never will.
async fn follow(monitor: Monitor, mut ticks: Ticks, telling: mpsc::Sender<Result<News, Fail>>) {
    let mut statistics = tokio::time::interval(STATISTICS);
    loop {
        // Dropping a wait loses nothing: ticks and the interval are remembered.
        let news = tokio::select! {
            tick = next(&mut ticks) => tick.map(|tick| News::Tick(Box::new(tick))),
            _ = statistics.tick() => {
                monitor.statistics(WINDOW_S).await.map(|numbers| News::Statistics(Box::new(numbers)))
            }
        };
        let news = match news {
            Err(error) if error.passes() => {
                if telling.send(Ok(News::Silence(with_causes(&error)))).await.is_err() {
                    return;
                }
                let watch = || {
                    let monitor = monitor.clone();
                    async move { monitor.watch(pb::FlowFilter::default(), TICK_MS).await }
                };
                match anew(watch).await {
                    Ok(opened) => ticks = opened,
                    Err(error) => return drop(telling.send(Err(error.into())).await),
                }
                continue;
            }
            news => news.map_err(Fail::from),
        };
        let ends = news.is_err();
        if telling.send(news).await.is_err() || ends {
            return;
        }
    }
}

async fn next(ticks: &mut Ticks) -> Result<pb::FlowTick, ClientError> {
    let tick = ticks.message().await.map_err(ClientError::of_stream)?;
    let gone = || ClientError::of_stream(Status::unavailable("the hub has ended the stream"));
    tick.and_then(|tick| tick.tick).ok_or_else(gone)
}

/// Keys as they are pressed, and none where the terminal has another size. The thread that waits for them ends with the
/// receiver.
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
            let key = match event {
                Event::Key(KeyEvent { code: KeyCode::Char('c'), modifiers, .. })
                    if modifiers.contains(KeyModifiers::CONTROL) =>
                {
                    KeyCode::Esc
                }
                Event::Key(KeyEvent { code, kind: KeyEventKind::Press, .. }) => code,
                Event::Resize(..) => KeyCode::Null,
                _ => continue,
            };
            if pressed.blocking_send(key).is_err() {
                return;
            }
        }
    });
    keys
}

fn draw(frame: &mut Frame, board: &Board, shown: &mut Shown) {
    let lines = summary(board);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let rows = [Constraint::Length(height), Constraint::Length(1), Constraint::Min(2), Constraint::Length(1)];
    let [head, _, body, foot] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(Paragraph::new(lines.into_iter().map(Text::from).collect::<Vec<_>>()), head);

    let links = board.lines();
    shown.room = usize::from(body.height.saturating_sub(1)).max(1);
    shown.first = shown.first.min(links.len().saturating_sub(shown.room));
    let spare = body.width.saturating_sub(WIDTHS.iter().map(|width| width + 1).sum());
    let name = if spare >= NAME_ROOM { spare.min(NAME_MOST) } else { 0 };
    let mut widths = WIDTHS.map(Constraint::Length);
    widths[0] = Constraint::Length(WIDTHS[0] + name);
    let on_screen = links.iter().skip(shown.first).take(shown.room);
    let rows = on_screen.map(|line| {
        let mut cells = cells(line);
        if name > 0 {
            cells[0] = format!("{:<5}{}", line.party, name_of(&line.party));
        }
        row(cells).style(style(line))
    });
    let header = row(HEADER.map(str::to_owned)).style(Style::new().add_modifier(Modifier::BOLD));
    frame.render_widget(Table::new(rows, widths).header(header).column_spacing(1), body);

    let last = links.len().min(shown.first + shown.room);
    let first = last.min(shown.first + 1);
    let keys =
        format!("{first}-{last} of {}, worst first   q leaves   arrows, page up/down move", links.len());
    frame.render_widget(Paragraph::new(keys), foot);
}

/// Cells of a row, those with numbers at their right ends.
fn row(cells: [String; 8]) -> Row<'static> {
    Row::new(cells.into_iter().enumerate().map(|(at, cell)| {
        let side = if NUMBERS.contains(&at) { Alignment::Right } else { Alignment::Left };
        Cell::from(Text::from(cell).alignment(side))
    }))
}

fn name_of(party: &str) -> &'static str {
    party.parse::<CountryCode>().ok().and_then(member).map_or("", |member| member.name)
}

/// What matters of the whole network, in lines that fit 80 columns.
fn summary(board: &Board) -> Vec<String> {
    let numbers = &board.numbers;
    let oldest = match numbers.oldest_accepted_at_ms {
        0 => "none".to_owned(),
        at => span(board.at_ms.saturating_sub(at)),
    };
    let mut lines = vec![
        format!(
            "i247  {} UTC   accepted {:.1}/s  delivered {:.1}/s  refused {:.1}/s",
            render::clock(board.at_ms),
            numbers.accepted_per_second,
            numbers.delivered_per_second,
            numbers.refused_per_second
        ),
        format!(
            "links {} of {}, {} not post-quantum   log {}, {} behind",
            numbers.links_connected,
            numbers.links,
            numbers.links_not_post_quantum,
            numbers.log_end,
            numbers.behind_log
        ),
        format!(
            "p99 {}   oldest {oldest}   open {}   overdue {}   alerts {}",
            latency(numbers.delivery_p99_ms),
            numbers.open_messages,
            numbers.replies_overdue,
            numbers.alerts
        ),
    ];
    if let Some(why) = &board.silent {
        lines.push(format!("THE HUB IS NOT HEARD, this is how all stood before: {why}"));
    }
    if !numbers.writable {
        lines.push("THE HUB ACCEPTS NOTHING: i247 alerts says why".to_owned());
    }
    if board.lost > 0 {
        lines.push(format!("{} ticks were lost: what moved in them is not shown", board.lost));
    }
    lines
}

/// How long deliveries took; nothing where there were none.
fn latency(p99_ms: u64) -> String {
    if p99_ms == 0 { "-".to_owned() } else { span(p99_ms) }
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
        latency(line.p99_ms),
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

    /// So many links, of which France's is in a bad way.
    fn board(parties: &[&str]) -> Board {
        let mut board = Board::default();
        let country = |party: &&str| pb::FlowCountry {
            party: (*party).to_owned(),
            connected: true,
            standing: pb::Standing::Active.into(),
            ..Default::default()
        };
        let mut countries: Vec<pb::FlowCountry> = parties.iter().map(country).collect();
        countries[0].queued = vec![1, 22, 333, 4444];
        countries[0].oldest_accepted_at_ms = 1_000;
        countries[0].worst = pb::AlertSeverity::Critical.into();
        let numbers = pb::FlowNumbers {
            accepted_per_second: 1999.9,
            delivered_per_second: 391_980.4,
            refused_per_second: 0.1,
            links: 196,
            links_connected: 196,
            links_not_post_quantum: 196,
            log_end: 1_234_567_890,
            behind_log: 12_345,
            alerts: 196,
            oldest_accepted_at_ms: 1_000,
            open_messages: 1_234_567,
            replies_overdue: 12_345,
            ..Default::default()
        };
        board.tick(pb::FlowTick {
            at_ms: 1_700_000_000_000,
            span_ms: 1000,
            countries,
            numbers: Some(numbers),
            ticks_lost: 12,
            ..Default::default()
        });
        board
    }

    fn drawn(board: &Board, shown: &mut Shown, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, board, shown)).unwrap();
        let cells = terminal.backend().buffer().content();
        let lines = cells.chunks(usize::from(width));
        let line = |cells: &[_]| -> String { cells.iter().map(ratatui::buffer::Cell::symbol).collect() };
        lines.map(|cells| line(cells).trim_end().to_owned()).collect()
    }

    #[test]
    fn the_table_fits_eighty_columns() {
        let shown = drawn(&board(&["FR", "BR"]), &mut Shown::default(), 80, 10);
        let expected = [
            "i247  22:13:20 UTC   accepted 1999.9/s  delivered 391980.4/s  refused 0.1/s",
            "links 196 of 196, 196 not post-quantum   log 1234567890, 12345 behind",
            "p99 -   oldest 19675 days   open 1234567   overdue 12345   alerts 196",
            "THE HUB ACCEPTS NOTHING: i247 alerts says why",
            "12 ticks were lost: what moved in them is not shown",
            "",
            "LINK  STATE       SENT/s   RECV/s   V/U/N/B QUEUED     OLDEST      P99 ALERT",
            "FR    connected        -        -    1/22/333/4444 19675 days        - critical",
            "BR    connected        -        -                -          -        -",
            "1-2 of 2, worst first   q leaves   arrows, page up/down move",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn where_there_is_room_countries_have_names() {
        let shown = drawn(&board(&["FR"]), &mut Shown::default(), 100, 9);
        assert!(shown[7].starts_with("FR   France               connected "), "{}", shown[7]);
    }

    #[test]
    fn keys_go_as_far_as_there_are_links() {
        let board = board(&["FR", "BR", "JP", "SN"]);
        let mut shown = Shown::default();
        let links = |shown: &mut Shown| drawn(&board, shown, 80, 10)[7..].to_vec();
        let begins = |shown: &mut Shown| -> Vec<String> {
            links(shown).iter().map(|line| line.chars().take(5).collect()).collect()
        };
        let first = begins(&mut shown);
        assert_eq!((first[0].as_str(), first[2].as_str()), ("FR   ", "1-2 o"));
        shown.go(KeyCode::PageDown);
        assert_eq!(begins(&mut shown)[2], "3-4 o");
        shown.go(KeyCode::Down);
        assert_eq!(begins(&mut shown)[2], "3-4 o", "no further");
        shown.go(KeyCode::Up);
        assert_eq!(begins(&mut shown)[2], "2-3 o");
        shown.go(KeyCode::End);
        assert_eq!(begins(&mut shown)[2], "3-4 o");
        shown.go(KeyCode::Home);
        assert_eq!(begins(&mut shown), first);
    }
}
