//! The rows of the table: our figure, theirs, the ratio and the goal. A figure that does not count gives no ratio.

use std::fmt::Write as _;

use crate::hub::{self, IN_BURSTS, ONE_BY_ONE};
use crate::links::CONNECTIONS;
use crate::measure::{Point, Setting, Work};
use crate::peers::{nats, postgres, raw_tls, raw_tonic};
use crate::report::Findings;
use crate::report::searches::searches;
use crate::rounds::Figure;
use crate::stores::{GROUPS, LEDGER};
use crate::watched::CONSOLES;

/// What is aimed at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// It is told, and nothing is aimed at.
    None,
}

/// One side of a comparison.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) name: String,
    /// The figure that is compared, with its unit.
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The measurement behind it, where there is one.
    pub(crate) point: Option<Point>,
    pub(crate) shortfall: Option<String>,
}

/// One comparison.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What is compared; the key in the JSON.
    pub(crate) what: String,
    pub(crate) ours: Option<Side>,
    /// None for goals that are a figure and not a ratio.
    pub(crate) theirs: Option<Side>,
    pub(crate) absolute: bool,
    pub(crate) goal: Goal,
}

impl Row {
    /// Ours over theirs, or ours alone; in words where it does not count.
    pub(crate) fn ratio(&self) -> Result<f64, &'static str> {
        let ours = self.ours.as_ref().ok_or("not run")?;
        let theirs = match (&self.theirs, self.absolute) {
            (Some(theirs), _) => theirs.value,
            (None, true) => 1.0,
            (None, false) => return Err("not run"),
        };
        let short =
            ours.shortfall.is_some() || self.theirs.as_ref().is_some_and(|side| side.shortfall.is_some());
        if short { Err("INVALID") } else { Ok(ours.value / theirs) }
    }

    /// Whether the goal is reached, where that can be said.
    pub(crate) fn reached(&self) -> Option<bool> {
        let ratio = self.ratio().ok()?;
        match self.goal {
            Goal::AtLeast(goal) => Some(ratio >= goal),
            Goal::AtMost(goal) => Some(ratio <= goal),
            Goal::None => None,
        }
    }
}

/// All rows of which our side was measured, in the order in which they are read.
pub(crate) fn rows(found: &Findings) -> Vec<Row> {
    let mut rows = throughput(found);
    rows.extend(latency(found));
    rows.extend(echo(found));
    rows.extend(stores(found));
    rows.extend(links(found));
    rows.push(watched(found));
    rows.extend(searches(found));
    rows.retain(|row| row.ours.is_some());
    rows
}

fn throughput(found: &Findings) -> Vec<Row> {
    use Goal::AtLeast;
    let (to_one, to_all) = (Work::PointToPoint, Work::FanOut);
    let rows: [(&str, Work, &str, &str, f64); 10] = [
        ("one to one, signed one by one / NATS sync always", to_one, ONE_BY_ONE, nats::ALWAYS, 15.0),
        ("one to one, signed one by one / NATS default", to_one, ONE_BY_ONE, nats::DEFAULT, 1.2),
        ("one to one, signed in bursts / NATS sync always", to_one, IN_BURSTS, nats::ALWAYS, 50.0),
        ("one to one, signed in bursts / NATS default", to_one, IN_BURSTS, nats::DEFAULT, 3.5),
        ("one to one, signed one by one / PostgreSQL inserts", to_one, ONE_BY_ONE, postgres::NAME, 5.0),
        ("one to one, signed in bursts / PostgreSQL inserts", to_one, IN_BURSTS, postgres::NAME, 15.0),
        ("one to all / NATS default", to_all, "", nats::DEFAULT, 3.5),
        ("one to all / NATS sync always", to_all, "", nats::ALWAYS, 8.0),
        ("one to all / raw TLS", to_all, "", raw_tls::NAME, 0.8),
        ("one to all / PostgreSQL", to_all, "", postgres::NAME, 2.5),
    ];
    let row = |(what, work, how, peer, goal): (&str, Work, &str, &str, f64)| Row {
        what: what.into(),
        ours: rate(found, hub::NAME, work, how),
        theirs: rate(found, peer, work, ""),
        absolute: false,
        goal: AtLeast(goal),
    };
    rows.into_iter().map(row).collect()
}

