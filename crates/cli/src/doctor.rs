//! `i247 doctor`: each link from here to its end, step by step, and the cause where one does not work. It changes
//! nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use i247_client::{Context, pb};
use i247_model::{Identity, Reason, Timestamp};
use i247_node::{ConnectError, Probe, TlsClock, probe};
use i247_trust::{Certificate, Credentials, Presented};
use serde_json::json;

use crate::fail::{Exit, Fail};
use crate::out;
use crate::render::{self, span};
use crate::session::{Session, credentials};

/// How long one connection may take.
const WITHIN: Duration = Duration::from_secs(5);

/// What takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// A clock may be so far from ours, in milliseconds.
const SKEW_MS: u64 = 2_000;

/// What one step has found.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Finding {
    level: Level,
    text: String,
    /// What to do; empty where all is well.
    next: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Level {
    Well,
    Doubtful,
    Broken,
}

impl Finding {
    fn well(text: impl Into<String>) -> Self {
        Self { level: Level::Well, text: text.into(), next: String::new() }
    }

    fn doubtful(text: impl Into<String>, next: impl Into<String>) -> Self {
        Self { level: Level::Doubtful, text: text.into(), next: next.into() }
    }

    fn broken(text: impl Into<String>, next: impl Into<String>) -> Self {
        Self { level: Level::Broken, text: text.into(), next: next.into() }
    }
}

/// Looks at the contexts that are meant. Ends with 1 when a link is broken.
pub(crate) async fn doctor(session: &Session) -> Result<ExitCode, Fail> {
    let contexts = Session::contexts()?;
    let meant: Vec<(String, &Context)> = match (&session.global.context, session.global.country) {
        (Some(name), _) => vec![(name.clone(), contexts.named(name)?)],
        (None, Some(country)) => vec![(country.to_string(), contexts.as_country(country)?)],
        (None, None) => contexts.list().iter().map(|(name, context)| (name.to_string(), context)).collect(),
    };
    if meant.is_empty() {
        let next =
            "add one: i247 context add NAME --address HOST:PORT --server gs/hub/SITE --credentials DIR";
        return Err(Fail::usage("there are no contexts to look at", next));
    }
    let mut all = Vec::new();
    let mut worst = Level::Well;
    for (name, context) in meant {
        let findings = examine(context, session).await;
        worst = findings.iter().map(|finding| finding.level).fold(worst, Ord::max);
        if session.global.json {
            all.push(json_of(&name, context, &findings));
        } else {
            out::data(&text_of(&name, context, &findings));
        }
    }
    if session.global.json {
        out::json(&all.into());
    }
    Ok(if worst == Level::Broken { ExitCode::from(Exit::Refused as u8) } else { ExitCode::SUCCESS })
}

/// Every step of one link, until one breaks.
async fn examine(context: &Context, session: &Session) -> Vec<Finding> {
    let now = session.seams.clock.now();
    let own = match credentials(&context.credentials) {
        Ok(own) => own,
        Err(fail) => return vec![Finding::broken(fail.what, fail.next)],
    };
    let mut findings = vec![own_certificate(&own, now)];
    match connect(context, &own, session).await {
        Ok(probe) => findings.extend(connected(&probe, now)),
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    }
    match &own.identity {
        Identity::Operator(_) => findings.extend(network(context, session).await),
        Identity::Officer(..) => findings.extend(desk(context, session).await),
        _ => {}
    }
    findings
}

fn own_certificate(own: &Credentials, now: Timestamp) -> Finding {
    let leaf = own.tls_chain.first().and_then(|leaf| Certificate::parse(leaf).ok());
    let Some(leaf) = leaf else {
        return Finding::broken(
            "our certificate cannot be read",
            "have it issued anew: i247 authority issue",
        );
    };
    certificate("our certificate", leaf.not_before, leaf.not_after, now)
}

