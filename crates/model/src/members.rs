//! The 196 member countries: codes, names, bureau cities, regions, addresses.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::{CountryCode, ParseError, serde_as_text};

/// A region that can be addressed as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Region {
    /// 49 members.
    Africa,
    /// 38 members.
    Americas,
    /// 42 members.
    AsiaPacific,
    /// 50 members.
    Europe,
    /// Middle East and North Africa, 17 members.
    Mena,
}

serde_as_text!(Region);

impl Region {
    /// All regions.
    pub const ALL: [Self; 5] = [Self::Africa, Self::Americas, Self::AsiaPacific, Self::Europe, Self::Mena];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Africa => "Africa",
            Self::Americas => "Americas",
            Self::AsiaPacific => "Asia-Pacific",
            Self::Europe => "Europe",
            Self::Mena => "MENA",
        }
    }
}

impl FromStr for Region {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|region| region.as_str() == text)
            .ok_or_else(|| ParseError::new(text, "a region: Africa, Americas, Asia-Pacific, Europe or MENA"))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A member country.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// ISO 3166-1 alpha-2.
    pub code: CountryCode,
    /// ISO 3166-1 alpha-3.
    pub iso3: &'static str,
    /// English short name.
    pub name: &'static str,
    /// The city of its bureau.
    pub city: &'static str,
    /// The region that it is addressed with.
    pub region: Region,
    /// EN, FR, ES or AR.
    pub language: &'static str,
    /// The bureau's address: `IP PARIS`.
    pub address: &'static str,
}

/// All members, ordered by code.
pub static MEMBERS: LazyLock<Vec<Member>> = LazyLock::new(|| {
    let mut members: Vec<Member> = include_str!("members.csv").lines().skip(1).filter_map(parse).collect();
    members.sort_by_key(|member| member.code);
    members
});

/// The member with this code.
pub fn member(code: CountryCode) -> Option<&'static Member> {
    let members: &'static [Member] = &MEMBERS;
    members.binary_search_by_key(&code, |member| member.code).ok().and_then(|at| members.get(at))
}

fn parse(line: &'static str) -> Option<Member> {
    let fields: Vec<&'static str> = line.split(',').collect();
    let &[code, iso3, name, city, region, language, address] = fields.as_slice() else { return None };
    Some(Member {
        code: code.parse().ok()?,
        iso3,
        name,
        city,
        region: region.parse().ok()?,
        language,
        address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_196_members_with_addresses_of_their_own() {
        assert_eq!(MEMBERS.len(), 196);
        let addresses: std::collections::BTreeSet<_> = MEMBERS.iter().map(|member| member.address).collect();
        assert_eq!(addresses.len(), 196);
        assert_eq!(member("FR".parse().unwrap()).unwrap().address, "IP PARIS");
        assert_eq!(member("XX".parse().unwrap()), None);
    }
}
