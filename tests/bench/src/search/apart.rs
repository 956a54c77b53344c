//! What is measured in a process of its own, so that its memory is its own: this program once more, which prints what it
//! found as JSON.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use super::{index, names};
use crate::out;

/// The command of this program that measures something apart.
pub(crate) const APART: &str = "apart";

/// What.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum What {
    IndexBuilt,
    IndexAsked,
    Names,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[arg(value_enum)]
    what: What,
    #[arg(long)]
    count: u64,
    #[arg(long)]
    dir: PathBuf,
}

/// Measures in this process, and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { what, count, dir } = options;
    match what {
        What::IndexBuilt => print(&index::build(dir, *count)?),
        What::IndexAsked => print(&index::ask(dir, *count)?),
        What::Names => print(&names::ask(usize::try_from(*count)?)?),
    }
}

fn print(found: &impl Serialize) -> Result<()> {
    out::data(&serde_json::to_string(found)?);
    Ok(())
}

/// Has it measured in another process, and reads what that found.
///
/// # Errors
/// When it fails, as it does when an answer is wrong.
pub(crate) async fn measure<T: DeserializeOwned>(what: What, count: u64, dir: &Path) -> Result<T> {
    let name = what.to_possible_value().context("a part without a name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(APART).arg(name.get_name()).arg("--count").arg(count.to_string()).arg("--dir").arg(dir);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
