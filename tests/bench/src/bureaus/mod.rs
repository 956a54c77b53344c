//! Many bureaus in one process: the load. They speak the product's protocol with the product's own wire, trust and
//! channel, and do what a bureau does on a stream, less the journal.

mod link;
mod pen;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _};
use i247_model::{Audience, CountryCode, MEMBERS};
use i247_node::{Clock as _, SystemClock};
use i247_trust::Credentials;
use i247_wire::pb::connect_request::Frame as Up;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::flight::Flight;
use crate::measure::{Measured, Work};
use crate::process::Stopwatch;
use link::Current;

pub(crate) use link::{Mouth, request};
pub(crate) use pen::{BODY_BYTES, Letter, Pen};

/// A receipt is signed for what came within this time: a bureau gathers for as long as a flush of its journal takes,
/// and the hub waits as long for the next group.
pub(crate) const RECEIPT_EVERY: Duration = Duration::from_millis(20);
/// The bureaus take turns at it, in so many steps.
const RECEIPT_STEPS: usize = 10;
/// How many streams are opened at once.
const OPENING: usize = 16;
/// How many countries send in a point-to-point load, at most; as many others receive, and the rest is linked. The hub's
/// quota is for each member: half as many would come up against it. The peers' best is with one pair or with four.
pub(crate) const SENDERS: usize = 12;

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) work: Work,
    /// Messages under way, over all senders.
    pub(crate) in_flight: usize,
    /// Messages under one signature.
    pub(crate) burst: usize,
    pub(crate) seconds: f64,
    /// Messages a second that are to be expected, for how many are signed beforehand.
    pub(crate) expected_rate: f64,
}

/// Bureaus with open streams.
pub(crate) struct Bureaus {
    clock: Arc<SystemClock>,
    mouths: Vec<Arc<Mouth>>,
    countries: Vec<CountryCode>,
    pens: Vec<Pen>,
    current: Current,
    /// Ears, and whoever sees to the receipts. They end with this.
    _tasks: JoinSet<()>,
}

impl Bureaus {
    /// Opens a stream for each; `channel` makes the connection.
    pub(crate) async fn open(
        clock: Arc<SystemClock>,
        members: Vec<(CountryCode, Credentials)>,
        channel: impl Fn(&Credentials) -> Result<Channel>,
    ) -> Result<Self> {
        Self::open_in(None, clock, members, channel).await
    }

    /// The same while a measurement is under way: what waits for them counts.
    pub(crate) async fn open_in(
        flight: Option<Arc<Flight>>,
        clock: Arc<SystemClock>,
        members: Vec<(CountryCode, Credentials)>,
        channel: impl Fn(&Credentials) -> Result<Channel>,
    ) -> Result<Self> {
        let countries: Vec<CountryCode> = members.iter().map(|(country, _)| *country).collect();
        // The place of a country is the same whoever else takes part.
        let places: BTreeMap<CountryCode, usize> =
            MEMBERS.iter().enumerate().map(|(place, member)| (member.code, place)).collect();
        let places: Arc<dyn Fn(CountryCode) -> usize + Send + Sync> =
            Arc::new(move |country| places.get(&country).copied().unwrap_or(usize::MAX));
        let current: Current = Arc::new(RwLock::new(flight));
        let pens = members.iter().map(|(country, own)| Pen::new(*country, own.clone())).collect();
        let opening = members.into_iter().map(|(country, own)| {
            let (current, places, channel) = (current.clone(), places.clone(), channel(&own));
            async move { link::open(country, own, channel?, current, places).await }
        });
        let opened: Vec<_> = futures::stream::iter(opening).buffered(OPENING).try_collect().await?;
        let mut tasks = JoinSet::new();
        let mut mouths = Vec::new();
        for (mouth, ear) in opened {
            mouths.push(mouth);
            tasks.spawn(ear.run());
        }
        tasks.spawn(acknowledge(clock.clone(), mouths.clone()));
        Ok(Self { clock, mouths, countries, pens, current, _tasks: tasks })
    }

    /// What comes from now on belongs to this measurement, or to none.
    pub(crate) fn watch(&self, flight: Option<Arc<Flight>>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = flight;
    }

    /// What the `nth` of them sends with. Whoever takes this sends from then on, and [`Self::measure`] does not.
    pub(crate) fn sender(&self, nth: usize) -> (Arc<Mouth>, Pen) {
        (self.mouths[nth].clone(), self.pens[nth].clone())
    }

