//! Answers to submissions: the hub's signed promise, or a refusal. It must not be asked before the entry is durable.

use bytes::Bytes;
use i247_model::{Hash, MessageId, Party, Refusal, Timestamp};
use i247_router::{Acceptance, Answer as Answered, Decision, Stamp};
use i247_trust::{SigningKey, sign};
use i247_wire::{payload, pb};
use prost::Message as _;

use crate::entry::hash_bytes;
use crate::sequencer::Answer;

/// What became of a submission.
#[derive(Debug)]
pub(crate) struct Outcome {
    id: MessageId,
    result: Result<Accepted, Refusal>,
}

#[derive(Debug)]
struct Accepted {
    header_hash: Hash,
    position: u64,
    at: Timestamp,
    told: Acceptance,
}

impl Outcome {
    pub(crate) fn refused(id: MessageId, refusal: Refusal) -> Self {
        Self { id, result: Err(refusal) }
    }

    pub(crate) fn accepted(
        id: MessageId,
        header_hash: Hash,
        position: u64,
        at: Timestamp,
        told: Acceptance,
    ) -> Self {
        Self { id, result: Ok(Accepted { header_hash, position, at, told }) }
    }

    /// The first answer again.
    pub(crate) fn answered(id: MessageId, answered: &Answered) -> Self {
        let result = match &answered.outcome {
            Ok(told) => Ok(Accepted {
                header_hash: answered.header_hash,
                position: answered.position,
                at: answered.at,
                told: told.clone(),
            }),
            Err(refusal) => Err(refusal.clone()),
        };
        Self { id, result }
    }

    /// What a new entry says.
    pub(crate) fn decided(id: MessageId, header_hash: Hash, stamp: Stamp, decision: &Decision) -> Self {
        let reused = || Refusal::of(i247_model::Reason::NumberReused, "id");
        match decision {
            Decision::Accepted(accepted) => {
                Self::accepted(id, header_hash, stamp.position, stamp.at, accepted.into())
            }
            Decision::Void(refusal) => Self::refused(id, refusal.clone()),
            Decision::Equivocation { .. } => Self::refused(id, reused()),
            // The router answers a submission with one of the three above. Nothing is promised for another.
            Decision::Noted | Decision::Fired(_) | Decision::Answered(_) | Decision::Older => {
                Self::refused(id, Refusal::of(i247_model::Reason::Busy, "envelope"))
            }
        }
    }

    /// What it is, for logs.
    pub(crate) fn as_str(&self) -> &'static str {
        match &self.result {
            Ok(_) => "accepted",
            Err(refusal) => refusal.reason.as_str(),
        }
    }

    pub(crate) fn id(&self) -> &MessageId {
        &self.id
    }
}

/// Signs answers and hands them out.
pub(crate) struct Answers {
    pub(crate) key: SigningKey,
    pub(crate) log_id: Bytes,
}

impl Answers {
    pub(crate) fn send(&self, answer: Answer, outcome: Outcome) {
        let result = self.result(outcome);
        match answer {
            // A stream that is gone asks again when it is back: the answer is the same.
            Answer::Stream(room) => drop(room.send(result)),
            Answer::Once(once) => drop(once.send(result)),
        }
    }

    fn result(&self, outcome: Outcome) -> pb::SubmitResult {
        use pb::submit_result::Result as Wire;
        let id = outcome.id.to_string();
        let result = match outcome.result {
            Ok(accepted) => {
                let parties = |parties: &[Party]| parties.iter().map(Party::to_string).collect();
                let acceptance = pb::Acceptance {
                    id: id.clone(),
                    header_hash: hash_bytes(&accepted.header_hash),
                    log_id: self.log_id.clone(),
                    position: accepted.position,
                    accepted_at_ms: accepted.at.as_millis(),
                    recipients: accepted.told.recipients,
                    gone: parties(&accepted.told.gone),
                    come: parties(&accepted.told.come),
                    notice_id: String::new(),
                };
                Wire::Acceptance(sign(&self.key, payload::ACCEPTANCE, acceptance.encode_to_vec()))
            }
            Err(refusal) => Wire::Refusal((&refusal).into()),
        };
        pb::SubmitResult { id, result: Some(result) }
    }
}
