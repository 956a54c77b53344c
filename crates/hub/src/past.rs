//! Looks messages up, open or closed, in memory and on disk. It must not hold the views while it waits for a disk.
//!
//! Whatever was applied is found: the views are looked at first, and what of history is on disk is read from the runs
//! that they had at that moment.

use std::sync::{PoisonError, RwLock};

use i247_ledger::outcome;
use i247_model::{Lane, MessageId, Party, Reason, Refusal};
use i247_router::Message;
use i247_wire::pb;

use crate::core::Core;
use crate::history::{
    Carried, HistoryError, Item, Operation, carried_in, ids_in, item_in, marks_in, operation_in,
};
use crate::views::Views;

/// A message and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) item: Item,
    /// Its present form, or its last; none when it was refused.
    pub(crate) message: Option<Message>,
    pub(crate) closed: bool,
}

/// Looks for a message, as it was closed: what recipients said of it later is left out.
///
/// # Errors
/// When the disk cannot say.
pub(crate) fn find(views: &RwLock<Views>, id: &MessageId) -> Result<Option<Found>, HistoryError> {
    let key = id.to_string();
    let runs = {
        let views = read(views);
        if let Some(found) = near(&views, id, &key) {
            return Ok(Some(found));
        }
        views.history.runs().clone()
    };
    Ok(item_in(&runs, &key)?.map(Found::of))
}

/// Looks for a message, with everything that happened to it.
///
/// # Errors
/// When the disk cannot say.
pub(crate) fn find_whole(views: &RwLock<Views>, id: &MessageId) -> Result<Option<Found>, HistoryError> {
    let Some(mut found) = find(views, id)? else { return Ok(None) };
    if found.closed {
        let place = found.item.place;
        // Marks only ever come to be: those of now fit the item of before.
        let (mut marks, runs) = {
            let views = read(views);
            (views.history.near_marks(place), views.history.runs().clone())
        };
        marks.extend(marks_in(&runs, place)?);
        found.mark(marks);
    }
    Ok(Some(found))
}

/// The ids that begin with `prefix`, at most `limit` of them; only the one that is equal to it when there is one.
///
/// # Errors
/// When the disk cannot say.
pub(crate) fn with_prefix(
    views: &RwLock<Views>,
    prefix: &str,
    limit: usize,
) -> Result<Vec<MessageId>, HistoryError> {
    if let Ok(id) = prefix.parse::<MessageId>()
        && find(views, &id)?.is_some()
    {
        return Ok(vec![id]);
    }
    let (mut ids, runs) = {
        let views = read(views);
        (views.history.near_ids(prefix, limit), views.history.runs().clone())
    };
    ids.extend(ids_in(&runs, prefix, limit)?);
    Ok(ids.iter().filter_map(|id| id.parse().ok()).take(limit).collect())
}

/// What some mailbox numbers carry, from `first` on.
///
/// # Errors
/// When the disk cannot say.
pub(crate) fn carried(
    views: &RwLock<Views>,
    party: Party,
    lane: Lane,
    first: u64,
) -> Result<Vec<Carried>, HistoryError> {
    let runs = {
        let views = read(views);
        if let Some(carried) = views.history.near_carried(party, lane, first) {
            return Ok(carried);
        }
        views.history.runs().clone()
    };
    carried_in(&runs, party, lane, first)
}

/// What belongs to an operation.
///
/// # Errors
/// When the disk cannot say.
pub(crate) fn operation(views: &RwLock<Views>, name: &str) -> Result<Operation, HistoryError> {
    let (near, runs) = {
        let views = read(views);
        (views.history.near_operation(name), views.history.runs().clone())
    };
    let Operation { mut messages, mut seats } = operation_in(&runs, name)?;
    messages.extend(near.messages);
    seats.extend(near.seats);
    Ok(Operation { messages, seats })
}

