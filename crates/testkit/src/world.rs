//! The world: one hub, its bureaus, the lines between them, and everyone's certificates.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use i247_client::{Desk, Monitor, Published, Reviewer, ReviewerParts};
use i247_ledger::disk::Disk;
use i247_ledger::faults::BreakableDisk;
use i247_model::{CountryCode, Identity, MessageId, Name};
use i247_node::{ChannelLimits, Seams, TlsClock};
use i247_trust::{Credentials, Presented, client_config};
use i247_wire::pb;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::acts::Sent;
pub(crate) use crate::builder::Builder;
use crate::bureau::{Bureau, WITHIN};
use crate::clock::TestClock;
use crate::error::WorldError;
use crate::nodes::{Placed, SITE};
use crate::pen::Pen;
use crate::pki::{Pki, country, name};
use crate::record::Record;
use crate::running::{Mode, Running};

/// How often the hub is asked for what it sends to nobody.
const LOOK: Duration = Duration::from_millis(20);

/// A running network. Dropped before [`World::finish`] has found all well, it keeps its data and says where.
#[derive(Debug)]
pub struct World {
    pub(crate) builder: Builder,
    pub(crate) seams: Seams,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) hub_clock: Arc<TestClock>,
    pub(crate) disks: std::sync::Mutex<BTreeMap<Option<CountryCode>, BreakableDisk>>,
    pub(crate) pki: Mutex<Pki>,
    pub(crate) sequences: Mutex<BTreeMap<Identity, u64>>,
    pub(crate) people: Mutex<BTreeMap<Identity, Credentials>>,
    pub(crate) hub: Mutex<Option<Running>>,
    pub(crate) hub_disk: std::sync::Mutex<Option<Arc<dyn Disk>>>,
    pub(crate) bureaus: BTreeMap<CountryCode, Placed>,
    pub(crate) record: Box<std::sync::Mutex<Record>>,
    pub(crate) dir: PathBuf,
    pub(crate) own: Option<TempDir>,
    pub(crate) well_ended: AtomicBool,
}

