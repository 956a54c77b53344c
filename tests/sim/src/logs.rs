//! What nodes log, with simulated times. Nothing is logged unless it was asked for; what no API tells is heard anyway.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, registry};

/// What the hub says with a full disk: how many messages it had decided behind those for which there was no room.
const DECIDED_AHEAD: &str = "decided_ahead";

/// Simulated seconds since the beginning.
struct Simulated;

impl FormatTime for Simulated {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:9.3}", turmoil::sim_elapsed().unwrap_or_default().as_secs_f64())
    }
}

/// What was heard of all nodes. Clones hear the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<AtomicU64>);

impl Heard {
    /// How many messages were taken back since this was asked last: decided behind a group for which there was no room.
    pub(crate) fn taken_back(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Heard {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == DECIDED_AHEAD {
            self.0.fetch_add(value, Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

/// Takes the logs of the process, so that no node does.
pub(crate) fn start(level: Option<&str>) -> Heard {
    let heard = Heard::default();
    let shown = tracing_subscriber::fmt::layer()
        .with_timer(Simulated)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .with_filter(EnvFilter::new(level.unwrap_or("off")));
    // Nobody was before us.
    drop(registry().with(shown).with(heard.clone().with_filter(LevelFilter::ERROR)).try_init());
    heard
}