fn certificate(whose: &str, not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Finding {
    let left = ms(not_after.since(now));
    let life = ms(not_after.since(not_before));
    if now < not_before {
        return Finding::broken(
            format!("{whose} is not in force yet: it begins {} UTC", render::moment(not_before.as_millis())),
            "set the clock of this machine right",
        );
    }
    if left == 0 {
        return Finding::broken(
            format!("{whose} has ended: {} UTC", render::moment(not_after.as_millis())),
            "have it issued anew: i247 authority issue REQUEST",
        );
    }
    let text = format!("{whose} is in force for another {}", span(left));
    if left.saturating_mul(4) < life {
        return Finding::doubtful(text, "have it issued anew soon: i247 authority issue REQUEST");
    }
    Finding::well(text)
}

async fn connect(context: &Context, own: &Credentials, session: &Session) -> Result<Probe, Finding> {
    let seams = &session.seams;
    let server = context.server.clone();
    let time = Arc::new(TlsClock(seams.clock.clone()));
    let tls = Presented::new(own).and_then(|presented| {
        i247_trust::client_config(presented, &own.root, time, move |found| *found == server)
    });
    let next = "have the certificates issued anew with `i247 authority issue`";
    let tls =
        tls.map_err(|error| Finding::broken(format!("our certificate cannot be used: {error}"), next))?;
    let probed = probe(&*seams.network, &*seams.clock, &context.address, tls, WITHIN).await;
    probed.map_err(|error| cause(&error, context))
}

/// Why there is no connection, and what to do about it.
fn cause(error: &ConnectError, context: &Context) -> Finding {
    let (text, next) = match error {
        ConnectError::Address { address } => {
            (format!("{address} is no address"), "give it as HOST:PORT: i247 context add")
        }
        ConnectError::NoSuchHost { address } => {
            (format!("{address} does not resolve"), "check the name, and the resolver of this machine")
        }
        ConnectError::Refused { address } => (
            format!("{address} refuses the connection"),
            "see that it runs there, and that the port is right",
        ),
        ConnectError::TimedOut { address, within } => (
            format!("{address} does not answer within {} s", within.as_secs()),
            "see that it runs, and that no firewall drops what is sent to it",
        ),
        ConnectError::Tls { detail, .. } if detail.contains("NotValidYet") => (
            "the server's certificate is not in force yet".to_owned(),
            "set the clock of this machine right, or that of the authority",
        ),
        ConnectError::Tls { detail, .. } if detail.contains("Expired") => (
            "the server's certificate has ended".to_owned(),
            "there it must be issued anew: i247 authority issue; and is the clock of this machine right?",
        ),
        ConnectError::Tls { detail, .. } if detail.contains("UnknownIssuer") => (
            "the server's certificate is of another authority than ours: not trusted".to_owned(),
            "see whether the address belongs to this network, or have our certificate issued by its authority",
        ),
        ConnectError::Tls { detail, .. } if detail.contains("NotValidForName") => (
            format!("somebody else than {} answers there", context.server),
            "see whether the address is right, and the --server of the context",
        ),
        ConnectError::Tls { detail, .. } => (
            format!("TLS fails: {detail}"),
            "check certificates, their dates, and the clocks of both machines",
        ),
        ConnectError::NotAdmitted { reason: Some(Reason::Suspended), .. } => {
            ("we are suspended".to_owned(), "ask the authority why, and to reinstate us")
        }
        ConnectError::NotAdmitted { reason: Some(Reason::Revoked), .. } => {
            ("we are revoked".to_owned(), "ask the authority; new keys are needed")
        }
        ConnectError::NotAdmitted { detail, .. } => (
            format!("our certificate is not accepted there: {detail}"),
            "see whether it has ended, by their clock too, and whether we are in the directory",
        ),
        ConnectError::Network { detail, .. } => {
            (format!("the line fails: {detail}"), "see that the network between us works, and try again")
        }
    };
    Finding::broken(text, next)
}

fn connected(probe: &Probe, now: Timestamp) -> Vec<Finding> {
    let Probe { connected, greeted, agreed, server } = probe;
    let text = format!("connected in {}, greeted in {}", span(ms(*connected)), span(ms(*greeted)));
    let speed = if *connected + *greeted > SLOW {
        Finding::doubtful(
            format!("slow: {text}"),
            "look at the line between us, and at the load of both machines",
        )
    } else {
        Finding::well(text)
    };
    let protected = format!("{} with {}", agreed.version, agreed.group);
    let protection = if agreed.is_post_quantum() {
        Finding::well(format!("{protected}, which withstands quantum computers"))
    } else {
        let next = "run a version at both ends that offers X25519MLKEM768";
        Finding::doubtful(format!("{protected}: what is recorded now may be read later"), next)
    };
    let shown = certificate("the server's certificate", server.not_before, server.not_after, now);
    vec![speed, protection, shown]
}

/// What the hub says of itself and of all bureaus.
async fn network(context: &Context, session: &Session) -> Vec<Finding> {
    let asked = async {
        let monitor = session.open_monitor(context)?;
        let summary = monitor.summary().await?;
        let here = session.seams.clock.now();
        Ok::<_, Fail>((summary, here, monitor.alerts(false).await?))
    };
    let (summary, here, alerts) = match asked.await {
        Ok(answered) => answered,
        Err(fail) => {
            return vec![Finding::broken(format!("the hub does not answer: {}", fail.what), fail.next)];
        }
    };
    let mut findings = vec![clock(summary.hub_time_ms, here)];
    findings.push(if summary.writable {
        Finding::well(format!("the hub takes entries; its log has {}", summary.log_end))
    } else {
        Finding::broken("the hub takes nothing", "i247 alerts says why")
    });
    for link in &summary.links {
        let waits = if link.queued > 0 { format!(", {} wait", link.queued) } else { String::new() };
        findings.push(match (link.standing.as_str(), link.connected) {
            ("active", true) => Finding::well(format!("{} is connected{waits}", link.party)),
            ("active", false) => Finding::broken(
                format!("{} is not connected{waits}", link.party),
                format!("there: i247 doctor --as {}", link.party),
            ),
            (standing, _) => Finding::doubtful(
                format!("{} is {standing}{waits}", link.party),
                "the authority knows why: i247 authority list",
            ),
        });
    }
    for alert in alerts.alerts.iter().filter(|alert| alert.rule != "link_down") {
        let level = if render::is_critical(alert) { Level::Broken } else { Level::Doubtful };
        findings.push(Finding { level, text: alert.text.clone(), next: alert.next_step.clone() });
    }
    findings
}

/// What a desk says of its bureau.
async fn desk(context: &Context, session: &Session) -> Vec<Finding> {
    let asked = async {
        let report = session.open_desk(context)?.report().await?;
        Ok::<_, Fail>((report, session.seams.clock.now()))
    };
    let (report, here): (pb::ReportResponse, _) = match asked.await {
        Ok(answered) => answered,
        Err(fail) => {
            return vec![Finding::broken(format!("the desk does not answer: {}", fail.what), fail.next)];
        }
    };
    let mut findings = Vec::new();
    if report.now_ms > 0 {
        findings.push(clock(report.now_ms, here));
    }
    findings.push(match (report.halted.is_empty(), report.connected) {
        (false, _) => Finding::broken(
            format!("the bureau has halted: {}", report.halted),
            format!("when it is its own fault: i247 bureau {} recover --reason WHY", report.country),
        ),
        (true, true) => Finding::well("the bureau is connected to the hub"),
        (true, false) => Finding::broken(
            format!("the bureau is away from the hub; {} wait to be sent", report.outbox_waiting),
            "look into the log of the bureau: it says why each attempt fails",
        ),
    });
    if !report.warning.is_empty() {
        findings.push(Finding::doubtful(report.warning, "follow what it says"));
    }
    findings
}

/// The clock of the other side, which answered within moments.
fn clock(there_ms: u64, here: Timestamp) -> Finding {
    let here_ms = here.as_millis();
    let off = there_ms.abs_diff(here_ms);
    let direction = if there_ms > here_ms { "ahead of" } else { "behind" };
    let text = format!("its clock is {} {direction} ours", span(off));
    if off > SKEW_MS {
        return Finding::broken(text, "set the clock right that is wrong (NTP)");
    }
    Finding::well(text)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn text_of(name: &str, context: &Context, findings: &[Finding]) -> String {
    let mut lines =
        vec![format!("{name}: {} at {}", crate::authority::short(&context.server), context.address)];
    for Finding { level, text, next } in findings {
        let mark = match level {
            Level::Well => "ok   ",
            Level::Doubtful => "warn ",
            Level::Broken => "FAIL ",
        };
        lines.push(format!("  {mark} {}", render::line(text)));
        if !next.is_empty() {
            lines.push(format!("        do: {}", render::line(next)));
        }
    }
    lines.join("\n") + "\n"
}

fn json_of(name: &str, context: &Context, findings: &[Finding]) -> serde_json::Value {
    let level = |level: Level| match level {
        Level::Well => "ok",
        Level::Doubtful => "warn",
        Level::Broken => "fail",
    };
    let findings = findings.iter().map(
        |finding| json!({ "level": level(finding.level), "text": finding.text, "next_step": finding.next }),
    );
    json!({
        "context": name,
        "address": context.address,
        "server": context.server.to_string(),
        "findings": findings.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn day(day: u64) -> Timestamp {
        Timestamp::from_millis(day * DAY_MS)
    }

    #[test]
    fn a_certificate_is_early_good_near_its_end_or_over() {
        let level = |now| certificate("it", day(100), day(130), day(now)).level;
        assert_eq!(level(99), Level::Broken);
        assert_eq!(level(101), Level::Well);
        assert_eq!(level(125), Level::Doubtful);
        assert_eq!(level(130), Level::Broken);
        assert!(certificate("it", day(100), day(130), day(99)).text.contains("not in force yet"));
    }

    #[test]
    fn each_cause_has_its_words() {
        let context = Context {
            address: "hub.example:7247".into(),
            server: "spiffe://i247.test/gs/hub/lyon".parse().unwrap(),
            credentials: "keys".into(),
        };
        let address = || context.address.clone();
        let tls = |detail: &str| ConnectError::Tls { address: address(), detail: detail.into() };
        let refused =
            |reason| ConnectError::NotAdmitted { address: address(), detail: "alert".into(), reason };
        for (error, words) in [
            (ConnectError::NoSuchHost { address: address() }, "does not resolve"),
            (ConnectError::Refused { address: address() }, "refuses the connection"),
            (ConnectError::TimedOut { address: address(), within: WITHIN }, "does not answer within 5 s"),
            (tls("invalid peer certificate: Expired"), "has ended"),
            (tls("invalid peer certificate: NotValidYet"), "not in force yet"),
            (tls("invalid peer certificate: UnknownIssuer"), "not trusted"),
            (tls("invalid peer certificate: NotValidForName"), "somebody else"),
            (refused(Some(Reason::Suspended)), "suspended"),
            (refused(Some(Reason::Revoked)), "revoked"),
        ] {
            let finding = cause(&error, &context);
            assert!(finding.text.contains(words) && !finding.next.is_empty(), "{finding:?}");
        }
    }

    #[test]
    fn a_clock_is_off_by_more_than_two_seconds_or_not() {
        assert_eq!(clock(10_000, Timestamp::from_millis(11_900)).level, Level::Well);
        let off = clock(13_000, Timestamp::from_millis(10_000));
        assert_eq!((off.level, off.text.as_str()), (Level::Broken, "its clock is 3.0 s ahead of ours"));
    }
}
