//! DNA profiles: what lengths of repeats a person has at some places of the genome, and how many two profiles share.
//!
//! A profile names nobody. Two profiles are of one person if enough loci can be compared and nearly all agree; a parent
//! and a child share one allele at each. That is arithmetic, not genetics: no frequencies, no likelihood ratios.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{MATCHES_MAX, TemplateError};
use crate::record::DnaProfile;

/// Most bytes of a profile as text.
pub const PROFILE_BYTES_MAX: usize = 1024;
/// Fewest loci of a profile, and fewest that two profiles have in common to be compared.
pub const LOCI_MIN: usize = 6;
/// Most loci that may differ in a match.
pub const MISMATCHES_MAX: usize = 1;

/// The names of the loci.
pub const LOCI: [&str; 21] = [
    "D3S1358", "VWA", "D16S539", "D2S1338", "D8S1179", "D21S11", "D18S51", "D19S433", "TH01", "FGA",
    "D1S1656", "D2S441", "D10S1248", "D12S391", "D22S1045", "SE33", "D5S818", "D7S820", "D13S317", "TPOX",
    "CSF1PO",
];

/// The place that tells the sexes apart. It is not compared.
const SEX: &str = "AMEL";

/// A place of the genome, one of [`LOCI`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locus(u8);

impl FromStr for Locus {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let known = LOCI.iter().position(|name| name.eq_ignore_ascii_case(text));
        let known = known.and_then(|at| u8::try_from(at).ok());
        known.map(Self).ok_or_else(|| TemplateError::UnknownLocus(text.chars().take(16).collect()))
    }
}

impl fmt::Display for Locus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LOCI[usize::from(self.0)])
    }
}

impl fmt::Debug for Locus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The two alleles of each locus, in tenths of a repeat (9.3 is 93), the smaller one first.
///
/// As text: `D3S1358:15,16;TH01:7,9.3;FGA:22;…`; one allele stands for two that are the same. AMEL, which tells the
/// sexes apart, may stand there and is not compared.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    alleles: BTreeMap<Locus, (u16, u16)>,
}

impl FromStr for Profile {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.len() > PROFILE_BYTES_MAX {
            return Err(TemplateError::TooLarge { found: text.len(), most: PROFILE_BYTES_MAX });
        }
        let mut alleles = BTreeMap::new();
        for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, pair) = entry.split_once(':').unwrap_or((entry, ""));
            if name.eq_ignore_ascii_case(SEX) {
                continue;
            }
            let locus: Locus = name.parse()?;
            let (one, other) = pair.split_once(',').unwrap_or((pair, pair));
            let pair = allele(one).zip(allele(other));
            let (a, b) = pair.ok_or(TemplateError::BadAlleles { locus })?;
            if alleles.insert(locus, (a.min(b), a.max(b))).is_some() {
                return Err(TemplateError::LocusTwice(locus));
            }
        }
        if alleles.len() < LOCI_MIN {
            return Err(TemplateError::TooFewLoci { found: alleles.len() });
        }
        Ok(Self { alleles })
    }
}

impl Profile {
    /// What can be compared of a recorded profile; none when that is too little to say anything.
    pub fn of_record(recorded: &DnaProfile) -> Option<Self> {
        let mut alleles = BTreeMap::new();
        for place in &recorded.loci {
            let Ok(locus) = place.name().parse::<Locus>() else { continue };
            let tenths = |allele: &u32| u16::try_from(*allele).ok();
            let (one, other) = (place.alleles().first(), place.alleles().last());
            let pair = one.and_then(tenths).zip(other.and_then(tenths));
            alleles.extend(pair.map(|pair| (locus, pair)));
        }
        (alleles.len() >= LOCI_MIN).then_some(Self { alleles })
    }
}

/// Repeats in tenths: `9` is 90, `9.3` is 93.
fn allele(text: &str) -> Option<u16> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let number = |text: &str, digits: usize| {
        let fits = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse::<u16>().ok()).flatten()
    };
    Some(number(whole, 2)? * 10 + number(part, 1)?)
}

