//! Files of records: CSV and JSON Lines in, row by row, and CSV out. It reads any stream of lines and unpacks none.
//!
//! ```text
//!  lines (≤ 64 KiB each) ──► cells in the order of the columns ──► Record, or every fault of the row
//! ```
//!
//! A row that is wrong is handed over with its line and every reason; the rows around it are not affected. Only an error
//! of the stream itself ends the reading.
//!
//! # Files
//!
//! UTF-8, with or without a mark at the beginning. CSV: commas, quotation marks doubled inside quotation marks, the first
//! line names the columns, in any order; columns that are not there count as empty. JSON Lines: one object a line, whose
//! members are the columns. A list is an array in JSON, and one cell with `;` between its entries in CSV, where `\;` and
//! `\\` stand for themselves. Dates are `YYYY-MM-DD`, countries of documents and places ICAO codes (`FRA`, `D`, `UTO`),
//! `yes` or `no` answers a question, pictures are the SHA-256 of their attachment in hexadecimal digits.
//!
//! The owner is never a column: it is whoever loads. Every file may have
//!
//! | column | |
//! |---|---|
//! | `reference` | the owner's own reference; must be there but in `sltd`, `tdawn` and `sad`, where the document names itself |
//! | `review_on` | the last day on which the record counts, when that is before the end of its retention |
//! | `except` | list of countries that must not see it (`FR;GB`) |
//! | `handling` | list of conditions on use |
//!
//! and these, of which those in bold must be filled in:
//!
//! | database | columns |
//! |---|---|
//! | `sltd` | **`number`**, **`issuing_country`**, **`document_type`** (`PASSPORT` …), **`fraud_type`** (`STOLEN_BLANK`, `STOLEN_BEARER`, `LOST_BEARER`, `REVOKED`, `INVALID`), `last_number` (of a range of blanks), `theft_country`, `issued_on`, `expires_on`, `stolen_on`, `information` |
//! | `tdawn` | follows from notices and is not loaded |
//! | `sad` | **`number`**, **`country`**, **`document_type`** (`REGISTRATION`, `IMPORT`, `EXPORT`, `DRIVING_LICENCE`, `OTHER`), `blank`, `stolen_on` |
//! | `nominal` | `entity_id`, `family_names`, `forenames`, `aliases` (one of these three; all lists), `birth_dates` (list; `1987-03-22`, `1987-03`, `1987`), `birth_places`, `nationalities`, `sex`, `parents`, `documents` (list of `PASSPORT/FRA/P1234567`), **`status`**, `cautions`, `notices`, `languages`, `description`, `marks` |
//! | `vehicles` | **`kind`**, `vin`, `engine_number`, `plate` and `plate_country`, `part_number` (one of these four), `make`, `model`, `colour`, `year`, `stolen_on`, `theft_country` |
//! | `vessels` | **`vessel_type`**, `hull_number`, `imo_number`, `name`, `engine_numbers` (one of these four), `flag`, `length_cm`, `stolen_on` |
//! | `art` | **`object_type`**, **`title`**, `author`, `period`, `material`, `height_mm`, `width_mm`, `depth_mm`, `images`, `stolen_on`, `place`, `public` |
//! | `iarms` | **`serial`**, **`make`**, `model`, `calibre`, `country_of_manufacture`, `import_mark`, **`status`** |
//! | `dial-doc` | **`country`**, **`document_type`**, `series`, **`forgery_kind`**, **`text`**, `genuine_images`, `false_images`, **`state`** |
//! | `edison` | **`country`**, **`document_type`**, `series`, `first_issued` (year), `features`, `images` |
//! | `dna`, `dna-missing` | **`subject_kind`**, **`loci`** (at least six, sorted: `D3S1358:15,17;TH01:6,9.3`) |
//! | `fingerprints`, `faces` | **`subject_kind`**, **`modality`**, **`vector`** (in hexadecimal digits: 128 bytes of a face, 256 of anything else), `quality` (1 to 100) |
//! | `icse`, `ifrt`, `ibin`, `cards`, `piracy` | **`title`**, **`codes`** (list), `attributes` (list of `name=value`, sorted by name) |
//!
//! A line `# line 7: why` is a [`note`] about the row below it, and is passed over.
//!
//! # Exports
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break for a formula. In what
//! [`csv_row`] writes, such a cell begins with `'`; what begins with `'` itself gets another one. Reading takes it off.

mod cells;
mod export;
mod lines;
mod manifest;

use std::io::{self, BufRead};

use i247_model::Party;

use crate::database::Database;
use crate::record::{Cell, Faults, Record};

use cells::Header;
pub use cells::HeaderError;
pub use export::{csv_header, csv_row, json_row};
use lines::{Line, Lines};
pub use manifest::{Manifest, Traveller, TravellerError, guarded_row};

/// Most bytes of a line, and of a row that goes over several lines.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// A row of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The line that it begins in, from 1.
    pub line: u64,
    /// The row as it stands in the file, without its last line break; empty when it is too long to be looked at.
    pub text: Vec<u8>,
    /// The record in it, or what is wrong.
    pub record: Result<Record, RowError>,
}

