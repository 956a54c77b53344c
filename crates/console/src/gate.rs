//! Who may ask what: the host that is meant, the page that asks, the session. Everything passes here first.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use i247_ledger::{Blocking, outcome};
use i247_node::Clock;
use serde_json::{Value as Json, json};
use tokio::sync::Semaphore;

use crate::api::Api;
use crate::attempts::Attempts;
use crate::live::Live;
use crate::measured::{Came, Counters};
use crate::passwords::Passwords;
use crate::respond::{self, Body};
use crate::sessions::Sessions;

/// Bytes of a request's body.
const REQUEST: usize = 16 * 1024;
/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Logins that wait for their turn; each hash takes 19 MiB, and there is one at a time.
const LOGINS: usize = 8;

/// What all requests pass.
pub(crate) struct Gate {
    pub(crate) tls: bool,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) attempts: Mutex<Attempts>,
    pub(crate) waiting: Semaphore,
    pub(crate) hashing: Semaphore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) blocking: Arc<dyn Blocking>,
    pub(crate) api: Api,
    pub(crate) live: Arc<Live>,
    pub(crate) counters: Counters,
}

impl Gate {
    /// As many logins may wait, and as many be checked.
    pub(crate) fn places() -> (Semaphore, Semaphore) {
        (Semaphore::new(LOGINS), Semaphore::new(1))
    }

    /// The answer to a request from this address.
    pub(crate) async fn answer(&self, request: Request<Incoming>, from: IpAddr) -> Response<Body> {
        let response = match self.admit(request.headers()) {
            Ok(()) => self.route(request, from).await,
            Err(why) => respond::refused(StatusCode::FORBIDDEN, why, Json::Null),
        };
        respond::secured(response, self.tls)
    }

    /// Another site's page, whatever it was told to ask, gets nothing.
    fn admit(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(host) = text(HOST.as_str()) else { return Err("no_host") };
        // Without TLS no certificate says whom the browser means: a name that leads here is not enough.
        if !self.tls && !is_this_machine(host) {
            return Err("other_host");
        }
        if let Some(site) = text("sec-fetch-site")
            && !matches!(site, "same-origin" | "none")
        {
            return Err("other_site");
        }
        if let Some(origin) = text(ORIGIN.as_str()) {
            let own = format!("{}://{host}", if self.tls { "https" } else { "http" });
            if origin != own {
                return Err("other_site");
            }
        }
        Ok(())
    }

    async fn route(&self, request: Request<Incoming>, from: IpAddr) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let Some(call) = path.strip_prefix("/api/") else {
            return match *request.method() {
                Method::GET | Method::HEAD => crate::pages::page(&path),
                _ => method_not_allowed(),
            };
        };
        let token = self.token(request.headers()).unwrap_or_default();
        let name = self.sessions.find(&token);
        match (call, request.method()) {
            // Asked for before anybody logged in, so that it is no error not to be.
            ("session", &Method::GET) => respond::data(&json!({ "name": name })),
            ("login", &Method::POST) => match body(request).await {
                Ok(asked) => self.login(&asked, from).await,
                Err(refused) => refused,
            },
            ("logout", &Method::POST) => {
                self.sessions.close(&token);
                respond::cookie(respond::data(&json!({})), &self.cookie("", 0))
            }
            (call, method) => {
                let Some(name) = name else {
                    return respond::refused(StatusCode::UNAUTHORIZED, "log_in", Json::Null);
                };
                match (call, method) {
                    ("live", &Method::GET) => self.live.clone().watch(self.sessions.clone(), token),
                    (_, &Method::POST) => match body(request).await {
                        Ok(asked) => self.api.answer(call, &asked, &name).await,
                        Err(refused) => refused,
                    },
                    _ => method_not_allowed(),
                }
            }
        }
    }

    async fn login(&self, asked: &Json, from: IpAddr) -> Response<Body> {
        let now = self.clock.monotonic();
        if let Err(wait) = self.attempts().take(from, now) {
            tracing::warn!(%from, "too many logins");
            self.counters.login(Came::TooOften);
            return respond::too_often(wait);
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            self.counters.login(Came::TooOften);
            return respond::too_often(Duration::from_secs(1));
        };
        let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
        let (name, password) = (text("name"), text("password"));
        let fits = {
            let Ok(_turn) = self.hashing.acquire().await else { return stopping() };
            let (passwords, name) = (self.passwords.clone(), name.clone());
            outcome(&*self.blocking, move || passwords.fits(&name, &password)).await
        };
        if fits != Some(true) {
            tracing::warn!(%from, "a login failed");
            self.counters.login(Came::Refused);
            return respond::refused(StatusCode::FORBIDDEN, "wrong_password", Json::Null);
        }
        self.attempts().forget(from);
        tracing::info!(%name, %from, "logged in");
        self.counters.login(Came::Well);
        let token = self.sessions.open(&name);
        respond::cookie(respond::data(&json!({ "name": name })), &self.cookie(&token, 12 * 3600))
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `__Host-`: the browser takes it from this host alone, over TLS alone.
    fn cookie_name(&self) -> &'static str {
        if self.tls { "__Host-i247" } else { "i247" }
    }

    fn cookie(&self, token: &str, seconds: u32) -> String {
        let secure = if self.tls { "; Secure" } else { "" };
        let name = self.cookie_name();
        format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }

    fn token(&self, headers: &HeaderMap) -> Option<String> {
        let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie_name()).map(|(_, token)| token.to_owned())
    }
}

/// `localhost:7280`, `127.0.0.1`, `[::1]:7280`.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The body of a call: JSON, said to be JSON. A form of another site cannot say so.
async fn body(request: Request<Incoming>) -> Result<Json, Response<Body>> {
    let refuse = |status, what| respond::refused(status, what, Json::Null);
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media_type != Some("application/json") {
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "json_is_expected"));
    }
    let read = tokio::time::timeout(PATIENCE, Limited::new(request.into_body(), REQUEST).collect()).await;
    let read = read.map_err(|_| refuse(StatusCode::REQUEST_TIMEOUT, "too_slow"))?;
    let bytes = read.map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "too_long"))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|_| refuse(StatusCode::BAD_REQUEST, "json_is_expected"))
}

fn method_not_allowed() -> Response<Body> {
    respond::refused(StatusCode::METHOD_NOT_ALLOWED, "method", Json::Null)
}

fn stopping() -> Response<Body> {
    respond::refused(StatusCode::SERVICE_UNAVAILABLE, "stopping", Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_this_machine() {
        for host in ["localhost", "localhost:7280", "127.0.0.1:1", "127.8.8.8", "[::1]:7280", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in
            ["example.org", "example.org:7280", "localhost.example.org", "10.0.0.1", "[2001:db8::1]:80", ""]
        {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
