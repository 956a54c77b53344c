//! All templates of the databases that are searched by them: which probe belongs to which database, and how a match is
//! told. It must not find a key, nor decide who may see what.

use std::fmt;

use super::{Gallery, Modality, Probe, Profile, Profiles, Relation, Template, TemplateError};
use crate::Database;
use crate::record::{Content, Record};

/// The score of what is the same as the probe; what is only just within the threshold has half of it.
const SCORE_MAX: u32 = 1000;

/// What is searched for, of the kind that one database holds.
#[derive(PartialEq, Eq)]
pub enum Sought {
    /// A fingerprint or a face.
    Vector(Probe),
    /// A DNA profile.
    Profile(Profile),
}

impl Sought {
    /// The probe in these bytes, as a database takes it: a vector of signed numbers of one byte each, or a profile as
    /// text.
    ///
    /// # Errors
    /// [`TemplateError`], which says the limit of what is too large.
    pub fn read(database: Database, bytes: &[u8]) -> Result<Self, TemplateError> {
        if let Some(modality) = modality(database) {
            return Probe::new(modality, bytes).map(Self::Vector);
        }
        let most = super::PROFILE_BYTES_MAX;
        if bytes.len() > most {
            return Err(TemplateError::TooLarge { found: bytes.len(), most });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TemplateError::NoText)?;
        text.parse().map(Self::Profile)
    }
}

/// Never what is sought.
impl fmt::Debug for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vector(_) => "Vector",
            Self::Profile(_) => "Profile",
        })
    }
}

/// A record that may be of whom the probe is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Where it is found.
    pub locator: u64,
    /// From 500, which is just within the threshold, to 1000, which is the same; of profiles, how many loci in 1000
    /// agree.
    pub score: u16,
    /// What it was worked out from.
    pub reasons: Vec<String>,
}

/// The templates of all databases. A copy shares them.
#[derive(Clone)]
pub struct Galleries {
    fingerprints: Gallery,
    faces: Gallery,
    dna: Profiles,
    dna_missing: Profiles,
}

impl Default for Galleries {
    fn default() -> Self {
        Self {
            fingerprints: Gallery::new(Modality::Fingerprint),
            faces: Gallery::new(Modality::Face),
            dna: Profiles::default(),
            dna_missing: Profiles::default(),
        }
    }
}

impl fmt::Debug for Galleries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vectors = self.fingerprints.len() + self.faces.len();
        f.debug_struct("Galleries").field("vectors", &vectors).finish_non_exhaustive()
    }
}

impl Galleries {
    /// Adds what a record can be compared by, if it has that.
    pub fn add(&mut self, locator: u64, record: &Record) {
        match (record.database(), record.content()) {
            (database, Content::Template(recorded)) => {
                let Some(modality) = modality(database) else { return };
                // A record of another length was never taken.
                let Ok(template) = Template::new(modality, recorded.vector.as_bytes()) else { return };
                let gallery = match modality {
                    Modality::Fingerprint => &mut self.fingerprints,
                    Modality::Face => &mut self.faces,
                };
                let added = gallery.add(locator, &template);
                debug_assert!(added.is_ok(), "a gallery takes templates of its modality");
            }
            (database, Content::DnaProfile(recorded)) => {
                let Some(profile) = Profile::of_record(recorded) else { return };
                if let Some(profiles) = self.profiles(database) {
                    profiles.add(locator, profile);
                }
            }
            _ => {}
        }
    }

    /// Forgets a record.
    pub fn withdraw(&mut self, database: Database, locator: u64) {
        match database {
            Database::Fingerprints => self.fingerprints.withdraw(locator),
            Database::Faces => self.faces.withdraw(locator),
            _ => {
                if let Some(profiles) = self.profiles(database) {
                    profiles.withdraw(locator);
                }
            }
        }
    }

    /// The records of a database that may be of whom the probe is, the best first, at most [`MATCHES_MAX`]. Among missing
    /// persons and their families, parents and children are found as well. Records that `may_see` does not let through
    /// are as if they were not there.
    ///
    /// [`MATCHES_MAX`]: super::MATCHES_MAX
    ///
    /// # Errors
    /// [`TemplateError::OtherModality`] or [`TemplateError::OtherKind`] if the probe is not of the kind that the database
    /// holds.
    pub fn search(
        &self,
        database: Database,
        sought: &Sought,
        may_see: impl Fn(u64) -> bool,
    ) -> Result<Vec<Candidate>, TemplateError> {
        let (profiles, relation) = match (database, sought) {
            (Database::Fingerprints, Sought::Vector(probe)) => {
                return self
                    .fingerprints
                    .search(probe, may_see)
                    .map(|found| near(&found, Modality::Fingerprint));
            }
            (Database::Faces, Sought::Vector(probe)) => {
                return self.faces.search(probe, may_see).map(|found| near(&found, Modality::Face));
            }
            (Database::Dna, Sought::Profile(profile)) => {
                (self.dna.search(profile, Relation::Same, may_see), "agree")
            }
            (Database::DnaMissing, Sought::Profile(profile)) => {
                (self.dna_missing.search(profile, Relation::ParentOrChild, may_see), "share an allele")
            }
            _ => return Err(TemplateError::OtherKind),
        };
        let candidate = |found: super::ProfileMatch| {
            let agree = found.compared - found.differing.len();
            let mut reasons = vec![format!("{agree} of {} loci {relation}", found.compared)];
            reasons.extend(found.differing.iter().map(|locus| format!("{locus} differs")));
            let score = (agree * SCORE_MAX as usize).checked_div(found.compared).unwrap_or(0);
            Candidate { locator: found.locator, score: score as u16, reasons }
        };
        Ok(profiles.into_iter().map(candidate).collect())
    }

