//! A whole network in one simulation: a hub, bureaus, and the people around them, each on a machine of its own. It
//! must not decide what goes wrong.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use i247_client::{Desk, channel};
use i247_ledger::faults::Dice;
use i247_model::{CountryCode, Identity};
use i247_trust::{Credentials, Issued};
use tokio::sync::mpsc;
use turmoil::Sim;

use crate::identities::Identities;
use crate::lines::SimNetwork;
use crate::machine::{DESK_PORT, Machine, Role, site};
use crate::officer::{Officer, Phase};
use crate::plants::Plant;
use crate::record::Shared;
use crate::seams::{BEGIN, SimClock};
use crate::secretariat::{self, Authority, Order, employ, reviewer_name};

/// How far simulated time goes on at once.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// Where the people are.
pub(crate) const PEOPLE: &str = "people";

/// Whatever goes wrong inside the simulator, not inside the product.
pub(crate) type Fault = Box<dyn std::error::Error>;

/// Who is on the network.
const COUNTRIES: [&str; 4] = ["FR", "BR", "JP", "KE"];

/// A network that runs.
pub(crate) struct Network {
    pub(crate) sim: Sim<'static>,
    pub(crate) hub: Rc<Machine>,
    pub(crate) bureaus: Vec<Rc<Machine>>,
    pub(crate) countries: Vec<CountryCode>,
    pub(crate) record: Shared,
    pub(crate) phase: Rc<Cell<Phase>>,
    /// How long a message takes at most on a line that is well.
    pub(crate) max_latency: Duration,
    /// A bureau whose certificate ends, if there is one.
    pub(crate) expiry: Option<Expiry>,
    authority: mpsc::UnboundedSender<Order>,
}

/// A certificate that ends while it is used.
#[derive(Debug)]
pub(crate) struct Expiry {
    /// Whose: the number of its machine.
    pub(crate) machine: usize,
    /// Its last moment.
    pub(crate) at: Duration,
    renewed: Issued,
}

impl Network {
    /// A network for this seed. Nothing has happened yet.
    pub(crate) fn new(seed: u64, dir: &Path, plant: Plant, record: &Shared) -> Result<Self, Fault> {
        let mut dice = Dice::new(seed);
        let mut identities = Identities::new()?;
        let count = 3 + usize::try_from(dice.below(2))?;
        let countries: Vec<CountryCode> =
            COUNTRIES[..count].iter().map(|code| code.parse()).collect::<Result<_, _>>()?;
        let max_latency = Duration::from_millis(5 + dice.below(40));
        let mut sim = simulation(seed, max_latency);
        let credentials = identities.enrol(&Identity::Hub(site()), "hub")?;
        let hub = Machine::new("hub".into(), Role::Hub, credentials, dir.join("hub"), dice.roll(), plant);
        place(&mut sim, &hub);
        let mut bureaus = Vec::new();
        let mut expiry = None;
        let (ends, one) = (dice.one_in(5), 1 + usize::try_from(dice.below(count as u64))?);
        let at = Duration::from_secs(5 + dice.below(6));
        for country in &countries {
            let (name, identity) = (country.to_lowercase(), Identity::Bureau(*country));
            let machine = bureaus.len() + 1;
            let credentials = if ends && machine == one {
                let (credentials, renewed) =
                    identities.enrol_until(&identity, &name, at, &dir.join(&name))?;
                expiry = Some(Expiry { machine, at, renewed });
                credentials
            } else {
                identities.enrol(&identity, &name)?
            };
            let role = Role::Bureau { country: *country, automatic: dice.one_in(3) };
            let bureau = Machine::new(name.clone(), role, credentials, dir.join(&name), dice.roll(), plant);
            place(&mut sim, &bureau);
            bureaus.push(bureau);
        }
        let record = Rc::clone(record);
        record.borrow_mut().lines = hub.network.lines.clone();
        let phase = Rc::new(Cell::new(Phase::Busy));
        let staff =
            Staff { countries: countries.clone(), record: Rc::clone(&record), phase: Rc::clone(&phase) };
        let mut officers = Vec::new();
        for bureau in &bureaus {
            if let Role::Bureau { country, automatic } = bureau.role {
                record.borrow_mut().automatic.extend(automatic.then_some(country));
                officers.push(staff.officer(country, automatic, &bureau.name, &mut identities, &mut dice)?);
            }
        }
        let (ordering, orders) = mpsc::unbounded_channel();
        let mut members: Vec<Credentials> =
            bureaus.iter().map(|bureau| bureau.credentials.borrow().clone()).collect();
        let reviewer = identities.enrol(&Identity::Reviewer(reviewer_name()), PEOPLE)?;
        members.push(reviewer.clone());
        let reviewing = secretariat::Desk {
            credentials: reviewer,
            countries: countries.clone(),
            record: Rc::clone(&record),
            dice: Dice::new(dice.roll()),
        };
        let authority =
            Authority { identities, members, record: Rc::clone(&record), orders, changes: Vec::new() };
        let shared = Rc::clone(&record);
        sim.client(PEOPLE, async move {
            for officer in officers {
                tokio::task::spawn_local(officer()?.work());
            }
            employ(reviewing.work(), &shared);
            employ(authority.work(), &shared);
            std::future::pending().await
        });
        Ok(Self { sim, hub, bureaus, countries, record, phase, max_latency, expiry, authority: ordering })
    }

