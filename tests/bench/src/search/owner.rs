//! The country whose records these are: its bureau, the shipped program in a process of its own, and its officer, who
//! loads files with the shipped command. Nothing else fills a database. Both are machines of their own elsewhere; here they
//! step back from the processors.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use i247_client::{Context, Contexts, Desk, OutboxFilter, pb};
use i247_model::{CountryCode, Identity};
use i247_node::{Clock as _, SystemClock, TcpNetwork};
use tokio::process::Command;

use crate::hub::{Hub, People, SITE};
use crate::process::{Server, Stopwatch, stepped_back};

/// Whose records they are, and what its documents say.
pub(crate) const COUNTRY: &str = "FR";
const ISSUER: &str = "FRA";

/// A bureau that does nothing uses less in this time than a tick of the kernel's clock or two.
const IDLE: Duration = Duration::from_millis(300);
const TICKS: Duration = Duration::from_millis(20);
/// It is idle within this time, or something is wrong.
const IDLE_WITHIN: u32 = 200;

/// A file that was loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loading {
    pub(crate) records: u64,
    /// From the start of the command until the hub had decided about the last record.
    pub(crate) took: Duration,
}

impl Loading {
    pub(crate) fn rate(&self) -> f64 {
        self.records as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// The bureau, and its officer's home.
pub(crate) struct Owner {
    program: PathBuf,
    dir: PathBuf,
    clock: Arc<SystemClock>,
    server: Server,
    desk: Desk,
}

impl Owner {
    /// Starts the bureau.
    pub(crate) async fn start(
        program: &Path,
        dir: &Path,
        clock: &Arc<SystemClock>,
        people: &People,
        hub: &Hub,
    ) -> Result<Self> {
        crate::machine::empty(dir)?;
        let country: CountryCode = COUNTRY.parse()?;
        let (credentials, seat, ready) = (dir.join("credentials"), dir.join("seat"), dir.join("ready"));
        let (_, own) = people.members.iter().find(|(code, _)| *code == country).context("no such member")?;
        for (whose, place) in [(own, &credentials), (&people.officer(country)?, &seat)] {
            std::fs::create_dir_all(place)?;
            whose.save(place)?;
        }
        let mut command = stepped_back(program);
        command.args(["bureau", COUNTRY, "--listen", "127.0.0.1:0", "--site", SITE]);
        command.args(["--hub", hub.address()]);
        command.arg("--data").arg(dir.join("data")).arg("--credentials").arg(&credentials);
        command.arg("--ready-file").arg(&ready);
        command.arg("--die-with-parent").arg(std::process::id().to_string());
        let mut server = Server::start(command, &dir.join("log.txt")).context("the bureau")?;
        let address = server.ready(async || std::fs::read_to_string(&ready).ok()).await?.trim().to_owned();
        let context = Context { address, server: Identity::Bureau(country), credentials: seat };
        let connection = context.connect(Arc::new(TcpNetwork), clock.clone())?;
        let mut contexts = Contexts::default();
        contexts.add(COUNTRY.to_lowercase().parse()?, context);
        contexts.save(&dir.join("contexts.toml"))?;
        let desk = Desk::new(connection.channel);
        Ok(Self { program: program.to_owned(), dir: dir.to_owned(), clock: clock.clone(), server, desk })
    }

    /// Has the product write a file of so many records; others than with another seed.
    pub(crate) async fn generate(&self, seed: u64, count: u64) -> Result<PathBuf> {
        let file = self.dir.join(format!("sltd-{seed}.csv"));
        let mut command = Command::new(&self.program);
        command.args(["records", "generate", "sltd", "--country", ISSUER]);
        command.args(["--seed", &seed.to_string(), "--count", &count.to_string(), "--out"]).arg(&file);
        said(&mut command).await.context("generate")?;
        Ok(file)
    }

    /// Loads a file of so many lines, and waits until the hub has decided about all of it.
    ///
    /// # Errors
    /// When any record was not accepted.
    ///
    /// # Cancel safety
    /// The command ends, and the bureau goes on with what it has.
    pub(crate) async fn load(&self, file: &Path, records: u64) -> Result<Loading> {
        let begun = self.clock.monotonic();
        let mut command = stepped_back(&self.program);
        command.args(["records", "load", "sltd"]).arg(file).env("I247_HOME", &self.dir);
        said(&mut command).await.context("load")?;
        let took = self.clock.monotonic() - begun;
        let status = self.desk.load_status(None).await?;
        ensure!(
            status.accepted == records,
            "{} of {records} records were accepted, {} wait, {} are undecided",
            status.accepted,
            status.waiting,
            status.undecided
        );
        Ok(Loading { records, took })
    }

    /// Bars a country from all that the owner has.
    ///
    /// # Errors
    /// When the hub does not accept it in time.
    pub(crate) async fn bar(&self, country: &str) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["restrict", country]).env("I247_HOME", &self.dir);
        said(&mut command).await.context("restrict")?;
        let restrictions = OutboxFilter { kind: pb::Kind::Restriction, ..OutboxFilter::default() };
        for _ in 0..IDLE_WITHIN {
            let sent = self.desk.outbox(&restrictions).await?;
            if sent.iter().any(|item| item.state() == pb::OutboxState::Accepted) {
                return Ok(());
            }
            i247_node::sleep(IDLE).await;
        }
        bail!("the restriction of {COUNTRY} is not accepted");
    }

    /// Waits until the bureau has nothing more to do.
    ///
    /// # Errors
    /// When it goes on and on.
    pub(crate) async fn idle(&self) -> Result<()> {
        for _ in 0..IDLE_WITHIN {
            let stopwatch = Stopwatch::start(Some(self.server.id()));
            i247_node::sleep(IDLE).await;
            if stopwatch.stop().server <= TICKS {
                return Ok(());
            }
        }
        bail!("the bureau of {COUNTRY} does not come to rest");
    }

    /// Stops the bureau.
    pub(crate) async fn stop(self) -> Result<()> {
        self.server.stop().await.context("the bureau")
    }
}

/// Runs a command to its end.
async fn said(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    bail!("{}: {} {}", output.status, error.trim(), out.trim());
}
