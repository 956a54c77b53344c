//! What follows from the log: state, history and signers together, changed by one entry after the other.
//!
//! Everything here can be thrown away and built again from the log. It must not decide.

use bytes::Bytes;
use i247_ledger::{Body, Record};
use i247_model::{Header, Kind, MessageId, Reason, RecipientState, Refusal, Timestamp};
use i247_router::{Decision, DirectoryAction, DirectoryChange, Effect, Input, Stamp, State, Submission};
use i247_trust::{Root, header_hash, sha256};
use i247_wire::{decode_header, pb};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::entry::decode_decision;
use crate::history::{History, Item};
use crate::signers::Signers;

/// The views of the log up to a position.
#[derive(Clone, Debug)]
pub(crate) struct Views {
    pub(crate) state: State,
    pub(crate) history: History,
    pub(crate) signers: Signers,
    /// The last entry taken in.
    pub(crate) position: u64,
    /// Its stamp.
    pub(crate) at: Timestamp,
    /// How many frames of receipts there were.
    pub(crate) receipts: u64,
}

/// The version of [`Stored`]; snapshots of other versions are passed over.
pub(crate) const SNAPSHOT_VERSION: u32 = 3;

/// The views as a snapshot keeps them.
#[derive(Deserialize)]
struct Stored {
    state: State,
    history: History,
    chains: Vec<Vec<Vec<u8>>>,
    position: u64,
    at: Timestamp,
    receipts: u64,
}

/// The same fields in the same order, borrowed: the views are not copied to be written.
#[derive(Serialize)]
struct Storing<'a> {
    state: &'a State,
    history: &'a History,
    chains: Vec<Vec<Vec<u8>>>,
    position: u64,
    at: Timestamp,
    receipts: u64,
}

