//! The composition root of a bureau: builds its parts, serves, and stops them in order.
//!
//! ```text
//!  officers ─► desk ─┐                        ┌─► uplink ─► hub
//!                    ├─► journal (one writer) ┤
//!  national system ──┘                        └─► views: outbox, inbox, cases
//! ```
//!
//! It stops from left to right: the desk takes nothing more, the national system and the uplink end, what waits for
//! the journal is written, the ledger is closed.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use i247_ledger::attachments::AttachmentError;
use i247_ledger::disk::{Disk, read_whole};
use i247_ledger::{CloseError, Opened, Options, Segments};
use i247_model::{CountryCode, Hash, Identity};
use i247_node::{
    ChannelLimits, ConnectError, DescriptorError, Health, Limits, Listener, Live, Renewal, Rules, Seams,
    Server, Shutdown, Telemetry, TelemetryError, TlsClock, TrustedDisk,
};
use i247_trust::{Credentials, Presented, TlsError};
use i247_wire::pb::copy_service_server::CopyServiceServer;
use i247_wire::pb::desk_service_server::DeskServiceServer;
use i247_wire::pb::directory_service_server::DirectoryServiceServer;
use opentelemetry::metrics::{Meter, ObservableGauge};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::attachments::Attachments;
use crate::config::Config;
use crate::copies::{COPY_SERVICE, PostCopies};
use crate::desk::{DESK_SERVICE, Desk, Parts, rules};
use crate::directory::{Changed, DIRECTORY_SERVICE, Directory, OwnPeople, cut_changed};
use crate::journal::{self, Journal, OpenError, Writer};
use crate::link::{Copies, Exchange, Link, MAX_FRAME_BYTES, Records, Search, State};
use crate::national::National;
use crate::register::{MAX_REGISTER_BYTES, Register, RegisterError};
use crate::snapshots::Keeper;
use crate::start::{Place, Started};
use crate::uplink::Uplink;

