//! The national register: who is known in this country, and how a subject is looked up in it.
//!
//! It only reads what it was given. It must not decide what a match means; that is `policy`.

use std::collections::BTreeMap;

use i247_wire::pb;
use serde::Deserialize;

/// Longest register file, in bytes.
pub const MAX_REGISTER_BYTES: u64 = 64 * 1024 * 1024;

/// One person as the country's own files have them. One line of the register file, as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Family name.
    pub family_name: String,
    /// Forenames.
    #[serde(default)]
    pub forename: String,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; empty when not known.
    #[serde(default)]
    pub date_of_birth: String,
    /// `F`, `M` or empty.
    #[serde(default)]
    pub sex: String,
    /// Country codes.
    #[serde(default)]
    pub nationalities: Vec<String>,
    /// The national files that hold the person: `ENTRY_EXIT`, `CRIMINAL_RECORDS`, …
    pub files: Vec<String>,
    /// Where the person is or was last seen here; empty when that is not known.
    #[serde(default)]
    pub place: String,
    /// What the files say.
    #[serde(default)]
    pub note: String,
}

/// How sure a match is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Likeness {
    /// Family name and year of birth agree; forename, month or day differ or are not known.
    Possible,
    /// Family name, forename and the full date of birth agree.
    Certain,
}

/// A person found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Match<'a> {
    /// How sure it is.
    pub likeness: Likeness,
    /// Who it is.
    pub entry: &'a Entry,
}

/// A line of the register file that cannot be used. It says where, and nothing of what stands there: that is about
/// persons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} of the register is not an entry; it is wrong at or before column {column}")]
pub struct RegisterError {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
}

/// All entries, by folded family name.
#[derive(Debug, Default)]
pub struct Register {
    entries: Vec<Entry>,
    by_family_name: BTreeMap<String, Vec<usize>>,
}

impl Register {
    /// Reads JSON Lines; empty lines are skipped.
    ///
    /// # Errors
    /// The first line that is not an [`Entry`].
    pub fn parse(text: &str) -> Result<Self, RegisterError> {
        let mut register = Self::default();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let entry: Entry = serde_json::from_str(line)
                .map_err(|error| RegisterError { line: at + 1, column: error.column().max(1) })?;
            let place = register.entries.len();
            register.by_family_name.entry(fold(&entry.family_name)).or_default().push(place);
            register.entries.push(entry);
        }
        Ok(register)
    }

    /// How many persons it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nobody.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Who the subject may be: the certain ones first, then in the order of the file.
    ///
    /// A family name and a year of birth are needed; a subject without either matches nobody.
    pub fn search(&self, subject: &pb::Identity) -> Vec<Match<'_>> {
        let family_name = fold(&subject.family_name);
        if family_name.is_empty() {
            return Vec::new();
        }
        let places = self.by_family_name.get(&family_name).map_or(&[][..], Vec::as_slice);
        let mut matches: Vec<Match<'_>> = places
            .iter()
            .filter_map(|place| self.entries.get(*place))
            .filter_map(|entry| Some(Match { likeness: likeness(subject, entry)?, entry }))
            .collect();
        matches.sort_by_key(|found| std::cmp::Reverse(found.likeness));
        matches
    }
}

/// How alike two persons of the same family name are.
fn likeness(subject: &pb::Identity, entry: &Entry) -> Option<Likeness> {
    let year = year(&subject.date_of_birth)?;
    if self::year(&entry.date_of_birth)? != year {
        return None;
    }
    let forename = fold(&subject.forename);
    let same_forename = !forename.is_empty() && forename == fold(&entry.forename);
    let same_day = subject.date_of_birth.len() == 10 && subject.date_of_birth == entry.date_of_birth;
    Some(if same_forename && same_day { Likeness::Certain } else { Likeness::Possible })
}

fn year(date: &str) -> Option<&str> {
    let year = date.get(..4)?;
    year.bytes().all(|byte| byte.is_ascii_digit()).then_some(year)
}

/// A name as it is compared: upper case without accents, hyphens as spaces, no apostrophes, single spaces.
fn fold(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '-' => plain.push(' '),
            '\'' | '’' => {}
            _ => plain.push_str(unaccented(letter).unwrap_or(letter.encode_utf8(&mut [0; 4]))),
        }
    }
    let upper = plain.to_uppercase();
    upper.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The ASCII spelling of a Latin letter with a mark.
