//! What a bureau has lost, since its data was restored from an older copy, and the hub still holds. Before anything else
//! it gets back what it had sent, and then, in the order of the log and under the same numbers, what it had signed for.
//! It must not deliver what has ended meanwhile.

use std::collections::VecDeque;

use i247_model::{Lane, MessageId, Party, Reason, RecipientState, Refusal, Sender};
use i247_router::{Gap, MessageRef};
use i247_wire::pb;
use i247_wire::pb::connect_response::Frame;

use crate::frames::Gone;
use crate::history::Carried;
use crate::outbound::Outbound;
use crate::past::{self, Found};
use crate::recent::Stored;

/// Of so many lanes a bureau may have lost what it sent.
const LOST_LANES_MAX: usize = 256;

/// What a bureau has lost.
pub(crate) struct LostHere {
    /// Of what it sent.
    pub(crate) sent: Vec<LostLane>,
    /// Of what it had signed for.
    pub(crate) received: Anew,
}

/// A lane of an epoch of which a bureau has what it sent up to a number.
pub(crate) struct LostLane {
    epoch: u64,
    lane: Lane,
    known_up_to: u64,
}

impl LostLane {
    /// The lanes that a bureau names.
    ///
    /// # Errors
    /// `TOO_LARGE` and `MALFORMED` with the field.
    pub(crate) fn named(hello: &pb::Hello) -> Result<Vec<Self>, Refusal> {
        if hello.lost.len() > LOST_LANES_MAX {
            return Err(Refusal::of(Reason::TooLarge, "hello.lost"));
        }
        let named = |lost: &pb::LostLane| {
            let lane = i247_wire::known::<pb::Lane, Lane>(lost.lane, "hello.lost.lane")?;
            Ok(Self { epoch: lost.epoch, lane, known_up_to: lost.known_up_to })
        };
        hello.lost.iter().map(named).collect()
    }
}

/// The numbers of a mailbox that its bureau has lost.
pub(crate) struct Anew {
    party: Party,
    lanes: [LostNumbers; 4],
}

/// Those of one lane.
#[derive(Default)]
struct LostNumbers {
    /// What is known of the next ones.
    carried: VecDeque<Carried>,
    next: u64,
    last: u64,
}

impl Anew {
    /// What lies between that which the bureau has, by lane, and that which it had signed for.
    pub(crate) fn between(party: Party, has: [u64; 4], signed_for: [u64; 4]) -> Self {
        let lost = |lane: Lane| LostNumbers {
            carried: VecDeque::new(),
            next: has[lane.index()] + 1,
            last: signed_for[lane.index()],
        };
        Self { party, lanes: Lane::ALL.map(lost) }
    }

    /// The next of them: that which the log has first.
    async fn next(&mut self, outbound: &Outbound) -> Option<(Lane, Carried)> {
        for lane in Lane::ALL {
            let lost = &mut self.lanes[lane.index()];
            while lost.carried.is_empty() && lost.next <= lost.last {
                let (party, first) = (self.party, lost.next);
                let carried =
                    move || past::ask(&outbound.core, move |views| past::carried(views, party, lane, first));
                lost.take(outbound.patiently(carried).await);
            }
        }
        let first = |lane: &Lane| self.lanes[lane.index()].carried.front().map(|(_, message)| *message);
        let lane = Lane::ALL.into_iter().filter(|lane| first(lane).is_some()).min_by_key(first)?;
        Some((lane, self.lanes[lane.index()].carried.pop_front()?))
    }
}

impl LostNumbers {
    /// Takes in what the next numbers carry. When nobody knows, nothing behind them is known either.
    fn take(&mut self, carried: Vec<Carried>) {
        let last = self.last;
        self.next = carried.last().map_or(last, |(number, _)| *number) + 1;
        self.carried.extend(carried.into_iter().filter(|(number, _)| *number <= last));
    }
}

impl Outbound {
    /// Brings back what the bureau has lost.
    pub(crate) async fn make_good(&mut self, lost: LostHere) -> Result<(), Gone> {
        let LostHere { sent, received } = lost;
        for lane in sent {
            self.give_back(&lane).await?;
        }
        self.deliver_anew(received).await
    }

    /// Gives back what was sent in a lane, and says that there is no more.
    async fn give_back(&mut self, lost: &LostLane) -> Result<(), Gone> {
        let LostLane { epoch, lane, known_up_to: mut number } = *lost;
        let Some(country) = self.link.party.country() else { return Ok(()) };
        let end = pb::GivenBack { epoch, lane: pb::Lane::from(lane).into(), ..pb::GivenBack::default() };
        let mut given = 0;
        while let Some(next) = number.checked_add(1) {
            number = next;
            let id = MessageId { sender: Sender::Bureau(country), epoch, lane, number };
            let Some(found) = self.find(&id).await else { break };
            // What was refused has been nowhere.
            if found.item.refused.is_some() || self.is_of_another_membership(found.item.place) {
                continue;
            }
            let Stored { at, signed, envelope, .. } = self.stored(found.item.place).await;
            self.introduce(signed).await?;
            let accepted_at_ms = at.as_millis();
            let message = pb::GivenBack { accepted_at_ms, envelope: Some(envelope), ..end.clone() };
            self.frames.send(Frame::GivenBack(message)).await?;
            given += 1;
        }
        tracing::info!(party = %self.link.party, epoch, %lane, given, "given back what the bureau had sent");
        self.frames.send(Frame::GivenBack(end)).await
    }

    /// Delivers anew, within the credit.
    async fn deliver_anew(&mut self, mut anew: Anew) -> Result<(), Gone> {
        while let Some((lane, (number, message))) = anew.next(self).await {
            self.wait_for_credit().await;
            let content = self.kept(message).await;
            self.hand_out((lane, number), message, content).await?;
        }
        Ok(())
    }

    /// The message, or why there is nothing to deliver any more: as it was when the number was signed for, or since.
    async fn kept(&self, message: MessageRef) -> Result<Stored, Gap> {
        if self.is_of_another_membership(message) {
            return Err(Gap::Withdrawn);
        }
        let stored = self.stored(message).await;
        let Ok(header) = i247_wire::decode_header(&stored.envelope.header) else { return Ok(stored) };
        if header.expires_at.is_some_and(|expires_at| expires_at <= self.core.clock.now()) {
            return Err(Gap::Expired);
        }
        let found = self.find(&header.id).await.and_then(|found| found.message);
        let recipients = found.map(|message| message.recipients).unwrap_or_default();
        match recipients.get(&self.link.party).map(|recipient| recipient.state) {
            Some(RecipientState::Withdrawn | RecipientState::Refused) => Err(Gap::Withdrawn),
            Some(RecipientState::Expired) => Err(Gap::Expired),
            Some(
                RecipientState::Queued
                | RecipientState::Held
                | RecipientState::Delivered
                | RecipientState::Opened
                | RecipientState::Actioned,
            )
            | None => Ok(stored),
        }
    }

    /// Whether it is from before the present membership: what the keys of that one had is not for the keys of this.
    fn is_of_another_membership(&self, message: MessageRef) -> bool {
        let views = self.core.views();
        let since =
            self.link.party.country().and_then(|country| views.state.directory().member_since(country));
        since.is_none_or(|since| message.position <= since)
    }

    async fn find(&self, id: &MessageId) -> Option<Found> {
        self.patiently(|| past::entered(&self.core, id)).await
    }
}
