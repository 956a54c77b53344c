//! The world: one hub, its bureaus, the lines between them, and everyone's certificates.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use i247_bureau::policy::{Measure, Policy};
use i247_client::{Desk, Directory, Monitor, Reviewer, ReviewerParts};
use i247_ledger::disk::Disk;
use i247_model::{CountryCode, Identity, Name};
use i247_node::config::{Period, Size};
use i247_node::{ChannelLimits, LogFormat, Seams, TelemetryConfig, TlsClock};
use i247_trust::{Credentials, Presented, client_config};
use i247_wire::pb;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tonic::transport::Channel;

use crate::bureau::Bureau;
use crate::error::WorldError;
use crate::pki::{Pki, country, name};
use crate::proxy::Proxy;
use crate::running::{Mode, Running, node_dir};

/// The site of every world's hub.
const SITE: &str = "lyon";

/// How big a segment of a log is: small, since a world has many logs.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// What a world is made of.
#[derive(Debug)]
pub struct Builder {
    countries: Vec<CountryCode>,
    policies: BTreeMap<CountryCode, Measure>,
    registers: BTreeMap<CountryCode, String>,
    seats: BTreeMap<CountryCode, Vec<Name>>,
    mode: Mode,
    dir: Option<PathBuf>,
    proxied: bool,
    automatic: bool,
    level: String,
    left_to_officers: BTreeMap<CountryCode, std::collections::BTreeSet<String>>,
    hub_disk: Option<Arc<dyn Disk>>,
}

impl Builder {
    /// What a country's law lets a Red Notice do there. Without it: locate and inform, arrest on a formal request.
    pub fn policy(mut self, code: &str, measure: Measure) -> Self {
        self.policies.insert(country(code), measure);
        self
    }

    /// A country's register: JSON, one entry a line.
    pub fn register(mut self, code: CountryCode, lines: String) -> Self {
        self.registers.insert(code, lines);
        self
    }

    /// Officers' seats at a bureau. Without it: one, called `duty`.
    pub fn seats(mut self, code: CountryCode, seats: Vec<Name>) -> Self {
        self.seats.insert(code, seats);
        self
    }

    /// Operations whose requests a bureau's national system leaves to its officers.
    pub fn left_to_officers(
        mut self,
        code: CountryCode,
        operations: std::collections::BTreeSet<String>,
    ) -> Self {
        self.left_to_officers.insert(code, operations);
        self
    }

    /// Whether bureaus answer requests by their registers without an officer. They do unless told otherwise.
    pub fn automatic(mut self, automatic: bool) -> Self {
        self.automatic = automatic;
        self
    }

    /// Every node as a process of its own, with this program (`i247`).
    pub fn processes(mut self, program: impl Into<PathBuf>) -> Self {
        self.mode = Mode::Processes(program.into());
        self
    }

    /// Keeps all data in this directory. Without it: in a directory that goes with the world.
    pub fn keep(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Bureaus connect to the hub directly: a little faster, and no line can be cut.
    pub fn direct(mut self) -> Self {
        self.proxied = false;
        self
    }

    /// The hub's disk, for faults. Only in one process.
    pub fn hub_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.hub_disk = Some(disk);
        self
    }

    /// What nodes log: a level, or a filter such as `warn,i247_hub=debug`.
    pub fn log(mut self, level: &str) -> Self {
        self.level = level.into();
        self
    }

    /// Starts the hub, enters everyone into its directory, and starts the bureaus.
    ///
    /// # Errors
    /// When a node does not start.
    pub async fn start(self) -> Result<World, WorldError> {
        let seams = Seams::system();
        let (dir, own) = match &self.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|source| WorldError::file(dir, source))?;
                (dir.clone(), None)
            }
            None => {
                let own = TempDir::with_prefix("i247-")
                    .map_err(|source| WorldError::file(Path::new("tmp"), source))?;
                (own.path().to_owned(), Some(own))
            }
        };
        let mut pki = Pki::new(seams.clock.now())?;
        let hub_credentials = pki.enrol(&Identity::Hub(name(SITE)))?;
        save(&hub_credentials, &node_dir(&dir, "hub")?)?;
        save(pki.authority().credentials(), &node_dir(&dir, "authority")?)?;
        let mut world = World {
            people: Mutex::new(BTreeMap::new()),
            pki: Mutex::new(pki),
            sequences: Mutex::new(BTreeMap::new()),
            hub: Mutex::new(None),
            hub_credentials,
            bureaus: BTreeMap::new(),
            builder: self,
            seams,
            dir,
            own,
        };
        world.start_hub().await?;
        world.enter_members().await?;
        for code in world.builder.countries.clone() {
            world.place(code).await?;
        }
        let starting = world.bureaus.keys().copied().map(|code| world.start_bureau(code));
        for started in futures::future::join_all(starting).await {
            started?;
        }
        Ok(world)
    }
}

