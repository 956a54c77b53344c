//! Small words with one spelling: the enums of the records, their names, and what is said when a text is none of them.
//!
//! It knows no record; it only keeps each enum and its names in one place.

use std::fmt;

/// Most characters of a wrong text that an error repeats.
const SHOWN_CHARS: usize = 40;

/// A text that is not what its field asks for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{found:?} is not {expected}")]
pub struct TextError {
    found: String,
    expected: &'static str,
}

impl TextError {
    /// `found` is not `expected`, which reads like "a date YYYY-MM-DD".
    pub fn new(found: &str, expected: &'static str) -> Self {
        // What came from outside is cut short before it reaches a message; its debug form has no control characters.
        Self { found: found.chars().take(SHOWN_CHARS).collect(), expected }
    }

    /// What would have been right.
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

/// The name in the spelling that [`named`] compares: capitals, words joined by `_`.
pub(crate) fn spelling(text: &str) -> impl Iterator<Item = char> + '_ {
    text.trim().chars().map(|c| match c {
        '-' | ' ' => '_',
        other => other.to_ascii_uppercase(),
    })
}

/// `Display` by way of `as_str`.
pub(crate) fn show(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.pad(text)
}

/// An enum of names. Reading forgives case, and spaces or hyphens for `_`; writing has one spelling.
macro_rules! named {
    (
        $(#[$doc:meta])*
        pub enum $name:ident: $expected:literal {
            $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All of them, in the order of their numbers on the wire.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The one spelling of its name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text::TextError;

            fn from_str(text: &str) -> Result<Self, $crate::text::TextError> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|one| $crate::text::spelling(one.as_str()).eq($crate::text::spelling(text)))
                    .ok_or_else(|| $crate::text::TextError::new(text, $expected))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::text::show(self.as_str(), f)
            }
        }
    };
}
pub(crate) use named;
