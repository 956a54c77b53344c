//! Rules about what posts have signed of their searches.

use std::collections::BTreeMap;

use i247_model::Party;
use i247_wire::pb::RollUpFinding;

use super::{Facts, Rule, Severity, Wrong};
use crate::audit::WrongRollUp;

pub(super) const RULES: [Rule; 1] = [Rule {
    name: "roll_up_disagrees",
    severity: Severity::Warning,
    about: "what a post has signed of its searches is not what the hub counted, or the post has not signed it: for a day",
    next_step: "ask COUNTRY what its post asked; i247 ledger searches DATA, on a copy of the hub's data, names every roll-up \
                that is wrong and its place",
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
        let others = match wrong.len() - 1 {
            0 => String::new(),
            others => format!("; and the same of other posts: {others}"),
        };
        let text = format!("{}{others}", words(newest));
        Some(Wrong { party: Some(party), message_id: None, text, part })
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

fn words(wrong: &WrongRollUp) -> String {
    let WrongRollUp { country, post, said, counted, .. } = wrong;
    let (first, last, answered) = (said.first, said.last, said.answered);
    let post = format!("post {post} of {country}");
    match wrong.finding {
        RollUpFinding::Differs if answered == *counted => {
            format!(
                "{post} has signed for {answered} searches from {first} to {last}, and the journal holds others"
            )
        }
        RollUpFinding::Differs => format!(
            "{post} has signed for {answered} searches from {first} to {last}, and the journal holds {counted}"
        ),
        RollUpFinding::Forged => format!("a roll-up came from {post} that it has not signed"),
        RollUpFinding::Repeated => {
            format!("{post} has signed for its searches {first} to {last} a second time, differently")
        }
        _ => format!("{post} has signed for its searches {first} to {last}, and left out some before"),
    }
}
