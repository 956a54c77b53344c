//! What the sequencer is asked, and where its answers go.

use bytes::Bytes;
use i247_model::{HitFound, Kind, Lifted, Receipts, Refusal};
use i247_router::{DirectoryChange, SearchRoot, Stamp};
use i247_trust::Attested;
use i247_wire::pb;
use tokio::sync::{mpsc, oneshot, watch};

use super::Group;
use crate::predecessors::Way;

/// What the sequencer is asked.
#[derive(Debug)]
pub(crate) enum Work {
    /// A message that is attributable and whose body fits its kind.
    Submission { attested: Box<Attested>, lifted: Box<Lifted>, way: Way, answer: Answer },
    /// Receipts that their party signed.
    Receipts { signed: pb::Signed, receipts: Receipts },
    /// A change that the authority signed, with the signing certificates of an admission.
    Change {
        signed: pb::Signed,
        change: Box<DirectoryChange>,
        chain: Vec<Bytes>,
        answer: oneshot::Sender<Result<u64, Refusal>>,
    },
    /// A record matched what somebody asked for, and what it is called.
    Hit { found: Box<HitFound>, name: String, answer: oneshot::Sender<Result<u64, Refusal>> },
    /// How far the journal of searches has come.
    SearchRoot { root: SearchRoot, answer: oneshot::Sender<Result<u64, Refusal>> },
}

impl Work {
    /// Whether it must be known what is under way while this is decided.
    pub(super) fn takes_back(&self) -> bool {
        match self {
            Self::Submission { attested, .. } => takes_back(attested.header().kind),
            Self::Receipts { .. } | Self::Change { .. } | Self::Hit { .. } | Self::SearchRoot { .. } => false,
        }
    }
}

/// Whether a message of this kind takes back what is not handed out yet.
pub(super) fn takes_back(kind: Kind) -> bool {
    matches!(kind, Kind::Withdrawal | Kind::Cancellation)
}

/// Where the result of a submission goes. On a stream its place was taken before it was submitted.
#[derive(Debug)]
pub(crate) enum Answer {
    Stream(mpsc::OwnedPermit<pb::SubmitResult>),
    Once(oneshot::Sender<pb::SubmitResult>),
}

impl Group {
    /// Keeps an answer until its entry is durable; a refusal goes out at once.
    pub(super) fn note(
        &mut self,
        entered: Result<(), Refusal>,
        stamp: Stamp,
        answer: oneshot::Sender<Result<u64, Refusal>>,
    ) {
        match entered {
            Ok(()) => self.noted.push((answer, stamp.position)),
            // The caller may be gone; then nobody needs the answer.
            Err(refusal) => drop(answer.send(Err(refusal))),
        }
    }
}

/// Says it to those who wait for it, when it is another.
pub(super) fn tell(told: &watch::Sender<u64>, position: u64) {
    told.send_if_modified(|last| std::mem::replace(last, position) != position);
}
