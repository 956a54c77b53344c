//! The findings as JSON: the card, the rows of the table, and every round of every setting behind them.

use serde_json::{Value, json};

use crate::curves::Step;
use crate::measure::{Point, Work};
use crate::report::Findings;
use crate::report::rows::{Goal, Row, Side};
use crate::search::{Found, Indexed, Loading};

pub(crate) fn of(findings: &Findings, rows: &[Row]) -> Value {
    let card: serde_json::Map<String, Value> =
        findings.card.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    let searched = findings.searches.iter().flat_map(|found| found.results.rounds());
    let rounds: Vec<Value> = findings
        .results
        .rounds()
        .chain(searched)
        .map(|(name, work, setting, points)| {
            let points: Vec<Value> = points.iter().map(point).collect();
            json!({
                "contender": name, "work": word(work), "in_flight": setting.in_flight, "how": setting.how,
                "rounds": points,
            })
        })
        .collect();
    let stores = findings.stores.iter();
    let stores: Vec<Value> = stores
        .map(|(name, group, found)| json!({ "store": name, "group": group, "found": point(found) }))
        .collect();
    let memory = findings.memory;
    json!({
        "card": card,
        "table": rows.iter().map(row).collect::<Vec<_>>(),
        "measurements": rounds,
        "stores": stores,
        "hub_memory_bytes": memory.map(|memory| json!({
            "started": memory.started, "linked": memory.linked, "connected": memory.connected,
        })),
        "handshake_us": findings.handshakes.map(|(hybrid, plain)| json!({ "hybrid": hybrid, "x25519": plain })),
        "loading": findings.searches.as_ref().map(loading),
        "indexes": findings.indexes.iter().map(index).collect::<Vec<_>>(),
        "names": findings.names,
        "cost_by_countries": steps(&findings.by_countries),
        "cost_by_log_length": steps(&findings.by_length),
        "not_run": findings.absent.iter().map(|(name, how)| json!({ "name": name, "get": how })).collect::<Vec<_>>(),
    })
}

pub(crate) fn row(row: &Row) -> Value {
    let goal = match row.goal {
        Goal::AtLeast(goal) => json!({ "at_least": goal }),
        Goal::AtMost(goal) => json!({ "at_most": goal }),
        Goal::None => Value::Null,
    };
    let ratio = row.ratio();
    json!({
        "what": row.what,
        "ratio": ratio.ok(),
        "state": ratio.err().unwrap_or("valid"),
        "goal": goal,
        "reached": row.reached(),
        "ours": row.ours.as_ref().map(side),
        "theirs": row.theirs.as_ref().map(side),
    })
}

fn side(side: &Side) -> Value {
    json!({
        "name": side.name, "value": side.value, "unit": side.unit, "point": side.point.as_ref().map(point),
        "shortfall": side.shortfall,
    })
}

pub(crate) fn point(point: &Point) -> Value {
    json!({
        "rate": point.rate, "p50_us": point.p50_us, "p99_us": point.p99_us, "server_cpu_us": point.server_us,
        "client_cpu_us": point.client_us, "sent": point.sent, "delivered": point.delivered,
        "shortfall": point.shortfall,
    })
}

/// Both files, the second with searches and messages beside it.
fn loading(found: &Found) -> Value {
    let of = |one: &Loading| json!({ "records": one.records, "seconds": one.took.as_secs_f64() });
    json!({ "alone": of(&found.loading), "beside": of(&found.beside.loading) })
}

fn index(found: &Indexed) -> Value {
    json!({ "records": found.records, "built": found.built, "asked": found.asked })
}

fn steps(steps: &[Step]) -> Vec<Value> {
    let step =
        |step: &Step| json!({ "at": step.at, "point": point(&step.point), "hub_memory_bytes": step.memory });
    steps.iter().map(step).collect()
}

fn word(work: Work) -> &'static str {
    match work {
        Work::PointToPoint => "one_to_one",
        Work::FanOut => "one_to_all",
        Work::Echo => "echo",
        Work::Search => "search",
        Work::SearchStream => "search_stream",
        Work::Frames => "search_frames",
        Work::Hits => "search_hits",
    }
}
