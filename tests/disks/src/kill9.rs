//! `kill -9` at random instants. What was written is still in the page cache, so this finds what recovery gets wrong,
//! not a missing sync: that is for the power cut.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use i247_client::{ClientError, Event, InboxFilter, OutboxFilter};
use i247_ledger::faults::Dice;
use i247_model::{Lane, MessageId};
use i247_node::{Clock as _, SystemClock};
use i247_testkit::{World, WorldError, country, pb};

use crate::Options;
use crate::book::{Book, Receipt};
use crate::mailbox::{Broken, Counts, Mailbox};
use crate::sender::Sender;
use crate::verdict::Verdict;

/// The bureaus; each is a process.
const BUREAUS: [&str; 3] = ["FR", "BR", "JP"];
/// Members that hand in at the hub themselves.
const MEMBERS: [&str; 2] = ["DE", "SN"];
/// What each of the eight senders sends in a round.
const MESSAGES: u64 = 26;
/// About how long it takes for one of them; all together as long as the window for the kill.
const PACE: Duration = Duration::from_millis(19);
/// The kill comes within this time.
const WINDOW: Duration = Duration::from_millis(500);
/// A node that is killed while it starts has run for less than this.
const STARTING: Duration = Duration::from_millis(40);
/// What was promised arrives within this time of the one before, once the last node is back.
const ARRIVAL: Duration = Duration::from_secs(30);
/// A killed process may hold its lock for a moment.
const GONE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);
/// How often a line is printed.
const TELL: Duration = Duration::from_secs(5);

/// What the run did.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    hub: u64,
    bureaus: u64,
    starting: u64,
    accepted: usize,
    deliveries: usize,
}

/// Kills nodes of a network, round by round.
pub(crate) async fn run(options: &Options) -> Result<Verdict> {
    let program = options.program()?;
    let dir = std::env::temp_dir().join(format!("i247-kill9-{}-{}", options.seed, std::process::id()));
    println!(
        "kill -9: a hub and {} bureaus, seed {}, data in {}",
        BUREAUS.len(),
        options.seed,
        dir.display()
    );
    let played = Box::pin(rounds(options, &program, &dir)).await;
    let kept = || {
        format!(
            "data and logs are kept in {}; to repeat it: make kill9 ROUNDS={} SEED={}",
            dir.display(),
            options.rounds,
            options.seed
        )
    };
    match played {
        Ok(found) if found.is_empty() => {
            std::fs::remove_dir_all(&dir)?;
            Ok(Verdict::Good)
        }
        Ok(found) => {
            println!("{}", kept());
            Ok(Verdict::Broken(found.iter().map(ToString::to_string).collect()))
        }
        Err(error) => Err(error.context(kept())),
    }
}

