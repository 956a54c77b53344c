//! ReviewService: what reviewers call. Their decisions are messages like any other, signed with their own keys.

use std::sync::Arc;

use bytes::Bytes;
use i247_model::{Kind, Lane, MessageId, NoticeId, Reason, Refusal};
use i247_node::Peer;
use i247_records::record::RecordName;
use i247_records::{Database, Date};
use i247_router::{MessageRef, Review as Pending};
use i247_wire::pb::review_service_server::ReviewService;
use i247_wire::{pb, status};
use tonic::{Request, Response, Status};

use crate::core::Core;
use crate::databases::{DatabasesError, Found};
use crate::entry::hash_bytes;
use crate::past;
use crate::predecessors::Given;
use crate::recent::Stored;
use crate::views::Views;

/// Requests on one page.
const PAGE_MAX: u32 = 1000;

/// Envelopes in one call.
const DECIDED_MAX: usize = 64;

/// The service.
pub(crate) struct Review(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl ReviewService for Review {
    async fn list_pending(
        &self,
        request: Request<pb::ListPendingRequest>,
    ) -> Result<Response<pb::ListPendingResponse>, Status> {
        let pb::ListPendingRequest { limit, after_request_id } = request.into_inner();
        let limit = page(limit);
        let after: Option<MessageId> = i247_wire::parsed_option(&after_request_id, "after_request_id")
            .map_err(|refusal| status(&refusal))?;
        let after = match after {
            Some(id) => Some(place(&self.0, &id).await.map_err(|refusal| status(&refusal))?),
            None => None,
        };
        let views = self.0.views();
        let behind = |review: &&Pending| after.is_none_or(|after| place_of(review) > after);
        let mut waiting: Vec<&Pending> = views.state.reviews().filter(behind).collect();
        waiting.sort_by_key(|review| place_of(review));
        let pending = waiting.into_iter().take(limit).map(|review| pending(&views, review));
        Ok(Response::new(pb::ListPendingResponse { pending: pending.collect() }))
    }

    async fn show_pending(
        &self,
        request: Request<pb::ShowPendingRequest>,
    ) -> Result<Response<pb::ShowPendingResponse>, Status> {
        let wanted = request.into_inner().request_id;
        let (review, shown) = {
            let views = self.0.views();
            let mut found =
                views.state.reviews().filter(|review| review.request.to_string().starts_with(&wanted));
            let exact = views.state.reviews().find(|review| review.request.to_string() == wanted);
            match (exact, found.next(), found.next()) {
                (Some(review), ..) | (None, Some(review), None) => (review.clone(), pending(&views, review)),
                _ => return Err(status(&Refusal::of(Reason::UnknownReference, "request_id"))),
            }
        };
        let (stored, certificates) = self.as_signed(review.at).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(pb::ShowPendingResponse {
            pending: Some(shown),
            envelope: Some(stored.envelope),
            certificates,
        }))
    }

    async fn list_notices(
        &self,
        request: Request<pb::ListNoticesRequest>,
    ) -> Result<Response<pb::ListNoticesResponse>, Status> {
        let pb::ListNoticesRequest { limit, after_notice_id } = request.into_inner();
        let limit = page(limit);
        let after: Option<NoticeId> = i247_wire::parsed_option(&after_notice_id, "after_notice_id")
            .map_err(|refusal| status(&refusal))?;
        let views = self.0.views();
        let notices = views.state.notices().filter(|(id, _)| after.is_none_or(|after| *id > after));
        let published = notices.filter_map(|(id, file)| {
            Some(pb::NoticeInForce {
                notice_id: id.to_string(),
                message_id: file.message()?.to_string(),
                requester: file.owner.to_string(),
                colour: file.colour.map(|colour| colour.to_string()).unwrap_or_default(),
                edition: file.edition,
            })
        });
        Ok(Response::new(pb::ListNoticesResponse { notices: published.take(limit).collect() }))
    }

    async fn list_alerts(
        &self,
        request: Request<pb::ListAlertsRequest>,
    ) -> Result<Response<pb::ListAlertsResponse>, Status> {
        let pb::ListAlertsRequest { limit, after_place } = request.into_inner();
        let limit = page(limit);
        let waiting = self.0.databases.waiting_alerts(after_place, limit).await;
        let waiting = waiting.map_err(|error| status(&unreadable(&error)))?;
        let alerts = waiting.iter().map(|(place, found)| pending_alert(*place, found)).collect();
        Ok(Response::new(pb::ListAlertsResponse { alerts }))
    }

    async fn show_alert(
        &self,
        request: Request<pb::ShowAlertRequest>,
    ) -> Result<Response<pb::ShowAlertResponse>, Status> {
        let unknown = || status(&Refusal::of(Reason::UnknownReference, "name"));
        let name = RecordName::parse(Database::DialDoc, &request.into_inner().name).map_err(|_| unknown())?;
        let found = self.0.databases.waiting_alert(&name, Date::of(self.0.clock.now())).await;
        let found = found.map_err(|error| status(&unreadable(&error)))?;
        let (place, found) = found.ok_or_else(unknown)?;
        let at = MessageRef { position: found.position, n: 0 };
        let (stored, certificates) = self.as_signed(at).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(pb::ShowAlertResponse {
            alert: Some(pending_alert(place, &found)),
            envelope: Some(stored.envelope),
            certificates,
            accepted_at_ms: stored.at.as_millis(),
        }))
    }

    async fn resume(
        &self,
        request: Request<pb::ResumeRequest>,
    ) -> Result<Response<pb::ResumeResponse>, Status> {
        let peer = Peer::of(&request)?;
        let sender = peer.identity.sender();
        let sender = sender.ok_or_else(|| status(&Refusal::of(Reason::NotAuthorised, "identity")))?;
        let views = self.0.views();
        let lanes = Lane::ALL.into_iter().map(|lane| {
            let (number, hash) = views.state.sender_end(&sender, lane);
            let header_hash = hash.as_ref().map(hash_bytes).unwrap_or_default();
            pb::LaneLast { lane: pb::Lane::from(lane).into(), number, header_hash }
        });
        Ok(Response::new(pb::ResumeResponse { epoch: views.state.epoch(&sender), lanes: lanes.collect() }))
    }

    async fn decide(
        &self,
        request: Request<pb::DecideRequest>,
    ) -> Result<Response<pb::DecideResponse>, Status> {
        let peer = Peer::of(&request)?.identity.clone();
        let envelopes = request.into_inner().envelopes;
        if envelopes.len() > DECIDED_MAX {
            return Err(status(&Refusal::of(Reason::TooLarge, "envelopes")));
        }
        self.0.charge(&peer, envelopes.len()).map_err(|refusal| status(&refusal))?;
        let given = envelopes.into_iter().map(|envelope| (envelope, Given::Sent)).collect();
        let checked: Result<Vec<_>, Refusal> = self.0.check(given, &peer).await.into_iter().collect();
        let messages = checked.map_err(|refusal| status(&refusal))?;
        let results = self.0.submit(messages).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(pb::DecideResponse { results }))
    }
}

