//! Rules about the links to bureaus.

use std::time::Duration;

use i247_model::Party;
use i247_router::Standing;

use super::facts::Bureau;
use super::{Facts, Phrase, Rule, Severity, Wrong};

/// A link may be down for so long: bureaus connect again by themselves.
pub(super) const DOWN: Duration = Duration::from_secs(30);

/// A clock may be so far from the hub's.
const SKEW_MS: i64 = 2_000;

const AWAY: Phrase = Phrase::new("away", "{party} has not been connected for {time}");
const NEVER: Phrase = Phrase::new("never", "{party} has not connected since the hub started");
const AHEAD: Phrase = Phrase::new("ahead", "the clock of {party} is {time} ahead of the hub's");
const BEHIND: Phrase = Phrase::new("behind", "the clock of {party} is {time} behind the hub's");
const CLASSICAL: Phrase = Phrase::new("classical", "{party} is connected with {group}");

pub(super) const RULES: [Rule; 3] = [
    Rule {
        name: "link_down",
        severity: Severity::Warning,
        about: "a bureau that may connect has not been connected for half a minute",
        next_step: "call the bureau; there: i247 doctor --as COUNTRY",
        phrases: &[AWAY, NEVER],
        look: link_down,
    },
    Rule {
        name: "clock_skew",
        severity: Severity::Warning,
        about: "the clock of a bureau is more than two seconds from the hub's",
        next_step: "have the bureau's clock set right (NTP), or the hub's, when all are off alike",
        phrases: &[AHEAD, BEHIND],
        look: clock_skew,
    },
    Rule {
        name: "not_post_quantum",
        severity: Severity::Notice,
        about: "the key agreement of a connection withstands no quantum computer: what is recorded now may be read later",
        next_step: "have the bureau run a version that offers X25519MLKEM768",
        phrases: &[CLASSICAL],
        look: not_post_quantum,
    },
];

fn link_down(facts: &Facts) -> Vec<Wrong> {
    let wrong = |(party, bureau): (&Party, &Bureau)| {
        let down = bureau.away(facts);
        (bureau.standing == Some(Standing::Active) && down > DOWN).then(|| Wrong {
            party: Some(*party),
            message_id: None,
            line: match bureau.since {
                Some(_) => AWAY.with("party", *party).with("time", down),
                None => NEVER.with("party", *party),
            },
            part: "",
        })
    };
    facts.bureaus.iter().filter_map(wrong).collect()
}

fn clock_skew(facts: &Facts) -> Vec<Wrong> {
    let wrong = |(party, bureau): (&Party, &Bureau)| {
        let skew = bureau.skew_ms.filter(|skew| skew.abs() > SKEW_MS)?;
        let phrase = if skew > 0 { AHEAD } else { BEHIND };
        let time = Duration::from_millis(skew.unsigned_abs());
        Some(Wrong {
            party: Some(*party),
            message_id: None,
            line: phrase.with("party", *party).with("time", time),
            part: "",
        })
    };
    facts.bureaus.iter().filter_map(wrong).collect()
}

fn not_post_quantum(facts: &Facts) -> Vec<Wrong> {
    let wrong = |(party, bureau): (&Party, &Bureau)| {
        let group = bureau.group.filter(|_| !bureau.post_quantum)?;
        let line = CLASSICAL.with("party", *party).with("group", group);
        Some(Wrong { party: Some(*party), message_id: None, line, part: "" })
    };
    facts.bureaus.iter().filter_map(wrong).collect()
}
