//! Where each field stands in each format, and what it must look like.

use super::check::digit_over;
use super::{BirthDate, Fault, Field, Format, MrzError, Zone};
use crate::date::Date;
use crate::document::{DocumentNumber, Issuer};
use crate::record::Sex;
use crate::text::TextError;

/// Longest text that is looked at: three lines of 30 and their line breaks, with room for spaces around them.
const MAX_TEXT_BYTES: usize = 512;

/// The lines of a zone in capitals, of the right length and of no other characters than a zone has.
pub(super) struct Lines {
    format: Format,
    lines: Vec<String>,
}

impl Lines {
    pub(super) fn split(text: &str) -> Result<Self, MrzError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Fault::Shape { found: vec![text.len()] }.into());
        }
        let mut lines: Vec<String> = text.split_whitespace().map(str::to_ascii_uppercase).collect();
        if let [whole] = lines.as_slice() {
            let width = match whole.len() {
                90 => 30,
                72 => 36,
                88 => 44,
                _ => whole.len().max(1),
            };
            let chars: Vec<char> = whole.chars().collect();
            lines = chars.chunks(width).map(|line| line.iter().collect()).collect();
        }
        let lengths: Vec<usize> = lines.iter().map(|line| line.chars().count()).collect();
        let visa = lines.first().is_some_and(|line| line.starts_with('V'));
        let format = match lengths.as_slice() {
            [30, 30, 30] => Format::Td1,
            [36, 36] if visa => Format::MrvB,
            [36, 36] => Format::Td2,
            [44, 44] if visa => Format::MrvA,
            [44, 44] => Format::Td3,
            _ => return Err(Fault::Shape { found: lengths.into_iter().take(6).collect() }.into()),
        };
        let wrong = characters(&lines);
        if wrong.is_empty() { Ok(Self { format, lines }) } else { Err(MrzError::new(wrong)) }
    }

    /// Positions `from` to `to` of a line, counted from 1 as the standard does.
    fn at(&self, line: usize, from: usize, to: usize) -> &str {
        // Lengths and characters were checked: every position of the format is there, and is one byte.
        self.lines.get(line - 1).and_then(|text| text.get(from - 1..to)).unwrap_or("")
    }
}

fn characters(lines: &[String]) -> Vec<Fault> {
    let mut wrong = Vec::new();
    for (line, text) in lines.iter().enumerate() {
        for (position, found) in text.chars().enumerate() {
            if !matches!(found, 'A'..='Z' | '0'..='9' | '<') {
                wrong.push(Fault::Character { line: line + 1, position: position + 1, found });
            }
        }
    }
    wrong
}

/// A stretch of a line: its number and the positions, all from 1.
pub(super) type Span = (usize, usize, usize);

