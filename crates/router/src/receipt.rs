//! Receipts: what a recipient's signed ranges do to states. Acknowledgements never go back.

use std::collections::BTreeSet;

use i247_model::{Lane, NumberRange, Party, Reason, Receipts, RecipientState, Refusal, Timestamp};

use crate::apply::Changes;
use crate::directory::Standing;
use crate::{Effect, Stamp, State};

/// At most so many ranges stand in the receipts of one lane.
const RANGES_PER_LANE: usize = 1024;

/// The most numbers that they hold together: each may have to be looked up in what is long past.
const NUMBERS_PER_LANE: u64 = 65_536;

/// Whether receipts may be entered.
///
/// # Errors
/// `SUSPENDED` or `REVOKED`, and `WRONG_FIELD` for numbers that were never given.
pub(crate) fn check(state: &State, receipts: &Receipts) -> Result<(), Refusal> {
    match state.directory.standing_of(receipts.party) {
        Some(Standing::Active) => {}
        Some(Standing::Suspended) => return Err(Refusal::of(Reason::Suspended, "party")),
        Some(Standing::Revoked) => return Err(Refusal::of(Reason::Revoked, "party")),
        None => return Err(Refusal::of(Reason::NotAuthorised, "party")),
    }
    let mut seen = BTreeSet::new();
    for receipt in &receipts.lanes {
        let wrong =
            |field: &str| Refusal::of(Reason::WrongField, format!("lanes.{}.{field}", receipt.lane.letter()));
        if !seen.insert(receipt.lane) {
            return Err(wrong("lane"));
        }
        let mailbox = state.mailbox(receipts.party);
        if receipt.delivered_up_to > mailbox.map_or(0, |mailbox| mailbox.last(receipt.lane)) {
            return Err(wrong("delivered_up_to"));
        }
        let before = mailbox.map_or(0, |mailbox| mailbox.delivered_up_to(receipt.lane));
        let delivered = receipt.delivered_up_to.max(before);
        if !fit(&receipt.opened, delivered) {
            return Err(wrong("opened"));
        }
        if !fit(&receipt.actioned, delivered) {
            return Err(wrong("actioned"));
        }
    }
    Ok(())
}

/// In order, apart from one another, of what was delivered, and not too much at once.
fn fit(ranges: &[NumberRange], delivered: u64) -> bool {
    let (mut before, mut numbers) = (0, 0);
    for range in ranges {
        if range.first <= before || range.last < range.first || range.last > delivered {
            return false;
        }
        numbers += range.last - range.first + 1;
        before = range.last;
    }
    ranges.len() <= RANGES_PER_LANE && numbers <= NUMBERS_PER_LANE
}

pub(crate) fn apply(state: &mut State, stamp: Stamp, receipts: &Receipts, changes: &mut Changes) {
    let party = receipts.party;
    for receipt in &receipts.lanes {
        deliver(state, stamp, party, receipt.lane, receipt.delivered_up_to, changes);
        for range in &receipt.opened {
            mark(state, stamp, party, receipt.lane, *range, false, changes);
        }
        for range in &receipt.actioned {
            mark(state, stamp, party, receipt.lane, *range, true, changes);
        }
    }
}

fn deliver(state: &mut State, stamp: Stamp, party: Party, lane: Lane, up_to: u64, changes: &mut Changes) {
    let Some(mailbox) = state.mailboxes.get_mut(&party) else { return };
    let queue = &mut mailbox.lanes[lane.index()];
    while queue.delivered_up_to < up_to {
        let Some(waiting) = queue.waiting.pop_front() else { return };
        queue.delivered_up_to += 1;
        if waiting.gap.is_some() {
            queue.gaps = queue.gaps.saturating_sub(1);
            continue;
        }
        let message = state.open.get_mut(&waiting.message);
        if let Some(recipient) = message.and_then(|message| message.recipients.get_mut(&party)) {
            recipient.state = RecipientState::Delivered;
            recipient.since = stamp.at;
            queue.delivered.insert(queue.delivered_up_to, waiting.message);
            changes.touched.insert(waiting.message);
        }
    }
}

/// What is still open changes here; all other numbers of the range are left to history.
fn mark(
    state: &mut State,
    stamp: Stamp,
    party: Party,
    lane: Lane,
    range: NumberRange,
    actioned: bool,
    changes: &mut Changes,
) {
    let Some(mailbox) = state.mailboxes.get(&party) else { return };
    let goal = if actioned { RecipientState::Actioned } else { RecipientState::Opened };
    let mut next = range.first;
    let late = |first: u64, last: u64, at: Timestamp| Effect::LateReceipt {
        party,
        lane,
        numbers: NumberRange { first, last },
        actioned,
        at,
    };
    if range.first > range.last {
        return;
    }
    for (number, at) in mailbox.lanes[lane.index()].delivered.range(range.first..=range.last) {
        if *number > next {
            changes.effects.push(late(next, number - 1, stamp.at));
        }
        next = number + 1;
        let message = state.open.get_mut(at);
        let Some(recipient) = message.and_then(|message| message.recipients.get_mut(&party)) else {
            continue;
        };
        if recipient.state.has_it() && recipient.state < goal {
            recipient.state = goal;
            recipient.since = stamp.at;
            changes.touched.insert(*at);
        }
    }
    if next <= range.last {
        changes.effects.push(late(next, range.last, stamp.at));
    }
}
