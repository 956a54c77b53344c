//! A node beside the world's own: started on data that a power cut left, with the configuration of the node that had
//! them. It dies with this process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use i247_model::Identity;
use i247_testkit::{World, country, name};
use tokio::process::{Child, Command};
use tonic::transport::Channel;

/// How long a node may take to start.
const WITHIN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

/// A process; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// What is started, and from what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) program: &'a Path,
    /// `hub`, or `bureau` and a country.
    pub(crate) role: &'a [&'a str],
    /// The configuration of the node that had the data.
    pub(crate) config: &'a Path,
    /// Instead of what stands there.
    pub(crate) set: &'a [(&'a str, &'a str)],
    /// For what it writes besides its data.
    pub(crate) work: &'a Path,
}

impl Node {
    /// Starts it and waits until it says where it listens.
    ///
    /// # Errors
    /// When it does not: its last words.
    pub(crate) async fn start(start: Start<'_>) -> Result<Self> {
        let Start { program, role, config, set, work } = start;
        std::fs::create_dir_all(work)?;
        let mut settings: toml::Table = std::fs::read_to_string(config)?.parse()?;
        for (name, value) in set {
            settings.insert((*name).into(), (*value).into());
        }
        let (file, ready, log) = (work.join("config.toml"), work.join("ready"), work.join("log.txt"));
        std::fs::write(&file, settings.to_string())?;
        drop(std::fs::remove_file(&ready));
        let mut command = Command::new(program);
        command.args(role).arg("--config").arg(&file).arg("--ready-file").arg(&ready);
        command.arg("--die-with-parent").arg(std::process::id().to_string());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true);
        let mut child = command.spawn().with_context(|| program.display().to_string())?;
        let waiting = async {
            loop {
                let said = std::fs::read_to_string(&ready).unwrap_or_default();
                if let Ok(address) = said.trim().parse() {
                    return Ok(address);
                }
                if let Some(status) = child.try_wait()? {
                    bail!("{status}: {}", last_words(&log));
                }
                i247_node::sleep(LOOK).await;
            }
        };
        let address =
            tokio::time::timeout(WITHIN, waiting).await.context("it does not say that it is ready")??;
        Ok(Self { child, address })
    }

    /// A connection to it, which is a hub, for this member.
    ///
    /// # Errors
    /// When the member's credentials are of no use.
    pub(crate) async fn channel(&self, world: &World, member: &str) -> Result<Channel> {
        let member = world.credentials(&Identity::Bureau(country(member))).await?;
        Ok(world.channel(self.address, &member, Identity::Hub(name("lyon")))?)
    }

    /// Kills it and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// The last two lines of a log.
pub(crate) fn last_words(log: &Path) -> String {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    let mut last: Vec<&str> = said.lines().rev().take(2).collect();
    last.reverse();
    last.join(" | ")
}
