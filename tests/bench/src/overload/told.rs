//! What is told of an overload: rows with goals like those of the other measurements, what was called and answered, the
//! hub's memory, the same as JSON, and what decides the exit code.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::Findings;
use super::stall::STALLED;
use super::timeline::Second;
use crate::machine::render;
use crate::measure::{Point, micros, percentile};
use crate::out;
use crate::report::{Goal, Row, Side, point_json, row_json, table};

/// Prints the table; writes it and `overload.json`.
pub(crate) fn tell(found: &Findings, dir: &Path) -> Result<()> {
    let rows = rows(found);
    let text = format!("{}\n{}\n{}", render(&found.card), table(&rows), notes(found));
    out::data(&text);
    std::fs::write(dir.join("overload.txt"), text)?;
    std::fs::write(dir.join("overload.json"), format!("{:#}\n", as_json(found, &rows)))?;
    out::talk(&format!("written: overload.txt and overload.json in {}", dir.display()));
    Ok(())
}

/// What must not be: for any of it the program fails.
pub(crate) fn faults(found: &Findings) -> Vec<String> {
    let mut faults: Vec<String> = invalid(found).map(|why| format!("INVALID: {why}")).into_iter().collect();
    let without_time = found.flood.tally.without_time();
    if without_time > 0 {
        faults.push(format!("{without_time} calls were turned away without a retry time"));
    }
    faults
}

/// Why nothing of this counts, if so.
fn invalid(found: &Findings) -> Option<String> {
    let flood = &found.flood;
    let audit = flood.audit;
    let counts = || {
        format!(
            "of {} accepted messages {} were lost; {} came twice, {} although refused",
            audit.accepted, audit.lost, audit.doubled, audit.refused_and_came
        )
    };
    let of_point = |what: &str, point: &Point| point.shortfall.as_ref().map(|why| format!("{what}: {why}"));
    (!audit.is_whole())
        .then(counts)
        .or_else(|| found.unsound.clone())
        .or_else(|| flood.trouble.clone())
        .or_else(|| of_point("calm", &found.calm))
        .or_else(|| of_point("before the stalled", &found.stall.round.before))
        .or_else(|| of_point("beside the stalled", &found.stall.round.beside))
        .or_else(|| found.stall.trouble.clone())
}

fn rows(found: &Findings) -> Vec<Row> {
    let invalid = invalid(found);
    let side = |name: String, value: f64, unit: &'static str| Side {
        name,
        value,
        unit,
        point: None,
        shortfall: invalid.clone(),
    };
    let flood = &found.flood;
    let alone = |what: &str, name: String, value: f64, unit: &'static str, most: f64| Row {
        what: what.into(),
        ours: Some(side(name, value, unit)),
        theirs: None,
        absolute: true,
        goal: Goal::AtMost(most),
    };
    let back = flood.back.map_or(f64::INFINITY, |back| back.as_secs_f64());
    let p99 = |name: &str, point: &Point| {
        let short = found.stall.round.shortfall().or(invalid.clone());
        Side { shortfall: short, ..side(name.into(), point.p99_us / 1000.0, "ms p99") }
    };
    vec![
        Row {
            what: "goodput at four times the capacity / peak".into(),
            ours: Some(side(format!("{:.0}/s offered", flood.offered), flood.goodput(), "/s")),
            theirs: Some(Side {
                point: Some(found.peak.1.clone()),
                ..side(format!("peak [{} in flight]", found.peak.0), found.peak.1.rate, "/s")
            }),
            absolute: false,
            goal: Goal::AtLeast(0.8),
        },
        alone(
            "latency is back, s after the overload",
            format!("p99 {:.1} ms before", found.calm.p99_us / 1000.0),
            back,
            "s",
            10.0,
        ),
        alone(
            "accepted messages that were lost or came twice",
            format!("{} accepted", flood.audit.accepted),
            (flood.audit.lost + flood.audit.doubled) as f64,
            "messages",
            0.0,
        ),
        alone(
            "refusals without a retry time",
            format!("{} refused", flood.tally.refused_count()),
            flood.tally.without_time() as f64,
            "calls",
            0.0,
        ),
        Row {
            what: format!("p99 beside {STALLED} stalled bureaus / without them"),
            ours: Some(p99("beside them", &found.stall.round.beside)),
            theirs: Some(p99("without them", &found.stall.round.before)),
            absolute: false,
            goal: Goal::AtMost(1.5),
        },
    ]
}

