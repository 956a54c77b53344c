//! What operators ask of the hub. It never shows a body.

use std::collections::BTreeMap;
use std::time::Duration;

use i247_model::Name;
use i247_wire::pb;
use i247_wire::pb::monitor_service_client::MonitorServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Streaming};

use crate::ClientError;
use crate::call::{CALL, answer, request};

/// An operator's client of the hub. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct Monitor {
    service: MonitorServiceClient<Channel>,
    within: Duration,
    /// Whom it asks for, where several people look through it.
    person: Option<MetadataValue<Ascii>>,
}

impl Monitor {
    /// A client over this channel. A call may take 20 seconds.
    pub fn new(channel: Channel) -> Self {
        Self { service: MonitorServiceClient::new(channel), within: CALL, person: None }
    }

    /// The same with another deadline.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The same for this person, who stands in the hub's book of look-ups beside the operator.
    pub fn for_person(mut self, person: &Name) -> Self {
        // A name has nothing but small letters, digits and underscores.
        self.person = person.as_str().parse().ok();
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        self.named(request(message, self.within))
    }

    fn named<T>(&self, mut request: Request<T>) -> Request<T> {
        if let Some(person) = &self.person {
            request.metadata_mut().insert("i247-person", person.clone());
        }
        request
    }

    /// The network at a glance.
    ///
    /// # Errors
    /// As every call.
    pub async fn summary(&self) -> Result<pb::SummaryResponse, ClientError> {
        let asked = self.request(pb::SummaryRequest {});
        answer(self.within, self.service.clone().summary(asked)).await
    }

    /// What one operation put on the network, counted from the log.
    ///
    /// # Errors
    /// As every call.
    pub async fn operation_tally(&self, operation: &str) -> Result<pb::OperationTallyResponse, ClientError> {
        let asked = pb::OperationTallyRequest { operation: operation.to_owned() };
        let asked = self.request(asked);
        answer(self.within, self.service.clone().operation_tally(asked)).await
    }

    /// What moves, counted by ticks, until the stream is dropped. A tick is `tick_ms` long; 0 for the usual length.
    ///
    /// # Errors
    /// As every call. Later the stream ends with a status.
    pub async fn watch(
        &self,
        filter: pb::FlowFilter,
        tick_ms: u32,
    ) -> Result<Streaming<pb::MonitorServiceWatchResponse>, ClientError> {
        let asked = pb::MonitorServiceWatchRequest { filter: Some(filter), tick_ms, links: 0 };
        answer(self.within, self.service.clone().watch(self.named(Request::new(asked)))).await
    }

    /// Single messages as they move, at most so many a second, until the stream is dropped.
    ///
    /// # Errors
    /// As every call. Later the stream ends with a status.
    pub async fn tap(
        &self,
        filter: pb::FlowFilter,
        per_second: u32,
    ) -> Result<Streaming<pb::TapResponse>, ClientError> {
        let asked = pb::TapRequest { filter: Some(filter), per_second };
        answer(self.within, self.service.clone().tap(self.named(Request::new(asked)))).await
    }

    /// The last hour again: what moved from one moment until another, by the hub's clock, the oldest first.
    ///
    /// # Errors
    /// As every call. Later the stream ends with a status.
    pub async fn replay(
        &self,
        asked: pb::ReplayRequest,
    ) -> Result<Streaming<pb::ReplayResponse>, ClientError> {
        answer(self.within, self.service.clone().replay(self.named(Request::new(asked)))).await
    }

    /// Country by country and kind by kind, over the last so many seconds.
    ///
    /// # Errors
    /// As every call.
    pub async fn statistics(&self, window_s: u32) -> Result<pb::StatisticsResponse, ClientError> {
        let asked = pb::StatisticsRequest { window_s, party: String::new() };
        let asked = self.request(asked);
        answer(self.within, self.service.clone().statistics(asked)).await
    }

