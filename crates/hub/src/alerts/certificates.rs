//! Rules about certificates: what ends soon must be issued anew in time.

use i247_model::Party;

use super::facts::Validity;
use super::{Facts, Rule, Severity, Wrong};

/// Of a hundred parts of its life so many must be left.
const LEFT_PERCENT: u64 = 25;

pub(super) const RULES: [Rule; 2] = [
    Rule {
        name: "certificate_ends",
        severity: Severity::Warning,
        about: "less than a quarter of a certificate's life is left",
        next_step: "have it issued anew: i247 authority issue REQUEST; the node takes it up by itself",
        look: certificate_ends,
    },
    Rule {
        name: "certificate_ended",
        severity: Severity::Critical,
        about: "a certificate has ended: its owner can neither connect nor sign",
        next_step: "have it issued anew now: i247 authority issue REQUEST",
        look: certificate_ended,
    },
];

fn certificate_ends(facts: &Facts) -> Vec<Wrong> {
    all(
        facts,
        |left, life| left > 0 && left.saturating_mul(100) < life.saturating_mul(LEFT_PERCENT),
        |left| format!("ends in {} h", left / 3_600_000),
    )
}

fn certificate_ended(facts: &Facts) -> Vec<Wrong> {
    all(facts, |left, _| left == 0, |_| "has ended".into())
}

/// Every certificate of which `is_wrong` says so by what is left of it and how long it lives, in milliseconds.
fn all(facts: &Facts, is_wrong: impl Fn(u64, u64) -> bool, words: impl Fn(u64) -> String) -> Vec<Wrong> {
    let look = |validity: &Validity| {
        let life = validity.not_after.since(validity.not_before).as_millis();
        let left = validity.not_after.since(facts.now).as_millis();
        let (left, life) = (u64::try_from(left).unwrap_or(u64::MAX), u64::try_from(life).unwrap_or(u64::MAX));
        is_wrong(left, life).then(|| words(left))
    };
    let mut found = Vec::new();
    for (party, bureau) in &facts.bureaus {
        for (purpose, validity) in &bureau.certificates {
            let text = look(validity).map(|words| format!("the {purpose} certificate of {party} {words}"));
            found.extend(text.map(|text| wrong(Some(*party), text, purpose)));
        }
    }
    for (purpose, validity) in &facts.hub.certificates {
        let text = look(validity).map(|words| format!("the {purpose} certificate of the hub {words}"));
        found.extend(text.map(|text| wrong(Some(Party::Secretariat), text, purpose)));
    }
    // One of each for all of them: the text names the first, the identities' page shows them all.
    let people: Vec<_> =
        facts.people.iter().filter_map(|(who, validity)| Some((who, look(validity)?))).collect();
    if let Some((who, words)) = people.first() {
        let others = match people.len() {
            1 => String::new(),
            count => format!(", and of {} others", count - 1),
        };
        found.push(wrong(None, format!("the signing certificate of {who} {words}{others}"), "people"));
    }
    found
}

fn wrong(party: Option<Party>, text: String, part: &'static str) -> Wrong {
    Wrong { party, message_id: None, text, part }
}
