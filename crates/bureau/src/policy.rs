//! What this country's law lets a Red Notice do here, and the messages that follow from it.
//!
//! Pure: it is given what was asked, what the register has and the time, and returns drafts. It must not send,
//! search or remember anything. Each draft carries an idempotency key made of the message that it answers, so
//! that answering twice sends once.

use std::collections::BTreeSet;
use std::time::Duration;

use i247_model::{CountryCode, Lane, MessageId, Party, Sender, Timestamp};
use i247_wire::pb;
use serde::{Deserialize, Serialize};

use crate::register::{Likeness, Match};

/// How long the requesting country has to send the extradition papers after an arrest.
pub const PAPERS_DUE: Duration = Duration::from_secs(40 * 24 * 3600);
/// When an interim answer promises the final one.
const FINAL_EXPECTED: Duration = Duration::from_secs(3600);
/// The most findings in one reply.
const MAX_FINDINGS: usize = 32;

/// What a Red Notice may lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Measure {
    /// Provisional arrest on the notice alone.
    ArrestBasis,
    /// Locate and inform; arrest only on a formal request.
    WarrantFirst,
    /// Locate and inform, nothing more.
    LocateOnly,
    /// Immigration law only: refuse entry, remove.
    ImmigrationOnly,
}

impl Measure {
    /// As the wire has it.
    pub fn to_pb(self) -> pb::NationalPolicy {
        match self {
            Self::ArrestBasis => pb::NationalPolicy::ArrestBasis,
            Self::WarrantFirst => pb::NationalPolicy::WarrantFirst,
            Self::LocateOnly => pb::NationalPolicy::LocateOnly,
            Self::ImmigrationOnly => pb::NationalPolicy::ImmigrationOnly,
        }
    }

    /// What is proposed to the requesting country when the person is found.
    fn proposal(self) -> &'static str {
        match self {
            Self::ArrestBasis => "provisional arrest on the notice",
            Self::WarrantFirst => "location only; arrest on a formal request",
            Self::LocateOnly => "discreet watching",
            Self::ImmigrationOnly => "refusal of entry or removal under immigration law",
        }
    }
}

/// Notices that the country does not act upon.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objection {
    /// Notices that these countries asked for.
    pub requesters: BTreeSet<CountryCode>,
    /// The ground that is told.
    pub ground: String,
}

/// A country's policy on Red Notices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What a Red Notice may lead to.
    pub red_notice: Measure,
    /// Whose notices the country objects to, if any.
    #[serde(default)]
    pub objection: Option<Objection>,
}

impl Policy {
    fn objection_to(&self, requester: CountryCode) -> Option<&str> {
        let objection = self.objection.as_ref()?;
        objection.requesters.contains(&requester).then_some(objection.ground.as_str())
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request's id.
    pub id: MessageId,
    /// The operation that it belongs to.
    pub operation: String,
    /// The asker's own reference.
    pub their_ref: String,
    /// What is asked.
    pub request: pb::Request,
}

/// A published notice that arrived here and is still in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownNotice {
    /// The message that published it.
    pub id: MessageId,
    /// Its number, such as `2010/4711`.
    pub notice_id: String,
    /// The country that asked for it.
    pub requester: CountryCode,
    /// Only a Red Notice leads to measures.
    pub red: bool,
    /// The operation that it belongs to.
    pub operation: String,
}

