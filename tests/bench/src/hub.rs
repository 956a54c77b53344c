//! Ours: the shipped program as a hub in its own process, with its default configuration, and all countries linked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use i247_client::Directory;
use i247_model::{CountryCode, Identity, MEMBERS};
use i247_node::{ChannelLimits, Clock as _, Network, SystemClock, TcpNetwork, TlsClock, connect};
use i247_trust::{Authority, Credentials, MAX_BURST, Presented, TlsKey, Validity, client_config, sign};
use i247_wire::{payload, pb};
use prost::Message as _;
use tokio::process::Command;
use tonic::transport::Channel;

use crate::bureaus::{Bureaus, Load};
use crate::contender::{Contender, Place, Task};
use crate::measure::{Measured, Setting, Work};
use crate::process::Server;

/// Settings of ours are of two kinds.
pub(crate) const ONE_BY_ONE: &str = "signed one by one";
pub(crate) const IN_BURSTS: &str = "signed in bursts";

/// The name of ours among the contenders.
pub(crate) const NAME: &str = "i247";

/// Where the hub stands.
pub(crate) const SITE: &str = "lyon";
/// What is expected before anything was measured, deliveries a second at most.
const FIRST_GUESS: f64 = 40_000.0;

/// How long the certificates of a run are in force.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Host names in them.
const HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

/// An authority, a hub and all member countries, with their keys and certificates.
pub(crate) struct People {
    authority: Authority,
    validity: Validity,
    pub(crate) hub: Credentials,
    pub(crate) members: Vec<(CountryCode, Credentials)>,
    /// Who watches.
    pub(crate) operator: Credentials,
}

impl People {
    pub(crate) fn new(clock: &SystemClock) -> Result<Self> {
        let validity = Validity::lasting(clock.now(), LIFETIME);
        let authority = Authority::new(validity, TlsKey::P256)?;
        let enrol = |identity: &Identity| authority.enrol(identity, &HOSTS, validity, TlsKey::P256);
        let hub = enrol(&Identity::Hub(SITE.parse()?))?;
        let mut members = Vec::new();
        for member in MEMBERS.iter() {
            members.push((member.code, enrol(&Identity::Bureau(member.code))?));
        }
        let operator = enrol(&Identity::Operator("watch".parse()?))?;
        Ok(Self { authority, validity, hub, members, operator })
    }

    /// An officer's seat in a country, certified by the country itself.
    pub(crate) fn officer(&self, country: CountryCode) -> Result<Credentials> {
        let national = self.authority.issue_national(country, self.validity, TlsKey::P256)?;
        let seat = Identity::Officer(country, "duty".parse()?);
        Ok(national.enrol(&seat, &HOSTS, self.validity, TlsKey::P256)?)
    }

    /// The authority's word that somebody takes part, with their keys.
    fn admission(&self, own: &Credentials, clock: &SystemClock) -> pb::Signed {
        let change = pb::DirectoryChange {
            action: pb::DirectoryAction::Admit.into(),
            identity: own.identity.to_string(),
            tls_key: Bytes::copy_from_slice(own.tls_key_id().as_bytes()),
            signing_certificates: own.signing_chain.clone(),
            reason: "benchmark".into(),
            signed_at_ms: clock.now().as_millis(),
            sequence: 1,
        };
        let key = &self.authority.credentials().signing_key;
        sign(key, payload::DIRECTORY_CHANGE, change.encode_to_vec())
    }
}

/// A hub that runs.
pub(crate) struct Hub {
    program: PathBuf,
    dir: PathBuf,
    clock: Arc<SystemClock>,
    server: Server,
    address: String,
}

impl Hub {
    /// Starts the program with an empty data directory and admits these members.
    pub(crate) async fn start(program: &Path, place: &Place, people: &People) -> Result<Self> {
        let dir = place.dir.join("hub");
        crate::machine::empty(&dir)?;
        let (data, credentials, ready) = (dir.join("data"), dir.join("credentials"), dir.join("ready"));
        std::fs::create_dir_all(&credentials)?;
        people.hub.save(&credentials)?;
        let mut command = Command::new(program);
        command.args(["hub", "--listen", "127.0.0.1:0", "--site", SITE]);
        command.arg("--data").arg(&data).arg("--credentials").arg(&credentials);
        command.arg("--ready-file").arg(&ready);
        command.arg("--die-with-parent").arg(std::process::id().to_string());
        let mut server = Server::start(command, &dir.join("log.txt")).context("the hub")?;
        let found = server.ready(async || std::fs::read_to_string(&ready).ok()).await?;
        let address = found.trim().to_owned();
        let hub = Self { program: program.to_owned(), dir, clock: place.clock.clone(), server, address };
        hub.admit(people, place.countries).await?;
        Ok(hub)
    }

    async fn admit(&self, people: &People, countries: usize) -> Result<()> {
        let directory = Directory::new(self.channel(people.authority.credentials())?);
        let members = people.members.iter().take(countries).map(|(_, own)| own);
        for own in members.chain([&people.operator]) {
            directory.change(people.admission(own, &self.clock)).await?;
        }
        Ok(())
    }

