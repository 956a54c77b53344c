//! From the words of the command line to a draft. Pure: files and the message referred to were read before. What a
//! draft must say is checked by the desk.

use std::time::Duration;

use i247_client::pb;
use i247_model::{Kind, Region, Timestamp};

use crate::fail::Fail;
use crate::forms;
use crate::message::{
    ArrestArgs, AskArgs, DecideArgs, DiffuseArgs, LocateArgs, Message, NoticeArgs, ReplyArgs, RestrictArgs,
    TextArgs, To, WithdrawArgs,
};

/// Longest subject line that is made here, in bytes.
const SUBJECT_BYTES: usize = 120;

/// What was read for a message before it is composed.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The text of the form or of the words.
    pub(crate) text: String,
    /// The message referred to, where its kind or its notice matters.
    pub(crate) referred: Option<pb::ShowResponse>,
    pub(crate) now: Timestamp,
}

/// The draft of a message, without attachments and key.
pub(crate) fn compose(message: &Message, read: &Read) -> Result<pb::Draft, Fail> {
    let common = message.common();
    let (draft, subject, form) = match message {
        Message::Notice(args) => notice(args, read)?,
        Message::Diffuse(args) => diffusion(args, read)?,
        Message::Ask(args) => request(args, read)?,
        Message::Reply(args) => reply(args, read),
        Message::Withdraw(args) => withdrawal(args, read)?,
        Message::Locate(args) => located(args, read)?,
        Message::Arrest(args) => arrest(args, read)?,
        Message::Decide(args) => national_decision(args, read)?,
        Message::Restrict(args) => restriction(args),
        Message::Text(args) => text(args, read)?,
    };
    let body = pb::Body {
        subject: common.subject.clone().unwrap_or(subject),
        our_ref: common.our_ref.clone().unwrap_or_default(),
        language: common.language.to_uppercase(),
        handling: common.handling.clone(),
        form: Some(form),
        ..Default::default()
    };
    Ok(pb::Draft {
        body: Some(body),
        lane: common.lane.map_or(pb::Lane::Unspecified, |lane| lane.wire()).into(),
        operation: common.operation.clone().unwrap_or_default(),
        explained_at: common.explained_at.unwrap_or_default(),
        exactly: common.exactly,
        ..draft
    })
}

/// A draft that lacks its body, its subject line, and its form.
type Parts = (pb::Draft, String, pb::body::Form);

fn notice(args: &NoticeArgs, read: &Read) -> Result<Parts, Fail> {
    let form = forms::parse(&read.text, args.colour)?;
    let except = args.except.iter().map(ToString::to_string).collect();
    let what = if args.addendum_to.is_some() { "addendum" } else { "request" };
    let draft = pb::Draft {
        kind: pb::Kind::NoticeRequest.into(),
        refers_to: args.addendum_to.clone().unwrap_or_default(),
        ..Default::default()
    };
    let request = pb::NoticeRequest { form: Some(form), except };
    Ok((draft, format!("Notice {what}: {}", args.colour), pb::body::Form::NoticeRequest(request)))
}

fn diffusion(args: &DiffuseArgs, read: &Read) -> Result<Parts, Fail> {
    let form = forms::parse(&read.text, args.colour)?;
    let draft = pb::Draft {
        kind: pb::Kind::Diffusion.into(),
        audience: Some(audience(&args.to)?),
        ..Default::default()
    };
    let form = pb::body::Form::Diffusion(pb::Diffusion { form: Some(form) });
    Ok((draft, format!("Diffusion: {}", args.colour), form))
}

