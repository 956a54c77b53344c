//! Power cuts on a real file system: at a random instant the image under all nodes is copied, and a second network is
//! started on the copy. A control whose syncs do nothing must lose data, else the test shows nothing.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use i247_client::{ClientError, Event};
use i247_ledger::faults::Dice;
use i247_model::Lane;
use i247_node::{Clock as _, SystemClock};
use i247_testkit::World;

use crate::Options;
use crate::arrival::READER;
use crate::book::Book;
use crate::images::Images;
use crate::inspection::{BUREAUS, Left};
use crate::mailbox::{Broken, Counts};
use crate::sender::Sender;
use crate::verdict::Verdict;

/// Members that hand in at the hub themselves.
const MEMBERS: [&str; 5] = ["DE", "SN", "IT", "ES", "NL"];
/// After so many cuts a new network begins: what is read on each cut grows with what was sent.
const CUTS_OF_ONE_NETWORK: u64 = 10;
/// A cut comes within this time after the one before was looked at.
const WINDOW: Duration = Duration::from_millis(400);
/// Each sender sends a message in about so much time.
const PACE: Duration = Duration::from_millis(10);
/// Size of a segment of every log: small, so that cuts fall between segments too.
const SEGMENT_BYTES: u64 = 256 * 1024;
/// Of this many cuts one more is made of the control, and a few at least.
const CUTS_FOR_A_CONTROL: u64 = 20;
const CONTROLS: u64 = 3;
/// So many of the control's cuts in a hundred must lose something.
const MUST_LOSE: u64 = 95;

/// What a series of cuts came to.
#[derive(Debug, Default)]
struct Series {
    cuts: u64,
    losing: u64,
    receipts: usize,
    found: Vec<Broken>,
}

/// What is played.
struct Cutting<'a> {
    images: &'a mut Images,
    /// For the nodes on the disk whose power is cut, and for those that are started on what is left.
    nodes: PathBuf,
    plain: PathBuf,
    dice: Dice,
    clock: SystemClock,
}

/// Cuts the power under a network, and under a control.
pub(crate) async fn run(options: &Options) -> Result<Verdict> {
    let program = options.program()?;
    let dir = std::env::temp_dir().join(format!("i247-powercut-{}-{}", options.seed, std::process::id()));
    let mut images = match Images::build(&dir).await {
        Ok(images) => images,
        Err(error) => return Ok(Verdict::CannotRun(format!("{error:#}"))),
    };
    println!(
        "power cuts: ext4 on a copied image, a hub and {} bureaus, seed {}",
        BUREAUS.len(),
        options.seed
    );
    let control = without_syncs(&dir, &program)?;
    let mut cutting = Cutting {
        images: &mut images,
        nodes: program.clone(),
        plain: program,
        dice: Dice::new(options.seed),
        clock: SystemClock::new(),
    };
    let real = Box::pin(cutting.series(options.rounds, "cuts")).await?;
    if !real.found.is_empty() {
        println!("to repeat it: make powercut ROUNDS={} SEED={}", options.rounds, options.seed);
        return Ok(Verdict::Broken(real.found.iter().map(ToString::to_string).collect()));
    }
    cutting.nodes = control;
    let wanted = CONTROLS.max(options.rounds / CUTS_FOR_A_CONTROL);
    let what = "cuts of the control, whose syncs do nothing";
    let control = Box::pin(cutting.series(wanted, what)).await?;
    if control.losing * 100 < wanted * MUST_LOSE {
        let why = format!("the control lost something in {} of {wanted} cuts only", control.losing);
        return Ok(Verdict::Invalid(why));
    }
    println!(
        "{} receipts in {} cuts, nothing lost; the control lost in {} of {wanted}",
        real.receipts, real.cuts, control.losing
    );
    Ok(Verdict::Good)
}