/// Where the fields of a format stand. A check digit stands right behind the field that it covers.
pub(super) struct Layout {
    pub(super) number: Span,
    pub(super) nationality: Span,
    pub(super) birth: Span,
    pub(super) sex: Span,
    pub(super) expiry: Span,
    pub(super) optional: &'static [Span],
    pub(super) names: Span,
    /// Where the check digit over the optional data stands.
    pub(super) optional_check: Option<Span>,
    /// Where the check digit over the whole stands, and what it covers.
    pub(super) composite: Option<(Span, &'static [Span])>,
    /// Whether a number of more than nine characters may go on in the optional data.
    long_numbers: bool,
}

const TD1: Layout = Layout {
    number: (1, 6, 14),
    nationality: (2, 16, 18),
    birth: (2, 1, 6),
    sex: (2, 8, 8),
    expiry: (2, 9, 14),
    optional: &[(1, 16, 30), (2, 19, 29)],
    names: (3, 1, 30),
    optional_check: None,
    composite: Some(((2, 30, 30), &[(1, 6, 30), (2, 1, 7), (2, 9, 15), (2, 19, 29)])),
    long_numbers: true,
};

const TD2: Layout = Layout {
    number: (2, 1, 9),
    nationality: (2, 11, 13),
    birth: (2, 14, 19),
    sex: (2, 21, 21),
    expiry: (2, 22, 27),
    optional: &[(2, 29, 35)],
    names: (1, 6, 36),
    optional_check: None,
    composite: Some(((2, 36, 36), &[(2, 1, 10), (2, 14, 20), (2, 22, 35)])),
    long_numbers: true,
};

const TD3: Layout = Layout {
    optional: &[(2, 29, 42)],
    names: (1, 6, 44),
    optional_check: Some((2, 43, 43)),
    composite: Some(((2, 44, 44), &[(2, 1, 10), (2, 14, 20), (2, 22, 43)])),
    long_numbers: false,
    ..TD2
};

const MRV_A: Layout = Layout { optional: &[(2, 29, 44)], optional_check: None, composite: None, ..TD3 };
const MRV_B: Layout = Layout { optional: &[(2, 29, 36)], names: (1, 6, 36), ..MRV_A };

impl Layout {
    pub(super) fn of(format: Format) -> Self {
        match format {
            Format::Td1 => TD1,
            Format::Td2 => TD2,
            Format::Td3 => TD3,
            Format::MrvA => MRV_A,
            Format::MrvB => MRV_B,
        }
    }
}

pub(super) fn read(lines: &Lines, today: Date) -> Result<Zone, MrzError> {
    let mut reader = Reader { lines, layout: Layout::of(lines.format), faults: Vec::new() };
    let code = reader.code();
    let issuer = reader.issuer();
    let (number, optional) = reader.number();
    let birth = reader.birth(today);
    let sex = reader.sex();
    let expiry = reader.expiry(today);
    reader.optional_check();
    reader.composite();
    let (surname, given_names) = reader.names();
    let (Some(code), Some(issuer), Some(number), Some(birth), Some(sex), Some(expiry), true) =
        (code, issuer, number, birth, sex, expiry, reader.faults.is_empty())
    else {
        return Err(MrzError::new(reader.faults));
    };
    let nationality = reader.text(reader.layout.nationality).trim_end_matches('<').to_owned();
    Ok(Zone {
        format: lines.format,
        code,
        issuer,
        number,
        surname,
        given_names,
        nationality,
        birth,
        sex,
        expiry,
        optional,
    })
}

/// Reads field by field and gathers the faults.
struct Reader<'a> {
    lines: &'a Lines,
    layout: Layout,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn text(&self, (line, from, to): Span) -> &'a str {
        self.lines.at(line, from, to)
    }

    fn content<T>(&mut self, field: Field, value: Result<T, TextError>) -> Option<T> {
        value.map_err(|wrong| self.faults.push(Fault::Content { field, wrong })).ok()
    }

    /// Compares the digit at `place` with the one that `covered` asks for.
    fn check(&mut self, field: Field, covered: &[&str], place: Span) {
        let found = self.text(place).chars().next().unwrap_or('<');
        // The characters were checked, so there is a digit.
        let expected = digit_over(covered.iter().flat_map(|text| text.bytes())).unwrap_or(0);
        if found.to_digit(10) != Some(expected.into()) {
            self.faults.push(Fault::CheckDigit { field, found, expected });
        }
    }

    fn code(&mut self) -> Option<String> {
        let found = self.text((1, 1, 2));
        let code = found.trim_end_matches('<');
        let letters = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let known = match self.lines.format {
            Format::Td1 | Format::Td2 => code.starts_with(['A', 'C', 'I', 'P']),
            Format::Td3 => code.starts_with('P'),
            Format::MrvA | Format::MrvB => code.starts_with('V'),
        };
        let wrong = || TextError::new(found, "P for passports, V for visas, or A, C or I for cards");
        let code = if letters && known { Ok(code.to_owned()) } else { Err(wrong()) };
        self.content(Field::Code, code)
    }

    fn issuer(&mut self) -> Option<Issuer> {
        self.content(Field::Issuer, self.text((1, 3, 5)).parse())
    }

    /// The number, and what the optional data holds besides it.
    fn number(&mut self) -> (Option<DocumentNumber>, String) {
        let span = self.layout.number;
        let place = (span.0, span.2 + 1, span.2 + 1);
        let first = self.text(span);
        let optional: Vec<&str> = self.layout.optional.iter().map(|span| self.text(*span)).collect();
        let next = optional.first().copied().unwrap_or("");
        let long = self.layout.long_numbers
            && self.text(place) == "<"
            && !first.ends_with('<')
            && !next.starts_with('<');
        if !long {
            self.check(Field::Number, &[first], place);
            let number = self.content(Field::Number, inner(first));
            return (number, joined(&optional));
        }
        let (rest, after) = next.split_at(next.find('<').unwrap_or(next.len()));
        let (more, digit) = rest.split_at(rest.len() - 1);
        let expected = digit_over(first.bytes().chain(more.bytes())).unwrap_or(0);
        let found = digit.chars().next().unwrap_or('<');
        if found.to_digit(10) != Some(expected.into()) {
            self.faults.push(Fault::CheckDigit { field: Field::Number, found, expected });
        }
        let number = self.content(Field::Number, inner(&format!("{first}{more}")));
        let mut others = vec![after];
        others.extend(optional.iter().skip(1));
        (number, joined(&others))
    }

    fn birth(&mut self, today: Date) -> Option<BirthDate> {
        let text = self.checked(Field::Birth, self.layout.birth);
        let wrong = || TextError::new(text, "a date of birth YYMMDD, with << for what is not known");
        let birth = parts(text).ok_or_else(wrong).and_then(|[year, month, day]| {
            let year = year.map(|year| century(year, today.year()));
            let leap = year.unwrap_or(2000);
            let exists = Date::new(leap, month.unwrap_or(1), day.unwrap_or(1)).is_some();
            if exists { Ok(BirthDate { year, month, day }) } else { Err(wrong()) }
        });
        let birth = birth.map(|birth| birth.not_after(today));
        self.content(Field::Birth, birth)
    }

    fn expiry(&mut self, today: Date) -> Option<Date> {
        let text = self.checked(Field::Expiry, self.layout.expiry);
        let expiry = parts(text).and_then(|[year, month, day]| {
            let year = century(year?, today.year().saturating_add(49));
            Date::new(year, month?, day?)
        });
        self.content(Field::Expiry, expiry.ok_or_else(|| TextError::new(text, "a date of expiry YYMMDD")))
    }

    /// A field whose check digit stands right behind it.
    fn checked(&mut self, field: Field, span: Span) -> &'a str {
        let text = self.text(span);
        self.check(field, &[text], (span.0, span.2 + 1, span.2 + 1));
        text
    }

    fn sex(&mut self) -> Option<Sex> {
        let sex = match self.text(self.layout.sex) {
            "F" => Ok(Sex::Female),
            "M" => Ok(Sex::Male),
            "<" => Ok(Sex::Unknown),
            found => Err(TextError::new(found, "F, M or <")),
        };
        self.content(Field::Sex, sex)
    }

    fn optional_check(&mut self) {
        let Some(place) = self.layout.optional_check else { return };
        let covered: Vec<&str> = self.layout.optional.iter().map(|span| self.text(*span)).collect();
        // Where there is nothing to cover, the digit may be left out.
        let empty = covered.iter().all(|text| text.bytes().all(|byte| byte == b'<'));
        if !(empty && self.text(place) == "<") {
            self.check(Field::Optional, &covered, place);
        }
    }

    fn composite(&mut self) {
        let Some((place, spans)) = self.layout.composite else { return };
        let covered: Vec<&str> = spans.iter().map(|span| self.text(*span)).collect();
        self.check(Field::Composite, &covered, place);
    }

    fn names(&self) -> (String, String) {
        let text = self.text(self.layout.names).trim_end_matches('<');
        let (surname, given) = text.split_once("<<").unwrap_or((text, ""));
        (words(surname), words(given))
    }
}

