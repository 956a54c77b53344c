//! `i247 console`: the operators' web page, and the passwords for it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use i247_console::{BuildError, Console, Passwords, Settings};
use i247_model::Name;
use i247_node::{TelemetryConfig, config};
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::fail::Fail;
use crate::out;
use crate::services::{announce, misconfigured, stop_when_asked};
use crate::session::Session;
use crate::telemetry::TelemetryArgs;

const AFTER_HELP: &str = "\
It looks at the network under the operator's identity of the context. Without a certificate it listens to this machine \
alone. Without a password file it draws a password for the user `operator` at its start, prints it, and forgets it at \
its end; that too is for this machine alone.

What it tells about itself is said by variables (I247_CONSOLE_TELEMETRY__METRICS), then by flags.

Examples:
  i247 console --context operator
  i247 console password passwords --name anna
  i247 console --context operator --telemetry-metrics 127.0.0.1:9249
  i247 console --passwords passwords --listen 0.0.0.0:7280 --certificate console.pem --key console.key";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct ConsoleArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7280")]
    listen: String,
    /// The certificate chain for browsers, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Who may log in, from `i247 console password`
    #[arg(long, value_name = "FILE")]
    passwords: Option<PathBuf>,
    #[command(flatten)]
    telemetry: TelemetryArgs,
    /// A file that is written, whole, with the address once it listens
    #[arg(long, value_name = "FILE", hide = true)]
    ready_file: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<ConsoleAction>,
}

#[derive(Debug, Subcommand)]
enum ConsoleAction {
    /// Draw a password for somebody, print it, and keep its hash in a file
    Password {
        /// The password file; it is made when it is not there
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Whose: small letters, digits and underscores. A new password ends the old one
        #[arg(long)]
        name: Name,
    },
}

/// What variables and flags may set.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct ConsoleConfig {
    telemetry: TelemetryConfig,
}

/// Runs the console until it is asked to stop, or makes a password.
pub(crate) async fn run(args: ConsoleArgs, session: &Session) -> Result<(), Fail> {
    if let Some(ConsoleAction::Password { file, name }) = &args.action {
        let password = i247_console::new_password(file, name, &*session.seams.dice)
            .map_err(|error| Fail::because("no password", &error, "name a password file, or a new one"))?;
        out::data(&password);
        out::talk(&format!(
            "{name} logs in with it once a console is started with --passwords {}",
            file.display()
        ));
        return Ok(());
    }
    let mut flags = Table::new();
    args.telemetry.put(&mut flags);
    let ConsoleConfig { telemetry } =
        config::load(None, "I247_CONSOLE_", flags).map_err(|error| misconfigured(&error))?;
    let monitor = session.monitor()?;
    let tls = match (&args.certificate, &args.key) {
        (Some(certificate), Some(key)) => {
            let next = "name files in PEM, the certificate first and those above it after it";
            Some(i247_console::tls(certificate, key).map_err(|error| Fail::because("no TLS", &error, next))?)
        }
        _ => None,
    };
    let (passwords, drawn) = passwords(&args, tls.is_some(), session)?;
    let settings = Settings { listen: args.listen.clone(), tls, passwords, telemetry };
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let console = Console::build(settings, monitor, &session.seams).await.map_err(|error| {
        let next = match &error {
            BuildError::Plain { .. } => "add --certificate and --key, or listen at 127.0.0.1",
            BuildError::Listen { .. } => "name another address with --listen; port 0 takes a free one",
            BuildError::Telemetry(_) => "mend the settings that begin with --telemetry",
        };
        Fail::because("the console does not start", &error, next)
    })?;
    if let Some(password) = drawn {
        out::talk(&format!("Log in as operator with {password} until this console stops"));
    }
    let address = console.local_addr();
    announce(&format!("console, {scheme}://{address}/,"), address, args.ready_file.as_deref())?;
    console.serve(stop_when_asked()).await;
    Ok(())
}

/// Those of the file; without one, a password that is drawn now, which is returned too.
fn passwords(args: &ConsoleArgs, tls: bool, session: &Session) -> Result<(Passwords, Option<String>), Fail> {
    let unusable =
        |error| Fail::because("no passwords", &error, "make them with `i247 console password FILE`");
    if let Some(file) = &args.passwords {
        return Ok((Passwords::load(file).map_err(unusable)?, None));
    }
    if tls {
        return Err(Fail::usage(
            "a console for other machines needs --passwords",
            "make the file with `i247 console password FILE --name NAME`",
        ));
    }
    let operator: Name = "operator".parse().map_err(|_| Fail::usage("no name", "use --passwords"))?;
    let (passwords, password) = Passwords::drawn(&operator, &*session.seams.dice).map_err(unusable)?;
    Ok((passwords, Some(password)))
}
