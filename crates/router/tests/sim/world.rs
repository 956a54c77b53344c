//! The network in the simulation: a hub with a memory log, bureaus with journals, and the checks after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use i247_model::{
    CountryCode, Hash, Identity, Kind, Lane, MessageId, Party, Reason, ReplyStage, Sender, Timestamp,
};
use i247_router::{
    Acceptance, Decision, DirectoryAction, DirectoryChange, Effect, Fired, Input, Message, Stamp, Standing,
    State, Submission, UnderWay, decide,
};

use crate::bureau::Stream;
use crate::dice::Dice;
use crate::record::{Handed, Record};
use crate::sent::{Fate, Sent};

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) state: State,
    pub(crate) record: Record,
    pub(crate) now: Timestamp,
    pub(crate) countries: Vec<CountryCode>,
    pub(crate) log: Vec<(Stamp, Rc<Input>, Decision)>,
    /// The state of which a snapshot was taken, and after how many entries.
    snapshot: (usize, State),
    /// How many entries there were at the last check.
    pub(crate) checked: usize,
    pub(crate) history: BTreeMap<MessageId, Box<Message>>,
    /// What went to history since the last check.
    pub(crate) closed: Vec<MessageId>,
    pub(crate) streams: BTreeMap<Party, Stream>,
    /// What each bureau has in its journal, per lane.
    pub(crate) journal: BTreeMap<Party, [u64; 4]>,
    /// First answers, to be given again.
    pub(crate) answered: Vec<(Rc<Input>, Result<Acceptance, Reason>)>,
    /// Sealed, in the order of numbers, and not yet answered.
    pub(crate) outbox: BTreeMap<(Sender, Lane), Vec<Rc<Input>>>,
    sequences: BTreeMap<Identity, u64>,
    /// Every change of a standing, with the position of its entry.
    pub(crate) moves: Vec<(u64, CountryCode, DirectoryAction)>,
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
            snapshot: (0, State::default()),
            checked: 0,
            history: BTreeMap::new(),
            closed: Vec::new(),
            streams: BTreeMap::new(),
            journal: BTreeMap::new(),
            answered: Vec::new(),
            outbox: BTreeMap::new(),
            sequences: BTreeMap::new(),
            moves: Vec::new(),
            seen: BTreeMap::new(),
        };
        world.input(Input::Genesis { log_id: vec![7], previous: None }).unwrap();
        world.change(Identity::Reviewer("lena".parse().unwrap()), DirectoryAction::Admit).unwrap();
        for country in world.countries.clone() {
            world.change(Identity::Bureau(country), DirectoryAction::Admit).unwrap();
            world.record.standing.insert(country, Standing::Active);
        }
        world
    }

    pub(crate) fn input(&mut self, input: Input) -> Result<Decision, Reason> {
        self.enter(&Rc::new(input))
    }

    /// Decides, enters and applies, as the hub does.
    pub(crate) fn enter(&mut self, input: &Rc<Input>) -> Result<Decision, Reason> {
        let decision = self.decide(input)?;
        self.apply(input, &decision);
        Ok(decision)
    }

    pub(crate) fn decide(&self, input: &Input) -> Result<Decision, Reason> {
        decide(&self.state, self.stamp(), input).map_err(|refusal| refusal.reason)
    }

    pub(crate) fn apply(&mut self, input: &Rc<Input>, decision: &Decision) {
        if !decision.is_entry() {
            return;
        }
        let stamp = self.stamp();
        for effect in self.state.apply(stamp, input, decision) {
            if let Effect::Closed(message) = effect {
                assert!(self.state.message(&message.id).is_none());
                self.closed.push(message.id.clone());
                self.history.insert(message.id.clone(), message);
            }
        }
        self.log.push((stamp, Rc::clone(input), decision.clone()));
    }

    fn stamp(&self) -> Stamp {
        Stamp { position: self.log.len() as u64 + 1, at: self.now }
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
        if let Identity::Bureau(country) = identity {
            self.moves.push((self.log.len() as u64, country, action));
        }
        self.sequences.insert(identity, sequence);
        Ok(decision)
    }

    pub(crate) fn see(&mut self, what: &'static str) {
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

    pub(crate) fn handed(&self) -> Handed {
        self.streams.iter().map(|(party, stream)| (*party, stream.handed)).collect()
    }

    pub(crate) fn under_way(&self) -> UnderWay {
        let mut under_way = UnderWay::new();
        for stream in self.streams.values() {
            self.state.add_under_way(&stream.cursor, &mut under_way);
        }
        under_way
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
            assert_eq!(made.id.lane, request.id.lane, "in the lane of the request");
            let sent = Sent {
                at: (position, made.id.number),
                id: made.id,
                kind: made.kind,
                from: Party::Secretariat,
                copies: BTreeMap::new(),
                interval: Duration::ZERO,
                expiry: None,
                withdrawn: false,
                again: false,
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
            self.record.enter(sent, to, None, &BTreeSet::new());
        }
        assert_eq!(reminded, reminders, "who is reminded");
        assert!(escalations.is_empty(), "escalations missing: {escalations:?}");
    }

    /// The hub stops and starts.
    pub(crate) fn restart(&mut self) {
        let state = self.replay();
        self.snapshot = (self.log.len(), std::mem::replace(&mut self.state, state));
        self.checked = 0;
        self.streams.clear();
    }

    /// From its snapshot, or from nothing, the hub must arrive at the same state.
    pub(crate) fn replay(&mut self) -> State {
        let from_snapshot = self.dice.once_in(2);
        let (from, mut state) = if from_snapshot {
            let bytes = postcard::to_stdvec(&self.snapshot.1).unwrap();
            (self.snapshot.0, postcard::from_bytes(&bytes).unwrap())
        } else {
            (0, State::default())
        };
        for (stamp, input, decision) in &self.log[from..] {
            assert_eq!(decide(&state, *stamp, input).as_ref(), Ok(decision), "decided again");
            state.apply(*stamp, input, decision);
        }
        assert!(state == self.state, "a replay arrives at another state");
        state
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
        let waiting = self.record.sent.in_order().flat_map(|sent| sent.copies.values());
        assert_eq!(waiting.filter(|copy| copy.fate == Fate::Waiting).count(), 0, "all is delivered");
        for message in self.state.open_messages() {
            let hot = matches!(message.kind, Kind::Notice | Kind::NoticeRequest);
            assert!(hot, "{} stays open", message.id);
        }
        assert!(self.state.next_deadline().is_none());
    }

    /// The stage is a number so that acts stay short.
    pub(crate) fn stage(&mut self) -> ReplyStage {
        [ReplyStage::Interim, ReplyStage::Final, ReplyStage::Refusal][self.dice.below(3) as usize]
    }
}

/// The submission that an envelope is to the hub.
pub(crate) fn submission(input: &Input) -> &Submission {
    match input {
        Input::Submission(submission) => submission,
        other => panic!("{other:?} is no submission"),
    }
}
