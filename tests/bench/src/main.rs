//! `make bench`: what the network costs, side by side with other systems on the same machine in the same run.
//!
//! ```text
//!  contenders ──► rounds: every contender at every setting, in turn ──► medians ──► table, JSON, plots
//!      │            └─ each round begins with nothing stored and ends with a check of what is
//!      └─ each server is a process of its own; this process is the client of all
//! ```
//!
//! It prints, and asserts nothing about speed. A measurement whose counts do not add up is INVALID.

mod bureaus;
mod certs;
mod contender;
mod curves;
mod flight;
mod hub;
mod links;
mod machine;
mod measure;
mod out;
mod overload;
mod peers;
mod process;
mod profile;
mod report;
mod rounds;
mod run;
mod search;
mod stores;
mod watched;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What the network costs.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure everything and print the table
    Run(Options),
    /// Where the hub's time goes under load, by function
    Profile(Options),
    /// Four times the capacity for a minute, and a hundred bureaus that take nothing
    Overload(overload::Options),
    /// A part that is measured in a process of its own
    #[command(name = search::APART, hide = true)]
    Apart(search::Apart),
    /// One of the servers that are part of this program
    #[command(name = peers::SERVE, hide = true)]
    Serve {
        name: String,
        #[arg(long)]
        keys: PathBuf,
        #[arg(long)]
        ready: PathBuf,
        #[arg(long)]
        parent: u32,
    },
}

#[derive(Clone, Debug, Args)]
struct Options {
    /// The program that is measured
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// The profile that it was built with, for the card
    #[arg(long, value_name = "NAME")]
    profile: String,
    /// Where the results go; servers keep their data below it
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    dir: PathBuf,
    /// nats-server; else the one of the environment that `make setup` makes, or of the path
    #[arg(long, value_name = "FILE")]
    nats: Option<PathBuf>,
    /// Two minutes: fewer settings, rounds, records and seconds; the databases and the longest log only if asked for
    #[arg(long)]
    quick: bool,
    /// Measure only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Measure ours alone, without the systems beside it
    #[arg(long)]
    alone: bool,
    /// How long the log may become in the last plot, in messages
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    longest: u64,
    /// How many records the index is built of: 20 million; quick, two million
    #[arg(long, value_name = "COUNT")]
    records: Option<u64>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Part {
    OneToOne,
    OneToAll,
    Echo,
    Stores,
    Links,
    Watched,
    Search,
    Names,
    Index,
    Countries,
    Log,
}

impl Options {
    /// A quick run leaves out what takes long, unless it is asked for.
    fn wants(&self, part: Part) -> bool {
        let takes_long = matches!(part, Part::Search | Part::Names | Part::Index | Part::Log);
        self.only.contains(&part) || (self.only.is_empty() && !(self.quick && takes_long))
    }
}

/// The load must not cost more than it has to: it shares the machine with what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many threads as the smallest machine that it should run on has cores.
#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let done = match Line::parse().command {
        Command::Run(options) => run::run(options).await,
        Command::Profile(options) => profile::run(options).await,
        Command::Overload(options) => overload::run(options).await,
        Command::Apart(options) => search::run_apart(&options),
        Command::Serve { name, keys, ready, parent } => peers::serve(&name, &keys, &ready, parent).await,
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    out::talk(&causes.join(": "));
    ExitCode::FAILURE
}
