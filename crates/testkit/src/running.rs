//! A hub or a bureau that runs: in this process, or as a process of its own.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use i247_node::Seams;
use i247_trust::Credentials;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{WorldError, logs};

/// How long a node may take to start or to stop.
const WITHIN: Duration = Duration::from_secs(30);

/// How often a file is looked for that another process writes.
const LOOK: Duration = Duration::from_millis(5);

/// A running node.
#[derive(Debug)]
pub(crate) enum Running {
    Here {
        task: JoinHandle<Result<(), String>>,
        stop: CancellationToken,
        address: SocketAddr,
        /// Where its metrics are, if they are served.
        metrics: Option<SocketAddr>,
    },
    Process {
        child: Child,
        address: SocketAddr,
    },
}

/// How nodes run.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    InProcess,
    /// With this program, `i247`.
    Processes(PathBuf),
}

impl Running {
    pub(crate) async fn hub(
        config: i247_hub::Config,
        credentials: Credentials,
        seams: Seams,
    ) -> Result<Self, WorldError> {
        // Boxed: else it would be in the future of every story that starts a world.
        let hub = Box::pin(i247_hub::Hub::build(config, credentials, seams))
            .await
            .map_err(|error| WorldError::node("hub", &error))?;
        let (address, metrics) = (hub.local_addr(), hub.metrics_address());
        Ok(Self::here(address, metrics, |stop| async move {
            hub.serve(stop).await.map_err(|error| error.to_string())
        }))
    }

    pub(crate) async fn bureau(
        config: i247_bureau::Config,
        credentials: Credentials,
        seams: Seams,
    ) -> Result<Self, WorldError> {
        let country = config.country;
        let bureau = i247_bureau::Bureau::build(config, credentials, seams)
            .await
            .map_err(|error| WorldError::node(country.as_str(), &error))?;
        let (address, metrics) = (bureau.local_addr(), bureau.metrics_address());
        Ok(Self::here(address, metrics, |stop| async move {
            bureau.serve(stop).await.map_err(|error| error.to_string())
        }))
    }

