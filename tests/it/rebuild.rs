//! Everything but the log can be thrown away: what is made anew from it is the same network.

use std::path::Path;
use std::sync::Arc;

use i247_hub::Hub;
use i247_ledger::Inline;
use i247_ledger::disk::OsDisk;
use i247_model::{Identity, Kind};
use i247_node::Seams;
use i247_testkit::{World, WorldError, country, diffusion, notice_request, red_form, withdrawal};
use i247_trust::Credentials;
use tokio_util::sync::CancellationToken;

/// A bit of everything: notices, questions, a diffusion taken back, a suspension, somebody who is away.
async fn some_history(world: &World) -> Result<(), WorldError> {
    let france = world.bureau("FR");
    crate::records::some_records(world).await?;
    crate::quality::some_alerts(world).await?;
    let request = france.send(notice_request(red_form("PARDEL", "TESSA"), &["SN"])).await?;
    france.accepted(&request).await?;
    let mut reviewer = world.reviewer("lena").await?;
    let examined = reviewer.examine(&request.id.to_string()).await?;
    let published = reviewer.approve(&[examined]).await?;
    world.bureau("BR").receives(&published[0].publication).await?;
    france.receives_about(Kind::NationalDecision, &published[0].publication).await?;
    let question = france.ask(["BR", "JP"]).about("PARDEL", "TESSA").send().await?;
    france.reply_to(&question, "BR").await?;
    world.cut("SN");
    let circular = france.send(diffusion(red_form("VOSS", "MAREK"), &["BR", "SN"])).await?;
    world.bureau("BR").receives(&circular.id).await?;
    let taken_back = france.send(withdrawal(&circular)).await?;
    france.accepted(&taken_back).await?;
    world.suspend(&Identity::Bureau(country("JP"))).await?;
    let held = france.tell(&["JP", "SN"], "It waits for both.").await?;
    france.accepted(&held).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_rebuilt_from_the_log_is_the_one_that_stopped() -> Result<(), WorldError> {
    let place = tempfile::tempdir().unwrap();
    let world = World::of(["BR", "FR", "JP", "SN"]).keep(place.path()).start().await?;
    some_history(&world).await?;
    // Every clean stop stores a run.
    world.stop_hub().await?;
    world.start_hub().await?;
    let after = world.bureau("FR").tell(&["BR"], "after the clean stop").await?;
    world.bureau("BR").receives(&after.id).await?;
    world.stop_all().await?;

    let dir = place.path().join("hub");
    let credentials = Credentials::load(&dir).unwrap();
    let config = i247_hub::Config {
        listen: "127.0.0.1:0".into(),
        data: dir.join("data"),
        // A start from the log alone stores several runs on its way.
        history_rows: 16,
        telemetry: i247_node::TelemetryConfig { level: "error".into(), ..Default::default() },
        ..i247_hub::Config::default()
    };
    let started = async || {
        let hub = Hub::build(config.clone(), credentials.clone(), Seams::system()).await.unwrap();
        let digest = hub.digest().unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        hub.serve(stop).await.unwrap();
        digest
    };
    let rebuilt = async || {
        let root = credentials.root.clone();
        i247_hub::rebuild(Arc::new(OsDisk), Arc::new(Inline), &config.data.join("log"), root).await.unwrap()
    };
    // From the snapshot of the clean stop, which the running hub made of its own views.
    let stopped = started().await;
    let removed = remove_all_but_the_log(&config.data.join("log"));
    assert!(removed.runs > 1 && removed.snapshots > 0, "{removed:?}");
    assert_eq!(started().await, stopped, "a start from the log alone");
    assert_eq!(started().await, stopped, "a start from what that one stored");
    let removed = remove_all_but_the_log(&config.data.join("log"));
    assert!(removed.runs > 1 && removed.snapshots > 0, "{removed:?}");
    let rebuilt = rebuilt().await;
    assert_eq!(rebuilt.snapshots_removed, 0);
    assert!(rebuilt.entries > 20);
    assert_eq!(rebuilt.digest, stopped, "from the log alone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bureau_rebuilt_from_its_journal_alone_is_the_one_that_stopped() -> Result<(), WorldError> {
    let place = tempfile::tempdir().unwrap();
    let world = World::of(["BR", "FR", "JP", "SN"]).keep(place.path()).start().await?;
    some_history(&world).await?;
    world.stop_all().await?;

    let dir = place.path().join("fr");
    let config = i247_bureau::Config {
        listen: "127.0.0.1:0".into(),
        data: dir.join("data"),
        telemetry: i247_node::TelemetryConfig { level: "error".into(), ..Default::default() },
        ..i247_bureau::Config::default()
    };
    let credentials = Credentials::load(&dir).unwrap();
    // From the snapshot of the clean stop, which the running bureau made of its own views.
    let bureau = i247_bureau::Bureau::build(config, credentials, Seams::system()).await.unwrap();
    let (stopped, replayed) = (bureau.digest(), bureau.replayed());
    assert_eq!(replayed, 0, "a clean stop leaves no tail");
    drop(bureau);

    let journal = dir.join("data").join("journal");
    assert!(remove_all_but_the_log(&journal).snapshots > 0);
    let rebuilt =
        i247_bureau::rebuild(country("FR"), Arc::new(OsDisk), Arc::new(Inline), &journal).await.unwrap();
    assert_eq!(rebuilt.snapshots_removed, 0);
    assert!(rebuilt.entries > 20);
    assert_eq!(rebuilt.digest, stopped);
    Ok(())
}

/// What was removed beside a log.
#[derive(Debug, Default)]
struct Removed {
    snapshots: usize,
    runs: usize,
}

/// Whatever is not the log goes, and what is made of it as well.
fn remove_all_but_the_log(log: &Path) -> Removed {
    let mut removed = Removed::default();
    for entry in std::fs::read_dir(log).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            match name {
                "runs" => removed.runs = std::fs::read_dir(&path).unwrap().count(),
                name => assert_eq!(name, "databases"),
            }
            std::fs::remove_dir_all(path).unwrap();
        } else if path.extension().is_none_or(|extension| extension != "log") {
            removed.snapshots += usize::from(name.starts_with("snapshot-"));
            std::fs::remove_file(path).unwrap();
        }
    }
    removed
}
