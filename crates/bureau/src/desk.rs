//! The desk: what officers and national systems ask of their own bureau, over gRPC.
//!
//! Who may call is the listener's rule ([`rules`]); here every call is recorded with its officer and handed to the
//! part that does it. It must not talk to the hub but through the link.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt as _};
use i247_ledger::attachments::AttachmentError;
use i247_model::{CountryCode, Identity, MessageId, Reason, Refusal};
use i247_node::{Clock, Dice, Peer, Role, Rule};
use i247_wire::pb;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::attachments::Attachments;
use crate::copies;
use crate::directory;
use crate::journal::{Journal, JournalError};
use crate::link::{Link, away};
use crate::policy::Measure;
use crate::takeover;

/// The full name of the service.
pub const DESK_SERVICE: &str = "i247.v1.DeskService";

/// Who may call at a bureau: the desk its officers and the bureau itself, the directory of its people the country's
/// authority, offline copies its posts.
pub fn rules(country: CountryCode) -> Vec<(&'static str, Rule)> {
    const CALLS: [&str; 19] = [
        "/i247.v1.DeskService/Send",
        "/i247.v1.DeskService/Explain",
        "/i247.v1.DeskService/ListInbox",
        "/i247.v1.DeskService/ListOutbox",
        "/i247.v1.DeskService/Show",
        "/i247.v1.DeskService/MarkActioned",
        "/i247.v1.DeskService/Status",
        "/i247.v1.DeskService/Watch",
        "/i247.v1.DeskService/ListCases",
        "/i247.v1.DeskService/AddAttachment",
        "/i247.v1.DeskService/OpenAttachment",
        "/i247.v1.DeskService/LoadRecords",
        "/i247.v1.DeskService/LoadStatus",
        "/i247.v1.DeskService/ShowRecord",
        "/i247.v1.DeskService/Report",
        "/i247.v1.DeskService/Recover",
        "/i247.v1.DeskService/ListPosts",
        "/i247.v1.DeskService/Check",
        "/i247.v1.DeskService/WatchHits",
    ];
    let desk = CALLS.map(|call| (call, Rule::OfCountry(country, &[Role::Officer, Role::Bureau])));
    desk.into_iter().chain(directory::rules(country)).chain(copies::rules(country)).collect()
}

/// The desk of one bureau. Clones are the same desk.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Parts>);

/// What the desk works with.
pub(crate) struct Parts {
    pub(crate) me: CountryCode,
    pub(crate) journal: Journal,
    pub(crate) link: Link,
    pub(crate) attachments: Attachments,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: Arc<dyn Dice>,
    pub(crate) measure: Measure,
    pub(crate) register_entries: u64,
    /// What the hub said became of batches of records.
    pub(crate) verdicts: Mutex<BTreeMap<MessageId, pb::BatchVerdict>>,
    /// Cancelled when watchers must leave.
    pub(crate) stop: CancellationToken,
}

impl Desk {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for Desk {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// A stream of answers.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl pb::desk_service_server::DeskService for Desk {
    type WatchStream = Answers<pb::WatchResponse>;
    type OpenAttachmentStream = Answers<pb::OpenAttachmentResponse>;
    type WatchHitsStream = Answers<pb::DeskServiceWatchHitsResponse>;
    type LoadRecordsStream = Answers<pb::LoadRecordsResponse>;

    async fn send(&self, request: Request<pb::SendRequest>) -> Result<Response<pb::SendResponse>, Status> {
        let officer = self.officer("Send", &request)?;
        let draft = request.into_inner().draft.ok_or_else(|| malformed("draft"))?;
        let id = self.take(draft, &officer).await.map_err(|error| status(&error))?;
        Ok(Response::new(pb::SendResponse { id: id.to_string() }))
    }

    async fn explain(
        &self,
        request: Request<pb::DeskServiceExplainRequest>,
    ) -> Result<Response<pb::DeskServiceExplainResponse>, Status> {
        self.officer("Explain", &request)?;
        let draft = request.into_inner().draft.ok_or_else(|| malformed("draft"))?;
        let asked = self.explain_request(&draft).map_err(|refusal| i247_wire::status(&refusal))?;
        let explanation = Some(self.link.explain(asked).await?);
        Ok(Response::new(pb::DeskServiceExplainResponse { explanation }))
    }

    async fn list_inbox(
        &self,
        request: Request<pb::ListInboxRequest>,
    ) -> Result<Response<pb::ListInboxResponse>, Status> {
        self.officer("ListInbox", &request)?;
        self.inbox_page(request.get_ref()).await.map(Response::new)
    }