fn latency(found: &Findings) -> Vec<Row> {
    let rows = [
        ("time to the last of all / NATS default", nats::DEFAULT, 0.33),
        ("time to the last of all / NATS sync always", nats::ALWAYS, 0.15),
        ("time to the last of all / PostgreSQL", postgres::NAME, 0.16),
        ("time to the last of all / raw TLS, no disk", raw_tls::NAME, 2.0),
    ];
    let side = |name: &str| {
        let best = found.results.best(name, Work::FanOut, Figure::Latency, "");
        best.map(|(setting, point)| side(name, &setting, point.p50_us, "us", point))
    };
    let row = |(what, peer, goal): (&str, &str, f64)| Row {
        what: what.into(),
        ours: side(hub::NAME),
        theirs: side(peer),
        absolute: false,
        goal: Goal::AtMost(goal),
    };
    rows.into_iter().map(row).collect()
}

fn echo(found: &Findings) -> Vec<Row> {
    let stream = rate(found, raw_tonic::NAME, Work::Echo, raw_tonic::STREAM);
    let row = |what: &str, theirs, goal| Row {
        what: what.into(),
        ours: stream.clone(),
        theirs,
        absolute: false,
        goal: Goal::AtLeast(goal),
    };
    vec![
        row("tonic stream / raw TLS, 16 messages a write", rate(found, raw_tls::NAME, Work::Echo, ""), 0.33),
        row("tonic stream / tonic unary", rate(found, raw_tonic::NAME, Work::Echo, raw_tonic::UNARY), 8.0),
    ]
}

fn stores(found: &Findings) -> Vec<Row> {
    let mut rows = Vec::new();
    for group in GROUPS {
        let of_group = found.stores.iter().filter(|(_, size, _)| *size == group);
        let (own, others): (Vec<_>, Vec<_>) = of_group.partition(|(name, _, _)| *name == LEDGER);
        let best = others.into_iter().max_by(|one, other| one.2.rate.total_cmp(&other.2.rate));
        let to_side = |(name, size, point): &(&'static str, usize, Point)| {
            side(name, &Setting::of(*size, "a commit"), point.rate, "/s", point.clone())
        };
        let ours = own.first().copied().map(to_side);
        rows.push(Row {
            what: format!("ledger, {group} a commit / best embedded store"),
            ours: ours.clone(),
            theirs: best.map(to_side),
            absolute: false,
            goal: Goal::AtLeast(if group == 32 { 3.0 } else { 6.0 }),
        });
        let p99 = ours.map(|side| Side {
            value: side.point.as_ref().map_or(f64::NAN, |point| point.p99_us / 1000.0),
            unit: "ms",
            ..side
        });
        rows.push(Row {
            what: format!("ledger, {group} a commit: p99 of a commit, ms"),
            ours: p99,
            theirs: None,
            absolute: true,
            goal: Goal::AtMost(1.0),
        });
    }
    rows
}

fn links(found: &Findings) -> Vec<Row> {
    let figure =
        |name: &str, value: f64, unit| Side { name: name.into(), value, unit, point: None, shortfall: None };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let memory = |what: String, bytes: Option<u64>, goal| Row {
        what,
        ours: bytes.map(|bytes| figure("hub", mib(bytes), "MiB")),
        theirs: None,
        absolute: true,
        goal: Goal::AtMost(goal),
    };
    let found_memory = found.memory;
    vec![
        memory(
            "hub memory, every bureau linked, MiB".into(),
            found_memory.map(|memory| memory.linked),
            150.0,
        ),
        memory(
            format!("hub memory, {CONNECTIONS} connections, MiB"),
            found_memory.map(|memory| memory.connected),
            160.0,
        ),
        Row {
            what: "handshake X25519MLKEM768 / X25519".into(),
            ours: found.handshakes.map(|(hybrid, _)| figure("hybrid", hybrid, "us")),
            theirs: found.handshakes.map(|(_, plain)| figure("X25519", plain, "us")),
            absolute: false,
            goal: Goal::AtMost(1.1),
        },
    ]
}

