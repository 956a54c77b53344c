//! From a context on the disk to an answer, over real TLS: who answers, who may ask, and what an error says.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use i247_client::{ClientError, Context, Monitor, pb};
use i247_model::{Hash, Identity, Reason, Refusal};
use i247_node::{
    Clock, ConnectError, Limits, Live, Network as _, Role, Rule, Rules, Server, SystemClock, TcpNetwork,
    TlsClock,
};
use i247_trust::{Admission, Authority, Presented, TlsKey, Validity, server_config};
use opentelemetry::metrics::MeterProvider as _;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

const SERVICE: &str = "i247.v1.MonitorService";
const CALLS: [&str; 3] = [
    "/i247.v1.MonitorService/Summary",
    "/i247.v1.MonitorService/OperationTally",
    "/i247.v1.MonitorService/Trace",
];

/// Everybody is admitted.
#[derive(Debug)]
struct Open;

impl Admission for Open {
    fn admit(&self, _: &Identity, _: &Hash) -> Result<(), Refusal> {
        Ok(())
    }
}

/// A hub that answers one question, refuses the second, and never answers the third.
struct Hub;

#[tonic::async_trait]
impl pb::monitor_service_server::MonitorService for Hub {
    type WatchStream = futures::stream::Empty<Result<pb::MonitorServiceWatchResponse, Status>>;
    type TapStream = futures::stream::Empty<Result<pb::TapResponse, Status>>;
    type ReplayStream = futures::stream::Empty<Result<pb::ReplayResponse, Status>>;

    async fn summary(&self, _: Request<pb::SummaryRequest>) -> Result<Response<pb::SummaryResponse>, Status> {
        Ok(Response::new(pb::SummaryResponse { log_end: 42, ..Default::default() }))
    }

    async fn operation_tally(
        &self,
        _: Request<pb::OperationTallyRequest>,
    ) -> Result<Response<pb::OperationTallyResponse>, Status> {
        Err(i247_wire::status(&Refusal::of(Reason::UnknownReference, "operation")))
    }

    async fn trace(&self, _: Request<pb::TraceRequest>) -> Result<Response<pb::TraceResponse>, Status> {
        std::future::pending().await
    }

    async fn watch(
        &self,
        _: Request<pb::MonitorServiceWatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(not_asked())
    }

    async fn tap(&self, _: Request<pb::TapRequest>) -> Result<Response<Self::TapStream>, Status> {
        Err(not_asked())
    }

    async fn replay(&self, _: Request<pb::ReplayRequest>) -> Result<Response<Self::ReplayStream>, Status> {
        Err(not_asked())
    }

    async fn statistics(
        &self,
        _: Request<pb::StatisticsRequest>,
    ) -> Result<Response<pb::StatisticsResponse>, Status> {
        Err(not_asked())
    }

    async fn country(&self, _: Request<pb::CountryRequest>) -> Result<Response<pb::CountryResponse>, Status> {
        Err(not_asked())
    }

    async fn find_messages(
        &self,
        _: Request<pb::FindMessagesRequest>,
    ) -> Result<Response<pb::FindMessagesResponse>, Status> {
        Err(not_asked())
    }

    async fn notices(&self, _: Request<pb::NoticesRequest>) -> Result<Response<pb::NoticesResponse>, Status> {
        Err(not_asked())
    }

    async fn databases(
        &self,
        _: Request<pb::DatabasesRequest>,
    ) -> Result<Response<pb::DatabasesResponse>, Status> {
        Err(not_asked())
    }

    async fn identities(
        &self,
        _: Request<pb::IdentitiesRequest>,
    ) -> Result<Response<pb::IdentitiesResponse>, Status> {
        Err(not_asked())
    }

    async fn alerts(&self, _: Request<pb::AlertsRequest>) -> Result<Response<pb::AlertsResponse>, Status> {
        Err(not_asked())
    }

    async fn search_tally(
        &self,
        _: Request<pb::SearchTallyRequest>,
    ) -> Result<Response<pb::SearchTallyResponse>, Status> {
        Err(not_asked())
    }
}

fn not_asked() -> Status {
    Status::unimplemented("nobody asks for this here")
}

struct Scene {
    authority: Authority,
    clock: Arc<dyn Clock>,
    address: SocketAddr,
    directory: tempfile::TempDir,
    _stop: tokio_util::sync::DropGuard,
}

