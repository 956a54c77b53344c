//! The searches of an operation are counted: what was asked, from the journal of searches, and what became of it, from
//! the register of hits. Every number here was counted by hand.

use i247_client::Searches;
use i247_client::mind::MindError;
use i247_model::{MessageId, Reason, Refusal};
use i247_testkit::{World, WorldError, airport, name, pb, with_copies};

use crate::hits::decision;
use crate::mind::Holder;
use crate::search::{ZONE, frame, germany_reports, passport};

/// A frame of an operation.
fn of(operation: &str, station: &str, numbers: &[&str]) -> pb::SearchRequest {
    let keys = numbers.iter().map(|number| passport(number, "D")).collect();
    pb::SearchRequest { operation: operation.into(), station: station.into(), ..frame(keys) }
}

/// The hits that an answer names, key by key.
fn hits(found: &pb::SearchResponse) -> Vec<MessageId> {
    let found = found.answers.iter().flat_map(|answer| &answer.found);
    found.filter_map(|found| found.hit_id.parse().ok()).collect()
}

/// What the hub counts of an operation.
async fn counted(world: &World, operation: &str) -> Result<pb::OperationTallyResponse, WorldError> {
    Ok(world.monitor().await?.operation_tally(operation).await?)
}

/// The stations, as an operator sees them: who, where, how many keys and matches.
fn stations(told: &pb::OperationSearches) -> Vec<(String, u64, u64)> {
    let station = |one: &pb::StationTally| {
        let count = one.count.unwrap();
        let post = if one.post { " (post)" } else { "" };
        (format!("{} {}{post}", one.party, one.station), count.keys, count.matches)
    };
    told.most.iter().map(station).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operation_asks_and_finds_is_counted_also_after_a_restart() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).automatic(false).start().await?;
    germany_reports(&world).await?;
    let cdg = world.post("FR", "cdg").await?;
    world.bureau("FR").grants(with_copies(airport(&name("cdg")))).await?;
    let offline = Holder::new(&world, cdg.clone(), "cdg");
    offline.sync(&world).await.unwrap();

    // The passport, one that looks like it, none, and a zone that was misread.
    let desk = world.bureau("FR").desk().await?;
    let mut asked = of("hammer", "airport", &["X4719T06M", "X4719TO6M", "X9999999X"]);
    let misread = pb::search_key::Key::Mrz(ZONE.replace("X4719T06M3", "X4719T06M4"));
    asked.keys.push(pb::SearchKey { key: Some(misread) });
    let mut confirmed = hits(&desk.check(asked).await?);
    // The same passport elsewhere is another hit, and the same record.
    confirmed.extend(hits(&desk.check(of("hammer", "harbour", &["X4719T06M"])).await?));
    let post = Searches::new(world.hub_channel(&cdg).await?);
    let denied = hits(&post.check(of("hammer", "cdg", &["L0000001K", "X9999999X"])).await?);
    // Others', and nobody's.
    let japan = world.bureau("JP").desk().await?;
    hits(&japan.check(of("anaconda", "narita", &["X4719T06M"])).await?);
    desk.check(of("", "airport", &["X4719T06M"])).await?;

    let germany = world.bureau("DE");
    for (hits, verdict) in [(&confirmed, pb::HitVerdict::Confirmed), (&denied, pb::HitVerdict::Denied)] {
        for hit in hits {
            germany.receives(hit).await?;
            let sent = germany.send(decision(hit, verdict)).await?;
            world.bureau("FR").receives(&sent.id).await?;
        }
    }
    // Without a network, and handed in later.
    let copies = offline.mind.open(&[]).await.unwrap();
    for number in ["X4719T06M", "X9999999X"] {
        offline.mind.check(&copies, &of("hammer", "cdg", &[number])).await.unwrap();
    }
    assert_eq!(offline.mind.hand_in(&offline.hub(&world).await?).await.unwrap(), 2);

    let told = counted(&world, "hammer").await?;
    let searches = told.searches.clone().unwrap();
    let count = pb::SearchCount { frames: 5, keys: 9, refused: 1, matches: 3, possible: 2, offline: 2 };
    assert_eq!(searches.count, Some(count));
    let hits = pb::HitTally { hits: 3, confirmed: 2, denied: 1, located: 1, ..pb::HitTally::default() };
    assert_eq!(searches.hits, Some(hits));
    assert_eq!((searches.stations, searches.more_stations, searches.since_ms), (3, false, 0));
    let expected = [("FR airport", 4, 1), ("FR cdg (post)", 4, 1), ("FR harbour", 1, 1)];
    assert_eq!(stations(&searches), expected.map(|(name, keys, matches)| (name.to_owned(), keys, matches)));
    assert!(0 < searches.first_asked_at_ms && searches.first_asked_at_ms <= searches.last_asked_at_ms);
    // A hit belongs to the operation that found it.
    let kinds: Vec<(&str, u64)> = told.kinds.iter().map(|kind| (kind.kind.as_str(), kind.accepted)).collect();
    assert_eq!(kinds, [("hit", 3)]);
    let other = counted(&world, "anaconda").await?.searches.unwrap();
    assert_eq!((other.count.unwrap().keys, other.hits.unwrap().undecided), (1, 1));
    let nothing = counted(&world, "thunder").await?.searches.unwrap();
    assert_eq!((nothing.count, nothing.stations), (Some(pb::SearchCount::default()), 0));

    // All of it follows from the journal and the log: after a crash, and from what was kept at a stop.
    world.crash_hub().await?;
    world.start_hub().await?;
    assert_eq!(counted(&world, "hammer").await?.searches, Some(searches.clone()));
    world.stop_hub().await?;
    assert!(world.dir().join("hub/data/audit/operations").exists());
    world.start_hub().await?;
    let post = Searches::new(world.hub_channel(&cdg).await?);
    let once_more = async || Ok(Some(post.check(of("hammer", "cdg", &["X9999999X"])).await?));
    world.until("the hub to have counted what posts asked", once_more).await?;
    let again = counted(&world, "hammer").await?.searches.unwrap();
    assert_eq!(again.count, Some(pb::SearchCount { frames: 6, keys: 10, ..count }));
    assert_eq!(again.hits, Some(hits));
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_of_a_copy_for_what_is_no_operation_is_refused_before_it_is_written_down()
-> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).start().await?;
    germany_reports(&world).await?;
    let credentials = world.post("FR", "cdg").await?;
    world.bureau("FR").grants(with_copies(airport(&name("cdg")))).await?;
    let cdg = Holder::new(&world, credentials, "cdg");
    cdg.sync(&world).await.unwrap();
    let copies = cdg.mind.open(&[]).await.unwrap();
    let refused = cdg.mind.check(&copies, &of("Hammer 2011", "cdg", &["X4719T06M"])).await.unwrap_err();
    let MindError::Question(refusal) = refused else { panic!("{refused}") };
    assert_eq!((refusal.reason, refusal.fields), (Reason::Malformed, vec!["operation".to_owned()]));
    assert_eq!(cdg.mind.searches_waiting().await.unwrap(), 0);
    // Whoever hands it in all the same is told which field it is.
    let search = pb::OfflineSearch {
        officer: "duty".into(),
        station: "cdg".into(),
        purpose: pb::Purpose::BorderControl.into(),
        operation: "Hammer 2011".into(),
        ..pb::OfflineSearch::default()
    };
    let request = pb::HandInSearchesRequest {
        list: vec![7; 16].into(),
        first: 1,
        chain: vec![0; 32].into(),
        searches: vec![prost::Message::encode_to_vec(&search).into()],
        ..pb::HandInSearchesRequest::default()
    };
    let refused = cdg.hub(&world).await?.hand_in(request).await.unwrap_err();
    let refusal: &Refusal = refused.refusal().unwrap();
    assert_eq!(
        (refusal.reason, &refusal.fields),
        (Reason::Malformed, &vec!["searches.operation".to_owned()])
    );
    world.finish().await
}