impl Review {
    /// A message as it was signed, and the certificates of whoever signed it.
    async fn as_signed(&self, at: MessageRef) -> Result<(Stored, Vec<Bytes>), Refusal> {
        let stored = self.0.recent.find(&*self.0.ledger, at).await?;
        let header = i247_wire::decode_header(&stored.envelope.header)?;
        let certificates = self.0.views().signers.chain_at(&header.key_id, header.signed_at);
        Ok((stored, certificates))
    }
}

/// How many are on a page when so many are asked for; 0 for as many as may be.
fn page(limit: u32) -> usize {
    (if limit == 0 { PAGE_MAX } else { limit.min(PAGE_MAX) }) as usize
}

/// Where a request stands among those that wait: by lane, then as they came.
fn place_of(review: &Pending) -> (Lane, u64) {
    (review.request.lane, review.at.position)
}

/// Where a request stands, or stood before it was decided.
///
/// # Errors
/// `UNKNOWN_REFERENCE` when there never was one, `READ_ONLY` when that cannot be said.
async fn place(core: &Core, id: &MessageId) -> Result<(Lane, u64), Refusal> {
    let found = past::entered(core, id).await?.filter(|found| found.item.kind == Kind::NoticeRequest);
    found
        .map(|found| (id.lane, found.item.place.position))
        .ok_or_else(|| Refusal::of(Reason::UnknownReference, "after_request_id"))
}

fn pending_alert(place: u64, found: &Found) -> pb::PendingAlert {
    let said = match found.record.to_wire().content {
        Some(pb::record::Content::DocumentAlert(said)) => said,
        _ => pb::DocumentAlert::default(),
    };
    pb::PendingAlert {
        name: found.reference.clone(),
        owner: found.owner.to_string(),
        country: said.country,
        document_type: said.document_type,
        forgery_kind: said.forgery_kind,
        message_id: found.message.to_string(),
        item: found.item.into(),
        place,
    }
}

fn unreadable(error: &DatabasesError) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "an alert cannot be read");
    Refusal::of(Reason::ReadOnly, "name")
}

fn pending(views: &Views, review: &Pending) -> pb::PendingNotice {
    let newest = views.state.notice(review.notice_id).map_or(0, |file| file.edition);
    pb::PendingNotice {
        edition: newest + 1,
        approved: review.approved,
        request_id: review.request.to_string(),
        notice_id: review.notice_id.to_string(),
        requester: review.requester.to_string(),
        colour: review.colour.map(|colour| colour.to_string()).unwrap_or_default(),
        accepted_at_ms: review.accepted_at.as_millis(),
        addendum_to: review.addendum_to.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}
