//! Where work that waits for the disk runs: on threads in production, inline in a simulation. It must not run a
//! job twice.

use std::fmt;

/// Runs a job that may block. A job that was taken should run to its end; one that is dropped unrun is reported
/// to its caller as unknown.
pub trait Blocking: Send + Sync + fmt::Debug + 'static {
    /// Takes the job.
    fn run(&self, job: Box<dyn FnOnce() + Send>);
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
