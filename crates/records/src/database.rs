//! The nineteen databases: what each holds, by which keys it is asked, who may add to it, and how long a record stays.
//!
//! It holds no records and finds nothing; it is the table that the other modules ask.

use crate::text::named;

named! {
    /// A database of the network.
    pub enum Database: "a database: nominal, icse, fingerprints, dna, dna-missing, faces, sltd, tdawn, sad, dial-doc, edison, vehicles, vessels, art, iarms, ifrt, ibin, cards or piracy" {
        /// Persons of notices and diffusions.
        Nominal = "nominal",
        /// International Child Sexual Exploitation: series by opaque hashes.
        Icse = "icse",
        /// Ten-prints and marks, as template vectors.
        Fingerprints = "fingerprints",
        /// DNA profiles of criminal cases, as loci.
        Dna = "dna",
        /// DNA profiles of missing persons, unidentified bodies and their families.
        DnaMissing = "dna-missing",
        /// Facial images, as template vectors.
        Faces = "faces",
        /// Stolen and Lost Travel Documents.
        Sltd = "sltd",
        /// Travel Documents Associated With Notices.
        Tdawn = "tdawn",
        /// Stolen Administrative Documents.
        Sad = "sad",
        /// Dial-Doc: alerts of newly seen forgeries.
        DialDoc = "dial-doc",
        /// Edison: specimens of genuine documents.
        Edison = "edison",
        /// Stolen Motor Vehicles.
        Vehicles = "vehicles",
        /// Stolen vessels and engines.
        Vessels = "vessels",
        /// Stolen Works of Art.
        Art = "art",
        /// Lost, stolen, trafficked and smuggled firearms.
        Iarms = "iarms",
        /// Firearms Reference Table.
        Ifrt = "ifrt",
        /// Ballistic Information Network: opaque hashes of images.
        Ibin = "ibin",
        /// Counterfeit payment cards, by class.
        Cards = "cards",
        /// Maritime piracy: persons, vessels, telephones.
        Piracy = "piracy",
    }
}

named! {
    /// What a record can be found by.
    pub enum KeyKind: "a kind of key" {
        /// The owner's own reference; names the record where nothing in it does.
        Reference = "reference",
        /// Issuing country and folded number of a travel document.
        TravelDocument = "travel-document",
        /// Issuing country and folded number of an administrative document.
        AdministrativeDocument = "administrative-document",
        /// Vehicle identification number, folded.
        Vin = "vin",
        /// Number of an engine of a vehicle or vessel, folded.
        Engine = "engine",
        /// Country and folded registration plate.
        Plate = "plate",
        /// Number of an identifiable part, folded.
        Part = "part",
        /// Hull number (HIN) or IMO number, folded.
        Hull = "hull",
        /// Name of a vessel, in plain capitals.
        VesselName = "vessel-name",
        /// Serial number of a firearm, folded.
        Serial = "serial",
        /// Title and author of a work of art, in plain capitals.
        Title = "title",
        /// Country and type of a document.
        DocumentModel = "document-model",
        /// A code, class, hash, model or telephone number of a generic record, in plain capitals.
        Code = "code",
        /// A person's name: nominal search, not an exact key.
        Name = "name",
        /// A template vector: matched by score, not an exact key.
        Template = "template",
        /// DNA loci: matched by allele, not an exact key.
        Loci = "loci",
    }
}

impl KeyKind {
    /// Whether it is looked up by equality. The others are searched or matched by score.
    pub fn is_exact(self) -> bool {
        !matches!(self, Self::Name | Self::Template | Self::Loci)
    }
}

/// Who may add a record. Whoever added it owns it, and only the owner may change, restrict or withdraw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writers {
    /// Any bureau, and the secretariat.
    AnyBureau,
    /// Only the country that issued the document.
    IssuingCountry,
    /// Nobody loads it: it follows from published notices, and the secretariat keeps it.
    FromNotices,
}

/// How long a record may stay, unless its owner wants it shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retention {
    /// So many years from the day on which it was accepted.
    Years(u16),
    /// Years that depend on whether the person behind it is known.
    ByPerson {
        /// The person is known.
        known: u16,
        /// The person is unknown.
        unknown: u16,
    },
    /// As long as the notice that it belongs to.
    WithNotice,
}

impl Retention {
    /// The years from acceptance to expiry; none where the notice decides.
    pub fn years(self, person_known: bool) -> Option<u16> {
        match self {
            Self::Years(years) => Some(years),
            Self::ByPerson { known, .. } if person_known => Some(known),
            Self::ByPerson { unknown, .. } => Some(unknown),
            Self::WithNotice => None,
        }
    }
}

