//! What the pages ask: each look-up is one call of the hub's monitor, named as in `proto/`, in JSON both ways. The hub
//! audits each and decides what an operator may see.

use std::time::Duration;

use http::{Response, StatusCode};
use i247_client::reflect::{self, to_json};
use i247_client::{ClientError, Monitor, pb};
use i247_model::Name;
use i247_node::with_causes;
use serde_json::{Value as Json, json};
use tokio::sync::Semaphore;

use crate::measured::{Came, Counters};
use crate::respond::{self, Body};

/// How long the hub may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Calls to the hub at once; the next wait.
const CALLS: usize = 16;
/// Pairs of countries in one answer, of nearly 40,000 that there are.
const PAIRS: usize = 2000;
/// Seconds of a replay in one answer.
const REPLAYED: usize = 120;

/// The look-ups.
pub(crate) struct Api {
    monitor: Monitor,
    calls: Semaphore,
    counters: Counters,
}

/// Why there is no answer.
enum Fault {
    /// There is no such call.
    Unknown,
    /// The request is not what the call takes.
    Asked(Vec<String>),
    /// The hub.
    Hub(ClientError),
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Self::Hub(error)
    }
}

impl Api {
    pub(crate) fn new(monitor: Monitor, counters: Counters) -> Self {
        Self { monitor: monitor.within(WITHIN), calls: Semaphore::new(CALLS), counters }
    }

    /// The answer to one call.
    pub(crate) async fn answer(&self, call: &str, asked: &Json, who: &str) -> Response<Body> {
        tracing::debug!(call, who, "asked");
        let answered = match self.calls.acquire().await {
            Ok(_turn) => self.ask(call, asked, who).await,
            Err(_closed) => Err(Fault::Unknown),
        };
        if let Some(came) = came(&answered) {
            self.counters.looked_up(call, came);
        }
        match answered {
            Ok(json) => respond::data(&json),
            Err(fault) => fault.response(),
        }
    }

    async fn ask(&self, call: &str, asked: &Json, who: &str) -> Result<Json, Fault> {
        // The password file has no names that are none.
        let person: Name = who.parse().map_err(|_| Fault::Unknown)?;
        let hub = &self.monitor.clone().for_person(&person);
        Ok(match call {
            "Members" => members(),
            "Operations" => crate::recorded::operations(),
            "Summary" => to_json("SummaryResponse", &hub.summary().await?),
            "Statistics" => {
                let request: pb::StatisticsRequest = read("StatisticsRequest", asked)?;
                let mut told = hub.statistics(request.window_s).await?;
                most_telling(&mut told.pairs);
                to_json("StatisticsResponse", &told)
            }
            "LastHour" => {
                let told = hub.statistics(3600).await?;
                let minutes = told.minutes.iter().map(|minute| to_json("MinuteStatistics", minute));
                json!({ "minutes": minutes.collect::<Vec<_>>() })
            }
            "Country" => {
                let request: pb::CountryRequest = read("CountryRequest", asked)?;
                to_json("CountryResponse", &hub.country(&request.country).await?)
            }
            "FindMessages" => {
                let request = read("FindMessagesRequest", asked)?;
                to_json("FindMessagesResponse", &hub.find_messages(request).await?)
            }
            "Trace" => {
                let request: pb::TraceRequest = read("TraceRequest", asked)?;
                to_json("TraceResponse", &hub.trace(&request.id).await?)
            }
            "Notices" => to_json("NoticesResponse", &hub.notices(read("NoticesRequest", asked)?).await?),
            "Databases" => {
                let request: pb::DatabasesRequest = read("DatabasesRequest", asked)?;
                to_json("DatabasesResponse", &hub.databases(request.window_s).await?)
            }
            "Identities" => to_json("IdentitiesResponse", &hub.identities().await?),
            "Alerts" => {
                let request: pb::AlertsRequest = read("AlertsRequest", asked)?;
                to_json("AlertsResponse", &hub.alerts(request.cleared).await?)
            }
            "OperationTally" => {
                let request: pb::OperationTallyRequest = read("OperationTallyRequest", asked)?;
                to_json("OperationTallyResponse", &hub.operation_tally(&request.operation).await?)
            }
            "Replay" => replay(hub, read("ReplayRequest", asked)?).await?,
            _ => return Err(Fault::Unknown),
        })
    }
}

