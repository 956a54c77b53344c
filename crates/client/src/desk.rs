//! The desk of a bureau, as officers and national systems use it.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use i247_model::{Hash, MessageId};
use i247_wire::pb;
use i247_wire::pb::desk_service_client::DeskServiceClient;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::ClientError;
use crate::call::{CALL, TRANSFER, answer, request};

/// Largest page of a list.
const PAGE: u32 = 200;

/// Bytes of an attachment in one frame.
const FRAME_BYTES: usize = 32 * 1024;

/// Largest attachment.
const MAX_ATTACHMENT_BYTES: usize = 25 * 1024 * 1024;

/// Most items that a whole list may have; beyond it the caller pages for herself.
const MAX_ITEMS: usize = 200_000;

/// A client of one bureau's desk. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Desk {
    service: DeskServiceClient<Channel>,
    within: Duration,
}

/// Which received messages are meant; everything when nothing is set.
#[derive(Clone, Debug, Default)]
pub struct InboxFilter {
    /// Only this kind; `KIND_UNSPECIFIED` for all.
    pub kind: pb::Kind,
    /// Only from this country.
    pub sender: String,
    /// Only of this operation.
    pub operation: String,
    /// Only what nobody has read.
    pub unopened_only: bool,
}

/// Which sent messages are meant; everything when nothing is set.
#[derive(Clone, Debug, Default)]
pub struct OutboxFilter {
    /// Only this kind; `KIND_UNSPECIFIED` for all.
    pub kind: pb::Kind,
    /// Only of this operation.
    pub operation: String,
}

impl Desk {
    /// A client over this channel. A call may take 20 seconds.
    pub fn new(channel: Channel) -> Self {
        Self { service: DeskServiceClient::new(channel), within: CALL }
    }

    /// The same with another deadline for calls that are answered once.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Hands a message in; durable at the bureau when answered, whether or not the hub is there.
    ///
    /// # Errors
    /// After an error that [may have happened](ClientError::may_have_happened) the same draft with the same
    /// idempotency key is safe to send again.
    ///
    /// # Cancel safety
    /// Dropped, the message may have been taken; the same draft with the same key gets its id again.
    pub async fn send(&self, draft: pb::Draft) -> Result<MessageId, ClientError> {
        let asked = request(pb::SendRequest { draft: Some(draft) }, self.within);
        // Drafts are large; the future that carries one must not be.
        let mut service = self.service.clone();
        let sent = answer(self.within, Box::pin(async move { service.send(asked).await })).await?;
        sent.id.parse().map_err(|_| ClientError::unexpected("a message id that is none"))
    }

    /// Who would receive a draft, and why.
    ///
    /// # Errors
    /// Refused as the draft itself would be.
    pub async fn explain(&self, draft: pb::Draft) -> Result<pb::ExplainResponse, ClientError> {
        let asked = request(pb::DeskServiceExplainRequest { draft: Some(draft) }, self.within);
        let mut service = self.service.clone();
        let explained = answer(self.within, Box::pin(async move { service.explain(asked).await })).await?;
        explained.explanation.ok_or_else(|| ClientError::unexpected("no explanation"))
    }

    /// One page of received messages, the newest first, after the message with this id.
    ///
    /// # Errors
    /// As every call.
    pub async fn inbox_page(
        &self,
        filter: &InboxFilter,
        limit: u32,
        after_id: &str,
    ) -> Result<pb::ListInboxResponse, ClientError> {
        let asked = pb::ListInboxRequest {
            limit,
            after_id: after_id.to_owned(),
            kind: filter.kind.into(),
            sender: filter.sender.clone(),
            operation: filter.operation.clone(),
            unopened_only: filter.unopened_only,
        };
        answer(self.within, self.service.clone().list_inbox(request(asked, self.within))).await
    }

    /// All received messages that match, the newest first, page by page.
    ///
    /// # Errors
    /// As every call.
    pub async fn inbox(&self, filter: &InboxFilter) -> Result<Vec<pb::InboxItem>, ClientError> {
        let mut items: Vec<pb::InboxItem> = Vec::new();
        loop {
            let after = items.last().map_or("", |item| item.id.as_str());
            let page = self.inbox_page(filter, PAGE, after).await?.items;
            if page.is_empty() || items.len() >= MAX_ITEMS {
                return Ok(items);
            }
            items.extend(page);
        }
    }

