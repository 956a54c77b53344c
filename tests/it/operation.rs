//! Operation Infra-Red 2010, small and whole.

use i247_scenario::{Pace, Phase, Plan, Progress, Scenario, render, run};
use i247_testkit::{WorldError, operation, pb};

struct Quiet;

impl Progress for Quiet {
    fn reached(&mut self, phase: Phase, done: usize, of: usize) {
        if done == of {
            println!("{phase}: {done} of {of}");
        }
    }

    fn followed(&mut self, _: &pb::TraceResponse) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_operation_comes_to_the_recorded_outcomes() -> Result<(), WorldError> {
    let scenario = Scenario::named("infra-red-2010").unwrap();
    let plan = Plan::draw(&scenario, 2010).unwrap();
    let started = std::time::SystemTime::now();
    let world = operation::prepare(&plan).direct().start().await?;
    println!("started {:?}", started.elapsed());
    let actors = operation::actors(&world, &plan).await?;
    println!("actors {:?}", started.elapsed());
    let played = run(&plan.script, actors, Pace::default(), &mut Quiet).await;
    println!("played {:?}", started.elapsed());
    assert_eq!(played.gave_up, Vec::<String>::new());
    let table =
        operation::table(&operation::desks(&world).await?, &world.monitor().await?, &scenario).await?;
    println!("{}", render(&table).join("\n"));
    println!("counted {:?}", started.elapsed());
    assert!(!table.falls_short());
    assert!(table.meets_the_record());
    world.stop_all().await?;
    println!("finished {:?}", started.elapsed());
    Ok(())
}
