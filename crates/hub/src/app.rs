//! The composition root of a hub: makes every part, hands it what it needs, stops in order.

mod parts;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use i247_ledger::attachments::AttachmentError;
use i247_ledger::{Options, Segments};
use i247_model::Identity;
use i247_node::{
    DescriptorError, Health, Limits, Listener, Live, Renewal, Seams, Server, Shutdown, Stage, Telemetry,
    TelemetryError, TlsClock, TrustedDisk, reflection,
};
use i247_trust::{Credentials, Presented, Root, TlsError, server_config};
use i247_wire::pb::copy_service_server::CopyServiceServer;
use i247_wire::pb::directory_service_server::DirectoryServiceServer;
use i247_wire::pb::exchange_service_server::ExchangeServiceServer;
use i247_wire::pb::monitor_service_server::MonitorServiceServer;
use i247_wire::pb::records_service_server::RecordsServiceServer;
use i247_wire::pb::review_service_server::ReviewServiceServer;
use i247_wire::pb::search_service_server::SearchServiceServer;
use opentelemetry::metrics::Meter;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use crate::admission::ByDirectory;
use crate::alerts;
use crate::archive::{Archive, Limits as StoreLimits, keep_merged, keep_stored, store};
use crate::attachments::sweep;
use crate::audit::{self, AuditError};
use crate::config::Config;
use crate::copies::{CopyDesk, HAND_IN_BYTES_MAX};
use crate::core::{Behind, Core};
use crate::databases::{self, Databases, DatabasesError};
use crate::directory::Directory;
use crate::exchange::Exchange;
use crate::flow;
use crate::gauges::gauges;
use crate::monitor::Monitor;
use crate::records::Records;
use crate::recover::{RecoverError, Recovered, begin, recover};
use crate::review::Review;
use crate::rules::{FROM_DATABASES, READS_ONLY, SERVICES, rules};
use crate::search::{SEARCH_BYTES_MAX, Search};
use crate::sequencer::{Sequencer, SequencerError};
use crate::views::Views;
pub(crate) use parts::WATCHERS_MAX;
use parts::{Kept, Parts};

/// The largest frame on a stream: an entry with its body, and some.
const FRAME_BYTES_MAX: usize = 320 * 1024;