    /// A connection of its own to the hub, as a bureau makes it.
    pub(crate) fn channel(&self, own: &Credentials) -> Result<Channel> {
        channel(&self.address, own, &self.clock)
    }

    /// The same over another network.
    pub(crate) fn channel_over(
        &self,
        network: Arc<dyn Network>,
        limits: &ChannelLimits,
        own: &Credentials,
    ) -> Result<Channel> {
        channel_over(network, limits, &self.address, own, &self.clock)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn process(&self) -> u32 {
        self.server.id()
    }

    /// Stops it and reads its whole log.
    pub(crate) async fn stop(self) -> Result<()> {
        self.server.stop().await.context("the hub")?;
        let mut check = Command::new(&self.program);
        check.args(["ledger", "check"]).arg(self.dir.join("data"));
        let checked = check.output().await.context("ledger check")?;
        if !checked.status.success() {
            bail!("the ledger is not sound: {}", String::from_utf8_lossy(&checked.stdout).trim());
        }
        Ok(std::fs::remove_dir_all(self.dir.join("data"))?)
    }
}

/// A connection with mutual TLS, as the product makes it.
pub(crate) fn channel(address: &str, own: &Credentials, clock: &Arc<SystemClock>) -> Result<Channel> {
    // Hundreds of connections are opened at once, on as many cores as the hub has.
    let limits = ChannelLimits { connect: Duration::from_secs(30), ..ChannelLimits::default() };
    channel_over(Arc::new(TcpNetwork), &limits, address, own, clock)
}

fn channel_over(
    network: Arc<dyn Network>,
    limits: &ChannelLimits,
    address: &str,
    own: &Credentials,
    clock: &Arc<SystemClock>,
) -> Result<Channel> {
    let time = Arc::new(TlsClock(clock.clone()));
    let expected = |identity: &Identity| matches!(identity, Identity::Hub(_));
    let tls = client_config(Presented::new(own)?, &own.root, time, expected)?;
    Ok(connect(network, address, tls, limits)?)
}

/// The hub as a contender.
pub(crate) struct Ours {
    program: PathBuf,
    place: Place,
    people: Arc<People>,
    running: Option<(Hub, Bureaus)>,
}

impl Ours {
    pub(crate) fn new(program: PathBuf, place: Place, people: Arc<People>) -> Self {
        Self { program, place, people, running: None }
    }

    /// The hub that runs in this round.
    pub(crate) fn hub(&self) -> Option<&Hub> {
        self.running.as_ref().map(|(hub, _)| hub)
    }
}

#[tonic::async_trait(?Send)]
impl Contender for Ours {
    fn name(&self) -> &'static str {
        NAME
    }

    fn settings(&self, work: Work, quick: bool) -> Vec<Setting> {
        let (windows, hows): (&[usize], &[&'static str]) = match (work, quick) {
            (Work::PointToPoint, false) => (&[1, 16, 64, 256, 1024, 2048], &[ONE_BY_ONE, IN_BURSTS]),
            (Work::PointToPoint, true) => (&[256, 2048], &[ONE_BY_ONE, IN_BURSTS]),
            (Work::FanOut, false) => (&[1, 4, 16, 64], &[ONE_BY_ONE]),
            (Work::FanOut, true) => (&[1, 16], &[ONE_BY_ONE]),
            _ => (&[], &[]),
        };
        let settings = hows.iter().flat_map(|how| windows.iter().map(|window| Setting::of(*window, how)));
        settings.collect()
    }

    async fn begin(&mut self) -> Result<()> {
        let hub = Hub::start(&self.program, &self.place, &self.people).await?;
        let members = self.people.members.iter().take(self.place.countries).cloned().collect();
        let bureaus = Bureaus::open(self.place.clock.clone(), members, |own| hub.channel(own)).await?;
        self.running = Some((hub, bureaus));
        Ok(())
    }

    async fn measure(&mut self, task: &Task) -> Result<Measured> {
        let (hub, bureaus) = self.running.as_mut().context("no hub runs")?;
        let burst = if task.setting.how == IN_BURSTS { MAX_BURST } else { 1 };
        // A message in flight takes a third of a millisecond at the least: it waits for the disk.
        let deliveries = if task.work == Work::FanOut { self.place.countries - 1 } else { 1 };
        let guess = (task.setting.in_flight * deliveries) as f64 * 3000.0;
        let load = Load {
            work: task.work,
            in_flight: task.setting.in_flight,
            burst,
            seconds: task.seconds,
            expected_rate: task.rate_before.unwrap_or(guess.min(FIRST_GUESS * (deliveries as f64).min(8.0))),
        };
        bureaus.measure(&load, hub.process()).await
    }

    async fn end(&mut self) -> Result<()> {
        let Some((hub, bureaus)) = self.running.take() else { return Ok(()) };
        drop(bureaus);
        hub.stop().await
    }
}
