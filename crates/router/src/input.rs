//! What the router is asked: inputs as the log keeps them. No bodies, no wire types.

use std::collections::BTreeMap;

use i247_model::{
    Hash, Header, HitFound, Identity, Lane, Lifted, NoticeId, Party, Receipts, Refusal, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::Message;

/// Where and when an input enters the log. Positions grow by one; times never go back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Position of the entry.
    pub position: u64,
    /// The hub's time for it.
    pub at: Timestamp,
}

/// Per mailbox and lane, the highest number handed to a stream and not yet acknowledged.
///
/// What is under way cannot be taken back any more, and only the hub knows it: also of a stream that broke, until
/// the next one says what came through. Mailboxes that never had a stream are left out. A stream must not hand out more between this being read and the decision
/// being applied: otherwise it could hand out what the decision has just taken back.
pub type UnderWay = BTreeMap<(Party, Lane), u64>;

/// One input of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The first entry of a log, and the first after every recovery.
    Genesis {
        /// The name of the log from here on.
        log_id: Vec<u8>,
        /// After a recovery: what it goes on from.
        previous: Option<Previous>,
    },
    /// A message, verified and attributable.
    Submission(Box<Submission>),
    /// Receipts from a frame that their party signed.
    Receipts(Receipts),
    /// A change signed by the authority.
    DirectoryChange(DirectoryChange),
    /// Deadlines that are due by the stamp are looked at.
    Tick {
        /// What cannot expire any more.
        under_way: UnderWay,
    },
    /// How far the journal of searches has come.
    SearchRoot(SearchRoot),
    /// A record matched what somebody asked for.
    Hit(HitFound),
}

/// The journal of searches up to an entry. The journal lies beside the log, which vouches for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SearchRoot {
    /// How many entries it has.
    pub position: u64,
    /// What stands for all of them.
    pub root: Hash,
}

/// The log before a recovery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Previous {
    /// Its name.
    pub log_id: Vec<u8>,
    /// Its last position that is still there.
    pub end: u64,
}

/// How a message came to be submitted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Origin {
    /// Its sender sends it, and shows nothing.
    #[default]
    Sender,
    /// Its sender shows that a predecessor of the log had accepted it.
    Again(Earlier),
    /// Its sender says that a predecessor of the log had refused it, and why: it stays refused.
    Refused(Refusal),
    /// Somebody who received it from a predecessor of the log hands it over.
    HandedOver,
}

/// What a predecessor of the log said of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Earlier {
    /// When it was accepted there.
    pub accepted_at: Timestamp,
    /// How many recipients it had there.
    pub recipients: u32,
    /// The number that a notice request was given there.
    pub notice_id: Option<NoticeId>,
}

/// A message as it came, without its body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// The header.
    pub header: Header,
    /// Hash of the header's bytes.
    pub header_hash: Hash,
    /// What the decision needs of a clear body.
    pub lifted: Lifted,
    /// The message that it refers to, when that is closed: read by the hub from history. An open
    /// message is found in the state and need not be handed in.
    pub referred: Option<Box<Message>>,
    /// For withdrawals and cancellations; others may leave it empty.
    pub under_way: UnderWay,
    /// How it came to be submitted.
    pub origin: Origin,
}

/// What the authority does to an identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DirectoryAction {
    /// Admits it, or gives it new keys.
    Admit,
    /// Cuts it off and keeps its queues.
    Suspend,
    /// Cuts it off for good; its keys are void.
    Revoke,
    /// Ends a suspension.
    Reinstate,
}

/// A change of the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryChange {
    /// What is done.
    pub action: DirectoryAction,
    /// To whom.
    pub identity: Identity,
    /// Admit: hash of the TLS key, which replaces the one before.
    pub tls_key: Option<Hash>,
    /// Admit: hash of a signing key, which is added.
    pub signing_key: Option<Hash>,
    /// Admit: when the signing certificate ends.
    pub not_after: Option<Timestamp>,
    /// One more than that of the last change about this identity, so that an older copy of the
    /// authority can undo nothing.
    pub sequence: u64,
}
