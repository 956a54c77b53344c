//! A list of travellers, such as the manifest of a flight: rows of CSV in, keys to ask for out; and answers as rows that
//! no spreadsheet takes for formulas.
//!
//! The first line names the columns: `mrz`, or `number` with `issuing_country` and `document_type` (`PASSPORT` when it
//! is empty). `name` is whatever the reader knows a row by. Other columns are passed over.

use std::io::{self, BufRead};

use i247_wire::pb;
use i247_wire::pb::search_key::Key;

use super::cells::{HeaderError, split};
use super::export::{guard, push_quoted, unguard};
use super::lines::{Line, Lines};
use super::{ImportError, RowError};
use crate::document::DocumentType;
use crate::record::value::Field;
use crate::text::TextError;

/// The columns that are read, in the order of [`Manifest::places`].
const COLUMNS: [&str; 5] = ["name", "mrz", "number", "issuing_country", "document_type"];

/// A row of a manifest.
#[derive(Clone, PartialEq, Debug)]
pub struct Traveller {
    /// The line that it stands in, from 1.
    pub line: u64,
    /// What the row calls itself; empty when it does not.
    pub name: String,
    /// What to ask for, or what is wrong with the row.
    pub key: Result<pb::SearchKey, TravellerError>,
}

/// What is wrong with a row.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TravellerError {
    /// Its cells.
    #[error("{0}")]
    Row(#[from] RowError),
    /// It has neither a zone nor a number.
    #[error("neither mrz nor number is filled in")]
    Nothing,
    /// The type of the document.
    #[error("document_type: {0}")]
    DocumentType(TextError),
}

/// The rows of a manifest, one after the other.
pub struct Manifest<R> {
    lines: Lines<R>,
    reader: Box<csv_core::Reader>,
    /// Where each of the columns stands in a row.
    places: [Option<usize>; 5],
    cells: usize,
}

impl<R: BufRead> Manifest<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// When it names neither `mrz` nor `number`, or a column twice; when the stream fails.
    pub fn new(reader: R) -> Result<Self, ImportError> {
        let mut lines = Lines::new(reader);
        let first = match lines.next()? {
            Some((_, Line::Bytes(bytes))) => bytes,
            Some((_, Line::TooLong)) => return Err(HeaderError::TooLong.into()),
            None => return Err(HeaderError::Empty.into()),
        };
        let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&first);
        let mut reader = Box::new(csv_core::Reader::new());
        let names = split(&mut reader, first).map_err(|_| HeaderError::Encoding)?;
        let mut places = [None; 5];
        for (at, name) in names.iter().enumerate() {
            let known = COLUMNS.iter().position(|column| column.eq_ignore_ascii_case(name.trim()));
            let Some(column) = known else { continue };
            if places[column].replace(at).is_some() {
                return Err(HeaderError::Twice { name: COLUMNS[column] }.into());
            }
        }
        if places[1].is_none() && places[2].is_none() {
            return Err(HeaderError::NoKey.into());
        }
        Ok(Self { lines, reader, places, cells: names.len() })
    }

    fn traveller(&mut self, line: u64, row: Result<&[u8], RowError>) -> Traveller {
        let cells = row.and_then(|row| split(&mut self.reader, row)).and_then(|cells| {
            let (found, expected) = (cells.len(), self.cells);
            if found == expected { Ok(cells) } else { Err(RowError::Cells { found, expected }) }
        });
        let cells = match cells {
            Ok(cells) => cells,
            Err(error) => return Traveller { line, name: String::new(), key: Err(error.into()) },
        };
        let cell = |column: usize| {
            let place = self.places[column].and_then(|at| cells.get(at));
            place.map(|text| unguard(text.trim().to_owned())).unwrap_or_default()
        };
        let [name, mrz, number, issuing_country, document_type] = [0, 1, 2, 3, 4].map(cell);
        let key = if !mrz.is_empty() {
            Ok(Key::Mrz(mrz))
        } else if number.is_empty() {
            Err(TravellerError::Nothing)
        } else {
            type_of(&document_type).map(|document_type| {
                let document_type = Field::to_wire(&document_type);
                Key::TravelDocument(pb::TravelDocumentKey { number, issuing_country, document_type })
            })
        };
        Traveller { line, name, key: key.map(|key| pb::SearchKey { key: Some(key) }) }
    }
}

