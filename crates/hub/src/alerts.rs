//! What is wrong: rules over facts, and the book of what they say.
//!
//! A rule is a pure function from [`Facts`](facts::Facts) to what is wrong now, and names for each the evidence (a
//! country, a message) and what to do. The book remembers since when, and what is over. Nothing here acts: it tells.

mod book;
mod certificates;
mod facts;
mod hub;
mod line;
mod links;
mod messages;
mod searches;
#[cfg(test)]
mod translations;

use std::sync::Arc;
use std::time::Duration;

use i247_model::Party;
use i247_wire::pb;
use tokio_util::sync::CancellationToken;

pub(crate) use book::{Alert, Book};
pub(crate) use facts::Facts;
pub(crate) use line::{Line, Phrase};

use crate::core::Core;

/// How often the rules look.
const LOOK: Duration = Duration::from_secs(2);

/// A rule that looks at facts.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    /// What it watches, in words.
    pub(crate) about: &'static str,
    /// What to do.
    pub(crate) next_step: &'static str,
    /// All that it may say.
    phrases: &'static [Phrase],
    look: fn(&Facts) -> Vec<Wrong>,
}

/// What a rule has found: whom it is about, a message that shows it, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    pub(crate) party: Option<Party>,
    pub(crate) message_id: Option<String>,
    pub(crate) line: Line,
    /// What tells it from others of the same rule and party.
    pub(crate) part: &'static str,
}

/// Every rule.
const RULES: [&[Rule]; 5] =
    [&messages::RULES, &links::RULES, &certificates::RULES, &searches::RULES, &hub::RULES];

/// The rules, as operators see them.
pub(crate) fn rules() -> Vec<pb::AlertRule> {
    let rule = |rule: &Rule| pb::AlertRule {
        name: rule.name.into(),
        severity: rule.severity.wire().into(),
        about: rule.about.into(),
        next_step: rule.next_step.into(),
    };
    RULES.into_iter().flatten().map(rule).collect()
}

/// All that is wrong by these facts.
fn look(facts: &Facts) -> Vec<(Alert, &'static str)> {
    let mut found = Vec::new();
    for rule in RULES.into_iter().flatten() {
        for Wrong { party, message_id, line, part } in (rule.look)(facts) {
            debug_assert!(line.phrases().all(|said| rule.phrases.contains(&said)), "{}: {line}", rule.name);
            let place = party.map_or_else(String::new, |party| party.to_string());
            let alert = Alert {
                rule: rule.name,
                severity: rule.severity,
                line,
                party,
                next_step: rule
                    .next_step
                    .replace("COUNTRY", &place)
                    .replace("MESSAGE", message_id.as_deref().unwrap_or("ID")),
                message_id,
            };
            found.push((alert, part));
        }
    }
    found
}

/// How often it is tried to read again what could not be read.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// Looks again and again until `stop`; at once when the clock is set.
pub(crate) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut read_at = core.clock.monotonic();
    loop {
        // Dropping the wait loses nothing.
        tokio::select! {
            () = i247_node::sleep_on(&*core.clock, LOOK) => {}
            () = stop.cancelled() => return,
        }
        core.overdue.look(&core).await;
        if core.clock.monotonic().saturating_sub(read_at) >= READ_AGAIN {
            read_at = core.clock.monotonic();
            core.recent.look_again(&*core.ledger).await;
        }
        let facts = Facts::gather(&core).await;
        core.alerts.update(facts.now, look(&facts));
    }
}

/// How bad something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Severity {
    /// Somebody should know.
    Notice,
    /// Somebody should look today.
    Warning,
    /// Somebody should look now.
    Critical,
}

impl Severity {
    pub(crate) fn wire(self) -> pb::AlertSeverity {
        match self {
            Self::Notice => pb::AlertSeverity::Notice,
            Self::Warning => pb::AlertSeverity::Warning,
            Self::Critical => pb::AlertSeverity::Critical,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
