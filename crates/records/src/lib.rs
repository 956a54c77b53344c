//! The databases of the network: what a record is, by which keys it is found, what counts as a match, and how a copy of them travels.
//!
//! Everything here is pure: time, randomness, keys and disks are handed in; nothing here knows gRPC.
//!
//! ```text
//!  file ──import──► Record ──Change──► (a signed batch in the log) ──► register: decide, apply
//!                                                                         │ keys that come and go
//!  query: number, zone (mrz), name, template ──► Key ──► index / nominal / template ──► candidates
//!                                                                         │ the record itself decides
//!                                                                         ▼ none, possible, match
//! ```

pub mod batch;
pub mod database;
mod date;
pub mod derived;
pub mod document;
pub mod hits;
pub mod import;
pub mod index;
pub mod mrz;
pub mod nominal;
pub mod offline;
pub mod question;
pub mod record;
pub mod register;
pub mod template;
mod text;

pub use database::Database;
pub use date::Date;
pub use text::TextError;
