//! What the rules look at: how the hub and every bureau stand at one moment. It is gathered, never decided here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use i247_ledger::disk::Room;
use i247_model::{Identity, Lane, Party, Timestamp};
use i247_router::{Record, Standing};

use crate::audit::WrongRollUp;
use crate::core::{Behind, Core};
use crate::monitor::country::drain_ms;
use crate::overdue::Found;
use crate::views::Views;

/// How all stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    pub(crate) bureaus: BTreeMap<Party, Bureau>,
    /// Ends of certificates that are in force, of all but bureaus.
    pub(crate) people: Vec<(Identity, Validity)>,
    /// What posts have signed of their searches and is wrong, of the last day.
    pub(crate) roll_ups: Vec<WrongRollUp>,
    /// What is overdue.
    pub(crate) late: Arc<Found>,
    pub(crate) hub: Hub,
}

/// How one bureau stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bureau {
    pub(crate) standing: Option<Standing>,
    pub(crate) connected: bool,
    /// Since when it is as it is; none when it never was connected since the hub started.
    pub(crate) since: Option<Timestamp>,
    pub(crate) skew_ms: Option<i64>,
    /// The key agreement of its connection.
    pub(crate) group: Option<&'static str>,
    pub(crate) post_quantum: bool,
    /// TLS and signing certificates.
    pub(crate) certificates: Vec<(&'static str, Validity)>,
    pub(crate) lanes: [LaneFacts; 4],
}

impl Bureau {
    /// How long it has not been connected; zero while it is.
    pub(crate) fn away(&self, facts: &Facts) -> Duration {
        if self.connected { Duration::ZERO } else { facts.now.since(self.since.unwrap_or(facts.hub.began)) }
    }
}

/// How one lane of a mailbox stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneFacts {
    pub(crate) queued: u32,
    /// The message that waits longest, and since when.
    pub(crate) oldest: Option<(String, Timestamp)>,
    /// Until it is empty; none when it does not move.
    pub(crate) drain_ms: Option<u64>,
}

/// From when to when a certificate counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Validity {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// How the hub itself stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hub {
    /// When it started.
    pub(crate) began: Timestamp,
    pub(crate) full: bool,
    /// What proved that it is an older copy.
    pub(crate) behind: Option<Behind>,
    /// The wall clock is not believed.
    pub(crate) astray: bool,
    /// Entries that cannot be read, in order.
    pub(crate) unreadable: Vec<u64>,
    /// Entries whose body is damaged, in order.
    pub(crate) bodies: Vec<u64>,
    /// The databases cannot follow the log: up to which entry they know it, and how many there are behind that.
    pub(crate) databases_stuck: Option<(u64, u64)>,
    /// How long writes of the log took lately: 99 of 100 at most so long.
    pub(crate) append_p99: Option<Duration>,
    pub(crate) room: Option<Room>,
    pub(crate) certificates: Vec<(&'static str, Validity)>,
}

impl Facts {
    /// When certificates end: of bureaus, and of the hub as the secretariat.
    pub(crate) fn certificates(core: &Core) -> Vec<(Party, &'static str, Timestamp)> {
        let mut all = Vec::new();
        {
            let views = core.views();
            for (country, record) in views.state.directory().bureaus() {
                let party = Party::Bureau(country);
                let of = bureau(core, &views, party, record).certificates;
                all.extend(of.into_iter().map(|(purpose, validity)| (party, purpose, validity.not_after)));
            }
        }
        let own = own_certificates(core);
        all.extend(own.into_iter().map(|(purpose, of)| (Party::Secretariat, purpose, of.not_after)));
        all
    }

