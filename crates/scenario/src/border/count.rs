//! What was counted of a run: in the journal of searches, and in the register of hits. Nothing here knows what was
//! planted.

use std::collections::BTreeMap;
use std::time::Duration;

use i247_client::{ClientError, Desk, pb};
use i247_model::CountryCode;

use super::plan::Station;

/// How long a register may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// What a post asked, by the journal of searches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Keys.
    pub keys: u64,
    /// Keys that were none.
    pub refused: u64,
    /// Keys that had a match.
    pub matches: u64,
    /// Keys that had nothing better than something possible.
    pub possible: u64,
    /// Frames for which the post has signed, and the hub has counted the same.
    pub signed_for: u64,
}

/// What was counted of a run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BorderCounts {
    /// By the journal of searches.
    pub asked: BTreeMap<Station, Asked>,
    /// By the register of hits, each once.
    pub hits: Vec<pb::HitStatus>,
    /// What the hub says of the operation; none where it was not asked.
    pub operation: Option<pb::OperationSearches>,
}

/// The register of hits, as these desks see it together, as far as it changed behind an entry of the hub's log: each hit
/// once, ordered by its id.
///
/// # Errors
/// As every call.
pub async fn register(
    desks: &BTreeMap<CountryCode, Desk>,
    after: u64,
) -> Result<Vec<pb::HitStatus>, ClientError> {
    let mut hits: BTreeMap<String, pb::HitStatus> = BTreeMap::new();
    for desk in desks.values() {
        let mut told = desk.watch_hits(after, false).await?;
        while let Some(hit) = told.next(SILENCE).await? {
            // One desk may have been asked later than the other: the later word counts.
            let known = hits.entry(hit.id.clone()).or_insert_with(|| hit.clone());
            if known.changed_position < hit.changed_position {
                *known = hit;
            }
        }
    }
    Ok(hits.into_values().collect())
}
