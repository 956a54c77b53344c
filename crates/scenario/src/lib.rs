//! Operations as replayable workloads, with simulated officers who use the same clients as everybody.
//!
//! ```text
//!  scenario file ─┬─ workload ──► Plan::draw(seed) ─┬─ script ────► run: officers and reviewer at work
//!                 │                                 └─ registers ─► handed to the bureaus, which search them
//!                 └─ recorded ──────────────────────► report: the run's own counts beside them
//! ```
//!
//! It is not a puppet show. No outcome is written here: a bureau finds a person, or not, in its own
//! register and under its own policy; the script does not say where anybody is, and what was recorded of
//! the real operation is read by nothing but the table. All persons are invented.

pub mod border;
mod casework;
mod count;
mod drafts;
mod draw;
mod events;
mod file;
mod officer;
mod person;
mod picture;
mod plan;
mod rehearsal;
mod render;
mod run;
mod table;

pub use count::{Counted, CountedCase, CountedCountry, CountedSearches, Finding, count, digest};
pub use file::{
    CountrySetting, Figure, Findable, Policy, Qualifier, Recorded, RehearsalSetting, Scenario, ScenarioError,
    Workload,
};
pub use person::Person;
pub use plan::{Charge, Plan, PlannedCase, RegisterEntry, Rehearsal, Script};
pub use render::{render, trace_lines};
pub use run::{Actors, Pace, Phase, Played, Progress, run};
pub use table::{RecordedCell, Row, Table, tabulate};
