//! MonitorService: what operators ask. Counts and states from the views; a body is never shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use i247_model::{CountryCode, Kind, MessageId, Party, Reason, RecipientState, Refusal, Timestamp};
use i247_router::Standing;
use i247_wire::pb::monitor_service_server::MonitorService;
use i247_wire::{pb, status};
use tonic::{Request, Response, Status};

use crate::core::Core;
use crate::history::HistoryError;
use crate::past::{self, Found};
use crate::views::Views;

/// The service.
pub(crate) struct Monitor(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl MonitorService for Monitor {
    async fn summary(&self, _: Request<pb::SummaryRequest>) -> Result<Response<pb::SummaryResponse>, Status> {
        let core = &self.0;
        let now = core.clock.now();
        let views = core.views();
        let mut queued: BTreeMap<Party, (u64, Option<Timestamp>)> = BTreeMap::new();
        for message in views.state.open_messages() {
            for (party, _) in message.recipients.iter().filter(|(_, recipient)| !recipient.state.settled()) {
                let (count, oldest) = queued.entry(*party).or_default();
                *count += 1;
                *oldest = Some(oldest.map_or(message.accepted_at, |oldest| oldest.min(message.accepted_at)));
            }
        }
        let links = views.state.directory().bureaus().map(|(country, record)| {
            let party = Party::Bureau(country);
            let (count, oldest) = queued.get(&party).copied().unwrap_or_default();
            pb::LinkSummary {
                party: party.to_string(),
                connected: core.links.find(party).is_some(),
                queued: count,
                oldest_ms: oldest.map_or(0, |oldest| millis(now.since(oldest))),
                standing: match record.standing {
                    Standing::Active => "active",
                    Standing::Suspended => "suspended",
                    Standing::Revoked => "revoked",
                }
                .into(),
            }
        });
        let links = links.collect();
        Ok(Response::new(pb::SummaryResponse {
            log_id: core.log_id.clone(),
            log_end: views.position,
            hub_time_ms: now.as_millis(),
            open_messages: views.state.open_messages().count() as u64,
            pending_reviews: views.state.reviews().count() as u64,
            links,
            writable: *core.writable.borrow() && !*core.behind.borrow(),
        }))
    }

    async fn operation_tally(
        &self,
        request: Request<pb::OperationTallyRequest>,
    ) -> Result<Response<pb::OperationTallyResponse>, Status> {
        let name = request.into_inner().operation;
        let tallied = past::ask(&self.0, move |views| tally(views, &name)).await;
        tallied.map(Response::new).map_err(|refusal| status(&refusal))
    }

    async fn trace(&self, request: Request<pb::TraceRequest>) -> Result<Response<pb::TraceResponse>, Status> {
        let prefix = request.into_inner().id;
        let found = past::ask(&self.0, move |views| {
            let found = past::with_prefix(views, &prefix, 2)?;
            let [id] = found.as_slice() else { return Ok(None) };
            Ok(past::find_whole(views, id)?.map(|found| (id.clone(), found)))
        });
        let Some((id, found)) = found.await.map_err(|refusal| status(&refusal))? else {
            return Err(status(&Refusal::of(Reason::UnknownReference, "id")));
        };
        let item = &found.item;
        let decided = if item.refused.is_some() { "refused" } else { "accepted" };
        let signed = self.signed(&id, &found).await.map_err(|refusal| status(&refusal))?;
        let mut events = Vec::from_iter(signed);
        events.push(pb::TraceEvent {
            at_ms: item.at.as_millis(),
            position: item.place.position,
            party: "IPSG".into(),
            event: decided.into(),
        });
        events.extend(item.events.iter().map(|event| pb::TraceEvent {
            at_ms: event.at.as_millis(),
            position: event.position,
            party: event.party.to_string(),
            event: event.state.to_string(),
        }));
        Ok(Response::new(pb::TraceResponse {
            status: found.status(),
            kind: item.kind.to_string(),
            sender: id.sender.to_string(),
            refers_to: item.refers_to.as_ref().map(ToString::to_string).unwrap_or_default(),
            operation: item.operation.clone().unwrap_or_default(),
            events,
        }))
    }
}

impl Monitor {
    /// When its sender signed the message, by the sender's clock: it stands in the header, which only the log holds.
    /// None for what the hub made itself: that was signed when it was decided.
    ///
    /// # Errors
    /// `READ_ONLY` when its entry cannot be read.
    async fn signed(&self, id: &MessageId, found: &Found) -> Result<Option<pb::TraceEvent>, Refusal> {
        let core = &self.0;
        if found.item.header_hash.is_none() {
            return Ok(None);
        }
        let stored = core.recent.find(&*core.ledger, found.item.place).await?;
        let header = i247_wire::decode_header(&stored.envelope.header)?;
        Ok(Some(pb::TraceEvent {
            at_ms: header.signed_at.as_millis(),
            position: 0,
            party: id.sender.to_string(),
            event: "signed".into(),
        }))
    }
}

/// Counts an operation from what the log holds of it.
fn tally(views: &RwLock<Views>, name: &str) -> Result<pb::OperationTallyResponse, HistoryError> {
    let mut tally = Tally::default();
    let operation = past::operation(views, name)?;
    for id in operation.messages.iter().filter_map(|id| id.parse().ok()) {
        if let Some(found) = past::find(views, &id)? {
            tally.count(&id, &found);
        }
    }
    tally.latencies.sort_unstable();
    let percentile = |percent: usize| {
        let last = tally.latencies.len().saturating_sub(1);
        tally.latencies.get(last * percent / 100).copied().unwrap_or_default()
    };
    Ok(pb::OperationTallyResponse {
        participants: u32::try_from(tally.participants.len()).unwrap_or(u32::MAX),
        seats: u32::try_from(operation.seats.len()).unwrap_or(u32::MAX),
        delivery_p50_ms: percentile(50),
        delivery_p99_ms: percentile(99),
        first_accepted_at_ms: tally.first.map_or(0, Timestamp::as_millis),
        last_accepted_at_ms: tally.last.map_or(0, Timestamp::as_millis),
        reminders: tally.kinds.get(&Kind::Reminder).map_or(0, |kind| kind.accepted),
        escalations: tally.kinds.get(&Kind::Escalation).map_or(0, |kind| kind.accepted),
        receipts: views.read().unwrap_or_else(PoisonError::into_inner).receipts,
        kinds: tally.kinds.into_values().collect(),
        countries: tally.countries.into_values().collect(),
    })
}

#[derive(Default)]
struct Tally {
    kinds: BTreeMap<Kind, pb::KindTally>,
    countries: BTreeMap<CountryCode, pb::CountryTally>,
    participants: BTreeSet<CountryCode>,
    latencies: Vec<u64>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Tally {
    fn count(&mut self, id: &MessageId, found: &Found) {
        let item = &found.item;
        self.participants.extend(id.sender.party().country());
        let kind = self
            .kinds
            .entry(item.kind)
            .or_insert_with(|| pb::KindTally { kind: item.kind.to_string(), ..pb::KindTally::default() });
        if item.refused.is_some() {
            kind.refused += 1;
            return;
        }
        kind.accepted += 1;
        self.first = Some(self.first.map_or(item.at, |first| first.min(item.at)));
        self.last = self.last.max(Some(item.at));
        let delivered = item.events.iter().filter(|event| event.state == RecipientState::Delivered);
        let countries = delivered.filter(|event| event.party != Party::Secretariat);
        self.latencies.extend(countries.map(|event| millis(event.at.since(item.at))));
        let Some(message) = &found.message else { return };
        for (party, recipient) in &message.recipients {
            kind.deliveries += 1;
            kind.delivered += u64::from(recipient.state.has_it());
            let Some(country) = party.country() else { continue };
            self.participants.insert(country);
            let entry = self.countries.entry(country).or_insert_with(|| pb::CountryTally {
                country: country.to_string(),
                ..pb::CountryTally::default()
            });
            entry.undelivered += u64::from(!recipient.state.settled());
            if let Some(line) = recipient.line {
                entry.owed += 1;
                entry.answered += u64::from(!line.state.owed());
            }
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
