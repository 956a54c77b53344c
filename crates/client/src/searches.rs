//! The databases, as a post asks them: at the hub itself, by leave of its bureau.

use std::time::Duration;

use i247_wire::pb;
use i247_wire::pb::search_service_client::SearchServiceClient;
use tonic::transport::Channel;

use crate::ClientError;
use crate::call::{CALL, answer, request};
use crate::desk::Hits;

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

    /// Hands in what the post has signed of its searches.
    ///
    /// # Errors
    /// `BAD_SIGNATURE`, `NUMBER_REUSED` for what was rolled up before, `OUT_OF_ORDER` when something before it is missing.
    pub async fn hand_in_roll_up(
        &self,
        roll_up: pb::HandInRollUpRequest,
    ) -> Result<pb::HandInRollUpResponse, ClientError> {
        answer(self.within, self.service.clone().hand_in_roll_up(request(roll_up, self.within))).await
    }

    /// The hits that the post's own searches made and that changed after an entry of the hub's log, and, if wanted,
    /// whatever changes.
    ///
    /// # Errors
    /// Refused where nothing is granted, or to check only.
    pub async fn watch_hits(&self, after_position: u64, follow: bool) -> Result<Hits, ClientError> {
        // Opening it has a deadline, and the stream none.
        let asked = tonic::Request::new(pb::WatchHitsRequest { after_position, follow });
        answer(self.within, self.service.clone().watch_hits(asked)).await.map(Hits::Hub)
    }
}
