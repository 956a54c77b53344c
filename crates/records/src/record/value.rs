//! Fields: how each kind of value is read and written, on the wire and in a column. It knows no record.
//!
//! An [`Atom`] is one value with rules of its own; a [`Field`] is an atom that must be there, may be missing, or comes
//! as a list. Reading gathers faults, so that a row is told everything that is wrong with it at once.

use std::borrow::Cow;
use std::fmt;

use crate::text::TextError;

/// Most entries of a list in a record.
pub const MAX_LIST: usize = 64;

/// What is wrong with a field.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// It must be there.
    #[error("is missing")]
    Missing,
    /// It is not what the field asks for.
    #[error("{0}")]
    Wrong(TextError),
    /// The list is too long.
    #[error("has more than {limit} entries")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// A list where one value belongs.
    #[error("is a list where one value belongs")]
    List,
    /// It contradicts another field.
    #[error("{0}")]
    Rule(&'static str),
}

/// A field that is not right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Fault {
    /// The field, by its name in the columns and on the wire.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// All that is wrong with a record.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults, in the order of the fields.
    pub fn list(&self) -> &[Fault] {
        &self.0
    }

    pub(crate) fn take<T>(&mut self, field: &'static str, value: Result<T, Problem>) -> Option<T> {
        value.map_err(|problem| self.0.push(Fault { field, problem })).ok()
    }

    pub(crate) fn rule(&mut self, holds: bool, field: &'static str, rule: &'static str) {
        if !holds {
            self.0.push(Fault { field, problem: Problem::Rule(rule) });
        }
    }

    pub(crate) fn missing(&mut self, field: &'static str) {
        self.0.push(Fault { field, problem: Problem::Missing });
    }

    /// The value, unless there are faults.
    pub(crate) fn unless_any<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// What stands in one column of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cell<'a> {
    /// One text; empty when there is nothing.
    Text(Cow<'a, str>),
    /// Several texts.
    List(Vec<Cow<'a, str>>),
}

impl Cell<'_> {
    /// A cell with nothing in it.
    pub const EMPTY: Self = Self::Text(Cow::Borrowed(""));
}

/// One value with rules of its own.
pub(crate) trait Atom: Sized {
    type Wire: Default + PartialEq;

    /// Never called with the default value, which stands for nothing.
    fn from_wire(wire: Self::Wire) -> Result<Self, TextError>;
    fn to_wire(&self) -> Self::Wire;
    fn parse(text: &str) -> Result<Self, TextError>;
    fn show(&self) -> String;
}

/// What an atom must look like: what it says to somebody who writes what cannot be one.
pub(crate) fn expected<T: Atom>() -> &'static str {
    T::parse("\0").err().map_or("", |error| error.expected())
}

/// Whether a column must be filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It must.
    Must,
    /// It may be empty.
    May,
    /// It may have any number of entries.
    List,
}

/// A column of the files of a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name, in the first line of a file.
    pub name: &'static str,
    /// Whether it must be filled in.
    pub presence: Presence,
    /// What it says.
    pub meaning: &'static str,
    /// How it is written, such as "a date YYYY-MM-DD".
    pub expected: &'static str,
}

/// A field of a record.
pub(crate) trait Field: Sized {
    type Wire;
    const PRESENCE: Presence;

    fn expected() -> &'static str;

    fn from_wire(wire: Self::Wire) -> Result<Self, Problem>;
    fn to_wire(&self) -> Self::Wire;
    fn from_cell(cell: &Cell<'_>) -> Result<Self, Problem>;
    fn to_cell(&self) -> Cell<'static>;
}

/// A value that must be there.
impl<T: Atom> Field for T {
    type Wire = T::Wire;
    const PRESENCE: Presence = Presence::Must;

    fn expected() -> &'static str {
        expected::<T>()
    }

    fn from_wire(wire: T::Wire) -> Result<Self, Problem> {
        <Option<T> as Field>::from_wire(wire)?.ok_or(Problem::Missing)
    }

    fn to_wire(&self) -> T::Wire {
        Atom::to_wire(self)
    }

    fn from_cell(cell: &Cell<'_>) -> Result<Self, Problem> {
        <Option<T> as Field>::from_cell(cell)?.ok_or(Problem::Missing)
    }

    fn to_cell(&self) -> Cell<'static> {
        Cell::Text(self.show().into())
    }
}

