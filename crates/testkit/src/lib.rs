//! A network of many countries, for tests and demonstrations, with faults.
//!
//! A whole network in one line, with real mutual TLS, real signatures and real files:
//!
//! ```no_run
//! # async fn story() -> Result<(), i247_testkit::WorldError> {
//! use i247_testkit::World;
//!
//! let world = World::of(["FR", "BR", "JP", "SN"]).start().await?;
//! let question = world.bureau("FR").ask(["BR"]).about("PARDEL", "TESSA IRIS").send().await?;
//! let answer = world.bureau("FR").reply_to(&question, "BR").await?;
//! assert_eq!(answer.outcome(), i247_testkit::pb::Outcome::Negative);
//! world.finish().await?;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//!   World ── hub ◄── proxy ── bureau FR ◄── desk (officer's certificate)
//!     │       ▲               bureau BR …
//!     │       └── reviewer, operator, authority (certificates of their own)
//!     └─ faults: cut, heal, delay, crash, crash_at, restart, advance, suspend … finish(): the invariants
//! ```
//!
//! Nodes run in this process, or each as a process of its own with [`Builder::processes`]; the stories are the same.
//! Nothing waits by sleeping for a fixed time: every wait is for an event and has a deadline.

mod acts;
mod builder;
mod bureau;
mod clock;
mod directory;
mod error;
mod invariants;
mod logs;
mod nodes;
pub mod operation;
mod pen;
pub mod pki;
mod points;
mod post;
mod program;
mod proxy;
mod record;
mod recovery;
mod running;
mod world;

pub use acts::{
    Ask, Received, Sent, diffusion, free_text, notice_request, person, red_form, reply, withdrawal,
};
pub use builder::Builder;
pub use bureau::Bureau;
pub use error::WorldError;
pub use i247_wire::pb;
pub use invariants::Broken;
pub use nodes::Twin;
pub use pen::{Letter, Pen, sign};
pub use pki::{country, name};
pub use points::{Crash, Point};
pub use post::{Open, airport, grant_draft, with_copies};
pub use program::program;
pub use world::World;

/// The example of the README, compiled and run.
#[doc = include_str!("../../../README.md")]
#[cfg(doctest)]
pub struct Readme;
