//! Hands over to a recovered hub what this bureau had received from the part of the log that was lost: whoever sent it
//! may have lost it too. In the order of its positions, behind the bureau's own messages and within the same window.
//!
//! The hub may have a message already, want it later, or never: each is answered by its id. How far it got stays in
//! memory; handing over twice does no harm. It must not decide what counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use i247_ledger::{Body, ReadError};
use i247_model::{Class, Hash, MessageId, Reason, Refusal};
use i247_wire::pb;
use i247_wire::pb::journal_entry::Event;
use i247_wire::pb::submit_result::Result as Outcome;

use crate::inbox::{Inbox, Owed};
use crate::journal::Journal;

/// How long a message waits that the hub does not want yet, at first and at most: what it waits for may never come.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const MAX_WAIT: Duration = Duration::from_secs(10);

/// What goes out next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handed {
    pub(crate) id: MessageId,
    /// Where it stands in the journal; its body lies beside it.
    pub(crate) at_entry: u64,
}

/// What one stream has handed over.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    /// The last one that was sent for the first time.
    sent_to: Option<Owed>,
    /// With the wait that comes next.
    under_way: BTreeMap<MessageId, (Owed, Duration)>,
    /// When it is sent again, in monotonic time, and the wait after that.
    later: BTreeSet<(Duration, Owed, Duration)>,
    /// Attachments that the hub lacks for them and that may be here.
    wanted: BTreeSet<Hash>,
    /// Attachments that were looked for.
    looked_for: BTreeSet<Hash>,
}

impl Handover {
    /// What may go out now, at most so many. They count as under way from here on.
    pub(crate) fn take(&mut self, inbox: &Inbox, now: Duration, limit: usize) -> Vec<Handed> {
        let mut next = Vec::new();
        while next.len() < limit
            && let Some((from, owed, wait)) = self.later.first().copied()
            && from <= now
        {
            self.later.pop_first();
            // What was delivered again meanwhile is at the hub.
            let Some(received) = inbox.owed(&owed) else { continue };
            next.push(Handed { id: received.id.clone(), at_entry: received.at_entry });
            self.under_way.insert(received.id.clone(), (owed, wait));
        }
        while next.len() < limit
            && let Some((owed, received)) = inbox.owed_after(self.sent_to)
        {
            self.sent_to = Some(owed);
            next.push(Handed { id: received.id.clone(), at_entry: received.at_entry });
            self.under_way.insert(received.id.clone(), (owed, FIRST_WAIT));
        }
        next
    }

    /// Takes the hub's answer to a message that was handed over. False when it is none.
    pub(crate) fn answered(&mut self, result: &pb::SubmitResult, inbox: &Inbox, now: Duration) -> bool {
        let Ok(id) = result.id.parse::<MessageId>() else { return false };
        let Some((owed, wait)) = self.under_way.remove(&id) else { return false };
        let Some(Outcome::Refusal(refusal)) = &result.result else { return true };
        match Refusal::try_from(refusal.clone()) {
            Ok(refusal) if refusal.reason.class() == Class::NotNow => {
                if let Some(received) = inbox.owed(&owed)
                    && refusal.reason == Reason::AttachmentMissing
                {
                    let new = received.attachments.iter().filter(|hash| !self.looked_for.contains(hash));
                    self.wanted.extend(new);
                }
                let next = refusal.retry_after.unwrap_or_default().max(wait).min(MAX_WAIT);
                self.later.insert((now + next, owed, (next * 2).min(MAX_WAIT)));
            }
            Ok(refusal) => {
                tracing::debug!(message_id = %id, reason = %refusal.reason, "the hub does not take it from here");
            }
            Err(_) => tracing::debug!(message_id = %id, "the hub does not take it from here"),
        }
        true
    }

    /// It cannot be handed over.
    pub(crate) fn give_up(&mut self, id: &MessageId) {
        self.under_way.remove(id);
    }

    /// An attachment that the hub lacks and that may be here; each is named once.
    pub(crate) fn attachment(&mut self) -> Option<Hash> {
        let attachment = self.wanted.pop_first()?;
        self.looked_for.insert(attachment);
        Some(attachment)
    }

    /// Whether the hub has answered all that was to be handed over.
    pub(crate) fn is_done(&self, inbox: &Inbox) -> bool {
        inbox.owing() > 0
            && self.under_way.is_empty()
            && self.later.iter().all(|(_, owed, _)| inbox.owed(owed).is_none())
            && inbox.owed_after(self.sent_to).is_none()
    }

    /// How long until something that waits goes out again, if anything does.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        self.later.first().filter(|(from, ..)| *from > now).map(|(from, ..)| *from - now)
    }
}

/// The envelope as it came; none when it cannot be read whole any more.
///
/// # Errors
/// When the journal does not answer now.
pub(crate) async fn envelope(journal: &Journal, handed: &Handed) -> Result<Option<pb::Envelope>, ReadError> {
    let (entry, body) = match journal.read(handed.at_entry).await {
        Err(ReadError::Damaged(_)) => return Ok(None),
        read => read?,
    };
    let (Some(Event::Arrived(arrived)), Body::Present(body)) = (entry.event, body) else { return Ok(None) };
    Ok(Some(pb::Envelope { header: arrived.header, body, signature: arrived.signature }))
}

