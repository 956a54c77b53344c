//! Whoever is measured, behind one small trait, so that all are driven in the same rounds.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use i247_node::SystemClock;

use crate::measure::{Measured, Setting, Work};

/// What a contender is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) work: Work,
    pub(crate) setting: Setting,
    /// How long to send.
    pub(crate) seconds: f64,
    /// Deliveries a second at this setting in the round before, if there was one.
    pub(crate) rate_before: Option<f64>,
}

/// What every contender is made with.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// A directory of its own, on a file system that syncs.
    pub(crate) dir: PathBuf,
    pub(crate) clock: Arc<SystemClock>,
    /// Countries that take part.
    pub(crate) countries: usize,
}

/// A system that is measured, with its server in a process of its own.
#[tonic::async_trait(?Send)]
pub(crate) trait Contender {
    /// Short and fixed: the key of its results.
    fn name(&self) -> &'static str;

    /// The settings that are swept for a kind of work; none when it does not do it. `quick`: the likely best ones.
    fn settings(&self, work: Work, quick: bool) -> Vec<Setting>;

    /// Begins a round with nothing stored.
    ///
    /// # Errors
    /// When the server cannot be started or reached.
    async fn begin(&mut self) -> Result<()>;

    /// Measures once.
    ///
    /// # Errors
    /// When the server cannot be spoken to any more; the round is then lost.
    async fn measure(&mut self, task: &Task) -> Result<Measured>;

    /// Ends a round and checks what is stored.
    ///
    /// # Errors
    /// When what is stored is not sound; then nothing that was measured in the round counts.
    async fn end(&mut self) -> Result<()>;
}
