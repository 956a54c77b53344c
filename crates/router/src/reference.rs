//! Who may send which kind, and what it may refer to. No refusal tells a stranger that a message exists.

use i247_model::{Kind, Party, Reason, Refusal, Sender};

use crate::{Message, Question, State, Submission};

/// Whether this sender may send this kind.
pub(crate) fn check_kind(sender: &Sender, kind: Kind) -> Result<(), Refusal> {
    let allowed = match kind {
        Kind::Void | Kind::NewEpoch | Kind::FreeText => !matches!(sender, Sender::Secretariat),
        Kind::ReviewDecision | Kind::Notice | Kind::Addendum => matches!(sender, Sender::Reviewer(_)),
        Kind::Cancellation | Kind::HitDecision => {
            matches!(sender, Sender::Reviewer(_) | Sender::Bureau(_))
        }
        Kind::Request | Kind::PersonLocated => matches!(sender, Sender::Bureau(_) | Sender::Post(..)),
        Kind::NoticeRequest
        | Kind::Diffusion
        | Kind::Withdrawal
        | Kind::Reply
        | Kind::ArrestReport
        | Kind::NationalDecision
        | Kind::Restriction
        | Kind::Records
        | Kind::Grant
        | Kind::HitAction => matches!(sender, Sender::Bureau(_)),
        // Made by decisions, never submitted.
        Kind::Reminder | Kind::Escalation | Kind::Hit => false,
    };
    if allowed { Ok(()) } else { Err(Refusal::of(Reason::KindNotAllowed, "kind")) }
}

/// Whether the reference is to the sender's own message that is still to come.
///
/// # Errors
/// `REFERENCE_AHEAD`. What can never come before (its own or a later number of its lane) is left to [`find`].
pub(crate) fn check_order(state: &State, submission: &Submission) -> Result<(), Refusal> {
    let header = &submission.header;
    let Some(refers_to) = &header.refers_to else { return Ok(()) };
    let own = refers_to.sender == header.id.sender && refers_to.epoch == header.id.epoch;
    let (last, _) = state.end_of(refers_to);
    if own && refers_to.lane != header.id.lane && refers_to.number > last {
        return Err(Refusal::of(Reason::ReferenceAhead, "refers_to"));
    }
    Ok(())
}

/// The message that a question refers to.
///
/// # Errors
/// The field is missing or must not be there; no such message *for this sender*; the wrong kind or
/// state; not the owner.
pub(crate) fn find<'a>(state: &'a State, question: &Question<'a>) -> Result<Option<&'a Message>, Refusal> {
    let kind = question.kind;
    let Some(id) = question.refers_to else {
        let missing = kind.needs_reference();
        return if missing { Err(Refusal::of(Reason::WrongField, "refers_to")) } else { Ok(None) };
    };
    if matches!(kind, Kind::Restriction | Kind::Void | Kind::NewEpoch | Kind::Records | Kind::Grant) {
        return Err(Refusal::of(Reason::WrongField, "refers_to"));
    }
    let party = question.sender.party();
    let message = state
        .message(id)
        .or(question.referred.filter(|message| message.id == *id))
        .filter(|message| message.is_known_to(party))
        .ok_or_else(|| Refusal::of(Reason::UnknownReference, "refers_to"))?;
    let right = match kind {
        Kind::NoticeRequest | Kind::Notice => message.kind == Kind::NoticeRequest,
        Kind::ReviewDecision => matches!(message.kind, Kind::NoticeRequest | Kind::Records),
        Kind::Addendum => message.kind == Kind::Notice,
        Kind::Cancellation => matches!(message.kind, Kind::Notice | Kind::NoticeRequest),
        Kind::Withdrawal => message.kind == Kind::Diffusion && !message.withdrawn,
        // Only an addressee answers, and only a recipient reports on a notice.
        Kind::Reply => message.kind == Kind::Request && message.recipients.contains_key(&party),
        Kind::PersonLocated | Kind::ArrestReport | Kind::NationalDecision => {
            message.kind == Kind::Notice && message.recipients.contains_key(&party)
        }
        Kind::HitDecision => message.kind == Kind::Hit,
        // What was decided is what may be acted on, by whoever it was told.
        Kind::HitAction => message.kind == Kind::HitDecision && message.recipients.contains_key(&party),
        Kind::Diffusion
        | Kind::Hit
        | Kind::Request
        | Kind::FreeText
        | Kind::Reminder
        | Kind::Escalation
        | Kind::Restriction
        | Kind::Void
        | Kind::NewEpoch
        | Kind::Records
        | Kind::Grant => true,
    };
    // The owner is asked first: a stranger to the data has nothing to learn of its state.
    let owners_only = match kind {
        Kind::Withdrawal => message.kind == Kind::Diffusion,
        Kind::HitDecision => message.kind == Kind::Hit,
        Kind::NoticeRequest => true,
        Kind::Cancellation => party != Party::Secretariat,
        _ => false,
    };
    if owners_only && message.owner != party {
        return Err(Refusal::of(Reason::NotOwner, "refers_to"));
    }
    if right { Ok(Some(message)) } else { Err(Refusal::of(Reason::WrongReference, "refers_to")) }
}
