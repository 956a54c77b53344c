//! A desk of paper.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use i247_client::pb;
use i247_client::pb::desk_service_server::{DeskService, DeskServiceServer};
use i247_model::{CountryCode, Header, Lane, MessageId, Sender};
use i247_node::{Clock as _, SystemClock};
use i247_scenario::Policy;
use i247_trust::{carry, sign_headers};
use tonic::{Request, Response, Status, Streaming};

use super::{Shared, World};

pub(crate) async fn serve(me: CountryCode, shared: Arc<Shared>) -> String {
    let desk = Desk { me, shared };
    super::listen(super::server().add_service(DeskServiceServer::new(desk))).await
}

struct Desk {
    me: CountryCode,
    shared: Arc<Shared>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn nothing<T>() -> Result<T, Status> {
    Err(Status::unimplemented("not on paper"))
}

impl World {
    fn next_id(&mut self, sender: CountryCode) -> MessageId {
        let number = self.numbers.entry(sender).or_default();
        *number += 1;
        MessageId { sender: Sender::Bureau(sender), epoch: 1, lane: Lane::Urgent, number: *number }
    }

    pub(crate) fn deliver(&mut self, to: CountryCode, mut item: pb::InboxItem, body: pb::Body) {
        if item.id.is_empty() {
            item.id = self.next_id(item.sender.parse().unwrap()).to_string();
        }
        self.bodies.insert(item.id.clone(), body);
        self.inboxes.entry(to).or_default().push(item);
    }

    /// What a bureau does by itself when it is asked.
    fn answer(&mut self, by: CountryCode, to: CountryCode, request: &str, draft: &pb::Draft) {
        let left = self.left.get(&by).is_some_and(|left| left.contains(&draft.operation));
        if self.silent.contains(&by) || left {
            return;
        }
        let Some(pb::body::Form::Request(asked)) = draft.body.clone().unwrap().form else { return };
        let subject = asked.subject.unwrap_or_default();
        let found =
            self.registers[&by].iter().find(|entry| entry.family_name == subject.family_name).cloned();
        let item = |kind: pb::Kind, stage: pb::ReplyStage| pb::InboxItem {
            kind: kind.into(),
            sender: by.to_string(),
            refers_to: request.to_owned(),
            operation: draft.operation.clone(),
            reply_stage: stage.into(),
            ..Default::default()
        };
        let reply = pb::Kind::Reply;
        let replies = match found {
            Some(_) => vec![pb::ReplyStage::Interim, pb::ReplyStage::Final],
            None => vec![pb::ReplyStage::Final],
        };
        for stage in replies {
            self.deliver(to, item(reply, stage), pb::Body::default());
            let case = self.case_of(to, &asked.notice_id);
            if let Some(case) = case {
                case.replies_received += 1;
            }
        }
        if let Some(owed) = self.owed.get_mut(request) {
            owed.remove(&by.to_string());
        }
        let Some(entry) = found else { return };
        let sure = entry.forename == subject.forename && entry.date_of_birth == subject.date_of_birth;
        let arrest = sure && self.policies[&by] == Policy::ArrestBasis;
        let (kind, state) = match (sure, arrest) {
            (_, true) => (pb::Kind::ArrestReport, pb::CaseState::Arrested),
            (true, false) => (pb::Kind::PersonLocated, pb::CaseState::PositivelyLocated),
            (false, _) => (pb::Kind::PersonLocated, pb::CaseState::PossiblyLocated),
        };
        let located = pb::PersonLocated { place: entry.place, ..Default::default() };
        let body = pb::Body { form: Some(pb::body::Form::PersonLocated(located)), ..Default::default() };
        self.deliver(to, item(kind, pb::ReplyStage::Unspecified), body);
        let moved_by = self.inboxes[&to].last().unwrap().id.clone();
        if let Some(case) = self.case_of(to, &asked.notice_id) {
            case.state = state.into();
            case.moved_by = moved_by;
        }
    }

