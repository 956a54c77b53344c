//! The rows about the databases: our figure, theirs, and what is aimed at.

use crate::hub;
use crate::measure::{Point, Work};
use crate::peers::{postgres, raw_tonic};
use crate::report::Findings;
use crate::report::rows::{Goal, Row, Side, side};
use crate::rounds::Figure;
use crate::search::{ALL, BATCH, Found, Hidden, Indexed, Loading, MESSAGES, Named, PACKED, SEARCHES};

/// All of them that were measured.
pub(super) fn searches(found: &Findings) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(found.searches.iter().flat_map(of_hub));
    rows.extend(found.indexes.iter().flat_map(index));
    rows.extend(found.names.iter().flat_map(names));
    rows
}

/// Those that need a hub. When its log is not sound, none of them counts.
fn of_hub(found: &Found) -> Vec<Row> {
    let mut rows = throughput(found);
    rows.extend(beside(found));
    rows.extend(loading(&found.loading));
    rows.push(hidden("a record that is kept from the asker, beyond no record, ns", &found.hidden));
    rows.push(hidden("a record whose owner bars the asker, beyond no record, ns", &found.barred));
    if let Some(why) = &found.unsound {
        for side in rows.iter_mut().filter_map(|row| row.ours.as_mut()) {
            side.shortfall.get_or_insert_with(|| why.clone());
        }
    }
    rows
}

fn throughput(found: &Found) -> Vec<Row> {
    use Goal::AtLeast;
    let packed = format!("keys in frames of {PACKED}, 1 in 15,000 recorded / PostgreSQL any()");
    let hits = format!("keys in frames of {PACKED}, every one recorded / PostgreSQL any()");
    let bare = Some(raw_tonic::NAME);
    let rows = [
        ("search, one key a call / bare tonic unary echo", Work::Search, bare, AtLeast(0.8)),
        ("search, one key a call / PostgreSQL, pipelined", Work::Search, Some(postgres::NAME), AtLeast(1.2)),
        ("keys on streams, one a frame / bare tonic stream echo", Work::SearchStream, bare, Goal::None),
        ("keys on streams, one a frame, a second", Work::SearchStream, None, AtLeast(100_000.0)),
        (packed.as_str(), Work::Frames, Some(postgres::NAME), AtLeast(20.0)),
        (hits.as_str(), Work::Hits, Some(postgres::NAME), AtLeast(8.0)),
    ];
    let best = |name: &str, work| {
        let best = found.results.best(name, work, Figure::Rate, "");
        best.map(|(setting, point)| side(name, &setting, point.rate, "/s", point))
    };
    let row = |(what, work, peer, goal): (&str, Work, Option<&str>, Goal)| Row {
        what: what.into(),
        ours: best(hub::NAME, work),
        theirs: peer.and_then(|peer| best(peer, work)),
        absolute: peer.is_none(),
        goal,
    };
    rows.into_iter().map(row).collect()
}

