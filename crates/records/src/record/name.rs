//! Names of records: by what the owner calls the one that is to change or go.

use std::fmt;

use i247_model::{NoticeId, Party};

use super::key::Key;
use super::line::Reference;
use crate::database::{Database, Writers};
use crate::document::{AdministrativeType, DocumentNumber, DocumentType, Issuer};
use crate::text::TextError;

/// What a record is called in its database. No two records of a database have the same name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordName {
    /// A travel document, by itself: `UTO/PASSPORT/P1234567`.
    TravelDocument(Issuer, DocumentType, DocumentNumber),
    /// A range of stolen blanks: `UTO/PASSPORT/P0000001..P0002000`.
    Range(Issuer, DocumentType, DocumentNumber, DocumentNumber),
    /// A document of the subject of a notice: `UTO/PASSPORT/P1234567/2010/4711`.
    NoticeDocument(Issuer, DocumentType, DocumentNumber, NoticeId),
    /// An administrative document: `UTO/REGISTRATION/A1`.
    AdministrativeDocument(Issuer, AdministrativeType, DocumentNumber),
    /// Any other record, by owner and reference: `FR/2026-17`.
    Reference(Party, Reference),
}

impl RecordName {
    /// Reads the name of a record of `database`.
    ///
    /// # Errors
    /// When the text is no name of that database's form.
    pub fn parse(database: Database, text: &str) -> Result<Self, TextError> {
        match database {
            Database::Sltd => travel_document(text),
            Database::Tdawn => notice_document(text),
            Database::Sad => {
                let [country, kind, number] = parts(text, "a name such as UTO/REGISTRATION/A1")?;
                Ok(Self::AdministrativeDocument(country.parse()?, kind.parse()?, number.parse()?))
            }
            _ => {
                let wrong = || TextError::new(text, "a name such as FR/2026-17, by owner and reference");
                let (owner, reference) = text.split_once('/').ok_or_else(wrong)?;
                Ok(Self::Reference(owner.parse().map_err(|_| wrong())?, reference.parse()?))
            }
        }
    }

    /// Whose the record is, where its name says so.
    pub fn owner(&self, database: Database) -> Option<Party> {
        match (self, database.writers()) {
            (Self::Reference(owner, _), _) => Some(*owner),
            (Self::TravelDocument(issuer, ..) | Self::Range(issuer, ..), Writers::IssuingCountry) => {
                issuer.owner()
            }
            _ => None,
        }
    }

    /// The key under which the record is found; none for a range, which the register's list of ranges finds.
    pub fn key(&self, database: Database) -> Option<Key> {
        match self {
            Self::TravelDocument(issuer, _, number) | Self::NoticeDocument(issuer, _, number, _) => {
                Some(Key::travel_document(database, *issuer, number))
            }
            Self::AdministrativeDocument(issuer, _, number) => {
                Some(Key::administrative_document(*issuer, number))
            }
            Self::Reference(owner, reference) => Some(Key::reference(database, *owner, reference)),
            Self::Range(..) => None,
        }
    }
}

fn travel_document(text: &str) -> Result<RecordName, TextError> {
    let [country, kind, number] = parts(text, "a name such as UTO/PASSPORT/P1234567")?;
    let (issuer, kind) = (country.parse()?, kind.parse()?);
    match number.split_once("..") {
        Some((first, last)) => Ok(RecordName::Range(issuer, kind, first.parse()?, last.parse()?)),
        None => Ok(RecordName::TravelDocument(issuer, kind, number.parse()?)),
    }
}

fn notice_document(text: &str) -> Result<RecordName, TextError> {
    let expected = "a name such as UTO/PASSPORT/P1234567/2010/4711";
    let [country, kind, number, year, notice] = parts(text, expected)?;
    let notice = format!("{year}/{notice}").parse().map_err(|_| TextError::new(text, expected))?;
    Ok(RecordName::NoticeDocument(country.parse()?, kind.parse()?, number.parse()?, notice))
}

fn parts<'a, const N: usize>(text: &'a str, expected: &'static str) -> Result<[&'a str; N], TextError> {
    let parts: Vec<&str> = text.splitn(N + 1, '/').collect();
    parts.try_into().map_err(|_| TextError::new(text, expected))
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TravelDocument(issuer, kind, number) => write!(f, "{issuer}/{kind}/{number}"),
            Self::Range(issuer, kind, first, last) => write!(f, "{issuer}/{kind}/{first}..{last}"),
            Self::NoticeDocument(issuer, kind, number, notice) => {
                write!(f, "{issuer}/{kind}/{number}/{notice}")
            }
            Self::AdministrativeDocument(issuer, kind, number) => write!(f, "{issuer}/{kind}/{number}"),
            Self::Reference(owner, reference) => write!(f, "{owner}/{reference}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_and_written_in_one_way() {
        for (database, text) in [
            (Database::Sltd, "UTO/PASSPORT/P1234567"),
            (Database::Sltd, "D/ID_CARD/L0000001..L0000999"),
            (Database::Tdawn, "UTO/PASSPORT/P1234567/2010/4711"),
            (Database::Sad, "FRA/REGISTRATION/A1"),
            (Database::Vehicles, "FR/2026-17"),
            (Database::Ibin, "IPSG/a/b"),
        ] {
            assert_eq!(RecordName::parse(database, text).unwrap().to_string(), text);
        }
        for (database, text) in [
            (Database::Sltd, "UTO/PASSPORT"),
            (Database::Sltd, "UTO/PASSPORT/P1/2"),
            (Database::Sltd, "ZZZ/PASSPORT/P1234567"),
            (Database::Tdawn, "UTO/PASSPORT/P1234567/4711"),
            (Database::Sad, "FRA/PASSPORT/A1"),
            (Database::Vehicles, "2026-17"),
            (Database::Vehicles, "FR/"),
        ] {
            assert!(RecordName::parse(database, text).is_err(), "{text}");
        }
    }
}
