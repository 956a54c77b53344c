//! The network in the simulation: a hub with a memory log, bureaus with journals, and the checks after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use i247_model::{
    CountryCode, Hash, Identity, Kind, Lane, LaneReceipt, MessageId, NumberRange, Party, Reason, Receipts,
    RecipientState, ReplyStage, Sender, Timestamp,
};
use i247_router::{
    Answer, Cursor, Decision, DirectoryAction, DirectoryChange, Effect, Fired, Input, Message, Question,
    STARVATION_BOUND, Stamp, Standing, State, Submission, UnderWay, decide, explain,
};

use crate::dice::Dice;
use crate::record::{Fate, Handed, Notice, Record, Sent};

/// A bureau's end of a stream, as the bureau sees it.
struct Stream {
    cursor: Cursor,
    handed: [u64; 4],
    passed: [u32; 4],
}

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) state: State,
    pub(crate) record: Record,
    pub(crate) now: Timestamp,
    pub(crate) countries: Vec<CountryCode>,
    log: Vec<(Stamp, Input, Decision)>,
    snapshot: (usize, Vec<u8>),
    history: BTreeMap<MessageId, Message>,
    streams: BTreeMap<Party, Stream>,
    /// What each bureau has in its journal, per lane.
    journal: BTreeMap<Party, [u64; 4]>,
    /// First answers, to be given again.
    answered: Vec<(Submission, Result<u32, Reason>)>,
    /// Sealed, in the order of numbers, and not yet answered.
    pub(crate) outbox: BTreeMap<(Sender, Lane), Vec<Submission>>,
    sequences: BTreeMap<Identity, u64>,
    /// How often what happened: a history in which nothing happens proves nothing.
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let codes = ["BR", "DE", "FR", "JP", "KE", "QA", "US"];
        let n = 4 + dice.below(4) as usize;
        let mut world = Self {
            dice,
            state: State::default(),
            record: Record::default(),
            now: Timestamp::from_millis(1_293_839_990_000),
            countries: codes[..n].iter().map(|code| code.parse().unwrap()).collect(),
            log: Vec::new(),
            snapshot: (0, postcard::to_stdvec(&State::default()).unwrap()),
            history: BTreeMap::new(),
            streams: BTreeMap::new(),
            journal: BTreeMap::new(),
            answered: Vec::new(),
            outbox: BTreeMap::new(),
            sequences: BTreeMap::new(),
            seen: BTreeMap::new(),
        };
        world.input(Input::Genesis { log_id: vec![7] }).unwrap();
        world.change(Identity::Reviewer("lena".parse().unwrap()), DirectoryAction::Admit).unwrap();
        for country in world.countries.clone() {
            world.change(Identity::Bureau(country), DirectoryAction::Admit).unwrap();
            world.record.standing.insert(country, Standing::Active);
        }
        world
    }

    /// Decides, enters and applies, as the hub does.
    fn input(&mut self, input: Input) -> Result<Decision, Reason> {
        let stamp = Stamp { position: self.log.len() as u64 + 1, at: self.now };
        let decision = decide(&self.state, stamp, &input).map_err(|refusal| refusal.reason)?;
        if decision.is_entry() {
            let effects = self.state.apply(stamp, &input, &decision);
            for effect in effects {
                if let Effect::Closed(message) = effect {
                    assert!(self.state.message(&message.id).is_none());
                    self.history.insert(message.id.clone(), *message);
                }
            }
            self.log.push((stamp, input, decision.clone()));
        }
        Ok(decision)
    }

    fn change(&mut self, identity: Identity, action: DirectoryAction) -> Result<Decision, Reason> {
        let sequence = self.sequences.get(&identity).copied().unwrap_or(0) + 1;
        let key = (action == DirectoryAction::Admit).then(|| self.hash());
        let change = DirectoryChange {
            action,
            identity: identity.clone(),
            tls_key: key,
            signing_key: key,
            not_after: None,
            sequence,
        };
        let stale = DirectoryChange { sequence: sequence - 1, ..change.clone() };
        assert_eq!(self.input(Input::DirectoryChange(stale)), Err(Reason::WrongField));
        let decision = self.input(Input::DirectoryChange(change))?;
        self.sequences.insert(identity, sequence);
        Ok(decision)
    }

    fn see(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub(crate) fn hash(&mut self) -> Hash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.dice.next().to_le_bytes());
        Hash(bytes)
    }

    pub(crate) fn move_standing(&mut self, country: CountryCode, action: DirectoryAction) {
        let before = self.record.standing[&country];
        let after = match (action, before) {
            (DirectoryAction::Suspend, Standing::Active) => Some(Standing::Suspended),
            (DirectoryAction::Revoke, Standing::Active | Standing::Suspended) => Some(Standing::Revoked),
            (DirectoryAction::Reinstate, Standing::Suspended) => Some(Standing::Active),
            (DirectoryAction::Admit, Standing::Revoked) => Some(Standing::Active),
            (DirectoryAction::Admit, standing) => Some(standing),
            _ => None,
        };
        assert_eq!(self.change(Identity::Bureau(country), action).is_ok(), after.is_some());
        let Some(after) = after else { return };
        self.record.standing.insert(country, after);
        if after != Standing::Active {
            self.streams.remove(&country.into());
        }
        if after == Standing::Revoked {
            self.record.revoke(country);
        }
    }

    fn handed(&self) -> Handed {
        self.streams.iter().map(|(party, stream)| (*party, stream.handed)).collect()
    }

    fn under_way(&self) -> UnderWay {
        let mut under_way = UnderWay::new();
        for stream in self.streams.values() {
            self.state.add_under_way(&stream.cursor, &mut under_way);
        }
        under_way
    }

    /// One envelope of an outbox arrives: usually the first, sometimes a later one.
    pub(crate) fn arrive(&mut self) {
        let keys: Vec<(Sender, Lane)> = self
            .outbox
            .iter()
            .filter(|(_, waiting)| !waiting.is_empty())
            .map(|(key, _)| key.clone())
            .collect();
        let Some(key) = self.dice.pick(&keys).cloned() else { return };
        let waiting = self.outbox[&key].len() as u64;
        let at = if self.dice.once_in(5) { self.dice.below(waiting) as usize } else { 0 };
        let submission = self.outbox[&key][at].clone();
        if self.submit(submission) {
            self.outbox.get_mut(&key).unwrap().remove(at);
        }
    }

    /// An envelope comes once more, or its number with other bytes.
    pub(crate) fn repeat(&mut self) {
        let Some((mut submission, first)) = self.dice.pick(&self.answered).cloned() else { return };
        let sender = &submission.header.id.sender;
        if !self.record.is_active(sender.party()) {
            return;
        }
        let older = submission.header.id.epoch < self.record.epochs.get(sender).copied().unwrap_or(1);
        let lie = self.dice.once_in(4);
        if lie {
            submission.header_hash = self.hash();
        }
        let end = self.log.len();
        match self.input(Input::Submission(Box::new(submission))) {
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
    fn submit(&mut self, mut submission: Submission) -> bool {
        let header = submission.header.clone();
        let id = header.id.clone();
        submission.referred =
            header.refers_to.as_ref().and_then(|id| self.history.get(id)).cloned().map(Box::new);
        submission.under_way = self.under_way();
        let handed = self.handed();
        let expected = header
            .refers_to
            .as_ref()
            .is_none_or(|id| self.record.sent.contains_key(id))
            .then(|| self.record.audience(&submission, &handed));
        let explained = explain(&self.state, &question(&submission));
        let key = (id.sender.clone(), id.epoch, id.lane);
        let next = self.record.numbers.get(&key).map_or(0, Vec::len) as u64 + 1;
        let in_turn =
            id.number == next && id.epoch == self.record.epochs.get(&id.sender).copied().unwrap_or(1);
        let active = self.record.is_active(id.sender.party());
        let decision = match self.input(Input::Submission(Box::new(submission.clone()))) {
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
        assert!(active && (in_turn || header.kind == Kind::NewEpoch), "{id} is out of turn");
        if header.kind == Kind::NewEpoch && matches!(decision, Decision::Accepted(_)) {
            self.record.epochs.insert(id.sender.clone(), id.epoch);
        }
        self.record.numbers.entry(key).or_default().push(submission.header_hash);
        let outcome = match &decision {
            Decision::Accepted(accepted) => {
                let expected = expected.expect("what it refers to exists");
                let places: BTreeSet<Party> = accepted.places.iter().map(|place| place.party).collect();
                assert_eq!(places, expected, "the audience of {id}, {}", header.kind);
                let admitted = explained.unwrap().into_iter().filter(|(_, rule)| rule.admits());
                assert_eq!(admitted.map(|(party, _)| party).collect::<BTreeSet<_>>(), places, "explain");
                self.check_allowed(&submission);
                self.note_accepted(&submission, accepted.notice_id, places, &handed);
                self.see(header.kind.as_str());
                accepted.taken_back.iter().for_each(|_| self.see("taken back"));
                let waits = accepted.places.iter().filter(|place| place.after.is_some()).count();
                (0..waits).for_each(|_| self.see("waits for what it refers to"));
                Ok(accepted.places.len() as u32)
            }
            Decision::Void(refusal) => {
                assert!(!self.is_sound(&submission, expected.as_ref()), "{id} got {refusal}");
                self.see(refusal.reason.as_str());
                Err(refusal.reason)
            }
            other => panic!("{id} got {other:?}"),
        };
        self.answered.push((submission, outcome));
        true
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
            && expected.is_some_and(|expected| !expected.is_empty())
    }

    fn note_accepted(
        &mut self,
        submission: &Submission,
        notice: Option<i247_model::NoticeId>,
        places: BTreeSet<Party>,
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
            self.record.sent.get_mut(id).unwrap().withdrawn = true;
        }
        let by = header.reply_by.filter(|_| header.kind == Kind::Request);
        let sent = Sent {
            kind: header.kind,
            from: party,
            lane: header.id.lane,
            at: (self.log.len() as u64, 0),
            copies: BTreeMap::new(),
            interval: by.map_or(Duration::ZERO, |by| by.since(self.now).max(Duration::from_secs(1))),
            expiry: header.expires_at,
            withdrawn: false,
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
        self.record.enter(&header.id, sent, places, by, &copies);
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

    fn note_review(&mut self, submission: &Submission, request: &MessageId, notice: i247_model::NoticeId) {
        if submission.lifted.approved == Some(true) {
            self.record.notices.get_mut(&notice).unwrap().approved.insert(request.clone());
        } else if self.record.sent[request].refers_to.is_none() {
            self.record.notices.remove(&notice);
        }
    }

    /// Time passes, and the hub looks at its deadlines.
    pub(crate) fn tick(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        let handed = self.handed();
        let decision = self.input(Input::Tick { under_way: self.under_way() }).unwrap();
        let Decision::Fired(Fired { made, .. }) = decision else { panic!("a tick got {decision:?}") };
        let (reminders, mut escalations) = self.record.tick(self.now, &handed);
        let position = self.log.len() as u64;
        let mut reminded = Vec::new();
        for made in made {
            self.see(made.kind.as_str());
            let request = &self.record.sent[&made.refers_to];
            let sent = Sent {
                kind: made.kind,
                from: Party::Secretariat,
                lane: request.lane,
                at: (position, made.id.number),
                copies: BTreeMap::new(),
                interval: Duration::ZERO,
                expiry: None,
                withdrawn: false,
                notice: None,
                refers_to: Some(made.refers_to.clone()),
                reply_to_all: false,
            };
            let asker = request.from;
            let to: BTreeSet<Party> = made.places.iter().map(|place| place.party).collect();
            if made.kind == Kind::Reminder {
                let addressee = *to.first().unwrap();
                assert_eq!(to.len(), 1);
                reminded.push((made.refers_to.clone(), addressee, made.nth));
            } else {
                let silent: BTreeSet<Party> = made.silent.iter().copied().collect();
                assert_eq!(escalations.remove(&made.refers_to), Some(silent), "who is silent");
                let there = asker.country().is_some_and(|country| self.record.is_member(country));
                let expected = there.then_some(asker).into_iter().chain([Party::Secretariat]);
                assert_eq!(to, expected.collect(), "who hears of silence");
            }
            self.record.enter(&made.id, sent, to, None, &BTreeSet::new());
        }
        assert_eq!(reminded, reminders, "who is reminded");
        assert!(escalations.is_empty(), "escalations missing: {escalations:?}");
    }

    pub(crate) fn connect(&mut self, country: CountryCode) {
        let party = Party::Bureau(country);
        if self.record.is_active(party) {
            let handed = self.journal.get(&party).copied().unwrap_or_default();
            let stream = Stream { cursor: self.state.cursor(party), handed, passed: [0; 4] };
            self.streams.insert(party, stream);
        }
    }

    /// The line goes down: what was not acknowledged is forgotten.
    pub(crate) fn cut(&mut self, country: CountryCode) {
        self.streams.remove(&country.into());
    }

    /// The hub hands one number to a bureau, which checks it.
    pub(crate) fn hand(&mut self, country: CountryCode) -> bool {
        let party = Party::Bureau(country);
        let Some(stream) = self.streams.get_mut(&party) else { return false };
        let ready = Lane::ALL.map(|lane| is_ready(&self.record, party, lane, &stream.handed));
        let Some(delivery) = self.state.next_delivery(&mut stream.cursor) else {
            assert_eq!(ready, [false; 4], "{party} waits for ever");
            return false;
        };
        let lane = delivery.lane.index();
        stream.handed[lane] += 1;
        assert_eq!(delivery.number, stream.handed[lane], "the mailbox of {party} has a hole");
        assert!(ready[lane], "{party} got something before what it refers to");
        for lower in lane + 1..4 {
            stream.passed[lower] += u32::from(ready[lower]);
            assert!(stream.passed[lower] <= STARVATION_BOUND, "{party} starves");
        }
        stream.passed[lane] = 0;
        let id = &self.record.mail[&(party, delivery.lane)][delivery.number as usize - 1];
        let sent = &self.record.sent[id];
        assert_eq!((delivery.message.position, u64::from(delivery.message.n)), sent.at, "another message");
        let copy = sent.copies.get(&party).expect("nobody else ever gets it");
        assert_ne!(copy.fate, Fate::Delivered, "{id} was delivered twice");
        assert_eq!(delivery.gap.is_some(), copy.fate == Fate::Gone, "{id} at {party}");
        let starved = stream.passed.contains(&STARVATION_BOUND);
        self.see(if delivery.gap.is_some() { "gap" } else { "delivery" });
        if starved {
            self.see("starvation bound reached");
        }
        true
    }

    /// A bureau writes what it got to its journal and signs for it, sometimes for less, sometimes twice.
    pub(crate) fn acknowledge(&mut self, country: CountryCode) {
        let party = Party::Bureau(country);
        let Some(stream) = self.streams.get(&party) else { return };
        let handed = stream.handed;
        let journal = self.journal.entry(party).or_default();
        let mut lanes = Vec::new();
        for lane in Lane::ALL {
            let (from, to) = (journal[lane.index()], handed[lane.index()]);
            let up_to = if self.dice.once_in(4) { from + self.dice.below(to - from + 1) } else { to };
            journal[lane.index()] = up_to;
            let range = (up_to > 0).then(|| {
                let first = 1 + self.dice.below(up_to);
                NumberRange { first, last: first + self.dice.below(up_to - first + 1) }
            });
            let opened = range.into_iter().filter(|_| self.dice.once_in(2)).collect();
            let actioned = range.into_iter().filter(|_| self.dice.once_in(3)).collect();
            // An old receipt that comes late takes nothing back.
            let stale = self.dice.once_in(6) && range.is_none();
            lanes.push(LaneReceipt {
                lane,
                delivered_up_to: if stale { 0 } else { up_to },
                opened,
                actioned,
            });
        }
        let journal = *journal;
        let receipts = Receipts { party, lanes, signed_at: self.now };
        let mut wild = receipts.clone();
        wild.lanes[0].delivered_up_to =
            self.record.mail.get(&(party, Lane::VeryUrgent)).map_or(0, Vec::len) as u64 + 1;
        assert_eq!(self.input(Input::Receipts(wild)), Err(Reason::WrongField));
        assert_eq!(self.input(Input::Receipts(receipts)), Ok(Decision::Noted));
        for lane in Lane::ALL {
            let Some(mail) = self.record.mail.get(&(party, lane)) else { continue };
            for id in &mail[..journal[lane.index()] as usize] {
                let copy = self.record.sent.get_mut(id).unwrap().copies.get_mut(&party).unwrap();
                if copy.fate == Fate::Waiting {
                    copy.fate = Fate::Delivered;
                }
            }
        }
    }

    /// The hub stops and starts: from its snapshot, or from nothing, it must arrive at the same state.
    pub(crate) fn restart(&mut self) {
        let from_snapshot = self.dice.once_in(2);
        let (from, mut state) = if from_snapshot {
            (self.snapshot.0, postcard::from_bytes(&self.snapshot.1).unwrap())
        } else {
            (0, State::default())
        };
        for (stamp, input, decision) in &self.log[from..] {
            assert_eq!(decide(&state, *stamp, input).as_ref(), Ok(decision), "decided again");
            state.apply(*stamp, input, decision);
        }
        assert!(state == self.state, "a replay arrives at another state");
        self.snapshot = (self.log.len(), postcard::to_stdvec(&state).unwrap());
        self.state = state;
        self.streams.clear();
    }

    /// Everything that the record knows is so in the state or in history, and nothing else.
    pub(crate) fn check(&self) {
        for (id, sent) in &self.record.sent {
            let open = self.state.message(id);
            let message = open.or_else(|| self.history.get(id)).unwrap_or_else(|| panic!("{id} is lost"));
            let parties: Vec<_> = message.recipients.keys().collect();
            assert_eq!(parties, sent.copies.keys().collect::<Vec<_>>(), "the states of {id} add up");
            for (party, copy) in &sent.copies {
                let recipient = &message.recipients[party];
                let fits = match copy.fate {
                    Fate::Waiting if self.record.is_active(*party) => {
                        recipient.state == RecipientState::Queued
                    }
                    Fate::Waiting => recipient.state == RecipientState::Held,
                    Fate::Delivered => recipient.state.has_it(),
                    Fate::Gone => recipient.state.settled() && !recipient.state.has_it(),
                };
                assert!(fits, "{id} at {party} is {}, and should be {:?}", recipient.state, copy.fate);
                assert_eq!(recipient.number, copy.number);
                let line = copy.line.as_ref().map(|line| (line.due, line.settled));
                assert_eq!(
                    recipient.line.map(|line| (line.due, !line.state.owed())),
                    line,
                    "{id} at {party}"
                );
            }
        }
        assert_eq!(self.state.notices().count(), self.record.notices.len());
    }

    /// Everybody is back, all is handed out, and time passes: nothing stays open but notices.
    pub(crate) fn drain(&mut self) {
        for country in self.countries.clone() {
            if self.record.standing[&country] == Standing::Suspended {
                self.move_standing(country, DirectoryAction::Reinstate);
            }
        }
        for _ in 0..16 {
            self.tick(Duration::from_secs(60 * 24 * 60 * 60));
            for country in self.countries.clone() {
                self.connect(country);
                while self.hand(country) {}
                while self.journal.get(&country.into()).copied().unwrap_or_default()
                    != self
                        .streams
                        .get(&country.into())
                        .map_or(self.journal_of(country), |stream| stream.handed)
                {
                    self.acknowledge(country);
                }
            }
        }
        self.check();
        let waiting = self.record.sent.values().flat_map(|sent| sent.copies.values());
        assert_eq!(waiting.filter(|copy| copy.fate == Fate::Waiting).count(), 0, "all is delivered");
        for message in self.state.open_messages() {
            let hot = matches!(message.kind, Kind::Notice | Kind::NoticeRequest);
            assert!(hot, "{} stays open", message.id);
        }
        assert!(self.state.next_deadline().is_none());
    }

    fn journal_of(&self, country: CountryCode) -> [u64; 4] {
        self.journal.get(&country.into()).copied().unwrap_or_default()
    }

    /// The stage is a number so that acts stay short.
    pub(crate) fn stage(&mut self) -> ReplyStage {
        [ReplyStage::Interim, ReplyStage::Final, ReplyStage::Refusal][self.dice.below(3) as usize]
    }
}

fn is_ready(record: &Record, party: Party, lane: Lane, handed: &[u64; 4]) -> bool {
    let mail = record.mail.get(&(party, lane));
    let Some(id) = mail.and_then(|mail| mail.get(handed[lane.index()] as usize)) else { return false };
    let copy = &record.sent[id].copies[&party];
    copy.fate == Fate::Gone || copy.waits_for.is_none_or(|(lane, number)| handed[lane.index()] >= number)
}

fn question(submission: &Submission) -> Question<'_> {
    Question {
        sender: &submission.header.id.sender,
        kind: submission.header.kind,
        audience: &submission.header.audience,
        except: &submission.lifted.except,
        refers_to: submission.header.refers_to.as_ref(),
        referred: submission.referred.as_deref(),
        under_way: &submission.under_way,
    }
}
