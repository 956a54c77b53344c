//! The decision about one input. It changes nothing, and depends on nothing but its arguments.

use std::time::Duration;

use i247_model::{Header, Kind, Lane, Party, Reason, Refusal};

use crate::audience::{Call, Changes};
use crate::number::{Turn, turn};
use crate::{
    Accepted, Decision, Input, Origin, Question, Stamp, State, Submission, grant, hit, notice, predecessor,
    receipt, reference, request,
};

/// A message may be signed at most so far in the future.
const SIGNED_AHEAD: Duration = Duration::from_secs(5 * 60);

/// A reply may be asked for at most so far in the future.
const REPLY_WITHIN: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Decides about an input that would enter the log with this stamp.
///
/// # Errors
/// Nothing is entered and no number is spent, whatever the class of the reason.
pub fn decide(state: &State, stamp: Stamp, input: &Input) -> Result<Decision, Refusal> {
    match input {
        Input::Genesis { .. } => predecessor::check(state, stamp, input).map(|()| Decision::Noted),
        Input::Submission(submission) => decide_submission(state, stamp, submission),
        Input::Receipts(receipts) => receipt::check(state, receipts).map(|()| Decision::Noted),
        Input::DirectoryChange(change) => state.directory.check(change).map(|()| Decision::Noted),
        // An older copy of the journal has grown differently, or not so far.
        Input::SearchRoot(root)
            if state.search_root().is_some_and(|known| known.position >= root.position) =>
        {
            Err(Refusal::of(Reason::Behind, "search_root.position"))
        }
        Input::SearchRoot(_) => Ok(Decision::Noted),
        Input::Hit(found) => Ok(Decision::Fired(hit::notify(state, stamp, found))),
        Input::Tick { under_way } => Ok(Decision::Fired(request::fire(state, stamp, under_way))),
    }
}

fn decide_submission(state: &State, stamp: Stamp, submission: &Submission) -> Result<Decision, Refusal> {
    let header = &submission.header;
    state.directory.check_sender(&header.id.sender)?;
    let turn = turn(state, stamp, submission)?;
    match turn {
        Turn::Next | Turn::NewEpoch => {}
        Turn::Repeated(answer) => return Ok(Decision::Answered(answer.clone())),
        // The evidence is entered once: a log must not grow by lies.
        Turn::Reused(answer) if answer.reused => return Err(Refusal::of(Reason::NumberReused, "id")),
        Turn::Reused(answer) => return Ok(Decision::Equivocation { first: answer.header_hash }),
        Turn::Older => return Ok(Decision::Older),
    }
    if let Origin::Refused(refusal) = &submission.origin {
        // Whoever was told so once is not surprised by its delivery.
        return if matches!(turn, Turn::NewEpoch) {
            Err(refusal.clone())
        } else {
            Ok(Decision::Void(refusal.clone()))
        };
    }
    if header.signed_at > stamp.at.plus(SIGNED_AHEAD) {
        return Err(Refusal::of(Reason::FutureDated, "signed_at_ms"));
    }
    reference::check_order(state, submission)?;
    predecessor::check_reference(state, stamp, submission)?;
    match accept(state, stamp, submission) {
        Ok(accepted) => Ok(Decision::Accepted(accepted)),
        // A refused opening opens nothing: there is no epoch whose number it could spend.
        Err(refusal) if matches!(turn, Turn::NewEpoch) => Err(refusal),
        // Whoever asked for it may still bring the request that it answers.
        Err(refusal) if predecessor::awaits_request(state, stamp, submission, &refusal) => {
            Err(predecessor::ahead(refusal.fields))
        }
        // The number is its sender's to spend, who may have more to show than whoever hands it over.
        Err(refusal) if submission.origin == Origin::HandedOver => Err(refusal),
        Err(refusal) => Ok(Decision::Void(refusal)),
    }
}

