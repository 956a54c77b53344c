//! What officers write: short forms about invented persons. It must not decide when.

use std::collections::BTreeSet;

use i247_model::{Audience, CountryCode, Kind, Lane, MessageId};
use i247_wire::pb;
use i247_wire::pb::body::Form;

/// Words to some countries.
pub(crate) fn free_text(to: &BTreeSet<CountryCode>, lane: Lane, words: &str) -> pb::Draft {
    let form = Form::FreeText(pb::FreeText { text: words.into() });
    draft(Kind::FreeText, lane, Some(Audience::countries(to.iter().copied())), words, form)
}

/// Words to some countries, and so many bytes behind them.
pub(crate) fn long_text(to: &BTreeSet<CountryCode>, words: &str, bytes: usize) -> pb::Draft {
    let form = Form::FreeText(pb::FreeText { text: "x".repeat(bytes) });
    draft(Kind::FreeText, Lane::Normal, Some(Audience::countries(to.iter().copied())), words, form)
}

/// A question to some countries.
pub(crate) fn question(to: &BTreeSet<CountryCode>, lane: Lane, words: &str, reply_by_ms: u64) -> pb::Draft {
    let request = pb::Request {
        subject: Some(person()),
        questions: vec![pb::Question::Record.into()],
        reason: "Whereabouts of the person are sought".into(),
        ..pb::Request::default()
    };
    let audience = Some(Audience::countries(to.iter().copied()));
    pb::Draft { reply_by_ms, ..draft(Kind::Request, lane, audience, words, Form::Request(request)) }
}

/// The answer to a question.
pub(crate) fn reply(question: &MessageId, stage: pb::ReplyStage, words: &str) -> pb::Draft {
    let (outcome, ground) = match stage {
        pb::ReplyStage::Refusal => (pb::Outcome::Refused, "national law"),
        pb::ReplyStage::Interim => (pb::Outcome::Pending, ""),
        pb::ReplyStage::Final | pb::ReplyStage::Unspecified => (pb::Outcome::Negative, ""),
    };
    let reply = pb::Reply {
        outcome: outcome.into(),
        files_searched: vec!["CRIMINAL_RECORDS".into()],
        ground: ground.into(),
        ..pb::Reply::default()
    };
    pb::Draft {
        refers_to: question.to_string(),
        reply_stage: stage.into(),
        ..draft(Kind::Reply, question.lane, None, words, Form::Reply(reply))
    }
}

/// A circular to some countries.
pub(crate) fn diffusion(to: &BTreeSet<CountryCode>, lane: Lane, words: &str) -> pb::Draft {
    let form = Form::Diffusion(pb::Diffusion { form: Some(red_form()) });
    draft(Kind::Diffusion, lane, Some(Audience::countries(to.iter().copied())), words, form)
}

/// The end of a circular.
pub(crate) fn withdrawal(of: &str, lane: Lane, words: &str) -> pb::Draft {
    let form = Form::Withdrawal(pb::Withdrawal { reason: "The purpose is met".into() });
    pb::Draft {
        refers_to: of.into(),
        ..draft(Kind::Withdrawal, lane, Some(Audience::as_referred()), words, form)
    }
}

/// The end of a notice, by the request for it.
pub(crate) fn cancellation(request: &str, lane: Lane, words: &str) -> pb::Draft {
    let form = pb::Cancellation { notice_id: String::new(), reason: "The person was found".into() };
    let audience = Some(Audience::as_referred());
    let form = Form::Cancellation(form);
    pb::Draft { refers_to: request.into(), ..draft(Kind::Cancellation, lane, audience, words, form) }
}

/// A request for a notice that some countries shall not have.
pub(crate) fn notice_request(except: &BTreeSet<CountryCode>, words: &str) -> pb::Draft {
    let form = Form::NoticeRequest(pb::NoticeRequest {
        form: Some(red_form()),
        except: except.iter().map(ToString::to_string).collect(),
    });
    draft(Kind::NoticeRequest, Lane::Normal, Some(Audience::secretariat()), words, form)
}

/// Whom the draft of a notice request bars.
pub(crate) fn barred(draft: &pb::Draft) -> BTreeSet<CountryCode> {
    match draft.body.as_ref().and_then(|body| body.form.as_ref()) {
        Some(Form::NoticeRequest(request)) => {
            request.except.iter().filter_map(|code| code.parse().ok()).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn draft(kind: Kind, lane: Lane, audience: Option<Audience>, words: &str, form: Form) -> pb::Draft {
    pb::Draft {
        kind: pb::Kind::from(kind).into(),
        lane: pb::Lane::from(lane).into(),
        audience: audience.as_ref().map(Into::into),
        body: Some(pb::Body {
            subject: words.into(),
            language: "EN".into(),
            form: Some(form),
            ..pb::Body::default()
        }),
        idempotency_key: words.into(),
        ..pb::Draft::default()
    }
}

fn person() -> pb::Identity {
    pb::Identity {
        family_name: "UNKNOWN".into(),
        forename: "PERSON".into(),
        sex: pb::Sex::Unknown.into(),
        date_of_birth: "1970-01-01".into(),
        description: "of middle height".into(),
        ..pb::Identity::default()
    }
}

fn red_form() -> pb::NoticeForm {
    let red = pb::RedForm {
        identity: Some(person()),
        facts: "In March 2029, at a harbour, the person sold forged bills of lading.".into(),
        charges: vec!["Fraud".into()],
        laws: vec!["Penal Code, invented article 901".into()],
        max_penalty_months: 96,
        sentence_months: 0,
        warrant: Some(pb::Warrant {
            authority: "Court of Instruction".into(),
            reference: "INV-77/2030".into(),
            date: "2030-01-02".into(),
            judicial: true,
        }),
        extradition_undertaking: true,
    };
    pb::NoticeForm {
        person_status: pb::PersonStatus::Wanted.into(),
        legal_basis: "RPD art. 82 and 83".into(),
        purpose: "Arrest for extradition".into(),
        source_authority: "Prosecutor's office".into(),
        publish_extract: false,
        form: Some(pb::notice_form::Form::Red(red)),
    }
}
