//! One country's service: its desk, its journal, its link to the hub, its national system.
//!
//! ```text
//!  officer ─► desk ─► draft: checked ─► journal: numbered ─► uplink: signed ─► hub
//!  hub ─► uplink: checked ─► journal ─► inbox, cases ─► national: register, policy ─► journal …
//! ```
//!
//! The journal is the truth: outbox, inbox and cases are views of it, and snapshots of them may be thrown away. A draft is durable when the desk answers, a
//! header before its first byte leaves, a message before it is acknowledged.

mod acceptances;
mod app;
mod attachments;
mod cases;
mod checks;
mod config;
mod copies;
mod desk;
mod desk_load;
mod desk_read;
mod desk_send;
mod directory;
mod draft;
mod facts;
mod given_back;
mod greeting;
mod handover;
mod inbound;
mod inbox;
mod journal;
mod link;
mod loads;
mod lost;
mod marks;
mod names;
mod national;
mod notes;
mod outbound;
mod outbox;
mod people;
pub mod policy;
mod posts;
pub mod register;
mod sealing;
mod session;
mod snapshots;
mod spans;
mod start;
mod statuses;
mod stored;
#[cfg(test)]
mod story;
mod takeover;
mod uplink;
mod upload;
mod views;

pub use app::{BuildError, Bureau, ServeError};
pub use attachments::{CHUNK_BYTES, MAX_ATTACHMENT_BYTES};
pub use config::Config;
pub use desk::{DESK_SERVICE, rules};
pub use journal::OpenError;
pub use start::{RebuildError, Rebuilt, rebuild};
pub use views::Unreadable;
