//! What is measured about the hub's work: counters where it happens, gauges when somebody asks. Labels are countries,
//! lanes, kinds, reasons, rules and databases, of which there is a fixed number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use i247_model::{Kind, Lane, Party, Reason, RecipientState};
use i247_records::record::Likeness;
use i247_wire::pb;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, ObservableGauge};

use crate::alerts::Facts;
use crate::app::WATCHERS_MAX;
use crate::copies::holders::party_of;
use crate::core::Core;
use crate::flow::{BOUNDS_MS, Move, Replied, What, stand};
use crate::searched::Tally;

/// The gauges live as long as what is returned.
pub(crate) struct Gauges {
    _whole: Vec<ObservableGauge<u64>>,
    _parts: Vec<ObservableGauge<f64>>,
}

/// What is observed: a value and whom it is about.
type Seen = (f64, Vec<KeyValue>);

/// Registers all gauges of a hub.
pub(crate) fn gauges(meter: &Meter, core: &Arc<Core>) -> Gauges {
    Gauges { _whole: whole(meter, core).into(), _parts: parts(meter, core).into() }
}

/// Of the hub as a whole.
fn whole(meter: &Meter, core: &Arc<Core>) -> [ObservableGauge<u64>; 13] {
    let gauge = |name: &'static str, text: &'static str, read: fn(&Core) -> u64| {
        let core = core.clone();
        meter
            .u64_observable_gauge(name)
            .with_description(text)
            .with_callback(move |gauge| gauge.observe(read(&core), &[]))
            .build()
    };
    [
        gauge("i247.log.size", "entries in the log", |core| core.views().position),
        gauge(
            "i247.behind_log",
            "entries that the slowest view of the log has yet to take in",
            Core::behind_log,
        ),
        gauge("i247.messages.open", "messages that are not closed", |core| {
            core.views().state.open_count() as u64
        }),
        gauge("i247.history.position", "up to which entry history is on disk", |core| {
            core.views().history.runs().end().0
        }),
        gauge("i247.history.runs", "files that history on disk consists of", |core| {
            core.views().history.runs().count() as u64
        }),
        gauge("i247.history.held", "rows of history in memory", |core| core.views().history.held() as u64),
        gauge("i247.reviews.pending", "notice requests that wait for a reviewer", |core| {
            core.views().state.reviews().count() as u64
        }),
        gauge("i247.links.connected", "bureaus with a live stream", |core| core.links.count() as u64),
        gauge("i247.links.expected", "bureaus that may connect", |core| {
            let views = core.views();
            let active =
                |(_, record): &(_, &i247_router::Record)| record.standing == i247_router::Standing::Active;
            views.state.directory().bureaus().filter(active).count() as u64
        }),
        gauge("i247.log.writable", "1 while the log takes entries", |core| {
            u64::from(*core.writable.borrow())
        }),
        gauge("i247.hub.behind", "1 when a bureau has proved that this is an older copy", |core| {
            u64::from(core.behind.borrow().is_some())
        }),
        gauge("i247.replies.overdue", "answers whose time is over", |core| u64::from(core.overdue.total())),
        gauge("i247.watchers", "operators' streams that are open", |core| {
            (WATCHERS_MAX - core.watchers.available_permits()) as u64
        }),
    ]
}

