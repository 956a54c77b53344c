//! The console as a browser, and what is no browser, meets it. The hub behind it is not there.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use i247_client::Monitor;
use i247_console::{BuildError, Console, Passwords, Settings};
use i247_node::{Seams, TelemetryConfig};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

/// A console that serves until it is dropped.
struct Served {
    address: SocketAddr,
    metrics: SocketAddr,
    password: String,
    _stop: tokio_util::sync::DropGuard,
}

/// Nobody listens at port 1.
fn no_hub() -> Monitor {
    Monitor::new(Endpoint::from_static("http://127.0.0.1:1").connect_lazy())
}

fn passwords(seams: &Seams) -> (Passwords, String) {
    Passwords::drawn(&"anna".parse().unwrap(), &*seams.dice).unwrap()
}

async fn serve(tls: Option<Arc<rustls::ServerConfig>>) -> Served {
    let seams = Seams::system();
    let (passwords, password) = passwords(&seams);
    // Logs are the process's, and these tests have none.
    let telemetry = TelemetryConfig {
        level: "off".into(),
        metrics: Some("127.0.0.1:0".into()),
        ..TelemetryConfig::default()
    };
    let settings = Settings { listen: "127.0.0.1:0".into(), tls, passwords, telemetry };
    let console = Console::build(settings, no_hub(), &seams).await.unwrap();
    let stop = CancellationToken::new();
    let (address, metrics) = (console.local_addr(), console.metrics_address().unwrap());
    drop(tokio::spawn(console.serve(stop.clone())));
    Served { address, metrics, password, _stop: stop.drop_guard() }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// Sends these lines and reads until the other side ends.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    // A console that refuses a body may end before it has read it.
    drop(stream.read_to_end(&mut text).await);
    Answer::of(&String::from_utf8(text).unwrap())
}

impl Served {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        exchange(stream, &self.request(method, path, headers, body)).await
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut lines = vec![format!("{method} {path} HTTP/1.1")];
        if !headers.iter().any(|(name, _)| *name == "Host") {
            lines.push(format!("Host: {}", self.address));
        }
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.push(format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
        lines.join("\r\n")
    }

    async fn post(&self, path: &str, cookie: &str, body: &str) -> Answer {
        self.ask("POST", path, &[("Content-Type", "application/json"), ("Cookie", cookie)], body).await
    }

    async fn log_in(&self, password: &str) -> Answer {
        self.post("/api/login", "", &json!({ "name": "anna", "password": password }).to_string()).await
    }

