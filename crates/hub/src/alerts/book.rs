//! The book of alerts: since when each lasts, and what is over. Bounded on both sides.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use i247_model::{Party, Timestamp};
use i247_wire::pb;

use super::{Line, Severity};

/// At most so many last at once; what is beyond is only counted.
const LASTING_MAX: usize = 2_000;

/// So many that are over are remembered.
const CLEARED_MAX: usize = 500;

/// Something that a rule has found wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Alert {
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    /// What is wrong, in words and numbers.
    pub(crate) line: Line,
    /// Where to look: whom it is about, and a message that shows it.
    pub(crate) party: Option<Party>,
    pub(crate) message_id: Option<String>,
    /// What to do, with a command to begin with.
    pub(crate) next_step: String,
}

/// What tells alerts of one rule apart: whom they are about, and a part of it.
type Key = (&'static str, Option<Party>, &'static str);

/// The alerts.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lasting: BTreeMap<Key, Lasting>,
    /// The newest first.
    cleared: VecDeque<(Lasting, Timestamp)>,
}

#[derive(Clone, Debug)]
struct Lasting {
    alert: Alert,
    first_seen: Timestamp,
}

/// What lasts, in short.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) count: u32,
    pub(crate) worst: BTreeMap<Party, Severity>,
}

impl Book {
    /// Takes in all that is wrong at this moment, each with what tells it from others of its rule and party. What is
    /// not named any more is over.
    pub(crate) fn update(&self, now: Timestamp, found: Vec<(Alert, &'static str)>) {
        let mut kept = self.kept();
        let mut before = std::mem::take(&mut kept.lasting);
        for (alert, part) in found {
            let key = (alert.rule, alert.party, part);
            let first_seen = before.remove(&key).map_or(now, |lasting| lasting.first_seen);
            if first_seen == now && kept.lasting.len() < LASTING_MAX {
                tracing::warn!(
                    rule = alert.rule,
                    severity = alert.severity.as_str(),
                    text = %alert.line,
                    "alert"
                );
            }
            if kept.lasting.len() < LASTING_MAX {
                kept.lasting.insert(key, Lasting { alert, first_seen });
            }
        }
        for lasting in before.into_values() {
            tracing::info!(rule = lasting.alert.rule, text = %lasting.alert.line, "the alert is over");
            // It may have begun by a clock that was ahead and is right now.
            let ended = now.max(lasting.first_seen);
            kept.cleared.push_front((lasting, ended));
        }
        kept.cleared.truncate(CLEARED_MAX);
    }

    /// What lasts, in short.
    pub(crate) fn standing(&self) -> Standing {
        let kept = self.kept();
        let mut standing =
            Standing { count: u32::try_from(kept.lasting.len()).unwrap_or(u32::MAX), ..Standing::default() };
        for Lasting { alert, .. } in kept.lasting.values() {
            let Some(party) = alert.party else { continue };
            let worst = standing.worst.entry(party).or_insert(alert.severity);
            *worst = alert.severity.max(*worst);
        }
        standing
    }

    /// How many last, by rule and severity.
    pub(crate) fn counts(&self) -> BTreeMap<(&'static str, Severity), u64> {
        let mut counts = BTreeMap::new();
        for Lasting { alert, .. } in self.kept().lasting.values() {
            *counts.entry((alert.rule, alert.severity)).or_default() += 1;
        }
        counts
    }

    /// What lasts, the worst first, then the oldest; about one party only, if it is named. And what is over, if that is
    /// wanted.
    pub(crate) fn list(&self, about: Option<Party>, cleared: bool) -> Vec<pb::Alert> {
        let kept = self.kept();
        let fits = |lasting: &&Lasting| about.is_none() || lasting.alert.party == about;
        let mut lasting: Vec<&Lasting> = kept.lasting.values().filter(fits).collect();
        lasting.sort_by_key(|one| (std::cmp::Reverse(one.alert.severity), one.first_seen));
        let over = kept.cleared.iter().filter(|(one, _)| cleared && fits(&one));
        let lasting = lasting.into_iter().map(|one| one.wire(None));
        lasting.chain(over.map(|(one, at)| one.wire(Some(*at)))).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lasting {
    fn wire(&self, cleared: Option<Timestamp>) -> pb::Alert {
        let Alert { rule, severity, line, party, message_id, next_step } = self.alert.clone();
        pb::Alert {
            rule: rule.into(),
            severity: severity.wire().into(),
            text: line.to_string(),
            phrases: line.wire(),
            party: party.map(|party| party.to_string()).unwrap_or_default(),
            message_id: message_id.unwrap_or_default(),
            first_seen_ms: self.first_seen.as_millis(),
            cleared_at_ms: cleared.map_or(0, Timestamp::as_millis),
            next_step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Phrase;
    use super::*;

    fn alert(rule: &'static str, party: &str, severity: Severity) -> (Alert, &'static str) {
        let party = Some(party.parse().unwrap());
        let (line, next_step) = (Phrase::new("wrong", "wrong").into(), "look".into());
        (Alert { rule, severity, line, party, message_id: None, next_step }, "")
    }

    #[test]
    fn what_began_by_a_clock_that_was_ahead_does_not_end_before_it_began() {
        let book = Book::default();
        book.update(at(500), vec![alert("hub_clock_astray", "FR", Severity::Critical)]);
        book.update(at(300), Vec::new());
        let over = book.list(None, true).pop().unwrap();
        assert_eq!((over.first_seen_ms, over.cleared_at_ms), (500_000, 500_000));
    }

    fn at(s: u64) -> Timestamp {
        Timestamp::from_millis(s * 1000)
    }

    #[test]
    fn what_lasts_keeps_its_beginning_and_what_is_over_its_end() {
        let book = Book::default();
        let (one, two) =
            (alert("link_down", "FR", Severity::Warning), alert("clock_skew", "FR", Severity::Critical));
        book.update(at(10), vec![one.clone()]);
        book.update(at(20), vec![one, two.clone()]);
        let listed: Vec<(String, u64)> =
            book.list(None, false).into_iter().map(|alert| (alert.rule, alert.first_seen_ms)).collect();
        assert_eq!(listed, [("clock_skew".into(), 20_000), ("link_down".into(), 10_000)]);
        assert_eq!(book.standing().worst["FR".parse().as_ref().unwrap()], Severity::Critical);
        assert!(book.list(Some("BR".parse().unwrap()), true).is_empty());
        book.update(at(30), vec![two]);
        let over = book.list(None, true).pop().unwrap();
        assert_eq!(
            (over.rule.as_str(), over.first_seen_ms, over.cleared_at_ms),
            ("link_down", 10_000, 30_000)
        );
        assert_eq!((book.standing().count, book.list(None, false).len()), (1, 1));
    }
}
