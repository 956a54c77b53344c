//! The streams of many countries to 32 others: driven at their full window, or at a pace of their own, one after the
//! other in one measurement.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use i247_model::{Audience, CountryCode};
use i247_node::{Clock as _, SystemClock};
use i247_wire::pb::connect_request::Frame as Up;
use tokio::task::JoinSet;

use crate::bureaus::{Bureaus, Letter, Mouth, Pen, SENDERS, request};
use crate::flight::Flight;
use crate::measure::Measured;
use crate::process::Stopwatch;

/// Messages that are signed before a measurement begins, at most: each takes about two KiB. The rest is signed in it.
const AHEAD_MAX: usize = 600_000;
/// So many are signed when none is left.
const AT_A_TIME: usize = 32;
/// Room for more than is expected, in a measurement that is not paced.
const MORE: f64 = 2.0;

/// One part of a measurement. Times are by the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Leg {
    /// As fast as places come free.
    Full { until: Duration },
    /// So often from each, whether or not earlier ones have come.
    Paced { from: Duration, every: Duration, until: Duration },
}

/// Senders on streams of their own.
pub(crate) struct Streams {
    clock: Arc<SystemClock>,
    bureaus: Bureaus,
    senders: Vec<Sender>,
}

/// One country that sends.
struct Sender {
    place: usize,
    mouth: Arc<Mouth>,
    pen: Pen,
    to: Vec<Audience>,
    /// Signed and not sent yet; the first has number `next`.
    stock: VecDeque<Letter>,
    next: u64,
    clock: Arc<SystemClock>,
}

/// The time between two messages of one sender, when all together send at this rate.
pub(crate) fn every(rate: f64) -> Duration {
    Duration::from_secs_f64(SENDERS as f64 / rate.max(1.0))
}

impl Streams {
    /// So many of these bureaus send, the first of which stands at this place among all countries. Each writes to the
    /// receivers in turn.
    pub(crate) fn new(
        clock: Arc<SystemClock>,
        bureaus: Bureaus,
        (first, count): (usize, usize),
        receivers: &[CountryCode],
    ) -> Self {
        let sender = |nth: usize| {
            let (mouth, pen) = bureaus.sender(nth);
            let to = receivers.iter().cycle().skip(nth).take(receivers.len());
            let to = to.map(|country| Audience::countries([*country])).collect();
            let (place, next) = (first + nth, pen.next());
            Sender { place, mouth, pen, to, stock: VecDeque::new(), next, clock: clock.clone() }
        };
        let senders = (0..count).map(sender).collect();
        Self { clock, bureaus, senders }
    }

    /// Sends at this rate for so long, waits until all is delivered and acknowledged, and says how it went.
    pub(crate) async fn paced(&mut self, rate: f64, seconds: f64, server: u32) -> Result<Measured> {
        let count = (rate * seconds / SENDERS as f64) as usize + 2;
        let leg = |from, until| Leg::Paced { from, every: every(rate), until };
        self.measure(count, 0, seconds, leg, server).await
    }

    /// Sends with so many under way in all, for so long, when at most this rate is to be expected; else the same.
    pub(crate) async fn full(
        &mut self,
        in_flight: usize,
        rate: f64,
        seconds: f64,
        server: u32,
    ) -> Result<Measured> {
        let count = Self::share(rate, seconds);
        let leg = |_, until| Leg::Full { until };
        self.measure(count, in_flight / SENDERS, seconds, leg, server).await
    }

    async fn measure(
        &mut self,
        count: usize,
        places: usize,
        seconds: f64,
        leg: impl Fn(Duration, Duration) -> Leg,
        server: u32,
    ) -> Result<Measured> {
        self.write_ahead(count).await?;
        let lanes: Vec<_> = self.lanes(count, places).collect();
        let flight = Arc::new(Flight::new(self.clock.clone(), 1, &lanes));
        self.watch(&flight);
        let stopwatch = Stopwatch::start(Some(server));
        let from = flight.begun();
        let until = from + Duration::from_secs_f64(seconds);
        let sent = self.play(&flight, &[leg(from, until)]).finish(self).await?;
        flight.settle(sent.iter().sum(), true).await;
        Ok(flight.measured(sent.iter().sum(), stopwatch.stop()))
    }

    /// How many each sender may need at this rate.
    pub(crate) fn share(rate: f64, seconds: f64) -> usize {
        (rate * seconds * MORE / SENDERS as f64) as usize + 64
    }

    /// Room in a measurement for so many messages of each sender, so many of them under way.
    pub(crate) fn lanes(&self, count: usize, places: usize) -> impl Iterator<Item = (u64, usize, usize)> {
        self.senders.iter().map(move |sender| (sender.next, count, places))
    }

