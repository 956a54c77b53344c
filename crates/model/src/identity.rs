//! Who a certificate speaks of: SPIFFE ids under one trust domain.

use std::fmt;
use std::str::FromStr;

use crate::{CountryCode, Name, ParseError, Sender, serde_as_text};

/// The trust domain of every identity.
pub const TRUST_DOMAIN: &str = "i247.test";

/// An identity, written as a SPIFFE id: `spiffe://i247.test/ncb/fr`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Identity {
    /// The secretariat's certificate authority: `/gs/authority`.
    Authority,
    /// A hub: `/gs/hub/lyon`.
    Hub(Name),
    /// A reviewer of the secretariat: `/gs/reviewer/lena`.
    Reviewer(Name),
    /// An operator: `/operator/ops`.
    Operator(Name),
    /// A bureau: `/ncb/fr`.
    Bureau(CountryCode),
    /// A country's authority for its officers and posts: `/ncb/fr/authority`.
    NationalAuthority(CountryCode),
    /// An officer's seat: `/ncb/fr/officer/duty`.
    Officer(CountryCode, Name),
    /// A national post: `/ncb/fr/post/cdg`.
    Post(CountryCode, Name),
    /// An international entity: `/entity/icc`.
    Entity(Name),
}

serde_as_text!(Identity);

impl Identity {
    /// Under whose name this identity's messages are numbered, if it signs any.
    pub fn sender(&self) -> Option<Sender> {
        match self {
            Self::Hub(_) => Some(Sender::Secretariat),
            Self::Reviewer(name) => Some(Sender::Reviewer(name.clone())),
            Self::Bureau(country) => Some(Sender::Bureau(*country)),
            Self::Post(country, name) => Some(Sender::Post(*country, name.clone())),
            Self::Authority
            | Self::Operator(_)
            | Self::NationalAuthority(_)
            | Self::Officer(..)
            | Self::Entity(_) => None,
        }
    }

    /// Who must have issued its certificate. The secretariat's authority is its own issuer.
    pub fn issuer(&self) -> Self {
        match self {
            Self::Officer(country, _) | Self::Post(country, _) => Self::NationalAuthority(*country),
            Self::Authority
            | Self::Hub(_)
            | Self::Reviewer(_)
            | Self::Operator(_)
            | Self::Bureau(_)
            | Self::NationalAuthority(_)
            | Self::Entity(_) => Self::Authority,
        }
    }
}

impl FromStr for Identity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong =
            || ParseError::new(text, "a SPIFFE id of this network, such as spiffe://i247.test/ncb/fr");
        let path = text
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.strip_prefix(TRUST_DOMAIN))
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(wrong)?;
        let name = |text: &str| text.parse::<Name>().map_err(|_| wrong());
        let country = |text: &str| {
            let lower = text.bytes().all(|byte| byte.is_ascii_lowercase());
            if lower { text.to_ascii_uppercase().parse().map_err(|_| wrong()) } else { Err(wrong()) }
        };
        let parts: Vec<&str> = path.split('/').collect();
        Ok(match parts.as_slice() {
            ["gs", "authority"] => Self::Authority,
            ["gs", "hub", n] => Self::Hub(name(n)?),
            ["gs", "reviewer", n] => Self::Reviewer(name(n)?),
            ["operator", n] => Self::Operator(name(n)?),
            ["entity", n] => Self::Entity(name(n)?),
            ["ncb", c] => Self::Bureau(country(c)?),
            ["ncb", c, "authority"] => Self::NationalAuthority(country(c)?),
            ["ncb", c, "officer", n] => Self::Officer(country(c)?, name(n)?),
            ["ncb", c, "post", n] => Self::Post(country(c)?, name(n)?),
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{TRUST_DOMAIN}")?;
        match self {
            Self::Authority => f.write_str("/gs/authority"),
            Self::Hub(name) => write!(f, "/gs/hub/{name}"),
            Self::Reviewer(name) => write!(f, "/gs/reviewer/{name}"),
            Self::Operator(name) => write!(f, "/operator/{name}"),
            Self::Bureau(country) => write!(f, "/ncb/{}", country.to_lowercase()),
            Self::NationalAuthority(country) => write!(f, "/ncb/{}/authority", country.to_lowercase()),
            Self::Officer(country, name) => write!(f, "/ncb/{}/officer/{name}", country.to_lowercase()),
            Self::Post(country, name) => write!(f, "/ncb/{}/post/{name}", country.to_lowercase()),
            Self::Entity(name) => write!(f, "/entity/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_has_one_spelling() {
        for path in [
            "gs/authority",
            "gs/hub/lyon",
            "gs/reviewer/lena",
            "operator/ops",
            "ncb/fr",
            "ncb/fr/authority",
            "ncb/fr/officer/duty",
            "ncb/fr/post/cdg",
            "entity/icc",
        ] {
            let text = format!("spiffe://i247.test/{path}");
            assert_eq!(text.parse::<Identity>().unwrap().to_string(), text);
        }
        for text in [
            "spiffe://i247.test/ncb/FR",
            "spiffe://other.test/ncb/fr",
            "spiffe://i247.test/ncb/fr/",
            "https://i247.test/ncb/fr",
            "spiffe://i247.test/ncb/fr/officer/",
            "spiffe://i247.test",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }
}