/// An entry as the views take it in.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) stamp: Stamp,
    pub(crate) input: Input,
    pub(crate) decision: Decision,
    /// Signing certificates of an admission.
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
            position: 0,
            at: Timestamp::default(),
            receipts: 0,
        }
    }

    /// Takes in one entry and says what is to be done about it.
    pub(crate) fn apply(&mut self, taken: &Taken) -> Vec<Effect> {
        let Taken { stamp, input, decision, chain } = taken;
        let effects = self.state.apply(*stamp, input, decision);
        self.position = stamp.position;
        self.at = stamp.at;
        match input {
            Input::Submission(submission) => self.enter(*stamp, submission, decision),
            Input::Receipts(_) => self.receipts += 1,
            Input::DirectoryChange(_) if !chain.is_empty() => {
                // Checked before it was entered; a chain that is not good any more signs nothing.
                if let Err(error) = self.signers.admit(chain.clone(), stamp.at) {
                    tracing::warn!(position = stamp.position, %error, "an admitted certificate is not good");
                }
            }
            Input::Genesis { .. } | Input::DirectoryChange(_) | Input::Tick { .. } => {}
        }
        if let Decision::Fired(fired) = decision {
            for made in &fired.made {
                let mut item = item(*stamp, made.kind, Some(made.refers_to.clone()));
                item.operation =
                    self.history.item(&made.refers_to).and_then(|request| request.operation.clone());
                self.history.enter(made.id.clone(), item, None);
                for place in &made.places {
                    self.history.place(place.party, made.id.lane, place.number, &made.id);
                }
            }
        }
        self.observe(*stamp, &effects);
        effects
    }

    /// A digest over every view, equal for equal logs.
    pub(crate) fn digest(&self) -> String {
        sha256(&[&self.to_snapshot().unwrap_or_default()]).to_string()
    }

    /// The views as a snapshot keeps them.
    ///
    /// # Errors
    /// Never for views that fit into memory; the type of the encoder says otherwise.
    pub(crate) fn to_snapshot(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&Storing {
            state: &self.state,
            history: &self.history,
            chains: self.signers.chains(),
            position: self.position,
            at: self.at,
            receipts: self.receipts,
        })
    }

    /// The views of a snapshot; none when it is not of this version or not of this authority.
    pub(crate) fn from_snapshot(bytes: &[u8], root: Root) -> Option<Self> {
        let stored: Stored = postcard::from_bytes(bytes).ok()?;
        let mut signers = Signers::new(root);
        for chain in stored.chains {
            signers.admit(chain.into_iter().map(Bytes::from).collect(), stored.at).ok()?;
        }
        let Stored { state, history, position, at, receipts, .. } = stored;
        Some(Self { state, history, signers, position, at, receipts })
    }

    /// A message, open or closed, and whether it is closed.
    pub(crate) fn message(&self, id: &MessageId) -> Option<(&i247_router::Message, bool)> {
        if let Some(message) = self.state.message(id) {
            return Some((message, false));
        }
        self.history.closed(id).map(|message| (message, true))
    }

    /// Where a message stands, as its sender hears it.
    pub(crate) fn status(&self, id: &MessageId) -> Option<pb::MessageStatus> {
        let (message, closed) = self.message(id)?;
        let recipients = message.recipients.iter().map(|(party, recipient)| pb::RecipientStatus {
            party: party.to_string(),
            state: pb::RecipientState::from(recipient.state).into(),
            answer: recipient.line.map_or(pb::AnswerState::Unspecified, |line| line.state.into()).into(),
            since_ms: recipient.since.as_millis(),
        });
        Some(pb::MessageStatus {
            id: id.to_string(),
            position: message.at.position,
            recipients: recipients.collect(),
            closed,
        })
    }

    /// Reads an entry of the log as the views take it in.
    ///
    /// # Errors
    /// [`EntryError`] when something else has written it.
    pub(crate) fn read(&self, record: &Record) -> Result<Taken, EntryError> {
        self.decode(record).map_err(|refusal| EntryError { position: record.position.0, refusal })
    }

    fn decode(&self, record: &Record) -> Result<Taken, Refusal> {
        let malformed = |field| Refusal::of(Reason::Malformed, field);
        let entry = pb::Entry::decode(record.entry.clone()).map_err(|_| malformed("entry"))?;
        let stamp = Stamp { position: record.position.0, at: Timestamp::from_millis(entry.at_ms) };
        let decision = decode_decision(entry.decision.ok_or_else(|| malformed("decision"))?)?;
        let mut chain = Vec::new();
        let input = match entry.input.ok_or_else(|| malformed("input"))? {
            pb::entry::Input::Genesis(genesis) => Input::Genesis { log_id: genesis.log_id.to_vec() },
            pb::entry::Input::Submission(submission) => {
                let header = decode_header(&submission.header)?;
                let referred = self.referred(&header);
                Input::Submission(Box::new(Submission {
                    header_hash: header_hash(&submission.header),
                    header,
                    lifted: submission.lifted.unwrap_or_default().try_into()?,
                    referred,
                    under_way: Default::default(),
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
            pb::entry::Input::Tick(_) => Input::Tick { under_way: Default::default() },
        };
        Ok(Taken { stamp, input, decision, chain })
    }

    /// The closed message that a header refers to, for the decision about it.
    pub(crate) fn referred(&self, header: &Header) -> Option<Box<i247_router::Message>> {
        let id = header.refers_to.as_ref()?;
        self.history.closed(id).cloned().map(Box::new)
    }

    fn enter(&mut self, stamp: Stamp, submission: &Submission, decision: &Decision) {
        let header = &submission.header;
        let refused = match decision {
            Decision::Accepted(_) => None,
            Decision::Void(refusal) => Some(refusal.clone()),
            Decision::Noted
            | Decision::Fired(_)
            | Decision::Equivocation { .. }
            | Decision::Answered(_)
            | Decision::Older => return,
        };
        let mut item = item(stamp, header.kind, header.refers_to.clone());
        item.refused = refused;
        item.header_hash = Some(submission.header_hash);
        item.operation = header.operation.clone();
        self.history.enter(header.id.clone(), item, header.seat.as_ref().map(ToString::to_string));
        if let Decision::Accepted(accepted) = decision {
            for place in &accepted.places {
                self.history.place(place.party, header.id.lane, place.number, &header.id);
            }
        }
    }

    fn observe(&mut self, stamp: Stamp, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Progress(id) => {
                    if let Some(message) = self.state.message(id) {
                        self.history.observe(message, stamp.position, stamp.at);
                        self.history.reopen(id);
                    }
                }
                Effect::Closed(message) => self.history.close((**message).clone(), stamp.position, stamp.at),
                Effect::LateReceipt { party, lane, numbers, actioned, at } => {
                    let state = if *actioned { RecipientState::Actioned } else { RecipientState::Opened };
                    let range = (numbers.first, numbers.last);
                    self.history.late((*party, *lane), range, state, stamp.position, *at);
                }
                Effect::Wake(_) | Effect::Directory(_) => {}
            }
        }
    }
}

fn item(stamp: Stamp, kind: Kind, refers_to: Option<MessageId>) -> Item {
    Item {
        position: stamp.position,
        at: stamp.at,
        kind,
        refers_to,
        operation: None,
        header_hash: None,
        refused: None,
        closed: None,
        events: Vec::new(),
    }
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
    if let Some(made) = n.checked_sub(1) {
        return entry.made.into_iter().nth(made as usize).ok_or_else(malformed);
    }
    let Some(pb::entry::Input::Submission(submission)) = entry.input else { return Err(malformed()) };
    let body = match &record.body {
        Body::Present(body) => body.clone(),
        Body::None | Body::Erased | Body::Damaged => Bytes::new(),
    };
    Ok(pb::Envelope { header: submission.header, body, signature: submission.signature })
}
