//! `i247 ledger`: what is wrong with a log, and everything that follows from it made anew.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use i247_hub::{RebuildError, RecoverError};
use i247_model::CountryCode;
use i247_trust::Root;
use serde_json::json;

use crate::args::country;
use crate::fail::{Exit, Fail};
use crate::forms::read;
use crate::out;
use crate::render;
use crate::services::next_of_log;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Read every byte of a log, of its snapshots and of its runs of history, and say what is wrong where. Changes nothing
    Check {
        /// Data directory of a hub or a bureau, or the log's own directory
        dir: PathBuf,
    },
    /// Throw away all but the log, make everything anew, and print the digest over it
    #[command(
        after_help = "While a process uses the directory, it is refused.\n\nExamples:\n  i247 ledger rebuild \
                            /var/lib/i247/hub --credentials /etc/i247/hub\n  i247 ledger rebuild /var/lib/i247/bureau \
                            --country FR"
    )]
    Rebuild(RebuildArgs),
    /// Hold the journal of searches of a hub against its log, which vouches for it, and against what posts have signed
    /// for; and count, by country and purpose, what was asked on line and of offline copies. The hub must not run
    Searches {
        /// Data directory of a hub
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    /// Data directory of a hub or a bureau
    dir: PathBuf,
    /// The directory with authority.crt.pem, for a hub's log
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
    /// Whose journal it is, for a bureau's
    #[arg(id = "entry_country", long = "country", value_name = "COUNTRY", value_parser = country)]
    country: Option<CountryCode>,
}

pub(crate) async fn run(command: LedgerCommand, session: &Session) -> Result<ExitCode, Fail> {
    match command {
        LedgerCommand::Check { dir } => check(&dir, session),
        LedgerCommand::Searches { dir } => searches(&dir, session).await,
        LedgerCommand::Rebuild(args) => {
            let (digest, entries) = match log_of(&args.dir)? {
                (Owner::Hub, log) => hub(&args, &log, session).await?,
                (Owner::Bureau, log) => bureau(&args, &log, session).await?,
            };
            if session.global.json {
                out::json(&json!({ "digest": digest, "entries": entries }));
            } else {
                out::data(&digest);
                out::talk(&format!("rebuilt from {entries} entries"));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn searches(dir: &Path, session: &Session) -> Result<ExitCode, Fail> {
    let (disk, blocking) = (session.seams.disk.clone(), session.seams.blocking.clone());
    let found = i247_hub::check_searches(disk, blocking, dir).await.map_err(|error| {
        Fail::because(
            "the journal was not checked",
            &error,
            "name a hub's data directory; stop the hub first",
        )
    })?;
    out::answer(session, || render::searches_json(&found), || render::searches(&found));
    let sound = found.broken.is_empty();
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(Exit::Refused as u8) })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    Hub,
    Bureau,
}

/// The log below a data directory, and whose it is.
fn log_of(dir: &Path) -> Result<(Owner, PathBuf), Fail> {
    for (owner, name) in [(Owner::Hub, "log"), (Owner::Bureau, "journal")] {
        if dir.join(name).is_dir() {
            return Ok((owner, dir.join(name)));
        }
        if dir.is_dir() && dir.ends_with(name) {
            return Ok((owner, dir.to_owned()));
        }
    }
    Err(Fail::usage(
        format!("{}: neither a hub's nor a bureau's data directory", dir.display()),
        "name the directory that the service was started with (`data` in its configuration)",
    ))
}

fn check(dir: &Path, session: &Session) -> Result<ExitCode, Fail> {
    let (_, log) = log_of(dir)?;
    let report = i247_ledger::check(&session.seams.disk, &log).map_err(|error| {
        Fail::because("the log cannot be checked", &error, "see that the files can be read by this user")
    })?;
    out::answer(session, || render::check_json(&report), || render::check(&report));
    if report.is_sound() {
        return Ok(ExitCode::SUCCESS);
    }
    out::talk(if report.damage.iter().any(|damage| damage.kind.is_fatal()) {
        "Entries are lost: restore the directory from a copy, then run the recover command of the service."
    } else {
        "The service can start: what is named is dropped, or not served, and the rest is."
    });
    Ok(ExitCode::from(Exit::Refused as u8))
}

async fn hub(args: &RebuildArgs, log: &Path, session: &Session) -> Result<(String, u64), Fail> {
    let Some(dir) = &args.credentials else {
        let next = "name the directory with authority.crt.pem with --credentials";
        return Err(Fail::usage("a hub's log is read with the authority's certificate", next));
    };
    let root = root(dir)?;
    let rebuilt = i247_hub::rebuild(session.seams.disk.clone(), session.seams.blocking.clone(), log, root)
        .await
        .map_err(|error| match &error {
            RebuildError::Recover(RecoverError::Open(open)) => refused(&error, next_of_log(open)),
            _ => refused(&error, CHECK),
        })?;
    let removed = rebuilt.snapshots_removed;
    out::talk(&format!("{removed} snapshots and all runs of history thrown away, new ones stored"));
    Ok((rebuilt.digest, rebuilt.entries))
}

async fn bureau(args: &RebuildArgs, log: &Path, session: &Session) -> Result<(String, u64), Fail> {
    let Some(country) = args.country else {
        return Err(Fail::usage("it is not said whose journal this is", "name the country with --country"));
    };
    let rebuilt =
        i247_bureau::rebuild(country, session.seams.disk.clone(), session.seams.blocking.clone(), log)
            .await
            .map_err(|error| match &error {
                i247_bureau::RebuildError::Journal(i247_bureau::OpenError::Files(open)) => {
                    refused(&error, next_of_log(open))
                }
                _ => refused(&error, CHECK),
            })?;
    out::talk(&format!("{} snapshots thrown away, a new one stored", rebuilt.snapshots_removed));
    Ok((rebuilt.digest.to_string(), rebuilt.entries))
}

const CHECK: &str = "`i247 ledger check DIR` says what is wrong where";

fn refused(error: &dyn std::error::Error, next: &str) -> Fail {
    Fail::because("nothing was rebuilt", error, next)
}

/// The root of the network, out of `authority.crt.pem`.
fn root(dir: &Path) -> Result<Root, Fail> {
    let path = dir.join("authority.crt.pem");
    let next = "name the directory of the hub's own certificates with --credentials";
    let wrong = || Fail::local(format!("{}: not the two certificates of an authority", path.display()), next);
    let blocks = pem::parse_many(read(&path)?).map_err(|_| wrong())?;
    let [authority, signing]: [pem::Pem; 2] = blocks.try_into().map_err(|_| wrong())?;
    Root::new(authority.into_contents().into(), signing.into_contents().into()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_known_by_what_lies_in_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(log_of(dir.path()).unwrap_err().exit, Exit::Usage);
        let journal = dir.path().join("journal");
        std::fs::create_dir(&journal).unwrap();
        assert_eq!(log_of(dir.path()).unwrap(), (Owner::Bureau, journal.clone()));
        assert_eq!(log_of(&journal).unwrap(), (Owner::Bureau, journal));
    }
}
