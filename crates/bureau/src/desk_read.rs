//! The desk's reading calls: pages of inbox, outbox and cases, one message whole, and what changes.

use bytes::Bytes;
use futures::StreamExt as _;
use i247_ledger::attachments::AttachmentError;
use i247_ledger::{Body, ReadError};
use i247_model::{Hash, Identity, MessageId, Party, Reason, Refusal};
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;
use prost::Message as _;
use tokio::sync::{broadcast, watch};
use tonic::Status;

use crate::attachments::Stored;
use crate::desk::{Answers, Desk, DeskError, malformed, status};
use crate::inbox::Received;
use crate::journal::Change;
use crate::outbox::{Acceptance, Sent, SentState};

/// How many lines a page has when the caller does not say, and at most.
const PAGE: usize = 50;
const MAX_PAGE: usize = 200;

impl Desk {
    /// Received messages that match, the newest first.
    pub(crate) async fn inbox_page(
        &self,
        request: &pb::ListInboxRequest,
    ) -> Result<pb::ListInboxResponse, Status> {
        let kind = kind(request.kind)?;
        let sender: Option<Party> = i247_wire::parsed_option(&request.sender, "sender").map_err(refused)?;
        let (page, total) = {
            let views = self.journal.views();
            let after = after(&request.after_id, |id| views.inbox.place(id))?;
            let matches = |received: &&Received| {
                kind.is_none_or(|kind| received.kind == kind)
                    && sender.is_none_or(|sender| received.id.sender.party() == sender)
                    && (request.operation.is_empty() || received.operation == request.operation)
                    && !(request.unopened_only && received.opened)
            };
            let all = views.inbox.all();
            let total = all.iter().filter(matches).count() as u64;
            let rest = all.get(..after.unwrap_or(all.len())).unwrap_or_default();
            let page: Vec<Received> =
                rest.iter().rev().filter(matches).take(limit(request.limit)).cloned().collect();
            (page, total)
        };
        let mut items = Vec::with_capacity(page.len());
        for received in page {
            items.push(self.inbox_item(&received).await?);
        }
        Ok(pb::ListInboxResponse { items, total })
    }

    /// Sent messages that match, the newest first.
    pub(crate) async fn outbox_page(
        &self,
        request: &pb::ListOutboxRequest,
    ) -> Result<pb::ListOutboxResponse, Status> {
        let kind = kind(request.kind)?;
        let (page, total) = {
            let views = self.journal.views();
            let after = after(&request.after_id, |id| views.outbox.place(id))?;
            let matches = |sent: &&Sent| {
                kind.is_none_or(|kind| sent.kind == kind)
                    && (request.operation.is_empty() || sent.operation == request.operation)
            };
            let all = views.outbox.all();
            let total = all.iter().filter(matches).count() as u64;
            let rest = all.get(..after.unwrap_or(all.len())).unwrap_or_default();
            let page: Vec<Sent> =
                rest.iter().rev().filter(matches).take(limit(request.limit)).cloned().collect();
            (page, total)
        };
        let mut items = Vec::with_capacity(page.len());
        for sent in page {
            items.push(self.outbox_item(&sent).await?);
        }
        Ok(pb::ListOutboxResponse { items, total })
    }

    /// One message, whole. A received one is marked opened.
    pub(crate) async fn show_message(
        &self,
        id: &str,
        officer: &Identity,
    ) -> Result<pb::ShowResponse, Status> {
        let (id, received, sent) = {
            let views = self.journal.views();
            let id = views.names.find(id, "id").map_err(refused)?;
            (id.clone(), views.inbox.get(&id).cloned(), views.outbox.get(&id).cloned())
        };
        let mut response = pb::ShowResponse { id: id.to_string(), ..Default::default() };
        let body_at = if let Some(received) = received {
            self.mark(&response.id, false, officer).await?;
            response.signed_by = received.signed_by.to_string();
            response.position = received.number;
            received.at_entry
        } else if let Some(sent) = sent {
            response.signed_by = Identity::Bureau(self.me).to_string();
            if let SentState::Accepted(acceptance) = &sent.state {
                response.position = acceptance.position;
            }
            if let Some(sealed) = sent.sealed {
                response.header = self.header_at(sealed.at_entry).await?;
            }
            sent.accepted_at_entry
        } else {
            return Err(refused(Refusal::of(Reason::UnknownReference, "id")));
        };
        if response.header.is_none() {
            response.header = self.header_at(body_at).await?;
        }
        response.body = self.body_at(body_at).await?;
        let records = response.header.as_ref().is_some_and(|header| header.kind() == pb::Kind::Records);
        // A batch of records is no body: its records are shown one by one.
        response.erased = response.body.is_none() && !records;
        Ok(response)
    }

