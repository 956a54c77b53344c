//! `i247 scenario`: operations at borders, and the searches of the whole network, on a network of their own or on one that
//! runs.
//!
//! It knows what it planted, and nobody else does: records go to the databases as everybody's do, posts are handed zones,
//! owners their own files. The columns of the run are counted from the hub's journal of searches and the register of hits.

mod loading;
mod running;
mod show;
mod stage;

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use i247_client::pb;
use i247_model::CountryCode;
use i247_node::config::Period;
use i247_node::stop_signal;
use i247_scenario::border::{
    self, BorderPlan, BorderPlayed, BorderTable, Told, play, render_border, tabulate_border,
};
use serde_json::json;

use crate::fail::{Exit, Fail};
use crate::out;
use crate::session::Session;
use show::Show;
use stage::Stage;

/// How long a step waits for something new.
const PATIENCE: Duration = Duration::from_secs(30);

const AFTER_RUN: &str = "\
A network of its own is started, a process for each node: the bureaus of the countries, the hub, and the posts with \
certificates and grants. Owners load their records, posts check every traveller, owners confirm or deny each hit from \
their own files, and whoever asked reports what was done. Each post signs for what it asks. Then the hub is stopped, and \
everything is counted from its journal of searches and from the register of hits.

With --running nothing is started: the network is the one that the contexts lead to, and the hub counts its journal for \
an operator. It needs a context at the hub as operator (--context names it), one at the desk of each country as officer, \
and one at the hub as each post, which its bureau has granted enough; what is missing is named with the commands that \
make it. The posts' searches and the hits of theirs are counted from the moment it began, whatever else goes on. The \
records that were loaded stay in the databases.

Exit codes:
  0  the counts are those of what was planted
  1  they differ, or something was given up; it is said what

Examples:
  i247 scenario run hammer                 8,000 documents at two airports
  i247 scenario run anaconda --seed 7
  i247 scenario run hammer --checks 500    a small one, without the recorded figures
  i247 scenario run network --for 60s      212 searches a second on the whole, four times that at its peak
  i247 scenario run hammer --running --among FR,BR,JP --context operator   on a network that runs";

#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// List what can be run, with what was recorded of it
    List,
    /// Run one on a network of its own or on one that runs, and count what came of it
    #[command(after_help = AFTER_RUN)]
    Run(RunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Which one: hammer, anaconda, kigali, manila, network
    name: String,
    /// The seed of all choices; the year of the operation without it
    #[arg(long)]
    seed: Option<u64>,
    /// So many checks instead of those of the operation
    #[arg(long, value_name = "COUNT")]
    checks: Option<u32>,
    /// How long a day of the network lasts, such as 60s or 10m
    #[arg(long = "for", value_name = "TIME", conflicts_with = "checks")]
    lasting: Option<Period>,
    /// All of it in this process, not a process for each node
    #[arg(long)]
    one_process: bool,
    /// On the network that the contexts lead to, which runs already, instead of one of its own
    #[arg(long, conflicts_with = "one_process")]
    running: bool,
    /// Among these countries: the first asks, the others own the records; without the recorded figures. In the network
    /// each keeps its share
    #[arg(long, value_name = "COUNTRIES", value_delimiter = ',', value_parser = crate::args::country)]
    among: Vec<CountryCode>,
    /// Keep the data in this directory, which must be new; without it they go with the run. On a network that runs these
    /// are the files of records alone
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// How long the day of the network lasts, unless said otherwise.
const DAY: Duration = Duration::from_secs(60);

/// What is to be run.
struct Job<'a> {
    told: Told<'a>,
    plan: BorderPlan,
    countries: Vec<CountryCode>,
    due: Option<Vec<Duration>>,
}

pub(crate) async fn run(command: ScenarioCommand, session: &Session) -> Result<ExitCode, Fail> {
    match command {
        ScenarioCommand::List => list(session).map(|()| ExitCode::SUCCESS),
        ScenarioCommand::Run(args) => Box::pin(run_one(&args, session)).await,
    }
}

async fn run_one(args: &RunArgs, session: &Session) -> Result<ExitCode, Fail> {
    if args.name == "network" {
        if args.checks.is_some() {
            return Err(Fail::usage(
                "the network has no number of checks",
                "say how long it lasts: --for 60s",
            ));
        }
        let mut network = border::network().map_err(of_scenario)?;
        if !args.among.is_empty() {
            network = network.among(&args.among).map_err(of_scenario)?;
        }
        let lasting = args.lasting.map_or(DAY, |lasting| lasting.0);
        let drawn = network.draw(lasting, args.seed.unwrap_or(2023)).map_err(of_scenario)?;
        let (told, countries) = (network.told(), network.countries());
        let job = Job { told, plan: drawn.plan, countries, due: Some(drawn.due) };
        return perform(args, &job, session).await;
    }
    if args.lasting.is_some() {
        return Err(Fail::usage(
            "an operation lasts as long as it takes",
            "leave --for out, or run the network",
        ));
    }
    let mut operation = border::operation(&args.name).map_err(of_scenario)?;
    if !args.among.is_empty() {
        operation = operation.among(&args.among).map_err(of_scenario)?;
    }
    if let Some(checks) = args.checks {
        operation = operation.with_checks(checks).map_err(of_scenario)?;
    }
    let seed = args.seed.unwrap_or(operation.year.into());
    let plan = BorderPlan::draw(&operation, seed).map_err(of_scenario)?;
    let countries = operation.workload.countries().into_iter().collect();
    perform(args, &Job { told: operation.told(), plan, countries, due: None }, session).await
}

