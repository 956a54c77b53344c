//! Submissions in the simulation: each decision is checked against the record, and entered into it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use i247_model::{Kind, MessageId, NoticeId, Party, Reason};
use i247_router::{Acceptance, Accepted, Answer, Decision, Input, Question, Submission, UnderWay, explain};

use crate::record::{Handed, Notice};
use crate::sent::Sent;
use crate::world::{World, submission};

impl World {
    /// One envelope of an outbox arrives: usually the first, sometimes a later one.
    pub(crate) fn arrive(&mut self) {
        let senders = self.outbox.values().filter(|waiting| !waiting.is_empty()).count() as u64;
        if senders == 0 {
            return;
        }
        let sender = self.dice.below(senders) as usize;
        let mut waiting = self.outbox.iter_mut().filter(|(_, waiting)| !waiting.is_empty());
        let (key, waiting) = waiting.nth(sender).unwrap();
        let at = if self.dice.once_in(5) { self.dice.below(waiting.len() as u64) as usize } else { 0 };
        let (key, mut input) = (key.clone(), waiting.remove(at));
        if !self.submit(&mut input) {
            self.outbox.get_mut(&key).unwrap().insert(at, input);
        }
    }

    /// An envelope comes once more, or its number with other bytes.
    pub(crate) fn repeat(&mut self) {
        let Some((mut input, first)) = self.dice.pick(&self.answered).cloned() else { return };
        let id = &submission(&input).header.id;
        let sender = &id.sender;
        if !self.record.is_active(sender.party()) {
            return;
        }
        let older = id.epoch < self.record.epochs.get(sender).copied().unwrap_or(1);
        let lie = self.dice.once_in(4);
        if lie {
            submission_mut(&mut input).header_hash = self.hash();
        }
        let end = self.log.len();
        match self.enter(&input) {
            Ok(Decision::Older) if older => {}
            Ok(Decision::Answered(Answer { outcome, .. })) if !lie => {
                assert_eq!(outcome.map_err(|refusal| refusal.reason), first, "the first answer again");
            }
            Ok(Decision::Equivocation { .. }) if lie => assert_eq!(self.log.len(), end + 1),
            Err(Reason::NumberReused) if lie => {}
            other => panic!("a repetition got {other:?}"),
        }
    }

    /// Submits, and checks the decision against the record. Says whether it was answered for good.
    fn submit(&mut self, input: &mut Rc<Input>) -> bool {
        self.look_up(submission_mut(input));
        let submission = submission(input);
        let header = &submission.header;
        let id = &header.id;
        let handed = if header.refers_to.is_some() { self.handed() } else { Handed::new() };
        let expected = header
            .refers_to
            .as_ref()
            .is_none_or(|id| self.record.sent.get(id).is_some())
            .then(|| self.record.audience(submission, &handed));
        let (come, gone) = self.changes_since_explained(submission, expected.as_ref(), &handed);
        let key = (id.sender.clone(), id.epoch, id.lane);
        let next = self.record.numbers.get(&key).map_or(0, Vec::len) as u64 + 1;
        let epoch = self.record.epochs.get(&id.sender).copied().unwrap_or(1);
        let in_turn = id.number == next && id.epoch == epoch;
        let active = self.record.is_active(id.sender.party());
        let turn = in_turn || header.kind == Kind::NewEpoch;
        let decision = match self.decide(input) {
            Ok(decision) => decision,
            Err(Reason::OutOfOrder) => {
                assert!(!in_turn, "{id} is in its turn");
                return false;
            }
            Err(Reason::Suspended | Reason::Revoked) => {
                assert!(!active);
                return false;
            }
            Err(reason @ (Reason::FutureDated | Reason::ReferenceAhead)) => {
                self.see(reason.as_str());
                return false;
            }
            Err(other) => panic!("{id} got {other}"),
        };
        let accepted = matches!(decision, Decision::Accepted(_));
        let explained = accepted.then(|| explain(&self.state, &Question::from(submission)).unwrap());
        self.apply(input, &decision);
        assert!(active && turn, "{id} is out of turn");
        if header.kind == Kind::NewEpoch && accepted {
            self.record.epochs.insert(id.sender.clone(), id.epoch);
        }
        self.record.numbers.entry(key).or_default().push(submission.header_hash);
        let outcome = match &decision {
            Decision::Accepted(accepted) => {
                let expected = expected.expect("what it refers to exists");
                let places: Vec<Party> = accepted.places.iter().map(|place| place.party).collect();
                assert!(places.iter().eq(&expected), "{id} to {places:?}, and should be {expected:?}");
                let explained = explained.unwrap();
                let admitted = explained.iter().filter(|(_, rule)| rule.admits()).map(|(party, _)| party);
                assert!(places.iter().eq(admitted), "{id} to {places:?}, and explained is {explained:?}");
                self.check_allowed(submission);
                self.note_accepted(submission, accepted.notice_id, places, &handed);
                self.see_accepted(header.kind, accepted);
                assert_eq!((&accepted.come, &accepted.gone), (&come, &gone), "since {id} was explained");
                assert!(!header.exactly || (come.is_empty() && gone.is_empty()));
                let notice_id = accepted.notice_id.filter(|_| header.kind == Kind::NoticeRequest);
                Ok(Acceptance { recipients: accepted.places.len() as u32, come, gone, notice_id })
            }
            Decision::Void(refusal) => {
                let changed = header.exactly && !(come.is_empty() && gone.is_empty());
                assert!(changed || refusal.reason != Reason::AudienceChanged, "nothing changed for {id}");
                assert!(changed || !self.is_sound(submission, expected.as_ref()), "{id} got {refusal}");
                self.see(refusal.reason.as_str());
                Err(refusal.reason)
            }
            other => panic!("{id} got {other:?}"),
        };
        self.answered.push((Rc::clone(input), outcome));
        true
    }

