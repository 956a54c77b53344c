//! What happens at all bureaus, as one stream, for as long as somebody listens.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream, SelectAll};
use i247_client::{ClientError, Desk, Event, Watch};
use i247_model::CountryCode;
use i247_node::sleep;

/// A watch without events is looked after this often.
const IDLE: Duration = Duration::from_secs(30);

/// The first pause after a watch broke; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Events with the country where they happened.
pub(crate) type Events = SelectAll<BoxStream<'static, (CountryCode, Event)>>;

/// Watches every desk from its first received message on. A broken watch is taken up again where it
/// broke; arrivals are never left out.
pub(crate) fn events(desks: &BTreeMap<CountryCode, Desk>) -> Events {
    stream::select_all(desks.iter().map(|(country, desk)| watch(*country, desk.clone())))
}

struct Watched {
    desk: Desk,
    watch: Option<Watch>,
    received: u64,
    pause: Duration,
}

fn watch(country: CountryCode, desk: Desk) -> BoxStream<'static, (CountryCode, Event)> {
    let watched = Watched { desk, watch: None, received: 0, pause: PAUSE };
    stream::unfold(watched, move |mut watched| async move {
        let event = watched.next().await;
        Some(((country, event), watched))
    })
    .boxed()
}

impl Watched {
    async fn next(&mut self) -> Event {
        loop {
            let Some(watch) = &mut self.watch else {
                match self.desk.watch(self.received).await {
                    Ok(watch) => self.watch = Some(watch),
                    Err(_) => self.wait().await,
                }
                continue;
            };
            match watch.next(IDLE).await {
                Ok(event) => {
                    self.received = watch.received();
                    self.pause = PAUSE;
                    return event;
                }
                Err(ClientError::Late(_)) => {}
                Err(_) => {
                    self.watch = None;
                    self.wait().await;
                }
            }
        }
    }

    async fn wait(&mut self) {
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
