//! What whoever loads records hears of a change that was not accepted. It decides nothing.

use i247_model::{Reason, Refusal};

use super::Rejected;

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
            Self::Unreadable(_) => Refusal::of(Reason::ReadOnly, "record"),
        }
    }
}

fn told(reason: Reason, field: &str, next_step: String) -> Refusal {
    Refusal { next_step, ..Refusal::of(reason, field) }
}
