//! A hub of paper: the reviewer's list and the operator's counts.

use std::sync::Arc;

use i247_client::pb;
use i247_client::pb::monitor_service_server::{MonitorService, MonitorServiceServer};
use i247_client::pb::review_service_server::{ReviewService, ReviewServiceServer};
use i247_model::{CountryCode, Kind};
use i247_trust::open_carried;
use tonic::{Request, Response, Status};

use super::Shared;

pub(crate) async fn serve(shared: Arc<Shared>) -> String {
    let router = super::server()
        .add_service(ReviewServiceServer::new(Hub(shared.clone())))
        .add_service(MonitorServiceServer::new(Hub(shared)));
    super::listen(router).await
}

struct Hub(Arc<Shared>);

#[tonic::async_trait]
impl ReviewService for Hub {
    async fn list_pending(
        &self,
        request: Request<pb::ListPendingRequest>,
    ) -> Result<Response<pb::ListPendingResponse>, Status> {
        let asked = request.into_inner();
        let world = self.0.world.lock().unwrap();
        let from = world.pending.iter().position(|(one, _)| one.request_id == asked.after_request_id);
        let rest = world.pending.iter().skip(from.map_or(0, |at| at + 1)).take(asked.limit as usize);
        let pending = rest.map(|(one, _)| one.clone()).collect();
        Ok(Response::new(pb::ListPendingResponse { pending }))
    }

    async fn show_pending(
        &self,
        request: Request<pb::ShowPendingRequest>,
    ) -> Result<Response<pb::ShowPendingResponse>, Status> {
        let id = request.into_inner().request_id;
        let world = self.0.world.lock().unwrap();
        let found = world.pending.iter().find(|(one, _)| one.request_id == id);
        let (pending, envelope) = found.cloned().ok_or_else(|| Status::not_found("no such request"))?;
        let requester: CountryCode = pending.requester.parse().unwrap();
        let certificates = world.keys[&requester].signing_chain.clone();
        Ok(Response::new(pb::ShowPendingResponse {
            pending: Some(pending),
            envelope: Some(envelope),
            certificates,
        }))
    }

    async fn list_notices(
        &self,
        _: Request<pb::ListNoticesRequest>,
    ) -> Result<Response<pb::ListNoticesResponse>, Status> {
        Ok(Response::new(pb::ListNoticesResponse::default()))
    }

    async fn list_alerts(
        &self,
        _: Request<pb::ListAlertsRequest>,
    ) -> Result<Response<pb::ListAlertsResponse>, Status> {
        Ok(Response::new(pb::ListAlertsResponse::default()))
    }

    async fn show_alert(
        &self,
        _: Request<pb::ShowAlertRequest>,
    ) -> Result<Response<pb::ShowAlertResponse>, Status> {
        Err(Status::not_found("no such alert"))
    }

    async fn resume(&self, _: Request<pb::ResumeRequest>) -> Result<Response<pb::ResumeResponse>, Status> {
        Ok(Response::new(pb::ResumeResponse::default()))
    }

    async fn decide(
        &self,
        request: Request<pb::DecideRequest>,
    ) -> Result<Response<pb::DecideResponse>, Status> {
        let mut world = self.0.world.lock().unwrap();
        let mut results = Vec::new();
        for envelope in request.into_inner().envelopes {
            let header = i247_wire::decode_canonical_header(&envelope.header).unwrap();
            world.reviewed += 1;
            assert_eq!(header.id.number, world.reviewed, "numbers without holes");
            let body = open_carried(&envelope.body, &header).unwrap();
            let request_id = header.refers_to.clone().unwrap().to_string();
            if header.kind == Kind::Notice {
                world.pending.retain(|(one, _)| one.request_id != request_id);
            }
            if let Some(pb::body::Form::ReviewDecision(decision)) = &body.form {
                let owner = *header.audience.countries.first().unwrap();
                let case = world.cases.get_mut(&owner).unwrap();
                let case = case.iter_mut().find(|case| case.request_id == request_id).unwrap();
                case.notice_id = decision.notice_id.clone();
                case.state = pb::CaseState::Worked.into();
                let item = pb::InboxItem {
                    id: header.id.to_string(),
                    kind: pb::Kind::ReviewDecision.into(),
                    sender: header.id.sender.to_string(),
                    refers_to: request_id,
                    operation: header.operation.clone().unwrap_or_default(),
                    ..Default::default()
                };
                world.deliver(owner, item, body);
            }
            let taken = pb::submit_result::Result::Acceptance(pb::Signed::default());
            results.push(pb::SubmitResult { id: header.id.to_string(), result: Some(taken) });
        }
        drop(world);
        self.0.changed.send_modify(|count| *count += 1);
        Ok(Response::new(pb::DecideResponse { results }))
    }
}

