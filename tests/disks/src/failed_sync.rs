//! Syncs that fail: strace answers `EIO` for the system call, from a random one on, in a node that does not know it. The
//! node gives no receipt for what it could not sync, never syncs that file again, ends by itself, and is whole again
//! when it is started with a disk that works.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use i247_ledger::faults::Dice;
use i247_model::Lane;
use i247_testkit::World;

use crate::book::Book;
use crate::mailbox::{Broken, Counts};
use crate::node::last_words;
use crate::sender::Sender;
use crate::verdict::Verdict;
use crate::{Options, arrival};

const BUREAUS: [&str; 2] = ["FR", "BR"];
/// The senders go on until the node is back, each with a message in about so much time.
const PACE: Duration = Duration::from_millis(5);
/// One of so many syncs of a thread is the first that fails; fewer than these are needed for the start.
const FIRST: u64 = 4;
const SYNCS: u64 = 40;
/// A node has ended within this time of its first failed sync.
const ENDING: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(5);

/// What a run did.
#[derive(Debug, Default)]
struct Tally {
    failed: usize,
    ended: u64,
    while_starting: u64,
}

/// Lets syncs fail, round by round.
pub(crate) async fn run(options: &Options) -> Result<Verdict> {
    let program = options.program()?;
    if !can_trace() {
        return Ok(Verdict::CannotRun("strace is missing or may not trace: apt-get install strace".into()));
    }
    let dir = std::env::temp_dir().join(format!("i247-sync-{}-{}", options.seed, std::process::id()));
    std::fs::create_dir_all(&dir)?;
    println!(
        "failing syncs: a hub and {} bureaus, seed {}, data in {}",
        BUREAUS.len(),
        options.seed,
        dir.display()
    );
    let found = Box::pin(rounds(options, &program, &dir))
        .await
        .with_context(|| format!("data are kept in {}", dir.display()))?;
    if found.is_empty() {
        std::fs::remove_dir_all(&dir)?;
        return Ok(Verdict::Good);
    }
    println!("data, logs and traces are kept in {}", dir.display());
    Ok(Verdict::Broken(found.iter().map(ToString::to_string).collect()))
}

fn can_trace() -> bool {
    let traced = std::process::Command::new("strace").args(["-D", "-o", "/dev/null", "true"]).output();
    traced.is_ok_and(|traced| traced.status.success())
}

