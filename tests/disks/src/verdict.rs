//! How a run ended. It must not call a run good that found nothing because it looked at nothing.

use std::process::ExitCode;

/// The exit code of a run that cannot take place here, as test harnesses know it.
pub(crate) const CANNOT_RUN: u8 = 77;

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing was broken.
    Good,
    /// These promises were broken.
    Broken(Vec<String>),
    /// The test itself is worth nothing: its control did not fail.
    Invalid(String),
    /// Something that it needs is not here.
    CannotRun(String),
}

/// Tells how the run ended, and the exit code for it.
pub(crate) fn exit(ended: anyhow::Result<Verdict>) -> ExitCode {
    match ended {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Broken(found)) => {
            println!("BROKEN: {} findings", found.len());
            found.iter().take(20).for_each(|one| println!("  {one}"));
            ExitCode::FAILURE
        }
        Ok(Verdict::Invalid(why)) => {
            println!("INVALID: {why}");
            ExitCode::FAILURE
        }
        Ok(Verdict::CannotRun(why)) => {
            println!("NOT RUN: {why}");
            ExitCode::from(CANNOT_RUN)
        }
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
