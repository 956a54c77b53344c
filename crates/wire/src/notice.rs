//! Notices and diffusions: colours, and the minimum data of each form.
//!
//! It says what is missing, not whether the notice is justified: that is for a reviewer to decide.

use i247_model::Colour;

use crate::pb::notice_form::Form;
use crate::{pb, same_variants};

/// Red: least maximum penalty of a person wanted for prosecution, in months.
pub const MIN_PENALTY_MONTHS: u32 = 24;

/// Red: least sentence of a person wanted to serve it, in months.
pub const MIN_SENTENCE_MONTHS: u32 = 6;

same_variants!("colour", pb::Colour, Colour, Red, Yellow, Blue, Green, Orange, Purple, Black);

/// Every field of minimum data that a form lacks, by path from `form` on. Where one of several
/// fields would do, the path names them all: `form.yellow.identity.family_name|description|photograph`.
pub fn missing_data(form: &pb::NoticeForm) -> Vec<String> {
    let mut missing = Missing::default();
    missing.text("form", "legal_basis", &form.legal_basis);
    missing.text("form", "purpose", &form.purpose);
    missing.text("form", "source_authority", &form.source_authority);
    missing.unless(has_status(form), "form", "person_status");
    match &form.form {
        None => missing.unless(false, "form", "red|yellow|blue|green|orange|purple|black"),
        Some(Form::Red(red)) => red_data(&mut missing, red),
        Some(Form::Yellow(yellow)) => yellow_data(&mut missing, yellow),
        Some(Form::Blue(blue)) => blue_data(&mut missing, blue),
        Some(Form::Green(green)) => green_data(&mut missing, green),
        Some(Form::Orange(orange)) => orange_data(&mut missing, orange),
        Some(Form::Purple(purple)) => purple_data(&mut missing, purple),
        Some(Form::Black(black)) => black_data(&mut missing, black),
    }
    missing.0
}

/// The colour of a form; none when it has no form.
pub(crate) fn colour(form: &pb::NoticeForm) -> Option<Colour> {
    form.form.as_ref().map(|form| match form {
        Form::Red(_) => Colour::Red,
        Form::Yellow(_) => Colour::Yellow,
        Form::Blue(_) => Colour::Blue,
        Form::Green(_) => Colour::Green,
        Form::Orange(_) => Colour::Orange,
        Form::Purple(_) => Colour::Purple,
        Form::Black(_) => Colour::Black,
    })
}

/// What is missing, gathered as it is found.
#[derive(Default)]
pub(crate) struct Missing(pub(crate) Vec<String>);

impl Missing {
    /// Names the field unless it is there.
    pub(crate) fn unless(&mut self, there: bool, path: &str, field: &str) {
        if !there {
            self.0.push(format!("{path}.{field}"));
        }
    }

    /// Names the field when its text is blank.
    pub(crate) fn text(&mut self, path: &str, field: &str, text: &str) {
        self.unless(is_filled(text), path, field);
    }
}

/// Whether there is more than blanks.
pub(crate) fn is_filled(text: &str) -> bool {
    !text.trim().is_empty()
}

/// Whether some entry of a list is more than blanks.
fn any_filled(list: &[String]) -> bool {
    list.iter().any(|text| is_filled(text))
}

/// Whether the identity says anything by which a person can be recognised.
pub(crate) fn names_somebody(identity: &pb::Identity) -> bool {
    is_filled(&identity.family_name)
        || is_filled(&identity.forename)
        || any_filled(&identity.aliases)
        || is_filled(&identity.description)
        || has_document(identity)
        || identity.photograph
        || identity.fingerprints
        || identity.dna
}

/// Forms about a person state the person's status; a red one never that of a witness or victim.
fn has_status(form: &pb::NoticeForm) -> bool {
    use pb::PersonStatus as Status;
    let status = form.person_status();
    match colour(form) {
        Some(Colour::Red) => {
            matches!(status, Status::Wanted | Status::Convicted | Status::Charged | Status::Suspect)
        }
        Some(Colour::Yellow | Colour::Blue | Colour::Green) => status != Status::Unspecified,
        Some(Colour::Orange | Colour::Purple | Colour::Black) | None => true,
    }
}

fn red_data(missing: &mut Missing, red: &pb::RedForm) {
    const PATH: &str = "form.red";
    identity_in_full(missing, "form.red.identity", red.identity.as_ref());
    missing.text(PATH, "facts", &red.facts);
    missing.unless(any_filled(&red.charges), PATH, "charges");
    missing.unless(any_filled(&red.laws), PATH, "laws");
    let grave = red.max_penalty_months >= MIN_PENALTY_MONTHS || red.sentence_months >= MIN_SENTENCE_MONTHS;
    let wanted_for =
        if red.sentence_months > 0 { "sentence_months" } else { "max_penalty_months|sentence_months" };
    missing.unless(grave, PATH, wanted_for);
    let warrant = red.warrant.clone().unwrap_or_default();
    missing.text("form.red.warrant", "authority", &warrant.authority);
    missing.text("form.red.warrant", "reference", &warrant.reference);
    missing.unless(is_day(&warrant.date), "form.red.warrant", "date");
    missing.unless(red.extradition_undertaking, PATH, "extradition_undertaking");
}

