//! What officers, reviewers, operators and the authority call: typed clients, and the contexts that say
//! which network is meant and under which identity.
//!
//! ```text
//!  Contexts ── current, as_country ──► Context ── connect ──► Channel ─┬─ Desk       officers
//!                                                                      ├─ Reviewer   decides and publishes
//!                                                                      ├─ Monitor    operators
//!                                                                      ├─ Searches   posts; RolledSearches signs for them
//!                                                                      ├─ Copies     posts, for `mind`: no network
//!                                                                      └─ Directory  the authority
//! ```
//!
//! Every call has a deadline and every failure is a [`ClientError`], one variant for each thing that the
//! caller can do about it. The clients carry messages there and back; they decide nothing. What a
//! reviewer signs is made here because her key never leaves her machine.

mod call;
mod connection;
mod contexts;
mod copies;
mod desk;
mod directory;
mod error;
pub mod mind;
mod monitor;
mod packed;
mod publication;
pub mod reflect;
mod review;
mod rolled;
mod searches;

pub use connection::{Connection, ConnectionError, channel};
pub use contexts::{Context, Contexts, ContextsError};
pub use copies::{Copies, CopyStream};
pub use desk::{Desk, Event, Hits, InboxFilter, Load, OutboxFilter, Watch};
pub use directory::Directory;
pub use error::ClientError;
pub use i247_wire::pb;
pub use monitor::Monitor;
pub use packed::{packed, unpacked};
pub use review::{Examined, ExaminedAlert, Published, Reviewer, ReviewerParts, Signed};
pub use rolled::{ROLL_UP_EVERY, RolledSearches};
pub use searches::Searches;
