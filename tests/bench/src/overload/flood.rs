//! The overload itself and what follows it: four times the streams that reach the capacity, all at their full window, and
//! besides countries that call; then half of the capacity on the first streams alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use i247_node::Clock as _;

use super::calls::{Beat, Called, Caller, Pulse, call, connect};
use super::streams::{Leg, Streams, every};
use super::tally::Tally;
use super::timeline::{Second, back_after, seconds};
use super::{BY_CALL, Effort, HUB_WINDOW, Scene, TIMES};
use crate::bureaus::{Bureaus, SENDERS};
use crate::flight::{Counts, Flight};
use crate::measure::{Cpu, Point};
use crate::out;
use crate::process::{Stopwatch, memory_of};

/// Latency is back when p99 is at most so many times what it was before.
const BACK: u32 = 2;

/// What came of it.
pub(crate) struct Flood {
    /// Messages a second that are offered in all, if each stream offers what the first needed to reach the capacity.
    pub(crate) offered: f64,
    pub(crate) streams: usize,
    /// Countries that call.
    pub(crate) callers: usize,
    pub(crate) length: Duration,
    /// Messages that the streams sent, in both parts.
    pub(crate) streamed: u64,
    pub(crate) tally: Tally,
    pub(crate) audit: Audit,
    pub(crate) during: Vec<Second>,
    /// What the streams sent, at half of the capacity again.
    pub(crate) after: Vec<Second>,
    /// The same with the calls that were still under way, from when each was first made.
    pub(crate) after_with_calls: Vec<Second>,
    /// When latency was back, from the end of the overload.
    pub(crate) back: Option<Duration>,
    /// While it lasted.
    pub(crate) cpu: Cpu,
    /// The hub's resident memory by second, in bytes.
    pub(crate) memory: Vec<u64>,
    pub(crate) trouble: Option<String>,
}

impl Flood {
    /// Messages a second that came through while it lasted.
    pub(crate) fn goodput(&self) -> f64 {
        let deliveries: usize = self.during.iter().map(|second| second.deliveries).sum();
        deliveries as f64 / self.length.as_secs_f64()
    }
}

/// What was accepted, held against what came.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Audit {
    pub(crate) accepted: u64,
    /// Accepted, and never came.
    pub(crate) lost: u64,
    /// Came more than once.
    pub(crate) doubled: u64,
    /// Came although they were refused.
    pub(crate) refused_and_came: u64,
}

impl Audit {
    /// One sender: how often each of its messages came, in their order; the first `accepted` are accepted, of the rest
    /// `unknown` may be.
    pub(crate) fn add(&mut self, deliveries: impl Iterator<Item = u32>, accepted: u64, unknown: u64) {
        self.accepted += accepted;
        let mut beyond = 0;
        let mut seen = 0;
        for (number, times) in (1..).zip(deliveries) {
            seen = number;
            match times {
                0 if number <= accepted => self.lost += 1,
                0 => {}
                1 if number > accepted => beyond += 1,
                1 => {}
                _ => self.doubled += 1,
            }
        }
        self.lost += accepted.saturating_sub(seen);
        self.refused_and_came += u64::saturating_sub(beyond, unknown);
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.refused_and_came == 0
    }
}

/// Plays it at so many times this rate.
pub(crate) async fn play(
    scene: &Scene,
    streams: &mut Streams,
    calm: &Point,
    peak: f64,
    effort: Effort,
) -> Result<Flood> {
    let first = 2 * SENDERS;
    let (mut more, callers) = connect_more(scene, first).await?;
    let (length, after) = (Duration::from_secs(effort.overload), Duration::from_secs(effort.after));
    let seconds_each = length.as_secs_f64() / TIMES as f64;
    let room = Streams::share(peak, (length + after).as_secs_f64());
    streams.write_ahead((peak * seconds_each) as usize / SENDERS).await?;
    more.write_ahead((peak * seconds_each) as usize / SENDERS).await?;
    let call_every = Duration::from_secs_f64(callers.len() as f64 / (BY_CALL * peak).max(1.0));
    let calls_each = usize::try_from(length.as_nanos() / call_every.as_nanos().max(1))? + 2;
    let mut lanes: Vec<_> = streams.lanes(room, HUB_WINDOW).collect();
    lanes.extend((0..SENDERS).map(|_| (1, 0, 0)));
    lanes.extend(more.lanes(room, HUB_WINDOW));
    lanes.extend(callers.iter().map(|_| (1, calls_each, 0)));
    let flight = Arc::new(Flight::new(scene.clock.clone(), 1, &lanes));
    streams.watch(&flight);
    more.watch(&flight);

    let offered = (TIMES as f64 + BY_CALL) * peak;
    out::talk(&format!(
        "overload: {offered:.0}/s are offered for {} s, then {:.0}/s",
        effort.overload,
        peak / 2.0
    ));
    let process = scene.hub.process();
    let stopwatch = Stopwatch::start(Some(process));
    let begun = flight.begun();
    let end = begun + length;
    let legs =
        [Leg::Full { until: end }, Leg::Paced { from: end, every: every(peak / 2.0), until: end + after }];
    let playing = streams.play(&flight, &legs);
    let playing_more = more.play(&flight, &legs[..1]);
    let pulse = Arc::new(Pulse::default());
    let beat = Beat { first: begun, every: call_every, until: end };
    let caller_count = callers.len();
    let called = call(callers, &flight, &pulse, beat);
    let mut onlooker = Onlooker { scene, flight: &flight, pulse: &pulse, memory: Vec::new() };
    onlooker.look_on("overload", begun, end).await;
    let cpu = stopwatch.stop();
    onlooker.look_on("after", end, end + after).await;
    let memory = onlooker.memory;

    let sent = playing.finish(streams).await?;
    let sent_more = playing_more.finish(&mut more).await?;
    let called = called.join_all().await;
    let streamed: u64 = sent.iter().chain(&sent_more).sum();
    let accepted = streamed + called.iter().map(|called| called.accepted).sum::<u64>();
    flight.reach(Counts { accepted, delivered: accepted, acknowledged: streamed }).await;
    let sent: Vec<(usize, u64)> = (0..).zip(sent).chain((first..).zip(sent_more)).collect();
    let samples = flight.samples();
    let of_streams = samples.iter().filter(|sample| sample.sender < SENDERS);
    let after_with_calls = seconds(&samples, end, end + after);
    let after = seconds(of_streams, end, end + after);
    let (audit, tally) = audited(&flight, &sent, called);
    let trouble = trouble(&flight, accepted, streamed, &tally);
    Ok(Flood {
        offered,
        streams: TIMES * SENDERS,
        callers: caller_count,
        length,
        streamed,
        tally,
        audit,
        during: seconds(&samples, begun, end),
        back: back_after(&after, Duration::from_secs_f64(calm.p99_us / 1e6) * BACK),
        after,
        after_with_calls,
        cpu,
        memory,
        trouble,
    })
}

