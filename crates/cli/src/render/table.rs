//! Tables, moments and spans of time, and texts of others made harmless.

use anstyle::Style;
use comfy_table::{Table, presets};
use i247_model::{Kind, Lane};

/// Longest text in a cell, in characters.
const CELL_CHARS: usize = 60;

/// A table without borders, its header in bold.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| shortened(cell)).collect::<Vec<_>>());
    }
    let bold = Style::new().bold();
    let mut lines = table.lines().map(|line| line.trim_end().to_owned());
    let first = lines.next().unwrap_or_default();
    let rest: Vec<String> = lines.collect();
    format!("{bold}{first}{bold:#}\n{}", rest.join("\n"))
}

/// Labels and values, one a line.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let bold = Style::new().bold();
    let lines = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| format!("{bold}{label:<width$}{bold:#}  {}", line(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A text on one line, without control characters.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn shortened(cell: &str) -> String {
    let cell = line(cell);
    if cell.chars().count() <= CELL_CHARS {
        return cell;
    }
    cell.chars().take(CELL_CHARS - 1).chain(['…']).collect()
}

/// A moment in UTC; a dash for none.
pub(crate) fn moment(at_ms: u64) -> String {
    let known = i64::try_from(at_ms).ok().filter(|ms| *ms > 0);
    match known.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
        Some(at) => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        None => "-".to_owned(),
    }
}

/// A span of time, in the unit that fits.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// The word for a kind.
pub(super) fn kind(kind: i247_client::pb::Kind) -> String {
    Kind::try_from(kind).map_or_else(|_| "unknown kind".to_owned(), |kind| kind.to_string())
}

/// The word for a lane.
pub(super) fn lane(lane: i247_client::pb::Lane) -> &'static str {
    match Lane::try_from(lane) {
        Ok(Lane::VeryUrgent) => "very urgent",
        Ok(Lane::Urgent) => "urgent",
        Ok(Lane::Normal) => "normal",
        Ok(Lane::Bulk) => "bulk",
        Err(_) => "-",
    }
}

/// `RECIPIENT_STATE_QUEUED` without its prefix, in small letters; empty for unspecified.
pub(super) fn word(name: &str, prefix: &str) -> String {
    let word = name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', " ");
    if word == "unspecified" { String::new() } else { word }
}
