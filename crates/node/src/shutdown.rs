//! Stopping in order: stage after stage is asked to stop and given its grace, then dropped.
//!
//! ```text
//!  signal or failure ─► listeners (calls end) ─► pipeline (what was accepted is written) ─► ledger (closing group)
//! ```

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

/// The stages of one node, in the order in which they stop.
#[derive(Debug, Default)]
pub struct Shutdown {
    asked: CancellationToken,
    stages: Vec<Stage>,
}

/// Tasks that stop together. Clones are the same stage.
#[derive(Debug, Clone)]
pub struct Stage {
    name: &'static str,
    grace: Duration,
    asked: CancellationToken,
    stop: CancellationToken,
    dropped: CancellationToken,
    tasks: TaskTracker,
    /// That in which the stage was made.
    span: Span,
}

impl Shutdown {
    /// No stages yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next stage. Its tasks have `grace` to end once asked.
    pub fn stage(&mut self, name: &'static str, grace: Duration) -> Stage {
        let stage = Stage {
            name,
            grace,
            asked: self.asked.clone(),
            stop: CancellationToken::new(),
            dropped: CancellationToken::new(),
            tasks: TaskTracker::new(),
            span: Span::current(),
        };
        self.stages.push(stage.clone());
        stage
    }

    /// Cancel it to ask for the stop; it is cancelled too when a vital task ends by itself. It stops nothing: whoever
    /// waits for it calls [`Self::run`].
    pub fn asked(&self) -> CancellationToken {
        self.asked.clone()
    }

    /// Stops the stages one after the other, and returns those whose tasks had to be dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, the stages that are left are dropped at once, as with the `Shutdown` itself.
    pub async fn run(mut self) -> Vec<&'static str> {
        let mut overdue = Vec::new();
        self.asked.cancel();
        for stage in &self.stages {
            tracing::debug!(stage = stage.name, "stopping");
            stage.stop.cancel();
            stage.tasks.close();
            if tokio::time::timeout(stage.grace, stage.tasks.wait()).await.is_err() {
                tracing::warn!(stage = stage.name, tasks = stage.tasks.len(), "did not stop in time");
                overdue.push(stage.name);
                stage.dropped.cancel();
                stage.tasks.wait().await;
            }
        }
        self.stages.clear();
        overdue
    }
}

impl Drop for Shutdown {
    /// Nothing survives the node: a crash in a test is this.
    fn drop(&mut self) {
        self.asked.cancel();
        for stage in &self.stages {
            stage.stop.cancel();
            stage.dropped.cancel();
        }
    }
}

impl Stage {
    /// Cancelled when the stage should stop.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a task in this stage, and in the span in which the stage was made. It is dropped when it goes on after
    /// the grace.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.dropped.clone().run_until_cancelled_owned(task);
        self.tasks.spawn(task.instrument(self.span.clone()));
    }

    /// The same for a task without which the node is no use: if it ends or panics before the stage was asked to
    /// stop, the whole node is asked to.
    pub fn spawn_vital(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let vital = Vital { name, stop: self.stop.clone(), asked: self.asked.clone() };
        self.spawn(async move {
            let _vital = vital;
            task.await;
        });
    }
}

struct Vital {
    name: &'static str,
    stop: CancellationToken,
    asked: CancellationToken,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            tracing::error!(task = self.name, "ended by itself; the node stops");
            self.asked.cancel();
        }
    }
}

/// Waits for SIGTERM or SIGINT and says which it was.
pub async fn stop_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Dropping either wait loses no signal: the process stops on the first.
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    fn until_stopped(stage: &Stage, log: &Log, word: &'static str) {
        let (stop, log) = (stage.stop(), log.clone());
        stage.spawn(async move {
            stop.cancelled().await;
            log.lock().unwrap().push(word);
        });
    }

    #[tokio::test]
    async fn stages_stop_in_order() {
        let log = Log::default();
        let mut shutdown = Shutdown::new();
        let listeners = shutdown.stage("listeners", Duration::from_secs(5));
        let ledger = shutdown.stage("ledger", Duration::from_secs(5));
        until_stopped(&ledger, &log, "ledger");
        until_stopped(&listeners, &log, "listeners");
        assert_eq!(shutdown.run().await, Vec::<&str>::new());
        assert_eq!(*log.lock().unwrap(), ["listeners", "ledger"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_will_not_stop_is_dropped_and_its_stage_named() {
        let mut shutdown = Shutdown::new();
        let deaf = shutdown.stage("deaf", Duration::from_secs(5));
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        deaf.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert_eq!(shutdown.run().await, ["deaf"]);
        assert!(dropped.await.is_err(), "the sender was dropped with its task");
    }

    #[tokio::test]
    async fn the_end_of_a_vital_task_stops_the_node() {
        let mut shutdown = Shutdown::new();
        let stage = shutdown.stage("pipeline", Duration::from_secs(5));
        stage.spawn(async {});
        let asked = shutdown.asked();
        stage.spawn_vital("sequencer", async {});
        asked.cancelled().await;
        assert_eq!(shutdown.run().await, Vec::<&str>::new());
    }
}
