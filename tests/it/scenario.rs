//! Operations at borders as a command: what is counted from journal and register is what was recorded, and what was
//! planted; falling short is an error.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use i247_client::{Context, Contexts, Searches};
use i247_model::Identity;
use i247_node::{Clock as _, SystemClock};
use i247_testkit::{World, WorldError, airport, country, name, pb};
use serde_json::Value as Json;
use tokio::process::Command;

use crate::search::{frame, passport};
use crate::tracing::contexts;

/// How long a run may take.
const WITHIN: Duration = Duration::from_secs(300);

/// How long 8,000 checks may take from the first word to the table, on any machine that the tests are run on.
const HAMMER_WITHIN: Duration = Duration::from_secs(60);

async fn scenario(program: &Path, place: &Path, args: &[&str]) -> Output {
    let output = Command::new(program)
        .arg("scenario")
        .args(args)
        .env("TMPDIR", place)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(WITHIN, output).await.unwrap().unwrap()
}

fn row<'a>(table: &'a Json, label: &str) -> &'a Json {
    let rows = table["rows"].as_array().unwrap();
    rows.iter().find(|row| row["label"] == label).unwrap_or_else(|| panic!("no row {label}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operation_hammer_comes_to_its_recorded_figures() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    let clock = SystemClock::new();
    let output = scenario(&program, place.path(), &["run", "hammer", "--json"]).await;
    let took = clock.monotonic();
    println!("Operation Hammer: 8,000 checks and all around them in {:.1} s", took.as_secs_f64());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(took < HAMMER_WITHIN, "{took:?}");
    let table: Json = serde_json::from_slice(&output.stdout).unwrap();
    for (label, run) in [
        ("Posts that checked", "2"),
        ("Documents checked", "8000"),
        ("Signed for by their posts", "8000"),
        ("Matches", "3"),
        ("Possible only", "2"),
        ("Refused, such as a wrong check digit", "0"),
        ("Hits in the register", "3"),
        ("Confirmed by their owners", "2"),
        ("Denied by their owners", "1"),
        ("Not decided", "0"),
        ("Action reported", "3"),
    ] {
        assert_eq!(row(&table, label)["run"], run, "{label}");
    }
    for (label, recorded) in [("Documents checked", 8000), ("Matches", 3), ("Posts that checked", 2)] {
        let row = row(&table, label);
        assert_eq!((&row["recorded"]["value"], &row["recorded"]["met"]), (&recorded.into(), &true.into()));
    }
    assert_eq!(table["countries"]["IT"]["checks"], 8000);
    assert_eq!((&table["differences"], &table["gave_up"]), (&Json::Array(vec![]), &Json::Array(vec![])));
    assert!(said.contains("4800 records loaded by their owners, and accepted"), "{said}");
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_none(), "the data is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_operations_come_to_their_recorded_figures() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    for (operation, checks, matches, denied, recorded) in [
        ("anaconda", "20400", "200", "14", &["Documents checked", "Matches", "Posts that checked"][..]),
        ("kigali", "6600", "5", "1", &["Documents checked", "Posts that checked"]),
        ("manila", "5100", "4", "1", &["Documents checked", "Posts that checked"]),
    ] {
        let output = scenario(&program, place.path(), &["run", operation, "--json"]).await;
        assert!(output.status.success(), "{operation}: {}", String::from_utf8_lossy(&output.stderr));
        let table: Json = serde_json::from_slice(&output.stdout).unwrap();
        let run = ["Documents checked", "Matches", "Denied by their owners"]
            .map(|label| &row(&table, label)["run"]);
        assert_eq!(run, [checks, matches, denied], "{operation}");
        for label in recorded {
            assert_eq!(row(&table, label)["recorded"]["met"], true, "{operation}: {label}");
        }
        assert_eq!(table["differences"], Json::Array(vec![]), "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_network_asks_at_its_rate_with_its_peak() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("kept").display().to_string();
    let args = ["run", "network", "--for", "3s", "--one-process", "--json", "--dir", &kept];
    let output = scenario(&program, place.path(), &args).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The journal says so too, to whoever looks at it afterwards.
    let journal = ["ledger", "searches", &format!("{kept}/hub/data"), "--json"].map(str::to_owned);
    let journal = Command::new(&program).args(journal).kill_on_drop(true).output().await.unwrap();
    let journal: Json = serde_json::from_slice(&journal.stdout).unwrap();
    assert_eq!((&journal["sound"], &journal["signed_for"]), (&true.into(), &636.into()), "{journal}");
    let table: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(row(&table, "Documents checked")["run"], "636");
    assert_eq!(row(&table, "Matches")["run"], "1");
    assert_eq!(row(&table, "Confirmed by their owners")["run"], "1");
    let checks = |code: &str| table["countries"][code]["checks"].as_u64().unwrap();
    assert!(checks("US") > checks("GB") && checks("GB") > checks("AE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_scenario_is_refused_with_those_that_there_are() {
    let Some(program) = i247_testkit::program() else { return };
    let place = tempfile::tempdir().unwrap();
    for (args, code, words) in [
        (&["run", "thunder"][..], 2, "there is: hammer, anaconda, kigali, manila, network"),
        (&["run", "hammer", "--checks", "5"], 2, "fewer are checked than are to be found"),
        (&["run", "hammer", "--for", "5s"], 2, "leave --for out"),
        (&["run", "network", "--for", "48h"], 2, "from a second to a day"),
    ] {
        let output = scenario(&program, place.path(), args).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let list = scenario(&program, place.path(), &["list"]).await;
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("recorded: checks exact 8000") && list.contains("more than 5 billion"), "{list}");
}

/// People and posts with contexts in a directory.
struct Desks<'a> {
    world: &'a World,
    home: tempfile::TempDir,
    program: PathBuf,
}

impl Desks<'_> {
    async fn add(&self, named: &str, identity: &Identity) -> Result<(), WorldError> {
        let path = self.home.path().join("contexts.toml");
        let mut all = Contexts::load(&path).unwrap();
        let credentials = self.home.path().join(named);
        std::fs::create_dir_all(&credentials).unwrap();
        let own = match identity {
            Identity::Post(country, post) => self.world.post(country.as_str(), post.as_str()).await?,
            other => self.world.credentials(other).await?,
        };
        own.save(&credentials).unwrap();
        let address = self.world.hub_address().await?.to_string();
        all.add(name(named), Context { address, server: Identity::Hub(name("lyon")), credentials });
        all.save(&path).unwrap();
        Ok(())
    }

    async fn runs(&self, words: &[&str]) -> (Option<i32>, Json, String) {
        let mut command = Command::new(&self.program);
        command.args(["scenario", "run", "hammer", "--running", "--among", "FR,BR,JP", "--checks", "200"]);
        command.args(["--context", "operator", "--json"]).args(words);
        command.env("I247_HOME", self.home.path()).env("TMPDIR", self.home.path()).kill_on_drop(true);
        let output = tokio::time::timeout(WITHIN, command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
    }
}

/// A post of the operation that may ask so much.
fn granted(post: &str, keys_per_day: u32) -> pb::Grant {
    pb::Grant { keys_per_minute: keys_per_day, keys_per_day, ..airport(&name(post)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_on_a_network_that_runs_is_counted_from_its_beginning() -> Result<(), WorldError> {
    let Some(program) = i247_testkit::program() else { return Ok(()) };
    let world = World::of(["BR", "FR", "JP"]).start().await?;
    let desks = Desks { world: &world, home: tempfile::tempdir().unwrap(), program };
    contexts(&world, desks.home.path()).await?;
    desks.add("operator", &Identity::Operator(name("ops"))).await?;

    let (code, _, said) = desks.runs(&[]).await;
    assert_eq!(code, Some(2), "{said}");
    for words in [
        "2 things are missing",
        "post fiumicino of FR: i247 post issue fiumicino --authority AUTHORITY-OF-FR",
        "i247 post grant malpensa --unit airport --databases sltd,tdawn",
        "--server gs/hub/lyon --credentials fr-malpensa",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }

    // Certified, and granted too little.
    for post in ["fiumicino", "malpensa"] {
        desks.add(post, &Identity::Post(country("FR"), name(post))).await?;
        world.bureau("FR").grants(granted(post, 99)).await?;
    }
    let (code, _, said) = desks.runs(&[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("post malpensa of FR: is granted fewer keys than it has left to ask"), "{said}");

    // What others ask there, and what was asked before, is not of the run.
    for post in ["fiumicino", "malpensa", "nice"] {
        world.bureau("FR").grants(granted(post, 100_000)).await?;
        let credentials = world.post("FR", post).await?;
        let searches = Searches::new(world.hub_channel(&credentials).await?);
        searches
            .check(pb::SearchRequest { station: String::new(), ..frame(vec![passport("X1", "D")]) })
            .await?;
    }
    for (time, loaded) in [("first", "800 records loaded"), ("second", "800 records loaded")] {
        let (code, table, said) = desks.runs(&[]).await;
        assert_eq!(code, Some(0), "{time}: {said}");
        for (label, run) in [
            ("Posts that checked", "2"),
            ("Documents checked", "200"),
            ("Signed for by their posts", "200"),
            ("Matches", "3"),
            ("Possible only", "2"),
            ("Hits in the register", "3"),
            ("Confirmed by their owners", "2"),
            ("Denied by their owners", "1"),
            ("Action reported", "3"),
        ] {
            assert_eq!(row(&table, label)["run"], run, "{time}: {label}");
        }
        assert_eq!(table["countries"]["FR"]["checks"], 200);
        assert!(row(&table, "Matches")["recorded"].is_null(), "it is not that operation any more");
        assert!(said.contains(loaded) && said.contains("stay in the databases"), "{said}");
    }
    world.stop_all().await
}
