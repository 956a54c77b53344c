//! Where work that waits for the disk runs: on threads in production, inline in a simulation. It must not run a
//! job twice.

use std::fmt;

use tokio::sync::oneshot;

/// Runs a job that may block. A job that was taken should run to its end; one that is dropped unrun is reported
/// to its caller as unknown.
pub trait Blocking: Send + Sync + fmt::Debug + 'static {
    /// Takes the job.
    fn run(&self, job: Box<dyn FnOnce() + Send>);
}

/// What a job came to. `None`: it was dropped, and whether it ran is not known.
///
/// # Cancel safety
///
/// Once begun the job goes on to its end; nobody hears of it then.
pub async fn outcome<T: Send + 'static>(
    blocking: &dyn Blocking,
    job: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (told, outcome) = oneshot::channel();
    // Whoever asked may be gone by then.
    blocking.run(Box::new(move || drop(told.send(job()))));
    outcome.await.ok()
}

/// On the blocking threads of the tokio runtime that calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnThreads;

impl Blocking for OnThreads {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        // The job owns the writer's lock and tells its result itself: nobody needs the handle.
        drop(tokio::task::spawn_blocking(job));
    }
}

/// At once, in the task that asks: with one seed every run is the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Blocking for Inline {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}
