//! Stories about the log. They must use its public API only.

mod attachments;
mod common;
mod conformance;
mod crash;
mod crash_states;
mod damage;
mod recovery;
mod runs;
mod snapshots;
mod trouble;
