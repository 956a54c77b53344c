//! Keys: the normalised form in which a record is found. A key leads to candidates; whether one matches is decided on
//! the record itself.

use std::fmt;

use i247_model::Party;

use super::line::Reference;
use crate::database::{Database, KeyKind};
use crate::document::{DocumentNumber, DocumentType, Issuer};

/// Most bytes of a key. Longer words are cut: they still lead to their record.
const MAX_BYTES: usize = 60;

/// A key of one kind in one database, without allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    database: Database,
    kind: KeyKind,
    len: u8,
    bytes: [u8; MAX_BYTES],
}

impl Key {
    /// A travel document by issuer and number. Look-alike numbers have the same key.
    pub fn travel_document(database: Database, issuer: Issuer, number: &DocumentNumber) -> Self {
        Self::of_country(database, KeyKind::TravelDocument, issuer, number)
    }

    /// An administrative document by issuer and number. Look-alike numbers have the same key.
    pub fn administrative_document(issuer: Issuer, number: &DocumentNumber) -> Self {
        Self::of_country(Database::Sad, KeyKind::AdministrativeDocument, issuer, number)
    }

    /// A plate by country. Look-alike plates have the same key.
    pub fn plate(issuer: Issuer, plate: &DocumentNumber) -> Self {
        Self::of_country(Database::Vehicles, KeyKind::Plate, issuer, plate)
    }

    /// A number of a thing. Look-alike numbers have the same key.
    pub fn number(database: Database, kind: KeyKind, number: &DocumentNumber) -> Self {
        Self::empty(database, kind).with(number.folded().as_str().bytes())
    }

    /// The model of a document.
    pub fn document_model(database: Database, issuer: Issuer, document_type: DocumentType) -> Self {
        let kind = document_type.as_str().bytes();
        Self::empty(database, KeyKind::DocumentModel).with(issuer.as_str().bytes().chain([b'/']).chain(kind))
    }

    /// Words in plain capitals: letters and digits, anything between them counting as one space.
    pub fn words(database: Database, kind: KeyKind, text: &str) -> Self {
        let mut plain = String::with_capacity(text.len());
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            if !plain.is_empty() {
                plain.push(' ');
            }
            plain.extend(word.chars().flat_map(char::to_uppercase));
        }
        Self::empty(database, kind).with(plain.bytes())
    }

    /// A record by the reference of its owner.
    pub fn reference(database: Database, owner: Party, reference: &Reference) -> Self {
        let key = Self::empty(database, KeyKind::Reference);
        match owner {
            Party::Secretariat => key.with("IPSG/".bytes().chain(reference.as_str().bytes())),
            Party::Bureau(country) => {
                key.with(country.as_str().bytes().chain([b'/']).chain(reference.as_str().bytes()))
            }
        }
    }

    /// The travel document that the key stands for, with its number folded.
    pub fn document(&self) -> Option<(Issuer, DocumentNumber)> {
        if self.kind != KeyKind::TravelDocument {
            return None;
        }
        let (issuer, number) = std::str::from_utf8(self.as_bytes()).ok()?.split_once('/')?;
        // Keys are made of issuers that there are.
        Some((Issuer::letters(issuer)?, number.parse().ok()?))
    }

    /// The database.
    pub fn database(&self) -> Database {
        self.database
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The normalised bytes, at most 60.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn of_country(database: Database, kind: KeyKind, issuer: Issuer, number: &DocumentNumber) -> Self {
        let folded = number.folded();
        Self::empty(database, kind).with(issuer.as_str().bytes().chain([b'/']).chain(folded.as_str().bytes()))
    }

    fn empty(database: Database, kind: KeyKind) -> Self {
        Self { database, kind, len: 0, bytes: [0; MAX_BYTES] }
    }

    fn with(mut self, bytes: impl Iterator<Item = u8>) -> Self {
        for (slot, byte) in self.bytes.iter_mut().zip(bytes) {
            *slot = byte;
            self.len += 1;
        }
        self
    }
}

/// Without the bytes: keys are data of persons, and `Debug` is what reaches logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: Key) -> String {
        String::from_utf8(key.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn look_alike_numbers_have_one_key_and_those_of_other_countries_another() {
        let key = |issuer: &str, number: &str| {
            Key::travel_document(Database::Sltd, issuer.parse().unwrap(), &number.parse().unwrap())
        };
        assert_eq!(text(key("UTO", "X4719TO6M")), "UTO/X4719T06M");
        assert_eq!(key("UTO", "X4719TO6M"), key("UTO", "X4719T06M"));
        assert_ne!(key("FRA", "X4719T06M"), key("UTO", "X4719T06M"));
        assert_eq!(format!("{:?}", key("FRA", "X4719T06M")), "sltd/travel-document");
        let folded = ("D".parse().unwrap(), "X4719T06M".parse().unwrap());
        assert_eq!(key("DEU", "X4719TO6M").document(), Some(folded));
        assert_eq!(Key::words(Database::Art, KeyKind::Title, "D/X4719T06M").document(), None);
    }

    #[test]
    fn words_are_plain_capitals_and_long_ones_are_cut() {
        let key = |title: &str| text(Key::words(Database::Art, KeyKind::Title, title));
        assert_eq!(key("  The  harbour—at (dusk)"), "THE HARBOUR AT DUSK");
        assert_eq!(key("Été"), "ÉTÉ");
        assert_eq!(key(&"a".repeat(500)).len(), 60);
        assert_eq!(key("…"), "");
    }

    #[test]
    fn a_reference_belongs_to_its_owner() {
        let reference: Reference = "2026-17".parse().unwrap();
        let key = |owner: &str| text(Key::reference(Database::Vehicles, owner.parse().unwrap(), &reference));
        assert_eq!(key("FR"), "FR/2026-17");
        assert_eq!(key("IPSG"), "IPSG/2026-17");
    }
}
