//! Where words go: the table to standard output, what is going on to standard error.

use std::io::Write as _;

/// Prints a result. Whoever stopped reading wants no more.
pub(crate) fn data(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{}", text.trim_end()));
}

/// Says what is going on.
pub(crate) fn talk(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