    fn here<F>(
        address: SocketAddr,
        metrics: Option<SocketAddr>,
        serve: impl FnOnce(CancellationToken) -> F,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(stop.clone()).in_current_span());
        Self::Here { task, stop, address, metrics }
    }

    /// Starts `program` with these arguments and waits until it says where it listens. It dies with this process.
    pub(crate) async fn process(
        program: &Path,
        dir: &Path,
        arguments: &[String],
    ) -> Result<Self, WorldError> {
        let ready = dir.join("ready");
        drop(std::fs::remove_file(&ready));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("log.txt"));
        let log = log.map_err(|source| WorldError::file(dir, source))?;
        let mut command = Command::new(program);
        command.args(arguments).arg("--ready-file").arg(&ready);
        command.arg("--die-with-parent").arg(std::process::id().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| WorldError::file(program, source))?;
        let waiting = async {
            loop {
                if let Some(address) = read_address(&ready) {
                    return Ok(address);
                }
                if let Ok(Some(status)) = child.try_wait() {
                    let said = std::fs::read_to_string(dir.join("log.txt")).unwrap_or_default();
                    let last: Vec<&str> = said.lines().rev().take(5).collect();
                    return Err(WorldError::Node {
                        name: dir.display().to_string(),
                        text: format!("{status}: {last:?}"),
                    });
                }
                i247_node::sleep(LOOK).await;
            }
        };
        let address = tokio::time::timeout(WITHIN, waiting).await.map_err(|_| WorldError::Node {
            name: dir.display().to_string(),
            text: "it does not say that it is ready".into(),
        })??;
        Ok(Self::Process { child, address })
    }

    /// Starts a node of this process, which writes its log into `dir`. Where one was crashed a moment ago, its last tasks may still hold the lock of
    /// the data: then it is tried again.
    pub(crate) async fn retried<F>(dir: &Path, start: impl Fn() -> F) -> Result<Self, WorldError>
    where
        F: Future<Output = Result<Self, WorldError>>,
    {
        let span = logs::of_node(dir)?;
        let trying = async {
            loop {
                match start().instrument(span.clone()).await {
                    Err(WorldError::Node { text, .. }) if text.contains("another process") => {
                        i247_node::sleep(LOOK).await;
                    }
                    ended => return ended,
                }
            }
        };
        let late = || WorldError::Node { name: "node".into(), text: "its data stays locked".into() };
        tokio::time::timeout(WITHIN, trying).await.unwrap_or_else(|_| Err(late()))
    }

    /// Where its metrics are; none of a process of its own, and where nobody asked for them.
    pub(crate) fn metrics(&self) -> Option<SocketAddr> {
        match self {
            Self::Here { metrics, .. } => *metrics,
            Self::Process { .. } => None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Here { address, .. } | Self::Process { address, .. } => *address,
        }
    }

    /// Its number, when it is a process of its own that goes on.
    pub(crate) fn process_id(&self) -> Option<u32> {
        match self {
            Self::Here { .. } => None,
            Self::Process { child, .. } => child.id(),
        }
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), WorldError> {
        let late = |_| WorldError::Node { name: "node".into(), text: "it does not stop".into() };
        match self {
            Self::Here { task, stop, .. } => {
                stop.cancel();
                let ended = tokio::time::timeout(WITHIN, task).await.map_err(late)?;
                match ended {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(text)) => Err(WorldError::Node { name: "node".into(), text }),
                    Err(error) => Err(WorldError::Node { name: "node".into(), text: error.to_string() }),
                }
            }
            Self::Process { mut child, .. } => {
                terminate(&child);
                let status = tokio::time::timeout(WITHIN, child.wait()).await.map_err(late)?;
                match status {
                    Ok(status) if status.success() => Ok(()),
                    Ok(status) => {
                        Err(WorldError::Node { name: "node".into(), text: format!("it ended with {status}") })
                    }
                    Err(source) => Err(WorldError::file(Path::new("node"), source)),
                }
            }
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        match self {
            Self::Here { task, .. } => task.is_finished(),
            Self::Process { child, .. } => child.try_wait().is_ok_and(|status| status.is_some()),
        }
    }

    /// Waits until it has ended by itself, well or not.
    pub(crate) async fn ended(self) -> Result<(), WorldError> {
        let late = |_| WorldError::Node { name: "node".into(), text: "it does not end".into() };
        match self {
            Self::Here { task, .. } => {
                // How it ended is the story's business.
                drop(tokio::time::timeout(WITHIN, task).await.map_err(late)?);
            }
            Self::Process { mut child, .. } => {
                drop(tokio::time::timeout(WITHIN, child.wait()).await.map_err(late)?);
            }
        }
        Ok(())
    }

    /// Ends it without warning: its tasks are dropped, or the process is killed.
    pub(crate) async fn crash(self) {
        match self {
            Self::Here { task, .. } => {
                task.abort();
                // It was aborted on purpose.
                drop(task.await);
            }
            // A process that is gone already cannot be killed again.
            Self::Process { mut child, .. } => drop(child.kill().await),
        }
    }
}

fn read_address(ready: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(ready).ok()?.trim().parse().ok()
}

/// Asks a process to stop; one that is gone already needs no asking.
fn terminate(child: &Child) {
    if let Some(id) = child.id() {
        let sent = i247_node::linux::terminate(id);
        if let Err(error) = sent {
            tracing::warn!(%error, "cannot ask the process to stop");
        }
    }
}

/// A directory for one node.
pub(crate) fn node_dir(root: &Path, name: &str) -> Result<PathBuf, WorldError> {
    let dir = root.join(name);
    std::fs::create_dir_all(&dir).map_err(|source: io::Error| WorldError::file(&dir, source))?;
    Ok(dir)
}