/// The same load, watched and not.
fn watched(found: &Findings) -> Row {
    let of = |point: &Point| {
        let shortfall = point.shortfall.clone();
        Side { name: hub::NAME.into(), value: point.rate, unit: "/s", point: Some(point.clone()), shortfall }
    };
    Row {
        what: format!("one to one, watched by {CONSOLES} consoles / by nobody"),
        ours: found.watched.as_ref().map(|found| of(&found.watched)),
        theirs: found.watched.as_ref().map(|found| of(&found.alone)),
        absolute: false,
        goal: Goal::AtLeast(0.95),
    }
}

fn rate(found: &Findings, name: &str, work: Work, how: &str) -> Option<Side> {
    let best = found.results.best(name, work, Figure::Rate, how);
    best.map(|(setting, point)| side(name, &setting, point.rate, "/s", point))
}

pub(super) fn side(name: &str, setting: &Setting, value: f64, unit: &'static str, point: Point) -> Side {
    let shortfall = point.shortfall.clone();
    Side { name: format!("{name} [{setting}]"), value, unit, point: Some(point), shortfall }
}

/// The table as text.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let ratio = row.ratio().map_or_else(str::to_owned, |ratio| format!("{ratio:.2}"));
        let goal = match row.goal {
            Goal::AtLeast(goal) => format!("goal ≥ {goal:<5}"),
            Goal::AtMost(goal) => format!("goal ≤ {goal:<5}"),
            Goal::None => String::new(),
        };
        let reached = match row.reached() {
            Some(true) => "reached",
            Some(false) => "missed",
            None => "",
        };
        let _ = writeln!(text, "{:<58} {ratio:>8}  {goal} {reached}", row.what);
        for side in row.ours.iter().chain(&row.theirs) {
            let _ = writeln!(text, "    {}", describe(side));
        }
    }
    text
}

fn describe(side: &Side) -> String {
    if let Some(why) = &side.shortfall {
        // All of it is in the JSON.
        let why: String = why.chars().take(120).collect();
        return format!("{:<52} INVALID: {why}", side.name);
    }
    let figures = match &side.point {
        Some(point) => format!(
            "{:>9.0}/s  p50 {:>8.0} us  p99 {:>8.0} us  cpu {:>6.2} + {:>5.2} us",
            point.rate, point.p50_us, point.p99_us, point.server_us, point.client_us
        ),
        None => format!("{:>9.1} {}", side.value, side.unit),
    };
    format!("{:<52} {figures}", side.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: f64, shortfall: Option<&str>) -> Option<Side> {
        let shortfall = shortfall.map(str::to_owned);
        Some(Side { name: "one".into(), value, unit: "/s", point: None, shortfall })
    }

    fn row(ours: Option<Side>, theirs: Option<Side>) -> Row {
        Row { what: "this / that".into(), ours, theirs, absolute: false, goal: Goal::AtLeast(2.0) }
    }

    #[test]
    fn a_shortfall_on_either_side_is_no_ratio_and_neither_is_an_absent_side() {
        assert_eq!(row(of(6.0, None), of(2.0, None)).ratio(), Ok(3.0));
        assert_eq!(row(of(6.0, None), of(2.0, None)).reached(), Some(true));
        assert_eq!(row(of(6.0, Some("lost one")), of(2.0, None)).ratio(), Err("INVALID"));
        assert_eq!(row(of(6.0, None), of(2.0, Some("lost one"))).reached(), None);
        assert_eq!(row(of(6.0, None), None).ratio(), Err("not run"));
        let text = render(&[row(of(6.0, Some("lost one")), of(2.0, None))]);
        assert!(text.contains("INVALID: lost one"), "{text}");
    }
}