/// A value that may be missing.
impl<T: Atom> Field for Option<T> {
    type Wire = T::Wire;
    const PRESENCE: Presence = Presence::May;

    fn expected() -> &'static str {
        expected::<T>()
    }

    fn from_wire(wire: T::Wire) -> Result<Self, Problem> {
        if wire == T::Wire::default() {
            return Ok(None);
        }
        T::from_wire(wire).map(Some).map_err(Problem::Wrong)
    }

    fn to_wire(&self) -> T::Wire {
        self.as_ref().map(Atom::to_wire).unwrap_or_default()
    }

    fn from_cell(cell: &Cell<'_>) -> Result<Self, Problem> {
        match cell {
            Cell::List(_) => Err(Problem::List),
            Cell::Text(text) if text.trim().is_empty() => Ok(None),
            Cell::Text(text) => T::parse(text.trim()).map(Some).map_err(Problem::Wrong),
        }
    }

    fn to_cell(&self) -> Cell<'static> {
        self.as_ref().map_or(Cell::EMPTY, Field::to_cell)
    }
}

/// Any number of values, up to [`MAX_LIST`].
impl<T: Atom> Field for Vec<T> {
    type Wire = Vec<T::Wire>;
    const PRESENCE: Presence = Presence::List;

    fn expected() -> &'static str {
        expected::<T>()
    }

    fn from_wire(wire: Vec<T::Wire>) -> Result<Self, Problem> {
        if wire.len() > MAX_LIST {
            return Err(Problem::TooMany { limit: MAX_LIST });
        }
        wire.into_iter().map(|one| <T as Field>::from_wire(one)).collect()
    }

    fn to_wire(&self) -> Vec<T::Wire> {
        self.iter().map(Atom::to_wire).collect()
    }

    fn from_cell(cell: &Cell<'_>) -> Result<Self, Problem> {
        let split: Vec<Cow<'_, str>>;
        let texts = match cell {
            Cell::List(texts) => texts,
            Cell::Text(text) => {
                split = self::split(text);
                &split
            }
        };
        if texts.len() > MAX_LIST {
            return Err(Problem::TooMany { limit: MAX_LIST });
        }
        texts.iter().map(|text| T::parse(text.trim()).map_err(Problem::Wrong)).collect()
    }

    fn to_cell(&self) -> Cell<'static> {
        Cell::List(self.iter().map(|one| one.show().into()).collect())
    }
}

const YES_OR_NO: &str = "yes or no";

impl Field for bool {
    type Wire = Self;
    const PRESENCE: Presence = Presence::May;

    fn expected() -> &'static str {
        YES_OR_NO
    }

    fn from_wire(wire: Self) -> Result<Self, Problem> {
        Ok(wire)
    }

    fn to_wire(&self) -> Self {
        *self
    }

    fn from_cell(cell: &Cell<'_>) -> Result<Self, Problem> {
        let Cell::Text(text) = cell else { return Err(Problem::List) };
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "no" | "false" | "0" => Ok(false),
            "yes" | "true" | "1" => Ok(true),
            _ => Err(Problem::Wrong(TextError::new(text, YES_OR_NO))),
        }
    }

    fn to_cell(&self) -> Cell<'static> {
        Cell::Text(if *self { "yes" } else { "no" }.into())
    }
}

/// The entries of a list that stands in one text: separated by `;`, where `\;` and `\\` stand for themselves.
fn split(text: &str) -> Vec<Cow<'_, str>> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    if !text.contains('\\') {
        return text.split(';').map(Cow::Borrowed).collect();
    }
    let mut entries = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let last = entries.len() - 1;
        match c {
            ';' => entries.push(String::new()),
            '\\' => entries[last].extend(chars.next()),
            other => entries[last].push(other),
        }
    }
    entries.into_iter().map(Cow::Owned).collect()
}

/// The other way: one text for a list.
pub(crate) fn join<'a>(entries: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (at, entry) in entries.enumerate() {
        if at > 0 {
            text.push(';');
        }
        for c in entry.chars() {
            if matches!(c, ';' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
    }
    text
}

