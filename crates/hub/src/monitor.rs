//! MonitorService: what operators ask. Counts and states from the views; a body is never shown.
//!
//! Who asks what is in the book of look-ups before it is answered. Streams are for as long as somebody reads them.

pub(crate) mod country;
pub(crate) mod databases;
mod filter;
mod find;
mod identities;
mod notices;
mod replay;
mod statistics;
mod tally;
mod tap;
mod trace;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use i247_model::{Name, Party, Reason, Refusal, Timestamp};
use i247_node::Peer;
use i247_wire::pb::monitor_service_server::MonitorService;
use i247_wire::{pb, status};
use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use self::filter::Filter;
use crate::alerts;
use crate::core::Core;
use crate::flow::{LINKS_KEPT, stand};
use crate::lookups::Who;
use crate::past;

/// The metadata in which a console says whom it asks for.
const PERSON: &str = "i247-person";

/// The service.
pub(crate) struct Monitor(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl MonitorService for Monitor {
    type WatchStream = ReceiverStream<Result<pb::MonitorServiceWatchResponse, Status>>;
    type TapStream = ReceiverStream<Result<pb::TapResponse, Status>>;
    type ReplayStream = ReceiverStream<Result<pb::ReplayResponse, Status>>;

    async fn summary(
        &self,
        request: Request<pb::SummaryRequest>,
    ) -> Result<Response<pb::SummaryResponse>, Status> {
        self.looks_at(&request, "Summary").await?;
        Ok(Response::new(self.summarise()))
    }

    async fn operation_tally(
        &self,
        request: Request<pb::OperationTallyRequest>,
    ) -> Result<Response<pb::OperationTallyResponse>, Status> {
        self.looks_up(&request, "OperationTally", &request.get_ref().operation).await?;
        let name = request.into_inner().operation;
        // What is known of the messages is told all the same.
        let searches = tally::searches::searches(&self.0, &name).await.ok();
        let tallied = past::ask(&self.0, move |views| tally::tally(views, &name)).await;
        answer(tallied.map(|tally| pb::OperationTallyResponse { searches, ..tally }))
    }

    async fn trace(&self, request: Request<pb::TraceRequest>) -> Result<Response<pb::TraceResponse>, Status> {
        self.looks_up(&request, "Trace", &request.get_ref().id).await?;
        answer(trace::trace(&self.0, request.into_inner().id).await)
    }

    async fn watch(
        &self,
        request: Request<pb::MonitorServiceWatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let filter = read_filter(request.get_ref().filter.clone())?;
        self.looks_up(&request, "Watch", &filter.words()).await?;
        let pb::MonitorServiceWatchRequest { tick_ms, links, .. } = request.into_inner();
        let watcher = watch::Watcher {
            core: self.0.clone(),
            filter,
            tick: Duration::from_millis(u64::from(within("tick_ms", tick_ms, 250, 100..=1000)?)),
            links: within("links", links, 400, 1..=2000)? as usize,
            place: self.place()?,
        };
        Ok(Response::new(ReceiverStream::new(watcher.begin())))
    }

    async fn tap(&self, request: Request<pb::TapRequest>) -> Result<Response<Self::TapStream>, Status> {
        let filter = read_filter(request.get_ref().filter.clone())?;
        self.looks_up(&request, "Tap", &filter.words()).await?;
        let per_second = within("per_second", request.get_ref().per_second, 100, 1..=1000)?;
        let (core, place) = (self.0.clone(), self.place()?);
        let tapper = tap::Tapper { core, filter, per_second: u64::from(per_second), place };
        Ok(Response::new(ReceiverStream::new(tapper.begin())))
    }

    async fn replay(
        &self,
        request: Request<pb::ReplayRequest>,
    ) -> Result<Response<Self::ReplayStream>, Status> {
        let pb::ReplayRequest { from_ms, until_ms, filter, links } = request.get_ref().clone();
        let filter = read_filter(filter)?;
        self.looks_up(&request, "Replay", &format!("{from_ms}-{until_ms} {}", filter.words())).await?;
        let replayer = replay::Replayer {
            core: self.0.clone(),
            filter,
            from: Timestamp::from_millis(from_ms),
            until: if until_ms == 0 { self.0.clock.now() } else { Timestamp::from_millis(until_ms) },
            links: within("links", links, 64, 1..=LINKS_KEPT as u32)? as usize,
            place: self.place()?,
        };
        Ok(Response::new(ReceiverStream::new(replayer.begin())))
    }

    async fn statistics(
        &self,
        request: Request<pb::StatisticsRequest>,
    ) -> Result<Response<pb::StatisticsResponse>, Status> {
        self.looks_at(&request, "Statistics").await?;
        answer(statistics::statistics(&self.0, request.get_ref()))
    }

    async fn country(
        &self,
        request: Request<pb::CountryRequest>,
    ) -> Result<Response<pb::CountryResponse>, Status> {
        self.looks_up(&request, "Country", &request.get_ref().country).await?;
        answer(country::country(&self.0, &request.get_ref().country).await)
    }

    async fn find_messages(
        &self,
        request: Request<pb::FindMessagesRequest>,
    ) -> Result<Response<pb::FindMessagesResponse>, Status> {
        let asked = request.get_ref().clone();
        let search = find::Search::read(asked.clone()).map_err(|refusal| status(&refusal))?;
        self.looks_up(&request, "FindMessages", &search.words()).await?;
        answer(find::find(&self.0, &search).await)
    }

    async fn notices(
        &self,
        request: Request<pb::NoticesRequest>,
    ) -> Result<Response<pb::NoticesResponse>, Status> {
        let asked = request.get_ref();
        let words =
            format!("colour={} requester={} pending={}", asked.colour, asked.requester, asked.pending);
        self.looks_up(&request, "Notices", &words).await?;
        answer(notices::notices(&self.0, request.get_ref()))
    }

    async fn databases(
        &self,
        request: Request<pb::DatabasesRequest>,
    ) -> Result<Response<pb::DatabasesResponse>, Status> {
        self.looks_at(&request, "Databases").await?;
        answer(databases::databases(&self.0, request.get_ref()))
    }

    async fn identities(
        &self,
        request: Request<pb::IdentitiesRequest>,
    ) -> Result<Response<pb::IdentitiesResponse>, Status> {
        self.looks_at(&request, "Identities").await?;
        Ok(Response::new(identities::identities(&self.0)))
    }

    async fn alerts(
        &self,
        request: Request<pb::AlertsRequest>,
    ) -> Result<Response<pb::AlertsResponse>, Status> {
        self.looks_at(&request, "Alerts").await?;
        Ok(Response::new(pb::AlertsResponse {
            at_ms: self.0.clock.now().as_millis(),
            alerts: self.0.alerts.list(None, request.get_ref().cleared),
            rules: alerts::rules(),
        }))
    }

    async fn search_tally(
        &self,
        request: Request<pb::SearchTallyRequest>,
    ) -> Result<Response<pb::SearchTallyResponse>, Status> {
        self.looks_at(&request, "SearchTally").await?;
        let counted = self.0.audit.tally_behind(request.get_ref().after_entry).await;
        answer(counted.map(databases::tally))
    }
}

impl Monitor {
    /// Writes down who looks something up.
    async fn looks_up<T>(&self, request: &Request<T>, call: &'static str, asked: &str) -> Result<(), Status> {
        let who = who(request)?;
        let written = self.0.lookups.looked_up(&who, call, asked, self.0.clock.now()).await;
        written.map_err(|refusal| status(&refusal))
    }

    /// Writes down, once a minute, who looks at the network as a whole.
    async fn looks_at<T>(&self, request: &Request<T>, call: &'static str) -> Result<(), Status> {
        let who = who(request)?;
        self.0.lookups.looked_at(&who, call, self.0.clock.now()).await;
        Ok(())
    }

    /// A place among those who watch.
    fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        let busy = |_| Refusal::of(Reason::Busy, "stream").retry_after(Duration::from_secs(5));
        self.0.watchers.clone().try_acquire_owned().map_err(|error| status(&busy(error)))
    }

    fn summarise(&self) -> pb::SummaryResponse {
        let core = &self.0;
        let now = core.clock.now();
        let views = core.views();
        let link = |(country, record): (_, &i247_router::Record)| {
            let party = Party::Bureau(country);
            let stand = stand(&views, party);
            pb::LinkSummary {
                party: party.to_string(),
                connected: core.links.find(party).is_some(),
                queued: stand.queued.iter().map(|count| u64::from(*count)).sum(),
                oldest_ms: stand.oldest.map_or(0, |oldest| millis(now.since(oldest))),
                standing: match record.standing {
                    i247_router::Standing::Active => "active",
                    i247_router::Standing::Suspended => "suspended",
                    i247_router::Standing::Revoked => "revoked",
                }
                .into(),
            }
        };
        pb::SummaryResponse {
            log_id: core.log_id.clone(),
            log_end: views.position,
            hub_time_ms: now.as_millis(),
            open_messages: views.state.open_count() as u64,
            pending_reviews: views.state.reviews().count() as u64,
            links: views.state.directory().bureaus().map(link).collect(),
            writable: *core.writable.borrow() && core.behind.borrow().is_none(),
        }
    }
}

/// The operator, and the person at its console.
fn who<T>(request: &Request<T>) -> Result<Who, Status> {
    let identity = Peer::of(request)?.identity.clone();
    let wrong = || status(&Refusal::of(Reason::WrongField, PERSON));
    let name = |text: &str| text.parse::<Name>().ok();
    let person = match request.metadata().get(PERSON) {
        Some(value) => Some(value.to_str().ok().and_then(name).ok_or_else(wrong)?),
        None => None,
    };
    Ok(Who { identity, person })
}

fn read_filter(wire: Option<pb::FlowFilter>) -> Result<Filter, Status> {
    Filter::read(wire).map_err(|refusal| status(&refusal))
}

/// A number in its bounds; the usual one for 0.
fn within(
    field: &'static str,
    number: u32,
    usual: u32,
    bounds: std::ops::RangeInclusive<u32>,
) -> Result<u32, Status> {
    let number = if number == 0 { usual } else { number };
    if bounds.contains(&number) { Ok(number) } else { Err(status(&Refusal::of(Reason::WrongField, field))) }
}

fn answer<T>(result: Result<T, Refusal>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|refusal| status(&refusal))
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
