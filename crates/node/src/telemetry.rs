//! What a node tells about itself: logs on standard error, spans and metrics by OTLP, metrics as a page.
//!
//! It never stands in the way of traffic. Spans wait in a bounded queue; when the collector is away they are thrown
//! away, counted (`i247.telemetry.spans_lost`), with one warning when it begins and one line when it ends. Exporting
//! runs on threads of the OpenTelemetry SDK.
//!
//! Several nodes may live in one process: metrics are each node's own, never a global. Logs and spans are the
//! process's: the first node that starts decides how they are written, the others join in.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::metrics::{Meter, MeterProvider as _, ObservableCounter};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    MetricExporter, RetryPolicy, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter as Exporter,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::calls;
use crate::metrics_page;
use crate::net::Network;

/// What is told, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TelemetryConfig {
    /// What is logged: `info`, `debug`, or directives such as `info,i247_hub=debug`.
    pub level: String,
    /// How logs are written.
    pub format: LogFormat,
    /// The collector that takes spans and metrics by OTLP over gRPC, such as `http://127.0.0.1:4317`; none, no export.
    pub otlp: Option<String>,
    /// Where `GET /metrics` is answered, such as `10.0.0.1:9247`; a port alone is this machine's own, `127.0.0.1`. None,
    /// nowhere.
    pub metrics: Option<String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text, otlp: None, metrics: None }
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people; coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why a node cannot tell anything.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none.
    #[error("level {level:?} is not a level or a list of directives such as info,i247_hub=debug")]
    Level {
        /// What stood there.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The collector's address is none.
    #[error("otlp {endpoint:?} is not an address such as http://127.0.0.1:4317")]
    Collector {
        /// What stood there.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The metrics page cannot be served there.
    #[error("metrics: cannot listen at {address}")]
    Metrics {
        /// Where.
        address: String,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// The metrics cannot be turned into a page.
    #[error("metrics: the exporter does not start")]
    Exporter(#[source] opentelemetry_sdk::error::OTelSdkError),
}

/// A node's telemetry, as long as it lives.
#[derive(Debug)]
pub struct Telemetry {
    meters: SdkMeterProvider,
    /// Only with the node that set up the process's logs, and only when spans are exported.
    tracers: Option<SdkTracerProvider>,
    metrics_address: Option<SocketAddr>,
    /// Whether anybody reads the instruments.
    measured: bool,
    _page: Option<DropGuard>,
    _lost: Option<ObservableCounter<u64>>,
}

/// How long one export may take.
const EXPORT_DEADLINE: Duration = Duration::from_secs(3);
/// How often metrics are pushed.
const PUSH_INTERVAL: Duration = Duration::from_secs(10);
/// How many spans wait for the collector at most.
const SPANS_WAITING: usize = 8192;
/// Whose spans are exported: ours, not those of the libraries that export them.
const OURS: &str = "i247";

impl Telemetry {
    /// Starts telling: `program` is the kind of node (`i247-hub`), `instance` which one (`lyon`).
    ///
    /// It must be called within a tokio runtime, which then carries the exports.
    pub async fn start(
        config: &TelemetryConfig,
        program: &'static str,
        instance: &str,
        network: &dyn Network,
    ) -> Result<Self, TelemetryError> {
        let resource = Resource::builder_empty()
            .with_service_name(program)
            .with_attribute(opentelemetry::KeyValue::new("service.instance.id", instance.to_owned()))
            .build();
        let lost = Arc::new(AtomicU64::new(0));
        let tracers = start_logs(config, &resource, &lost)?;
        let mut meters = SdkMeterProvider::builder().with_resource(resource);
        if let Some(endpoint) = &config.otlp {
            let exporter = MetricExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .with_timeout(EXPORT_DEADLINE)
                .with_retry_policy(RetryPolicy::disabled())
                .build()
                .map_err(|source| TelemetryError::Collector { endpoint: endpoint.clone(), source })?;
            meters = meters.with_reader(
                PeriodicReader::builder(Counted::new(exporter, "metrics", Arc::default()))
                    .with_interval(PUSH_INTERVAL)
                    .build(),
            );
        }
        let mut page = None;
        let mut metrics_address = None;
        if let Some(address) = &config.metrics {
            let registry = prometheus::Registry::new();
            let exporter = opentelemetry_prometheus::exporter()
                .with_registry(registry.clone())
                .scope_info_enabled(false);
            meters = meters.with_reader(exporter.build().map_err(TelemetryError::Exporter)?);
            let address = &own_when_a_port(address);
            let listener = network
                .listen(address)
                .await
                .map_err(|source| TelemetryError::Metrics { address: address.clone(), source })?;
            metrics_address = Some(listener.address());
            let stop = CancellationToken::new();
            tokio::spawn(stop.clone().run_until_cancelled_owned(metrics_page::serve(listener, registry)));
            page = Some(stop.drop_guard());
        }
        let meters = meters.build();
        let measured = config.otlp.is_some() || config.metrics.is_some();
        let lost = measured.then(|| {
            meters
                .meter(OURS)
                .u64_observable_counter("i247.telemetry.spans_lost")
                .with_callback(move |observer| observer.observe(lost.load(Ordering::Relaxed), &[]))
                .build()
        });
        Ok(Self { meters, tracers, metrics_address, measured, _page: page, _lost: lost })
    }

    /// Where this node's instruments come from. Without export and page they do nothing.
    pub fn meter(&self) -> Meter {
        if self.measured { self.meters.meter(OURS) } else { NoopMeterProvider::new().meter(OURS) }
    }

    /// Where the metrics page is, if it is served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Sends what is still waiting, for at most three seconds.
    pub async fn stop(self) {
        if !self.measured && self.tracers.is_none() {
            return;
        }
        let flush = tokio::task::spawn_blocking(move || {
            // What cannot be sent now is lost; the process ends.
            drop(self.tracers.map(|tracers| tracers.shutdown_with_timeout(EXPORT_DEADLINE)));
            drop(self.meters.shutdown_with_timeout(EXPORT_DEADLINE));
        });
        drop(tokio::time::timeout(EXPORT_DEADLINE, flush).await);
    }
}

/// A port alone is one of this machine for this machine: who wants others to ask says where.
fn own_when_a_port(address: &str) -> String {
    if address.parse::<u16>().is_ok() { format!("127.0.0.1:{address}") } else { address.to_owned() }
}

/// Sets up logs and spans for the process, unless a node before did.
fn start_logs(
    config: &TelemetryConfig,
    resource: &Resource,
    lost: &Arc<AtomicU64>,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    // The SDK's own news are of no use to an operator; its warnings are (a full queue).
    let level = EnvFilter::try_new(format!("opentelemetry_sdk=warn,{}", config.level))
        .map_err(|source| TelemetryError::Level { level: config.level.clone(), source })?;
    if dispatcher::has_been_set() {
        return Ok(None);
    }
    let to_stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let logs = match config.format {
        LogFormat::Text => to_stderr.with_filter(level).boxed(),
        LogFormat::Json => to_stderr.json().with_filter(level).boxed(),
    };
    let tracers = match &config.otlp {
        Some(endpoint) => Some(tracers(endpoint, resource, lost)?),
        None => None,
    };
    let spans = tracers.as_ref().map(|tracers| {
        let ours = Targets::new()
            .with_target(OURS, LevelFilter::INFO)
            .with_target(calls::TARGET, LevelFilter::DEBUG);
        tracing_opentelemetry::layer().with_tracer(tracers.tracer(OURS)).with_filter(ours)
    });
    let subscriber = Registry::default().with(logs).with(spans);
    // Another node may have been faster just now; then it has the logs.
    let set = dispatcher::set_global_default(Dispatch::new(subscriber));
    Ok(tracers.filter(|_| set.is_ok()))
}

fn tracers(
    endpoint: &str,
    resource: &Resource,
    lost: &Arc<AtomicU64>,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_DEADLINE)
        .with_retry_policy(RetryPolicy::disabled())
        .build()
        .map_err(|source| TelemetryError::Collector { endpoint: endpoint.to_owned(), source })?;
    let counted = Counted::new(exporter, "spans", lost.clone());
    let waiting = BatchConfigBuilder::default().with_max_queue_size(SPANS_WAITING).build();
    let processor = BatchSpanProcessor::builder(counted).with_batch_config(waiting).build();
    Ok(SdkTracerProvider::builder().with_resource(resource.clone()).with_span_processor(processor).build())
}

/// An exporter whose failures are counted, and told once.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    what: &'static str,
    lost: Arc<AtomicU64>,
    /// Since the collector was last there.
    lost_now: AtomicU64,
}

impl<E> Counted<E> {
    fn new(exporter: E, what: &'static str, lost: Arc<AtomicU64>) -> Self {
        Self { exporter, what, lost, lost_now: AtomicU64::new(0) }
    }

    /// Always `Ok`: the SDK would tell a failure again for every batch.
    fn count(&self, number: u64, result: OTelSdkResult) -> OTelSdkResult {
        match result {
            Ok(()) => {
                let lost = self.lost_now.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::info!(what = self.what, lost, "the collector is back");
                }
            }
            Err(error) => {
                self.lost.fetch_add(number, Ordering::Relaxed);
                if self.lost_now.fetch_add(number, Ordering::Relaxed) == 0 {
                    let what = self.what;
                    tracing::warn!(what, %error, "the collector is away; what it misses is counted and thrown away");
                }
            }
        }
        Ok(())
    }
}

impl<E: Exporter> Exporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        self.count(spans, self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Counted<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.count(1, self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
