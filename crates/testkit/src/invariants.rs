//! What must hold at the end of every story, checked from what desks and operators can see.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use i247_model::{CountryCode, MessageId};
use i247_wire::pb;

use crate::error::WorldError;
use crate::world::World;

/// An invariant that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// A message was accepted, is said to be delivered, and is not there.
    Lost {
        /// Which message.
        message: String,
        /// Where it is missing.
        at: CountryCode,
    },
    /// A message is there more than once.
    Twice {
        /// Which message.
        message: String,
        /// Where.
        at: CountryCode,
    },
    /// A message is at somebody who is not a recipient.
    Leaked {
        /// Which message.
        message: String,
        /// Where it should not be.
        at: CountryCode,
    },
    /// Messages of one sender and lane arrived in another order than they were sent.
    Disordered {
        /// The message that came too late.
        message: String,
        /// Where.
        at: CountryCode,
    },
    /// The recipients' states do not add up to the promised audience.
    Audience {
        /// Which message.
        message: String,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { message, at } => write!(f, "{message} was delivered to {at} and is not there"),
            Self::Twice { message, at } => write!(f, "{message} is at {at} more than once"),
            Self::Leaked { message, at } => write!(f, "{message} is at {at}, which is no recipient"),
            Self::Disordered { message, at } => {
                write!(f, "{message} came to {at} behind a later one of its lane")
            }
            Self::Audience { message } => write!(f, "the states of {message} do not add up to its audience"),
        }
    }
}

/// Everything that is broken. Bureaus that do not run are left out.
pub(crate) async fn check(world: &World) -> Result<Vec<Broken>, WorldError> {
    let mut inboxes: BTreeMap<CountryCode, Vec<MessageId>> = BTreeMap::new();
    let mut sent: BTreeSet<String> = BTreeSet::new();
    for code in world.countries() {
        if world.desk_address(code).await.is_err() {
            continue;
        }
        let bureau = world.bureau(code.as_str());
        let received = bureau.inbox().await?;
        inboxes.insert(code, received.iter().filter_map(|item| item.id.parse().ok()).collect());
        let accepted = |item: &pb::OutboxItem| item.state() == pb::OutboxState::Accepted;
        sent.extend(bureau.outbox().await?.into_iter().filter(accepted).map(|item| item.id));
    }
    let received = inboxes.values().flatten().map(ToString::to_string);
    let ids: BTreeSet<String> = received.chain(sent).collect();
    let mut broken = orders(&inboxes);
    if world.hub_address().await.is_err() {
        return Ok(broken);
    }
    let monitor = world.monitor().await?;
    for id in ids {
        let trace = monitor.trace(&id).await?;
        broken.extend(message(&id, &trace, &inboxes));
    }
    Ok(broken)
}

/// One message against all inboxes.
fn message(
    id: &str,
    trace: &pb::TraceResponse,
    inboxes: &BTreeMap<CountryCode, Vec<MessageId>>,
) -> Vec<Broken> {
    let mut broken = Vec::new();
    let recipients = trace.status.as_ref().map(|status| status.recipients.as_slice()).unwrap_or_default();
    let named: BTreeSet<&str> = recipients.iter().map(|recipient| recipient.party.as_str()).collect();
    if named.len() != recipients.len() {
        broken.push(Broken::Audience { message: id.into() });
    }
    for (at, inbox) in inboxes {
        let copies = inbox.iter().filter(|received| received.to_string() == id).count();
        let recipient = recipients.iter().find(|recipient| recipient.party == at.as_str());
        let delivered = recipient.is_some_and(|recipient| {
            matches!(
                recipient.state(),
                pb::RecipientState::Delivered | pb::RecipientState::Opened | pb::RecipientState::Actioned
            )
        });
        if copies > 1 {
            broken.push(Broken::Twice { message: id.into(), at: *at });
        }
        if copies > 0 && recipient.is_none() {
            broken.push(Broken::Leaked { message: id.into(), at: *at });
        }
        if copies == 0 && delivered {
            broken.push(Broken::Lost { message: id.into(), at: *at });
        }
    }
    broken
}

/// Per recipient, sender, epoch and lane the numbers only grow.
fn orders(inboxes: &BTreeMap<CountryCode, Vec<MessageId>>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (at, inbox) in inboxes {
        let mut last = BTreeMap::new();
        for id in inbox {
            let before = last.insert((id.sender.clone(), id.epoch, id.lane), id.number);
            if before.is_some_and(|before| before > id.number) {
                broken.push(Broken::Disordered { message: id.to_string(), at: *at });
            }
        }
    }
    broken
}
