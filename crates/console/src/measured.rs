//! What is measured of a console: who logs in, what is looked up, who watches, and whether the hub is heard. Labels are
//! calls and results, of which there is a fixed number.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter, ObservableGauge};

use crate::live::Live;
use crate::sessions::Sessions;

/// What came of a login or a look-up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Came {
    /// It was let in, or answered.
    Well,
    /// It was not: the password is wrong, or the question.
    Refused,
    /// There were too many from one place.
    TooOften,
    /// The hub did not answer.
    Lost,
}

impl Came {
    fn as_str(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Refused => "refused",
            Self::TooOften => "too_often",
            Self::Lost => "lost",
        }
    }
}

/// Counts where it happens.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    logins: Counter<u64>,
    lookups: Counter<u64>,
}

impl Counters {
    pub(crate) fn new(meter: &Meter) -> Self {
        let counter =
            |name: &'static str, text: &'static str| meter.u64_counter(name).with_description(text).build();
        Self {
            logins: counter("i247.console.logins", "attempts to log in"),
            lookups: counter("i247.console.lookups", "look-ups at the hub"),
        }
    }

    pub(crate) fn login(&self, came: Came) {
        self.logins.add(1, &[KeyValue::new("result", came.as_str())]);
    }

    /// Only of calls that there are: their names are a label.
    pub(crate) fn looked_up(&self, call: &str, came: Came) {
        let labels = [KeyValue::new("call", call.to_owned()), KeyValue::new("result", came.as_str())];
        self.lookups.add(1, &labels);
    }
}

/// Registers what is observed when somebody asks; it lives as long as what is returned.
pub(crate) fn gauges(meter: &Meter, live: &Arc<Live>, sessions: &Arc<Sessions>) -> [ObservableGauge<u64>; 3] {
    let gauge = |name: &'static str, text: &'static str, read: Box<dyn Fn() -> u64 + Send + Sync>| {
        let gauge = meter.u64_observable_gauge(name).with_description(text);
        gauge.with_callback(move |gauge| gauge.observe(read(), &[])).build()
    };
    let (heard, watching, open) = (live.clone(), live.clone(), sessions.clone());
    [
        gauge(
            "i247.console.hub_heard",
            "1 while the hub is heard",
            Box::new(move || u64::from(heard.hears_the_hub())),
        ),
        gauge("i247.console.watchers", "browsers that watch", Box::new(move || watching.watchers())),
        gauge("i247.console.sessions", "people who are logged in", Box::new(move || open.count())),
    ]
}
