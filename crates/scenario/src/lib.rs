//! Operations as replayable workloads, with simulated officers.

mod draw;
mod file;
mod person;
mod picture;
mod plan;

pub use file::{
    CountrySetting, Figure, Findable, Policy, Qualifier, Recorded, RehearsalSetting, Scenario, ScenarioError,
    Workload,
};
pub use person::Person;
pub use plan::{Charge, Plan, PlannedCase, RegisterEntry, Rehearsal, Script};
