//! Records of the databases: files of them on their way to the bureau's desk, synthetic files, and where a record comes
//! from. It keeps nothing: how far a load is, the bureau knows.

mod change;
mod columns;
pub(crate) mod deed;
mod file;
mod generate;
pub(crate) mod load;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use i247_client::pb;
use i247_model::Hash;
use i247_records::document::Issuer;
use i247_records::record::Record;
use i247_records::{Database, import};
use serde_json::json;

use crate::fail::Fail;
use crate::out;
use crate::reflect::to_json;
use crate::session::Session;
use deed::FileOf;

#[derive(Debug, Subcommand)]
pub(crate) enum RecordsCommand {
    /// Load a file of records into a database
    ///
    /// The file is CSV or JSON Lines, plain or packed by gzip or zstd. Lines that are wrong are set aside in FILE.bad,
    /// each below its number and what is wrong with it; the others are loaded. Mended, FILE.bad can be loaded itself.
    ///
    /// Run again, a load that was broken off goes on where it was, and nothing is loaded twice. The records belong to the
    /// country of the desk. `i247 records columns DATABASE` says what a file must look like.
    Load(LoadArgs),
    /// Change a record of the country, or all of a file
    Change(change::ChangeArgs),
    /// Say which countries must not see a record of the country, or all of a file
    Restrict(change::RestrictArgs),
    /// Take a record of the country out of the database, or all of a file
    Withdraw(change::WithdrawArgs),
    /// Say how far a load is, and what became of its records
    Status {
        /// The name of the load; the one that was begun last, without it
        #[arg(value_parser = hash)]
        name: Option<Hash>,
    },
    /// Write a file of synthetic records, the same for the same seed, which `load` reads
    Generate(GenerateArgs),
    /// Show a record by its name, and where it comes from
    Show {
        /// The database: sltd, vehicles …
        #[arg(value_parser = database)]
        database: Database,
        /// Its name: FRA/PASSPORT/12AB34567, or FR/2026-17 by owner and reference
        name: String,
    },
    /// Say which columns a file of a database has, and how they are written
    Columns {
        /// The database: sltd, vehicles …
        #[arg(value_parser = database)]
        database: Database,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The database: sltd, vehicles …
    #[arg(value_parser = database)]
    pub(crate) database: Database,
    /// The file
    pub(crate) file: PathBuf,
    /// How it is written; by its name without this
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// End when everything is durable at the bureau, without waiting for the hub
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The database; there is a generator for sltd
    #[arg(value_parser = database)]
    pub(crate) database: Database,
    /// How many records
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=generate::MAX_COUNT))]
    pub(crate) count: u64,
    /// What everything is drawn from; files of different seeds or countries have no number in common
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=generate::MAX_SEED))]
    pub(crate) seed: u64,
    /// Who issued the documents, by ICAO code: FRA, D …
    #[arg(long = "country", value_name = "CODE", value_parser = issuer)]
    pub(crate) issuer: Issuer,
    /// Where it is written; standard output without it. A file that is there is not overwritten
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values; the first line names the columns
    Csv,
    /// JSON Lines
    Json,
}

pub(crate) async fn run(command: RecordsCommand, session: &Session) -> Result<ExitCode, Fail> {
    match command {
        RecordsCommand::Load(args) => return deed::run(&FileOf::from(&args), session).await,
        RecordsCommand::Change(args) => return change::change(&args, session).await,
        RecordsCommand::Restrict(args) => return change::restrict(&args, session).await,
        RecordsCommand::Withdraw(args) => return change::withdraw(&args, session).await,
        RecordsCommand::Status { name } => {
            let status = session.desk()?.load_status(name).await?;
            out::answer(session, || to_json("LoadStatusResponse", &status), || load::told(&status));
            return Ok(load::code(&status, 0));
        }
        RecordsCommand::Generate(args) => generate::generate(&args)?,
        RecordsCommand::Show { database, name } => show(database, &name, session).await?,
        RecordsCommand::Columns { database } => out::data(columns::told(database).trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(database: Database, name: &str, session: &Session) -> Result<(), Fail> {
    let found = session.desk()?.show_record(number(database), name).await?;
    if session.global.json {
        out::json(&to_json("FindRecordResponse", &found));
        return Ok(());
    }
    let unreadable =
        || Fail::local("the hub's record cannot be read", "see that both run the same version of i247");
    let record = Record::from_wire(found.record.clone().unwrap_or_default()).map_err(|_| unreadable())?;
    let at = jiff::Timestamp::from_millisecond(i64::try_from(found.accepted_at_ms).unwrap_or(i64::MAX));
    let mut text = format!("{} in {database}\n", record.name());
    text.push_str(&format!("  owner      {}\n", record.owner()));
    text.push_str(&format!("  message    {}, item {}\n", found.message_id, found.item));
    text.push_str(&format!("  position   {}\n", found.position));
    text.push_str(&format!("  accepted   {}\n", at.map(|at| at.to_string()).unwrap_or_default()));
    text.push_str(&format!("  signed by  {}\n", found.signed_by));
    for line in import::json_row(&record).lines() {
        text.push_str(&format!("  says       {}\n", crate::render::line(line)));
    }
    out::data(text.trim_end());
    Ok(())
}

/// The database as the wire numbers it.
fn number(database: Database) -> pb::Database {
    pb::Database::try_from(i32::from(database.number())).unwrap_or(pb::Database::Unspecified)
}

fn database(text: &str) -> Result<Database, String> {
    text.parse::<Database>().map_err(|_| {
        let known: Vec<&str> = Database::ALL.iter().map(|database| database.as_str()).collect();
        format!("there is: {}", known.join(", "))
    })
}

fn issuer(text: &str) -> Result<Issuer, String> {
    text.parse::<Issuer>().map_err(|error| error.to_string())
}

fn hash(text: &str) -> Result<Hash, String> {
    let wrong = || "the name of a load has 64 hexadecimal digits".to_owned();
    let digits = text.is_ascii() && text.len() == 64;
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong());
    if !digits {
        return Err(wrong());
    }
    let bytes: Vec<u8> = (0..32).map(byte).collect::<Result<_, _>>()?;
    Hash::from_slice(&bytes).ok_or_else(wrong)
}

/// A number with its thousands apart.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a verb prints for a program that reads it.
fn summary(status: &pb::LoadStatusResponse, bad: u64) -> serde_json::Value {
    json!({ "bad_lines": bad, "load": to_json("LoadStatusResponse", status) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(128_000_000), "128,000,000");
    }

    #[test]
    fn every_database_has_its_number_on_the_wire() {
        for database in Database::ALL {
            assert_ne!(number(*database), pb::Database::Unspecified);
        }
        assert_eq!(number(Database::Sltd), pb::Database::Sltd);
    }
}