    pub(crate) fn case_of(&mut self, owner: CountryCode, notice_id: &str) -> Option<&mut pb::Case> {
        self.cases.get_mut(&owner)?.iter_mut().find(|case| case.notice_id == notice_id)
    }

    fn take(&mut self, me: CountryCode, draft: pb::Draft) -> String {
        if let Some(id) = self.by_key.get(&draft.idempotency_key) {
            return id.clone();
        }
        let message_id = self.next_id(me);
        let id = message_id.to_string();
        self.by_key.insert(draft.idempotency_key.clone(), id.clone());
        self.bodies.insert(id.clone(), draft.body.clone().unwrap());
        self.outboxes.entry(me).or_default().push(pb::OutboxItem {
            id: id.clone(),
            kind: draft.kind,
            state: pb::OutboxState::Accepted.into(),
            refers_to: draft.refers_to.clone(),
            operation: draft.operation.clone(),
            // A desk of paper does not know who calls: officers take turns, the bureau itself has no seat.
            seat: format!("desk{}", message_id.number % self.seats[&me] + 1),
            ..Default::default()
        });
        match draft.kind() {
            pb::Kind::NoticeRequest => self.request_notice(me, message_id, &draft),
            pb::Kind::Request => self.ask(me, &id, &draft),
            pb::Kind::Reply => {
                let asker: MessageId = draft.refers_to.parse().unwrap();
                let item = pb::InboxItem {
                    id: id.clone(),
                    kind: draft.kind,
                    sender: me.to_string(),
                    refers_to: draft.refers_to,
                    operation: draft.operation,
                    reply_stage: draft.reply_stage,
                    ..Default::default()
                };
                self.deliver(asker.sender.party().country().unwrap(), item, draft.body.unwrap());
            }
            _ => {}
        }
        id
    }

    fn ask(&mut self, me: CountryCode, id: &str, draft: &pb::Draft) {
        let countries = draft.audience.clone().unwrap().countries;
        self.owed.insert(id.to_owned(), countries.iter().cloned().collect());
        let Some(pb::body::Form::Request(asked)) = draft.body.clone().unwrap().form else { return };
        if let Some(case) = self.case_of(me, &asked.notice_id) {
            case.requests_sent += 1;
        }
        for country in &countries {
            let country: CountryCode = country.parse().unwrap();
            self.answer(country, me, id, draft);
            let left = self.left.get(&country).is_some_and(|left| left.contains(&draft.operation));
            if left {
                // On paper a deadline passes at once: the addressee is reminded, the asker told.
                let made = |n: u64, kind: pb::Kind| pb::InboxItem {
                    id: format!(
                        "IPSG-{}-U-{n}",
                        1000 + self.reviewed + u64::from(country.as_str().as_bytes()[0])
                    ),
                    kind: kind.into(),
                    sender: "IPSG".into(),
                    refers_to: id.to_owned(),
                    operation: draft.operation.clone(),
                    ..Default::default()
                };
                let (reminder, escalation) = (made(1, pb::Kind::Reminder), made(2, pb::Kind::Escalation));
                self.deliver(country, reminder, pb::Body::default());
                self.deliver(me, escalation, pb::Body::default());
            }
        }
        let silent: Vec<String> = self.owed[id].iter().cloned().collect();
        if let Some(case) = self.case_of(me, &asked.notice_id) {
            case.silent.extend(silent);
        }
    }

