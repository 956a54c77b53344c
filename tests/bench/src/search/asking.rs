//! Asks, and judges what comes back: one question after the other in calls, or many at once on a stream. It knows nothing
//! of who answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use i247_node::{Clock as _, SystemClock};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Streaming;

use super::planted::{Question, Script};
use crate::measure::Measured;
use crate::process::Stopwatch;

/// Somebody who answers questions in calls.
#[tonic::async_trait]
pub(crate) trait Line: Send {
    /// Asks, and judges the answer.
    ///
    /// # Errors
    /// When there is none, or a wrong one.
    async fn ask(&mut self, question: &Question) -> Result<()>;
}

/// Somebody who answers on a stream, in the order of the questions.
pub(crate) trait Wire: Send {
    type Up: Send;
    type Down: Send;

    fn write(&self, question: &Question) -> Self::Up;

    /// # Errors
    /// When the answer is wrong.
    fn judge(&self, question: &Question, answer: Self::Down) -> Result<()>;
}

/// A stream that was opened.
pub(crate) struct Opened<W: Wire> {
    pub(crate) wire: W,
    /// It has room for a whole window.
    pub(crate) up: mpsc::Sender<W::Up>,
    pub(crate) down: Streaming<W::Down>,
}

/// When it begins and ends, by the clock.
#[derive(Clone)]
pub(crate) struct Span {
    clock: Arc<SystemClock>,
    begun: Duration,
    until: Duration,
}

impl Span {
    /// From now on.
    pub(crate) fn new(clock: &Arc<SystemClock>, seconds: f64) -> Self {
        let begun = clock.monotonic();
        Self { clock: clock.clone(), begun, until: begun + Duration::from_secs_f64(seconds) }
    }

    fn is_open(&self) -> bool {
        self.clock.monotonic() < self.until
    }
}

/// What came of one asker's questions.
#[derive(Default, Debug)]
pub(crate) struct Told {
    /// Keys that were asked, and those that were answered, all of them rightly.
    asked: u64,
    answered: u64,
    took: Vec<Duration>,
    /// When the last answer came.
    last: Duration,
    trouble: Option<String>,
}

impl Told {
    fn answer(&mut self, question: &Question, sent: Duration, now: Duration) {
        self.answered += question.0.len() as u64;
        self.took.push(now.saturating_sub(sent));
        self.last = now;
    }
}

/// One question after the other until the time is over.
pub(crate) async fn call(mut line: impl Line, mut script: Script, span: Span) -> Told {
    let mut told = Told::default();
    while span.is_open() {
        let question = script.next();
        told.asked += question.0.len() as u64;
        let sent = span.clock.monotonic();
        if let Err(error) = line.ask(&question).await {
            told.trouble = Some(format!("{error:#}"));
            break;
        }
        told.answer(&question, sent, span.clock.monotonic());
    }
    told
}

/// As many questions at once as the window has room for, until the time is over and all are answered.
pub(crate) async fn stream<W: Wire>(opened: Opened<W>, window: usize, script: Script, span: Span) -> Told {
    let mut told = Told::default();
    if let Err(error) = pump(opened, window, script, &span, &mut told).await {
        told.trouble = Some(format!("{error:#}"));
    }
    told
}

async fn pump<W: Wire>(
    mut opened: Opened<W>,
    window: usize,
    mut script: Script,
    span: &Span,
    told: &mut Told,
) -> Result<()> {
    let mut waiting: VecDeque<(Question, Duration)> = VecDeque::new();
    loop {
        while waiting.len() < window && span.is_open() {
            let question = script.next();
            told.asked += question.0.len() as u64;
            let frame = opened.wire.write(&question);
            waiting.push_back((question, span.clock.monotonic()));
            let sent = opened.up.send(frame).await;
            sent.ok().context("the stream has ended")?;
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let mut next = opened.down.message().await;
        loop {
            let answer = next?.context("the stream has ended")?;
            let (question, sent) = waiting.pop_front().context("an answer to nothing")?;
            opened.wire.judge(&question, answer)?;
            told.answer(&question, sent, span.clock.monotonic());
            if waiting.is_empty() {
                break;
            }
            match opened.down.message().now_or_never() {
                Some(ready) => next = ready,
                None => break,
            }
        }
    }
}

/// Waits for all askers, and adds up.
///
/// # Errors
/// When one of them is gone.
pub(crate) async fn gather(
    mut askers: JoinSet<Told>,
    span: &Span,
    stopwatch: &Stopwatch,
) -> Result<Measured> {
    let mut measured = Measured::default();
    while let Some(told) = askers.join_next().await {
        let told = told?;
        measured.sent += told.asked;
        measured.delivered += told.answered;
        measured.latencies.extend(told.took);
        measured.elapsed = measured.elapsed.max(told.last.saturating_sub(span.begun));
        if measured.trouble.is_none() {
            measured.trouble = told.trouble;
        }
    }
    // A key that is answered is all that: what was asked has to come back.
    (measured.accepted, measured.due, measured.acknowledged) =
        (measured.sent, measured.sent, measured.delivered);
    measured.cpu = stopwatch.stop();
    Ok(measured)
}
