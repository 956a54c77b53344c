//! Bodies: what the router needs of a clear one, and the minimum data of every form.

use std::collections::BTreeSet;

use i247_model::{CountryCode, HitVerdict, Kind, Lifted, MessageId, NoticeId, Refusal};

use crate::log::item;
use crate::notice::{Missing, colour, is_filled, missing_data, names_somebody};
use crate::pb::body::Form;
use crate::post::leave;
use crate::{check_body, hash_option, known, malformed, parsed, parsed_option, pb};

/// Takes out of a clear body what a decision depends on, and names all minimum data that it lacks.
///
/// Nothing of it is about persons. Missing data is no error here: the decision refuses it, with
/// `Lifted::missing` as the fields, in an entry of its own.
///
/// # Errors
/// As [`check_body`], and `MALFORMED` with the field when a notice number, a country, a hash or a
/// message id in the form is none.
pub fn lift(kind: Kind, body: &pb::Body) -> Result<Lifted, Refusal> {
    check_body(kind, body)?;
    let Some(form) = &body.form else {
        return Err(malformed("body.form"));
    };
    match form {
        Form::NoticeRequest(request) => notice_request(request),
        Form::ReviewDecision(decision) => review_decision(decision),
        Form::Notice(notice) => published(notice),
        Form::Addendum(form) => addendum(form),
        Form::Cancellation(form) => cancellation(form),
        Form::Diffusion(diffusion) => Ok(diffused(diffusion)),
        Form::Withdrawal(withdrawal) => Ok(reason("withdrawal", &withdrawal.reason)),
        Form::Request(form) => request(form),
        Form::Reply(form) => Ok(reply(form)),
        Form::PersonLocated(located) => person_located(located),
        Form::ArrestReport(report) => arrest_report(report),
        Form::NationalDecision(decision) => national_decision(decision),
        Form::FreeText(free) => {
            let mut missing = Missing::default();
            missing.text("free_text", "text", &free.text);
            Ok(lacking(missing))
        }
        Form::Reminder(reminder) => {
            parsed::<MessageId>(&reminder.request_id, "reminder.request_id")?;
            let mut missing = Missing::default();
            missing.unless(reminder.nth > 0, "reminder", "nth");
            Ok(lacking(missing))
        }
        Form::Escalation(escalation) => {
            parsed::<MessageId>(&escalation.request_id, "escalation.request_id")?;
            countries(&escalation.silent, "escalation.silent")?;
            Ok(Lifted::default())
        }
        // An empty list bars nobody any more.
        Form::Restriction(restriction) => {
            Ok(Lifted { except: countries(&restriction.except, "restriction.except")?, ..Lifted::default() })
        }
        Form::Void(void) => Ok(reason("void", &void.reason)),
        Form::NewEpoch(form) => Ok(new_epoch(form)),
        Form::Grant(form) => {
            let (leave, missing) = leave(form)?;
            Ok(Lifted { leave, missing, ..Lifted::default() })
        }
        Form::Hit(hit) => {
            parsed::<MessageId>(&hit.records_id, "hit.records_id")?;
            Ok(Lifted::default())
        }
        Form::HitDecision(decision) => hit_decision(decision),
        Form::HitAction(action) => Ok(hit_action(action)),
    }
}

fn notice_request(request: &pb::NoticeRequest) -> Result<Lifted, Refusal> {
    Ok(Lifted {
        except: countries(&request.except, "notice_request.except")?,
        colour: request.form.as_ref().and_then(colour),
        missing: form_data(request.form.as_ref()),
        ..Lifted::default()
    })
}

