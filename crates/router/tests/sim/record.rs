//! The test's own record of what must be true, kept by a second, naive rule. It never asks the router.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use i247_model::{
    CountryCode, Hash, Kind, Lane, MessageId, NoticeId, Party, ReplyStage, Sender, Timestamp, member,
};
use i247_router::{Standing, Submission};

use crate::sent::{AllSent, Copy, Fate, Line, Sent};

pub(crate) struct Notice {
    pub(crate) owner: CountryCode,
    pub(crate) except: BTreeSet<CountryCode>,
    pub(crate) published: Vec<MessageId>,
    pub(crate) approved: BTreeSet<MessageId>,
}

/// Request, addressee, first or second.
pub(crate) type Reminder = (MessageId, Party, u8);

/// What each live stream has been handed, per lane.
pub(crate) type Handed = BTreeMap<Party, [u64; 4]>;

#[derive(Default)]
pub(crate) struct Record {
    pub(crate) standing: BTreeMap<CountryCode, Standing>,
    pub(crate) barred: BTreeMap<CountryCode, BTreeSet<CountryCode>>,
    pub(crate) sent: AllSent,
    /// Every mailbox lane: what each number is, as a place in `sent`.
    pub(crate) mail: BTreeMap<Party, [Vec<usize>; 4]>,
    pub(crate) notices: BTreeMap<NoticeId, Notice>,
    /// Per sender, epoch and lane: the hashes of the numbers decided on.
    pub(crate) numbers: BTreeMap<(Sender, u64, Lane), Vec<Hash>>,
    pub(crate) epochs: BTreeMap<Sender, u64>,
    /// When the log went on under another name for the last time.
    pub(crate) recovered_at: Option<Timestamp>,
    /// The last position from before it ever did.
    pub(crate) shared_end: Option<u64>,
}

impl Record {
    pub(crate) fn is_member(&self, country: CountryCode) -> bool {
        self.standing.get(&country).is_some_and(|standing| *standing != Standing::Revoked)
    }

    pub(crate) fn is_active(&self, party: Party) -> bool {
        match party {
            Party::Secretariat => true,
            Party::Bureau(country) => self.standing.get(&country) == Some(&Standing::Active),
        }
    }

    fn under_way(&self, id: &MessageId, party: Party, handed: &Handed) -> bool {
        let sent = &self.sent[id];
        let copy = &sent.copies[&party];
        let up_to = handed.get(&party).map_or(0, |handed| handed[sent.id.lane.index()]);
        copy.fate == Fate::Waiting && copy.number <= up_to
    }

    /// Whether it may have come there, or may yet.
    fn may_have(&self, id: &MessageId, party: Party, handed: &Handed) -> bool {
        let sent = &self.sent[id];
        let fate = sent.copies[&party].fate;
        fate == Fate::Delivered || (sent.again && fate == Fate::Waiting) || self.under_way(id, party, handed)
    }

    /// Whether the sender may know the message that it refers to.
    pub(crate) fn knows(&self, party: Party, id: &MessageId) -> bool {
        let Some(sent) = self.sent.get(id) else { return false };
        let held = !self.is_active(party);
        sent.from == party
            || sent.copies.get(&party).is_some_and(|copy| match copy.fate {
                Fate::Waiting => !held,
                Fate::Delivered => true,
                Fate::Gone => false,
            })
    }

