//! What an authority asks of the hub, or of its country's bureau. Changes are signed before they come here.

use std::time::Duration;

use bytes::Bytes;
use i247_wire::pb;
use i247_wire::pb::directory_service_client::DirectoryServiceClient;
use tonic::transport::Channel;

use crate::ClientError;
use crate::call::{CALL, answer, request};

/// An authority's client. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Directory {
    service: DirectoryServiceClient<Channel>,
    within: Duration,
    certificates: Vec<Bytes>,
}

impl Directory {
    /// A client over this channel. A call may take 20 seconds.
    pub fn new(channel: Channel) -> Self {
        Self { service: DirectoryServiceClient::new(channel), within: CALL, certificates: Vec::new() }
    }

    /// The same with another deadline.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The same for a country's authority, whose signing certificates go with every change: a bureau knows the root
    /// alone.
    pub fn introducing(mut self, certificates: Vec<Bytes>) -> Self {
        self.certificates = certificates;
        self
    }

    /// Enters a change that the authority signed, and returns its place in the log, or in the bureau's journal.
    ///
    /// # Errors
    /// As every call. A change carries its own sequence number, so it is safe to send again.
    ///
    /// # Cancel safety
    /// Dropped, the change may have been entered; the list says so.
    pub async fn change(&self, change: pb::Signed) -> Result<u64, ClientError> {
        let certificates = self.certificates.clone();
        let asked = request(pb::ChangeRequest { change: Some(change), certificates }, self.within);
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