async fn rounds(options: &Options, program: &Path, dir: &Path) -> Result<Vec<Broken>> {
    let world = World::of(BUREAUS).processes(program).keep(dir).start().await?;
    let (clock, mut dice) = (SystemClock::new(), Dice::new(options.seed));
    let mut senders = senders(&world, &mut dice).await?;
    let book = RefCell::new(Book::default());
    let mut mailboxes = BUREAUS.map(|code| Mailbox::new(country(code)));
    let (mut tally, mut found, mut told) = (Tally::default(), Vec::new(), Duration::ZERO);
    for round in 1..=options.rounds {
        tally.rounds = round;
        let before = book.borrow().receipts().len();
        let sending = senders.iter_mut().map(|sender| sender.send(&world, &book, MESSAGES, PACE));
        tokio::try_join!(try_join_all(sending), kill(&world, &mut dice, &mut tally))?;
        let promised = book.borrow().receipts()[before..].to_vec();
        for (code, mailbox) in BUREAUS.iter().zip(&mut mailboxes) {
            let arrived = arrivals(&world, code, mailbox, &promised).await?;
            for (id, text) in arrived {
                found.extend(mailbox.takes(id, &text, &book.borrow()));
            }
            found.extend(mailbox.lacks(&promised));
        }
        tally.accepted = book.borrow().receipts().len();
        tally.deliveries = mailboxes.iter().map(|mailbox| mailbox.order().len()).sum();
        if !found.is_empty() || round == options.rounds || clock.monotonic() >= told + TELL {
            told = clock.monotonic();
            tell(&tally, &found, told);
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    for (code, mailbox) in BUREAUS.iter().zip(&mailboxes) {
        found.extend(at_rest(&world, code, mailbox, &book).await?);
    }
    world.stop_all().await?;
    Ok(found)
}

async fn senders(world: &World, dice: &mut Dice) -> Result<Vec<Sender>> {
    let mut senders = Vec::new();
    for code in BUREAUS {
        let others: Vec<_> = BUREAUS.into_iter().filter(|other| *other != code).collect();
        for lane in [Lane::Normal, Lane::Urgent] {
            senders.push(Sender::officer(code, lane, others.clone(), Dice::new(dice.roll())));
        }
    }
    for code in MEMBERS {
        senders.push(Sender::member(world, code, BUREAUS.to_vec(), Dice::new(dice.roll())).await?);
    }
    Ok(senders)
}

fn tell(tally: &Tally, found: &[Broken], after: Duration) {
    let Tally { rounds, hub, bureaus, starting, accepted, deliveries } = tally;
    println!(
        "{:>6.1} s  {rounds} rounds: hub killed {hub} times, bureaus {bureaus}, while starting {starting}; \
         {accepted} accepted, {deliveries} delivered: {}",
        after.as_secs_f64(),
        Counts::of(found)
    );
}

/// Kills one node or several at a random instant, and starts them again.
async fn kill(world: &World, dice: &mut Dice, tally: &mut Tally) -> Result<()> {
    let whom = dice.below(10);
    let one = BUREAUS[usize::try_from(dice.below(3))?];
    let (hub, bureaus) = match whom {
        0..5 => (true, Vec::new()),
        5..8 => (false, vec![one]),
        8 => (true, vec![one]),
        _ => (true, BUREAUS.to_vec()),
    };
    i247_node::sleep(Duration::from_micros(dice.below(u64::try_from(WINDOW.as_micros())?))).await;
    if hub {
        world.crash_hub().await?;
        tally.hub += 1;
    }
    for code in &bureaus {
        world.crash(code).await?;
        tally.bureaus += 1;
    }
    if hub {
        tally.starting += start_again(dice, async || world.start_hub().await).await.context("the hub")?;
    }
    for code in bureaus {
        tally.starting += start_again(dice, async || world.restart(code).await).await.context(code)?;
    }
    Ok(())
}

/// Starts a node; now and then it is killed on its way, and started once more. How often that was.
async fn start_again(dice: &mut Dice, start: impl AsyncFn() -> Result<(), WorldError>) -> Result<u64> {
    let mut killed = 0;
    while dice.one_in(4) {
        let after = Duration::from_micros(dice.below(u64::try_from(STARTING.as_micros())?));
        // Given up, the process is killed.
        match tokio::time::timeout(after, start()).await {
            Ok(Ok(())) => return Ok(killed),
            Ok(Err(error)) if !is_locked(&error) => return Err(error.into()),
            Ok(Err(_)) => {}
            Err(_) => killed += 1,
        }
    }
    let starting = async {
        loop {
            match start().await {
                Err(error) if is_locked(&error) => i247_node::sleep(LOOK).await,
                started => return started,
            }
        }
    };
    tokio::time::timeout(GONE, starting).await.context("its data stay locked")??;
    Ok(killed)
}

fn is_locked(error: &WorldError) -> bool {
    error.to_string().contains("in use by another process")
}

/// What came to a bureau since it was looked at last: until all that was promised is there and nothing more.
async fn arrivals(
    world: &World,
    code: &str,
    mailbox: &Mailbox,
    promised: &[Receipt],
) -> Result<Vec<(MessageId, String)>> {
    let at = country(code);
    let mut missing: BTreeSet<&str> =
        promised.iter().filter(|one| one.to.contains(&at)).map(|one| one.text.as_str()).collect();
    let known = mailbox.order().len();
    let desk = world.bureau(code).desk().await?;
    let mut watch = desk.watch(known as u64).await?;
    let mut arrived = Vec::new();
    loop {
        if missing.is_empty() && desk.report().await?.received <= (known + arrived.len()) as u64 {
            return Ok(arrived);
        }
        match watch.next(ARRIVAL).await {
            Ok(Event::Arrived(item)) => {
                missing.remove(item.subject.as_str());
                arrived.push((item.id.parse()?, item.subject));
            }
            Ok(Event::Sent(_) | Event::Progress(_)) => {}
            Err(ClientError::Late(_)) => return Ok(arrived),
            Err(error) => return Err(error).with_context(|| format!("watching {code}")),
        }
    }
}

/// At the end the inbox lists what came, in that order, and the outbox has the hub's answer to all that was promised.
async fn at_rest(world: &World, code: &str, mailbox: &Mailbox, book: &RefCell<Book>) -> Result<Vec<Broken>> {
    let desk = world.bureau(code).desk().await?;
    let mut found = Vec::new();
    let inbox = desk.inbox(&InboxFilter::default()).await?;
    let listed: Vec<&str> = inbox.iter().rev().map(|item| item.id.as_str()).collect();
    let came: Vec<String> = mailbox.order().iter().map(ToString::to_string).collect();
    if listed != came {
        found.push(Broken::Otherwise(format!(
            "{code} lists {} messages, and {} came",
            listed.len(),
            came.len()
        )));
    }
    let outbox = desk.outbox(&OutboxFilter::default()).await?;
    let accepted = |item: &&pb::OutboxItem| item.state() == pb::OutboxState::Accepted;
    let accepted: BTreeSet<&str> = outbox.iter().filter(accepted).map(|item| item.id.as_str()).collect();
    let own = country(code);
    for receipt in book.borrow().receipts() {
        let id = receipt.id.to_string();
        if receipt.id.sender.party().country() == Some(own) && !accepted.contains(id.as_str()) {
            found.push(Broken::Otherwise(format!("{id} was delivered and has no acceptance at {code}")));
        }
    }
    Ok(found)
}
