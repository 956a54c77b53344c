//! Where words go: data to standard output, talk to standard error. Colours reach terminals only.

use std::io::Write as _;

use serde_json::Value as Json;

/// Prints what was asked for. Whoever stopped reading (`| head`) wants no more, and no complaint.
pub(crate) fn data(text: &str) {
    drop(writeln!(anstream::stdout().lock(), "{}", text.trim_end()));
}

/// Prints JSON.
pub(crate) fn json(value: &Json) {
    data(&format!("{value:#}"));
}

/// Prints JSON on one line.
pub(crate) fn json_line(value: &Json) {
    data(&value.to_string());
}

/// Says something about it.
pub(crate) fn talk(text: &str) {
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}
