//! Writes the journal of searches, and tells the log of it: two things side by side, so that a log that is slow, or has no
//! room, keeps no search from being durable.

use std::sync::Arc;
use std::time::Duration;

use i247_ledger::{AppendError, Draft, Ledger as _, Position};
use i247_router::SearchRoot;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{Audit, Shut, chained, root_of};
use crate::sequencer::Work;

/// What is noted waits at most so long before it is written.
const WRITE_WAIT: Duration = Duration::from_millis(50);

/// How often the log hears of the journal, when it has grown.
const ROOT_EVERY: Duration = Duration::from_secs(1);

/// How often a disk that was full is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What only the one task has that writes the journal.
pub(crate) struct Writer {
    pub(super) roots: Roots,
    /// Up to where in the journal it is kept what was asked in operations.
    pub(super) kept_at: u64,
}

/// What the log was last told, and what it is told next.
pub(super) struct Roots {
    /// Of the journal as it is.
    pub(super) now: SearchRoot,
    /// As the log has it.
    pub(super) entered: u64,
}

impl Audit {
    /// Writes what is noted, and tells the log, until `stop`; what was noted by then is written. How long the log takes
    /// to answer holds up nothing that is written here.
    pub(crate) async fn keep(
        self: Arc<Self>,
        writer: Writer,
        log: mpsc::Sender<Work>,
        stop: CancellationToken,
    ) {
        let (grown, written) = watch::channel(writer.roots.now);
        let entered = writer.roots.entered;
        tokio::join!(self.write_until(writer, grown, &stop), self.tell(entered, written, &log, &stop));
    }

    async fn write_until(
        &self,
        mut writer: Writer,
        grown: watch::Sender<SearchRoot>,
        stop: &CancellationToken,
    ) {
        loop {
            // Dropping any of these waits loses nothing: the bell rings again for what is still there.
            tokio::select! {
                () = self.bell.notified() => {
                    let waited = i247_node::sleep_on(&*self.clock, WRITE_WAIT);
                    stop.run_until_cancelled(waited).await;
                }
                () = stop.cancelled() => {}
            }
            // Asked before it is written: what is noted while that lasts is written too.
            let stopping = stop.is_cancelled();
            self.write(&mut writer, stop).await;
            grown.send_replace(writer.roots.now);
            let written = writer.roots.now.position;
            self.keep_operations(&mut writer.kept_at, written, stopping).await;
            if stopping {
                return;
            }
        }
    }

    /// Writes all that is noted. While there is no room it waits here, and nothing more is noted.
    pub(super) async fn write(&self, writer: &mut Writer, stop: &CancellationToken) {
        let (entries, noted, asked) = {
            let mut waiting = self.waiting();
            let asked = std::mem::take(&mut waiting.asked);
            (std::mem::take(&mut waiting.entries), waiting.noted, asked)
        };
        if entries.is_empty() {
            return;
        }
        let bytes: usize = entries.iter().map(Vec::len).sum();
        let mut root = writer.roots.now;
        let mut group = Vec::with_capacity(entries.len());
        for entry in entries {
            let bytes = chained(&root, entry);
            root = SearchRoot { position: root.position + 1, root: root_of(&bytes) };
            group.push(Draft { entry: bytes, body: None });
        }
        let after = Position(writer.roots.now.position);
        loop {
            match self.journal.append(after, group.clone()).await {
                Ok(_) => break,
                Err(AppendError::Full) => {
                    if self.waiting().shut.replace(Shut::Full).is_none() {
                        tracing::error!(
                            "no room for the journal of searches: they are refused until there is some"
                        );
                    }
                    let waited = i247_node::sleep_on(&*self.clock, LOOK_AGAIN);
                    if stop.run_until_cancelled(waited).await.is_none() {
                        self.written.send_replace(None);
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the journal of searches has stopped: they are refused");
                    self.waiting().shut = Some(Shut::Stopped);
                    self.written.send_replace(None);
                    return;
                }
            }
        }
        writer.roots.now = root;
        self.book.written(asked);
        self.written.send_replace(Some(noted));
        let mut waiting = self.waiting();
        waiting.bytes -= bytes;
        if waiting.shut == Some(Shut::Full) {
            waiting.shut = None;
            tracing::info!("there is room for the journal of searches again");
        }
    }

    /// Tells the log how far the journal has come, once a second at most, until nothing more is written and the log has it.
    async fn tell(
        &self,
        mut entered: u64,
        mut written: watch::Receiver<SearchRoot>,
        log: &mpsc::Sender<Work>,
        stop: &CancellationToken,
    ) {
        loop {
            let grown = written.wait_for(|root| root.position > entered).await;
            let Ok(root) = grown.map(|root| *root) else { return };
            let (answer, told) = oneshot::channel();
            if log.send(Work::SearchRoot { root, answer }).await.is_err() {
                return;
            }
            match told.await {
                Ok(Ok(_)) => entered = root.position,
                Ok(Err(refusal)) => {
                    tracing::warn!(%refusal, "the log was not told of the journal of searches");
                    if stop.is_cancelled() {
                        return;
                    }
                }
                // The hub stops; the next start tells.
                Err(_) => return,
            }
            stop.run_until_cancelled(i247_node::sleep_on(&*self.clock, ROOT_EVERY)).await;
        }
    }
}