/// What has no goal.
fn notes(found: &Findings) -> String {
    let (flood, tally) = (&found.flood, &found.flood.tally);
    let seconds = flood.length.as_secs_f64();
    let mut text = String::new();
    let mut say = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    say(format!(
        "unloaded, {:.0}/s: p50 {:.1} ms, p99 {:.1} ms",
        found.calm.rate,
        found.calm.p50_us / 1000.0,
        found.calm.p99_us / 1000.0
    ));
    say(format!(
        "overload: {} streams at their full window, {} countries that call",
        flood.streams, flood.callers
    ));
    say(format!("  calls due        {:>10.0}/s", tally.due as f64 / seconds));
    say(format!("  calls made       {:>10.0}/s", tally.made as f64 / seconds));
    say(format!(
        "  not even offered {:>10.0}/s: {} held back until the retry time of others, {} with as many under way as may be",
        (tally.held_back + tally.full) as f64 / seconds,
        tally.held_back,
        tally.full
    ));
    let mut took = tally.took.clone();
    took.sort_unstable();
    say(format!(
        "  calls accepted   {:>10.0}/s, p50 {:.0} ms, p99 {:.0} ms",
        tally.accepted as f64 / seconds,
        micros(percentile(&took, 50)) / 1000.0,
        micros(percentile(&took, 99)) / 1000.0
    ));
    for words in tally.words() {
        say(format!("  calls answered no: {words}"));
    }
    say(format!("  the longest retry time: {:.1} s", tally.longest_wait.as_secs_f64()));
    let cores = |time: Duration| time.as_secs_f64() / seconds;
    say(format!(
        "  processors: hub {:.2}, load generator {:.2}, of those that both share",
        cores(flood.cpu.server),
        cores(flood.cpu.client)
    ));
    let slowest = flood.during.iter().map(|second| second.deliveries).min().unwrap_or(0);
    say(format!("  delivered in the slowest second: {slowest}"));
    let p99s = |seconds: &[Second]| {
        let p99s: Vec<String> =
            seconds.iter().map(|second| format!("{:.0}", micros(second.p99) / 1000.0)).collect();
        p99s.join(" ")
    };
    say(format!("p99 in ms, second by second after it: {}", p99s(&flood.after)));
    say(format!("  with the calls still under way, since first made: {}", p99s(&flood.after_with_calls)));
    let mib = |bytes: u64| bytes >> 20;
    say(format!(
        "stalled: {} KiB on the way to each that it does not take",
        found.stall.round.unread / STALLED as u64 / 1024
    ));
    say(format!(
        "hub memory, MiB: {} at the start, {} at most, {} with {STALLED} stalled, {} at the end",
        mib(found.memory.start),
        mib(found.memory.most),
        mib(found.stall.round.memory),
        mib(found.memory.end)
    ));
    text
}

fn as_json(found: &Findings, rows: &[Row]) -> Value {
    let card: serde_json::Map<String, Value> =
        found.card.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    let (flood, tally) = (&found.flood, &found.flood.tally);
    let refused = tally
        .refused
        .iter()
        .map(|((reason, timed), count)| json!({ "reason": reason, "retry_time": timed, "count": count }));
    json!({
        "card": card,
        "table": rows.iter().map(row_json).collect::<Vec<_>>(),
        "faults": faults(found),
        "peak": { "in_flight": found.peak.0, "point": point_json(&found.peak.1) },
        "calm": point_json(&found.calm),
        "overload": {
            "offered_per_second": flood.offered, "seconds": flood.length.as_secs_f64(),
            "streamed": flood.streamed, "streams": flood.streams, "callers": flood.callers,
            "accepted": flood.audit.accepted, "lost": flood.audit.lost, "doubled": flood.audit.doubled,
            "refused_and_came": flood.audit.refused_and_came,
            "goodput": flood.goodput(),
            "calls": {
                "due": tally.due, "made": tally.made, "held_back": tally.held_back, "full": tally.full,
                "accepted": tally.accepted, "refused": refused.collect::<Vec<_>>(), "failed": tally.failed,
                "longest_retry_time_ms": tally.longest_wait.as_millis() as u64,
            },
            "cpu_seconds": { "hub": flood.cpu.server.as_secs_f64(), "client": flood.cpu.client.as_secs_f64() },
            "by_second": by_second(&flood.during),
            "hub_memory_bytes": flood.memory,
        },
        "after": {
            "back_after_s": flood.back.map(|back| back.as_secs()), "by_second": by_second(&flood.after),
            "by_second_with_calls": by_second(&flood.after_with_calls),
        },
        "stalled": {
            "before": point_json(&found.stall.round.before), "beside": point_json(&found.stall.round.beside),
            "held_first": found.stall.round.held.0, "held_last": found.stall.round.held.1,
            "full": found.stall.round.full, "unread_bytes": found.stall.round.unread,
            "hub_memory_bytes": found.stall.round.memory,
        },
        "hub_memory_bytes": {
            "start": found.memory.start, "most": found.memory.most, "end": found.memory.end,
        },
    })
}

