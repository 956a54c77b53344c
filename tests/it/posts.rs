//! Posts at the border: they come by leave of their bureau, and no longer than it lasts.

use std::time::Duration;

use i247_client::{ClientError, Searches};
use i247_model::{Identity, MessageId, Reason};
use i247_testkit::{World, WorldError, airport, country, grant_draft, name, pb};
use i247_wire::pb::copy_service_client::CopyServiceClient;
use i247_wire::pb::search_service_client::SearchServiceClient;
use tonic::Code;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::search::{ZONE, frame, germany_reports, passport};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Longer than the hub may take to cut somebody off, for machines that are busy with other stories.
const PATIENCE: Duration = Duration::from_secs(10);

/// Such a machine may make one of these late, and not all of them.
const ATTEMPTS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_comes_by_leave_of_its_bureau_and_goes_when_that_is_withdrawn() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let (cdg, orly) = (world.post("FR", "cdg").await?, world.post("FR", "orly").await?);
    for post in [&cdg, &orly] {
        assert_eq!(world.knocks(post).await?.unwrap_err(), Reason::NotGranted, "nobody has granted anything");
    }
    let france = world.bureau("FR");
    let sent = france.grants(airport(&name("cdg"))).await?;
    assert_eq!(sent.id.to_string(), "FR-1-V-1");
    let mut open = world.knocks(&cdg).await?.unwrap();
    assert_eq!(world.knocks(&orly).await?.unwrap_err(), Reason::NotGranted, "the other post");
    let namesake = world.post("BR", "cdg").await?;
    assert_eq!(world.knocks(&namesake).await?.unwrap_err(), Reason::NotGranted, "another country's");
    let listed = france.desk().await?.posts().await?.posts;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].state(), listed[0].connections), (pb::PostState::InForce, 1));
    assert_eq!(listed[0].grant, Some(airport(&name("cdg"))));
    assert!(world.bureau("BR").desk().await?.posts().await?.posts.is_empty());

    // More or less of it does not interrupt who may come all the same.
    france.grants(pb::Grant { keys_per_day: 7_000, ..airport(&name("cdg")) }).await?;
    assert!(open.stays_for(SECOND / 2).await);
    france.withdraws("cdg").await?;
    open.ends_within(PATIENCE).await?;
    assert_eq!(world.knocks(&cdg).await?.unwrap_err(), Reason::NotGranted);
    assert!(france.desk().await?.posts().await?.posts.is_empty());
    let refused = france.send(grant_draft(withdrawn("cdg"))).await?;
    let refusal = france.answered(&refused).await?.refusal.unwrap();
    assert_eq!((refusal.reason.as_str(), refusal.fields), ("UNKNOWN_REFERENCE", vec!["grant.post".into()]));
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_team_comes_from_its_first_to_before_its_last_moment() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let team = world.post("FR", "stade").await?;
    let now = world.seams().clock.now();
    let grant = pb::Grant {
        unit: pb::PostUnit::EventTeam.into(),
        from_ms: now.plus(HOUR).as_millis(),
        until_ms: now.plus(24 * HOUR).as_millis(),
        ..airport(&name("stade"))
    };
    let france = world.bureau("FR");
    france.grants(grant).await?;
    assert_eq!(world.knocks(&team).await?.unwrap_err(), Reason::NotGranted, "the event has not begun");
    assert_eq!(france.desk().await?.posts().await?.posts[0].state(), pb::PostState::NotYet);
    world.advance(HOUR);
    let mut open = world.knocks(&team).await?.unwrap();
    // Nobody does anything: the end comes by itself, also for what is open.
    world.advance(22 * HOUR);
    assert!(open.stays_for(SECOND / 2).await, "an hour is left");
    world.advance(HOUR);
    open.ends_within(PATIENCE).await?;
    assert_eq!(world.knocks(&team).await?.unwrap_err(), Reason::NotGranted);
    assert_eq!(france.desk().await?.posts().await?.posts[0].state(), pb::PostState::Ended);
    // Nor does a restart bring it back.
    world.crash_hub().await?;
    world.start_hub().await?;
    assert_eq!(world.knocks(&team).await?.unwrap_err(), Reason::NotGranted);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_falls_with_a_bureau_are_its_posts_and_no_others_also_after_a_restart() -> Result<(), WorldError>
{
    let world = World::of(["FR", "BR"]).start().await?;
    let (cdg, galeao) = (world.post("FR", "cdg").await?, world.post("BR", "galeao").await?);
    world.bureau("FR").grants(airport(&name("cdg"))).await?;
    world.bureau("BR").grants(airport(&name("galeao"))).await?;
    let mut french = world.knocks(&cdg).await?.unwrap();
    let mut brazilian = world.knocks(&galeao).await?.unwrap();
    let france = Identity::Bureau(country("FR"));

    world.suspend(&france).await?;
    french.ends_within(PATIENCE).await?;
    assert_eq!(world.knocks(&cdg).await?.unwrap_err(), Reason::Suspended);
    assert!(brazilian.stays_for(SECOND / 4).await);
    world.crash_hub().await?;
    world.start_hub().await?;
    assert_eq!(world.knocks(&cdg).await?.unwrap_err(), Reason::Suspended);
    world.reinstate(&france).await?;
    let mut french = world.knocks(&cdg).await?.unwrap();
    let mut brazilian = world.knocks(&galeao).await?.unwrap();

    world.revoke(&france).await?;
    french.ends_within(PATIENCE).await?;
    for certificate in [cdg, world.post("FR", "cdg").await?, world.post("FR", "orly").await?] {
        assert_eq!(world.knocks(&certificate).await?.unwrap_err(), Reason::Revoked);
    }
    world.stop_hub().await?;
    world.start_hub().await?;
    let again = world.post("FR", "cdg").await?;
    assert_eq!(world.knocks(&again).await?.unwrap_err(), Reason::Revoked);
    brazilian.ends_within(PATIENCE).await?;
    assert!(world.knocks(&galeao).await?.is_ok());
    world.stop("FR").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_real_clock_a_post_is_cut_off_within_a_second() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let clock = world.seams().clock.clone();
    let cdg = world.post("FR", "cdg").await?;
    let france = world.bureau("FR");
    let (mut after_its_end, mut after_withdrawal) = (Vec::new(), Vec::new());
    for _ in 0..ATTEMPTS {
        let until = clock.now().plus(2 * SECOND);
        france.grants(pb::Grant { until_ms: until.as_millis(), ..airport(&name("cdg")) }).await?;
        let mut open = world.knocks(&cdg).await?.unwrap();
        open.ends_within(PATIENCE).await?;
        assert!(clock.now() >= until, "not before its end");
        after_its_end.push(clock.now().since(until));

        france.grants(airport(&name("cdg"))).await?;
        let mut open = world.knocks(&cdg).await?.unwrap();
        let sent = france.send(grant_draft(withdrawn("cdg"))).await?;
        france.accepted(&sent).await?;
        let accepted = clock.monotonic();
        open.ends_within(PATIENCE).await?;
        after_withdrawal.push(clock.monotonic().saturating_sub(accepted));
        if within_a_second(&after_its_end) && within_a_second(&after_withdrawal) {
            break;
        }
    }
    println!("cut off {after_its_end:?} after the grant's end, {after_withdrawal:?} after its withdrawal");
    assert!(within_a_second(&after_its_end), "{after_its_end:?} after the grant's end");
    assert!(within_a_second(&after_withdrawal), "{after_withdrawal:?} after its withdrawal");
    world.finish().await
}

