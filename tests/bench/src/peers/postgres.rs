//! PostgreSQL: a durable queue table, `synchronous_commit=on`, TLS with client certificates.
//!
//! Point to point is the insert of a message and its queue row, and nothing else: nobody fetches it. Fan-out is the
//! insert of a message with a row for each recipient, and then every recipient's fetch and delete.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::try_join_all;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::certs::{CLIENT, Certs};
use crate::contender::{Contender, Place, Task};
use crate::flight::Flight;
use crate::measure::{Measured, Setting, Work};
use crate::peers::{payload, supply};
use crate::process::{Server, Stopwatch, free_port};

/// Its name among the contenders.
pub(crate) const NAME: &str = "postgresql";

/// Where Debian keeps programs that are not for everybody's path.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Connections of the recipients of a fan-out; each asks for several of them at once.
const FETCHING: usize = 8;

const TABLES: &str = "
    create table message (id bigserial primary key, body bytea not null);
    create table queue (recipient int not null, message bigint not null, primary key (recipient, message));";
const INSERT: &str = "with m as (insert into message (body) values ($1) returning id)
    insert into queue select 0, id from m";
const INSERT_ALL: &str = "with m as (insert into message (body) values ($1) returning id)
    insert into queue select r, m.id from m, generate_series(1, $2::int) r";
const FETCH: &str = "with q as (delete from queue where recipient = $1 returning message)
    select m.id, m.body from q join message m on m.id = q.message";

/// Where the programs are, the newest version first.
pub(crate) fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir(DEBIAN).ok()?.flatten().map(|entry| entry.path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions.pop()
}

/// One server.
pub(crate) struct Postgres {
    bin: PathBuf,
    place: Place,
    certs: Certs,
    running: Option<Running>,
}

struct Running {
    server: Server,
    port: u16,
    clients: Vec<Arc<Client>>,
    /// What drives the connections.
    _tasks: JoinSet<()>,
}

impl Postgres {
    pub(crate) fn new(bin: PathBuf, place: &Place, certs: &Certs) -> Self {
        Self { bin, place: place.clone(), certs: certs.clone(), running: None }
    }

    fn dir(&self) -> PathBuf {
        self.place.dir.join(NAME)
    }

    /// A program of the server, under a user that it accepts: not root.
    fn program(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        if !rustix::process::geteuid().is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
        command
    }