    /// The reviewer checks signatures, so this one is real.
    fn request_notice(&mut self, me: CountryCode, id: MessageId, draft: &pb::Draft) {
        let keys = self.keys[&me].clone();
        let carried = carry(&draft.body.clone().unwrap(), [7; 16]);
        let now = SystemClock::new().now();
        let header = pb::Header {
            version: 1,
            id: id.to_string(),
            key_id: Bytes::copy_from_slice(keys.signing_key.key_id().as_bytes()),
            previous: if id.number > 1 { Bytes::from_static(&[1; 32]) } else { Bytes::new() },
            kind: draft.kind,
            audience: draft.audience.clone(),
            signed_at_ms: now.as_millis(),
            operation: draft.operation.clone(),
            body_hash: Bytes::copy_from_slice(carried.body_hash.as_bytes()),
            commitment: Bytes::copy_from_slice(carried.commitment.as_bytes()),
            attachments: draft.attachments.clone(),
            ..Default::default()
        };
        let header = i247_wire::encode_header(&Header::try_from(header).unwrap());
        let signature = sign_headers(&keys.signing_key, std::slice::from_ref(&header)).pop();
        let pending = pb::PendingNotice {
            request_id: id.to_string(),
            notice_id: format!("2010/{}", self.by_key.len()),
            requester: me.to_string(),
            colour: "red".into(),
            accepted_at_ms: now.as_millis(),
            edition: 1,
            ..Default::default()
        };
        self.pending.push((pending, pb::Envelope { header, body: carried.bytes, signature }));
        self.cases.entry(me).or_default().push(pb::Case {
            request_id: id.to_string(),
            our_ref: draft.body.clone().unwrap().our_ref,
            state: pb::CaseState::Selected.into(),
            ..Default::default()
        });
    }
}

#[tonic::async_trait]
impl DeskService for Desk {
    type WatchStream = Answers<pb::WatchResponse>;
    type OpenAttachmentStream = Answers<pb::OpenAttachmentResponse>;
    type LoadRecordsStream = Answers<pb::LoadRecordsResponse>;
    type WatchHitsStream = Answers<pb::DeskServiceWatchHitsResponse>;

    async fn send(&self, request: Request<pb::SendRequest>) -> Result<Response<pb::SendResponse>, Status> {
        let id = self.shared.world.lock().unwrap().take(self.me, request.into_inner().draft.unwrap());
        self.shared.changed.send_modify(|count| *count += 1);
        Ok(Response::new(pb::SendResponse { id }))
    }

    async fn explain(
        &self,
        _: Request<pb::DeskServiceExplainRequest>,
    ) -> Result<Response<pb::DeskServiceExplainResponse>, Status> {
        nothing()
    }

    async fn list_inbox(
        &self,
        request: Request<pb::ListInboxRequest>,
    ) -> Result<Response<pb::ListInboxResponse>, Status> {
        let asked = request.into_inner();
        let world = self.shared.world.lock().unwrap();
        let inbox = world.inboxes.get(&self.me).cloned().unwrap_or_default();
        let fits = |item: &&pb::InboxItem| item.kind == asked.kind && item.operation == asked.operation;
        let total = inbox.iter().filter(fits).count() as u64;
        Ok(Response::new(pb::ListInboxResponse { items: Vec::new(), total }))
    }

    async fn list_outbox(
        &self,
        request: Request<pb::ListOutboxRequest>,
    ) -> Result<Response<pb::ListOutboxResponse>, Status> {
        let asked = request.into_inner();
        let world = self.shared.world.lock().unwrap();
        let outbox = world.outboxes.get(&self.me).cloned().unwrap_or_default();
        let from = outbox.iter().position(|item| item.id == asked.after_id).map_or(0, |at| at + 1);
        let fits = |item: &pb::OutboxItem| item.operation == asked.operation;
        let items = outbox.into_iter().skip(from).filter(fits).take(asked.limit as usize);
        Ok(Response::new(pb::ListOutboxResponse { items: items.collect(), total: 0 }))
    }

    async fn show(&self, request: Request<pb::ShowRequest>) -> Result<Response<pb::ShowResponse>, Status> {
        let id = request.into_inner().id;
        let body = self.shared.world.lock().unwrap().bodies.get(&id).cloned();
        Ok(Response::new(pb::ShowResponse { id, body, ..Default::default() }))
    }

