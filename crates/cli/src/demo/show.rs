//! What the demonstration shows while it runs: a line that moves on a terminal, plain lines elsewhere. All of it is
//! talk, on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use i247_client::pb;
use i247_node::{Clock as _, SystemClock};
use i247_scenario::{Phase, Plan, Progress, trace_lines};
use i247_testkit::World;

use crate::out;

/// How often a line is said where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

/// How often the moving line moves.
const MOVING_EVERY: Duration = Duration::from_millis(80);

/// Shows how far the demonstration is.
pub(crate) struct Show {
    clock: SystemClock,
    terminal: bool,
    phase: Option<Phase>,
    said: Duration,
    done: Vec<Phase>,
}

impl Show {
    pub(crate) fn new() -> Self {
        Self {
            clock: SystemClock::new(),
            terminal: std::io::stderr().is_terminal(),
            phase: None,
            said: Duration::ZERO,
            done: Vec::new(),
        }
    }

    pub(crate) fn opening(&self, plan: &Plan, processes: bool) {
        let script = &plan.script;
        let seats: usize = script.seats.values().map(Vec::len).sum();
        out::talk(&format!(
            "{}: {} cases, {} countries, {seats} officers, seed {}. A simulation; every person is invented.",
            script.name,
            script.cases.len(),
            plan.policies.len(),
            script.seed
        ));
        let how = if processes { "each as a process of its own" } else { "all in this process" };
        out::talk(&format!(
            "Starting one hub and {} bureaus, {how}: keys, certificates, mutual TLS.",
            plan.policies.len()
        ));
    }

    pub(crate) fn started(&self, world: &World, processes: bool) {
        let what = if processes { "processes run" } else { "nodes run" };
        out::talk(&stamped(self.clock.monotonic(), world.countries().len() + 1, what));
    }

    pub(crate) fn counting(&mut self) {
        self.clear();
        out::talk("Counting from the ledger, the outboxes and the inboxes:\n");
    }

    fn clear(&self) {
        if self.terminal {
            drop(write!(anstream::stderr().lock(), "\r\x1b[2K"));
        }
    }

    fn moving(&self, text: &str) {
        let mut stderr = anstream::stderr().lock();
        drop(write!(stderr, "\r\x1b[2K{text}"));
        drop(stderr.flush());
    }
}

impl Progress for Show {
    fn reached(&mut self, phase: Phase, done: usize, of: usize) {
        let now = self.clock.monotonic();
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            self.said = now;
        }
        if done >= of {
            // Settling comes twice; once is enough to read.
            if !self.done.contains(&phase) {
                self.done.push(phase);
                self.clear();
                out::talk(&stamped(now, done, &phase.to_string()));
            }
            return;
        }
        let every = if self.terminal { MOVING_EVERY } else { PLAIN_EVERY };
        if now.saturating_sub(self.said) >= every {
            self.said = now;
            if self.terminal {
                self.moving(&stamped(now, done, &format!("of {of} {phase}")));
            } else {
                out::talk(&stamped(now, done, &format!("of {of} {phase} …")));
            }
        }
    }

    fn followed(&mut self, trace: &pb::TraceResponse) {
        self.clear();
        out::talk(&format!(
            "\nOne message, followed from submission to the last receipt:\n{}\n",
            trace_lines(trace).join("\n")
        ));
    }
}

/// What was real and what was not, in words.
pub(crate) fn simulated(plan: &Plan, processes: bool) -> String {
    let how = if processes { "processes of their own" } else { "one process" };
    let bureaus = plan.policies.len();
    format!(
        "\nWhat was simulated\n  \
         Real: the hub and {bureaus} bureaus ran in {how}, spoke gRPC over mutual TLS, signed every\n    \
         message, and wrote each to a log before acknowledging it. Every outcome was reported by a\n    \
         bureau that searched its own register under its own law.\n  \
         Invented: all persons, cases and registers. Which countries took part is not recorded; these\n    \
         were chosen.\n  \
         Played: officers and the reviewer are programs that use the same services as people, and\n    \
         three months are pressed into seconds.\n  \
         Not affiliated with INTERPOL."
    )
}

/// A line about what is done, behind the time since the beginning: the phases overlap.
fn stamped(since: Duration, count: usize, what: &str) -> String {
    format!("{:>6.1} s {count:>6} {what}", since.as_secs_f64())
}