/// What follows from a request: the messages to send, in their order.
///
/// Nobody found: a final negative reply. Somebody found: an interim reply, the final one, and, when the register
/// knows a place and a Red Notice on the person is known here, the report that the person is located; where law and
/// certainty allow it, the arrest report too. A notice that was barred from this country, or has not arrived, leads
/// to no report.
pub fn answer(
    policy: &Policy,
    asked: &Asked,
    matches: &[Match<'_>],
    notice: Option<&KnownNotice>,
    now: Timestamp,
) -> Vec<pb::Draft> {
    if let Some(ground) = notice.and_then(|notice| policy.objection_to(notice.requester)) {
        return vec![refusal(asked, ground)];
    }
    let Some(best) = matches.first() else {
        return vec![final_reply(asked, pb::Outcome::Negative, Vec::new())];
    };
    let outcome = match best.likeness {
        Likeness::Certain => pb::Outcome::Positive,
        Likeness::Possible => pb::Outcome::Partial,
    };
    let mut drafts = vec![interim(asked, now), final_reply(asked, outcome, findings(matches))];
    let Some(notice) = notice.filter(|notice| notice.red) else { return drafts };
    if best.entry.place.is_empty() {
        return drafts;
    }
    drafts.push(located(policy, asked, best, notice, now));
    if policy.red_notice == Measure::ArrestBasis && best.likeness == Likeness::Certain {
        drafts.push(arrest(asked, best, notice, now));
    }
    drafts
}

/// The decision that a country takes on every published Red Notice; none on other colours.
pub fn decide_notice(policy: &Policy, notice: &KnownNotice) -> Option<pb::Draft> {
    if !notice.red {
        return None;
    }
    let decision = pb::NationalDecision {
        notice_id: notice.notice_id.clone(),
        measure: policy.red_notice.to_pb().into(),
        objection: policy.objection_to(notice.requester).unwrap_or_default().into(),
    };
    let body = pb::Body {
        subject: format!("National decision on {}", notice.notice_id),
        form: Some(pb::body::Form::NationalDecision(decision)),
        ..language()
    };
    Some(pb::Draft {
        kind: pb::Kind::NationalDecision.into(),
        lane: pb::Lane::from(notice.id.lane).into(),
        audience: Some(owner_and_secretariat(notice.requester)),
        body: Some(body),
        refers_to: notice.id.to_string(),
        operation: notice.operation.clone(),
        idempotency_key: key(&notice.id, "decision"),
        ..Default::default()
    })
}

/// The key of an automatic draft: the same for the same message and step, for ever.
pub fn key(id: &MessageId, step: &str) -> String {
    format!("auto:{id}:{step}")
}

fn interim(asked: &Asked, now: Timestamp) -> pb::Draft {
    let reply = pb::Reply {
        outcome: pb::Outcome::Pending.into(),
        expected_at_ms: now.plus(FINAL_EXPECTED).as_millis(),
        ..Default::default()
    };
    reply_draft(asked, pb::ReplyStage::Interim, "interim", reply)
}

fn final_reply(asked: &Asked, outcome: pb::Outcome, findings: Vec<pb::Finding>) -> pb::Draft {
    let files_searched = files_for(&asked.request);
    let reply = pb::Reply { outcome: outcome.into(), files_searched, findings, ..Default::default() };
    reply_draft(asked, pb::ReplyStage::Final, "final", reply)
}

fn refusal(asked: &Asked, ground: &str) -> pb::Draft {
    let reply =
        pb::Reply { outcome: pb::Outcome::Refused.into(), ground: ground.into(), ..Default::default() };
    // It takes the place of the final reply, so a request is never both answered and refused.
    reply_draft(asked, pb::ReplyStage::Refusal, "final", reply)
}

fn reply_draft(asked: &Asked, stage: pb::ReplyStage, step: &str, reply: pb::Reply) -> pb::Draft {
    let body = pb::Body {
        subject: "Answer to your request".into(),
        your_ref: asked.their_ref.clone(),
        form: Some(pb::body::Form::Reply(reply)),
        ..language()
    };
    let audience = match asked.id.sender.party() {
        Party::Bureau(country) => countries([country]),
        Party::Secretariat => pb::Audience { secretariat: true, ..Default::default() },
    };
    pb::Draft {
        kind: pb::Kind::Reply.into(),
        lane: pb::Lane::from(asked.id.lane).into(),
        audience: Some(audience),
        body: Some(body),
        refers_to: asked.id.to_string(),
        reply_stage: stage.into(),
        operation: asked.operation.clone(),
        idempotency_key: key(&asked.id, step),
        ..Default::default()
    }
}

fn located(
    policy: &Policy,
    asked: &Asked,
    found: &Match<'_>,
    notice: &KnownNotice,
    now: Timestamp,
) -> pb::Draft {
    let certainty = match found.likeness {
        Likeness::Certain => pb::Certainty::Positive,
        Likeness::Possible => pb::Certainty::Possible,
    };
    let report = pb::PersonLocated {
        notice_id: notice.notice_id.clone(),
        certainty: certainty.into(),
        place: found.entry.place.clone(),
        found_at_ms: now.as_millis(),
        proposed_measure: policy.red_notice.proposal().into(),
    };
    let form = pb::body::Form::PersonLocated(report);
    report_draft(asked, notice, pb::Kind::PersonLocated, "located", form)
}

fn arrest(asked: &Asked, found: &Match<'_>, notice: &KnownNotice, now: Timestamp) -> pb::Draft {
    let report = pb::ArrestReport {
        notice_id: notice.notice_id.clone(),
        arrested_at_ms: now.as_millis(),
        place: found.entry.place.clone(),
        identity_proof: "name, forename and date of birth agree with the national register".into(),
        papers_due_by_ms: now.plus(PAPERS_DUE).as_millis(),
    };
    report_draft(asked, notice, pb::Kind::ArrestReport, "arrest", pb::body::Form::ArrestReport(report))
}

/// Reports take the lane of the request: so they follow the replies in order.
fn report_draft(
    asked: &Asked,
    notice: &KnownNotice,
    kind: pb::Kind,
    step: &str,
    form: pb::body::Form,
) -> pb::Draft {
    let body = pb::Body { subject: format!("Notice {}", notice.notice_id), form: Some(form), ..language() };
    pb::Draft {
        kind: kind.into(),
        lane: pb::Lane::from(asked.id.lane).into(),
        audience: Some(owner_and_secretariat(notice.requester)),
        body: Some(body),
        refers_to: notice.id.to_string(),
        operation: asked.operation.clone(),
        idempotency_key: key(&asked.id, step),
        ..Default::default()
    }
}

fn owner_and_secretariat(owner: CountryCode) -> pb::Audience {
    pb::Audience { copies: vec![Party::Secretariat.to_string()], ..countries([owner]) }
}

fn countries(countries: impl IntoIterator<Item = CountryCode>) -> pb::Audience {
    pb::Audience {
        countries: countries.into_iter().map(|country| country.to_string()).collect(),
        ..Default::default()
    }
}

fn language() -> pb::Body {
    pb::Body { language: "EN".into(), ..Default::default() }
}

/// One finding for each national file that holds a person who may be the subject.
fn findings(matches: &[Match<'_>]) -> Vec<pb::Finding> {
    let mut findings = Vec::new();
    for found in matches {
        for file in &found.entry.files {
            let sure = match found.likeness {
                Likeness::Certain => "the same person",
                Likeness::Possible => "possibly the same person",
            };
            let parts = [sure, found.entry.place.as_str(), found.entry.note.as_str()];
            let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            findings.push(pb::Finding {
                question: question_of(file).into(),
                text: said.join("; "),
                handling: vec!["POLICE_USE_ONLY".into()],
            });
        }
    }
    findings.truncate(MAX_FINDINGS);
    findings
}

/// The national files that hold the answer to each question.
const FILES: [(pb::Question, &str); 10] = [
    (pb::Question::Record, "CRIMINAL_RECORDS"),
    (pb::Question::Address, "ADDRESSES"),
    (pb::Question::EntryExit, "ENTRY_EXIT"),
    (pb::Question::Vehicle, "VEHICLES"),
    (pb::Question::Phone, "PHONES"),
    (pb::Question::Bank, "BANK_ACCOUNTS"),
    (pb::Question::Company, "COMPANIES"),
    (pb::Question::Photo, "PHOTOGRAPHS"),
    (pb::Question::Prints, "FINGERPRINTS"),
    (pb::Question::Other, "OTHER"),
];

fn question_of(file: &str) -> pb::Question {
    FILES.iter().find(|(_, name)| *name == file).map_or(pb::Question::Other, |(question, _)| *question)
}

fn files_for(request: &pb::Request) -> Vec<String> {
    let files: BTreeSet<&str> = request
        .questions()
        .filter_map(|question| FILES.iter().find(|(known, _)| *known == question))
        .map(|(_, file)| *file)
        .collect();
    if files.is_empty() {
        return vec!["NATIONAL_REGISTER".into()];
    }
    files.into_iter().map(str::to_owned).collect()
}

/// Whether a request is one that this country owes an answer to: addressed, not only copied.
pub fn owes_answer(me: CountryCode, asker: &Sender, audience: &pb::Audience) -> bool {
    let copied = audience.copies.iter().any(|party| *party == me.to_string());
    let named = audience.countries.iter().any(|country| *country == me.to_string());
    let whole = audience.all || !audience.regions.is_empty() || audience.as_referred;
    asker.party() != Party::Bureau(me) && (named || (whole && !copied))
}

/// The lane that a request came in decides how soon an answer is due: 1 hour, 12 hours, 10 days.
pub fn reply_time(lane: Lane) -> Duration {
    const HOUR: u64 = 3600;
    Duration::from_secs(match lane {
        Lane::VeryUrgent => HOUR,
        Lane::Urgent => 12 * HOUR,
        Lane::Normal | Lane::Bulk => 240 * HOUR,
    })
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
