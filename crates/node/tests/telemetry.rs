//! Telemetry as others see it: the page, and settings that are wrong.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use i247_node::{Network as _, TcpNetwork, Telemetry, TelemetryConfig, TelemetryError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A page over plain HTTP.
async fn get(address: std::net::SocketAddr, head: &str) -> String {
    let mut stream = TcpNetwork.connect(&address.to_string()).await.unwrap();
    stream.write_all(format!("{head} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn page() -> TelemetryConfig {
    TelemetryConfig { metrics: Some("127.0.0.1:0".into()), ..TelemetryConfig::default() }
}

#[tokio::test]
async fn each_node_of_a_process_has_its_own_page() {
    let hub = Telemetry::start(&page(), "i247-hub", "lyon", &TcpNetwork).await.unwrap();
    let bureau = Telemetry::start(&page(), "i247-bureau", "FR", &TcpNetwork).await.unwrap();
    hub.meter().u64_counter("i247.messages.accepted").build().add(7, &[]);
    let of_hub = get(hub.metrics_address().unwrap(), "GET /metrics").await;
    assert!(of_hub.starts_with("HTTP/1.1 200 OK\r\n"), "{of_hub}");
    assert!(of_hub.contains("\ni247_messages_accepted_total 7\n"), "{of_hub}");
    assert!(of_hub.contains("service_instance_id=\"lyon\""), "{of_hub}");
    let of_bureau = get(bureau.metrics_address().unwrap(), "GET /metrics").await;
    assert!(!of_bureau.contains("accepted") && of_bureau.contains("\"FR\""), "{of_bureau}");
    assert!(get(hub.metrics_address().unwrap(), "GET /").await.starts_with("HTTP/1.1 404"));
    assert!(get(hub.metrics_address().unwrap(), "POST /metrics").await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn a_port_alone_is_for_this_machine_alone() {
    let config = TelemetryConfig { metrics: Some("0".into()), ..TelemetryConfig::default() };
    let hub = Telemetry::start(&config, "i247-hub", "lyon", &TcpNetwork).await.unwrap();
    assert!(hub.metrics_address().unwrap().ip().is_loopback());
    assert!(get(hub.metrics_address().unwrap(), "GET /metrics").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn wrong_settings_are_refused_with_the_key() {
    let level = TelemetryConfig { level: "i247=loud".into(), ..TelemetryConfig::default() };
    let error = Telemetry::start(&level, "i247-hub", "lyon", &TcpNetwork).await.unwrap_err();
    assert!(matches!(&error, TelemetryError::Level { level, .. } if level == "i247=loud"), "{error}");
    let taken = TcpNetwork.listen("127.0.0.1:0").await.unwrap();
    let metrics =
        TelemetryConfig { metrics: Some(taken.address().to_string()), ..TelemetryConfig::default() };
    let error = Telemetry::start(&metrics, "i247-hub", "lyon", &TcpNetwork).await.unwrap_err();
    assert!(matches!(error, TelemetryError::Metrics { .. }), "{error}");
}