    async fn create(&self) -> Result<()> {
        let dir = self.dir();
        crate::machine::empty(&dir)?;
        for (from, to) in [("server.pem", "server.pem"), ("server.key", "server.key"), ("ca.pem", "ca.pem")] {
            std::fs::copy(self.certs.dir().join(from), dir.join(to))?;
        }
        owned_by_server(&dir).await?;
        let mut initdb = self.program("initdb");
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--username", CLIENT, "--pgdata"]);
        let made = initdb.arg(dir.join("data")).output().await.context("initdb")?;
        if !made.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
        }
        std::fs::write(dir.join("data/pg_hba.conf"), "hostssl all all 127.0.0.1/32 cert\n")?;
        Ok(())
    }

    async fn connect(&mut self, count: usize) -> Result<()> {
        let tls = MakeRustlsConnect::new(self.certs.client()?);
        let running = self.running.as_mut().context("no server runs")?;
        while running.clients.len() < count {
            let (client, task) = connect(running.port, tls.clone()).await?;
            running._tasks.spawn(task);
            running.clients.push(Arc::new(client));
        }
        Ok(())
    }

    /// So many connections, made when they are not there yet.
    ///
    /// # Errors
    /// When no server runs.
    pub(crate) async fn clients(&mut self, count: usize) -> Result<Vec<Arc<Client>>> {
        self.connect(count).await?;
        let running = self.running.as_ref().context("no server runs")?;
        Ok(running.clients[..count].to_vec())
    }

    /// The server's process, while it runs.
    pub(crate) fn process(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.server.id())
    }

    async fn inserts(&mut self, task: &Task) -> Result<Measured> {
        let connections = task.setting.in_flight;
        self.connect(connections).await?;
        let running = self.running.as_ref().context("no server runs")?;
        let each = supply(task, 1) / connections;
        let mut statements = Vec::new();
        for client in &running.clients[..connections] {
            statements.push(client.prepare(INSERT).await?);
        }
        let lanes = vec![(1, each, 1); connections];
        let flight = Arc::new(Flight::new(self.place.clock.clone(), 1, &lanes));
        let stopwatch = Stopwatch::start(Some(running.server.id()));
        let until = flight.begun() + Duration::from_secs_f64(task.seconds);
        let mut sending = JoinSet::new();
        for (nth, (client, insert)) in running.clients.iter().cloned().zip(statements).enumerate() {
            let flight = flight.clone();
            sending.spawn(async move { send(nth, &client, &insert, each, &flight, until).await });
        }
        let mut sent = 0;
        while let Some(done) = sending.join_next().await {
            sent += done?;
        }
        let cpu = stopwatch.stop();
        let stored: i64 = running.clients[0].query_one("select count(*) from queue", &[]).await?.get(0);
        flight.stored(u64::try_from(stored)?);
        flight.confirmed(sent);
        Ok(flight.measured(sent, cpu))
    }

    async fn fan_out(&mut self, task: &Task) -> Result<Measured> {
        self.connect(FETCHING + 1).await?;
        let running = self.running.as_ref().context("no server runs")?;
        let recipients = self.place.countries - 1;
        let insert = running.clients[0].prepare(INSERT_ALL).await?;
        let mut fetching: Vec<(Arc<Client>, Statement)> = Vec::new();
        for client in &running.clients[1..=FETCHING] {
            fetching.push((client.clone(), client.prepare(FETCH).await?));
        }
        let lanes = [(1, supply(task, recipients), task.setting.in_flight)];
        let flight = Flight::new(self.place.clock.clone(), u32::try_from(recipients)?, &lanes);
        let stopwatch = Stopwatch::start(Some(running.server.id()));
        let until = flight.begun() + Duration::from_secs_f64(task.seconds);
        let count = i32::try_from(recipients)?;
        let mut sent = 0;
        while flight.open(until) {
            // A batch of notices, then everybody fetches what there is.
            let mut inserts = Vec::new();
            let first = sent;
            for _ in 0..task.setting.in_flight {
                if !flight.send(0, usize::try_from(sent)?, until).await {
                    break;
                }
                sent += 1;
                let (client, insert, body) = (&running.clients[0], &insert, payload(0, sent));
                inserts.push(async move { client.execute(insert, &[&&body[..], &count]).await });
            }
            flight.stored(try_join_all(inserts).await?.len() as u64);
            let fetch = fetching.iter().cycle().zip(1..=count);
            let fetches = fetch.map(|((client, fetch), recipient)| {
                let flight = &flight;
                async move {
                    let fetched = client.query(fetch, &[&recipient]).await?;
                    // Numbers of messages are those of the table, which began before this measurement.
                    for nth in 0..fetched.len() as u64 {
                        flight.received(0, first + nth + 1);
                    }
                    flight.confirmed(fetched.len() as u64);
                    anyhow::Ok(())
                }
            });
            try_join_all(fetches).await?;
        }
        let cpu = stopwatch.stop();
        Ok(flight.measured(sent, cpu))
    }
}

/// Inserts, one after the other.
async fn send(
    nth: usize,
    client: &Client,
    insert: &Statement,
    count: usize,
    flight: &Flight,
    until: Duration,
) -> u64 {
    let mut sent = 0;
    while (sent as usize) < count && flight.open(until) && flight.send(nth, sent as usize, until).await {
        sent += 1;
        let body = payload(nth, sent);
        match client.execute(insert, &[&&body[..]]).await {
            Ok(_) => flight.received(nth, sent),
            Err(error) => flight.spoil(|| format!("not stored: {error}")),
        }
    }
    sent
}

