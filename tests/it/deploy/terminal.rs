//! The built program, run as people run it: scripts that end, and terminals that stay until Ctrl-C. No process
//! outlives its test: scripts are killed when they are dropped, services end with this process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{self, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long anything may take on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often something that takes its time is looked at again.
const LOOK: Duration = Duration::from_millis(100);

pub(super) use i247_testkit::program;

/// The directory of what is checked here.
pub(super) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").canonicalize().unwrap()
}

/// A place to type commands in: which programs are found, and which variables are set.
pub(super) struct Shell {
    path: OsString,
    variables: Vec<(String, String)>,
}

impl Shell {
    /// With these directories before the machine's own, and no variables but these.
    pub(super) fn new(directories: &[&Path], variables: Vec<(String, String)>) -> Self {
        let own = std::env::var_os("PATH").unwrap_or_default();
        let directories = directories.iter().map(|path| path.to_path_buf());
        let path = std::env::join_paths(directories.chain(std::env::split_paths(&own))).unwrap();
        Self { path, variables }
    }

    /// The same with more variables.
    pub(super) fn with(&self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = self.variables.iter().cloned().chain(variables).collect();
        Self { path: self.path.clone(), variables }
    }

    /// Runs a script in a directory, its home, to its end.
    pub(super) async fn run(&self, home: &Path, script: &str) -> Output {
        let ended = timeout(DEADLINE, self.command(home, script).output()).await;
        ended.unwrap_or_else(|_| panic!("it does not end:\n{script}")).unwrap()
    }

    /// Runs a script again and again until it succeeds, and returns what it said then.
    pub(super) async fn until_it_succeeds(&self, home: &Path, script: &str) -> Output {
        let mut last = None;
        let succeeded = timeout(DEADLINE, async {
            loop {
                let output = self.command(home, script).output().await.unwrap();
                if output.status.success() {
                    return output;
                }
                last = Some(output);
                tokio::time::sleep(LOOK).await;
            }
        });
        let succeeded = succeeded.await.ok();
        succeeded.unwrap_or_else(|| {
            panic!("it never succeeds:\n{script}\n{}", last.as_ref().map(said).unwrap_or_default())
        })
    }

    /// Starts a service in a directory, its home, and waits until it listens.
    pub(super) async fn terminal(&self, home: &Path, before: &str, service: &str) -> Terminal {
        let parent = process::id();
        // Without the shell between, so that the service is this process's own child.
        let script = format!("{before}\nexec {service} --die-with-parent {parent}");
        let mut child =
            self.command(home, &script).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (listens, listening) = oneshot::channel();
        tokio::spawn(follow(child.stderr.take().unwrap(), log.clone(), listens));
        let terminal = Terminal { child, log };
        let heard = timeout(DEADLINE, listening).await;
        assert!(matches!(heard, Ok(Ok(()))), "it does not listen: {service}\n{}", terminal.log());
        terminal
    }

    fn command(&self, home: &Path, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(home).env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command.env("PATH", &self.path).env("HOME", home).envs(self.variables.iter().cloned());
        command
    }
}

/// A service that runs.
pub(super) struct Terminal {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Terminal {
    /// What it said so far.
    pub(super) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Asks it to stop, as Ctrl-C and a service manager do; it must end well.
    pub(super) async fn stop(mut self) {
        i247_node::linux::terminate(self.child.id().unwrap()).unwrap();
        let ended = timeout(DEADLINE, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("it does not stop:\n{}", self.log())).unwrap();
        assert!(ended.success(), "it stopped with {ended}:\n{}", self.log());
    }
}

/// Keeps what a service says, and tells when it listens.
async fn follow(stderr: ChildStderr, log: Arc<Mutex<String>>, listens: oneshot::Sender<()>) {
    let mut listens = Some(listens);
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains(" listens at ")
            && let Some(listens) = listens.take()
        {
            listens.send(()).unwrap_or_default();
        }
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}

/// All that a script said.
pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A port that is free on an address of this machine.
pub(super) fn free(address: &str) -> String {
    let listener = std::net::TcpListener::bind((address, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}