    /// Adds what the hub adds: from history, and from its streams where something may be taken back.
    fn look_up(&self, submission: &mut Submission) {
        let refers_to = submission.header.refers_to.as_ref();
        submission.referred = refers_to.and_then(|id| self.history.get(id)).cloned();
        let takes_back = matches!(submission.header.kind, Kind::Withdrawal | Kind::Cancellation);
        submission.under_way = if takes_back { self.under_way() } else { UnderWay::new() };
    }

    fn see_accepted(&mut self, kind: Kind, accepted: &Accepted) {
        self.see(kind.as_str());
        let waits = accepted.places.iter().filter(|place| place.after.is_some()).count();
        for (what, times) in [
            ("taken back", accepted.taken_back.len()),
            ("waits for what it refers to", waits),
            ("come since", accepted.come.len()),
            ("gone since", accepted.gone.len()),
        ] {
            (0..times).for_each(|_| self.see(what));
        }
    }

    /// What must never be accepted.
    fn check_allowed(&self, submission: &Submission) {
        let header = &submission.header;
        let party = header.id.sender.party();
        let Some(id) = &header.refers_to else { return };
        assert!(self.record.knows(party, id), "{} refers to what {party} does not know", header.id);
        let sent = &self.record.sent[id];
        match header.kind {
            Kind::Withdrawal => assert!(sent.from == party && !sent.withdrawn),
            Kind::Reply => assert!(sent.copies.contains_key(&party)),
            Kind::PersonLocated => assert!(sent.kind == Kind::Notice && sent.copies.contains_key(&party)),
            Kind::Notice => {
                let notice = &self.record.notices[&sent.notice.unwrap()];
                assert!(notice.published.is_empty() && notice.approved.contains(id));
            }
            Kind::Addendum | Kind::Cancellation => {
                assert!(self.record.notices.contains_key(&sent.notice.unwrap()))
            }
            _ => {}
        }
    }

    /// Free text to somebody, from a sender in good standing, has no reason to be refused.
    fn is_sound(&self, submission: &Submission, expected: Option<&BTreeSet<Party>>) -> bool {
        let header = &submission.header;
        let id = &header.id;
        let decided = &self.record.numbers[&(id.sender.clone(), id.epoch, id.lane)];
        let last = decided.len().checked_sub(2).map(|at| decided[at]);
        let mut named = header.audience.countries.clone();
        named.extend(header.audience.copies.iter().filter_map(|party| party.country()));
        header.kind == Kind::FreeText
            && header.refers_to.is_none()
            && header.expires_at.is_none_or(|at| at > self.now)
            && submission.lifted.missing.is_empty()
            && header.previous == last
            && named.iter().all(|country| self.record.is_member(*country))
            && named.is_disjoint(&header.audience.except)
            && header
                .explained_at
                .filter(|_| header.exactly)
                .is_none_or(|position| self.record.is_explained_here(position, header.signed_at, self.now))
            && expected.is_some_and(|expected| !expected.is_empty())
    }