    /// A sent message and where it stands.
    pub(crate) async fn sent_status(&self, id: &str) -> Result<pb::StatusResponse, Status> {
        let sent = {
            let views = self.journal.views();
            let id = views.names.find(id, "id").map_err(refused)?;
            views.outbox.get(&id).cloned().ok_or_else(|| {
                let mut refusal = Refusal::of(Reason::WrongReference, "id");
                refusal.next_step = format!("{id} is not a message that this bureau sent");
                refused(refusal)
            })?
        };
        let item = Some(self.outbox_item(&sent).await?);
        Ok(pb::StatusResponse { item, status: sent.status })
    }

    /// Cases of an operation, in the order of their requests.
    pub(crate) fn cases_page(&self, request: &pb::ListCasesRequest) -> Result<pb::ListCasesResponse, Status> {
        let after: Option<MessageId> =
            i247_wire::parsed_option(&request.after_request_id, "after_request_id").map_err(refused)?;
        let views = self.journal.views();
        let cases = views.cases.page(&request.operation, after.as_ref(), limit(request.limit));
        Ok(pb::ListCasesResponse { cases })
    }

    /// Arrivals after a count of them, then whatever changes.
    pub(crate) fn changes_after(self, after: u64) -> Answers<pb::WatchResponse> {
        let watcher = Watcher {
            next: usize::try_from(after).unwrap_or(usize::MAX),
            applied: self.journal.applied(),
            changes: self.journal.changes(),
            desk: self,
        };
        Box::pin(futures::stream::try_unfold(watcher, |mut watcher| async move {
            Ok(watcher.next().await?.map(|event| (event, watcher)))
        }))
    }

    /// An attachment of a message: from here, or fetched from the hub, verified and then kept.
    pub(crate) async fn read_attachment(
        &self,
        request: &pb::OpenAttachmentRequest,
    ) -> Result<Answers<pb::OpenAttachmentResponse>, Status> {
        use pb::open_attachment_response::Frame;
        let index = request.index as usize;
        let (id, attachments, at) = {
            let views = self.journal.views();
            let id = views.names.find(&request.message_id, "message_id").map_err(refused)?;
            let received = views.inbox.get(&id).map(|found| (found.attachments.clone(), found.at_entry));
            let sent =
                views.outbox.get(&id).map(|found| (found.attachments.clone(), found.accepted_at_entry));
            let (attachments, at) = received.or(sent).unwrap_or_default();
            (id, attachments, at)
        };
        let commitment = *attachments.get(index).ok_or_else(|| malformed("index"))?;
        let notes = self.body_at(at).await?.map(|body| body.attachments).unwrap_or_default();
        let stored = self.stored_attachment(&id, commitment).await?;
        let note = notes.get(index).cloned().unwrap_or_default();
        let first = pb::OpenAttachmentResponse { frame: Some(Frame::Note(note)) };
        let chunks = futures::stream::try_unfold(stored, |mut stored| async move {
            let chunk = stored.next().await.map_err(|error| status(&DeskError::Disk(error)))?;
            let frame = |data| pb::OpenAttachmentResponse { frame: Some(Frame::Data(data)) };
            Ok(chunk.map(|data| (frame(data), stored)))
        });
        Ok(Box::pin(futures::stream::iter([Ok(first)]).chain(chunks)))
    }

    /// What is not here yet, or not whole, is fetched first.
    async fn stored_attachment(&self, id: &MessageId, commitment: Hash) -> Result<Stored, Status> {
        let disk = |error| status(&DeskError::Disk(error));
        if let Some(stored) = self.attachments.find(commitment).await.map_err(disk)? {
            return Ok(stored);
        }
        let _room = self.attachments.room().await;
        let whole = self.link.fetch(id.to_string(), commitment).await?;
        self.attachments.store(&whole, None).await.map_err(disk)?;
        let found = self.attachments.find(commitment).await.map_err(disk)?;
        found.ok_or_else(|| disk(AttachmentError::Absent))
    }

