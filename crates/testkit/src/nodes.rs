//! The nodes of a world and the lines between them: starting, stopping, and what may befall them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use i247_bureau::policy::{Measure, Policy};
use i247_client::Desk;
use i247_ledger::disk::Disk;
use i247_model::{CountryCode, Identity};
use i247_node::config::{Period, Size};
use i247_node::{LogFormat, Seams, TelemetryConfig};
use i247_trust::Credentials;
use tokio::sync::Mutex;

use crate::error::WorldError;
use crate::pki::{country, name};
use crate::proxy::Proxy;
use crate::running::{Mode, Running, node_dir};
use crate::world::World;

/// The site of every world's hub.
pub(crate) const SITE: &str = "lyon";

/// A bureau in its place: it may run or not.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) credentials: Credentials,
    pub(crate) line: Option<Proxy>,
    pub(crate) cut: AtomicBool,
    pub(crate) disk: std::sync::Mutex<Option<Arc<dyn Disk>>>,
    pub(crate) running: Mutex<Option<Running>>,
    pub(crate) desk: Mutex<Option<SocketAddr>>,
}

/// A second bureau process under the identity of another; it stops when asked.
#[derive(Debug)]
pub struct Twin {
    running: Running,
    /// Its desk.
    pub desk: Desk,
}

impl Twin {
    /// Stops it in order.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(self) -> Result<(), WorldError> {
        self.running.stop().await
    }
}

impl World {
    /// Cuts the line between a bureau and the hub.
    pub fn cut(&self, code: &str) {
        self.set_cut(code, true);
        self.line(code, Proxy::cut);
    }

    /// Ends the cut.
    pub fn heal(&self, code: &str) {
        self.set_cut(code, false);
        self.line(code, Proxy::heal);
    }

    /// Slows the line down.
    pub fn delay(&self, code: &str, delay: Duration) {
        self.line(code, |line| line.delay(delay));
    }

