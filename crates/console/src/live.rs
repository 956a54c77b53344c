//! What moves now: one stream from the hub, gathered once for all browsers. A browser that is too slow misses what moved,
//! never how things stand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http::{Response, StatusCode};
use i247_client::reflect::to_json;
use i247_client::{Monitor, pb};
use i247_node::{sleep, with_causes};
use serde_json::{Value as Json, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use crate::respond::{self, Body};
use crate::sessions::Sessions;

/// The hub is asked for a tick this often.
const TICK_MS: u32 = 200;
/// Single messages that are shown each second.
const MESSAGES: u32 = 20;
/// Events that a browser may be behind before it begins anew.
const BEHIND: usize = 64;
/// Browsers, or tabs, that watch at once.
const WATCHERS: usize = 64;
/// The hub sends a tick even when nothing moves; after so long without one it is lost.
const SILENCE: Duration = Duration::from_secs(4);
/// From the first attempt to connect anew to the last ones.
const RETRY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(4)];
/// A browser hears something this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The stream, and how things stand for those who come later.
pub(crate) struct Live {
    monitor: Monitor,
    picture: Mutex<Picture>,
    told: broadcast::Sender<Bytes>,
    places: Arc<Semaphore>,
}

/// How a stream ended.
struct End {
    /// It had told something.
    heard: bool,
    /// It is still there, and says nothing.
    silent: bool,
    why: String,
}

/// How things stand.
#[derive(Default)]
struct Picture {
    /// Why the hub is not heard, when it is not.
    lost: Option<String>,
    at_ms: u64,
    countries: BTreeMap<String, pb::FlowCountry>,
    numbers: Option<pb::FlowNumbers>,
}

impl Live {
    pub(crate) fn new(monitor: Monitor) -> Self {
        let picture = Picture { lost: Some("connecting".into()), ..Picture::default() };
        let places = Arc::new(Semaphore::new(WATCHERS));
        Self { monitor, picture: Mutex::new(picture), told: broadcast::Sender::new(BEHIND), places }
    }

    /// Follows the hub, and finds it again when it is lost. It does not end.
    pub(crate) async fn follow(self: Arc<Self>) {
        tokio::join!(self.follow_ticks(), self.follow_messages());
    }

    async fn follow_ticks(&self) {
        let mut wait = RETRY[0];
        loop {
            let end = self.ticks().await;
            if end.heard {
                wait = RETRY[0];
            }
            // A hub asks everybody to connect anew from time to time: it is lost once that does not work.
            if !end.heard || end.silent {
                self.lose(&end.why);
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY[1]);
        }
    }

    /// One stream, to its end.
    async fn ticks(&self) -> End {
        let mut end = End { heard: false, silent: false, why: "the hub ended the stream".to_owned() };
        let mut ticks = match self.monitor.watch(pb::FlowFilter::default(), TICK_MS).await {
            Ok(ticks) => ticks,
            Err(error) => return End { why: with_causes(&error), ..end },
        };
        loop {
            let told = match tokio::time::timeout(SILENCE, ticks.message()).await {
                Ok(Ok(Some(told))) => told,
                Ok(Ok(None)) => return end,
                Ok(Err(status)) => return End { why: status.message().to_owned(), ..end },
                Err(_) => {
                    let why = format!("the hub is silent for {} s", SILENCE.as_secs());
                    return End { silent: true, why, ..end };
                }
            };
            if let Some(tick) = told.tick {
                end.heard = true;
                self.take(tick);
            }
        }
    }

    async fn follow_messages(&self) {
        loop {
            // Why there are none is said by the ticks, which come on the same connection.
            if let Ok(mut taps) = self.monitor.tap(pb::FlowFilter::default(), MESSAGES).await {
                while let Ok(Some(tap)) = taps.message().await {
                    self.tell("tap", &to_json("TapResponse", &tap));
                }
            }
            sleep(RETRY[0]).await;
        }
    }

    fn take(&self, tick: pb::FlowTick) {
        let mut picture = self.lock();
        let found = picture.lost.take().is_some();
        picture.at_ms = tick.at_ms;
        if found {
            // The first tick of a stream names every bureau.
            picture.countries.clear();
        }
        for country in &tick.countries {
            picture.countries.insert(country.party.clone(), country.clone());
        }
        picture.numbers.clone_from(&tick.numbers);
        if found {
            tracing::info!("the hub is heard");
            let whole = picture.json();
            self.tell("picture", &whole);
        }
        self.tell("tick", &to_json("FlowTick", &tick));
    }

    fn lose(&self, why: &str) {
        let mut picture = self.lock();
        if picture.lost.is_none() {
            tracing::warn!(why, "the hub is lost");
        }
        picture.lost = Some(why.to_owned());
        let whole = picture.json();
        self.tell("picture", &whole);
    }

    fn tell(&self, event: &str, data: &Json) {
        // Nobody may be watching.
        drop(self.told.send(framed(event, data)));
    }

    /// Whether the hub is heard at the moment.
    pub(crate) fn hears_the_hub(&self) -> bool {
        self.lock().lost.is_none()
    }

    /// How many browsers, or tabs, watch.
    pub(crate) fn watchers(&self) -> u64 {
        (WATCHERS - self.places.available_permits()) as u64
    }

    fn lock(&self) -> MutexGuard<'_, Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream for one browser, for as long as its session lasts. Watching is no use of a session by a person, but
    /// who looks at a wall of screens is not logged out for it.
    pub(crate) fn watch(self: Arc<Self>, sessions: Arc<Sessions>, token: String) -> Response<Body> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return respond::refused(StatusCode::SERVICE_UNAVAILABLE, "too_many_watch", Json::Null);
        };
        respond::events(watched(Watcher { live: self, sessions, token, receiver: None, _place: place }))
    }
}

impl Picture {
    fn json(&self) -> Json {
        let countries = self.countries.values().map(|country| to_json("FlowCountry", country));
        json!({
            "lost": self.lost,
            "at_ms": self.at_ms,
            "countries": countries.collect::<Vec<_>>(),
            "numbers": self.numbers.as_ref().map(|numbers| to_json("FlowNumbers", numbers)),
        })
    }
}

struct Watcher {
    live: Arc<Live>,
    sessions: Arc<Sessions>,
    token: String,
    receiver: Option<broadcast::Receiver<Bytes>>,
    _place: OwnedSemaphorePermit,
}

fn watched(watcher: Watcher) -> impl Stream<Item = Bytes> {
    futures::stream::unfold(watcher, |mut watcher| async move {
        let next = watcher.next().await;
        watcher.sessions.find(&watcher.token)?;
        Some((next, watcher))
    })
}

impl Watcher {
    async fn next(&mut self) -> Bytes {
        if let Some(receiver) = &mut self.receiver {
            match tokio::time::timeout(HEARTBEAT, receiver.recv()).await {
                Ok(Ok(told)) => return told,
                Err(_quiet) => return Bytes::from_static(b": still here\n\n"),
                // Too slow, or nobody tells any more: it begins anew.
                Ok(Err(_)) => {}
            }
        }
        // Under the lock nothing is told between the picture and what follows it.
        let picture = self.live.lock();
        self.receiver = Some(self.live.told.subscribe());
        framed("picture", &picture.json())
    }
}

/// JSON has no line ends of its own, so that it is one `data` line.
fn framed(event: &str, data: &Json) -> Bytes {
    format!("event: {event}\ndata: {data}\n\n").into()
}
