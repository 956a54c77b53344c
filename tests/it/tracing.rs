//! The trace of a message, from the command of an officer to the answer, and what is measured meanwhile, as a collector
//! gets it: real processes export by OTLP to a receiver that is in this test.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use i247_client::{Context, Contexts};
use i247_model::{CountryCode, Identity};
use i247_testkit::{World, WorldError, country, name, program};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// What came, with the service that sent it.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<(String, Span)>>>,
    /// How far each counter had come at the last export, by service and name, over all labels.
    counters: Arc<Mutex<BTreeMap<(String, String), i64>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let mut came = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for of_one in request.into_inner().resource_spans {
            let resource = of_one.resource.unwrap_or_default();
            let service = attribute(&resource.attributes, "service.name");
            let spans = of_one.scope_spans.into_iter().flat_map(|scope| scope.spans);
            came.extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for of_one in request.into_inner().resource_metrics {
            let resource = of_one.resource.unwrap_or_default();
            let service = attribute(&resource.attributes, "service.name");
            for metric in of_one.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                let Some(metric::Data::Sum(sum)) = metric.data else { continue };
                let points = sum.data_points.iter().map(|point| match point.value {
                    Some(number_data_point::Value::AsInt(number)) => number,
                    _ => 0,
                });
                counters.insert((service.clone(), metric.name), points.sum());
            }
        }
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    /// Listens; the server ends with the handle.
    async fn start() -> (Self, String, AbortOnDropHandle<()>) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(incoming);
        let serving = AbortOnDropHandle::new(tokio::spawn(async { server.await.unwrap() }));
        (collector, url, serving)
    }

    fn counter(&self, service: &str, name: &str) -> Option<i64> {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.get(&(service.to_owned(), name.to_owned())).copied()
    }

    fn spans(&self) -> Vec<(String, Span)> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every span below the command that put this message on the network, indented below its parent, in the order of
    /// the alphabet: service, name, what it is about, and for whom or where.
    fn tree(&self, id: &str) -> Vec<String> {
        let spans = self.spans();
        let accept = about(&spans, "accept", id);
        let of_trace: Vec<&(String, Span)> =
            spans.iter().filter(|(_, span)| span.trace_id == accept.trace_id).collect();
        let mut below: BTreeMap<&[u8], Vec<&(String, Span)>> = BTreeMap::new();
        for one in &of_trace {
            below.entry(&one.1.parent_span_id).or_default().push(one);
        }
        let mut lines = Vec::new();
        list(&below, &[], 0, &mut lines);
        assert_eq!(lines.len(), of_trace.len(), "each hangs below the one root: {lines:#?}");
        lines
    }
}

fn list(below: &BTreeMap<&[u8], Vec<&(String, Span)>>, parent: &[u8], depth: usize, lines: &mut Vec<String>) {
    let mut here: Vec<(String, &Span)> = Vec::new();
    for (service, span) in below.get(parent).into_iter().flatten() {
        let id = attribute(&span.attributes, "messaging.message.id");
        let to = attribute(&span.attributes, "messaging.destination.name");
        let at = attribute(&span.attributes, "country");
        let text = format!("{service} {} {id} {to} {at}", span.name);
        here.push((text.split_whitespace().collect::<Vec<_>>().join(" "), span));
    }
    here.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (text, span) in here {
        lines.push(format!("{}{text}", "  ".repeat(depth)));
        list(below, &span.span_id, depth + 1, lines);
    }
}

fn about(spans: &[(String, Span)], name: &str, id: &str) -> Span {
    let is = |span: &&(String, Span)| {
        span.1.name == name && attribute(&span.1.attributes, "messaging.message.id") == id
    };
    spans.iter().find(is).unwrap_or_else(|| panic!("no span {name} of {id}")).1.clone()
}

fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// How long the message had waited, where this span is linked to that one.
fn waited(span: &Span, to: &Span) -> Option<u64> {
    let link = span.links.iter().find(|link| link.span_id == to.span_id && link.trace_id == to.trace_id)?;
    attribute(&link.attributes, "i247.waited_ms").parse().ok()
}