    async fn inbox_item(&self, received: &Received) -> Result<pb::InboxItem, Status> {
        let subject = self.subject_at(received.at_entry).await?;
        Ok(pb::InboxItem {
            id: received.id.to_string(),
            kind: pb::Kind::from(received.kind).into(),
            sender: received.id.sender.to_string(),
            received_at_ms: received.received_at.as_millis(),
            lane: pb::Lane::from(received.lane).into(),
            opened: received.opened,
            actioned: received.actioned,
            refers_to: received.refers_to.as_ref().map(ToString::to_string).unwrap_or_default(),
            operation: received.operation.clone(),
            reply_stage: received.reply_stage.map_or(0, |stage| pb::ReplyStage::from(stage).into()),
            reply_by_ms: received.reply_by.map_or(0, |by| by.as_millis()),
            unreadable: subject.is_none(),
            subject: subject.unwrap_or_default(),
        })
    }

    async fn outbox_item(&self, sent: &Sent) -> Result<pb::OutboxItem, Status> {
        let subject = self.subject_at(sent.accepted_at_entry).await?;
        let told = match &sent.state {
            SentState::Waiting => told(pb::OutboxState::Waiting),
            SentState::Accepted(Acceptance { come, gone, .. }) => pb::OutboxItem {
                come: come.iter().map(Party::to_string).collect(),
                gone: gone.iter().map(Party::to_string).collect(),
                ..told(pb::OutboxState::Accepted)
            },
            SentState::Refused(refusal) => {
                pb::OutboxItem { refusal: Some(refusal.into()), ..told(pb::OutboxState::Refused) }
            }
        };
        Ok(pb::OutboxItem {
            id: sent.id.to_string(),
            kind: pb::Kind::from(sent.kind).into(),
            unreadable: subject.is_none(),
            subject: subject.unwrap_or_default(),
            sent_at_ms: sent.accepted_at.as_millis(),
            lane: pb::Lane::from(sent.id.lane).into(),
            refers_to: sent.refers_to.as_ref().map(ToString::to_string).unwrap_or_default(),
            operation: sent.operation.clone(),
            seat: sent.seat.clone(),
            ..told
        })
    }

    async fn header_at(&self, position: u64) -> Result<Option<pb::Header>, Status> {
        let (entry, _) = self.journal.read(position).await.map_err(|error| unreadable(&error))?;
        let bytes = match entry.event {
            Some(Event::Arrived(arrived)) => arrived.header,
            Some(Event::Sealed(sealed)) => sealed.header,
            Some(Event::Accepted(accepted)) => return Ok(accepted.header),
            _ => return Ok(None),
        };
        Ok(pb::Header::decode(bytes).ok())
    }

    /// The body beside an entry; none when it was erased.
    ///
    /// # Errors
    /// When it is damaged, or the journal cannot be read: a message without its body is not what was received.
    async fn body_at(&self, position: u64) -> Result<Option<pb::Body>, Status> {
        let (_, body) = self.journal.read(position).await.map_err(|error| unreadable(&error))?;
        match body {
            Body::Present(bytes) => Ok(clear_body(bytes)),
            Body::None | Body::Erased => Ok(None),
            Body::Damaged => Err(damaged(position)),
        }
    }

    /// The subject, which stands in the body, and empty without one; none when it cannot be read, so that one damaged
    /// message hides no others.
    async fn subject_at(&self, position: u64) -> Result<Option<String>, Status> {
        match self.journal.read(position).await {
            Ok((_, Body::Present(bytes))) => {
                Ok(Some(clear_body(bytes).map(|body| body.subject).unwrap_or_default()))
            }
            Ok((_, Body::None | Body::Erased)) => Ok(Some(String::new())),
            Ok((_, Body::Damaged)) => {
                tracing::error!(
                    position,
                    "a body in the journal is damaged; its message is listed without subject"
                );
                Ok(None)
            }
            Err(error @ ReadError::Cancelled) => Err(unreadable(&error)),
            Err(error @ (ReadError::Damaged(_) | ReadError::Io { .. })) => {
                tracing::error!(
                    position, %error,
                    "an entry of the journal cannot be read; its message is listed without subject"
                );
                Ok(None)
            }
        }
    }
}

