//! The `i247` command: runs any node, and speaks for officers, reviewers, operators and the authority.
//!
//! ```text
//!  command line ─► args ─┬─► services   a hub or a bureau, until it is asked to stop
//!                        ├─► session ─► desk, review, monitor, directory ─► render ─► standard output
//!                        └─► authority, ledger, contexts: files of this machine
//! ```
//!
//! It decides nothing: what is sent is composed here, checked by the desk, decided by the hub. What is printed is made
//! by pure functions (`render`); data goes to standard output, talk to standard error. The outside (clock, dice,
//! network, disk) is put together here and nowhere else.

mod args;
mod authority;
mod check;
mod compose;
mod console;
mod context;
mod demo;
mod doctor;
mod fail;
mod forms;
mod hits;
mod ledger;
mod message;
mod mind;
mod officer;
mod operator;
mod out;
mod post;
mod records;
mod render;
mod review;
mod scenario;
mod services;
mod session;
mod telemetry;
mod trace;
mod watch;

use std::process::ExitCode;

pub use args::Cli;
use args::Command;
use fail::Fail;
use i247_client::reflect;
use session::Session;
use trace::Trace;

/// Does what the command line asks and returns the exit code. It must be called within a tokio runtime.
///
/// # Cancel safety
/// Dropped, it ends as an interrupted command does: what was asked of the network may have happened.
pub async fn run(cli: Cli) -> ExitCode {
    match perform(cli).await {
        Ok(code) => code,
        Err(fail) => {
            out::talk(fail.render().trim_end());
            fail.code()
        }
    }
}

async fn perform(cli: Cli) -> Result<ExitCode, Fail> {
    let session = Session::new(cli.global);
    let trace = Trace::begin(&cli.command, &session).await?;
    trace.around(Box::pin(verb(cli.command, &session))).await
}

async fn verb(command: Command, session: &Session) -> Result<ExitCode, Fail> {
    match command {
        Command::Hub(args) => services::hub(args, session).await?,
        Command::Bureau(args) => Box::pin(services::bureau(args, session)).await?,
        Command::Console(args) => Box::pin(console::run(args, session)).await?,
        Command::Demo(args) => return Box::pin(demo::demo(args, session.global.json)).await,
        Command::Authority(command) => Box::pin(authority::run(command, session)).await?,
        Command::Context(command) => context::run(command, session)?,
        Command::Ledger(command) => return ledger::run(command, session).await,
        Command::Message(message) => officer::send(&message, session).await?,
        Command::Explain { message } => officer::explain(&message, session).await?,
        Command::Inbox(args) => officer::inbox(&args, session).await?,
        Command::Outbox(args) => officer::outbox(&args, session).await?,
        Command::Show { id } => officer::show(&id, session).await?,
        Command::Done { id } => officer::done(&id, session).await?,
        Command::Status { id: None } if session.leads_to_hub()? => return watch::status(session).await,
        Command::Status { id } => officer::status(id.as_deref(), session).await?,
        Command::Attachment(args) => officer::attachment(&args, session).await?,
        Command::Cases { operation } => officer::cases(&operation, session).await?,
        Command::Check(args) => return check::check(&args, session).await,
        Command::Hits(args) => hits::hits(&args, session).await?,
        Command::Hit(command) => hits::hit(&command, session).await?,
        Command::Records(command) => return Box::pin(records::run(command, session)).await,
        Command::Scenario(command) => return Box::pin(scenario::run(command, session)).await,
        Command::Review(command) => review::run(command, session).await?,
        Command::Operation(command) => return operator::operation(command, session).await,
        Command::Trace { id } => operator::trace(&id, session).await?,
        Command::Network => operator::network(session).await?,
        Command::Mind(command) => Box::pin(mind::run(command, session)).await?,
        Command::Post(command) => Box::pin(post::run(command, session)).await?,
        Command::Top(args) => Box::pin(watch::top(&args, session)).await?,
        Command::Tap(args) => watch::tap(&args, session).await?,
        Command::Doctor => return Box::pin(doctor::doctor(session)).await,
        Command::Alerts { cleared } => return watch::alerts(cleared, session).await,
    }
    Ok(ExitCode::SUCCESS)
}
