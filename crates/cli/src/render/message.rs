//! Messages and lists of them.

use std::fmt::Write as _;

use i247_client::{Examined, pb};
use i247_model::CountryCode;
use serde_json::Value as Json;

use super::table::{kind, lane, line, moment, pairs, table, word};
use crate::reflect::to_json;

pub(crate) fn inbox(items: &[pb::InboxItem]) -> String {
    let rows = items.iter().map(|item| {
        let mark = match (item.opened, item.actioned) {
            (_, true) => "done",
            (true, false) => "opened",
            (false, false) => "new",
        };
        let due = if item.reply_by_ms > 0 { moment(item.reply_by_ms) } else { String::new() };
        vec![
            item.id.clone(),
            kind(item.kind()),
            item.sender.clone(),
            moment(item.received_at_ms),
            mark.to_owned(),
            due,
            subject(&item.subject, item.unreadable),
        ]
    });
    table(&["ID", "KIND", "FROM", "RECEIVED (UTC)", "", "REPLY BY", "SUBJECT"], rows.collect())
}

pub(crate) fn outbox(items: &[pb::OutboxItem]) -> String {
    let rows = items.iter().map(|item| {
        vec![
            item.id.clone(),
            kind(item.kind()),
            moment(item.sent_at_ms),
            word(item.state().as_str_name(), "OUTBOX_STATE_"),
            item.seat.clone(),
            subject(&item.subject, item.unreadable),
        ]
    });
    table(&["ID", "KIND", "SENT (UTC)", "STATE", "SEAT", "SUBJECT"], rows.collect())
}

/// The subject in a list.
fn subject(text: &str, unreadable: bool) -> String {
    if unreadable { "(damaged at the bureau)".to_owned() } else { text.to_owned() }
}

pub(crate) fn cases(cases: &[pb::Case]) -> String {
    let rows = cases.iter().map(|case| {
        vec![
            case.our_ref.clone(),
            case.notice_id.clone(),
            word(case.state().as_str_name(), "CASE_STATE_"),
            case.requests_sent.to_string(),
            case.replies_received.to_string(),
            case.replies_owed.to_string(),
            case.silent.join(","),
            case.moved_by.clone(),
        ]
    });
    table(&["REF", "NOTICE", "STATE", "REQUESTS", "REPLIES", "OWED", "SILENT", "MOVED BY"], rows.collect())
}

pub(crate) fn pending(pending: &[pb::PendingNotice]) -> String {
    let rows = pending.iter().map(|one| {
        vec![
            one.request_id.clone(),
            one.notice_id.clone(),
            one.colour.clone(),
            one.requester.clone(),
            one.edition.to_string(),
            moment(one.accepted_at_ms),
            one.addendum_to.clone(),
        ]
    });
    let header = ["REQUEST", "NOTICE", "COLOUR", "FROM", "EDITION", "SINCE (UTC)", "ADDENDUM TO"];
    table(&header, rows.collect())
}

/// The notices in force.
pub(crate) fn notices(notices: &[pb::NoticeInForce]) -> String {
    let rows = notices.iter().map(|one| {
        vec![
            one.notice_id.clone(),
            one.colour.clone(),
            one.requester.clone(),
            one.edition.to_string(),
            one.message_id.clone(),
        ]
    });
    table(&["NOTICE", "COLOUR", "FROM", "EDITION", "PUBLISHED BY"], rows.collect())
}

/// Who would receive a message: every admitted party, and of the others those with a reason of their own.
pub(crate) fn explained(explained: &pb::ExplainResponse) -> String {
    let admitted = explained.parties.iter().filter(|party| party.admitted).count();
    let rows = explained.parties.iter().map(|one| {
        let name = one.party.parse::<CountryCode>().ok().and_then(i247_model::member);
        vec![
            one.party.clone(),
            name.map_or_else(|| "General Secretariat".to_owned(), |member| member.name.to_owned()),
            if one.admitted { "receives" } else { "-" }.to_owned(),
            rule(one.rule()).to_owned(),
        ]
    });
    let table = table(&["PARTY", "NAME", "", "RULE"], rows.collect());
    let at = explained.directory_position;
    format!(
        "{table}\n\n{admitted} recipients, as the directory stands at entry {at}.\n\
         Sent with --explained-at {at} --exactly, it is refused if a member has come or gone since."
    )
}

fn rule(rule: pb::Rule) -> &'static str {
    match rule {
        pb::Rule::Named => "named",
        pb::Rule::Region => "in a region that is addressed",
        pb::Rule::All => "all members are addressed",
        pb::Rule::Copy => "copy for information",
        pb::Rule::Referred => "had the message that this refers to",
        pb::Rule::Secretariat => "the secretariat is addressed",
        pb::Rule::Suspended => "suspended: held until reinstated",
        pb::Rule::NotNamed => "not addressed",
        pb::Rule::Sender => "the sender itself",
        pb::Rule::Excluded => "excluded by this message",
        pb::Rule::RestrictedByOwner => "barred by the owner's restriction",
        pb::Rule::NotAMember => "not on the network",
        pb::Rule::Revoked => "revoked",
        pb::Rule::Unspecified => "no rule given",
    }
}