/// A part of the last hour, whole.
async fn replay(hub: &Monitor, request: pb::ReplayRequest) -> Result<Json, Fault> {
    let mut seconds = Vec::new();
    let mut oldest_ms = 0;
    let mut played = hub.replay(request).await?;
    let broken = |status| ClientError::Broken(Box::new(status));
    while let Some(part) = played.message().await.map_err(broken)? {
        oldest_ms = oldest_ms.max(part.oldest_ms);
        seconds.extend(part.seconds.iter().map(|tick| to_json("FlowTick", tick)));
        if seconds.len() >= REPLAYED {
            seconds.truncate(REPLAYED);
            break;
        }
    }
    Ok(json!({ "seconds": seconds, "oldest_ms": oldest_ms }))
}

/// What came of a look-up; nothing where there is no such call.
fn came(answered: &Result<Json, Fault>) -> Option<Came> {
    match answered {
        Ok(_) => Some(Came::Well),
        Err(Fault::Unknown) => None,
        Err(Fault::Asked(_)) => Some(Came::Refused),
        Err(Fault::Hub(error)) if error.refusal().is_some() => Some(Came::Refused),
        Err(Fault::Hub(_)) => Some(Came::Lost),
    }
}

/// Leaves those pairs that a page has room for: first those where something is wrong, then those that moved most.
fn most_telling(pairs: &mut Vec<pb::PairStatistics>) {
    pairs.sort_by_key(|pair| (pair.failed == 0 && pair.overdue == 0, std::cmp::Reverse(pair.accepted)));
    pairs.truncate(PAIRS);
}

/// A request by the names in `proto/`.
fn read<T: prost::Message + Default>(name: &str, asked: &Json) -> Result<T, Fault> {
    let known = reflect::describe(name).ok_or(Fault::Unknown)?;
    let read = reflect::from_json(known, asked).map_err(Fault::Asked)?;
    let bytes = prost::Message::encode_to_vec(&read);
    T::decode(bytes.as_slice()).map_err(|error| Fault::Asked(vec![error.to_string()]))
}

fn members() -> Json {
    let members = i247_model::MEMBERS.iter().map(|member| {
        json!({
            "code": member.code.as_str(),
            "name": member.name,
            "city": member.city,
            "region": member.region.as_str(),
        })
    });
    json!({ "members": members.collect::<Vec<_>>() })
}

impl Fault {
    fn response(self) -> Response<Body> {
        match self {
            Self::Unknown => respond::refused(StatusCode::NOT_FOUND, "no_such_call", Json::Null),
            Self::Asked(faults) => {
                respond::refused(StatusCode::BAD_REQUEST, "not_understood", json!({ "fields": faults }))
            }
            Self::Hub(error) => of_hub(&error),
        }
    }
}

/// What the hub refused, and what did not come to it. `passes`: the same may be answered later.
fn of_hub(error: &ClientError) -> Response<Body> {
    let passes = error.passes();
    if let Some(refusal) = error.refusal() {
        let more = json!({
            "passes": passes,
            "reason": refusal.reason.to_string(),
            "fields": refusal.fields,
            "next_step": refusal.next_step,
        });
        return respond::refused(StatusCode::UNPROCESSABLE_ENTITY, "refused", more);
    }
    if passes {
        let more = json!({ "passes": passes, "why": with_causes(error) });
        return respond::refused(StatusCode::SERVICE_UNAVAILABLE, "hub_lost", more);
    }
    tracing::warn!(error = %with_causes(error), "the hub does not answer as it must");
    respond::refused(StatusCode::BAD_GATEWAY, "hub_failed", Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_pairs_those_stay_where_something_is_wrong() {
        let pair =
            |n: u64| pb::PairStatistics { accepted: n, overdue: u32::from(n == 1), ..Default::default() };
        let mut pairs: Vec<_> = (0..3000).map(pair).collect();
        most_telling(&mut pairs);
        let kept: Vec<u64> = pairs.iter().map(|pair| pair.accepted).collect();
        assert_eq!(kept.len(), 2000);
        assert_eq!(kept[..3], [1, 2999, 2998]);
        assert_eq!(kept.last(), Some(&1001));
    }
}
