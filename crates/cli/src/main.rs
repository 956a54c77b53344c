//! The `i247` program: the runtime, and the command in it. Everything else is in the library.

use std::process::ExitCode;
use std::time::Duration;

use i247_cli::Cli;

/// A hub allocates for every message on every core at once; the system's allocator costs it several times as much.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long work on the disk may still go on when the command is done.
const LAST_WORK: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let cli = match Cli::from_command_line() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Cli::no_runtime(&error),
    };
    let code = runtime.block_on(Box::pin(i247_cli::run(cli)));
    runtime.shutdown_timeout(LAST_WORK);
    code
}