fn review_decision(decision: &pb::ReviewDecision) -> Result<Lifted, Refusal> {
    const PATH: &str = "review_decision";
    let mut missing = Missing::default();
    let approved = match decision.verdict() {
        pb::ReviewVerdict::Unspecified => None,
        pb::ReviewVerdict::Approved => Some(true),
        pb::ReviewVerdict::Refused => Some(false),
    };
    missing.unless(approved.is_some(), PATH, "verdict");
    let grounded = decision.ground() != pb::RefusalGround::Unspecified;
    missing.unless(approved != Some(false) || grounded, PATH, "ground");
    let notice_id = notice_id(PATH, &decision.notice_id)?;
    let item = item(decision.item, "review_decision.item")?;
    missing.unless(approved != Some(true) || notice_id.is_some() || item.is_some(), PATH, "notice_id");
    let request_header_hash =
        hash_option(&decision.request_header_hash, "review_decision.request_header_hash")?;
    missing.unless(request_header_hash.is_some(), PATH, "request_header_hash");
    Ok(Lifted { notice_id, approved, item, request_header_hash, ..lacking(missing) })
}

fn published(notice: &pb::Notice) -> Result<Lifted, Refusal> {
    const PATH: &str = "notice";
    let mut missing = Missing(form_data(notice.form.as_ref()));
    let notice_id = notice_id(PATH, &notice.notice_id)?;
    missing.unless(notice_id.is_some(), PATH, "notice_id");
    missing.unless(notice.edition > 0, PATH, "edition");
    let requester: Option<CountryCode> = parsed_option(&notice.requester, "notice.requester")?;
    missing.unless(requester.is_some(), PATH, "requester");
    let request_header_hash = hash_option(&notice.request_header_hash, "notice.request_header_hash")?;
    missing.unless(request_header_hash.is_some(), PATH, "request_header_hash");
    Ok(Lifted {
        except: countries(&notice.except, "notice.except")?,
        notice_id,
        edition: notice.edition,
        colour: notice.form.as_ref().and_then(colour),
        request_header_hash,
        ..lacking(missing)
    })
}

fn addendum(form: &pb::Addendum) -> Result<Lifted, Refusal> {
    const PATH: &str = "addendum";
    let mut missing = Missing(form.form.as_ref().map(missing_data).unwrap_or_default());
    let notice_id = notice_id(PATH, &form.notice_id)?;
    missing.unless(notice_id.is_some(), PATH, "notice_id");
    missing.unless(form.edition > 0, PATH, "edition");
    missing.unless(is_filled(&form.text) || form.form.is_some(), PATH, "text|form");
    let request_header_hash = hash_option(&form.request_header_hash, "addendum.request_header_hash")?;
    Ok(Lifted {
        notice_id,
        edition: form.edition,
        colour: form.form.as_ref().and_then(colour),
        request_header_hash,
        ..lacking(missing)
    })
}

/// An owner may take back a request that has no number yet.
fn cancellation(form: &pb::Cancellation) -> Result<Lifted, Refusal> {
    let notice_id = notice_id("cancellation", &form.notice_id)?;
    Ok(Lifted { notice_id, ..reason("cancellation", &form.reason) })
}

fn diffused(diffusion: &pb::Diffusion) -> Lifted {
    Lifted {
        colour: diffusion.form.as_ref().and_then(colour),
        missing: form_data(diffusion.form.as_ref()),
        ..Lifted::default()
    }
}

fn request(form: &pb::Request) -> Result<Lifted, Refusal> {
    const PATH: &str = "request";
    let mut missing = Missing::default();
    missing.unless(form.subject.as_ref().is_some_and(names_somebody), PATH, "subject");
    // The accessor leaves out numbers that are not known.
    let known = form.questions().filter(|question| *question != pb::Question::Unspecified).count();
    let asked = known > 0 && known == form.questions.len();
    missing.unless(asked, PATH, "questions");
    missing.text(PATH, "reason", &form.reason);
    let notice_id = notice_id(PATH, &form.notice_id)?;
    Ok(Lifted { notice_id, ..lacking(missing) })
}

