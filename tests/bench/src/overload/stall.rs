//! A hundred bureaus that take nothing, beside 64 that go on: what the one costs the other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use i247_model::{Audience, CountryCode};
use i247_node::Clock as _;
use i247_trust::{Credentials, MAX_BURST};
use i247_wire::pb::connect_request::Frame as Up;

use super::stalled::Stalled;
use super::streams::Streams;
use super::{Scene, line, stalled};
use crate::bureaus::{Bureaus, SENDERS, request};
use crate::flight::{Counts, Flight};
use crate::measure::Point;
use crate::out;
use crate::process::memory_of;

/// Bureaus that stall.
pub(crate) const STALLED: usize = 100;
/// Messages that wait for each of them: more than all buffers on the way take.
const WAITING: usize = 1500;
/// How long the buffers on the way may take to fill. From the first silence the hub's pings leave ten seconds, in which
/// the measurement must end.
const FILLING: Duration = Duration::from_secs(5);
/// They are full when nothing was added for so long.
const STILL: Duration = Duration::from_millis(400);

/// What came of it: the round whose ratio lies in the middle.
pub(crate) struct Stall {
    pub(crate) round: Round,
    /// Why what waited for them did not come once and only once when they read again, if so.
    pub(crate) trouble: Option<String>,
}

/// One comparison.
pub(crate) struct Round {
    pub(crate) before: Point,
    pub(crate) beside: Point,
    /// How many had bytes that they did not take, when the measurement began and when it ended.
    pub(crate) held: (usize, usize),
    /// Whether the buffers on the way were full before the measurement began: else it also has the filling in it.
    pub(crate) full: bool,
    /// Bytes in the kernel for all of them when the measurement began.
    pub(crate) unread: u64,
    /// The hub's resident memory then, in bytes.
    pub(crate) memory: u64,
}

impl Round {
    fn ratio(&self) -> f64 {
        self.beside.p99_us / self.before.p99_us
    }

    /// Why the comparison does not count, if so.
    pub(crate) fn shortfall(&self) -> Option<String> {
        let short = [&self.before, &self.beside].into_iter().find_map(|point| point.shortfall.clone());
        let (first, last) = self.held;
        let few = first.min(last);
        short
            .or_else(|| (few < STALLED).then(|| format!("only {few} of {STALLED} were stalled all the time")))
    }
}

/// Measures at this rate without them and beside them, in so many rounds.
pub(crate) async fn play(
    scene: &Scene,
    streams: &mut Streams,
    rate: f64,
    (rounds, seconds): (usize, f64),
) -> Result<Stall> {
    let members = &scene.people.members[2 * SENDERS..2 * SENDERS + STALLED];
    out::talk(&format!("{WAITING} messages for each of {STALLED} bureaus that are not there"));
    let waiting = write(scene, members.iter().map(|(country, _)| *country)).await?;
    let mut played = Vec::new();
    for _ in 0..rounds {
        played.push(compare(scene, streams, members, rate, seconds).await?);
    }
    played.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    let round = played.swap_remove(rounds / 2);
    out::talk("they come again and take all of it");
    let own = members.to_vec();
    let _back =
        Bureaus::open_in(Some(waiting.clone()), scene.clock.clone(), own, |own| scene.hub.channel(own))
            .await?;
    let (sent, due) = (WAITING as u64, (WAITING * STALLED) as u64);
    waiting.reach(Counts { accepted: sent, delivered: due, acknowledged: 0 }).await;
    let trouble = waiting.trouble().or_else(|| {
        let wrong = waiting.deliveries(scene.countries.len() - 1).filter(|times| *times as usize != STALLED);
        let wrong = wrong.count();
        (wrong > 0)
            .then(|| format!("{wrong} of {WAITING} messages did not come to all {STALLED}, or came twice"))
    });
    Ok(Stall { round, trouble })
}

async fn compare(
    scene: &Scene,
    streams: &mut Streams,
    members: &[(CountryCode, Credentials)],
    rate: f64,
    seconds: f64,
) -> Result<Round> {
    // For both measurements: nothing is signed while the hub's pings run out.
    streams.write_ahead((rate * seconds) as usize * 2 / SENDERS + 4).await?;
    out::talk(&format!("without them: {rate:.0}/s for {seconds} s"));
    let process = scene.hub.process();
    let before = streams.paced(rate, seconds, process).await?.point();
    out::talk(&line(&before));
    let stalled = stalled::hold(&scene.hub, members).await?;
    let (full, (first, unread)) = fill(scene, &stalled).await?;
    out::talk(&format!(
        "beside {first} that take nothing{}: {rate:.0}/s for {seconds} s",
        if full { "" } else { ", still filling" }
    ));
    // They are counted when the last message is sent: what is still on its way may take longer than the pings.
    let count = async {
        i247_node::sleep(Duration::from_secs_f64(seconds)).await;
        (stalled.held(), memory_of(process))
    };
    let (beside, (last, memory)) = tokio::join!(streams.paced(rate, seconds, process), count);
    let (beside, held) = (beside?.point(), (first, last?.0));
    out::talk(&format!("{}  {} still stalled, hub {} MiB", line(&beside), held.1, memory >> 20));
    Ok(Round { before, beside, held, full, unread, memory })
}

/// Waits until the buffers on the way are full. Whether they are; how many have something in them, and how many bytes
/// in all.
async fn fill(scene: &Scene, stalled: &Stalled) -> Result<(bool, (usize, u64))> {
    let since = scene.clock.monotonic();
    let mut before = stalled.held()?;
    loop {
        i247_node::sleep(STILL).await;
        let now = stalled.held()?;
        let still = now == before && now.0 == STALLED;
        if still || scene.clock.monotonic() - since > FILLING {
            return Ok((still, now));
        }
        before = now;
    }
}

/// The last country writes to all that will stall.
async fn write(scene: &Scene, to: impl Iterator<Item = CountryCode>) -> Result<Arc<Flight>> {
    let place = scene.countries.len() - 1;
    let member = scene.people.members.last().context("nobody is left to write")?.clone();
    let mut lanes = vec![(1, 0, 0); place];
    lanes.push((1, WAITING, 0));
    let flight = Arc::new(Flight::new(scene.clock.clone(), u32::try_from(STALLED)?, &lanes));
    let bureaus = Bureaus::open_in(Some(flight.clone()), scene.clock.clone(), vec![member], |own| {
        scene.hub.channel(own)
    })
    .await?;
    let (mouth, pen) = bureaus.sender(0);
    let letters = pen.write(WAITING, MAX_BURST, &[Audience::countries(to)], scene.clock.now());
    for (nth, letter) in letters.into_iter().enumerate() {
        flight.mark(place, nth, scene.clock.monotonic());
        mouth.frames.send(request(Up::Envelope(letter.envelope))).await?;
    }
    flight.reach(Counts { accepted: WAITING as u64, delivered: 0, acknowledged: 0 }).await;
    Ok(flight)
}
