//! Documents: numbers and their near misses, types, and who issued them.
//!
//! It says what is the same and what merely looks alike; what follows from that is the search's business.

mod issuer;
mod number;

pub use issuer::Issuer;
pub use number::{DocumentNumber, Folded, fold};

use crate::text::named;

named! {
    /// What a travel document is.
    pub enum DocumentType: "a type of travel document: PASSPORT, DIPLOMATIC, SERVICE, ID_CARD, VISA, REFUGEE_TD, STATELESS_TD, EMERGENCY_TD, SEAMAN, RESIDENCE_PERMIT or OTHER" {
        /// An ordinary passport.
        Passport = "PASSPORT",
        /// A diplomatic passport.
        Diplomatic = "DIPLOMATIC",
        /// A service or official passport.
        Service = "SERVICE",
        /// An identity card.
        IdCard = "ID_CARD",
        /// A visa.
        Visa = "VISA",
        /// A travel document of a refugee.
        RefugeeTd = "REFUGEE_TD",
        /// A travel document of a stateless person.
        StatelessTd = "STATELESS_TD",
        /// An emergency travel document.
        EmergencyTd = "EMERGENCY_TD",
        /// A seafarer's document.
        Seaman = "SEAMAN",
        /// A residence permit.
        ResidencePermit = "RESIDENCE_PERMIT",
        /// Any other.
        Other = "OTHER",
    }
}

named! {
    /// What an administrative document is.
    pub enum AdministrativeType: "a type of administrative document: REGISTRATION, IMPORT, EXPORT, DRIVING_LICENCE or OTHER" {
        /// A vehicle's registration certificate.
        Registration = "REGISTRATION",
        /// An import clearance.
        Import = "IMPORT",
        /// An export clearance.
        Export = "EXPORT",
        /// A driving licence.
        DrivingLicence = "DRIVING_LICENCE",
        /// Any other.
        Other = "OTHER",
    }
}

impl DocumentType {
    /// The type that the two letters of a machine readable zone stand for; none where they leave it open.
    ///
    /// Only the letters of passports are laid down (ICAO 9303-4, 4.4), and only since 2026: `P<` may be any passport, and
    /// a card may be an identity card or a permit.
    pub fn of_code(code: &str) -> Option<Self> {
        match code {
            "PP" => Some(Self::Passport),
            "PD" => Some(Self::Diplomatic),
            "PO" => Some(Self::Service),
            "PE" => Some(Self::EmergencyTd),
            "PR" => Some(Self::RefugeeTd),
            "PS" => Some(Self::StatelessTd),
            "AC" => Some(Self::Seaman),
            _ if code.starts_with('V') => Some(Self::Visa),
            _ => None,
        }
    }

    /// Whether a machine readable zone with these letters may stand on such a document.
    pub fn may_bear(self, code: &str) -> bool {
        if let Some(certain) = Self::of_code(code) {
            return certain == self;
        }
        match code.bytes().next() {
            Some(b'P') => matches!(
                self,
                Self::Passport
                    | Self::Diplomatic
                    | Self::Service
                    | Self::EmergencyTd
                    | Self::RefugeeTd
                    | Self::StatelessTd
                    | Self::Seaman
                    | Self::Other
            ),
            Some(b'I' | b'A' | b'C') => {
                matches!(self, Self::IdCard | Self::ResidencePermit | Self::Seaman | Self::Other)
            }
            _ => self != Self::Visa,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_in_any_case_and_written_in_one() {
        assert_eq!("passport".parse(), Ok(DocumentType::Passport));
        assert_eq!("Id card".parse(), Ok(DocumentType::IdCard));
        assert_eq!("residence-permit".parse(), Ok(DocumentType::ResidencePermit));
        assert_eq!(DocumentType::RefugeeTd.to_string(), "REFUGEE_TD");
        assert!("PASS".parse::<DocumentType>().is_err());
        assert!("".parse::<DocumentType>().is_err());
    }

    #[test]
    fn the_letters_of_a_zone_leave_the_type_open_unless_they_name_it() {
        assert_eq!(DocumentType::of_code("PD"), Some(DocumentType::Diplomatic));
        assert_eq!(DocumentType::of_code("V"), Some(DocumentType::Visa));
        assert_eq!(DocumentType::of_code("P"), None);
        assert!(DocumentType::Diplomatic.may_bear("P"));
        assert!(!DocumentType::Diplomatic.may_bear("PP"));
        assert!(DocumentType::IdCard.may_bear("I"));
        assert!(!DocumentType::IdCard.may_bear("P"));
        assert!(!DocumentType::Passport.may_bear("VA"));
        assert!(!DocumentType::Visa.may_bear("P"));
    }
}