/// The clear content of a carried body. It was checked against its header before it was written.
pub(crate) fn clear_body(carried: Bytes) -> Option<pb::Body> {
    let carried = pb::Carried::decode(carried).ok()?;
    pb::Body::decode(carried.clear).ok()
}

/// One caller that watches.
struct Watcher {
    desk: Desk,
    /// The next arrival to tell.
    next: usize,
    applied: watch::Receiver<u64>,
    changes: broadcast::Receiver<Change>,
}

impl Watcher {
    async fn next(&mut self) -> Result<Option<pb::WatchResponse>, Status> {
        use pb::watch_response::Event as Told;
        loop {
            let arrived = self.desk.journal.views().inbox.all().get(self.next).cloned();
            if let Some(received) = arrived {
                self.next += 1;
                let item = self.desk.inbox_item(&received).await?;
                let event = Some(Told::Arrived(item));
                return Ok(Some(pb::WatchResponse { event, received: self.next as u64 }));
            }
            // Every arm is cancel-safe: channels keep what was not received.
            let change = tokio::select! {
                () = self.desk.stop.cancelled() => return Ok(None),
                changed = self.applied.changed() => {
                    if changed.is_err() {
                        return Ok(None);
                    }
                    continue;
                }
                change = self.changes.recv() => change,
            };
            let change = match change {
                Ok(change) => change,
                Err(broadcast::error::RecvError::Closed) => return Ok(None),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let mut refusal = Refusal::of(Reason::Busy, "watch");
                    refusal.next_step = format!("too slow: watch again after {}", self.next);
                    return Err(refused(refusal));
                }
            };
            if let Some(event) = self.told(change).await? {
                return Ok(Some(pb::WatchResponse { event: Some(event), received: self.next as u64 }));
            }
        }
    }

    async fn told(&self, change: Change) -> Result<Option<pb::watch_response::Event>, Status> {
        use pb::watch_response::Event as Told;
        let (Change::Sent(id) | Change::Progress(id)) = &change;
        let Some(sent) = self.desk.journal.views().outbox.get(id).cloned() else { return Ok(None) };
        Ok(match change {
            Change::Sent(_) => Some(Told::Sent(self.desk.outbox_item(&sent).await?)),
            Change::Progress(_) => sent.status.map(Told::Progress),
        })
    }
}

/// What the hub said, to be completed.
fn told(state: pb::OutboxState) -> pb::OutboxItem {
    pb::OutboxItem { state: state.into(), ..Default::default() }
}

fn limit(asked: u32) -> usize {
    if asked == 0 { PAGE } else { (asked as usize).min(MAX_PAGE) }
}

fn kind(number: i32) -> Result<Option<i247_model::Kind>, Status> {
    if number == 0 {
        return Ok(None);
    }
    i247_wire::known::<pb::Kind, i247_model::Kind>(number, "kind").map(Some).map_err(refused)
}

/// Where a page goes on: behind a message that the last page ended with.
fn after(id: &str, place: impl Fn(&MessageId) -> Option<usize>) -> Result<Option<usize>, Status> {
    let Some(id) = i247_wire::parsed_option::<MessageId>(id, "after_id").map_err(refused)? else {
        return Ok(None);
    };
    place(&id).map(Some).ok_or_else(|| refused(Refusal::of(Reason::UnknownReference, "after_id")))
}

fn refused(refusal: Refusal) -> Status {
    i247_wire::status(&refusal)
}

fn damaged(position: u64) -> Status {
    tracing::error!(position, "a body in the journal is damaged; it is not served");
    let mut refusal = Refusal::of(Reason::ReadOnly, "body");
    refusal.next_step = format!(
        "its body is damaged on the bureau's disk: `i247 ledger check` names entry {position} of the journal"
    );
    refused(refusal)
}

fn unreadable(error: &ReadError) -> Status {
    tracing::error!(%error, "the journal cannot be read");
    let mut refusal = Refusal::of(Reason::Busy, "bureau");
    refusal.next_step = "the bureau's disk did not answer: try again, then ask the operator".into();
    refused(refusal)
}