/// Why a hub cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The certificate is another's.
    #[error("the certificate names {0}, not this hub")]
    WrongIdentity(Identity),
    /// The data cannot be used.
    #[error("the data directory cannot be used")]
    Recover(#[from] RecoverError),
    /// The databases cannot be made from the log.
    #[error("the databases cannot be made from the log")]
    Databases(#[from] DatabasesError),
    /// The attachments cannot be used.
    #[error("the attachments cannot be used")]
    Attachments(#[from] AttachmentError),
    /// The journal of searches cannot be used.
    #[error("the journal of searches cannot be used")]
    Audit(#[from] AuditError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: String,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// Logs or metrics cannot be set up.
    #[error("telemetry cannot be set up")]
    Telemetry(#[from] TelemetryError),
    /// The compiled-in descriptor cannot be read.
    #[error("the descriptor of the services cannot be read")]
    Descriptor(#[from] DescriptorError),
    /// Reflection cannot be set up.
    #[error("reflection cannot be set up")]
    Reflection(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a hub stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log takes nothing more. Start again: recovery finds out the truth.
    #[error("the log has stopped")]
    Log,
    /// History cannot be read, and nothing is decided without it. Start again: it is made anew from the log.
    #[error("history cannot be read")]
    History,
    /// A sync failed, of whatever file: nothing is taken for durable any more. Start again.
    #[error("a sync of the disk failed")]
    Disk,
    /// A part without which the hub is no use has ended by itself. What was answered is durable.
    #[error("a part of the hub has ended by itself")]
    Part,
}

/// A hub that has bound its address and recovered its data.
pub struct Hub {
    config: Config,
    telemetry: Telemetry,
    listener: Box<dyn Listener>,
    server: Server,
    renewal: Renewal,
    health: Health,
    core: Arc<Core>,
    sequencer: Sequencer,
    audit: audit::Writer,
    ledger: Arc<Segments>,
    archive: Arc<Archive>,
    /// Cancelled when a sync has failed.
    distrusted: CancellationToken,
    shutdown: Shutdown,
    door: Stage,
    pipeline: Stage,
}

impl Hub {
    /// Binds, recovers, and makes every part.
    ///
    /// # Errors
    /// [`BuildError`]; nothing is left behind but what recovery cleaned up.
    pub async fn build(config: Config, credentials: Credentials, seams: Seams) -> Result<Self, BuildError> {
        if credentials.identity != Identity::Hub(config.site.clone()) {
            return Err(BuildError::WrongIdentity(credentials.identity.clone()));
        }
        let distrusted = CancellationToken::new();
        let disk = TrustedDisk::new(seams.disk, distrusted.clone());
        let seams = Seams { disk: Arc::new(disk), ..seams };
        let network = seams.network.clone();
        let telemetry =
            Telemetry::start(&config.telemetry, "i247-hub", config.site.as_str(), &*network).await?;
        let Recovered { ledger, archive, mut views, feeds } = open(&config, &credentials, &seams).await?;
        if views.position == 0 {
            begin(&*ledger, &mut views, &*seams.dice, &credentials, seams.clock.now()).await?;
        }
        let (disk, blocking) = (seams.disk.clone(), seams.blocking.clone());
        let log = config.data.join("log");
        let feeds = |position| Ok(feeds[feeds.partition_point(|feed| *feed <= position)..].to_vec());
        let databases = Databases::open(disk, blocking, &log, ledger.clone(), feeds).await?;
        let (audit, audit_writer) = audit::open_beside(&config.data, &seams, &views).await?;
        let mut shutdown = Shutdown::new();
        // The streams end first: a connection lasts as long as its stream, and the door waits for connections.
        let streams = shutdown.stage("streams", config.grace.0);
        let door = shutdown.stage("door", config.grace.0);
        let pipeline = shutdown.stage("pipeline", config.grace.0);
        let live = Live::new();
        let presented = Presented::new(&credentials)?;
        let dir = config.credentials.clone();
        let renewal =
            Renewal::new(Arc::clone(&presented), credentials.clone(), dir, &seams, &telemetry.meter());
        let own = renewal.credentials();
        let parts = Parts { config: &config, credentials: &credentials, seams: &seams, own };
        let kept = Kept { ledger: ledger.clone(), databases: Arc::new(databases), audit: Arc::new(audit) };
        let (core, sequencer) = parts.pipeline(kept, views, streams, live.clone(), &telemetry.meter())?;
        let views = core.views.clone();
        let meter = telemetry.meter();
        let root = &credentials.root;
        let (health, server) = server(&core, presented, root, &seams, live.clone(), views, meter).await?;
        let listener = seams
            .network
            .listen(&config.listen)
            .await
            .map_err(|source| BuildError::Listen { address: config.listen.clone(), source })?;
        tracing::info!(address = %listener.address(), site = %config.site, "hub listens");
        Ok(Self {
            config,
            telemetry,
            listener,
            server,
            renewal,
            health,
            core,
            sequencer,
            audit: audit_writer,
            ledger,
            archive,
            distrusted,
            shutdown,
            door,
            pipeline,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Where the metrics page is, if it is served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.telemetry.metrics_address()
    }

    /// A digest over every view: equal for equal logs, whether recovered or rebuilt.
    ///
    /// # Errors
    /// When history cannot be read.
    pub fn digest(&self) -> Result<String, DatabasesError> {
        let views = self.core.views().digest()?;
        databases::digest(&views, &self.core.databases)
    }

    /// Serves until `stop`, then stops in order: streams end, no new calls, what was taken is written, the log is
    /// closed.
    ///
    /// # Errors
    /// [`ServeError`] when it did not stop because it was asked to.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), ServeError> {
        let Self {
            config,
            telemetry,
            listener,
            server,
            renewal,
            health,
            core,
            sequencer,
            audit,
            ledger,
            archive,
            distrusted,
            shutdown,
            door,
            pipeline,
            ..
        } = self;
        let _gauges = gauges(&telemetry.meter(), &core);
        let asked = shutdown.asked();
        let failed = Arc::new(OnceLock::new());
        let (broken, condemned) = (failed.clone(), archive.clone());
        let sequencer_stop = pipeline.stop();
        pipeline.spawn_vital("sequencer", async move {
            if let Err(error) = sequencer.run(sequencer_stop).await {
                tracing::error!(error = &error as &dyn std::error::Error, "nothing is decided any more");
                // Set once: this task is the only one that sets it.
                let _ = broken.set(match error {
                    SequencerError::Log(_) => ServeError::Log,
                    SequencerError::History(_) => {
                        condemned.condemn();
                        ServeError::History
                    }
                });
            }
        });
        pipeline.spawn(core.audit.clone().keep(audit, core.work.clone(), pipeline.stop()));
        pipeline.spawn(core.audit.clone().count_past(pipeline.stop()));
        follow(&core, &archive, config.attachment_unnamed.0, &pipeline);
        let (writable, behind) = (core.writable.clone(), core.behind.subscribe());
        let (unreadable, stuck) = (core.recent.unreadable(), core.databases.stuck());
        let ills = Ills { writable, behind, unreadable, stuck };
        pipeline.spawn(tell_health(ills, health, pipeline.stop()));
        door.spawn(core.grants.clone().keep(core.audit.clone(), door.stop()));
        door.spawn(renewal.run(door.stop()));
        let door_stop = door.stop();
        door.spawn_vital("server", server.serve(listener, door_stop));
        // Each ends the service; none can lose anything by being dropped.
        let by_itself = tokio::select! {
            () = stop.cancelled() => false,
            () = asked.cancelled() => true,
            () = distrusted.cancelled() => true,
        };
        shutdown.run().await;
        let ended = match (Arc::into_inner(failed).and_then(OnceLock::into_inner), by_itself) {
            (Some(error), _) => Err(error),
            (None, _) if distrusted.is_cancelled() => Err(ServeError::Disk),
            (None, true) => Err(ServeError::Part),
            (None, false) => Ok(()),
        };
        if let Err(error) = core.audit.close().await {
            tracing::warn!(%error, "the journal of searches was not closed");
        }
        // After a fault the next start reads the log, and trusts nothing else.
        if ended.is_ok() {
            close(&core, &archive, &ledger).await;
        }
        telemetry.stop().await;
        ended
    }
}

/// Stores what the next start need not make anew, and closes the log.
async fn close(core: &Core, archive: &Arc<Archive>, ledger: &Segments) {
    store(core, archive).await;
    databases::store(core).await;
    if let Err(error) = ledger.close().await {
        tracing::warn!(%error, "the log was not closed");
    }
}

/// Begins what goes on behind the path of a message.
fn follow(core: &Arc<Core>, archive: &Arc<Archive>, unnamed: Duration, pipeline: &Stage) {
    pipeline.spawn(keep_stored(core.clone(), archive.clone(), pipeline.stop()));
    pipeline.spawn(databases::follow(core.clone(), pipeline.stop()));
    pipeline.spawn(keep_merged(core.clone(), archive.clone(), pipeline.stop()));
    pipeline.spawn(flow::run(core.clone(), pipeline.stop()));
    pipeline.spawn(alerts::run(core.clone(), pipeline.stop()));
    pipeline.spawn(sweep(core.clone(), unnamed, pipeline.stop()));
}

/// Opens the data directory of a hub, which nobody else may use meanwhile.
pub(crate) async fn open(
    config: &Config,
    credentials: &Credentials,
    seams: &Seams,
) -> Result<Recovered, RecoverError> {
    let mut salt = [0; 8];
    seams.dice.fill(&mut salt);
    let options = Options {
        segment_bytes: config.segment_bytes,
        salt: u64::from_le_bytes(salt),
        blocking: seams.blocking.clone(),
        ..Options::default()
    };
    let log = config.data.join("log");
    let limits = StoreLimits::of(config);
    recover(seams.disk.clone(), seams.blocking.clone(), &log, options, limits, &credentials.root).await
}

async fn server(
    core: &Arc<Core>,
    presented: Arc<Presented>,
    root: &Root,
    seams: &Seams,
    live: Live,
    views: Arc<RwLock<Views>>,
    meter: Meter,
) -> Result<(Health, Server), BuildError> {
    let admission = Arc::new(ByDirectory { views, clock: seams.clock.clone() });
    let time = Arc::new(TlsClock(seams.clock.clone()));
    let tls = server_config(presented, root, time, admission.clone())?;
    let (health, health_service) = Health::new(&SERVICES).await;
    let reflection = reflection(&SERVICES).map_err(|error| BuildError::Reflection(Box::new(error)))?;
    let mut routes = RoutesBuilder::default();
    routes
        .add_service(
            ExchangeServiceServer::new(Exchange(core.clone())).max_decoding_message_size(FRAME_BYTES_MAX),
        )
        .add_service(
            DirectoryServiceServer::new(Directory(core.clone())).max_decoding_message_size(FRAME_BYTES_MAX),
        )
        .add_service(
            ReviewServiceServer::new(Review(core.clone())).max_decoding_message_size(DECIDE_BYTES_MAX),
        )
        .add_service(
            MonitorServiceServer::new(Monitor(core.clone())).max_decoding_message_size(FRAME_BYTES_MAX),
        )
        .add_service(
            SearchServiceServer::new(Search(core.clone())).max_decoding_message_size(SEARCH_BYTES_MAX),
        )
        .add_service(
            RecordsServiceServer::new(Records(core.clone())).max_decoding_message_size(FRAME_BYTES_MAX),
        )
        .add_service(
            CopyServiceServer::new(CopyDesk(core.clone())).max_decoding_message_size(HAND_IN_BYTES_MAX),
        )
        .add_service(health_service)
        .add_service(reflection);
    let server = Server {
        tls,
        admission,
        rules: rules()?,
        routes: routes.routes(),
        limits: Limits::default(),
        clock: seams.clock.clone(),
        live,
        meter,
    };
    Ok((health, server))
}

/// The largest call of a reviewer: 64 publications.
const DECIDE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What may ail a hub.
struct Ills {
    writable: watch::Receiver<bool>,
    behind: watch::Receiver<Option<Behind>>,
    unreadable: watch::Receiver<BTreeSet<(u64, u32)>>,
    /// The databases do not follow the log.
    stuck: watch::Receiver<bool>,
}

/// Ready while entries are taken and can be read, and what answers from the databases while these follow the log. What
/// only reads is ready as long as the hub runs: operators must see why the others are not.
async fn tell_health(mut ills: Ills, health: Health, stop: CancellationToken) {
    loop {
        let whole = ills.unreadable.borrow_and_update().is_empty();
        let ready = *ills.writable.borrow_and_update() && ills.behind.borrow_and_update().is_none() && whole;
        let follow = !*ills.stuck.borrow_and_update();
        for service in SERVICES {
            let has_all = follow || !FROM_DATABASES.contains(&service);
            health.set_ready(service, (ready && has_all) || service == READS_ONLY).await;
        }
        health.set_ready("", ready && follow).await;
        // Dropping the wait for a change loses none.
        let changed = tokio::select! {
            changed = ills.writable.changed() => changed,
            changed = ills.behind.changed() => changed,
            changed = ills.unreadable.changed() => changed,
            changed = ills.stuck.changed() => changed,
            () = stop.cancelled() => break,
        };
        if changed.is_err() {
            break;
        }
    }
    for service in SERVICES.iter().chain([&""]) {
        health.set_ready(service, false).await;
    }
}
