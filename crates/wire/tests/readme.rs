//! The protocol's document says what the program does.

use i247_model::{Class, Reason};
use i247_wire::{
    MAX_ATTACHMENTS, MAX_AUDIENCE_LIST, MAX_BODY_BYTES, MAX_HANDLING, MAX_HEADER_BYTES, MAX_LINE_BYTES,
    MAX_LIST, MAX_OPERATION_BYTES, MAX_RANGES, MAX_REFERENCE_BYTES, MAX_STATUS_FIELDS, MAX_SUBJECT_BYTES,
    MAX_TEXT_BYTES, MAX_WRITTEN_NUMBER_BYTES, code,
};

const README: &str = include_str!("../../../proto/README.md");

/// The cells of every row of a table whose heading begins with this cell.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    README
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {heading} |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// `InvalidArgument` as gRPC writes it: `INVALID_ARGUMENT`.
fn in_capitals(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

#[test]
fn the_table_of_refusals_lists_exactly_the_reasons_that_there_are() {
    let listed: Vec<[String; 4]> = rows("reason")
        .into_iter()
        .map(|cells| {
            assert_eq!(cells.len(), 5, "{cells:?}");
            [cells[0], cells[1], cells[2], cells[4]].map(str::to_owned)
        })
        .collect();
    let expected: Vec<[String; 4]> = Reason::ALL
        .iter()
        .map(|reason| {
            let class = match reason.class() {
                Class::NotAttributable => "NOT_ATTRIBUTABLE",
                Class::NotNow => "NOT_NOW",
                Class::No => "NO",
            };
            let code = in_capitals(&format!("{:?}", code(*reason)));
            [format!("`{reason}`"), class.into(), code, reason.next_step().into()]
        })
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn the_table_of_limits_names_the_limits_that_are_kept() {
    let listed: Vec<String> = rows("of").into_iter().map(|cells| cells[1].to_owned()).collect();
    let expected = [
        format!("{} KiB", MAX_HEADER_BYTES / 1024),
        format!("{MAX_AUDIENCE_LIST} entries"),
        MAX_ATTACHMENTS.to_string(),
        // Kept by the store of attachments and by the hub.
        "25 MiB".into(),
        "64 KiB".into(),
        "1 GiB".into(),
        format!("{MAX_OPERATION_BYTES} bytes"),
        format!("{} KiB", MAX_BODY_BYTES / 1024),
        format!("{MAX_SUBJECT_BYTES} bytes"),
        format!("{MAX_REFERENCE_BYTES} bytes"),
        format!("{MAX_LINE_BYTES} bytes"),
        format!("{} KiB", MAX_TEXT_BYTES / 1024),
        format!("{MAX_LIST} entries"),
        MAX_HANDLING.to_string(),
        // Kept by trust and by the records: items of a batch, a record.
        "1024".into(),
        "16 KiB".into(),
        // Kept by trust.
        "64".into(),
        // Kept by the hub: keys, keys without an issuer, persons; a number as it is packed.
        "256".into(),
        format!("{MAX_WRITTEN_NUMBER_BYTES} bytes"),
        "4".into(),
        "4".into(),
        // Kept by the records: a name. Kept by the hub: records of an answer.
        "512 bytes, 10 words".into(),
        "20".into(),
        // Kept by the hub for offline copies: searches and lists of them, pieces, fetches at once.
        "256 keys of 256 bytes".into(),
        "256, and 256 KiB the call".into(),
        "64 KiB".into(),
        "2".into(),
        MAX_RANGES.to_string(),
        MAX_STATUS_FIELDS.to_string(),
        // Kept by the hub, and by trust.
        "256".into(),
        "5 minutes".into(),
    ];
    assert_eq!(listed, expected);
}