    pub(crate) async fn gather(core: &Core) -> Self {
        let now = core.clock.now();
        let mut facts = Self {
            now,
            roll_ups: core.audit.wrong_roll_ups(now),
            late: core.overdue.found(),
            hub: hub(core).await,
            ..Self::default()
        };
        {
            let views = core.views();
            for (identity, record) in views.state.directory().records() {
                if record.standing == Standing::Revoked {
                    continue;
                }
                match identity {
                    Identity::Bureau(country) => {
                        let party = Party::Bureau(country);
                        facts.bureaus.insert(party, bureau(core, &views, party, record));
                    }
                    identity => {
                        let signing = signing(&views, record);
                        facts.people.extend(signing.into_iter().map(|validity| (identity.clone(), validity)));
                    }
                }
            }
        }
        let kept = core.flow.kept();
        for (party, bureau) in &mut facts.bureaus {
            for lane in Lane::ALL {
                let facts = &mut bureau.lanes[lane.index()];
                let rate = kept.matrix.delivered_per_second(now, *party, lane);
                facts.drain_ms = drain_ms(facts.queued, rate);
            }
        }
        facts
    }
}

fn bureau(core: &Core, views: &Views, party: Party, record: &Record) -> Bureau {
    let link = core.links.newest(party);
    let live = link.as_ref().filter(|link| link.is_live());
    let mut bureau = Bureau {
        standing: Some(record.standing),
        connected: live.is_some(),
        since: link.as_ref().map(|link| if link.is_live() { link.began } else { link.last_contact() }),
        skew_ms: live.and_then(|link| link.skew_ms()),
        group: live.map(|link| link.peer.agreed.group),
        post_quantum: live.is_some_and(|link| link.peer.agreed.is_post_quantum()),
        ..Bureau::default()
    };
    bureau.certificates.extend(signing(views, record).map(|validity| ("signing", validity)));
    bureau.certificates.extend(live.map(|link| {
        let (not_before, not_after) = (link.peer.not_before, link.peer.not_after);
        ("TLS", Validity { not_before, not_after })
    }));
    let Some(mailbox) = views.state.mailbox(party) else { return bureau };
    for lane in Lane::ALL {
        let oldest = mailbox.oldest(lane).and_then(|at| views.state.message_at(at));
        bureau.lanes[lane.index()] = LaneFacts {
            queued: u32::try_from(mailbox.waiting(lane)).unwrap_or(u32::MAX),
            oldest: oldest.map(|message| (message.id.to_string(), message.accepted_at)),
            drain_ms: None,
        };
    }
    bureau
}

/// The certificate that counts longest of those that are in force or will be.
fn signing(views: &Views, record: &Record) -> Option<Validity> {
    let known = record.signing_keys.keys().filter_map(|key| views.signers.find(key));
    let newest = known.flat_map(|known| known.chains.last()).filter_map(|chain| {
        let leaf = i247_trust::Certificate::parse(chain.certificates.first()?).ok()?;
        Some(Validity { not_before: leaf.not_before, not_after: leaf.not_after })
    });
    newest.max_by_key(|validity| validity.not_after)
}

async fn hub(core: &Core) -> Hub {
    core.look_at_room().await;
    Hub {
        began: core.began,
        full: !*core.writable.borrow(),
        behind: *core.behind.borrow(),
        astray: core.pulse.is_astray(),
        unreadable: core.recent.unreadable_entries(),
        bodies: core.recent.damaged_bodies(),
        databases_stuck: core.databases.is_stuck().then(|| (core.databases_as_of(), core.behind_log())),
        append_p99: core.pulse.append_p99(core.clock.monotonic()),
        room: core.room(),
        certificates: own_certificates(core),
    }
}

/// The hub's own, as they were renewed last.
fn own_certificates(core: &Core) -> Vec<(&'static str, Validity)> {
    let own = core.own.borrow().clone();
    let certificate = |purpose, der: &[u8]| {
        let leaf = i247_trust::Certificate::parse(der).ok()?;
        Some((purpose, Validity { not_before: leaf.not_before, not_after: leaf.not_after }))
    };
    let signing = own.signing_chain.first().and_then(|leaf| certificate("signing", leaf));
    let tls = own.tls_chain.first().and_then(|leaf| certificate("TLS", leaf));
    signing.into_iter().chain(tls).collect()
}
