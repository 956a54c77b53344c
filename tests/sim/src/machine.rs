//! A machine that runs a hub or a bureau: its clock, its disk, and the product's own composition root on them. It must
//! not know what is done to it.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use i247_bureau::Bureau;
use i247_bureau::policy::{Measure, Policy};
use i247_hub::{Hub, take_up};
use i247_ledger::faults::{BreakableDisk, Dice};
use i247_model::{CountryCode, Name};
use i247_node::config::{Period, Size};
use i247_node::with_causes;
use i247_trust::Credentials;
use tokio_util::sync::CancellationToken;

use crate::lines::SimNetwork;
use crate::plants::Plant;
use crate::seams::{SimBlocking, SimClock, seams};

/// Where hubs and desks listen.
pub(crate) const HUB_PORT: u16 = 7247;
pub(crate) const DESK_PORT: u16 = 7248;

/// Small, so that logs have many segments.
const SEGMENT_BYTES: u64 = 64 * 1024;

/// A snapshot after so few entries, so that restarts have one.
const SNAPSHOT_ENTRIES: u64 = 40;

/// How long a node takes to stop in order, stage by stage.
const GRACE: Period = Period(Duration::from_secs(1));

/// What runs on a machine.
#[derive(Debug)]
pub(crate) enum Role {
    /// The hub.
    Hub,
    /// The bureau of a country; it answers by itself or leaves that to its officer.
    Bureau {
        /// Which country.
        country: CountryCode,
        /// Whether it answers by itself.
        automatic: bool,
    },
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Its name on the network.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) clock: SimClock,
    pub(crate) network: SimNetwork,
    /// How slow its disk is.
    pub(crate) blocking: SimBlocking,
    /// The disk of the present boot.
    pub(crate) disk: RefCell<BreakableDisk>,
    pub(crate) credentials: RefCell<Credentials>,
    /// Where renewed certificates are put.
    pub(crate) dir: PathBuf,
    /// Asks the program to stop in order.
    pub(crate) stop: RefCell<CancellationToken>,
    /// Why the program ended by itself, or that it stopped in order.
    pub(crate) ended: RefCell<Option<String>>,
    /// Whether it listens.
    pub(crate) serves: Cell<bool>,
    /// The hub has an older copy of its data: its log is taken up under a new name before it starts.
    pub(crate) to_recover: Cell<bool>,
    plant: Plant,
    luck: RefCell<Dice>,
}

impl Machine {
    /// A machine with an empty disk.
    pub(crate) fn new(
        name: String,
        role: Role,
        credentials: Credentials,
        dir: PathBuf,
        seed: u64,
        plant: Plant,
    ) -> Rc<Self> {
        let mut luck = Dice::new(seed);
        Rc::new(Self {
            name,
            role,
            clock: SimClock::default(),
            network: SimNetwork::default(),
            blocking: SimBlocking::default(),
            disk: RefCell::new(BreakableDisk::new(luck.roll())),
            credentials: RefCell::new(credentials),
            dir,
            stop: RefCell::default(),
            ended: RefCell::default(),
            serves: Cell::default(),
            to_recover: Cell::default(),
            plant,
            luck: RefCell::new(luck),
        })
    }

    /// The program from its start to its end, then silence: whoever sees `ended` starts the machine again.
    pub(crate) async fn run(self: Rc<Self>) {
        *self.stop.borrow_mut() = CancellationToken::new();
        *self.ended.borrow_mut() = None;
        self.serves.set(false);
        if self.plant == Plant::StoppedClock && matches!(self.role, Role::Hub) {
            self.clock.stop();
        }
        let ended = match self.role {
            Role::Hub => self.hub().await,
            Role::Bureau { country, automatic } => self.bureau(country, automatic).await,
        };
        self.serves.set(false);
        *self.ended.borrow_mut() = Some(ended);
        std::future::pending::<()>().await;
    }

    /// Whose bureau it is, if it is one.
    pub(crate) fn country(&self) -> Option<CountryCode> {
        match self.role {
            Role::Hub => None,
            Role::Bureau { country, .. } => Some(country),
        }
    }

    /// Those of the present boot.
    fn seams(&self) -> i247_node::Seams {
        let (luck, disk) = (self.luck.borrow_mut().roll(), self.plant.disk(&self.disk.borrow()));
        seams(&self.clock, &self.network, disk, &self.blocking, luck)
    }

    async fn hub(&self) -> String {
        let config = i247_hub::Config {
            listen: format!("0.0.0.0:{HUB_PORT}"),
            data: "/hub".into(),
            credentials: self.dir.clone(),
            site: site(),
            segment_bytes: SEGMENT_BYTES,
            snapshot_entries: SNAPSHOT_ENTRIES,
            grace: GRACE,
            ..i247_hub::Config::default()
        };
        let credentials = self.credentials.borrow().clone();
        if self.to_recover.get() {
            // Whoever is interrupted begins again.
            if let Err(error) = take_up(&config, &credentials, &self.seams(), &[]).await {
                return format!("not recovered: {}", with_causes(&error));
            }
            self.to_recover.set(false);
        }
        let built = Hub::build(config, credentials, self.seams()).await;
        let hub = match built {
            Ok(hub) => hub,
            Err(error) => return format!("not started: {}", with_causes(&error)),
        };
        self.serves.set(true);
        let stop = self.stop.borrow().clone();
        match hub.serve(stop).await {
            Ok(()) => "stopped".into(),
            Err(error) => with_causes(&error),
        }
    }

    async fn bureau(&self, country: CountryCode, automatic: bool) -> String {
        let config = i247_bureau::Config {
            country,
            listen: format!("0.0.0.0:{DESK_PORT}"),
            hub: format!("hub:{HUB_PORT}"),
            site: site(),
            data: "/bureau".into(),
            credentials: self.dir.clone(),
            automatic,
            segment: Size(SEGMENT_BYTES),
            grace: GRACE,
            policy: Policy { red_notice: Measure::WarrantFirst, objection: None },
            ..i247_bureau::Config::default()
        };
        let credentials = self.credentials.borrow().clone();
        let built = Bureau::build(config, credentials, self.seams()).await;
        let bureau = match built {
            Ok(bureau) => bureau,
            Err(error) => return format!("not started: {}", with_causes(&error)),
        };
        self.serves.set(true);
        let stop = self.stop.borrow().clone();
        match bureau.serve(stop).await {
            Ok(()) => "stopped".into(),
            Err(error) => with_causes(&error),
        }
    }
}

/// The site of the hub.
pub(crate) fn site() -> Name {
    "lyon".parse().expect("a name in the program text")
}
