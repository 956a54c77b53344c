//! NATS JetStream: file storage, mutual TLS, as shipped or with `sync_interval: always`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions};
use futures::{FutureExt as _, StreamExt as _};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::certs::Certs;
use crate::contender::{Contender, Place, Task};
use crate::flight::Flight;
use crate::measure::{Measured, Setting, Work};
use crate::peers::{payload, read_payload, supply};
use crate::process::{Server, Stopwatch, free_port};

/// The names of the two among the contenders.
pub(crate) const DEFAULT: &str = "nats";
pub(crate) const ALWAYS: &str = "nats-sync-always";

/// Each publisher with a consumer of its own, or all the same one.
const ONE: &str = "";
const FOUR: &str = "over 4 publishers and consumers";
const TWELVE: &str = "over 12 publishers and consumers";
/// Every message acknowledged by itself, or by a later one.
const EXPLICIT: &str = "every message acknowledged";
const CUMULATIVE: &str = "acknowledged cumulatively";

const STREAM: &str = "bench";
/// Messages that are asked for at once.
const BATCH: usize = 512;
/// How long the last acknowledgements may take to arrive.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// One server.
pub(crate) struct Nats {
    name: &'static str,
    program: PathBuf,
    place: Place,
    certs: Certs,
    running: Option<Running>,
}

struct Running {
    server: Server,
    url: String,
    /// One connection for each party, kept for the round.
    clients: Vec<Client>,
}

impl Nats {
    pub(crate) fn new(always: bool, program: &Path, place: &Place, certs: &Certs) -> Self {
        let name = if always { ALWAYS } else { DEFAULT };
        Self { name, program: program.to_owned(), place: place.clone(), certs: certs.clone(), running: None }
    }

    fn config(&self, dir: &Path, port: u16) -> String {
        let sync = if self.name == ALWAYS { "sync_interval: always" } else { "" };
        format!(
            "host: 127.0.0.1\nport: {port}\njetstream {{\n  store_dir: \"{}\"\n  max_file_store: 50GB\n  {sync}\n}}\n\
             tls {{\n  cert_file: \"{}\"\n  key_file: \"{}\"\n  ca_file: \"{}\"\n  verify: true\n}}\n",
            dir.display(),
            self.certs.certificate("server").display(),
            self.certs.key("server").display(),
            self.certs.ca().display(),
        )
    }

    /// Connections until there are so many.
    async fn connect(&mut self, count: usize) -> Result<()> {
        let tls = self.certs.client()?;
        let running = self.running.as_mut().context("no server runs")?;
        while running.clients.len() < count {
            running.clients.push(client(&running.url, tls.clone()).await?);
        }
        Ok(())
    }
}

async fn client(url: &str, tls: rustls::ClientConfig) -> Result<Client> {
    Ok(ConnectOptions::new().require_tls(true).tls_client_config(tls).connect(url).await?)
}

#[tonic::async_trait(?Send)]
impl Contender for Nats {
    fn name(&self) -> &'static str {
        self.name
    }

    fn settings(&self, work: Work, quick: bool) -> Vec<Setting> {
        let of = |list: &[(usize, &'static str)]| list.iter().map(|(n, how)| Setting::of(*n, how)).collect();
        match (work, quick) {
            (Work::PointToPoint, true) => of(&[(16, ONE), (1024, ONE), (1024, FOUR)]),
            (Work::PointToPoint, false) => of(&[
                (1, ONE),
                (16, ONE),
                (64, ONE),
                (256, ONE),
                (1024, ONE),
                (2048, ONE),
                (4096, ONE),
                (256, FOUR),
                (1024, FOUR),
                (2048, FOUR),
                (1024, TWELVE),
                (2048, TWELVE),
            ]),
            (Work::FanOut, true) => of(&[(1, EXPLICIT), (64, EXPLICIT)]),
            (Work::FanOut, false) => of(&[
                (1, EXPLICIT),
                (4, EXPLICIT),
                (16, EXPLICIT),
                (64, EXPLICIT),
                (1, CUMULATIVE),
                (16, CUMULATIVE),
                (64, CUMULATIVE),
            ]),
            _ => Vec::new(),
        }
    }

    async fn begin(&mut self) -> Result<()> {
        let dir = self.place.dir.join(self.name);
        crate::machine::empty(&dir)?;
        let port = free_port()?;
        let config = dir.join("nats.conf");
        std::fs::write(&config, self.config(&dir.join("store"), port))?;
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&config);
        let mut server = Server::start(command, &dir.join("log.txt")).context("nats-server")?;
        let (url, tls) = (format!("tls://127.0.0.1:{port}"), self.certs.client()?);
        let first = server.ready(async || client(&url, tls.clone()).await.ok()).await?;
        self.running = Some(Running { server, url, clients: vec![first] });
        Ok(())
    }

    async fn measure(&mut self, task: &Task) -> Result<Measured> {
        let fan_out = task.work == Work::FanOut;
        let pairs = match task.setting.how {
            TWELVE => 12,
            FOUR => 4,
            _ => 1,
        };
        let recipients = if fan_out { self.place.countries - 1 } else { 1 };
        let consumers = if fan_out { recipients } else { pairs };
        self.connect(pairs + consumers).await?;
        let running = self.running.as_ref().context("no server runs")?;
        let context = jetstream::new(running.clients[0].clone());
        // Missing the first time.
        let _ = context.delete_stream(STREAM).await;
        let config =
            stream::Config { name: STREAM.into(), subjects: vec!["bench.*".into()], ..Default::default() };
        let stream = context.create_stream(config).await?;

        let each = supply(task, recipients) / pairs;
        let places = (task.setting.in_flight / pairs).max(1);
        let policy = if task.setting.how == CUMULATIVE { AckPolicy::All } else { AckPolicy::Explicit };
        let mut subscribed = Vec::new();
        for (nth, client) in running.clients[pairs..pairs + consumers].iter().enumerate() {
            let context = jetstream::new(client.clone());
            let subject = if fan_out { "bench.0".into() } else { format!("bench.{nth}") };
            subscribed.push(subscribe(&context, nth, subject, policy).await?);
        }
        let lanes = vec![(1, each, places); pairs];
        let recipients = u32::try_from(recipients)?;
        let flight = Arc::new(Flight::new(self.place.clock.clone(), recipients, &lanes));
        let stopwatch = Stopwatch::start(Some(running.server.id()));
        let mut receiving = JoinSet::new();
        for consumer in subscribed.clone() {
            receiving.spawn(receive(consumer, policy, flight.clone()));
        }
        let until = flight.begun() + Duration::from_secs_f64(task.seconds);
        let mut sending = JoinSet::new();
        for (nth, client) in running.clients.iter().take(pairs).enumerate() {
            sending.spawn(publish(jetstream::new(client.clone()), nth, each, flight.clone(), until));
        }
        let mut sent = 0;
        while let Some(done) = sending.join_next().await {
            sent += done?;
        }
        flight.settle(sent, false).await;
        let acknowledged = acknowledged(&mut subscribed, sent * u64::from(recipients)).await?;
        let cpu = stopwatch.stop();
        flight.confirmed(acknowledged);
        drop(stream);
        Ok(flight.measured(sent, cpu))
    }

    async fn end(&mut self) -> Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        drop(running.clients);
        running.server.stop().await.context("nats-server")?;
        Ok(std::fs::remove_dir_all(self.place.dir.join(self.name).join("store"))?)
    }
}

