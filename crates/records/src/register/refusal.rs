//! Why a change is not accepted, and what whoever loads records hears of it. It decides nothing.

use i247_model::{Party, Reason, Refusal};

use crate::database::Database;
use crate::date::Date;
use crate::record::RecordName;

/// Why a change is not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejected<E> {
    /// The record is somebody else's, or would be.
    #[error("{field}: only {owner} may do this")]
    NotOwner {
        /// The field that says so.
        field: &'static str,
        /// Whose it is.
        owner: Party,
    },
    /// The records of this database follow from notices.
    #[error("the records of {database} follow from published notices")]
    FromNoticesOnly {
        /// The database.
        database: Database,
    },
    /// The record is one of another database.
    #[error("the record belongs to {database}")]
    OtherDatabase {
        /// Its database.
        database: Database,
    },
    /// A record of this name is there.
    #[error("the record is there already{}", if *.identical { "" } else { " and says something else: change it" })]
    Duplicate {
        /// Word for word the same: whoever loads it again has lost nothing.
        identical: bool,
    },
    /// A range of blanks has numbers in common with another one.
    #[error("last_number: the numbers overlap with {name}")]
    Overlap {
        /// The other range.
        name: RecordName,
    },
    /// There is no record of this name.
    #[error("there is no such record")]
    Unknown,
    /// The change would change nothing.
    #[error("the record says so already")]
    Unchanged,
    /// A restriction that changes more than the list of countries.
    #[error("except: a restriction changes nothing else")]
    MoreThanRestriction,
    /// The record would not count for a single day.
    #[error("review_on: {on} is past")]
    Expired {
        /// Its last day.
        on: Date,
    },
    /// Something past lies in the future.
    #[error("{field}: {on} is in the future")]
    Future {
        /// The field.
        field: &'static str,
        /// The day.
        on: Date,
    },
    /// An owner says how far its alert has come.
    #[error("state: only a reviewer of the secretariat says so")]
    NotSubmitted,
    /// It could not be found out. The same request may be accepted later.
    #[error("the records cannot be read")]
    Unreadable(#[source] E),
}

impl<E> Rejected<E> {
    /// The refusal, by field. What other people's records say is not in it.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::NotOwner { field, owner } => {
                told(Reason::NotOwner, field, format!("only {owner} may do this"))
            }
            Self::FromNoticesOnly { database } => told(
                Reason::NotOwner,
                "database",
                format!("the records of {database} follow from published notices"),
            ),
            Self::OtherDatabase { database } => {
                told(Reason::WrongField, "database", format!("load it into {database}"))
            }
            Self::Duplicate { identical: true } => Refusal::of(Reason::Duplicate, "record"),
            Self::Duplicate { identical: false } => told(
                Reason::Duplicate,
                "record",
                "the record that is there says something else: send a change instead".into(),
            ),
            Self::Overlap { name } => {
                told(Reason::Duplicate, "last_number", format!("leave out the numbers of {name}"))
            }
            Self::Unknown => Refusal::of(Reason::UnknownRecord, "record"),
            Self::Unchanged => Refusal::of(Reason::Duplicate, "record"),
            Self::MoreThanRestriction => told(
                Reason::WrongField,
                "except",
                "send a change: a restriction changes nothing but the countries".into(),
            ),
            Self::Expired { on } => {
                told(Reason::Expired, "review_on", format!("its last day {on} is past: give a later one"))
            }
            Self::Future { field, on } => {
                told(Reason::WrongField, field, format!("{on} is in the future: set the right day"))
            }
            Self::NotSubmitted => told(
                Reason::WrongField,
                "state",
                "send it as SUBMITTED: a reviewer of the secretariat publishes it".into(),
            ),
            Self::Unreadable(_) => Refusal::of(Reason::ReadOnly, "record"),
        }
    }
}

fn told(reason: Reason, field: &str, next_step: String) -> Refusal {
    Refusal { next_step, ..Refusal::of(reason, field) }
}