fn within_a_second(took: &[Duration]) -> bool {
    took.iter().any(|took| *took <= SECOND)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_asks_what_it_is_granted_and_nothing_else() -> Result<(), WorldError> {
    let world = World::of(["FR", "DE"]).start().await?;
    germany_reports(&world).await?;
    let (france, cdg) = (world.bureau("FR"), world.post("FR", "cdg").await?);
    let only_sltd = pb::Grant { databases: vec![pb::Database::Sltd.into()], ..airport(&name("cdg")) };
    france.grants(only_sltd.clone()).await?;
    let mut hub = SearchServiceClient::new(world.hub_channel(&cdg).await?);
    let stolen = || asked(passport("X4719T06M", "D"));
    let answer = hub.search(stolen()).await.unwrap().into_inner().answers.remove(0);
    assert_eq!((answer.result(), answer.found[0].owner.as_str()), (pb::SearchResult::Match, "DE"));
    let named = |databases: &[pb::Database]| pb::SearchRequest {
        databases: databases.iter().map(|database| (*database).into()).collect(),
        ..stolen()
    };
    assert!(hub.search(named(&[pb::Database::Sltd])).await.is_ok());
    let status = hub.search(named(&[pb::Database::Sltd, pb::Database::Tdawn])).await.unwrap_err();
    assert_eq!(reason(&status), (Reason::NotGranted, "databases".into()));
    let elsewhere = pb::SearchRequest { station: "orly".into(), ..stolen() };
    assert_eq!(reason(&hub.search(elsewhere).await.unwrap_err()), (Reason::WrongField, "station".into()));

    // Narrower, and only to check: the connection stays, the next answer is another.
    let partner = pb::Grant { verb: pb::PostVerb::CheckOnly.into(), ..only_sltd };
    france.grants(partner).await?;
    let answer = hub.search(stolen()).await.unwrap().into_inner().answers.remove(0);
    assert_eq!((answer.result(), answer.found.len()), (pb::SearchResult::Refer, 0));
    let nothing = hub.search(asked(passport("X9999999X", "D"))).await.unwrap().into_inner().answers.remove(0);
    assert_eq!(nothing, pb::KeyAnswer { result: pb::SearchResult::NoRecord.into(), ..Default::default() });

    // An open stream of searches ends with the grant, and no other begins.
    let (frames, sending) = tokio::sync::mpsc::channel(4);
    let frame = pb::SearchStreamRequest { search: Some(stolen()) };
    frames.send(frame.clone()).await.unwrap();
    let mut answers = hub.search_stream(ReceiverStream::new(sending)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    france.withdraws("cdg").await?;
    let ended = tokio::time::timeout(PATIENCE, answers.message()).await.expect("the stream ends");
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
    drop(frames);
    assert!(hub.search(stolen()).await.is_err());
    assert_eq!(world.knocks(&cdg).await?.unwrap_err(), Reason::NotGranted);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budget_of_a_day_is_held_across_a_restart_and_begins_anew_at_midnight() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    // Noon, so that the story does not run into midnight by itself.
    let day = 24 * HOUR;
    let since_midnight = world.seams().clock.now().as_millis() % 86_400_000;
    world.advance(day + day / 2 - Duration::from_millis(since_midnight));
    let (france, cdg) = (world.bureau("FR"), world.post("FR", "cdg").await?);
    france.grants(pb::Grant { keys_per_minute: 4, keys_per_day: 6, ..airport(&name("cdg")) }).await?;
    let three = pb::SearchRequest { keys: vec![passport("X4719T06M", "D"); 3], ..asked(passport("X", "D")) };
    let mut hub = SearchServiceClient::new(world.hub_channel(&cdg).await?);
    world.until("posts to be served", async || Ok(hub.search(three.clone()).await.ok())).await?;
    // One is left of this minute.
    let refused = hub.search(three.clone()).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::ResourceExhausted, (Reason::Busy, "quota.post".into()))
    );
    let wait = i247_wire::refusal(&refused).unwrap().retry_after.unwrap();
    assert!(wait > 10 * SECOND && wait <= 30 * SECOND, "{wait:?}");
    world.advance(MINUTE);
    hub.search(three.clone()).await.unwrap();
    world.advance(MINUTE);
    let over = |status: tonic::Status| i247_wire::refusal(&status).and_then(|refusal| refusal.retry_after);
    let until_midnight = over(hub.search(three.clone()).await.unwrap_err()).unwrap();
    assert!(until_midnight > MINUTE, "{until_midnight:?}");

    world.stop_hub().await?;
    world.start_hub().await?;
    let mut hub = SearchServiceClient::new(world.hub_channel(&cdg).await?);
    let one = asked(passport("X4719T06M", "D"));
    let wait = world
        .until("the hub to have counted", async || {
            let wait = over(hub.search(one.clone()).await.expect_err("nothing is left of the day"));
            Ok(wait.filter(|wait| *wait > SECOND))
        })
        .await?;
    assert!(wait > SECOND && wait <= until_midnight, "{wait:?}");
    assert_eq!(france.desk().await?.posts().await?.posts[0].keys_today, 6);
    world.advance(wait);
    hub.search(one).await.unwrap();
    assert_eq!(france.desk().await?.posts().await?.posts[0].keys_today, 1);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_sees_what_becomes_of_its_own_hits_and_of_no_others_as_long_as_it_may()
-> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).automatic(false).start().await?;
    germany_reports(&world).await?;
    let france = world.bureau("FR");
    let mut posts = Vec::new();
    for post in ["cdg", "orly"] {
        let credentials = world.post("FR", post).await?;
        france.grants(airport(&name(post))).await?;
        posts.push(Searches::new(world.hub_channel(&credentials).await?));
    }
    let (cdg, orly) = (&posts[0], &posts[1]);
    let mut live = cdg.watch_hits(0, true).await?;
    // The bureau asks in the name of the place, and the other post asks too: neither is this post's.
    let in_its_place = pb::SearchRequest { station: "cdg".into(), ..frame(vec![passport("X4719T06M", "D")]) };
    let of_bureau = hit(&france.desk().await?.check(in_its_place).await?);
    let of_orly = hit(&orly.check(asked(passport("L0000001K", "D"))).await?);
    let own = hit(&cdg.check(asked(passport("X4719T06M", "D"))).await?);
    assert!(own != of_bureau && own != of_orly && !own.is_empty(), "{own} {of_bureau} {of_orly}");

    let germany = world.bureau("DE");
    for told in [&own, &of_orly] {
        germany.receives(&told.parse::<MessageId>().unwrap()).await?;
    }
    germany.send(verdict(&of_orly, pb::HitVerdict::Denied)).await?;
    germany.send(verdict(&own, pb::HitVerdict::Confirmed)).await?;
    let mut seen = pb::HitStatus::default();
    while seen.state() != pb::HitState::Confirmed {
        seen = live.next(PATIENCE).await?.expect("the watch goes on");
        assert_eq!((seen.id.as_str(), seen.station.as_str()), (own.as_str(), "cdg"));
    }
    let mut live_at_orly = orly.watch_hits(0, true).await?;
    while seen.state() != pb::HitState::Denied {
        seen = live_at_orly.next(PATIENCE).await?.expect("the watch goes on");
        assert_eq!(seen.id, of_orly);
    }

    // It ends with the grant, and does not begin with less than a leave to search.
    france.withdraws("cdg").await?;
    let ended = live.next(PATIENCE).await.unwrap_err();
    assert!(!matches!(ended, ClientError::Late(_)), "cut off");
    let checks = pb::Grant { verb: pb::PostVerb::CheckOnly.into(), ..airport(&name("orly")) };
    france.grants(checks).await?;
    let refused = orly.watch_hits(0, false).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::NotGranted);
    world.stop_all().await
}