async fn connect(
    port: u16,
    tls: MakeRustlsConnect,
) -> Result<(Client, impl Future<Output = ()> + Send + 'static)> {
    let parameters = format!("host=127.0.0.1 port={port} user={CLIENT} dbname=postgres sslmode=require");
    let (client, connection) = tokio_postgres::connect(&parameters, tls).await?;
    // How it ended is seen by whoever asks next.
    Ok((client, async { drop(connection.await) }))
}

#[tonic::async_trait(?Send)]
impl Contender for Postgres {
    fn name(&self) -> &'static str {
        NAME
    }

    fn settings(&self, work: Work, quick: bool) -> Vec<Setting> {
        let of = |counts: &[usize], how| counts.iter().map(|n| Setting::of(*n, how)).collect();
        match (work, quick) {
            (Work::PointToPoint, true) => of(&[128], "connections"),
            (Work::PointToPoint, false) => of(&[1, 16, 64, 128], "connections"),
            (Work::FanOut, true) => of(&[1, 64], ""),
            (Work::FanOut, false) => of(&[1, 4, 16, 64], ""),
            _ => Vec::new(),
        }
    }

    async fn begin(&mut self) -> Result<()> {
        self.create().await?;
        let port = free_port()?;
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.dir().join("data"));
        for setting in settings(&self.dir(), port) {
            command.arg("-c").arg(setting);
        }
        let log = self.dir().join("log.txt");
        let mut server = Server::start(command, &log).context("postgres")?;
        let tls = MakeRustlsConnect::new(self.certs.client()?);
        let (client, task) = server.ready(async || connect(port, tls.clone()).await.ok()).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        client.batch_execute(TABLES).await?;
        self.running = Some(Running { server, port, clients: vec![Arc::new(client)], _tasks: tasks });
        Ok(())
    }

    async fn measure(&mut self, task: &Task) -> Result<Measured> {
        let running = self.running.as_ref().context("no server runs")?;
        running.clients[0].batch_execute("truncate message, queue").await?;
        match task.work {
            Work::PointToPoint => self.inserts(task).await,
            Work::FanOut => self.fan_out(task).await,
            other => bail!("no messages: {other:?}"),
        }
    }

    async fn end(&mut self) -> Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        drop(running.clients);
        drop(running._tasks);
        running.server.stop().await.context("postgres")?;
        Ok(std::fs::remove_dir_all(self.dir().join("data"))?)
    }
}

/// As shipped, but for what the comparison asks for and for room enough.
fn settings(dir: &Path, port: u16) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".into(),
        "unix_socket_directories=".into(),
        "max_connections=200".into(),
        "synchronous_commit=on".into(),
        "fsync=on".into(),
        "shared_buffers=1GB".into(),
        "max_wal_size=8GB".into(),
        "ssl=on".into(),
        "ssl_min_protocol_version=TLSv1.3".into(),
        format!("ssl_cert_file={}", file("server.pem")),
        format!("ssl_key_file={}", file("server.key")),
        format!("ssl_ca_file={}", file("ca.pem")),
    ]
}

/// Hands the directory to the user that the server runs under.
async fn owned_by_server(dir: &Path) -> Result<()> {
    let mut chmod = Command::new("chmod");
    chmod.arg("600").arg(dir.join("server.key")).status().await?;
    if rustix::process::geteuid().is_root() {
        let mut chown = Command::new("chown");
        chown.args(["-R", "postgres:postgres"]).arg(dir).status().await?;
    }
    Ok(())
}

/// The version, and what it is set to.
pub(crate) fn version(bin: &Path) -> String {
    let version = crate::machine::said(&bin.join("postgres").display().to_string(), &["--version"]);
    format!("{version}; synchronous_commit=on, fsync=on, shared_buffers=1GB, max_wal_size=8GB")
}