    /// One page of sent messages, the newest first, after the message with this id.
    ///
    /// # Errors
    /// As every call.
    pub async fn outbox_page(
        &self,
        filter: &OutboxFilter,
        limit: u32,
        after_id: &str,
    ) -> Result<pb::ListOutboxResponse, ClientError> {
        let asked = pb::ListOutboxRequest {
            limit,
            after_id: after_id.to_owned(),
            kind: filter.kind.into(),
            operation: filter.operation.clone(),
        };
        answer(self.within, self.service.clone().list_outbox(request(asked, self.within))).await
    }

    /// All sent messages that match, the newest first, page by page.
    ///
    /// # Errors
    /// As every call.
    pub async fn outbox(&self, filter: &OutboxFilter) -> Result<Vec<pb::OutboxItem>, ClientError> {
        let mut items: Vec<pb::OutboxItem> = Vec::new();
        loop {
            let after = items.last().map_or("", |item| item.id.as_str());
            let page = self.outbox_page(filter, PAGE, after).await?.items;
            if page.is_empty() || items.len() >= MAX_ITEMS {
                return Ok(items);
            }
            items.extend(page);
        }
    }

    /// All cases of an operation, page by page.
    ///
    /// # Errors
    /// As every call.
    pub async fn cases(&self, operation: &str) -> Result<Vec<pb::Case>, ClientError> {
        let mut cases: Vec<pb::Case> = Vec::new();
        loop {
            let asked = pb::ListCasesRequest {
                operation: operation.to_owned(),
                limit: PAGE,
                after_request_id: cases.last().map_or_else(String::new, |case| case.request_id.clone()),
            };
            let asked = request(asked, self.within);
            let page = answer(self.within, self.service.clone().list_cases(asked)).await?.cases;
            if page.is_empty() || cases.len() >= MAX_ITEMS {
                return Ok(cases);
            }
            cases.extend(page);
        }
    }

    /// One message, whole, by its id or a unique prefix of it. A received one is marked as opened.
    ///
    /// # Errors
    /// As every call.
    pub async fn show(&self, id: &str) -> Result<pb::ShowResponse, ClientError> {
        let asked = request(pb::ShowRequest { id: id.to_owned() }, self.within);
        answer(self.within, self.service.clone().show(asked)).await
    }

    /// Marks a received message as acted upon. Repeating it changes nothing.
    ///
    /// # Errors
    /// As every call.
    ///
    /// # Cancel safety
    /// Dropped, the mark may have been made; it is safe to make it again.
    pub async fn mark_actioned(&self, id: &str) -> Result<(), ClientError> {
        let asked = request(pb::MarkActionedRequest { id: id.to_owned() }, self.within);
        answer(self.within, self.service.clone().mark_actioned(asked)).await.map(|_| ())
    }

    /// Where a sent message stands with each recipient, as the bureau last heard.
    ///
    /// # Errors
    /// As every call.
    pub async fn status(&self, id: &str) -> Result<pb::StatusResponse, ClientError> {
        let asked = request(pb::StatusRequest { id: id.to_owned() }, self.within);
        answer(self.within, self.service.clone().status(asked)).await
    }

    /// Asks the databases, under the seat of whoever has this desk.
    ///
    /// # Errors
    /// Refused whole for what the frame lacks; a key that is none is refused in its own place among the answers.
    pub async fn check(&self, search: pb::SearchRequest) -> Result<pb::SearchResponse, ClientError> {
        let asked = request(pb::CheckRequest { search: Some(search) }, self.within);
        let checked = answer(self.within, self.service.clone().check(asked)).await?;
        checked.found.ok_or_else(|| ClientError::unexpected("no answers"))
    }

    /// The bureau's hits that changed after an entry of the hub's log, and, if wanted, whatever changes.
    ///
    /// # Errors
    /// As every call.
    pub async fn watch_hits(&self, after_position: u64, follow: bool) -> Result<Hits, ClientError> {
        let watch = Some(pb::WatchHitsRequest { after_position, follow });
        // As for `watch`: opening it has a deadline, and the stream none.
        let asked = tonic::Request::new(pb::DeskServiceWatchHitsRequest { watch });
        answer(self.within, self.service.clone().watch_hits(asked)).await.map(Hits::Desk)
    }

    /// The bureau's own state.
    ///
    /// # Errors
    /// As every call.
    pub async fn report(&self) -> Result<pb::ReportResponse, ClientError> {
        let asked = request(pb::ReportRequest {}, self.within);
        answer(self.within, self.service.clone().report(asked)).await
    }

    /// The country's posts, as the hub sees them now: what each is granted, and whether it may come.
    ///
    /// # Errors
    /// As every call, and when the hub is away.
    pub async fn posts(&self) -> Result<pb::ListPostsResponse, ClientError> {
        let asked = request(pb::DeskServiceListPostsRequest {}, self.within);
        let listed = answer(self.within, self.service.clone().list_posts(asked)).await?;
        listed.posts.ok_or_else(|| ClientError::unexpected("no posts"))
    }

