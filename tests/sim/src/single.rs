//! One seed in this process: played, and its history kept when a promise was broken.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use crate::arguments::Arguments;
use crate::logs::Heard;
use crate::record::Shared;
use crate::run::{Outcome, run};

/// So many messages get a history of their own.
const KEPT: usize = 8;

/// Plays a seed. A panic of the product is a broken promise too.
pub(crate) fn play(seed: u64, asked: &Arguments, heard: &Heard) -> Outcome {
    let dir = std::env::temp_dir().join(format!("i247-sim-{}", std::process::id()));
    let record = Shared::default();
    // Whatever unwinds, the record holds what had happened.
    let play = AssertUnwindSafe(|| run(seed, &dir, asked.plant, heard, &record));
    let played = std::panic::catch_unwind(play);
    // Only there when certificates were renewed.
    drop(std::fs::remove_dir_all(&dir));
    let outcome = match played {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(fault)) => Outcome::broken_off(record.take(), &fault.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of an unknown kind");
            Outcome::broken_off(record.take(), &format!("panic: {text}"))
        }
    };
    if !outcome.violations.is_empty()
        && let Err(error) = keep(&asked.keep.join(seed.to_string()), &outcome)
    {
        println!("the history cannot be kept: {error}");
    }
    outcome
}

/// The whole history, and that of each message concerned.
fn keep(dir: &Path, outcome: &Outcome) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("history.txt"), outcome.history.join("\n"))?;
    let mut written = Vec::new();
    for broken in outcome.violations.iter().filter(|broken| !broken.message.is_empty()) {
        if written.contains(&&broken.message) || written.len() == KEPT {
            continue;
        }
        written.push(&broken.message);
        // What happened to the network, and to this message.
        let concerns = |line: &&String| line.contains('*') || names(line, &broken.message);
        let mut lines: Vec<&str> = outcome.history.iter().filter(concerns).map(String::as_str).collect();
        let said = broken.to_string();
        lines.push(&said);
        std::fs::write(dir.join(format!("{}.txt", broken.message.replace(' ', "-"))), lines.join("\n"))?;
    }
    Ok(())
}

/// Whether a line names a message: `FR-1-N-1` is not `FR-1-N-12`.
fn names(line: &str, message: &str) -> bool {
    line.split([' ', ':']).any(|word| word == message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_its_whole_id() {
        assert!(names("  1.000 FR-1-N-1 is taken: FR writes 3", "FR-1-N-1"));
        assert!(!names("  1.000 FR-1-N-12 is accepted", "FR-1-N-1"));
    }
}
