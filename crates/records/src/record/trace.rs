//! Traces as records: DNA profiles, fingerprints and faces. No name is held with them, and nothing here compares them.

use i247_wire::pb;

use super::line::{Quality, Vector};
use super::value::{Atom, Faults, enum_atoms, layout};
use crate::database::Database;
use crate::template::Modality as Compared;
use crate::text::{TextError, named};

named! {
    /// Whom a trace comes from.
    pub enum SubjectKind: "a kind of subject: KNOWN, UNKNOWN, MISSING, BODY or RELATIVE" {
        /// A person whose name is known to the owner.
        Known = "KNOWN",
        /// Somebody unknown.
        Unknown = "UNKNOWN",
        /// A missing person.
        Missing = "MISSING",
        /// A body that nobody has identified.
        Body = "BODY",
        /// Somebody of the family of a missing person.
        Relative = "RELATIVE",
    }
}

named! {
    /// What a template was made of.
    pub enum Modality: "a modality: FINGERPRINT, MARK, PALM or FACE" {
        /// A print taken from a finger.
        Fingerprint = "FINGERPRINT",
        /// A mark from a scene of crime.
        Mark = "MARK",
        /// A print taken from a palm.
        Palm = "PALM",
        /// A face.
        Face = "FACE",
    }
}

enum_atoms! { SubjectKind, Modality }

impl SubjectKind {
    /// Whether the person is known, which decides how long the record may stay.
    pub fn is_known(self) -> bool {
        matches!(self, Self::Known | Self::Missing | Self::Relative)
    }
}

layout! {
    /// A DNA profile.
    pub struct DnaProfile {
        /// Whom it comes from.
        subject_kind: SubjectKind,
        /// The places that were read, by name.
        loci: Vec<Locus>,
    }
}

/// Fewest places of a profile that can be compared.
pub const MIN_LOCI: usize = 6;

impl DnaProfile {
    pub(super) fn check(&self, database: Database, faults: &mut Faults) {
        faults.rule(self.loci.len() >= MIN_LOCI, "loci", "has fewer than 6 places");
        let sorted = self.loci.windows(2).all(|pair| pair[0].name < pair[1].name);
        faults.rule(sorted, "loci", "is not sorted by name and free of repetition");
        let family =
            matches!(self.subject_kind, SubjectKind::Missing | SubjectKind::Body | SubjectKind::Relative);
        let fits = family == (database == Database::DnaMissing);
        faults.rule(fits, "subject_kind", "belongs to the other database of DNA profiles");
    }
}

/// One place of a DNA profile. Written `TH01:6,9.3` or `AMEL:X,Y`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Locus {
    name: String,
    alleles: Vec<u32>,
}

const LOCUS: &str = "a locus such as TH01:6,9.3 with one or two alleles in order";

impl Locus {
    /// The name: capitals and digits.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One or two alleles in order, in tenths of a repeat; X is 1 and Y is 2.
    pub fn alleles(&self) -> &[u32] {
        &self.alleles
    }
}

impl Atom for Locus {
    type Wire = pb::Locus;

    fn from_wire(wire: pb::Locus) -> Result<Self, TextError> {
        let name = (1..=12).contains(&wire.name.len())
            && wire.name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let sexual = wire.name == "AMEL";
        let allele =
            |tenths: &u32| if sexual { matches!(tenths, 1 | 2) } else { (10..=999).contains(tenths) };
        let alleles = (1..=2).contains(&wire.alleles.len())
            && wire.alleles.iter().all(allele)
            && wire.alleles.is_sorted();
        if name && alleles {
            Ok(Self { name: wire.name, alleles: wire.alleles })
        } else {
            Err(TextError::new(&wire.name, LOCUS))
        }
    }

    fn to_wire(&self) -> pb::Locus {
        pb::Locus { name: self.name.clone(), alleles: self.alleles.clone() }
    }

    fn parse(text: &str) -> Result<Self, TextError> {
        let wrong = || TextError::new(text, LOCUS);
        let (name, alleles) = text.split_once(':').ok_or_else(wrong)?;
        let alleles: Option<Vec<u32>> = alleles.split(',').take(3).map(|text| allele(text.trim())).collect();
        let wire = pb::Locus { name: name.trim().to_ascii_uppercase(), alleles: alleles.ok_or_else(wrong)? };
        Self::from_wire(wire).map_err(|_| wrong())
    }

    fn show(&self) -> String {
        let sexual = self.name == "AMEL";
        let alleles: Vec<String> = self.alleles.iter().map(|tenths| show_allele(*tenths, sexual)).collect();
        format!("{}:{}", self.name, alleles.join(","))
    }
}

fn allele(text: &str) -> Option<u32> {
    match text {
        "X" => Some(1),
        "Y" => Some(2),
        _ => {
            let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
            let digits = |part: &str, most| {
                (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
            };
            let fits = digits(whole, 2) && digits(tenth, 1);
            fits.then(|| Some(whole.parse::<u32>().ok()? * 10 + tenth.parse::<u32>().ok()?)).flatten()
        }
    }
}

fn show_allele(tenths: u32, sexual: bool) -> String {
    match (sexual, tenths) {
        (true, 1) => "X".to_owned(),
        (true, _) => "Y".to_owned(),
        (false, _) if tenths.is_multiple_of(10) => (tenths / 10).to_string(),
        (false, _) => format!("{}.{}", tenths / 10, tenths % 10),
    }
}

layout! {
    /// A fingerprint or face, as an opaque vector.
    pub struct Template {
        /// Whom it comes from.
        subject_kind: SubjectKind,
        /// What it was made of.
        modality: Modality,
        /// What is compared.
        vector: Vector,
        /// How good it is.
        quality: Option<Quality>,
    }
}

impl Template {
    pub(super) fn check(&self, database: Database, faults: &mut Faults) {
        let face = self.modality == Modality::Face;
        faults.rule(face == (database == Database::Faces), "modality", "belongs to another database");
        let length = self.vector.as_bytes().len();
        if face {
            faults.rule(length == Compared::Face.dimensions(), "vector", "of a face has 128 bytes");
        } else {
            let fits = length == Compared::Fingerprint.dimensions();
            faults.rule(fits, "vector", "of a fingerprint, mark or palm has 256 bytes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locus_is_read_and_written_in_one_way() {
        for text in ["TH01:6,9.3", "D3S1358:15,17", "AMEL:X,Y", "AMEL:X", "FGA:22"] {
            assert_eq!(Locus::parse(text).unwrap().show(), text);
        }
        assert_eq!(Locus::parse("th01: 6, 9.3").unwrap().alleles(), [60, 93]);
        for text in [
            "TH01",
            "TH01:",
            "TH01:9.3,6",
            "TH01:1,2,3",
            "TH01:X",
            "AMEL:10",
            "TH01:6.33",
            "TH01:-6",
            ":6",
            "TH 01:6",
        ] {
            assert!(Locus::parse(text).is_err(), "{text}");
        }
    }
}
