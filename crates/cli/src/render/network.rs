//! Where messages stand, how a bureau is, and the network as operators see it.

use i247_client::pb;
use i247_model::hexadecimal;

use super::table::{kind, lane, moment, pairs, span, table, word};

/// A sent message and its recipients.
pub(crate) fn status(status: &pb::StatusResponse) -> String {
    let item = status.item.clone().unwrap_or_default();
    let stands = status.status.clone().unwrap_or_default();
    let head = pairs(&[
        ("id", item.id.clone()),
        ("kind", kind(item.kind())),
        ("subject", item.subject.clone()),
        ("state", word(item.state().as_str_name(), "OUTBOX_STATE_")),
        (
            "in the log",
            if stands.position > 0 { format!("entry {}", stands.position) } else { String::new() },
        ),
        ("come since", item.come.join(", ")),
        ("gone since", item.gone.join(", ")),
        ("closed", if stands.closed { "yes".to_owned() } else { String::new() }),
    ]);
    if stands.recipients.is_empty() {
        return format!("{head}\n\nNo recipient is known yet: the hub has not answered.");
    }
    format!("{head}\n\n{}", recipients(&stands))
}

fn recipients(status: &pb::MessageStatus) -> String {
    let rows = status.recipients.iter().map(|one| {
        vec![
            one.party.clone(),
            word(one.state().as_str_name(), "RECIPIENT_STATE_"),
            word(one.answer().as_str_name(), "ANSWER_STATE_"),
            moment(one.since_ms),
        ]
    });
    table(&["TO", "STATE", "ANSWER", "SINCE (UTC)"], rows.collect())
}

/// A bureau's own report.
pub(crate) fn report(report: &pb::ReportResponse) -> String {
    let link = match (report.halted.is_empty(), report.connected) {
        (false, _) => format!("halted: {}", report.halted),
        (true, true) => "connected to the hub".to_owned(),
        (true, false) => "away from the hub; what is sent waits in the outbox".to_owned(),
    };
    pairs(&[
        ("country", report.country.clone()),
        ("link", link),
        ("warning", report.warning.clone()),
        ("outbox", format!("{} waiting", report.outbox_waiting)),
        ("inbox", format!("{} received, {} unopened", report.received, report.unopened)),
        ("epoch", report.epoch.to_string()),
        ("red notice", word(report.policy().as_str_name(), "NATIONAL_POLICY_")),
        ("register", format!("{} entries", report.register_entries)),
    ])
}

/// One message from its submission to the last receipt.
pub(crate) fn trace(trace: &pb::TraceResponse) -> String {
    let stands = trace.status.clone().unwrap_or_default();
    let head = pairs(&[
        ("id", stands.id.clone()),
        ("kind", trace.kind.clone()),
        ("from", trace.sender.clone()),
        ("refers to", trace.refers_to.clone()),
        ("operation", trace.operation.clone()),
        ("closed", if stands.closed { "yes" } else { "no" }.to_owned()),
        ("refused", trace.refusal.as_ref().map(|refusal| refusal.reason.clone()).unwrap_or_default()),
        ("conversation", trace.conversation.clone()),
        ("lane", if trace.lane > 0 { lane(trace.lane()).to_owned() } else { String::new() }),
        ("trace", trace.trace_id.clone()),
    ]);
    let head = if trace.signature.is_some() { [head, proof(trace)].join("\n") } else { head };
    let begin = trace.events.first().map_or(0, |event| event.at_ms);
    let rows = trace.events.iter().map(|event| {
        vec![
            moment(event.at_ms),
            format!("+{}", span(event.at_ms.saturating_sub(begin))),
            event.position.to_string(),
            event.party.clone(),
            event.event.clone(),
        ]
    });
    let events = table(&["AT (UTC)", "AFTER", "ENTRY", "PARTY", "EVENT"], rows.collect());
    if stands.recipients.is_empty() {
        return format!("{head}\n\n{events}");
    }
    format!("{head}\n\n{events}\n\n{}", admitted(trace, &stands))
}

