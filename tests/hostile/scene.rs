//! The scene of every case: the shipped program as hub and bureau, each in its own process, somebody who means harm, and
//! somebody honest who must not notice.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use i247_model::Identity;
use i247_node::{TlsClock, sleep};
use i247_testkit::{World, WorldError, country, name, program};
use i247_trust::{Credentials, Presented, client_config};
use rustls::ClientConfig;

use crate::line::{Line, PATIENCE};

/// How much memory a process may have gained when a case is over, in KiB.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// Files that a process may have opened for itself since: segments of its log, snapshots.
const FILES_MORE_MAX: usize = 4;

/// How long an honest call may take when a case is over, a new connection included, in milliseconds.
const HONEST_MS_MAX: u128 = 1000;

/// How often somebody honest calls beside what goes on.
const HONEST_EVERY: Duration = Duration::from_millis(50);

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A listener under attack.
pub(crate) struct Target {
    /// `hub`, or the country of the desk.
    pub(crate) node: &'static str,
    pub(crate) address: SocketAddr,
    /// An admitted identity that means harm.
    pub(crate) hostile: Credentials,
    /// Somebody who works here.
    pub(crate) honest: Credentials,
    /// A call that both may make, that takes an empty message and one answer.
    pub(crate) call: &'static str,
    /// One that is for others.
    pub(crate) of_others: &'static str,
    world: Arc<World>,
    process: u32,
    start: Held,
}

/// How long honest calls took, the shortest first.
pub(crate) struct Took(Vec<Duration>);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |hundredth: usize| {
            let nth = (self.0.len() * hundredth).div_ceil(100).saturating_sub(1);
            self.0.get(nth).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
        };
        write!(f, "p50 {:.1} ms, p99 {:.1} ms of {}", ms(50), ms(99), self.0.len())
    }
}

/// What a process holds of the machine.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    sockets: usize,
    files: usize,
    memory_kib: u64,
}

/// A hub and a bureau's desk, ready to be attacked. None where the program is not built.
pub(crate) async fn targets() -> Result<Option<[Target; 2]>, WorldError> {
    let Some(program) = program() else { return Ok(None) };
    let world = Arc::new(Box::pin(World::of(["BR"]).processes(program).start()).await?);
    world.linked("BR").await?;
    let brazil = |seat| Identity::Officer(country("BR"), name(seat));
    let mut hub = Target {
        node: "hub",
        address: world.hub_address().await?,
        hostile: world.credentials(&Identity::Bureau(country("FR"))).await?,
        honest: world.credentials(&Identity::Bureau(country("PT"))).await?,
        call: "/i247.v1.ExchangeService/Statuses",
        of_others: "/i247.v1.MonitorService/Summary",
        process: world.process_id("hub").await.unwrap(),
        start: Held::default(),
        world: world.clone(),
    };
    let mut desk = Target {
        node: "BR",
        address: world.desk_address(country("BR")).await?,
        hostile: world.credentials(&brazil("rogue")).await?,
        honest: world.credentials(&brazil("duty")).await?,
        call: "/i247.v1.DeskService/Report",
        of_others: "/i247.v1.DirectoryService/List",
        process: world.process_id("BR").await.unwrap(),
        start: Held::default(),
        world: world.clone(),
    };
    // What is opened once and stays open is open from here on.
    for target in [&mut hub, &mut desk] {
        target.honest_call().await;
        target.start = target.settled().await;
    }
    Ok(Some([hub, desk]))
}

/// Stops everything, when all was well.
pub(crate) async fn end(targets: [Target; 2]) -> Result<(), WorldError> {
    targets[0].world.stop_all().await
}

