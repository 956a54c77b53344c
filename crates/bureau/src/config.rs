//! All that can be set at a bureau, with defaults and units. It reads nothing itself.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use i247_model::{CountryCode, Name};
use i247_node::TelemetryConfig;
use i247_node::config::{Period, Size};
use serde::{Deserialize, Serialize};

use crate::policy::{Measure, Policy};

/// Configuration of a bureau: file < environment (`I247_BUREAU_…`) < flags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whose bureau it is: two capital letters. The certificate must name the same country.
    pub country: CountryCode,
    /// Where the desk listens, `host:port`; port 0 takes a free one.
    pub listen: String,
    /// Address of the hub, `host:port`.
    pub hub: String,
    /// The site that the hub's certificate must name: `lyon` for `/gs/hub/lyon`.
    pub site: Name,
    /// Directory of the journal and the attachments.
    pub data: PathBuf,
    /// Directory of the bureau's certificates and keys.
    pub credentials: PathBuf,
    /// The national register, JSON Lines, at most 64 MiB; none, an empty register.
    pub register: Option<PathBuf>,
    /// Whether requests and Red Notices are answered by policy, without an officer.
    pub automatic: bool,
    /// Operations whose requests are left to officers all the same.
    pub left_to_officers: BTreeSet<String>,
    /// Size of a segment of the journal; taken on the disk at once.
    pub segment: Size,
    /// A snapshot is stored after so many entries of the journal, and at every clean stop.
    pub snapshot_entries: u64,
    /// How long each stage may take to stop.
    pub grace: Period,
    /// What the country's law lets a Red Notice do.
    pub policy: Policy,
    /// Logs, metrics and traces.
    pub telemetry: TelemetryConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            country: "FR".parse().expect("a code in the program text"),
            listen: "127.0.0.1:7248".into(),
            hub: "127.0.0.1:7247".into(),
            site: "lyon".parse().expect("a name in the program text"),
            data: "/var/lib/i247/bureau".into(),
            credentials: "/etc/i247/bureau".into(),
            register: None,
            automatic: true,
            left_to_officers: BTreeSet::new(),
            segment: Size(16 * 1024 * 1024),
            snapshot_entries: 100_000,
            grace: Period(Duration::from_secs(5)),
            policy: Policy { red_notice: Measure::WarrantFirst, objection: None },
            telemetry: TelemetryConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back_the_same() {
        let config = Config { register: Some("register.jsonl".into()), ..Config::default() };
        let printed = i247_node::config::print(&config).unwrap();
        let flags = printed.parse().unwrap();
        let read: Config = i247_node::config::load_from(None, "I247_BUREAU_", [], flags).unwrap();
        assert_eq!(read, config);
    }

    #[test]
    fn a_policy_is_set_by_its_name() {
        let variables = [("I247_BUREAU_POLICY__RED_NOTICE".to_owned(), "ARREST_BASIS".to_owned())];
        let read: Config =
            i247_node::config::load_from(None, "I247_BUREAU_", variables, toml::Table::new()).unwrap();
        assert_eq!(read.policy.red_notice, Measure::ArrestBasis);
    }
}