/// Keys and contexts for one officer of each country.
pub(crate) async fn contexts(world: &World, home: &Path) -> Result<(), WorldError> {
    let mut contexts = Contexts::default();
    for code in world.countries() {
        let seat = world.seats_of(code).remove(0);
        let credentials = home.join(code.as_str());
        std::fs::create_dir_all(&credentials).unwrap();
        world.credentials(&Identity::Officer(code, seat)).await?.save(&credentials).unwrap();
        let address = world.desk_address(code).await?.to_string();
        let context = Context { address, server: Identity::Bureau(code), credentials };
        contexts.add(name(&code.as_str().to_lowercase()), context);
    }
    contexts.save(&home.join("contexts.toml")).unwrap();
    Ok(())
}

/// Runs a command of an officer and returns the first word that it prints.
async fn command(
    program: &Path,
    home: &Path,
    collector: &str,
    officer: CountryCode,
    words: &[&str],
) -> String {
    let mut command = tokio::process::Command::new(program);
    command.args(words).arg("--as").arg(officer.as_str()).kill_on_drop(true);
    command.env("I247_HOME", home).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    let done = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
    let (said, why) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{words:?}: {why}");
    said.split_whitespace().next().unwrap_or_default().to_owned()
}

/// The spans of one message with this name, each with the country that it was made at or for.
fn each<'a>(spans: &'a [(String, Span)], name: &str, id: &str) -> BTreeMap<String, &'a Span> {
    let is = |span: &Span| span.name == name && attribute(&span.attributes, "messaging.message.id") == id;
    let found = spans.iter().map(|(_, span)| span).filter(|span| is(span));
    let place = |span: &Span| {
        let keys = ["messaging.destination.name", "country"];
        keys.map(|key| attribute(&span.attributes, key)).concat()
    };
    found.map(|span| (place(span), span)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_follows_a_question_from_the_officers_command_to_every_answer() -> Result<(), WorldError> {
    let Some(program) = program() else { return Ok(()) };
    let (collector, url, _serving) = Collector::start().await;
    let world = World::of(["FR", "BR", "JP"]).processes(&program).collector(&url).start().await?;
    let home = tempfile::tempdir().unwrap();
    contexts(&world, home.path()).await?;
    // For Japan it waits at the hub.
    world.cut("JP");
    world.unlinked("JP").await?;
    let ask = ["ask", "BR,JP", "--about", "a stolen car", "--name", "PARDEL, Tessa"];
    let question = command(&program, home.path(), &url, country("FR"), &ask).await;
    assert_eq!(question, "FR-1-N-1");
    world.bureau("FR").receives(&"BR-1-N-1".parse().unwrap()).await?;
    // The wait itself is what is looked at.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    world.heal("JP");
    world.bureau("FR").receives(&"JP-1-N-1".parse().unwrap()).await?;
    // What nobody asked by a command has no trace that began there.
    world.bureau("JP").tell(&["FR"], "by the way").await?;
    // Stopped, they export what is left.
    world.finish().await?;
    assert_eq!(
        collector.tree("FR-1-N-1"),
        [
            "i247 command",
            "  i247-bureau i247.v1.DeskService/Send",
            "    i247-bureau accept FR-1-N-1 FR",
            "      i247-bureau answer FR-1-N-1 BR",
            "        i247-bureau accept BR-1-N-1 BR",
            "          i247-bureau arrive BR-1-N-1 FR",
            "          i247-hub decide BR-1-N-1",
            "            i247-hub append BR-1-N-1",
            "          i247-hub deliver BR-1-N-1 FR",
            "      i247-bureau answer FR-1-N-1 JP",
            "        i247-bureau accept JP-1-N-1 JP",
            "          i247-bureau arrive JP-1-N-1 FR",
            "          i247-hub decide JP-1-N-1",
            "            i247-hub append JP-1-N-1",
            "          i247-hub deliver JP-1-N-1 FR",
            "      i247-bureau arrive FR-1-N-1 BR",
            "      i247-bureau arrive FR-1-N-1 JP",
            "      i247-hub decide FR-1-N-1",
            "        i247-hub append FR-1-N-1",
            "      i247-hub deliver FR-1-N-1 BR",
            "      i247-hub deliver FR-1-N-1 JP",
        ]
    );
    let spans = collector.spans();
    let asked = about(&spans, "accept", "FR-1-N-1");
    let decide = about(&spans, "decide", "FR-1-N-1");
    assert!(decide.links.is_empty(), "it did not wait: {:?}", decide.links);
    // Where it had waited, each is linked to what it waited for, too. Once it was there it was answered at once.
    assert!(each(&spans, "answer", "FR-1-N-1").into_values().all(|span| span.links.is_empty()));
    for name in ["deliver", "arrive"] {
        let at = each(&spans, name, "FR-1-N-1");
        assert!(at["BR"].links.is_empty(), "{name}: {:?}", at["BR"].links);
        let waited = waited(at["JP"], &asked);
        assert!(waited.is_some_and(|waited| waited >= 1500), "{name}: {:?}", at["JP"].links);
    }
    by_the_conventions(&spans);
    // The question, its answers, and what was told by the way.
    assert_eq!(collector.counter("i247-hub", "i247.messages.accepted"), Some(4));
    assert!(collector.counter("i247-bureau", "i247.tls.handshakes").is_some_and(|count| count > 0));
    Ok(())
}

/// What OpenTelemetry's conventions for messaging and for RPC call it.
fn by_the_conventions(spans: &[(String, Span)]) {
    for (name, operation, kind) in [
        ("accept", "send", SpanKind::Producer),
        ("decide", "process", SpanKind::Consumer),
        ("deliver", "send", SpanKind::Producer),
        ("arrive", "receive", SpanKind::Consumer),
        ("answer", "process", SpanKind::Consumer),
    ] {
        for span in each(spans, name, "FR-1-N-1").into_values() {
            let of = |key| attribute(&span.attributes, key);
            let told =
                [of("messaging.system"), of("messaging.operation.name"), of("messaging.operation.type")];
            assert_eq!(told, ["i247", name, operation]);
            assert_eq!(span.kind(), kind, "{name}");
        }
    }
    for name in ["accept", "decide", "arrive"] {
        assert_eq!(attribute(&about(spans, name, "FR-1-N-1").attributes, "kind"), "request", "{name}");
    }
    let named = |name: &str| &spans.iter().find(|(_, span)| span.name == name).unwrap().1;
    let call = named("i247.v1.DeskService/Send");
    let of = |key| attribute(&call.attributes, key);
    assert_eq!(
        [of("rpc.system"), of("rpc.service"), of("rpc.method")],
        ["grpc", "i247.v1.DeskService", "Send"]
    );
    assert_eq!((of("rpc.grpc.status_code").as_str(), call.kind()), ("0", SpanKind::Server));
    assert_eq!(named("command").kind(), SpanKind::Client);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_is_linked_to_what_it_waited_for() -> Result<(), WorldError> {
    let Some(program) = program() else { return Ok(()) };
    let (collector, url, _serving) = Collector::start().await;
    let builder = World::of(["FR", "BR"]).automatic(false).processes(&program).collector(&url);
    let world = builder.start().await?;
    let home = tempfile::tempdir().unwrap();
    contexts(&world, home.path()).await?;
    world.cut("BR");
    world.unlinked("BR").await?;
    let ask = ["ask", "BR", "--about", "a stolen car", "--name", "PARDEL, Tessa"];
    let question = command(&program, home.path(), &url, country("FR"), &ask).await;
    // The wait itself is what is looked at.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    world.heal("BR");
    world.bureau("BR").receives(&question.parse().unwrap()).await?;
    let reply = ["reply", &question, "nothing here", "--negative"];
    let answer = command(&program, home.path(), &url, country("BR"), &reply).await;
    world.bureau("FR").receives(&answer.parse().unwrap()).await?;
    world.finish().await?;

    let spans = collector.spans();
    let asked = about(&spans, "accept", &question);
    for (name, id) in [("deliver", &question), ("arrive", &question)] {
        let span = about(&spans, name, id);
        assert_eq!(span.parent_span_id, asked.span_id, "{name}");
        assert!(waited(&span, &asked).is_some_and(|waited| waited >= 1500), "{name}: {:?}", span.links);
    }
    // An officer answered in a trace of his own, which knows what it answers.
    let answered = about(&spans, "accept", &answer);
    assert_ne!(answered.trace_id, asked.trace_id);
    assert!(waited(&answered, &asked).is_some(), "{:?}", answered.links);
    Ok(())
}