/// Names, sex and year of birth, and one thing more by which the person is recognised.
fn identity_in_full(missing: &mut Missing, path: &str, identity: Option<&pb::Identity>) {
    let nobody = pb::Identity::default();
    let identity = identity.unwrap_or(&nobody);
    missing.text(path, "family_name", &identity.family_name);
    missing.text(path, "forename", &identity.forename);
    missing.unless(identity.sex() != pb::Sex::Unspecified, path, "sex");
    missing.unless(date_parts(&identity.date_of_birth).is_some(), path, "date_of_birth");
    // A photograph alone is not enough; with an alias, a parent's name or the exact day of birth it is.
    let photographed = identity.photograph
        && (any_filled(&identity.aliases)
            || is_filled(&identity.parent_name)
            || is_day(&identity.date_of_birth));
    let recognised = is_filled(&identity.description)
        || has_document(identity)
        || identity.fingerprints
        || identity.dna
        || photographed;
    missing.unless(recognised, path, "description|documents|fingerprints|dna|photograph");
}

fn yellow_data(missing: &mut Missing, yellow: &pb::YellowForm) {
    const PATH: &str = "form.yellow";
    // Somebody who cannot say who he is has a yellow notice too.
    let identified = yellow.identity.as_ref().is_some_and(|identity| {
        is_filled(&identity.family_name) || is_filled(&identity.description) || identity.photograph
    });
    missing.unless(identified, PATH, "identity.family_name|description|photograph");
    missing.unless(is_day(&yellow.missing_since), PATH, "missing_since");
    missing.text(PATH, "last_seen_place", &yellow.last_seen_place);
    missing.text(PATH, "circumstances", &yellow.circumstances);
    missing.unless(yellow.registered, PATH, "registered");
}

fn blue_data(missing: &mut Missing, blue: &pb::BlueForm) {
    const PATH: &str = "form.blue";
    missing.unless(blue.identity.as_ref().is_some_and(names_somebody), PATH, "identity");
    missing.text(PATH, "facts", &blue.facts);
    missing.unless(any_filled(&blue.sought), PATH, "sought");
}

fn green_data(missing: &mut Missing, green: &pb::GreenForm) {
    const PATH: &str = "form.green";
    let identity = green.identity.clone().unwrap_or_default();
    missing.text("form.green.identity", "family_name", &identity.family_name);
    let told_apart = date_parts(&identity.date_of_birth).is_some()
        || is_filled(&identity.description)
        || has_document(&identity)
        || identity.photograph
        || identity.fingerprints
        || identity.dna;
    let marks = "date_of_birth|description|documents|photograph|fingerprints|dna";
    missing.unless(told_apart, "form.green.identity", marks);
    missing.text(PATH, "warning", &green.warning);
    missing.text(PATH, "assessment", &green.assessment);
}

fn orange_data(missing: &mut Missing, orange: &pb::OrangeForm) {
    const PATH: &str = "form.orange";
    missing.text(PATH, "threat", &orange.threat);
    missing.text(PATH, "place", &orange.place);
    missing.unless(any_filled(&orange.measures), PATH, "measures");
    missing.unless(orange.imminent, PATH, "imminent");
}

fn purple_data(missing: &mut Missing, purple: &pb::PurpleForm) {
    missing.text("form.purple", "modus_operandi", &purple.modus_operandi);
    missing.text("form.purple", "crime_area", &purple.crime_area);
}

fn black_data(missing: &mut Missing, black: &pb::BlackForm) {
    const PATH: &str = "form.black";
    missing.text(PATH, "place", &black.place);
    missing.unless(is_day(&black.discovered_on), PATH, "discovered_on");
    let described = is_filled(&black.description) || black.fingerprints || black.dna || black.dental;
    missing.unless(described, PATH, "description|fingerprints|dna|dental");
    missing.unless(black.registered, PATH, "registered");
}

fn has_document(identity: &pb::Identity) -> bool {
    identity.documents.iter().any(|document| is_filled(&document.number))
}

/// Whether it is a whole date: `YYYY-MM-DD`.
fn is_day(text: &str) -> bool {
    date_parts(text) == Some(3)
}

/// How many parts a date has: 1 for `YYYY`, 2 for `YYYY-MM`, 3 for `YYYY-MM-DD`; none if it is no date.
fn date_parts(text: &str) -> Option<usize> {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |place: usize, digits: usize| -> Option<u16> {
        let part = parts.get(place)?;
        let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        if plain { part.parse().ok() } else { None }
    };
    let year = number(0, 4).filter(|year| *year > 0)?;
    if parts.len() == 1 {
        return Some(1);
    }
    let month = number(1, 2)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    match parts.len() {
        2 => Some(2),
        3 => number(2, 2).filter(|day| (1..=last).contains(day)).map(|_| 3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_whole_or_shortened_from_the_right() {
        for (text, parts) in [
            ("1987", Some(1)),
            ("1987-03", Some(2)),
            ("1987-03-22", Some(3)),
            ("2000-02-29", Some(3)),
            ("1900-02-29", None),
            ("1987-13", None),
            ("1987-04-31", None),
            ("1987-4-3", None),
            ("22/03/1987", None),
            ("1987-03-22-1", None),
            ("0000", None),
            ("", None),
        ] {
            assert_eq!(date_parts(text), parts, "{text}");
        }
    }
}