fn by_second(seconds: &[Second]) -> Vec<Value> {
    let second = |second: &Second| json!({ "deliveries": second.deliveries, "p50_us": micros(second.p50), "p99_us": micros(second.p99) });
    seconds.iter().map(second).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Memory;
    use super::super::flood::{Audit, Flood};
    use super::super::stall::{Round, Stall};
    use super::super::tally::{Answer, Tally};
    use super::*;
    use crate::measure::Cpu;

    fn point(rate: f64, p99_us: f64) -> Point {
        Point { rate, p99_us, shortfall: None, ..Point::failed(String::new()) }
    }

    fn found() -> Findings {
        let second = Second { deliveries: 900, p50: Duration::ZERO, p99: Duration::from_millis(5) };
        let flood = Flood {
            offered: 4000.0,
            streams: 128,
            callers: 35,
            length: Duration::from_secs(2),
            streamed: 1000,
            tally: Tally::default(),
            audit: Audit { accepted: 1800, ..Audit::default() },
            during: vec![second; 2],
            after: vec![second],
            after_with_calls: vec![second],
            back: Some(Duration::from_secs(1)),
            cpu: Cpu::default(),
            memory: Vec::new(),
            trouble: None,
        };
        let round = Round {
            before: point(500.0, 4000.0),
            beside: point(500.0, 5000.0),
            held: (STALLED, STALLED),
            full: true,
            unread: 0,
            memory: 0,
        };
        let stall = Stall { round, trouble: None };
        Findings {
            card: Vec::new(),
            peak: (256, point(1000.0, 9000.0)),
            calm: point(500.0, 4000.0),
            flood,
            stall,
            memory: Memory { start: 1, most: 3, end: 2 },
            unsound: None,
        }
    }

    #[test]
    fn what_holds_is_told_with_its_ratios_and_fails_nothing() {
        let found = found();
        let ratios: Vec<_> = rows(&found).iter().map(|row| (row.ratio(), row.reached())).collect();
        let expected = [0.9, 1.0, 0.0, 0.0, 1.25].map(|ratio| (Ok(ratio), Some(true)));
        assert_eq!(ratios, expected);
        assert_eq!(faults(&found), Vec::<String>::new());
    }

    #[test]
    fn slowness_fails_nothing_and_a_loss_spoils_every_row() {
        let mut found = found();
        found.flood.back = None;
        found.stall.round.beside.p99_us = 90_000.0;
        let reached: Vec<_> = rows(&found).iter().map(Row::reached).collect();
        assert_eq!(reached, [Some(true), Some(false), Some(true), Some(true), Some(false)]);
        assert_eq!(faults(&found), Vec::<String>::new());
        found.flood.audit.lost = 1;
        assert!(rows(&found).iter().all(|row| row.ratio() == Err("INVALID")));
        let expected = "INVALID: of 1800 accepted messages 1 were lost; 0 came twice, 0 although refused";
        assert_eq!(faults(&found), [expected]);
    }

    #[test]
    fn a_refusal_without_a_time_fails_and_so_does_a_log_that_is_not_sound() {
        let mut found = found();
        let refused = Answer::Refused { reason: i247_model::Reason::Busy, retry_after: None };
        found.flood.tally.count(&refused, Duration::ZERO);
        assert_eq!(faults(&found), ["1 calls were turned away without a retry time"]);
        found.unsound = Some("the ledger is not sound".into());
        assert_eq!(faults(&found).len(), 2);
    }

    #[test]
    fn a_comparison_with_fewer_stalled_than_it_says_does_not_count_and_fails_nothing() {
        let mut found = found();
        found.stall.round.held = (STALLED, 40);
        let last = rows(&found).pop().unwrap();
        assert_eq!((last.ratio(), last.reached()), (Err("INVALID"), None));
        assert_eq!(faults(&found), Vec::<String>::new());
    }
}
