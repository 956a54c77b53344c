//! Changes of records: as they now stand, kept from other countries than before, or withdrawn; one, or all of a file. Each
//! goes the way of every load. It decides nothing: only the owner may, and the hub says so.

use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;
use i247_client::{Desk, pb};
use i247_model::{CountryCode, Hash, Party, member};
use i247_records::Database;
use i247_records::record::{AlertState, Cell, Change, Record, RecordName};

use super::deed::{Deed, FromArgs};
use super::load::{SILENCE, decided};
use super::{database, number};
use crate::fail::{Exit, Fail};
use crate::out;
use crate::reflect::to_json;
use crate::session::Session;

const AFTER_CHANGE: &str = "\
The other columns stay as they are. What a record is called (number, country, type; or the reference) cannot be changed: \
withdraw it, and load another. With --from each record stands afterwards as in the file, with all of its columns.

Examples:
  i247 records change sltd FRA/PASSPORT/12AB34567 fraud_type=REVOKED stolen_on=2031-05-01
  i247 records change vehicles FR/2026-17 colour=red plate=
  i247 records change sltd --from mended.csv";

const AFTER_RESTRICT: &str = "\
The list replaces the one before; without --except everybody sees the record again. To those who may not see it, it is \
as if it were not there. With --from the records must stand otherwise as in the file, whose column `except` counts where \
--except is left out.

Examples:
  i247 records restrict sltd FRA/PASSPORT/12AB34567 --except BR,JP
  i247 records restrict sltd FRA/PASSPORT/12AB34567
  i247 records restrict sltd --from stolen.csv --except BR";

const AFTER_WITHDRAW: &str = "\
Examples:
  i247 records withdraw sltd FRA/PASSPORT/12AB34567
  i247 records withdraw sltd 'FRA/PASSPORT/WW0000000..WW0000049'   (a range of blanks)
  i247 records withdraw sltd --from stolen.csv                     (all that were loaded from it)";

#[derive(Debug, Args)]
#[command(after_help = AFTER_CHANGE)]
pub(crate) struct ChangeArgs {
    #[command(flatten)]
    one: One,
    /// Columns that change, as COLUMN=VALUE; an empty value empties it, lists have `;` between their entries
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    #[arg(value_name = "COLUMN=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    file: FromArgs,
}

#[derive(Debug, Args)]
#[command(after_help = AFTER_RESTRICT)]
pub(crate) struct RestrictArgs {
    #[command(flatten)]
    one: One,
    /// The countries that must not see it
    #[arg(long, value_name = "COUNTRIES", value_delimiter = ',', value_parser = crate::args::country)]
    except: Vec<CountryCode>,
    #[command(flatten)]
    file: FromArgs,
}

#[derive(Debug, Args)]
#[command(after_help = AFTER_WITHDRAW)]
pub(crate) struct WithdrawArgs {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    file: FromArgs,
}

#[derive(Debug, Args)]
struct One {
    /// The database: sltd, vehicles …
    #[arg(value_parser = database)]
    database: Database,
    /// The record's name: FRA/PASSPORT/12AB34567, or FR/2026-17 by owner and reference
    #[arg(required_unless_present = "from")]
    name: Option<String>,
}

