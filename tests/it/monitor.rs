//! What operators see: ticks, single messages, the last hour, pages of messages, countries, numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use i247_model::{Identity, Kind};
use i247_testkit::{
    World, WorldError, country, diffusion, free_text, name, notice_request, pb, red_form, withdrawal,
};

/// Within so much time a message is seen by those who watch.
const SEEN_WITHIN: Duration = Duration::from_millis(500);

fn of(parties: &[&str]) -> pb::FlowFilter {
    pb::FlowFilter {
        parties: parties.iter().map(|party| (*party).to_owned()).collect(),
        ..pb::FlowFilter::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_seen_within_half_a_second_and_its_queue_too() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    let monitor = world.monitor().await?;
    world.cut("JP");
    world.unlinked("JP").await?;
    let mut ticks = monitor.watch(pb::FlowFilter::default(), 100).await?;
    let first = ticks.message().await.unwrap().unwrap().tick.unwrap();
    let stands: BTreeMap<&str, bool> =
        first.countries.iter().map(|one| (one.party.as_str(), one.connected)).collect();
    assert_eq!(stands, BTreeMap::from([("BR", true), ("FR", true), ("JP", false)]));
    assert_eq!(first.numbers.unwrap().links_connected, 2);

    let sent = world.bureau("FR").tell(&["BR", "JP"], "who sees this").await?;
    let (mut accepted, mut delivered, mut queued) = (0, 0, 0);
    let seen = tokio::time::timeout(2 * SEEN_WITHIN, async {
        while (accepted, delivered, queued) != (2, 1, 1) {
            let tick = ticks.message().await.unwrap().unwrap().tick.unwrap();
            for link in tick.links {
                assert_eq!((link.from.as_str(), link.kind()), ("FR", pb::Kind::FreeText));
                accepted += link.accepted;
                delivered += link.delivered;
            }
            let japan = tick.countries.iter().find(|one| one.party == "JP");
            queued = japan.map_or(queued, |japan| japan.queued.iter().sum());
        }
    });
    assert!(seen.await.is_ok(), "accepted {accepted}, delivered {delivered}, queued {queued}");
    world.bureau("BR").receives(&sent.id).await?;
    world.heal("JP");
    world.bureau("JP").receives(&sent.id).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_taps_sees_the_messages_that_fit_and_no_others() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    let monitor = world.monitor().await?;
    let filter = pb::FlowFilter { kinds: vec![pb::Kind::Diffusion.into()], ..of(&["BR"]) };
    let mut taps = monitor.tap(filter, 0).await?;
    let (france, brazil) = (world.bureau("FR"), world.bureau("BR"));
    france.tell(&["BR"], "not a diffusion").await?;
    france.send(diffusion(red_form("PARDEL", "TESSA"), &["JP"])).await?;
    let sent = france.send(diffusion(red_form("PARDEL", "TESSA"), &["BR", "JP"])).await?;
    brazil.receives(&sent.id).await?;
    let mut events = Vec::new();
    while events.len() < 2 {
        events.extend(taps.message().await.unwrap().unwrap().events);
    }
    // What is for others besides is accepted as a whole; what becomes of it there is none of Brazil's.
    assert_eq!((events[0].event.as_str(), events[0].to.as_str(), events[0].recipients), ("accepted", "", 2));
    let event = &events[1];
    assert_eq!((event.event.as_str(), event.to.as_str()), ("delivered", "BR"));
    for event in &events[..2] {
        assert_eq!(event.id, sent.id.to_string());
        assert_eq!(
            (event.kind(), event.from.as_str(), event.position > 0),
            (pb::Kind::Diffusion, "FR", true)
        );
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_tap_has_no_room_for_is_left_out_and_counted() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let monitor = world.monitor().await?;
    let mut taps = monitor.tap(of(&["FR"]), 1).await?;
    let flood = world.bureau("FR").flood(&["BR"], 20).await?;
    // Each is accepted and delivered.
    let (mut shown, mut left_out) = (0, 0);
    let counted = tokio::time::timeout(Duration::from_secs(60), async {
        while shown + left_out < 40 {
            let told = taps.message().await.unwrap().unwrap();
            assert!(told.events.len() <= 1, "{told:?}");
            shown += told.events.len() as u64;
            left_out += told.left_out;
        }
    });
    assert!(counted.await.is_ok(), "{shown} shown, {left_out} left out");
    assert!(shown + left_out == 40 && shown < 40, "{shown} shown, {left_out} left out");
    // Whoever reads it opens it: not before it was counted.
    world.bureau("BR").receives_all(&flood).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_entry_are_found_on_two_pages() -> Result<(), WorldError> {
    const HOUR: Duration = Duration::from_secs(3600);
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let question = world.bureau("FR").ask(["BR", "JP"]).within(HOUR, &world).send().await?;
    world.bureau("BR").receives(&question.id).await?;
    world.bureau("JP").receives(&question.id).await?;
    // Both are reminded by the same entry.
    world.advance(HOUR);
    world.bureau("BR").receives_about(Kind::Reminder, &question.id).await?;
    world.bureau("JP").receives_about(Kind::Reminder, &question.id).await?;
    let monitor = world.monitor().await?;
    let page = async |after| {
        let kinds = vec![pb::Kind::Reminder.into()];
        monitor.find_messages(pb::FindMessagesRequest { kinds, limit: 1, after, ..Default::default() }).await
    };
    let first = page(Default::default()).await?;
    let second = page(first.next.clone()).await?;
    let (first, second) = (&first.rows[0], &second.rows[0]);
    assert_eq!(first.position, second.position);
    let mut to = [first.to[0].as_str(), second.to[0].as_str()];
    to.sort_unstable();
    assert_eq!(to, ["BR", "JP"]);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_hour_is_played_again() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let monitor = world.monitor().await?;
    for _ in 0..3 {
        let sent = world.bureau("FR").tell(&["BR"], "again").await?;
        world.bureau("BR").receives(&sent.id).await?;
    }
    let moved = |seconds: &[pb::FlowTick]| -> (u32, u32) {
        let links = seconds.iter().flat_map(|second| &second.links);
        let links: Vec<_> = links.filter(|link| link.from == "FR" && link.to == "BR").collect();
        (links.iter().map(|link| link.accepted).sum(), links.iter().map(|link| link.delivered).sum())
    };
    let seconds = world
        .until("the seconds in which something moved", async || {
            let mut replay = monitor.replay(pb::ReplayRequest::default()).await?;
            let mut seconds = Vec::new();
            while let Some(part) = replay.message().await.unwrap() {
                seconds.extend(part.seconds);
            }
            Ok((moved(&seconds) == (3, 3)).then_some(seconds))
        })
        .await?;
    let times: Vec<u64> = seconds.iter().skip(1).map(|second| second.at_ms).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
    let last = seconds.iter().flat_map(|second| &second.countries).rfind(|one| one.party == "BR").unwrap();
    assert!(last.connected && last.queued == [0, 0, 0, 0], "{last:?}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_found_page_by_page_open_or_closed_in_memory_or_on_disk() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let (france, brazil) = (world.bureau("FR"), world.bureau("BR"));
    let flood = france.flood(&["BR"], 25).await?;
    brazil.receives_all(&flood).await?;
    let question = france.ask(["BR", "JP"]).about("PARDEL", "TESSA IRIS").send().await?;
    brazil.receives(&question.id).await?;
    let answer =
        brazil.send(i247_testkit::reply(&question.id, pb::Outcome::Negative, pb::ReplyStage::Final)).await?;
    france.receives(&answer.id).await?;
    // From here on what is closed is found on disk.
    world.stop_hub().await?;
    world.start_hub().await?;
    world.linked("BR").await?;
    let monitor = world.monitor().await?;
    let page = async |asked: pb::FindMessagesRequest| monitor.find_messages(asked).await;

    let mut found = Vec::new();
    let mut after = Default::default();
    loop {
        let asked = pb::FindMessagesRequest { from: "FR".into(), limit: 10, after, ..Default::default() };
        let answer = page(asked).await?;
        assert!(answer.rows.len() <= 10);
        found.extend(answer.rows.into_iter().map(|row| row.id));
        after = answer.next;
        if after.is_empty() {
            break;
        }
    }
    let mut expected: Vec<String> = flood.iter().map(|sent| sent.id.to_string()).collect();
    expected.push(question.id.to_string());
    expected.reverse();
    assert_eq!(found, expected, "the newest first, each once");

    let of_conversation =
        page(pb::FindMessagesRequest { conversation: question.id.to_string(), ..Default::default() });
    let rows = of_conversation.await?.rows;
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, [answer.id.to_string(), question.id.to_string()]);
    assert_eq!(
        (rows[1].answers_owed, rows[1].recipients, rows[1].to.clone()),
        (1, 2, vec!["BR".to_owned(), "JP".into()])
    );

    let of_kind = page(pb::FindMessagesRequest {
        kinds: vec![pb::Kind::Request.into()],
        state: pb::MessageFilterState::Open.into(),
        to: "JP".into(),
        ..Default::default()
    });
    assert_eq!(of_kind.await?.rows.len(), 1);
    let until = page(pb::FindMessagesRequest { until_ms: rows[1].accepted_at_ms, ..Default::default() });
    assert!(until.await?.rows.iter().all(|row| row.kind() == pb::Kind::FreeText));
    let prefix = page(pb::FindMessagesRequest { id_prefix: "BR-".into(), ..Default::default() });
    assert_eq!(prefix.await?.rows.len(), 1);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saved_questions_find_what_is_overdue_unopened_and_not_acknowledged() -> Result<(), WorldError> {
    const SOON: Duration = Duration::from_secs(600);
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let monitor = world.monitor().await?;
    let france = world.bureau("FR");
    let question = france.ask(["BR"]).within(SOON, &world).send().await?;
    let mut urgent = free_text(&["BR"], "at once");
    urgent.lane = pb::Lane::Urgent.into();
    let urgent = france.send(urgent).await?;
    let taken = france.send(diffusion(red_form("PARDEL", "TESSA"), &["BR", "JP"])).await?;
    world.bureau("BR").receives_all(&[question.clone(), urgent.clone(), taken.clone()]).await?;
    world.bureau("JP").receives(&taken.id).await?;
    world.cut("JP");
    world.unlinked("JP").await?;
    let withdrawn = france.send(withdrawal(&taken)).await?;
    world.bureau("BR").receives_about(Kind::Withdrawal, &taken.id).await?;
    world.advance(SOON + Duration::from_secs(1));
    let finds = async |state: pb::MessageFilterState, id: String| {
        let what = format!("{id} as {}", state.as_str_name());
        world
            .until(&what, async || {
                let asked = pb::FindMessagesRequest { state: state.into(), ..Default::default() };
                let rows = monitor.find_messages(asked).await?.rows;
                Ok((rows.len() == 1 && rows[0].id == id).then_some(()))
            })
            .await
    };
    finds(pb::MessageFilterState::Overdue, question.id.to_string()).await?;
    finds(pb::MessageFilterState::UrgentNotOpened, urgent.id.to_string()).await?;
    finds(pb::MessageFilterState::WithdrawalNotAcknowledged, withdrawn.id.to_string()).await?;
    // The matrix and the country say the same.
    let pair = world
        .until("an overdue answer in the matrix", async || {
            let statistics = monitor.statistics(3600).await?;
            let owed = |pair: &pb::PairStatistics| {
                // What moved is counted a little later than it did.
                let counted = pair.accepted >= 4 && pair.delivered >= 4;
                counted && pair.from == "FR" && pair.to == "BR" && pair.overdue == 1
            };
            Ok(statistics.pairs.into_iter().find(owed))
        })
        .await?;
    assert_eq!(pair.failed, 0);
    let brazil = monitor.country("BR").await?;
    let replies = brazil.replies.unwrap();
    assert_eq!(
        (replies.owed, replies.overdue, brazil.overdue[0].request_id.clone()),
        (1, 1, question.id.to_string())
    );
    world.heal("JP");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_country_shows_its_queues_its_link_and_its_certificates() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let monitor = world.monitor().await?;
    let question = world.bureau("FR").ask(["BR"]).about("PARDEL", "TESSA IRIS").send().await?;
    world.bureau("FR").reply_to(&question, "BR").await?;
    let country = world
        .until("an answer that is counted", async || {
            let country = monitor.country("BR").await?;
            Ok(country.replies.is_some_and(|replies| replies.answered == 1).then_some(country))
        })
        .await?;
    assert_eq!((country.name.as_str(), country.region.as_str()), ("Brazil", "Americas"));
    let link = country.link.unwrap();
    assert!(link.connected && link.post_quantum && link.credit > 0, "{link:?}");
    assert_eq!((link.tls_version.as_str(), link.tls_group.as_str()), ("TLSv1_3", "X25519MLKEM768"));
    assert!(link.clock_skew_ms.unwrap().abs() < 1000 && link.program.starts_with("i247 "), "{link:?}");
    let purposes: Vec<&str> = country.certificates.iter().map(|one| one.purpose.as_str()).collect();
    assert_eq!(purposes, ["tls", "signing"]);
    assert!(country.certificates.iter().all(|one| one.not_after_ms > country.at_ms));
    let replies = country.replies.unwrap();
    assert_eq!((replies.in_time, replies.owed), (1, 0));
    assert_eq!(country.received_per_minute.iter().sum::<u32>(), 1);

    world.cut("BR");
    world.unlinked("BR").await?;
    let waits = world.bureau("FR").tell(&["BR"], "later").await?;
    world.bureau("FR").accepted(&waits).await?;
    let country = monitor.country("BR").await?;
    let normal = country.lanes.iter().find(|lane| lane.lane() == pb::Lane::Normal).unwrap();
    assert_eq!((normal.queued, normal.oldest_id.as_str()), (1, waits.id.to_string().as_str()));
    assert!(!country.link.unwrap().connected);
    assert!(monitor.country("XX").await.is_err(), "XX is no country");
    world.heal("BR");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looks_something_up_stands_in_the_audit() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let monitor = world.monitor().await?;
    let sent = world.bureau("FR").tell(&["BR"], "a text that no book holds").await?;
    world.bureau("BR").receives(&sent.id).await?;
    monitor.trace(&sent.id.to_string()).await?;
    monitor.country("BR").await?;
    monitor.find_messages(pb::FindMessagesRequest { to: "BR".into(), ..Default::default() }).await?;
    for _ in 0..5 {
        monitor.statistics(0).await?;
    }
    drop(monitor.tap(of(&["BR"]), 0).await?);
    // Several people look through one console.
    monitor.clone().for_person(&name("anna")).country("FR").await?;
    let lookups = world.dir().join("hub/data/lookups");
    let mut written = String::new();
    for day in std::fs::read_dir(&lookups).unwrap() {
        written += &std::fs::read_to_string(day.unwrap().path()).unwrap();
    }
    let lines =
        |call: &str| written.lines().filter(|line| line.contains(&format!("\"call\":\"{call}\""))).count();
    assert_eq!(
        (lines("Trace"), lines("Country"), lines("FindMessages"), lines("Statistics"), lines("Tap")),
        (1, 2, 1, 1, 1),
        "{written}"
    );
    assert!(
        written.contains("operator/ops\",\"person\":\"anna\",\"call\":\"Country\",\"asked\":\"FR\""),
        "{written}"
    );
    assert!(written.contains("operator/ops\",\"call\":\"Country\",\"asked\":\"BR\""), "{written}");
    assert!(written.contains("operator/ops") && written.contains("\"asked\":\"to=BR\""), "{written}");
    assert!(written.contains(&sent.id.to_string()) && !written.contains("a text"), "{written}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_says_who_signed_why_each_receives_and_where_the_log_has_it() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    let monitor = world.monitor().await?;
    let taken = world.bureau("FR").send(diffusion(red_form("PARDEL", "TESSA"), &["BR", "JP"])).await?;
    world.bureau("BR").receives(&taken.id).await?;
    world.bureau("JP").receives(&taken.id).await?;
    let withdrawn = world.bureau("FR").send(withdrawal(&taken)).await?;
    world.bureau("BR").receives_about(Kind::Withdrawal, &taken.id).await?;

    let trace = monitor.trace(&taken.id.to_string()).await?;
    let rules: Vec<(&str, pb::Rule)> =
        trace.recipients.iter().map(|one| (one.party.as_str(), one.rule())).collect();
    assert_eq!(rules, [("BR", pb::Rule::Named), ("JP", pb::Rule::Named)]);
    let signature = trace.signature.unwrap();
    assert!(signature.holds && signature.count >= 1, "{signature:?}");
    let chain: Vec<&str> = signature.chain.iter().map(|one| one.identity.as_str()).collect();
    assert_eq!(chain, ["spiffe://i247.test/ncb/fr", "spiffe://i247.test/gs/authority"]);
    assert_eq!(signature.chain[0].issuer, "spiffe://i247.test/gs/authority");
    let place = trace.place.unwrap();
    assert_eq!((place.position, place.body.as_str()), (trace.status.unwrap().position, "present"));
    assert_eq!(trace.header.unwrap().audience, ["BR", "JP"]);
    assert_eq!((trace.conversation, trace.refusal), (taken.id.to_string(), None));

    let trace = monitor.trace(&withdrawn.id.to_string()).await?;
    assert!(trace.recipients.iter().all(|one| one.rule() == pb::Rule::Referred), "{:?}", trace.recipients);
    assert_eq!(trace.recipients.len(), 2);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_and_identities_are_listed() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let monitor = world.monitor().await?;
    let first = world.bureau("FR").send(notice_request(red_form("PARDEL", "TESSA"), &["JP"])).await?;
    let published = world.publish(&first).await?;
    let second = world.bureau("FR").send(notice_request(red_form("MARLOWE", "IRIS"), &[])).await?;
    world.until_pending(&second.id).await?;
    let all = monitor.notices(pb::NoticesRequest::default()).await?;
    let states: Vec<(pb::NoticeState, u32)> =
        all.notices.iter().map(|one| (one.state(), one.except)).collect();
    assert_eq!(states, [(pb::NoticeState::InForce, 1), (pb::NoticeState::Pending, 0)]);
    assert_eq!(all.notices[0].notice_id, published.notice_id);
    assert_eq!((all.counts.len(), all.counts[0].in_force, all.counts[0].pending), (1, 1, 1));
    let page = monitor.notices(pb::NoticesRequest { limit: 1, ..Default::default() }).await?;
    assert_eq!((page.notices.len(), page.next.as_str()), (1, all.notices[0].notice_id.as_str()));
    let pending = monitor.notices(pb::NoticesRequest { pending: true, ..Default::default() }).await?;
    assert_eq!(pending.notices[0].request_id, second.id.to_string());

    world.suspend(&Identity::Bureau(country("BR"))).await?;
    let identities = monitor.identities().await?;
    let standing = |path: &str| {
        let found =
            identities.identities.iter().find(|one| one.identity == format!("spiffe://i247.test/{path}"));
        found.map(|one| {
            (one.standing(), one.certificates.iter().any(|one| one.purpose == "signing"), one.changes)
        })
    };
    assert_eq!(standing("ncb/fr"), Some((pb::Standing::Active, true, 1)));
    assert_eq!(standing("ncb/br"), Some((pb::Standing::Suspended, true, 2)));
    assert_eq!(standing("gs/reviewer/lena"), Some((pb::Standing::Active, true, 1)));
    assert_eq!(identities.authority.unwrap().identity, "spiffe://i247.test/gs/authority");
    world.stop_all().await
}