impl Target {
    /// TLS as the hostile identity, and as it should be.
    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        self.tls_of(&self.hostile)
    }

    /// TLS under these credentials; whoever answers is believed.
    pub(crate) fn tls_of(&self, credentials: &Credentials) -> Arc<ClientConfig> {
        let time = Arc::new(TlsClock(self.world.seams().clock.clone()));
        let presented = Presented::new(credentials).unwrap();
        client_config(presented, &credentials.root, time, |_| true).unwrap()
    }

    /// A connection of the hostile identity, with preface and settings.
    pub(crate) async fn line(&self) -> Line {
        Line::open(self.address, self.tls()).await.unwrap()
    }

    /// The network around it.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Milliseconds since some moment.
    pub(crate) fn now_ms(&self) -> u128 {
        self.world.seams().clock.monotonic().as_millis()
    }

    /// After a case: an honest call is answered, what the process holds goes back, and both are said.
    pub(crate) async fn recovers(&self, case: &str) {
        self.recovers_within(case, GROWTH_KIB_MAX).await;
    }

    /// The same when the process may hold so much more memory than at the start, in KiB.
    #[expect(clippy::print_stdout, reason = "the figures of the case, shown with --nocapture")]
    pub(crate) async fn recovers_within(&self, case: &str, kib_max: u64) {
        let took_ms = self.honest_call().await;
        let held = self.settled().await;
        let grown = held.memory_kib.saturating_sub(self.start.memory_kib);
        println!(
            "{}: {case}: honest call {took_ms} ms, {grown} KiB more, {} sockets, {} files",
            self.node, held.sockets, held.files
        );
        assert!(took_ms <= HONEST_MS_MAX, "{case}: an honest call at {} took {took_ms} ms", self.node);
        assert!(grown <= kib_max, "{case}: the memory of {} grew by {grown} KiB", self.node);
    }

    /// In the middle of a case: an honest call is answered.
    #[expect(clippy::print_stdout, reason = "the figures of the case, shown with --nocapture")]
    pub(crate) async fn serves_while(&self, case: &str) {
        let took_ms = self.honest_call().await;
        println!("{}: while {case}: honest call {took_ms} ms", self.node);
    }

    /// In the middle of a case: the process has needed so much more memory than at the start at most, in KiB.
    #[expect(clippy::print_stdout, reason = "the figures of the case, shown with --nocapture")]
    pub(crate) fn has_grown_at_most(&self, case: &str, kib_max: u64) {
        let grown = Held::of(self.process).memory_kib.saturating_sub(self.start.memory_kib);
        println!("{}: while {case}: {grown} KiB more", self.node);
        assert!(grown <= kib_max, "while {case} the memory of {} grew by {grown} KiB", self.node);
    }

    /// While this goes on somebody honest calls every 50 ms, over a connection of their own, and is answered each time.
    pub(crate) async fn beside<T>(&self, work: impl Future<Output = T>) -> (T, Took) {
        let over = Cell::new(false);
        let working = async {
            let done = work.await;
            over.set(true);
            done
        };
        let calling = async {
            let mut line = Line::open(self.address, self.tls_of(&self.honest)).await.unwrap();
            let mut took = Vec::new();
            // One more call than fits in, so that none that waits is left out.
            while !over.get() {
                let begun = self.world.seams().clock.monotonic();
                let call = tokio::time::timeout(PATIENCE, line.call(self.call, b"")).await;
                let answer = call.expect("an honest call is answered");
                assert_eq!((answer.http, answer.grpc), (Some(200), Some(0)), "{}: {answer:?}", self.node);
                took.push(self.world.seams().clock.monotonic() - begun);
                sleep(HONEST_EVERY).await;
            }
            took.sort_unstable();
            Took(took)
        };
        tokio::join!(working, calling)
    }

    /// A new connection and one call. How long both took, in milliseconds.
    async fn honest_call(&self) -> u128 {
        let begun = self.now_ms();
        let call = async {
            let mut line = Line::open(self.address, self.tls_of(&self.honest)).await.unwrap();
            line.call(self.call, b"").await
        };
        let answer = tokio::time::timeout(PATIENCE, call).await.expect("an honest call is answered");
        assert_eq!((answer.http, answer.grpc), (Some(200), Some(0)), "{}: {answer:?}", self.node);
        self.now_ms() - begun
    }

    /// Waits until the process holds no more connections than at the start, and no more files than it needs.
    async fn settled(&self) -> Held {
        let waiting = async {
            loop {
                let held = Held::of(self.process);
                let files_max = self.start.files + FILES_MORE_MAX;
                let as_before = held.sockets <= self.start.sockets && held.files <= files_max;
                if self.start.files == 0 || as_before {
                    return held;
                }
                sleep(LOOK).await;
            }
        };
        let late =
            |_| panic!("{}: {:?} open, {:?} at the start", self.node, open_files(self.process), self.start);
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(late)
    }
}

impl Held {
    fn of(process: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory_kib = resident.trim().trim_end_matches(" kB").parse().unwrap();
        let open = open_files(process);
        let sockets = open.iter().filter(|target| target.to_string_lossy().starts_with("socket:")).count();
        Self { sockets, files: open.len() - sockets, memory_kib }
    }
}

/// What a process has open, by the targets of its handles.
fn open_files(process: u32) -> Vec<PathBuf> {
    let handles = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    // One that was closed in between is not open.
    handles.filter_map(|handle| std::fs::read_link(handle.ok()?.path()).ok()).collect()
}
