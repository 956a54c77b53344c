//! What operators see at a terminal: the built program, asked as they ask it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use i247_client::{Context, Contexts};
use i247_model::Identity;
use i247_testkit::{World, WorldError, diffusion, free_text, name, pb, program, red_form};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long a command may take on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The program, under the identity of an operator.
struct Operator {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Operator {
    async fn of(world: &World, program: &Path) -> Result<Self, WorldError> {
        Self::at(world, program, world.hub_address().await?).await
    }

    /// One who finds the hub at this address.
    async fn at(world: &World, program: &Path, address: SocketAddr) -> Result<Self, WorldError> {
        let home = tempfile::tempdir().unwrap();
        let credentials = home.path().join("operator");
        std::fs::create_dir_all(&credentials).unwrap();
        world.credentials(&Identity::Operator(name("ops"))).await?.save(&credentials).unwrap();
        let address = address.to_string();
        let mut contexts = Contexts::default();
        let server = Identity::Hub(name("lyon"));
        contexts.add(name("operator"), Context { address, server, credentials });
        contexts.save(&home.path().join("contexts.toml")).unwrap();
        Ok(Self { program: program.to_owned(), home })
    }

    fn begin(&self, words: &str) -> Child {
        let mut command = Command::new(&self.program);
        command.args(words.split(' ')).env("I247_HOME", self.home.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What a command says, and its exit code.
    async fn says(&self, words: &str) -> (String, i32) {
        let done = self.begin(words).wait_with_output();
        let done = tokio::time::timeout(DEADLINE, done).await.unwrap().unwrap();
        let said = String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap();
        (said, done.status.code().unwrap())
    }
}

/// The words of the line that begins with this one.
fn line<'a>(said: &'a str, first: &str) -> Vec<&'a str> {
    let mut lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find(|words| words.first() == Some(&first)).unwrap_or_else(|| panic!("no {first} in {said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_shows_what_fits_and_a_trace_the_whole_way_of_it() -> Result<(), WorldError> {
    let Some(program) = program() else { return Ok(()) };
    let world = World::of(["FR", "BR", "JP"]).automatic(false).start().await?;
    let operator = Operator::of(&world, &program).await?;
    let mut tap = operator.begin("tap --country FR --kind diffusion --limit 3");
    let mut talk = BufReader::new(tap.stderr.take().unwrap()).lines();
    assert_eq!(talk.next_line().await.unwrap().as_deref(), Some("Tapping; Ctrl-C ends it."));
    let (france, brazil, japan) = (world.bureau("FR"), world.bureau("BR"), world.bureau("JP"));
    france.tell(&["BR"], "not a diffusion").await?;
    brazil.send(diffusion(red_form("PARDEL", "TESSA"), &["JP"])).await?;
    let sent = france.send(diffusion(red_form("PARDEL", "TESSA"), &["BR", "JP"])).await?;
    let (mut lines, mut shown) = (String::new(), tap.stdout.take().unwrap());
    tokio::time::timeout(DEADLINE, shown.read_to_string(&mut lines)).await.unwrap().unwrap();
    // Whoever reads it opens it: not before it was tapped.
    brazil.receives(&sent.id).await?;
    japan.receives(&sent.id).await?;
    let id = sent.id.to_string();
    let seen: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(seen.len(), 3, "{lines}");
    assert!(seen.iter().all(|words| words[2] == id && words[3] == "diffusion"), "{lines}");
    assert_eq!(seen[0][1..], ["accepted", &id, "diffusion", "normal", "FR", ">", "2", "recipients"]);
    let mut delivered = [seen[1][7], seen[2][7]];
    delivered.sort_unstable();
    assert_eq!((seen[1][1], seen[2][1], delivered), ("delivered", "delivered", ["BR", "JP"]), "{lines}");

    let (said, code) = operator.says(&format!("trace {id}")).await;
    assert_eq!(code, 0, "{said}");
    for words in ["signed", "accepted", "delivered", "named", "spiffe://i247.test/gs/authority"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Never what it is about.
    assert!(!said.contains("PARDEL") && !said.contains("TESSA"), "{said}");
    let (said, code) = operator.says("trace FR-1-N-99").await;
    assert!(code == 1 && said.contains("error: ") && said.contains("next "), "{said}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_goes_on_when_the_hub_has_started_anew() -> Result<(), WorldError> {
    let Some(program) = program() else { return Ok(()) };
    let world = World::of(["FR", "BR"]).start().await?;
    let operator = Operator::at(&world, &program, world.line_address("BR")?).await?;
    // Two lines for each message: accepted, delivered.
    let mut tap = operator.begin("tap --country BR --limit 4");
    let mut talk = BufReader::new(tap.stderr.take().unwrap()).lines();
    let mut shown = BufReader::new(tap.stdout.take().unwrap()).lines();
    let mut talks = async |words: &str| {
        let line = tokio::time::timeout(DEADLINE, talk.next_line()).await.unwrap().unwrap();
        assert!(line.as_ref().is_some_and(|line| line.contains(words)), "{words}: {line:?}");
    };
    let mut tells = async |text: &str| -> Result<(), WorldError> {
        let sent = world.bureau("FR").tell(&["BR"], text).await?;
        for event in ["accepted", "delivered"] {
            let line = tokio::time::timeout(DEADLINE, shown.next_line()).await.unwrap().unwrap().unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!((words[1], words[2]), (event, sent.id.to_string().as_str()), "{line}");
        }
        Ok(())
    };
    talks("Tapping").await;
    tells("before").await?;
    world.stop_hub().await?;
    talks("the hub has ended the stream").await;
    world.start_hub().await?;
    talks("goes on").await;
    tells("after").await?;
    assert!(tokio::time::timeout(DEADLINE, tap.wait()).await.unwrap().unwrap().success());
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_and_status_say_what_waits_and_what_is_wrong() -> Result<(), WorldError> {
    let Some(program) = program() else { return Ok(()) };
    let world = World::of(["FR", "BR", "JP"]).start().await?;
    let operator = Operator::of(&world, &program).await?;
    let (said, code) = operator.says("status").await;
    assert!(code == 0 && said.contains("3 of 3 connected"), "{said}");
    assert!(said.contains("nothing was delivered in the last minute"), "{said}");
    // The disk of this machine may be nearly full; nothing else is wrong.
    let (said, code) = operator.says("alerts").await;
    assert!(code == 0 && (said.contains("by any of 17 rules.") || said.contains("disk low")), "{said}");

    world.cut("JP");
    world.unlinked("JP").await?;
    let sent = world.bureau("FR").tell(&["BR", "JP"], "one waits").await?;
    world.bureau("BR").receives(&sent.id).await?;
    world.advance(Duration::from_secs(60));
    crate::alerts::said(&world, "link_down", "JP").await?;
    let (said, code) = operator.says("top --once").await;
    assert_eq!(code, 0, "{said}");
    let japan = line(&said, "JP");
    assert_eq!((japan[1], japan[4], japan.last()), ("away", "0/0/1/0", Some(&"warning")), "{said}");
    assert_eq!(line(&said, "BR")[1], "connected");
    // The worst is the first.
    assert!(said.find("\nJP").unwrap() < said.find("\nBR").unwrap(), "{said}");
    let (said, code) = operator.says("status").await;
    assert!(code == 0 && said.contains("2 of 3 connected") && said.contains("JP has not been"), "{said}");
    let (said, _) = operator.says("alerts").await;
    assert!(said.contains("link down") && said.contains("i247 doctor --as JP"), "{said}");

    // What is critical is said by the exit code too.
    let mut urgent = free_text(&["JP"], "at once");
    urgent.lane = pb::Lane::VeryUrgent.into();
    let urgent = world.bureau("FR").send(urgent).await?;
    world.bureau("FR").accepted(&urgent).await?;
    world.advance(Duration::from_secs(61));
    crate::alerts::said(&world, "very_urgent_undelivered", "JP").await?;
    for words in ["status", "alerts"] {
        let (said, code) = operator.says(words).await;
        assert!(code == 1 && said.contains(&urgent.id.to_string()), "{words}: {said}");
    }
    world.heal("JP");
    world.bureau("JP").receives(&sent.id).await?;
    world.finish().await
}
