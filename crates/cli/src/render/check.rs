//! Answers of the databases: what was found, whose it is, and what to do next.

use i247_client::pb;
use i247_records::Database;
use i247_records::import::Traveller;
use i247_records::record::{Cell, Record};

use super::table::{line, moment, pairs, table, word as name};

/// The answer to one key.
pub(crate) fn checked(answer: &pb::KeyAnswer) -> String {
    if answer.found.is_empty() {
        return format!("{}.", word(answer.result()));
    }
    let mut text = format!("{}\n", word(answer.result()).to_uppercase());
    for one in &answer.found {
        text.push('\n');
        text.push_str(&record(one));
        text.push('\n');
    }
    let hits: Vec<&str> =
        answer.found.iter().map(|one| one.hit_id.as_str()).filter(|id| !id.is_empty()).collect();
    if !hits.is_empty() {
        text.push_str(&format!(
            "\nIts owner is told: `i247 hits --watch` shows what it says of {}.",
            hits.join(", ")
        ));
    }
    text.push_str(&format!("\nNext: {}.", line(&answer.next_step)));
    text
}

/// The answer of offline copies to one key.
pub(crate) fn checked_offline(answer: &pb::KeyAnswer) -> String {
    let found: Vec<&str> = answer.found.iter().map(|one| database(one.database())).collect();
    if found.is_empty() {
        return format!("{}.", word(answer.result()));
    }
    let result = word(answer.result()).to_uppercase();
    format!("{result}: {}\n\nNext: {}.", found.join(", "), line(&answer.next_step))
}

/// A record: what it is, then what it says, field by field.
fn record(found: &pb::FoundRecord) -> String {
    let handling = found.record.as_ref().map(|record| record.handling.join("; ")).unwrap_or_default();
    let mut rows = vec![
        ("result", word(found.certainty()).to_owned()),
        ("database", database(found.database()).to_owned()),
        ("record", found.name.clone()),
        ("owner", found.owner.clone()),
        ("handling", handling),
    ];
    if found.score > 0 {
        rows.push(("score", format!("{} of 1000", found.score)));
        rows.push(("why", found.reasons.join(", ")));
    }
    // What is compared is not shown, so that these are no whole records.
    match found.record.as_ref().and_then(|record| record.content.as_ref()) {
        Some(pb::record::Content::Template(template)) => {
            rows.push(("of", name(template.modality().as_str_name(), "MODALITY_")));
            rows.push(("subject", name(template.subject_kind().as_str_name(), "SUBJECT_KIND_")));
        }
        Some(pb::record::Content::DnaProfile(profile)) => {
            rows.push(("subject", name(profile.subject_kind().as_str_name(), "SUBJECT_KIND_")));
        }
        _ => {}
    }
    let read = found.record.clone().and_then(|record| Record::from_wire(record).ok());
    if let Some(record) = &read {
        let cells = Record::columns(record.database()).zip(record.to_row());
        for (name, cell) in cells.filter(|(name, _)| *name != "handling") {
            rows.push((name, shown(cell)));
        }
    }
    pairs(&rows)
}

fn shown(cell: Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => text.into_owned(),
        Cell::List(entries) => entries.join(", "),
    }
}

/// The rows of a list of travellers that are not simply clear, and how many there were of each.
pub(crate) fn manifest(rows: &[(&Traveller, Result<pb::KeyAnswer, String>)]) -> String {
    let (mut clear, mut cells) = (0, Vec::new());
    for (traveller, row) in rows {
        let first = vec![traveller.line.to_string(), traveller.name.clone()];
        match row {
            Ok(answer) if answer.found.is_empty() => clear += 1,
            Ok(answer) => {
                for one in &answer.found {
                    let rest = [
                        word(one.certainty()).to_owned(),
                        database(one.database()).to_owned(),
                        one.name.clone(),
                        one.owner.clone(),
                    ];
                    cells.push(first.iter().cloned().chain(rest).collect());
                }
            }
            Err(wrong) => {
                let rest = ["not asked".to_owned(), String::new(), wrong.clone(), String::new()];
                cells.push(first.into_iter().chain(rest).collect());
            }
        }
    }
    let asked = rows.iter().filter(|(_, row)| row.is_ok()).count();
    let hits = asked - clear;
    let sum = format!(
        "{} rows: {clear} without a record, {hits} with a hit, {} not asked.",
        rows.len(),
        rows.len() - asked
    );
    if cells.is_empty() {
        return sum;
    }
    let lead = if hits > 0 {
        "\nA hit is a lead, not a ground for action: its owner must confirm it first."
    } else {
        ""
    };
    format!("{}\n\n{sum}{lead}", table(&["LINE", "NAME", "RESULT", "DATABASE", "RECORD", "OWNER"], cells))
}

/// Hits and where they stand.
pub(crate) fn hits(hits: &[pb::HitStatus]) -> String {
    let rows = hits.iter().map(|hit| {
        let state = name(hit.state().as_str_name(), "HIT_STATE_");
        let verdict = verdict(hit.verdict());
        let due = if hit.verdict == 0 { moment(hit.confirm_by_ms) } else { String::new() };
        vec![
            hit.id.clone(),
            database(hit.database()).to_owned(),
            hit.owner.clone(),
            format!("{} {}", hit.asker, hit.station),
            state,
            if hit.overdue { "OVERDUE".to_owned() } else { verdict },
            due,
            moment(hit.since_ms),
        ]
    });
    table(
        &["HIT", "DATABASE", "OWNER", "ASKED BY", "STATE", "OWNER SAYS", "DUE (UTC)", "SINCE (UTC)"],
        rows.collect(),
    )
}