/// Why a bureau does not start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The certificate is not that of this country's bureau.
    #[error("the credentials are those of {found}, not of the bureau of {country}")]
    Identity {
        /// Whose bureau it is to be.
        country: CountryCode,
        /// Whom the certificate names.
        found: Identity,
    },
    /// Logs or metrics cannot be set up.
    #[error("telemetry cannot be set up")]
    Telemetry(#[from] TelemetryError),
    /// The journal's files cannot be opened.
    #[error("the journal cannot be opened")]
    Ledger(#[source] i247_ledger::OpenError),
    /// The journal's entries cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] OpenError),
    /// The attachments cannot be used.
    #[error("the attachments cannot be used")]
    Attachments(#[from] AttachmentError),
    /// A file or directory is not accessible.
    #[error("{}: not accessible", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The register holds something that is not an entry.
    #[error("{}: the register cannot be read", path.display())]
    Register {
        /// Which file.
        path: PathBuf,
        /// Which line.
        #[source]
        source: RegisterError,
    },
    /// The certificates cannot be used for connections.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The hub's address is none.
    #[error("the address of the hub cannot be used")]
    Hub(#[from] ConnectError),
    /// The desk cannot listen.
    #[error("{address}: cannot listen")]
    Listen {
        /// Where.
        address: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The program's own description of its services is broken.
    #[error("the services cannot be described")]
    Descriptor(#[from] DescriptorError),
}

/// Why a bureau ended otherwise than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The journal took nothing more. What was accepted is durable; start again once the disk is well.
    #[error("the journal stopped")]
    Journal,
    /// A sync failed, of whatever file: nothing is taken for durable any more. Start again.
    #[error("a sync of the disk failed")]
    Disk,
    /// A part without which the bureau is no use has ended by itself. What was accepted is durable.
    #[error("a part of the bureau has ended by itself")]
    Part,
    /// Everything was written, but the journal has no closing group; the next start takes a little longer.
    #[error("the journal was not closed cleanly")]
    Close(#[from] CloseError),
}

/// A bureau that listens and has read its journal, but does not serve yet.
pub struct Bureau {
    config: Config,
    credentials: Credentials,
    seams: Seams,
    telemetry: Telemetry,
    segments: Segments,
    opened: Opened,
    replayed: u64,
    keeper: Keeper,
    journal: Journal,
    writer: Writer,
    attachments: Attachments,
    register: Arc<Register>,
    exchange: Exchange,
    search: Search,
    records: Records,
    copies: Copies,
    renewal: Renewal,
    rules: Rules,
    tls: Arc<rustls::ServerConfig>,
    listener: Box<dyn Listener>,
    /// Cancelled when a sync has failed.
    distrusted: CancellationToken,
}

impl Bureau {
    /// Opens the journal, makes the views from its newest snapshot and what came behind that, reads the register and
    /// listens. It must be called within a tokio runtime. Nothing is sent or answered before [`Bureau::serve`].
    ///
    /// # Errors
    /// [`BuildError`] says what is missing or wrong. Nothing is left running.
    ///
    /// # Cancel safety
    /// Dropped half way, a new journal may have been made; the next start finds it empty.
    pub async fn build(config: Config, credentials: Credentials, seams: Seams) -> Result<Self, BuildError> {
        let me = config.country;
        if credentials.identity != Identity::Bureau(me) {
            return Err(BuildError::Identity { country: me, found: credentials.identity });
        }
        let distrusted = CancellationToken::new();
        let disk = TrustedDisk::new(seams.disk, distrusted.clone());
        let seams = Seams { disk: Arc::new(disk), ..seams };
        let telemetry =
            Telemetry::start(&config.telemetry, "i247-bureau", me.as_str(), &*seams.network).await?;
        let started = place(&config, &seams).start().await.map_err(|error| match error {
            OpenError::Files(error) => BuildError::Ledger(error),
            error => BuildError::Journal(error),
        })?;
        let Started { segments, opened, views, replayed, keeper } = started;
        let (journal, writer) = journal::open(views, Arc::new(segments.clone()), Arc::clone(&seams.clock));
        let dir = config.data.join("attachments");
        let attachments = Attachments::open(Arc::clone(&seams.disk), Arc::clone(&seams.blocking), dir)?;
        let register = Arc::new(read_register(&config, &*seams.disk)?);
        let presented = Presented::new(&credentials)?;
        let (shown, dir) = (credentials.clone(), config.credentials.clone());
        let renewal = Renewal::new(Arc::clone(&presented), shown, dir, &seams, &telemetry.meter());
        let time = Arc::new(TlsClock(Arc::clone(&seams.clock)));
        let hub = Identity::Hub(config.site.clone());
        let to_hub =
            i247_trust::client_config(presented.clone(), &credentials.root, time.clone(), move |found| {
                *found == hub
            })?;
        let network = Arc::clone(&seams.network);
        let channel = i247_node::connect(network, &config.hub, to_hub, &ChannelLimits::default())?;
        let search = Search::new(channel.clone());
        let records = Records::new(channel.clone()).max_decoding_message_size(MAX_FRAME_BYTES);
        let copies = Copies::new(channel.clone());
        let exchange = Exchange::new(channel)
            .max_decoding_message_size(MAX_FRAME_BYTES)
            .max_encoding_message_size(MAX_FRAME_BYTES);
        let people = Arc::new(OwnPeople { me, journal: journal.clone() });
        let tls = i247_trust::server_config(presented, &credentials.root, time, people)?;
        let rules = Rules::new(i247_wire::DESCRIPTOR, &SERVICES, rules(me))?;
        let address = config.listen.clone();
        let listener = seams.network.listen(&address).await;
        let listener = listener.map_err(|source| BuildError::Listen { address, source })?;
        Ok(Self {
            config,
            credentials,
            seams,
            telemetry,
            segments,
            opened,
            replayed,
            keeper,
            journal,
            writer,
            attachments,
            register,
            exchange,
            search,
            records,
            copies,
            renewal,
            rules,
            tls,
            listener,
            distrusted,
        })
    }

    /// Where the metrics page is, if it is served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.telemetry.metrics_address()
    }

    /// Where the desk listens, with the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.address()
    }

    /// What opening the journal found: whether it was closed cleanly, and what was dropped.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// How many entries of the journal were read for the views; the rest came from a snapshot.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// A digest over all views as they were made from the journal.
    pub fn digest(&self) -> Hash {
        self.journal.views().digest()
    }

    /// Serves until `stop`, then stops in order and returns when all is written and closed.
    ///
    /// # Errors
    /// [`ServeError`] when it did not stop because it was asked to, or could not close the journal.
    ///
    /// # Cancel safety
    /// Dropped, it ends as a crash would: what was acknowledged is durable, nothing else is promised.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), ServeError> {
        let me = self.config.country;
        let grace = self.config.grace.0;
        let mut shutdown = Shutdown::new();
        let listening = shutdown.stage("desk", grace);
        let answering = shutdown.stage("national system", grace);
        let linking = shutdown.stage("link to the hub", grace);
        let writing = shutdown.stage("journal", grace);
        let (state, states) = watch::channel(State::default());
        let _gauges = gauges(&self.telemetry.meter(), &self.journal, states.clone());
        let desk = self.desk(&states, listening.stop());
        let (health, routes) = routes(&desk, self.directory(), &listening.stop()).await;
        writing.spawn_vital("journal", self.writer.run(writing.stop()));
        let (ledger, applied) = (Arc::new(self.segments.clone()), self.journal.applied());
        let stored = applied.borrow().saturating_sub(self.replayed);
        let when = (stored, self.config.snapshot_entries);
        writing.spawn(self.keeper.clone().run_until(ledger, applied, when, writing.stop()));
        let uplink = Uplink {
            me,
            credentials: self.renewal.credentials(),
            root: Arc::new(self.credentials.root.clone()),
            journal: self.journal.clone(),
            attachments: self.attachments,
            exchange: self.exchange,
            clock: Arc::clone(&self.seams.clock),
            dice: self.seams.dice,
            state,
        };
        linking.spawn_vital("link to the hub", uplink.run(linking.stop()));
        linking.spawn(self.renewal.run(linking.stop()));
        if self.config.automatic {
            let national = National {
                me,
                desk,
                register: self.register,
                policy: self.config.policy.clone(),
                left_to_officers: self.config.left_to_officers.clone(),
            };
            answering.spawn_vital("national system", national.run(answering.stop()));
        }
        let (live, changed) = (Live::new(), Changed::from_now(self.journal.clone()));
        let server = Server {
            tls: self.tls,
            admission: Arc::new(OwnPeople { me, journal: self.journal.clone() }),
            rules: self.rules,
            routes,
            limits: Limits::default(),
            clock: self.seams.clock,
            live: live.clone(),
            meter: self.telemetry.meter(),
        };
        listening.spawn_vital("desk", server.serve(self.listener, listening.stop()));
        listening.spawn_vital("cutting off", cut_changed(changed, live, listening.stop()));
        listening.spawn(keep_health(health, self.journal.clone(), states, listening.stop()));
        tracing::info!(country = %me, "the bureau serves");
        let by_itself = tokio::select! {
            () = stop.cancelled() => false,
            () = shutdown.asked().cancelled_owned() => true,
            () = self.distrusted.cancelled() => true,
        };
        shutdown.run().await;
        let closed = match self.distrusted.is_cancelled() {
            true => Err(ServeError::Disk),
            false => close(&self.journal, &self.keeper, &self.segments).await,
        };
        let ended = closed.and(if by_itself { Err(ServeError::Part) } else { Ok(()) });
        tracing::info!(country = %me, clean = ended.is_ok(), "the bureau has stopped");
        self.telemetry.stop().await;
        ended
    }

    fn directory(&self) -> Directory {
        Directory {
            me: self.config.country,
            root: Arc::new(self.credentials.root.clone()),
            journal: self.journal.clone(),
            clock: Arc::clone(&self.seams.clock),
        }
    }

    fn desk(&self, states: &watch::Receiver<State>, stop: CancellationToken) -> Desk {
        Desk::new(Parts {
            me: self.config.country,
            journal: self.journal.clone(),
            link: Link {
                state: states.clone(),
                exchange: self.exchange.clone(),
                search: self.search.clone(),
                records: self.records.clone(),
                copies: self.copies.clone(),
            },
            attachments: self.attachments.clone(),
            clock: Arc::clone(&self.seams.clock),
            dice: Arc::clone(&self.seams.dice),
            measure: self.config.policy.red_notice,
            register_entries: self.register.len() as u64,
            verdicts: Default::default(),
            stop,
        })
    }
}

/// Stores the last snapshot and closes the journal, once nothing is written any more.
async fn close(journal: &Journal, keeper: &Keeper, segments: &Segments) -> Result<(), ServeError> {
    // After a fault the next start reads the journal, and trusts nothing else.
    if journal.stopped().is_cancelled() {
        return Err(ServeError::Journal);
    }
    if let Err(error) = keeper.store_last(journal, segments).await {
        tracing::warn!(%error, "no snapshot is stored: the next start reads more");
    }
    Ok(segments.close().await?)
}

/// What the listener serves besides health and reflection.
const SERVICES: [&str; 3] = [DESK_SERVICE, DIRECTORY_SERVICE, COPY_SERVICE];

/// The desk, the directory of its people, offline copies for posts, health and reflection.
async fn routes(
    desk: &Desk,
    directory: Directory,
    stop: &CancellationToken,
) -> (Health, tonic::service::Routes) {
    let (health, health_service) = Health::new(&SERVICES).await;
    let copies = PostCopies { journal: desk.journal.clone(), link: desk.link.clone(), stop: stop.clone() };
    let desk = DeskServiceServer::new(desk.clone())
        .max_decoding_message_size(MAX_FRAME_BYTES)
        .max_encoding_message_size(MAX_FRAME_BYTES);
    let mut routes = tonic::service::Routes::new(health_service).add_service(desk);
    routes =
        routes.add_service(DirectoryServiceServer::new(directory).max_decoding_message_size(MAX_FRAME_BYTES));
    routes = routes.add_service(CopyServiceServer::new(copies).max_decoding_message_size(MAX_FRAME_BYTES));
    match i247_node::reflection(&SERVICES) {
        Ok(reflection) => routes = routes.add_service(reflection),
        Err(error) => tracing::error!(%error, "reflection is not served"),
    }
    (health, routes)
}

/// Where the journal lies.
fn place(config: &Config, seams: &Seams) -> Place {
    let mut salt = [0; 8];
    seams.dice.fill(&mut salt);
    let options = Options {
        segment_bytes: config.segment.0,
        salt: u64::from_le_bytes(salt),
        blocking: Arc::clone(&seams.blocking),
        ..Options::default()
    };
    let (disk, dir) = (Arc::clone(&seams.disk), config.data.join("journal"));
    Place { country: config.country, disk, dir, options }
}

fn read_register(config: &Config, disk: &dyn Disk) -> Result<Register, BuildError> {
    let Some(path) = &config.register else { return Ok(Register::default()) };
    let unreadable = |source| BuildError::File { path: path.clone(), source };
    let bytes = read_whole(disk, path, MAX_REGISTER_BYTES).map_err(unreadable)?;
    // Its cause would carry the bytes, which are about persons.
    let text = String::from_utf8(bytes).map_err(|error| unreadable(io::Error::other(error.utf8_error())))?;
    Register::parse(&text).map_err(|source| BuildError::Register { path: path.clone(), source })
}

/// Ready while the journal can be written and nothing halts the bureau. Being away from the hub is no illness: work is
/// taken all the same.
async fn keep_health(
    health: Health,
    journal: Journal,
    mut states: watch::Receiver<State>,
    stop: CancellationToken,
) {
    let mut writable = journal.writable();
    loop {
        let ready = !journal.stopped().is_cancelled()
            && !stop.is_cancelled()
            && *writable.borrow_and_update()
            && states.borrow_and_update().halted.is_empty();
        for service in SERVICES.into_iter().chain([""]) {
            health.set_ready(service, ready).await;
        }
        if stop.is_cancelled() || journal.stopped().is_cancelled() {
            return;
        }
        // All of them are only wake-ups.
        tokio::select! {
            () = stop.cancelled() => {}
            () = journal.stopped().cancelled() => {}
            changed = states.changed() => if changed.is_err() { return },
            changed = writable.changed() => if changed.is_err() { return },
        }
    }
}

/// What is measured about the bureau's work; observed when somebody asks.
fn gauges(meter: &Meter, journal: &Journal, states: watch::Receiver<State>) -> [ObservableGauge<u64>; 4] {
    let gauge =
        |name: &'static str, text: &'static str| meter.u64_observable_gauge(name).with_description(text);
    let (waiting, unopened, rejected) = (journal.clone(), journal.clone(), journal.clone());
    [
        gauge("i247.outbox.waiting", "messages that the hub has not answered")
            .with_callback(move |gauge| gauge.observe(waiting.views().outbox.waiting() as u64, &[]))
            .build(),
        gauge("i247.inbox.unopened", "received messages that no officer has read")
            .with_callback(move |gauge| gauge.observe(unopened.views().inbox.unopened() as u64, &[]))
            .build(),
        gauge("i247.inbox.rejected", "deliveries that failed the checks")
            .with_callback(move |gauge| gauge.observe(rejected.views().inbox.rejected() as u64, &[]))
            .build(),
        gauge("i247.link.connected", "1 while the bureau is connected to the hub")
            .with_callback(move |gauge| gauge.observe(u64::from(states.borrow().connected), &[]))
            .build(),
    ]
}