/// What a search looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The same person: both alleles agree.
    Same,
    /// A parent or a child: at least one allele agrees.
    ParentOrChild,
}

/// How two profiles agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileMatch {
    /// Where the record is found.
    pub locator: u64,
    /// Loci that both have.
    pub compared: usize,
    /// Those of them that do not agree.
    pub differing: Vec<Locus>,
}

/// The profiles of one database. A copy shares them, so that nobody waits for a search.
#[derive(Clone, Default)]
pub struct Profiles {
    profiles: Arc<BTreeMap<u64, Arc<Profile>>>,
}

impl Profiles {
    /// Adds the profile of a record, or puts it in the place of the one that it had.
    pub fn add(&mut self, locator: u64, profile: Profile) {
        Arc::make_mut(&mut self.profiles).insert(locator, Arc::new(profile));
    }

    /// Forgets the profile of a record.
    pub fn withdraw(&mut self, locator: u64) {
        Arc::make_mut(&mut self.profiles).remove(&locator);
    }

    /// The records whose profiles have at least [`LOCI_MIN`] loci in common with this one, of which at most
    /// [`MISMATCHES_MAX`] differ: those with the fewest differing first, then those with the most in common; at most
    /// [`MATCHES_MAX`]. Records that `may_see` does not let through are as if they were not there.
    pub fn search(
        &self,
        probe: &Profile,
        relation: Relation,
        may_see: impl Fn(u64) -> bool,
    ) -> Vec<ProfileMatch> {
        let mut matches: Vec<ProfileMatch> = self
            .profiles
            .iter()
            .filter_map(|(locator, profile)| compare(probe, *locator, profile, relation))
            .filter(|found| may_see(found.locator))
            .collect();
        matches
            .sort_by_key(|found| (found.differing.len(), std::cmp::Reverse(found.compared), found.locator));
        matches.truncate(MATCHES_MAX);
        matches
    }
}

