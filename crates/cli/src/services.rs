//! Runs a hub or a bureau: configuration, credentials, one line about where it listens, and an orderly stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;

use bytes::Bytes;
use clap::{Args, Subcommand};
use i247_model::{CountryCode, hexadecimal};
use i247_node::config::{self, ConfigError};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use toml::{Table, Value};

use crate::args::country;
use crate::fail::Fail;
use crate::out;
use crate::session::{Session, credentials};
use crate::telemetry::TelemetryArgs;

const AFTER_HUB: &str = "\
Settings come from the file, then from variables (I247_HUB_LISTEN, I247_HUB_TELEMETRY__LEVEL), then from flags.

Examples:
  i247 hub --print-config > hub.toml
  i247 hub --config hub.toml --listen 0.0.0.0:7247
  i247 hub recover --config hub.toml --yes";

const AFTER_BUREAU: &str = "\
Settings come from the file, then from variables (I247_BUREAU_HUB, I247_BUREAU_POLICY__RED_NOTICE), then from flags.

Examples:
  i247 bureau FR --print-config > bureau.toml
  i247 bureau FR --config bureau.toml --hub hub.example:7247
  i247 bureau FR recover --reason \"disk restored from Monday's copy\"";

const AFTER_HUB_RECOVER: &str = "\
For a hub whose data was restored from an older copy: bureaus hold receipts from beyond its end, and it accepts \
nothing. The log in the data directory goes on under a new name, and its next entry says where the old one ends. \
Started again, the hub is welcome to its bureaus, and they bring back what the copy lacks: each what it had sent, and \
what it had received from others.

Take the newest copy that there is. If it is one from before an earlier recovery, say with --lost what the log was \
called since: that recovery printed it, and the hub's own log names it where it turns a bureau away. While a hub runs \
on the directory, it is refused.

Example:
  i247 hub recover --config hub.toml --yes";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HUB, args_conflicts_with_subcommands = true)]
pub(crate) struct HubArgs {
    #[command(flatten)]
    common: Common,
    /// The site that the certificate must name: lyon for gs/hub/lyon
    #[arg(long)]
    site: Option<String>,
    #[command(subcommand)]
    action: Option<HubAction>,
}

#[derive(Debug, Subcommand)]
enum HubAction {
    /// Let the network go on with a hub that was restored from an older copy of its data, while the hub is stopped
    #[command(after_help = AFTER_HUB_RECOVER)]
    Recover {
        #[command(flatten)]
        settings: Settings,
        /// The site that the certificate must name: lyon for gs/hub/lyon
        #[arg(long)]
        site: Option<String>,
        /// For a copy from before an earlier recovery: the name that the log was given then. Several, the oldest first
        #[arg(long, value_name = "LOG", value_delimiter = ',', value_parser = log_id)]
        lost: Vec<Bytes>,
        /// It is meant: there is no newer copy
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = AFTER_BUREAU, args_conflicts_with_subcommands = false)]
pub(crate) struct BureauArgs {
    /// Whose bureau it is
    #[arg(id = "bureau_country", value_name = "COUNTRY", value_parser = country)]
    country: CountryCode,
    #[command(flatten)]
    common: Common,
    /// Address of the hub
    #[arg(long, value_name = "HOST:PORT")]
    hub: Option<String>,
    /// The site that the hub's certificate must name: lyon for gs/hub/lyon
    #[arg(long)]
    site: Option<String>,
    /// The national register, JSON Lines
    #[arg(long, value_name = "FILE")]
    register: Option<PathBuf>,
    /// Whether requests and Red Notices are answered by policy, without an officer
    #[arg(long, value_name = "true|false")]
    automatic: Option<String>,
    /// What a Red Notice means here: ARREST_BASIS, WARRANT_FIRST, LOCATE_ONLY or IMMIGRATION_ONLY
    #[arg(long, value_name = "POLICY")]
    policy_red_notice: Option<String>,
    #[command(subcommand)]
    action: Option<BureauAction>,
}

