//! The demonstration as a command: no process outlives it, what is not kept goes, and falling short is an error.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use i247_node::sleep;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// How long a process may take to say something, or to go.
const WITHIN: Duration = Duration::from_secs(60);

fn demo(program: &std::path::Path, place: &std::path::Path, flags: &[&str]) -> Child {
    Command::new(program)
        .args(["demo", "--processes", "--countries", "BR,FR,JP"])
        .args(flags)
        .env("TMPDIR", place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn says(stderr: impl AsyncRead + Unpin, words: &str) {
    let mut lines = BufReader::new(stderr).lines();
    let waiting = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(words) {
                return;
            }
        }
        panic!("it ended without saying {words:?}");
    };
    tokio::time::timeout(WITHIN, waiting).await.unwrap();
}

/// The processes that this one has started and that still run.
fn children(parent: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may go while it is looked at.
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if status.lines().any(|line| line == format!("PPid:\t{parent}")) {
            found.insert(pid);
        }
    }
    found
}

fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    // A zombie is dead: somebody only has to take note of it.
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_9_the_demonstration_leaves_no_process() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    let mut demo = demo(&program, place.path(), &["--keep"]);
    says(demo.stderr.take().unwrap(), "The network stays until Ctrl-C").await;
    let nodes = children(demo.id().unwrap());
    assert_eq!(nodes.len(), 4, "a hub and three bureaus");
    demo.kill().await.unwrap();
    let gone = async {
        while nodes.iter().any(|node| runs(*node)) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WITHIN, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_demonstration_stops_its_processes_and_takes_its_data_along() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    let mut demo = demo(&program, place.path(), &[]);
    let stderr = demo.stderr.take().unwrap();
    let pid = demo.id().unwrap();
    says(stderr, "processes run").await;
    let nodes = children(pid);
    assert_eq!(nodes.len(), 4);
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_some(), "the data is there while it runs");
    i247_node::linux::terminate(pid).unwrap();
    let status = tokio::time::timeout(WITHIN, demo.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1), "it did not come to its end");
    assert!(nodes.iter().all(|node| !runs(*node)));
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_none(), "the data is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_on_a_kept_network_is_the_table_that_the_demonstration_printed() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    let another = place.path().join("another.toml");
    let text = std::fs::read_to_string("../crates/scenario/src/infra_red_2010.toml").unwrap();
    std::fs::write(&another, text.replace("id = \"infra-red-2010\"", "id = \"another-2010\"")).unwrap();
    for (operation, scenario) in [("infra-red-2010", None), ("another-2010", another.to_str())] {
        let scenario: Vec<&str> = scenario.map_or(Vec::new(), |file| vec!["--scenario", file]);
        let kept = place.path().join(operation);
        let flags = [&["--keep", "--dir", kept.to_str().unwrap()], scenario.as_slice()].concat();
        let mut demo = demo(&program, place.path(), &flags);
        let mut stderr = demo.stderr.take().unwrap();
        says(&mut stderr, "The network stays until Ctrl-C").await;
        let report = Command::new(&program)
            .args(["operation", "report", operation, "--context", "operator"])
            .args(scenario)
            .env("I247_HOME", kept.join("home"))
            .output();
        let report = tokio::time::timeout(WITHIN, report).await.unwrap().unwrap();
        i247_node::linux::terminate(demo.id().unwrap()).unwrap();
        let shown = tokio::time::timeout(WITHIN, demo.wait_with_output()).await.unwrap().unwrap();
        assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
        let (shown, report) = (lasting(&shown.stdout), lasting(&report.stdout));
        assert!(shown.iter().any(|row| row.starts_with("Reminders, played on purpose")), "{shown:?}");
        assert_eq!(report, shown);
    }
}

/// The rows of a table that do not change while receipts still come in, without their spaces.
fn lasting(table: &[u8]) -> Vec<String> {
    let passing = ["Frames of receipts", "Delivery time", "Messages a second"];
    let rows = str::from_utf8(table).unwrap().lines();
    let rows = rows.filter(|row| !passing.iter().any(|label| row.trim_start().starts_with(label)));
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demonstration_that_falls_short_exits_with_1_and_says_where() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(["demo", "--countries", "BR,FR,JP", "--cut", "BR"])
        .env("TMPDIR", place.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(2 * WITHIN, output).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("The run falls short:\n  BR: "), "{table}");
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_none(), "the data is gone");
}
