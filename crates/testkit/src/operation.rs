//! A world on which an operation can be played: registers, policies and seats as the plan has them.
//!
//! The bureaus get the registers, the players get the script; neither sees the other's half.

use std::collections::BTreeMap;
use std::sync::Arc;

use i247_bureau::policy::Measure;
use i247_client::{Desk, Monitor};
use i247_model::CountryCode;
use i247_scenario::{Actors, Plan, Policy, Scenario, Table, count, tabulate};

use crate::error::WorldError;
use crate::world::{Builder, World};

/// A world for this plan, not yet started.
pub fn prepare(plan: &Plan) -> Builder {
    let mut builder = World::with(plan.policies.keys().copied().collect());
    for (code, policy) in &plan.policies {
        builder = builder.policy(code.as_str(), measure(*policy));
    }
    for code in plan.registers.keys() {
        builder = builder.register(*code, plan.register_file(*code));
    }
    for (code, seats) in &plan.script.seats {
        builder = builder.seats(*code, seats.clone());
    }
    for (code, operations) in &plan.left_to_officers {
        builder = builder.left_to_officers(*code, operations.clone());
    }
    builder
}

/// Everyone who acts in the operation, each with a certificate and a connection.
///
/// # Errors
/// When a node does not run.
pub async fn actors(world: &World, plan: &Plan) -> Result<Actors, WorldError> {
    let mut desks = BTreeMap::new();
    for (code, seats) in &plan.script.seats {
        for seat in seats {
            desks.insert((*code, seat.clone()), world.desk(*code, seat).await?);
        }
    }
    Ok(Actors {
        desks,
        reviewer: world.reviewer("lena").await?,
        monitor: world.monitor().await?,
        clock: Arc::clone(&world.seams().clock),
    })
}

/// One desk of each country, for those who count.
///
/// # Errors
/// When a certificate cannot be made. A bureau that does not run is left out.
pub async fn desks(world: &World) -> Result<BTreeMap<CountryCode, Desk>, WorldError> {
    let mut desks = BTreeMap::new();
    for code in world.countries() {
        if world.desk_address(code).await.is_ok() {
            desks.insert(code, world.bureau(code.as_str()).desk().await?);
        }
    }
    Ok(desks)
}

/// The run's own counts beside what was recorded, asked of desks and monitor.
///
/// # Errors
/// When the hub cannot be asked.
pub async fn table(
    desks: &BTreeMap<CountryCode, Desk>,
    monitor: &Monitor,
    scenario: &Scenario,
) -> Result<Table, WorldError> {
    let counted = count(&scenario.id, desks, monitor).await?;
    let rehearsal = count(&scenario.workload.rehearsal.operation, desks, monitor).await?;
    Ok(tabulate(&counted, &scenario.recorded, Some(&rehearsal)))
}

fn measure(policy: Policy) -> Measure {
    match policy {
        Policy::ArrestBasis => Measure::ArrestBasis,
        Policy::WarrantFirst => Measure::WarrantFirst,
        Policy::LocateOnly => Measure::LocateOnly,
        Policy::ImmigrationOnly => Measure::ImmigrationOnly,
    }
}
