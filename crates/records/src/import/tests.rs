//! Stories of files: good ones, wrong ones, hostile ones.

use super::*;

const HEADER: &str = "number,issuing_country,document_type,fraud_type,stolen_on,information\n";

fn owner() -> Party {
    "FR".parse().unwrap()
}

fn csv(file: &[u8]) -> Vec<Row> {
    Import::csv(Database::Sltd, owner(), file).unwrap().map(Result::unwrap).collect()
}

fn json(file: &str) -> Vec<Row> {
    Import::json_lines(Database::Sltd, owner(), file.as_bytes()).map(Result::unwrap).collect()
}

fn header_error(file: &[u8]) -> String {
    Import::csv(Database::Sltd, owner(), file).err().unwrap().to_string()
}

/// Line and name, or line and fault.
fn told(rows: &[Row]) -> Vec<(u64, String)> {
    let text = |row: &Row| match &row.record {
        Ok(record) => record.name().to_string(),
        Err(error) => error.to_string(),
    };
    rows.iter().map(|row| (row.line, text(row))).collect()
}

fn told_csv(rows: &str) -> Vec<(u64, String)> {
    told(&csv(format!("{HEADER}{rows}").as_bytes()))
}

#[test]
fn good_rows_are_loaded_and_bad_ones_named_with_line_and_reason() {
    let rows = told_csv(
        "P1,FRA,PASSPORT,REVOKED,,\n\
         ,FRA,PASSPORT,REVOKED,,\n\
         \n\
         P2,FRA,PASSPORT,REVOKED,2026-13-01,\n\
         P3,FRA,PASSPORT\n\
         P4,FRA,VISA,REVOKED,,\"a, \"\"b\"\"\"\r\n\
         P5,FRA,VISA,REVOKED,,",
    );
    assert_eq!(
        rows,
        [
            (2, "FRA/PASSPORT/P1".into()),
            (3, "number is missing".into()),
            (5, "stolen_on \"2026-13-01\" is not a date YYYY-MM-DD between 1000 and 9999".into()),
            (6, "3 cells where the first line names 6 columns".into()),
            (7, "FRA/VISA/P4".into()),
            (8, "FRA/VISA/P5".into()),
        ]
    );
}

#[test]
fn columns_come_in_any_order_and_in_any_case() {
    let file = "\u{feff}Fraud_Type, NUMBER ,document_type,issuing_country\nREVOKED,P1,PASSPORT,FRA\n";
    assert_eq!(told(&csv(file.as_bytes())), [(2, "FRA/PASSPORT/P1".into())]);
}

#[test]
fn the_first_line_must_name_columns() {
    assert_eq!(header_error(b""), "line 1: the file is empty: the first line names the columns");
    assert!(
        header_error(b"number;issuing_country\n")
            .starts_with("line 1: \"number;issuing_country\" is no column of sltd: there are reference, ")
    );
    assert_eq!(header_error(b"number,Number\n"), "line 1: the column number comes twice");
    assert_eq!(header_error(b"owner\n").split(':').nth(1).unwrap(), " \"owner\" is no column of sltd");
    assert_eq!(header_error(b"\xff\xfen\0u\0m\0"), "line 1: not UTF-8: save the file as UTF-8");
    assert_eq!(
        header_error(&vec![b'a'; 70_000]),
        "line 1: more than 65536 bytes: the first line names the columns"
    );
}

#[test]
fn a_huge_line_is_skipped_and_the_next_one_is_read() {
    let rows =
        told_csv(&format!("P1,{}\nP2,FRA,VISA,REVOKED,,\n{}", "x".repeat(1_000_000), "y".repeat(70_000)));
    assert_eq!(
        rows,
        [(2, "more than 65536 bytes".into()), (3, "FRA/VISA/P2".into()), (4, "more than 65536 bytes".into()),]
    );
}

#[test]
fn wrong_encoding_is_named_by_row() {
    let mut file = HEADER.as_bytes().to_vec();
    file.extend(b"P1,FRA,VISA,REVOKED,,caf\xe9\nP2,FRA,VISA,REVOKED,,caf\xc3\xa9\n");
    assert_eq!(
        told(&csv(&file)),
        [(2, "not UTF-8 from byte 25 on: save the file as UTF-8".into()), (3, "FRA/VISA/P2".into())]
    );
}

#[test]
fn a_stray_quotation_mark_costs_its_own_line_only() {
    let quote = "a quotation mark has no partner: double it inside quotation marks";
    assert_eq!(
        told_csv("P1,FRA,VISA,REVOKED,,\"open\nP2,FRA,VISA,REVOKED,,\nP3,FRA,VISA,REVOKED,,\n"),
        [(2, quote.into()), (3, "FRA/VISA/P2".into()), (4, "FRA/VISA/P3".into())]
    );
    assert_eq!(
        told_csv(
            "P1,FRA,VISA,REVOKED,,5\" long\nP2,FRA,VISA,REVOKED,,\nP3,FRA,VISA,REVOKED,,5\" long\nP4,FRA,VISA,REVOKED,,\n"
        ),
        [(2, quote.into()), (3, "FRA/VISA/P2".into()), (4, quote.into()), (5, "FRA/VISA/P4".into())]
    );
}

#[test]
fn a_cell_may_go_over_lines() {
    let file = concat!(
        "reference,country,document_type,forgery_kind,text,state\n",
        "d1,UTO,PASSPORT,FORGED,\"one\ntwo\",SUBMITTED\n",
        "d2,UTO,PASSPORT,FORGED,three,SUBMITTED\n",
    );
    let rows: Vec<Row> =
        Import::csv(Database::DialDoc, owner(), file.as_bytes()).unwrap().map(Result::unwrap).collect();
    assert_eq!(told(&rows), [(2, "FR/d1".into()), (4, "FR/d2".into())]);
}