impl Database {
    /// Its number: the place in [`Database::ALL`] from 1, also on the wire. Never reused.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The database with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Nominal => "Nominal data",
            Self::Icse => "International Child Sexual Exploitation",
            Self::Fingerprints => "Fingerprints",
            Self::Dna => "DNA profiles",
            Self::DnaMissing => "DNA profiles of missing persons",
            Self::Faces => "Facial images",
            Self::Sltd => "Stolen and Lost Travel Documents",
            Self::Tdawn => "Travel Documents Associated With Notices",
            Self::Sad => "Stolen Administrative Documents",
            Self::DialDoc => "Dial-Doc",
            Self::Edison => "Edison",
            Self::Vehicles => "Stolen Motor Vehicles",
            Self::Vessels => "Stolen Vessels and Engines",
            Self::Art => "Stolen Works of Art",
            Self::Iarms => "Illicit Arms Records",
            Self::Ifrt => "Firearms Reference Table",
            Self::Ibin => "Ballistic Information Network",
            Self::Cards => "Counterfeit Payment Cards",
            Self::Piracy => "Maritime Piracy",
        }
    }

    /// Whether its records are compared with a probe, and found by no key but the owner's reference.
    pub fn is_compared(self) -> bool {
        self.keys().iter().any(|kind| matches!(kind, KeyKind::Template | KeyKind::Loci))
    }

    /// What its records can be found by.
    pub fn keys(self) -> &'static [KeyKind] {
        use KeyKind as K;
        match self {
            Self::Nominal => &[K::Reference, K::Name, K::TravelDocument],
            Self::Fingerprints | Self::Faces => &[K::Reference, K::Template],
            Self::Dna | Self::DnaMissing => &[K::Reference, K::Loci],
            Self::Sltd | Self::Tdawn => &[K::TravelDocument],
            Self::Sad => &[K::AdministrativeDocument],
            Self::DialDoc | Self::Edison => &[K::Reference, K::DocumentModel],
            Self::Vehicles => &[K::Reference, K::Vin, K::Engine, K::Plate, K::Part],
            Self::Vessels => &[K::Reference, K::Hull, K::VesselName, K::Engine],
            Self::Art => &[K::Reference, K::Title],
            Self::Iarms => &[K::Reference, K::Serial],
            Self::Icse | Self::Ifrt | Self::Ibin | Self::Cards | Self::Piracy => &[K::Reference, K::Code],
        }
    }

    /// Whether a reviewer of the secretariat publishes each record of it before others find it.
    pub fn is_checked(self) -> bool {
        self == Self::DialDoc
    }

    /// Who may add to it.
    pub fn writers(self) -> Writers {
        match self {
            Self::Sltd => Writers::IssuingCountry,
            Self::Tdawn => Writers::FromNotices,
            _ => Writers::AnyBureau,
        }
    }

    /// How long a record may stay.
    pub fn retention(self) -> Retention {
        match self {
            Self::Fingerprints | Self::Dna | Self::DnaMissing => {
                Retention::ByPerson { known: 5, unknown: 15 }
            }
            Self::Tdawn => Retention::WithNotice,
            Self::Icse => Retention::Years(99),
            Self::Art => Retention::Years(50),
            Self::Iarms | Self::Ifrt | Self::Ibin => Retention::Years(30),
            Self::Sltd | Self::Sad | Self::DialDoc | Self::Edison | Self::Vehicles | Self::Vessels => {
                Retention::Years(10)
            }
            // Five years is the rule where nothing else is laid down.
            Self::Nominal | Self::Faces | Self::Cards | Self::Piracy => Retention::Years(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_nineteen_and_each_is_found_by_name_and_number() {
        assert_eq!(Database::ALL.len(), 19);
        for database in Database::ALL {
            assert_eq!(database.as_str().parse(), Ok(*database));
            assert_eq!(Database::from_number(database.number()), Some(*database));
        }
        assert_eq!("SLTD".parse(), Ok(Database::Sltd));
        assert_eq!("dial_doc".parse(), Ok(Database::DialDoc));
        assert_eq!(Database::Nominal.number(), 1);
        assert_eq!(Database::Sltd.number(), 7);
        assert_eq!(Database::Piracy.number(), 19);
        assert_eq!(Database::from_number(0), None);
        assert_eq!(Database::from_number(20), None);
        assert!("passports".parse::<Database>().is_err());
    }

    /// Each database with its keys, who adds to it, and how many years a record stays about somebody who is known and about
    /// somebody who is not.
    const TABLE: &str = "
        nominal       reference name travel-document           any      5  5
        icse          reference code                           any     99 99
        fingerprints  reference template                       any      5 15
        dna           reference loci                           any      5 15
        dna-missing   reference loci                           any      5 15
        faces         reference template                       any      5  5
        sltd          travel-document                          issuer  10 10
        tdawn         travel-document                          notices  -  -
        sad           administrative-document                  any     10 10
        dial-doc      reference document-model                 any     10 10
        edison        reference document-model                 any     10 10
        vehicles      reference vin engine plate part          any     10 10
        vessels       reference hull vessel-name engine        any     10 10
        art           reference title                          any     50 50
        iarms         reference serial                         any     30 30
        ifrt          reference code                           any     30 30
        ibin          reference code                           any     30 30
        cards         reference code                           any      5  5
        piracy        reference code                           any      5  5
    ";

    #[test]
    fn keys_owners_and_retention_are_as_the_rules_lay_down() {
        let rows = TABLE.lines().map(str::split_whitespace).map(Iterator::collect::<Vec<_>>);
        let rows: Vec<_> = rows.filter(|row| !row.is_empty()).collect();
        assert_eq!(rows.len(), Database::ALL.len());
        for (row, database) in rows.iter().zip(Database::ALL) {
            let writers = match database.writers() {
                Writers::AnyBureau => "any",
                Writers::IssuingCountry => "issuer",
                Writers::FromNotices => "notices",
            };
            let years = |known| match database.retention().years(known) {
                Some(years) => years.to_string(),
                None => "-".to_owned(),
            };
            let mut found = vec![database.as_str().to_owned()];
            found.extend(database.keys().iter().map(ToString::to_string));
            found.extend([writers.to_owned(), years(true), years(false)]);
            assert_eq!(found, *row);
        }
    }
}
