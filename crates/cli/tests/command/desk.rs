//! The program in a directory of its own: commands that end, services that run, and a network set up by hand.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use i247_node::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with a network's files, and its processes.
pub(crate) struct Desk {
    dir: TempDir,
    pub(crate) nodes: Vec<Node>,
}

/// A running service. It is killed when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: String,
    /// Held also so that the service can go on writing.
    stderr: BufReader<ChildStderr>,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), nodes: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_i247"));
        command.args(line.split_whitespace().map(|word| word.replace('~', " ")));
        command.current_dir(self.dir.path()).env_clear().env("I247_HOME", self.path("home"));
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).stdin(Stdio::null()).output().unwrap()
    }

    /// What a command prints that ends well.
    pub(crate) fn done(&self, line: &str) -> String {
        let output = self.run(line);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "i247 {line}\n{out}{err}");
        out.trim_end().to_owned()
    }

    pub(crate) fn json(&self, line: &str) -> Json {
        serde_json::from_str(&self.done(&format!("{line} --json"))).unwrap()
    }

    /// The exit code and the complaint of a command that does not.
    pub(crate) fn refused(&self, line: &str) -> (i32, String) {
        let output = self.run(line);
        assert!(!output.status.success(), "i247 {line}\n{}", text(&output.stdout));
        (output.status.code().unwrap_or(-1), text(&output.stderr))
    }

    /// Starts a service and waits until it listens.
    pub(crate) fn start(&mut self, line: &str) -> String {
        let ready = self.path(&format!("ready{}", self.nodes.len()));
        let level = if line.contains("--telemetry-level") { "" } else { "--telemetry-level warn" };
        let line = format!(
            "{line} --listen 127.0.0.1:0 {level} --ready-file {} --die-with-parent {}",
            ready.display(),
            std::process::id()
        );
        let mut child = self.command(&line).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listens at") {
            let before = said.len();
            stderr.read_line(&mut said).unwrap();
            assert!(said.len() > before, "i247 {line}\n{said}");
        }
        let at = said.rsplit("listens at ").next().unwrap().trim().to_owned();
        // The file follows the line, so it is waited for.
        let address = self.wait_for("the ready file", || std::fs::read_to_string(&ready).ok());
        assert_eq!(address.trim_end(), at);
        self.nodes.push(Node { child, address: at.clone(), stderr });
        at
    }

    /// Waits until a service says this, and returns the line.
    pub(crate) fn hears(&mut self, n: usize, what: &str) -> String {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert!(self.nodes[n].stderr.read_line(&mut line).unwrap() > 0, "it ended without {what:?}");
        }
        line
    }

    /// Asks again until there is an answer.
    pub(crate) fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let clock = SystemClock::new();
        while clock.monotonic() < PATIENCE {
            if let Some(found) = look() {
                return found;
            }
        }
        panic!("waited {PATIENCE:?} for {what} in {}", self.dir.path().display());
    }

    /// Asks a service to stop, and waits until it has.
    pub(crate) fn stop(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let pid = Pid::from_raw(i32::try_from(node.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let status = node.child.wait().unwrap();
        assert!(status.success(), "node {n} at {}: {status}", node.address);
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn ids(list: &Json) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// An authority, a hub, the bureaus of France and Brazil with an officer each, a reviewer, an operator.
pub(crate) fn network() -> Desk {
    let mut desk = Desk::new();
    desk.done("authority init authority --site lyon");
    let hub = desk.start("hub --data hub --credentials authority/hub_lyon");
    for (keys, identity) in [("lena", "gs/reviewer/lena"), ("ops", "operator/ops")] {
        desk.done(&format!("authority request {keys} {identity}"));
        desk.done(&format!("authority issue {keys}/request.pem --hub {hub}"));
        desk.done(&format!("context add {keys} --address {hub} --server gs/hub/lyon --credentials {keys}"));
    }
    for country in ["fr", "br"] {
        desk.done(&format!("authority request {country} ncb/{country}"));
        desk.done(&format!("authority issue {country}/request.pem --names localhost,127.0.0.1"));
        desk.done(&format!("authority national {country} {country}_authority"));
        desk.done(&format!("authority request {country}_duty ncb/{country}/officer/duty"));
        desk.done(&format!("authority issue {country}_duty/request.pem --authority {country}_authority"));
    }
    desk.done(&format!("authority admit --all --hub {hub}"));
    for country in ["fr", "br"] {
        let line = format!(
            "bureau {country} --hub {hub} --data {country}_data --credentials {country} --automatic false"
        );
        let address = desk.start(&line);
        desk.done(&format!(
            "context add {country} --address {address} --server ncb/{country} --credentials {country}_duty"
        ));
    }
    desk
}