    /// Begins a new epoch after the bureau was restored from an older copy.
    ///
    /// # Errors
    /// As every call.
    ///
    /// # Cancel safety
    /// Dropped, the new epoch may have begun; the report says which one is in force.
    pub async fn recover(&self, reason: &str) -> Result<u64, ClientError> {
        let asked = request(pb::RecoverRequest { reason: reason.to_owned() }, TRANSFER);
        answer(TRANSFER, self.service.clone().recover(asked)).await.map(|answer| answer.epoch)
    }

    /// Stores an attachment at the bureau and returns the commitment that a draft names it by.
    ///
    /// # Errors
    /// As every call.
    ///
    /// # Cancel safety
    /// Dropped, the attachment may have been stored; storing the same bytes again is harmless.
    pub async fn add_attachment(&self, note: pb::AttachmentNote, bytes: Bytes) -> Result<Hash, ClientError> {
        let mut frames =
            vec![pb::AddAttachmentRequest { frame: Some(pb::add_attachment_request::Frame::Note(note)) }];
        let mut rest = bytes;
        while !rest.is_empty() {
            let data = rest.split_to(rest.len().min(FRAME_BYTES));
            let frame = pb::add_attachment_request::Frame::Data(data);
            frames.push(pb::AddAttachmentRequest { frame: Some(frame) });
        }
        let asked = request(stream::iter(frames), TRANSFER);
        let added = answer(TRANSFER, self.service.clone().add_attachment(asked)).await?;
        Hash::from_slice(&added.commitment)
            .ok_or_else(|| ClientError::unexpected("a commitment that is no hash"))
    }

    /// An attachment of a sent or received message, whole.
    ///
    /// # Errors
    /// As every call; [`ClientError::Unexpected`] when it is larger than an attachment may be.
    pub async fn open_attachment(
        &self,
        message_id: &str,
        index: u32,
    ) -> Result<(pb::AttachmentNote, Vec<u8>), ClientError> {
        let asked = pb::OpenAttachmentRequest { message_id: message_id.to_owned(), index };
        let whole = async {
            let asked = request(asked, TRANSFER);
            let mut frames = answer(TRANSFER, self.service.clone().open_attachment(asked)).await?;
            let (mut note, mut data) = (None, Vec::new());
            while let Some(frame) =
                frames.message().await.map_err(|status| ClientError::of(status, TRANSFER))?
            {
                match frame.frame {
                    Some(pb::open_attachment_response::Frame::Note(said)) => note = Some(said),
                    Some(pb::open_attachment_response::Frame::Data(bytes)) => data.extend_from_slice(&bytes),
                    None => return Err(ClientError::unexpected("an empty frame")),
                }
                if data.len() > MAX_ATTACHMENT_BYTES {
                    return Err(ClientError::unexpected("an attachment that does not end"));
                }
            }
            Ok((note.ok_or_else(|| ClientError::unexpected("an attachment without a name"))?, data))
        };
        tokio::time::timeout(TRANSFER, whole).await.map_err(|_late| ClientError::Late(TRANSFER))?
    }

    /// Loads records: `begin` names the load, `lines` are its changes. The answers say up to which line everything is
    /// durable, the first one before any line is asked for.
    ///
    /// # Errors
    /// As every call. What was said to be durable stays so.
    ///
    /// # Cancel safety
    /// Dropped, what was handed over may be durable; the next load of the same name says up to where.
    pub async fn load_records(
        &self,
        frames: impl futures::Stream<Item = pb::LoadRecordsRequest> + Send + 'static,
    ) -> Result<Load, ClientError> {
        // No deadline travels with it: a file may be as long as it is. Each answer has one.
        let asked = tonic::Request::new(frames);
        let stream = answer(self.within, self.service.clone().load_records(asked)).await?;
        Ok(Load { stream })
    }

    /// How far a load is; the one that was begun last, where no name is given.
    ///
    /// # Errors
    /// As every call.
    pub async fn load_status(&self, name: Option<Hash>) -> Result<pb::LoadStatusResponse, ClientError> {
        let name = name.map(|name| Bytes::copy_from_slice(name.as_bytes())).unwrap_or_default();
        // The bureau may have to ask the hub about every batch of the load.
        let asked = request(pb::LoadStatusRequest { name }, TRANSFER);
        answer(TRANSFER, self.service.clone().load_status(asked)).await
    }

