//! What is measured about the hub's work: counters where it happens, gauges when somebody asks.

use std::sync::Arc;

use i247_model::{Kind, Reason};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, ObservableGauge};

use crate::core::Core;

/// The gauges live as long as what is returned.
pub(crate) fn gauges(meter: &Meter, core: &Arc<Core>) -> [ObservableGauge<u64>; 8] {
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
        gauge("i247.history.position", "up to which entry history is on disk", |core| {
            core.views().history.runs().end().0
        }),
        gauge("i247.history.runs", "files that history on disk consists of", |core| {
            core.views().history.runs().count() as u64
        }),
        gauge("i247.history.held", "rows of history in memory", |core| core.views().history.held() as u64),
        gauge("i247.reviews.pending", "notice requests that wait for a reviewer", |core| {
            core.views().state.reviews().count() as u64
        }),
        gauge("i247.links.connected", "bureaus with a live stream", |core| core.links.count() as u64),
        gauge("i247.log.writable", "1 while the log takes entries", |core| {
            u64::from(*core.writable.borrow())
        }),
    ]
}

/// Counters of the pipeline. Their labels are kinds and reasons, of which there is a fixed number.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    accepted: Counter<u64>,
    refused: Counter<u64>,
    receipts: Counter<u64>,
    unreadable: Counter<u64>,
    enumerated: Counter<u64>,
    group: Histogram<u64>,
}

impl Counters {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            accepted: meter
                .u64_counter("i247.messages.accepted")
                .with_description("messages accepted")
                .build(),
            refused: meter
                .u64_counter("i247.messages.refused")
                .with_description("submissions refused")
                .build(),
            receipts: meter.u64_counter("i247.receipts").with_description("frames of receipts").build(),
            unreadable: meter
                .u64_counter("i247.log.unreadable")
                .with_description(
                    "entries and bodies that were found damaged or unreadable while they were served",
                )
                .build(),
            enumerated: meter
                .u64_counter("i247.searches.enumerated")
                .with_description("how often somebody asked about one number after the other")
                .build(),
            group: meter
                .u64_histogram("i247.log.group")
                .with_description("entries written with one sync")
                .with_boundaries(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
                .build(),
        }
    }

    pub(crate) fn accepted(&self, kind: Kind) {
        self.accepted.add(1, &[KeyValue::new("kind", kind.as_str())]);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.refused.add(1, &[KeyValue::new("reason", reason.as_str())]);
    }

    pub(crate) fn receipts(&self) {
        self.receipts.add(1, &[]);
    }

    pub(crate) fn unreadable(&self, part: &'static str) {
        self.unreadable.add(1, &[KeyValue::new("part", part)]);
    }

    pub(crate) fn enumerated(&self) {
        self.enumerated.add(1, &[]);
    }

    pub(crate) fn group(&self, entries: usize) {
        self.group.record(entries as u64, &[]);
    }
}