/// Atoms that are texts on the wire, by way of `FromStr` and `Display`.
macro_rules! text_atoms {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::record::value::Atom for $type {
            type Wire = String;

            fn from_wire(wire: String) -> Result<Self, $crate::text::TextError> {
                Self::parse(&wire)
            }

            fn to_wire(&self) -> String {
                self.to_string()
            }

            fn parse(text: &str) -> Result<Self, $crate::text::TextError> {
                text.parse().map_err(|error: <$type as std::str::FromStr>::Err| {
                    $crate::text::TextError::new(text, error.expected())
                })
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}
pub(crate) use text_atoms;

/// Atoms that are enums on the wire: number 1 is the first of `ALL`.
macro_rules! enum_atoms {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::record::value::Atom for $type {
            type Wire = i32;

            fn from_wire(wire: i32) -> Result<Self, $crate::text::TextError> {
                usize::try_from(wire)
                    .ok()
                    .and_then(|number| Self::ALL.get(number.checked_sub(1)?).copied())
                    .ok_or_else(|| $crate::text::TextError::new(&wire.to_string(), "a known value"))
            }

            fn to_wire(&self) -> i32 {
                *self as i32 + 1
            }

            fn parse(text: &str) -> Result<Self, $crate::text::TextError> {
                text.parse()
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}
pub(crate) use enum_atoms;

/// A record's content: a struct whose fields are named as those of its message and as the columns of its files.
pub(crate) trait Layout: Sized {
    type Wire;
    const COLUMNS: &'static [&'static str];

    /// What the columns say, and how they are written.
    fn described() -> Vec<Column>;
    fn from_wire(wire: Self::Wire) -> Result<Self, Faults>;
    fn to_wire(&self) -> Self::Wire;
    /// Takes the cells in the order of `COLUMNS`; those that are not there are empty.
    fn from_row(cells: &[Cell<'_>]) -> Result<Self, Faults>;
    fn to_row(&self, cells: &mut Vec<Cell<'static>>);
}

/// A layout: the struct, and all four ways in and out of it.
macro_rules! layout {
    (
        $(#[$doc:meta])*
        pub struct $name:ident {
            $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $name { $($(#[doc = $field_doc])* pub $field: $type,)+ }

        impl $crate::record::value::Layout for $name {
            type Wire = i247_wire::pb::$name;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];

            fn described() -> Vec<$crate::record::value::Column> {
                use $crate::record::value::{Column, Field};
                vec![$(Column {
                    name: stringify!($field),
                    presence: <$type as Field>::PRESENCE,
                    meaning: concat!($($field_doc),*).trim_ascii(),
                    expected: <$type as Field>::expected(),
                }),+]
            }

            fn from_wire(wire: Self::Wire) -> Result<Self, $crate::record::value::Faults> {
                use $crate::record::value::Field;
                let mut faults = $crate::record::value::Faults::default();
                $(let $field: Option<$type> = faults.take(stringify!($field), Field::from_wire(wire.$field));)+
                let ($(Some($field),)+) = ($($field,)+) else { return Err(faults) };
                Ok(Self { $($field),+ })
            }

            fn to_wire(&self) -> Self::Wire {
                use $crate::record::value::Field;
                i247_wire::pb::$name { $($field: Field::to_wire(&self.$field)),+ }
            }

            fn from_row(
                cells: &[$crate::record::value::Cell<'_>],
            ) -> Result<Self, $crate::record::value::Faults> {
                use $crate::record::value::{Cell, Field};
                let mut faults = $crate::record::value::Faults::default();
                let mut cells = cells.iter();
                $(let $field: Option<$type> = {
                    let cell = cells.next().unwrap_or(&Cell::EMPTY);
                    faults.take(stringify!($field), Field::from_cell(cell))
                };)+
                let ($(Some($field),)+) = ($($field,)+) else { return Err(faults) };
                Ok(Self { $($field),+ })
            }

            fn to_row(&self, cells: &mut Vec<$crate::record::value::Cell<'static>>) {
                use $crate::record::value::Field;
                $(cells.push(self.$field.to_cell());)+
            }
        }
    };
}
pub(crate) use layout;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_one_text_comes_back_as_it_was() {
        for entries in [vec!["a", "b;c", "d\\"], vec![";"], vec!["\\;", "x"]] {
            let text = join(entries.iter().copied());
            assert_eq!(split(&text), entries, "{text}");
        }
        assert_eq!(join(["a", "b;c"].into_iter()), "a;b\\;c");
        assert_eq!(split("a; b"), ["a", " b"]);
        assert!(split("  ").is_empty());
        assert_eq!(split("a\\"), ["a"]);
    }
}
