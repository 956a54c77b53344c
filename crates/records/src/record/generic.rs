//! The record of a database that has no layout of its own: a title, codes that it is found by, and named texts.

use i247_wire::pb;

use super::key::Key;
use super::line::{Code, Line};
use super::value::{Atom, Faults, layout};
use crate::database::{Database, KeyKind};
use crate::text::TextError;

layout! {
    /// A record of a database that has no layout of its own.
    pub struct GenericRecord {
        /// What it is about.
        title: Line,
        /// What it is found by: class, hash, model, name, telephone number.
        codes: Vec<Code>,
        /// Everything else, by name.
        attributes: Vec<Attribute>,
    }
}

impl GenericRecord {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.rule(!self.codes.is_empty(), "codes", "is empty");
        let sorted = self.attributes.windows(2).all(|pair| pair[0].name < pair[1].name);
        faults.rule(sorted, "attributes", "is not sorted by name and free of repetition");
    }

    pub(super) fn keys(&self, database: Database, keys: &mut Vec<Key>) {
        for code in &self.codes {
            keys.push(Key::words(database, KeyKind::Code, code.as_str()));
        }
    }
}

/// A named text. Written `calibre=9 mm`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    name: String,
    value: Line,
}

const ATTRIBUTE: &str =
    "an attribute such as calibre=9 mm, its name of small letters, digits and underscores";

impl Attribute {
    /// Small letters, digits and underscores.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn value(&self) -> &str {
        self.value.as_str()
    }
}

impl Atom for Attribute {
    type Wire = pb::Attribute;

    fn from_wire(wire: pb::Attribute) -> Result<Self, TextError> {
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=40).contains(&wire.name.len()) || !wire.name.bytes().all(named) {
            return Err(TextError::new(&wire.name, ATTRIBUTE));
        }
        Ok(Self { name: wire.name, value: wire.value.parse()? })
    }

    fn to_wire(&self) -> pb::Attribute {
        pb::Attribute { name: self.name.clone(), value: self.value.to_string() }
    }

    fn parse(text: &str) -> Result<Self, TextError> {
        let (name, value) = text.split_once('=').ok_or_else(|| TextError::new(text, ATTRIBUTE))?;
        Self::from_wire(pb::Attribute { name: name.trim().to_owned(), value: value.trim().to_owned() })
    }

    fn show(&self) -> String {
        format!("{}={}", self.name, self.value)
    }
}
