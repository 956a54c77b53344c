//! Rules about certificates: what ends soon must be issued anew in time.

use std::time::Duration;

use i247_model::Party;

use super::facts::Validity;
use super::line::Value;
use super::{Facts, Line, Phrase, Rule, Severity, Wrong};

/// Of a hundred parts of its life so many must be left.
const LEFT_PERCENT: u128 = 25;

/// What a rule says of a bureau's certificate, of the hub's, and of somebody else's.
struct Phrases {
    bureau: Phrase,
    hub: Phrase,
    person: Phrase,
}

const ENDS: Phrases = Phrases {
    bureau: Phrase::new("bureau", "the {purpose} certificate of {party} ends in {time}"),
    hub: Phrase::new("hub", "the {purpose} certificate of the hub ends in {time}"),
    person: Phrase::new("person", "the {purpose} certificate of {identity} ends in {time}"),
};

const ENDED: Phrases = Phrases {
    bureau: Phrase::new("bureau", "the {purpose} certificate of {party} has ended"),
    hub: Phrase::new("hub", "the {purpose} certificate of the hub has ended"),
    person: Phrase::new("person", "the {purpose} certificate of {identity} has ended"),
};

const OTHERS: Phrase = Phrase::new("others", ", and of {count} others");

pub(super) const RULES: [Rule; 2] = [
    Rule {
        name: "certificate_ends",
        severity: Severity::Warning,
        about: "less than a quarter of a certificate's life is left",
        next_step: "have it issued anew: i247 authority issue REQUEST; the node takes it up by itself",
        phrases: &[ENDS.bureau, ENDS.hub, ENDS.person, OTHERS],
        look: certificate_ends,
    },
    Rule {
        name: "certificate_ended",
        severity: Severity::Critical,
        about: "a certificate has ended: its owner can neither connect nor sign",
        next_step: "have it issued anew now: i247 authority issue REQUEST",
        phrases: &[ENDED.bureau, ENDED.hub, ENDED.person, OTHERS],
        look: certificate_ended,
    },
];

fn certificate_ends(facts: &Facts) -> Vec<Wrong> {
    all(facts, &ENDS, |left, life| {
        (!left.is_zero() && left.as_millis() * 100 < life.as_millis() * LEFT_PERCENT).then_some(left)
    })
}

fn certificate_ended(facts: &Facts) -> Vec<Wrong> {
    all(facts, &ENDED, |left, _| left.is_zero().then_some(left))
}

/// Every certificate that is wrong by what is left of it and how long it lives; what is left is told.
fn all(
    facts: &Facts,
    phrases: &Phrases,
    wrong: impl Fn(Duration, Duration) -> Option<Duration>,
) -> Vec<Wrong> {
    let look = |validity: &Validity| {
        let life = validity.not_after.since(validity.not_before);
        wrong(validity.not_after.since(facts.now), life)
    };
    let mut found = Vec::new();
    for (party, bureau) in &facts.bureaus {
        for (purpose, validity) in &bureau.certificates {
            let Some(left) = look(validity) else { continue };
            let line = phrases.bureau.with("purpose", Value::Purpose(purpose)).with("party", *party);
            found.push(about(Some(*party), line.with("time", left), purpose));
        }
    }
    for (purpose, validity) in &facts.hub.certificates {
        let Some(left) = look(validity) else { continue };
        let line = phrases.hub.with("purpose", Value::Purpose(purpose));
        found.push(about(Some(Party::Secretariat), line.with("time", left), purpose));
    }
    // One of each for all of them: the text names the first, the identities' page shows them all.
    let people: Vec<_> =
        facts.people.iter().filter_map(|(who, validity)| Some((who, look(validity)?))).collect();
    if let Some((who, left)) = people.first() {
        let line = phrases.person.with("purpose", Value::Purpose("signing"));
        let line = line.with("identity", who.to_string()).with("time", *left);
        let line = match people.len() as u64 {
            1 => line,
            count => line.and(OTHERS).with("count", count - 1),
        };
        found.push(about(None, line, "people"));
    }
    found
}

fn about(party: Option<Party>, line: Line, part: &'static str) -> Wrong {
    Wrong { party, message_id: None, line, part }
}
