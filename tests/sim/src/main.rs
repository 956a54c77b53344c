//! Plays whole networks under simulated time, network and disks, each from one seed, and checks what was promised.
//!
//! `i247-sim --seeds 0..300` plays them, two at a time, and tells what happened; `--check-determinism 10` plays ten
//! seeds twice each, the second time in another process; `--ci` demands besides that every kind of fault has struck. A
//! seed that fails leaves its history and logs in a directory (`--keep`), and prints how to repeat it.

#![expect(clippy::print_stdout, reason = "a program that tells what it found")]

mod arguments;
mod check;
mod drafts;
mod expect;
mod faults;
mod handshake;
mod identities;
mod lines;
mod logs;
mod machine;
mod network;
mod officer;
mod plants;
mod record;
mod report;
mod run;
mod seams;
mod secretariat;
mod single;
mod stall;

use std::process::ExitCode;

use crate::arguments::{Arguments, USAGE, Work};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            println!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if !cfg!(tokio_unstable) {
        println!(
            "Built without --cfg tokio_unstable: a seed does not decide everything. `make sim` builds it with it."
        );
    }
    let heard = logs::start(arguments.log.as_deref());
    let good = match arguments.work {
        Work::Seeds => report::all(&arguments),
        Work::Twice => report::twice(&arguments),
        Work::Tell => {
            report::tell(&single::play(arguments.seeds.start, &arguments, &heard));
            true
        }
        Work::One => {
            let outcome = single::play(arguments.seeds.start, &arguments, &heard);
            outcome.history.iter().for_each(|line| println!("{line}"));
            report::tell(&outcome);
            outcome.violations.is_empty()
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
