//! The hub was restored from an older copy and recovered: its log goes on under another id, without the end that it
//! lost. When this bureau has to take that over, what of the mailbox holds then, and what people are told. Pure.
//!
//! ```text
//!  lost log   ……………………│ end ─── accepted, delivered: known here, not at the hub ───►  sent again, handed over
//!  hub's log  ……………………│ Genesis ── other numbers and positions ──►
//! ```

use bytes::Bytes;
use i247_model::{Lane, Refusal};
use i247_wire::pb;

use crate::outbox::SentState;
use crate::views::{Views, lane};

/// How many messages the warning names.
const NAMED: usize = 3;

/// What a take-over means for the views.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TakenOver {
    pub(crate) log_id: Vec<u8>,
    /// The first log that this bureau hears of: nothing was lost.
    pub(crate) first: bool,
    /// The last position that the hub still has.
    pub(crate) end: u64,
    /// Per lane, the last mailbox number that holds.
    pub(crate) given: [u64; 4],
    /// The epoch and, per lane, the last number that the hub had decided on.
    pub(crate) epoch: u64,
    pub(crate) accepted: [u64; 4],
}

impl TryFrom<&pb::JournalTakenOver> for TakenOver {
    type Error = Refusal;

    fn try_from(taken: &pb::JournalTakenOver) -> Result<Self, Refusal> {
        let given = taken.mailbox.iter().map(|end| (end.lane, end.number));
        let accepted = taken.accepted.iter().map(|end| (end.lane, end.number));
        Ok(Self {
            log_id: taken.log_id.to_vec(),
            first: taken.predecessor.is_empty(),
            end: taken.previous_end,
            given: by_lane(given)?,
            epoch: taken.epoch,
            accepted: by_lane(accepted)?,
        })
    }
}

fn by_lane(ends: impl Iterator<Item = (i32, u64)>) -> Result<[u64; 4], Refusal> {
    let mut numbers = [0; 4];
    for (number_of_lane, number) in ends {
        numbers[lane(number_of_lane)?.index()] = number;
    }
    Ok(numbers)
}

/// What is to be journaled before this bureau goes on with the hub: none unless the hub's log is another one, which
/// goes on from the one that was known here.
pub(crate) fn due(welcome: &pb::Welcome, views: &Views) -> Option<pb::JournalTakenOver> {
    let own = &views.outbox.log_id;
    if own.is_empty() || welcome.log_id.is_empty() || *own == welcome.log_id {
        return None;
    }
    // Several recoveries may lie between: what holds is said by the log that this bureau knew.
    let known = welcome.predecessors.iter().find(|predecessor| predecessor.log_id == own);
    let predecessor = known.filter(|predecessor| predecessor.end <= welcome.log_end)?;
    let given = by_lane(predecessor.mailbox.iter().map(|end| (end.lane, end.number))).ok()?;
    let accepted = by_lane(welcome.accepted.iter().map(|end| (end.lane, end.number))).ok()?;
    let lanes = Lane::ALL.into_iter();
    Some(pb::JournalTakenOver {
        log_id: welcome.log_id.clone(),
        predecessor: predecessor.log_id.clone(),
        previous_end: predecessor.end,
        mailbox: lanes
            .clone()
            .map(|lane| pb::GivenUpTo { lane: pb::Lane::from(lane).into(), number: given[lane.index()] })
            .collect(),
        epoch: welcome.epoch,
        accepted: lanes
            .map(|lane| pb::LaneEnd {
                lane: pb::Lane::from(lane).into(),
                number: accepted[lane.index()],
                header_hash: Bytes::new(),
            })
            .collect(),
    })
}

/// What is to be journaled with the first thing that comes from a hub: without the id of its log, a bureau that only
/// ever received could not say later which log its numbers are of.
pub(crate) fn first(log_id: &Bytes, views: &Views, delivered: bool) -> Option<pb::JournalTakenOver> {
    let received = delivered || Lane::ALL.into_iter().any(|lane| views.inbox.up_to(lane) > 0);
    if !views.outbox.log_id.is_empty() || !received {
        return None;
    }
    Some(pb::JournalTakenOver { log_id: log_id.clone(), ..Default::default() })
}

/// What people should know while, and after, a recovered hub gets back what it lost; empty when nothing is left of it.
pub(crate) fn warning(views: &Views) -> String {
    let (again, owing) = (views.outbox.again().len(), views.inbox.owing());
    let mut parts = Vec::new();
    if again > 0 {
        parts.push(format!("{again} sent messages are sent again"));
    }
    if owing > 0 {
        parts.push(format!("{owing} received messages are handed over to it"));
    }
    let is_left = |state: &SentState| matches!(state, SentState::Accepted(acceptance) if acceptance.lost);
    let all = views.outbox.all().iter();
    let left: Vec<String> = all
        .filter(|sent| is_left(&sent.state) && !views.outbox.again().contains(&sent.id))
        .map(|sent| sent.id.to_string())
        .collect();
    if !left.is_empty() {
        let more = if left.len() > NAMED { ", …" } else { "" };
        let named = left[..left.len().min(NAMED)].join(", ");
        parts.push(format!(
            "{} that it had accepted before it refuses now ({named}{more}): ask the secretariat",
            left.len()
        ));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("the hub was restored from an older copy and recovered: {}", parts.join("; "))
}

#[cfg(test)]
#[path = "takeover_tests.rs"]
mod tests;
