//! One flipped bit in a file of a node that stands still. Started on it, the node either names what is damaged, or it
//! serves what it served before: it never serves anything else, and leaves nothing out in silence. This runs in one
//! process, on disks in memory, so that hundreds of flips take seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use i247_ledger::disk::Disk;
use i247_ledger::faults::{BreakableDisk, Dice};
use i247_ledger::{Report, check};
use i247_node::{Clock as _, SystemClock};
use i247_testkit::{World, WorldError, free_text, pb};

use crate::Options;
use crate::served::{self, Served};
use crate::verdict::Verdict;

/// Messages of each sender in each of three sessions, between which the nodes stop and write their snapshots.
const MESSAGES: usize = 12;
const SESSIONS: usize = 3;
/// Size of a segment of every log: small, so that there are several.
const SEGMENT_BYTES: u64 = 64 * 1024;
/// Size of an attachment: it has three chunks.
const PICTURE_BYTES: usize = 150_000;

/// A hub that can read on sends the next message within this time; where damage is named, it is not waited so long.
const PATIENCE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(300);

/// Who stands still.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Node {
    Hub,
    /// The bureau of France.
    Bureau,
}

/// What became of the flips in one kind of file.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    flips: u64,
    /// The node named the damage and did not start.
    refused: u64,
    /// It started, and something that it could not serve was named.
    named: u64,
    /// Everything was served as before.
    unaffected: u64,
}

/// A node at rest: its disk, and what it served from it.
struct AtRest {
    disk: BreakableDisk,
    logs: BTreeSet<PathBuf>,
    /// By kind of file.
    files: BTreeMap<String, Vec<PathBuf>>,
    served: Served,
}

/// Flips bits of hub and bureau, in every kind of file in turn.
pub(crate) async fn run(options: &Options) -> Result<Verdict> {
    let (clock, mut dice) = (SystemClock::new(), Dice::new(options.seed));
    println!("flipped bits: hub and bureau at rest, seed {}", options.seed);
    let (hub_disk, bureau_disk) = (BreakableDisk::new(1), BreakableDisk::new(2));
    let world = World::of(["FR", "BR"])
        .hub_disk(Arc::new(hub_disk.clone()))
        .bureau_disk("FR", Arc::new(bureau_disk.clone()))
        .segment_bytes(SEGMENT_BYTES)
        .log("off")
        .start()
        .await?;
    let (hub_disk, bureau_disk, sent) = fill(&world, hub_disk, bureau_disk).await?;
    let mut broken = Vec::new();
    for (node, disk) in [(Node::Bureau, bureau_disk), (Node::Hub, hub_disk)] {
        let rest = at_rest(&world, node, disk, &sent).await?;
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        let kinds: Vec<&String> = rest.files.keys().collect();
        for nth in 0..options.rounds / 2 {
            let kind = kinds[usize::try_from(nth)? % kinds.len()];
            let found = one(&world, node, &rest, kind, &mut dice, tallies.entry(kind).or_default()).await?;
            broken.extend(found.inspect(|what| println!("BROKEN: {what}")));
        }
        for (kind, Tally { flips, refused, named, unaffected }) in tallies {
            println!(
                "{:>6.1} s  {node:?}, {kind}: {flips} flips, {refused} refused at the start by name, {named} named while \
                 serving, {unaffected} without effect",
                clock.monotonic().as_secs_f64()
            );
        }
    }
    println!("{} flips, {} changed or left out in silence", options.rounds / 2 * 2, broken.len());
    world.stop_all().await?;
    Ok(if broken.is_empty() { Verdict::Good } else { Verdict::Broken(broken) })
}

/// Sends through both nodes, stops them now and then, and returns their disks as they are after the last stop, and the
/// ids of all messages. Every other message goes to the reader too, which never signs for it, so that it stays open at
/// the hub; the rest is history there. The last stop is an orderly one: of a killed node nobody can tell a damaged last
/// group from a torn one, which is rightly dropped.
async fn fill(
    world: &World,
    mut hub: BreakableDisk,
    mut bureau: BreakableDisk,
) -> Result<(BreakableDisk, BreakableDisk, Vec<String>)> {
    world.pen(served::READER).await?;
    let mut ids = Vec::new();
    for session in 0..SESSIONS {
        let picture = Bytes::from(vec![u8::try_from(session)?; PICTURE_BYTES]);
        let note = pb::AttachmentNote { name: "picture.bin".into(), ..pb::AttachmentNote::default() };
        let mut last = None;
        for (from, to) in [("FR", "BR"), ("BR", "FR")] {
            let commitment =
                world.bureau(from).desk().await?.add_attachment(note.clone(), picture.clone()).await?;
            for nth in 0..MESSAGES {
                let text = format!("{from} {session} {nth} {}", "words ".repeat(80));
                let both = [to, served::READER];
                let mut draft = free_text(if nth % 2 == 0 { &both } else { &both[..1] }, &text);
                if nth == 0 {
                    draft.attachments = vec![Bytes::copy_from_slice(commitment.as_bytes())];
                }
                let sent = world.bureau(from).send(draft).await?;
                ids.push(sent.id.to_string());
                last = Some((to, sent));
            }
            if let Some((to, sent)) = &last {
                world.bureau(to).receives(&sent.id).await?;
                world
                    .bureau(from)
                    .stands(sent, "delivered", |status| {
                        let delivered = pb::RecipientState::Queued;
                        status.recipients.iter().any(|one| one.party == *to && one.state() != delivered)
                    })
                    .await?;
            }
        }
        if session + 1 < SESSIONS {
            world.stop("FR").await?;
            world.stop_hub().await?;
            (hub, bureau) = (hub.kill(), bureau.kill());
            world.set_hub_disk(Arc::new(hub.clone()));
            world.set_bureau_disk("FR", Arc::new(bureau.clone()));
            world.start_hub().await?;
            world.restart("FR").await?;
        }
    }
    // What follows is between one node and its disk.
    world.cut("FR");
    world.cut("BR");
    world.stop("FR").await?;
    world.stop_hub().await?;
    Ok((hub.kill(), bureau.kill(), ids))
}

