//! What is done about an entry once it is durable: streams are woken, the cut off are cut off. Every act may be
//! repeated; what is left to do can always be read from the views.

use std::sync::{Arc, PoisonError, RwLock};

use i247_model::{Identity, MessageId, Party};
use i247_node::{Clock, Live};
use i247_router::{Effect, Input, MessageRef, Stamp};
use i247_wire::pb;

use crate::core::Core;
use crate::gauges::Counters;
use crate::grants::Grants;
use crate::links::Links;
use crate::recent::{Recent, Stored};
use crate::spans::Traced;
use crate::views::Views;

/// Acts on effects.
pub(crate) struct Actor {
    pub(crate) links: Arc<Links>,
    pub(crate) live: Live,
    pub(crate) grants: Arc<Grants>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) views: Arc<RwLock<Views>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Counters,
}

impl Actor {
    pub(crate) fn of(core: &Core) -> Self {
        Self {
            links: core.links.clone(),
            live: core.live.clone(),
            grants: core.grants.clone(),
            recent: core.recent.clone(),
            views: core.views.clone(),
            clock: core.clock.clone(),
            counters: core.counters.clone(),
        }
    }

    /// Keeps what was just entered for those who will ask for it next.
    pub(crate) fn keep(
        &self,
        stamp: Stamp,
        input: &Input,
        message: Option<pb::Envelope>,
        made: Vec<pb::Envelope>,
    ) {
        let at = |n| MessageRef { position: stamp.position, n };
        if let (Input::Submission(submission), Some(envelope)) = (input, message) {
            let header = &submission.header;
            let signed = Some((header.key_id, header.signed_at));
            let traced = Traced::of(header);
            self.recent.keep(at(0), Stored { at: stamp.at, signed, envelope, traced });
        }
        for (n, envelope) in (1..).zip(made) {
            self.recent.keep(at(n), Stored::of(stamp.at, envelope));
        }
    }

    pub(crate) fn act(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Wake(party) => {
                    if let Some(link) = self.links.find(party) {
                        link.bell.notify_one();
                    }
                }
                Effect::Progress(id) => self.tell_sender(id),
                Effect::Closed(message) => self.tell_sender(message.id),
                Effect::Directory(identity) => self.look_again(&identity),
                Effect::Granted(post) => {
                    tracing::info!(%post, "what a post is granted changed");
                    self.grants.changed();
                }
                // Written to history; the sender of a closed message asks when it wants to know.
                Effect::LateReceipt { .. } => {}
            }
        }
    }

    fn tell_sender(&self, id: MessageId) {
        if let Some(link) = self.links.find(id.sender.party()) {
            link.tell(id);
        }
    }

    /// Cuts every connection that the directory does not allow any more: the identity's own, and those that stand
    /// or fall with it. The verifier refuses new ones already, since the views have the change.
    fn look_again(&self, changed: &Identity) {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let directory = views.state.directory();
        let active =
            |identity: &Identity| directory.standing(identity) == Some(i247_router::Standing::Active);
        let concerned = |identity: &Identity| {
            identity == changed || (country(identity).is_some() && country(identity) == country(changed))
        };
        let mut cut = 0;
        if active(changed) {
            // New keys: whoever still holds the old ones connects anew.
            cut += self.live.cut(changed);
        } else {
            cut += self.live.cut_where(|identity| concerned(identity) && !active(identity));
            if let Some(country) = country(changed)
                && let Some(link) = self.links.find(Party::Bureau(country))
                && !active(&Identity::Bureau(country))
            {
                link.end.cancel();
            }
            if let Some(record) = directory.record(changed) {
                self.counters.cut_off(self.clock.now().since(record.since));
            }
        }
        tracing::info!(identity = %changed, connections = cut, "directory changed");
    }
}

fn country(identity: &Identity) -> Option<i247_model::CountryCode> {
    match identity {
        Identity::Bureau(country)
        | Identity::NationalAuthority(country)
        | Identity::Officer(country, _)
        | Identity::Post(country, _) => Some(*country),
        Identity::Authority
        | Identity::Hub(_)
        | Identity::Reviewer(_)
        | Identity::Operator(_)
        | Identity::Entity(_) => None,
    }
}
