//! All that can be set at a hub, with defaults and units. It reads nothing itself.

use std::path::PathBuf;
use std::time::Duration;

use i247_model::Name;
use i247_node::TelemetryConfig;
use i247_node::config::Period;
use serde::{Deserialize, Serialize};

use crate::budgets::Limit;

/// Configuration of a hub: file < environment (`I247_HUB_…`) < flags.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens, `host:port`; port 0 takes a free one.
    pub listen: String,
    /// Directory of the log, the snapshots and the attachments.
    pub data: PathBuf,
    /// Directory of the hub's certificates and keys.
    pub credentials: PathBuf,
    /// The site that the certificate must name: `lyon` for `/gs/hub/lyon`.
    pub site: Name,
    /// How many envelopes a bureau may have under way without a result.
    pub window: u32,
    /// Envelopes and frames of receipts a second that one member may send; two seconds' worth at once, more waits.
    /// An envelope counts once, whoever it is for.
    pub submissions_per_second: u32,
    /// Keys a second that one member may ask the databases for; two seconds' worth at once, then it is refused.
    pub searches_per_second: u32,
    /// Keys a minute that all of a country may ask the databases for, its bureau and its posts together.
    pub country_keys_per_minute: u32,
    /// The same for a day (UTC).
    pub country_keys_per_day: u64,
    /// Offline copies are published when somebody asks for one and the last publication is so old.
    pub copy_every: Period,
    /// Bytes of attachments that one member may have here, whole or begun, that no message names yet.
    pub attachment_bytes: u64,
    /// An attachment that no message names is removed when nothing has happened to it for so long, or for up to twice
    /// so long.
    pub attachment_unnamed: Period,
    /// Receipts wait so long for the next group; they never force a flush.
    pub receipts_wait: Period,
    /// States of a fan-out are folded together over so much time.
    pub progress_wait: Period,
    /// A snapshot is stored after so many entries and four more for each open message, and at every clean stop.
    pub snapshot_entries: u64,
    /// It is stored before when so many rows of history are in memory, of about 100 bytes each: eight for a message, and
    /// one for each of its recipients, for each delivery and for each receipt. While they are written, as many more
    /// may come.
    pub history_rows: usize,
    /// Size of a segment of the log, in bytes.
    pub segment_bytes: u64,
    /// How long open work may go on once the hub was asked to stop.
    pub grace: Period,
    /// Logs, metrics and traces.
    pub telemetry: TelemetryConfig,
}

impl Config {
    /// What all of a country may ask about together.
    pub(crate) fn country_limit(&self) -> Limit {
        Limit { per_minute: self.country_keys_per_minute, per_day: self.country_keys_per_day }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7247".into(),
            data: "/var/lib/i247/hub".into(),
            credentials: "/etc/i247/hub".into(),
            site: "lyon".parse().expect("a name in the program text"),
            window: 64,
            submissions_per_second: 5000,
            searches_per_second: 50_000,
            country_keys_per_minute: 600_000_000,
            country_keys_per_day: 100_000_000_000,
            copy_every: Period(Duration::from_secs(15 * 60)),
            attachment_bytes: 1024 * 1024 * 1024,
            attachment_unnamed: Period(Duration::from_secs(24 * 60 * 60)),
            receipts_wait: Period(Duration::from_millis(20)),
            progress_wait: Period(Duration::from_millis(50)),
            snapshot_entries: 100_000,
            history_rows: 1_000_000,
            segment_bytes: 64 * 1024 * 1024,
            grace: Period(Duration::from_secs(5)),
            telemetry: TelemetryConfig::default(),
        }
    }
}
