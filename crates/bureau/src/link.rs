//! The state of the link to the hub, for those who do not hold it: connected, halted, and the way for single calls.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use i247_model::{Hash, Reason, Refusal};
use i247_wire::pb;
use i247_wire::pb::copy_service_client::CopyServiceClient;
use i247_wire::pb::exchange_service_client::ExchangeServiceClient;
use i247_wire::pb::records_service_client::RecordsServiceClient;
use i247_wire::pb::search_service_client::SearchServiceClient;
use tokio::sync::watch;
use tonic::transport::Channel;

/// How long the hub may take over a single call.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(10);
/// How long an attachment may take on its way: 25 MiB at 100 KiB/s.
pub(crate) const TRANSFER_WITHIN: Duration = Duration::from_secs(260);

/// Largest frame from the hub, in bytes: a delivery with its body, or a chunk of an attachment.
pub(crate) const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// Client of the hub's exchange service.
pub(crate) type Exchange = ExchangeServiceClient<Channel>;

/// Client of the hub's search service.
pub(crate) type Search = SearchServiceClient<Channel>;

/// Client of the hub's records service.
pub(crate) type Records = RecordsServiceClient<Channel>;

/// How the link stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// A stream is open and greeted.
    pub(crate) connected: bool,
    /// Why the bureau neither sends nor acknowledges; empty when it does.
    pub(crate) halted: String,
    /// The hub said that it is an older copy. It is not taken for whole before it accepts again.
    pub(crate) doubted: bool,
    /// What the hub said when it turned out that this bureau is an older copy.
    pub(crate) behind: Option<Arc<pb::Welcome>>,
}

/// Client of the hub's offline copies.
pub(crate) type Copies = CopyServiceClient<Channel>;

/// Watches the link, and makes single calls through it. Clones are the same link.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) state: watch::Receiver<State>,
    pub(crate) exchange: Exchange,
    pub(crate) search: Search,
    pub(crate) records: Records,
    pub(crate) copies: Copies,
}

impl Link {
    /// Who would receive a message, and why.
    pub(crate) async fn explain(
        &self,
        request: pb::ExplainRequest,
    ) -> Result<pb::ExplainResponse, tonic::Status> {
        let mut exchange = self.exchange.clone();
        let explained = within(CALL_WITHIN, exchange.explain(request)).await;
        explained.map(tonic::Response::into_inner).map_err(away)
    }

    /// The country's posts, as the hub sees them.
    pub(crate) async fn posts(&self) -> Result<pb::ListPostsResponse, tonic::Status> {
        let mut exchange = self.exchange.clone();
        let listed = within(CALL_WITHIN, exchange.list_posts(pb::ListPostsRequest {})).await;
        listed.map(tonic::Response::into_inner).map_err(away)
    }

    /// Asks the databases.
    pub(crate) async fn search(
        &self,
        request: pb::SearchRequest,
    ) -> Result<pb::SearchResponse, tonic::Status> {
        let mut search = self.search.clone();
        let found = within(CALL_WITHIN, search.search(request)).await;
        found.map(tonic::Response::into_inner).map_err(away)
    }

    /// The bureau's hits, as they change.
    pub(crate) async fn watch_hits(
        &self,
        request: pb::WatchHitsRequest,
    ) -> Result<tonic::Streaming<pb::WatchHitsResponse>, tonic::Status> {
        let mut search = self.search.clone();
        let opened = within(CALL_WITHIN, search.watch_hits(request)).await;
        opened.map(tonic::Response::into_inner).map_err(away)
    }

    /// What became of the changes in messages of records.
    pub(crate) async fn verdicts(
        &self,
        request: pb::VerdictsRequest,
    ) -> Result<pb::VerdictsResponse, tonic::Status> {
        let mut records = self.records.clone();
        within(CALL_WITHIN, records.verdicts(request)).await.map(tonic::Response::into_inner).map_err(away)
    }

    /// A record by its name, as this country may see it.
    pub(crate) async fn find_record(
        &self,
        request: pb::FindRecordRequest,
    ) -> Result<pb::FindRecordResponse, tonic::Status> {
        let mut records = self.records.clone();
        within(CALL_WITHIN, records.find_record(request)).await.map(tonic::Response::into_inner).map_err(away)
    }

    /// A copy of a database, as it is sent. It may have to be published first.
    pub(crate) async fn fetch_copy(
        &self,
        request: pb::FetchCopyRequest,
    ) -> Result<tonic::Streaming<pb::FetchCopyResponse>, tonic::Status> {
        let mut copies = self.copies.clone();
        let opened = within(TRANSFER_WITHIN, copies.fetch_copy(request)).await;
        opened.map(tonic::Response::into_inner).map_err(away)
    }

    /// Hands in searches of offline copies.
    pub(crate) async fn hand_in(
        &self,
        request: pb::HandInSearchesRequest,
    ) -> Result<pb::HandInSearchesResponse, tonic::Status> {
        let mut copies = self.copies.clone();
        within(CALL_WITHIN, copies.hand_in_searches(request))
            .await
            .map(tonic::Response::into_inner)
            .map_err(away)
    }

    /// An attachment of a message, chunk by chunk verified.
    pub(crate) async fn fetch(
        &self,
        message_id: String,
        commitment: Hash,
    ) -> Result<crate::attachments::Whole, tonic::Status> {
        within(TRANSFER_WITHIN, self.collect(message_id, commitment)).await.map_err(away)
    }

    async fn collect(
        &self,
        message_id: String,
        commitment: Hash,
    ) -> Result<crate::attachments::Whole, tonic::Status> {
        use pb::fetch_attachment_response::Frame;
        let request = pb::FetchAttachmentRequest {
            message_id,
            commitment: bytes::Bytes::copy_from_slice(commitment.as_bytes()),
            first_chunk: 0,
        };
        let mut frames = self.exchange.clone().fetch_attachment(request).await?.into_inner();
        let mut collected = None;
        while let Some(response) = frames.message().await? {
            let taken = match (response.frame, collected.as_mut()) {
                (Some(Frame::Manifest(manifest)), None) => {
                    crate::attachments::Collected::new(manifest, commitment)
                        .map(|begun| collected = Some(begun))
                }
                (Some(Frame::Chunk(chunk)), Some(collected)) => collected.chunk(&chunk),
                (Some(Frame::Manifest(_)), Some(_)) | (Some(Frame::Chunk(_)), None) | (None, _) => {
                    Err(Refusal::of(Reason::Malformed, "frame"))
                }
            };
            taken.map_err(|refusal| i247_wire::status(&refusal))?;
        }
        let collected = collected.ok_or_else(|| Refusal::of(Reason::AttachmentMissing, "manifest"));
        collected
            .and_then(crate::attachments::Collected::whole)
            .map_err(|refusal| i247_wire::status(&refusal))
    }
}

/// Waits for the hub, and no longer than this: what it answers, or that it did not.
pub(crate) async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> Result<T, tonic::Status> {
    let late = |_| tonic::Status::deadline_exceeded("the hub did not answer in time");
    tokio::time::timeout(deadline, call).await.map_err(late)?
}

/// A refusal of the hub goes through; that it cannot be reached is said in the caller's words.
pub(crate) fn away(status: tonic::Status) -> tonic::Status {
    if i247_wire::refusal(&status).is_some() {
        return status;
    }
    let mut refusal = Refusal::of(Reason::Busy, "hub");
    refusal.next_step = "the hub cannot be reached now: try again when the bureau is connected".into();
    i247_wire::status(&refusal)
}
