//! Records as rows of files that [`Import`](super::Import) reads, and that no spreadsheet takes for formulas.

use serde_json::{Map, Value};

use crate::database::Database;
use crate::record::value::join;
use crate::record::{Cell, Record};

/// The first line of a CSV file of `database`, with its line break.
pub fn csv_header(database: Database) -> String {
    let columns: Vec<&str> = Record::columns(database).collect();
    columns.join(",") + "\n"
}

/// The row of a record in a CSV file, with its line break.
pub fn csv_row(record: &Record) -> String {
    let mut row = String::new();
    for (at, cell) in record.to_row().iter().enumerate() {
        if at > 0 {
            row.push(',');
        }
        let text = match cell {
            Cell::Text(text) => text.to_string(),
            Cell::List(entries) => join(entries.iter().map(AsRef::as_ref)),
        };
        push_quoted(&mut row, &guard(text));
    }
    row.push('\n');
    row
}

/// The row of a record in a file of JSON Lines, with its line break. What is empty is left out.
pub fn json_row(record: &Record) -> String {
    let mut object = Map::new();
    for (name, cell) in Record::columns(record.database()).zip(record.to_row()) {
        let value = match cell {
            Cell::Text(text) if text.is_empty() => continue,
            Cell::Text(text) => Value::String(text.into_owned()),
            Cell::List(entries) if entries.is_empty() => continue,
            Cell::List(entries) => {
                Value::Array(entries.into_iter().map(|text| Value::String(text.into_owned())).collect())
            }
        };
        object.insert(name.to_owned(), value);
    }
    Value::Object(object).to_string() + "\n"
}

pub(super) fn push_quoted(row: &mut String, text: &str) {
    if !text.contains(['"', ',', '\n', '\r', '\'', ';', '\t']) && text.trim() == text {
        row.push_str(text);
        return;
    }
    row.push('"');
    row.push_str(&text.replace('"', "\"\""));
    row.push('"');
}

/// What a spreadsheet looks at to tell a formula.
fn begins_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\''])
}

/// The text with a `'` in front where a spreadsheet would compute it.
pub(super) fn guard(text: String) -> String {
    if begins_formula(&text) { format!("'{text}") } else { text }
}

/// The text as it was before [`guard`].
pub(super) fn unguard(text: String) -> String {
    match text.strip_prefix('\'') {
        Some(rest) if begins_formula(rest) => rest.to_owned(),
        _ => text,
    }
}