    async fn list_outbox(
        &self,
        request: Request<pb::ListOutboxRequest>,
    ) -> Result<Response<pb::ListOutboxResponse>, Status> {
        self.officer("ListOutbox", &request)?;
        self.outbox_page(request.get_ref()).await.map(Response::new)
    }

    async fn show(&self, request: Request<pb::ShowRequest>) -> Result<Response<pb::ShowResponse>, Status> {
        let officer = self.officer("Show", &request)?;
        self.show_message(&request.get_ref().id, &officer).await.map(Response::new)
    }

    async fn mark_actioned(
        &self,
        request: Request<pb::MarkActionedRequest>,
    ) -> Result<Response<pb::MarkActionedResponse>, Status> {
        let officer = self.officer("MarkActioned", &request)?;
        self.mark(&request.get_ref().id, true, &officer).await?;
        Ok(Response::new(pb::MarkActionedResponse {}))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        self.officer("Status", &request)?;
        self.sent_status(&request.get_ref().id).await.map(Response::new)
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.officer("Watch", &request)?;
        Ok(Response::new(self.clone().changes_after(request.get_ref().after)))
    }

    async fn list_cases(
        &self,
        request: Request<pb::ListCasesRequest>,
    ) -> Result<Response<pb::ListCasesResponse>, Status> {
        self.officer("ListCases", &request)?;
        self.cases_page(request.get_ref()).map(Response::new)
    }

    async fn add_attachment(
        &self,
        request: Request<Streaming<pb::AddAttachmentRequest>>,
    ) -> Result<Response<pb::AddAttachmentResponse>, Status> {
        let officer = self.officer("AddAttachment", &request)?;
        self.store_attachment(request.into_inner(), &officer).await.map(Response::new)
    }

    async fn open_attachment(
        &self,
        request: Request<pb::OpenAttachmentRequest>,
    ) -> Result<Response<Self::OpenAttachmentStream>, Status> {
        self.officer("OpenAttachment", &request)?;
        self.read_attachment(request.get_ref()).await.map(Response::new)
    }

    async fn load_records(
        &self,
        request: Request<Streaming<pb::LoadRecordsRequest>>,
    ) -> Result<Response<Self::LoadRecordsStream>, Status> {
        let officer = self.officer("LoadRecords", &request)?;
        self.load(request.into_inner(), officer).await.map(Response::new)
    }

    async fn load_status(
        &self,
        request: Request<pb::LoadStatusRequest>,
    ) -> Result<Response<pb::LoadStatusResponse>, Status> {
        self.officer("LoadStatus", &request)?;
        self.status_of_load(request.get_ref()).await.map(Response::new)
    }

    async fn show_record(
        &self,
        request: Request<pb::ShowRecordRequest>,
    ) -> Result<Response<pb::ShowRecordResponse>, Status> {
        self.officer("ShowRecord", &request)?;
        self.record(request.into_inner()).await.map(Response::new)
    }

    async fn report(
        &self,
        request: Request<pb::ReportRequest>,
    ) -> Result<Response<pb::ReportResponse>, Status> {
        self.officer("Report", &request)?;
        Ok(Response::new(self.state()))
    }

    async fn recover(
        &self,
        request: Request<pb::RecoverRequest>,
    ) -> Result<Response<pb::RecoverResponse>, Status> {
        let officer = self.officer("Recover", &request)?;
        let epoch = self.begin_epoch(&request.get_ref().reason, &officer).await?;
        Ok(Response::new(pb::RecoverResponse { epoch }))
    }

    async fn list_posts(
        &self,
        request: Request<pb::DeskServiceListPostsRequest>,
    ) -> Result<Response<pb::DeskServiceListPostsResponse>, Status> {
        self.officer("ListPosts", &request)?;
        let posts = Some(self.link.posts().await?);
        Ok(Response::new(pb::DeskServiceListPostsResponse { posts }))
    }

    async fn check(&self, request: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        let officer = self.officer("Check", &request)?;
        let mut search = request.into_inner().search.ok_or_else(|| malformed("search"))?;
        // Whoever has a seat asks under it, whatever the request says.
        if let Identity::Officer(_, seat) = officer {
            search.officer = seat.to_string();
        }
        if search.station.is_empty() {
            search.station = "desk".into();
        }
        let found = Some(self.link.search(search).await?);
        Ok(Response::new(pb::CheckResponse { found }))
    }

