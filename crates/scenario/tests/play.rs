//! The officers play a small operation against a network made of paper: desks, hub and reviewer's list
//! that keep everything in memory and answer at once. What is tried here is the play, not the network.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

mod paper;

use std::collections::BTreeMap;
use std::time::Duration;

use i247_client::pb;
use i247_model::CountryCode;
use i247_scenario::{Pace, Phase, Plan, Policy, Progress, Scenario, count, digest, run, tabulate};

use paper::Paper;

/// What was reached last in each phase.
#[derive(Default)]
struct Noted {
    reached: BTreeMap<Phase, (usize, usize)>,
    followed: usize,
}

impl Progress for Noted {
    fn reached(&mut self, phase: Phase, done: usize, of: usize) {
        self.reached.insert(phase, (done, of));
    }

    fn followed(&mut self, trace: &pb::TraceResponse) {
        self.followed += trace.events.len();
    }
}

fn code(text: &str) -> CountryCode {
    text.parse().unwrap()
}

fn plan() -> (Scenario, Plan) {
    let scenario = Scenario::named("infra-red-2010").unwrap();
    let scenario = scenario.with_countries(["FR", "BR", "JP"].map(code)).unwrap();
    let plan = Plan::draw(&scenario, 2010).unwrap();
    (scenario, plan)
}

fn pace(patience: Duration) -> Pace {
    Pace { at_once: 4, patience }
}

#[tokio::test]
async fn three_countries_play_the_operation_to_its_end() {
    let (scenario, plan) = plan();
    let paper = Paper::start(&plan).await;
    let mut noted = Noted::default();
    let played = run(&plan.script, paper.actors().await, pace(Duration::from_secs(20)), &mut noted).await;
    assert_eq!(played.gave_up, Vec::<String>::new());
    assert!(played.followed.is_some() && noted.followed > 0);
    let expected = [(46, 46), (46, 46), (72, 72), (92, 92), (3, 3), (3, 3)];
    assert_eq!(noted.reached.values().copied().collect::<Vec<_>>(), expected);

    let counted = count("infra-red-2010", &paper.desks().await, &paper.monitor().await).await.unwrap();
    let table = tabulate(&counted, &scenario.recorded, None);
    let runs: Vec<&str> = table.rows.iter().take(8).map(|row| row.run.as_str()).collect();
    // 46 cases; 3 countries; 6 seats; 72 requests; 92 finals and 24 interims; 7, 9 and 8 persons.
    assert_eq!(runs, ["46", "3", "6", "72", "116", "7", "9", "8"]);
    assert_eq!(table.gaps, Vec::<String>::new());
}

#[tokio::test]
async fn all_29_countries_come_to_the_recorded_figures_by_counting_what_bureaus_hold() {
    let scenario = Scenario::named("infra-red-2010").unwrap();
    let plan = Plan::draw(&scenario, 2010).unwrap();
    let paper = Paper::start(&plan).await;
    let played =
        run(&plan.script, paper.actors().await, pace(Duration::from_secs(60)), &mut Noted::default()).await;
    assert_eq!(played.gave_up, Vec::<String>::new());
    let counted = count("infra-red-2010", &paper.desks().await, &paper.monitor().await).await.unwrap();
    let table = tabulate(&counted, &scenario.recorded, None);
    let runs: Vec<&str> = table.rows.iter().take(9).map(|row| row.run.as_str()).collect();
    // 1,766 final answers and 234 interim ones are 2,000; 161 of 447 are 36.0 percent.
    assert_eq!(runs, ["447", "29", "45", "700", "2000", "71", "90", "73", "36"]);
    assert!(table.meets_the_record() && !table.falls_short(), "{:?}", table.gaps);
}

#[tokio::test]
async fn the_digest_is_the_same_again_and_another_with_another_law() {
    let digest_of = |plan: Plan| async move {
        let paper = Paper::start(&plan).await;
        run(&plan.script, paper.actors().await, pace(Duration::from_secs(20)), &mut Noted::default()).await;
        digest(&count("infra-red-2010", &paper.desks().await, &paper.monitor().await).await.unwrap())
    };
    let (_, plan) = plan();
    let first = digest_of(plan.clone()).await;
    assert_eq!(digest_of(plan.clone()).await, first);
    assert_ne!(digest_of(plan.with_policy(code("FR"), Policy::LocateOnly)).await, first);
}

#[tokio::test]
async fn with_a_country_that_never_answers_the_play_ends_and_the_table_says_where_it_falls_short() {
    let (scenario, plan) = plan();
    let paper = Paper::start(&plan).await;
    paper.silence(code("JP"));
    let mut noted = Noted::default();
    let played = run(&plan.script, paper.actors().await, pace(Duration::from_millis(700)), &mut noted).await;
    assert!(played.gave_up.iter().any(|what| what.starts_with("answers: ")), "{:?}", played.gave_up);
    assert_eq!(noted.reached[&Phase::Requests], (72, 72), "nobody waits for ever before a follow-up");
    let counted = count("infra-red-2010", &paper.desks().await, &paper.monitor().await).await.unwrap();
    let table = tabulate(&counted, &scenario.recorded, None);
    assert!(table.falls_short());
    assert!(table.gaps[0].starts_with("JP: silent, "), "{:?}", table.gaps);
}
