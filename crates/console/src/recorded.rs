//! What was recorded of the operations that the program brings along, from their own files, for the page to lay beside
//! what the hub counts. It must not count.
//!
//! Whether a person was located surely or perhaps stands in the bodies of reports, which the hub does not read. What their
//! headers tell is in how many cases somebody was located or arrested; so these figures are told as one.

use i247_scenario::{Figure, Recorded, Scenario, border};
use serde::Serialize;
use serde_json::{Value as Json, json};

/// Operations that are worked by messages.
const OF_MESSAGES: [&str; 1] = ["infra-red-2010"];

/// All of them. A file that cannot be read is left out: the tests read each.
pub(crate) fn operations() -> Json {
    let of_messages = OF_MESSAGES.iter().filter_map(|id| Scenario::named(id).ok());
    let mut all: Vec<Json> = of_messages
        .map(|one| {
            json!({
                "id": one.id,
                "name": one.name,
                "recorded": of_messages_alone(&one.recorded),
            })
        })
        .collect();
    all.extend(border::operations().unwrap_or_default().into_iter().map(|one| {
        json!({
            "id": one.id,
            "name": one.name,
            "recorded": figures(&one.recorded),
        })
    }));
    json!({ "operations": all })
}

/// The figures that the headers of messages tell.
fn of_messages_alone(recorded: &[Recorded]) -> Json {
    let in_bodies = |one: &&Recorded| {
        matches!(one.figure, Figure::PositivelyLocated | Figure::PossiblyLocated | Figure::PositivePercent)
    };
    let mut told: Vec<Json> = recorded.iter().filter(|one| !in_bodies(one)).map(|one| json!(one)).collect();
    let ends = [Figure::Arrests, Figure::PositivelyLocated, Figure::PossiblyLocated];
    let ends: Option<Vec<&Recorded>> =
        ends.iter().map(|end| recorded.iter().find(|one| one.figure == *end)).collect();
    told.extend(ends.map(|ends| {
        let value: u64 = ends.iter().map(|one| one.value).sum();
        json!({ "figure": "located", "value": value, "qualifier": ends[2].qualifier, "source": ends[2].source })
    }));
    Json::Array(told)
}

fn figures<T: Serialize>(recorded: &[T]) -> Json {
    serde_json::to_value(recorded).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_comes_with_what_was_recorded_of_it() {
        let told = operations();
        let figure = |id: &str, name: &str| -> (u64, String) {
            let of = |one: &&Json| one["id"] == id;
            let operation = told["operations"].as_array().unwrap().iter().find(of).unwrap();
            let of = |one: &&Json| one["figure"] == name;
            let figure = operation["recorded"].as_array().unwrap().iter().find(of).unwrap();
            (figure["value"].as_u64().unwrap(), figure["qualifier"].as_str().unwrap().to_owned())
        };
        assert_eq!(figure("infra-red-2010", "received"), (2000, "exact".into()));
        assert_eq!(figure("infra-red-2010", "arrests"), (71, "exact".into()));
        // 71 arrested, 90 surely located, 73 perhaps.
        assert_eq!(figure("infra-red-2010", "located"), (234, "exact".into()));
        assert_eq!(figure("anaconda", "checks"), (20_000, "more than".into()));
        assert_eq!(figure("anaconda", "matches"), (200, "about".into()));
        assert_eq!(figure("hammer", "checks"), (8_000, "exact".into()));
        assert_eq!(figure("hammer", "matches"), (3, "exact".into()));
        assert_eq!(figure("kigali", "checks"), (6_500, "more than".into()));
        assert_eq!(figure("manila", "checks"), (5_000, "more than".into()));
        let ids: Vec<&str> =
            told["operations"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["infra-red-2010", "hammer", "anaconda", "kigali", "manila"]);
    }
}
