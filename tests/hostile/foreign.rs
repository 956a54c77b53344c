//! A member that is not ours: Python's grpcio joins the network and misbehaves in it.

use std::path::{Path, PathBuf};

use i247_model::Identity;
use i247_testkit::pki::Pki;
use i247_testkit::{World, WorldError, country, name, program};
use i247_trust::Credentials;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_shares_no_code_with_us_joins_in_and_is_refused_as_everybody_is()
-> Result<(), WorldError> {
    let (Some(python), Some(program)) = (python().await, program()) else { return Ok(()) };
    let world = World::of(["BR"]).processes(program).start().await?;
    let dir = tempfile::tempdir().unwrap();
    let now = world.seams().clock.now();
    let france = world.credentials(&Identity::Bureau(country("FR"))).await?;
    let duty = world.credentials(&Identity::Officer(country("BR"), name("duty"))).await?;
    let mut other = Pki::new(now)?.enrol(&Identity::Bureau(country("FR")))?;
    other.root = france.root.clone();
    for (who, credentials) in [("fr", &france), ("duty", &duty), ("other", &other)] {
        save(credentials, &dir.path().join(who));
    }
    let question = world.bureau("BR").tell(&["FR"], "to whoever reads the protocol").await?;
    world.bureau("BR").accepted(&question).await?;

    let mut foreign = Command::new(python);
    // Nothing is left among the sources.
    foreign.env("PYTHONDONTWRITEBYTECODE", "1");
    foreign.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign.py"));
    foreign.arg(world.hub_address().await?.to_string());
    foreign.arg(world.desk_address(country("BR")).await?.to_string()).arg(dir.path()).kill_on_drop(true);
    let ended = foreign.output().await.unwrap();
    said(&String::from_utf8_lossy(&ended.stdout));
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));

    // Brazil has both messages, each checked by its own bureau, and nothing of what was refused.
    for id in ["FR-1-N-1", "FR-1-N-2"] {
        world.bureau("BR").receives(&id.parse().unwrap()).await?;
    }
    assert_eq!(world.bureau("BR").inbox_ids().await?, ["FR-1-N-1", "FR-1-N-2"]);
    world.stop_all().await
}

fn save(credentials: &Credentials, dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    credentials.save(dir).unwrap();
}

#[expect(clippy::print_stdout, reason = "what the other side found, shown with --nocapture")]
fn said(text: &str) {
    println!("{text}");
}

/// A Python that has grpcio: the one that `make setup` puts beside the build, or the machine's own.
#[expect(clippy::print_stderr, reason = "the test harness shows it with --nocapture")]
async fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    for python in [root.join("target/tools/bin/python"), "python3".into()] {
        let has = Command::new(&python).args(["-c", "import grpc"]).output().await;
        if has.is_ok_and(|has| has.status.success()) {
            return Some(python);
        }
    }
    let required = std::env::var("I247_REQUIRE").is_ok_and(|groups| groups == "all");
    assert!(!required, "python3 with grpcio is missing: make setup");
    eprintln!("NOT RUN: python3 with grpcio is missing; make setup gets it");
    None
}