impl One {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

pub(crate) async fn change(args: &ChangeArgs, session: &Session) -> Result<ExitCode, Fail> {
    if let Some(done) = args.file.run(args.one.database, Deed::Change, session).await {
        return done;
    }
    let (desk, own) = desk(session).await?;
    let record = fetch(&desk, &args.one, own).await?;
    let after = edited(&record, &args.set)?;
    if after.name() != record.name() {
        return Err(Fail::usage(
            format!("that makes another record of it: {}", after.name()),
            format!("withdraw {} and load the other one", record.name()),
        ));
    }
    send(&desk, &args.one, Change::Change(after), session).await
}

pub(crate) async fn restrict(args: &RestrictArgs, session: &Session) -> Result<ExitCode, Fail> {
    let deed = Deed::Restrict(args.except.clone());
    if let Some(done) = args.file.run(args.one.database, deed, session).await {
        return done;
    }
    let (desk, own) = desk(session).await?;
    let record = fetch(&desk, &args.one, own).await?;
    send(&desk, &args.one, Change::Restrict(record.with_except(args.except.clone())), session).await
}

pub(crate) async fn withdraw(args: &WithdrawArgs, session: &Session) -> Result<ExitCode, Fail> {
    if let Some(done) = args.file.run(args.one.database, Deed::Withdraw, session).await {
        return done;
    }
    let name = RecordName::parse(args.one.database, args.one.name()).map_err(|error| {
        Fail::usage(error.to_string(), "`i247 records show` shows a record under its name")
    })?;
    let (desk, own) = desk(session).await?;
    if let Some(owner) = name.owner(args.one.database).filter(|owner| *owner != own) {
        return Err(foreign(args.one.name(), owner));
    }
    // Whose it is does not always follow from the name.
    fetch(&desk, &args.one, own).await?;
    send(&desk, &args.one, Change::Withdraw(name), session).await
}

/// The desk, and whose it is.
async fn desk(session: &Session) -> Result<(Desk, Party), Fail> {
    let desk = session.desk()?;
    let country = desk.report().await?.country;
    let own = country.parse().map(Party::Bureau).map_err(|_| {
        Fail::local("the desk does not say whose it is", "see that both run the same version")
    })?;
    Ok((desk, own))
}

/// The record as it stands, if it is the country's own.
async fn fetch(desk: &Desk, one: &One, own: Party) -> Result<Record, Fail> {
    let found = desk.show_record(number(one.database), one.name()).await?;
    let record = Record::from_wire(found.record.unwrap_or_default()).map_err(|_| {
        Fail::local("the hub's record cannot be read", "see that both run the same version of i247")
    })?;
    // An alert that changes is checked again, however far it had come.
    let record = record.with_alert_state(AlertState::Submitted);
    if record.owner() == own { Ok(record) } else { Err(foreign(one.name(), record.owner())) }
}

fn foreign(name: &str, owner: Party) -> Fail {
    let whose = match owner.country().and_then(member) {
        Some(member) => format!("{} ({owner})", member.name),
        None => format!("the secretariat ({owner})"),
    };
    Fail::refused(
        format!("refused: NOT_OWNER: {name} is a record of {whose}"),
        format!("only {owner} may do this: ask its bureau, `i247 ask {owner}`"),
    )
}

/// The record with these columns as they are given.
fn edited(record: &Record, set: &[(String, String)]) -> Result<Record, Fail> {
    let columns: Vec<&str> = Record::columns(record.database()).collect();
    let mut cells = record.to_row();
    for (name, value) in set {
        let Some(place) = columns.iter().position(|column| column == name) else {
            let what = format!("{name:?} is no column of {}", record.database());
            return Err(Fail::usage(what, format!("there are {}", columns.join(", "))));
        };
        cells[place] = Cell::Text(value.clone().into());
    }
    Record::from_row(record.database(), record.owner(), &cells).map_err(|faults| {
        let next = format!("`i247 records columns {}` says how they are written", record.database());
        Fail::usage(faults.to_string(), next)
    })
}

/// Hands the change in, and waits for the hub's word.
async fn send(desk: &Desk, one: &One, change: Change, session: &Session) -> Result<ExitCode, Fail> {
    use pb::load_records_request::Frame;
    let mut name = [0; 32];
    session.seams.dice.fill(&mut name);
    let begin = pb::LoadBegin { name: Bytes::copy_from_slice(&name), database: number(one.database).into() };
    let lines = pb::LoadLines { lines: vec![1], changes: vec![change.encode().into()] };
    let frames =
        [Frame::Begin(begin), Frame::Lines(lines)].map(|frame| pb::LoadRecordsRequest { frame: Some(frame) });
    let mut load = desk.load_records(tokio_stream::iter(frames)).await?;
    while load.next(SILENCE).await?.is_some() {}
    let status = decided(desk, Hash(name), &session.seams.clock, &mut |words| out::talk(words)).await?;
    let refusal = status.first.first().and_then(|line| line.refusal.clone());
    let is_refused = refusal.is_some();
    if session.global.json {
        out::json(&to_json("LoadStatusResponse", &status));
    } else if let Some(refusal) = refusal {
        return Err(refusal.into());
    } else if status.accepted > 0 {
        let done = match change {
            Change::Withdraw(_) => "is withdrawn",
            Change::Restrict(_) => "is seen by others than before",
            Change::Add(_) | Change::Change(_) => "is changed",
        };
        out::data(&format!("{} {done}", one.name()));
    } else {
        out::data(&format!("{} is durable at the bureau, and not decided about yet", one.name()));
    }
    Ok(if is_refused { ExitCode::from(Exit::Refused as u8) } else { ExitCode::SUCCESS })
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("COLUMN=VALUE is expected, such as colour=red")?;
    Ok((column.trim().to_ascii_lowercase(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stolen() -> Record {
        let cells = ["", "", "BR", "", "P1", "FRA", "PASSPORT", "LOST_BEARER"];
        let cells: Vec<Cell<'_>> = cells.iter().map(|cell| Cell::Text((*cell).into())).collect();
        Record::from_row(Database::Sltd, "FR".parse().unwrap(), &cells).unwrap()
    }

    fn set(text: &str) -> Result<Record, String> {
        let set: Vec<(String, String)> = text.split(' ').map(|one| setting(one).unwrap()).collect();
        edited(&stolen(), &set).map_err(|fail| fail.what)
    }

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let row = |record: Record| i247_records::import::csv_row(&record);
        assert_eq!(row(set("Fraud_Type=REVOKED").unwrap()), row(stolen()).replace("LOST_BEARER", "REVOKED"));
        assert!(!set("except=").unwrap().is_restricted());
        assert_eq!(set("except=GB;DE").unwrap().about().except.len(), 2);
        assert_ne!(set("number=P2").unwrap().name(), stolen().name());
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(set("fraud=REVOKED").unwrap_err().contains("\"fraud\" is no column of sltd"));
        assert!(set("fraud_type=STOLEN").unwrap_err().contains("fraud_type \"STOLEN\" is not"));
        assert!(setting("colour").is_err());
    }

    #[test]
    fn a_foreign_record_is_told_with_the_name_of_its_owner() {
        let fail = foreign("FRA/PASSPORT/P1", "FR".parse().unwrap());
        assert_eq!(fail.what, "refused: NOT_OWNER: FRA/PASSPORT/P1 is a record of France (FR)");
        assert_eq!(fail.exit, Exit::Refused);
        assert!(foreign("XPO/PASSPORT/P1", Party::Secretariat).what.ends_with("the secretariat (IPSG)"));
    }
}
