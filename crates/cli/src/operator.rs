//! Operators' verbs: an operation's table, one message's way, the network at a glance.

use std::collections::BTreeMap;
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
        after_help = "Cases and outcomes are the bureaus' own; countries without a context are not counted. The exit \
                      code is 1 when something is missing: unanswered, undelivered, undecided.\n\nExample:\n  i247 \
                      operation report infra-red-2010"
    )]
    Report {
        /// The operation
        name: String,
    },
}

pub(crate) async fn operation(command: OperationCommand, session: &Session) -> Result<ExitCode, Fail> {
    let OperationCommand::Report { name } = command;
    let table = table(&name, session).await?;
    if session.global.json {
        let next = "run it without --json, and report this as a fault";
        out::json(&serde_json::to_value(&table).map_err(|error| Fail::because("no JSON", &error, next))?);
    } else {
        out::data(&i247_scenario::render(&table).join("\n"));
    }
    Ok(if table.falls_short() { ExitCode::from(Exit::Refused as u8) } else { ExitCode::SUCCESS })
}

async fn table(name: &str, session: &Session) -> Result<Table, Fail> {
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
    // Of an operation that nobody recorded, the run alone is shown.
    let Ok(scenario) = Scenario::named(name) else { return Ok(tabulate(&counted, &[], None)) };
    let rehearsal = count(&scenario.workload.rehearsal.operation, &desks, &monitor).await?;
    let played: Option<&Counted> = Some(&rehearsal).filter(|counted| !counted.accepted.is_empty());
    Ok(tabulate(&counted, &scenario.recorded, played))
}

pub(crate) async fn trace(id: &str, session: &Session) -> Result<(), Fail> {
    let trace = session.monitor()?.trace(id).await?;
    if session.global.json {
        out::json(&to_json("TraceResponse", &trace));
    } else {
        out::data(&render::trace(&trace));
    }
    Ok(())
}

pub(crate) async fn network(session: &Session) -> Result<(), Fail> {
    let summary: pb::SummaryResponse = session.monitor()?.summary().await?;
    if session.global.json {
        out::json(&to_json("SummaryResponse", &summary));
    } else {
        out::data(&render::network(&summary));
    }
    Ok(())
}
