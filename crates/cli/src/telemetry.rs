//! What a service tells about itself, by flags: the same for a hub, a bureau and a console.

use clap::Args;
use toml::Table;

use crate::services::put;

#[derive(Debug, Default, Args)]
pub(crate) struct TelemetryArgs {
    /// What is logged: info, debug, or directives such as info,i247_hub=debug
    #[arg(long, value_name = "LEVEL")]
    telemetry_level: Option<String>,
    /// How logs are written: text or json
    #[arg(long, value_name = "FORMAT")]
    telemetry_format: Option<String>,
    /// The collector that takes spans and metrics, such as http://127.0.0.1:4317
    #[arg(long, value_name = "URL")]
    telemetry_otlp: Option<String>,
    /// Where Prometheus may ask; a port alone is for this machine alone
    #[arg(long, value_name = "[HOST:]PORT")]
    telemetry_metrics: Option<String>,
}

impl TelemetryArgs {
    /// Puts the flags that were given under the key `telemetry` of a configuration.
    pub(crate) fn put(&self, flags: &mut Table) {
        let mut telemetry = Table::new();
        put(&mut telemetry, "level", self.telemetry_level.clone());
        put(&mut telemetry, "format", self.telemetry_format.clone());
        put(&mut telemetry, "otlp", self.telemetry_otlp.clone());
        put(&mut telemetry, "metrics", self.telemetry_metrics.clone());
        if !telemetry.is_empty() {
            flags.insert("telemetry".into(), telemetry.into());
        }
    }
}
