//! A small network for tests: FR, BR, JP, US and the reviewer lena, all in good standing.

use std::time::Duration;

use i247_model::{
    Audience, CountryCode, Hash, Header, Identity, Kind, Lane, LaneReceipt, Lifted, MessageId, Party, Reason,
    Receipts, Sender, Timestamp,
};
use i247_router::{
    Accepted, Decision, DirectoryAction, DirectoryChange, Effect, Fired, Input, Message, Origin, Previous,
    Stamp, State, Submission, UnderWay, decide,
};

pub(crate) struct Hub {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) effects: Vec<Effect>,
    position: u64,
    hashes: u32,
}

pub(crate) fn country(code: &str) -> CountryCode {
    code.parse().unwrap()
}

pub(crate) fn party(code: &str) -> Party {
    code.parse().unwrap()
}

pub(crate) fn to(codes: &[&str]) -> Audience {
    Audience::countries(codes.iter().map(|code| country(code)))
}

impl Hub {
    pub(crate) fn new() -> Self {
        // 1 January 2010, 00:00 UTC.
        let now = Timestamp::from_millis(1_262_304_000_000);
        let mut hub = Self { state: State::default(), now, effects: Vec::new(), position: 0, hashes: 0 };
        hub.enter(&Input::Genesis { log_id: vec![1], previous: None }).unwrap();
        for identity in ["ncb/fr", "ncb/br", "ncb/jp", "ncb/us", "gs/reviewer/lena"] {
            hub.change(identity, DirectoryAction::Admit, 1).unwrap();
        }
        hub
    }

    /// The log goes on under another name, as after a recovery.
    pub(crate) fn go_on(&mut self, log_id: u8) {
        let own = self.state.log_id().unwrap().to_vec();
        let previous = Some(Previous { log_id: own, end: self.position });
        self.enter(&Input::Genesis { log_id: vec![log_id], previous }).unwrap();
    }

    /// An older copy of all that the hub has: later hashes are others all the same.
    pub(crate) fn copy(&self) -> Self {
        let hashes = self.hashes + 1000;
        Self { state: self.state.clone(), effects: Vec::new(), hashes, ..*self }
    }