async fn subscribe(
    context: &jetstream::Context,
    nth: usize,
    subject: String,
    policy: AckPolicy,
) -> Result<PullConsumer> {
    let stream = context.get_stream(STREAM).await?;
    let config = pull::Config {
        durable_name: Some(format!("c{nth}")),
        filter_subject: subject,
        ack_policy: policy,
        max_ack_pending: 8192,
        ..Default::default()
    };
    Ok(stream.create_consumer(config).await?)
}

/// Publishes while there are places and time; a second task takes the answers.
async fn publish(
    context: jetstream::Context,
    nth: usize,
    count: usize,
    flight: Arc<Flight>,
    until: Duration,
) -> u64 {
    let (answers, mut answered) = mpsc::unbounded_channel::<jetstream::context::PublishAckFuture>();
    let storing = flight.clone();
    let mut storing_task = JoinSet::new();
    storing_task.spawn(async move {
        while let Some(answer) = answered.recv().await {
            match answer.await {
                Ok(_) => storing.stored(1),
                Err(error) => storing.spoil(|| format!("not stored: {error}")),
            }
        }
    });
    let subject = format!("bench.{nth}");
    let mut sent = 0;
    while (sent as usize) < count && flight.send(nth, sent as usize, until).await {
        sent += 1;
        match context.publish(subject.clone(), payload(nth, sent)).await {
            // Its reader is there for as long as this task.
            Ok(answer) => drop(answers.send(answer)),
            Err(error) => flight.spoil(|| format!("not published: {error}")),
        }
    }
    drop(answers);
    while storing_task.join_next().await.is_some() {}
    sent
}

/// Takes messages until it is dropped.
async fn receive(consumer: PullConsumer, policy: AckPolicy, flight: Arc<Flight>) {
    let result: Result<()> = async {
        let mut messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
        let mut last: Option<jetstream::Message> = None;
        loop {
            let next = match last.take() {
                None => messages.next().await,
                // One acknowledgement when nothing more is there.
                Some(waiting) => match messages.next().now_or_never() {
                    Some(next) => next,
                    None => {
                        waiting.ack().await.map_err(|error| anyhow::anyhow!("{error}"))?;
                        messages.next().await
                    }
                },
            };
            let message = next.context("the stream of messages ended")??;
            let (sender, number) = read_payload(&message.payload);
            flight.received(sender, number);
            if policy == AckPolicy::All {
                last = Some(message);
            } else {
                message.ack().await.map_err(|error| anyhow::anyhow!("{error}"))?;
            }
        }
    }
    .await;
    if let Err(error) = result {
        flight.spoil(|| format!("receiving: {error:#}"));
    }
}

/// What the server knows to be received, once it is all or the time is up.
async fn acknowledged(consumers: &mut [PullConsumer], due: u64) -> Result<u64> {
    let mut waited = Duration::ZERO;
    loop {
        let mut sum = 0;
        for consumer in consumers.iter_mut() {
            sum += consumer.info().await?.ack_floor.consumer_sequence;
        }
        if sum >= due || waited > ACKNOWLEDGED_WITHIN {
            return Ok(sum);
        }
        const LOOK: Duration = Duration::from_millis(20);
        i247_node::sleep(LOOK).await;
        waited += LOOK;
    }
}

/// The version of a server program, and how it is used.
pub(crate) fn version(program: &Path) -> String {
    let version = crate::machine::said(&program.display().to_string(), &["--version"]);
    format!("{version}, JetStream on files; as shipped (synced every two minutes), and sync_interval: always")
}