/// Where each recipient stands, and the rule that admitted it.
fn admitted(trace: &pb::TraceResponse, status: &pb::MessageStatus) -> String {
    let rows = status.recipients.iter().map(|one| {
        let why = trace.recipients.iter().find(|why| why.party == one.party);
        vec![
            one.party.clone(),
            word(one.state().as_str_name(), "RECIPIENT_STATE_"),
            word(one.answer().as_str_name(), "ANSWER_STATE_"),
            moment(one.since_ms),
            why.map(|why| word(why.rule().as_str_name(), "RULE_")).unwrap_or_default(),
            why.map(|why| why.mailbox_number.to_string()).unwrap_or_default(),
        ]
    });
    table(&["TO", "STATE", "ANSWER", "SINCE (UTC)", "BECAUSE", "NUMBER"], rows.collect())
}

/// Who signed, and where the log has it.
fn proof(trace: &pb::TraceResponse) -> String {
    let (signed, place) =
        (trace.signature.clone().unwrap_or_default(), trace.place.clone().unwrap_or_default());
    let header = trace.header.clone().unwrap_or_default();
    let holds = if signed.holds { "holds" } else { "DOES NOT HOLD" };
    let mut lines = vec![
        ("addressed to", header.audience.join(", ")),
        (
            "signature",
            format!(
                "{holds}; {}, {} of {} signed together",
                signed.algorithm,
                signed.index + 1,
                signed.count
            ),
        ),
        ("key", signed.key_id.clone()),
    ];
    for certificate in &signed.chain {
        let validity =
            format!("{} to {}", moment(certificate.not_before_ms), moment(certificate.not_after_ms));
        lines.push(("certificate", format!("{}, {validity}", certificate.identity)));
    }
    let there = if place.holds { "holds this header" } else { "DOES NOT HOLD THIS HEADER" };
    let at = format!("entry {} of {} {there}; log {}", place.position, place.log_end, place.log_id);
    lines.push(("in the log", at));
    lines.push(("header", place.header_hash.clone()));
    lines.push(("body", body(&place.body)));
    pairs(&lines)
}

/// What the log has of a body. Without it signature and place still hold: who signed which header, when, to whom.
fn body(word: &str) -> String {
    match word {
        "erased" => "erased; the header that was signed stays in the log".into(),
        "damaged" => {
            "DAMAGED; the header that was signed stays in the log: i247 ledger check DATA says where".into()
        }
        "not as signed" => "NOT AS SIGNED: the header fixes another".into(),
        word => word.to_owned(),
    }
}

/// The network at a glance.
pub(crate) fn network(summary: &pb::SummaryResponse) -> String {
    let connected = summary.links.iter().filter(|link| link.connected).count();
    let head = pairs(&[
        ("log", hexadecimal(&summary.log_id)),
        ("entries", summary.log_end.to_string()),
        ("hub's time", moment(summary.hub_time_ms)),
        ("open", format!("{} messages, {} reviews", summary.open_messages, summary.pending_reviews)),
        ("writable", if summary.writable { "yes" } else { "NO: look at the hub's disk and log" }.to_owned()),
        ("links", format!("{connected} of {} connected", summary.links.len())),
    ]);
    let rows = summary.links.iter().map(|link| {
        vec![
            link.party.clone(),
            if link.connected { "connected" } else { "away" }.to_owned(),
            link.standing.clone(),
            link.queued.to_string(),
            if link.queued > 0 { span(link.oldest_ms) } else { String::new() },
        ]
    });
    format!("{head}\n\n{}", table(&["PARTY", "LINK", "STANDING", "QUEUED", "OLDEST"], rows.collect()))
}

/// Everyone that the directory knows.
pub(crate) fn directory(list: &pb::ListResponse) -> String {
    let rows = list.records.iter().map(|record| {
        let identity: Result<i247_model::Identity, _> = record.identity.parse();
        vec![
            identity.map_or_else(|_| record.identity.clone(), |identity| crate::authority::short(&identity)),
            word(record.standing().as_str_name(), "STANDING_"),
            moment(record.since_ms),
            moment(record.not_after_ms),
            record.position.to_string(),
        ]
    });
    let header = ["IDENTITY", "STANDING", "SINCE (UTC)", "CERTIFICATE ENDS", "ENTRY"];
    format!("{}\n\nAs of entry {}.", table(&header, rows.collect()), list.position)
}