fn hit(found: &pb::SearchResponse) -> String {
    found.answers[0].found[0].hit_id.clone()
}

fn verdict(hit: &str, verdict: pb::HitVerdict) -> pb::Draft {
    let form = pb::HitDecision { verdict: verdict.into(), remark: String::new() };
    let form = Some(pb::body::Form::HitDecision(form));
    let body = pb::Body { subject: "About a hit".into(), form, ..pb::Body::default() };
    let kind = pb::Kind::HitDecision.into();
    pb::Draft { kind, refers_to: hit.to_owned(), body: Some(body), ..pb::Draft::default() }
}

/// How a partner's frame is bent, and why it is refused with which field.
type Bent = (fn(&mut pb::SearchRequest), Reason, &'static str);

const PARTNERS_FRAMES: &[Bent] = &[
    (|frame| frame.purpose = pb::Purpose::BorderControl.into(), Reason::NotGranted, "purpose"),
    (|frame| frame.databases = vec![pb::Database::Tdawn.into()], Reason::NotGranted, "databases"),
    (|frame| frame.station = "cdg".into(), Reason::WrongField, "station"),
    (|frame| frame.officer.clear(), Reason::MissingData, "officer"),
];

fn screened(number: &str) -> pb::SearchRequest {
    pb::SearchRequest { purpose: pb::Purpose::Screening.into(), ..asked(passport(number, "D")) }
}

/// A partner of each country that may check SLTD.
async fn partners(world: &World) -> Result<Vec<Channel>, WorldError> {
    let mut partners = Vec::new();
    for (code, post) in [("FR", "oceanair"), ("JP", "skyline")] {
        let grant = pb::Grant {
            unit: pb::PostUnit::Partner.into(),
            verb: pb::PostVerb::CheckOnly.into(),
            databases: vec![pb::Database::Sltd.into()],
            ..airport(&name(post))
        };
        let credentials = world.post(code, post).await?;
        world.bureau(code).grants(grant).await?;
        partners.push(world.hub_channel(&credentials).await?);
    }
    Ok(partners)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_is_told_no_match_or_refer_and_nothing_else() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR", "JP"]).automatic(false).start().await?;
    germany_reports(&world).await?;
    let partners = partners(&world).await?;
    let mut france = SearchServiceClient::new(partners[0].clone());
    let mut japan = SearchServiceClient::new(partners[1].clone());
    // Sure or only possible, the same bytes; and so are nothing and what must not be seen.
    let only = |answer| pb::SearchResponse { answers: vec![answer], ..pb::SearchResponse::default() };
    let refer = only(pb::KeyAnswer {
        result: pb::SearchResult::Refer.into(),
        next_step: "refer whoever it is to the police; nothing has been established".into(),
        ..pb::KeyAnswer::default()
    });
    let result = pb::SearchResult::NoRecord.into();
    let no_match = only(pb::KeyAnswer { result, ..pb::KeyAnswer::default() });
    for (number, expected) in
        [("X4719T06M", &refer), ("X4719TO6M", &refer), ("L0000001K", &refer), ("X9999999X", &no_match)]
    {
        assert_eq!(france.search(screened(number)).await.unwrap().into_inner(), *expected, "{number}");
    }
    assert_eq!(japan.search(screened("L0000001K")).await.unwrap().into_inner(), no_match, "kept from Japan");
    // Their owner is told of the matches all the same, and of nothing that is only possible.
    let desk = world.bureau("DE").desk().await?;
    let stations = world.until("both hits to be entered", async || {
        let (mut hits, mut stations) = (desk.watch_hits(0, false).await?, Vec::new());
        while let Some(hit) = hits.next(PATIENCE).await? {
            stations.push(hit.station);
        }
        Ok((stations.len() >= 2).then_some(stations))
    });
    assert_eq!(stations.await?, ["oceanair", "oceanair"], "X4719T06M and L0000001K");

    for (bend, why, field) in PARTNERS_FRAMES {
        let mut bent = screened("X4719T06M");
        bend(&mut bent);
        assert_eq!(reason(&france.search(bent).await.unwrap_err()), (*why, (*field).to_owned()));
    }
    // Number, type and country, and nothing that has a name or a date in it.
    let zone = pb::SearchKey { key: Some(pb::search_key::Key::Mrz(ZONE.into())) };
    let bent = pb::SearchRequest { keys: vec![zone], ..screened("X4719T06M") };
    let answer = france.search(bent).await.unwrap().into_inner().answers.remove(0);
    assert_eq!(answer.result(), pb::SearchResult::Unspecified);
    assert_eq!(answer.refusal.unwrap().reason, "NOT_GRANTED");

    // No other verb, not even of what its own searches made.
    let not_granted = (Reason::NotGranted, "grant.verb".to_owned());
    let refused = france.watch_hits(pb::WatchHitsRequest::default()).await.unwrap_err();
    assert_eq!(reason(&refused), not_granted);
    let mut copies = CopyServiceClient::new(partners[0].clone());
    let copy =
        pb::FetchCopyRequest { database: pb::Database::Sltd.into(), ..pb::FetchCopyRequest::default() };
    assert_eq!(reason(&copies.fetch_copy(copy).await.unwrap_err()), not_granted);
    let searches = pb::HandInSearchesRequest::default();
    assert_eq!(reason(&copies.hand_in_searches(searches).await.unwrap_err()), not_granted);
    world.stop_all().await
}

/// A frame with one key, as a gate sends it: the station is the post.
fn asked(key: pb::SearchKey) -> pb::SearchRequest {
    pb::SearchRequest { station: String::new(), ..frame(vec![key]) }
}

fn reason(status: &tonic::Status) -> (Reason, String) {
    let refusal = i247_wire::refusal(status).unwrap();
    (refusal.reason, refusal.fields[0].clone())
}

fn withdrawn(post: &str) -> pb::Grant {
    pb::Grant { post: post.into(), withdrawn: true, ..pb::Grant::default() }
}
