//! The hub as it is asked: the product's own calls, over connections with the certificates of bureaus.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use i247_client::Searches;
use i247_node::SystemClock;
use i247_wire::pb;
use i247_wire::pb::search_service_client::SearchServiceClient;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::asking::{self, Line, Opened, Span, Wire};
use super::planted::{Hits, OWN_HITS, Planted, Question, Script};
use crate::contender::{Contender, Task};
use crate::hub::NAME;
use crate::measure::{Measured, Setting, Work};
use crate::process::Stopwatch;

/// Keys of a packed frame: the most that one may have.
pub(crate) const PACKED: usize = 256;

/// Bureaus that ask single keys, in calls and on streams: two connections, as many as there are for the bare echo.
/// What each may ask in a second is bounded.
pub(crate) const CALLING: usize = 2;
pub(crate) const STREAMING: usize = 8;

/// Bureaus that send packed frames: all of them together may ask for six million keys a second.
pub(crate) const SCREENING: usize = 128;

/// Of those the ones that have found so much: each hit of theirs is an entry of the log, once.
const FINDING: usize = 24;

/// The largest answer that is taken, in bytes.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Connections that are made at once: fewer than the hub takes from one address.
const CONNECTING: usize = 16;

/// The hub as a contender; it runs already and has its records.
pub(crate) struct Asked {
    clock: Arc<SystemClock>,
    planted: Arc<Planted>,
    process: u32,
    askers: Vec<Channel>,
    /// Whether the hits of those that find so much are entered.
    found: bool,
}

impl Asked {
    /// Over these connections, one for each bureau that asks.
    pub(crate) fn new(
        clock: &Arc<SystemClock>,
        planted: &Arc<Planted>,
        process: u32,
        askers: Vec<Channel>,
    ) -> Self {
        Self { clock: clock.clone(), planted: planted.clone(), process, askers, found: false }
    }

    fn script(&self, work: Work, asker: usize) -> Script {
        let (hits, keys) = match work {
            Work::Hits => (Hits::Every, PACKED),
            Work::Frames => (Hits::Recorded, PACKED),
            _ => (Hits::Recorded, 1),
        };
        Script::new(self.planted.clone(), hits, keys, asker)
    }

    async fn calls(&self, task: &Task) -> Result<Measured> {
        let stopwatch = Stopwatch::start(Some(self.process));
        let span = Span::new(&self.clock, task.seconds);
        let mut calling = JoinSet::new();
        for caller in 0..task.setting.in_flight {
            let searches = Searches::new(self.askers[caller % CALLING].clone());
            let line = Officer { searches, planted: self.planted.clone() };
            calling.spawn(asking::call(line, self.script(task.work, caller), span.clone()));
        }
        asking::gather(calling, &span, &stopwatch).await
    }

    async fn streams(&self, task: &Task, most: usize) -> Result<Measured> {
        let streams = task.setting.in_flight.min(most);
        let window = task.setting.in_flight / streams;
        let mut opened = Vec::new();
        for channel in &self.askers[..streams] {
            opened.push(open(channel.clone(), &self.planted, window).await?);
        }
        let stopwatch = Stopwatch::start(Some(self.process));
        let span = Span::new(&self.clock, task.seconds);
        let mut asking = JoinSet::new();
        for (nth, opened) in opened.into_iter().enumerate() {
            asking.spawn(asking::stream(opened, window, self.script(task.work, nth), span.clone()));
        }
        asking::gather(asking, &span, &stopwatch).await
    }

    /// Those that find so much ask for all of it once: an owner is told once of a hit that waits for it.
    async fn find(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.found, true) {
            return Ok(());
        }
        let finding = self.askers.iter().take(FINDING).enumerate().map(|(nth, channel)| {
            let (mut script, planted) = (self.script(Work::Hits, nth), self.planted.clone());
            let mut line = Officer { searches: Searches::new(channel.clone()), planted };
            async move {
                for _ in 0..OWN_HITS / PACKED {
                    line.ask(&script.next()).await?;
                }
                anyhow::Ok(())
            }
        });
        futures::stream::iter(finding).buffer_unordered(FINDING).try_collect::<()>().await
    }
}

