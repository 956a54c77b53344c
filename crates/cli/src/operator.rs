//! Operators' verbs: an operation's table, one message's way, the network at a glance.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use i247_client::{Desk, pb};
use i247_model::CountryCode;
use i247_scenario::{Counted, Scenario, Table, count, tabulate};

use crate::fail::{Exit, Fail};
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// Count what came of an operation, at the hub and at every desk that a context leads to
    #[command(
        after_help = "Cases and outcomes are the bureaus' own; countries without a context are not counted. What was \
                      recorded of an operation is shown where those that took part are its own countries. The exit \
                      code is 1 when something is missing: unanswered, undelivered, undecided.\n\nExample:\n  i247 \
                      operation report infra-red-2010"
    )]
    Report {
        /// The operation
        name: String,
        /// The scenario file that it was played with, where it is not one that comes with the program
        #[arg(long, value_name = "FILE")]
        scenario: Option<PathBuf>,
    },
}

pub(crate) async fn operation(command: OperationCommand, session: &Session) -> Result<ExitCode, Fail> {
    let OperationCommand::Report { name, scenario } = command;
    let scenario = played_with(&name, scenario.as_deref())?;
    let table = table(&name, scenario, session).await?;
    let next = "run it without --json, and report this as a fault";
    let json = serde_json::to_value(&table).map_err(|error| Fail::because("no JSON", &error, next))?;
    out::answer(session, || json, || i247_scenario::render(&table).join("\n"));
    Ok(if table.falls_short() { ExitCode::from(Exit::Refused as u8) } else { ExitCode::SUCCESS })
}

/// The scenario that an operation was played with; none of one that nobody recorded.
fn played_with(name: &str, file: Option<&Path>) -> Result<Option<Scenario>, Fail> {
    let Some(file) = file else { return Ok(Scenario::named(name).ok()) };
    let scenario = crate::demo::scenario_of(file)?;
    if scenario.id != name {
        let what = format!("{} is the scenario of {}", file.display(), scenario.id);
        return Err(Fail::usage(what, "name that operation, or the file of this one"));
    }
    Ok(Some(scenario))
}

async fn table(name: &str, scenario: Option<Scenario>, session: &Session) -> Result<Table, Fail> {
    let monitor = session.monitor()?;
    let mut desks: BTreeMap<CountryCode, Desk> = BTreeMap::new();
    for context in Session::contexts()?.list().values() {
        if let Some(country) = context.country()
            && !desks.contains_key(&country)
        {
            desks.insert(country, session.open_desk(context)?);
        }
    }
    let counted = count(name, &desks, &monitor).await?;
    let Some(scenario) = scenario else { return Ok(tabulate(&counted, &[], None)) };
    let rehearsal = count(&scenario.workload.rehearsal.operation, &desks, &monitor).await?;
    let played: Option<&Counted> = Some(&rehearsal).filter(|counted| !counted.accepted.is_empty());
    // A desk that cannot be asked is missing from the run, not from the operation.
    let asked = counted.countries.iter();
    let took_part = asked.filter(|(_, country)| country.took_part || country.unreachable.is_some());
    Ok(tabulate(&counted, scenario.recorded_of(took_part.map(|(code, _)| code)), played))
}

pub(crate) async fn trace(id: &str, session: &Session) -> Result<(), Fail> {
    let trace = session.monitor()?.trace(id).await?;
    out::answer(session, || to_json("TraceResponse", &trace), || render::trace(&trace));
    Ok(())
}

pub(crate) async fn network(session: &Session) -> Result<(), Fail> {
    let summary: pb::SummaryResponse = session.monitor()?.summary().await?;
    out::answer(session, || to_json("SummaryResponse", &summary), || render::network(&summary));
    Ok(())
}