    /// Simulated time since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.sim.elapsed()
    }

    /// The hub is number 0, bureaus follow.
    pub(crate) fn machine(&self, number: usize) -> Rc<Machine> {
        Rc::clone(number.checked_sub(1).map_or(&self.hub, |bureau| &self.bureaus[bureau]))
    }

    /// Starts the program of a machine (again).
    pub(crate) fn boot(&mut self, number: usize) {
        let name = self.machine(number).name.clone();
        self.record.borrow_mut().note(self.sim.elapsed(), format!("* {name} starts"));
        self.sim.bounce(name.as_str());
    }

    /// Puts the renewed certificate of a bureau where it looks for it.
    pub(crate) fn renew(&self, number: usize) {
        let machine = self.machine(number);
        let Some(expiry) = &self.expiry else { return };
        let Role::Bureau { country, .. } = machine.role else { return };
        let renewed = expiry.renewed.save(&machine.dir).map_err(|error| error.to_string());
        let loaded =
            renewed.and_then(|()| Credentials::load(&machine.dir).map_err(|error| error.to_string()));
        let mut record = self.record.borrow_mut();
        match loaded {
            Ok(credentials) => *machine.credentials.borrow_mut() = credentials,
            Err(error) => record.broken("the simulator works", "", error),
        }
        let ms = |time: Duration| u64::try_from((BEGIN + time).as_millis()).unwrap_or(u64::MAX);
        record.away.insert(country, (ms(expiry.at), ms(self.sim.elapsed())));
    }

    /// Asks the authority for a change of the directory.
    pub(crate) fn order(&self, order: Order) {
        // The authority works as long as the simulation.
        drop(self.authority.send(order));
    }
}

/// What all officers share.
struct Staff {
    countries: Vec<CountryCode>,
    record: Shared,
    phase: Rc<Cell<Phase>>,
}

impl Staff {
    /// The officer of a bureau on the machine called `host`, to be begun where its tasks run: a channel has some.
    fn officer(
        &self,
        country: CountryCode,
        automatic: bool,
        host: &str,
        identities: &mut Identities,
        dice: &mut Dice,
    ) -> Result<impl FnOnce() -> Result<Officer, Fault> + use<>, Fault> {
        let seat = Identity::Officer(country, "duty".parse()?);
        let credentials = identities.enrol(&seat, PEOPLE)?;
        let (host, countries) = (host.to_owned(), self.countries.clone());
        let (record, phase) = (Rc::clone(&self.record), Rc::clone(&self.phase));
        let (luck, to_write) = (dice.roll(), 6 + dice.below(12));
        let rushes = u64::from(dice.one_in(5));
        Ok(move || {
            Ok(Officer {
                me: country,
                countries,
                desk: desk(country, &host, &credentials)?,
                record,
                phase,
                clock: SimClock::default(),
                dice: Dice::new(luck),
                to_write,
                rushes,
                flooded: false,
                pending: Vec::new(),
                answers: !automatic,
                answered: BTreeSet::new(),
            })
        })
    }
}

fn simulation(seed: u64, max_latency: Duration) -> Sim<'static> {
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .epoch(UNIX_EPOCH + BEGIN)
        // The driver ends it.
        .simulation_duration(Duration::from_secs(24 * 3600))
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(max_latency)
        .tcp_capacity(1024)
        .enable_random_order();
    builder.build()
}

fn place(sim: &mut Sim<'static>, machine: &Rc<Machine>) {
    let placed = Rc::clone(machine);
    sim.host(machine.name.as_str(), move || {
        let machine = Rc::clone(&placed);
        async move {
            machine.run().await;
            Ok(())
        }
    });
}

fn desk(country: CountryCode, host: &str, credentials: &Credentials) -> Result<Desk, Fault> {
    let address = format!("{host}:{DESK_PORT}");
    let bureau = Identity::Bureau(country);
    let clock = Arc::new(SimClock::default());
    Ok(Desk::new(channel(&address, &bureau, credentials, Arc::new(SimNetwork::default()), clock)?))
}