fn compare(probe: &Profile, locator: u64, profile: &Profile, relation: Relation) -> Option<ProfileMatch> {
    let mut found = ProfileMatch { locator, compared: 0, differing: Vec::new() };
    for (locus, here) in &probe.alleles {
        let Some(there) = profile.alleles.get(locus) else { continue };
        let agree = match relation {
            Relation::Same => here == there,
            Relation::ParentOrChild => {
                here.0 == there.0 || here.0 == there.1 || here.1 == there.0 || here.1 == there.1
            }
        };
        found.compared += 1;
        if !agree {
            found.differing.push(*locus);
        }
    }
    (found.compared >= LOCI_MIN && found.differing.len() <= MISMATCHES_MAX).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "D3S1358:15,16; VWA:17,18; D16S539:9,11; D2S1338:20,23; D8S1179:12,13; D21S11:29,31.2; TH01:7,9.3";

    fn profile(text: &str) -> Profile {
        text.parse().unwrap()
    }

    fn search(stored: &str, probe: &str, relation: Relation) -> Vec<ProfileMatch> {
        let mut profiles = Profiles::default();
        profiles.add(5, profile(stored));
        profiles.search(&profile(probe), relation, |_| true)
    }

    #[test]
    fn the_same_profile_matches_in_any_order_of_alleles_and_loci() {
        let again = "TH01:9.3,7; D3S1358:16,15; VWA:18,17; D16S539:11,9; D2S1338:23,20; D8S1179:13,12; D21S11:31.2,29";
        let expected = ProfileMatch { locator: 5, compared: 7, differing: vec![] };
        assert_eq!(search(ONE, again, Relation::Same), [expected]);
    }

    #[test]
    fn one_locus_may_differ_and_is_named() {
        let one_off = ONE.replace("TH01:7,9.3", "TH01:7,9");
        let expected = ProfileMatch { locator: 5, compared: 7, differing: vec!["TH01".parse().unwrap()] };
        assert_eq!(search(ONE, &one_off, Relation::Same), [expected]);
        let two_off = one_off.replace("VWA:17,18", "VWA:17,19");
        assert_eq!(search(ONE, &two_off, Relation::Same), []);
    }

    #[test]
    fn too_few_loci_in_common_say_nothing() {
        let elsewhere =
            "D3S1358:15,16; VWA:17,18; D16S539:9,11; D2S1338:20,23; D8S1179:12,13; FGA:20,21; SE33:18,30.2";
        assert_eq!(search(ONE, elsewhere, Relation::Same), [], "five in common");
        let error = "D3S1358:15,16; VWA:17,18".parse::<Profile>().err().unwrap();
        assert_eq!(error.to_string(), "2 loci, and fewer than 6 say nothing");
    }

    #[test]
    fn a_child_shares_one_allele_at_each_locus() {
        let child =
            "D3S1358:15,14; VWA:18,16; D16S539:9,9; D2S1338:17,20; D8S1179:13,15; D21S11:30,31.2; TH01:6,7";
        assert_eq!(search(ONE, child, Relation::Same), []);
        let found = search(ONE, child, Relation::ParentOrChild);
        assert_eq!(found, [ProfileMatch { locator: 5, compared: 7, differing: vec![] }]);
    }

    #[test]
    fn the_best_match_comes_first_and_what_may_not_be_seen_is_not_there() {
        let mut profiles = Profiles::default();
        profiles.add(1, profile(&ONE.replace("VWA:17,18", "VWA:17,19")));
        profiles.add(2, profile(ONE));
        profiles.add(3, profile(&ONE.replace("; TH01:7,9.3", "")));
        let found = |may_see: fn(u64) -> bool| -> Vec<u64> {
            profiles
                .search(&profile(ONE), Relation::Same, may_see)
                .iter()
                .map(|found| found.locator)
                .collect()
        };
        assert_eq!(found(|_| true), [2, 3, 1]);
        assert_eq!(found(|locator| locator != 2), [3, 1]);
    }

    #[test]
    fn a_recorded_profile_is_compared_with_what_was_written_down() {
        use crate::Database;
        use crate::record::{Cell, Content, Record};
        let loci = "AMEL:X,Y;D16S539:9,11;D3S1358:15,16;D8S1179:12,13;FGA:22;TH01:7,9.3;VWA:17,18;ZZ9:8";
        let loci: Vec<&str> = loci.split(';').collect();
        let mut cells = ["t1", "", "", "", "UNKNOWN"].map(|text| Cell::Text(text.into())).to_vec();
        cells.push(Cell::List(loci.iter().map(|locus| (*locus).into()).collect()));
        let record = Record::from_row(Database::Dna, "FR".parse().unwrap(), &cells).unwrap();
        let Content::DnaProfile(recorded) = record.content() else { panic!() };
        let mut profiles = Profiles::default();
        profiles.add(5, Profile::of_record(recorded).unwrap());
        let written = profile(&loci[..7].join("; "));
        let found = profiles.search(&written, Relation::Same, |_| true);
        assert_eq!(found, [ProfileMatch { locator: 5, compared: 6, differing: vec![] }]);
    }

    #[test]
    fn a_withdrawn_profile_is_forgotten() {
        let mut profiles = Profiles::default();
        profiles.add(1, profile(ONE));
        profiles.withdraw(1);
        assert_eq!(profiles.search(&profile(ONE), Relation::Same, |_| true), []);
    }

    #[test]
    fn what_is_no_profile_is_refused_with_the_reason() {
        let refused = |text: &str| text.parse::<Profile>().err().unwrap().to_string();
        assert_eq!(refused("D3S9999:1,2"), "no locus is called \"D3S9999\"");
        assert_eq!(refused("TH01:7,x"), "TH01 has two alleles such as 7,9.3");
        assert_eq!(refused("TH01"), "TH01 has two alleles such as 7,9.3");
        assert_eq!(refused("TH01:7,9.33"), "TH01 has two alleles such as 7,9.3");
        assert_eq!(refused("TH01:7,8; th01:7,8"), "TH01 stands there twice");
        assert_eq!(refused(&";".repeat(1025)), "a probe too large: 1025 bytes, and at most 1024 are taken");
    }
}
