//! Other processes: starting them so that they end with this one, what they cost, and whether they are there yet.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};

use crate::measure::Cpu;

/// How long a server may take to start or to stop.
const WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(10);

/// How much less of a busy processor this process gets than the server beside it.
const STEP_BACK: i32 = 10;

/// Lets the server have the processors first, as if the load came from other machines. Threads that begin later step
/// back too; processes that were started before do not.
pub(crate) fn step_back() -> Result<()> {
    for thread in std::fs::read_dir("/proc/self/task")? {
        let number = thread?.file_name().to_string_lossy().parse()?;
        let thread = rustix::process::Pid::from_raw(number).context("a thread without a number")?;
        // One that has ended meanwhile needs nothing.
        match rustix::process::setpriority_process(Some(thread), STEP_BACK) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A command of this program that steps back from its start.
pub(crate) fn stepped_back(program: &Path) -> Command {
    let mut command = Command::new("nice");
    command.arg("-n").arg(STEP_BACK.to_string()).arg(program);
    command
}

/// A server that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a program; what it says goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = std::fs::File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let program = command.as_std().get_program().display().to_string();
        let child = command.spawn().with_context(|| program)?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Waits until `there` finds what tells that it is ready.
    pub(crate) async fn ready<T>(&mut self, there: impl AsyncFn() -> Option<T>) -> Result<T> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(found) = there().await {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("ended with {status}: {}", self.last_words());
            }
            if waited > WITHIN {
                bail!("does not start: {}", self.last_words());
            }
            i247_node::sleep(LOOK).await;
            waited += LOOK;
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        i247_node::linux::terminate(self.id())?;
        let ended = tokio::time::timeout(WITHIN, self.child.wait()).await;
        let status = ended.context("does not stop")??;
        if !status.success() {
            bail!("stopped with {status}: {}", self.last_words());
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut last: Vec<&str> = said.lines().rev().take(2).collect();
        last.reverse();
        last.join(" | ")
    }
}

/// A port that was free a moment ago, for servers that cannot say which one they took.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A stopwatch for processor time: of a server with all its processes, and of this one.
pub(crate) struct Stopwatch {
    server: Option<u32>,
    before: Cpu,
}

impl Stopwatch {
    pub(crate) fn start(server: Option<u32>) -> Self {
        Self { server, before: used(server) }
    }

    pub(crate) fn stop(&self) -> Cpu {
        let now = used(self.server);
        Cpu {
            server: now.server.saturating_sub(self.before.server),
            client: now.client.saturating_sub(self.before.client),
        }
    }
}

fn used(server: Option<u32>) -> Cpu {
    let server = server.map_or(Duration::ZERO, |id| family(id).into_iter().map(cpu_of).sum());
    Cpu { server, client: cpu_of(std::process::id()) }
}

/// A process and its children: PostgreSQL has one for each connection.
fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    for thread in threads {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            all.extend(family(child));
        }
    }
    all
}

/// User and system time from `/proc/<pid>/stat`, in hundredths of a second as Linux counts them.
fn cpu_of(id: u32) -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name of the program stands in brackets and may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<u32>().ok()).unwrap_or(0);
    let (user, system) = (11, 12);
    TICK * (ticks(user) + ticks(system))
}

/// Resident memory of a process, in bytes.
pub(crate) fn memory_of(id: u32) -> u64 {
    from_status(id, "VmRSS:")
}

/// The most resident memory that a process ever had, in bytes.
pub(crate) fn most_memory_of(id: u32) -> u64 {
    from_status(id, "VmHWM:")
}

/// A size from `/proc/<pid>/status`, in bytes.
fn from_status(id: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