/// Asks for what may be on disk, on a thread that may wait for it.
///
/// # Errors
/// `READ_ONLY` when history cannot be read, which is not the same as not knowing.
pub(crate) async fn ask<T: Send + 'static>(
    core: &Core,
    question: impl FnOnce(&RwLock<Views>) -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, Refusal> {
    let views = core.views.clone();
    let answer = outcome(&*core.blocking, move || question(&views)).await;
    answer.unwrap_or(Err(HistoryError::GivenUp)).map_err(|error| unavailable(&error))
}

/// The closed form of a message, if it is not open.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn closed(core: &Core, id: MessageId) -> Result<Option<Message>, Refusal> {
    let found = ask(core, move |views| find(views, &id)).await?;
    Ok(found.filter(|found| found.closed).and_then(|found| found.message))
}

/// A message that was entered, as [`find`] finds it.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn entered(core: &Core, id: &MessageId) -> Result<Option<Found>, Refusal> {
    let near = near(&core.views(), id, &id.to_string());
    if near.is_some() {
        return Ok(near);
    }
    let id = id.clone();
    ask(core, move |views| find(views, &id)).await
}

/// Where messages stand, as their sender hears it: of those that are known, in the order in which they are named.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn statuses(core: &Core, ids: Vec<MessageId>) -> Result<Vec<pb::MessageStatus>, Refusal> {
    let near: Vec<Option<pb::MessageStatus>> = {
        let views = core.views();
        ids.iter().map(|id| near_status(&views, id)).collect()
    };
    if near.iter().all(Option::is_some) {
        return Ok(near.into_iter().flatten().collect());
    }
    ask(core, move |views| {
        let mut statuses = Vec::with_capacity(ids.len());
        for (id, near) in ids.iter().zip(near) {
            statuses.extend(match near {
                Some(status) => Some(status),
                None => find_whole(views, id)?.and_then(|found| found.status()),
            });
        }
        Ok(statuses)
    })
    .await
}

impl Found {
    fn of(mut item: Item) -> Self {
        let message = item.closed.take();
        Self { item, message, closed: true }
    }

    fn mark(&mut self, marks: Vec<crate::history::Event>) {
        self.item.closed = self.message.take();
        self.item.mark(marks);
        self.message = self.item.closed.take();
    }

    pub(crate) fn status(&self) -> Option<pb::MessageStatus> {
        self.message.as_ref().map(|message| status(message, self.closed))
    }
}

/// What memory alone can say for certain.
fn near_status(views: &Views, id: &MessageId) -> Option<pb::MessageStatus> {
    if let Some(message) = views.state.message(id) {
        return Some(status(message, false));
    }
    let item = views.history.near_whole(&id.to_string())?;
    let marks = views.history.near_marks(item.place);
    if marks.is_empty() {
        return item.closed.as_ref().map(|message| status(message, true));
    }
    let mut found = Found::of(item.clone());
    found.mark(marks);
    found.status()
}

fn near(views: &Views, id: &MessageId, key: &str) -> Option<Found> {
    let item = views.history.near(key)?.clone();
    match views.state.message(id) {
        Some(message) => Some(Found { item, message: Some(message.clone()), closed: false }),
        None => Some(Found::of(item)),
    }
}

fn status(message: &Message, closed: bool) -> pb::MessageStatus {
    let recipients = message.recipients.iter().map(|(party, recipient)| pb::RecipientStatus {
        party: party.to_string(),
        state: pb::RecipientState::from(recipient.state).into(),
        answer: recipient.line.map_or(pb::AnswerState::Unspecified, |line| line.state.into()).into(),
        since_ms: recipient.since.as_millis(),
    });
    pb::MessageStatus {
        id: message.id.to_string(),
        position: message.at.position,
        recipients: recipients.collect(),
        closed,
    }
}

fn unavailable(error: &HistoryError) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "history cannot be read");
    let next_step = "history cannot be read at the moment: ask again, and tell whoever runs the hub";
    Refusal { next_step: next_step.into(), ..Refusal::of(Reason::ReadOnly, "history") }
}

fn read(views: &RwLock<Views>) -> std::sync::RwLockReadGuard<'_, Views> {
    views.read().unwrap_or_else(PoisonError::into_inner)
}