fn unaccented(letter: char) -> Option<&'static str> {
    Some(match letter {
        'À'..='Å' | 'à'..='å' | 'Ā'..='ą' => "A",
        'Æ' | 'æ' => "AE",
        'Ç' | 'ç' | 'Ć'..='č' => "C",
        'Ď'..='đ' | 'Ð' | 'ð' => "D",
        'È'..='Ë' | 'è'..='ë' | 'Ē'..='ě' => "E",
        'Ĝ'..='ģ' => "G",
        'Ĥ'..='ħ' => "H",
        'Ì'..='Ï' | 'ì'..='ï' | 'Ĩ'..='ı' => "I",
        'Ĵ' | 'ĵ' => "J",
        'Ķ' | 'ķ' => "K",
        'Ĺ'..='ł' => "L",
        'Ñ' | 'ñ' | 'Ń'..='ň' => "N",
        'Ò'..='Ö' | 'Ø' | 'ò'..='ö' | 'ø' | 'Ō'..='ő' => "O",
        'Œ' | 'œ' => "OE",
        'Ŕ'..='ř' => "R",
        'Ś'..='š' => "S",
        'ß' => "SS",
        'Ţ'..='ŧ' => "T",
        'Ù'..='Ü' | 'ù'..='ü' | 'Ũ'..='ų' => "U",
        'Ŵ' | 'ŵ' => "W",
        'Ý' | 'ý' | 'ÿ' | 'Ŷ'..='Ÿ' => "Y",
        'Ź'..='ž' => "Z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
{"family_name":"Márlowe","forename":"Tessa-Iris","date_of_birth":"1987-03-22","sex":"F","nationalities":["PT"],"files":["ENTRY_EXIT"],"place":"Split","note":"entered by road"}
{"family_name":"MARLOWE","forename":"Anton","date_of_birth":"1987","files":["CRIMINAL_RECORDS"]}
{"family_name":"O'Dell","forename":"Jun","date_of_birth":"1970-01-02","files":["VEHICLES"]}
"#;

    fn subject(family_name: &str, forename: &str, date_of_birth: &str) -> pb::Identity {
        pb::Identity {
            family_name: family_name.into(),
            forename: forename.into(),
            date_of_birth: date_of_birth.into(),
            ..Default::default()
        }
    }

    fn found(family_name: &str, forename: &str, date_of_birth: &str) -> Vec<(Likeness, String)> {
        let register = Register::parse(FILE).unwrap();
        let matches = register.search(&subject(family_name, forename, date_of_birth));
        matches.into_iter().map(|found| (found.likeness, found.entry.forename.clone())).collect()
    }

    #[test]
    fn name_forename_and_full_date_make_a_certain_match_and_the_year_alone_a_possible_one() {
        let certain = (Likeness::Certain, "Tessa-Iris".to_owned());
        let possible = (Likeness::Possible, "Anton".to_owned());
        assert_eq!(found("marlowe", "TESSA IRIS", "1987-03-22"), [certain, possible]);
    }

    #[test]
    fn another_day_or_forename_or_a_missing_one_is_only_possible() {
        for (forename, born) in [("Tessa Iris", "1987-03-23"), ("Tessa", "1987-03-22"), ("", "1987-03-22")] {
            let all = found("Marlowe", forename, born);
            assert!(all.iter().all(|(likeness, _)| *likeness == Likeness::Possible), "{forename} {born}");
            assert_eq!(all.len(), 2);
        }
        assert_eq!(found("Marlowe", "Anton", "1987").first().unwrap().0, Likeness::Possible);
    }

    #[test]
    fn another_year_or_an_unknown_one_matches_nobody() {
        assert!(found("Marlowe", "Tessa Iris", "1988-03-22").is_empty());
        assert!(found("Marlowe", "Tessa Iris", "").is_empty());
        assert!(found("", "Tessa Iris", "1987-03-22").is_empty());
    }

    #[test]
    fn apostrophes_and_accents_do_not_hide_a_person() {
        assert_eq!(found("ODell", "jún", "1970-01-02"), [(Likeness::Certain, "Jun".to_owned())]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = Register::parse("\n{\"family_name\":\"X\",\"files\":[],\"colour\":1}\n").unwrap_err();
        assert_eq!(error, RegisterError { line: 2, column: 38 });
    }

    #[test]
    fn a_bad_line_tells_nothing_of_what_stands_in_it() {
        for line in [
            r#"{"family_name":"Marlowe","files":"CRIMINAL_RECORDS"}"#,
            r#"{"family_name":"Marlowe","files":[],"Tessa":1}"#,
            r#"{"family_name":["Marlowe"],"files":[]}"#,
        ] {
            let error: Box<dyn std::error::Error> = Register::parse(line).unwrap_err().into();
            let told = format!("{error} {error:?}");
            assert!(error.source().is_none());
            assert!(!["Marlowe", "Tessa", "CRIMINAL"].iter().any(|word| told.contains(word)), "{told}");
            assert!(told.contains("line 1 of the register"), "{told}");
        }
    }
}