    /// Who must receive, and nobody else.
    pub(crate) fn audience(&self, submission: &Submission, handed: &Handed) -> BTreeSet<Party> {
        let header = &submission.header;
        let wish = &header.audience;
        let from = header.id.sender.party();
        let referred = header.refers_to.as_ref().and_then(|id| self.sent.get(id));
        let notice = referred.and_then(|sent| self.notices.get(&sent.notice?));
        let about = matches!(header.kind, Kind::Notice | Kind::Addendum | Kind::Cancellation);
        let owner = match notice {
            Some(notice) if about => Some(notice.owner),
            _ => from.country(),
        };
        let mut audience = BTreeSet::new();
        let everyone = self.standing.keys().map(|country| Party::Bureau(*country));
        for party in everyone.chain([Party::Secretariat]) {
            if party == from {
                continue;
            }
            let named = match party {
                Party::Secretariat => {
                    wish.secretariat || wish.copies.contains(&party) || header.kind == Kind::Cancellation
                }
                Party::Bureau(country) => {
                    wish.all
                        || wish.countries.contains(&country)
                        || wish.copies.contains(&party)
                        || wish.regions.iter().any(|region| member(country).unwrap().region == *region)
                }
            };
            let referred_to = wish.as_referred && self.had(submission, party, handed);
            if !named && !referred_to {
                continue;
            }
            if let Party::Bureau(country) = party {
                let owns = owner == Some(country);
                let barred =
                    owner.is_some_and(|owner| self.barred.get(&owner).is_some_and(|b| b.contains(&country)));
                let barred =
                    barred || (about && notice.is_some_and(|notice| notice.except.contains(&country)));
                let requester = header.kind == Kind::Notice && owns;
                if !self.is_member(country)
                    || wish.except.contains(&country)
                    || (barred && !owns)
                    || requester
                {
                    continue;
                }
            }
            audience.insert(party);
        }
        audience
    }

    fn had(&self, submission: &Submission, party: Party, handed: &Handed) -> bool {
        let Some(id) = &submission.header.refers_to else { return false };
        let mut id = id;
        let kind = submission.header.kind;
        if kind == Kind::Cancellation {
            let notice = self.sent[id].notice.and_then(|notice| self.notices.get(&notice));
            if notice.is_some_and(|notice| Party::Bureau(notice.owner) == party) {
                return true;
            }
            id = notice.and_then(|notice| notice.published.first()).unwrap_or(id);
        }
        let Some(copy) = self.sent[id].copies.get(&party) else { return false };
        match kind {
            Kind::Addendum => copy.fate != Fate::Gone,
            _ => self.may_have(id, party, handed),
        }
    }

    /// Numbers a new message in the mailboxes of its audience.
    pub(crate) fn enter(
        &mut self,
        mut sent: Sent,
        to: impl IntoIterator<Item = Party>,
        line: Option<Timestamp>,
        copies: &BTreeSet<Party>,
    ) {
        let mut first = sent.refers_to.clone();
        if sent.kind == Kind::Cancellation {
            let notice = sent.notice.and_then(|notice| self.notices.get(&notice));
            first = notice.and_then(|notice| notice.published.first().cloned()).or(first);
        }
        for party in to {
            let mail = &mut self.mail.entry(party).or_default()[sent.id.lane.index()];
            mail.push(self.sent.len());
            let waits_for = first.as_ref().and_then(|first| {
                let before = self.sent.get(first)?;
                let copy = before.copies.get(&party)?;
                (copy.fate == Fate::Waiting).then_some((before.id.lane, copy.number))
            });
            let owes = line.filter(|_| !copies.contains(&party));
            let line = owes.map(|due| Line { due: Some(due), interims: 0, reminders: 0, settled: false });
            let fate = if party == Party::Secretariat { Fate::Delivered } else { Fate::Waiting };
            sent.copies.insert(party, Copy { number: mail.len() as u64, fate, waits_for, line });
        }
        self.sent.enter(sent);
    }

    /// A withdrawal or cancellation takes back what is not under way.
    pub(crate) fn take_back(&mut self, id: &MessageId, handed: &Handed) {
        let parties: Vec<Party> = self.sent[id].copies.keys().copied().collect();
        for party in parties {
            if self.sent[id].copies[&party].fate == Fate::Waiting && !self.may_have(id, party, handed) {
                self.lose(id, party);
            }
        }
    }

    fn lose(&mut self, id: &MessageId, party: Party) {
        let copy = self.sent.change(id).copies.get_mut(&party).unwrap();
        copy.fate = Fate::Gone;
        if let Some(line) = &mut copy.line {
            line.due = None;
        }
    }

    pub(crate) fn revoke(&mut self, country: CountryCode) {
        for place in 0..self.sent.len() {
            let sent = self.sent.change_nth(place);
            let Some(copy) = sent.copies.get_mut(&Party::Bureau(country)) else { continue };
            if copy.fate == Fate::Waiting {
                copy.fate = Fate::Gone;
            }
            if let Some(line) = &mut copy.line {
                line.due = None;
            }
        }
    }