/// Of each bureau, each lane, each rule.
fn parts(meter: &Meter, core: &Arc<Core>) -> [ObservableGauge<f64>; 10] {
    let gauge = |name: &'static str, unit: &'static str, text: &'static str, read: fn(&Core) -> Vec<Seen>| {
        let core = core.clone();
        meter
            .f64_observable_gauge(name)
            .with_unit(unit)
            .with_description(text)
            .with_callback(move |gauge| {
                read(&core).iter().for_each(|(value, labels)| gauge.observe(*value, labels));
            })
            .build()
    };
    [
        gauge("i247.outbox.depth", "", "messages that wait for a bureau", |core| {
            let each = |party, core: &Core| stand(&core.views(), party).queued;
            bureaus(core).into_iter().flat_map(|party| of_lanes(party, each(party, core))).collect()
        }),
        gauge("i247.outbox.oldest", "s", "how long the oldest of them has waited", |core| {
            let now = core.clock.now();
            of_bureaus(core, |core, party| {
                let oldest = stand(&core.views(), party).oldest;
                Some(oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()))
            })
        }),
        gauge("i247.credit.available", "", "deliveries that a bureau may still be sent", |core| {
            of_bureaus(core, |core, party| core.links.find(party).map(|link| f64::from(link.credit())))
        }),
        gauge("i247.links.up", "", "1 while a bureau has a live stream", |core| {
            of_bureaus(core, |core, party| Some(f64::from(u8::from(core.links.find(party).is_some()))))
        }),
        gauge("i247.clock.skew", "s", "the clock of a bureau minus the hub's", |core| {
            of_bureaus(core, |core, party| Some(core.links.find(party)?.skew_ms()? as f64 / 1000.0))
        }),
        gauge("i247.cert.not_after", "s", "when a certificate ends, in seconds since 1970", |core| {
            Facts::certificates(core)
                .into_iter()
                .map(|(party, purpose, at)| {
                    let labels = vec![country(party), KeyValue::new("purpose", purpose)];
                    (at.as_millis() as f64 / 1000.0, labels)
                })
                .collect()
        }),
        gauge(
            "i247.snapshot.staleness",
            "s",
            "age of the oldest offline copy of a country and its posts",
            staleness,
        ),
        gauge("i247.disk.free", "By", "room on the disk of the log", |core| {
            let room = core.room();
            room.map_or_else(Vec::new, |room| vec![(room.free as f64, vec![])])
        }),
        gauge("i247.log.unreadable", "", "entries, and bodies, that cannot be read now", |core| {
            let of = |part, found: Vec<u64>| (found.len() as f64, vec![KeyValue::new("part", part)]);
            vec![of("entry", core.recent.unreadable_entries()), of("body", core.recent.damaged_bodies())]
        }),
        gauge("i247.alerts", "", "what is wrong now, by rule", |core| {
            let counts = core.alerts.counts().into_iter();
            counts
                .map(|((rule, severity), count)| {
                    let severity = KeyValue::new("severity", severity.as_str());
                    (count as f64, vec![KeyValue::new("rule", rule), severity])
                })
                .collect()
        }),
    ]
}

fn staleness(core: &Core) -> Vec<Seen> {
    let (now, mut oldest) = (core.clock.now(), BTreeMap::new());
    for (_, holder, held) in crate::monitor::databases::copies(core) {
        if let Some(party) = party_of(&holder) {
            // The oldest come first.
            oldest.entry(party).or_insert(now.since(held.as_of).as_secs_f64());
        }
    }
    oldest.into_iter().map(|(party, age)| (age, vec![country(party)])).collect()
}

fn bureaus(core: &Core) -> Vec<Party> {
    core.views().state.directory().bureaus().map(|(country, _)| Party::Bureau(country)).collect()
}

fn of_bureaus(core: &Core, read: impl Fn(&Core, Party) -> Option<f64>) -> Vec<Seen> {
    let all = bureaus(core).into_iter();
    all.filter_map(|party| Some((read(core, party)?, vec![country(party)]))).collect()
}

fn of_lanes(party: Party, queued: [u32; 4]) -> impl Iterator<Item = Seen> {
    Lane::ALL.into_iter().map(move |of| (f64::from(queued[of.index()]), vec![country(party), lane(of)]))
}

fn country(party: Party) -> KeyValue {
    KeyValue::new("country", party.to_string())
}

fn lane(lane: Lane) -> KeyValue {
    KeyValue::new(
        "lane",
        match lane {
            Lane::VeryUrgent => "very_urgent",
            Lane::Urgent => "urgent",
            Lane::Normal => "normal",
            Lane::Bulk => "bulk",
        },
    )
}

/// Counters of the pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    accepted: Counter<u64>,
    delivered: Counter<u64>,
    expired: Counter<u64>,
    refused: Counter<u64>,
    duplicates: Counter<u64>,
    receipts: Counter<u64>,
    frames: Counter<u64>,
    searches: Counter<u64>,
    searches_refused: Counter<u64>,
    search: Histogram<f64>,
    search_frame: Histogram<f64>,
    enumerated: Counter<u64>,
    group: Histogram<u64>,
    append: Histogram<f64>,
    deliver: Histogram<f64>,
    reply: Histogram<f64>,
    revocation: Histogram<f64>,
}

