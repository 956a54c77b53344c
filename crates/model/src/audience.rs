//! Who is to receive a message, as its sender says it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{CountryCode, Party, Region};

/// An audience before it is frozen. The router turns it into a list of recipients.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Audience {
    /// All member countries but the sender.
    pub all: bool,
    /// All member countries of these regions.
    pub regions: BTreeSet<Region>,
    /// These countries.
    pub countries: BTreeSet<CountryCode>,
    /// Never these countries, whatever else is said.
    pub except: BTreeSet<CountryCode>,
    /// The General Secretariat.
    pub secretariat: bool,
    /// Whoever had the message that this one refers to.
    pub as_referred: bool,
    /// Copies for information; no reply is owed.
    pub copies: BTreeSet<Party>,
}

/// An audience that cannot be meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AudienceError {
    /// Nobody is addressed.
    #[error("nobody is addressed")]
    Empty,
    /// A country is addressed by name and excluded too.
    #[error("{0} is addressed by name and excluded too")]
    Contradiction(CountryCode),
}

impl Audience {
    /// These countries and no others.
    pub fn countries(countries: impl IntoIterator<Item = CountryCode>) -> Self {
        Self { countries: countries.into_iter().collect(), ..Self::default() }
    }

    /// All member countries.
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// The General Secretariat alone.
    pub fn secretariat() -> Self {
        Self { secretariat: true, ..Self::default() }
    }

    /// Whoever had the message referred to.
    pub fn as_referred() -> Self {
        Self { as_referred: true, ..Self::default() }
    }

    /// The same without these countries.
    pub fn except(mut self, countries: impl IntoIterator<Item = CountryCode>) -> Self {
        self.except.extend(countries);
        self
    }

    /// The same with copies to these parties.
    pub fn copies(mut self, parties: impl IntoIterator<Item = Party>) -> Self {
        self.copies.extend(parties);
        self
    }

    /// Whether somebody is addressed, and nobody both named and excluded.
    ///
    /// # Errors
    /// [`AudienceError`] says which rule is broken.
    pub fn check(&self) -> Result<(), AudienceError> {
        let named = self.countries.iter().chain(self.copies.iter().filter_map(|party| match party {
            Party::Secretariat => None,
            Party::Bureau(country) => Some(country),
        }));
        if let Some(country) = named.copied().find(|country| self.except.contains(country)) {
            return Err(AudienceError::Contradiction(country));
        }
        let addressed = self.all
            || self.secretariat
            || self.as_referred
            || !self.regions.is_empty()
            || !self.countries.is_empty()
            || !self.copies.is_empty();
        if addressed { Ok(()) } else { Err(AudienceError::Empty) }
    }
}
