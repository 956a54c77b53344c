//! The databases as an operator sees them: how much they hold, what they are asked for, and where the hits stand.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use i247_model::{Identity, Party, Reason, Refusal, Timestamp};
use i247_records::Database;
use i247_records::hits::Register;
use i247_records::offline::{OLD_AFTER, REFUSED_AFTER};
use i247_router::Standing;
use i247_wire::pb;

use super::millis;
use super::statistics::{counts, window_s};
use crate::audit::{Counted, SearchTally};
use crate::copies::holders::{Held, wire as wire_copy};
use crate::core::Core;
use crate::flow::Latency;
use crate::search::stands;
use crate::searched::{InDatabase, Keys, Minute};

/// So many askers are named.
const ASKERS: usize = 20;

/// So many copies are named.
const COPIES: usize = 500;

/// What the window says.
///
/// # Errors
/// `WRONG_FIELD` for a window that is too short or too long.
pub(super) fn databases(core: &Core, asked: &pb::DatabasesRequest) -> Result<pb::DatabasesResponse, Refusal> {
    let window_s = window_s(asked.window_s)?;
    let now = core.clock.now();
    let (since, minutes) = core.searched.window(now, window_s);
    let mut latency = Latency::default();
    let mut databases: BTreeMap<Database, InDatabase> = BTreeMap::new();
    let mut askers: BTreeMap<Party, Keys> = BTreeMap::new();
    let mut reasons: BTreeMap<Reason, u64> = BTreeMap::new();
    for minute in &minutes {
        latency.add(&minute.latency);
        minute.databases.iter().for_each(|(one, there)| databases.entry(*one).or_default().add(there));
        minute.askers.iter().for_each(|(one, keys)| askers.entry(*one).or_default().add(*keys));
        minute.refused.iter().for_each(|(reason, count)| *reasons.entry(*reason).or_default() += count);
    }
    let mut askers: Vec<(Party, Keys)> = askers.into_iter().collect();
    askers.sort_by_key(|(_, keys)| Reverse(keys.asked));
    askers.truncate(ASKERS);
    let mut response = pb::DatabasesResponse {
        at_ms: now.as_millis(),
        since_ms: since.as_millis(),
        position: core.databases_as_of(),
        refusals: counts(reasons),
        search_p50_ms: latency.percentile(50),
        search_p99_ms: latency.percentile(99),
        askers: askers
            .into_iter()
            .map(|(party, Keys { asked, found })| pb::AskerStatistics {
                party: party.to_string(),
                asked,
                found,
            })
            .collect(),
        minutes: minutes.iter().map(wire).collect(),
        ..pb::DatabasesResponse::default()
    };
    let views = core.views();
    response.log_end = views.position;
    let open = hits(&views.hits, now, &mut response);
    drop(views);
    let held = copies(core);
    response.copies_left_out = u32::try_from(held.len().saturating_sub(COPIES)).unwrap_or(u32::MAX);
    response.copies_old_after_ms = millis(OLD_AFTER);
    response.copies_refused_after_ms = millis(REFUSED_AFTER);
    response.copies =
        held.iter().take(COPIES).map(|(database, holder, held)| wire_copy(*database, holder, held)).collect();
    response.databases = Database::ALL
        .iter()
        .map(|database| {
            let InDatabase { keys: Keys { asked, found }, latency } =
                databases.get(database).copied().unwrap_or_default();
            pb::DatabaseStatistics {
                database: database.number().into(),
                records: core.databases.count(*database),
                asked,
                found,
                hits_open: open.get(database).copied().unwrap_or_default(),
                look_up_p50_ms: latency.percentile(50),
                look_up_p99_ms: latency.percentile(99),
            }
        })
        .collect();
    Ok(response)
}

/// The copies of those who have not been shut out for good, the oldest first.
pub(crate) fn copies(core: &Core) -> Vec<(Database, Identity, Held)> {
    let mut held = core.copies.holders.all();
    let views = core.views();
    // The directory knows of a post what was done about it, and of most posts nothing.
    let directory = views.state.directory();
    let is_out = |identity: &Identity| {
        directory.record(identity).is_some_and(|record| record.standing == Standing::Revoked)
    };
    held.retain(|(_, holder, _)| match holder {
        Identity::Post(country, _) => !is_out(holder) && !is_out(&Identity::Bureau(*country)),
        _ => !is_out(holder),
    });
    held.sort_by_key(|(_, _, held)| held.as_of);
    held
}

/// Counts the hits by where they stand; returns how many of each database are open.
fn hits(
    register: &Register,
    now: Timestamp,
    response: &mut pb::DatabasesResponse,
) -> BTreeMap<Database, u32> {
    let mut open: BTreeMap<Database, u32> = BTreeMap::new();
    let mut states: BTreeMap<i32, u32> = BTreeMap::new();
    for hit in register.iter() {
        *states.entry(stands(hit.state).into()).or_default() += 1;
        response.hits_overdue += u32::from(hit.is_overdue(now));
        if hit.verdict.is_none()
            && let Some(database) = Database::from_number(hit.found.database)
        {
            *open.entry(database).or_default() += 1;
        }
    }
    response.hits = states.into_iter().map(|(state, count)| pb::HitCount { state, count }).collect();
    open
}

/// What was counted of the journal of searches.
pub(super) fn tally(counted: Counted) -> pb::SearchTallyResponse {
    let asker = |(asker, tally): (Identity, SearchTally)| {
        let SearchTally { frames, keys, refused, matches, possible, signed_for } = tally;
        pb::AskerTally { asker: asker.to_string(), frames, keys, refused, matches, possible, signed_for }
    };
    let Counted { to, end, tallies } = counted;
    pb::SearchTallyResponse { counted: to, end, askers: tallies.into_iter().map(asker).collect() }
}

fn wire(minute: &Minute) -> pb::SearchMinute {
    pb::SearchMinute {
        begins_ms: minute.begins_ms,
        asked: minute.keys.asked,
        found: minute.keys.found,
        p99_ms: minute.latency.percentile(99),
    }
}
