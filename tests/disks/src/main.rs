//! What real processes on real disks lose: nothing that was promised.
//!
//! ```text
//!  senders ──► hub and bureaus, each a process ──► inboxes            book: what every sender holds a receipt for
//!            ▲ kill -9 · power cut · EIO · no room · a flipped bit    mailbox: what one recipient was given
//! ```
//!
//! `kill9` kills nodes at random instants, `powercut` copies the block device under them, `sync` lets a sync fail,
//! `full` takes all room from them, `flips` flips bits of nodes that stand still. Each compares every receipt with every
//! delivery, prints what it did, and ends with 1 when a promise was broken, with 77 when it cannot run here. It takes no
//! node's word for anything.

#![expect(clippy::print_stdout, reason = "a program that tells what it found")]

mod arrival;
mod book;
mod cut;
mod failed_sync;
mod flips;
mod full;
mod images;
mod inspection;
mod kill9;
mod mailbox;
mod node;
mod reader;
mod sender;
mod served;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// What real processes on real disks lose.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kill nodes at random instants and start them again
    Kill9(Options),
    /// Cut the power under all nodes at random instants (needs root, xfsprogs, e2fsprogs, eatmydata)
    Powercut(Options),
    /// Let a sync of the disk fail under a node (needs strace)
    Sync(Options),
    /// Take all room from the nodes' disk, and give it back (needs what powercut needs)
    Full(Options),
    /// Flip bits in the files of a node that stands still, and start it
    Flips(Options),
}

#[derive(Clone, Debug, Args)]
struct Options {
    /// How many kills, cuts, failures or flips
    #[arg(long)]
    rounds: u64,
    /// What happens when; the same seed asks for the same
    #[arg(long, default_value_t = 247)]
    seed: u64,
    /// The program `i247`; without it, the one beside this program
    #[arg(long)]
    program: Option<PathBuf>,
}

impl Options {
    fn program(&self) -> anyhow::Result<PathBuf> {
        let beside = || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("i247"));
        let program = match &self.program {
            Some(program) => program.clone(),
            None => beside()?,
        };
        anyhow::ensure!(program.exists(), "{} is not built: cargo build -p i247-cli", program.display());
        Ok(program.canonicalize()?)
    }
}

fn main() -> ExitCode {
    let Line { command } = Line::parse();
    if let Command::Powercut(_) | Command::Full(_) = command
        && let Err(why) = images::apart()
    {
        println!("NOT RUN: {why:#}");
        return ExitCode::from(verdict::CANNOT_RUN);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let stop = i247_node::stop_signal();
        tokio::select! {
            // What runs is dropped: processes are killed, mounts and files go.
            _ = stop => {
                println!("stopped; everything is cleaned up");
                ExitCode::FAILURE
            }
            ended = run(command) => verdict::exit(ended),
        }
    })
}

async fn run(command: Command) -> anyhow::Result<verdict::Verdict> {
    match command {
        Command::Kill9(options) => Box::pin(kill9::run(&options)).await,
        Command::Powercut(options) => Box::pin(cut::run(&options)).await,
        Command::Sync(options) => Box::pin(failed_sync::run(&options)).await,
        Command::Full(options) => Box::pin(full::run(&options)).await,
        Command::Flips(options) => Box::pin(flips::run(&options)).await,
    }
}
