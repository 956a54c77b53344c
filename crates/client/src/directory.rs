//! What the authority asks of the hub. Changes are signed before they come here.

use std::time::Duration;

use i247_wire::pb;
use i247_wire::pb::directory_service_client::DirectoryServiceClient;
use tonic::transport::Channel;

use crate::ClientError;
use crate::call::{CALL, answer, request};

/// The authority's client of the hub. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Directory {
    service: DirectoryServiceClient<Channel>,
    within: Duration,
}

impl Directory {
    /// A client over this channel. A call may take 20 seconds.
    pub fn new(channel: Channel) -> Self {
        Self { service: DirectoryServiceClient::new(channel), within: CALL }
    }

    /// The same with another deadline.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Enters a change that the authority signed, and returns its place in the log.
    ///
    /// # Errors
    /// As every call. A change carries its own sequence number, so it is safe to send again.
    ///
    /// # Cancel safety
    /// Dropped, the change may have been entered; the list says so.
    pub async fn change(&self, change: pb::Signed) -> Result<u64, ClientError> {
        let asked = request(pb::ChangeRequest { change: Some(change) }, self.within);
        answer(self.within, self.service.clone().change(asked)).await.map(|entered| entered.position)
    }

    /// Everyone that the directory knows, and the position that it was read at.
    ///
    /// # Errors
    /// As every call.
    pub async fn list(&self) -> Result<pb::ListResponse, ClientError> {
        answer(self.within, self.service.clone().list(request(pb::ListRequest {}, self.within))).await
    }
}