/// Every rule that a message in its turn must keep; what breaks one is void.
fn accept(state: &State, stamp: Stamp, submission: &Submission) -> Result<Accepted, Refusal> {
    let (header, lifted) = (&submission.header, &submission.lifted);
    let new_epoch = header.id.epoch > state.epoch(&header.id.sender);
    let (last, previous) = state.end_of(&header.id);
    // A predecessor of the log had checked it; the sender may have voided what it does not hold any more. And what came
    // before it may be lost.
    let was_checked = matches!(submission.origin, Origin::Again(_)) || header.id.number > last + 1;
    if header.previous != previous && !was_checked {
        return Err(Refusal::of(Reason::ChainBroken, "previous"));
    }
    let question =
        Question { refers_to: predecessor::refers_to(state, submission), ..Question::from(submission) };
    reference::check_kind(question.sender, question.kind)?;
    if header.expires_at.is_some_and(|expires_at| expires_at <= stamp.at) {
        return Err(Refusal::of(Reason::Expired, "expires_at_ms"));
    }
    check_fields(state, stamp, submission, new_epoch)?;
    if let Some(refusal) = &lifted.refused {
        return Err(refusal.clone());
    }
    if !lifted.missing.is_empty() {
        return Err(Refusal::of_fields(Reason::MissingData, lifted.missing.clone()));
    }
    let call = Call::new(state, question)?;
    let notice_id = notice::check(state, stamp, submission, &call)?;
    grant::check(state, stamp, submission)?;
    let explained_at = predecessor::explained_at(state, stamp, submission);
    let Changes { come, gone } =
        explained_at.map(|position| call.changes_since(position)).unwrap_or_default();
    if header.exactly {
        check_unchanged(&come, &gone)?;
    }
    Ok(Accepted {
        places: call.places(header.id.lane)?,
        notice_id,
        taken_back: call.taken_back(),
        come,
        gone,
    })
}

/// The sender wants the audience that it saw, or none.
fn check_unchanged(come: &[Party], gone: &[Party]) -> Result<(), Refusal> {
    let come = come.iter().map(|party| format!("audience.come.{party}"));
    let fields: Vec<String> = come.chain(gone.iter().map(|party| format!("audience.gone.{party}"))).collect();
    if fields.is_empty() { Ok(()) } else { Err(Refusal::of_fields(Reason::AudienceChanged, fields)) }
}

/// Fields that a kind needs or must not have, all faults at once.
fn check_fields(
    state: &State,
    stamp: Stamp,
    submission: &Submission,
    new_epoch: bool,
) -> Result<(), Refusal> {
    let header = &submission.header;
    let comes_back = predecessor::was_perhaps_accepted(state, stamp, submission);
    let reply_by_fits = match (header.kind, header.reply_by) {
        // What was accepted in time may come back late.
        (Kind::Request, Some(by)) => (by > stamp.at || comes_back) && by <= stamp.at.plus(REPLY_WITHIN),
        (Kind::Request, None) => false,
        (_, reply_by) => reply_by.is_none(),
    };
    // Nobody can have seen what is yet to be entered.
    let explained_fits = match header.explained_at {
        // What is wanted exactly is compared with what this very log had explained.
        Some(position) if header.exactly && submission.origin == Origin::Sender => {
            position < stamp.position && predecessor::explained_at(state, stamp, submission).is_some()
        }
        Some(position) => position < stamp.position || comes_back,
        None => !header.exactly,
    };
    let faults = [
        ("reply_by_ms", !reply_by_fits),
        ("reply_stage", header.reply_stage.is_some() != (header.kind == Kind::Reply)),
        ("reply_to_all", header.reply_to_all && header.kind != Kind::Request),
        ("review_decision.verdict", lacks_verdict(header, submission)),
        ("explained_at", !explained_fits),
        ("new_epoch.epoch", header.kind == Kind::NewEpoch && !new_epoch),
        // A million records must not stand before a person who is wanted.
        ("lane", header.kind == Kind::Records && header.id.lane != Lane::Bulk),
        ("attachments", header.kind == Kind::Records && !header.attachments.is_empty()),
    ];
    let fields: Vec<String> =
        faults.into_iter().filter(|(_, fault)| *fault).map(|(field, _)| field.to_owned()).collect();
    if fields.is_empty() { Ok(()) } else { Err(Refusal::of_fields(Reason::WrongField, fields)) }
}

fn lacks_verdict(header: &Header, submission: &Submission) -> bool {
    header.kind == Kind::ReviewDecision && submission.lifted.approved.is_none()
}