    /// One bureau and its link.
    ///
    /// # Errors
    /// As every call.
    pub async fn country(&self, country: &str) -> Result<pb::CountryResponse, ClientError> {
        let asked = self.request(pb::CountryRequest { country: country.to_owned() });
        answer(self.within, self.service.clone().country(asked)).await
    }

    /// A page of messages, by what their headers say, the newest first.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_messages(
        &self,
        asked: pb::FindMessagesRequest,
    ) -> Result<pb::FindMessagesResponse, ClientError> {
        answer(self.within, self.service.clone().find_messages(self.request(asked))).await
    }

    /// A page of notices, by number: all, or those that fit.
    ///
    /// # Errors
    /// As every call.
    pub async fn notices(&self, asked: pb::NoticesRequest) -> Result<pb::NoticesResponse, ClientError> {
        answer(self.within, self.service.clone().notices(self.request(asked))).await
    }

    /// The databases, as the last so many seconds say: 60 to 3600, 0 for five minutes.
    ///
    /// # Errors
    /// As every call.
    pub async fn databases(&self, window_s: u32) -> Result<pb::DatabasesResponse, ClientError> {
        let asked = self.request(pb::DatabasesRequest { window_s });
        answer(self.within, self.service.clone().databases(asked)).await
    }

    /// Everyone that the directory knows, with their certificates.
    ///
    /// # Errors
    /// As every call.
    pub async fn identities(&self) -> Result<pb::IdentitiesResponse, ClientError> {
        let asked = self.request(pb::IdentitiesRequest {});
        answer(self.within, self.service.clone().identities(asked)).await
    }

    /// What is wrong now; also what was wrong lately, if that is wanted.
    ///
    /// # Errors
    /// As every call.
    pub async fn alerts(&self, cleared: bool) -> Result<pb::AlertsResponse, ClientError> {
        let asked = self.request(pb::AlertsRequest { cleared });
        answer(self.within, self.service.clone().alerts(asked)).await
    }

    /// Where the journal of searches ends; what was answered before this call is in it.
    ///
    /// # Errors
    /// As every call.
    pub async fn searches_end(&self) -> Result<u64, ClientError> {
        Ok(self.tally_part(u64::MAX).await?.end)
    }

    /// How much each asker asked behind an entry of the journal of searches, up to its end as it is now; by SPIFFE id.
    ///
    /// # Errors
    /// As every call.
    pub async fn search_tally(&self, after: u64) -> Result<BTreeMap<String, pb::AskerTally>, ClientError> {
        let mut askers: BTreeMap<String, pb::AskerTally> = BTreeMap::new();
        let (mut counted, mut end) = (after, None);
        loop {
            let part = self.tally_part(counted).await?;
            // Searches go on; what comes behind the end that was there at first is not waited for.
            let end = *end.get_or_insert(part.end);
            for tally in part.askers {
                let named = || pb::AskerTally { asker: tally.asker.clone(), ..pb::AskerTally::default() };
                let sum = askers.entry(tally.asker.clone()).or_insert_with(named);
                sum.frames += tally.frames;
                sum.keys += tally.keys;
                sum.refused += tally.refused;
                sum.matches += tally.matches;
                sum.possible += tally.possible;
                sum.signed_for += tally.signed_for;
            }
            if part.counted >= end || part.counted <= counted {
                return Ok(askers);
            }
            counted = part.counted;
        }
    }

    async fn tally_part(&self, after_entry: u64) -> Result<pb::SearchTallyResponse, ClientError> {
        let asked = self.request(pb::SearchTallyRequest { after_entry });
        answer(self.within, self.service.clone().search_tally(asked)).await
    }

    /// One message, by its id or a unique prefix of it, from submission to the last receipt.
    ///
    /// # Errors
    /// As every call.
    pub async fn trace(&self, id: &str) -> Result<pb::TraceResponse, ClientError> {
        let asked = self.request(pb::TraceRequest { id: id.to_owned() });
        answer(self.within, self.service.clone().trace(asked)).await
    }
}