#[test]
fn json_lines_are_read_with_lists_and_numbers() {
    let rows = json(concat!(
        r#"{"number":"P1","issuing_country":"FRA","document_type":"VISA","fraud_type":"REVOKED","except":["GB","DE"]}"#,
        "\n\n",
        r#"{"number":1234,"issuing_country":"FRA","document_type":"VISA","fraud_type":"REVOKED","information":null}"#,
    ));
    assert_eq!(told(&rows), [(1, "FRA/VISA/P1".into()), (3, "FRA/VISA/1234".into())]);
    assert_eq!(rows[0].record.as_ref().unwrap().about().except.len(), 2);
}

#[test]
fn json_that_is_not_flat_or_not_json_is_refused_line_by_line() {
    let rows = told(&json(concat!(
        "{\"number\":\n",
        "[1]\n",
        "{\"number\":{\"a\":1}}\n",
        "{\"number\":\"P1\",\"number\":\"P2\"}\n",
        "{\"nummer\":\"P1\"}\n",
        "{\"number\":[\"P1\"],\"issuing_country\":\"FRA\",\"document_type\":\"VISA\",\"fraud_type\":\"REVOKED\"}\n",
    )));
    assert!(rows[0].1.starts_with("no flat JSON object: EOF"), "{rows:?}");
    assert!(rows[1].1.starts_with("no flat JSON object: invalid type"), "{rows:?}");
    assert_eq!(rows[2].1, "no flat JSON object: an object or a list within a member");
    assert_eq!(rows[3].1, "the column number comes twice");
    assert!(rows[4].1.starts_with("\"nummer\" is no column of sltd"), "{rows:?}");
    assert_eq!(rows[5].1, "number is a list where one value belongs");
    assert!(told(&json(&"[".repeat(10_000)))[0].1.starts_with("no flat JSON object"));
}

#[test]
fn an_export_holds_no_formula_and_is_read_as_it_was() {
    for information in
        ["=HYPERLINK(\"x\")", "+33 1", "-1", "@SUM(A1)", "'quoted", "'=x", "a;b", "a,\"b\"", "plain"]
    {
        let cells: Vec<Cell<'_>> =
            ["", "", "GB;DE", "", "P1", "FRA", "VISA", "REVOKED", "", "", "", "", "", information]
                .map(|text| Cell::Text(text.into()))
                .into();
        let record = Record::from_row(Database::Sltd, owner(), &cells).unwrap();
        let row = csv_row(&record);
        assert!(
            !row.contains(",=") && !row.contains(",\"=") && !row.contains(",+") && !row.contains(",@"),
            "{row}"
        );
        let file = csv_header(Database::Sltd) + &row;
        let read: Vec<_> = csv(file.as_bytes()).into_iter().map(|row| (row.line, row.record)).collect();
        assert_eq!(read, [(2, Ok(record.clone()))], "{row}");
        let read: Vec<_> = json(&json_row(&record)).into_iter().map(|row| (row.line, row.record)).collect();
        assert_eq!(read, [(1, Ok(record))], "{row}");
    }
}

#[test]
fn an_error_of_the_stream_is_told() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let reader = io::BufReader::new(io::Read::chain(HEADER.as_bytes(), Broken));
    let mut rows = Import::csv(Database::Sltd, owner(), reader).unwrap();
    assert!(rows.next().unwrap().is_err());
}

#[test]
fn rubbish_never_stops_the_reader() {
    let mut dice = 7_u64;
    for round in 0..200 {
        let mut file = HEADER.as_bytes().to_vec();
        for _ in 0..300 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let alphabet = b"P1,\"\n\r;'=\\{}[]:\xff\xc3\xa9A";
            file.push(alphabet[usize::try_from(dice >> 33).unwrap() % alphabet.len()]);
        }
        let last = csv(&file).last().map_or(0, |row| row.line);
        assert!(last <= 301, "round {round}");
        let file = String::from_utf8_lossy(&file);
        assert!(json(&file).len() <= 301, "round {round}");
    }
}

#[test]
fn rows_that_were_set_aside_are_read_again_with_their_notes() {
    let first = csv(format!("{HEADER}P1,FRA,PASSPORT\nP2,FRA,VISA,REVOKED,,\n\"P3,FRA\n").as_bytes());
    let mut again = HEADER.as_bytes().to_vec();
    for row in first.iter().filter(|row| row.record.is_err()) {
        again.extend(note(row.line, "one\" of them").into_bytes());
        again.push(b'\n');
        again.extend(&row.text);
        again.push(b'\n');
    }
    let rows = csv(&again);
    let texts: Vec<(u64, &[u8])> = rows.iter().map(|row| (row.line, row.text.as_slice())).collect();
    assert_eq!(texts, [(3, b"P1,FRA,PASSPORT".as_slice()), (5, b"\"P3,FRA")]);
    // What only looks like one is a row.
    for text in ["# line : x", "# line 7", "#line 7: x", "# line 7:x"] {
        assert_eq!(told_csv(&format!("{text}\n")).len(), 1, "{text}");
    }
}

#[test]
fn a_row_over_several_lines_is_kept_whole() {
    let rows = csv(format!("{HEADER}P1,FRA,VISA,STOLEN,,\"a\nb\"\n").as_bytes());
    assert_eq!((rows.len(), rows[0].line), (1, 2));
    assert!(rows[0].record.is_err());
    assert_eq!(rows[0].text, b"P1,FRA,VISA,STOLEN,,\"a\nb\"");
}
