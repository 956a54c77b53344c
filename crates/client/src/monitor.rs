//! What operators ask of the hub. It never shows a body.

use std::time::Duration;

use i247_wire::pb;
use i247_wire::pb::monitor_service_client::MonitorServiceClient;
use tonic::transport::Channel;

use crate::ClientError;
use crate::call::{CALL, answer, request};

/// An operator's client of the hub. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Monitor {
    service: MonitorServiceClient<Channel>,
    within: Duration,
}

impl Monitor {
    /// A client over this channel. A call may take 20 seconds.
    pub fn new(channel: Channel) -> Self {
        Self { service: MonitorServiceClient::new(channel), within: CALL }
    }

    /// The same with another deadline.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The network at a glance.
    ///
    /// # Errors
    /// As every call.
    pub async fn summary(&self) -> Result<pb::SummaryResponse, ClientError> {
        let asked = request(pb::SummaryRequest {}, self.within);
        answer(self.within, self.service.clone().summary(asked)).await
    }

    /// What one operation put on the network, counted from the log.
    ///
    /// # Errors
    /// As every call.
    pub async fn operation_tally(&self, operation: &str) -> Result<pb::OperationTallyResponse, ClientError> {
        let asked = pb::OperationTallyRequest { operation: operation.to_owned() };
        let asked = request(asked, self.within);
        answer(self.within, self.service.clone().operation_tally(asked)).await
    }

    /// One message, by its id or a unique prefix of it, from submission to the last receipt.
    ///
    /// # Errors
    /// As every call.
    pub async fn trace(&self, id: &str) -> Result<pb::TraceResponse, ClientError> {
        let asked = request(pb::TraceRequest { id: id.to_owned() }, self.within);
        answer(self.within, self.service.clone().trace(asked)).await
    }
}