    /// One record by its name, and where it comes from.
    ///
    /// # Errors
    /// As every call.
    pub async fn show_record(
        &self,
        database: pb::Database,
        name: &str,
    ) -> Result<pb::FindRecordResponse, ClientError> {
        let asked = pb::ShowRecordRequest { database: database.into(), name: name.to_owned() };
        let asked = request(asked, self.within);
        let shown = answer(self.within, self.service.clone().show_record(asked)).await?;
        shown.found.ok_or_else(|| ClientError::unexpected("no record"))
    }

    /// What changes at the bureau, as it changes, beginning with what arrived after this count of
    /// received messages; 0 for all.
    ///
    /// # Errors
    /// As every call.
    pub async fn watch(&self, after: u64) -> Result<Watch, ClientError> {
        // No deadline travels with it: the stream is meant to stay. Opening it has one.
        let asked = tonic::Request::new(pb::WatchRequest { after });
        let stream = answer(self.within, self.service.clone().watch(asked)).await?;
        Ok(Watch { stream, received: after })
    }
}

/// The answers to a load.
#[derive(Debug)]
pub struct Load {
    stream: Streaming<pb::LoadRecordsResponse>,
}

impl Load {
    /// What became durable next; none when all of it is.
    ///
    /// # Errors
    /// [`ClientError::Late`] when nothing came for so long; otherwise why the load was broken off.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is dropped.
    pub async fn next(&mut self, within: Duration) -> Result<Option<pb::LoadRecordsResponse>, ClientError> {
        match tokio::time::timeout(within, self.stream.message()).await {
            Err(_late) => Err(ClientError::Late(within)),
            Ok(answered) => answered.map_err(|status| ClientError::of(status, within)),
        }
    }
}

/// What happened at a bureau.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message arrived.
    Arrived(pb::InboxItem),
    /// The hub answered about a message of this bureau.
    Sent(pb::OutboxItem),
    /// A sent message moved on.
    Progress(pb::MessageStatus),
}

/// The changes at a bureau. Arrivals are never left out: after a break, watch again from
/// [`Watch::received`].
#[derive(Debug)]
pub struct Watch {
    stream: Streaming<pb::WatchResponse>,
    received: u64,
}

impl Watch {
    /// How many messages the bureau had received at the last event.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next change.
    ///
    /// # Errors
    /// [`ClientError::Late`] when nothing changed for so long (the watch goes on);
    /// [`ClientError::Broken`] when it ended.
    ///
    /// # Cancel safety
    /// No event is lost when this is dropped.
    pub async fn next(&mut self, within: Duration) -> Result<Event, ClientError> {
        let next = tokio::time::timeout(within, self.stream.message()).await;
        let response = match next {
            Err(_late) => return Err(ClientError::Late(within)),
            Ok(Err(status)) => return Err(ClientError::of(status, within)),
            Ok(Ok(None)) => {
                return Err(ClientError::Broken(Box::new(tonic::Status::cancelled("the watch ended"))));
            }
            Ok(Ok(Some(response))) => response,
        };
        self.received = self.received.max(response.received);
        match response.event {
            Some(pb::watch_response::Event::Arrived(item)) => Ok(Event::Arrived(item)),
            Some(pb::watch_response::Event::Sent(item)) => Ok(Event::Sent(item)),
            Some(pb::watch_response::Event::Progress(status)) => Ok(Event::Progress(status)),
            None => Err(ClientError::unexpected("an empty event")),
        }
    }
}

/// Hits, as they change.
#[derive(Debug)]
pub enum Hits {
    /// As a bureau's desk tells them.
    Desk(Streaming<pb::DeskServiceWatchHitsResponse>),
    /// As the hub tells a post.
    Hub(Streaming<pb::WatchHitsResponse>),
}

impl Hits {
    /// The next one; none when all are told and nobody waits for more.
    ///
    /// # Errors
    /// [`ClientError::Late`] when nothing changed for so long (the watch goes on);
    /// [`ClientError::Broken`] when it ended.
    ///
    /// # Cancel safety
    /// No change is lost when this is dropped.
    pub async fn next(&mut self, within: Duration) -> Result<Option<pb::HitStatus>, ClientError> {
        let next = async {
            Ok(match self {
                Self::Desk(stream) => stream.message().await?.and_then(|response| response.hit),
                Self::Hub(stream) => stream.message().await?.and_then(|response| response.hit),
            })
        };
        match tokio::time::timeout(within, next).await {
            Err(_late) => Err(ClientError::Late(within)),
            Ok(next) => next.map_err(|status: tonic::Status| ClientError::of(status, within)),
        }
    }
}
