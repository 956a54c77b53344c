//! A full disk: on a real file system all room but a little is taken away from a hub and its bureaus under load. New
//! work is refused with a time to come again, what was promised is read as ever, by a hub too that is killed then and
//! starts without any room, and when there is room again the same bytes are taken.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use i247_ledger::faults::Dice;
use i247_model::{Identity, Lane, Party, Reason, Refusal};
use i247_node::{Clock as _, SystemClock};
use i247_testkit::{Pen, World, country, free_text, pb};
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;

use crate::Options;
use crate::arrival::{self, READER};
use crate::book::{Book, Receipt};
use crate::images::Images;
use crate::inspection::BUREAUS;
use crate::mailbox::{Broken, Counts};
use crate::node::{Node, Start};
use crate::sender::Sender;
use crate::verdict::Verdict;

/// Each sender sends a message in about so much time.
const PACE: Duration = Duration::from_millis(10);
/// The room goes within this time after the round before.
const WINDOW: Duration = Duration::from_millis(400);
/// What is left to the nodes is less than this, in bytes.
const LEFT: u64 = 512 * 1024;
/// Size of a segment of every log: small, so that the nodes soon ask for room.
const SEGMENT_BYTES: u64 = 256 * 1024;
/// A hub without room refuses within this time, and with room takes messages again.
const WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);
/// Who tries what the hub takes.
const PROBE: &str = "SN";

/// Fills the disk under a network, and gives the room back, round by round.
pub(crate) async fn run(options: &Options) -> Result<Verdict> {
    let program = options.program()?;
    let dir = std::env::temp_dir().join(format!("i247-full-{}-{}", options.seed, std::process::id()));
    let images = match Images::build(&dir).await {
        Ok(images) => images,
        Err(error) => return Ok(Verdict::CannotRun(format!("{error:#}"))),
    };
    println!("full disks: ext4, a hub and {} bureaus, seed {}", BUREAUS.len(), options.seed);
    let found = Box::pin(rounds(options, &program, &images)).await?;
    if found.is_empty() {
        return Ok(Verdict::Good);
    }
    Ok(Verdict::Broken(found.iter().map(ToString::to_string).collect()))
}

async fn rounds(options: &Options, program: &Path, images: &Images) -> Result<Vec<Broken>> {
    let place = images.inner().join("world");
    let world = World::of(BUREAUS).processes(program).keep(&place).segment_bytes(SEGMENT_BYTES);
    let world = world.start().await?;
    let mut dice = Dice::new(options.seed);
    let [first, second] = BUREAUS;
    let mut senders = [
        Sender::officer(first, Lane::Normal, vec![second], Dice::new(dice.roll())).always(READER),
        Sender::officer(second, Lane::Urgent, vec![first], Dice::new(dice.roll())).always(READER),
        Sender::member(&world, "DE", BUREAUS.to_vec(), Dice::new(dice.roll())).await?.always(READER),
    ];
    // Whom everything is addressed to is admitted before anything is sent.
    world.pen(READER).await?;
    let book = RefCell::new(Book::default());
    let mut filling = Filling { world: &world, program, images, probe: world.pen(PROBE).await?, sent: 0 };
    let mut found = Vec::new();
    for round in 1..=options.rounds {
        let stop = Cell::new(false);
        let sending = senders.iter_mut().map(|sender| sender.send_until(&world, &book, &stop, PACE));
        let round = async {
            let broken = filling.once(round, &mut dice, &book).await;
            stop.set(true);
            broken
        };
        let (_, broken) = tokio::try_join!(try_join_all(sending), round)?;
        found.extend(broken);
        if !found.is_empty() {
            return Ok(found);
        }
    }
    for code in BUREAUS {
        found.extend(arrival::at_bureau(&world, code, &book).await?);
    }
    let promised = book.borrow().receipts().to_vec();
    found.extend(read(&world, &promised, &book).await?);
    println!("{} receipts against every delivery: {}", promised.len(), Counts::of(&found));
    world.stop_all().await?;
    Ok(found)
}

/// Reads at the world's own hub what was promised.
async fn read(world: &World, promised: &[Receipt], book: &RefCell<Book>) -> Result<Vec<Broken>> {
    let reader = world.credentials(&Identity::Bureau(country(READER))).await?;
    Ok(arrival::at_reader(world.hub_channel(&reader).await?, promised, book).await)
}

/// What is played.
struct Filling<'a> {
    world: &'a World,
    program: &'a Path,
    images: &'a Images,
    probe: Pen,
    /// Messages of the probe.
    sent: u64,
}

