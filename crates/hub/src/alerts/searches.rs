//! Rules about what posts have signed of their searches.

use std::collections::BTreeMap;

use i247_model::Party;
use i247_wire::pb::RollUpFinding;

use super::{Facts, Line, Phrase, Rule, Severity, Wrong};
use crate::audit::WrongRollUp;

const OTHER_NUMBER: Phrase = Phrase::new(
    "other_number",
    "post {post} of {party} has signed for {answered} searches from {first} to {last}, and the journal holds {counted}",
);
const OTHER_SEARCHES: Phrase = Phrase::new(
    "other_searches",
    "post {post} of {party} has signed for {answered} searches from {first} to {last}, and the journal holds others",
);
const FORGED: Phrase =
    Phrase::new("forged", "a roll-up came from post {post} of {party} that it has not signed");
const REPEATED: Phrase = Phrase::new(
    "repeated",
    "post {post} of {party} has signed for its searches {first} to {last} a second time, differently",
);
const LEFT_OUT: Phrase = Phrase::new(
    "left_out",
    "post {post} of {party} has signed for its searches {first} to {last}, and left out some before",
);
const OTHERS: Phrase = Phrase::new("others", "; and the same of other posts: {count}");

pub(super) const RULES: [Rule; 1] = [Rule {
    name: "roll_up_disagrees",
    severity: Severity::Warning,
    about: "what a post has signed of its searches is not what the hub counted, or the post has not signed it: for a day",
    next_step: "ask COUNTRY what its post asked; i247 ledger searches DATA, on a copy of the hub's data, names every roll-up \
                that is wrong and its place",
    phrases: &[OTHER_NUMBER, OTHER_SEARCHES, FORGED, REPEATED, LEFT_OUT, OTHERS],
    look: roll_up_disagrees,
}];

/// One for each country and finding; the newest stands for the others.
fn roll_up_disagrees(facts: &Facts) -> Vec<Wrong> {
    let mut found: BTreeMap<(Party, &'static str), Vec<&WrongRollUp>> = BTreeMap::new();
    for wrong in &facts.roll_ups {
        let Some(part) = part(wrong.finding) else { continue };
        found.entry((Party::Bureau(wrong.country), part)).or_default().push(wrong);
    }
    let told = |((party, part), wrong): ((Party, &'static str), Vec<&WrongRollUp>)| {
        let newest = wrong.iter().max_by_key(|wrong| wrong.at)?;
        let line = line(newest);
        let line = match wrong.len() as u64 {
            1 => line,
            count => line.and(OTHERS).with("count", count - 1),
        };
        Some(Wrong { party: Some(party), message_id: None, line, part })
    };
    found.into_iter().filter_map(told).collect()
}

fn part(finding: RollUpFinding) -> Option<&'static str> {
    Some(match finding {
        RollUpFinding::Differs => "differs",
        RollUpFinding::Forged => "forged",
        RollUpFinding::Repeated => "repeated",
        RollUpFinding::LeftOut => "left out",
        RollUpFinding::Agrees | RollUpFinding::Unspecified => return None,
    })
}

fn line(wrong: &WrongRollUp) -> Line {
    let WrongRollUp { country, post, said, counted, .. } = wrong;
    let phrase = match wrong.finding {
        RollUpFinding::Differs if said.answered == *counted => OTHER_SEARCHES,
        RollUpFinding::Differs => OTHER_NUMBER,
        RollUpFinding::Forged => FORGED,
        RollUpFinding::Repeated => REPEATED,
        _ => LEFT_OUT,
    };
    phrase
        .with("post", post.as_str())
        .with("party", Party::Bureau(*country))
        .with("answered", u64::from(said.answered))
        .with("first", said.first)
        .with("last", said.last)
        .with("counted", u64::from(*counted))
}
