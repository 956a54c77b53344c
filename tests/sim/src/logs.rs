//! What nodes log, with simulated times. Nothing is logged unless it was asked for.

use std::fmt;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Simulated seconds since the beginning.
struct Simulated;

impl FormatTime for Simulated {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:9.3}", turmoil::sim_elapsed().unwrap_or_default().as_secs_f64())
    }
}

/// Takes the logs of the process, so that no node does.
pub(crate) fn start(level: Option<&str>) {
    let filter = EnvFilter::new(level.unwrap_or("off"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(Simulated)
        .with_ansi(false)
        .with_writer(std::io::stderr);
    // Nobody was before us.
    drop(logs.try_init());
}
