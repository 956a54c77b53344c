//! Hits: whose record was found is told by a message that the hub makes, and owes an answer. It looks nothing up.

use i247_model::{HitFound, Kind, MessageId, Party, Sender};

use crate::directory::Standing;
use crate::{Fired, Made, Message, Stamp, State, apply};

/// The message of a hit: to the owner, who owes an answer, to the country that asked, and to the secretariat.
pub(crate) fn notify(state: &State, stamp: Stamp, found: &HitFound) -> Fired {
    let epoch = state.made_epoch(stamp.position);
    let id = MessageId { sender: Sender::Secretariat, epoch, lane: found.lane, number: 1 };
    let mut parties = vec![Party::Secretariat, found.owner, found.asker];
    parties.sort_unstable();
    parties.dedup();
    let mut places = Vec::with_capacity(parties.len());
    for party in parties {
        if matches!(state.directory().standing_of(party), None | Some(Standing::Revoked)) {
            continue;
        }
        // The secretariat has no clock: what is its own it finds in the register.
        let owes = party == found.owner && party != Party::Secretariat;
        places.push(state.place(party, found.lane, owes, None));
    }
    let refers_to = found.records.clone();
    let made = Made { id, kind: Kind::Hit, refers_to, places, nth: 0, silent: Vec::new() };
    Fired { deadlines: Vec::new(), made: vec![made] }
}

/// The message as the state keeps it.
pub(crate) fn message(stamp: Stamp, found: &HitFound, made: &Made) -> Message {
    let within = found.confirm_within();
    Message {
        owner: found.owner,
        reply_by: Some(stamp.at.plus(within)),
        interval: Some(within),
        ..apply::made_message(stamp, made)
    }
}
