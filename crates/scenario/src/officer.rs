//! One officer at a desk and the reviewer at hers: each does one thing when told to, and says what came of it.
//!
//! A call whose failure passes by itself is made again; every draft has a key of its own, so no message
//! is sent twice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use i247_client::{ClientError, Desk, Reviewer, pb};
use i247_model::MessageId;
use i247_node::{Clock, sleep};

use crate::casework::Task;
use crate::drafts;
use crate::plan::{PlannedCase, Script};

/// How many requests the reviewer reads at once, and then approves together.
const REVIEW_BATCH: usize = 32;

/// The first pause before a call is made again; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What came of a task.
pub(crate) enum Done {
    Opened(usize, Result<MessageId, ClientError>),
    Read(usize, Result<Option<String>, ClientError>),
    Asked { case: usize, nth: usize, sent: Result<MessageId, ClientError> },
    ReportRead,
}

/// An officer at a desk.
pub(crate) struct Officer<'a> {
    pub(crate) script: &'a Script,
    pub(crate) desk: Desk,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) patience: Duration,
}

impl Officer<'_> {
    pub(crate) async fn work(&self, task: Task) -> Done {
        match task {
            Task::Open { case } => Done::Opened(case, self.open(&self.script.cases[case]).await),
            Task::Read { case, decision } => Done::Read(case, self.read(&decision).await),
            Task::Ask { case, nth, notice_id } => {
                let planned = &self.script.cases[case];
                let draft = drafts::request(self.script, planned, nth, &notice_id, self.clock.now());
                Done::Asked { case, nth, sent: self.send(draft).await }
            }
            Task::ReadReport { id, .. } => {
                // Reading marks it as opened; if that fails, somebody reads it later.
                drop(self.again(|| self.desk.show(&id)).await);
                Done::ReportRead
            }
        }
    }

    async fn open(&self, case: &PlannedCase) -> Result<MessageId, ClientError> {
        let picture = Bytes::copy_from_slice(&case.picture);
        let note = drafts::picture_note(case);
        let commitment = self.again(|| self.desk.add_attachment(note.clone(), picture.clone())).await?;
        self.send(drafts::notice_request(self.script, case, commitment)).await
    }

    async fn send(&self, draft: pb::Draft) -> Result<MessageId, ClientError> {
        // Every draft has a key of its own, so handing it in again makes no second message.
        self.again(|| self.desk.send(draft.clone())).await
    }

    /// The notice's number, or none when the notice was refused.
    async fn read(&self, decision: &str) -> Result<Option<String>, ClientError> {
        let shown = self.again(|| self.desk.show(decision)).await?;
        match shown.body.and_then(|body| body.form) {
            Some(pb::body::Form::ReviewDecision(decision)) => {
                let approved = decision.verdict() == pb::ReviewVerdict::Approved;
                Ok(approved.then_some(decision.notice_id))
            }
            _ => Err(ClientError::Unexpected("a decision without its form".to_owned())),
        }
    }

    /// Makes a call again while its failure is one that passes, and the patience lasts.
    async fn again<T, F>(&self, call: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let since = self.clock.monotonic();
        let mut pause = PAUSE;
        loop {
            match call().await {
                Err(error) if error.passes() => {
                    if self.clock.monotonic().saturating_sub(since) >= self.patience {
                        return Err(error);
                    }
                }
                ended => return ended,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Reads what waits, refuses what must be refused, approves the rest together. Says how many were decided.
pub(crate) async fn review_batch(reviewer: &mut Reviewer, operation: &str) -> Result<usize, ClientError> {
    let pending = reviewer.pending().await?;
    let batch: Vec<&str> = pending.iter().take(REVIEW_BATCH).map(|one| one.request_id.as_str()).collect();
    let reader = &*reviewer;
    let reading: FuturesUnordered<_> = batch.iter().map(|id| reader.examine(id)).collect();
    let mut approved = Vec::new();
    let mut refused = Vec::new();
    for examined in reading.collect::<Vec<_>>().await {
        let examined = examined?;
        if examined.header.operation.as_deref() != Some(operation) {
            continue;
        }
        match drafts::objection(&examined) {
            None => approved.push(examined),
            Some(objection) => refused.push((examined, objection)),
        }
    }
    for (examined, objection) in &refused {
        reviewer.refuse(examined, pb::RefusalGround::Other, objection).await?;
    }
    let published = reviewer.approve(&approved).await?;
    Ok(published.len() + refused.len())
}