/// The countries from this place on: most open a stream, the rest will call. The last one is needed later.
async fn connect_more(scene: &Scene, first: usize) -> Result<(Streams, Vec<Caller>)> {
    out::talk("more streams are opened, countries connect that will call, messages are signed");
    let (clock, members) = (&scene.clock, &scene.people.members);
    let receivers = &scene.countries[SENDERS..2 * SENDERS];
    let count = (TIMES - 1) * SENDERS;
    let own = members[first..first + count].to_vec();
    let bureaus = Bureaus::open(clock.clone(), own, |own| scene.hub.channel(own)).await?;
    let more = Streams::new(clock.clone(), bureaus, (first, count), receivers);
    let calling = &members[first + count..members.len() - 1];
    let callers = connect(&scene.hub, clock, first + count, calling, receivers).await?;
    Ok((more, callers))
}

fn audited(flight: &Flight, sent: &[(usize, u64)], called: Vec<Called>) -> (Audit, Tally) {
    let (mut audit, mut tally) = (Audit::default(), Tally::default());
    for (sender, sent) in sent {
        audit.add(flight.deliveries(*sender), *sent, 0);
    }
    for called in called {
        let unknown = called.tally.failed.values().sum();
        audit.add(flight.deliveries(called.place), called.accepted, unknown);
        tally.add(called.tally);
    }
    (audit, tally)
}

/// What else speaks against it.
fn trouble(flight: &Flight, accepted: u64, streamed: u64, tally: &Tally) -> Option<String> {
    let counts = flight.counts();
    if let Some(trouble) = flight.trouble() {
        return Some(trouble);
    }
    if counts.accepted != accepted {
        return Some(format!("{} of {accepted} messages have an acceptance", counts.accepted));
    }
    if counts.acknowledged < streamed {
        return Some(format!("of {streamed} messages {} are known to be received", counts.acknowledged));
    }
    tally.beyond_help.map(|reason| format!("a call was refused for good: {reason}"))
}

/// Says how it goes.
struct Onlooker<'a> {
    scene: &'a Scene,
    flight: &'a Flight,
    pulse: &'a Pulse,
    memory: Vec<u64>,
}

impl Onlooker<'_> {
    /// Looks every second from one moment to another.
    async fn look_on(&mut self, what: &str, from: Duration, until: Duration) {
        let look = || {
            let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            (self.flight.counts().delivered, load(&self.pulse.made), load(&self.pulse.refused))
        };
        let mut before = look();
        let mut next = from;
        while next < until {
            next += Duration::from_secs(1);
            i247_node::sleep(next.saturating_sub(self.scene.clock.monotonic())).await;
            let now = look();
            let memory = memory_of(self.scene.hub.process());
            self.memory.push(memory);
            out::talk(&format!(
                "  {what:<8} {:>3} s  {:>7} delivered  {:>7} calls, {:>6} answered no  hub {:>4} MiB",
                (next - from).as_secs(),
                now.0 - before.0,
                now.1 - before.1,
                now.2 - before.2,
                memory >> 20,
            ));
            before = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_comes_once_and_what_is_refused_does_not() {
        let mut audit = Audit::default();
        audit.add([1, 1, 1, 0].into_iter(), 3, 0);
        audit.add([1, 1].into_iter(), 1, 1);
        assert!(audit.is_whole());
        assert_eq!(audit.accepted, 4);
        audit.add([1, 0, 2, 1].into_iter(), 3, 0);
        audit.add([1].into_iter(), 3, 0);
        let expected = Audit { accepted: 10, lost: 3, doubled: 1, refused_and_came: 1 };
        assert_eq!(audit, expected);
        assert!(!audit.is_whole());
    }
}