    /// Ends the hub without warning.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn crash_hub(&self) -> Result<(), WorldError> {
        self.take_hub().await?.crash().await;
        Ok(())
    }

    /// Whether the hub has ended by itself, as it does when its log fails.
    pub async fn hub_has_ended(&self) -> bool {
        self.hub.lock().await.as_mut().is_some_and(Running::has_ended)
    }

    /// Waits until the hub has ended by itself, as it does when its log fails.
    ///
    /// # Errors
    /// When it goes on.
    pub async fn hub_ends(&self) -> Result<(), WorldError> {
        self.take_hub().await?.ended().await
    }

    /// Stops the hub in order.
    ///
    /// # Errors
    /// When it does not run, or does not stop.
    pub async fn stop_hub(&self) -> Result<(), WorldError> {
        self.take_hub().await?.stop().await
    }

    /// Puts another disk into the hub before it starts again: that of the next boot.
    pub fn set_hub_disk(&self, disk: Arc<dyn Disk>) {
        *self.hub_disk.lock().unwrap_or_else(PoisonError::into_inner) = Some(disk);
    }

    /// Puts another disk into a bureau before it starts again: that of the next boot.
    ///
    /// # Panics
    /// When the country has no bureau here.
    pub fn set_bureau_disk(&self, code: &str, disk: Arc<dyn Disk>) {
        let placed = self.placed(country(code)).expect("a country of this world");
        *placed.disk.lock().unwrap_or_else(PoisonError::into_inner) = Some(disk);
    }

    /// Starts the hub (again); the lines lead to its new address.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_hub(&self) -> Result<(), WorldError> {
        let dir = node_dir(&self.dir, "hub")?;
        let config = self.hub_config(&dir);
        let running = match &self.builder.mode {
            Mode::InProcess => {
                let seams = self.hub_seams();
                let loaded = Credentials::load(&dir);
                let credentials = loaded.map_err(|error| WorldError::node("credentials", &error))?;
                let start = || Running::hub(config.clone(), credentials.clone(), seams.clone());
                Running::retried(&dir, start).await?
            }
            Mode::Processes(program) => {
                let file = write_config(&dir, &config)?;
                let arguments = ["hub".into(), "--config".into(), file];
                Running::process(program, &dir, &arguments).await?
            }
        };
        for placed in self.bureaus.values() {
            if let Some(line) = &placed.line {
                line.retarget(running.address());
            }
        }
        *self.hub.lock().await = Some(running);
        Ok(())
    }

    /// The hub's settings, with everything in this directory.
    pub(crate) fn hub_config(&self, dir: &Path) -> i247_hub::Config {
        i247_hub::Config {
            listen: "127.0.0.1:0".into(),
            data: dir.join("data"),
            credentials: dir.to_owned(),
            site: name(SITE),
            submissions_per_second: self.builder.submissions_per_second,
            segment_bytes: self.builder.segment_bytes,
            grace: Period(Duration::from_secs(2)),
            telemetry: self.telemetry(),
            ..i247_hub::Config::default()
        }
    }

    /// Where the metrics of a node (`hub` or a country) are; none where they are not served.
    pub async fn metrics_address(&self, node: &str) -> Option<SocketAddr> {
        if node == "hub" {
            return self.hub.lock().await.as_ref()?.metrics();
        }
        let placed = self.bureaus.get(&node.parse().ok()?)?;
        placed.running.lock().await.as_ref()?.metrics()
    }

    /// What the hub runs on: its own clock, and its own disk if it has one.
    pub(crate) fn hub_seams(&self) -> Seams {
        let mut seams = Seams { clock: self.hub_clock.clone(), ..self.seams.clone() };
        if let Some(disk) = &*self.hub_disk.lock().unwrap_or_else(PoisonError::into_inner) {
            seams.disk = disk.clone();
        }
        seams
    }

    /// Ends a bureau without warning.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn crash(&self, code: &str) -> Result<(), WorldError> {
        self.take_bureau(code).await?.crash().await;
        Ok(())
    }

    /// Waits until a bureau has ended by itself, as it does when its journal fails.
    ///
    /// # Errors
    /// When it goes on.
    pub async fn ends(&self, code: &str) -> Result<(), WorldError> {
        self.take_bureau(code).await?.ended().await
    }

    /// Stops a bureau in order.
    ///
    /// # Errors
    /// When it does not run, or does not stop.
    pub async fn stop(&self, code: &str) -> Result<(), WorldError> {
        self.take_bureau(code).await?.stop().await
    }

    /// Starts a bureau (again).
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&self, code: &str) -> Result<(), WorldError> {
        self.start_bureau(country(code)).await
    }

    /// Copies the data of a node that does not run (`hub` or a country), for [`World::restore`].
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn back_up(&self, node: &str) -> Result<PathBuf, WorldError> {
        let data = node_dir(&self.dir, &node.to_lowercase())?.join("data");
        let copy = data.with_extension("copy");
        copy_dir(&data, &copy)?;
        Ok(copy)
    }

    /// Puts an older copy in place of the data of a node that does not run. What it lost is no longer expected of
    /// it.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn restore(&self, node: &str, copy: &Path) -> Result<(), WorldError> {
        let data = node_dir(&self.dir, &node.to_lowercase())?.join("data");
        std::fs::remove_dir_all(&data).map_err(|source| WorldError::file(&data, source))?;
        self.record().lost_data(node.parse().ok());
        copy_dir(copy, &data)
    }

    /// Starts a second process under a bureau's identity, with no data of its own.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn twin(&self, code: &str) -> Result<Twin, WorldError> {
        let code = country(code);
        let dir = node_dir(&self.dir, &format!("{}-twin", code.to_lowercase()))?;
        let placed = self.placed(code)?;
        let credentials = placed.credentials.clone();
        save(&credentials, &dir)?;
        let running = self.run_bureau(code, &dir).await?;
        let officer = self.credentials(&Identity::Officer(code, name("duty"))).await?;
        let channel = self.channel(running.address(), &officer, Identity::Bureau(code))?;
        Ok(Twin { running, desk: Desk::new(channel) })
    }

    /// Where the hub listens.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn hub_address(&self) -> Result<SocketAddr, WorldError> {
        let hub = self.hub.lock().await;
        hub.as_ref().map(Running::address).ok_or_else(|| WorldError::NotRunning("the hub".into()))
    }

    /// Where a desk listens.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn desk_address(&self, code: CountryCode) -> Result<SocketAddr, WorldError> {
        let placed = self.placed(code)?;
        let address = *placed.desk.lock().await;
        address.ok_or_else(|| WorldError::NotRunning(code.to_string()))
    }

    /// The number of the process of a node (`hub` or a country), where nodes are processes of their own and it runs.
    pub async fn process_id(&self, node: &str) -> Option<u32> {
        if node == "hub" {
            return self.hub.lock().await.as_ref().and_then(Running::process_id);
        }
        self.placed(node.parse().ok()?).ok()?.running.lock().await.as_ref().and_then(Running::process_id)
    }

    /// Draws the line between a bureau and the hub.
    pub(crate) async fn place(
        &mut self,
        code: CountryCode,
        disk: Option<Arc<dyn Disk>>,
    ) -> Result<(), WorldError> {
        let line = if self.builder.proxied {
            let hub = self.hub_address().await?;
            Some(Proxy::start(hub).await.map_err(|source| WorldError::file(&self.dir, source))?)
        } else {
            None
        };
        if let Some(placed) = self.bureaus.get_mut(&code) {
            placed.line = line;
            placed.disk = std::sync::Mutex::new(disk);
        }
        Ok(())
    }

    pub(crate) async fn start_bureau(&self, code: CountryCode) -> Result<(), WorldError> {
        let placed = self.placed(code)?;
        let dir = node_dir(&self.dir, &code.to_lowercase())?;
        let running = self.run_bureau(code, &dir).await?;
        *placed.desk.lock().await = Some(running.address());
        *placed.running.lock().await = Some(running);
        Ok(())
    }

    async fn run_bureau(&self, code: CountryCode, dir: &Path) -> Result<Running, WorldError> {
        let placed = self.placed(code)?;
        let disk = placed.disk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let register = dir.join("register.jsonl");
        let lines = self.builder.registers.get(&code).cloned().unwrap_or_default();
        std::fs::write(&register, lines).map_err(|source| WorldError::file(&register, source))?;
        let hub = match &placed.line {
            Some(line) => line.address(),
            None => self.hub_address().await?,
        };
        let red_notice = self.builder.policies.get(&code).copied().unwrap_or(Measure::WarrantFirst);
        let config = i247_bureau::Config {
            country: code,
            listen: "127.0.0.1:0".into(),
            hub: hub.to_string(),
            site: name(SITE),
            data: dir.join("data"),
            credentials: dir.to_owned(),
            register: disk.is_none().then_some(register),
            automatic: self.builder.automatic,
            left_to_officers: self.builder.left_to_officers.get(&code).cloned().unwrap_or_default(),
            segment: Size(self.builder.segment_bytes),
            grace: Period(Duration::from_secs(2)),
            policy: Policy { red_notice, objection: None },
            telemetry: self.telemetry(),
            ..i247_bureau::Config::default()
        };
        match &self.builder.mode {
            Mode::InProcess => {
                let mut seams = self.seams.clone();
                if let Some(disk) = disk {
                    seams.disk = disk;
                }
                if let Some(ahead) = self.builder.clocks_ahead.get(&code) {
                    seams.clock = Arc::new(self.clock.ahead_by(*ahead));
                }
                let loaded = Credentials::load(dir);
                let credentials = loaded.map_err(|error| WorldError::node("credentials", &error))?;
                let start = || Running::bureau(config.clone(), credentials.clone(), seams.clone());
                Running::retried(dir, start).await
            }
            Mode::Processes(program) => {
                let file = write_config(dir, &config)?;
                let arguments = ["bureau".into(), code.to_string(), "--config".into(), file];
                Running::process(program, dir, &arguments).await
            }
        }
    }

    async fn take_hub(&self) -> Result<Running, WorldError> {
        self.hub.lock().await.take().ok_or_else(|| WorldError::NotRunning("the hub".into()))
    }

    async fn take_bureau(&self, code: &str) -> Result<Running, WorldError> {
        let placed = self.placed(country(code))?;
        *placed.desk.lock().await = None;
        placed.running.lock().await.take().ok_or_else(|| WorldError::NotRunning(code.into()))
    }

    pub(crate) fn placed(&self, code: CountryCode) -> Result<&Placed, WorldError> {
        self.bureaus.get(&code).ok_or_else(|| WorldError::NotRunning(code.to_string()))
    }

    fn set_cut(&self, code: &str, cut: bool) {
        if let Some(placed) = self.bureaus.get(&country(code)) {
            placed.cut.store(cut, Ordering::Relaxed);
        }
    }

    fn line(&self, code: &str, act: impl Fn(&Proxy)) {
        let line = self.bureaus.get(&country(code)).and_then(|placed| placed.line.as_ref());
        line.map(act).expect("a country of this world, whose line is not direct");
    }

    fn telemetry(&self) -> TelemetryConfig {
        TelemetryConfig {
            level: self.builder.level.clone(),
            format: LogFormat::Text,
            otlp: self.builder.collector.clone(),
            metrics: self.builder.metrics.then(|| "127.0.0.1:0".into()),
        }
    }
}

pub(crate) fn save(credentials: &Credentials, dir: &Path) -> Result<(), WorldError> {
    credentials.save(dir).map_err(|error| WorldError::node("credentials", &error))
}

fn write_config<T: serde::Serialize>(dir: &Path, config: &T) -> Result<String, WorldError> {
    let text = i247_node::config::print(config).map_err(|error| WorldError::node("configuration", &error))?;
    let file = dir.join("config.toml");
    std::fs::write(&file, text).map_err(|source| WorldError::file(&file, source))?;
    Ok(file.display().to_string())
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), WorldError> {
    let file = |source| WorldError::file(from, source);
    std::fs::create_dir_all(to).map_err(file)?;
    for entry in std::fs::read_dir(from).map_err(file)? {
        let entry = entry.map_err(file)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(file)?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target).map_err(file)?;
        }
    }
    Ok(())
}
