//! What a world is made of, said before it starts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use i247_bureau::policy::Measure;
use i247_ledger::disk::Disk;
use i247_ledger::faults::BreakableDisk;
use i247_model::{CountryCode, Identity, Name};
use i247_node::Seams;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::clock::TestClock;
use crate::error::WorldError;
use crate::logs::{self, InSpan};
use crate::nodes::{SITE, save};
use crate::pki::{Pki, country, name};
use crate::running::{Mode, node_dir};
use crate::world::World;

/// How big a segment of a log is: small, since a world has many logs.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// What a world is made of.
#[derive(Debug)]
pub struct Builder {
    pub(crate) countries: Vec<CountryCode>,
    pub(crate) policies: BTreeMap<CountryCode, Measure>,
    pub(crate) registers: BTreeMap<CountryCode, String>,
    pub(crate) seats: BTreeMap<CountryCode, Vec<Name>>,
    pub(crate) mode: Mode,
    pub(crate) proxied: bool,
    pub(crate) automatic: bool,
    pub(crate) level: String,
    pub(crate) collector: Option<String>,
    pub(crate) left_to_officers: BTreeMap<CountryCode, BTreeSet<String>>,
    pub(crate) segment_bytes: u64,
    pub(crate) submissions_per_second: u32,
    pub(crate) metrics: bool,
    pub(crate) clocks_ahead: BTreeMap<CountryCode, Duration>,
    dir: Option<PathBuf>,
    hub_disk: Option<Arc<dyn Disk>>,
    bureau_disks: BTreeMap<CountryCode, Arc<dyn Disk>>,
    breakable: Option<u64>,
}

impl Builder {
    pub(crate) fn new(countries: Vec<CountryCode>) -> Self {
        Self {
            countries,
            policies: BTreeMap::new(),
            registers: BTreeMap::new(),
            seats: BTreeMap::new(),
            mode: Mode::InProcess,
            proxied: true,
            automatic: true,
            level: "warn".into(),
            collector: None,
            left_to_officers: BTreeMap::new(),
            segment_bytes: SEGMENT_BYTES,
            submissions_per_second: i247_hub::Config::default().submissions_per_second,
            metrics: false,
            clocks_ahead: BTreeMap::new(),
            dir: None,
            hub_disk: None,
            bureau_disks: BTreeMap::new(),
            breakable: None,
        }
    }

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
    pub fn left_to_officers(mut self, code: CountryCode, operations: BTreeSet<String>) -> Self {
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

    /// A bureau's disk, for faults; its register is then empty. Only in one process.
    pub fn bureau_disk(mut self, code: &str, disk: Arc<dyn Disk>) -> Self {
        self.bureau_disks.insert(country(code), disk);
        self
    }

    /// Every node has a disk in memory that can break, for [`World::crash_at`]; registers are then empty. The seed
    /// decides what a power cut leaves. Only in one process.
    pub fn breakable(mut self, seed: u64) -> Self {
        self.breakable = Some(seed);
        self
    }

    /// How much one member may submit a second. Without it: as much as a hub allows by itself.
    pub fn submissions_per_second(mut self, count: u32) -> Self {
        self.submissions_per_second = count;
        self
    }

    /// The clock of a bureau is so far ahead of everybody's, and stays so whatever the story sets. Only in one process.
    pub fn clock_ahead(mut self, code: &str, ahead: Duration) -> Self {
        self.clocks_ahead.insert(country(code), ahead);
        self
    }

    /// Every node serves its metrics, for [`World::metrics_address`]. Only in one process.
    pub fn metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// Size of a segment of every log, in bytes. Without it: 4 MiB.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// The collector to which processes export their spans and metrics, such as `http://127.0.0.1:4317`. Without it: none.
    pub fn collector(mut self, url: &str) -> Self {
        self.collector = Some(url.to_owned());
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
    pub async fn start(mut self) -> Result<World, WorldError> {
        let clock = Arc::new(TestClock::new());
        let seams = Seams { clock: clock.clone(), blocking: Arc::new(InSpan), ..Seams::system() };
        let (dir, own) = match self.dir.take() {
            Some(dir) => {
                std::fs::create_dir_all(&dir).map_err(|source| WorldError::file(&dir, source))?;
                (dir, None)
            }
            None => {
                let own = TempDir::with_prefix("i247-")
                    .map_err(|source| WorldError::file(Path::new("tmp"), source))?;
                (own.path().to_owned(), Some(own))
            }
        };
        if matches!(self.mode, Mode::InProcess) {
            logs::begin(&dir)?;
        }
        let disks = self.break_disks();
        let mut pki = Pki::new(seams.clock.now())?;
        let hub_credentials = pki.enrol(&Identity::Hub(name(SITE)))?;
        save(&hub_credentials, &node_dir(&dir, "hub")?)?;
        save(pki.authority().credentials(), &node_dir(&dir, "authority")?)?;
        let mut world = World {
            people: Mutex::default(),
            pki: Mutex::new(pki),
            sequences: Mutex::default(),
            hub: Mutex::default(),
            hub_disk: std::sync::Mutex::new(self.hub_disk.take()),
            bureaus: BTreeMap::new(),
            record: Box::default(),
            disks: std::sync::Mutex::new(disks),
            hub_clock: Arc::new(clock.ahead_by(Duration::ZERO)),
            clock,
            seams,
            dir,
            own,
            well_ended: false.into(),
            builder: self,
        };
        world.start_hub().await?;
        world.enter_members().await?;
        // Who watches is there before anything can go wrong.
        world.monitor().await?;
        for code in world.builder.countries.clone() {
            let disk = world.builder.bureau_disks.remove(&code);
            world.place(code, disk).await?;
        }
        let starting = world.countries().into_iter().map(|code| world.start_bureau(code));
        for started in futures::future::join_all(starting).await {
            started?;
        }
        Ok(world)
    }

    /// Puts a disk that can break into every node, if so asked; the hub is none of the countries.
    fn break_disks(&mut self) -> BTreeMap<Option<CountryCode>, BreakableDisk> {
        let Some(seed) = self.breakable else { return BTreeMap::new() };
        let nodes = std::iter::once(None).chain(self.countries.iter().copied().map(Some));
        let disks = nodes.zip(seed..).map(|(node, seed)| (node, BreakableDisk::new(seed)));
        let disks: BTreeMap<_, _> = disks.collect();
        for (node, disk) in &disks {
            let disk: Arc<dyn Disk> = Arc::new(disk.clone());
            match node {
                None => self.hub_disk = Some(disk),
                Some(code) => drop(self.bureau_disks.insert(*code, disk)),
            }
        }
        disks
    }
}
