//! The databases, as a post asks them: at the hub itself, by leave of its bureau.

use std::time::Duration;

use i247_wire::pb;
use i247_wire::pb::search_service_client::SearchServiceClient;
use tonic::transport::Channel;

use crate::ClientError;
use crate::call::{CALL, answer, request};

/// A client of the hub's databases. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Searches {
    service: SearchServiceClient<Channel>,
    within: Duration,
}

impl Searches {
    /// A client over this channel. A call may take 20 seconds.
    pub fn new(channel: Channel) -> Self {
        Self { service: SearchServiceClient::new(channel), within: CALL }
    }

    /// Asks for a frame of keys.
    ///
    /// # Errors
    /// Refused whole for what the frame lacks or what is not granted; a key that is none is refused in its own place
    /// among the answers.
    pub async fn check(&self, search: pb::SearchRequest) -> Result<pb::SearchResponse, ClientError> {
        answer(self.within, self.service.clone().search(request(search, self.within))).await
    }
}
