//! The index as it was at a moment, for whoever reads all of it while it goes on. It must not be searched.

use std::sync::Arc;

use super::delta::Delta;
use super::entry::{Entry, Live};
use super::merge::Source;
use super::run::Run;
use super::{Index, in_memory};

/// The entries of an index as they were. It shares the runs with the index and costs no more than the changes that no
/// run has yet; runs that were merged meanwhile stay in memory as long as it does.
#[derive(Clone, Debug)]
pub struct Frozen {
    runs: Vec<Arc<Run>>,
    delta: Delta,
}

impl Frozen {
    /// Every entry that was not removed, by fingerprint and locator.
    pub fn live(&self) -> impl Iterator<Item = Live> + '_ {
        live(&self.runs, &self.delta)
    }
}

impl Index {
    /// The index as it is now.
    #[must_use]
    pub fn frozen(&self) -> Frozen {
        Frozen { runs: self.runs.clone(), delta: self.delta.clone() }
    }

    /// Every entry that was not removed, by fingerprint and locator.
    pub fn live(&self) -> impl Iterator<Item = Live> + '_ {
        live(&self.runs, &self.delta)
    }
}

fn live<'a>(runs: &'a [Arc<Run>], delta: &'a Delta) -> impl Iterator<Item = Live> + 'a {
    let mut sources: Vec<Source<'_>> = Vec::new();
    for run in runs {
        sources.push(Box::new(run.packed.entries().map(Ok)));
    }
    sources.push(Box::new(delta.entries().map(Ok)));
    in_memory(sources).filter(|entry| !entry.value.is_removed()).map(Entry::live)
}
