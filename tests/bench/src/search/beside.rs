//! What a search takes while the hub has other work: messages between bureaus, and a file that is being loaded. Searches
//! come when they are due, whether or not earlier ones are answered, and their time counts from when they were due.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use i247_client::Searches;
use i247_model::CountryCode;
use i247_node::{Clock as _, SystemClock};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::asked::Officer;
use super::asking::Line as _;
use super::owner::{Loading, Owner};
use super::planted::{Hits, Planted, Script};
use crate::bureaus::{Bureaus, SENDERS};
use crate::hub::{Hub, People};
use crate::measure::{Measured, Point};
use crate::overload::Streams;
use crate::process::Stopwatch;

/// Searches a second.
pub(crate) const SEARCHES: u32 = 2000;
/// Messages a second.
pub(crate) const MESSAGES: f64 = 500.0;
/// Between two looks at what is due: finer than the time that is measured.
const LOOK: Duration = Duration::from_millis(1);
/// So long messages flow before what was sent is compared with what came.
const LEG_SECONDS: f64 = 2.0;
/// More searches under way than this, and nobody keeps up.
const UNDER_WAY: usize = 20_000;

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    pub(crate) searches: Point,
    /// The messages, over all that time.
    pub(crate) messages: Point,
    pub(crate) loading: Loading,
}

/// Searches and messages while this file is loaded.
pub(crate) async fn measure(
    hub: &Hub,
    people: &People,
    owner: &Owner,
    clock: &Arc<SystemClock>,
    (askers, planted): (&[Channel], &Arc<Planted>),
    (file, records): (&Path, u64),
) -> Result<Beside> {
    let linked = people.members[..2 * SENDERS].to_vec();
    let receivers: Vec<CountryCode> = linked[SENDERS..].iter().map(|(country, _)| *country).collect();
    let bureaus = Bureaus::open(clock.clone(), linked, |own| hub.channel(own)).await?;
    let streams = Streams::new(clock.clone(), bureaus, (0, SENDERS), &receivers);
    let over = Arc::new(AtomicBool::new(false));
    let searching = search(askers, planted, clock, hub.process(), &over);
    let sending = send(streams, hub.process(), &over);
    let loading = async {
        let loaded = owner.load(file, records).await;
        over.store(true, Ordering::Relaxed);
        loaded
    };
    let (searches, messages, loading) = tokio::join!(searching, sending, loading);
    Ok(Beside { searches: searches?.point(), messages: messages?.point(), loading: loading? })
}

/// Asks at its rate until it is over.
async fn search(
    askers: &[Channel],
    planted: &Arc<Planted>,
    clock: &Arc<SystemClock>,
    process: u32,
    over: &AtomicBool,
) -> Result<Measured> {
    let every = Duration::from_secs(1) / SEARCHES;
    let stopwatch = Stopwatch::start(Some(process));
    let mut script = Script::new(planted.clone(), Hits::Recorded, 1, 0);
    let mut measured = Measured::default();
    let mut under_way: JoinSet<Result<Duration>> = JoinSet::new();
    let begun = clock.monotonic();
    let mut due = begun;
    while !over.load(Ordering::Relaxed) {
        while due <= clock.monotonic() {
            let channel = askers[measured.sent as usize % askers.len()].clone();
            let mut line = Officer { searches: Searches::new(channel), planted: planted.clone() };
            let (question, clock) = (script.next(), clock.clone());
            under_way.spawn(async move {
                line.ask(&question).await?;
                Ok(clock.monotonic() - due)
            });
            measured.sent += 1;
            due += every;
        }
        while let Some(done) = under_way.try_join_next() {
            count(&mut measured, done?);
        }
        if under_way.len() > UNDER_WAY {
            bail!("{UNDER_WAY} searches are not answered yet");
        }
        i247_node::sleep(LOOK).await;
    }
    while let Some(done) = under_way.join_next().await {
        count(&mut measured, done?);
    }
    measured.elapsed = clock.monotonic() - begun;
    (measured.accepted, measured.due, measured.acknowledged) =
        (measured.sent, measured.sent, measured.delivered);
    measured.cpu = stopwatch.stop();
    Ok(measured)
}

fn count(measured: &mut Measured, done: Result<Duration>) {
    match done {
        Ok(took) => {
            measured.delivered += 1;
            measured.latencies.push(took);
        }
        Err(error) => {
            measured.trouble.get_or_insert_with(|| format!("{error:#}"));
        }
    }
}

/// Lets messages flow at their rate until it is over.
async fn send(mut streams: Streams, process: u32, over: &AtomicBool) -> Result<Measured> {
    let mut all = Measured::default();
    while !over.load(Ordering::Relaxed) {
        let leg = streams.paced(MESSAGES, LEG_SECONDS, process).await?;
        all.elapsed += leg.elapsed;
        all.sent += leg.sent;
        all.accepted += leg.accepted;
        all.due += leg.due;
        all.delivered += leg.delivered;
        all.acknowledged += leg.acknowledged;
        all.latencies.extend(leg.latencies);
        all.cpu.server += leg.cpu.server;
        all.cpu.client += leg.cpu.client;
        all.trouble = all.trouble.or(leg.trouble);
    }
    Ok(all)
}
