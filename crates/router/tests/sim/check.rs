//! The checks after every step: what the record knows is so in the state or in history, and nothing else is there.

use i247_model::{Party, RecipientState};
use i247_router::Message;

use crate::sent::{Fate, Sent};
use crate::world::World;

impl World {
    /// Looks at every open message, and at each closed one that changed in the record or in history since the
    /// last time. What is closed and did not change was checked when it did.
    pub(crate) fn check(&mut self) {
        let (closed, changed) = (std::mem::take(&mut self.closed), self.record.sent.take_changed());
        // Only entries change the state: where there was none, each side is as it was.
        if self.log.len() == self.checked && changed.is_empty() {
            return;
        }
        self.checked = self.log.len();
        let mut open = 0;
        let mut in_order = self.record.sent.in_order();
        for message in self.state.open_messages() {
            let at = (message.at.position, u64::from(message.at.n));
            let sent = in_order.find(|sent| sent.at == at);
            self.compare(sent.unwrap_or_else(|| panic!("nobody sent {}", message.id)), message);
            open += 1;
        }
        for id in closed {
            assert!(self.state.message(&id).is_none(), "{id} is closed and open");
            let sent = self.record.sent.get(&id).unwrap_or_else(|| panic!("nobody sent {id}"));
            self.compare(sent, &self.history[&id]);
        }
        for place in changed {
            let sent = self.record.sent.nth(place);
            match self.history.get(&sent.id) {
                Some(message) => self.compare(sent, message),
                None => assert!(self.state.message(&sent.id).is_some(), "{} is lost", sent.id),
            }
        }
        assert_eq!(open + self.history.len(), self.record.sent.len(), "a message is lost, or twice there");
        assert_eq!(self.state.notices().count(), self.record.notices.len());
    }

    /// The same for every message, whatever has changed.
    pub(crate) fn check_all(&mut self) {
        self.check();
        for sent in self.record.sent.in_order() {
            let message = self.state.message(&sent.id).or(self.history.get(&sent.id).map(Box::as_ref));
            self.compare(sent, message.unwrap_or_else(|| panic!("{} is lost", sent.id)));
        }
    }

    fn compare(&self, sent: &Sent, message: &Message) {
        let id = &sent.id;
        assert_eq!(message.id, *id);
        assert_eq!(message.recipients.len(), sent.copies.len(), "the states of {id} add up");
        for ((party, copy), (recipient_party, recipient)) in sent.copies.iter().zip(&message.recipients) {
            assert_eq!(recipient_party, party, "the states of {id} add up");
            let fits = match copy.fate {
                Fate::Waiting => recipient.state == self.waits_as(*party),
                Fate::Delivered => recipient.state.has_it(),
                Fate::Gone => recipient.state.settled() && !recipient.state.has_it(),
            };
            assert!(fits, "{id} at {party} is {}, and should be {:?}", recipient.state, copy.fate);
            assert_eq!(recipient.number, copy.number, "{id} at {party}");
            let line = copy.line.as_ref().map(|line| (line.due, line.settled));
            assert_eq!(recipient.line.map(|line| (line.due, !line.state.owed())), line, "{id} at {party}");
        }
    }

    fn waits_as(&self, party: Party) -> RecipientState {
        if self.record.is_active(party) { RecipientState::Queued } else { RecipientState::Held }
    }
}
