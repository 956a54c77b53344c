//! Values as text for people. Pure: no clock, no network, no terminal; colours are stripped where none is.
//!
//! What others wrote is printed without its control characters, so that no message can paint the screen.

mod check;
mod files;
mod forgeries;
mod message;
mod monitor;
mod network;
mod post;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use check::{checked, checked_offline, database, hits, manifest, verdict, word};
pub(crate) use files::{check, check_json, contexts, searches, searches_json};
pub(crate) use forgeries::{forgeries, forgery};
pub(crate) use message::{cases, examined, explained, inbox, notices, outbox, pending, shown};
pub(crate) use monitor::{alerts, clock, hub, is_critical, plain, severity, tapped};
pub(crate) use network::{directory, network, report, status, trace};
pub(crate) use post::posts;
pub(crate) use table::{line, moment, span};
