//! From a line to cells in the order of a database's columns. It knows no field.

use std::borrow::Cow;
use std::fmt;

use csv_core::{ReadRecordResult, Reader};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::RowError;
use super::export::unguard;
use crate::database::Database;
use crate::record::{Cell, Record};

/// Most columns that a file may have. More than any database has.
const MAX_COLUMNS: usize = 64;

/// What is wrong with the columns of a file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderError {
    /// Nothing at all.
    #[error("the file is empty: the first line names the columns")]
    Empty,
    /// The first line is too long to be one that names columns.
    #[error("more than 65536 bytes: the first line names the columns")]
    TooLong,
    /// Not UTF-8.
    #[error("not UTF-8: save the file as UTF-8")]
    Encoding,
    /// Not a column of this database.
    #[error("{name:?} is no column of {database}: there are {}", known.join(", "))]
    Unknown {
        /// What stands there, cut short.
        name: String,
        /// The database.
        database: Database,
        /// The columns that there are.
        known: Vec<&'static str>,
    },
    /// Nothing to ask for in a list of travellers.
    #[error("the first line names neither mrz nor number")]
    NoKey,
    /// The same column twice.
    #[error("the column {name} comes twice")]
    Twice {
        /// The column.
        name: &'static str,
    },
}

/// Which column each cell of a CSV row belongs to.
pub(super) struct Header {
    /// For each cell of a row, its place among the columns of the database.
    places: Vec<usize>,
    columns: usize,
    /// Kept, since making one costs more than many rows.
    reader: Box<Reader>,
}

impl Header {
    pub(super) fn read(database: Database, line: &[u8]) -> Result<Self, HeaderError> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let columns: Vec<&'static str> = Record::columns(database).collect();
        let mut places = Vec::new();
        let mut reader = Box::new(Reader::new());
        for name in split(&mut reader, line).map_err(|_| HeaderError::Encoding)? {
            let place = place(database, &columns, &name)?;
            if places.contains(&place) {
                return Err(HeaderError::Twice { name: columns[place] });
            }
            places.push(place);
        }
        Ok(Self { places, columns: columns.len(), reader })
    }

    /// The cells of a row in the order of the columns.
    pub(super) fn cells(&mut self, row: &[u8]) -> Result<Vec<Cell<'static>>, RowError> {
        let found = split(&mut self.reader, row)?;
        if found.len() != self.places.len() {
            return Err(RowError::Cells { found: found.len(), expected: self.places.len() });
        }
        let mut cells = vec![Cell::EMPTY; self.columns];
        for (text, place) in found.into_iter().zip(&self.places) {
            cells[*place] = Cell::Text(Cow::Owned(unguard(text)));
        }
        Ok(cells)
    }
}

fn place(database: Database, columns: &[&'static str], name: &str) -> Result<usize, HeaderError> {
    columns.iter().position(|column| column.eq_ignore_ascii_case(name.trim())).ok_or_else(|| {
        HeaderError::Unknown { name: name.chars().take(40).collect(), database, known: columns.to_vec() }
    })
}

/// The texts of a CSV row. At most as many as a file may have columns, and one more.
pub(super) fn split(reader: &mut Reader, row: &[u8]) -> Result<Vec<String>, RowError> {
    reader.reset();
    // What comes out is never longer than what goes in.
    let mut output = vec![0; row.len()];
    let mut ends = [0; MAX_COLUMNS + 1];
    let (result, used, _, mut count) = reader.read_record(row, &mut output, &mut ends);
    if matches!(result, ReadRecordResult::InputEmpty) {
        // The end of the row, which is the end of the input, is told by an empty read.
        let (_, _, _, last) = reader.read_record(&[], &mut [], &mut ends[count..]);
        count += last;
    }
    if count > MAX_COLUMNS || used < row.len() {
        return Err(RowError::Cells { found: count, expected: MAX_COLUMNS });
    }
    let text = std::str::from_utf8(row)
        .map_err(|error| RowError::Encoding { position: error.valid_up_to() + 1 })
        .and_then(|_| String::from_utf8(output).map_err(|_| RowError::Encoding { position: 1 }))?;
    let mut from = 0;
    let mut texts = Vec::with_capacity(count);
    for end in &ends[..count] {
        texts.push(text.get(from..*end).unwrap_or_default().to_owned());
        from = *end;
    }
    Ok(texts)
}

/// The cells of a JSON object in the order of the columns.
pub(super) fn json_cells(database: Database, line: &[u8]) -> Result<Vec<Cell<'static>>, RowError> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    std::str::from_utf8(line).map_err(|error| RowError::Encoding { position: error.valid_up_to() + 1 })?;
    let members: Members = serde_json::from_slice(line).map_err(|error| RowError::Json(error.to_string()))?;
    let columns: Vec<&'static str> = Record::columns(database).collect();
    let mut cells: Vec<Option<Cell<'static>>> = vec![None; columns.len()];
    for (name, value) in members.0 {
        let place = place(database, &columns, &name).map_err(RowError::Column)?;
        let cell = match value {
            Value::Array(values) => Cell::List(
                values
                    .into_iter()
                    .map(|value| text(value).map(Cow::Owned))
                    .collect::<Option<_>>()
                    .ok_or_else(nested)?,
            ),
            value => Cell::Text(Cow::Owned(text(value).ok_or_else(nested)?)),
        };
        if cells[place].replace(cell).is_some() {
            return Err(RowError::Column(HeaderError::Twice { name: columns[place] }));
        }
    }
    Ok(cells.into_iter().map(|cell| cell.unwrap_or(Cell::EMPTY)).collect())
}

fn nested() -> RowError {
    RowError::Json("an object or a list within a member".into())
}

/// A single value as text; none for what is not single.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(answer) => Some(if answer { "yes" } else { "no" }.into()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// The members of an object as they come, so that a name that comes twice is noticed.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
