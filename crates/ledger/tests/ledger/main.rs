//! Stories about the log. They must use its public API only.

mod common;
mod conformance;
mod crash;
mod damage;
mod recovery;
mod snapshots;
mod trouble;
