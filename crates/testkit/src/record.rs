//! The story's own record of what it sent: the network is measured against it, not against its own views.

use std::collections::{BTreeMap, BTreeSet};

use i247_model::{CountryCode, Kind, MessageId, Sender};
use i247_wire::{known, pb};

/// What a story did.
#[derive(Debug, Default)]
pub(crate) struct Record {
    sent: BTreeMap<MessageId, Wish>,
    /// The hub is none of the countries.
    lost_data: BTreeSet<Option<CountryCode>>,
    /// Its log was taken up again: what it had lost came back, but for what it had made itself.
    hub_recovered: bool,
    /// Every change of the hub's directory, as the authority keeps what it signs.
    pub(crate) changes: Vec<pb::Signed>,
}

/// For whom a message was meant.
#[derive(Clone, Debug)]
struct Wish {
    kind: Option<Kind>,
    refers_to: Option<MessageId>,
    audience: pb::Audience,
    /// Countries that its form bars.
    barred: BTreeSet<String>,
}

impl Record {
    /// A desk took this draft under this id.
    pub(crate) fn sent(&mut self, id: MessageId, draft: &pb::Draft) {
        let barred = match draft.body.as_ref().and_then(|body| body.form.as_ref()) {
            Some(pb::body::Form::NoticeRequest(request)) => request.except.iter().cloned().collect(),
            _ => BTreeSet::new(),
        };
        let wish = Wish {
            kind: known::<pb::Kind, Kind>(draft.kind, "kind").ok(),
            refers_to: draft.refers_to.parse().ok(),
            audience: draft.audience.clone().unwrap_or_default(),
            barred,
        };
        self.sent.insert(id, wish);
    }

    /// Everything that a desk promised to send.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &MessageId> {
        self.sent.keys()
    }

    /// This country's bureau, or the hub, was given an older copy of its data.
    pub(crate) fn lost_data(&mut self, code: Option<CountryCode>) {
        self.lost_data.insert(code);
    }

    /// The hub's log was taken up again: its bureaus bring back what they have.
    pub(crate) fn hub_recovered(&mut self) {
        self.lost_data.remove(&None);
        self.hub_recovered = true;
    }

    /// Whether the hub may have forgotten a message that somebody has.
    pub(crate) fn hub_may_lack(&self, id: &str) -> bool {
        let made = id.parse().is_ok_and(|id: MessageId| id.sender == Sender::Secretariat);
        self.lost_data.contains(&None) || (self.hub_recovered && made)
    }

    /// Whether this country's bureau was.
    pub(crate) fn has_lost_data(&self, code: CountryCode) -> bool {
        self.lost_data.contains(&Some(code))
    }

    /// Whether `at` may hold the message, by the words of the officer who sent it; nothing is known of others'.
    pub(crate) fn meant_for(&self, id: &MessageId, at: CountryCode) -> bool {
        let Some(wish) = self.sent.get(id) else { return true };
        let audience = &wish.audience;
        let named = |list: &[String]| list.iter().any(|code| code == at.as_str());
        if named(&audience.except) {
            return false;
        }
        if audience.as_referred {
            // What ends a notice goes to whoever had the notice, not to whoever had the request.
            return match wish.refers_to.as_ref().and_then(|id| Some((id, self.sent.get(id)?))) {
                Some((_, referred)) if referred.kind == Some(Kind::NoticeRequest) => {
                    !referred.barred.contains(at.as_str())
                }
                Some((id, _)) => self.meant_for(id, at),
                None => true,
            };
        }
        // A kind whose audience the bureau completes by itself leaves it empty.
        *audience == pb::Audience::default()
            || audience.all
            || !audience.regions.is_empty()
            || named(&audience.countries)
            || named(&audience.copies)
    }

    /// Whether a notice that goes back to this request is barred at `at`.
    pub(crate) fn bars(&self, request: &MessageId, at: CountryCode) -> bool {
        let wish = self.sent.get(request).filter(|wish| wish.kind == Some(Kind::NoticeRequest));
        wish.is_some_and(|wish| wish.barred.contains(at.as_str()))
    }
}