#[derive(Debug, Subcommand)]
enum BureauAction {
    /// Begin a new epoch at a running bureau that was restored from an older copy of its data
    Recover {
        /// Why, in one line; the secretariat reads it
        #[arg(long)]
        reason: String,
    },
}

/// Where a service finds what is its own.
#[derive(Debug, Args)]
struct Settings {
    /// The configuration, TOML; unknown keys are refused by name
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Directory of the certificates and keys
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
}

/// What both services understand.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    settings: Settings,
    /// Print the configuration in force, as a file, and end
    #[arg(long)]
    print_config: bool,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    telemetry: TelemetryArgs,
    /// A file that is written, whole, with the address once it listens
    #[arg(long, value_name = "FILE", hide = true)]
    ready_file: Option<PathBuf>,
    /// End when this process ends, which must be the parent
    #[arg(long, value_name = "PID", hide = true)]
    die_with_parent: Option<u32>,
}

impl Settings {
    /// The flags that were given, by the keys of the configuration.
    fn flags(&self) -> Table {
        let text = |path: &PathBuf| path.display().to_string();
        let mut flags = Table::new();
        put(&mut flags, "data", self.data.as_ref().map(text));
        put(&mut flags, "credentials", self.credentials.as_ref().map(text));
        flags
    }
}

impl Common {
    /// The flags that were given, by the keys of the configuration.
    fn flags(&self) -> Table {
        let mut flags = self.settings.flags();
        put(&mut flags, "listen", self.listen.clone());
        self.telemetry.put(&mut flags);
        flags
    }

    /// Ties the process to its parent before it does anything else.
    fn tie(&self) -> Result<(), Fail> {
        let Some(parent) = self.die_with_parent else { return Ok(()) };
        i247_node::linux::die_with_parent(parent)
            .map_err(|error| Fail::because("no parent", &error, "start it from the process that it names"))
    }
}

pub(crate) fn put(table: &mut Table, key: &str, value: Option<String>) {
    if let Some(value) = value {
        table.insert(key.into(), Value::String(value));
    }
}

/// `i247 hub`.
pub(crate) async fn hub(args: HubArgs, session: &Session) -> Result<(), Fail> {
    if let Some(HubAction::Recover { settings, site, lost, .. }) = args.action {
        return recover_hub(hub_config(&settings, settings.flags(), site)?, &lost, session).await;
    }
    args.common.tie()?;
    let config = hub_config(&args.common.settings, args.common.flags(), args.site)?;
    if args.common.print_config {
        out::data(&config::print(&config).map_err(|error| misconfigured(&error))?);
        return Ok(());
    }
    let own = credentials(&config.credentials)?;
    let site = config.site.clone();
    let hub = Box::pin(i247_hub::Hub::build(config, own, session.seams.clone()))
        .await
        .map_err(|error| Fail::because("the hub does not start", &error, next_of_hub(&error)))?;
    announce(&format!("hub {site}"), hub.local_addr(), args.common.ready_file.as_deref())?;
    let stop = stop_when_asked();
    Box::pin(hub.serve(stop)).await.map_err(|error| {
        Fail::because(
            "the hub stopped",
            &error,
            "make room or mend the disk, then start it again: it recovers",
        )
    })
}

/// A log's name as `recover` prints it.
fn log_id(text: &str) -> Result<Bytes, String> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes = digits.then(|| (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()).flatten();
    bytes
        .map(Bytes::from)
        .ok_or_else(|| "32 hexadecimal digits are expected, as `recover` prints them".into())
}

fn hub_config(settings: &Settings, mut flags: Table, site: Option<String>) -> Result<i247_hub::Config, Fail> {
    put(&mut flags, "site", site);
    config::load(settings.config.as_deref(), "I247_HUB_", flags).map_err(|error| misconfigured(&error))
}

