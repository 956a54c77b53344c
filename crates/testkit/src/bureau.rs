//! Acting as a country: what its officers do at the desk, and what they wait for.

use std::collections::BTreeSet;
use std::time::Duration;

use i247_client::{ClientError, Desk, Event, InboxFilter, OutboxFilter, Watch};
use i247_model::{CountryCode, Kind, Lane, MessageId, Sender};
use i247_wire::pb;

use crate::acts::{Ask, Received, Sent};
use crate::error::WorldError;
use crate::pki::{country, name};
use crate::world::World;

/// How long a story waits for an event before it fails.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

/// How long one look at the stream of events lasts: what is not told there is looked for after it.
const LOOK: Duration = Duration::from_millis(250);

/// A country of a world.
#[derive(Clone, Copy, Debug)]
pub struct Bureau<'w> {
    world: &'w World,
    code: CountryCode,
}

impl<'w> Bureau<'w> {
    pub(crate) fn new(world: &'w World, code: CountryCode) -> Self {
        Self { world, code }
    }

    /// Which country.
    pub fn code(&self) -> CountryCode {
        self.code
    }

    /// The desk, under the certificate of the first seat.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn desk(&self) -> Result<Desk, WorldError> {
        let seat = self.world.seats_of(self.code).into_iter().next().unwrap_or_else(|| name("duty"));
        self.world.desk(self.code, &seat).await
    }

    /// A question to these countries.
    pub fn ask<'a>(&self, countries: impl IntoIterator<Item = &'a str>) -> Ask<'w> {
        Ask::new(*self, countries.into_iter().map(country).collect())
    }

    /// Sends a draft.
    ///
    /// # Errors
    /// The desk's refusal, or when the bureau does not run.
    pub async fn send(&self, draft: pb::Draft) -> Result<Sent, WorldError> {
        let id = self.desk().await?.send(draft.clone()).await?;
        self.world.record().sent(id.clone(), &draft);
        Ok(Sent { id, from: self.code })
    }

    /// Words to these countries.
    ///
    /// # Errors
    /// As [`Bureau::send`].
    pub async fn tell(&self, countries: &[&str], text: &str) -> Result<Sent, WorldError> {
        self.send(crate::acts::free_text(countries, text)).await
    }

    /// So many routine messages, one after the other.
    ///
    /// # Errors
    /// As [`Bureau::send`].
    pub async fn flood(&self, countries: &[&str], count: usize) -> Result<Vec<Sent>, WorldError> {
        let desk = self.desk().await?;
        let mut sent = Vec::with_capacity(count);
        for nth in 1..=count {
            let draft = crate::acts::free_text(countries, &format!("routine message {nth}"));
            let id = desk.send(draft.clone()).await?;
            self.world.record().sent(id.clone(), &draft);
            sent.push(Sent { id, from: self.code });
        }
        Ok(sent)
    }

    /// Waits until the hub has accepted or refused the message.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn answered(&self, sent: &Sent) -> Result<pb::OutboxItem, WorldError> {
        let what = format!("the hub's answer to {}", sent.id);
        self.until(&what, async |desk| {
            let item = desk.status(&sent.id.to_string()).await?.item;
            Ok(item.filter(|item| item.state() != pb::OutboxState::Waiting))
        })
        .await
    }

    /// Waits until the hub has accepted the message.
    ///
    /// # Errors
    /// When it refuses it, or does not answer in time.
    pub async fn accepted(&self, sent: &Sent) -> Result<(), WorldError> {
        let item = self.answered(sent).await?;
        match item.refusal {
            None => Ok(()),
            Some(refusal) => Err(WorldError::Node { name: sent.id.to_string(), text: refusal.reason }),
        }
    }

    /// Waits until where the message stands is as wanted.
    ///
    /// # Errors
    /// When it never is in time.
    pub async fn stands(
        &self,
        sent: &Sent,
        what: &str,
        wanted: impl Fn(&pb::MessageStatus) -> bool,
    ) -> Result<pb::MessageStatus, WorldError> {
        self.until(&format!("{} to be {what}", sent.id), async |desk| {
            let status = desk.status(&sent.id.to_string()).await?.status;
            Ok(status.filter(&wanted))
        })
        .await
    }

    /// Waits until a message has arrived here.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn receives(&self, id: &MessageId) -> Result<Received, WorldError> {
        let shown = self
            .until(&format!("{id} at {}", self.code), async |desk| match desk.show(&id.to_string()).await {
                Ok(shown) => Ok(Some(shown)),
                Err(error) if error.refusal().is_some() => Ok(None),
                Err(error) => Err(error),
            })
            .await?;
        Ok(Received(shown))
    }

    /// Waits until a message of this kind has arrived that refers to another.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn receives_about(&self, kind: Kind, about: &MessageId) -> Result<Received, WorldError> {
        let filter = InboxFilter { kind: kind.into(), ..InboxFilter::default() };
        let about = about.to_string();
        let item = self
            .until(&format!("a {kind} about {about} at {}", self.code), async |desk| {
                let items = desk.inbox(&filter).await?;
                Ok(items.into_iter().find(|item| item.refers_to == about))
            })
            .await?;
        Ok(Received(self.desk().await?.show(&item.id).await?))
    }

    /// Waits for the last word of a country on a question.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn reply_to(&self, question: &Sent, from: &str) -> Result<Received, WorldError> {
        let filter = InboxFilter { kind: pb::Kind::Reply, sender: from.to_owned(), ..InboxFilter::default() };
        let about = question.id.to_string();
        let item = self
            .until(&format!("the reply of {from} to {about}"), async |desk| {
                let items = desk.inbox(&filter).await?;
                let last = |item: &pb::InboxItem| item.reply_stage() != pb::ReplyStage::Interim;
                Ok(items.into_iter().find(|item| item.refers_to == about && last(item)))
            })
            .await?;
        Ok(Received(self.desk().await?.show(&item.id).await?))
    }

    /// Everything received, the oldest first.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn inbox(&self) -> Result<Vec<pb::InboxItem>, WorldError> {
        let mut items = self.desk().await?.inbox(&InboxFilter::default()).await?;
        items.reverse();
        Ok(items)
    }

    /// Waits until everything of `ids` has arrived.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn receives_all(&self, sent: &[Sent]) -> Result<(), WorldError> {
        let wanted: BTreeSet<String> = sent.iter().map(|sent| sent.id.to_string()).collect();
        self.until(&format!("{} messages at {}", wanted.len(), self.code), async |desk| {
            let items = desk.inbox(&InboxFilter::default()).await?;
            let here: BTreeSet<&String> = items.iter().map(|item| &item.id).collect();
            Ok(wanted.iter().all(|id| here.contains(id)).then_some(()))
        })
        .await
    }

    /// Waits until the bureau says that it neither sends nor acknowledges, and returns why.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn halted(&self) -> Result<String, WorldError> {
        self.until(&format!("{} to be halted", self.code), async |desk| {
            Ok(Some(desk.report().await?.halted).filter(|why| !why.is_empty()))
        })
        .await
    }

    /// The ids of everything received, the oldest first.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn inbox_ids(&self) -> Result<Vec<String>, WorldError> {
        Ok(self.inbox().await?.into_iter().map(|item| item.id).collect())
    }

    /// The id that the next message of a lane will have, while nobody else writes there.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn next_id(&self, lane: Lane) -> Result<MessageId, WorldError> {
        let sent = self.outbox().await?;
        let ids = sent.iter().filter_map(|item| item.id.parse::<MessageId>().ok());
        let first = MessageId { sender: Sender::Bureau(self.code), epoch: 1, lane, number: 1 };
        let last = ids.filter(|id| id.lane == lane).max_by_key(|id| (id.epoch, id.number));
        Ok(last.map_or(first, |last| MessageId { number: last.number + 1, ..last }))
    }

    /// Everything sent, the oldest first.
    ///
    /// # Errors
    /// When the bureau does not run.
    pub async fn outbox(&self) -> Result<Vec<pb::OutboxItem>, WorldError> {
        let mut items = self.desk().await?.outbox(&OutboxFilter::default()).await?;
        items.reverse();
        Ok(items)
    }

    /// Waits until `look` finds something: it is asked at every event of the desk, and a few times a second.
    ///
    /// # Errors
    /// [`WorldError::Waited`] says for what.
    pub async fn until<T>(
        &self,
        what: &str,
        look: impl AsyncFn(&Desk) -> Result<Option<T>, ClientError>,
    ) -> Result<T, WorldError> {
        let waiting = async {
            let desk = self.desk().await?;
            let mut events: Option<Watch> = None;
            loop {
                match look(&desk).await {
                    Ok(Some(found)) => return Ok(found),
                    Ok(None) => {}
                    // The bureau is on its way down or up.
                    Err(error) if error.passes() => {}
                    Err(error) => return Err(WorldError::from(error)),
                }
                events = next(&desk, events).await;
            }
        };
        let late = WorldError::Waited { what: what.into(), seconds: WITHIN.as_secs() };
        tokio::time::timeout(WITHIN, waiting).await.unwrap_or(Err(late))
    }
}

/// Waits for the next event, or a moment; opens the stream of events when there is none.
async fn next(desk: &Desk, events: Option<Watch>) -> Option<Watch> {
    let mut events = match events {
        Some(events) => events,
        None => match desk.watch(u64::MAX).await {
            Ok(events) => events,
            Err(_) => {
                i247_node::sleep(LOOK).await;
                return None;
            }
        },
    };
    match events.next(LOOK).await {
        Ok(Event::Arrived(_) | Event::Sent(_) | Event::Progress(_)) | Err(ClientError::Late(_)) => {
            Some(events)
        }
        Err(_) => None,
    }
}
