//! Search for persons by name and birth.
//!
//! ```text
//!   text ─ fold ─► Latin letters ─ sound ─► sounds ─► skeletons ──► index (tantivy): who may be meant
//!            │                        │                                  │ only those the asker may see
//!            └────── name: parts ─────┴──► likeness ─► compare ◄─────────┘
//!                                                         │
//!                                        Match: a score, and a reason for each point that it lacks
//! ```
//!
//! Two halves, kept apart. The index finds a few thousand persons who may be meant, coarsely and quickly: by the
//! consonants of their names and the year of their birth. The comparison then looks at each of them as a careful
//! clerk would. It is a pure function of a question and a person, so every rule has its test, and the same person
//! always gets the same score, whoever else is in the index.
//!
//! A match says that two records may be of one person; it never says that they are.

mod birth;
mod compare;
mod fold;
mod keys;
mod likeness;
mod name;
mod person;
mod persons;
mod reason;
pub(crate) mod recorded;
mod script;
mod segment;
mod sound;
mod spelling;

pub use birth::{Agreement, BIRTH_YEARS_MAX, Birth, BirthError};
pub use compare::compare;
pub use name::{NAME_BYTES_MAX, NAME_WORDS_MAX, Name, NameError, Part};
pub use person::{
    BIRTHS_MAX, MATCHES_MAX, Match, NAMES_MAX, NATIONALITIES_MAX, Person, PersonError, Query, SCORE_MAX,
    THRESHOLD,
};
pub use persons::{CANDIDATES_MAX, FRESH_MAX, Merge, Merged, NominalError, Persons};
pub use reason::{Likeness, Reason};
