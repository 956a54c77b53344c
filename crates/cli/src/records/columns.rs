//! `i247 records columns`: what a file of a database looks like, from the layouts of the records themselves.

use i247_records::Database;
use i247_records::database::{Retention, Writers};
use i247_records::record::{Presence, Record};

/// How wide the text is.
const WIDE: usize = 110;

const FILES: &str = "CSV: UTF-8, commas, the first line names the columns, in any order; those that are left out are empty. \
    Quotation marks are doubled inside quotation marks; lists have `;` between their entries. JSON Lines: one object a \
    line, whose members are the columns; lists are arrays. A line has at most 65536 bytes. gzip and zstd are unpacked.";

/// Every column: whether it must be there, what it says and how it is written; and what holds for the whole file.
pub(super) fn told(database: Database) -> String {
    let mut text = format!("{} ({database}): the columns of a file\n", database.title());
    let described = Record::described(database);
    let width = described.iter().map(|column| column.name.len()).max().unwrap_or(0);
    for column in described {
        let presence = match column.presence {
            Presence::Must => "must",
            Presence::May => "may",
            Presence::List => "list",
        };
        text.push_str(&format!("\n  {:<width$}  {presence:<4}  {}\n", column.name, column.meaning));
        let margin = " ".repeat(width + 10);
        for line in wrapped(column.expected, WIDE - margin.len()) {
            text.push_str(&format!("{margin}{line}\n"));
        }
    }
    for paragraph in [rules(database).to_owned(), FILES.to_owned(), stays(database)] {
        if !paragraph.is_empty() {
            text.push_str(&format!("\n{}\n", wrapped(&paragraph, WIDE).join("\n")));
        }
    }
    text
}

/// What must hold between the columns.
fn rules(database: Database) -> &'static str {
    match database {
        Database::Nominal => "One of family_names, forenames or aliases must be there.",
        Database::Vehicles => {
            "One of vin, engine_number, plate or part_number must be there; plate and plate_country go together."
        }
        Database::Vessels => "One of hull_number, imo_number, name or engine_numbers must be there.",
        Database::Sltd => {
            "last_number goes with STOLEN_BLANK, and blanks have no issued_on or expires_on. Nothing about the bearer."
        }
        Database::Dna | Database::DnaMissing => "There are six loci at least, sorted by name.",
        Database::Fingerprints | Database::Faces => {
            "The vector of a face has 128 bytes, that of a fingerprint, mark or palm 256."
        }
        Database::Icse | Database::Ifrt | Database::Ibin | Database::Cards | Database::Piracy => {
            "There is one code at least; attributes are sorted by name."
        }
        _ => "",
    }
}

/// Who loads them, and how long they stay.
fn stays(database: Database) -> String {
    let who = match database.writers() {
        Writers::FromNotices => {
            return "These records follow from published notices: nobody loads them.".to_owned();
        }
        Writers::IssuingCountry => "The issuing country is your own, or UTO for an exercise. ",
        Writers::AnyBureau => "",
    };
    let years = match database.retention() {
        Retention::Years(years) => format!("{years} years"),
        Retention::ByPerson { known, unknown } => {
            format!("{known} years, or {unknown} where the person is unknown,")
        }
        Retention::WithNotice => "its notice".to_owned(),
    };
    format!("{who}A record stays for {years} from when it was loaded, unless review_on is sooner.")
}

/// A text in lines of at most so many characters, where its words allow.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_every_database_are_told_with_what_they_say_and_how_they_are_written() {
        for database in Database::ALL {
            let (text, described) = (told(*database), Record::described(*database));
            assert!(described.iter().map(|column| column.name).eq(Record::columns(*database)), "{database}");
            for column in described {
                assert!(text.contains(&format!("\n  {} ", column.name)), "{database}: {}", column.name);
                assert!(column.meaning.ends_with(['.', '…', '?']), "{database}: {column:?}");
                assert!(column.expected.len() > 3, "{database}: {column:?}");
            }
            assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        }
        let sltd = told(Database::Sltd);
        for words in [
            "  number           must  The number, or the first of a range.\n",
            "  last_number      may   The last number of a range of stolen blanks.\n",
            "STOLEN_BLANK, STOLEN_BEARER, LOST_BEARER, REVOKED or INVALID",
            "  except           list  Countries that must not see it.\n",
            "stays for 10 years",
            "your own, or UTO",
        ] {
            assert!(sltd.contains(words), "{words}: {sltd}");
        }
        assert!(told(Database::Cards).contains("  reference   must  The owner's own name of the record.\n"));
        assert!(told(Database::Dna).contains("5 years, or 15 where the person is unknown, from when"));
        assert!(told(Database::Tdawn).contains("nobody loads them"));
        assert!(told(Database::Piracy).contains("one code at least"));
    }
}
