//! Rules about the hub itself.

use std::time::Duration;

use i247_ledger::disk::Room;

use super::facts::Hub;
use super::line::Value;
use super::{Facts, Line, Phrase, Rule, Severity, Wrong};
use crate::core::Behind;

/// So fast must 99 of 100 writes of the log be.
const APPEND: Duration = Duration::from_millis(50);

/// Of a hundred parts of the disk so many must be free.
const FREE_PERCENT: u64 = 20;

/// Of entries that cannot be read so many are named.
const ENTRIES_NAMED: usize = 8;

const FULL: Phrase = Phrase::new("full", "the disk of the log is full: nothing is accepted");
const PROVED: Phrase =
    Phrase::new("proved", "{party} holds this hub's receipt of entry {proved}, and the log ended at {end}");
const ENTRY: Phrase = Phrase::new("entry", "entry {entries} of the log cannot be read");
const ENTRIES: Phrase = Phrase::new("entries", "entries {entries} of the log cannot be read");
const BODY: Phrase =
    Phrase::new("body", "entry {entries} of the log cannot be read whole: the body is damaged");
const BODIES: Phrase =
    Phrase::new("bodies", "entries {entries} of the log cannot be read whole: their bodies are damaged");
const MORE: Phrase = Phrase::new("more", ", and {count} more");
const STUCK: Phrase = Phrase::new(
    "stuck",
    "the databases answer as of entry {position} and are {count} entries behind the log",
);
const SLOW: Phrase = Phrase::new("slow", "of the last writes of the log one in a hundred took {time}");
const LOW: Phrase = Phrase::new("low", "{percent} of the disk of the log is free: {bytes}");
const ASTRAY: Phrase = Phrase::new("astray", "the hub's wall clock is not believed");

pub(super) const RULES: [Rule; 7] = [
    Rule {
        name: "hub_not_writable",
        severity: Severity::Critical,
        about: "there is no room for the log: nothing is accepted",
        next_step: "make room on the hub's disk; it goes on by itself",
        phrases: &[FULL],
        look: |facts| one(facts.hub.full.then(|| FULL.into())),
    },
    Rule {
        name: "hub_behind",
        severity: Severity::Critical,
        about: "a bureau has proved that this hub is an older copy: nothing is accepted. Since the first proof, until the \
                hub is stopped: its log never comes up to what was proved",
        next_step: "stop it, and start the newest copy; where there is none: i247 hub recover",
        phrases: &[PROVED],
        look: |facts| one(facts.hub.behind.map(proved)),
    },
    Rule {
        name: "log_unreadable",
        severity: Severity::Critical,
        about: "entries of the log cannot be read, and who should get them waits for them; or bodies, and their messages \
                go without. Since somebody first asked for one in vain, until each of them was read again: the hub tries \
                twice a minute",
        next_step: "restore the log from a copy: i247 ledger check DATA says what is wrong where",
        phrases: &[ENTRY, ENTRIES, BODY, BODIES, MORE],
        look: log_unreadable,
    },
    Rule {
        name: "databases_behind",
        severity: Severity::Critical,
        about: "the databases cannot follow the log: what is searched for is answered as of an earlier entry. Since the \
                first attempt that failed, until one succeeds: the hub tries every five seconds",
        next_step: "the log of the hub says why; i247 ledger check DATA says what is wrong where",
        phrases: &[STUCK],
        look: |facts| {
            let line = |(position, count)| STUCK.with("position", position).with("count", count);
            one(facts.hub.databases_stuck.map(line))
        },
    },
    Rule {
        name: "log_append_slow",
        severity: Severity::Warning,
        about: "one of a hundred writes of the log takes more than 50 ms",
        next_step: "see what else uses the disk of the log",
        phrases: &[SLOW],
        look: log_append_slow,
    },
    Rule {
        name: "disk_low",
        severity: Severity::Warning,
        about: "less than a fifth of the disk of the log is free",
        next_step: "make room before it is full: a full hub accepts nothing",
        phrases: &[LOW],
        look: disk_low,
    },
    Rule {
        name: "hub_clock_astray",
        severity: Severity::Critical,
        about: "the hub's clock went back or leapt ahead, and is not believed",
        next_step: "set the hub's clock right; until then stamps go on with monotonic time",
        phrases: &[ASTRAY],
        look: |facts| one(facts.hub.astray.then(|| ASTRAY.into())),
    },
];

fn proved(Behind { party, proved, end }: Behind) -> Line {
    PROVED.with("party", party).with("proved", proved).with("end", end)
}

fn log_append_slow(facts: &Facts) -> Vec<Wrong> {
    one(facts.hub.append_p99.filter(|p99| *p99 > APPEND).map(|p99| SLOW.with("time", p99)))
}

