//! Offline copies and the searches that were asked of them, as a post or a bureau fetches and hands them in at the hub.

use std::time::Duration;

use i247_wire::pb;
use i247_wire::pb::copy_service_client::CopyServiceClient;
use i247_wire::pb::fetch_copy_response::Frame;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::ClientError;
use crate::call::{CALL, answer, request};

/// How long a copy may take to be published and sent: hundreds of megabytes over a slow line.
const FETCH: Duration = Duration::from_secs(6 * 60 * 60);

/// A client of the hub's offline copies. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Copies {
    service: CopyServiceClient<Channel>,
    within: Duration,
}

/// The frames of a copy.
#[derive(Debug)]
pub struct CopyStream(Streaming<pb::FetchCopyResponse>);

impl Copies {
    /// A client over this channel. A call may take 20 seconds, a copy six hours.
    pub fn new(channel: Channel) -> Self {
        Self { service: CopyServiceClient::new(channel), within: CALL }
    }

    /// Fetches a copy, or what is missing to the newest one.
    ///
    /// # Errors
    /// Refused where no copy is granted, or there is none of that database.
    pub async fn fetch(&self, wanted: pb::FetchCopyRequest) -> Result<CopyStream, ClientError> {
        let mut service = self.service.clone();
        let fetched = service.fetch_copy(request(wanted, FETCH)).await;
        fetched.map(|stream| CopyStream(stream.into_inner())).map_err(|status| ClientError::of(status, FETCH))
    }

    /// Hands searches in. The number of the last that stands in the hub's journal.
    ///
    /// # Errors
    /// After any of them the same searches may be handed in again: each is taken once.
    pub async fn hand_in(&self, searches: pb::HandInSearchesRequest) -> Result<u64, ClientError> {
        let mut service = self.service.clone();
        let taken = answer(self.within, service.hand_in_searches(request(searches, self.within))).await?;
        Ok(taken.taken)
    }
}

impl CopyStream {
    /// The next frame; none at the end.
    ///
    /// # Errors
    /// [`ClientError::Late`] when nothing came for so long; [`ClientError::Broken`] when it was cut off. What has come can
    /// be gone on from.
    pub async fn next(&mut self, within: Duration) -> Result<Option<Frame>, ClientError> {
        match tokio::time::timeout(within, self.0.message()).await {
            Err(_late) => Err(ClientError::Late(within)),
            Ok(Err(status)) => Err(ClientError::of(status, within)),
            Ok(Ok(response)) => Ok(response.and_then(|response| response.frame)),
        }
    }
}