    fn profiles(&mut self, database: Database) -> Option<&mut Profiles> {
        match database {
            Database::Dna => Some(&mut self.dna),
            Database::DnaMissing => Some(&mut self.dna_missing),
            _ => None,
        }
    }
}

/// Of what kind the vectors of a database are; none where it holds other things.
fn modality(database: Database) -> Option<Modality> {
    match database {
        Database::Fingerprints => Some(Modality::Fingerprint),
        Database::Faces => Some(Modality::Face),
        _ => None,
    }
}

fn near(found: &[super::VectorMatch], modality: Modality) -> Vec<Candidate> {
    let threshold = modality.threshold();
    let candidate = |found: &super::VectorMatch| {
        let less = (SCORE_MAX / 2 * found.distance.min(threshold)) / threshold;
        let reasons =
            vec![format!("at a distance of {}, where {threshold} is the threshold", found.distance)];
        Candidate { locator: found.locator, score: (SCORE_MAX - less) as u16, reasons }
    };
    found.iter().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Cell;

    fn record(database: Database, texts: &[&str]) -> Record {
        let cells: Vec<Cell<'_>> = texts.iter().map(|text| Cell::Text((*text).into())).collect();
        Record::from_row(database, "FR".parse().unwrap(), &cells).unwrap()
    }

    fn face(byte: &str) -> Record {
        record(Database::Faces, &["f", "", "", "", "UNKNOWN", "FACE", &byte.repeat(128), ""])
    }

    fn told(galleries: &Galleries, database: Database, probe: &[u8]) -> Vec<(u64, u16, String)> {
        let sought = Sought::read(database, probe).unwrap();
        let found = galleries.search(database, &sought, |_| true).unwrap();
        found.into_iter().map(|one| (one.locator, one.score, one.reasons.join(", "))).collect()
    }

    #[test]
    fn the_same_has_the_full_score_and_the_threshold_half_of_it() {
        let mut galleries = Galleries::default();
        for (locator, byte) in [(1, "32"), (2, "3c"), (3, "3d")] {
            galleries.add(locator, &face(byte));
        }
        let at = |distance| format!("at a distance of {distance}, where 12800 is the threshold");
        assert_eq!(told(&galleries, Database::Faces, &[50; 128]), [(1, 1000, at(0)), (2, 500, at(12_800))]);
        galleries.withdraw(Database::Faces, 1);
        assert_eq!(told(&galleries, Database::Faces, &[50; 128]), [(2, 500, at(12_800))]);
        assert_eq!(told(&galleries, Database::Fingerprints, &[50; 256]), []);
        let face = Sought::read(Database::Faces, &[50; 128]).unwrap();
        let error = galleries.search(Database::Dna, &face, |_| true).unwrap_err();
        assert_eq!(error, TemplateError::OtherKind);
    }

    #[test]
    fn profiles_are_told_by_their_loci_and_parents_only_among_the_missing() {
        let loci = "D16S539:9,11;D3S1358:15,16;D8S1179:12,13;FGA:22;TH01:7,9.3;TPOX:8,9;VWA:17,18";
        let child = "D16S539:9,9;D3S1358:14,15;D8S1179:13,15;FGA:20,22;TH01:6,7;TPOX:9,12;VWA:14,15";
        let mut galleries = Galleries::default();
        galleries.add(1, &record(Database::Dna, &["d", "", "", "", "UNKNOWN", loci]));
        galleries.add(2, &record(Database::DnaMissing, &["d", "", "", "", "BODY", loci]));
        let one_off = loci.replace("TH01:7,9.3", "TH01:7,9");
        let expected = (1, 857, "6 of 7 loci agree, TH01 differs".to_owned());
        assert_eq!(told(&galleries, Database::Dna, one_off.as_bytes()), [expected]);
        assert_eq!(told(&galleries, Database::Dna, child.as_bytes()), []);
        let expected = (2, 857, "6 of 7 loci share an allele, VWA differs".to_owned());
        assert_eq!(told(&galleries, Database::DnaMissing, child.as_bytes()), [expected]);
    }

    #[test]
    fn a_probe_is_of_the_size_and_kind_of_its_database() {
        let refused = |database, bytes: &[u8]| Sought::read(database, bytes).err().unwrap().to_string();
        let too_large =
            |found, most| format!("a probe too large: {found} bytes, and at most {most} are taken");
        assert_eq!(refused(Database::Faces, &[0; 129]), too_large(129, 128));
        assert_eq!(refused(Database::Fingerprints, &[0; 257]), too_large(257, 256));
        assert_eq!(refused(Database::Dna, &[0xff; 1025]), too_large(1025, 1024));
        assert_eq!(refused(Database::Dna, &[0xff; 9]), "a profile is written as text");
        assert_eq!(refused(Database::Faces, &[]), "a probe too short: 0 bytes of 128");
    }
}
