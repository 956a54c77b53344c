//! What was recorded of the operations that the program brings along, from their own files, for the page to lay beside
//! what the hub counts. It must not count.

use i247_scenario::{Scenario, border};
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
                "recorded": figures(&one.recorded),
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