fn reply(form: &pb::Reply) -> Lifted {
    let mut missing = Missing::default();
    missing.unless(form.outcome() != pb::Outcome::Unspecified, "reply", "outcome");
    let refused = form.outcome() == pb::Outcome::Refused;
    missing.unless(!refused || is_filled(&form.ground), "reply", "ground");
    lacking(missing)
}

fn person_located(form: &pb::PersonLocated) -> Result<Lifted, Refusal> {
    const PATH: &str = "person_located";
    let mut missing = Missing::default();
    let notice_id = notice_id(PATH, &form.notice_id)?;
    missing.unless(notice_id.is_some(), PATH, "notice_id");
    missing.unless(form.certainty() != pb::Certainty::Unspecified, PATH, "certainty");
    missing.text(PATH, "place", &form.place);
    Ok(Lifted { notice_id, ..lacking(missing) })
}

fn arrest_report(form: &pb::ArrestReport) -> Result<Lifted, Refusal> {
    const PATH: &str = "arrest_report";
    let mut missing = Missing::default();
    let notice_id = notice_id(PATH, &form.notice_id)?;
    missing.unless(notice_id.is_some(), PATH, "notice_id");
    missing.unless(form.arrested_at_ms > 0, PATH, "arrested_at_ms");
    missing.text(PATH, "place", &form.place);
    missing.text(PATH, "identity_proof", &form.identity_proof);
    Ok(Lifted { notice_id, ..lacking(missing) })
}

fn national_decision(form: &pb::NationalDecision) -> Result<Lifted, Refusal> {
    const PATH: &str = "national_decision";
    let mut missing = Missing::default();
    let notice_id = notice_id(PATH, &form.notice_id)?;
    missing.unless(notice_id.is_some(), PATH, "notice_id");
    missing.unless(form.measure() != pb::NationalPolicy::Unspecified, PATH, "measure");
    Ok(Lifted { notice_id, ..lacking(missing) })
}

fn new_epoch(form: &pb::NewEpoch) -> Lifted {
    let mut missing = Missing::default();
    missing.unless(form.epoch > 0, "new_epoch", "epoch");
    missing.text("new_epoch", "reason", &form.reason);
    Lifted { epoch: (form.epoch > 0).then_some(form.epoch), ..lacking(missing) }
}

/// Minimum data of a notice form that may not be there at all.
fn hit_decision(decision: &pb::HitDecision) -> Result<Lifted, Refusal> {
    let mut missing = Missing::default();
    let verdict = match decision.verdict {
        0 => None,
        number => Some(known::<pb::HitVerdict, HitVerdict>(number, "hit_decision.verdict")?),
    };
    missing.unless(verdict.is_some(), "hit_decision", "verdict");
    Ok(Lifted { verdict, ..lacking(missing) })
}

fn hit_action(action: &pb::HitAction) -> Lifted {
    let mut missing = Missing::default();
    missing.unless(action.measure() != pb::HitMeasure::Unspecified, "hit_action", "measure");
    missing.unless(action.done_at_ms > 0, "hit_action", "done_at_ms");
    missing.text("hit_action", "place", &action.place);
    lacking(missing)
}

fn form_data(form: Option<&pb::NoticeForm>) -> Vec<String> {
    form.map_or_else(|| vec!["form".to_owned()], missing_data)
}

/// A form that must only say why.
fn reason(path: &str, text: &str) -> Lifted {
    let mut missing = Missing::default();
    missing.text(path, "reason", text);
    lacking(missing)
}

fn lacking(missing: Missing) -> Lifted {
    Lifted { missing: missing.0, ..Lifted::default() }
}

fn notice_id(path: &str, text: &str) -> Result<Option<NoticeId>, Refusal> {
    parsed_option(text, &format!("{path}.notice_id"))
}

/// Countries in any order; a set is what is meant.
fn countries(list: &[String], field: &str) -> Result<BTreeSet<CountryCode>, Refusal> {
    list.iter().map(|code| parsed(code, field)).collect()
}