impl World {
    /// A world of these countries, which [`Builder::start`] brings to life.
    ///
    /// # Panics
    /// When one is not a code of two capital letters: it stands in the program text.
    pub fn of<'a>(countries: impl IntoIterator<Item = &'a str>) -> Builder {
        Self::with(countries.into_iter().map(country).collect())
    }

    /// The same with codes.
    pub fn with(countries: Vec<CountryCode>) -> Builder {
        Builder::new(countries)
    }

    /// The countries that have a bureau here.
    pub fn countries(&self) -> Vec<CountryCode> {
        self.bureaus.keys().copied().collect()
    }

    /// Where all data of the world is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Time, chance, disk and network of this world.
    pub fn seams(&self) -> &Seams {
        &self.seams
    }

    /// Lets so much time pass in an instant, for every node and for the story: deadlines fall due, certificates end
    /// (they last thirty days), and whoever waits for a moment is woken. Timeouts of calls and pings are the
    /// operating system's and go on as before.
    ///
    /// # Panics
    /// With processes: they have a clock of their own.
    pub fn advance(&self, by: Duration) {
        assert!(matches!(self.builder.mode, Mode::InProcess), "the clock of another process cannot be set");
        self.clock.advance(by);
    }

    /// Sets the wall clock of the hub alone so far ahead of everybody's, while its monotonic time goes on; zero sets it
    /// right.
    ///
    /// # Panics
    /// With processes: they have a clock of their own.
    pub fn set_hub_clock_ahead(&self, ahead: Duration) {
        assert!(matches!(self.builder.mode, Mode::InProcess), "the clock of another process cannot be set");
        self.hub_clock.set_ahead(ahead);
    }

    /// Act as a country.
    ///
    /// # Panics
    /// When it has no bureau here.
    pub fn bureau(&self, code: &str) -> Bureau<'_> {
        let code = country(code);
        assert!(self.bureaus.contains_key(&code), "{code} is not in this world");
        Bureau::new(self, code)
    }

    /// Seats at a bureau.
    pub fn seats_of(&self, code: CountryCode) -> Vec<Name> {
        self.builder.seats.get(&code).cloned().unwrap_or_else(|| vec![name("duty")])
    }

    /// The throw-away authority, for certificates that a story needs.
    pub async fn pki(&self) -> tokio::sync::MutexGuard<'_, Pki> {
        self.pki.lock().await
    }

    /// A connection to the hub under these credentials.
    ///
    /// # Errors
    /// When the hub does not run.
    pub async fn hub_channel(&self, credentials: &Credentials) -> Result<Channel, WorldError> {
        let address = self.hub_address().await?;
        self.channel(address, credentials, Identity::Hub(name(SITE)))
    }

    /// A connection to the hub over the line of a country, under these credentials. It leads to the hub also when that
    /// has started anew.
    ///
    /// # Errors
    /// When the country has no line here, or the credentials are of no use.
    pub fn channel_over_line(&self, code: &str, credentials: &Credentials) -> Result<Channel, WorldError> {
        self.channel(self.line_address(code)?, credentials, Identity::Hub(name(SITE)))
    }

    /// Where the line of a country begins, which leads to the hub also when that has started anew.
    ///
    /// # Errors
    /// When the country has no line here.
    pub fn line_address(&self, code: &str) -> Result<SocketAddr, WorldError> {
        let line = &self.placed(country(code))?.line;
        let line = line.as_ref().ok_or_else(|| WorldError::Connect(format!("{code} has no line")))?;
        Ok(line.address())
    }

    /// An officer's connection to a desk.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn desk(&self, code: CountryCode, seat: &Name) -> Result<Desk, WorldError> {
        let credentials = self.credentials(&Identity::Officer(code, seat.clone())).await?;
        self.desk_as(code, &credentials).await
    }

    /// Anybody's connection to a desk, wanted there or not.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn desk_as(&self, code: CountryCode, credentials: &Credentials) -> Result<Desk, WorldError> {
        Ok(Desk::new(self.desk_channel(code, credentials).await?))
    }

    /// The same connection for any service.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn desk_channel(
        &self,
        code: CountryCode,
        credentials: &Credentials,
    ) -> Result<Channel, WorldError> {
        let address = self.desk_address(code).await?;
        self.channel(address, credentials, Identity::Bureau(code))
    }

    /// A reviewer of the secretariat.
    ///
    /// # Errors
    /// When the hub does not run.
    pub async fn reviewer(&self, who: &str) -> Result<Reviewer, WorldError> {
        let credentials = self.credentials(&Identity::Reviewer(name(who))).await?;
        Ok(Reviewer::new(ReviewerParts {
            channel: self.hub_channel(&credentials).await?,
            name: name(who),
            key: credentials.signing_key.clone(),
            root: credentials.root.clone(),
            clock: self.seams.clock.clone(),
            dice: self.seams.dice.clone(),
        }))
    }

    /// An operator's view of the network.
    ///
    /// # Errors
    /// When the hub does not run.
    pub async fn monitor(&self) -> Result<Monitor, WorldError> {
        let credentials = self.credentials(&Identity::Operator(name("ops"))).await?;
        Ok(Monitor::new(self.hub_channel(&credentials).await?))
    }

    /// A member that writes its envelopes by hand. With a country that has no bureau here, it is admitted first.
    ///
    /// # Errors
    /// When the hub does not run, or refuses the admission.
    pub async fn pen(&self, code: &str) -> Result<Pen, WorldError> {
        self.pen_of(self.credentials(&Identity::Bureau(country(code))).await?).await
    }

    /// The same under these credentials, which somebody has admitted.
    ///
    /// # Errors
    /// When the hub does not run.
    ///
    /// # Panics
    /// When they are not a bureau's.
    pub async fn pen_of(&self, credentials: Credentials) -> Result<Pen, WorldError> {
        let Identity::Bureau(code) = credentials.identity else { panic!("only a bureau has a pen") };
        let channel = self.hub_channel(&credentials).await?;
        Ok(Pen::new(code, credentials, channel, &self.seams))
    }

    /// Waits for a notice request, approves it as `lena`, and publishes the notice.
    ///
    /// # Errors
    /// When the request does not come in time, or the hub refuses.
    pub async fn publish(&self, asked: &Sent) -> Result<Published, WorldError> {
        let mut reviewer = self.reviewer("lena").await?;
        self.until_pending(&asked.id).await?;
        let examined = reviewer.examine(&asked.id.to_string()).await?;
        let published = reviewer.approve(&[examined]).await?.into_iter().next();
        published
            .ok_or_else(|| WorldError::Node { name: "lena".into(), text: "nothing was published".into() })
    }

    /// Waits until a notice request is before the reviewers.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn until_pending(&self, asked: &MessageId) -> Result<(), WorldError> {
        let reviewer = self.reviewer("lena").await?;
        let id = asked.to_string();
        self.until(&format!("{id} to be pending"), async || {
            let pending = reviewer.pending().await?;
            Ok(pending.iter().any(|pending| pending.request_id == id).then_some(()))
        })
        .await
    }

    /// Waits until the hub's summary is as wanted.
    ///
    /// # Errors
    /// When it never is in time.
    pub async fn hub_shows(
        &self,
        what: &str,
        wanted: impl Fn(&pb::SummaryResponse) -> bool,
    ) -> Result<pb::SummaryResponse, WorldError> {
        self.until(&format!("the hub to show {what}"), async || {
            let summary = self.monitor().await?.summary().await?;
            Ok(wanted(&summary).then_some(summary))
        })
        .await
    }

    /// Waits until the hub holds a stream to this bureau.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn linked(&self, code: &str) -> Result<(), WorldError> {
        self.hub_shows(&format!("{code} linked"), |summary| is_linked(summary, code)).await.map(drop)
    }

    /// Waits until the hub has noticed that this bureau is away.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn unlinked(&self, code: &str) -> Result<(), WorldError> {
        self.hub_shows(&format!("{code} away"), |summary| !is_linked(summary, code)).await.map(drop)
    }

    /// Waits until a node (`hub` or a country) says of itself, by the standard health service, that it serves.
    ///
    /// # Errors
    /// When it does not in time, or does not run.
    ///
    /// # Panics
    /// When the node is neither: it stands in the program text.
    pub async fn serving(&self, node: &str) -> Result<(), WorldError> {
        self.says(node, ServingStatus::Serving).await
    }

    /// Waits until it says of itself that it does not serve.
    ///
    /// # Errors
    /// When it never does, or does not run.
    ///
    /// # Panics
    /// As [`serving`](Self::serving) does.
    pub async fn not_serving(&self, node: &str) -> Result<(), WorldError> {
        self.says(node, ServingStatus::NotServing).await
    }

    /// Whether the hub says, by the standard health service, that one of its services (by its full name) serves.
    ///
    /// # Errors
    /// When the hub does not run or does not answer.
    pub async fn hub_serves(&self, service: &str) -> Result<bool, WorldError> {
        let channel = self.hub_channel(&self.credentials(&Identity::Operator(name("ops"))).await?).await?;
        let asked = HealthCheckRequest { service: service.into() };
        let answer = HealthClient::new(channel).check(asked).await;
        let answer = answer.map_err(|status| WorldError::Connect(status.to_string()))?;
        Ok(answer.into_inner().status() == ServingStatus::Serving)
    }

    /// The node as a whole: it has the empty name.
    async fn says(&self, node: &str, wanted: ServingStatus) -> Result<(), WorldError> {
        let channel = if node == "hub" {
            self.hub_channel(&self.credentials(&Identity::Operator(name("ops"))).await?).await?
        } else {
            let officer = Identity::Officer(country(node), name("duty"));
            self.desk_channel(country(node), &self.credentials(&officer).await?).await?
        };
        let mut health = HealthClient::new(channel);
        self.until(&format!("{node} to say {}", wanted.as_str_name()), async || {
            // Not answered is not said.
            let answer = health.check(HealthCheckRequest::default()).await;
            Ok(answer.is_ok_and(|answer| answer.into_inner().status() == wanted).then_some(()))
        })
        .await
    }

    /// Asks again and again, a few dozen times a second, until there is an answer. A call that fails and may succeed
    /// later is asked again.
    ///
    /// # Errors
    /// [`WorldError::Waited`] says for what.
    pub async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Option<T>, WorldError>,
    ) -> Result<T, WorldError> {
        let waiting = async {
            loop {
                match look().await {
                    Ok(Some(found)) => return Ok(found),
                    Ok(None) => {}
                    Err(WorldError::Client(error)) if error.passes() => {}
                    Err(error) => return Err(error),
                }
                i247_node::sleep(LOOK).await;
            }
        };
        let late = WorldError::Waited { what: what.into(), seconds: WITHIN.as_secs() };
        tokio::time::timeout(WITHIN, waiting).await.unwrap_or(Err(late))
    }

    /// Waits until all is quiet, checks the invariants, then stops everything in order. The data goes unless it is
    /// kept.
    ///
    /// # Errors
    /// [`WorldError::Broken`] names every invariant that does not hold.
    pub async fn finish(self) -> Result<(), WorldError> {
        self.holds().await?;
        self.stop_all().await
    }

    /// Waits until all is quiet, and checks the invariants.
    ///
    /// # Errors
    /// [`WorldError::Broken`] names every invariant that does not hold.
    pub async fn holds(&self) -> Result<(), WorldError> {
        let broken = crate::invariants::check(self).await?;
        if broken.is_empty() {
            return Ok(());
        }
        Err(WorldError::Broken(broken.into_iter().map(|broken| broken.to_string()).collect()))
    }

    /// Stops everything in order without looking at the invariants: what a demonstration does.
    ///
    /// # Errors
    /// When a node does not stop.
    pub async fn stop_all(&self) -> Result<(), WorldError> {
        for placed in self.bureaus.values() {
            if let Some(running) = placed.running.lock().await.take() {
                running.stop().await?;
            }
        }
        if let Some(hub) = self.hub.lock().await.take() {
            hub.stop().await?;
        }
        self.well_ended.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn disks(&self) -> MutexGuard<'_, BTreeMap<Option<CountryCode>, BreakableDisk>> {
        self.disks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another breakable disk into a node that does not run.
    pub(crate) fn put_disk(&self, node: Option<CountryCode>, disk: BreakableDisk) {
        match node {
            None => self.set_hub_disk(Arc::new(disk.clone())),
            Some(code) => self.set_bureau_disk(code.as_str(), Arc::new(disk.clone())),
        }
        self.disks().insert(node, disk);
    }

    /// A connection under these credentials to whoever listens there, who must be `server`: for nodes that a story
    /// starts beside the world's own.
    ///
    /// # Errors
    /// When the credentials or the address are of no use.
    pub fn channel(
        &self,
        address: SocketAddr,
        credentials: &Credentials,
        server: Identity,
    ) -> Result<Channel, WorldError> {
        let connect = |error: &dyn std::error::Error| WorldError::Connect(error.to_string());
        let presented = Presented::new(credentials).map_err(|error| connect(&error))?;
        let time = Arc::new(TlsClock(self.seams.clock.clone()));
        let tls = client_config(presented, &credentials.root, time, move |found| *found == server)
            .map_err(|error| connect(&error))?;
        i247_node::connect(self.seams.network.clone(), &address.to_string(), tls, &ChannelLimits::default())
            .map_err(|error| connect(&error))
    }
}

impl Drop for World {
    /// A story that failed leaves what it did behind.
    fn drop(&mut self) {
        if self.well_ended.load(Ordering::Relaxed) {
            return;
        }
        if let Some(own) = self.own.take() {
            say_where(&own.keep());
        }
    }
}

fn is_linked(summary: &pb::SummaryResponse, code: &str) -> bool {
    summary.links.iter().any(|link| link.party == code && link.connected)
}

#[expect(clippy::print_stderr, reason = "the test harness shows it with the test that failed")]
fn say_where(kept: &Path) {
    eprintln!("the data and the logs of all nodes are kept in {}", kept.display());
    // The test harness calls a test's thread by the test's name.
    let thread = std::thread::current();
    let Some(test) = thread.name().filter(|name| name.contains("::") || name.contains('_')) else {
        return;
    };
    // Whoever writes a test of their own has a package of their own: cargo says which.
    match std::env::var("CARGO_PKG_NAME") {
        Ok(package) => eprintln!("to repeat it: cargo test -p {package} -- --exact {test}"),
        Err(_) => eprintln!("the test was {test}"),
    }
}
