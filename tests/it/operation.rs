//! Operation Infra-Red 2010, whole and in part: every outcome comes from a bureau, and the table tells what is missing.

use std::path::PathBuf;
use std::time::Duration;

use i247_scenario::{Pace, Phase, Plan, Played, Policy, Progress, Scenario, Table, run};
use i247_testkit::{World, WorldError, country, operation, pb};

/// Does not say anything: the test says it.
struct Quiet;

impl Progress for Quiet {
    fn reached(&mut self, _: Phase, _: usize, _: usize) {}
    fn followed(&mut self, _: &pb::TraceResponse) {}
}

fn whole() -> Scenario {
    Scenario::named("infra-red-2010").unwrap()
}

fn small() -> Scenario {
    whole().with_countries(["BR", "FR", "JP", "US"].map(country)).unwrap()
}

async fn play(
    world: &World,
    plan: &Plan,
    scenario: &Scenario,
    pace: Pace,
) -> Result<(Played, Table), WorldError> {
    let actors = operation::actors(world, plan).await?;
    let played = Box::pin(run(&plan.script, actors, pace, &mut Quiet)).await;
    let table = operation::table(&operation::desks(world).await?, &world.monitor().await?, scenario).await?;
    Ok((played, table))
}

/// Plays in one process, or with a process for each node.
async fn table(scenario: &Scenario, plan: &Plan, program: Option<PathBuf>) -> Result<Table, WorldError> {
    let builder = operation::prepare(plan).direct();
    let builder = match program {
        Some(program) => builder.processes(program),
        None => builder,
    };
    let world = Box::pin(builder.start()).await?;
    let (played, table) = play(&world, plan, scenario, Pace::default()).await?;
    assert_eq!(played.gave_up, Vec::<String>::new());
    world.stop_all().await?;
    Ok(table)
}

fn row(table: &Table, label: &str) -> String {
    let row = table.rows.iter().find(|row| row.label.starts_with(label));
    row.unwrap_or_else(|| panic!("no row {label}")).run.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_operation_is_the_same_in_one_process_and_in_thirty() -> Result<(), WorldError> {
    let scenario = whole();
    let plan = Plan::draw(&scenario, 2010).unwrap();
    let here = table(&scenario, &plan, None).await?;
    for (label, figure) in [
        ("Cases", "447"),
        ("Countries", "29"),
        ("Officers", "45"),
        ("Messages sent", "700"),
        ("Messages received", "2000"),
        ("Arrests", "71"),
        ("Positively located", "90"),
        ("Possibly located", "73"),
        ("National decisions", "12516"),
        ("Reminders, played on purpose", "3"),
        ("Escalations, played on purpose", "1"),
    ] {
        assert_eq!(row(&here, label), figure, "{label}");
    }
    assert!(!here.falls_short() && here.meets_the_record());
    let Some(program) = i247_testkit::program() else { return Ok(()) };
    let apart = table(&scenario, &plan, Some(program)).await?;
    assert_eq!(apart.digest, here.digest);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_recorded_figures_the_run_is_the_same() -> Result<(), WorldError> {
    let with = small();
    let mut without = with.clone();
    without.recorded.clear();
    assert!(!with.recorded.is_empty());
    let plan = Plan::draw(&without, 7).unwrap();
    assert_eq!(plan, Plan::draw(&with, 7).unwrap());
    let table = table(&without, &plan, None).await?;
    assert!(table.rows.iter().all(|row| row.recorded.is_none()));
    assert!(!table.falls_short());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_line_changes_nothing_and_another_law_changes_the_outcome() -> Result<(), WorldError> {
    let scenario = small();
    let plan = Plan::draw(&scenario, 7).unwrap();
    let quick = table(&scenario, &plan, None).await?;

    let world = operation::prepare(&plan).start().await?;
    for code in world.countries() {
        world.delay(code.as_str(), Duration::from_millis(30));
    }
    let (played, slow) = play(&world, &plan, &scenario, Pace::default()).await?;
    assert_eq!(played.gave_up, Vec::<String>::new());
    assert_eq!(slow.digest, quick.digest);
    world.finish().await?;

    let milder = plan.with_policy(country("BR"), Policy::LocateOnly);
    let other = table(&scenario, &milder, None).await?;
    assert_ne!(other.digest, quick.digest);
    let number = |table: &Table, label| row(table, label).parse::<u64>().unwrap();
    let gone = number(&quick, "Arrests") - number(&other, "Arrests");
    assert!(gone > 0, "Brazil arrested nobody in the first run");
    assert_eq!(number(&other, "Positively located"), number(&quick, "Positively located") + gone);
    assert_eq!(number(&other, "Possibly located"), number(&quick, "Possibly located"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_bureau_cut_off_the_table_falls_short_and_says_where() -> Result<(), WorldError> {
    let scenario = small();
    let plan = Plan::draw(&scenario, 7).unwrap();
    let world = operation::prepare(&plan).start().await?;
    world.cut("BR");
    let pace = Pace { patience: Duration::from_secs(3), ..Pace::default() };
    let (played, table) = play(&world, &plan, &scenario, pace).await?;
    assert!(!played.gave_up.is_empty());
    assert!(table.falls_short());
    assert!(table.gaps.iter().all(|gap| gap.starts_with("BR:")), "{:?}", table.gaps);
    assert!(table.gaps.iter().any(|gap| gap.contains("not delivered")), "{:?}", table.gaps);
    world.stop_all().await
}