impl Filling<'_> {
    /// The room goes, and comes back. In every second round the hub is killed without any, and starts.
    async fn once(&mut self, round: u64, dice: &mut Dice, book: &RefCell<Book>) -> Result<Vec<Broken>> {
        let clock = SystemClock::new();
        let wait = Duration::from_micros(dice.below(u64::try_from(WINDOW.as_micros())?));
        i247_node::sleep(wait).await;
        let ballast = Ballast::fill(&self.images.inner(), dice.below(LEFT))?;
        let (waiting, refusal) = self.until_refused(book).await?;
        let mut found = Vec::new();
        if refusal.retry_after.is_none() {
            found.push(Broken::Otherwise(format!("no time to come again: {refusal:?}")));
        }
        // What a desk promised may still wait in its bureau for a hub that takes it.
        let at_hub = |receipt: &&Receipt| {
            !BUREAUS.map(|code| Party::Bureau(country(code))).contains(&receipt.id.sender.party())
        };
        let promised: Vec<Receipt> = book.borrow().receipts().iter().filter(at_hub).cloned().collect();
        let killed = round.is_multiple_of(2);
        if killed {
            self.world.crash_hub().await?;
            let hub = self.start_without_room().await.context("the hub, started on a full disk")?;
            let channel = hub.channel(self.world, READER).await?;
            found.extend(arrival::at_reader(channel, &promised, book).await);
            hub.kill().await?;
            ballast.give_back()?;
            self.world.start_hub().await?;
            let channel = self.world.hub_channel(self.probe.credentials()).await?;
            self.probe.continue_over(channel);
        } else {
            found.extend(read(self.world, &promised, book).await?);
            ballast.give_back()?;
        }
        let from = clock.monotonic();
        let taken = tokio::time::timeout(WITHIN, self.until_taken(&waiting, book)).await;
        taken.context("there is room, and the hub takes nothing")??;
        println!(
            "round {round}: full{}, {} receipts of the hub, taken again {:.1} s after there was room: {}",
            if killed { ", killed and started full" } else { "" },
            promised.len(),
            clock.monotonic().saturating_sub(from).as_secs_f64(),
            Counts::of(&found)
        );
        Ok(found)
    }

    /// Sends until the hub refuses; what it refused last.
    async fn until_refused(&mut self, book: &RefCell<Book>) -> Result<(Waiting, Refusal)> {
        let refused = async {
            loop {
                let waiting = self.letter(book);
                match self.probe.submit(&waiting.envelope).await {
                    Ok(accepted) => waiting.taken(&accepted, book)?,
                    Err(error) => match error.refusal() {
                        Some(refusal) if refusal.reason == Reason::ReadOnly => {
                            return Ok((waiting, refusal.clone()));
                        }
                        _ => bail!("the hub without room: {error}"),
                    },
                }
                i247_node::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(WITHIN, refused)
            .await
            .context("there is no room, and the hub refuses nothing")?
    }

    /// Hands in the same bytes until they are accepted.
    async fn until_taken(&mut self, waiting: &Waiting, book: &RefCell<Book>) -> Result<()> {
        loop {
            match self.probe.submit(&waiting.envelope).await {
                Ok(accepted) => return waiting.taken(&accepted, book),
                Err(error) if error.refusal().is_some_and(|refusal| refusal.reason == Reason::ReadOnly) => {}
                Err(error) => bail!("the hub with room: {error}"),
            }
            i247_node::sleep(LOOK).await;
        }
    }

    fn letter(&mut self, book: &RefCell<Book>) -> Waiting {
        self.sent += 1;
        let text = format!("{PROBE} tries {}", self.sent);
        let mut draft = free_text(&[BUREAUS[0], READER], &text);
        if let Some(body) = &mut draft.body {
            body.subject.clone_from(&text);
        }
        book.borrow_mut().offers(&text, &[BUREAUS[0], READER].map(country).into());
        Waiting { envelope: self.probe.sign(&self.probe.letter(draft)), text }
    }

    /// The hub once more on its data; whatever else it writes lies on another disk.
    async fn start_without_room(&self) -> Result<Node> {
        let (data, config) = (self.world.dir().join("hub/data"), self.world.dir().join("hub/config.toml"));
        let work = self.images.inner().with_file_name("started");
        let set = [("data", &*data.to_string_lossy())];
        Node::start(Start { program: self.program, role: &["hub"], config: &config, set: &set, work: &work })
            .await
    }
}

/// A message that is handed in until it is taken.
struct Waiting {
    envelope: pb::Envelope,
    text: String,
}

impl Waiting {
    fn taken(&self, accepted: &pb::Acceptance, book: &RefCell<Book>) -> Result<()> {
        let to = [BUREAUS[0], READER].map(country).into();
        let id = accepted.id.parse().context("the acceptance names no message")?;
        book.borrow_mut().holds(Receipt { id, text: self.text.clone(), to });
        Ok(())
    }
}

/// A file that takes the room.
struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// Takes all room but so many bytes, that which is kept for root too.
    fn fill(dir: &Path, left: u64) -> Result<Self> {
        let path = dir.join("ballast");
        let file = File::create(&path)?;
        let (mut end, mut chunk) = (0, u64::MAX);
        loop {
            let room = fstatvfs(&file)?;
            let free = room.f_bfree * room.f_frsize;
            chunk = chunk.min(free.saturating_sub(left));
            if chunk < room.f_frsize {
                break;
            }
            match fallocate(&file, FallocateFlags::empty(), end, chunk) {
                Ok(()) => end += chunk,
                // What describes a long file takes room too.
                Err(Errno::NOSPC) => chunk /= 2,
                Err(error) => return Err(error).context("taking the room"),
            }
        }
        ensure!(end > 0, "there was no room to take");
        Ok(Self { path })
    }

    fn give_back(self) -> Result<()> {
        Ok(std::fs::remove_file(&self.path)?)
    }
}
