//! What is wrong is said, with where to look, and is over when it is over. Every rule is provoked by its cause.

mod causes;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use i247_ledger::faults::BreakableDisk;
use i247_testkit::{World, WorldError, diffusion, free_text, pb, red_form, withdrawal};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Waits for an alert of this rule about this party; empty for the hub.
pub(crate) async fn said(world: &World, rule: &str, party: &str) -> Result<pb::Alert, WorldError> {
    let monitor = world.monitor().await?;
    world
        .until(&format!("{rule} about {party:?}"), async || {
            let alerts = monitor.alerts(false).await?.alerts;
            Ok(alerts.into_iter().find(|alert| alert.rule == rule && alert.party == party))
        })
        .await
}

/// Waits until there is none any more.
pub(crate) async fn over(world: &World, rule: &str, party: &str) -> Result<(), WorldError> {
    let monitor = world.monitor().await?;
    world
        .until(&format!("{rule} about {party:?} to be over"), async || {
            let alerts = monitor.alerts(true).await?.alerts;
            let of = |alert: &&pb::Alert| alert.rule == rule && alert.party == party;
            let (lasting, cleared): (Vec<_>, Vec<_>) =
                alerts.iter().filter(of).partition(|alert| alert.cleared_at_ms == 0);
            let ended = cleared.iter().all(|alert| alert.cleared_at_ms >= alert.first_seen_ms);
            Ok((lasting.is_empty() && !cleared.is_empty() && ended).then_some(()))
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_down_and_what_waits_for_it_are_alerts_until_it_is_back() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).start().await?;
    let france = world.bureau("FR");
    let taken = france.send(diffusion(red_form("PARDEL", "TESSA"), &["BR"])).await?;
    world.bureau("BR").receives(&taken.id).await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let mut urgent = free_text(&["BR"], "at once");
    urgent.lane = pb::Lane::VeryUrgent.into();
    let urgent = france.send(urgent).await?;
    let withdrawn = france.send(withdrawal(&taken)).await?;
    france.accepted(&withdrawn).await?;
    world.advance(MINUTE + Duration::from_secs(1));
    let alert = said(&world, "very_urgent_undelivered", "BR").await?;
    assert_eq!(
        (alert.message_id.as_str(), alert.severity()),
        (urgent.id.to_string().as_str(), pb::AlertSeverity::Critical)
    );
    assert!(alert.next_step.contains(&format!("i247 trace {}", urgent.id)), "{}", alert.next_step);
    assert!(said(&world, "link_down", "BR").await?.text.starts_with("BR has not been connected for"));
    world.advance(HOUR);
    assert_eq!(said(&world, "withdrawal_unacknowledged", "BR").await?.message_id, withdrawn.id.to_string());
    // The picture says the same.
    assert_eq!(
        world.monitor().await?.country("BR").await?.flow.unwrap().worst(),
        pb::AlertSeverity::Critical
    );
    world.heal("BR");
    world.bureau("BR").receives(&urgent.id).await?;
    for rule in ["very_urgent_undelivered", "link_down", "withdrawal_unacknowledged"] {
        over(&world, rule, "BR").await?;
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_overdue_is_an_alert_until_it_is_given() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).automatic(false).start().await?;
    let question = world.bureau("FR").ask(["BR"]).within(HOUR, &world).send().await?;
    world.bureau("BR").receives(&question.id).await?;
    world.advance(HOUR + MINUTE);
    assert_eq!(
        said(&world, "replies_overdue", "BR").await?.text,
        "answers that BR owes and that are overdue: 1"
    );
    let answer = i247_testkit::reply(&question.id, pb::Outcome::Negative, pb::ReplyStage::Final);
    world.bureau("BR").send(answer).await?;
    world.bureau("FR").reply_to(&question, "BR").await?;
    over(&world, "replies_overdue", "BR").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_alerts_in_the_last_quarter_of_their_life() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    // They last thirty days.
    world.advance(22 * DAY);
    assert!(
        world
            .monitor()
            .await?
            .alerts(false)
            .await?
            .alerts
            .iter()
            .all(|alert| alert.rule != "certificate_ends")
    );
    world.advance(DAY);
    let alert = said(&world, "certificate_ends", "FR").await?;
    assert!(alert.text.contains("certificate of FR ends in"), "{}", alert.text);
    assert!(said(&world, "certificate_ends", "IPSG").await?.text.contains("certificate of the hub ends in"));
    world.stop_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_is_an_alert_before_and_after_it_is_full() -> Result<(), WorldError> {
    let disk = BreakableDisk::new(7);
    let world =
        World::of(["FR", "BR"]).hub_disk(Arc::new(disk.clone())).segment_bytes(64 * 1024).start().await?;
    disk.set_capacity(Some(disk.used() + disk.used() / 10));
    let alert = said(&world, "disk_low", "").await?;
    assert!(alert.text.contains("% of the disk of the log is free"), "{}", alert.text);
    disk.set_capacity(Some(disk.used()));
    // The room of the present segment is taken already; then it is full.
    world.bureau("FR").flood(&["BR"], 150).await?;
    assert_eq!(said(&world, "hub_not_writable", "").await?.severity(), pb::AlertSeverity::Critical);
    world.not_serving("hub").await?;
    for (service, serves) in [("Exchange", false), ("Directory", false), ("Review", false), ("Monitor", true)]
    {
        assert_eq!(world.hub_serves(&format!("i247.v1.{service}Service")).await?, serves, "{service}");
    }
    disk.set_capacity(None);
    over(&world, "hub_not_writable", "").await?;
    over(&world, "disk_low", "").await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong_is_an_alert() -> Result<(), WorldError> {
    let world = World::of(["FR", "BR"]).clock_ahead("BR", Duration::from_secs(5)).start().await?;
    let alert = said(&world, "clock_skew", "BR").await?;
    assert!(alert.text.contains("ahead of the hub's"), "{}", alert.text);
    let all = world.monitor().await?.alerts(false).await?.alerts;
    assert!(all.iter().all(|alert| alert.rule != "clock_skew" || alert.party == "BR"), "{all:?}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_says_what_it_watches_and_what_to_do() -> Result<(), WorldError> {
    let world = World::of(["FR"]).start().await?;
    let rules = world.monitor().await?.alerts(false).await?.rules;
    assert_eq!(rules.len(), 17);
    let called_by = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/i247.rules.test.yml");
    let called_by = std::fs::read_to_string(called_by).unwrap();
    for rule in rules {
        assert!(!rule.about.is_empty() && !rule.next_step.is_empty(), "{rule:?}");
        let label = match rule.severity() {
            pb::AlertSeverity::Critical => "critical",
            pb::AlertSeverity::Warning => "warning",
            _ => "notice",
        };
        let series = format!("i247_alerts{{rule=\"{}\",severity=\"{label}\"}}", rule.name);
        assert!(called_by.contains(&series), "no unit test of Prometheus has {series}");
    }
    world.finish().await
}