    /// What comes from now on belongs to this measurement.
    pub(crate) fn watch(&self, flight: &Arc<Flight>) {
        self.bureaus.watch(Some(flight.clone()));
    }

    /// Signs so many for each sender, as far as there is room, on as many threads as there are cores.
    pub(crate) async fn write_ahead(&mut self, count: usize) -> Result<()> {
        let senders = self.senders.len();
        let count = count.min(AHEAD_MAX / senders.max(1));
        let mut writing = JoinSet::new();
        for mut sender in std::mem::take(&mut self.senders) {
            writing.spawn_blocking(move || {
                sender.write(count.saturating_sub(sender.stock.len()));
                sender
            });
        }
        self.take_back(writing.join_all().await, senders)
    }

    /// Lets all of them send; a task each. Nothing else can be asked of them until that is over.
    pub(crate) fn play(&mut self, flight: &Arc<Flight>, legs: &[Leg]) -> Playing {
        let mut tasks = JoinSet::new();
        for sender in std::mem::take(&mut self.senders) {
            tasks.spawn(sender.play(flight.clone(), legs.to_vec()));
        }
        Playing(tasks)
    }

    fn take_back(&mut self, mut senders: Vec<Sender>, count: usize) -> Result<()> {
        if senders.len() != count {
            bail!("a sender is gone");
        }
        senders.sort_by_key(|sender| sender.place);
        self.senders = senders;
        Ok(())
    }
}

/// Senders at work.
pub(crate) struct Playing(JoinSet<(Sender, u64)>);

impl Playing {
    /// Waits until they have sent; how much each of them did.
    pub(crate) async fn finish(self, streams: &mut Streams) -> Result<Vec<u64>> {
        let count = self.0.len();
        let mut done = self.0.join_all().await;
        done.sort_by_key(|(sender, _)| sender.place);
        let (senders, sent): (Vec<Sender>, Vec<u64>) = done.into_iter().unzip();
        streams.take_back(senders, count)?;
        Ok(sent)
    }
}

impl Sender {
    async fn play(mut self, flight: Arc<Flight>, legs: Vec<Leg>) -> (Self, u64) {
        let mut sent = 0;
        for leg in legs {
            let done = match leg {
                Leg::Full { until } => self.full(&flight, &mut sent, until).await,
                Leg::Paced { from, every, until } => {
                    // Not all in the same moment.
                    let first = from + every * u32::try_from(self.place).unwrap_or(0) / SENDERS as u32;
                    self.paced(&flight, &mut sent, (first, every, until)).await
                }
            };
            if let Err(error) = done {
                flight.spoil(|| format!("{error:#}"));
                break;
            }
        }
        (self, sent)
    }

    async fn full(&mut self, flight: &Flight, sent: &mut u64, until: Duration) -> Result<()> {
        let room = flight.room(self.place);
        while flight.open(until) && (*sent as usize) < room {
            if !flight.send(self.place, *sent as usize, until).await {
                break;
            }
            self.post().await?;
            *sent += 1;
        }
        Ok(())
    }

    async fn paced(
        &mut self,
        flight: &Flight,
        sent: &mut u64,
        (first, every, until): (Duration, Duration, Duration),
    ) -> Result<()> {
        let room = flight.room(self.place);
        let mut due = first;
        while due < until && flight.open(until) && (*sent as usize) < room {
            let early = due.saturating_sub(self.clock.monotonic());
            let mut at = due;
            if !early.is_zero() {
                i247_node::sleep(early).await;
                // A timer is late by up to a millisecond; what the stream kept waiting is late from when it was due.
                at = self.clock.monotonic();
            }
            flight.mark(self.place, *sent as usize, at);
            self.post().await?;
            *sent += 1;
            due += every;
        }
        Ok(())
    }

    /// Hands the next letter to the stream.
    async fn post(&mut self) -> Result<()> {
        if self.stock.is_empty() {
            self.write(AT_A_TIME);
        }
        let Some(letter) = self.stock.pop_front() else { bail!("there is nothing to send") };
        self.next += 1;
        if self.mouth.frames.send(request(Up::Envelope(letter.envelope))).await.is_err() {
            bail!("a stream has ended");
        }
        Ok(())
    }

    /// Signs so many more, one by one.
    fn write(&mut self, count: usize) {
        let letters = self.pen.write(count, 1, &self.to, self.clock.now());
        if let Some(last) = letters.last() {
            self.pen.sent_up_to(last, letters.len() as u64);
        }
        self.stock.extend(letters);
    }
}