/// `i247 hub recover`.
async fn recover_hub(config: i247_hub::Config, lost: &[Bytes], session: &Session) -> Result<(), Fail> {
    use i247_hub::{RecoverError, TakeUpError};
    let own = credentials(&config.credentials)?;
    let taken_up = i247_hub::take_up(&config, &own, &session.seams, lost).await.map_err(|error| {
        let next = match &error {
            TakeUpError::Recover(RecoverError::Open(error)) => next_of_log(error),
            TakeUpError::WrongIdentity(_) => {
                "name the hub's own certificates with --credentials, and its --site"
            }
            TakeUpError::NotLost(_) => "name with --lost what earlier recoveries printed, the oldest first",
            _ => "see that the directories in `i247 hub --print-config` are there and complete",
        };
        Fail::because("nothing was recovered", &error, next)
    })?;
    let (before, now) = (hexadecimal(&taken_up.previous_log_id), hexadecimal(&taken_up.log_id));
    let end = taken_up.previous_end;
    out::answer(
        session,
        || json!({ "previous_log_id": before, "previous_end": end, "log_id": now }),
        || format!("previous log  {before}\nends at       {end}\nlog           {now}"),
    );
    out::talk(&format!(
        "The log goes on from entry {end} under the new name. Next:\n\
         1. Start the hub. Its bureaus connect by themselves and bring back what stood behind entry {end}; until they \
         have, an answer may wait up to an hour for its question.\n\
         2. `i247 authority resend --hub HOST:PORT` where the secretariat's authority is: who was admitted, suspended \
         or revoked after entry {end} is not known again before.\n\
         3. When the bureaus have brought back what they have, reviewers look through what is pending: decisions that \
         nobody had received are made again.\n\
         4. Copy the data anew, and note the name {now}: whoever has to go back to an older copy is asked for it."
    ));
    Ok(())
}

/// `i247 bureau FR`.
pub(crate) async fn bureau(args: BureauArgs, session: &Session) -> Result<(), Fail> {
    if let Some(BureauAction::Recover { reason }) = &args.action {
        return recover(args.country, reason, session).await;
    }
    args.common.tie()?;
    let config = bureau_config(&args).map_err(|error| misconfigured(&error))?;
    if args.common.print_config {
        out::data(&config::print(&config).map_err(|error| misconfigured(&error))?);
        return Ok(());
    }
    let own = credentials(&config.credentials)?;
    let bureau = Box::pin(i247_bureau::Bureau::build(config, own, session.seams.clone()))
        .await
        .map_err(|error| Fail::because("the bureau does not start", &error, next_of_bureau(&error)))?;
    announce(&format!("bureau {}", args.country), bureau.local_addr(), args.common.ready_file.as_deref())?;
    let stop = stop_when_asked();
    Box::pin(bureau.serve(stop)).await.map_err(|error| {
        Fail::because(
            "the bureau stopped",
            &error,
            "make room or mend the disk, then start it again: it recovers",
        )
    })
}

fn bureau_config(args: &BureauArgs) -> Result<i247_bureau::Config, ConfigError> {
    let mut flags = args.common.flags();
    put(&mut flags, "country", Some(args.country.to_string()));
    put(&mut flags, "hub", args.hub.clone());
    put(&mut flags, "site", args.site.clone());
    put(&mut flags, "register", args.register.as_ref().map(|path| path.display().to_string()));
    put(&mut flags, "automatic", args.automatic.clone());
    if let Some(policy) = &args.policy_red_notice {
        let policy = Table::from_iter([("red_notice".to_owned(), Value::String(policy.to_uppercase()))]);
        flags.insert("policy".into(), policy.into());
    }
    config::load(args.common.settings.config.as_deref(), "I247_BUREAU_", flags)
}

async fn recover(country: CountryCode, reason: &str, session: &Session) -> Result<(), Fail> {
    let contexts = Session::contexts()?;
    let desk = session.open_desk(contexts.as_country(country)?)?;
    let epoch = desk.recover(reason).await?;
    out::talk(&format!("{country} sends and acknowledges again, in epoch {epoch}"));
    Ok(())
}

/// Says where the service listens: to people on standard error, to programs in a file.
pub(crate) fn announce(who: &str, address: SocketAddr, ready_file: Option<&Path>) -> Result<(), Fail> {
    out::talk(&format!("{who} listens at {address}"));
    let Some(path) = ready_file else { return Ok(()) };
    let beside = path.with_extension(format!("{}.new", process::id()));
    let written =
        std::fs::write(&beside, format!("{address}\n")).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        Fail::because(path.display().to_string(), &error, "name a file in a directory that can be written")
    })
}