/// The rows that are not empty. An error of the stream ends them.
impl<R: BufRead> Iterator for Manifest<R> {
    type Item = io::Result<Traveller>;

    fn next(&mut self) -> Option<io::Result<Traveller>> {
        loop {
            return Some(Ok(match self.lines.next() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some((line, Line::TooLong))) => self.traveller(line, Err(RowError::TooLong)),
                Ok(Some((_, Line::Bytes(bytes)))) if bytes.trim_ascii().is_empty() => continue,
                Ok(Some((line, Line::Bytes(bytes)))) => self.traveller(line, Ok(&bytes)),
            }));
        }
    }
}

/// A row of CSV with its line break, whatever stands in its cells.
pub fn guarded_row<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut row = String::new();
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            row.push(',');
        }
        push_quoted(&mut row, &guard(cell.to_owned()));
    }
    row.push('\n');
    row
}

fn type_of(text: &str) -> Result<DocumentType, TravellerError> {
    if text.is_empty() {
        return Ok(DocumentType::Passport);
    }
    text.parse().map_err(TravellerError::DocumentType)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Traveller> {
        Manifest::new(text.as_bytes()).unwrap().map(Result::unwrap).collect()
    }

    fn document(number: &str, country: &str, document_type: pb::TravelDocumentType) -> pb::SearchKey {
        let asked = pb::TravelDocumentKey {
            number: number.into(),
            issuing_country: country.into(),
            document_type: document_type.into(),
        };
        pb::SearchKey { key: Some(Key::TravelDocument(asked)) }
    }

    #[test]
    fn a_row_is_asked_for_by_its_zone_or_by_its_number() {
        let rows = read(
            "\u{feff}Seat,Number,issuing_country,document_type,mrz,name\r\n\
             12A,X4719T06M,UTO,,,MARLOWE\r\n\
             \r\n\
             12B,L1,D,id card,,\"NYE, IRIS\"\r\n\
             12C,,,,P<UTO… X4719…,\r\n",
        );
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4, 5]);
        assert_eq!(rows[0].key, Ok(document("X4719T06M", "UTO", pb::TravelDocumentType::Passport)));
        assert_eq!(rows[1].key, Ok(document("L1", "D", pb::TravelDocumentType::IdCard)));
        assert_eq!(rows[1].name, "NYE, IRIS");
        assert_eq!(rows[2].key, Ok(pb::SearchKey { key: Some(Key::Mrz("P<UTO… X4719…".into())) }));
    }

    #[test]
    fn a_row_that_is_wrong_is_named_and_the_others_are_not_affected() {
        let rows =
            read(&format!("number,document_type\n,\nP1,library card\nP1\n{}\nP2,VISA\n", "9".repeat(70_000)));
        assert_eq!(rows[0].key, Err(TravellerError::Nothing));
        assert!(matches!(rows[1].key, Err(TravellerError::DocumentType(_))));
        assert_eq!(rows[2].key, Err(RowError::Cells { found: 1, expected: 2 }.into()));
        assert_eq!(rows[3].key, Err(RowError::TooLong.into()));
        assert_eq!((rows[4].line, rows[4].key.is_ok()), (6, true));
        for header in ["", "name,seat\n", "number,NUMBER\n", "\u{0}\n"] {
            assert!(Manifest::new(header.as_bytes()).is_err(), "{header:?}");
        }
    }

    #[test]
    fn no_cell_of_an_answer_is_a_formula() {
        let row = guarded_row(["=1+1", "@x", "plain", "-2", "a,b", "\t=", "'quoted"]);
        assert_eq!(row, "\"'=1+1\",\"'@x\",plain,\"'-2\",\"a,b\",\"'\t=\",\"''quoted\"\n");
    }
}
