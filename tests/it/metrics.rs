//! What a hub and a bureau measure has the names that `deploy/prometheus/metrics.txt` says; rules and dashboards name
//! nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use i247_client::Monitor;
use i247_model::Identity;
use i247_testkit::{World, WorldError, country, free_text, pb};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::search::{ask, germany_reports, passport, searches};

const HOUR: Duration = Duration::from_secs(3600);

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// The names that a kind of node must have, and those that it may have, each with its type.
fn golden(of: &str) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut must, mut may) = (BTreeMap::new(), BTreeMap::new());
    let text = std::fs::read_to_string(deploy("prometheus/metrics.txt")).unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == of {
            let table = if words.get(3) == Some(&"?") { &mut may } else { &mut must };
            table.insert(words[1].to_owned(), words[2].to_owned());
        }
    }
    (must, may)
}

pub(crate) async fn page(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}

fn types(page: &str) -> BTreeMap<String, String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let named = lines.filter_map(|line| line.split_once(' '));
    let ours = named.filter(|(name, _)| name.starts_with("i247_"));
    ours.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hub_and_bureau_measure_what_the_list_says_by_these_names() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).metrics().start().await?;
    let (france, brazil) = (world.bureau("FR"), world.bureau("BR"));
    let question = france.ask(["BR"]).about("PARDEL", "TESSA IRIS").send().await?;
    france.reply_to(&question, "BR").await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let mut short = free_text(&["BR"], "of today only");
    short.expires_at_ms = world.seams().clock.now().plus(HOUR).as_millis();
    let short = france.send(short).await?;
    france.accepted(&short).await?;
    world.advance(HOUR);
    france.stands(&short, "closed", |status| status.closed).await?;
    // What nobody may: a refusal.
    let mut pen = world.pen("JP").await?;
    let refused = pen.sign(&pen.letter(free_text(&["JP"], "to myself")));
    assert!(pen.submit(&refused).await.is_err());
    world.heal("BR");
    let last = france.tell(&["BR"], "and goes on").await?;
    brazil.receives(&last.id).await?;

    for (node, of) in [("hub", "hub"), ("FR", "bureau")] {
        let address = world.metrics_address(node).await.unwrap();
        let (must, may) = golden(of);
        let found = world
            .until(&format!("all metrics of {node}"), async || {
                let found = types(&page(address).await);
                Ok(must.keys().all(|name| found.contains_key(name)).then_some(found))
            })
            .await;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let found = types(&page(address).await);
                let missing: Vec<_> = must.keys().filter(|name| !found.contains_key(*name)).collect();
                panic!("{error}; {node} does not show {missing:?}");
            }
        };
        for (name, kind) in &found {
            assert_eq!(
                must.get(name).or(may.get(name)),
                Some(kind),
                "{node} shows {name}, which is not in the list"
            );
        }
    }
    for line in [
        "i247_messages_accepted_total{kind=\"request\"} 1",
        "i247_expired_total{lane=\"normal\"} 1",
        "i247_links_expected 3",
        "i247_behind_log 0",
        "i247_log_unreadable{part=\"body\"} 0",
        "i247_tls_handshakes_total{group=\"X25519MLKEM768\"}",
        "i247_outbox_depth{country=\"BR\",lane=\"normal\"} 0",
    ] {
        // What moved is counted a little later than it did.
        world
            .until(line, async || {
                let shown = page(world.metrics_address("hub").await.unwrap()).await;
                Ok(shown.contains(line).then_some(()))
            })
            .await?;
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_of_keys_is_measured_in_each_database_that_it_asked() -> Result<(), WorldError> {
    let world = World::of(["DE", "FR"]).metrics().start().await?;
    germany_reports(&world).await?;
    let mut searches = searches(&world, "FR").await?;
    let sure = ["X4719T06M", "X9999999X"].map(|number| passport(number, "D"));
    ask(&mut searches, sure.to_vec()).await?;
    // An O that may be a nought.
    ask(&mut searches, vec![passport("X4719TO6M", "D")]).await?;
    let shown = page(world.metrics_address("hub").await.unwrap()).await;
    for line in [
        "i247_search_seconds_count{db=\"sltd\",hit=\"match\"} 1",
        "i247_search_seconds_count{db=\"sltd\",hit=\"possible\"} 1",
        "i247_search_seconds_count{db=\"tdawn\",hit=\"none\"} 2",
        "i247_search_frame_seconds_count 2",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
    let told = world.monitor().await?.databases(0).await?.databases;
    let of = |database: pb::Database| told.iter().find(|one| one.database() == database).unwrap();
    for database in [pb::Database::Sltd, pb::Database::Tdawn] {
        let of = of(database);
        assert!(1 <= of.look_up_p50_ms && of.look_up_p50_ms <= of.look_up_p99_ms, "{of:?}");
    }
    let vessels = of(pb::Database::Vessels);
    assert_eq!((vessels.asked, vessels.look_up_p50_ms, vessels.look_up_p99_ms), (0, 0, 0));
    world.finish().await
}

/// The value of the line that begins so, if there is one.
async fn value(world: &World, node: &str, begins: &str) -> Option<f64> {
    let shown = page(world.metrics_address(node).await.unwrap()).await;
    shown.lines().find_map(|line| line.strip_prefix(begins)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_denies_is_measured_and_how_soon_a_revocation_counts_and_when_keys_were_renewed()
-> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).metrics().start().await?;
    // A bureau is no operator.
    let japan = Identity::Bureau(country("JP"));
    let monitor = Monitor::new(world.hub_channel(&world.credentials(&japan).await?).await?);
    for _ in 0..2 {
        assert!(monitor.trace("FR-1-N-1").await.is_err());
    }
    let denied = value(&world, "hub", "i247_policy_denied_total{rule=\"i247.v1.MonitorService/Trace\"}");
    assert_eq!(denied.await, Some(2.0));
    world.revoke(&japan).await?;
    let within = |within: &'static str| format!("i247_revocation_effect_seconds_{within}");
    let once = world.until("a revocation that counts", async || {
        Ok(value(&world, "hub", &within("count")).await.filter(|count| *count == 1.0))
    });
    once.await?;
    assert_eq!(value(&world, "hub", &within("bucket{le=\"10\"}")).await, Some(1.0));

    let rotated = "i247_rotation_last_success_seconds";
    assert_eq!(value(&world, "FR", rotated).await, None);
    let before = world.seams().clock.now().as_millis() as f64 / 1000.0;
    world.new_signing_key("FR").await?;
    world.advance(Duration::from_secs(60));
    let renewed = world.until("a renewal", async || Ok(value(&world, "FR", rotated).await)).await?;
    let after = world.seams().clock.now().as_millis() as f64 / 1000.0;
    assert!((before..=after).contains(&renewed), "{before} {renewed} {after}");
    assert_eq!(value(&world, "hub", rotated).await, None);
    world.stop_all().await
}

/// Every metric that a text names, without what Prometheus adds to a histogram.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c)).filter(|word| word.starts_with("i247_"));
    let plain = |word: &str| {
        let end = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| word.strip_suffix(end));
        end.unwrap_or(word).to_owned()
    };
    words.map(plain).collect()
}

