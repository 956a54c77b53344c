//! What many seeds must have met: every kind of fault, every state of a message, crashes in the middle of commits. It
//! keeps the simulation from growing kind unnoticed.

use std::collections::BTreeMap;

/// What is counted when it strikes or is reached.
const EXPECTED: &[&str] = &[
    "a country stands still",
    "a new epoch",
    "a read fails",
    "a sync fails",
    "a write fails",
    "all lines cut",
    "answer ANSWERED",
    "answer AWAITED",
    "answer ESCALATED",
    "answer INTERIM",
    "answer REFUSED",
    "answer REMINDED",
    "arrived beside a country that stands still",
    "attachment opened",
    "bit flipped at rest",
    "bit flips in reads",
    "bureau crash between commits",
    "bureau crash inside a commit",
    "bureau restored from an older copy",
    "certificate ends in mid-stream",
    "change of the directory entered again",
    "clock jump",
    "clock skew",
    "crash during recovery",
    "crash while the log is taken up",
    "damage refused",
    "ended by itself",
    "full disk",
    "full disk with a group decided behind it",
    "hold and release",
    "hub crash between commits",
    "hub crash inside a commit",
    "hub recovered under a new log id",
    "hub restored from an older copy",
    "latency spike",
    "long absence",
    "no room for a write",
    "one-way partition",
    "partition",
    "power loss",
    "process killed",
    "published",
    "reinstated",
    "revocation in mid-stream",
    "rush",
    "short transfers",
    "slow disk",
    "state ACTIONED",
    "state DELIVERED",
    "state EXPIRED",
    "state HELD",
    "state OPENED",
    "state QUEUED",
    "state REFUSED",
    "state WITHDRAWN",
    "stopped in order",
    "suspended",
    "unsynced writes lost, kept or torn",
    "written cancellation",
    "written withdrawal",
];

/// Of a hundred crashes so many must fall inside a commit.
const INSIDE_PERCENT: u64 = 30;

/// What is missing, in words; nothing when all was met.
pub(crate) fn missing(counts: &BTreeMap<String, u64>) -> Vec<String> {
    let count = |what: &str| counts.get(what).copied().unwrap_or_default();
    let mut missing: Vec<String> =
        EXPECTED.iter().filter(|what| count(what) == 0).map(|what| format!("never met: {what}")).collect();
    let inside = count("hub crash inside a commit") + count("bureau crash inside a commit");
    let crashes = inside + count("hub crash between commits") + count("bureau crash between commits");
    if inside * 100 < crashes * INSIDE_PERCENT {
        missing.push(format!("only {inside} of {crashes} crashes fell inside a commit"));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_met_is_named() {
        let mut counts: BTreeMap<String, u64> = EXPECTED.iter().map(|what| ((*what).to_owned(), 1)).collect();
        assert_eq!(missing(&counts), Vec::<String>::new());
        counts.remove("full disk");
        counts.insert("hub crash between commits".into(), 9);
        assert_eq!(missing(&counts), ["never met: full disk", "only 2 of 12 crashes fell inside a commit"]);
    }
}