#[cfg(test)]
mod tests {
    use i247_model::{Kind, Timestamp};

    use super::*;
    use crate::story::{about, arrived, header};
    use crate::views::Views;

    /// Three messages of Brazil at positions 41 to 43, none of which the hub's log has.
    fn views() -> Views {
        let mut views = Views::new("FR".parse().unwrap());
        for number in 1..=3 {
            let message = header(&format!("BR-1-N-{number}"), Kind::FreeText);
            views.apply(number, &arrived(number, &message, about(""))).unwrap();
        }
        views.inbox.take_over(Timestamp::default(), &[0; 4]);
        views
    }

    fn result(id: &str, refusal: Option<Refusal>) -> pb::SubmitResult {
        let result = match refusal {
            Some(refusal) => Outcome::Refusal((&refusal).into()),
            None => Outcome::Acceptance(pb::Signed::default()),
        };
        pb::SubmitResult { id: id.into(), result: Some(result) }
    }

    fn ids(handed: &[Handed]) -> Vec<String> {
        handed.iter().map(|handed| handed.id.to_string()).collect()
    }

    #[test]
    fn what_the_hub_lost_is_handed_over_in_order_and_once_until_all_is_answered() {
        let (views, mut handover) = (views(), Handover::default());
        let zero = Duration::ZERO;
        assert_eq!(ids(&handover.take(&views.inbox, zero, 2)), ["BR-1-N-1", "BR-1-N-2"]);
        assert_eq!(ids(&handover.take(&views.inbox, zero, 2)), ["BR-1-N-3"]);
        assert!(handover.take(&views.inbox, zero, 2).is_empty());
        let never = Refusal::of(Reason::Expired, "expires_at");
        assert!(handover.answered(&result("BR-1-N-1", None), &views.inbox, zero));
        assert!(handover.answered(&result("BR-1-N-2", Some(never)), &views.inbox, zero));
        assert!(!handover.answered(&result("BR-1-N-2", None), &views.inbox, zero), "answered already");
        assert!(!handover.is_done(&views.inbox));
        assert!(handover.answered(&result("BR-1-N-3", None), &views.inbox, zero));
        assert!(handover.is_done(&views.inbox));
    }

    #[test]
    fn what_the_hub_wants_later_goes_again_ever_more_slowly_and_holds_up_nothing_else() {
        let (views, mut handover) = (views(), Handover::default());
        let ms = Duration::from_millis;
        let later = || Some(Refusal::of(Reason::OutOfOrder, "id"));
        handover.take(&views.inbox, ms(0), 1);
        handover.answered(&result("BR-1-N-1", later()), &views.inbox, ms(0));
        assert_eq!(handover.wait(ms(0)), Some(ms(200)));
        assert_eq!(ids(&handover.take(&views.inbox, ms(199), 9)), ["BR-1-N-2", "BR-1-N-3"]);
        assert_eq!(ids(&handover.take(&views.inbox, ms(200), 9)), ["BR-1-N-1"]);
        handover.answered(&result("BR-1-N-1", later()), &views.inbox, ms(200));
        assert_eq!(handover.wait(ms(200)), Some(ms(400)));
    }

    #[test]
    fn what_is_delivered_again_need_not_be_handed_over() {
        let (mut views, mut handover) = (views(), Handover::default());
        let given = |views: &mut Views, number: u64| {
            let id = format!("BR-1-N-{number}").parse().unwrap();
            views.inbox.given_anew(&id, i247_model::Lane::Normal, number, 60 + number);
        };
        let zero = Duration::ZERO;
        handover.take(&views.inbox, zero, 1);
        handover.answered(&result("BR-1-N-1", Some(Refusal::of(Reason::Busy, "id"))), &views.inbox, zero);
        given(&mut views, 1);
        given(&mut views, 2);
        assert_eq!(ids(&handover.take(&views.inbox, Duration::from_secs(9), 9)), ["BR-1-N-3"]);
        handover.answered(&result("BR-1-N-3", None), &views.inbox, zero);
        assert!(handover.is_done(&views.inbox));
        given(&mut views, 3);
        assert!(!handover.is_done(&views.inbox), "nothing is left to be noted");
    }

    #[test]
    fn an_attachment_that_the_hub_lacks_is_looked_for_once() {
        let mut views = Views::new("FR".parse().unwrap());
        let mut message = header("BR-1-N-1", Kind::FreeText);
        message.attachments = vec![Hash([9; 32])];
        views.apply(1, &arrived(1, &message, about(""))).unwrap();
        views.inbox.take_over(Timestamp::default(), &[0; 4]);
        let mut handover = Handover::default();
        for expected in [Some(Hash([9; 32])), None] {
            handover.take(&views.inbox, Duration::from_secs(99), 1);
            let missing = Refusal::of(Reason::AttachmentMissing, "attachments");
            handover.answered(&result("BR-1-N-1", Some(missing)), &views.inbox, Duration::ZERO);
            assert_eq!(handover.attachment(), expected);
        }
    }
}
