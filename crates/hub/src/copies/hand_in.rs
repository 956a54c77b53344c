//! Searches of offline copies, for the journal: what is handed in is looked at here, and taken once there.

use i247_model::{Identity, Name, Reason, Refusal, Verb};
use i247_records::Database;
use i247_records::offline::chained;
use i247_wire::{hash, pb};
use prost::Message as _;

use crate::audit::Given;
use crate::core::Core;
use crate::search::Asker;

/// Most searches of one call.
const SEARCHES_MAX: usize = 256;

/// Most keys of a search, and bytes of a key.
const KEYS_MAX: usize = 256;
const KEY_BYTES_MAX: usize = 256;

/// Takes searches in. The number of the last that stands in the journal.
///
/// # Errors
/// `NOT_GRANTED`, `MALFORMED`, `TOO_LARGE`, `OUT_OF_ORDER` when earlier ones are missing, `NUMBER_REUSED` when the list
/// is not the one that was handed in before, `BUSY`, `READ_ONLY`.
///
/// # Cancel safety
/// Dropped, they may stand in the journal; handed in again they are there once.
pub(super) async fn hand_in(
    core: &Core,
    asker: &Asker,
    request: &pb::HandInSearchesRequest,
) -> Result<u64, Refusal> {
    core.check_open()?;
    let now = core.clock.now();
    if core.grants.allows(&asker.identity, &[], now)?.verb == Verb::CheckOnly {
        return Err(Refusal::of(Reason::NotGranted, "grant.verb"));
    }
    let list: [u8; 16] =
        request.list.as_ref().try_into().map_err(|_| Refusal::of(Reason::Malformed, "list"))?;
    if request.first == 0 || request.searches.is_empty() {
        return Err(Refusal::of(Reason::Malformed, "first"));
    }
    if request.searches.len() > SEARCHES_MAX {
        return Err(Refusal::of(Reason::TooLarge, "searches"));
    }
    let mut chain = hash(&request.chain, "chain")?;
    let before = chain;
    let mut given = Vec::with_capacity(request.searches.len());
    let mut keys = 0;
    for (number, bytes) in (request.first..).zip(&request.searches) {
        let search = pb::OfflineSearch::decode(bytes.clone())
            .map_err(|_| Refusal::of(Reason::Malformed, "searches"))?;
        check(&search, asker)?;
        chain = chained(&chain, bytes);
        keys += search.keys.len();
        let from = pb::AskedOffline {
            list: request.list.clone(),
            number,
            chain: bytes::Bytes::copy_from_slice(chain.as_bytes()),
            asked_at_ms: search.asked_at_ms,
            as_of_ms: search.as_of_ms,
        };
        given.push(Given { number, chain, record: record(core, asker, search, from) });
    }
    let waited = core.searches.take(&asker.identity, keys, core.clock.monotonic());
    waited.map_err(|wait| Refusal::of(Reason::Busy, "quota").retry_after(wait))?;
    core.audit.take_in((&asker.identity, list), before, given, now).await
}

/// Whether a search says what it must.
fn check(search: &pb::OfflineSearch, asker: &Asker) -> Result<(), Refusal> {
    let malformed = |field: &str| Refusal::of(Reason::Malformed, field);
    let _: Name = i247_wire::parsed(&search.officer, "searches.officer")?;
    let station: Name = i247_wire::parsed(&search.station, "searches.station")?;
    if let Identity::Post(_, own) = &asker.identity
        && *own != station
    {
        return Err(Refusal::of(Reason::WrongField, "searches.station"));
    }
    if matches!(pb::Purpose::try_from(search.purpose), Err(_) | Ok(pb::Purpose::Unspecified)) {
        return Err(malformed("searches.purpose"));
    }
    i247_wire::operation(&search.operation, "searches.operation")?;
    let known = |number: &i32| u8::try_from(*number).ok().and_then(Database::from_number).is_some();
    if !search.databases.iter().all(known) {
        return Err(malformed("searches.databases"));
    }
    if search.keys.len() > KEYS_MAX || search.keys.iter().any(|key| key.len() > KEY_BYTES_MAX) {
        return Err(Refusal::of(Reason::TooLarge, "searches.keys"));
    }
    let asked = search.keys.len() as u64 + u64::from(search.refused);
    if asked > KEYS_MAX as u64 || u64::from(search.possible) > asked {
        return Err(malformed("searches.possible"));
    }
    Ok(())
}

fn record(core: &Core, asker: &Asker, search: pb::OfflineSearch, from: pb::AskedOffline) -> pb::AuditRecord {
    let mut digests = Vec::with_capacity(search.keys.len() * 8);
    search.keys.iter().for_each(|key| core.audit.digest(key, &mut digests));
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    pb::AuditRecord {
        at_ms: core.clock.now().as_millis(),
        asker: asker.identity.to_string(),
        officer: search.officer,
        station: search.station,
        purpose: search.purpose,
        databases: search.databases,
        digests: digests.into(),
        keys: count(search.keys.len()).saturating_add(search.refused),
        refused: search.refused,
        matches: 0,
        possible: search.possible,
        offline: Some(from),
        placed: None,
        operation: search.operation,
    }
}
