//! Biometric templates: fingerprints and faces as opaque vectors, and DNA profiles as loci.
//!
//! This is a simulation: the vectors are synthetic, and nothing here extracts one from a picture or a print. What is
//! simulated is how a search behaves: a probe is compared with everything that its asker may see, comes in one size, is
//! never kept, and the vector in it is wiped when the search is over. What matches is a lead for a human examiner.
//!
//! ```text
//!   Probe ──► Gallery::search ──► the nearest within the threshold of its modality
//!   Profile ──► Profiles::search ──► those that share enough loci, with few enough that differ
//!   Sought ──► Galleries::search ──► candidates of one database, with a score
//! ```

mod dna;
mod galleries;
mod vector;

pub use dna::{
    LOCI, LOCI_MIN, Locus, MISMATCHES_MAX, PROFILE_BYTES_MAX, Profile, ProfileMatch, Profiles, Relation,
};
pub use galleries::{Candidate, Galleries, Sought};
pub use vector::{Gallery, Modality, Probe, Template, VectorMatch};

/// Most matches of an answer.
pub const MATCHES_MAX: usize = 20;

/// Why a template, a probe or a profile is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// More bytes than any probe of its kind has.
    #[error("a probe too large: {found} bytes, and at most {most} are taken")]
    TooLarge {
        /// How many bytes came.
        found: usize,
        /// How many are taken.
        most: usize,
    },
    /// Fewer bytes than a vector of its kind has.
    #[error("a probe too short: {found} bytes of {expected}")]
    TooShort {
        /// How many bytes came.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A template of another modality than the gallery's.
    #[error("a template of a {found}, where there are only those of a {expected}")]
    OtherModality {
        /// What came.
        found: Modality,
        /// What the gallery holds.
        expected: Modality,
    },
    /// A vector where profiles are compared, or a profile where vectors are.
    #[error("a probe of another kind than the database holds")]
    OtherKind,
    /// A profile that is no text.
    #[error("a profile is written as text")]
    NoText,
    /// A name that no locus has.
    #[error("no locus is called {0:?}")]
    UnknownLocus(String),
    /// The same locus twice.
    #[error("{0} stands there twice")]
    LocusTwice(Locus),
    /// Something else than two numbers such as `9.3`.
    #[error("{locus} has two alleles such as 7,9.3")]
    BadAlleles {
        /// Where.
        locus: Locus,
    },
    /// Too few loci to say anything.
    #[error("{found} loci, and fewer than {LOCI_MIN} say nothing")]
    TooFewLoci {
        /// How many came.
        found: usize,
    },
}
