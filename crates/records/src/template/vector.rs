//! Fingerprints and faces: vectors of a fixed length, their distance, and the threshold of a match.
//!
//! Every vector of the gallery is compared with the probe, one after the other: exact, and quick enough for the few
//! hundred thousand that there are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{MATCHES_MAX, TemplateError};

/// What a vector was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// A print of a finger.
    Fingerprint,
    /// A face.
    Face,
}

impl Modality {
    /// How many numbers a vector of this kind has.
    pub const fn dimensions(self) -> usize {
        match self {
            Self::Fingerprint => 256,
            Self::Face => 128,
        }
    }

    /// The greatest distance of a match: a mean difference of twelve for each number of a fingerprint, of ten for a
    /// face.
    pub const fn threshold(self) -> u32 {
        match self {
            Self::Fingerprint => 256 * 12 * 12,
            Self::Face => 128 * 10 * 10,
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fingerprint => "fingerprint",
            Self::Face => "face",
        })
    }
}

/// A vector that belongs to a record.
pub struct Template {
    modality: Modality,
    vector: Vec<i8>,
}

/// A vector that is searched for. It cannot be copied, added to a gallery or printed, and is wiped when dropped.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Probe {
    #[zeroize(skip)]
    modality: Modality,
    vector: Vec<i8>,
}

impl Template {
    /// The template in these bytes, one signed number each.
    ///
    /// # Errors
    /// [`TemplateError::TooLarge`] or [`TemplateError::TooShort`] if there are not as many as the modality has.
    pub fn new(modality: Modality, bytes: &[u8]) -> Result<Self, TemplateError> {
        Ok(Self { modality, vector: vector(modality, bytes)? })
    }
}

impl Probe {
    /// The probe in these bytes, one signed number each.
    ///
    /// # Errors
    /// [`TemplateError::TooLarge`] or [`TemplateError::TooShort`] if there are not as many as the modality has.
    pub fn new(modality: Modality, bytes: &[u8]) -> Result<Self, TemplateError> {
        Ok(Self { modality, vector: vector(modality, bytes)? })
    }
}

fn vector(modality: Modality, bytes: &[u8]) -> Result<Vec<i8>, TemplateError> {
    let expected = modality.dimensions();
    if bytes.len() > expected {
        return Err(TemplateError::TooLarge { found: bytes.len(), most: expected });
    }
    if bytes.len() < expected {
        return Err(TemplateError::TooShort { found: bytes.len(), expected });
    }
    Ok(bytes.iter().map(|byte| byte.cast_signed()).collect())
}

/// A record whose template is near a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VectorMatch {
    /// The sum of the squared differences; 0 is the same vector.
    pub distance: u32,
    /// Where the record is found.
    pub locator: u64,
}

/// Most templates of a block.
const BLOCK: usize = 1024;

/// The templates of one modality. A copy shares them, so that a search goes over those that there were when it began,
/// and nobody waits for it.
#[derive(Clone)]
pub struct Gallery {
    modality: Modality,
    /// In the order in which they came.
    blocks: Vec<Arc<Block>>,
}

/// Templates that lie together.
#[derive(Clone, Default)]
struct Block {
    locators: Vec<u64>,
    /// One vector after the other, in the order of the locators.
    vectors: Vec<i8>,
}

impl Gallery {
    /// A gallery without templates.
    pub fn new(modality: Modality) -> Self {
        Self { modality, blocks: Vec::new() }
    }

    /// Adds a record's template. A record may have several.
    ///
    /// # Errors
    /// [`TemplateError::OtherModality`] if it is not of the gallery's kind.
    pub fn add(&mut self, locator: u64, template: &Template) -> Result<(), TemplateError> {
        self.check(template.modality)?;
        if self.blocks.last().is_none_or(|block| block.locators.len() >= BLOCK) {
            self.blocks.push(Arc::default());
        }
        if let Some(block) = self.blocks.last_mut().map(Arc::make_mut) {
            block.locators.push(locator);
            block.vectors.extend_from_slice(&template.vector);
        }
        Ok(())
    }

    /// Forgets all templates of a record.
    pub fn withdraw(&mut self, locator: u64) {
        let length = self.modality.dimensions();
        for block in self.blocks.iter_mut().filter(|block| block.locators.contains(&locator)) {
            let block = Arc::make_mut(block);
            while let Some(at) = block.locators.iter().position(|other| *other == locator) {
                block.locators.remove(at);
                block.vectors.drain(at * length..(at + 1) * length);
            }
        }
        self.blocks.retain(|block| !block.locators.is_empty());
    }

