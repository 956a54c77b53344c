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
        .stdout(Stdio::null())
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
    let Some(program) = crate::processes::program() else { return };
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
    let Some(program) = crate::processes::program() else { return };
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
async fn a_demonstration_that_falls_short_exits_with_1_and_says_where() {
    let Some(program) = crate::processes::program() else { return };
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
