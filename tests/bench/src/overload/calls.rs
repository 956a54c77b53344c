//! Countries without a stream that call `Submit` at a rate of their own, whether or not the hub keeps up. What they may
//! have under way is bounded; what that keeps them from is counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use i247_model::{Audience, CountryCode};
use i247_node::{Clock as _, SystemClock};
use i247_trust::{Credentials, MAX_BURST};
use i247_wire::pb;
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;

use super::chain::{Chain, Offer};
use super::tally::{Answer, Tally};
use crate::bureaus::{Letter, Pen};
use crate::flight::Flight;
use crate::hub::Hub;

/// Connections that are made at once: fewer than the hub takes from one address.
const CONNECTING: usize = 16;
/// How long the last answers may take: longer than the hub lets any call take.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// How it goes, for whoever looks on.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    pub(crate) made: AtomicU64,
    pub(crate) refused: AtomicU64,
}

/// One country that calls.
pub(crate) struct Caller {
    /// Its place among all countries.
    place: usize,
    client: ExchangeServiceClient<Channel>,
    pen: Pen,
    to: Vec<Audience>,
    /// Signed and not accepted yet, from number `first` on.
    letters: VecDeque<Letter>,
    first: u64,
    chain: Chain,
    clock: Arc<SystemClock>,
}

/// What a country called, and how much of it the hub has.
pub(crate) struct Called {
    pub(crate) place: usize,
    pub(crate) accepted: u64,
    pub(crate) tally: Tally,
}

/// How often a country calls, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    pub(crate) first: Duration,
    pub(crate) every: Duration,
    pub(crate) until: Duration,
}

/// Connects these countries, which begin at this place among all. Each calls the receivers in turn.
pub(crate) async fn connect(
    hub: &Hub,
    clock: &Arc<SystemClock>,
    place: usize,
    members: &[(CountryCode, Credentials)],
    receivers: &[CountryCode],
) -> Result<Vec<Caller>> {
    let connecting = members.iter().enumerate().map(|(nth, (country, own))| {
        let channel = hub.channel(own);
        async move {
            let mut client = ExchangeServiceClient::new(channel?);
            // The first call makes the connection.
            client.statuses(pb::StatusesRequest::default()).await?;
            let to = receivers.iter().cycle().skip(nth).take(receivers.len());
            anyhow::Ok(Caller {
                place: place + nth,
                client,
                pen: Pen::new(*country, own.clone()),
                to: to.map(|country| Audience::countries([*country])).collect(),
                letters: VecDeque::new(),
                first: 1,
                chain: Chain::default(),
                clock: clock.clone(),
            })
        }
    });
    futures::stream::iter(connecting).buffered(CONNECTING).try_collect().await
}

/// Lets them all call; a task each.
pub(crate) fn call(
    callers: Vec<Caller>,
    flight: &Arc<Flight>,
    pulse: &Arc<Pulse>,
    beat: Beat,
) -> JoinSet<Called> {
    let mut calling = JoinSet::new();
    let count = u32::try_from(callers.len()).unwrap_or(u32::MAX).max(1);
    for (nth, caller) in (0..).zip(callers) {
        // Not all in the same moment.
        let first = beat.first + beat.every * nth / count;
        calling.spawn(caller.run(flight.clone(), pulse.clone(), Beat { first, ..beat }));
    }
    calling
}

impl Caller {
    async fn run(mut self, flight: Arc<Flight>, pulse: Arc<Pulse>, beat: Beat) -> Called {
        let mut tally = Tally::default();
        let mut under_way = FuturesUnordered::new();
        let mut due = beat.first;
        loop {
            let now = self.clock.monotonic();
            if now >= beat.until {
                break;
            }
            while due <= now {
                due += beat.every;
                tally.due += 1;
                match self.chain.offer(now) {
                    Offer::Number(number) => {
                        flight.mark(self.place, usize::try_from(number).unwrap_or(usize::MAX) - 1, now);
                        let envelope = self.envelope(number);
                        under_way.push(submit(self.client.clone(), number, envelope, self.clock.clone()));
                        tally.made += 1;
                        pulse.made.fetch_add(1, Ordering::Relaxed);
                    }
                    Offer::HeldBack => tally.held_back += 1,
                    Offer::Full => tally.full += 1,
                }
            }
            // Dropping a sleep, or `next` before it is ready, loses nothing.
            tokio::select! {
                () = i247_node::sleep(due.min(beat.until).saturating_sub(now)) => {}
                Some(answered) = under_way.next() => self.take(answered, &mut tally, &flight, &pulse),
            }
        }
        let rest = async {
            while let Some(answered) = under_way.next().await {
                self.take(answered, &mut tally, &flight, &pulse);
            }
        };
        if tokio::time::timeout(LAST_ANSWERS, rest).await.is_err() {
            *tally.failed.entry("no answer".into()).or_default() += under_way.len() as u64;
        }
        Called { place: self.place, accepted: self.chain.accepted_count(), tally }
    }

    fn take(
        &mut self,
        (number, returned, took): (u64, Result<pb::SubmitResponse, Status>, Duration),
        tally: &mut Tally,
        flight: &Flight,
        pulse: &Pulse,
    ) {
        let answer = Answer::of(returned);
        tally.count(&answer, took);
        let now = self.clock.monotonic();
        match answer {
            Answer::Accepted => {
                self.chain.accepted(number);
                flight.stored(1);
                while self.first < self.chain.lowest_open() {
                    self.letters.pop_front();
                    self.first += 1;
                }
                return;
            }
            Answer::Refused { retry_after, .. } => self.chain.refused(number, retry_after, now),
            Answer::Failed(_) => self.chain.refused(number, None, now),
        }
        pulse.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The same bytes for the same number, however often.
    fn envelope(&mut self, number: u64) -> pb::Envelope {
        let nth = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        while self.letters.len() <= nth {
            let letters = self.pen.write(MAX_BURST, MAX_BURST, &self.to, self.clock.now());
            if let Some(last) = letters.last() {
                self.pen.sent_up_to(last, letters.len() as u64);
            }
            self.letters.extend(letters);
        }
        self.letters[nth].envelope.clone()
    }
}

async fn submit(
    mut client: ExchangeServiceClient<Channel>,
    number: u64,
    envelope: pb::Envelope,
    clock: Arc<SystemClock>,
) -> (u64, Result<pb::SubmitResponse, Status>, Duration) {
    let begun = clock.monotonic();
    let answered = client.submit(pb::SubmitRequest { envelope: Some(envelope) }).await;
    (number, answered.map(tonic::Response::into_inner), clock.monotonic() - begun)
}