fn disk_low(facts: &Facts) -> Vec<Wrong> {
    let low =
        facts.hub.room.filter(|room| room.free.saturating_mul(100) < room.total.saturating_mul(FREE_PERCENT));
    let line = |room: Room| {
        let percent = room.free.saturating_mul(100) / room.total.max(1);
        LOW.with("percent", Value::Percent(percent)).with("bytes", Value::Bytes(room.free))
    };
    one(low.map(line))
}

/// Entries and bodies are two alerts: either may be over before the other is.
fn log_unreadable(facts: &Facts) -> Vec<Wrong> {
    let Hub { unreadable, bodies, .. } = &facts.hub;
    let mut wrong = one(entries(unreadable, ENTRY, ENTRIES));
    let damaged = one(entries(bodies, BODY, BODIES));
    wrong.extend(damaged.into_iter().map(|wrong| Wrong { part: "bodies", ..wrong }));
    wrong
}

/// What is wrong with entries, of which some are named.
fn entries(positions: &[u64], single: Phrase, several: Phrase) -> Option<Line> {
    let (named, others) = positions.split_at(positions.len().min(ENTRIES_NAMED));
    let text: Vec<String> = named.iter().map(u64::to_string).collect();
    let phrase = if positions.len() == 1 { single } else { several };
    let line = phrase.with("entries", text.join(", "));
    let line = if others.is_empty() { line } else { line.and(MORE).with("count", others.len() as u64) };
    (!named.is_empty()).then_some(line)
}

fn one(line: Option<Line>) -> Vec<Wrong> {
    line.map(|line| Wrong { party: None, message_id: None, line, part: "" }).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_writes_a_disk_that_fills_up_and_a_wrong_clock_are_said_and_nothing_else() {
        let ms = Duration::from_millis;
        let named = |hub: Hub| -> Vec<&'static str> {
            let facts = Facts { hub, ..Facts::default() };
            RULES.iter().filter(|rule| !(rule.look)(&facts).is_empty()).map(|rule| rule.name).collect()
        };
        let room = |free| Some(Room { free, total: 100 });
        let well = Hub { append_p99: Some(ms(50)), room: room(20), ..Hub::default() };
        assert!(named(well.clone()).is_empty());
        assert_eq!(named(Hub { append_p99: Some(ms(51)), ..well.clone() }), ["log_append_slow"]);
        assert_eq!(named(Hub { room: room(19), ..well.clone() }), ["disk_low"]);
        assert_eq!(named(Hub { astray: true, ..well.clone() }), ["hub_clock_astray"]);
        let behind = Some(Behind { party: "BR".parse().unwrap(), proved: 912, end: 871 });
        assert_eq!(named(Hub { behind, ..well.clone() }), ["hub_behind"]);
        assert_eq!(named(Hub { unreadable: vec![7], ..well.clone() }), ["log_unreadable"]);
        assert_eq!(named(Hub { bodies: vec![7], ..well.clone() }), ["log_unreadable"]);
        assert_eq!(named(Hub { databases_stuck: Some((871, 41)), ..well }), ["databases_behind"]);
    }

    #[test]
    fn who_proved_what_and_which_entries_are_said_in_a_line() {
        let said = |name: &str, hub: Hub| {
            let facts = Facts { hub, ..Facts::default() };
            let rule = RULES.iter().find(|rule| rule.name == name).unwrap();
            (rule.look)(&facts).pop().unwrap().line.to_string()
        };
        let behind = Some(Behind { party: "BR".parse().unwrap(), proved: 912, end: 871 });
        assert_eq!(
            said("hub_behind", Hub { behind, ..Hub::default() }),
            "BR holds this hub's receipt of entry 912, and the log ended at 871"
        );
        assert_eq!(
            said("databases_behind", Hub { databases_stuck: Some((871, 41)), ..Hub::default() }),
            "the databases answer as of entry 871 and are 41 entries behind the log"
        );
        for (unreadable, text) in [
            (vec![7], "entry 7 of the log cannot be read"),
            (vec![7, 9], "entries 7, 9 of the log cannot be read"),
            ((1..=1024).collect(), "entries 1, 2, 3, 4, 5, 6, 7, 8 of the log cannot be read, and 1016 more"),
        ] {
            assert_eq!(said("log_unreadable", Hub { unreadable, ..Hub::default() }), text);
        }
        let bodies = Hub { unreadable: vec![7], bodies: vec![9], ..Hub::default() };
        assert_eq!(
            said("log_unreadable", bodies),
            "entry 9 of the log cannot be read whole: the body is damaged"
        );
    }
}
