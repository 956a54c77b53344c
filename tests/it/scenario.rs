//! Operations at borders as a command: what is counted from journal and register is what was recorded, and what was
//! planted; falling short is an error.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value as Json;
use tokio::process::Command;

/// How long a run may take.
const WITHIN: Duration = Duration::from_secs(300);

async fn scenario(program: &Path, place: &Path, args: &[&str]) -> Output {
    let output = Command::new(program)
        .arg("scenario")
        .args(args)
        .env("TMPDIR", place)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(WITHIN, output).await.unwrap().unwrap()
}

fn row<'a>(table: &'a Json, label: &str) -> &'a Json {
    let rows = table["rows"].as_array().unwrap();
    rows.iter().find(|row| row["label"] == label).unwrap_or_else(|| panic!("no row {label}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operation_hammer_comes_to_its_recorded_figures() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    let output = scenario(&program, place.path(), &["run", "hammer", "--json"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let table: Json = serde_json::from_slice(&output.stdout).unwrap();
    for (label, run) in [
        ("Posts that checked", "2"),
        ("Documents checked", "8000"),
        ("Matches", "3"),
        ("Possible only", "2"),
        ("Refused, such as a wrong check digit", "0"),
        ("Hits in the register", "3"),
        ("Confirmed by their owners", "2"),
        ("Denied by their owners", "1"),
        ("Not decided", "0"),
        ("Action reported", "3"),
    ] {
        assert_eq!(row(&table, label)["run"], run, "{label}");
    }
    for (label, recorded) in [("Documents checked", 8000), ("Matches", 3), ("Posts that checked", 2)] {
        let row = row(&table, label);
        assert_eq!((&row["recorded"]["value"], &row["recorded"]["met"]), (&recorded.into(), &true.into()));
    }
    assert_eq!(table["countries"]["IT"]["checks"], 8000);
    assert_eq!((&table["differences"], &table["gave_up"]), (&Json::Array(vec![]), &Json::Array(vec![])));
    assert!(said.contains("4800 records loaded by their owners, and accepted"), "{said}");
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_none(), "the data is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_network_asks_at_its_rate_with_its_peak() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    let args = ["run", "network", "--for", "3s", "--one-process", "--json"];
    let output = scenario(&program, place.path(), &args).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(row(&table, "Documents checked")["run"], "636");
    assert_eq!(row(&table, "Matches")["run"], "1");
    assert_eq!(row(&table, "Confirmed by their owners")["run"], "1");
    let checks = |code: &str| table["countries"][code]["checks"].as_u64().unwrap();
    assert!(checks("US") > checks("GB") && checks("GB") > checks("AE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_scenario_is_refused_with_those_that_there_are() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    for (args, code, words) in [
        (&["run", "thunder"][..], 2, "there is: hammer, anaconda, kigali, manila, network"),
        (&["run", "hammer", "--checks", "5"], 2, "fewer are checked than are to be found"),
        (&["run", "hammer", "--for", "5s"], 2, "leave --for out"),
        (&["run", "network", "--for", "48h"], 2, "from a second to a day"),
    ] {
        let output = scenario(&program, place.path(), args).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let list = scenario(&program, place.path(), &["list"]).await;
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("recorded: checks exact 8000") && list.contains("more than 5 billion"), "{list}");
}
