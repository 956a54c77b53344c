//! A partner learns nothing from the size of an answer, nor, as far as is measured here, from how long it takes.

use std::time::Duration;

use i247_records::Date;
use i247_testkit::{World, WorldError, airport, name, pb};
use i247_wire::pb::search_service_client::SearchServiceClient;
use prost::Message as _;

use crate::search::{connect, frame, germany_records, germany_reports, passport};

const DAY: Duration = Duration::from_secs(86_400);

/// Rounds that are measured.
const ROUNDS: usize = 200;

fn screened(number: &str) -> pb::SearchRequest {
    pb::SearchRequest {
        purpose: pb::Purpose::Screening.into(),
        station: String::new(),
        ..frame(vec![passport(number, "D")])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_a_restricted_one_and_an_expired_one_have_one_answer_of_one_size() -> Result<(), WorldError>
{
    let world = World::of(["DE", "FR", "JP"]).automatic(false).start().await?;
    germany_reports(&world).await?;
    let tomorrow = Date::of(world.seams().clock.now().plus(DAY)).to_string();
    let counts_till_tomorrow =
        ["", tomorrow.as_str(), "", "", "E1234567K", "D", "PASSPORT", "STOLEN_BEARER", ""];
    germany_records(&world, 8, &[counts_till_tomorrow]).await?;
    let grant = pb::Grant {
        unit: pb::PostUnit::Partner.into(),
        verb: pb::PostVerb::CheckOnly.into(),
        databases: vec![pb::Database::Sltd.into()],
        keys_per_minute: 60_000,
        keys_per_day: 1_000_000,
        ..airport(&name("skyline"))
    };
    let credentials = world.post("JP", "skyline").await?;
    world.bureau("JP").grants(grant).await?;
    let mut skyline = SearchServiceClient::new(world.hub_channel(&credentials).await?);
    // What counts is told until its last day is over.
    let answer = skyline.search(screened("E1234567K")).await.map_err(connect)?.into_inner();
    assert_eq!(answer.answers[0].result(), pb::SearchResult::Refer);
    world.advance(2 * DAY);

    let cases = [("no record", "X9999999X"), ("restricted", "L0000001K"), ("expired", "E1234567K")];
    let mut took: [Vec<Duration>; 3] = Default::default();
    let mut told: Vec<(Vec<u8>, Vec<String>)> = Vec::new();
    let clock = world.seams().clock.clone();
    for _ in 0..ROUNDS {
        for ((_, number), took) in cases.iter().zip(&mut took) {
            let begun = clock.monotonic();
            let response = skyline.search(screened(number)).await.map_err(connect)?;
            took.push(clock.monotonic().saturating_sub(begun));
            let headers = response.metadata().keys().map(|key| format!("{key:?}")).collect();
            told.push((response.into_inner().encode_to_vec(), headers));
        }
    }
    assert!(told.iter().all(|answer| *answer == told[0]), "the same bytes, under the same headers");
    assert_eq!(told[0].0.len(), 4, "an answer that says NO RECORD: two fields, one in the other");
    for ((case, _), took) in cases.iter().zip(&mut took) {
        took.sort_unstable();
        println!("{case}: half within {} us", took[took.len() / 2].as_micros());
    }
    world.finish().await
}