async fn perform(args: &RunArgs, job: &Job<'_>, session: &Session) -> Result<ExitCode, Fail> {
    if args.running {
        return Box::pin(running::perform(args, job, session)).await;
    }
    let mut show = Show::new();
    show.opening(job.told.name, &job.plan);
    show.starting(&job.countries, !args.one_process);
    let mut stop = pin!(stop_signal());
    // The signals are watched from here on: what is started later is stopped and cleared away in any case.
    let stage = tokio::select! {
        biased;
        _ = &mut stop => return Err(stopped()),
        stage = Box::pin(Stage::start(args, &job.countries)) => stage?,
    };
    // A signal drops the play where it is; the network is then stopped like after every one.
    let played = tokio::select! {
        biased;
        _ = &mut stop => Err(stopped()),
        played = Box::pin(act(&stage, job, &mut show)) => played,
    };
    stage.stop().await?;
    let (played, hits, operation) = played?;
    show.counting();
    let asked = stage.asked(session).await?;
    let counts = border::BorderCounts { asked, hits, operation: Some(operation) };
    let mut table = tabulate_border(job.told, &counts, &job.plan.expected);
    table.rows.extend(played.rows());
    finish(&table, &played, session)
}

/// Everything that goes through the network, and at the end of it the register, and what the hub says of the operation.
async fn act(
    stage: &Stage,
    job: &Job<'_>,
    show: &mut Show,
) -> Result<(BorderPlayed, Vec<pb::HitStatus>, pb::OperationSearches), Fail> {
    show.done(job.countries.len() + 1, "nodes run");
    let posts = stage.grant(&job.plan.stations()).await?;
    show.done(posts.len(), "posts are granted, and let in");
    let actors = stage.actors(job.told.id, posts, PATIENCE).await?;
    let loaded = loading::load(&stage.files(), &job.plan, &actors).await?;
    show.done(loaded, "records loaded by their owners, and accepted");
    let plan = &job.plan;
    let played = play(&plan.travellers, job.due.as_deref(), &plan.own_files, &actors, show).await;
    Ok((played, actors.hits().await?, stage.operation(job.told.id).await?))
}

fn finish(table: &BorderTable, played: &BorderPlayed, session: &Session) -> Result<ExitCode, Fail> {
    let next = "run it without --json, and report this as a fault";
    let mut value = serde_json::to_value(table).map_err(|error| Fail::because("no JSON", &error, next))?;
    value["gave_up"] = json!(played.gave_up);
    out::answer(session, || value, || render_border(table).join("\n"));
    for given_up in &played.gave_up {
        out::talk(&format!("Given up: {given_up}"));
    }
    let well = table.differences.is_empty() && played.gave_up.is_empty();
    if !well {
        out::talk("The run fell short.");
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(Exit::Refused as u8) })
}

fn list(session: &Session) -> Result<(), Fail> {
    let operations = border::operations().map_err(of_scenario)?;
    let network = border::network().map_err(of_scenario)?;
    let json = || {
        let mut all: Vec<_> = operations
            .iter()
            .map(|one| {
                let told = one.told();
                json!({ "id": told.id, "name": told.name, "year": one.year, "summary": one.summary,
                        "checks": one.workload.checks, "recorded": told.recorded, "noted": told.noted })
            })
            .collect();
        let told = network.told();
        all.push(
            json!({ "id": told.id, "name": told.name, "summary": network.summary, "noted": told.noted }),
        );
        all.into()
    };
    let words = || {
        let mut text = String::new();
        for one in &operations {
            text.push_str(&show::described(&one.told(), &format!("{}, {}", one.year, one.summary)));
        }
        text.push_str(&show::described(&network.told(), &network.summary));
        text
    };
    out::answer(session, json, words);
    Ok(())
}

fn stopped() -> Fail {
    Fail::refused("stopped before the end", "run it again for the whole scenario")
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn of_scenario(error: i247_scenario::ScenarioError) -> Fail {
    Fail::usage(crate::fail::causes(&error), "`i247 scenario list` says what there is")
}
