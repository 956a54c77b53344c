//! What follows from the log: state, history and signers together, changed by one entry after the other.
//!
//! Everything here can be thrown away and built again from the log. It must not decide.

use std::collections::BTreeMap;

use bytes::Bytes;
use i247_ledger::runs::Runs;
use i247_ledger::{Body, Record};
use i247_model::{Header, Kind, Lane, MessageId, Name, Party, Reason, Refusal, ReplyStage, Timestamp};
use i247_records::hits::Register;
use i247_router::{
    Decision, DirectoryAction, DirectoryChange, Effect, Input, Made, Message, MessageRef, Place, SearchRoot,
    Stamp, State, Submission,
};
use i247_trust::{Root, header_hash, sha256};
use i247_wire::{decode_header, pb};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::databases;
use crate::entry::decode_decision;
use crate::flow::{Moves, Replied};
use crate::history::{History, HistoryError, Item};
use crate::predecessors;
use crate::recover::RecoverError;
use crate::signers::Signers;

/// The views of the log up to a position.
#[derive(Debug)]
pub(crate) struct Views {
    pub(crate) state: State,
    pub(crate) history: History,
    pub(crate) signers: Signers,
    pub(crate) hits: Register,
    /// The last entry taken in.
    pub(crate) position: u64,
    /// Its stamp.
    pub(crate) at: Timestamp,
    /// How many frames of receipts there were.
    pub(crate) receipts: u64,
    /// The last entry from which records follow; 0 before the first.
    pub(crate) fed_at: u64,
    /// What moved since somebody looked; none while nobody will, as during a start.
    pub(crate) moves: Option<Moves>,
}

/// The version of [`Kept`] and of the rows in history's runs; snapshots of other versions are passed over.
pub(crate) const SNAPSHOT_VERSION: u32 = 18;

/// The views as a snapshot keeps them: what is open. What is closed is in runs.
#[derive(Debug, Deserialize)]
pub(crate) struct Kept {
    state: State,
    open: BTreeMap<String, Box<Item>>,
    chains: Vec<Vec<Vec<u8>>>,
    hits: Register,
    pub(crate) position: u64,
    at: Timestamp,
    receipts: u64,
    fed_at: u64,
}

/// The same fields in the same order, borrowed: to write them out takes a third of the time that a copy would take.
#[derive(Serialize)]
struct Keeping<'a> {
    state: &'a State,
    open: &'a BTreeMap<String, Box<Item>>,
    chains: Vec<Vec<Vec<u8>>>,
    hits: &'a Register,
    position: u64,
    at: Timestamp,
    receipts: u64,
    fed_at: u64,
}

impl Kept {
    /// What a snapshot of this version holds.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

/// An entry as the views take it in.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) stamp: Stamp,
    pub(crate) input: Input,
    pub(crate) decision: Decision,
    /// Signing certificates of an admission, or those with which the hub signs from here on.
    pub(crate) chain: Vec<Bytes>,
}

/// An entry that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("entry {position} cannot be understood: {refusal}")]
pub struct EntryError {
    position: u64,
    #[source]
    refusal: Refusal,
}

impl Views {
    pub(crate) fn new(root: Root) -> Self {
        Self {
            state: State::default(),
            history: History::default(),
            signers: Signers::new(root),
            hits: Register::default(),
            position: 0,
            at: Timestamp::default(),
            receipts: 0,
            moves: None,
            fed_at: 0,
        }
    }

    /// Takes in one entry and says what is to be done about it.
    ///
    /// # Errors
    /// When history cannot be read. The views are half changed then and of no more use.
    pub(crate) fn apply(&mut self, taken: &Taken) -> Result<Vec<Effect>, HistoryError> {
        let applied = self.take_in(taken);
        if applied.is_err() {
            self.history.break_off();
        }
        applied
    }

    fn take_in(&mut self, taken: &Taken) -> Result<Vec<Effect>, HistoryError> {
        let Taken { stamp, input, decision, chain } = taken;
        let mut effects = self.state.apply(*stamp, input, decision);
        self.position = stamp.position;
        self.at = stamp.at;
        let mut by = None;
        match input {
            Input::Submission(submission) => {
                self.enter(*stamp, submission, decision, &effects)?;
                self.follow_hit(*stamp, submission, decision);
            }
            Input::Hit(found) => {
                if let Decision::Fired(fired) = decision
                    && let Some(made) = fired.made.first()
                {
                    self.hits.enter(stamp.position, stamp.at, &made.id, found);
                }
            }
            Input::Receipts(receipts) => {
                self.receipts += 1;
                by = Some(receipts.party);
            }
            Input::Genesis { .. } | Input::DirectoryChange(_) | Input::Tick { .. } | Input::SearchRoot(_) => {
            }
        }
        // Checked before it was entered; a chain that is not good any more signs nothing.
        if !chain.is_empty()
            && let Err(error) = self.signers.admit(chain.clone(), stamp.at)
        {
            tracing::warn!(position = stamp.position, %error, "an entered certificate is not good");
        }
        if let Decision::Fired(fired) = decision {
            for made in &fired.made {
                self.enter_made(*stamp, made, input)?;
            }
        }
        self.observe(*stamp, &mut effects, by)?;
        Ok(effects)
    }

