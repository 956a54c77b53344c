//! The plots: latency against load, time to the last of all, and what a message costs as network and log grow.

use std::collections::BTreeMap;

use crate::curves::Step;
use crate::measure::{Point, Setting, Work};
use crate::report::Findings;
use crate::report::svg::{Chart, Line};

/// File names and pictures; none for what was not measured.
pub(crate) fn all(found: &Findings) -> Vec<(&'static str, String)> {
    let mut plots = Vec::new();
    let mut plot = |file, chart: Chart<'_>| {
        if !chart.lines.is_empty() {
            plots.push((file, chart.draw()));
        }
    };
    let load = |point: &Point, _: &Setting| (point.rate, point.p50_us / 1000.0);
    plot(
        "latency-against-load.svg",
        Chart {
            title: "One to one, 1 KiB: median latency against load",
            across: "deliveries a second",
            up: "ms",
            lines: lines(found, Work::PointToPoint, load),
        },
    );
    plot(
        "time-to-the-last.svg",
        Chart {
            title: "One to all: median time until the last recipient has it",
            across: "messages in flight",
            up: "ms",
            lines: lines(found, Work::FanOut, |point, setting| {
                (setting.in_flight as f64, point.p50_us / 1000.0)
            }),
        },
    );
    for (file, title, across, steps) in [
        (
            "cost-by-countries.svg",
            "Processor time and memory of the hub against the number of countries",
            "countries",
            &found.by_countries,
        ),
        (
            "cost-by-log-length.svg",
            "Processor time and memory of the hub against the length of its log",
            "messages in the log",
            &found.by_length,
        ),
    ] {
        plot(file, Chart { title, across, up: "us or MiB", lines: cost(steps) });
    }
    plots
}

/// A line for each contender and way, over its settings, without what fell short.
fn lines(found: &Findings, work: Work, place: impl Fn(&Point, &Setting) -> (f64, f64)) -> Vec<Line> {
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    // They come in the order of messages in flight.
    for (name, what, setting, point) in found.results.medians() {
        if what == work && point.shortfall.is_none() {
            let line = lines.entry(format!("{name} {}", setting.how)).or_default();
            line.push(place(&point, setting));
        }
    }
    lines.into_iter().map(|(name, points)| Line { name, points }).collect()
}

fn cost(steps: &[Step]) -> Vec<Line> {
    if steps.is_empty() {
        return Vec::new();
    }
    let line = |name: &str, figure: fn(&Step) -> f64| Line {
        name: name.into(),
        points: steps.iter().map(|step| (step.at as f64, figure(step))).collect(),
    };
    vec![
        line("processor time a message, us", |step| step.point.server_us),
        line("resident memory, MiB", |step| step.memory as f64 / f64::from(1 << 20)),
    ]
}
