//! `i247 demo`: a whole network on this machine, and Operation Infra-Red 2010 played on it.
//!
//! It writes no outcome: officers and reviewer are played by `i247_scenario` through the same clients as everybody,
//! and the table is counted afterwards from desks and monitor.

mod keep;
mod show;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use i247_model::CountryCode;
use i247_node::stop_signal;
use i247_scenario::{Pace, Plan, Played, Scenario, Table, render, run};
use i247_testkit::{World, WorldError, operation};

use crate::fail::Fail;
use crate::out;
use show::Show;

/// The operation that is played.
const OPERATION: &str = "infra-red-2010";

/// How long a phase waits for something new when a bureau is cut off on purpose.
const PATIENCE_WHEN_CUT: Duration = Duration::from_secs(4);

/// How the demonstration is played.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  i247 demo                               all in one process
  i247 demo --processes                   one hub and 29 bureaus, each a process of its own
  i247 demo --countries FR,BR,JP --keep   a small network that stays until Ctrl-C
  i247 demo --cut BR                      what the table says when a bureau is cut off

It exits with 1 when the run falls short: something unanswered, undelivered or undecided.")]
pub(crate) struct DemoArgs {
    /// Play with these countries alone; the workload is scaled down with their number
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = crate::args::country)]
    countries: Vec<CountryCode>,
    /// Run the hub and every bureau as a process of its own
    #[arg(long)]
    processes: bool,
    /// Stay until Ctrl-C with contexts for every country, and keep the data
    #[arg(long)]
    keep: bool,
    /// Where the data is kept; without it, a new directory among the temporary files
    #[arg(long, value_name = "DIR", requires = "keep")]
    dir: Option<PathBuf>,
    /// The seed of all choices: the same seed, the same digest
    #[arg(long, default_value_t = 2010)]
    seed: u64,
    /// Another scenario file in place of the one that comes with the program
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Cut this country's bureau off for good before the operation begins
    #[arg(long, value_name = "CODE", value_parser = crate::args::country)]
    cut: Option<CountryCode>,
}

/// Plays the demonstration; the exit code is 1 when the run falls short.
pub(crate) async fn demo(args: DemoArgs, json: bool) -> Result<ExitCode, Fail> {
    let scenario = scenario(&args)?;
    let plan = Plan::draw(&scenario, args.seed).map_err(|error| of_scenario(&error))?;
    let mut show = Show::new();
    show.opening(&plan, args.processes);
    let mut stop = pin!(stop_signal());
    // The signals are watched from here on: what is started later is stopped and cleared away in any case.
    let world = tokio::select! {
        biased;
        _ = &mut stop => return Err(stopped()),
        world = Box::pin(start(&args, &plan)) => world?,
    };
    show.started(&world, args.processes);
    // A signal drops the play where it is; the world is then stopped like after every play.
    let played = tokio::select! {
        biased;
        _ = &mut stop => None,
        played = Box::pin(play(&args, &world, &plan, &scenario, &mut show)) => Some(played),
    };
    let result = match played {
        None => Err(stopped()),
        Some(Err(error)) => Err(of_world(&error)),
        Some(Ok((played, table))) => {
            finish(&args, &plan, &played, &table, json)?;
            if args.keep {
                stay(&world, &plan, args.scenario.as_deref(), &mut stop).await?;
            }
            Ok(if table.falls_short() { ExitCode::from(1) } else { ExitCode::SUCCESS })
        }
    };
    world.stop_all().await.map_err(|error| of_world(&error))?;
    result
}

fn stopped() -> Fail {
    Fail::refused("stopped before the end", "run `i247 demo` again for the whole operation")
}

async fn start(args: &DemoArgs, plan: &Plan) -> Result<World, Fail> {
    let mut builder = operation::prepare(plan).log("error");
    if args.cut.is_none() {
        builder = builder.direct();
    }
    if args.processes {
        let program = std::env::current_exe().map_err(|error| {
            Fail::because("this program cannot find itself", &error, "run it without --processes")
        })?;
        builder = builder.processes(program);
    }
    if args.keep {
        builder = builder.keep(args.dir.clone().unwrap_or_else(keep::new_dir));
    }
    let world = builder.start().await.map_err(|error| of_world(&error))?;
    if let Some(code) = args.cut {
        world.cut(code.as_str());
    }
    Ok(world)
}

async fn play(
    args: &DemoArgs,
    world: &World,
    plan: &Plan,
    scenario: &Scenario,
    show: &mut Show,
) -> Result<(Played, Table), WorldError> {
    let actors = operation::actors(world, plan).await?;
    let mut pace = Pace::default();
    if args.cut.is_some() {
        pace.patience = PATIENCE_WHEN_CUT;
    }
    let played = Box::pin(run(&plan.script, actors, pace, show)).await;
    show.counting();
    let desks = operation::desks(world).await?;
    let table = operation::table(&desks, &world.monitor().await?, scenario).await?;
    Ok((played, table))
}

fn finish(args: &DemoArgs, plan: &Plan, played: &Played, table: &Table, json: bool) -> Result<(), Fail> {
    if json {
        let value = serde_json::to_value(table)
            .map_err(|error| Fail::because("the table cannot be written", &error, "run it without --json"))?;
        out::json(&value);
    } else {
        out::data(&render(table).join("\n"));
    }
    for given_up in &played.gave_up {
        out::talk(&format!("Given up: {given_up}"));
    }
    out::talk(&show::simulated(plan, args.processes));
    if !args.countries.is_empty() && table.rows.iter().all(|row| row.recorded.is_none()) {
        out::talk("The recorded figures are of the whole operation and are left out here.");
    }
    Ok(())
}

/// The network stays until it is interrupted, with contexts for everybody.
async fn stay(
    world: &World,
    plan: &Plan,
    scenario: Option<&Path>,
    stop: impl Future<Output = io::Result<&'static str>>,
) -> Result<(), Fail> {
    let home = keep::write_contexts(world, plan).await?;
    out::talk(&keep::invitation(&home, plan, scenario));
    stop.await
        .map_err(|error| Fail::because("signals cannot be waited for", &error, "run it without --keep"))?;
    out::talk(&format!("The data stays in {}.", world.dir().display()));
    Ok(())
}

fn scenario(args: &DemoArgs) -> Result<Scenario, Fail> {
    let scenario = match &args.scenario {
        None => Scenario::named(OPERATION).map_err(|error| of_scenario(&error))?,
        Some(path) => scenario_of(path)?,
    };
    if args.countries.is_empty() {
        return Ok(scenario);
    }
    let recorded = scenario.recorded_of(&args.countries).to_vec();
    let mut scenario =
        scenario.with_countries(args.countries.iter().copied()).map_err(|error| of_scenario(&error))?;
    scenario.recorded = recorded;
    Ok(scenario)
}

/// Reads a scenario file.
pub(crate) fn scenario_of(path: &Path) -> Result<Scenario, Fail> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Fail::because(path.display().to_string(), &error, "name a scenario file that can be read")
    })?;
    Scenario::parse(&text).map_err(|error| of_scenario(&error))
}

fn of_scenario(error: &i247_scenario::ScenarioError) -> Fail {
    Fail::usage(crate::fail::causes(error), "see `i247 demo --help`")
}

fn of_world(error: &WorldError) -> Fail {
    Fail::because("the network of the demonstration", error, "run it again; with --keep the logs stay")
}
