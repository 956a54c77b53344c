//! Where the program is that a test starts real processes of. It builds nothing.

use std::path::PathBuf;

/// The program `i247`, built beside this test; none, which is said, where it is not.
///
/// # Panics
/// Where it is not and `I247_REQUIRE` is `all`.
#[expect(clippy::print_stderr, reason = "the test harness shows it with --nocapture")]
pub fn program() -> Option<PathBuf> {
    // The test lies in target/debug/deps, the program in target/debug.
    let tests = std::env::current_exe().unwrap_or_default();
    let program = tests.parent().and_then(|deps| deps.parent()).unwrap_or(&tests).join("i247");
    if program.exists() {
        return Some(program);
    }
    let required = std::env::var("I247_REQUIRE").is_ok_and(|groups| groups == "all");
    assert!(!required, "{} is not built: cargo build -p i247-cli", program.display());
    eprintln!("NOT RUN: {} is not built; cargo build -p i247-cli builds it", program.display());
    None
}