fn request(args: &AskArgs, read: &Read) -> Result<Parts, Fail> {
    let within = args.within.map_or(Duration::ZERO, |within| within.0);
    let draft = pb::Draft {
        kind: pb::Kind::Request.into(),
        audience: Some(audience(&args.to)?),
        reply_by_ms: if within.is_zero() { 0 } else { read.now.plus(within).as_millis() },
        reply_to_all: args.reply_to_all,
        ..Default::default()
    };
    let (family_name, forename) = names(args.name.as_deref().unwrap_or_default());
    let subject = pb::Identity {
        family_name,
        forename,
        date_of_birth: args.born.clone().unwrap_or_default(),
        nationalities: args.nationality.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let request = pb::Request {
        subject: (subject != pb::Identity::default()).then_some(subject),
        questions: args.question.iter().map(|question| question.wire().into()).collect(),
        reason: args.about.clone(),
        crime_area: args.crime_area.clone().unwrap_or_default(),
        notice_id: args.notice.clone().unwrap_or_default(),
    };
    Ok((draft, shortened(&args.about), pb::body::Form::Request(request)))
}

fn reply(args: &ReplyArgs, read: &Read) -> Parts {
    let said = &args.outcome;
    let (outcome, stage, subject) = match () {
        () if said.positive => (pb::Outcome::Positive, pb::ReplyStage::Final, "Positive answer"),
        () if said.negative => (pb::Outcome::Negative, pb::ReplyStage::Final, "Negative answer"),
        () if said.partial => (pb::Outcome::Partial, pb::ReplyStage::Final, "Partial answer"),
        () if said.interim => (pb::Outcome::Pending, pb::ReplyStage::Interim, "Interim answer"),
        () => (pb::Outcome::Refused, pb::ReplyStage::Refusal, "No answer"),
    };
    let words = args.words.clone().unwrap_or_default();
    let ground = if said.refuse { words.clone() } else { String::new() };
    let findings = if said.refuse || words.is_empty() {
        Vec::new()
    } else {
        vec![pb::Finding { question: pb::Question::Other.into(), text: words, ..Default::default() }]
    };
    let reply = pb::Reply {
        outcome: outcome.into(),
        files_searched: args.searched.iter().map(|file| file.to_uppercase()).collect(),
        findings,
        expected_at_ms: args.expected.map_or(0, |time| read.now.plus(time.0).as_millis()),
        ground,
    };
    let draft = pb::Draft {
        kind: pb::Kind::Reply.into(),
        refers_to: args.id.clone(),
        reply_stage: stage.into(),
        audience: args.to_all.then(|| pb::Audience { as_referred: true, ..Default::default() }),
        ..Default::default()
    };
    (draft, subject.to_owned(), pb::body::Form::Reply(reply))
}

fn withdrawal(args: &WithdrawArgs, read: &Read) -> Result<Parts, Fail> {
    let referred = read.referred.as_ref().and_then(|shown| shown.header.as_ref());
    let kind = referred.and_then(|header| Kind::try_from(header.kind()).ok());
    let draft = pb::Draft { refers_to: args.id.clone(), ..Default::default() };
    match kind {
        Some(Kind::NoticeRequest) => {
            let form = pb::Cancellation { notice_id: String::new(), reason: args.reason.clone() };
            let draft = pb::Draft { kind: pb::Kind::Cancellation.into(), ..draft };
            Ok((draft, "Cancellation of a notice".into(), pb::body::Form::Cancellation(form)))
        }
        Some(Kind::Diffusion) => {
            let form = pb::Withdrawal { reason: args.reason.clone() };
            let draft = pb::Draft { kind: pb::Kind::Withdrawal.into(), ..draft };
            Ok((draft, "Withdrawal of a diffusion".into(), pb::body::Form::Withdrawal(form)))
        }
        other => {
            let what = other.map_or("a message", Kind::as_str);
            Err(Fail::usage(
                format!("{} is a {what}; only diffusions and notices are withdrawn", args.id),
                "`i247 outbox --kind diffusion` shows what can be",
            ))
        }
    }
}

fn located(args: &LocateArgs, read: &Read) -> Result<Parts, Fail> {
    let certainty = if args.possibly { pb::Certainty::Possible } else { pb::Certainty::Positive };
    let form = pb::PersonLocated {
        notice_id: notice_number(&args.id, read)?,
        certainty: certainty.into(),
        place: args.place.clone(),
        found_at_ms: read.now.as_millis(),
        proposed_measure: args.measure.clone(),
    };
    let draft =
        pb::Draft { kind: pb::Kind::PersonLocated.into(), refers_to: args.id.clone(), ..Default::default() };
    Ok((draft, format!("Person located: {}", form.notice_id), pb::body::Form::PersonLocated(form)))
}

fn arrest(args: &ArrestArgs, read: &Read) -> Result<Parts, Fail> {
    let form = pb::ArrestReport {
        notice_id: notice_number(&args.id, read)?,
        arrested_at_ms: read.now.as_millis(),
        place: args.place.clone(),
        identity_proof: args.identity_proof.clone(),
        papers_due_by_ms: read.now.plus(args.papers_within.0).as_millis(),
    };
    let draft =
        pb::Draft { kind: pb::Kind::ArrestReport.into(), refers_to: args.id.clone(), ..Default::default() };
    Ok((draft, format!("Arrest: {}", form.notice_id), pb::body::Form::ArrestReport(form)))
}

fn national_decision(args: &DecideArgs, read: &Read) -> Result<Parts, Fail> {
    let form = pb::NationalDecision {
        notice_id: notice_number(&args.id, read)?,
        measure: args.measure.wire().into(),
        objection: args.objection.clone(),
    };
    let draft = pb::Draft {
        kind: pb::Kind::NationalDecision.into(),
        refers_to: args.id.clone(),
        ..Default::default()
    };
    Ok((draft, format!("Decision on notice {}", form.notice_id), pb::body::Form::NationalDecision(form)))
}

fn restriction(args: &RestrictArgs) -> Parts {
    let except = args.countries.iter().map(ToString::to_string).collect();
    let draft = pb::Draft { kind: pb::Kind::Restriction.into(), ..Default::default() };
    (draft, "Restriction".to_owned(), pb::body::Form::Restriction(pb::Restriction { except }))
}

fn text(args: &TextArgs, read: &Read) -> Result<Parts, Fail> {
    let draft = pb::Draft {
        kind: pb::Kind::FreeText.into(),
        audience: Some(audience(&args.to)?),
        refers_to: args.about.clone().unwrap_or_default(),
        ..Default::default()
    };
    let words = if args.words == "-" { read.text.clone() } else { args.words.clone() };
    let subject = shortened(words.lines().next().unwrap_or_default());
    Ok((draft, subject, pb::body::Form::FreeText(pb::FreeText { text: words })))
}

/// The number of the notice that a report is about.
fn notice_number(id: &str, read: &Read) -> Result<String, Fail> {
    let body = read.referred.as_ref().and_then(|shown| shown.body.as_ref());
    match body.and_then(|body| body.form.as_ref()) {
        Some(pb::body::Form::Notice(notice)) => Ok(notice.notice_id.clone()),
        _ => Err(Fail::usage(
            format!("{id} is not a notice that was received"),
            "`i247 inbox --kind notice` shows those that were",
        )),
    }
}

/// Recipients as they are written: `FR,BR,Europe,IPSG` or `all`.
fn audience(to: &To) -> Result<pb::Audience, Fail> {
    let mut audience = pb::Audience {
        except: to.except.iter().map(ToString::to_string).collect(),
        copies: to.copies.iter().map(|party| party.to_uppercase()).collect(),
        ..Default::default()
    };
    for word in to.to.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let region = Region::ALL.into_iter().find(|region| region.as_str().eq_ignore_ascii_case(word));
        if let Some(region) = region {
            audience.regions.push(region.as_str().to_owned());
        } else if word.eq_ignore_ascii_case("all") {
            audience.all = true;
        } else if word.eq_ignore_ascii_case("ipsg") {
            audience.secretariat = true;
        } else {
            let code = crate::args::country(word)
                .map_err(|problem| Fail::usage(format!("recipient {word:?}: {problem}"), RECIPIENTS))?;
            audience.countries.push(code.to_string());
        }
    }
    if audience.countries.is_empty() && audience.regions.is_empty() && !audience.all && !audience.secretariat
    {
        return Err(Fail::usage("no recipient is named", RECIPIENTS));
    }
    Ok(audience)
}

const RECIPIENTS: &str = "name countries (FR,BR), regions (Europe), IPSG or all";

/// `Marlowe, Tessa Iris`: family name and forename.
fn names(name: &str) -> (String, String) {
    let (family, fore) = name.split_once(',').unwrap_or((name, ""));
    (family.trim().to_owned(), fore.trim().to_owned())
}

/// At most so much as a subject line takes, cut between characters.
fn shortened(text: &str) -> String {
    let mut end = text.len().min(SUBJECT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
