//! What must hold at the end of every story, checked against the story's own record, and from what desks and
//! operators can see.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::Ordering;

use i247_client::ClientError;
use i247_model::{CountryCode, MessageId, Reason, Sender};
use i247_wire::pb;

use crate::error::WorldError;
use crate::world::World;

/// An invariant that does not hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Broken {
    /// A message was taken, accepted or delivered, and is not there.
    Lost {
        /// Which message.
        message: String,
        /// Where it is missing.
        at: CountryCode,
    },
    /// A message is still under way to a bureau that is connected and waits for nothing.
    Stuck {
        /// Whose queue or outbox does not empty.
        at: CountryCode,
        /// How it looks.
        how: String,
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
    /// A message is at somebody for whom its sender did not mean it.
    NotMeant {
        /// Which message.
        message: String,
        /// Where it should not be.
        at: CountryCode,
    },
    /// A message is in an inbox and its bureau never sent it.
    Forged {
        /// Which message.
        message: String,
        /// Where it is.
        at: CountryCode,
    },
    /// Messages of one sender and lane arrived in another order than they were sent.
    Disordered {
        /// The message that came too late.
        message: String,
        /// Where.
        at: CountryCode,
    },
    /// A message came before the one that it refers to.
    Overtaken {
        /// The message that came too early.
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
            Self::Lost { message, at } => write!(f, "{message} should be at {at} and is not there"),
            Self::Stuck { at, how } => write!(f, "{at} is connected and its traffic stands still: {how}"),
            Self::Twice { message, at } => write!(f, "{message} is at {at} more than once"),
            Self::Leaked { message, at } => write!(f, "{message} is at {at}, which is no recipient"),
            Self::NotMeant { message, at } => write!(f, "{message} is at {at}, for which it was not meant"),
            Self::Forged { message, at } => write!(f, "{message} is at {at}, and nobody sent it"),
            Self::Disordered { message, at } => {
                write!(f, "{message} came to {at} behind a later one of its lane")
            }
            Self::Overtaken { message, at } => {
                write!(f, "{message} came to {at} before the message that it refers to")
            }
            Self::Audience { message } => write!(f, "the states of {message} do not add up to its audience"),
        }
    }
}

type Inboxes = BTreeMap<CountryCode, Vec<pb::InboxItem>>;
type Outboxes = BTreeMap<CountryCode, BTreeMap<String, pb::OutboxItem>>;

/// Everything that is broken. Bureaus that do not run are left out; those that were given an older copy of their data
/// are not asked for what they lost.
pub(crate) async fn check(world: &World) -> Result<Vec<Broken>, WorldError> {
    let mut broken: BTreeSet<Broken> = settle(world).await?.into_iter().collect();
    // What arrives after this look was sent before the next one, and is delivered before the last.
    let seen = inboxes(world).await?;
    let outboxes = outboxes(world).await?;
    let traces = traces(world, &seen, &outboxes, &mut broken).await?;
    let inboxes = inboxes(world).await?;
    for (at, inbox) in &inboxes {
        broken.extend(orders(*at, inbox));
    }
    broken.extend(own_record(world, &inboxes, &outboxes));
    broken.extend(forged(world, &seen, &outboxes));
    for (id, trace) in &traces {
        broken.extend(message(world, id, trace, &inboxes));
    }
    Ok(broken.into_iter().collect())
}