#[test]
fn rules_and_dashboards_name_only_metrics_that_there_are() {
    let mut all = BTreeSet::new();
    for of in ["hub", "bureau", "console"] {
        let (must, may) = golden(of);
        all.extend(must.into_keys().chain(may.into_keys()));
    }
    for file in [
        "prometheus/i247.rules.yml",
        "prometheus/i247.rules.test.yml",
        "grafana/i247.json",
        "grafana/bureaus.json",
    ] {
        let text = std::fs::read_to_string(deploy(file)).unwrap();
        let strangers: Vec<String> = named(&text).difference(&all).cloned().collect();
        assert!(strangers.is_empty(), "{file} names {strangers:?}");
        assert!(named(&text).len() > 5, "{file} was not understood");
    }
}

#[test]
fn every_rule_of_prometheus_is_seen_to_fire_in_a_unit_test() {
    let read = |file: &str| std::fs::read_to_string(deploy(file)).unwrap();
    let (rules, tests) = (read("prometheus/i247.rules.yml"), read("prometheus/i247.rules.test.yml"));
    let mut fires = BTreeSet::new();
    let mut lines = tests.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("alertname: ")
            && lines.peek() == Some(&"exp_alerts:")
        {
            fires.insert(name);
        }
    }
    let named = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let untested: Vec<&str> = named.filter(|name| !fires.contains(name)).collect();
    assert!(untested.is_empty(), "no unit test has them fire: {untested:?}");
    let recorded = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    for name in recorded {
        assert!(tests.contains(&format!("- expr: {name}\n")), "no unit test asks for {name}");
    }
}

#[test]
fn dashboards_have_each_panel_once_and_none_upon_another() {
    for file in ["grafana/i247.json", "grafana/bureaus.json"] {
        let board: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(deploy(file)).unwrap()).unwrap();
        let source = &board["templating"]["list"][0];
        assert_eq!((&source["name"], &source["query"]), (&"datasource".into(), &"prometheus".into()));
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in board["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: {}", panel["title"]);
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{file}: {}", panel["title"]);
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{file}: {}", panel["title"]);
            let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            let (x, y) = (place("x")..place("x") + place("w"), place("y")..place("y") + place("h"));
            assert!(x.end <= 24, "{file}: {} is off the page", panel["title"]);
            for cell in x.flat_map(|x| y.clone().map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{file}: {} lies upon another", panel["title"]);
            }
        }
    }
}

#[test]
fn the_dashboard_marks_copies_from_two_days_on_and_from_seven() {
    let text = std::fs::read_to_string(deploy("grafana/i247.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&text).unwrap();
    let of_copies = |panel: &&serde_json::Value| {
        panel["targets"][0]["expr"]
            .as_str()
            .is_some_and(|expr| expr.contains("i247_snapshot_staleness_seconds"))
    };
    let panel = board["panels"].as_array().unwrap().iter().find(of_copies).unwrap();
    let defaults = &panel["fieldConfig"]["defaults"];
    assert_eq!(defaults["unit"], "s");
    let steps = defaults["thresholds"]["steps"].as_array().unwrap();
    let from: Vec<Option<u64>> = steps.iter().map(|step| step["value"].as_u64()).collect();
    assert_eq!(from, [None, Some(172_800), Some(604_800)]);
    // The same as where a copy warns, and where it does not answer any more.
    let (old, refused) = (i247_records::offline::OLD_AFTER, i247_records::offline::REFUSED_AFTER);
    assert_eq!((old.as_secs(), refused.as_secs()), (172_800, 604_800));
}