    /// The last entry.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn enter(&mut self, input: &Input) -> Result<Decision, (Reason, Vec<String>)> {
        let stamp = Stamp { position: self.position + 1, at: self.now };
        let decision =
            decide(&self.state, stamp, input).map_err(|refusal| (refusal.reason, refusal.fields))?;
        if decision.is_entry() {
            self.position += 1;
            self.effects = self.state.apply(stamp, input, &decision);
        }
        Ok(decision)
    }

    pub(crate) fn change(
        &mut self,
        identity: &str,
        action: DirectoryAction,
        sequence: u64,
    ) -> Result<Decision, (Reason, Vec<String>)> {
        let identity: Identity = format!("spiffe://i247.test/{identity}").parse().unwrap();
        let key = (action == DirectoryAction::Admit).then_some(Hash([sequence as u8; 32]));
        let change =
            DirectoryChange { action, identity, tls_key: key, signing_key: key, not_after: None, sequence };
        self.enter(&Input::DirectoryChange(change))
    }

    /// The sender's next message, all in order.
    pub(crate) fn message(
        &mut self,
        sender: &str,
        kind: Kind,
        refers_to: Option<&MessageId>,
        audience: Audience,
    ) -> Submission {
        self.hashes += 1;
        let sender: Sender = sender.parse().unwrap();
        let (last, previous) = self.state.sender_end(&sender, Lane::Normal);
        let epoch = self.state.epoch(&sender);
        let asks = kind == Kind::Request;
        let header = Header {
            previous,
            refers_to: refers_to.cloned(),
            reply_by: asks.then(|| self.now.plus(Duration::from_secs(100))),
            ..Header::bare(
                MessageId { sender, epoch, lane: Lane::Normal, number: last + 1 },
                kind,
                audience,
                Hash([0; 32]),
                self.now,
                (Hash([0; 32]), Hash([0; 32])),
            )
        };
        let mut header_hash = Hash([0; 32]);
        header_hash.0[..4].copy_from_slice(&self.hashes.to_le_bytes());
        Submission {
            header,
            header_hash,
            lifted: Lifted::default(),
            referred: None,
            under_way: UnderWay::new(),
            origin: Origin::Sender,
        }
    }

    pub(crate) fn submit(&mut self, submission: Submission) -> Result<Decision, (Reason, Vec<String>)> {
        self.enter(&Input::Submission(Box::new(submission)))
    }

    pub(crate) fn accept(&mut self, submission: Submission) -> Accepted {
        match self.submit(submission) {
            Ok(Decision::Accepted(accepted)) => accepted,
            other => panic!("{other:?}"),
        }
    }

    /// Sends and accepts in one go; the id.
    pub(crate) fn send(
        &mut self,
        sender: &str,
        kind: Kind,
        refers_to: Option<&MessageId>,
        audience: Audience,
    ) -> MessageId {
        let message = self.message(sender, kind, refers_to, audience);
        let id = message.header.id.clone();
        self.accept(message);
        id
    }

    /// Expects a void entry with this reason and field, and that nothing but the number changed.
    pub(crate) fn void(&mut self, submission: Submission, reason: Reason, field: &str) {
        let id = submission.header.id.clone();
        let hash = submission.header_hash;
        let open: Vec<Message> = self.state.open_messages().cloned().collect();
        let reviews = self.state.reviews().count();
        match self.submit(submission.clone()) {
            Ok(Decision::Void(refusal)) => {
                assert_eq!((refusal.reason, refusal.fields), (reason, vec![field.to_owned()]))
            }
            other => panic!("{other:?} instead of {reason}"),
        }
        assert_eq!(
            self.state.sender_end(&id.sender, id.lane),
            (id.number, Some(hash)),
            "the number is spent"
        );
        assert!(self.state.open_messages().eq(open.iter()));
        assert_eq!(self.state.reviews().count(), reviews);
        assert!(self.effects.is_empty());
        // A repetition gets the first answer again.
        let Ok(Decision::Answered(answer)) = self.submit(submission) else { panic!("no answer") };
        assert_eq!(answer.outcome.unwrap_err().reason, reason);
    }

    /// Expects that nothing is entered, for this reason and field.
    pub(crate) fn not_entered(&mut self, submission: Submission, reason: Reason, field: &str) {
        assert_eq!(self.submit(submission), Err((reason, vec![field.to_owned()])));
    }

    pub(crate) fn receipt(&self, of: &str, delivered_up_to: u64) -> Receipts {
        let lane =
            LaneReceipt { lane: Lane::Normal, delivered_up_to, opened: Vec::new(), actioned: Vec::new() };
        Receipts { party: party(of), lanes: vec![lane], signed_at: self.now }
    }

    /// The country signs for all that it was sent in the normal lane.
    pub(crate) fn deliver(&mut self, of: &str) {
        let last = self.state.mailbox(party(of)).map_or(0, |mailbox| mailbox.last(Lane::Normal));
        let receipts = self.receipt(of, last);
        self.enter(&Input::Receipts(receipts)).unwrap();
    }

    pub(crate) fn tick(&mut self, seconds: u64) -> Fired {
        self.now = self.now.plus(Duration::from_secs(seconds));
        match self.enter(&Input::Tick { under_way: UnderWay::new() }) {
            Ok(Decision::Fired(fired)) => fired,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn closed(&self) -> Vec<&Message> {
        self.effects
            .iter()
            .filter_map(|effect| if let Effect::Closed(message) = effect { Some(&**message) } else { None })
            .collect()
    }
}

pub(crate) fn parties(accepted: &Accepted) -> String {
    let parties: Vec<String> = accepted.places.iter().map(|place| place.party.to_string()).collect();
    parties.join(" ")
}