/// A figure of ours, with nobody's beside it.
fn figure(what: String, name: &str, (value, unit): (f64, &'static str), goal: Goal) -> Row {
    let ours = Side { name: name.into(), value, unit, point: None, shortfall: None };
    Row { what, ours: Some(ours), theirs: None, absolute: true, goal }
}

/// The same with the measurement behind it.
fn measured(mut row: Row, point: &Point) -> Row {
    if let Some(side) = &mut row.ours {
        side.shortfall.clone_from(&point.shortfall);
        side.point = Some(point.clone());
    }
    row
}

fn beside(found: &Found) -> Vec<Row> {
    let beside = &found.beside;
    let searches = figure(
        format!("search at {SEARCHES}/s beside {MESSAGES:.0} messages/s and a load: p99, ms"),
        hub::NAME,
        (beside.searches.p99_us / 1000.0, "ms"),
        Goal::AtMost(5.0),
    );
    let messages = figure(
        "the messages beside it: p99, ms".into(),
        hub::NAME,
        (beside.messages.p99_us / 1000.0, "ms"),
        Goal::None,
    );
    let load = figure(
        "the load beside it, records a second".into(),
        &records(&beside.loading),
        (beside.loading.rate(), "/s"),
        Goal::None,
    );
    // The load alone says nothing when searches came to nothing.
    let load = match &beside.searches.shortfall {
        Some(_) => measured(load, &beside.searches),
        None => load,
    };
    vec![measured(searches, &beside.searches), measured(messages, &beside.messages), load]
}

fn records(loading: &Loading) -> String {
    format!("{} records in {:.1} s", loading.records, loading.took.as_secs_f64())
}

fn loading(loading: &Loading) -> Vec<Row> {
    let rate = loading.rate();
    let hours = ALL as f64 / rate / 3600.0;
    vec![
        figure(
            "records signed, loaded and decided, a second".into(),
            &records(loading),
            (rate, "/s"),
            Goal::AtLeast(100_000.0),
        ),
        figure(
            format!("{} million at that rate, hours (extrapolated)", ALL / 1_000_000),
            "not measured: the rate above, as if it held",
            (hours, "h"),
            Goal::None,
        ),
    ]
}

fn hidden(what: &str, found: &Hidden) -> Row {
    let name =
        format!("medians of {} each: {:.1} and {:.1} us", found.queries, found.excluded_us, found.absent_us);
    let difference = (found.excluded_us - found.absent_us) * 1000.0;
    let mut row = figure(what.into(), &name, (difference, "ns"), Goal::None);
    if let Some(side) = &mut row.ours {
        side.shortfall.clone_from(&found.shortfall);
    }
    row
}

fn index(found: &Indexed) -> Vec<Row> {
    const TWO_GIB: f64 = 2048.0;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let of = |what: &str| format!("index of {} million: {what}", found.records as f64 / 1e6);
    let (built, asked) = (&found.built, &found.asked);
    let opened = format!("opened in {:.1} s", asked.opened_seconds);
    let most = format!("{:.0} MiB at most while it was built", mib(built.most_bytes));
    let batched = format!("one core, batches of {BATCH}");
    vec![
        figure(of("memory, MiB"), &opened, (mib(asked.memory_bytes), "MiB"), Goal::AtMost(TWO_GIB)),
        figure(of("on disk, MiB"), &most, (mib(built.disk_bytes), "MiB"), Goal::AtMost(TWO_GIB)),
        figure(of("built in process, s"), &most, (built.seconds, "s"), Goal::None),
        figure(of("hits a second"), &batched, (asked.hits, "/s"), Goal::AtLeast(5_000_000.0)),
        figure(of("misses a second"), &batched, (asked.misses, "/s"), Goal::None),
    ]
}

fn names(found: &Named) -> Vec<Row> {
    let of = |what: &str| format!("names of {} persons: {what}", found.persons);
    let time = format!("in process, p50 {:.1} ms", found.p50_us / 1000.0);
    let memory = found.most_bytes as f64 / f64::from(1 << 20);
    let indexed = format!("indexed in {:.1} s, {memory:.0} MiB at most", found.indexed_seconds);
    let least = found.by_kind.iter().take(3).map(|of| format!("{} {:.2}", of.kind, of.recall));
    let least = least.collect::<Vec<_>>().join(", ");
    let missed = format!("{} missed, most of: {least}; {indexed}", found.missed);
    let wrong = format!("{} wrong; namesakes counted as wrong, {:.3}", found.wrong, found.strict_precision);
    vec![
        figure(of("p99, ms"), &time, (found.p99_us / 1000.0, "ms"), Goal::AtMost(50.0)),
        figure(of("recall"), &missed, (found.recall, ""), Goal::AtLeast(0.95)),
        figure(of("precision"), &wrong, (found.precision, ""), Goal::AtLeast(0.95)),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Measured;
    use crate::rounds::Results;
    use crate::search::Beside;

    fn of_seconds(seconds: u64) -> Loading {
        Loading { records: 200_000, took: Duration::from_secs(seconds) }
    }

    fn found(unsound: Option<&str>) -> Found {
        let point = || {
            let counts = Measured { sent: 1, accepted: 1, due: 1, delivered: 1, ..Measured::default() };
            Measured { acknowledged: 1, latencies: vec![Duration::from_millis(4)], ..counts }.point()
        };
        let hidden = Hidden { queries: 3, excluded_us: 80.5, absent_us: 80.0, shortfall: None };
        Found {
            results: Results::default(),
            loading: of_seconds(2),
            beside: Beside { searches: point(), messages: point(), loading: of_seconds(4) },
            barred: hidden.clone(),
            hidden,
            unsound: unsound.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_extrapolated_is_told_apart_from_what_was_measured() {
        let rows = loading(&of_seconds(2));
        assert_eq!((rows[0].ratio(), rows[0].reached()), (Ok(100_000.0), Some(true)));
        // 1,280 seconds.
        assert_eq!((rows[1].ratio().unwrap() * 1000.0).round(), 356.0);
        assert_eq!(rows[1].reached(), None);
        assert!(rows[1].what.contains("extrapolated"), "{rows:?}");
        assert_eq!(loading(&of_seconds(3))[0].reached(), Some(false));
    }

    #[test]
    fn a_log_that_is_not_sound_spoils_every_figure_of_the_hub() {
        let ratios = |found: &Found| {
            let rows = of_hub(found);
            let told = rows.iter().filter(|row| row.ours.is_some());
            told.map(Row::ratio).collect::<Vec<_>>()
        };
        let sound = ratios(&found(None));
        assert_eq!((sound.len(), sound[0], sound[5]), (7, Ok(4.0), Ok(500.0)));
        assert_eq!(ratios(&found(Some("torn"))), [Err("INVALID"); 7]);
    }
}
