//! How all bureaus stand at a moment: mailbox, link, standing. It looks at ends of queues only, never through them.

use std::collections::BTreeMap;

use i247_model::{Lane, Party, Timestamp};
use i247_router::Standing;
use i247_wire::pb;

use crate::alerts::Severity;
use crate::core::Core;
use crate::views::Views;

/// How one bureau stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Stand {
    pub(crate) connected: bool,
    /// None for who is none any more.
    pub(crate) standing: Option<Standing>,
    /// Messages that wait, by lane.
    pub(crate) queued: [u32; 4],
    /// When the oldest of them was accepted.
    pub(crate) oldest: Option<Timestamp>,
    /// The worst that is wrong with it.
    pub(crate) worst: Option<Severity>,
}

/// How all stand.
#[derive(Clone, Default, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Timestamp,
    pub(crate) stands: BTreeMap<Party, Stand>,
    /// Without what is counted over time.
    pub(crate) numbers: pb::FlowNumbers,
}

impl Stand {
    pub(crate) fn wire(&self, party: Party) -> pb::FlowCountry {
        pb::FlowCountry {
            party: party.to_string(),
            connected: self.connected,
            standing: self.standing.map_or(pb::Standing::Unspecified, crate::directory::standing).into(),
            queued: self.queued.to_vec(),
            oldest_accepted_at_ms: self.oldest.map_or(0, Timestamp::as_millis),
            worst: self.worst.map_or(pb::AlertSeverity::Unspecified, Severity::wire).into(),
        }
    }
}

/// How all stand now.
pub(crate) fn sample(core: &Core, now: Timestamp) -> Sample {
    let alerts = core.alerts.standing();
    let mut sample = Sample { at: now, ..Sample::default() };
    let numbers = &mut sample.numbers;
    numbers.behind_log = core.behind_log();
    let views = core.views();
    for (country, record) in views.state.directory().bureaus() {
        let party = Party::Bureau(country);
        let link = core.links.find(party);
        let stand = Stand {
            connected: link.is_some(),
            standing: Some(record.standing),
            worst: alerts.worst.get(&party).copied(),
            ..stand(&views, party)
        };
        if record.standing != Standing::Revoked {
            numbers.links += 1;
        }
        numbers.links_connected += u32::from(stand.connected);
        let weak = link.is_some_and(|link| !link.peer.agreed.is_post_quantum());
        numbers.links_not_post_quantum += u32::from(weak);
        if let Some(oldest) = stand.oldest.filter(|_| record.standing == Standing::Active) {
            let oldest = oldest.as_millis();
            let known = numbers.oldest_accepted_at_ms;
            numbers.oldest_accepted_at_ms = if known == 0 { oldest } else { known.min(oldest) };
        }
        sample.stands.insert(party, stand);
    }
    numbers.open_messages = views.state.open_count() as u64;
    numbers.pending_reviews = u32::try_from(views.state.reviews().count()).unwrap_or(u32::MAX);
    numbers.log_end = views.position;
    drop(views);
    numbers.writable = *core.writable.borrow() && core.behind.borrow().is_none();
    numbers.replies_overdue = core.overdue.total();
    numbers.alerts = alerts.count;
    sample
}

/// What waits for a party.
pub(crate) fn stand(views: &Views, party: Party) -> Stand {
    let mut stand = Stand::default();
    let Some(mailbox) = views.state.mailbox(party) else { return stand };
    for lane in Lane::ALL {
        stand.queued[lane.index()] = u32::try_from(mailbox.waiting(lane)).unwrap_or(u32::MAX);
        let oldest = mailbox.oldest(lane).and_then(|at| views.state.message_at(at));
        let oldest = oldest.map(|message| message.accepted_at);
        stand.oldest = [stand.oldest, oldest].into_iter().flatten().min();
    }
    stand
}
