//! Rules about messages: what waits too long, and what is not answered.

use std::time::Duration;

use i247_model::{Lane, Party};
use i247_router::Standing;

use super::facts::Bureau;
use super::links::DOWN;
use super::{Facts, Phrase, Rule, Severity, Wrong};

/// How long a very urgent message may wait.
const VERY_URGENT_MS: u64 = 60_000;

/// How long a withdrawal may wait.
const WITHDRAWAL_MS: u64 = 3_600_000;

/// Within so much time a queue must be empty again, by lane.
const DRAIN_MS: [(Lane, u64); 4] = [
    (Lane::VeryUrgent, 60_000),
    (Lane::Urgent, 15 * 60_000),
    (Lane::Normal, 3_600_000),
    (Lane::Bulk, 24 * 3_600_000),
];

const WAITS: Phrase = Phrase::new("waits", "{id} has waited for {party} for {time}");
const DRAINS: Phrase =
    Phrase::new("drains", "{lane} messages for {party}: {count}, and the queue is empty in {time}");
const STUCK: Phrase = Phrase::new("stuck", "{lane} messages for {party}: {count}, and nothing moves");
const UNREACHED: Phrase = Phrase::new("unreached", "{id} has not reached {party} for {time}");
const OWES: Phrase = Phrase::new("owes", "answers that {party} owes and that are overdue: {count}");

pub(super) const RULES: [Rule; 4] = [
    Rule {
        name: "very_urgent_undelivered",
        severity: Severity::Critical,
        about: "a very urgent message has waited for its recipient for more than a minute",
        next_step: "call the bureau by telephone; then: i247 trace MESSAGE",
        phrases: &[WAITS],
        look: very_urgent_undelivered,
    },
    Rule {
        name: "drain_too_slow",
        severity: Severity::Warning,
        about: "at the rate of the last minute a queue of a connected bureau lasts longer than its lane allows",
        next_step: "see whether its link is slow or its disk is full: i247 tap --country COUNTRY",
        phrases: &[DRAINS, STUCK],
        look: drain_too_slow,
    },
    Rule {
        name: "withdrawal_unacknowledged",
        severity: Severity::Critical,
        about: "a withdrawal or cancellation has not reached a recipient for more than an hour",
        next_step: "tell the bureau by other means that the message does not hold; then: i247 trace MESSAGE",
        phrases: &[UNREACHED],
        look: withdrawal_unacknowledged,
    },
    Rule {
        name: "replies_overdue",
        severity: Severity::Notice,
        about: "a country owes answers whose time is over",
        next_step: "remind the bureau: it was reminded by the network already",
        phrases: &[OWES],
        look: replies_overdue,
    },
];

fn very_urgent_undelivered(facts: &Facts) -> Vec<Wrong> {
    let wrong = |(party, bureau): (&Party, &Bureau)| {
        let (id, since) = bureau.lanes[Lane::VeryUrgent.index()].oldest.clone()?;
        let waits = facts.now.as_millis().saturating_sub(since.as_millis());
        (waits > VERY_URGENT_MS && bureau.standing == Some(Standing::Active)).then(|| Wrong {
            party: Some(*party),
            line: WAITS
                .with("id", id.as_str())
                .with("party", *party)
                .with("time", Duration::from_millis(waits)),
            message_id: Some(id),
            part: "",
        })
    };
    facts.bureaus.iter().filter_map(wrong).collect()
}

/// Of those who are connected, or were a moment ago: one whose disk is full connects and is gone again. About the
/// others there is another rule.
fn drain_too_slow(facts: &Facts) -> Vec<Wrong> {
    let mut found = Vec::new();
    for (party, bureau) in facts.bureaus.iter().filter(|(_, bureau)| bureau.away(facts) <= DOWN) {
        for (lane, within) in DRAIN_MS {
            let queue = &bureau.lanes[lane.index()];
            let waits = queue
                .oldest
                .as_ref()
                .map_or(0, |(_, since)| facts.now.as_millis().saturating_sub(since.as_millis()));
            let slow = match queue.drain_ms {
                Some(drain) => drain > within,
                // Nothing moves: by how long it has not.
                None => queue.queued > 0 && waits > within,
            };
            if slow {
                let phrase = if queue.drain_ms.is_some() { DRAINS } else { STUCK };
                let line = phrase.with("lane", lane).with("party", *party);
                let line = line.with("count", u64::from(queue.queued));
                found.push(Wrong {
                    party: Some(*party),
                    message_id: queue.oldest.as_ref().map(|(id, _)| id.clone()),
                    line: match queue.drain_ms {
                        Some(drain) => line.with("time", Duration::from_millis(drain)),
                        None => line,
                    },
                    part: letter(lane),
                });
            }
        }
    }
    found
}