    pub(crate) fn answered(&mut self, request: &MessageId, by: Party, stage: ReplyStage, now: Timestamp) {
        let sent = self.sent.change(request);
        let closed = sent.copies.values().all(|copy| {
            copy.fate != Fate::Waiting && copy.line.as_ref().is_none_or(|line| line.due.is_none())
        });
        let interval = sent.interval;
        let Some(line) = sent.copies.get_mut(&by).and_then(|copy| copy.line.as_mut()) else { return };
        if stage != ReplyStage::Interim {
            (line.settled, line.due) = (true, None);
        } else if !line.settled && line.interims < 3 && !closed {
            line.interims += 1;
            line.reminders = 0;
            line.due = Some(now.plus(interval));
        }
    }

    /// Whether messages may come back after a recovery.
    pub(crate) fn is_recovering(&self, now: Timestamp) -> bool {
        self.recovered_at.is_some_and(|at| now <= at.plus(Duration::from_secs(3600)))
    }

    /// Whether a message was perhaps accepted before the log went on, and its sender has not heard of it.
    pub(crate) fn was_perhaps_accepted(&self, signed_at: Timestamp, now: Timestamp) -> bool {
        self.is_recovering(now) && self.recovered_at.is_some_and(|at| signed_at < at)
    }

    /// Whether an explanation at this position is of this very log.
    pub(crate) fn is_explained_here(&self, position: u64, signed_at: Timestamp, now: Timestamp) -> bool {
        !self.was_perhaps_accepted(signed_at, now) || self.shared_end.is_none_or(|end| position <= end)
    }

    /// No answer is due before this time.
    pub(crate) fn hold_clocks(&mut self, until: Timestamp) {
        for place in 0..self.sent.len() {
            let early =
                |copy: &Copy| copy.line.as_ref().and_then(|line| line.due).is_some_and(|due| due < until);
            if !self.sent.nth(place).copies.values().any(early) {
                continue;
            }
            for copy in self.sent.change_nth(place).copies.values_mut().filter(|copy| early(copy)) {
                if let Some(line) = &mut copy.line {
                    line.due = Some(until);
                }
            }
        }
    }

    /// What a tick must do: reminders, and escalations with the silent.
    pub(crate) fn tick(
        &mut self,
        now: Timestamp,
        handed: &Handed,
    ) -> (Vec<Reminder>, BTreeMap<MessageId, BTreeSet<Party>>) {
        let mut due = BTreeSet::new();
        for sent in self.sent.in_order() {
            let id = &sent.id;
            due.extend(sent.expiry.filter(|at| *at <= now).map(|at| (at, sent.at, None, id.clone())));
            for (party, copy) in sent.copies.iter().filter(|_| sent.kind == Kind::Request) {
                let line = copy.line.as_ref().and_then(|line| line.due).filter(|at| *at <= now);
                due.extend(line.map(|at| (at, sent.at, Some(*party), id.clone())));
            }
        }
        let (mut reminders, mut escalations) = (Vec::new(), BTreeMap::<_, BTreeSet<Party>>::new());
        for (_, _, addressee, id) in due {
            let Some(party) = addressee else {
                self.expire(&id, now, handed);
                continue;
            };
            let sent = self.sent.change(&id);
            let interval = sent.interval;
            let line = sent.copies.get_mut(&party).unwrap().line.as_mut().unwrap();
            if line.due.is_none() {
                continue;
            }
            if line.reminders < 2 {
                line.reminders += 1;
                line.due = Some(now.plus(interval));
                reminders.push((id, party, line.reminders));
            } else {
                line.due = None;
                escalations.entry(id).or_default().insert(party);
            }
        }
        (reminders, escalations)
    }

    fn expire(&mut self, id: &MessageId, now: Timestamp, handed: &Handed) {
        let parties: Vec<Party> = self.sent[id].copies.keys().copied().collect();
        let mut again = None;
        for party in parties {
            if self.under_way(id, party, handed) {
                again = Some(now.plus(Duration::from_secs(60)));
            } else if self.sent[id].copies[&party].fate == Fate::Waiting {
                self.lose(id, party);
            }
        }
        self.sent.change(id).expiry = again;
    }
}
