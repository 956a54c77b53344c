//! Issuers of documents by the codes of ICAO 9303, and which bureau speaks for each.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use i247_model::{CountryCode, MEMBERS, Party, member};

use crate::text::TextError;

/// Who issued a document, by its code in a machine readable zone: `FRA`, `D` for Germany, `XOM`, `UTO` of the specimens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issuer([u8; 3]);

/// The state of specimens. It issues nothing: whoever records one of its documents does so for an exercise.
const SPECIMENS: &str = "UTO";

/// Codes that stand for no member of their own, each with the member whose documents they are. The secretariat keeps
/// those that are nobody's: organisations, stateless persons.
const OTHERS: &[(&str, Option<&str>)] = &[
    ("AIA", Some("GB")),
    ("BMU", Some("GB")),
    ("CYM", Some("GB")),
    ("D", Some("DE")),
    ("EUE", None),
    ("FLK", Some("GB")),
    ("FRO", Some("DK")),
    ("GBD", Some("GB")),
    ("GBN", Some("GB")),
    ("GBO", Some("GB")),
    ("GBP", Some("GB")),
    ("GBS", Some("GB")),
    ("GGY", Some("GB")),
    ("GIB", Some("GB")),
    ("GRL", Some("DK")),
    ("HKG", Some("CN")),
    ("IMN", Some("GB")),
    ("JEY", Some("GB")),
    ("MAC", Some("CN")),
    ("MSR", Some("GB")),
    ("PRI", Some("US")),
    ("PRK", None),
    ("RKS", None),
    ("SHN", Some("GB")),
    ("TCA", Some("GB")),
    ("TUV", None),
    ("TWN", None),
    ("UNA", None),
    ("UNK", None),
    ("UNO", None),
    ("VGB", Some("GB")),
    ("XBA", None),
    ("XCC", None),
    ("XCE", None),
    ("XCO", None),
    ("XDC", None),
    ("XEC", None),
    ("XES", None),
    ("XIM", None),
    ("XMP", None),
    ("XOM", None),
    ("XPO", None),
    ("XXA", None),
    ("XXB", None),
    ("XXC", None),
    ("XXX", None),
];

/// Every code, with who speaks for it; nobody for specimens.
static ISSUERS: LazyLock<BTreeMap<Issuer, Option<Party>>> = LazyLock::new(|| {
    let mut issuers = BTreeMap::new();
    for one in MEMBERS.iter().filter(|one| one.iso3 != "DEU") {
        if let Some(issuer) = Issuer::letters(one.iso3) {
            issuers.insert(issuer, Some(Party::Bureau(one.code)));
        }
    }
    for (code, owner) in OTHERS {
        let party = owner.and_then(|code| code.parse().ok()).map_or(Party::Secretariat, Party::Bureau);
        if let Some(issuer) = Issuer::letters(code) {
            issuers.insert(issuer, Some(party));
        }
    }
    issuers.extend(Issuer::letters(SPECIMENS).map(|specimens| (specimens, None)));
    issuers
});

impl Issuer {
    /// Every issuer there is, in the order of the codes. A number without its issuer is looked up under each.
    pub fn all() -> impl Iterator<Item = Self> {
        ISSUERS.keys().copied()
    }

    /// The code that a member's documents bear.
    pub fn of_member(country: CountryCode) -> Option<Self> {
        member(country).and_then(|member| member.iso3.parse().ok())
    }

    /// The code, without the `<` that fill it up in a machine readable zone.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(3);
        // Only capital ASCII letters get in, so this is always text.
        std::str::from_utf8(&self.0[..len]).unwrap_or("")
    }

    /// Whose the documents are, and who alone may report them stolen: the member's bureau, or the secretariat for codes
    /// that stand for no member. None for the specimens of `UTO`: anybody may record one, for an exercise, and the record
    /// is then its own.
    pub fn owner(&self) -> Option<Party> {
        ISSUERS.get(self).copied().unwrap_or(Some(Party::Secretariat))
    }

    /// These letters in capitals, whether anybody issues under them or not.
    pub(crate) fn letters(code: &str) -> Option<Self> {
        let mut letters = [0; 3];
        let fits = (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        letters.get_mut(..code.len()).filter(|_| fits)?.copy_from_slice(code.as_bytes());
        letters.make_ascii_uppercase();
        Some(Self(letters))
    }
}

impl FromStr for Issuer {
    type Err = TextError;

    /// Reads a code in any case, filled up with `<` or not. `DEU` is read as the `D` that German documents bear.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let trimmed = text.trim_end_matches('<');
        Self::letters(if trimmed.eq_ignore_ascii_case("DEU") { "D" } else { trimmed })
            .filter(|issuer| ISSUERS.contains_key(issuer))
            .ok_or_else(|| TextError::new(text, "the ICAO code of an issuer, such as FRA, D or UTO"))
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(code: &str) -> String {
        code.parse::<Issuer>().unwrap().owner().map_or("anybody".into(), |owner| owner.to_string())
    }

    #[test]
    fn each_issuer_has_one_code_and_one_owner() {
        assert_eq!(owner("FRA"), "FR");
        assert_eq!(owner("D<<"), "DE");
        assert_eq!(owner("gbd"), "GB");
        assert_eq!(owner("HKG"), "CN");
        assert_eq!(owner("UNO"), "IPSG");
        assert_eq!(owner("XPO"), "IPSG");
        assert_eq!(owner("UTO"), "anybody");
        assert_eq!("DEU".parse::<Issuer>().unwrap().as_str(), "D");
        assert_eq!(Issuer::of_member("DE".parse().unwrap()).unwrap().as_str(), "D");
        assert_eq!(Issuer::of_member("XX".parse().unwrap()), None);
    }

    #[test]
    fn unknown_codes_are_refused() {
        for text in ["", "<<<", "ZZZ", "FR", "FRAN", "F<A", "DE", "XX", "U T", "ÄÖÜ"] {
            assert!(text.parse::<Issuer>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn all_members_issue_and_47_codes_more() {
        assert_eq!(Issuer::all().count(), 195 + 47);
        for member in MEMBERS.iter() {
            let issuer = Issuer::of_member(member.code).unwrap();
            assert_eq!(issuer.owner(), Some(Party::Bureau(member.code)), "{}", member.iso3);
        }
    }
}