/// Lets every connection be made.
///
/// # Errors
/// When the hub cannot be reached, or a bureau is not let in.
pub(crate) async fn connect(channels: &[Channel], planted: &Arc<Planted>) -> Result<()> {
    let connecting = channels.iter().enumerate().map(|(nth, channel)| {
        let mut line = Officer { searches: Searches::new(channel.clone()), planted: planted.clone() };
        let mut script = Script::new(planted.clone(), Hits::Recorded, 1, nth);
        async move { line.ask(&script.next()).await }
    });
    futures::stream::iter(connecting).buffer_unordered(CONNECTING).try_collect().await
}

async fn open(channel: Channel, planted: &Arc<Planted>, window: usize) -> Result<Opened<Screen>> {
    let (up, outgoing) = mpsc::channel(window);
    let mut service = SearchServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES);
    let down = service.search_stream(ReceiverStream::new(outgoing)).await?.into_inner();
    Ok(Opened { wire: Screen(planted.clone()), up, down })
}

/// Calls, with the product's client.
pub(crate) struct Officer {
    pub(crate) searches: Searches,
    pub(crate) planted: Arc<Planted>,
}

#[tonic::async_trait]
impl Line for Officer {
    async fn ask(&mut self, question: &Question) -> Result<()> {
        let found = self.searches.check(self.planted.frame(question)).await?;
        self.planted.judge(question, &found)
    }
}

/// A stream.
struct Screen(Arc<Planted>);

impl Wire for Screen {
    type Up = pb::SearchStreamRequest;
    type Down = pb::SearchStreamResponse;

    fn write(&self, question: &Question) -> pb::SearchStreamRequest {
        pb::SearchStreamRequest { search: Some(self.0.frame(question)) }
    }

    fn judge(&self, question: &Question, answer: pb::SearchStreamResponse) -> Result<()> {
        match answer.frame.context("an empty answer")? {
            pb::search_stream_response::Frame::Answers(found) => self.0.judge(question, &found),
            pb::search_stream_response::Frame::Refusal(refusal) => bail!("refused: {refusal:?}"),
        }
    }
}

/// The windows in which keys are asked one by one, of the hub and of the bare echo alike.
pub(crate) fn single_keys(work: Work, quick: bool) -> &'static [usize] {
    match (work, quick) {
        (Work::Search, false) => &[1, 16, 64, 128, 256],
        (Work::Search, true) => &[64, 128],
        (Work::SearchStream, false) => &[64, 256, 1024],
        (Work::SearchStream, true) => &[256],
        _ => &[],
    }
}

#[tonic::async_trait(?Send)]
impl Contender for Asked {
    fn name(&self) -> &'static str {
        NAME
    }

    fn settings(&self, work: Work, quick: bool) -> Vec<Setting> {
        let windows: &[usize] = match (work, quick) {
            (Work::Frames, false) => &[64, 128, 256],
            (Work::Frames, true) => &[SCREENING],
            (Work::Hits, false) => &[FINDING, 2 * FINDING],
            (Work::Hits, true) => &[FINDING],
            _ => single_keys(work, quick),
        };
        windows.iter().map(|window| Setting::of(*window, "")).collect()
    }

    async fn begin(&mut self) -> Result<()> {
        self.find().await
    }

    async fn measure(&mut self, task: &Task) -> Result<Measured> {
        match task.work {
            Work::SearchStream => self.streams(task, STREAMING).await,
            Work::Frames => self.streams(task, SCREENING).await,
            Work::Hits => self.streams(task, FINDING).await,
            _ => self.calls(task).await,
        }
    }

    async fn end(&mut self) -> Result<()> {
        Ok(())
    }
}
