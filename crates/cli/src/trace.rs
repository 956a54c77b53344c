//! The trace of one command, for whoever has a collector. Nodes export theirs by their own configuration.

use i247_node::{Telemetry, TelemetryConfig};
use tracing::{Instrument as _, Span};

use crate::args::Command;
use crate::fail::Fail;
use crate::session::Session;

/// Where the collector is, by the name that OpenTelemetry gives it, such as `http://127.0.0.1:4317`.
pub(crate) const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What a command exports: one span, above all that it causes on the network.
pub(crate) struct Trace {
    telemetry: Option<Telemetry>,
    span: Span,
}

impl Trace {
    /// Begins; without a collector, and for what runs nodes of its own, there is nothing to export.
    ///
    /// # Errors
    /// When the collector's address is none.
    pub(crate) async fn begin(command: &Command, session: &Session) -> Result<Self, Fail> {
        let nodes =
            matches!(command, Command::Hub(_) | Command::Bureau(_) | Command::Console(_) | Command::Demo(_));
        let collector = std::env::var(COLLECTOR).ok().filter(|url| !url.is_empty() && !nodes);
        let Some(url) = collector else { return Ok(Self { telemetry: None, span: Span::none() }) };
        let config = TelemetryConfig { level: "off".into(), otlp: Some(url), ..TelemetryConfig::default() };
        let started = Telemetry::start(&config, "i247", "command", &*session.seams.network).await;
        let telemetry = started
            .map_err(|error| Fail::because("no trace", &error, "set or unset OTEL_EXPORTER_OTLP_ENDPOINT"))?;
        Ok(Self { telemetry: Some(telemetry), span: tracing::info_span!("command", otel.kind = "client") })
    }

    /// Runs the command, then sends what is to be exported.
    pub(crate) async fn around<T>(self, command: impl Future<Output = T>) -> T {
        let done = command.instrument(self.span).await;
        if let Some(telemetry) = self.telemetry {
            telemetry.stop().await;
        }
        done
    }
}