/// Waits until nothing is under way to or from a bureau that is connected.
async fn settle(world: &World) -> Result<Vec<Broken>, WorldError> {
    if world.hub_address().await.is_err() {
        return Ok(Vec::new());
    }
    let last = std::sync::Mutex::new(Vec::new());
    let quiet = world.until("all to be quiet", async || {
        let under_way = under_way(world).await?;
        let done = under_way.is_empty();
        *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = under_way;
        Ok(done.then_some(()))
    });
    match quiet.await {
        Ok(()) => Ok(Vec::new()),
        Err(WorldError::Waited { .. }) => {
            Ok(last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
        }
        Err(error) => Err(error),
    }
}

/// What is under way to or from a bureau that is connected.
pub(crate) async fn under_way(world: &World) -> Result<Vec<Broken>, WorldError> {
    let mut under_way = Vec::new();
    let summary = world.monitor().await?.summary().await?;
    for (code, placed) in &world.bureaus {
        if placed.cut.load(Ordering::Relaxed) || world.desk_address(*code).await.is_err() {
            continue;
        }
        let link = summary.links.iter().find(|link| link.party == code.as_str());
        if link.is_none_or(|link| link.standing != "active") {
            continue;
        }
        let report = world.bureau(code.as_str()).desk().await?.report().await?;
        if !report.halted.is_empty() {
            continue;
        }
        let queued = link.map_or(0, |link| link.queued);
        if queued > 0 || report.outbox_waiting > 0 {
            let how = format!("{queued} queued for it, {} waiting at it", report.outbox_waiting);
            under_way.push(Broken::Stuck { at: *code, how });
        }
    }
    Ok(under_way)
}

async fn inboxes(world: &World) -> Result<Inboxes, WorldError> {
    let mut inboxes = Inboxes::new();
    for code in world.countries() {
        if world.desk_address(code).await.is_ok() {
            inboxes.insert(code, world.bureau(code.as_str()).inbox().await?);
        }
    }
    Ok(inboxes)
}

async fn outboxes(world: &World) -> Result<Outboxes, WorldError> {
    let mut outboxes = Outboxes::new();
    for code in world.countries() {
        if world.desk_address(code).await.is_ok() {
            let items = world.bureau(code.as_str()).outbox().await?;
            outboxes.insert(code, items.into_iter().map(|item| (item.id.clone(), item)).collect());
        }
    }
    Ok(outboxes)
}

/// The hub's word on every message that somebody received or that it accepted.
async fn traces(
    world: &World,
    seen: &Inboxes,
    outboxes: &Outboxes,
    broken: &mut BTreeSet<Broken>,
) -> Result<BTreeMap<String, pb::TraceResponse>, WorldError> {
    let mut traces = BTreeMap::new();
    if world.hub_address().await.is_err() {
        return Ok(traces);
    }
    let received = seen.iter().flat_map(|(at, items)| items.iter().map(|item| (*at, item.id.clone())));
    let accepted = |item: &&pb::OutboxItem| item.state() == pb::OutboxState::Accepted;
    let sent = outboxes
        .iter()
        .flat_map(|(at, items)| items.values().filter(accepted).map(|item| (*at, item.id.clone())));
    let monitor = world.monitor().await?;
    for (at, id) in received.chain(sent) {
        if traces.contains_key(&id) {
            continue;
        }
        match monitor.trace(&id).await {
            Ok(trace) => drop(traces.insert(id, trace)),
            // Accepted or delivered, and the hub does not know it.
            Err(ClientError::Refused(refusal)) if refusal.reason == Reason::UnknownReference => {
                if world.record().hub_may_lack(&id) {
                    continue;
                }
                broken.insert(Broken::Lost { message: format!("{id} (in the hub's log)"), at });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(traces)
}

/// One message against all inboxes.
fn message(world: &World, id: &str, trace: &pb::TraceResponse, inboxes: &Inboxes) -> Vec<Broken> {
    let mut broken = Vec::new();
    let recipients = trace.status.as_ref().map(|status| status.recipients.as_slice()).unwrap_or_default();
    let named: BTreeSet<&str> = recipients.iter().map(|recipient| recipient.party.as_str()).collect();
    let stated = recipients.iter().all(|recipient| recipient.state() != pb::RecipientState::Unspecified);
    if named.len() != recipients.len() || !stated {
        broken.push(Broken::Audience { message: id.into() });
    }
    for (at, inbox) in inboxes {
        let copies = inbox.iter().filter(|received| received.id == id).count();
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
        if copies == 0 && delivered && !world.record().has_lost_data(*at) {
            broken.push(Broken::Lost { message: id.into(), at: *at });
        }
    }
    broken
}

/// What desks promised is in their outboxes, and nobody has what was not meant for him.
fn own_record(world: &World, inboxes: &Inboxes, outboxes: &Outboxes) -> Vec<Broken> {
    let record = world.record();
    let mut broken = Vec::new();
    for id in record.ids() {
        let Some(from) = id.sender.party().country() else { continue };
        let kept = outboxes.get(&from).is_none_or(|outbox| outbox.contains_key(&id.to_string()));
        if !kept && !record.has_lost_data(from) {
            broken.push(Broken::Lost { message: format!("{id} (in its outbox)"), at: from });
        }
    }
    let referred: BTreeMap<&str, &str> =
        inboxes.values().flatten().map(|item| (item.id.as_str(), item.refers_to.as_str())).collect();
    for (at, inbox) in inboxes {
        for item in inbox {
            let Ok(id) = item.id.parse::<MessageId>() else { continue };
            let mut barred = item.kind() == pb::Kind::NoticeRequest;
            // A cancellation goes back to the notice, and that to the request.
            if matches!(item.kind(), pb::Kind::Notice | pb::Kind::Addendum | pb::Kind::Cancellation) {
                let mut back = referred.get(item.id.as_str()).copied();
                for _ in 0..3 {
                    let Some(request) = back.and_then(|text| text.parse::<MessageId>().ok()) else { break };
                    barred |= record.bars(&request, *at);
                    back = back.and_then(|text| referred.get(text).copied());
                }
            }
            if barred || !record.meant_for(&id, *at) {
                broken.push(Broken::NotMeant { message: item.id.clone(), at: *at });
            }
        }
    }
    broken
}

/// What came from a bureau stands in its outbox.
fn forged(world: &World, seen: &Inboxes, outboxes: &Outboxes) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (at, inbox) in seen {
        for item in inbox {
            let Ok(MessageId { sender: Sender::Bureau(from), .. }) = item.id.parse() else { continue };
            let known = outboxes.get(&from).is_none_or(|outbox| outbox.contains_key(&item.id));
            if !known && !world.record().has_lost_data(from) {
                broken.push(Broken::Forged { message: item.id.clone(), at: *at });
            }
        }
    }
    broken
}

/// Per recipient, sender, epoch and lane the numbers only grow; and nothing comes before what it refers to.
fn orders(at: CountryCode, inbox: &[pb::InboxItem]) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut last = BTreeMap::new();
    let mut here: BTreeSet<&str> = BTreeSet::new();
    let all: BTreeSet<&str> = inbox.iter().map(|item| item.id.as_str()).collect();
    for item in inbox {
        here.insert(&item.id);
        if all.contains(item.refers_to.as_str()) && !here.contains(item.refers_to.as_str()) {
            broken.push(Broken::Overtaken { message: item.id.clone(), at });
        }
        let Ok(id) = item.id.parse::<MessageId>() else { continue };
        let before = last.insert((id.sender.clone(), id.epoch, id.lane), id.number);
        if before.is_some_and(|before| before > id.number) {
            broken.push(Broken::Disordered { message: id.to_string(), at });
        }
    }
    broken
}