    /// Sends for a while, then waits until all is delivered and acknowledged.
    ///
    /// # Cancel safety
    /// None: what was sent is under way, and later measurements would count it.
    pub(crate) async fn measure(&mut self, load: &Load, server: u32) -> Result<Measured> {
        let senders = match load.work {
            Work::FanOut => 1,
            _ => SENDERS.min(self.countries.len() / 2),
        };
        let recipients = if load.work == Work::FanOut { self.countries.len() - 1 } else { 1 };
        let supply = supply(load, senders, recipients);
        let letters = self.write(load, senders, supply).await?;
        let places =
            |sender: usize| load.in_flight / senders + usize::from(sender < load.in_flight % senders);
        let lanes: Vec<(u64, usize, usize)> = (0..senders)
            .map(|sender| (self.pens[sender].next(), letters[sender].len(), places(sender)))
            .collect();
        let flight = Arc::new(Flight::new(self.clock.clone(), u32::try_from(recipients)?, &lanes));
        self.watch(Some(flight.clone()));

        let stopwatch = Stopwatch::start(Some(server));
        let until = self.clock.monotonic() + Duration::from_secs_f64(load.seconds);
        let mut sending = JoinSet::new();
        for (sender, letters) in letters.into_iter().enumerate() {
            let (mouth, flight) = (self.mouths[sender].clone(), flight.clone());
            sending.spawn(async move { (sender, send(sender, letters, &mouth, &flight, until).await) });
        }
        let mut sent = 0;
        while let Some(done) = sending.join_next().await {
            let (sender, (last, count)) = done?;
            sent += count;
            if let Some(last) = last {
                self.pens[sender].sent_up_to(&last, count);
            }
        }
        flight.settle(sent, true).await;
        let cpu = stopwatch.stop();
        self.watch(None);
        Ok(flight.measured(sent, cpu))
    }

    /// Signs what is to be sent, on as many threads as there are cores.
    async fn write(&mut self, load: &Load, senders: usize, supply: usize) -> Result<Vec<Vec<Letter>>> {
        let now = self.clock.now();
        let burst = load.burst;
        let mut writing = Vec::new();
        for sender in 0..senders {
            let to = match load.work {
                Work::FanOut => Audience::all(),
                // Each sender with a receiver of its own, as the peers have it.
                _ => Audience::countries([self.countries[senders + sender]]),
            };
            let pen = self.pens[sender].clone();
            writing.push(tokio::task::spawn_blocking(move || pen.write(supply, burst, &[to], now)));
        }
        let mut written = Vec::new();
        for letters in writing {
            written.push(letters.await?);
        }
        Ok(written)
    }
}

/// How many messages each sender should have ready: enough for the time at twice the rate expected.
fn supply(load: &Load, senders: usize, recipients: usize) -> usize {
    let messages = load.expected_rate * load.seconds * 2.0 / recipients as f64;
    (messages as usize / senders).max(load.in_flight).max(64)
}

/// Sends letters while there are places and time. Returns the last one sent, and how many were.
async fn send(
    sender: usize,
    letters: Vec<Letter>,
    mouth: &Mouth,
    flight: &Flight,
    until: Duration,
) -> (Option<Letter>, u64) {
    let mut last = None;
    let mut count = 0;
    for (nth, mut letter) in letters.into_iter().enumerate() {
        if !flight.send(sender, nth, until).await {
            break;
        }
        let envelope = std::mem::take(&mut letter.envelope);
        if mouth.frames.send(request(Up::Envelope(envelope))).await.is_err() {
            flight.spoil(|| "a stream has ended".into());
            break;
        }
        last = Some(letter);
        count += 1;
    }
    (last, count)
}

/// Sees to it that every bureau signs a receipt for what came, each at its own moment.
async fn acknowledge(clock: Arc<SystemClock>, mouths: Vec<Arc<Mouth>>) {
    let step = RECEIPT_EVERY / u32::try_from(RECEIPT_STEPS).unwrap_or(1);
    for turn in (0..RECEIPT_STEPS).cycle() {
        i247_node::sleep(step).await;
        for mouth in mouths.iter().skip(turn).step_by(RECEIPT_STEPS) {
            // A stream that has ended says so itself.
            if mouth.acknowledge(clock.now()).await.is_err() {
                return;
            }
        }
    }
}
