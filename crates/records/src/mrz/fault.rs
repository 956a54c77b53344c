//! What can be wrong with a machine readable zone.

use std::fmt;

use crate::text::TextError;

/// A zone that is not right: every fault that was found, at least one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct MrzError {
    faults: Vec<Fault>,
}

impl MrzError {
    pub(super) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// The faults, in the order of the fields.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl From<Fault> for MrzError {
    fn from(fault: Fault) -> Self {
        Self { faults: vec![fault] }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// The lines have lengths that no format has.
    #[error("lines of {found:?} characters are no machine readable zone: 3 of 30, 2 of 36 or 2 of 44 are")]
    Shape {
        /// The length of each line, the first few.
        found: Vec<usize>,
    },
    /// A character that no zone has.
    #[error("line {line}, position {position}: {found:?} is none of A-Z, 0-9 and <")]
    Character {
        /// The line, from 1.
        line: usize,
        /// The position in it, from 1.
        position: usize,
        /// What stands there.
        found: char,
    },
    /// A check digit that does not fit what it covers.
    #[error("check digit of the {field}: found {found}, expected {expected}")]
    CheckDigit {
        /// What it covers.
        field: Field,
        /// What stands in its place.
        found: char,
        /// What would be right.
        expected: u8,
    },
    /// Well-formed characters that mean nothing.
    #[error("{field}: {wrong}")]
    Content {
        /// Where.
        field: Field,
        /// What is wrong with it.
        wrong: TextError,
    },
}

/// A field of a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The letters of the type.
    Code,
    /// The issuing state or organisation.
    Issuer,
    /// The document number.
    Number,
    /// The birth date.
    Birth,
    /// The sex.
    Sex,
    /// The expiry.
    Expiry,
    /// The optional data.
    Optional,
    /// Several fields together.
    Composite,
}

impl Field {
    /// What people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "document code",
            Self::Issuer => "issuing country",
            Self::Number => "document number",
            Self::Birth => "date of birth",
            Self::Sex => "sex",
            Self::Expiry => "date of expiry",
            Self::Optional => "optional data",
            Self::Composite => "whole zone",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
