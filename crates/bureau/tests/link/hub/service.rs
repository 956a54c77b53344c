//! What the scripted hub answers to calls. It decides nothing.

use bytes::Bytes;
use i247_model::Hash;
use i247_wire::pb;
use i247_wire::pb::exchange_service_server::ExchangeService;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Hub;

#[tonic::async_trait]
impl ExchangeService for Hub {
    type ConnectStream = ReceiverStream<Result<pb::ConnectResponse, Status>>;
    type FetchAttachmentStream = ReceiverStream<Result<pb::FetchAttachmentResponse, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<pb::ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (frames, stream) = mpsc::channel(64);
        tokio::spawn(self.clone().stream(request.into_inner(), frames));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn submit(&self, _: Request<pb::SubmitRequest>) -> Result<Response<pb::SubmitResponse>, Status> {
        Err(Status::unimplemented("not in the script"))
    }

    async fn explain(&self, _: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        Ok(Response::new(pb::ExplainResponse { directory_position: 7, parties: Vec::new() }))
    }

    async fn statuses(
        &self,
        request: Request<pb::StatusesRequest>,
    ) -> Result<Response<pb::StatusesResponse>, Status> {
        self.seen.send_modify(|seen| seen.asked.extend(request.into_inner().ids));
        Ok(Response::new(pb::StatusesResponse::default()))
    }

    async fn list_posts(
        &self,
        _: Request<pb::ListPostsRequest>,
    ) -> Result<Response<pb::ListPostsResponse>, Status> {
        Ok(Response::new(pb::ListPostsResponse { directory_position: 7, posts: Vec::new() }))
    }

    async fn find_attachment(
        &self,
        _: Request<pb::FindAttachmentRequest>,
    ) -> Result<Response<pb::FindAttachmentResponse>, Status> {
        Ok(Response::new(pb::FindAttachmentResponse::default()))
    }

    async fn put_attachment(
        &self,
        request: Request<Streaming<pb::PutAttachmentRequest>>,
    ) -> Result<Response<pb::PutAttachmentResponse>, Status> {
        use pb::put_attachment_request::Frame;
        let mut frames = request.into_inner();
        let mut manifest = None;
        let mut chunks = Vec::new();
        while let Some(request) = frames.message().await? {
            match request.frame {
                Some(Frame::Manifest(first)) => manifest = Some(first),
                Some(Frame::Chunk(chunk)) => chunks.push(i247_trust::sha256(&[&chunk.data])),
                None => return Err(Status::invalid_argument("frame")),
            }
        }
        let manifest: pb::AttachmentManifest =
            manifest.ok_or_else(|| Status::invalid_argument("manifest"))?;
        self.seen.send_modify(|seen| seen.uploads += 1);
        let named: Vec<_> = manifest.chunks.iter().filter_map(|hash| Hash::from_slice(hash)).collect();
        Ok(Response::new(pb::PutAttachmentResponse { commitment: Bytes::new(), complete: named == chunks }))
    }

    async fn fetch_attachment(
        &self,
        _: Request<pb::FetchAttachmentRequest>,
    ) -> Result<Response<Self::FetchAttachmentStream>, Status> {
        let (frames, stream) = mpsc::channel(64);
        for frame in self.attachment.borrow().iter().cloned() {
            let response = pb::FetchAttachmentResponse { frame: Some(frame) };
            frames.try_send(Ok(response)).map_err(|_| Status::internal("too many frames"))?;
        }
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