/// The word for what an owner says of a hit.
pub(crate) fn verdict(verdict: pb::HitVerdict) -> String {
    name(verdict.as_str_name(), "HIT_VERDICT_")
}

/// The word for an answer.
pub(crate) fn word(result: pb::SearchResult) -> &'static str {
    match result {
        pb::SearchResult::Unspecified => "Not asked",
        pb::SearchResult::NoRecord => "No record",
        pb::SearchResult::Possible => "Possible",
        pb::SearchResult::Match => "Match",
        pb::SearchResult::Refer => "Refer to the police",
    }
}

/// The name of a database.
pub(crate) fn database(database: pb::Database) -> &'static str {
    let known = u8::try_from(i32::from(database)).ok().and_then(Database::from_number);
    known.map_or("unknown", Database::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn match_of_france() -> pb::KeyAnswer {
        let document = pb::TravelDocument {
            number: "X4719T06M".into(),
            issuing_country: "FRA".into(),
            document_type: pb::TravelDocumentType::Passport.into(),
            fraud_type: pb::FraudType::StolenBearer.into(),
            stolen_on: 20_261_120,
            information: "taken from a car".into(),
            ..pb::TravelDocument::default()
        };
        let record = pb::Record {
            database: pb::Database::Sltd.into(),
            owner: "FR".into(),
            handling: vec!["CONTACT_SOURCE_BEFORE_ACTION".into()],
            content: Some(pb::record::Content::TravelDocument(document)),
            ..pb::Record::default()
        };
        let found = pb::FoundRecord {
            database: pb::Database::Sltd.into(),
            name: "FRA/PASSPORT/X4719T06M".into(),
            owner: "FR".into(),
            certainty: pb::SearchResult::Match.into(),
            record: Some(record),
            hit_id: "IPSG-881-U-1".into(),
            ..pb::FoundRecord::default()
        };
        pb::KeyAnswer {
            result: pb::SearchResult::Match.into(),
            found: vec![found],
            next_step: "have the owner confirm it first".into(),
            refusal: None,
        }
    }

    #[test]
    fn a_hit_shows_what_is_recorded_whose_it_is_and_what_to_do() {
        let expected = "MATCH\n\n\
            result           Match\n\
            database         sltd\n\
            record           FRA/PASSPORT/X4719T06M\n\
            owner            FR\n\
            handling         CONTACT_SOURCE_BEFORE_ACTION\n\
            number           X4719T06M\n\
            issuing_country  FRA\n\
            document_type    PASSPORT\n\
            fraud_type       STOLEN_BEARER\n\
            stolen_on        2026-11-20\n\
            information      taken from a car\n\n\
            Its owner is told: `i247 hits --watch` shows what it says of IPSG-881-U-1.\n\
            Next: have the owner confirm it first.";
        assert_eq!(plain(&checked(&match_of_france())), expected);
        let nothing = pb::KeyAnswer { result: pb::SearchResult::NoRecord.into(), ..pb::KeyAnswer::default() };
        assert_eq!(plain(&checked(&nothing)), "No record.");
    }

    #[test]
    fn a_person_shows_how_alike_and_why() {
        let found = pb::FoundRecord {
            database: pb::Database::Nominal.into(),
            name: "FR/notice/2026/7".into(),
            owner: "FR".into(),
            certainty: pb::SearchResult::Possible.into(),
            score: 870,
            reasons: vec!["surname sounds alike".into(), "born the same day".into()],
            ..pb::FoundRecord::default()
        };
        let expected = "result    Possible\n\
            database  nominal\n\
            record    FR/notice/2026/7\n\
            owner     FR\n\
            score     870 of 1000\n\
            why       surname sounds alike, born the same day";
        assert_eq!(plain(&record(&found)), expected);
    }

    #[test]
    fn a_list_shows_what_is_not_clear_and_counts_the_rest() {
        let traveller =
            |line, name: &str| Traveller { line, name: name.into(), key: Ok(pb::SearchKey::default()) };
        let (clear, hit, wrong) = (traveller(2, "MARLOWE"), traveller(3, "NYE\u{1b}[31m"), traveller(4, ""));
        let nothing = pb::KeyAnswer { result: pb::SearchResult::NoRecord.into(), ..pb::KeyAnswer::default() };
        let rows =
            [(&clear, Ok(nothing)), (&hit, Ok(match_of_france())), (&wrong, Err("no number".to_owned()))];
        let expected = "LINE  NAME      RESULT     DATABASE  RECORD                  OWNER\n\
            3     NYE [31m  Match      sltd      FRA/PASSPORT/X4719T06M  FR\n\
            4               not asked            no number\n\n\
            3 rows: 1 without a record, 1 with a hit, 1 not asked.\n\
            A hit is a lead, not a ground for action: its owner must confirm it first.";
        assert_eq!(plain(&manifest(&rows)), expected);
    }
}
