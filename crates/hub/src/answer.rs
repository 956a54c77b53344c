//! Answers to submissions: the hub's signed promise, or a refusal. It must not be asked before the entry is durable.

use bytes::Bytes;
use i247_model::{Class, Hash, Kind, MessageId, Party, Refusal, Timestamp};
use i247_router::{Acceptance, Answer as Answered, Decision, Stamp};
use i247_trust::{SigningKey, sign_together};
use i247_wire::{payload, pb};
use prost::Message as _;

use crate::entry::hash_bytes;
use crate::predecessors::too_late;
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
    pub(crate) fn decided(
        id: MessageId,
        kind: Kind,
        header_hash: Hash,
        stamp: Stamp,
        decision: &Decision,
    ) -> Self {
        let reused = || Refusal::of(i247_model::Reason::NumberReused, "id");
        match decision {
            Decision::Accepted(accepted) => {
                let told = Acceptance::of(kind, accepted);
                Self::accepted(id, header_hash, stamp.position, stamp.at, told)
            }
            Decision::Void(refusal) => Self::refused(id, refusal.clone()),
            Decision::Equivocation { .. } => Self::refused(id, reused()),
            // The router answers a submission with one of the three above. Nothing is promised for another.
            Decision::Noted | Decision::Fired(_) | Decision::Answered(_) | Decision::Older => {
                Self::refused(id, Refusal::of(i247_model::Reason::Busy, "envelope"))
            }
        }
    }

    /// The same for somebody else than the sender, who handed the message over: what is told of the audience is the
    /// sender's business. When nothing is expected back any more, what was not entered need not come again.
    pub(crate) fn for_another(mut self, recovering: bool) -> Self {
        match &mut self.result {
            Ok(accepted) => accepted.told = Acceptance::default(),
            Err(refusal) if refusal.reason.class() == Class::NotNow && !recovering => {
                *refusal = too_late(refusal.clone());
            }
            Err(_) => {}
        }
        self
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
    /// Answers a group. What is promised in it is signed together.
    pub(crate) fn send(&self, answers: Vec<(Answer, Outcome)>) {
        use pb::submit_result::Result as Wire;
        let promised = answers.iter().filter_map(|(_, outcome)| self.promise(outcome)).collect();
        let mut signed = sign_together(&self.key, payload::ACCEPTANCE, promised).into_iter();
        for (answer, Outcome { id, result }) in answers {
            let result = match result {
                Ok(_) => signed.next().map(Wire::Acceptance),
                Err(refusal) => Some(Wire::Refusal((&refusal).into())),
            };
            let result = pb::SubmitResult { id: id.to_string(), result };
            match answer {
                // A stream that is gone asks again when it is back: the answer is the same.
                Answer::Stream(room) => drop(room.send(result)),
                Answer::Once(once) => drop(once.send(result)),
            }
        }
    }

    /// The bytes of the acceptance, if it is one.
    fn promise(&self, outcome: &Outcome) -> Option<Vec<u8>> {
        let accepted = outcome.result.as_ref().ok()?;
        let parties = |parties: &[Party]| parties.iter().map(Party::to_string).collect();
        let acceptance = pb::Acceptance {
            id: outcome.id.to_string(),
            header_hash: hash_bytes(&accepted.header_hash),
            log_id: self.log_id.clone(),
            position: accepted.position,
            accepted_at_ms: accepted.at.as_millis(),
            recipients: accepted.told.recipients,
            gone: parties(&accepted.told.gone),
            come: parties(&accepted.told.come),
            notice_id: accepted.told.notice_id.map(|id| id.to_string()).unwrap_or_default(),
        };
        Some(acceptance.encode_to_vec())
    }
}
