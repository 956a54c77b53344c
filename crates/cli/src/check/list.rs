//! A list of travellers: read from its file, and what came of each row told. It asks nobody.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

use i247_client::mind::OfflineAnswers;
use i247_client::pb;
use i247_records::import::{Manifest, Traveller, guarded_row};
use serde_json::{Value as Json, json};

use super::{code, is_found};
use crate::fail::{Exit, Fail};
use crate::mind;
use crate::out;
use crate::reflect::to_json;
use crate::render;
use crate::session::Session;

/// Most rows of a list of travellers.
const ROWS_MAX: usize = 100_000;

/// Tells what came of a list; `copy` is what copies said of its last frame.
pub(super) fn tell(
    (as_csv, session): (bool, &Session),
    travellers: &[Traveller],
    answers: Vec<Option<pb::KeyAnswer>>,
    copy: Option<&OfflineAnswers>,
) -> Result<ExitCode, Fail> {
    let rows: Vec<(&Traveller, Result<pb::KeyAnswer, String>)> = travellers
        .iter()
        .zip(answers)
        .map(|(traveller, answer)| (traveller, outcome(traveller, answer)))
        .collect();
    if session.global.json {
        let rows: Json = rows.iter().map(|(traveller, row)| row_json(traveller, row)).collect();
        match copy {
            None => out::json(&rows),
            Some(copy) => out::json(&json!({ "rows": rows, "copy": mind::as_of_json(copy) })),
        }
    } else if as_csv {
        out::data(&csv(&rows));
    } else {
        out::data(&render::manifest(&rows));
        if let Some(copy) = copy {
            out::data(&mind::as_of(copy));
        }
    }
    let told: Vec<pb::KeyAnswer> = rows.iter().filter_map(|(_, row)| row.as_ref().ok().cloned()).collect();
    if told.len() < rows.len() {
        return Err(not_asked(rows.len() - told.len(), rows.len(), &told));
    }
    Ok(code(&told))
}

/// Rows that could not be asked, of so many. What was found decides about the exit code all the same.
fn not_asked(wrong: usize, of: usize, told: &[pb::KeyAnswer]) -> Fail {
    let exit = if is_found(told) { Exit::Refused } else { Exit::Usage };
    let what = format!("{wrong} of {of} rows could not be asked");
    Fail { exit, ..Fail::usage(what, "mend the rows that are named and ask for them again") }
}

pub(super) fn read(path: &Path) -> Result<Vec<Traveller>, Fail> {
    let next = "name a CSV file whose first line names mrz, or number and issuing_country";
    let unreadable = |error: &dyn std::error::Error| Fail::because(path.display().to_string(), error, next);
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let rows = Manifest::new(BufReader::new(file)).map_err(|error| unreadable(&error))?;
    let mut travellers = Vec::new();
    for row in rows {
        if travellers.len() == ROWS_MAX {
            let what = format!("{}: more than {ROWS_MAX} rows", path.display());
            return Err(Fail::usage(what, "ask for a part of them at a time"));
        }
        travellers.push(row.map_err(|error| unreadable(&error))?);
    }
    Ok(travellers)
}

/// What came of a row: its answer, or why there is none.
fn outcome(traveller: &Traveller, answer: Option<pb::KeyAnswer>) -> Result<pb::KeyAnswer, String> {
    if let Err(error) = &traveller.key {
        return Err(error.to_string());
    }
    let answer = answer.ok_or("no answer came")?;
    match &answer.refusal {
        Some(refusal) => Err(format!("{}: {}", refusal.reason, refusal.fields.join("; "))),
        None => Ok(answer),
    }
}

fn row_json(traveller: &Traveller, row: &Result<pb::KeyAnswer, String>) -> Json {
    let answer = match row {
        Ok(answer) => to_json("KeyAnswer", answer),
        Err(wrong) => json!({ "wrong": wrong }),
    };
    json!({ "line": traveller.line, "name": traveller.name, "answer": answer })
}

fn csv(rows: &[(&Traveller, Result<pb::KeyAnswer, String>)]) -> String {
    let mut text = guarded_row(["line", "name", "result", "database", "record", "owner", "remark"]);
    for (traveller, row) in rows {
        let line = traveller.line.to_string();
        let (result, found, remark) = match row {
            Ok(answer) => (render::word(answer.result()), answer.found.as_slice(), answer.next_step.as_str()),
            Err(wrong) => ("not asked", [].as_slice(), wrong.as_str()),
        };
        let first = [line.as_str(), traveller.name.as_str(), result];
        if found.is_empty() {
            text.push_str(&guarded_row(first.into_iter().chain(["", "", "", remark])));
        }
        for one in found {
            let database = render::database(one.database());
            let rest = [database, one.name.as_str(), one.owner.as_str(), remark];
            text.push_str(&guarded_row(first.into_iter().chain(rest)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_could_not_be_asked_hide_nothing_that_was_found() {
        let answer = |result: pb::SearchResult| pb::KeyAnswer { result: result.into(), ..Default::default() };
        let nothing = [answer(pb::SearchResult::NoRecord)];
        let possible = [answer(pb::SearchResult::NoRecord), answer(pb::SearchResult::Possible)];
        assert_eq!(not_asked(1, 2, &nothing).exit as u8, 2);
        let fail = not_asked(2, 4, &possible);
        assert_eq!(fail.exit as u8, 1, "as if all rows had been asked");
        assert_eq!(fail.what, "2 of 4 rows could not be asked");
    }
}