/// What is wrong with a row.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RowError {
    /// The line is too long to be looked at.
    #[error("more than 65536 bytes")]
    TooLong,
    /// Not UTF-8, whose first wrong byte stands here.
    #[error("not UTF-8 from byte {position} on: save the file as UTF-8")]
    Encoding {
        /// From 1, in the row.
        position: usize,
    },
    /// A quotation mark without its partner.
    #[error("a quotation mark has no partner: double it inside quotation marks")]
    Quote,
    /// More or fewer cells than the first line names columns.
    #[error("{found} cells where the first line names {expected} columns")]
    Cells {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The line is no JSON object of texts, numbers, yes-or-noes and lists of them.
    #[error("no flat JSON object: {0}")]
    Json(String),
    /// A member that is no column, or comes twice.
    #[error("{0}")]
    Column(HeaderError),
    /// Fields are wrong.
    #[error("{0}")]
    Fields(Faults),
}

/// The rows of a file, one after the other.
pub struct Import<R> {
    database: Database,
    owner: Party,
    lines: Lines<R>,
    header: Option<(Header, Vec<u8>)>,
}

impl<R: BufRead> Import<R> {
    /// A CSV file of `database`, loaded by `owner`. Reads the first line.
    ///
    /// # Errors
    /// When the first line does not name columns of the database, each once; when the stream fails.
    pub fn csv(database: Database, owner: Party, reader: R) -> Result<Self, ImportError> {
        let mut lines = Lines::new(reader);
        let first = match lines.next()? {
            Some((_, Line::Bytes(bytes))) => bytes,
            Some((_, Line::TooLong)) => return Err(HeaderError::TooLong.into()),
            None => return Err(HeaderError::Empty.into()),
        };
        let header = Header::read(database, &first)?;
        Ok(Self { database, owner, lines, header: Some((header, first)) })
    }

    /// A file of JSON Lines of `database`, loaded by `owner`.
    pub fn json_lines(database: Database, owner: Party, reader: R) -> Self {
        Self { database, owner, lines: Lines::new(reader), header: None }
    }

    /// The first line of a CSV file, as it stands there; none of JSON Lines.
    pub fn first_line(&self) -> Option<&[u8]> {
        self.header.as_ref().map(|(_, text)| text.as_slice())
    }

    /// The row that begins with this line, with its whole text.
    fn row(&mut self, first: Vec<u8>) -> io::Result<(Vec<u8>, Result<Record, RowError>)> {
        let (database, owner) = (self.database, self.owner);
        let record =
            |cells: Vec<Cell<'static>>| Record::from_row(database, owner, &cells).map_err(RowError::Fields);
        let Some((header, _)) = &mut self.header else {
            let read = cells::json_cells(self.database, &first).and_then(record);
            return Ok((first, read));
        };
        let mut rows = vec![first];
        let mut len = rows[0].len();
        let mut open = has_odd_quotes(&rows[0]);
        while open {
            match self.lines.next()? {
                Some((_, Line::Bytes(bytes))) if len + bytes.len() < MAX_LINE_BYTES => {
                    len += bytes.len() + 1;
                    open = !has_odd_quotes(&bytes);
                    rows.push(bytes);
                }
                Some((_, line)) => {
                    self.lines.put_back(line);
                    break;
                }
                None => break,
            }
        }
        let text = if rows.len() > 1 { rows.join(&b'\n') } else { std::mem::take(&mut rows[0]) };
        let record = if open { Err(RowError::Quote) } else { header.cells(&text).and_then(record) };
        // A stray quotation mark must not take the lines behind it along.
        if rows.len() > 1 && matches!(record, Err(RowError::Quote | RowError::Cells { .. })) {
            for line in rows.drain(1..).rev() {
                self.lines.put_back(Line::Bytes(line));
            }
            return Ok((rows.remove(0), Err(RowError::Quote)));
        }
        Ok((text, record))
    }
}

/// The rows that are neither empty nor a [`note`]. An error of the stream ends them.
impl<R: BufRead> Iterator for Import<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<io::Result<Row>> {
        loop {
            let (line, row) = match self.lines.next() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some((line, Line::TooLong))) => (line, Ok((Vec::new(), Err(RowError::TooLong)))),
                Ok(Some((_, Line::Bytes(bytes)))) if bytes.trim_ascii().is_empty() || is_note(&bytes) => {
                    continue;
                }
                Ok(Some((line, Line::Bytes(bytes)))) => (line, self.row(bytes)),
            };
            return Some(row.map(|(text, record)| Row { line, text, record }));
        }
    }
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The first line.
    #[error("line 1: {0}")]
    Header(#[from] HeaderError),
    /// The stream.
    #[error("the file cannot be read")]
    Stream(#[from] io::Error),
}

/// What a file of rows that were set aside says of the row below: which line it was, and what is wrong with it. Whoever
/// reads the file again passes over it.
pub fn note(line: u64, reason: &str) -> String {
    format!("{NOTE}{line}: {reason}")
}

/// How a note begins: as no row of a database's file does.
const NOTE: &str = "# line ";

fn is_note(line: &[u8]) -> bool {
    let rest = line.strip_prefix(NOTE.as_bytes());
    let end = rest.and_then(|rest| rest.iter().position(|byte| !byte.is_ascii_digit()));
    rest.zip(end).is_some_and(|(rest, end)| end > 0 && rest.get(end..end + 2) == Some(b": ".as_slice()))
}

fn has_odd_quotes(line: &[u8]) -> bool {
    line.iter().filter(|byte| **byte == b'"').count() % 2 == 1
}

#[cfg(test)]
mod tests;
