//! Changes: what an owner does to a record, and the bytes that stand for it in a batch.

use i247_model::{Party, Reason, Refusal};
use i247_wire::pb;
use i247_wire::pb::record_change::Action;
use prost::Message as _;

use super::{MAX_RECORD_BYTES, Record, RecordName};
use crate::database::{Database, Writers};

/// Most bytes of an encoded change: a record, and what frames it.
pub const MAX_CHANGE_BYTES: usize = MAX_RECORD_BYTES + 16;

/// What an owner does to a record of a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A record that is not there yet.
    Add(Record),
    /// The record of the same name as it now stands.
    Change(Record),
    /// The same record with another list of countries that must not see it.
    Restrict(Record),
    /// A record that goes.
    Withdraw(RecordName),
}

impl Change {
    /// The record that it brings; none when one goes.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Add(record) | Self::Change(record) | Self::Restrict(record) => Some(record),
            Self::Withdraw(_) => None,
        }
    }

    /// The name of the record that it is about.
    pub fn name(&self) -> RecordName {
        match self {
            Self::Add(record) | Self::Change(record) | Self::Restrict(record) => record.name(),
            Self::Withdraw(name) => name.clone(),
        }
    }

    /// The word for what is done, as on the wire.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Change(_) => "change",
            Self::Restrict(_) => "restrict",
            Self::Withdraw(_) => "withdraw",
        }
    }

    /// Whether this sender may do it, as far as the change itself tells; what is there already, the register asks.
    ///
    /// # Errors
    /// `NOT_OWNER` with the field that says so, and who may do it.
    pub fn check_owner(&self, database: Database, sender: Party) -> Result<(), Refusal> {
        let refused = |field: &str, who: String| {
            let next_step = format!("only {who} may do this");
            Err(Refusal {
                next_step,
                ..Refusal::of(Reason::NotOwner, format!("change.{}{field}", self.action()))
            })
        };
        if database.writers() == Writers::FromNotices {
            return refused("", "the secretariat, by publishing a notice that names the document,".into());
        }
        match self {
            Self::Add(record) | Self::Change(record) | Self::Restrict(record) => {
                if let Some(owner) = record.sole_writer().filter(|owner| *owner != sender) {
                    return refused(".issuing_country", owner.to_string());
                }
                if record.owner() != sender {
                    return refused(".owner", record.owner().to_string());
                }
                Ok(())
            }
            Self::Withdraw(name) => match name.owner(database).filter(|owner| *owner != sender) {
                Some(owner) => refused("", owner.to_string()),
                None => Ok(()),
            },
        }
    }

    /// Its only bytes.
    pub fn encode(&self) -> Vec<u8> {
        let action = match self {
            Self::Add(record) => Action::Add(record.to_wire()),
            Self::Change(record) => Action::Change(record.to_wire()),
            Self::Restrict(record) => Action::Restrict(record.to_wire()),
            Self::Withdraw(name) => Action::Withdraw(name.to_string()),
        };
        pb::RecordChange { action: Some(action) }.encode_to_vec()
    }

    /// Reads a change of `database`. It takes no other bytes than those that [`Change::encode`] makes.
    ///
    /// # Errors
    /// `TOO_LARGE`; `MALFORMED` when the bytes are no change; `MISSING_DATA` or `WRONG_FIELD` with each field that is
    /// missing or wrong and why, by its path such as `change.add.number`; `NOT_CANONICAL`.
    pub fn decode(database: Database, bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_CHANGE_BYTES {
            return Err(Refusal::of(Reason::TooLarge, "change"));
        }
        let wire = pb::RecordChange::decode(bytes).map_err(|_| Refusal::of(Reason::Malformed, "change"))?;
        let change = match wire.action {
            None => return Err(Refusal::of(Reason::Malformed, "change.action")),
            Some(Action::Add(record)) => Self::Add(read(database, record, "add")?),
            Some(Action::Change(record)) => Self::Change(read(database, record, "change")?),
            Some(Action::Restrict(record)) => Self::Restrict(read(database, record, "restrict")?),
            Some(Action::Withdraw(name)) => {
                let name = RecordName::parse(database, &name)
                    .map_err(|error| Refusal::of(Reason::WrongField, format!("change.withdraw {error}")))?;
                Self::Withdraw(name)
            }
        };
        if change.encode() == bytes { Ok(change) } else { Err(Refusal::of(Reason::NotCanonical, "change")) }
    }
}

fn read(database: Database, wire: pb::Record, action: &str) -> Result<Record, Refusal> {
    let record = Record::from_wire(wire).map_err(|faults| {
        let missing = faults.list().iter().all(|fault| fault.problem == super::Problem::Missing);
        let reason = if missing { Reason::MissingData } else { Reason::WrongField };
        Refusal::of_fields(
            reason,
            faults.list().iter().map(|fault| format!("change.{action}.{fault}")).collect(),
        )
    })?;
    if record.database() != database {
        return Err(Refusal::of(
            Reason::WrongField,
            format!("change.{action}.database is not that of the batch"),
        ));
    }
    Ok(record)
}
