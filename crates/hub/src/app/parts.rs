//! What the services of a hub share, and the one task that changes it, made from the configuration and the log.

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::Bytes;
use i247_ledger::Segments;
use i247_ledger::attachments::Attachments;
use i247_node::{Live, Seams, Stage};
use i247_router::State;
use i247_trust::Credentials;
use opentelemetry::metrics::Meter;
use tokio::sync::{Semaphore, mpsc, watch};

use super::BuildError;
use crate::alerts::Book;
use crate::answer::Answers;
use crate::audit::Audit;
use crate::calls::Calls;
use crate::config::Config;
use crate::copies::Copies;
use crate::core::Core;
use crate::databases::Databases;
use crate::effects::Actor;
use crate::flow::Flow;
use crate::gauges::Counters;
use crate::grants::Grants;
use crate::links::Links;
use crate::loads::Pace;
use crate::lookups::{self, Lookups};
use crate::made::Maker;
use crate::opening::{Opening, Receipting};
use crate::overdue::Overdue;
use crate::pulse::Pulse;
use crate::quota::Quotas;
use crate::searched::Searched;
use crate::sequencer::{Groups, Held, Sequencer, Work};
use crate::stamps::Stamps;
use crate::views::Views;

/// Inputs that wait for the sequencer.
const QUEUE_MAX: usize = 4096;

/// So many may watch at once.
pub(crate) const WATCHERS_MAX: usize = 64;

/// What the parts of a hub are made from.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) credentials: &'a Credentials,
    pub(super) seams: &'a Seams,
    /// The credentials as they are renewed.
    pub(super) own: watch::Receiver<Arc<Credentials>>,
}

/// What lies on the disk: the log, what follows from it, and what lies beside it.
pub(super) struct Kept {
    pub(super) ledger: Arc<Segments>,
    pub(super) databases: Arc<Databases>,
    pub(super) audit: Arc<Audit>,
}

impl Parts<'_> {
    /// What the services share, and the one task that changes it.
    pub(super) fn pipeline(
        &self,
        Kept { ledger, databases, audit }: Kept,
        views: Views,
        streams: Stage,
        live: Live,
        meter: &Meter,
    ) -> Result<(Arc<Core>, Sequencer), BuildError> {
        let Self { config, credentials, seams, .. } = self;
        let own_chain = &credentials.signing_chain;
        let entered = if views.signers.holds(own_chain) { own_chain.clone() } else { Vec::new() };
        let (work, queue) = mpsc::channel(QUEUE_MAX);
        let (writable, is_writable) = watch::channel(true);
        let (hits, hits_changed) = watch::channel(views.hits.changed());
        let (fed, fed_changed) = watch::channel(views.fed_at);
        let (links, counters) = (Links::after(&views.state), Counters::new(meter));
        let (ahead, stamps) = (views.state.clone(), Stamps::after(views.at));
        let begins = Begins { ahead, stamps, queue, entered, writable, hits, fed };
        let log_id: Bytes = views.state.log_id().map(Bytes::copy_from_slice).unwrap_or_default();
        let (dir, recovered) = (config.data.join("attachments"), views.state.generation() > 0);
        let copies = Copies::new(seams, config, self.own.clone(), databases.clone(), &log_id);
        let pulse = Arc::<Pulse>::default();
        pulse.set_applied(views.position);
        let views = Arc::new(RwLock::new(views));
        let grants = Grants::new(views.clone(), seams.clock.clone(), live.clone(), config.country_limit());
        let opening = Opening::begin(&streams, views.clone(), seams.clock.clone(), seams.blocking.clone());
        let core = Arc::new(Core {
            views,
            ledger,
            databases,
            attachments: Attachments::open(
                seams.disk.clone(),
                dir,
                seams.blocking.clone(),
                config.attachment_bytes,
            )?,
            links: Arc::new(links),
            live,
            recent: Arc::default(),
            counters,
            flow: Arc::new(Flow::new(seams.clock.now())),
            lookups: Lookups::new(seams.disk.clone(), seams.blocking.clone(), config.data.join(lookups::DIR)),
            alerts: Book::default(),
            overdue: Overdue::default(),
            pulse,
            disk: seams.disk.clone(),
            data: config.data.clone(),
            room: Mutex::default(),
            own: self.own.clone(),
            began: seams.clock.now(),
            quotas: Quotas::new(config.submissions_per_second),
            grants: Arc::new(grants),
            searches: Quotas::new(config.searches_per_second),
            audit,
            copies,
            pace: Pace::default(),
            searched: Searched::new(seams.clock.now()),
            hits: hits_changed,
            fed: fed_changed,
            work,
            clock: seams.clock.clone(),
            blocking: seams.blocking.clone(),
            handing_out: Arc::default(),
            writable: is_writable,
            receipting: Receipting::begin(&streams, seams.blocking.clone()),
            calls: Calls::default(),
            opening,
            behind: watch::Sender::new(None),
            log_id,
            recovered,
            me: credentials.identity.clone(),
            // A channel without a place is none.
            window: config.window.max(1),
            progress_wait: config.progress_wait.0,
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            streams,
        });
        let sequencer = self.sequencer(&core, begins);
        Ok((core, sequencer))
    }

    fn sequencer(&self, core: &Core, begins: Begins) -> Sequencer {
        let Self { config, credentials, seams, .. } = self;
        let Begins { ahead, stamps, queue, entered, writable, hits, fed } = begins;
        let actor = Actor::of(core);
        Sequencer {
            ledger: core.ledger.clone(),
            views: core.views.clone(),
            ahead,
            groups: Groups::default(),
            stamps,
            clock: seams.clock.clone(),
            work: queue,
            actor,
            answers: Answers { key: credentials.signing_key.clone(), log_id: core.log_id.clone() },
            maker: Maker { key: credentials.signing_key.clone(), dice: seams.dice.clone() },
            own: self.own.clone(),
            entered,
            handing_out: core.handing_out.clone(),
            writable,
            look_again: Duration::ZERO,
            held: Held::default(),
            behind: core.behind.subscribe(),
            receipts_wait: config.receipts_wait.0,
            counters: core.counters.clone(),
            flow: core.flow.clone(),
            pulse: core.pulse.clone(),
            hits,
            fed,
        }
    }
}

/// What only the sequencer has, at the begin.
struct Begins {
    ahead: State,
    stamps: Stamps,
    queue: mpsc::Receiver<Work>,
    entered: Vec<Bytes>,
    writable: watch::Sender<bool>,
    /// The entry with which the register of hits changed last.
    hits: watch::Sender<u64>,
    /// The last entry from which records follow.
    fed: watch::Sender<u64>,
}