#[tonic::async_trait]
impl MonitorService for Hub {
    type WatchStream = tokio_stream::Empty<Result<pb::MonitorServiceWatchResponse, Status>>;
    type TapStream = tokio_stream::Empty<Result<pb::TapResponse, Status>>;
    type ReplayStream = tokio_stream::Empty<Result<pb::ReplayResponse, Status>>;

    async fn summary(&self, _: Request<pb::SummaryRequest>) -> Result<Response<pb::SummaryResponse>, Status> {
        Ok(Response::new(pb::SummaryResponse::default()))
    }

    async fn operation_tally(
        &self,
        _: Request<pb::OperationTallyRequest>,
    ) -> Result<Response<pb::OperationTallyResponse>, Status> {
        Ok(Response::new(pb::OperationTallyResponse::default()))
    }

    async fn trace(&self, request: Request<pb::TraceRequest>) -> Result<Response<pb::TraceResponse>, Status> {
        let status = pb::MessageStatus { id: request.into_inner().id, ..Default::default() };
        let events = vec![pb::TraceEvent { event: "accepted".into(), ..Default::default() }];
        Ok(Response::new(pb::TraceResponse { status: Some(status), events, ..Default::default() }))
    }

    async fn watch(
        &self,
        _: Request<pb::MonitorServiceWatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(not_asked())
    }

    async fn tap(&self, _: Request<pb::TapRequest>) -> Result<Response<Self::TapStream>, Status> {
        Err(not_asked())
    }

    async fn replay(&self, _: Request<pb::ReplayRequest>) -> Result<Response<Self::ReplayStream>, Status> {
        Err(not_asked())
    }

    async fn statistics(
        &self,
        _: Request<pb::StatisticsRequest>,
    ) -> Result<Response<pb::StatisticsResponse>, Status> {
        Err(not_asked())
    }

    async fn country(&self, _: Request<pb::CountryRequest>) -> Result<Response<pb::CountryResponse>, Status> {
        Err(not_asked())
    }

    async fn find_messages(
        &self,
        _: Request<pb::FindMessagesRequest>,
    ) -> Result<Response<pb::FindMessagesResponse>, Status> {
        Err(not_asked())
    }

    async fn notices(&self, _: Request<pb::NoticesRequest>) -> Result<Response<pb::NoticesResponse>, Status> {
        Err(not_asked())
    }

    async fn databases(
        &self,
        _: Request<pb::DatabasesRequest>,
    ) -> Result<Response<pb::DatabasesResponse>, Status> {
        Err(not_asked())
    }

    async fn identities(
        &self,
        _: Request<pb::IdentitiesRequest>,
    ) -> Result<Response<pb::IdentitiesResponse>, Status> {
        Err(not_asked())
    }

    async fn alerts(&self, _: Request<pb::AlertsRequest>) -> Result<Response<pb::AlertsResponse>, Status> {
        Err(not_asked())
    }

    async fn search_tally(
        &self,
        _: Request<pb::SearchTallyRequest>,
    ) -> Result<Response<pb::SearchTallyResponse>, Status> {
        Err(not_asked())
    }
}

fn not_asked() -> Status {
    Status::unimplemented("nobody asks for this here")
}
