//! What a scenario says while it runs, and how one is described. All of the first is talk, on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use i247_model::CountryCode;
use i247_node::{Clock as _, SystemClock};
use i247_scenario::border::{BorderPlan, BorderProgress, Step, Told};

use crate::out;

/// How often a line is said where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

/// How often the moving line moves.
const MOVING_EVERY: Duration = Duration::from_millis(80);

/// Says how far a scenario is.
pub(super) struct Show {
    clock: SystemClock,
    terminal: bool,
    said: Duration,
    done: Option<Step>,
}

impl Show {
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { clock: SystemClock::new(), terminal, said: Duration::ZERO, done: None }
    }

    pub(super) fn opening(&self, name: &str, plan: &BorderPlan) {
        out::talk(&format!(
            "{name}: {} checks at {} posts, seed {}. A simulation; every traveller is invented.",
            plan.travellers.len(),
            plan.stations().len(),
            plan.seed,
        ));
    }

    pub(super) fn starting(&self, countries: &[CountryCode], processes: bool) {
        let how = if processes { "each as a process of its own" } else { "all in this process" };
        out::talk(&format!("Starting one hub and {} bureaus, {how}.", countries.len()));
    }

    pub(super) fn done(&self, count: usize, what: &str) {
        out::talk(&self.stamped(count, what));
    }

    pub(super) fn counting(&self) {
        out::talk("Counting from the journal of searches and the register of hits:\n");
    }

    fn stamped(&self, count: usize, what: &str) -> String {
        format!("{:>6.1} s {count:>6} {what}", self.clock.monotonic().as_secs_f64())
    }
}

impl BorderProgress for Show {
    fn reached(&mut self, step: Step, done: usize, of: usize) {
        let what = match step {
            Step::Checks => "documents checked",
            Step::Decisions => "hits decided and acted upon",
        };
        if done >= of {
            if self.done != Some(step) {
                self.done = Some(step);
                if self.terminal {
                    drop(write!(anstream::stderr().lock(), "\r\x1b[2K"));
                }
                self.done(done, what);
            }
            return;
        }
        // A hit more may come after all were decided.
        self.done = None;
        let now = self.clock.monotonic();
        let every = if self.terminal { MOVING_EVERY } else { PLAIN_EVERY };
        if now.saturating_sub(self.said) < every {
            return;
        }
        self.said = now;
        let line = self.stamped(done, &format!("of {of} {what}"));
        if self.terminal {
            let mut stderr = anstream::stderr().lock();
            drop(write!(stderr, "\r\x1b[2K{line}"));
            drop(stderr.flush());
        } else {
            out::talk(&format!("{line} …"));
        }
    }
}

/// One scenario in a list.
pub(super) fn described(told: &Told<'_>, summary: &str) -> String {
    let mut text = format!("{:<9} {}\n          {summary}\n", told.id, told.name);
    for seen in told.recorded {
        let figure = format!("{:?}", seen.figure).to_lowercase();
        text.push_str(&format!("          recorded: {figure} {} {}\n", seen.qualifier, seen.value));
    }
    for noted in told.noted {
        text.push_str(&format!("          published: {noted}\n"));
    }
    text
}