    /// Logs in and returns the cookie as the browser sends it back.
    async fn cookie(&self) -> String {
        let answer = self.log_in(&self.password).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused_without_tls() {
    let seams = Seams::system();
    let settings = Settings {
        listen: "0.0.0.0:0".into(),
        tls: None,
        passwords: passwords(&seams).0,
        telemetry: TelemetryConfig::default(),
    };
    let refused = Console::build(settings, no_hub(), &seams).await;
    assert!(matches!(refused.err(), Some(BuildError::Plain { .. })));
}

#[tokio::test]
async fn the_cookie_is_for_this_site_alone_and_no_script_reads_it() {
    let console = serve(None).await;
    let answer = console.log_in(&console.password).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"name":"anna"}"#));
    let cookie = answer.header("set-cookie").unwrap();
    let (token, attributes) = cookie.split_once(';').unwrap();
    assert_eq!(token.len(), "i247=".len() + 64, "{token}");
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Strict; Max-Age=43200");
    let session = console.ask("GET", "/api/session", &[("Cookie", token)], "").await;
    assert_eq!(session.body, r#"{"name":"anna"}"#);
    let other = console.ask("GET", "/api/session", &[("Cookie", "i247=00")], "").await;
    assert_eq!(other.body, r#"{"name":null}"#);
}

#[tokio::test]
async fn over_tls_the_cookie_stays_on_tls_and_on_this_host() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let console = serve(Some(i247_console::tls(&certificate, &key).unwrap())).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let stream = TcpStream::connect(console.address).await.unwrap();
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let body = json!({ "name": "anna", "password": console.password }).to_string();
    let headers = [("Content-Type", "application/json"), ("Host", "console.example")];
    let answer = exchange(stream, &console.request("POST", "/api/login", &headers, &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-i247="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure"), "{cookie}");
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
}

#[tokio::test]
async fn every_answer_forbids_what_is_inline_and_what_is_of_others() {
    let console = serve(None).await;
    let answers = [
        console.ask("GET", "/", &[], "").await,
        console.ask("GET", "/nowhere", &[], "").await,
        console.ask("GET", "/api/session", &[], "").await,
        console.ask("PUT", "/", &[], "").await,
        console.ask("GET", "/", &[("Host", "elsewhere.example")], "").await,
        console.post("/api/Summary", "", "{}").await,
    ];
    assert_eq!(answers.each_ref().map(|answer| answer.status)[1..], [404, 200, 405, 403, 401]);
    for answer in answers {
        assert_eq!(
            answer.header("content-security-policy"),
            Some(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                 manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                 require-trusted-types-for 'script'; trusted-types 'none'"
            )
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn who_is_not_logged_in_learns_nothing() {
    let console = serve(None).await;
    for call in ["Members", "Summary", "Trace", "FindMessages", "Nothing"] {
        let answer = console.post(&format!("/api/{call}"), "i247=0123", "{}").await;
        assert_eq!((answer.status, answer.body.as_str()), (401, r#"{"error":"log_in"}"#));
    }
    assert_eq!(console.ask("GET", "/api/live", &[], "").await.status, 401);
}

#[tokio::test]
async fn who_guesses_has_to_wait_even_with_the_right_password() {
    let console = serve(None).await;
    for guess in ["", "a", "password", "anna", "i247"] {
        let answer = console.log_in(guess).await;
        assert_eq!((answer.status, answer.body.as_str()), (403, r#"{"error":"wrong_password"}"#));
    }
    let answer = console.log_in(&console.password).await;
    assert_eq!(answer.status, 429);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn the_page_of_another_site_asks_in_vain() {
    let console = serve(None).await;
    let cookie = console.cookie().await;
    let own = format!("http://{}", console.address);
    let json = ("Content-Type", "application/json");
    let ask = |headers: Vec<(&'static str, String)>| {
        let (console, cookie) = (&console, cookie.clone());
        async move {
            let mut all = vec![("Cookie", cookie.as_str())];
            all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
            console.ask("POST", "/api/Members", &all, "{}").await.status
        }
    };
    let json = || (json.0, json.1.to_owned());
    assert_eq!(
        ask(vec![json(), ("Origin", own.clone()), ("Sec-Fetch-Site", "same-origin".into())]).await,
        200
    );
    assert_eq!(ask(vec![json(), ("Origin", "http://elsewhere.example".into())]).await, 403);
    assert_eq!(ask(vec![json(), ("Origin", "null".into())]).await, 403);
    assert_eq!(ask(vec![json(), ("Sec-Fetch-Site", "cross-site".into())]).await, 403);
    assert_eq!(ask(vec![json(), ("Sec-Fetch-Site", "same-site".into())]).await, 403);
    // A name of somebody else's that leads to this machine.
    assert_eq!(ask(vec![json(), ("Host", "elsewhere.example".into())]).await, 403);
    // What a form can send without being asked first.
    assert_eq!(ask(vec![("Content-Type", "text/plain".into())]).await, 415);
}

#[tokio::test]
async fn a_session_ends_with_its_logout() {
    let console = serve(None).await;
    let cookie = console.cookie().await;
    assert_eq!(console.post("/api/Members", &cookie, "{}").await.status, 200);
    let out = console.post("/api/logout", &cookie, "{}").await;
    assert_eq!(out.header("set-cookie"), Some("i247=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"));
    assert_eq!(console.post("/api/Members", &cookie, "{}").await.status, 401);
}

#[tokio::test]
async fn what_is_too_long_or_no_json_is_refused() {
    let console = serve(None).await;
    let cookie = console.cookie().await;
    assert_eq!(console.post("/api/Trace", &cookie, &" ".repeat(20_000)).await.status, 413);
    assert_eq!(console.post("/api/Trace", &cookie, "{").await.status, 400);
    let answer = console.post("/api/Trace", &cookie, r#"{"idd":"FR-1-U-1"}"#).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains(r#"did you mean \"id\"?"#), "{}", answer.body);
    assert_eq!(console.post("/api/Send", &cookie, "{}").await.status, 404);
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_said_to_be_lost() {
    let console = serve(None).await;
    let cookie = console.cookie().await;
    let answer = console.post("/api/Summary", &cookie, "{}").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains(r#""error":"hub_lost""#), "{}", answer.body);

    let mut stream = TcpStream::connect(console.address).await.unwrap();
    let request = console.request("GET", "/api/live", &[("Cookie", &cookie)], "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.contains("\n\n") {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains("event: picture\ndata: {"), "{text}");
    assert!(text.contains(r#""lost":""#), "{text}");
    // The stream of a session that has ended does too.
    console.post("/api/logout", &cookie, "{}").await;
    let mut rest = Vec::new();
    tokio::time::timeout(std::time::Duration::from_secs(60), stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_console_measures_what_the_list_says_by_these_names() {
    let console = serve(None).await;
    assert_eq!(console.log_in("a guess").await.status, 403);
    let cookie = console.cookie().await;
    assert_eq!(console.post("/api/Summary", &cookie, "{}").await.status, 503);
    assert_eq!(console.post("/api/Trace", &cookie, r#"{"idd":"FR-1-U-1"}"#).await.status, 400);
    assert_eq!(console.post("/api/Members", &cookie, "{}").await.status, 200);
    assert_eq!(console.post("/api/Nothing", &cookie, "{}").await.status, 404);
    let stream = TcpStream::connect(console.metrics).await.unwrap();
    let page = exchange(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.body;
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/metrics.txt");
    let list = std::fs::read_to_string(list).unwrap();
    let mut golden: Vec<&str> = list.lines().filter_map(|line| line.strip_prefix("console ")).collect();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut found: Vec<&str> = types.filter(|line| line.starts_with("i247_")).collect();
    golden.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, golden);
    for line in [
        r#"i247_console_logins_total{result="ok"} 1"#,
        r#"i247_console_logins_total{result="refused"} 1"#,
        r#"i247_console_lookups_total{call="Summary",result="lost"} 1"#,
        r#"i247_console_lookups_total{call="Trace",result="refused"} 1"#,
        r#"i247_console_lookups_total{call="Members",result="ok"} 1"#,
        "i247_console_hub_heard 0",
        "i247_console_sessions 1",
        "i247_console_watchers 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}: {page}");
    }
    // What there is no call for is no label.
    assert!(!page.contains("Nothing"), "{page}");
}

#[tokio::test]
async fn a_program_without_pages_says_how_to_get_them() {
    let console = serve(None).await;
    let answer = console.ask("GET", "/", &[], "").await;
    if Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist/index.html").exists() {
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(answer.body.contains(r#"<div id="app">"#), "{}", answer.body);
    } else {
        assert_eq!(answer.status, 404);
        assert!(answer.body.contains("make console"), "{}", answer.body);
    }
}