    async fn mark_actioned(
        &self,
        _: Request<pb::MarkActionedRequest>,
    ) -> Result<Response<pb::MarkActionedResponse>, Status> {
        nothing()
    }

    async fn status(&self, _: Request<pb::StatusRequest>) -> Result<Response<pb::StatusResponse>, Status> {
        nothing()
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (me, shared) = (self.me, self.shared.clone());
        let (changed, next) = (self.shared.changed.subscribe(), request.into_inner().after as usize);
        let events =
            futures::stream::unfold((shared, changed, next), move |(shared, mut changed, next)| async move {
                loop {
                    let item = {
                        let world = shared.world.lock().unwrap();
                        world.inboxes.get(&me).and_then(|inbox| inbox.get(next)).cloned()
                    };
                    if let Some(item) = item {
                        let event = Some(pb::watch_response::Event::Arrived(item));
                        let told = pb::WatchResponse { event, received: next as u64 + 1 };
                        return Some((Ok(told), (shared, changed, next + 1)));
                    }
                    changed.changed().await.ok()?;
                }
            });
        Ok(Response::new(events.boxed()))
    }

    async fn list_cases(
        &self,
        request: Request<pb::ListCasesRequest>,
    ) -> Result<Response<pb::ListCasesResponse>, Status> {
        let after = request.into_inner().after_request_id;
        let cases = self.shared.world.lock().unwrap().cases.get(&self.me).cloned().unwrap_or_default();
        let from = cases.iter().position(|case| case.request_id == after).map_or(0, |at| at + 1);
        Ok(Response::new(pb::ListCasesResponse { cases: cases.into_iter().skip(from).collect() }))
    }

    async fn add_attachment(
        &self,
        request: Request<Streaming<pb::AddAttachmentRequest>>,
    ) -> Result<Response<pb::AddAttachmentResponse>, Status> {
        let frames = request.into_inner().collect::<Vec<_>>().await;
        assert_eq!(frames.len(), 2, "a note and a picture of less than one frame");
        let commitment = Bytes::from_static(&[9; 32]);
        Ok(Response::new(pb::AddAttachmentResponse { commitment, size_bytes: 0 }))
    }

    async fn open_attachment(
        &self,
        _: Request<pb::OpenAttachmentRequest>,
    ) -> Result<Response<Self::OpenAttachmentStream>, Status> {
        nothing()
    }

    async fn load_records(
        &self,
        _: Request<Streaming<pb::LoadRecordsRequest>>,
    ) -> Result<Response<Self::LoadRecordsStream>, Status> {
        nothing()
    }

    async fn load_status(
        &self,
        _: Request<pb::LoadStatusRequest>,
    ) -> Result<Response<pb::LoadStatusResponse>, Status> {
        nothing()
    }

    async fn show_record(
        &self,
        _: Request<pb::ShowRecordRequest>,
    ) -> Result<Response<pb::ShowRecordResponse>, Status> {
        nothing()
    }

    async fn check(&self, _: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        nothing()
    }

    async fn list_posts(
        &self,
        _: Request<pb::DeskServiceListPostsRequest>,
    ) -> Result<Response<pb::DeskServiceListPostsResponse>, Status> {
        nothing()
    }

    async fn watch_hits(
        &self,
        _: Request<pb::DeskServiceWatchHitsRequest>,
    ) -> Result<Response<Self::WatchHitsStream>, Status> {
        nothing()
    }

    async fn report(&self, _: Request<pb::ReportRequest>) -> Result<Response<pb::ReportResponse>, Status> {
        let world = self.shared.world.lock().unwrap();
        let received = world.inboxes.get(&self.me).map_or(0, Vec::len) as u64;
        Ok(Response::new(pb::ReportResponse { received, ..Default::default() }))
    }

    async fn recover(&self, _: Request<pb::RecoverRequest>) -> Result<Response<pb::RecoverResponse>, Status> {
        nothing()
    }
}
