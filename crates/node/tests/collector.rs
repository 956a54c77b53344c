//! A collector that is away. A test binary of its own, since logs and spans are set up once in a process.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use std::time::Duration;

use i247_node::{Clock as _, Network as _, SystemClock, TcpNetwork, Telemetry, TelemetryConfig, trace};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_collector_blocks_nothing_and_what_is_lost_is_counted() {
    // A port that is taken and where nobody listens.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let deaf = taken.local_addr().unwrap();
    let config = TelemetryConfig {
        otlp: Some(format!("http://{deaf}")),
        level: "off".into(),
        metrics: Some("127.0.0.1:0".into()),
        ..TelemetryConfig::default()
    };
    let telemetry = Telemetry::start(&config, "i247-hub", "lyon", &TcpNetwork).await.unwrap();
    let clock = SystemClock::new();
    for _ in 0..20_000 {
        let span = tracing::info_span!(target: "i247_node", "deliver");
        let _in = span.enter();
    }
    let taken = clock.monotonic();
    assert!(taken < Duration::from_secs(3), "20,000 spans took {taken:?}");
    let lost = async {
        loop {
            let page = metrics(&telemetry).await;
            let line = page.lines().find(|line| line.starts_with("i247_telemetry_spans_lost_total")).unwrap();
            if !line.ends_with(" 0") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), lost).await.expect("lost spans are counted");
    in_and_out();
    tokio::time::timeout(Duration::from_secs(10), telemetry.stop())
        .await
        .expect("stopping does not wait for ever");
}

/// The context that came in goes out again, with our span as the parent. (Here because spans are exported here.)
fn in_and_out() {
    let span = tracing::info_span!(target: "i247_node", "submit");
    trace::set_parent(&span, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let out = span.in_scope(trace::traceparent).expect("spans are exported");
    assert!(out.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && out.ends_with("-01"), "{out}");
    assert!(!out.contains("00f067aa0ba902b7"), "{out}");
    let carried = span.in_scope(|| trace::carry(tonic::Request::new(()))).unwrap();
    assert_eq!(carried.metadata().get("traceparent").unwrap().to_str().unwrap(), out);
}

/// The metrics page.
async fn metrics(telemetry: &Telemetry) -> String {
    let address = telemetry.metrics_address().unwrap().to_string();
    let mut stream = TcpNetwork.connect(&address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