impl Counters {
    pub(crate) fn new(meter: &Meter) -> Self {
        let counter =
            |name: &'static str, text: &'static str| meter.u64_counter(name).with_description(text).build();
        let seconds = |name: &'static str, text: &'static str, bounds: Vec<f64>| {
            meter.f64_histogram(name).with_unit("s").with_description(text).with_boundaries(bounds).build()
        };
        let fast: Vec<f64> = BOUNDS_MS.iter().map(|bound| f64::from(*bound) / 1000.0).collect();
        const HOUR: f64 = 3600.0;
        let slow = vec![60.0, 600.0, HOUR, 3.0 * HOUR, 12.0 * HOUR, 24.0 * HOUR, 72.0 * HOUR, 240.0 * HOUR];
        Self {
            accepted: counter("i247.messages.accepted", "messages accepted"),
            delivered: counter("i247.messages.delivered", "recipients that signed for a message"),
            expired: counter("i247.expired", "deliveries that expired before they were made"),
            refused: counter("i247.refused", "submissions refused"),
            duplicates: counter("i247.duplicates", "submissions that were answered before"),
            receipts: counter("i247.receipts", "what recipients signed for, by stage"),
            frames: counter("i247.receipts.frames", "frames of receipts"),
            searches: counter("i247.searches", "keys that the databases were asked for, by result"),
            searches_refused: counter("i247.searches.refused", "frames of keys that were refused"),
            search: seconds(
                "i247.search",
                "how long a database looked a frame of keys up, once for each that the frame asked; hit is the surest \
                 that it found there",
                fast.clone(),
            ),
            search_frame: seconds("i247.search.frame", "from a frame of keys to its answers", fast.clone()),
            enumerated: counter(
                "i247.searches.enumerated",
                "how often somebody asked about one number after the other",
            ),
            group: meter
                .u64_histogram("i247.log.group")
                .with_description("entries written with one sync")
                .with_boundaries(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
                .build(),
            append: seconds("i247.log.append", "how long a durable write of the log takes", fast.clone()),
            deliver: seconds("i247.deliver", "from acceptance to the recipient's receipt", fast.clone()),
            revocation: seconds(
                "i247.revocation.effect",
                "from the decision that suspends or revokes somebody until their connections are cut",
                fast,
            ),
            reply: seconds("i247.reply", "from the acceptance of a request to its final answer", slow),
        }
    }

    /// What moved, a little later than it did: nobody waits for this.
    pub(crate) fn moved(&self, moves: &[Move], replies: &[Replied]) {
        for Move { what, kind, lane: of, after_ms, .. } in moves {
            let of = of.map(lane);
            let of = of.as_slice();
            match what {
                What::Accepted => {
                    let kind = KeyValue::new("kind", kind.map_or("unknown", Kind::as_str));
                    self.accepted.add(1, &[kind]);
                }
                What::Stands(state) => {
                    if *state == RecipientState::Delivered {
                        self.delivered.add(1, of);
                        self.deliver.record(f64::from(*after_ms) / 1000.0, of);
                    }
                    match state {
                        RecipientState::Delivered | RecipientState::Opened | RecipientState::Actioned => {
                            self.receipts.add(1, &[KeyValue::new("stage", stage(*state))]);
                        }
                        RecipientState::Expired => self.expired.add(1, of),
                        _ => {}
                    }
                }
                What::Refused(reason) => self.refused.add(1, &[KeyValue::new("reason", reason.as_str())]),
                What::Entered => {}
            }
        }
        for Replied { after_ms, .. } in replies {
            self.reply.record(*after_ms as f64 / 1000.0, &[]);
        }
    }

    pub(crate) fn duplicate(&self) {
        self.duplicates.add(1, &[]);
    }

    pub(crate) fn receipts(&self) {
        self.frames.add(1, &[]);
    }

    /// A frame of keys was answered in so much time.
    pub(crate) fn searched(&self, response: &pb::SearchResponse, tally: &Tally, took: Duration) {
        self.search_frame.record(took.as_secs_f64(), &[]);
        for (database, asked) in &tally.databases {
            let hit = match asked.surest {
                Some(Likeness::Same) => "match",
                Some(Likeness::Similar) => "possible",
                None => "none",
            };
            let labels = [KeyValue::new("db", database.as_str()), KeyValue::new("hit", hit)];
            self.search.record(asked.took.as_secs_f64(), &labels);
        }
        let mut results: BTreeMap<&str, u64> = BTreeMap::new();
        for answer in &response.answers {
            let result = match answer.result() {
                pb::SearchResult::NoRecord => "no_record",
                pb::SearchResult::Possible => "possible",
                pb::SearchResult::Match => "match",
                pb::SearchResult::Refer => "refer",
                pb::SearchResult::Unspecified => "no_key",
            };
            *results.entry(result).or_default() += 1;
        }
        for (result, count) in results {
            self.searches.add(count, &[KeyValue::new("result", result)]);
        }
    }

    pub(crate) fn search_refused(&self, reason: Reason) {
        self.searches_refused.add(1, &[KeyValue::new("reason", reason.as_str())]);
    }

    pub(crate) fn enumerated(&self) {
        self.enumerated.add(1, &[]);
    }

    pub(crate) fn group(&self, entries: usize) {
        self.group.record(entries as u64, &[]);
    }

    /// Who was suspended or revoked was cut off after so much time.
    pub(crate) fn cut_off(&self, took: Duration) {
        self.revocation.record(took.as_secs_f64(), &[]);
    }

    /// A group was written in so much time.
    pub(crate) fn appended(&self, took: Duration) {
        self.append.record(took.as_secs_f64(), &[]);
    }
}

fn stage(state: RecipientState) -> &'static str {
    match state {
        RecipientState::Opened => "opened",
        RecipientState::Actioned => "actioned",
        _ => "delivered",
    }
}