/// The program, under strace while a file says from which sync on they fail. The tracer is no parent: the node dies with
/// this process as ever.
fn traced(dir: &Path, program: &Path) -> Result<PathBuf> {
    let (script, dir) = (dir.join("traced"), dir.display());
    let text = format!(
        "#!/bin/sh\n\
         case $1 in hub) node=hub ;; *) node=$2 ;; esac\n\
         [ -s '{dir}'/when-$node ] || exec '{program}' \"$@\"\n\
         exec strace -D -f -qq -y -e signal=none -o '{dir}'/trace-$node -e trace=fsync,fdatasync \\\n  \
         -e inject=fsync,fdatasync:error=EIO:when=$(cat '{dir}'/when-$node)+ '{program}' \"$@\"\n",
        program = program.display()
    );
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

async fn rounds(options: &Options, program: &Path, dir: &Path) -> Result<Vec<Broken>> {
    let script = traced(dir, program)?;
    let world = World::of(BUREAUS).processes(script).keep(dir.join("world")).start().await?;
    let mut dice = Dice::new(options.seed);
    let mut senders = [
        Sender::officer("FR", Lane::Normal, vec!["BR"], Dice::new(dice.roll())),
        Sender::officer("BR", Lane::Normal, vec!["FR"], Dice::new(dice.roll())),
        Sender::member(&world, "DE", BUREAUS.to_vec(), Dice::new(dice.roll())).await?,
    ];
    let (book, mut found, mut tally) = (RefCell::new(Book::default()), Vec::new(), Tally::default());
    for round in 1..=options.rounds {
        let node = if dice.one_in(2) { "hub" } else { "FR" };
        let when = FIRST + dice.below(SYNCS - FIRST);
        let stop = Cell::new(false);
        let sending = senders.iter_mut().map(|sender| sender.send_until(&world, &book, &stop, PACE));
        let failing = async {
            let broken = fail(&world, dir, node, when, &mut tally).await;
            stop.set(true);
            broken
        };
        let (_, broken) = tokio::try_join!(try_join_all(sending), failing)?;
        found.extend(broken);
        let Tally { failed, ended, while_starting } = &tally;
        println!(
            "round {round}: sync {when} of {node} fails; so far {failed} failed syncs, {ended} ends, {while_starting} of \
             them while starting, {} accepted: {}",
            book.borrow().receipts().len(),
            Counts::of(&found)
        );
        if !found.is_empty() {
            return Ok(found);
        }
    }
    for code in BUREAUS {
        found.extend(arrival::at_bureau(&world, code, &book).await?);
    }
    println!("every receipt against every delivery: {}", Counts::of(&found));
    world.stop_all().await?;
    Ok(found)
}

/// Starts a node under a disk whose syncs fail from some time on, waits for its end, and starts it with one that works.
async fn fail(world: &World, dir: &Path, node: &str, when: u64, tally: &mut Tally) -> Result<Vec<Broken>> {
    let (when_file, trace) = (dir.join(format!("when-{node}")), dir.join(format!("trace-{node}")));
    let log = world.dir().join(node.to_lowercase()).join("log.txt");
    stop(world, node).await?;
    std::fs::write(&when_file, when.to_string())?;
    std::fs::write(&trace, "")?;
    let said_before = std::fs::read_to_string(&log)?.len();
    let mut found = Vec::new();
    let started = start(world, node).await;
    if started.is_err() {
        tally.while_starting += 1;
    } else if !matches!(tokio::time::timeout(ENDING, ends(world, node, &trace)).await, Ok(Ok(()))) {
        found.push(Broken::Otherwise(format!("{node} goes on after a failed sync, or never syncs")));
        return Ok(found);
    }
    tally.ended += 1;
    std::fs::remove_file(&when_file)?;
    let traced = std::fs::read_to_string(&trace)?;
    tally.failed += traced.matches("(INJECTED)").count();
    found.extend(
        retried(&traced).into_iter().map(|file| Broken::Otherwise(format!("{node} syncs {file} again"))),
    );
    let said = std::fs::read_to_string(&log)?;
    if !said[said_before..].contains("sync failed") && started.is_ok() {
        found.push(Broken::Otherwise(format!("{node} does not say why it ends: {}", last_words(&log))));
    }
    start(world, node).await.with_context(|| format!("{node} after the failure"))?;
    Ok(found)
}

/// Waits until the node is gone by itself.
async fn ends(world: &World, node: &str, trace: &Path) -> Result<()> {
    // As long as no sync has failed it has no reason to end: the senders bring it there.
    while !std::fs::read_to_string(trace)?.contains("(INJECTED)") {
        i247_node::sleep(LOOK).await;
    }
    match node {
        "hub" => world.hub_ends().await?,
        code => world.ends(code).await?,
    }
    Ok(())
}

/// Files that were synced again after a sync of theirs had failed.
fn retried(trace: &str) -> BTreeSet<String> {
    let (mut failed, mut again) = (BTreeSet::new(), BTreeSet::new());
    for line in trace.lines() {
        let Some(file) =
            line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(file, _)| file)
        else {
            continue;
        };
        if failed.contains(file) {
            again.insert(file.to_owned());
        }
        if line.contains("(INJECTED)") {
            failed.insert(file);
        }
    }
    again
}

async fn stop(world: &World, node: &str) -> Result<()> {
    match node {
        "hub" => world.stop_hub().await?,
        code => world.stop(code).await?,
    }
    Ok(())
}

async fn start(world: &World, node: &str) -> Result<()> {
    match node {
        "hub" => world.start_hub().await?,
        code => world.restart(code).await?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_after_a_failed_one_of_the_same_file_is_seen() {
        let trace = "7 fdatasync(3</d/1.log>) = 0\n\
                     7 fdatasync(3</d/1.log>) = -1 EIO (Input/output error) (INJECTED)\n\
                     8 fsync(4</d>) = 0\n";
        assert!(retried(trace).is_empty());
        let again = format!("{trace}8 fdatasync(9</d/1.log>) = 0\n");
        assert_eq!(retried(&again), BTreeSet::from(["/d/1.log".to_owned()]));
    }
}