/// The program with syncs that do nothing.
fn without_syncs(dir: &Path, program: &Path) -> Result<PathBuf> {
    let script = dir.join("without-syncs");
    std::fs::write(&script, format!("#!/bin/sh\nexec eatmydata '{}' \"$@\"\n", program.display()))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

impl Cutting<'_> {
    async fn series(&mut self, cuts: u64, what: &str) -> Result<Series> {
        let mut series = Series::default();
        while series.cuts < cuts {
            let before = series.cuts;
            Box::pin(self.network(&mut series, cuts)).await?;
            anyhow::ensure!(series.cuts > before, "no cut was made");
            println!(
                "{:>6.1} s  {} of {cuts} {what}: {} receipts held against what is left, {} cuts lost something: {}",
                self.clock.monotonic().as_secs_f64(),
                series.cuts,
                series.receipts,
                series.losing,
                Counts::of(&series.found)
            );
        }
        Ok(series)
    }

    /// One network, and as many cuts as it bears.
    async fn network(&mut self, series: &mut Series, wanted: u64) -> Result<()> {
        let place = self.images.inner().join("world");
        let world = World::of(BUREAUS).processes(&self.nodes).keep(&place).segment_bytes(SEGMENT_BYTES);
        let world = world.start().await?;
        let mut senders = senders(&world, &mut self.dice).await?;
        // Whom everything is addressed to is admitted before anything is sent.
        world.pen(READER).await?;
        self.images.settle().await?;
        let (book, seen) = (RefCell::new(Book::default()), RefCell::new(Vec::new()));
        let sending = senders.iter_mut().map(|sender| sender.send(&world, &book, u64::MAX, PACE));
        let cutting = async {
            for _ in 0..CUTS_OF_ONE_NETWORK.min(wanted - series.cuts) {
                self.once(&world, &book, &seen, series).await?;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            // Whoever ends first: the others only go on until then.
            ended = cutting => ended?,
            ended = try_join_all(sending) => { ended?; }
            ended = watch(&world, &seen) => ended?,
        }
        world.stop_all().await?;
        Ok(std::fs::remove_dir_all(&place)?)
    }

    async fn once(
        &mut self,
        world: &World,
        book: &RefCell<Book>,
        seen: &RefCell<Vec<String>>,
        series: &mut Series,
    ) -> Result<()> {
        let wait = Duration::from_micros(self.dice.below(u64::try_from(WINDOW.as_micros())?));
        i247_node::sleep(wait).await;
        let (promised, seen) = (book.borrow().receipts().to_vec(), seen.borrow().clone());
        self.images.cut().await?;
        let cut = self.images.mount_cut().await?;
        let left = Left {
            program: &self.plain,
            live: world.dir(),
            cut: &cut.join("world"),
            work: &std::env::temp_dir().join(format!("i247-cut-{}", std::process::id())),
            promised: &promised,
            seen: &seen,
        };
        let found = left.inspect(world, book).await?;
        std::fs::remove_dir_all(left.work)?;
        self.images.forget_cut().await?;
        series.cuts += 1;
        series.receipts += promised.len();
        series.losing += u64::from(!found.is_empty());
        series.found.extend(found);
        Ok(())
    }
}

async fn senders(world: &World, dice: &mut Dice) -> Result<Vec<Sender>> {
    let mut senders = Vec::new();
    let [first, second] = BUREAUS;
    for (from, lane, to) in
        [(first, Lane::Normal, second), (first, Lane::Urgent, second), (second, Lane::Normal, first)]
    {
        senders.push(Sender::officer(from, lane, vec![to], Dice::new(dice.roll())).always(READER));
    }
    for code in MEMBERS {
        let member = Sender::member(world, code, BUREAUS.to_vec(), Dice::new(dice.roll())).await?;
        senders.push(member.always(READER));
    }
    Ok(senders)
}

/// Notes what an officer sees arrive.
async fn watch(world: &World, seen: &RefCell<Vec<String>>) -> Result<()> {
    let mut watch = world.bureau(BUREAUS[0]).desk().await?.watch(0).await?;
    loop {
        match watch.next(Duration::from_secs(60)).await {
            Ok(Event::Arrived(item)) => seen.borrow_mut().push(item.id),
            Ok(Event::Sent(_) | Event::Progress(_)) | Err(ClientError::Late(_)) => {}
            Err(error) => return Err(error).context("watching the bureau"),
        }
    }
}
