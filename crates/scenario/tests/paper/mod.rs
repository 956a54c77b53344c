//! A network made of paper: one listener a desk and one for the hub, everything in memory, nothing
//! checked. It answers as a bureau would: by the register and the policy of the plan.

mod desk;
mod hub;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use i247_client::{Desk, Monitor, Reviewer, ReviewerParts, pb};
use i247_model::{CountryCode, Identity};
use i247_node::{Clock, SystemClock, SystemDice};
use i247_scenario::{Actors, Plan, Policy, RegisterEntry};
use i247_trust::{Authority, Credentials, TlsKey, Validity};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};

/// Everything that the network holds.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) registers: BTreeMap<CountryCode, Vec<RegisterEntry>>,
    pub(crate) policies: BTreeMap<CountryCode, Policy>,
    pub(crate) left: BTreeMap<CountryCode, BTreeSet<String>>,
    pub(crate) silent: BTreeSet<CountryCode>,
    pub(crate) seats: BTreeMap<CountryCode, u64>,
    pub(crate) keys: BTreeMap<CountryCode, Credentials>,
    pub(crate) by_key: BTreeMap<String, String>,
    pub(crate) numbers: BTreeMap<CountryCode, u64>,
    pub(crate) outboxes: BTreeMap<CountryCode, Vec<pb::OutboxItem>>,
    pub(crate) inboxes: BTreeMap<CountryCode, Vec<pb::InboxItem>>,
    pub(crate) bodies: BTreeMap<String, pb::Body>,
    pub(crate) pending: Vec<(pb::PendingNotice, pb::Envelope)>,
    pub(crate) cases: BTreeMap<CountryCode, Vec<pb::Case>>,
    pub(crate) owed: BTreeMap<String, BTreeSet<String>>,
    pub(crate) reviewed: u64,
}

/// The world, and how it tells that it changed.
pub(crate) struct Shared {
    pub(crate) world: Mutex<World>,
    pub(crate) changed: watch::Sender<u64>,
}

/// The network.
pub(crate) struct Paper {
    shared: Arc<Shared>,
    desks: BTreeMap<CountryCode, String>,
    hub: String,
    seats: BTreeMap<CountryCode, Vec<i247_model::Name>>,
    reviewer: Credentials,
}

impl Paper {
    pub(crate) async fn start(plan: &Plan) -> Self {
        let validity = Validity::lasting(SystemClock::new().now(), Duration::from_secs(86_400));
        let authority = Authority::new(validity, TlsKey::P256).unwrap();
        let enrol = |path: &str| {
            let identity: Identity = format!("spiffe://i247.test/{path}").parse().unwrap();
            authority.enrol(&identity, &[], validity, TlsKey::P256).unwrap()
        };
        let keys = plan.policies.keys().map(|code| (*code, enrol(&format!("ncb/{}", code.to_lowercase()))));
        let world = World {
            registers: plan.registers.clone(),
            policies: plan.policies.clone(),
            left: plan.left_to_officers.clone(),
            seats: plan.script.seats.iter().map(|(code, seats)| (*code, seats.len() as u64)).collect(),
            keys: keys.collect(),
            ..World::default()
        };
        let shared = Arc::new(Shared { world: Mutex::new(world), changed: watch::Sender::new(0) });
        let mut desks = BTreeMap::new();
        for code in plan.policies.keys() {
            desks.insert(*code, desk::serve(*code, shared.clone()).await);
        }
        let hub = hub::serve(shared.clone()).await;
        let reviewer = enrol("gs/reviewer/lena");
        Self { shared, desks, hub, seats: plan.script.seats.clone(), reviewer }
    }

    /// This country answers nothing any more.
    pub(crate) fn silence(&self, country: CountryCode) {
        self.shared.world.lock().unwrap().silent.insert(country);
    }

    pub(crate) async fn desks(&self) -> BTreeMap<CountryCode, Desk> {
        let mut desks = BTreeMap::new();
        for (code, address) in &self.desks {
            desks.insert(*code, Desk::new(channel(address).await));
        }
        desks
    }

    pub(crate) async fn monitor(&self) -> Monitor {
        Monitor::new(channel(&self.hub).await)
    }

    pub(crate) async fn actors(&self) -> Actors {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let desks = self.desks().await;
        let seats =
            self.seats.iter().flat_map(|(code, names)| names.iter().map(|name| (*code, name.clone())));
        let reviewer = Reviewer::new(ReviewerParts {
            channel: channel(&self.hub).await,
            name: "lena".parse().unwrap(),
            key: self.reviewer.signing_key.clone(),
            root: self.reviewer.root.clone(),
            clock: clock.clone(),
            dice: Arc::new(SystemDice::new()),
        });
        Actors {
            desks: seats.map(|seat| (seat.clone(), desks[&seat.0].clone())).collect(),
            reviewer,
            monitor: self.monitor().await,
            clock,
        }
    }
}

async fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// Serves on a free port for as long as the test runs.
pub(crate) async fn listen(router: tonic::transport::server::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

pub(crate) fn server() -> Server {
    Server::builder()
}