/// What the node serves as it is, and what its files are.
async fn at_rest(world: &World, node: Node, disk: BreakableDisk, sent: &[String]) -> Result<AtRest> {
    start(world, node, &disk.fork()).await?;
    let served = Served::of(world, node, sent).await?;
    crash(world, node).await?;
    ensure!(served.whole() > 20, "the node serves nothing that could be damaged");
    let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in disk.paths() {
        if used(&disk, &path) > 0 {
            files.entry(kind(&path)).or_default().push(path);
        }
    }
    let segments = files.values().flatten().filter(|path| path.extension().is_some_and(|end| end == "log"));
    let logs: BTreeSet<PathBuf> = segments.filter_map(|path| path.parent()).map(Path::to_owned).collect();
    ensure!(!logs.is_empty(), "there is no log");
    Ok(AtRest { disk, logs, files, served })
}

/// Flips one bit of a file of this kind.
async fn one(
    world: &World,
    node: Node,
    rest: &AtRest,
    kind: &str,
    dice: &mut Dice,
    tally: &mut Tally,
) -> Result<Option<String>> {
    let files = &rest.files[kind];
    let path = &files[usize::try_from(dice.below(files.len() as u64))?];
    let (offset, bit) = (dice.below(used(&rest.disk, path)), u8::try_from(dice.below(8))?);
    let what = format!("{node:?}: byte {offset}, bit {bit} of {}", path.display());
    let disk = rest.disk.fork();
    ensure!(disk.flip(path, offset, bit), "{what} is not there");
    tally.flips += 1;
    // The disk as it is now is asked; what is damaged must be named before the node may leave it out.
    let as_disk: Arc<dyn Disk> = Arc::new(disk.fork());
    let sound = rest.logs.iter().all(|log| check(&as_disk, log).as_ref().is_ok_and(Report::is_sound));
    match start(world, node, &disk).await {
        Err(error) if names_damage(&error) => {
            tally.refused += 1;
            return Ok(None);
        }
        Err(error) => return Ok(Some(format!("{what}: it does not start and does not say why: {error}"))),
        Ok(()) => {}
    }
    let within = if sound { PATIENCE } else { QUIET };
    let served = rest.served.again(world, node, within).await;
    crash(world, node).await?;
    let compared = rest.served.compare(&served.with_context(|| what.clone())?);
    Ok(match compared {
        Err(other) => Some(format!("{what}: {other}")),
        Ok(true) => {
            tally.unaffected += 1;
            None
        }
        Ok(false) if sound && kind != "attachments" => {
            Some(format!("{what}: something is left out, and nothing is named"))
        }
        Ok(false) => {
            tally.named += 1;
            None
        }
    })
}

/// Whether the error says that stored data are at fault.
fn names_damage(error: &WorldError) -> bool {
    let said = error.to_string();
    ["damaged", "format version", "not a ", "cannot be read"].iter().any(|words| said.contains(words))
}

async fn start(world: &World, node: Node, disk: &BreakableDisk) -> Result<(), WorldError> {
    match node {
        Node::Hub => {
            world.set_hub_disk(Arc::new(disk.clone()));
            world.start_hub().await
        }
        Node::Bureau => {
            world.set_bureau_disk("FR", Arc::new(disk.clone()));
            world.restart("FR").await
        }
    }
}

async fn crash(world: &World, node: Node) -> Result<(), WorldError> {
    match node {
        Node::Hub => world.crash_hub().await,
        Node::Bureau => world.crash("FR").await,
    }
}

/// What kind of file it is.
fn kind(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let dir = path.parent().and_then(Path::file_name).map(|dir| dir.to_string_lossy().into_owned());
    match name.as_str() {
        _ if name.ends_with(".log") => "segments".into(),
        _ if name.starts_with("snapshot-") => "snapshots".into(),
        _ if name.starts_with("run-") => "index runs".into(),
        _ => dir.unwrap_or_default(),
    }
}

/// How many bytes of the file are in use: what is allocated ahead holds nothing.
fn used(disk: &BreakableDisk, path: &Path) -> u64 {
    let contents = disk.contents(path).unwrap_or_default();
    contents.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}
