//! Lays a zone out as a printer of documents does: the other direction of [`super::layout`]. It must not print what
//! cannot be read again.

use super::check::digit_over;
use super::layout::{Layout, Span};
use super::{BirthDate, Zone};
use crate::date::Date;
use crate::record::Sex;

/// The lines, each as long as its format wants it.
struct Page(Vec<Vec<u8>>);

pub(super) fn print(zone: &Zone) -> Option<String> {
    let layout = Layout::of(zone.format);
    let (lines, width) = zone.format.size();
    let mut page = Page(vec![vec![b'<'; width]; lines]);
    page.put((1, 1, 2), &zone.code)?;
    page.put((1, 3, 5), zone.issuer.as_str())?;
    page.put_checked(layout.number, zone.number.as_str())?;
    page.put(layout.nationality, &zone.nationality)?;
    page.put_checked(layout.birth, &birth(zone.birth))?;
    let sex = match zone.sex {
        Sex::Female => "F",
        Sex::Male => "M",
        Sex::Unknown => "<",
    };
    page.put(layout.sex, sex)?;
    page.put_checked(layout.expiry, &day(zone.expiry))?;
    page.put(*layout.optional.first()?, &zone.optional)?;
    let names = format!("{}<<{}", zone.surname, zone.given_names).replace(' ', "<");
    let (_, from, to) = layout.names;
    // The standard cuts names that are too long.
    page.put(layout.names, names.get(..(to - from + 1).min(names.len()))?)?;
    if let Some(place) = layout.optional_check {
        page.put_digit(place, layout.optional)?;
    }
    if let Some((place, covered)) = layout.composite {
        page.put_digit(place, covered)?;
    }
    let lines: Vec<String> = page.0.into_iter().map(String::from_utf8).collect::<Result<_, _>>().ok()?;
    Some(lines.join("\n"))
}

impl Page {
    /// Puts a text where it belongs; none when it does not fit or has other characters than a zone.
    fn put(&mut self, (line, from, to): Span, text: &str) -> Option<()> {
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'<';
        if text.len() > to + 1 - from || !text.bytes().all(allowed) {
            return None;
        }
        let place = self.0.get_mut(line - 1)?.get_mut(from - 1..from - 1 + text.len())?;
        place.copy_from_slice(text.as_bytes());
        Some(())
    }

    /// The same, and its check digit right behind.
    fn put_checked(&mut self, span: Span, text: &str) -> Option<()> {
        self.put(span, text)?;
        self.put_digit((span.0, span.2 + 1, span.2 + 1), &[span])
    }

    fn put_digit(&mut self, place: Span, covered: &[Span]) -> Option<()> {
        let mut bytes = Vec::new();
        for (line, from, to) in covered {
            bytes.extend_from_slice(self.0.get(line - 1)?.get(from - 1..*to)?);
        }
        self.put(place, &digit_over(bytes.into_iter())?.to_string())
    }
}

fn birth(birth: BirthDate) -> String {
    let part = |known: Option<u16>| known.map_or("<<".to_owned(), |part| format!("{:02}", part % 100));
    part(birth.year) + &part(birth.month.map(u16::from)) + &part(birth.day.map(u16::from))
}

fn day(date: Date) -> String {
    format!("{:02}{:02}{:02}", date.year() % 100, date.month(), date.day())
}