/// A running network.
#[derive(Debug)]
pub struct World {
    builder: Builder,
    seams: Seams,
    pki: Mutex<Pki>,
    sequences: Mutex<BTreeMap<Identity, u64>>,
    people: Mutex<BTreeMap<Identity, Credentials>>,
    hub: Mutex<Option<Running>>,
    hub_credentials: Credentials,
    bureaus: BTreeMap<CountryCode, Placed>,
    dir: PathBuf,
    own: Option<TempDir>,
}

/// A bureau in its place: it may run or not.
#[derive(Debug)]
struct Placed {
    credentials: Credentials,
    line: Option<Proxy>,
    running: Mutex<Option<Running>>,
    /// In front of the desk, so that its address stays when the bureau starts again.
    desk: Mutex<Option<SocketAddr>>,
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
        Builder {
            countries,
            policies: BTreeMap::new(),
            registers: BTreeMap::new(),
            seats: BTreeMap::new(),
            mode: Mode::InProcess,
            dir: None,
            proxied: true,
            automatic: true,
            level: "warn".into(),
            left_to_officers: BTreeMap::new(),
            hub_disk: None,
        }
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

    /// Act as a country.
    ///
    /// # Panics
    /// When it has no bureau here.
    pub fn bureau(&self, code: &str) -> Bureau<'_> {
        let code = country(code);
        assert!(self.bureaus.contains_key(&code), "{code} is not in this world");
        Bureau::new(self, code)
    }

    /// Keys and certificates of anybody, made when first asked for. Reviewers and operators are admitted to the
    /// directory; officers are their bureau's business.
    ///
    /// # Errors
    /// When they cannot be made or entered.
    pub async fn credentials(&self, identity: &Identity) -> Result<Credentials, WorldError> {
        if let Some(known) = self.people.lock().await.get(identity) {
            return Ok(known.clone());
        }
        let made = self.pki.lock().await.enrol(identity)?;
        if !matches!(identity, Identity::Officer(..)) {
            self.change(pb::DirectoryAction::Admit, identity, Some(&made)).await?;
        }
        self.people.lock().await.insert(identity.clone(), made.clone());
        Ok(made)
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

    /// An officer's connection to a desk.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn desk(&self, code: CountryCode, seat: &Name) -> Result<Desk, WorldError> {
        let credentials = self.credentials(&Identity::Officer(code, seat.clone())).await?;
        let address = self.desk_address(code).await?;
        Ok(Desk::new(self.channel(address, &credentials, Identity::Bureau(code))?))
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

    /// Suspends an identity, by a signed change of the directory.
    ///
    /// # Errors
    /// When the hub refuses it.
    pub async fn suspend(&self, identity: &Identity) -> Result<(), WorldError> {
        self.change(pb::DirectoryAction::Suspend, identity, None).await
    }

    /// Ends a suspension.
    ///
    /// # Errors
    /// When the hub refuses it.
    pub async fn reinstate(&self, identity: &Identity) -> Result<(), WorldError> {
        self.change(pb::DirectoryAction::Reinstate, identity, None).await
    }

    /// Revokes an identity: its keys are void for good.
    ///
    /// # Errors
    /// When the hub refuses it.
    pub async fn revoke(&self, identity: &Identity) -> Result<(), WorldError> {
        self.change(pb::DirectoryAction::Revoke, identity, None).await
    }

    /// Cuts the line between a bureau and the hub.
    pub fn cut(&self, code: &str) {
        self.line(code, Proxy::cut);
    }

    /// Ends the cut.
    pub fn heal(&self, code: &str) {
        self.line(code, Proxy::heal);
    }

    /// Slows the line down.
    pub fn delay(&self, code: &str, delay: Duration) {
        self.line(code, |line| line.delay(delay));
    }

    /// Ends the hub without warning.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn crash_hub(&self) -> Result<(), WorldError> {
        let running = self.hub.lock().await.take().ok_or_else(|| WorldError::NotRunning("the hub".into()))?;
        running.crash().await;
        Ok(())
    }

    /// Stops the hub in order.
    ///
    /// # Errors
    /// When it does not run, or does not stop.
    pub async fn stop_hub(&self) -> Result<(), WorldError> {
        let running = self.hub.lock().await.take().ok_or_else(|| WorldError::NotRunning("the hub".into()))?;
        running.stop().await
    }

    /// Starts the hub (again); the lines lead to its new address.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_hub(&self) -> Result<(), WorldError> {
        let dir = node_dir(&self.dir, "hub")?;
        let config = i247_hub::Config {
            listen: "127.0.0.1:0".into(),
            data: dir.join("data"),
            credentials: dir.clone(),
            site: name(SITE),
            segment_bytes: SEGMENT_BYTES,
            grace: Period(Duration::from_secs(2)),
            telemetry: self.telemetry(),
            ..i247_hub::Config::default()
        };
        let running = match &self.builder.mode {
            Mode::InProcess => {
                let mut seams = self.seams.clone();
                if let Some(disk) = &self.builder.hub_disk {
                    seams.disk = disk.clone();
                }
                Running::hub(config, self.hub_credentials.clone(), seams).await?
            }
            Mode::Processes(program) => {
                let file = write_config(&dir, &config)?;
                let arguments = ["hub".into(), "--config".into(), file];
                Running::process(program, &dir, &arguments).await?
            }
        };
        for placed in self.bureaus.values() {
            if let Some(line) = &placed.line {
                line.retarget(running.address());
            }
        }
        *self.hub.lock().await = Some(running);
        Ok(())
    }

    /// Ends a bureau without warning.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn crash(&self, code: &str) -> Result<(), WorldError> {
        self.take_bureau(code).await?.crash().await;
        Ok(())
    }

    /// Stops a bureau in order.
    ///
    /// # Errors
    /// When it does not run, or does not stop.
    pub async fn stop(&self, code: &str) -> Result<(), WorldError> {
        self.take_bureau(code).await?.stop().await
    }

    /// Starts a bureau (again).
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&self, code: &str) -> Result<(), WorldError> {
        self.start_bureau(country(code)).await
    }

    /// Where the hub listens.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn hub_address(&self) -> Result<SocketAddr, WorldError> {
        let hub = self.hub.lock().await;
        hub.as_ref().map(Running::address).ok_or_else(|| WorldError::NotRunning("the hub".into()))
    }

    /// Where a desk listens.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn desk_address(&self, code: CountryCode) -> Result<SocketAddr, WorldError> {
        let placed = self.placed(code)?;
        let address = *placed.desk.lock().await;
        address.ok_or_else(|| WorldError::NotRunning(code.to_string()))
    }

    /// Checks the invariants, then stops everything in order. The data goes unless it is kept.
    ///
    /// # Errors
    /// [`WorldError::Broken`] names every invariant that does not hold.
    pub async fn finish(self) -> Result<(), WorldError> {
        let broken = crate::invariants::check(&self).await?;
        for placed in self.bureaus.values() {
            if let Some(running) = placed.running.lock().await.take() {
                running.stop().await?;
            }
        }
        if let Some(hub) = self.hub.lock().await.take() {
            hub.stop().await?;
        }
        if broken.is_empty() {
            return Ok(());
        }
        if let Some(own) = self.own {
            let kept = own.keep();
            tracing::error!(dir = %kept.display(), "invariants are broken; the data is kept");
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
        match self.hub.lock().await.take() {
            Some(hub) => hub.stop().await,
            None => Ok(()),
        }
    }

    /// Seats at a bureau.
    pub fn seats_of(&self, code: CountryCode) -> Vec<Name> {
        self.builder.seats.get(&code).cloned().unwrap_or_else(|| vec![name("duty")])
    }

    fn channel(
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

    /// Enters a change about an identity, and waits until it is durable.
    async fn change(
        &self,
        action: pb::DirectoryAction,
        identity: &Identity,
        keys: Option<&Credentials>,
    ) -> Result<(), WorldError> {
        let mut sequences = self.sequences.lock().await;
        let next = sequences.get(identity).copied().unwrap_or_default() + 1;
        let (signed, credentials) = {
            let pki = self.pki.lock().await;
            let change = pki.change(action, identity, next, self.seams.clock.now());
            let change = match keys {
                Some(keys) => change.keys(keys),
                None => change,
            };
            (pki.sign(change), pki.authority().credentials().clone())
        };
        Directory::new(self.hub_channel(&credentials).await?).change(signed).await?;
        sequences.insert(identity.clone(), next);
        Ok(())
    }

    /// Certificates for every bureau, entered over one connection.
    async fn enter_members(&mut self) -> Result<(), WorldError> {
        let authority = self.pki.get_mut().authority().credentials().clone();
        let directory = Directory::new(self.hub_channel(&authority).await?);
        let now = self.seams.clock.now();
        for code in self.builder.countries.clone() {
            let identity = Identity::Bureau(code);
            let pki = self.pki.get_mut();
            let credentials = pki.enrol(&identity)?;
            let change = pki.change(pb::DirectoryAction::Admit, &identity, 1, now).keys(&credentials);
            let signed = pki.sign(change);
            directory.change(signed).await?;
            self.sequences.get_mut().insert(identity, 1);
            save(&credentials, &node_dir(&self.dir, &code.to_lowercase())?)?;
            let placed =
                Placed { credentials, line: None, running: Mutex::new(None), desk: Mutex::new(None) };
            self.bureaus.insert(code, placed);
        }
        Ok(())
    }

    /// Draws the line between a bureau and the hub.
    async fn place(&mut self, code: CountryCode) -> Result<(), WorldError> {
        if !self.builder.proxied {
            return Ok(());
        }
        let hub = self.hub_address().await?;
        let line = Proxy::start(hub).await.map_err(|source| WorldError::file(&self.dir, source))?;
        if let Some(placed) = self.bureaus.get_mut(&code) {
            placed.line = Some(line);
        }
        Ok(())
    }

    async fn start_bureau(&self, code: CountryCode) -> Result<(), WorldError> {
        let placed = self.placed(code)?;
        let dir = node_dir(&self.dir, &code.to_lowercase())?;
        let register = dir.join("register.jsonl");
        let lines = self.builder.registers.get(&code).cloned().unwrap_or_default();
        std::fs::write(&register, lines).map_err(|source| WorldError::file(&register, source))?;
        let hub = match &placed.line {
            Some(line) => line.address(),
            None => self.hub_address().await?,
        };
        let red_notice = self.builder.policies.get(&code).copied().unwrap_or(Measure::WarrantFirst);
        let config = i247_bureau::Config {
            country: code,
            listen: "127.0.0.1:0".into(),
            hub: hub.to_string(),
            site: name(SITE),
            data: dir.join("data"),
            credentials: dir.clone(),
            register: Some(register),
            automatic: self.builder.automatic,
            left_to_officers: self.builder.left_to_officers.get(&code).cloned().unwrap_or_default(),
            segment: Size(SEGMENT_BYTES),
            grace: Period(Duration::from_secs(2)),
            policy: Policy { red_notice, objection: None },
            telemetry: self.telemetry(),
        };
        let running = match &self.builder.mode {
            Mode::InProcess => {
                Running::bureau(config, placed.credentials.clone(), self.seams.clone()).await?
            }
            Mode::Processes(program) => {
                let file = write_config(&dir, &config)?;
                let arguments = ["bureau".into(), code.to_string(), "--config".into(), file];
                Running::process(program, &dir, &arguments).await?
            }
        };
        *placed.desk.lock().await = Some(running.address());
        *placed.running.lock().await = Some(running);
        Ok(())
    }

    async fn take_bureau(&self, code: &str) -> Result<Running, WorldError> {
        let placed = self.placed(country(code))?;
        *placed.desk.lock().await = None;
        placed.running.lock().await.take().ok_or_else(|| WorldError::NotRunning(code.into()))
    }

    fn placed(&self, code: CountryCode) -> Result<&Placed, WorldError> {
        self.bureaus.get(&code).ok_or_else(|| WorldError::NotRunning(code.to_string()))
    }

    fn line(&self, code: &str, act: impl Fn(&Proxy)) {
        let line = self.bureaus.get(&country(code)).and_then(|placed| placed.line.as_ref());
        line.map(act).expect("a country of this world, whose line is not direct");
    }

    fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            level: self.builder.level.clone(),
            format: LogFormat::Text,
            ..TelemetryConfig::default()
        }
    }
}

fn save(credentials: &Credentials, dir: &Path) -> Result<(), WorldError> {
    credentials.save(dir).map_err(|error| WorldError::node("credentials", &error))
}

fn write_config<T: serde::Serialize>(dir: &Path, config: &T) -> Result<String, WorldError> {
    let text = i247_node::config::print(config).map_err(|error| WorldError::node("configuration", &error))?;
    let file = dir.join("config.toml");
    std::fs::write(&file, text).map_err(|source| WorldError::file(&file, source))?;
    Ok(file.display().to_string())
}