fn letter(lane: Lane) -> &'static str {
    match lane {
        Lane::VeryUrgent => "V",
        Lane::Urgent => "U",
        Lane::Normal => "N",
        Lane::Bulk => "B",
    }
}

/// Each party once: the oldest shows it.
fn withdrawal_unacknowledged(facts: &Facts) -> Vec<Wrong> {
    let mut found: Vec<Wrong> = Vec::new();
    for (since, id, party) in &facts.late.withdrawals {
        let waits = facts.now.as_millis().saturating_sub(since.as_millis());
        if waits > WITHDRAWAL_MS && !found.iter().any(|wrong| wrong.party == Some(*party)) {
            found.push(Wrong {
                party: Some(*party),
                message_id: Some(id.clone()),
                line: UNREACHED
                    .with("id", id.as_str())
                    .with("party", *party)
                    .with("time", Duration::from_millis(waits)),
                part: "",
            });
        }
    }
    found
}

fn replies_overdue(facts: &Facts) -> Vec<Wrong> {
    let mut by_debtor = std::collections::BTreeMap::<Party, u32>::new();
    for ((_, owes), count) in &facts.late.pairs {
        *by_debtor.entry(*owes).or_default() += count;
    }
    let wrong = |(party, count): (Party, u32)| Wrong {
        party: Some(party),
        message_id: None,
        line: OWES.with("party", party).with("count", u64::from(count)),
        part: "",
    };
    by_debtor.into_iter().map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use i247_model::Timestamp;

    use super::*;
    use crate::alerts::facts::LaneFacts;

    fn said(connected: bool, lane: Lane, queue: LaneFacts) -> Vec<String> {
        let mut bureau = Bureau { connected, standing: Some(Standing::Active), ..Bureau::default() };
        bureau.lanes[lane.index()] = queue;
        let now = Timestamp::from_millis(10_000_000);
        let bureaus = [("BR".parse().unwrap(), bureau)].into();
        let facts = Facts { now, bureaus, ..Facts::default() };
        drain_too_slow(&facts).into_iter().map(|wrong| wrong.line.to_string()).collect()
    }

    fn queue(queued: u32, waits_ms: u64, drain_ms: Option<u64>) -> LaneFacts {
        let since = Timestamp::from_millis(10_000_000 - waits_ms);
        LaneFacts { queued, oldest: Some(("FR-1-U-1".into(), since)), drain_ms }
    }

    #[test]
    fn a_queue_is_slow_when_it_lasts_longer_than_its_lane_allows() {
        let minutes = |minutes: u64| Some(minutes * 60_000);
        assert!(said(true, Lane::Urgent, queue(100, 1_000, minutes(15))).is_empty());
        assert_eq!(
            said(true, Lane::Urgent, queue(100, 1_000, minutes(16))),
            ["urgent messages for BR: 100, and the queue is empty in 16 min"]
        );
        assert!(said(true, Lane::Normal, queue(100, 1_000, minutes(16))).is_empty());
        assert!(
            said(false, Lane::Urgent, queue(100, 1_000, minutes(16))).is_empty(),
            "the link is down: another rule"
        );
        // Nothing moves: it counts how long it has not.
        assert!(said(true, Lane::Urgent, queue(1, 60_000, None)).is_empty());
        assert_eq!(
            said(true, Lane::Urgent, queue(1, 16 * 60_000, None)),
            ["urgent messages for BR: 1, and nothing moves"]
        );
    }
}