    /// How many templates.
    pub fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.locators.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The records nearest to the probe within the threshold, the nearest first, at most [`MATCHES_MAX`]; a record
    /// once, by its nearest template. Records that `may_see` does not let through are as if they were not there.
    ///
    /// # Errors
    /// [`TemplateError::OtherModality`] if the probe is not of the gallery's kind.
    pub fn search(
        &self,
        probe: &Probe,
        may_see: impl Fn(u64) -> bool,
    ) -> Result<Vec<VectorMatch>, TemplateError> {
        self.check(probe.modality)?;
        let mut near = BinaryHeap::new();
        for block in &self.blocks {
            let templates = block.vectors.chunks_exact(self.modality.dimensions());
            for (&locator, template) in block.locators.iter().zip(templates) {
                let distance = distance(&probe.vector, template);
                if distance <= self.modality.threshold() && may_see(locator) {
                    near.push(Reverse(VectorMatch { distance, locator }));
                }
            }
        }
        let mut matches: Vec<VectorMatch> = Vec::new();
        while let Some(Reverse(nearest)) = near.pop() {
            if matches.len() < MATCHES_MAX && matches.iter().all(|found| found.locator != nearest.locator) {
                matches.push(nearest);
            }
        }
        Ok(matches)
    }

    fn check(&self, found: Modality) -> Result<(), TemplateError> {
        if found == self.modality {
            return Ok(());
        }
        Err(TemplateError::OtherModality { found, expected: self.modality })
    }
}

/// The sum of the squared differences. At most 256 × 255², so it fits.
fn distance(a: &[i8], b: &[i8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2).cast_unsigned()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACE: usize = Modality::Face.dimensions();

    fn gallery(vectors: &[(u64, u8)]) -> Gallery {
        let mut gallery = Gallery::new(Modality::Face);
        for (locator, number) in vectors {
            gallery.add(*locator, &Template::new(Modality::Face, &[*number; FACE]).unwrap()).unwrap();
        }
        gallery
    }

    fn probe(number: u8) -> Probe {
        Probe::new(Modality::Face, &[number; FACE]).unwrap()
    }

    fn found(gallery: &Gallery, probe: &Probe) -> Vec<(u64, u32)> {
        gallery.search(probe, |_| true).unwrap().iter().map(|found| (found.locator, found.distance)).collect()
    }

    #[test]
    fn the_nearest_within_the_threshold_are_found_the_nearest_first() {
        let gallery = gallery(&[(1, 10), (2, 50), (3, 53), (4, 60), (5, 61)]);
        assert_eq!(found(&gallery, &probe(50)), [(2, 0), (3, 128 * 9), (4, 128 * 100)]);
        assert_eq!(found(&gallery, &probe(100)), []);
    }

    #[test]
    fn numbers_are_signed() {
        let gallery = gallery(&[(1, 0x80), (2, 0x7f)]);
        assert_eq!(found(&gallery, &probe(0x81)), [(1, 128)], "-127 is next to -128, and far from 127");
    }

    #[test]
    fn a_record_is_found_once_by_its_nearest_template() {
        let gallery = gallery(&[(7, 45), (7, 49), (8, 48)]);
        assert_eq!(found(&gallery, &probe(50)), [(7, 128), (8, 128 * 4)]);
    }

    #[test]
    fn a_record_that_may_not_be_seen_is_as_if_it_were_not_there() {
        let all: Vec<(u64, u8)> = (0..30).map(|locator| (locator, 50)).collect();
        let restricted = gallery(&all).search(&probe(50), |locator| locator != 3).unwrap();
        let without: Vec<(u64, u8)> = all.into_iter().filter(|(locator, _)| *locator != 3).collect();
        assert_eq!(restricted, gallery(&without).search(&probe(50), |_| true).unwrap());
        assert_eq!(restricted.len(), MATCHES_MAX);
    }

    #[test]
    fn a_withdrawn_record_is_forgotten_with_all_its_templates() {
        let mut gallery = gallery(&[(7, 45), (8, 48), (7, 49)]);
        gallery.withdraw(7);
        assert_eq!(found(&gallery, &probe(50)), [(8, 128 * 4)]);
        assert_eq!(gallery.len(), 1);
        assert_eq!(gallery.blocks[0].vectors.len(), FACE);
    }

    #[test]
    fn a_copy_keeps_what_it_had_and_all_blocks_are_searched() {
        let all: Vec<(u64, u8)> = (0..2 * BLOCK as u64 + 1).map(|locator| (locator, 50)).collect();
        let mut all = gallery(&all);
        let copy = all.clone();
        for locator in 0..2 * BLOCK as u64 {
            all.withdraw(locator);
        }
        assert_eq!((found(&all, &probe(50)), all.blocks.len()), (vec![(2 * BLOCK as u64, 0)], 1));
        assert_eq!((copy.len(), found(&copy, &probe(50)).len()), (2 * BLOCK + 1, MATCHES_MAX));
    }

    #[test]
    fn a_probe_has_one_size() {
        let error = Probe::new(Modality::Face, &[0; FACE + 1]).err().unwrap();
        assert_eq!(error.to_string(), "a probe too large: 129 bytes, and at most 128 are taken");
        let error = Probe::new(Modality::Face, &[0; FACE - 1]).err().unwrap();
        assert_eq!(error.to_string(), "a probe too short: 127 bytes of 128");
        assert!(Probe::new(Modality::Fingerprint, &[0; FACE]).is_err());
    }

    #[test]
    fn a_fingerprint_is_not_searched_among_faces() {
        let print = Probe::new(Modality::Fingerprint, &[0; 256]).unwrap();
        let error = gallery(&[(1, 0)]).search(&print, |_| true).unwrap_err();
        assert_eq!(error.to_string(), "a template of a fingerprint, where there are only those of a face");
    }
}