fn identity(path: &str) -> Identity {
    format!("spiffe://i247.test/{path}").parse().unwrap()
}

/// So many years from now; what is certified must end before its authority does.
fn years(clock: &dyn Clock, count: u64) -> Validity {
    Validity::lasting(clock.now(), Duration::from_secs(count * 365 * 86_400))
}

impl Scene {
    async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let authority = Authority::new(years(&*clock, 2), TlsKey::P256).unwrap();
        let hub = authority
            .enrol(&identity("gs/hub/lyon"), &["localhost"], years(&*clock, 1), TlsKey::P256)
            .unwrap();
        let time = Arc::new(TlsClock(clock.clone()));
        let tls =
            server_config(Presented::new(&hub).unwrap(), authority.root(), time, Arc::new(Open)).unwrap();
        let rules = CALLS.map(|call| (call, Rule::Roles(&[Role::Operator])));
        let server = Server {
            tls,
            admission: Arc::new(Open),
            rules: Rules::new(i247_wire::DESCRIPTOR, &[SERVICE], rules).unwrap(),
            routes: Routes::new(pb::monitor_service_server::MonitorServiceServer::new(Hub)),
            limits: Limits::default(),
            clock: clock.clone(),
            live: Live::new(),
            meter: opentelemetry_sdk::metrics::SdkMeterProvider::builder().build().meter("i247"),
        };
        let listener = TcpNetwork.listen("127.0.0.1:0").await.unwrap();
        let address = listener.address();
        let stop = CancellationToken::new();
        tokio::spawn(server.serve(listener, stop.clone()));
        let directory = tempfile::tempdir().unwrap();
        Self { authority, clock, address, directory, _stop: stop.drop_guard() }
    }

    /// A context of somebody who has credentials on the disk.
    fn context(&self, who: &str, server: &str) -> Context {
        let credentials = self.directory.path().join(who.replace('/', "-"));
        let enrolled =
            self.authority.enrol(&identity(who), &[], years(&*self.clock, 1), TlsKey::P256).unwrap();
        std::fs::create_dir_all(&credentials).unwrap();
        enrolled.save(&credentials).unwrap();
        Context { address: self.address.to_string(), server: identity(server), credentials }
    }

    fn monitor(&self, context: &Context) -> Monitor {
        let connection = context.connect(Arc::new(TcpNetwork), self.clock.clone()).unwrap();
        Monitor::new(connection.channel)
    }
}

#[tokio::test]
async fn an_operator_is_answered_and_a_refusal_arrives_as_the_noun() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(&scene.context("operator/ops", "gs/hub/lyon"));
    assert_eq!(monitor.summary().await.unwrap().log_end, 42);
    let refused = monitor.operation_tally("unheard-of").await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::UnknownReference);
}

#[tokio::test]
async fn a_server_that_never_answers_is_waited_for_no_longer_than_the_deadline() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(&scene.context("operator/ops", "gs/hub/lyon"));
    // The connection is made first, so that the deadline measures the server and not the handshake.
    monitor.summary().await.unwrap();
    let late = monitor.within(Duration::from_millis(100)).trace("FR-1-U-1").await.unwrap_err();
    assert!(matches!(late, ClientError::Late(_)), "{late:?}");
    assert!(late.may_have_happened());
}

#[tokio::test]
async fn somebody_of_another_role_is_refused_by_name_of_the_reason() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(&scene.context("ncb/fr", "gs/hub/lyon"));
    let refused = monitor.summary().await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().reason, Reason::NotAuthorised);
}

#[tokio::test]
async fn a_server_that_is_not_the_one_of_the_context_is_hung_up_on() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(&scene.context("operator/ops", "gs/hub/singapore"));
    let error = monitor.summary().await.unwrap_err();
    assert!(matches!(error, ClientError::NoConnection(ConnectError::Tls { .. })), "{error:?}");
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn a_context_without_credentials_says_which_directory() {
    let scene = Scene::new().await;
    let mut context = scene.context("operator/ops", "gs/hub/lyon");
    context.credentials = Path::new("/nowhere/ops").into();
    let error = context.connect(Arc::new(TcpNetwork), scene.clock.clone()).err().unwrap();
    assert_eq!(error.to_string(), "/nowhere/ops: no usable credentials");
}
