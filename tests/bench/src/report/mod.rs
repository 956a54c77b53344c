//! What is told at the end: a table, the same as JSON, and plots. Nothing here measures.

mod json;
mod plots;
mod rows;
mod searches;
mod svg;

use std::path::Path;

use anyhow::Result;

use crate::curves::Step;
use crate::links::Memory;
use crate::machine::{Card, render};
use crate::measure::Point;
use crate::out;
use crate::rounds::Results;
use crate::search::{Found, Indexed, Named};
use crate::watched::Watched;

pub(crate) use json::{point as point_json, row as row_json};
pub(crate) use rows::{Goal, Row, Side, render as table};

/// Everything that was found.
pub(crate) struct Findings {
    pub(crate) card: Card,
    pub(crate) results: Results,
    /// Store, entries in a commit, and what came of it.
    pub(crate) stores: Vec<(&'static str, usize, Point)>,
    pub(crate) memory: Option<Memory>,
    /// Microseconds: hybrid, and X25519 alone.
    pub(crate) handshakes: Option<(f64, f64)>,
    pub(crate) watched: Option<Watched>,
    pub(crate) searches: Option<Found>,
    pub(crate) names: Option<Named>,
    pub(crate) indexes: Vec<Indexed>,
    pub(crate) by_countries: Vec<Step>,
    pub(crate) by_length: Vec<Step>,
    /// Who is not here, and the command that gets it.
    pub(crate) absent: Vec<(&'static str, &'static str)>,
}

/// Prints the table; writes `bench.json` and the plots beside it.
pub(crate) fn tell(findings: &Findings, dir: &Path) -> Result<()> {
    let rows = rows::rows(findings);
    let table = rows::render(&rows);
    out::data(&format!("{}\n{table}", render(&findings.card)));
    for (name, how) in &findings.absent {
        out::data(&format!("not run: {name}; to get it: {how}"));
    }
    std::fs::write(dir.join("bench.txt"), format!("{}\n{table}", render(&findings.card)))?;
    std::fs::write(dir.join("bench.json"), format!("{:#}\n", json::of(findings, &rows)))?;
    for (name, svg) in plots::all(findings) {
        std::fs::write(dir.join(name), svg)?;
    }
    out::talk(&format!("written: bench.txt, bench.json and plots in {}", dir.display()));
    Ok(())
}
