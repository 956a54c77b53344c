//! The General Secretariat's service.
//!
//! ```text
//!  bureau ══ inbound ─► core.check ─► sequencer: stamp ─ decide ─ append ─ apply ─┬─► answer ══► bureau
//!            (read)     (verify)         (one task, one order)         views ◄────┤
//!                                                                        │        └─► effects: bells, cuts
//!  bureau ══ outbound ◄──── next delivery within the credit ◄────────────┘
//! ```
//!
//! * [`app`](Hub) puts the parts together; [`Config`] is all that can be set.
//! * `loads`: what comes in the bulk lane, and how fast.
//! * `inbound`, `opening`, `core`, `sequencer`, `outbound`: the path of a message, in this order.
//! * `views`: what follows from the log (`state` of the router, `history`, `signers`); `entry` is its stored form.
//! * `databases`: the records that follow from the log, with a position of its own; searches look there.
//! * `archive`: what of it lies on disk, a snapshot of what is open and `history` in runs; `past` looks things up.
//! * `exchange`, `directory`, `review`, `monitor`, `records`, `attachments`, `search`: the services.
//! * `copies`: offline copies of the databases, for whoever may ask them.
//! * `audit`: the journal of searches, beside the log, also of those that were asked of copies, and what
//!   posts have signed of theirs.
//! * `flow`, `searched`, `overdue`, `alerts`, `lookups`: what moves, what is late, what is wrong, and which operator looked.
//! * `calls`, `frames`, `effects`, `links`, `pulse`, `recent`, `quota`, `turns`, `together`, `stamps`, `made`,
//!   `recover`: what they need.
//! * `grants`, `budgets`, `enumeration`: whether posts may come, what they may ask, how much, and what is odd about it.
//! * `take_up`: goes on with a log that lost its end; `predecessors`: what comes back of it afterwards.
//!
//! It never opens what bureaus say to each other, and decides nothing itself: `i247_router` does.

mod admission;
mod alerts;
mod anew;
mod answer;
mod app;
mod archive;
mod attachments;
mod audit;
mod budgets;
mod calls;
mod config;
mod copies;
mod core;
mod databases;
mod directory;
mod effects;
mod entry;
mod enumeration;
mod exchange;
mod flow;
mod frames;
mod gauges;
mod grants;
mod history;
mod inbound;
mod links;
mod loads;
mod lookups;
mod made;
mod monitor;
mod opening;
mod outbound;
mod overdue;
mod past;
mod predecessors;
mod pulse;
mod quota;
mod rebuild;
mod recent;
mod records;
mod recover;
mod review;
mod rules;
mod search;
mod searched;
mod sequencer;
mod signers;
mod spans;
mod stamps;
mod take_up;
mod together;
mod turns;
mod views;

pub use app::{BuildError, Hub, ServeError};
pub use archive::StoreError;
pub use audit::{Asked, AuditError, SearchTally, Searches, check_searches, tally_searches};
pub use config::Config;
pub use databases::DatabasesError;
pub use history::HistoryError;
pub use rebuild::{RebuildError, Rebuilt, rebuild};
pub use recover::RecoverError;
pub use rules::{SERVICES, rules};
pub use take_up::{TakeUpError, TakenUp, take_up};
pub use views::EntryError;