    /// A digest over every view, equal for equal logs however much of history is on disk.
    ///
    /// # Errors
    /// When history cannot be read.
    pub(crate) fn digest(&self) -> Result<String, HistoryError> {
        let kept = self.to_snapshot().map_err(|_| HistoryError::Row)?;
        let mut digest = sha256(&[&kept]);
        self.history.each_row(|key, value| {
            let lengths = [key.len() as u64, value.len() as u64].map(u64::to_le_bytes);
            digest = sha256(&[digest.as_bytes(), &lengths[0], &lengths[1], key, value]);
        })?;
        Ok(digest.to_string())
    }

    /// What is open, as a snapshot keeps it.
    ///
    /// # Errors
    /// Never for views that fit into memory; the type of the encoder says otherwise.
    pub(crate) fn to_snapshot(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&Keeping {
            state: &self.state,
            open: self.history.open(),
            chains: self.signers.chains(),
            hits: &self.hits,
            position: self.position,
            at: self.at,
            receipts: self.receipts,
            fed_at: self.fed_at,
        })
    }

    /// The views of a snapshot and the runs up to it; none when it is not of this authority.
    pub(crate) fn of(kept: Kept, root: Root, runs: Runs) -> Option<Self> {
        let Kept { state, open, chains, hits, position, at, receipts, fed_at } = kept;
        let mut signers = Signers::new(root);
        for chain in chains {
            signers.admit(chain.into_iter().map(Bytes::from).collect(), at).ok()?;
        }
        let history = History::of(open, runs);
        Some(Self { state, history, signers, hits, position, at, receipts, fed_at, moves: None })
    }

    /// Reads an entry of the log as the views take it in.
    ///
    /// # Errors
    /// [`EntryError`] when something else has written it, or when history cannot be read.
    pub(crate) fn read(&self, record: &Record) -> Result<Taken, RecoverError> {
        let decoded = self.decode(record);
        let mut taken = decoded.map_err(|refusal| EntryError { position: record.position.0, refusal })?;
        if let Input::Submission(submission) = &mut taken.input {
            submission.referred = self.referred(&submission.header)?;
        }
        Ok(taken)
    }

    fn decode(&self, record: &Record) -> Result<Taken, Refusal> {
        let malformed = |field| Refusal::of(Reason::Malformed, field);
        let entry = pb::Entry::decode(record.entry.clone()).map_err(|_| malformed("entry"))?;
        let stamp = Stamp { position: record.position.0, at: Timestamp::from_millis(entry.at_ms) };
        let decision = decode_decision(entry.decision.ok_or_else(|| malformed("decision"))?)?;
        let mut chain = Vec::new();
        let input = match entry.input.ok_or_else(|| malformed("input"))? {
            pb::entry::Input::Genesis(genesis) => {
                chain = genesis.certificates;
                Input::Genesis {
                    log_id: genesis.log_id.to_vec(),
                    previous: predecessors::previous(&genesis.previous_log_id, genesis.previous_end),
                }
            }
            pb::entry::Input::Submission(submission) => {
                let header = decode_header(&submission.header)?;
                let origin = predecessors::origin(&submission)?;
                Input::Submission(Box::new(Submission {
                    header_hash: header_hash(&submission.header),
                    header,
                    lifted: submission.lifted.unwrap_or_default().try_into()?,
                    referred: None,
                    under_way: Default::default(),
                    origin,
                }))
            }
            pb::entry::Input::Receipts(signed) => {
                let receipts = pb::Receipts::decode(signed.payload).map_err(|_| malformed("receipts"))?;
                Input::Receipts(receipts.try_into()?)
            }
            pb::entry::Input::DirectoryChange(signed) => {
                let change = pb::DirectoryChange::decode(signed.payload).map_err(|_| malformed("change"))?;
                chain = change.signing_certificates.clone();
                let signer = match chain.as_slice() {
                    [] => None,
                    chain => Some(i247_trust::introduce_past(chain, self.signers.root(), stamp.at)?),
                };
                Input::DirectoryChange(directory_change(&change, signer.as_ref())?)
            }
            pb::entry::Input::Hit(found) => Input::Hit(found.try_into()?),
            pb::entry::Input::SearchRoot(root) => Input::SearchRoot(SearchRoot {
                position: root.position,
                root: i247_wire::hash(&root.root, "search_root.root")?,
            }),
            pb::entry::Input::Tick(tick) => {
                chain = tick.certificates;
                Input::Tick { under_way: Default::default() }
            }
        };
        Ok(Taken { stamp, input, decision, chain })
    }

    /// The closed message that a header refers to, for the decision about it.
    ///
    /// # Errors
    /// When history cannot be read: nothing may be decided then.
    pub(crate) fn referred(&self, header: &Header) -> Result<Option<Box<Message>>, HistoryError> {
        let Some(id) = &header.refers_to else { return Ok(None) };
        if self.state.message(id).is_some() {
            return Ok(None);
        }
        let item = self.history.find(&id.to_string())?;
        Ok(item.and_then(|item| item.closed).map(Box::new))
    }

    fn enter(
        &mut self,
        stamp: Stamp,
        submission: &Submission,
        decision: &Decision,
        effects: &[Effect],
    ) -> Result<(), HistoryError> {
        let header = &submission.header;
        let refused = match decision {
            Decision::Accepted(_) => None,
            Decision::Void(refusal) => Some(refusal.clone()),
            Decision::Noted
            | Decision::Fired(_)
            | Decision::Equivocation { .. }
            | Decision::Answered(_)
            | Decision::Older => return Ok(()),
        };
        let mut item = item(stamp, 0, header.kind, header.refers_to.clone());
        item.refused = refused;
        item.header_hash = Some(submission.header_hash);
        item.operation = header.operation.clone();
        let place = item.place;
        self.history.enter(&header.id, item, header.seat.as_ref().map(Name::as_str));
        match decision {
            Decision::Accepted(accepted) => {
                if databases::is_fed_by(header.kind) {
                    self.history.feed(stamp.position);
                    self.fed_at = stamp.position;
                }
                self.tell(stamp, submission, &accepted.places, effects);
                self.place(place, header.id.lane, &accepted.places)
            }
            Decision::Void(refusal) => {
                if let Some(moves) = &mut self.moves {
                    moves.refused(stamp, &header.id, header.kind, refusal);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What moved by a message that was accepted.
    fn tell(&mut self, stamp: Stamp, submission: &Submission, places: &[Place], effects: &[Effect]) {
        let header = &submission.header;
        let Some(moves) = &mut self.moves else { return };
        moves.accepted(stamp, &header.id, header.kind, places);
        let Some(request) = header.refers_to.as_ref().filter(|_| header.reply_stage.is_some_and(is_last))
        else {
            return;
        };
        let open = self.state.message(request);
        // The last answer closes it.
        let closed = effects.iter().find_map(|effect| match effect {
            Effect::Closed(message) if message.id == *request => Some(&**message),
            _ => None,
        });
        let Some(request) = open.or(closed).or(submission.referred.as_deref()) else { return };
        let after = stamp.at.since(request.accepted_at).as_millis();
        moves.replies.push(Replied {
            by: header.id.sender.party(),
            after_ms: u64::try_from(after).unwrap_or(u64::MAX),
            in_time: request.reply_by.is_none_or(|by| stamp.at <= by),
        });
    }

    /// A message that the hub made belongs to the operation of the search that it tells of, or of the request that it is
    /// about, which is open.
    fn enter_made(&mut self, stamp: Stamp, made: &Made, input: &Input) -> Result<(), HistoryError> {
        let n = u32::try_from(made.id.number).unwrap_or(u32::MAX);
        let mut item = item(stamp, n, made.kind, Some(made.refers_to.clone()));
        item.operation = match input {
            Input::Hit(found) => found.operation.clone(),
            _ => {
                let request = self.history.near(&made.refers_to.to_string());
                request.and_then(|request| request.operation.clone())
            }
        };
        let place = item.place;
        if let Some(moves) = &mut self.moves {
            moves.accepted(stamp, &made.id, made.kind, &made.places);
        }
        self.history.enter(&made.id, item, None);
        self.place(place, made.id.lane, &made.places)
    }

    fn place(&mut self, message: MessageRef, lane: Lane, places: &[Place]) -> Result<(), HistoryError> {
        for place in places {
            self.history.place(place.party, lane, place.number, message)?;
        }
        Ok(())
    }

    /// What the owner of a hit decided, and what the asker did.
    fn follow_hit(&mut self, stamp: Stamp, submission: &Submission, decision: &Decision) {
        let header = &submission.header;
        let (Decision::Accepted(_), Some(refers_to)) = (decision, &header.refers_to) else { return };
        let by = header.id.sender.party();
        match (header.kind, submission.lifted.verdict) {
            (Kind::HitDecision, Some(verdict)) => {
                self.hits.decide(stamp.position, stamp.at, (refers_to, &header.id), by, verdict);
            }
            (Kind::HitAction, _) => self.hits.act(stamp.position, stamp.at, refers_to, by),
            _ => {}
        }
    }

    /// What changed becomes history. A closed message goes there; what is left of its effect is that it stands
    /// differently.
    fn observe(
        &mut self,
        stamp: Stamp,
        effects: &mut [Effect],
        by: Option<Party>,
    ) -> Result<(), HistoryError> {
        for effect in effects {
            match effect {
                Effect::Progress(id) => {
                    if let Some(message) = self.state.message(id) {
                        self.history.observe(message, stamp, by, self.moves.as_mut());
                        observe_hit(&mut self.hits, stamp, message);
                    }
                }
                Effect::Closed(message) => {
                    let progress = Effect::Progress(message.id.clone());
                    if let Effect::Closed(message) = std::mem::replace(effect, progress) {
                        observe_hit(&mut self.hits, stamp, &message);
                        self.history.close(*message, stamp, by, self.moves.as_mut())?;
                    }
                }
                Effect::LateReceipt { party, lane, numbers, actioned, at } => {
                    self.history.late((*party, *lane), *numbers, *actioned, stamp.position, *at)?;
                }
                Effect::Wake(_) | Effect::Directory(_) | Effect::Granted(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether the owner of a hit has its message now.
fn observe_hit(hits: &mut Register, stamp: Stamp, message: &Message) {
    let has_it = |party: &Party| message.recipients.get(party).is_some_and(|one| one.state.has_it());
    if message.kind == Kind::Hit && has_it(&message.owner) {
        hits.told(stamp.position, stamp.at, &message.id);
    }
}

/// Whether no more comes after it.
fn is_last(stage: ReplyStage) -> bool {
    matches!(stage, ReplyStage::Final | ReplyStage::Refusal)
}

fn item(stamp: Stamp, n: u32, kind: Kind, refers_to: Option<MessageId>) -> Item {
    Item::new(MessageRef { position: stamp.position, n }, stamp.at, kind, refers_to)
}

/// A signed change as the router takes it.
///
/// # Errors
/// `MALFORMED` with the field.
pub(crate) fn directory_change(
    change: &pb::DirectoryChange,
    signer: Option<&i247_trust::Signer>,
) -> Result<DirectoryChange, Refusal> {
    let action = match change.action() {
        pb::DirectoryAction::Unspecified => return Err(Refusal::of(Reason::Malformed, "action")),
        pb::DirectoryAction::Admit => DirectoryAction::Admit,
        pb::DirectoryAction::Suspend => DirectoryAction::Suspend,
        pb::DirectoryAction::Revoke => DirectoryAction::Revoke,
        pb::DirectoryAction::Reinstate => DirectoryAction::Reinstate,
    };
    Ok(DirectoryChange {
        action,
        identity: i247_wire::parsed(&change.identity, "identity")?,
        tls_key: i247_wire::hash_option(&change.tls_key, "tls_key")?,
        signing_key: signer.map(|signer| signer.key_id),
        not_after: signer.map(|signer| signer.not_after),
        sequence: change.sequence,
    })
}

/// What a reader gets of a message: header, signature, and the body while it is there.
///
/// # Errors
/// `MALFORMED` when the record is no message.
pub(crate) fn envelope_of(record: &Record, n: u32) -> Result<pb::Envelope, Refusal> {
    let malformed = || Refusal::of(Reason::Malformed, "entry");
    let entry = pb::Entry::decode(record.entry.clone()).map_err(|_| malformed())?;
    let body = match &record.body {
        Body::Present(body) => body.clone(),
        Body::None | Body::Erased | Body::Damaged => Bytes::new(),
    };
    if let Some(made) = n.checked_sub(1) {
        let mut envelope = entry.made.into_iter().nth(made as usize).ok_or_else(malformed)?;
        // That of a hit lies beside the entry.
        if envelope.body.is_empty() {
            envelope.body = body;
        }
        return Ok(envelope);
    }
    let Some(pb::entry::Input::Submission(submission)) = entry.input else { return Err(malformed()) };
    Ok(pb::Envelope { header: submission.header, body, signature: submission.signature })
}
