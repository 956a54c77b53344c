//! Which posts of the country may come to the bureau for offline copies: a view of what it granted and the hub accepted. It
//! lets nobody have anything: the hub holds every fetch against the grant as it stands then.

use std::collections::BTreeMap;

use i247_model::{Kind, Name};

use crate::outbox::{Sent, SentState};

/// The newest word on each post.
#[derive(Debug, PartialEq, Default)]
pub(crate) struct Posts(BTreeMap<Name, Word>);

#[derive(Debug, PartialEq)]
struct Word {
    /// Where it stands in the hub's log.
    position: u64,
    copies: bool,
}

impl Posts {
    /// A message that the hub has answered.
    pub(crate) fn answered(&mut self, sent: &Sent) {
        let SentState::Accepted(acceptance) = &sent.state else { return };
        let Ok(post) = sent.facts.post.parse::<Name>() else { return };
        let position = acceptance.position;
        if sent.kind == Kind::Grant && self.0.get(&post).is_none_or(|known| known.position <= position) {
            self.0.insert(post, Word { position, copies: sent.facts.copies });
        }
    }

    /// Whether a post may come.
    pub(crate) fn may_come(&self, post: &Name) -> bool {
        self.0.get(post).is_some_and(|word| word.copies)
    }

    /// Where the newest word stands.
    pub(crate) fn position(&self) -> u64 {
        self.0.values().map(|word| word.position).max().unwrap_or(0)
    }
}