    async fn watch_hits(
        &self,
        request: Request<pb::DeskServiceWatchHitsRequest>,
    ) -> Result<Response<Self::WatchHitsStream>, Status> {
        self.officer("WatchHits", &request)?;
        let watch = request.into_inner().watch.unwrap_or_default();
        let hits = self.link.watch_hits(watch).await?.take_until(self.stop.clone().cancelled_owned());
        let told = hits.map(|hit| {
            let hit = hit.map_err(away)?.hit;
            Ok(pb::DeskServiceWatchHitsResponse { hit })
        });
        Ok(Response::new(Box::pin(told)))
    }
}

impl Desk {
    /// Who calls. Every call is recorded with its officer; one that began before the officer was cut off is refused.
    fn officer<T>(&self, call: &'static str, request: &Request<T>) -> Result<Identity, Status> {
        let peer = Peer::of(request)?;
        let admitted = self.journal.views().people.admit(&peer.identity, &peer.tls_key);
        admitted.map_err(|refusal| i247_wire::status(&refusal))?;
        tracing::info!(officer = %peer.identity, call, "desk");
        Ok(peer.identity.clone())
    }

    fn state(&self) -> pb::ReportResponse {
        let link = self.link.state.borrow().clone();
        let views = self.journal.views();
        let halted = if self.journal.stopped().is_cancelled() {
            "the journal has stopped".into()
        } else if !*self.journal.writable().borrow() {
            "there is no room for the journal".into()
        } else {
            link.halted
        };
        pb::ReportResponse {
            country: self.me.to_string(),
            connected: link.connected,
            outbox_waiting: views.outbox.waiting() as u64,
            received: views.inbox.all().len() as u64,
            unopened: views.inbox.unopened() as u64,
            epoch: views.outbox.epoch,
            policy: self.measure.to_pb().into(),
            register_entries: self.register_entries,
            halted,
            warning: takeover::warning(&views),
            now_ms: self.clock.now().as_millis(),
        }
    }
}

/// Why the desk did not take something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    /// The draft is not right.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It could not be written.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// An attachment could not be looked up.
    #[error("the disk did not answer")]
    Disk(#[source] AttachmentError),
}

/// The one table of the desk's errors.
pub(crate) fn status(error: &DeskError) -> Status {
    match error {
        DeskError::Refused(refusal) | DeskError::Journal(JournalError::Refused(refusal)) => {
            i247_wire::status(refusal)
        }
        DeskError::Journal(JournalError::Full) | DeskError::Disk(AttachmentError::Full) => later(
            Reason::ReadOnly,
            "the bureau's disk is full: nothing was written; try again when there is room",
        ),
        DeskError::Journal(JournalError::Stopped) => {
            later(Reason::ReadOnly, "the bureau is stopping: try again with the same idempotency key")
        }
        DeskError::Disk(error) => {
            tracing::error!(%error, "an attachment could not be read");
            later(Reason::Busy, "the bureau's disk did not answer: try again")
        }
    }
}

fn later(reason: Reason, next_step: &str) -> Status {
    i247_wire::status(&Refusal { next_step: next_step.into(), ..Refusal::of(reason, "bureau") })
}

pub(crate) fn malformed(field: &str) -> Status {
    i247_wire::status(&Refusal::of(Reason::Malformed, field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_rule_and_only_this_countrys_officers_and_bureau_may() {
        let france: CountryCode = "FR".parse().unwrap();
        let services = [DESK_SERVICE, directory::DIRECTORY_SERVICE, copies::COPY_SERVICE];
        let rules = i247_node::Rules::new(i247_wire::DESCRIPTOR, &services, rules(france)).unwrap();
        assert_eq!(rules.uncovered(), Vec::<String>::new());
        let may = |path: &str| {
            let identity: Identity = format!("spiffe://i247.test/{path}").parse().unwrap();
            rules.check("/i247.v1.DeskService/Send", &identity).is_ok()
        };
        assert!(may("ncb/fr/officer/duty") && may("ncb/fr"));
        assert!(!may("ncb/br/officer/duty") && !may("ncb/br") && !may("gs/hub/lyon") && !may("operator/ops"));
        assert!(!may("ncb/fr/post/cdg") && !may("ncb/fr/authority"));
        let changes = |path: &str| {
            let identity: Identity = format!("spiffe://i247.test/{path}").parse().unwrap();
            rules.check("/i247.v1.DirectoryService/Change", &identity).is_ok()
        };
        assert!(changes("ncb/fr/authority"));
        assert!(!changes("ncb/br/authority") && !changes("ncb/fr") && !changes("ncb/fr/officer/duty"));
        assert!(!changes("gs/authority"));
        let fetches = |path: &str| {
            let identity: Identity = format!("spiffe://i247.test/{path}").parse().unwrap();
            rules.check("/i247.v1.CopyService/FetchCopy", &identity).is_ok()
        };
        assert!(fetches("ncb/fr/post/cdg"));
        assert!(!fetches("ncb/br/post/galeao") && !fetches("ncb/fr/officer/duty") && !fetches("ncb/fr"));
    }
}