    fn note_accepted(
        &mut self,
        submission: &Submission,
        notice: Option<NoticeId>,
        places: Vec<Party>,
        handed: &Handed,
    ) {
        let header = &submission.header;
        let party = header.id.sender.party();
        let referred = header.refers_to.as_ref();
        let ended: Vec<MessageId> = match (header.kind, referred) {
            (Kind::Withdrawal, Some(id)) => vec![id.clone()],
            (Kind::Cancellation, _) => self.record.notices[&notice.unwrap()].published.clone(),
            _ => Vec::new(),
        };
        for id in &ended {
            self.record.take_back(id, handed);
            self.record.sent.change(id).withdrawn = true;
        }
        let by = header.reply_by.filter(|_| header.kind == Kind::Request);
        let sent = Sent {
            id: header.id.clone(),
            kind: header.kind,
            from: party,
            at: (self.log.len() as u64, 0),
            copies: BTreeMap::new(),
            interval: by.map_or(Duration::ZERO, |by| by.since(self.now).max(Duration::from_secs(1))),
            expiry: header.expires_at,
            withdrawn: false,
            again: self.record.is_recovering(self.now),
            notice,
            refers_to: header.refers_to.clone(),
            reply_to_all: header.reply_to_all,
        };
        let named = &header.audience.countries;
        let copies: BTreeSet<Party> = header
            .audience
            .copies
            .iter()
            .copied()
            .filter(|copy| copy.country().is_none_or(|country| !named.contains(&country)))
            .filter(|copy| *copy != Party::Secretariat || !header.audience.secretariat)
            .collect();
        let perhaps_answered = self.record.was_perhaps_accepted(header.signed_at, self.now);
        let held =
            self.record.recovered_at.filter(|_| perhaps_answered).map(|at| at.plus(Duration::from_secs(600)));
        self.record.enter(sent, places, by.max(by.and(held)), &copies);
        match (header.kind, referred) {
            (Kind::Restriction, _) => {
                self.record.barred.insert(party.country().unwrap(), submission.lifted.except.clone());
            }
            (Kind::Reply, Some(id)) => self.record.answered(id, party, header.reply_stage.unwrap(), self.now),
            (Kind::NoticeRequest, None) => {
                let file = Notice {
                    owner: party.country().unwrap(),
                    except: submission.lifted.except.clone(),
                    published: Vec::new(),
                    approved: BTreeSet::new(),
                };
                assert!(self.record.notices.insert(notice.unwrap(), file).is_none(), "a number given twice");
            }
            (Kind::NoticeRequest, Some(_)) => {
                let file = self.record.notices.get_mut(&notice.unwrap()).unwrap();
                file.except.extend(submission.lifted.except.iter().copied());
            }
            (Kind::ReviewDecision, Some(id)) => self.note_review(submission, id, notice.unwrap()),
            (Kind::Notice | Kind::Addendum, _) => {
                self.record.notices.get_mut(&notice.unwrap()).unwrap().published.push(header.id.clone());
            }
            (Kind::Cancellation, _) => {
                self.record.notices.remove(&notice.unwrap());
            }
            _ => {}
        }
    }

    fn note_review(&mut self, submission: &Submission, request: &MessageId, notice: NoticeId) {
        if submission.lifted.approved == Some(true) {
            self.record.notices.get_mut(&notice).unwrap().approved.insert(request.clone());
        } else if self.record.sent[request].refers_to.is_none() {
            self.record.notices.remove(&notice);
        }
    }
}

/// Copies what is in the log already.
fn submission_mut(input: &mut Rc<Input>) -> &mut Submission {
    match Rc::make_mut(input) {
        Input::Submission(submission) => submission,
        other => panic!("{other:?} is no submission"),
    }
}