impl BirthDate {
    /// Nobody is born in the future: a day later in this very year belongs to the century before.
    fn not_after(mut self, today: Date) -> Self {
        let born = (self.year, self.month.unwrap_or(1), self.day.unwrap_or(1));
        if born > (Some(today.year()), today.month(), today.day()) {
            self.year = self.year.map(|year| year - 100);
        }
        self
    }
}

/// The number without the `<` that fill it up; one in the middle was printed as a space or hyphen.
fn inner(text: &str) -> Result<DocumentNumber, TextError> {
    text.parse()
}

fn joined(pieces: &[&str]) -> String {
    let pieces: Vec<&str> =
        pieces.iter().map(|text| text.trim_matches('<')).filter(|text| !text.is_empty()).collect();
    pieces.join(" ")
}

fn words(text: &str) -> String {
    let words: Vec<&str> = text.split('<').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Year, month and day of YYMMDD; none for a part that is `<<`.
fn parts(text: &str) -> Option<[Option<u8>; 3]> {
    let part = |from: usize| match text.get(from..from + 2)? {
        "<<" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(digits.parse().ok()?)),
        _ => None,
    };
    Some([part(0)?, part(2)?, part(4)?])
}

/// The latest year that ends in these two digits and does not lie after `last`.
fn century(two_digits: u8, last: u16) -> u16 {
    let year = last / 100 * 100 + u16::from(two_digits);
    if year > last { year - 100 } else { year }
}
