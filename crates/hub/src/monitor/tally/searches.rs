//! What an operation asked of the databases, and what became of its hits.

use std::cmp::Reverse;

use i247_model::{Identity, Refusal};
use i247_records::hits::Tally;
use i247_wire::pb;

use crate::core::Core;
use crate::grants;

/// So many stations are named.
const STATIONS: usize = 100;

/// Counts what an operation asked, from the journal of searches and the register of hits.
///
/// # Errors
/// `BUSY` while the journal is being read.
pub(in crate::monitor) async fn searches(core: &Core, name: &str) -> Result<pb::OperationSearches, Refusal> {
    let asked = core.audit.asked_in(name).await?.unwrap_or_default();
    let hits = core.views().hits.tally(name);
    let mut most: Vec<pb::StationTally> = asked
        .stations
        .iter()
        .map(|((asker, station), count)| station_tally(asker, station, *count))
        .collect();
    most.sort_by_key(|one| Reverse(one.count.map_or(0, |count| count.keys)));
    most.truncate(STATIONS);
    Ok(pb::OperationSearches {
        count: Some(asked.count),
        first_asked_at_ms: asked.first_ms,
        last_asked_at_ms: asked.last_ms,
        since_ms: asked.since_ms,
        stations: u32::try_from(asked.stations.len()).unwrap_or(u32::MAX),
        most,
        more_stations: asked.more_stations(),
        hits: Some(wire(hits)),
    })
}

fn station_tally(asker: &str, station: &str, count: pb::SearchCount) -> pb::StationTally {
    let asker: Option<Identity> = asker.parse().ok();
    pb::StationTally {
        party: asker
            .as_ref()
            .and_then(grants::country)
            .map(|country| country.to_string())
            .unwrap_or_default(),
        station: station.to_owned(),
        post: matches!(asker, Some(Identity::Post(..))),
        count: Some(count),
    }
}

fn wire(hits: Tally) -> pb::HitTally {
    let Tally { hits, confirmed, denied, stale, undecided, acted, located } = hits;
    pb::HitTally { hits, confirmed, denied, stale, undecided, acted, located }
}