/// Cancelled by SIGTERM or SIGINT; at once where signals cannot be waited for.
pub(crate) fn stop_when_asked() -> CancellationToken {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    // It ends with the process: nothing else needs its handle.
    drop(tokio::spawn(async move {
        match i247_node::stop_signal().await {
            Ok(signal) => out::talk(&format!("stopping ({signal})")),
            Err(error) => out::talk(&format!("stopping: signals cannot be waited for: {error}")),
        }
        asked.cancel();
    }));
    stop
}

pub(crate) fn misconfigured(error: &ConfigError) -> Fail {
    let mut fail = Fail::because(
        "the configuration does not hold",
        error,
        "--print-config shows every key and its value",
    );
    fail.exit = crate::fail::Exit::Usage;
    fail
}

/// What to do when a hub does not start.
fn next_of_hub(error: &i247_hub::BuildError) -> &'static str {
    use i247_hub::{BuildError, RecoverError};
    match error {
        BuildError::WrongIdentity(_) => "name the hub's own certificates with --credentials, and its --site",
        BuildError::Recover(RecoverError::Open(error)) => next_of_log(error),
        BuildError::Listen { .. } => "name another address with --listen; port 0 takes a free one",
        BuildError::Telemetry(_) => "mend the settings that begin with --telemetry",
        _ => "see that the directories in `--print-config` are there, complete, and can be written",
    }
}

/// What to do when a bureau does not start.
fn next_of_bureau(error: &i247_bureau::BuildError) -> &'static str {
    use i247_bureau::BuildError;
    match error {
        BuildError::Identity { .. } => "name the bureau's own certificates with --credentials",
        BuildError::Ledger(error) => next_of_log(error),
        BuildError::Listen { .. } => "name another address with --listen; port 0 takes a free one",
        BuildError::Telemetry(_) => "mend the settings that begin with --telemetry",
        BuildError::Register { .. } => "mend that line of the register, or name another with --register",
        BuildError::Hub(_) => "name the hub as HOST:PORT with --hub",
        _ => "see that the directories in `--print-config` are there, complete, and can be written",
    }
}

/// What to do when a log cannot be opened.
pub(crate) fn next_of_log(error: &i247_ledger::OpenError) -> &'static str {
    use i247_ledger::OpenError;
    match error {
        OpenError::Locked(_) => "stop the service that uses it first, or name another directory",
        OpenError::Damaged { .. } => {
            "`i247 ledger check DIR` says what is wrong where; restore it from a copy"
        }
        OpenError::Version { .. } => "run the version of i247 that wrote it",
        OpenError::Io { .. } => "see that the directory is there and can be written by this user",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        bureau: BureauArgs,
    }

    fn bureau_of(line: &str) -> BureauArgs {
        Line::try_parse_from(line.split_whitespace()).unwrap().bureau
    }

    #[test]
    fn flags_become_keys() {
        let args = bureau_of(
            "i247 br --listen 127.0.0.1:0 --telemetry-level debug --automatic false --policy-red-notice locate_only",
        );
        let config = bureau_config(&args).unwrap();
        assert_eq!(config.country.as_str(), "BR");
        assert_eq!(config.listen, "127.0.0.1:0");
        assert_eq!(config.telemetry.level, "debug");
        assert!(!config.automatic);
        assert_eq!(config.policy.red_notice, i247_bureau::policy::Measure::LocateOnly);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_flag() {
        let error = bureau_config(&bureau_of("i247 FR --automatic perhaps")).unwrap_err();
        let fail = misconfigured(&error);
        assert!(fail.what.contains("flag --automatic"), "{}", fail.what);
        assert_eq!(fail.exit, crate::fail::Exit::Usage);
    }

    #[test]
    fn the_ready_file_holds_the_address_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready");
        announce("hub lyon", "127.0.0.1:4711".parse().unwrap(), Some(&path)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "127.0.0.1:4711\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