/// One message, whole.
pub(crate) fn shown(shown: &pb::ShowResponse) -> String {
    let header = shown.header.clone().unwrap_or_default();
    let stage = word(header.reply_stage().as_str_name(), "REPLY_STAGE_");
    let due = if header.reply_by_ms > 0 { moment(header.reply_by_ms) } else { String::new() };
    let head = pairs(&[
        ("id", shown.id.clone()),
        ("kind", kind(header.kind())),
        ("lane", lane_of(&shown.id)),
        ("signed by", shown.signed_by.clone()),
        ("signed at", moment(header.signed_at_ms)),
        ("to", header.audience.as_ref().map(recipients).unwrap_or_default()),
        ("refers to", header.refers_to.clone()),
        ("stage", stage),
        ("reply by", due),
        ("operation", header.operation.clone()),
        ("seat", header.seat.clone()),
    ]);
    let body = match &shown.body {
        _ if shown.erased => "The body was erased.".to_owned(),
        Some(body) => body_lines(body),
        None => "There is no body.".to_owned(),
    };
    format!("{head}\n\n{body}")
}

/// A request as the reviewer reads it.
pub(crate) fn examined(examined: &Examined) -> String {
    let barred: Vec<&str> = examined.except.iter().map(CountryCode::as_str).collect();
    let head = pairs(&[
        ("request", examined.header.id.to_string()),
        ("from", examined.requester.to_string()),
        ("notice", format!("{} edition {}", examined.notice_id, examined.edition)),
        ("addendum to", examined.addendum_to.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("barred", barred.join(", ")),
    ]);
    format!("{head}\n\n{}", body_lines(&examined.body))
}

fn lane_of(id: &str) -> String {
    let parsed: Option<i247_model::MessageId> = id.parse().ok();
    parsed.map_or_else(String::new, |id| lane(id.lane.into()).to_owned())
}

fn recipients(audience: &pb::Audience) -> String {
    let mut parts = Vec::new();
    if audience.all {
        parts.push("all".to_owned());
    }
    parts.extend(audience.regions.iter().cloned());
    parts.extend(audience.countries.iter().cloned());
    if audience.secretariat {
        parts.push("IPSG".to_owned());
    }
    if audience.as_referred {
        parts.push("whoever had what it refers to".to_owned());
    }
    let mut text = parts.join(", ");
    if !audience.except.is_empty() {
        let _ = write!(text, " except {}", audience.except.join(", "));
    }
    if !audience.copies.is_empty() {
        let _ = write!(text, "; copies {}", audience.copies.join(", "));
    }
    text
}

fn body_lines(body: &pb::Body) -> String {
    let mut text = String::new();
    outline(&mut text, &to_json("Body", body), 0);
    text.trim_end().to_owned()
}

/// JSON as indented lines, without what is empty.
fn outline(text: &mut String, json: &Json, depth: usize) {
    let Json::Object(fields) = json else { return };
    let indent = "  ".repeat(depth);
    for (key, value) in fields {
        let label = line(&key.replace('_', " "));
        match value {
            _ if is_empty(value) => {}
            Json::Object(_) => {
                let _ = writeln!(text, "{indent}{label}:");
                outline(text, value, depth + 1);
            }
            Json::Array(items) if items.iter().any(Json::is_object) => {
                for (n, item) in items.iter().enumerate() {
                    let _ = writeln!(text, "{indent}{label} {}:", n + 1);
                    outline(text, item, depth + 1);
                }
            }
            Json::Array(items) => {
                let items: Vec<String> = items.iter().map(plain).collect();
                let _ = writeln!(text, "{indent}{label}: {}", items.join(", "));
            }
            Json::Number(ms) if key.ends_with("_ms") => {
                let label = label.strip_suffix(" ms").unwrap_or(&label);
                let _ = writeln!(text, "{indent}{label}: {}", moment(ms.as_u64().unwrap_or(0)));
            }
            _ => {
                let _ = writeln!(text, "{indent}{label}: {}", plain(value));
            }
        }
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(yes) => !yes,
        Json::Number(number) => number.as_u64() == Some(0),
        Json::String(text) => text.is_empty() || text == "UNSPECIFIED",
        Json::Array(items) => items.is_empty(),
        Json::Object(fields) => fields.values().all(is_empty),
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => line(text),
        Json::Bool(true) => "yes".to_owned(),
        other => line(&other.to_string()),
    }
}
