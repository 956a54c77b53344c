//! What is measured about the hub's work; observed when somebody asks.

use std::sync::Arc;

use opentelemetry::metrics::{Meter, ObservableGauge};

use crate::core::Core;

/// The gauges live as long as what is returned.
pub(crate) fn gauges(meter: &Meter, core: &Arc<Core>) -> [ObservableGauge<u64>; 5] {
    let gauge = |name: &'static str, text: &'static str, read: fn(&Core) -> u64| {
        let core = core.clone();
        meter
            .u64_observable_gauge(name)
            .with_description(text)
            .with_callback(move |gauge| gauge.observe(read(&core), &[]))
            .build()
    };
    [
        gauge("i247.log.end", "entries in the log", |core| core.views().position),
        gauge("i247.messages.open", "messages that are not closed", |core| {
            core.views().state.open_messages().count() as u64
        }),
        gauge("i247.reviews.pending", "notice requests that wait for a reviewer", |core| {
            core.views().state.reviews().count() as u64
        }),
        gauge("i247.links.connected", "bureaus with a live stream", |core| core.links.count() as u64),
        gauge("i247.log.writable", "1 while the log takes entries", |core| {
            u64::from(*core.writable.borrow())
        }),
    ]
}
