//! Where words go: data to standard output, talk to standard error. Colours reach terminals only.

use std::io::Write as _;

use i247_model::MessageId;
use serde_json::{Value as Json, json};

use crate::session::Session;

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

/// Prints an answer: as JSON where that is wanted, in words otherwise.
pub(crate) fn answer<W: AsRef<str>>(
    session: &Session,
    as_json: impl FnOnce() -> Json,
    words: impl FnOnce() -> W,
) {
    if session.global.json {
        json(&as_json());
    } else {
        data(words().as_ref());
    }
}

/// Prints a list: as JSON where that is wanted, otherwise as a table, or, of none, what `nothing` says about it. Whether
/// there was a table.
pub(crate) fn list<T>(
    session: &Session,
    items: &[T],
    as_json: impl FnOnce() -> Json,
    nothing: &str,
    table: impl FnOnce() -> String,
) -> bool {
    if items.is_empty() && !session.global.json {
        talk(nothing);
        return false;
    }
    answer(session, as_json, table);
    !session.global.json
}

/// Prints the id of a message that was handed in, and what comes next.
pub(crate) fn sent(session: &Session, id: &MessageId, next: &str) {
    answer(session, || json!({ "id": id.to_string() }), || id.to_string());
    if !session.global.json {
        talk(next);
    }
}

/// Says something about it.
pub(crate) fn talk(text: &str) {
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}
